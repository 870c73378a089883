/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Drives usbip_event.c: events of several devices, added by threads and interrupts, reach the operations of
 * their device on a queue of one thread.
 */
#include <linux/completion.h>
#include <linux/slab.h>

#include "usbip_common.h"

#include "compat.h"
#include "drive.h"

#define DEVICES 3
#define EVENTS 30

enum operation { SHUTDOWN, RESET, UNUSABLE, OPERATIONS };

struct fixture {
    struct usbip_device ud;
    long done[OPERATIONS];
    long added[OPERATIONS];
};

static struct fixture devices[DEVICES];
static struct drive_runs runs;
static long wrong_irql;
static long not_in_eh;
static struct completion inside;
static struct completion go_on;
static long hold;
static long linger;

static void operate(struct usbip_device *ud, enum operation operation)
{
    struct fixture *fixture = container_of(ud, struct fixture, ud);

    drive_enter(&runs);
    drive_add(&fixture->done[operation], 1);
    if (drive_irql() != DRIVE_PASSIVE)
        drive_add(&wrong_irql, 1);
    if (!usbip_in_eh(current))
        drive_add(&not_in_eh, 1);
    if (drive_get(&hold)) {
        complete(&inside);
        wait_for_completion(&go_on);
    } else if (drive_get(&linger)) {
        drive_sleep(5);
    } else if (drive_choose(6) == 0) {
        drive_sleep(1);
    }
    drive_leave(&runs);
}

static void device_shutdown(struct usbip_device *ud)
{
    operate(ud, SHUTDOWN);
}

static void device_reset(struct usbip_device *ud)
{
    operate(ud, RESET);
}

static void device_unusable(struct usbip_device *ud)
{
    operate(ud, UNUSABLE);
}

static void make(struct fixture *fixture)
{
    static const struct eh_ops ops = {device_shutdown, device_reset, device_unusable};

    spin_lock_init(&fixture->ud.lock);
    mutex_init(&fixture->ud.sysfs_lock);
    fixture->ud.eh_ops = ops;
    EFFECT(usbip_start_eh(&fixture->ud) == 0, "a device takes part");
    EFFECT(!usbip_event_happened(&fixture->ud), "and has no event at first");
}

static void the_first_event_finds_its_thread(void)
{
    struct fixture *fixture = &devices[0];

    usbip_event_add(&fixture->ud, USBIP_EH_SHUTDOWN);
    usbip_stop_eh(&fixture->ud);
    EFFECT(drive_get(&fixture->done[SHUTDOWN]) == 1, "an event reaches its operation");
    EFFECT(drive_get(&not_in_eh) == 0, "whose thread knows itself as the handler's");
    EFFECT(!usbip_in_eh(current), "and no other thread does");
}

static void one_after_the_other(void)
{
    struct fixture *fixture = &devices[1];
    int i;

    for (i = 0; i < 10; i++) {
        usbip_event_add(&fixture->ud, USBIP_EH_SHUTDOWN | USBIP_EH_RESET);
        usbip_stop_eh(&fixture->ud);
        EFFECT(!usbip_event_happened(&fixture->ud), "usbip_stop_eh returns when the events are handled");
        EFFECT(drive_get(&fixture->done[SHUTDOWN]) == i + 1 && drive_get(&fixture->done[RESET]) == i + 1,
               "each event is handled once");
    }
    EFFECT(drive_get(&fixture->done[UNUSABLE]) == 0, "what did not happen is not handled");
}

static void events_of_a_waiting_device_are_one(void)
{
    struct fixture *fixture = &devices[2];
    long done = drive_get(&devices[1].done[RESET]);
    int i;

    drive_set(&hold, 1);
    usbip_event_add(&devices[1].ud, USBIP_EH_RESET);
    wait_for_completion(&inside);
    drive_set(&hold, 0);
    for (i = 0; i < 5; i++)
        usbip_event_add(&fixture->ud, USBIP_EH_RESET);
    EFFECT(compat_allocations() == 1, "a device waits in the list once");
    EFFECT(usbip_event_happened(&fixture->ud), "its event is known");
    drive_sleep(5);
    EFFECT(drive_get(&fixture->done[RESET]) == 0, "and waits while another is handled");
    complete(&go_on);
    usbip_stop_eh(&fixture->ud);
    EFFECT(drive_get(&fixture->done[RESET]) == 1, "five events in the list are one");
    EFFECT(drive_get(&devices[1].done[RESET]) == done + 1, "of the other one as well");
}

