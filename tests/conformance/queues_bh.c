// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * WQ_BH queues, of Linux 6.9 and later: row Q22, and beyond the table Q460 (a work that queues itself), Q461
 * (before the tasklets of its priority), Q462 (high priority first), Q463 (each of two queues keeps its
 * order), Q464 (queued while it runs, from another CPU), Q465 (cancel_work_sync with bottom halves off),
 * Q466 (delayed), Q467 (flush of the queue, and destroy), Q468 (the system's queues), Q469 (from a hard
 * interrupt), Q489 (what is queued on two queues of one CPU).
 */
#include "items.h"

#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 9, 0)

static struct test_work a, b, c, d;
static struct test_dwork e;
static struct kit_marks marks;
static struct workqueue_struct *again_on;

/* What a work sees of the context that it runs in. */
static struct {
    int interrupt, softirq, serving, hardirq, task, irqs_off;
} context;

static void look_around(struct test_work *self, int number)
{
    context.interrupt = !!in_interrupt();
    context.softirq = !!in_softirq();
    context.serving = !!in_serving_softirq();
    context.hardirq = !!in_hardirq();
    context.task = !!in_task();
    context.irqs_off = !!irqs_disabled();
}

static void queue_again_twice(struct test_work *self, int number)
{
    if (number <= 2)
        queue_work(again_on, &self->work);
}

SCENARIO(Q22)
{
    struct workqueue_struct *wq = alloc_workqueue("q22", WQ_BH, 0);

    kit_marks_init(&marks);
    test_work_init_marked(&a, &marks, 'A');
    test_work_init_marked(&b, &marks, 'B');
    a.then = look_around;
    local_bh_disable();
    queue_work(wq, &a.work);
    queue_work(wq, &b.work);
    answer("before", item_begun(&a) + item_begun(&b));
    local_bh_enable();
    flush_workqueue(wq);
    answer_marks("order", &marks);
    answer("interrupt", context.interrupt);
    answer("softirq", context.softirq);
    answer("serving", context.serving);
    answer("hardirq", context.hardirq);
    answer("task", context.task);
    answer("irqs_off", context.irqs_off);
    destroy_workqueue(wq);
}

SCENARIO(Q460)
{
    again_on = alloc_workqueue("q60", WQ_BH, 0);
    kit_marks_init(&marks);
    test_work_init_marked(&a, &marks, 'A');
    test_work_init_marked(&b, &marks, 'B');
    a.then = queue_again_twice;
    local_bh_disable();
    queue_work(again_on, &a.work);
    queue_work(again_on, &b.work);
    local_bh_enable();
    drain_workqueue(again_on);
    answer_marks("order", &marks);
    answer("runs", item_ended(&a));
    answer("most", item_most(&a));
    destroy_workqueue(again_on);
}

static void mark_tasklet(struct tasklet_struct *tasklet)
{
    kit_mark(&marks, 'T');
}

static void mark_hi_tasklet(struct tasklet_struct *tasklet)
{
    kit_mark(&marks, 'H');
}

SCENARIO(Q461)
{
    static struct tasklet_struct normal, high;
    struct workqueue_struct *wq = alloc_workqueue("q61", WQ_BH, 0);
    struct workqueue_struct *high_wq = alloc_workqueue("q61h", WQ_BH | WQ_HIGHPRI, 0);

    kit_marks_init(&marks);
    tasklet_setup(&normal, mark_tasklet);
    tasklet_setup(&high, mark_hi_tasklet);
    test_work_init_marked(&a, &marks, 'A');
    test_work_init_marked(&b, &marks, 'B');
    local_bh_disable();
    tasklet_schedule(&normal);
    queue_work(wq, &a.work);
    tasklet_hi_schedule(&high);
    queue_work(high_wq, &b.work);
    local_bh_enable();
    tasklet_kill(&normal);
    tasklet_kill(&high);
    flush_workqueue(wq);
    flush_workqueue(high_wq);
    answer_marks("order", &marks);
    destroy_workqueue(high_wq);
    destroy_workqueue(wq);
}

