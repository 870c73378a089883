/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Stands in for the header of mlx4's firmware commands, as far as sense.c needs it. */
#ifndef STUB_LINUX_MLX4_CMD_H
#define STUB_LINUX_MLX4_CMD_H

#include <linux/types.h>

#define MLX4_CMD_SENSE_PORT 0x4d
#define MLX4_CMD_TIME_CLASS_B 1
#define MLX4_CMD_WRAPPED 0

struct mlx4_dev;

/* A command whose answer is one number; the test is the firmware. */
int mlx4_cmd_imm(struct mlx4_dev *dev, u64 in_param, u64 *out_param, u32 in_modifier, u8 op_modifier, u16 op,
                 unsigned long timeout, int native);

#endif
