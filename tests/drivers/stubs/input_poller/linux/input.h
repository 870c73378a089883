/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Input devices, as far as input-poller.c needs them. */
#ifndef STUB_LINUX_INPUT_H
#define STUB_LINUX_INPUT_H

#include <linux/errno.h>
#include <linux/export.h>
#include <linux/mutex.h>
#include <linux/sysfs.h>

struct input_dev_poller;

struct input_dev {
    struct device dev;
    struct mutex mutex;
    struct input_dev_poller *poller;
};

static inline struct input_dev *to_input_dev(struct device *dev)
{
    return container_of(dev, struct input_dev, dev);
}

bool input_device_enabled(struct input_dev *dev);
int input_setup_polling(struct input_dev *dev, void (*poll_fn)(struct input_dev *dev));
void input_set_poll_interval(struct input_dev *dev, unsigned int interval);
void input_set_min_poll_interval(struct input_dev *dev, unsigned int interval);
void input_set_max_poll_interval(struct input_dev *dev, unsigned int interval);
int input_get_poll_interval(struct input_dev *dev);

#endif
