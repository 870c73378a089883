// SPDX-License-Identifier: MIT OR Apache-2.0
/* Delayed works, rows D03 to D10, D17 to D21 and D32: when they run, in which order, and mod_delayed_work. */
#include "items.h"

static struct test_dwork a, b, c;
static struct test_work blocker;
static struct kit_marks marks;

/* An ordered queue that stands still until the gate of `blocker` is opened. */
static struct workqueue_struct *blocked_queue(const char *name)
{
    struct workqueue_struct *wq = alloc_ordered_workqueue("%s", 0, name);

    test_work_init_gated(&blocker);
    queue_work(wq, &blocker.work);
    item_await_begun(&blocker, 1);
    return wq;
}

/* Whether the item is on its queue and not at its timer: only then does flush_work wait for it. */
static bool is_queued(struct test_dwork *item)
{
    struct item_call call = {call_flush_work, &item->dwork.work, false};
    struct kit_thread *thread = kit_thread_on(3, thread_call, &call);
    bool waits = still_waits(thread);

    if (waits)
        item_release(&blocker);
    kit_join(thread);
    return waits && call.result;
}

SCENARIO(D03)
{
    struct workqueue_struct *wq = blocked_queue("d03");

    test_dwork_init(&a);
    answer("queue", queue_delayed_work(wq, &a.dwork, 0));
    answer("pending", delayed_work_pending(&a.dwork));
    answer("busy", work_busy(&a.dwork.work));
    answer("again", queue_delayed_work(wq, &a.dwork, 5));
    answer("queued", is_queued(&a));
    flush_workqueue(wq);
    answer("runs", item_ended(&a));
    destroy_workqueue(wq);
}

SCENARIO(D04)
{
    struct workqueue_struct *wq = alloc_workqueue("d04", 0, 0);
    unsigned long expires;

    test_dwork_init(&a);
    answer("first", queue_delayed_work(wq, &a.dwork, LONG_DELAY));
    expires = a.dwork.timer.expires;
    answer("second", queue_delayed_work(wq, &a.dwork, 1));
    answer("zero", queue_delayed_work(wq, &a.dwork, 0));
    answer("kept", a.dwork.timer.expires == expires);
    answer("queue_work", queue_work(wq, &a.dwork.work));
    answer("pending", delayed_work_pending(&a.dwork));
    answer("busy", work_busy(&a.dwork.work));
    kit_settle();
    answer("runs", item_begun(&a));
    answer("cancel", cancel_delayed_work_sync(&a.dwork));
    destroy_workqueue(wq);
}

SCENARIO(D05)
{
    struct workqueue_struct *wq = alloc_workqueue("d05", 0, 0);

    test_dwork_init(&a);
    answer("mod", mod_delayed_work(wq, &a.dwork, 2));
    item_await_ended(&a, 1);
    flush_workqueue(wq);
    answer("mod_zero", mod_delayed_work(wq, &a.dwork, 0));
    flush_workqueue(wq);
    answer("runs", item_ended(&a));
    destroy_workqueue(wq);
}

SCENARIO(D06)
{
    struct workqueue_struct *wq = alloc_workqueue("d06", 0, 0);
    unsigned long expires;

    test_dwork_init(&a);
    queue_delayed_work(wq, &a.dwork, LONG_DELAY);
    expires = a.dwork.timer.expires;
    answer("longer", mod_delayed_work(wq, &a.dwork, 2 * LONG_DELAY));
    answer("changed", time_after(a.dwork.timer.expires, expires));
    answer("runs_before", item_begun(&a));
    answer("zero", mod_delayed_work(wq, &a.dwork, 0));
    item_await_ended(&a, 1);
    flush_workqueue(wq);
    kit_settle();
    answer("runs", item_ended(&a));
    answer("pending", delayed_work_pending(&a.dwork));
    destroy_workqueue(wq);
}

