// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * What ties the same driver to Linux, as a module: a timer of the kernel's plays the device, and says at
 * the end whether every sample was stored.
 */
#include <linux/delay.h>
#include <linux/hrtimer.h>
#include <linux/module.h>
#include <linux/spinlock.h>
#include <linux/version.h>

#include "sensor.h"

static struct sensor sensor;
static struct hrtimer device_timer;
static DEFINE_SPINLOCK(device_lock);
static unsigned int measured, in_fifo, stored, means;
static bool masked;

static enum hrtimer_restart device_measures(struct hrtimer *timer)
{
    unsigned long flags;
    bool interrupts;

    spin_lock_irqsave(&device_lock, flags);
    measured += 3;
    in_fifo += 3;
    interrupts = !masked;
    masked = true;
    spin_unlock_irqrestore(&device_lock, flags);
    if (interrupts)
        sensor_interrupt(&sensor);
    hrtimer_forward_now(timer, ms_to_ktime(2));
    return HRTIMER_RESTART;
}

static bool device_pop(void *device, unsigned int *sample)
{
    unsigned long flags;
    bool any;

    spin_lock_irqsave(&device_lock, flags);
    any = in_fifo > 0;
    if (any)
        *sample = measured - in_fifo--;
    spin_unlock_irqrestore(&device_lock, flags);
    return any;
}

static void device_unmask(void *device)
{
    unsigned long flags;

    spin_lock_irqsave(&device_lock, flags);
    masked = false;
    spin_unlock_irqrestore(&device_lock, flags);
}

static void device_store(void *device, unsigned int mean, unsigned int samples)
{
    msleep(5);
    stored += samples;
    means++;
}

static void device_silent(void *device)
{
    pr_info("sensor: silent\n");
}

static const struct sensor_bus device_bus = {
    .pop = device_pop,
    .unmask = device_unmask,
    .store = device_store,
    .silent = device_silent,
};

static int __init sensor_module_init(void)
{
    if (sensor_start(&sensor, &device_bus, NULL))
        return -ENOMEM;
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 13, 0)
    hrtimer_setup(&device_timer, device_measures, CLOCK_MONOTONIC, HRTIMER_MODE_REL);
#else
    hrtimer_init(&device_timer, CLOCK_MONOTONIC, HRTIMER_MODE_REL);
    device_timer.function = device_measures;
#endif
    hrtimer_start(&device_timer, ms_to_ktime(2), HRTIMER_MODE_REL);
    return 0;
}

static void __exit sensor_module_exit(void)
{
    hrtimer_cancel(&device_timer);
    /* What the device measured after the tasklet's last look. */
    tasklet_schedule(&sensor.drain);
    sensor_stop(&sensor);
    pr_info("sensor: %u samples, %u stored in %u means\n", measured, stored, means);
}

module_init(sensor_module_init);
module_exit(sensor_module_exit);
MODULE_DESCRIPTION("Example of bottomhalf's C face, on Linux");
MODULE_LICENSE("Dual MIT/GPL");
