// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * Delayed works beyond the table, each call in each state: D450 (queue_delayed_work), D451 (queue_work on
 * the work within), D452 (mod_delayed_work), D453 (flush_work), D454 (flush_delayed_work), D455
 * (cancel_delayed_work), D456 (cancel_delayed_work_sync), D457 (delayed_work_pending and work_busy), D458
 * (queue_delayed_work with 0), D459 (mod_delayed_work with 0). An answer has a digit for each state. The
 * states are those of the facts: idle, armed, queued, running, running and armed, running and queued. For
 * 6.10 and later row D27, and D460 (disable_delayed_work), D461 (disable_delayed_work_sync), D462 (all calls
 * while it is disabled), D463 (in hard interrupts), D464 (enable_and_queue_work).
 */
#include "items.h"

enum state { IDLE, ARMED, QUEUED, RUNNING, RUNNING_ARMED, RUNNING_QUEUED, STATES };

static struct test_dwork a;
static struct test_work blocker;
static struct workqueue_struct *wq, *blocked;

/* Brings `a` into a state. What runs waits at its gate, what is queued is behind `blocker`. */
static void bring_to(enum state state)
{
    test_dwork_init(&a);
    test_work_init_gated(&blocker);
    a.run.is_gated = state >= RUNNING;
    if (state >= RUNNING) {
        queue_delayed_work(wq, &a.dwork, 0);
        item_await_begun(&a, 1);
    }
    if (state == ARMED || state == RUNNING_ARMED)
        queue_delayed_work(wq, &a.dwork, LONG_DELAY);
    if (state == RUNNING_QUEUED)
        queue_delayed_work(wq, &a.dwork, 0);
    if (state == QUEUED) {
        queue_work(blocked, &blocker.work);
        item_await_begun(&blocker, 1);
        queue_delayed_work(blocked, &a.dwork, 0);
    }
}

static void let_go(void)
{
    item_release(&a);
    item_release(&blocker);
}

/* The same for a call that may wait: as soon as it does. */
static void let_go_of(struct kit_thread *thread)
{
    still_waits(thread);
    let_go();
    kit_join(thread);
}

/* Answers what `call` returns in each state and how often the work runs; a timer is cancelled at the end. */
static void answer_each(bool (*call)(void *dwork), bool may_wait)
{
    static char returns[STATES + 1], runs[STATES + 1];
    struct item_call in_thread = {call, &a.dwork, false};
    int state;

    memset(returns, 0, sizeof(returns));
    memset(runs, 0, sizeof(runs));
    wq = alloc_workqueue("states", 0, 0);
    blocked = alloc_ordered_workqueue("states/blocked", 0);
    for (state = IDLE; state < STATES && !kit_is_hung(); state++) {
        bring_to(state);
        if (may_wait) {
            let_go_of(kit_thread_on(3, thread_call, &in_thread));
        } else {
            in_thread.result = call(&a.dwork);
            let_go();
        }
        flush_workqueue(wq);
        flush_workqueue(blocked);
        cancel_delayed_work_sync(&a.dwork);
        returns[state] = in_thread.result ? '1' : '0';
        runs[state] = (char)('0' + item_ended(&a));
    }
    answer_text("returns", returns);
    answer_text("runs", runs);
    destroy_workqueue(blocked);
    destroy_workqueue(wq);
}

static bool queue_long(void *dwork)
{
    return queue_delayed_work(wq, dwork, LONG_DELAY);
}

static bool queue_zero(void *dwork)
{
    return queue_delayed_work(wq, dwork, 0);
}

static bool queue_plain(void *dwork)
{
    struct delayed_work *self = dwork;

    return queue_work(wq, &self->work);
}

static bool mod_long(void *dwork)
{
    return mod_delayed_work(wq, dwork, LONG_DELAY);
}

static bool mod_zero(void *dwork)
{
    return mod_delayed_work(wq, dwork, 0);
}

static bool flush_plain(void *dwork)
{
    struct delayed_work *self = dwork;

    return flush_work(&self->work);
}

/* What flush_delayed_work returns of an armed work is a matter of speed; that it has run is not. */
static bool flush_delayed_has_run(void *dwork)
{
    struct delayed_work *self = dwork;
    int pending = delayed_work_pending(self), begun = item_begun(&a);

    flush_delayed_work(self);
    return item_ended(&a) == begun + pending && !delayed_work_pending(self);
}

static bool cancel(void *dwork)
{
    return cancel_delayed_work(dwork);
}

SCENARIO(D450)
{
    answer_each(queue_long, false);
}

SCENARIO(D451)
{
    answer_each(queue_plain, false);
}

SCENARIO(D452)
{
    answer_each(mod_long, false);
}

SCENARIO(D453)
{
    answer_each(flush_plain, true);
}

SCENARIO(D454)
{
    answer_each(flush_delayed_has_run, true);
}

SCENARIO(D455)
{
    answer_each(cancel, false);
}

SCENARIO(D456)
{
    answer_each(call_cancel_delayed_work_sync, true);
}

SCENARIO(D457)
{
    static char pending[STATES + 1], busy[STATES + 1];
    int state;

    memset(pending, 0, sizeof(pending));
    memset(busy, 0, sizeof(busy));
    wq = alloc_workqueue("states", 0, 0);
    blocked = alloc_ordered_workqueue("states/blocked", 0);
    for (state = IDLE; state < STATES && !kit_is_hung(); state++) {
        bring_to(state);
        pending[state] = delayed_work_pending(&a.dwork) ? '1' : '0';
        busy[state] = (char)('0' + work_busy(&a.dwork.work));
        cancel_delayed_work(&a.dwork);
        let_go();
        flush_workqueue(wq);
        flush_workqueue(blocked);
    }
    answer_text("pending", pending);
    answer_text("busy", busy);
    destroy_workqueue(blocked);
    destroy_workqueue(wq);
}

