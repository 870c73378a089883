// SPDX-License-Identifier: MIT OR Apache-2.0
/* Scenarios of works: cancelling, flushing and waiting. */
#include "works.h"

static struct item a;
static struct item b;
static struct item blocker;
static struct caller first;
static struct caller second;
static struct caller third;

SCENARIO(W08)
{
    struct workqueue_struct *o = alloc_ordered_workqueue("kit", 0);
    struct workqueue_struct *p = alloc_workqueue("kit", 0, 0);

    item_init(&a, 0);
    answer("idle", cancel_work(&a.work));
    item_hold(&blocker, 0, o);
    queue_work(o, &a.work);
    answer("queued", cancel_work(&a.work));
    answer("pending", work_pending(&a.work));
    item_open(&blocker, 1);
    flush_workqueue(o);
    answer("runs", kit_begun(&a.seen));
    item_hold(&b, 1, p);
    answer("running", cancel_work(&b.work));
    queue_work_on(1, p, &b.work);
    answer("requeued", cancel_work(&b.work));
    answer("inside", kit_ended(&b.seen) == 0);
    item_open(&b, 1);
    destroy_workqueue(o);
    destroy_workqueue(p);
    answer("finished", kit_ended(&b.seen));
}

SCENARIO(W09)
{
    struct workqueue_struct *o = alloc_ordered_workqueue("kit", 0);

    item_init(&a, 0);
    answer("idle", cancel_work_sync(&a.work));
    item_hold(&blocker, 0, o);
    queue_work(o, &a.work);
    answer("queued", cancel_work_sync(&a.work));
    answer("pending", work_pending(&a.work));
    answer("again", cancel_work_sync(&a.work));
    item_open(&blocker, 1);
    destroy_workqueue(o);
    answer("runs", kit_begun(&a.seen));
}

/* Cancels a running work, tries to queue it meanwhile, and queues it afterwards. */
SCENARIO(W10)
{
    struct workqueue_struct *p = alloc_workqueue("kit", 0, 0);

    item_hold(&a, 1, p);
    caller_start(&first, 2, cancel_work_sync, &a);
    answer("waits", caller_waits(&first));
    answer("during", queue_work_on(3, p, &a.work));
    item_open(&a, 1);
    answer("returned", caller_join(&first));
    answer("ended", first.ended);
    answer("pending", work_pending(&a.work));
    answer("after", queue_work(p, &a.work));
    destroy_workqueue(p);
    answer("runs", kit_ended(&a.seen));
}

SCENARIO(W11)
{
    struct workqueue_struct *p = alloc_workqueue("kit", 0, 0);

    item_init(&a, RUN(1));
    a.requeues_last = RUN(1);
    a.again = p;
    queue_work_on(1, p, &a.work);
    item_await(&a, 1);
    caller_start(&first, 2, cancel_work_sync, &a);
    answer("waits", caller_waits(&first));
    item_open(&a, 1);
    answer("returned", caller_join(&first));
    answer("requeued", a.requeued);
    answer("pending", work_pending(&a.work));
    destroy_workqueue(p);
    answer("runs", kit_ended(&a.seen));
}

SCENARIO(W12)
{
    struct workqueue_struct *p = alloc_workqueue("kit", 0, 0);

    item_hold(&a, 1, p);
    answer("queued", queue_work_on(1, p, &a.work));
    caller_start(&first, 2, cancel_work_sync, &a);
    caller_start(&second, 3, cancel_work_sync, &a);
    caller_start(&third, 2, flush_work, &a);
    answer("wait", caller_waits(&first) + caller_waits(&second) + caller_waits(&third));
    answer("cancel_work", cancel_work(&a.work));
    item_open(&a, 1);
    answer("first", caller_join(&first));
    answer("second", caller_join(&second));
    answer("flush", caller_join(&third));
    answer("ended", first.ended + second.ended + third.ended);
    destroy_workqueue(p);
    answer("runs", kit_ended(&a.seen));
}

