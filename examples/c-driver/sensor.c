// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * The driver, as for Linux. The interrupt schedules a tasklet; the tasklet empties the FIFO and queues a
 * work; the work stores the mean, which may sleep. A delayed work is put off by every interrupt, so it
 * runs when there are none.
 */
#include "sensor.h"

#include <linux/jiffies.h>

void sensor_interrupt(struct sensor *sensor)
{
    tasklet_schedule(&sensor->drain);
    mod_delayed_work(sensor->wq, &sensor->watchdog, msecs_to_jiffies(SENSOR_SILENCE_MS));
}

/* Never on two CPUs at once, so it needs no lock against itself. */
static void sensor_drain(struct tasklet_struct *tasklet)
{
    struct sensor *sensor = from_tasklet(sensor, tasklet, drain);
    unsigned int sum = sensor->sum, samples = sensor->samples, sample;

    while (sensor->bus->pop(sensor->device, &sample)) {
        sum += sample;
        samples++;
    }
    sensor->sum = sum;
    sensor->samples = samples;
    queue_work(sensor->wq, &sensor->report);
    sensor->bus->unmask(sensor->device);
}

static void sensor_report(struct work_struct *work)
{
    struct sensor *sensor = container_of(work, struct sensor, report);
    unsigned int sum, samples;

    /* The tasklet does not run in between; scheduled meanwhile, it runs after the enable. */
    tasklet_disable(&sensor->drain);
    sum = sensor->sum;
    samples = sensor->samples;
    sensor->sum = 0;
    sensor->samples = 0;
    tasklet_enable(&sensor->drain);

    if (samples)
        sensor->bus->store(sensor->device, sum / samples, samples);
}

static void sensor_silent(struct work_struct *work)
{
    struct sensor *sensor = container_of(work, struct sensor, watchdog.work);

    sensor->bus->silent(sensor->device);
}

int sensor_start(struct sensor *sensor, const struct sensor_bus *bus, void *device)
{
    sensor->bus = bus;
    sensor->device = device;
    sensor->sum = 0;
    sensor->samples = 0;
    tasklet_setup(&sensor->drain, sensor_drain);
    INIT_WORK(&sensor->report, sensor_report);
    INIT_DELAYED_WORK(&sensor->watchdog, sensor_silent);
    sensor->wq = alloc_workqueue("sensor/%d", WQ_MEM_RECLAIM, 0, 0);
    return sensor->wq ? 0 : -1;
}

void sensor_stop(struct sensor *sensor)
{
    tasklet_kill(&sensor->drain);
    cancel_delayed_work_sync(&sensor->watchdog);
    destroy_workqueue(sensor->wq);
}
