// SPDX-License-Identifier: MIT OR Apache-2.0
/* Delayed works, rows D11 to D16, D23 to D25, D28 and D29: cancel and flush, from threads and interrupts. */
#include "items.h"

static struct test_dwork a;
static struct test_work blocker;
static struct workqueue_struct *the_queue;

/* An ordered queue that stands still until the gate of `blocker` is opened. */
static struct workqueue_struct *blocked_queue(const char *name)
{
    struct workqueue_struct *wq = alloc_ordered_workqueue("%s", 0, name);

    test_work_init_gated(&blocker);
    queue_work(wq, &blocker.work);
    item_await_begun(&blocker, 1);
    return wq;
}

SCENARIO(D11)
{
    struct workqueue_struct *wq = alloc_workqueue("d11", 0, 0);
    struct workqueue_struct *blocked = blocked_queue("d11b");

    test_dwork_init_gated(&a);
    answer("idle", cancel_delayed_work(&a.dwork));
    queue_delayed_work(wq, &a.dwork, LONG_DELAY);
    answer("armed", cancel_delayed_work(&a.dwork));
    queue_delayed_work(blocked, &a.dwork, 0);
    answer("queued", cancel_delayed_work(&a.dwork));
    item_release(&blocker);
    flush_workqueue(blocked);
    answer("runs_before", item_begun(&a));
    queue_delayed_work(wq, &a.dwork, 0);
    item_await_begun(&a, 1);
    answer("running", cancel_delayed_work(&a.dwork));
    queue_delayed_work(wq, &a.dwork, LONG_DELAY);
    answer("running_armed", cancel_delayed_work(&a.dwork));
    queue_delayed_work(wq, &a.dwork, 0);
    answer("running_queued", cancel_delayed_work(&a.dwork));
    item_release(&a);
    flush_workqueue(wq);
    answer("runs", item_ended(&a));
    destroy_workqueue(blocked);
    destroy_workqueue(wq);
}

/* Cancels `a`, which runs, from another thread, and says whether that waited, and what it returned. */
static void answer_cancel_of_running(const char *waits, const char *result)
{
    struct item_call call = {call_cancel_delayed_work_sync, &a.dwork, false};
    struct kit_thread *thread = kit_thread_on(3, thread_call, &call);

    answer(waits, still_waits(thread));
    item_release(&a);
    kit_join(thread);
    answer(result, call.result);
}

static void run_gated(struct workqueue_struct *wq)
{
    test_dwork_init_gated(&a);
    queue_delayed_work(wq, &a.dwork, 0);
    item_await_begun(&a, 1);
}

SCENARIO(D12)
{
    struct workqueue_struct *wq = alloc_workqueue("d12", 0, 0);
    struct workqueue_struct *blocked = blocked_queue("d12b");

    test_dwork_init(&a);
    answer("idle", cancel_delayed_work_sync(&a.dwork));
    queue_delayed_work(wq, &a.dwork, LONG_DELAY);
    answer("armed", cancel_delayed_work_sync(&a.dwork));
    queue_delayed_work(blocked, &a.dwork, 0);
    answer("queued", cancel_delayed_work_sync(&a.dwork));
    item_release(&blocker);
    flush_workqueue(blocked);
    answer("runs_before", item_begun(&a));
    run_gated(wq);
    answer_cancel_of_running("running_waits", "running");
    run_gated(wq);
    queue_delayed_work(wq, &a.dwork, LONG_DELAY);
    answer_cancel_of_running("armed_waits", "running_armed");
    answer("armed_runs", item_ended(&a));
    run_gated(wq);
    queue_delayed_work(wq, &a.dwork, 0);
    answer_cancel_of_running("queued_waits", "running_queued");
    flush_workqueue(wq);
    answer("queued_runs", item_ended(&a));
    destroy_workqueue(blocked);
    destroy_workqueue(wq);
}