struct addition {
    struct fixture *fixture;
    enum operation operation;
};

static void add(void *context)
{
    static const unsigned long events[OPERATIONS] = {USBIP_EH_SHUTDOWN, USBIP_EH_RESET, USBIP_EH_UNUSABLE};
    struct addition *addition = (struct addition *)context;

    drive_add(&addition->fixture->added[addition->operation], 1);
    usbip_event_add(&addition->fixture->ud, events[addition->operation]);
}

static void adder(void *context)
{
    int cpu = (int)(uintptr_t)context;
    int i;

    for (i = 0; i < EVENTS; i++) {
        struct addition addition = {&devices[drive_choose(DEVICES)],
                                    (enum operation)drive_choose(OPERATIONS)};

        if (drive_choose(2) == 0)
            drive_interrupt(cpu, add, &addition);
        else
            add(&addition);
        if (drive_choose(4) == 0)
            drive_sleep(1);
    }
}

static void under_load(void)
{
    struct drive_thread *threads[3];
    long before[DEVICES][OPERATIONS];
    int i, j;

    for (i = 0; i < DEVICES; i++)
        for (j = 0; j < OPERATIONS; j++)
            before[i][j] = drive_get(&devices[i].done[j]);
    for (i = 0; i < 3; i++)
        threads[i] = drive_spawn("adder", i, adder, (void *)(uintptr_t)i);
    for (i = 0; i < 3; i++)
        drive_join(threads[i]);
    for (i = 0; i < DEVICES; i++) {
        usbip_stop_eh(&devices[i].ud);
        for (j = 0; j < OPERATIONS; j++) {
            long added = drive_get(&devices[i].added[j]);
            long done = drive_get(&devices[i].done[j]) - before[i][j];

            EFFECT((added == 0) == (done == 0), "what is added is handled, and nothing else");
            EFFECT(done <= added, "no event is handled twice");
        }
    }
    EFFECT(drive_get(&runs.most) == 1, "one at a time, over all devices");
    EFFECT(drive_get(&wrong_irql) == 0, "at PASSIVE_LEVEL, though interrupts add events");
}

static void after_the_end_of_a_device(void)
{
    struct fixture *fixture = &devices[0];
    long done = drive_get(&fixture->done[SHUTDOWN]);

    usbip_event_add(&fixture->ud, USBIP_EH_SHUTDOWN | USBIP_EH_BYE);
    usbip_stop_eh(&fixture->ud);
    EFFECT(drive_get(&fixture->done[SHUTDOWN]) == done + 1, "the last event is handled");
    usbip_event_add(&fixture->ud, USBIP_EH_RESET);
    drive_sleep(3);
    EFFECT(fixture->ud.event == USBIP_EH_BYE, "and none is taken after it");
}

/* The second device's event is behind the first one's, whose operation takes a while. */
static void the_end_waits(void)
{
    long first = drive_get(&devices[1].done[SHUTDOWN]);
    long second = drive_get(&devices[2].done[SHUTDOWN]);

    drive_set(&linger, 1);
    usbip_event_add(&devices[1].ud, USBIP_EH_SHUTDOWN);
    usbip_event_add(&devices[2].ud, USBIP_EH_SHUTDOWN);
    usbip_finish_eh();
    EFFECT(drive_get(&devices[1].done[SHUTDOWN]) == first + 1 &&
               drive_get(&devices[2].done[SHUTDOWN]) == second + 1,
           "the end handles what is pending");
}

static void body(void)
{
    int i;

    init_completion(&inside);
    init_completion(&go_on);
    EFFECT(usbip_init_eh() == 0, "the queue is there");
    for (i = 0; i < DEVICES; i++)
        make(&devices[i]);
    the_first_event_finds_its_thread();
    one_after_the_other();
    events_of_a_waiting_device_are_one();
    under_load();
    after_the_end_of_a_device();
    the_end_waits();
    EFFECT(compat_allocations() == 0, "and nothing is left");
}

const struct drive_program drive_program = {
    .name = "usbip",
    .body = body,
    .allowed_reports = NULL,
};
