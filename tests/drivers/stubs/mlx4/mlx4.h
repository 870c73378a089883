/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Stands in for the private header of Linux's mlx4, as far as sense.c needs it. */
#ifndef STUB_MLX4_H
#define STUB_MLX4_H

#include <linux/errno.h>
#include <linux/jiffies.h>
#include <linux/kernel.h>
#include <linux/mutex.h>
#include <linux/printk.h>
#include <linux/types.h>
#include <linux/workqueue.h>

#define MLX4_MAX_PORTS 2
#define MLX4_SENSE_RANGE (HZ * 3)
#define MLX4_DEV_CAP_FLAG_DPDP (1 << 12)

enum mlx4_port_type {
    MLX4_PORT_TYPE_NONE = 0,
    MLX4_PORT_TYPE_IB = 1,
    MLX4_PORT_TYPE_ETH = 2,
    MLX4_PORT_TYPE_AUTO = 3,
};

/* Arrays of ports are indexed by the port, from 1. */
struct mlx4_caps {
    u64 flags;
    int num_ports;
    enum mlx4_port_type port_type[MLX4_MAX_PORTS + 1];
    enum mlx4_port_type possible_type[MLX4_MAX_PORTS + 1];
};

struct mlx4_dev {
    struct mlx4_caps caps;
};

struct mlx4_sense {
    struct mlx4_dev *dev;
    u8 do_sense_port[MLX4_MAX_PORTS + 1];
    u8 sense_allowed[MLX4_MAX_PORTS + 1];
    struct delayed_work sense_poll;
};

struct mlx4_priv {
    struct mlx4_dev dev;
    struct mlx4_sense sense;
    struct mutex port_mutex;
};

static inline struct mlx4_priv *mlx4_priv(struct mlx4_dev *dev)
{
    return container_of(dev, struct mlx4_priv, dev);
}

#define mlx4_err(mdev, ...) ((void)(mdev), pr_err(__VA_ARGS__))

extern struct workqueue_struct *mlx4_wq;

/* The types that sensing has found, arrays from 0; the test is what knows and sets them. */
int mlx4_check_port_params(struct mlx4_dev *dev, enum mlx4_port_type *port_type);
int mlx4_change_port_types(struct mlx4_dev *dev, enum mlx4_port_type *port_types);

int mlx4_SENSE_PORT(struct mlx4_dev *dev, int port, enum mlx4_port_type *type);
void mlx4_do_sense_ports(struct mlx4_dev *dev, enum mlx4_port_type *stype, enum mlx4_port_type *defaults);
void mlx4_sense_init(struct mlx4_dev *dev);
void mlx4_start_sense(struct mlx4_dev *dev);
void mlx4_stop_sense(struct mlx4_dev *dev);

#endif