SCENARIO(D13)
{
    struct workqueue_struct *wq = alloc_workqueue("d13", 0, 0);
    struct item_call call = {call_cancel_delayed_work_sync, &a.dwork, false};
    struct kit_thread *thread;

    run_gated(wq);
    thread = kit_thread_on(3, thread_call, &call);
    answer("waits", still_waits(thread));
    answer("queue", queue_delayed_work(wq, &a.dwork, 1));
    answer("queue_zero", queue_delayed_work(wq, &a.dwork, 0));
    answer("mod", mod_delayed_work(wq, &a.dwork, 1));
    answer("cancel", cancel_delayed_work(&a.dwork));
    answer("pending", delayed_work_pending(&a.dwork));
    answer("busy", work_busy(&a.dwork.work));
    item_release(&a);
    kit_join(thread);
    answer("result", call.result);
    kit_settle();
    answer("runs", item_ended(&a));
    answer("after", queue_delayed_work(wq, &a.dwork, 1));
    item_await_ended(&a, 2);
    destroy_workqueue(wq);
}

static void arm_again(struct test_dwork *self, int number)
{
    queue_delayed_work(the_queue, &self->dwork, 1);
}

SCENARIO(D14)
{
    int runs;

    the_queue = alloc_workqueue("d14", 0, 0);
    test_dwork_init(&a);
    a.then = arm_again;
    queue_delayed_work(the_queue, &a.dwork, 1);
    item_await_ended(&a, 5);
    cancel_delayed_work_sync(&a.dwork);
    runs = item_begun(&a);
    answer("pending", delayed_work_pending(&a.dwork));
    answer("busy", work_busy(&a.dwork.work));
    kit_settle();
    answer("more_runs", item_begun(&a) - runs);
    answer("again", cancel_delayed_work_sync(&a.dwork));
    destroy_workqueue(the_queue);
}

SCENARIO(D15)
{
    struct workqueue_struct *wq = alloc_workqueue("d15", 0, 0);
    struct item_call call = {call_flush_delayed_work, &a.dwork, false};
    struct kit_thread *thread;

    test_dwork_init(&a);
    answer("idle", flush_delayed_work(&a.dwork));
    queue_delayed_work(wq, &a.dwork, LONG_DELAY);
    flush_delayed_work(&a.dwork);
    answer("armed_runs", item_ended(&a));
    answer("pending", delayed_work_pending(&a.dwork));
    answer("done", flush_delayed_work(&a.dwork));
    run_gated(wq);
    queue_delayed_work(wq, &a.dwork, LONG_DELAY);
    thread = kit_thread_on(3, thread_call, &call);
    answer("waits", still_waits(thread));
    item_release(&a);
    kit_join(thread);
    answer("result", call.result);
    answer("runs", item_ended(&a));
    answer("cancel", cancel_delayed_work(&a.dwork));
    destroy_workqueue(wq);
}

SCENARIO(D16)
{
    struct workqueue_struct *wq = blocked_queue("d16");
    struct item_call flush_delayed = {call_flush_delayed_work, &a.dwork, false};
    struct item_call flush = {call_flush_work, &a.dwork.work, false};
    struct kit_thread *thread, *second;

    test_dwork_init(&a);
    queue_delayed_work(wq, &a.dwork, LONG_DELAY);
    thread = kit_thread_on(3, thread_call, &flush_delayed);
    answer("waits", still_waits(thread));
    second = kit_thread_on(2, thread_call, &flush);
    answer("is_queued", still_waits(second));
    item_release(&blocker);
    kit_join(thread);
    kit_join(second);
    answer("result", flush_delayed.result);
    answer("runs", item_ended(&a));
    destroy_workqueue(wq);
}

SCENARIO(D23)
{
    struct workqueue_struct *wq = alloc_workqueue("d23", 0, 0);
    unsigned long armed, took;
    bool cancelled;

    test_dwork_init(&a);
    queue_delayed_work(wq, &a.dwork, 20);
    armed = jiffies;
    cancelled = cancel_work_sync(&a.dwork.work);
    took = jiffies - armed;
    answer("waited", took >= 15);
    answer("pending", delayed_work_pending(&a.dwork));
    flush_workqueue(wq);
    /* A kernel whose timer has just fired may find it begun: then it has waited for the run. */
    answer("cancelled_or_run", cancelled + item_ended(&a));
    destroy_workqueue(wq);
}

static int handler_results[4];

static void cancel_and_mod(void *wq)
{
    handler_results[0] = cancel_delayed_work(&a.dwork);
    handler_results[1] = mod_delayed_work(wq, &a.dwork, LONG_DELAY);
    handler_results[2] = mod_delayed_work(wq, &a.dwork, 1);
    handler_results[3] = queue_delayed_work(wq, &a.dwork, 1);
}

