/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Drives input-poller.c: a device without interrupts is polled by a delayed work on the freezable queue, with
 * an interval that user space sets.
 */
#include <linux/completion.h>
#include <linux/input.h>
#include <linux/slab.h>

#include "input-poller.h"

#include "drive.h"

static struct input_dev input;
static struct drive_runs polls;
static long early;
static unsigned long polled, interval;
static long wrong_irql;
static long is_open = 1;
static struct completion inside;
static struct completion go_on;
static long hold;

static void poll(struct input_dev *dev)
{
    EFFECT(dev == &input, "the device is polled");
    if (drive_get(&polls.runs) > 0 && time_before(jiffies, polled + interval))
        drive_add(&early, 1);
    if (drive_irql() != DRIVE_PASSIVE)
        drive_add(&wrong_irql, 1);
    polled = jiffies;
    drive_enter(&polls);
    if (drive_get(&hold)) {
        complete(&inside);
        wait_for_completion(&go_on);
    }
    drive_leave(&polls);
}

bool input_device_enabled(struct input_dev *dev)
{
    return dev == &input && drive_get(&is_open);
}

int kstrtouint(const char *text, unsigned int base, unsigned int *result)
{
    *result = 0;
    if (base != 0 || *text < '0' || *text > '9')
        return -EINVAL;
    while (*text >= '0' && *text <= '9')
        *result = *result * 10 + (unsigned int)(*text++ - '0');
    return 0;
}

/* The file of user space with this number in the group. */
static struct device_attribute *file(int index)
{
    return container_of(input_poller_attribute_group.attrs[index], struct device_attribute, attr);
}

static ssize_t write_interval(const char *text)
{
    return file(0)->store(&input.dev, file(0), text, 3);
}

static void polls_with_its_interval(unsigned int milliseconds)
{
    long runs = drive_get(&polls.runs);
    unsigned long began = jiffies;
    int i;

    for (i = 1; i <= 5; i++) {
        DRIVE_WAIT(drive_get(&polls.runs) >= runs + i);
        EFFECT(drive_get(&polls.runs) >= runs + i, "it is polled again and again");
    }
    EFFECT(jiffies - began >= 4 * msecs_to_jiffies(milliseconds), "with its interval");
    EFFECT(drive_get(&early) == 0, "never before it is over");
}

static void the_interval_is_user_spaces(void)
{
    char text[16];

    EFFECT(write_interval("1") == -EINVAL, "an interval that is too short is refused");
    interval = msecs_to_jiffies(20);
    EFFECT(write_interval("20 ") == 3, "another interval is taken");
    EFFECT(file(0)->show(&input.dev, file(0), text) == 3 && text[0] == '2', "and shown");
    polls_with_its_interval(20);
    interval = msecs_to_jiffies(2000);
    EFFECT(write_interval("2000") == 3 && input_get_poll_interval(&input) == 2000, "a long one is taken");
    EFFECT(drive_get(&polls.inside) == 0, "when the poll that was under way is over");
    DRIVE_WAIT(drive_get(&early) != 0 || time_after(jiffies, polled + interval - HZ / 2));
    EFFECT(drive_get(&early) == 0, "and holds at once");
    interval = msecs_to_jiffies(40);
    write_interval("40 ");
}

static void stands_still_while_it_is_frozen(void)
{
    long runs;

    drive_freeze();
    runs = drive_get(&polls.runs);
    drive_sleep(HZ);
    EFFECT(drive_get(&polls.runs) == runs, "it stands still while the machine is frozen");
    drive_thaw();
    DRIVE_WAIT(drive_get(&polls.runs) > runs);
    EFFECT(drive_get(&polls.runs) > runs, "and goes on afterwards");
}

static long stopped;

static void stop(void *context)
{
    (void)context;
    input_dev_poller_stop(input.poller);
    EFFECT(drive_get(&polls.inside) == 0, "the stop waits for a poll");
    drive_set(&stopped, 1);
}

static void stops_while_it_polls(void)
{
    struct drive_thread *thread;
    long runs;

    drive_set(&hold, 1);
    wait_for_completion(&inside);
    thread = drive_spawn("stop", -1, stop, NULL);
    drive_sleep(5);
    EFFECT(drive_get(&stopped) == 0, "the stop does not return while a poll is under way");
    drive_set(&hold, 0);
    complete(&go_on);
    drive_join(thread);
    runs = drive_get(&polls.runs);
    drive_sleep(HZ / 2);
    EFFECT(drive_get(&polls.runs) == runs, "nothing is polled after the stop");
}

static void body(void)
{
    init_completion(&inside);
    init_completion(&go_on);
    mutex_init(&input.mutex);
    EFFECT(input_get_poll_interval(&input) == -EINVAL, "a device is not polled at first");
    EFFECT(input_setup_polling(&input, poll) == 0, "it has a poller");
    input_set_poll_interval(&input, 10);
    input_set_min_poll_interval(&input, 5);
    input_set_max_poll_interval(&input, 2000);
    input_dev_poller_finalize(input.poller);
    interval = msecs_to_jiffies(10);
    input_dev_poller_start(input.poller);
    EFFECT(drive_get(&polls.runs) == 1, "the start polls at once");
    polls_with_its_interval(10);
    the_interval_is_user_spaces();
    stands_still_while_it_is_frozen();
    stops_while_it_polls();
    EFFECT(drive_get(&wrong_irql) == 0 && drive_get(&polls.most) == 1, "at PASSIVE_LEVEL, one at a time");
    kfree(input.poller);
}

const struct drive_program drive_program = {
    .name = "input_poller",
    .body = body,
    .allowed_reports = NULL,
};
