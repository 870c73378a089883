/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Drives rxe_task.c: a task, which is a tasklet and a state, is run directly and by its tasklet from several
 * CPUs, disabled and enabled, and cleaned up while it schedules itself.
 */
#include <linux/errno.h>

#include "rxe.h"

#include "drive.h"

#define LOADERS 4
#define ROUNDS 10
#define REQUESTS 6

/* What a queue pair has: requests, and a task that takes one with each call of its function. */
struct pair {
    struct rxe_task task;
    long added;
    long handled;
    struct drive_runs runs;
    long from_tasklet;
    long wrong_irql;
    /* The function finds work for ever. */
    long endless;
};

static struct pair pair;

/* A second tasklet, which wants the CPU as well. */
static struct tasklet_struct neighbour;
static long neighbour_at;

static void neighbour_fn(struct tasklet_struct *tasklet)
{
    (void)tasklet;
    drive_set(&neighbour_at, drive_get(&pair.handled));
}

/* Returns 0 while there is more to do, as the function of a task does. */
static int handle(void *arg)
{
    struct pair *pair = (struct pair *)arg;
    int ret = -EAGAIN;

    drive_enter(&pair->runs);
    if (in_serving_softirq()) {
        drive_add(&pair->from_tasklet, 1);
        if (drive_irql() != DRIVE_DISPATCH)
            drive_add(&pair->wrong_irql, 1);
    }
    if (drive_get(&pair->endless) || drive_get(&pair->handled) < drive_get(&pair->added)) {
        drive_add(&pair->handled, 1);
        ret = 0;
    } else if (drive_choose(2) == 0) {
        /* Who has a request now finds the task busy, though it has found nothing. */
        drive_burn(drive_choose(40));
    }
    drive_leave(&pair->runs);
    return ret;
}

static void kick_scheduled(void *context)
{
    drive_add(&pair.added, 1);
    rxe_sched_task((struct rxe_task *)context);
}

static void loader(void *context)
{
    int cpu = (int)(uintptr_t)context;
    int i;

    for (i = 0; i < REQUESTS; i++) {
        switch (drive_choose(4)) {
        case 0:
            drive_add(&pair.added, 1);
            rxe_run_task(&pair.task);
            break;
        case 1:
            drive_interrupt(cpu, kick_scheduled, &pair.task);
            break;
        case 2:
            local_bh_disable();
            kick_scheduled(&pair.task);
            local_bh_enable();
            break;
        default:
            kick_scheduled(&pair.task);
        }
        if (drive_choose(8) == 0)
            drive_sleep(1);
    }
}

/* Switches the tasklet off and on while the others use it. */
static void switcher(void *context)
{
    int i;

    (void)context;
    for (i = 0; i < 2; i++) {
        long before;

        rxe_disable_task(&pair.task);
        before = drive_get(&pair.from_tasklet);
        drive_sleep(1);
        EFFECT(drive_get(&pair.from_tasklet) == before, "a disabled task does not run in its tasklet");
        rxe_enable_task(&pair.task);
        drive_sleep(1);
    }
}

static void handles_every_request(void)
{
    struct drive_thread *threads[LOADERS + 1];
    int round, i;

    for (round = 1; round <= ROUNDS; round++) {
        for (i = 0; i < LOADERS; i++)
            threads[i] = drive_spawn("loader", i, loader, (void *)(uintptr_t)i);
        threads[LOADERS] = drive_spawn("switcher", -1, switcher, NULL);
        for (i = 0; i < LOADERS + 1; i++)
            drive_join(threads[i]);
        drive_settle();
        EFFECT(drive_get(&pair.added) == round * LOADERS * REQUESTS, "every request is added");
        EFFECT(drive_get(&pair.handled) == drive_get(&pair.added),
               "no request is forgotten, none handled twice");
        EFFECT(pair.task.state == TASK_STATE_START, "an idle task is in its first state");
    }
    EFFECT(drive_get(&pair.runs.most) == 1, "the function never overlaps itself");
    EFFECT(drive_get(&pair.from_tasklet) > 0, "the tasklet has run it");
    EFFECT(drive_get(&pair.wrong_irql) == 0, "at DISPATCH_LEVEL");
}

static void waits_while_it_is_disabled(void)
{
    long handled = drive_get(&pair.handled);

    rxe_disable_task(&pair.task);
    kick_scheduled(&pair.task);
    kick_scheduled(&pair.task);
    drive_sleep(3);
    EFFECT(drive_get(&pair.handled) == handled, "what is scheduled while it is disabled waits");
    EFFECT(__rxe_do_task(&pair.task) == -EAGAIN, "the raw call goes on until there is nothing");
    EFFECT(drive_get(&pair.handled) == handled + 2, "and works while the task is disabled");
    drive_add(&pair.added, 1);
    rxe_enable_task(&pair.task);
    drive_settle();
    EFFECT(drive_get(&pair.handled) == handled + 3, "what waited runs when it is enabled");
    EFFECT(pair.task.ret == -EAGAIN, "and the task knows how it ended");
}

static void schedule_both(void *context)
{
    (void)context;
    rxe_sched_task(&pair.task);
    tasklet_schedule(&neighbour);
}

static void leaves_the_cpu_to_others(void)
{
    long handled = drive_get(&pair.handled);

    tasklet_setup(&neighbour, neighbour_fn);
    drive_set(&neighbour_at, 0);
    drive_add(&pair.added, 20 * RXE_MAX_ITERATIONS);
    drive_interrupt(1, schedule_both, NULL);
    drive_settle();
    EFFECT(drive_get(&pair.handled) == handled + 20 * RXE_MAX_ITERATIONS, "a task that gives way goes on");
    EFFECT(drive_get(&neighbour_at) >= handled &&
               drive_get(&neighbour_at) <= handled + 2 * RXE_MAX_ITERATIONS,
           "a tasklet behind it has its turn after one round");
    tasklet_kill(&neighbour);
}

static void is_stopped_while_it_schedules_itself(void)
{
    long runs;

    drive_set(&pair.endless, 1);
    rxe_sched_task(&pair.task);
    DRIVE_WAIT(drive_get(&pair.handled) > drive_get(&pair.added) + 10);
    EFFECT(drive_get(&pair.handled) > drive_get(&pair.added) + 10, "an endless task runs");
    rxe_cleanup_task(&pair.task);
    runs = drive_get(&pair.runs.runs);
    rxe_sched_task(&pair.task);
    rxe_run_task(&pair.task);
    drive_sleep(5);
    EFFECT(drive_get(&pair.runs.runs) == runs, "nothing runs after rxe_cleanup_task");
    EFFECT(pair.task.state == TASK_STATE_START, "and it is idle");
}

static void body(void)
{
    EFFECT(rxe_init_task(&pair.task, &pair, handle) == 0, "a task is made");
    handles_every_request();
    waits_while_it_is_disabled();
    leaves_the_cpu_to_others();
    is_stopped_while_it_schedules_itself();
}

const struct drive_program drive_program = {
    .name = "rxe",
    .body = body,
    .allowed_reports = NULL,
};
