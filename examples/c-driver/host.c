// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * The device, as a model, and a machine to plug it into: the driver's test on this host. Each seed is a
 * schedule of its own on four CPUs. In the middle of it the device is pulled out, and then every sample that
 * the driver has taken is stored, once.
 */
#include <kmdf_mock.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "glue.h"

#define CPUS 4
#define US 10ull /* in units of 100 ns */
#define MS (1000 * US)

/* A FIFO with an interrupt line. The machine runs one thread at a time, so plain members do. */
static struct model {
    struct sensor *sensor;
    unsigned int measured;
    unsigned int in_fifo;
    bool masked;
    bool disabled;
    bool in_isr;
    unsigned int interrupts;
    unsigned int taken;
    unsigned int stored;
    unsigned int means;
    unsigned int silences;
    uint64_t start;
    unsigned int lines; /* of the log that are still to be printed */
} model;

/* When, on which CPU, and at which IRQL. */
static void say(const char *format, ...)
{
    uint64_t now = kmdf_mock_now_100ns() - model.start;
    va_list arguments;

    if (!model.lines)
        return;
    model.lines--;
    printf("%3llu.%03llu ms  CPU %u  IRQL %u  ", (unsigned long long)(now / MS),
           (unsigned long long)(now % MS / US), kmdf_mock_current_cpu(), kmdf_mock_current_irql());
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    printf("\n");
}

static void model_isr(void *context)
{
    (void)context;
    if (model.masked || model.disabled)
        return;
    model.in_isr = true;
    model.masked = true;
    model.interrupts++;
    say("interrupt: %u samples in the FIFO", model.in_fifo);
    sensor_interrupt(model.sensor);
    model.in_isr = false;
}

static void model_raise(void)
{
    if (model.in_fifo && !model.masked)
        kmdf_mock_interrupt(kmdf_mock_choose(CPUS), model_isr, NULL);
}

void *device_found(struct sensor *sensor)
{
    model.sensor = sensor;
    return &model;
}

void device_disable(void *device)
{
    (void)device;
    model.disabled = true;
    while (model.in_isr)
        kmdf_mock_pause();
}

static bool model_pop(void *device, unsigned int *sample)
{
    (void)device;
    kmdf_mock_burn_100ns(US); /* a register behind a bus */
    if (!model.in_fifo)
        return false;
    *sample = model.measured - model.in_fifo--;
    model.taken++;
    say("tasklet: took sample %u", *sample);
    return true;
}

static void model_unmask(void *device)
{
    (void)device;
    model.masked = false;
    model_raise();
}

static void model_store(void *device, unsigned int mean, unsigned int samples)
{
    (void)device;
    say("work: stores the mean of %u samples, %u", samples, mean);
    kmdf_mock_sleep_100ns(5 * MS); /* a slow medium */
    model.means++;
    model.stored += samples;
}

static void model_silent(void *device)
{
    (void)device;
    say("delayed work: silent for %u ms", SENSOR_SILENCE_MS);
    model.silences++;
}

const struct sensor_bus device_bus = {
    .pop = model_pop,
    .unmask = model_unmask,
    .store = model_store,
    .silent = model_silent,
};

/* The device comes, measures bursts of samples, sometimes with a silence in between, and is pulled out. */
static void plug_measure_and_pull(WDFDRIVER driver, void *context)
{
    WDFDEVICE device = kmdf_mock_add_device();
    unsigned int bursts = 20 + kmdf_mock_choose(20);
    unsigned int burst;

    (void)driver;
    (void)context;
    model.start = kmdf_mock_now_100ns();
    for (burst = 1; burst <= bursts; burst++) {
        model.measured += 1 + burst % 7;
        model.in_fifo += 1 + burst % 7;
        model_raise();
        kmdf_mock_sleep_100ns(burst % 10 ? kmdf_mock_choose(8) * MS : 3 * SENSOR_SILENCE_MS * MS);
    }
    model.measured++;
    model.in_fifo++;
    model_raise();
    kmdf_mock_remove_device(device);
    kmdf_mock_assert(model.stored == model.taken, "every sample that was taken is stored once");
    kmdf_mock_assert(kmdf_mock_reports(NULL, 0) == 0, "nothing was left pending");
}

int main(int argc, char **argv)
{
    unsigned int seeds = argc > 1 ? (unsigned int)atoi(argv[1]) : 1000;
    unsigned int seed;

    for (seed = 0; seed < seeds; seed++) {
        struct kmdf_mock_machine machine = {
            .engine = KMDF_MOCK_SIM, .seed = seed, .cpus = CPUS, .driver_entry = DriverEntry,
        };

        model = (struct model){ .lines = seed ? 0 : 16 };
        if (kmdf_mock_run(&machine, plug_measure_and_pull, NULL))
            return 1; /* it has said what is wrong, and how to replay it */
        if (seed == 0)
            printf("...\n\n%6s %11s %8s %8s %6s %9s\n", "seed", "interrupts", "taken", "stored", "means",
                   "silences");
        if (seed % 100 == 0)
            printf("%6u %11u %8u %8u %6u %9u\n", seed, model.interrupts, model.taken, model.stored,
                   model.means, model.silences);
    }
    printf("%u schedules on %d CPUs: every sample that was taken was stored once\n", seeds, CPUS);
    return 0;
}
