/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Drives iosm_ipc_uevent.c: every event is an allocation with a work in it, which the work's function frees.
 */
#include <linux/device.h>
#include <linux/kobject.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "iosm_ipc_uevent.h"

#include "compat.h"
#include "drive.h"

#define SENDERS 4
#define EVENTS 20

static struct device modem;
static struct device other;

static long arrived[SENDERS][EVENTS];
static long strange;
static long wrong_irql;
static long more_than_one_string;
static long to_other;
static long cut;
static long refuse;

#define LONG_EVENT "0123456789012345678901234567890123456789012345678901234567890123456789"

#define PREFIX "IOSM_EVENT=event "

/* The event is "event " and a letter each for the sender and the number. */
static void count(const char *string)
{
    size_t prefix = sizeof(PREFIX) - 1;

    if (strlen(string) == prefix + 2 && strncmp(string, PREFIX, prefix) == 0) {
        unsigned int sender = (unsigned int)(string[prefix] - 'a');
        unsigned int number = (unsigned int)(string[prefix + 1] - 'a');

        if (sender < SENDERS && number < EVENTS) {
            drive_add(&arrived[sender][number], 1);
            return;
        }
    }
    if (strlen(string) == MAX_UEVENT_LEN - 1 && strncmp(string, "IOSM_EVENT=" LONG_EVENT, 63) == 0)
        drive_add(&cut, 1);
    else
        drive_add(&strange, 1);
}

/* What Linux hands to user space. */
int kobject_uevent_env(struct kobject *kobj, enum kobject_action action, char *envp[])
{
    if (drive_irql() != DRIVE_PASSIVE)
        drive_add(&wrong_irql, 1);
    if (envp[1] != NULL || action != KOBJ_CHANGE)
        drive_add(&more_than_one_string, 1);
    if (drive_choose(8) == 0)
        drive_sleep(1);
    if (kobj == &other.kobj)
        drive_add(&to_other, 1);
    else
        count(envp[0]);
    return drive_get(&refuse) ? -1 : 0;
}

/* Overwrites its string as soon as it is sent: the event has a copy. */
static void send(unsigned int sender, unsigned int number)
{
    char event[] = "event ..";

    event[6] = (char)('a' + sender);
    event[7] = (char)('a' + number);
    ipc_uevent_send(&modem, event);
    memset(event, 'x', sizeof(event) - 1);
}

static void sender(void *context)
{
    unsigned int me = (unsigned int)(uintptr_t)context;
    unsigned int i;

    for (i = 0; i < EVENTS; i++) {
        bool atomic = drive_choose(2) == 0;

        if (atomic)
            local_bh_disable();
        send(me, i);
        if (atomic)
            local_bh_enable();
        if (drive_choose(6) == 0)
            drive_sleep(1);
    }
}

/* The modem's driver sends from its tasklet. */
static unsigned int next_of_tasklet;

static void tasklet_sender(struct tasklet_struct *tasklet)
{
    send(SENDERS - 1, next_of_tasklet++);
    if (next_of_tasklet < EVENTS)
        tasklet_schedule(tasklet);
}

static void body(void)
{
    struct drive_thread *threads[SENDERS - 1];
    struct tasklet_struct tasklet;
    unsigned int i, number;
    long printed;

    for (i = 0; i < SENDERS - 1; i++)
        threads[i] = drive_spawn("sender", (int)i, sender, (void *)(uintptr_t)i);
    tasklet_setup(&tasklet, tasklet_sender);
    tasklet_schedule(&tasklet);
    for (i = 0; i < SENDERS - 1; i++)
        drive_join(threads[i]);
    DRIVE_WAIT(drive_get(&arrived[SENDERS - 1][EVENTS - 1]));
    tasklet_kill(&tasklet);
    flush_scheduled_work();
    for (i = 0; i < SENDERS; i++)
        for (number = 0; number < EVENTS; number++)
            EFFECT(drive_get(&arrived[i][number]) == 1, "each event arrives once, with its own string");
    EFFECT(drive_get(&strange) == 0 && drive_get(&more_than_one_string) == 0, "and nothing else does");
    EFFECT(drive_get(&wrong_irql) == 0, "at PASSIVE_LEVEL, wherever it is sent from");
    EFFECT(compat_allocations() == 0, "each work is freed in its own function");

    ipc_uevent_send(&other, "a");
    ipc_uevent_send(&modem, LONG_EVENT);
    flush_scheduled_work();
    EFFECT(drive_get(&to_other) == 1, "the event is the device's");
    EFFECT(drive_get(&cut) == 1, "a long event is cut to what the string holds");

    compat_fail_allocation(1);
    send(0, 0);
    flush_scheduled_work();
    EFFECT(drive_get(&arrived[0][0]) == 1, "without memory there is no event");

    printed = drive_printed("failed to sent");
    drive_set(&refuse, 1);
    send(0, 1);
    flush_scheduled_work();
    EFFECT(drive_printed("failed to sent") == printed + 1, "an event that is not taken is printed");
    EFFECT(compat_allocations() == 0, "and freed");
}

const struct drive_program drive_program = {
    .name = "iosm_uevent",
    .body = body,
    .allowed_reports = NULL,
};
