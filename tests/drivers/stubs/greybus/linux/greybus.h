/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Stands in for the header of Linux's Greybus, as far as svc_watchdog.c needs it. */
#ifndef STUB_LINUX_GREYBUS_H
#define STUB_LINUX_GREYBUS_H

#include <linux/device.h>
#include <linux/errno.h>
#include <linux/jiffies.h>
#include <linux/kernel.h>
#include <linux/notifier.h>
#include <linux/slab.h>
#include <linux/types.h>

/* What is done when the SVC does not answer. */
enum gb_svc_watchdog_bite {
    GB_SVC_WATCHDOG_BITE_RESET_UNIPRO = 0,
    GB_SVC_WATCHDOG_BITE_PANIC_KERNEL,
};

struct gb_svc_watchdog;

struct gb_svc {
    struct device dev;
    struct gb_svc_watchdog *watchdog;
    enum gb_svc_watchdog_bite action;
};

/* Asks the SVC whether it is there: 0 or a negative errno. The test is the SVC. */
int gb_svc_ping(struct gb_svc *svc);

int gb_svc_watchdog_create(struct gb_svc *svc);
void gb_svc_watchdog_destroy(struct gb_svc *svc);
bool gb_svc_watchdog_enabled(struct gb_svc *svc);
int gb_svc_watchdog_enable(struct gb_svc *svc);
int gb_svc_watchdog_disable(struct gb_svc *svc);

/* Ends the machine; the test counts it. */
void panic(const char *fmt, ...);

/* Starts a program of user space; the test is the user space. */
#define UMH_WAIT_EXEC 1
int call_usermodehelper(const char *path, char **argv, char **envp, int wait);

#endif
