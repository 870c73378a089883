/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Input devices, their attributes and timers, as far as omap-keypad.c needs them. */
#ifndef STUB_LINUX_INPUT_H
#define STUB_LINUX_INPUT_H

#include <linux/device.h>
#include <linux/types.h>

#define BUS_HOST 0x19
#define EV_REP 0x14

struct input_id {
    u16 bustype, vendor, product, version;
};

struct input_dev {
    const char *name;
    const char *phys;
    struct input_id id;
    unsigned long evbit[1];
    void *keycode;
    struct device dev;
};

struct input_dev *input_allocate_device(void);
void input_free_device(struct input_dev *dev);
int input_register_device(struct input_dev *dev);
void input_unregister_device(struct input_dev *dev);
void input_report_key(struct input_dev *dev, unsigned int code, int value);
void input_sync(struct input_dev *dev);

#endif