SCENARIO(D07)
{
    struct workqueue_struct *wq = blocked_queue("d07");

    test_dwork_init(&a);
    queue_delayed_work(wq, &a.dwork, 0);
    answer("mod", mod_delayed_work(wq, &a.dwork, LONG_DELAY));
    answer("pending", delayed_work_pending(&a.dwork));
    answer("queued", is_queued(&a));
    item_release(&blocker);
    flush_workqueue(wq);
    answer("runs", item_begun(&a));
    answer("cancel", cancel_delayed_work(&a.dwork));
    answer("again", cancel_delayed_work(&a.dwork));
    destroy_workqueue(wq);
}

SCENARIO(D08)
{
    struct workqueue_struct *wq = blocked_queue("d08");

    kit_marks_init(&marks);
    test_dwork_init_marked(&a, &marks, 'A');
    test_dwork_init_marked(&b, &marks, 'B');
    test_dwork_init_marked(&c, &marks, 'C');
    queue_delayed_work(wq, &a.dwork, 0);
    queue_delayed_work(wq, &b.dwork, 0);
    queue_delayed_work(wq, &c.dwork, 0);
    answer("mod", mod_delayed_work(wq, &a.dwork, 0));
    item_release(&blocker);
    flush_workqueue(wq);
    answer_marks("order", &marks);
    destroy_workqueue(wq);
}

static struct workqueue_struct *inside_queue;
static int inside_result;

static void mod_inside(struct test_dwork *self, int number)
{
    if (number == 1)
        inside_result = mod_delayed_work(inside_queue, &self->dwork, 1);
}

static void queue_inside(struct test_dwork *self, int number)
{
    if (number == 1)
        inside_result = queue_delayed_work(inside_queue, &self->dwork, 1);
}

SCENARIO(D09)
{
    inside_queue = alloc_workqueue("d09", 0, 0);
    test_dwork_init(&a);
    a.then = mod_inside;
    queue_delayed_work(inside_queue, &a.dwork, 1);
    item_await_ended(&a, 2);
    answer("mod", inside_result);
    flush_workqueue(inside_queue);
    test_dwork_init(&b);
    b.then = queue_inside;
    queue_delayed_work(inside_queue, &b.dwork, 1);
    item_await_ended(&b, 2);
    answer("queue", inside_result);
    kit_settle();
    answer("mod_runs", item_ended(&a));
    answer("queue_runs", item_ended(&b));
    destroy_workqueue(inside_queue);
}

SCENARIO(D10)
{
    struct workqueue_struct *wq = alloc_workqueue("d10", 0, 0);

    test_dwork_init_gated(&a);
    queue_delayed_work(wq, &a.dwork, 0);
    item_await_begun(&a, 1);
    answer("queue", queue_delayed_work(wq, &a.dwork, 0));
    answer("mod", mod_delayed_work(wq, &a.dwork, LONG_DELAY));
    answer("busy", work_busy(&a.dwork.work));
    answer("cancel", cancel_delayed_work(&a.dwork));
    item_release(&a);
    flush_workqueue(wq);
    answer("runs", item_ended(&a));
    destroy_workqueue(wq);
}

SCENARIO(D17)
{
    struct workqueue_struct *wq = alloc_workqueue("d17", 0, 0);

    test_dwork_init(&a);
    queue_delayed_work(wq, &a.dwork, LONG_DELAY);
    answer("flush_work", flush_work(&a.dwork.work));
    flush_workqueue(wq);
    answer("runs", item_begun(&a));
    answer("cancel", cancel_delayed_work_sync(&a.dwork));
    destroy_workqueue(wq);
}

SCENARIO(D18)
{
    struct workqueue_struct *wq = alloc_workqueue("d18", 0, 0);

    test_dwork_init_gated(&a);
    queue_delayed_work_on(1, wq, &a.dwork, 0);
    item_await_begun(&a, 1);
    answer("queue", queue_delayed_work_on(2, wq, &a.dwork, 1));
    kit_settle();
    answer("busy", work_busy(&a.dwork.work));
    answer("begun", item_begun(&a));
    item_release(&a);
    item_await_ended(&a, 2);
    flush_workqueue(wq);
    answer("runs", item_ended(&a));
    answer("most", item_most(&a));
    answer("cpu1", item_cpu(&a, 1));
    answer("cpu2", item_cpu(&a, 2));
    destroy_workqueue(wq);
}

