/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * A sensor that interrupts when its FIFO holds samples: what the driver offers, and what it needs of the
 * bus that the sensor is on. The same for Linux and for KMDF.
 */
#ifndef SENSOR_H
#define SENSOR_H

#include <linux/interrupt.h>
#include <linux/workqueue.h>

/* How long a sensor may say nothing. */
#define SENSOR_SILENCE_MS 50

struct sensor_bus {
    /* Takes a sample out of the FIFO; false if it is empty. Any context. */
    bool (*pop)(void *device, unsigned int *sample);
    /* Lets the device interrupt again. Any context. */
    void (*unmask)(void *device);
    /* Stores a mean. May sleep. */
    void (*store)(void *device, unsigned int mean, unsigned int samples);
    /* The device has been silent. May sleep. */
    void (*silent)(void *device);
};

struct sensor {
    const struct sensor_bus *bus;
    void *device;
    struct workqueue_struct *wq;
    struct tasklet_struct drain;
    struct work_struct report;
    struct delayed_work watchdog;
    /* What the tasklet has taken and the work has not stored yet. */
    unsigned int sum;
    unsigned int samples;
};

/* 0, or -1 if there is no memory. */
int sensor_start(struct sensor *sensor, const struct sensor_bus *bus, void *device);
/* The device's interrupt: it masks itself and waits for unmask. */
void sensor_interrupt(struct sensor *sensor);
/* When the device does not interrupt any more: every sample that was taken has been stored on return. */
void sensor_stop(struct sensor *sensor);

#endif
