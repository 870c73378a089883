/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Attributes of devices, as far as input-poller.c declares some. */
#ifndef STUB_LINUX_SYSFS_H
#define STUB_LINUX_SYSFS_H

#include <linux/device.h>
#include <linux/kernel.h>
#include <linux/types.h>

struct attribute {
    const char *name;
    umode_t mode;
};

struct attribute_group {
    umode_t (*is_visible)(struct kobject *kobj, struct attribute *attr, int n);
    struct attribute **attrs;
};

struct device_attribute {
    struct attribute attr;
    ssize_t (*show)(struct device *dev, struct device_attribute *attr, char *buf);
    ssize_t (*store)(struct device *dev, struct device_attribute *attr, const char *buf, size_t count);
};

#define DEVICE_ATTR(name, mode, show, store)                                                                 \
    struct device_attribute dev_attr_##name = {{#name, mode}, show, store}

static inline struct device *kobj_to_dev(struct kobject *kobj)
{
    return container_of(kobj, struct device, kobj);
}

int kstrtouint(const char *text, unsigned int base, unsigned int *result);

#endif