SCENARIO(D458)
{
    answer_each(queue_zero, false);
}

SCENARIO(D459)
{
    answer_each(mod_zero, false);
}

#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 10, 0)
static bool disable(void *dwork)
{
    return disable_delayed_work(dwork);
}

static bool disable_sync(void *dwork)
{
    return disable_delayed_work_sync(dwork);
}

SCENARIO(D27)
{
    wq = alloc_workqueue("d27", 0, 0);
    test_dwork_init(&a);
    queue_delayed_work(wq, &a.dwork, LONG_DELAY);
    answer("disable", disable_delayed_work(&a.dwork));
    answer("queue", queue_delayed_work(wq, &a.dwork, 1));
    answer("mod", mod_delayed_work(wq, &a.dwork, 1));
    answer("enable", enable_delayed_work(&a.dwork));
    kit_settle();
    answer("runs", item_begun(&a));
    answer("pending", delayed_work_pending(&a.dwork));
    destroy_workqueue(wq);
}

SCENARIO(D460)
{
    answer_each(disable, false);
}

SCENARIO(D461)
{
    answer_each(disable_sync, true);
}

SCENARIO(D462)
{
    wq = alloc_workqueue("d62", 0, 0);
    test_dwork_init(&a);
    answer("disable", disable_delayed_work(&a.dwork) | disable_delayed_work_sync(&a.dwork) << 1);
    answer("queue", queue_delayed_work(wq, &a.dwork, 0) | queue_delayed_work(wq, &a.dwork, 1) << 1);
    answer("queue_work", queue_work(wq, &a.dwork.work));
    answer("mod", mod_delayed_work(wq, &a.dwork, 0) | mod_delayed_work(wq, &a.dwork, 1) << 1);
    answer("schedule", schedule_delayed_work(&a.dwork, 1) | schedule_delayed_work_on(1, &a.dwork, 0) << 1);
    answer("cancel", cancel_delayed_work(&a.dwork) | cancel_delayed_work_sync(&a.dwork) << 1);
    answer("flush", flush_delayed_work(&a.dwork) | flush_work(&a.dwork.work) << 1);
    answer("pending", delayed_work_pending(&a.dwork));
    answer("busy", work_busy(&a.dwork.work));
    answer("enable", enable_delayed_work(&a.dwork));
    answer("still", queue_delayed_work(wq, &a.dwork, 0));
    answer("enable_last", enable_delayed_work(&a.dwork));
    kit_settle();
    answer("runs_before", item_begun(&a));
    answer("queue_now", queue_delayed_work(wq, &a.dwork, 1));
    item_await_ended(&a, 1);
    destroy_workqueue(wq);
}

static int handler_result;

static void disable_in_handler(void *unused)
{
    handler_result = disable_delayed_work(&a.dwork);
}

static void enable_in_handler(void *unused)
{
    handler_result = enable_delayed_work(&a.dwork);
}

static int refused_inside;

static void queue_inside(struct test_dwork *self, int number)
{
    refused_inside = queue_delayed_work(wq, &self->dwork, 0) | mod_delayed_work(wq, &self->dwork, 1) << 1;
}

SCENARIO(D463)
{
    wq = alloc_workqueue("d63", 0, 0);
    test_dwork_init(&a);
    queue_delayed_work(wq, &a.dwork, LONG_DELAY);
    kit_hardirq_on(1, disable_in_handler, NULL);
    answer("disable", handler_result);
    answer("queue", queue_delayed_work(wq, &a.dwork, 1));
    kit_hardirq_on(2, enable_in_handler, NULL);
    answer("enable", handler_result);
    test_dwork_init_gated(&a);
    a.then = queue_inside;
    queue_delayed_work(wq, &a.dwork, 0);
    item_await_begun(&a, 1);
    kit_hardirq_on(1, disable_in_handler, NULL);
    answer("running", handler_result);
    item_release(&a);
    flush_workqueue(wq);
    answer("inside", refused_inside);
    kit_settle();
    answer("runs", item_begun(&a));
    answer("enable_again", enable_delayed_work(&a.dwork));
    destroy_workqueue(wq);
}

SCENARIO(D464)
{
    wq = alloc_workqueue("d64", 0, 0);
    test_dwork_init(&a);
    queue_delayed_work(wq, &a.dwork, LONG_DELAY);
    answer("disable", disable_delayed_work_sync(&a.dwork));
    answer("disable_again", disable_delayed_work(&a.dwork));
    answer("and_queue", enable_and_queue_work(wq, &a.dwork.work));
    answer("runs_before", item_begun(&a));
    answer("and_queue_last", enable_and_queue_work(wq, &a.dwork.work));
    flush_workqueue(wq);
    answer("runs", item_ended(&a));
    destroy_workqueue(wq);
}

#define ROWS_OF_6_10 , KIT_ROW(D27), KIT_ROW(D460), KIT_ROW(D461), KIT_ROW(D462), KIT_ROW(D463), KIT_ROW(D464)
#else
#define ROWS_OF_6_10
#endif

KIT_GROUP(delayed_states, "delayed", KIT_ROW(D450), KIT_ROW(D451), KIT_ROW(D452), KIT_ROW(D453),
          KIT_ROW(D454), KIT_ROW(D455), KIT_ROW(D456), KIT_ROW(D457), KIT_ROW(D458), KIT_ROW(D459)
          ROWS_OF_6_10);
