/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Works and delayed works for the scenarios of workqueues and of delayed works: each counts its runs, marks
 * its letter, and waits at its gate if it has one. They are static, so that what a failed scenario leaves
 * behind does no harm to memory.
 */
#ifndef CONFORMANCE_ITEMS_H
#define CONFORMANCE_ITEMS_H

#include "kit.h"

/* A delay that no scenario waits for. */
#define LONG_DELAY 100000ul

/* What happens in a run. */
struct item_run {
    struct kit_seen seen;
    struct kit_gate gate;
    bool is_gated;
    struct kit_marks *marks;
    char letter;
    unsigned long began; /* jiffies in the latest run */
};

static inline void item_run_init(struct item_run *run)
{
    kit_seen_init(&run->seen);
    kit_gate_init(&run->gate);
    run->is_gated = false;
    run->marks = NULL;
    run->letter = '?';
    run->began = 0;
}

/* The part of a run up to the gate. Returns the number of the run, from 1. */
static inline int item_run_begin(struct item_run *run)
{
    int number;

    run->began = jiffies;
    /* Marked first: who waits for the run to have begun goes on when it is counted. */
    if (run->marks)
        kit_mark(run->marks, run->letter);
    number = kit_enter(&run->seen);
    if (run->is_gated)
        kit_gate_sleep(&run->gate);
    return number;
}

struct test_work {
    struct work_struct work;
    struct item_run run;
    /* Called at the end of each run. */
    void (*then)(struct test_work *self, int number);
};

struct test_dwork {
    struct delayed_work dwork;
    struct item_run run;
    void (*then)(struct test_dwork *self, int number);
};

static inline void test_work_main(struct work_struct *work)
{
    struct test_work *self = container_of(work, struct test_work, work);
    int number = item_run_begin(&self->run);

    if (self->then)
        self->then(self, number);
    kit_leave(&self->run.seen);
}

static inline void test_dwork_main(struct work_struct *work)
{
    struct test_dwork *self = container_of(to_delayed_work(work), struct test_dwork, dwork);
    int number = item_run_begin(&self->run);

    if (self->then)
        self->then(self, number);
    kit_leave(&self->run.seen);
}

static inline void test_work_init(struct test_work *self)
{
    INIT_WORK(&self->work, test_work_main);
    item_run_init(&self->run);
    self->then = NULL;
}

/* A work that waits in each run until its gate is opened, which then stays open. */
static inline void test_work_init_gated(struct test_work *self)
{
    test_work_init(self);
    self->run.is_gated = true;
}

/* A work that marks its letter. */
static inline void test_work_init_marked(struct test_work *self, struct kit_marks *marks, char letter)
{
    test_work_init(self);
    self->run.marks = marks;
    self->run.letter = letter;
}

static inline void test_dwork_init(struct test_dwork *self)
{
    INIT_DELAYED_WORK(&self->dwork, test_dwork_main);
    item_run_init(&self->run);
    self->then = NULL;
}

static inline void test_dwork_init_gated(struct test_dwork *self)
{
    test_dwork_init(self);
    self->run.is_gated = true;
}

static inline void test_dwork_init_marked(struct test_dwork *self, struct kit_marks *marks, char letter)
{
    test_dwork_init(self);
    self->run.marks = marks;
    self->run.letter = letter;
}

#define item_begun(item) kit_begun(&(item)->run.seen)
#define item_ended(item) kit_ended(&(item)->run.seen)
#define item_most(item) kit_most(&(item)->run.seen)
/* How many runs are inside the function now. */
#define item_inside(item) atomic_read(&(item)->run.seen.inside)
#define item_cpu(item, number) kit_cpu_of(&(item)->run.seen, number)
#define item_release(item) kit_gate_open(&(item)->run.gate)
#define item_await_begun(item, number) kit_wait_until(item_begun(item) >= (number))
#define item_await_ended(item, number) kit_wait_until(item_ended(item) >= (number))

/* Threads that make one call that waits. */
static inline void thread_flush_workqueue(void *wq)
{
    flush_workqueue(wq);
}

static inline void thread_drain_workqueue(void *wq)
{
    drain_workqueue(wq);
}

static inline void thread_destroy_workqueue(void *wq)
{
    destroy_workqueue(wq);
}

/* The same for calls that return whether they did something. */
struct item_call {
    bool (*fn)(void *item);
    void *item;
    bool result;
};

static inline void thread_call(void *arg)
{
    struct item_call *call = arg;

    call->result = call->fn(call->item);
}

static inline bool call_flush_work(void *work)
{
    return flush_work(work);
}

static inline bool call_cancel_work_sync(void *work)
{
    return cancel_work_sync(work);
}

static inline bool call_flush_delayed_work(void *dwork)
{
    return flush_delayed_work(dwork);
}

static inline bool call_cancel_delayed_work_sync(void *dwork)
{
    return cancel_delayed_work_sync(dwork);
}

/* Whether the thread still waits after all that can happen has happened. */
static inline bool still_waits(struct kit_thread *thread)
{
    kit_settle();
    return !kit_thread_done(thread);
}

#endif