SCENARIO(W13)
{
    struct workqueue_struct *p = alloc_workqueue("kit", 0, 0);

    item_hold(&a, 1, p);
    answer("queued", queue_work_on(1, p, &a.work));
    caller_start(&first, 2, cancel_work_sync, &a);
    answer("waits", caller_waits(&first));
    item_open(&a, 1);
    answer("returned", caller_join(&first));
    answer("ended", first.ended);
    destroy_workqueue(p);
    answer("runs", kit_ended(&a.seen));
}

SCENARIO(W14)
{
    struct workqueue_struct *p = alloc_workqueue("kit", 0, 0);

    item_init(&a, 0);
    answer("never", flush_work(&a.work));
    queue_work(p, &a.work);
    flush_workqueue(p);
    answer("done", flush_work(&a.work));
    answer("runs", kit_ended(&a.seen));
    destroy_workqueue(p);
}

SCENARIO(W15)
{
    struct workqueue_struct *p = alloc_workqueue("kit", 0, 0);

    item_hold(&a, 1, p);
    answer("queued", queue_work_on(1, p, &a.work));
    caller_start(&first, 2, flush_work, &a);
    answer("waits", caller_waits(&first));
    item_open(&a, 1);
    answer("returned", caller_join(&first));
    answer("ended", first.ended);
    destroy_workqueue(p);
}

/* A requeues itself behind B after the flush has begun. */
SCENARIO(W16)
{
    struct workqueue_struct *o = alloc_ordered_workqueue("kit", 0);

    item_init(&a, RUN(1));
    a.requeues_last = RUN(1);
    a.again = o;
    item_init(&b, RUN(1));
    queue_work(o, &a.work);
    item_await(&a, 1);
    queue_work(o, &b.work);
    caller_start(&first, 2, flush_work, &a);
    answer("waits", caller_waits(&first));
    item_open(&a, 1);
    answer("returned", caller_join(&first));
    answer("ended", first.ended);
    answer("requeued", a.requeued);
    answer("pending", work_pending(&a.work));
    item_open(&b, 1);
    destroy_workqueue(o);
    answer("runs", kit_ended(&a.seen));
}

SCENARIO(W17)
{
    struct workqueue_struct *o = alloc_ordered_workqueue("kit", 0);

    item_init(&a, RUN(1));
    item_init(&b, RUN(1));
    queue_work(o, &a.work);
    queue_work(o, &b.work);
    item_await(&a, 1);
    caller_start(&first, 2, flush_work, &a);
    answer("waits", caller_waits(&first));
    item_open(&a, 1);
    answer("returned", caller_join(&first));
    answer("a", kit_ended(&a.seen));
    answer("b", kit_ended(&b.seen));
    item_open(&b, 1);
    destroy_workqueue(o);
    answer("b_later", kit_ended(&b.seen));
}

SCENARIO(W24)
{
    struct workqueue_struct *one = alloc_workqueue("kit", 0, 1);

    item_hold(&blocker, 1, one);
    item_init(&a, 0);
    queue_work_on(1, one, &a.work);
    answer("cancel", cancel_work(&a.work));
    answer("pending", work_pending(&a.work));
    answer("queued", queue_work_on(1, one, &a.work));
    answer("cancel_sync", cancel_work_sync(&a.work));
    answer("again", queue_work_on(1, one, &a.work));
    caller_start(&first, 2, flush_work, &a);
    answer("waits", caller_waits(&first));
    answer("before", kit_begun(&a.seen));
    item_open(&blocker, 1);
    answer("returned", caller_join(&first));
    answer("ended", first.ended);
    destroy_workqueue(one);
    answer("runs", kit_ended(&a.seen));
}

