/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* As much of a device as drivers of this tree look at: its name, its data, and what it logs. */
#ifndef COMPAT_LINUX_DEVICE_H
#define COMPAT_LINUX_DEVICE_H

#include <linux/kernel.h>
#include <linux/kobject.h>
#include <linux/list.h>
#include <linux/printk.h>
#include <linux/slab.h>
#include <linux/types.h>
/* As in Linux, where some drivers have their works through this header alone. */
#include <linux/workqueue.h>

struct device_node;

struct device_driver {
    const char *name;
};

struct device {
    struct kobject kobj;
    struct device *parent;
    const char *init_name;
    void *platform_data;
    void *driver_data;
    struct device_node *of_node;
    /* Memory of devm_kzalloc(), newest first; compat_device_release() frees it. */
    struct list_head devres_head;
};

static inline const char *dev_name(const struct device *dev)
{
    return dev && dev->init_name ? dev->init_name : "(unnamed)";
}

static inline void *dev_get_drvdata(const struct device *dev)
{
    return dev->driver_data;
}

static inline void dev_set_drvdata(struct device *dev, void *data)
{
    dev->driver_data = data;
}

void compat_device_init(struct device *dev, const char *name);
void compat_device_release(struct device *dev);
void *devm_kzalloc(struct device *dev, size_t size, gfp_t flags);
void *devm_kmalloc(struct device *dev, size_t size, gfp_t flags);

#define dev_err(dev, fmt, ...) printk(KERN_ERR "%s: " fmt, dev_name(dev), ##__VA_ARGS__)
#define dev_warn(dev, fmt, ...) printk(KERN_WARNING "%s: " fmt, dev_name(dev), ##__VA_ARGS__)
#define dev_notice(dev, fmt, ...) printk(KERN_NOTICE "%s: " fmt, dev_name(dev), ##__VA_ARGS__)
#define dev_info(dev, fmt, ...) printk(KERN_INFO "%s: " fmt, dev_name(dev), ##__VA_ARGS__)
#define dev_dbg(dev, fmt, ...)                                                                               \
    do {                                                                                                     \
        if (0)                                                                                               \
            printk(KERN_DEBUG "%s: " fmt, dev_name(dev), ##__VA_ARGS__);                                     \
    } while (0)
#define dev_err_ratelimited(dev, fmt, ...) dev_err(dev, fmt, ##__VA_ARGS__)

#endif
