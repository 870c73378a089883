/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Drives edac/wq.c: pollers that queue themselves again by edac_queue_work() on one ordered queue, as those
 * of memory controllers do.
 */
#include <linux/completion.h>

#include "edac_module.h"

#include "drive.h"

#define POLLERS 3
#define ROUND 100ul

struct poller {
    struct delayed_work work;
    unsigned long period;
    struct drive_runs runs;
    /* jiffies when it was queued last. */
    unsigned long queued;
    long early;
    long wrong_irql;
};

static struct poller pollers[POLLERS];
/* Over all pollers: the queue is ordered. */
static struct drive_runs all;
static long torn_down;
static long ran_torn_down;

/* A run stays in the work function between these two. */
static struct completion inside;
static struct completion go_on;
static long hold;

static void poll(struct work_struct *work)
{
    struct poller *poller = container_of(to_delayed_work(work), struct poller, work);

    drive_enter(&poller->runs);
    drive_enter(&all);
    if (time_before(jiffies, poller->queued + poller->period))
        drive_add(&poller->early, 1);
    if (drive_irql() != DRIVE_PASSIVE)
        drive_add(&poller->wrong_irql, 1);
    if (drive_get(&torn_down))
        drive_add(&ran_torn_down, 1);
    if (drive_get(&hold)) {
        complete(&inside);
        wait_for_completion(&go_on);
    } else if (drive_choose(4) == 0) {
        drive_sleep(1);
    }
    drive_leave(&all);
    drive_leave(&poller->runs);
    poller->queued = jiffies;
    edac_queue_work(&poller->work, poller->period);
}

static long runs_of_all(void)
{
    return drive_get(&all.runs);
}

static void start(void)
{
    int i;

    for (i = 0; i < POLLERS; i++) {
        struct poller *poller = &pollers[i];

        INIT_DELAYED_WORK(&poller->work, poll);
        poller->period = 5 + 2 * i;
        poller->queued = jiffies;
        EFFECT(edac_queue_work(&poller->work, poller->period), "an idle poller is queued");
        EFFECT(!edac_queue_work(&poller->work, 1000), "a queued one is not queued twice");
    }
}

static void polls_with_its_period(void)
{
    long before[POLLERS];
    unsigned long began = jiffies;
    unsigned long took;
    int i;

    for (i = 0; i < POLLERS; i++)
        before[i] = drive_get(&pollers[i].runs.runs);
    drive_sleep(ROUND);
    took = jiffies - began + 1;
    for (i = 0; i < POLLERS; i++) {
        struct poller *poller = &pollers[i];
        unsigned long runs = drive_get(&poller->runs.runs) - before[i];

        EFFECT(drive_get(&poller->early) == 0, "never before its period is over");
        EFFECT(runs <= took / poller->period + 1, "a poller runs no more often than its period allows");
        EFFECT(runs >= (drive_is_live() ? 1 : ROUND / (poller->period + 6)), "and keeps on running");
        EFFECT(drive_get(&poller->wrong_irql) == 0, "at PASSIVE_LEVEL");
    }
    EFFECT(drive_get(&all.most) == 1, "one poller at a time");
}

/* A control that is written to sysfs: the next poll comes sooner than it was to. */
static void a_change_of_the_period_moves_the_poll(void)
{
    struct poller *poller = &pollers[0];
    long runs;

    edac_stop_work(&poller->work);
    poller->period = 1000000;
    poller->queued = jiffies;
    EFFECT(edac_queue_work(&poller->work, poller->period), "a stopped poller is queued again");
    runs = drive_get(&poller->runs.runs);
    drive_sleep(20);
    EFFECT(drive_get(&poller->runs.runs) == runs, "a far poll does not come yet");
    poller->period = 3;
    poller->queued = jiffies;
    EFFECT(edac_mod_work(&poller->work, poller->period), "a pending poll is moved");
    DRIVE_WAIT(drive_get(&poller->runs.runs) > runs);
    EFFECT(drive_get(&poller->runs.runs) > runs, "and comes at its new time");
    EFFECT(drive_get(&poller->early) == 0, "and not before it");
}

struct stopper {
    struct poller *poller;
    long stopped;
};

static void stop(void *context)
{
    struct stopper *stopper = (struct stopper *)context;

    edac_stop_work(&stopper->poller->work);
    EFFECT(drive_get(&stopper->poller->runs.inside) == 0, "edac_stop_work waits for the run");
    drive_set(&stopper->stopped, 1);
}

static void stop_waits_and_the_poller_stays_stopped(void)
{
    struct stopper stopper = {.poller = &pollers[0], .stopped = 0};
    struct drive_thread *thread;
    long runs;
    int i;

    for (i = 1; i < POLLERS; i++)
        edac_stop_work(&pollers[i].work);
    drive_set(&hold, 1);
    wait_for_completion(&inside);
    thread = drive_spawn("stopper", -1, stop, &stopper);
    drive_sleep(5);
    EFFECT(drive_get(&stopper.stopped) == 0, "edac_stop_work does not return while the poller runs");
    drive_set(&hold, 0);
    complete(&go_on);
    drive_join(thread);
    EFFECT(!delayed_work_pending(&pollers[0].work), "a poller that queues itself is stopped all the same");
    runs = runs_of_all();
    drive_sleep(30);
    EFFECT(runs_of_all() == runs, "nothing runs after edac_stop_work");
    EFFECT(!edac_stop_work(&pollers[0].work), "a stopped poller has nothing to cancel");
}

static void body(void)
{
    int round;
    int i;

    init_completion(&inside);
    init_completion(&go_on);
    for (round = 0; round < 2; round++) {
        long runs;

        EFFECT(edac_workqueue_setup() == 0, "the queue is there");
        drive_set(&torn_down, 0);
        start();
        polls_with_its_period();
        a_change_of_the_period_moves_the_poll();
        stop_waits_and_the_poller_stays_stopped();
        for (i = 0; i < POLLERS; i++)
            edac_stop_work(&pollers[i].work);
        edac_workqueue_teardown();
        drive_set(&torn_down, 1);
        runs = runs_of_all();
        drive_sleep(30);
        EFFECT(runs_of_all() == runs && drive_get(&ran_torn_down) == 0, "nothing runs after the teardown");
    }
}

const struct drive_program drive_program = {
    .name = "edac",
    .body = body,
    .allowed_reports = NULL,
};
