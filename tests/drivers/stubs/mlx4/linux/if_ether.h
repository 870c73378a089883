/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Stands in for a header of which sense.c of Linux's mlx4 takes nothing. */
#ifndef STUB_LINUX_IF_ETHER_H
#define STUB_LINUX_IF_ETHER_H

#include <linux/types.h>

#endif
