/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * What the scenarios of works share: a work that counts its runs, stands at gates and queues itself again;
 * and threads that make a call which may have to wait.
 */
#ifndef CONFORMANCE_WORKS_H
#define CONFORMANCE_WORKS_H

#include "kit.h"

/* How often each thread of a race calls. A build for many runs in a row may set it lower. */
#ifndef CONFORMANCE_CALLS
#define CONFORMANCE_CALLS 10000
#endif

#define ITEM_GATES 3

/* Bit 0 of a set of runs is the first run. */
#define RUN(number) (1u << ((number) - 1))

struct item {
    struct work_struct work;
    struct kit_seen seen;
    /*
     * These runs stand at the gate of their number, and these queue the work on `again`, first or last of
     * all.
     */
    unsigned int gated;
    unsigned int requeues_first;
    unsigned int requeues_last;
    struct kit_gate gates[ITEM_GATES];
    struct workqueue_struct *again;
    /* What the latest of these queueings returned. */
    int requeued;
    /* Where each run writes its letter when it begins, if anywhere. */
    struct kit_marks *marks;
    char letter;
};

static inline void item_run(struct work_struct *work)
{
    struct item *item = container_of(work, struct item, work);
    int run = kit_enter(&item->seen);
    unsigned int bit = run <= 32 ? RUN(run) : 0;

    if (item->marks)
        kit_mark(item->marks, item->letter);
    if (item->requeues_first & bit)
        item->requeued = queue_work(item->again, work);
    if (item->gated & bit)
        kit_gate_sleep(&item->gates[run - 1]);
    if (item->requeues_last & bit)
        item->requeued = queue_work(item->again, work);
    kit_leave(&item->seen);
}

/* The runs of the set `gated`, of the first ITEM_GATES, stand at their gates. */
static inline void item_init(struct item *item, unsigned int gated)
{
    int i;

    memset(item, 0, sizeof(*item));
    kit_seen_init(&item->seen);
    for (i = 0; i < ITEM_GATES; i++)
        kit_gate_init(&item->gates[i]);
    item->gated = gated;
    INIT_WORK(&item->work, item_run);
}

/* Sleeps until run `number` stands at its gate. */
static inline void item_await(struct item *item, int number)
{
    kit_gate_await(&item->gates[number - 1], 1);
}

static inline void item_open(struct item *item, int number)
{
    kit_gate_open(&item->gates[number - 1]);
}

/* Initialises the work and queues it on a CPU; its first run stands at its gate when this returns. */
static inline void item_hold(struct item *item, int cpu, struct workqueue_struct *wq)
{
    item_init(item, RUN(1));
    queue_work_on(cpu, wq, &item->work);
    item_await(item, 1);
}

static inline void item_wait(struct item *item, int runs)
{
    kit_wait_until(kit_ended(&item->seen) >= runs);
}

/* Whether that many runs begin within two seconds. */
static inline bool item_begins(struct item *item, int runs)
{
    int i;

    for (i = 0; i < 200 && kit_begun(&item->seen) < runs; i++)
        msleep(10);
    return kit_begun(&item->seen) >= runs;
}

/* A thread that makes one call for an item. */
struct caller {
    bool (*call)(struct work_struct *work);
    struct item *item;
    struct kit_thread *thread;
    atomic_t called;
    /* What it returned, and how many runs had ended then. */
    int answer;
    int ended;
};

static inline void caller_main(void *arg)
{
    struct caller *caller = arg;

    atomic_set(&caller->called, 1);
    caller->answer = caller->call(&caller->item->work);
    caller->ended = kit_ended(&caller->item->seen);
}

/* When this returns, the call has returned or waits. */
static inline void caller_start(struct caller *caller, int cpu, bool (*call)(struct work_struct *),
                                struct item *item)
{
    caller->call = call;
    caller->item = item;
    caller->answer = -1;
    caller->ended = -1;
    atomic_set(&caller->called, 0);
    caller->thread = kit_thread_on(cpu, caller_main, caller);
    kit_wait_until(atomic_read(&caller->called));
    kit_settle();
}

static inline bool caller_waits(struct caller *caller)
{
    return !kit_thread_done(caller->thread);
}

/* The call returns while the scenario does nothing more about it. */
static inline int caller_join(struct caller *caller)
{
    kit_join(caller->thread);
    return caller->answer;
}

#endif