SCENARIO(D19)
{
    struct workqueue_struct *wq = alloc_workqueue("d19", 0, 0);
    int cpu, right = 0;

    for (cpu = 0; cpu < 4; cpu++) {
        test_dwork_init(&a);
        queue_delayed_work_on(cpu, wq, &a.dwork, 2);
        item_await_ended(&a, 1);
        flush_workqueue(wq);
        right += item_cpu(&a, 1) == cpu;
    }
    answer("right", right);
    test_dwork_init(&a);
    answer("mod_on", mod_delayed_work_on(3, wq, &a.dwork, LONG_DELAY));
    answer("mod_on_again", mod_delayed_work_on(2, wq, &a.dwork, 2));
    item_await_ended(&a, 1);
    answer("cpu", item_cpu(&a, 1));
    destroy_workqueue(wq);
}

static void arm_three(struct workqueue_struct *wq)
{
    queue_delayed_work_on(1, wq, &a.dwork, 10);
    queue_delayed_work_on(1, wq, &b.dwork, 10);
    queue_delayed_work_on(1, wq, &c.dwork, 10);
}

SCENARIO(D20)
{
    struct workqueue_struct *wq = alloc_ordered_workqueue("d20", 0);
    unsigned long now = jiffies;

    kit_marks_init(&marks);
    test_dwork_init_marked(&a, &marks, 'A');
    test_dwork_init_marked(&b, &marks, 'B');
    test_dwork_init_marked(&c, &marks, 'C');
    /* All within one jiffy, or they are not due at once. */
    for (arm_three(wq); jiffies != now && !kit_is_hung(); arm_three(wq)) {
        cancel_delayed_work_sync(&a.dwork);
        cancel_delayed_work_sync(&b.dwork);
        cancel_delayed_work_sync(&c.dwork);
        now = jiffies;
    }
    item_await_ended(&a, 1);
    item_await_ended(&b, 1);
    item_await_ended(&c, 1);
    answer("runs", item_ended(&a) + item_ended(&b) + item_ended(&c));
    answer_marks("order", &marks);
    destroy_workqueue(wq);
}

SCENARIO(D21)
{
    struct workqueue_struct *wq = alloc_ordered_workqueue("d21", 0);

    kit_marks_init(&marks);
    test_dwork_init_marked(&a, &marks, 'A');
    test_dwork_init_marked(&b, &marks, 'B');
    test_dwork_init_marked(&c, &marks, 'C');
    queue_delayed_work_on(1, wq, &a.dwork, 150);
    queue_delayed_work_on(1, wq, &b.dwork, 100);
    queue_delayed_work_on(1, wq, &c.dwork, 50);
    item_await_ended(&a, 1);
    item_await_ended(&b, 1);
    item_await_ended(&c, 1);
    answer_marks("order", &marks);
    destroy_workqueue(wq);
}

SCENARIO(D32)
{
    struct workqueue_struct *wq = alloc_workqueue("d32", 0, 0);
    unsigned long before = jiffies, after;

    test_dwork_init(&a);
    queue_delayed_work(wq, &a.dwork, 20);
    after = jiffies;
    answer("expires", time_in_range(a.dwork.timer.expires, before + 20, after + 20));
    item_await_ended(&a, 1);
    flush_workqueue(wq);
    answer("pending", delayed_work_pending(&a.dwork));
    answer("runs", item_ended(&a));
    destroy_workqueue(wq);
}

KIT_GROUP(delayed, "delayed", KIT_ROW(D03), KIT_ROW(D04), KIT_ROW(D05), KIT_ROW(D06), KIT_ROW(D07),
          KIT_ROW(D08), KIT_ROW(D09), KIT_ROW(D10), KIT_ROW(D17), KIT_ROW(D18), KIT_ROW(D19), KIT_ROW(D20),
          KIT_ROW(D21), KIT_ROW(D32));