/* The second run stands at its gate: the flush does not wait for it. */
SCENARIO(W40)
{
    struct workqueue_struct *p = alloc_workqueue("kit", 0, 0);

    item_init(&a, RUN(1) | RUN(2));
    queue_work_on(1, p, &a.work);
    item_await(&a, 1);
    caller_start(&first, 2, flush_work, &a);
    answer("waits", caller_waits(&first));
    answer("queued", queue_work_on(1, p, &a.work));
    item_open(&a, 1);
    answer("returned", caller_join(&first));
    answer("ended", first.ended);
    item_open(&a, 2);
    destroy_workqueue(p);
    answer("runs", kit_ended(&a.seen));
}

/* Running and queued, and the queued run queues a third: the flush waits for two. */
SCENARIO(W450)
{
    struct workqueue_struct *p = alloc_workqueue("kit", 0, 0);

    item_init(&a, RUN(1) | RUN(3));
    a.requeues_first = RUN(1) | RUN(2);
    a.again = p;
    queue_work_on(1, p, &a.work);
    item_await(&a, 1);
    caller_start(&first, 2, flush_work, &a);
    answer("waits", caller_waits(&first));
    item_open(&a, 1);
    answer("returned", caller_join(&first));
    answer("ended", first.ended);
    item_open(&a, 3);
    destroy_workqueue(p);
    answer("runs", kit_ended(&a.seen));
}

/* Two flushes of one work: each waits, and each is told so. */
SCENARIO(W451)
{
    struct workqueue_struct *p = alloc_workqueue("kit", 0, 0);

    item_hold(&a, 1, p);
    caller_start(&first, 2, flush_work, &a);
    caller_start(&second, 3, flush_work, &a);
    answer("wait", caller_waits(&first) + caller_waits(&second));
    item_open(&a, 1);
    answer("first", caller_join(&first));
    answer("second", caller_join(&second));
    flush_workqueue(p);
    answer("runs", kit_ended(&a.seen));
    destroy_workqueue(p);
}

/* A work that waits for another work. */
struct waiting {
    struct work_struct work;
    bool (*call)(struct work_struct *work);
    int answer;
    atomic_t called;
    bool is_current;
};

static struct waiting waiting;

static void waiting_run(struct work_struct *work)
{
    atomic_set(&waiting.called, 1);
    waiting.answer = waiting.call(&a.work);
    waiting.is_current = current_work() == work;
}

static void waiting_queue(struct workqueue_struct *wq, bool (*call)(struct work_struct *work))
{
    memset(&waiting, 0, sizeof(waiting));
    waiting.call = call;
    INIT_WORK(&waiting.work, waiting_run);
    queue_work_on(1, wq, &waiting.work);
    kit_wait_until(atomic_read(&waiting.called));
    kit_settle();
}

/* A work flushes, and another cancels, a running work of the same queue and CPU. */
SCENARIO(W452)
{
    struct workqueue_struct *p = alloc_workqueue("kit", 0, 0);

    item_hold(&a, 1, p);
    waiting_queue(p, flush_work);
    answer("waits", work_busy(&waiting.work));
    item_open(&a, 1);
    flush_work(&waiting.work);
    answer("flush", waiting.answer);
    answer("runs", kit_ended(&a.seen));
    answer("current", waiting.is_current);
    item_hold(&a, 1, p);
    waiting_queue(p, cancel_work_sync);
    answer("cancel_waits", work_busy(&waiting.work));
    answer("queued", queue_work_on(1, p, &a.work));
    item_open(&a, 1);
    flush_work(&waiting.work);
    answer("cancel", waiting.answer);
    destroy_workqueue(p);
    answer("then", kit_ended(&a.seen));
}

static void cancel_a(void *arg)
{
    *(int *)arg = cancel_work(&a.work);
}