SCENARIO(Q462)
{
    struct workqueue_struct *wq = alloc_workqueue("q62", WQ_BH, 0);
    struct workqueue_struct *high = alloc_workqueue("q62h", WQ_BH | WQ_HIGHPRI, 0);

    kit_marks_init(&marks);
    test_work_init_marked(&a, &marks, 'A');
    test_work_init_marked(&b, &marks, 'B');
    test_work_init_marked(&c, &marks, 'C');
    test_work_init_marked(&d, &marks, 'D');
    local_bh_disable();
    queue_work(wq, &a.work);
    queue_work(high, &b.work);
    queue_work(wq, &c.work);
    queue_work(high, &d.work);
    local_bh_enable();
    flush_workqueue(wq);
    flush_workqueue(high);
    answer_marks("order", &marks);
    destroy_workqueue(high);
    destroy_workqueue(wq);
}

SCENARIO(Q463)
{
    static struct kit_marks other;
    struct workqueue_struct *first = alloc_workqueue("q63a", WQ_BH, 0);
    struct workqueue_struct *second = alloc_workqueue("q63b", WQ_BH, 0);

    kit_marks_init(&marks);
    kit_marks_init(&other);
    test_work_init_marked(&a, &marks, 'A');
    test_work_init_marked(&b, &other, 'B');
    test_work_init_marked(&c, &marks, 'C');
    test_work_init_marked(&d, &other, 'D');
    local_bh_disable();
    queue_work(first, &a.work);
    queue_work(second, &b.work);
    queue_work(first, &c.work);
    queue_work(second, &d.work);
    local_bh_enable();
    flush_workqueue(first);
    flush_workqueue(second);
    answer_marks("first", &marks);
    answer_marks("second", &other);
    destroy_workqueue(second);
    destroy_workqueue(first);
}

/* A work of a bottom half that spins at its gate. */
static void spin_at_gate(struct test_work *self, int number)
{
    kit_gate_spin(&self->run.gate);
}

SCENARIO(Q464)
{
    struct workqueue_struct *wq = alloc_workqueue("q64", WQ_BH, 0);

    test_work_init(&a);
    a.then = spin_at_gate;
    answer("queued", queue_work_on(1, wq, &a.work));
    item_await_begun(&a, 1);
    answer("again", queue_work_on(2, wq, &a.work));
    answer("refused", queue_work_on(3, wq, &a.work));
    answer("busy", work_busy(&a.work));
    kit_settle();
    answer("runs_before", item_begun(&a));
    item_release(&a);
    flush_work(&a.work);
    answer("runs", item_ended(&a));
    answer("most", item_most(&a));
    answer("cpu1", item_cpu(&a, 1));
    answer("cpu2", item_cpu(&a, 2));
    destroy_workqueue(wq);
}

static struct item_call cancel_call;

/* Cancels with bottom halves off, as a driver does under spin_lock_bh. */
static void cancel_with_bh_off(void *arg)
{
    local_bh_disable();
    thread_call(&cancel_call);
    local_bh_enable();
}

SCENARIO(Q465)
{
    struct workqueue_struct *wq = alloc_workqueue("q65", WQ_BH, 0);
    struct kit_thread *cancel;

    test_work_init(&a);
    a.then = spin_at_gate;
    queue_work_on(1, wq, &a.work);
    item_await_begun(&a, 1);
    cancel_call.fn = call_cancel_work_sync;
    cancel_call.item = &a.work;
    cancel = kit_thread_on(2, cancel_with_bh_off, NULL);
    answer("waits", still_waits(cancel));
    item_release(&a);
    kit_join(cancel);
    answer("running", cancel_call.result);
    answer("ended", item_ended(&a));
    local_bh_disable();
    queue_work(wq, &a.work);
    answer("queued", cancel_work_sync(&a.work));
    local_bh_enable();
    flush_workqueue(wq);
    answer("runs", item_begun(&a));
    destroy_workqueue(wq);
}

static void look_around_delayed(struct test_dwork *self, int number)
{
    look_around(NULL, number);
}

