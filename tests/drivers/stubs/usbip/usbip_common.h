/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Stands in for the private header of Linux's USB/IP, as far as usbip_event.c needs it. */
#ifndef STUB_USBIP_COMMON_H
#define STUB_USBIP_COMMON_H

#include <linux/errno.h>
#include <linux/kernel.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/printk.h>
#include <linux/sched.h>
#include <linux/spinlock.h>
#include <linux/types.h>
#include <linux/wait.h>

#define USBIP_EH_SHUTDOWN (1 << 0)
#define USBIP_EH_BYE (1 << 1)
#define USBIP_EH_RESET (1 << 2)
#define USBIP_EH_UNUSABLE (1 << 3)

#define usbip_dbg_eh(...) pr_debug(__VA_ARGS__)

struct usbip_device {
    spinlock_t lock;
    struct mutex sysfs_lock;
    unsigned long event;
    wait_queue_head_t eh_waitq;
    struct eh_ops {
        void (*shutdown)(struct usbip_device *ud);
        void (*reset)(struct usbip_device *ud);
        void (*unusable)(struct usbip_device *ud);
    } eh_ops;
};

int usbip_init_eh(void);
void usbip_finish_eh(void);
int usbip_start_eh(struct usbip_device *ud);
void usbip_stop_eh(struct usbip_device *ud);
void usbip_event_add(struct usbip_device *ud, unsigned long event);
int usbip_event_happened(struct usbip_device *ud);
int usbip_in_eh(struct task_struct *task);

#endif
