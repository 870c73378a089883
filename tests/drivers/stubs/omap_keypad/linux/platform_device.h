/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Devices of a board, interrupts, attributes and timers, as far as omap-keypad.c needs them. */
#ifndef STUB_LINUX_PLATFORM_DEVICE_H
#define STUB_LINUX_PLATFORM_DEVICE_H

#include <linux/bitops.h>
#include <linux/device.h>
#include <linux/string.h>
#include <linux/types.h>

#define S_IRUGO 0444
#define S_IWUSR 0200
#define struct_size(pointer, member, count) (sizeof(*(pointer)) + sizeof((pointer)->member[0]) * (count))

typedef enum { IRQ_NONE, IRQ_HANDLED } irqreturn_t;

struct timer_list {
    unsigned long expires;
    void (*function)(struct timer_list *timer);
};

void timer_setup(struct timer_list *timer, void (*function)(struct timer_list *timer), unsigned int flags);
int mod_timer(struct timer_list *timer, unsigned long expires);
int del_timer_sync(struct timer_list *timer);

struct platform_device {
    struct device dev;
};

struct platform_driver {
    int (*probe)(struct platform_device *device);
    int (*remove)(struct platform_device *device);
    struct device_driver driver;
};

struct device_attribute {
    const char *name;
    umode_t mode;
    ssize_t (*show)(struct device *dev, struct device_attribute *attr, char *buf);
    ssize_t (*store)(struct device *dev, struct device_attribute *attr, const char *buf, size_t count);
};

#define DEVICE_ATTR(name, mode, show, store)                                                                 \
    struct device_attribute dev_attr_##name = {#name, mode, show, store}
int device_create_file(struct device *dev, const struct device_attribute *attr);
void device_remove_file(struct device *dev, const struct device_attribute *attr);

static inline void *dev_get_platdata(const struct device *dev)
{
    return dev->platform_data;
}

static inline void *platform_get_drvdata(const struct platform_device *device)
{
    return dev_get_drvdata(&device->dev);
}

static inline void platform_set_drvdata(struct platform_device *device, void *data)
{
    dev_set_drvdata(&device->dev, data);
}

int platform_get_irq(struct platform_device *device, unsigned int number);
int request_irq(unsigned int irq, irqreturn_t (*handler)(int irq, void *dev_id), unsigned long flags,
                const char *name, void *dev_id);
void free_irq(unsigned int irq, void *dev_id);
void enable_irq(unsigned int irq);
void disable_irq(unsigned int irq);

unsigned int get_count_order(unsigned int count);
int sscanf(const char *text, const char *fmt, ...);
size_t strnlen(const char *text, size_t size);

const struct platform_driver *stub_platform_driver(void);
#define module_platform_driver(name)                                                                         \
    const struct platform_driver *stub_platform_driver(void)                                                 \
    {                                                                                                        \
        return &(name);                                                                                      \
    }                                                                                                        \
    const struct platform_driver *stub_platform_driver(void)

#endif