SCENARIO(Q466)
{
    struct workqueue_struct *wq = alloc_workqueue("q66", WQ_BH, 0);
    unsigned long expires;

    test_dwork_init(&e);
    e.then = look_around_delayed;
    answer("armed", queue_delayed_work(wq, &e.dwork, 5));
    expires = e.dwork.timer.expires;
    item_await_ended(&e, 1);
    answer("early", time_before(e.run.began, expires));
    answer("serving", context.serving);
    answer("task", context.task);
    answer("idle", mod_delayed_work(wq, &e.dwork, LONG_DELAY));
    answer("moved", mod_delayed_work(wq, &e.dwork, 0));
    flush_workqueue(wq);
    answer("runs", item_ended(&e));
    answer("again", queue_delayed_work_on(2, wq, &e.dwork, 2));
    item_await_ended(&e, 3);
    answer("cpu", item_cpu(&e, 3));
    answer("cancel", cancel_delayed_work_sync(&e.dwork));
    destroy_workqueue(wq);
}

SCENARIO(Q467)
{
    struct workqueue_struct *wq = alloc_workqueue("q67", WQ_BH, 0);
    struct kit_thread *thread;

    test_work_init(&a);
    test_work_init(&b);
    a.then = spin_at_gate;
    b.then = spin_at_gate;
    queue_work_on(1, wq, &a.work);
    queue_work_on(2, wq, &b.work);
    item_await_begun(&a, 1);
    item_await_begun(&b, 1);
    thread = kit_thread_on(3, thread_flush_workqueue, wq);
    answer("waits", still_waits(thread));
    item_release(&a);
    answer("after_a", still_waits(thread));
    item_release(&b);
    kit_join(thread);
    answer("ended", item_ended(&a) + item_ended(&b));

    test_work_init(&a);
    a.then = spin_at_gate;
    queue_work_on(1, wq, &a.work);
    queue_work_on(1, wq, &b.work);
    item_await_begun(&a, 1);
    thread = kit_thread_on(3, thread_destroy_workqueue, wq);
    answer("destroy_waits", still_waits(thread));
    item_release(&a);
    kit_join(thread);
    answer("destroy_ended", item_ended(&a) + item_ended(&b));
}

SCENARIO(Q468)
{
    test_work_init(&a);
    test_work_init(&b);
    a.then = look_around;
    queue_work(system_bh_wq, &a.work);
    flush_work(&a.work);
    answer("normal", item_ended(&a));
    answer("serving", context.serving);
    queue_work_on(2, system_bh_highpri_wq, &b.work);
    flush_work(&b.work);
    answer("high", item_ended(&b));
    answer("cpu", item_cpu(&b, 1));
}

static int begun_in_handler;

static void queue_two(void *wq)
{
    queue_work(wq, &a.work);
    queue_work(wq, &b.work);
    begun_in_handler = item_begun(&a) + item_begun(&b);
}

SCENARIO(Q469)
{
    struct workqueue_struct *wq = alloc_workqueue("q69", WQ_BH, 0);

    kit_marks_init(&marks);
    test_work_init_marked(&a, &marks, 'A');
    test_work_init_marked(&b, &marks, 'B');
    a.then = look_around;
    kit_hardirq_on(1, queue_two, wq);
    flush_workqueue(wq);
    answer("inside", begun_in_handler);
    answer_marks("order", &marks);
    answer("hardirq", context.hardirq);
    answer("serving", context.serving);
    answer("cpu", item_cpu(&a, 1));
    destroy_workqueue(wq);
}

SCENARIO(Q489)
{
    struct workqueue_struct *first = alloc_workqueue("q489a", WQ_BH, 0);
    struct workqueue_struct *second = alloc_workqueue("q489b", WQ_BH, 0);

    kit_marks_init(&marks);
    test_work_init_marked(&a, &marks, 'A');
    test_work_init_marked(&b, &marks, 'B');
    test_work_init_marked(&c, &marks, 'C');
    test_work_init_marked(&d, &marks, 'D');
    local_bh_disable();
    queue_work(first, &a.work);
    queue_work(first, &b.work);
    queue_work(first, &c.work);
    queue_work(second, &d.work);
    local_bh_enable();
    flush_workqueue(first);
    flush_workqueue(second);
    answer_marks("order", &marks);
    destroy_workqueue(second);
    destroy_workqueue(first);
}

KIT_GROUP(queues_bh, "queues", KIT_ROW(Q22), KIT_ROW(Q460), KIT_ROW(Q461), KIT_ROW(Q462), KIT_ROW(Q463),
          KIT_ROW(Q464), KIT_ROW(Q465), KIT_ROW(Q466), KIT_ROW(Q467), KIT_ROW(Q468), KIT_ROW(Q469),
          KIT_ROW(Q489));

#endif
