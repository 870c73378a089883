/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What a device shows to user space: events with a list of words. */
#ifndef COMPAT_LINUX_KOBJECT_H
#define COMPAT_LINUX_KOBJECT_H

#include <linux/types.h>

struct kobject {
    const char *name;
};

enum kobject_action {
    KOBJ_ADD,
    KOBJ_REMOVE,
    KOBJ_CHANGE,
    KOBJ_MOVE,
    KOBJ_ONLINE,
    KOBJ_OFFLINE,
};

/* Defined by whoever drives the driver: there is no user space to tell. */
int kobject_uevent_env(struct kobject *kobj, enum kobject_action action, char *envp[]);

#endif