/* cancel_work from a hard interrupt: idle, queued, running. */
SCENARIO(W453)
{
    struct workqueue_struct *o = alloc_ordered_workqueue("kit", 0);
    int cancelled = -1;

    item_init(&a, RUN(1));
    kit_hardirq_on(1, cancel_a, &cancelled);
    answer("idle", cancelled);
    item_hold(&blocker, 0, o);
    queue_work(o, &a.work);
    kit_hardirq_on(1, cancel_a, &cancelled);
    answer("queued", cancelled);
    answer("pending", work_pending(&a.work));
    item_open(&blocker, 1);
    flush_workqueue(o);
    queue_work(o, &a.work);
    item_await(&a, 1);
    kit_hardirq_on(1, cancel_a, &cancelled);
    answer("running", cancelled);
    item_open(&a, 1);
    destroy_workqueue(o);
    answer("runs", kit_ended(&a.seen));
}

/* Whether a work that is being cancelled is pending: newer kernels say no. */
SCENARIO(W454)
{
    struct workqueue_struct *p = alloc_workqueue("kit", 0, 0);

    item_hold(&a, 1, p);
    caller_start(&first, 2, cancel_work_sync, &a);
    answer("pending", work_pending(&a.work));
    answer("busy", work_busy(&a.work));
    item_open(&a, 1);
    caller_join(&first);
    answer("after", work_busy(&a.work));
    destroy_workqueue(p);
}

/* A cancelled work on another queue: running there when it is cancelled, then queued on the first again. */
SCENARIO(W455)
{
    struct workqueue_struct *p = alloc_workqueue("kit", 0, 0);
    struct workqueue_struct *u = alloc_workqueue("kit", WQ_UNBOUND, 0);

    item_hold(&a, 1, u);
    caller_start(&first, 2, cancel_work_sync, &a);
    answer("waits", caller_waits(&first));
    answer("during", queue_work_on(1, p, &a.work));
    item_open(&a, 1);
    answer("returned", caller_join(&first));
    answer("after", queue_work_on(3, p, &a.work));
    flush_workqueue(p);
    answer("runs", kit_ended(&a.seen));
    answer("cpu2", kit_cpu_of(&a.seen, 2));
    destroy_workqueue(p);
    destroy_workqueue(u);
}

/* Cancelled and queued again behind others, it takes a new place. */
SCENARIO(W456)
{
    static struct kit_marks marks;
    struct workqueue_struct *o = alloc_ordered_workqueue("kit", 0);

    kit_marks_init(&marks);
    item_hold(&blocker, 0, o);
    item_init(&a, 0);
    item_init(&b, 0);
    a.marks = b.marks = &marks;
    a.letter = 'A';
    b.letter = 'B';
    queue_work(o, &a.work);
    queue_work(o, &b.work);
    answer("cancelled", cancel_work(&a.work));
    answer("queued", queue_work(o, &a.work));
    item_open(&blocker, 1);
    destroy_workqueue(o);
    answer_marks("order", &marks);
}

/*
 * A flush of a work that is cancelled while it is waited for. Linux's flush keeps the place of the work in
 * the queue and so still waits for what is before it.
 */
SCENARIO(W457)
{
    struct workqueue_struct *o = alloc_ordered_workqueue("kit", 0);

    item_hold(&blocker, 0, o);
    item_init(&a, 0);
    queue_work(o, &a.work);
    caller_start(&first, 2, flush_work, &a);
    answer("waits", caller_waits(&first));
    answer("cancelled", cancel_work(&a.work));
    kit_settle();
    answer("still", caller_waits(&first));
    item_open(&blocker, 1);
    answer("returned", caller_join(&first));
    destroy_workqueue(o);
    answer("runs", kit_ended(&a.seen));
}

KIT_GROUP(works_sync, "works", KIT_ROW(W08), KIT_ROW(W09), KIT_ROW(W10), KIT_ROW(W11), KIT_ROW(W12),
          KIT_ROW(W13), KIT_ROW(W14), KIT_ROW(W15), KIT_ROW(W16), KIT_ROW(W17), KIT_ROW(W24), KIT_ROW(W40),
          KIT_ROW(W450), KIT_ROW(W451), KIT_ROW(W452), KIT_ROW(W453), KIT_ROW(W454), KIT_ROW(W455),
          KIT_ROW(W456), KIT_ROW(W457));
