/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Stands in for a private header of Linux's IOSM modem driver, as far as its task queue needs it. */
#ifndef STUB_IOSM_IPC_IMEM_H
#define STUB_IOSM_IPC_IMEM_H

#include <asm/barrier.h>
#include <linux/completion.h>
#include <linux/device.h>
#include <linux/errno.h>
#include <linux/interrupt.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/string.h>
#include <linux/types.h>

struct ipc_task;

struct iosm_imem {
    struct ipc_task *ipc_task;
};

#endif