SCENARIO(D24)
{
    struct workqueue_struct *wq = alloc_workqueue("d24", 0, 0);

    test_dwork_init(&a);
    queue_delayed_work(wq, &a.dwork, LONG_DELAY);
    kit_hardirq_on(1, cancel_and_mod, wq);
    answer("cancel", handler_results[0]);
    answer("mod", handler_results[1]);
    answer("mod_again", handler_results[2]);
    answer("queue", handler_results[3]);
    item_await_ended(&a, 1);
    flush_workqueue(wq);
    kit_settle();
    answer("runs", item_ended(&a));
    destroy_workqueue(wq);
}

SCENARIO(D25)
{
    struct workqueue_struct *wq = alloc_workqueue("d25", 0, 0);
    struct workqueue_struct *blocked = blocked_queue("d25b");

    test_dwork_init(&a);
    queue_delayed_work(blocked, &a.dwork, LONG_DELAY);
    answer("armed", mod_delayed_work(wq, &a.dwork, 1));
    item_await_ended(&a, 1);
    flush_workqueue(wq);
    queue_delayed_work(blocked, &a.dwork, 0);
    answer("queued", mod_delayed_work(wq, &a.dwork, 0));
    flush_workqueue(wq);
    answer("runs", item_ended(&a));
    answer("blocked", item_inside(&blocker));
    item_release(&blocker);
    flush_workqueue(blocked);
    answer("at_end", item_ended(&a));
    destroy_workqueue(blocked);
    destroy_workqueue(wq);
}

SCENARIO(D28)
{
    struct workqueue_struct *first = alloc_workqueue("d28a", 0, 0);
    struct workqueue_struct *second = alloc_workqueue("d28b", 0, 0);

    test_dwork_init(&a);
    queue_delayed_work(first, &a.dwork, LONG_DELAY);
    answer("cancel", cancel_delayed_work(&a.dwork));
    answer("queue", queue_delayed_work(second, &a.dwork, 1));
    item_await_ended(&a, 1);
    flush_workqueue(second);
    answer("runs", item_ended(&a));
    destroy_workqueue(second);
    destroy_workqueue(first);
}

#define CALLS 400

static atomic_t queued, mod_false, cancelled;

static void queue_often(void *unused)
{
    int i;

    for (i = 0; i < CALLS; i++) {
        atomic_add(queue_delayed_work(the_queue, &a.dwork, (unsigned long)(i % 3)), &queued);
        if (i % 16 == 0)
            msleep(1);
    }
}

static void mod_often(void *unused)
{
    int i;

    for (i = 0; i < CALLS; i++) {
        atomic_add(!mod_delayed_work(the_queue, &a.dwork, (unsigned long)(i % 3)), &mod_false);
        if (i % 16 == 0)
            msleep(1);
    }
}

static void cancel_often(void *unused)
{
    int i;

    for (i = 0; i < CALLS; i++) {
        atomic_add(cancel_delayed_work(&a.dwork), &cancelled);
        if (i % 16 == 0)
            msleep(1);
    }
}

SCENARIO(D29)
{
    struct kit_thread *threads[3];
    int i;

    the_queue = alloc_workqueue("d29", 0, 0);
    test_dwork_init(&a);
    atomic_set(&queued, 0);
    atomic_set(&mod_false, 0);
    atomic_set(&cancelled, 0);
    threads[0] = kit_thread_on(1, queue_often, NULL);
    threads[1] = kit_thread_on(2, mod_often, NULL);
    threads[2] = kit_thread_on(3, cancel_often, NULL);
    for (i = 0; i < 3; i++)
        kit_join(threads[i]);
    flush_delayed_work(&a.dwork);
    flush_workqueue(the_queue);
    answer("lost", atomic_read(&queued) + atomic_read(&mod_false) - atomic_read(&cancelled) - item_ended(&a));
    answer("most", item_most(&a));
    answer("pending", delayed_work_pending(&a.dwork));
    destroy_workqueue(the_queue);
}

KIT_GROUP(delayed_sync, "delayed", KIT_ROW(D11), KIT_ROW(D12), KIT_ROW(D13), KIT_ROW(D14), KIT_ROW(D15),
          KIT_ROW(D16), KIT_ROW(D23), KIT_ROW(D24), KIT_ROW(D25), KIT_ROW(D28), KIT_ROW(D29));
