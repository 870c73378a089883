// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * Workqueues beyond the table: Q474 (two drains at once, and use after them), Q475 (drain of a chain of
 * works), Q477 (destroy with works of every CPU), Q478 (the system's queues), Q479 (a work flushes, drains
 * and destroys another queue), Q480 (a work flushes another one of its queue), Q481 (the constants), Q482
 * (flush returns under a producer), Q483 (highpri works run on the CPU they are queued for), Q484 (on an
 * unbound queue the CPU is a hint), Q485 (works of one CPU start in their order), Q486 (a flush covers each
 * CPU), Q487 (what is queued on a queue after its drain began by its own works, several at a time), Q488
 * (forty queues at once).
 */
#include "items.h"

static struct test_work a, b, c, d;
static struct test_work many[48];
static struct kit_marks marks;
static struct workqueue_struct *the_queue, *other_queue;

static int many_ended(int count)
{
    int i, ended = 0;

    for (i = 0; i < count; i++)
        ended += item_ended(&many[i]);
    return ended;
}

SCENARIO(Q474)
{
    struct workqueue_struct *wq = alloc_workqueue("q74", 0, 0);
    struct kit_thread *first, *second;

    drain_workqueue(wq);
    test_work_init_gated(&a);
    queue_work(wq, &a.work);
    item_await_begun(&a, 1);
    first = kit_thread_on(2, thread_drain_workqueue, wq);
    second = kit_thread_on(3, thread_drain_workqueue, wq);
    answer("first_waits", still_waits(first));
    answer("second_waits", still_waits(second));
    item_release(&a);
    kit_join(first);
    kit_join(second);
    answer("again", queue_work(wq, &a.work));
    flush_workqueue(wq);
    answer("runs", item_ended(&a));
    destroy_workqueue(wq);
}

/* All on one CPU: Linux looks at one after the other, and may take a chain that hops for drained. */
static void queue_b(struct test_work *self, int number)
{
    queue_work(the_queue, &b.work);
}

static void queue_c(struct test_work *self, int number)
{
    queue_work(the_queue, &c.work);
}

static void queue_a_again(struct test_work *self, int number)
{
    if (number == 1)
        queue_work(the_queue, &a.work);
}

SCENARIO(Q475)
{
    struct kit_thread *drain;

    the_queue = alloc_workqueue("q75", 0, 0);
    test_work_init_gated(&a);
    test_work_init(&b);
    test_work_init(&c);
    a.then = queue_b;
    b.then = queue_c;
    c.then = queue_a_again;
    queue_work_on(1, the_queue, &a.work);
    item_await_begun(&a, 1);
    drain = kit_thread_on(3, thread_drain_workqueue, the_queue);
    answer("waits", still_waits(drain));
    item_release(&a);
    kit_join(drain);
    answer("a", item_ended(&a));
    answer("b", item_ended(&b));
    answer("c", item_ended(&c));
    destroy_workqueue(the_queue);
}

static void queue_quarter(void *first)
{
    struct test_work *item = first;
    int i;

    for (i = 0; i < 12; i++)
        queue_work(the_queue, &item[i].work);
}

SCENARIO(Q477)
{
    int i;

    the_queue = alloc_workqueue("q77", 0, 1);
    for (i = 0; i < 48; i++)
        test_work_init(&many[i]);
    for (i = 0; i < 4; i++)
        kit_run_on(i, queue_quarter, &many[12 * i]);
    destroy_workqueue(the_queue);
    answer("runs", many_ended(48));
}

SCENARIO(Q478)
{
    struct workqueue_struct *queues[] = {system_wq, system_highpri_wq, system_long_wq, system_unbound_wq,
                                         system_freezable_wq, system_power_efficient_wq,
                                         system_freezable_power_efficient_wq};
    unsigned int i;
    int queued = 0, waited = 0;

    for (i = 0; i < ARRAY_SIZE(queues); i++) {
        test_work_init_gated(&many[i]);
        queued += queue_work(queues[i], &many[i].work);
    }
    for (i = 0; i < ARRAY_SIZE(queues); i++)
        item_await_begun(&many[i], 1);
    for (i = 0; i < ARRAY_SIZE(queues); i++) {
        item_release(&many[i]);
        flush_work(&many[i].work);
        waited += item_ended(&many[i]);
    }
    answer("queued", queued);
    answer("ended", waited);
    test_work_init(&a);
    answer("schedule", schedule_work(&a.work));
    flush_work(&a.work);
    answer("schedule_on", schedule_work_on(2, &a.work));
    flush_work(&a.work);
    answer("runs", item_ended(&a));
    answer("cpu", item_cpu(&a, 2));
}

static void flush_drain_destroy(struct test_work *self, int number)
{
    flush_workqueue(other_queue);
    kit_mark(&marks, 'f');
    queue_work(other_queue, &c.work);
    drain_workqueue(other_queue);
    kit_mark(&marks, 'd');
    queue_work(other_queue, &d.work);
    destroy_workqueue(other_queue);
    kit_mark(&marks, 'x');
}

SCENARIO(Q479)
{
    struct workqueue_struct *wq = alloc_ordered_workqueue("q79", 0);

    other_queue = alloc_ordered_workqueue("q79o", 0);
    kit_marks_init(&marks);
    test_work_init_marked(&a, &marks, 'A');
    test_work_init_marked(&b, &marks, 'B');
    test_work_init_marked(&c, &marks, 'C');
    test_work_init_marked(&d, &marks, 'D');
    b.run.is_gated = true;
    a.then = flush_drain_destroy;
    queue_work(other_queue, &b.work);
    item_await_begun(&b, 1);
    queue_work(wq, &a.work);
    item_await_begun(&a, 1);
    kit_settle();
    answer("ended_early", item_ended(&a));
    item_release(&b);
    flush_workqueue(wq);
    answer_marks("order", &marks);
    destroy_workqueue(wq);
}

static int flushed;

static void flush_b(struct test_work *self, int number)
{
    flushed = flush_work(&b.work);
}

SCENARIO(Q480)
{
    struct workqueue_struct *wq = alloc_workqueue("q80", 0, 2);

    flushed = -1;
    test_work_init(&a);
    test_work_init_gated(&b);
    a.then = flush_b;
    queue_work_on(1, wq, &b.work);
    item_await_begun(&b, 1);
    queue_work_on(1, wq, &a.work);
    item_await_begun(&a, 1);
    kit_settle();
    answer("ended_early", item_ended(&a));
    item_release(&b);
    flush_work(&a.work);
    answer("flush", flushed);
    answer("b", item_ended(&b));
    destroy_workqueue(wq);
}

SCENARIO(Q481)
{
    answer("unbound", WQ_UNBOUND);
    answer("freezable", WQ_FREEZABLE);
    answer("mem_reclaim", WQ_MEM_RECLAIM);
    answer("highpri", WQ_HIGHPRI);
    answer("cpu_intensive", WQ_CPU_INTENSIVE);
    answer("sysfs", WQ_SYSFS);
    answer("power_efficient", WQ_POWER_EFFICIENT);
    answer("max_active", WQ_MAX_ACTIVE);
    answer("unbound_max_active", WQ_UNBOUND_MAX_ACTIVE);
    answer("dfl_active", WQ_DFL_ACTIVE);
    answer("busy_pending", WORK_BUSY_PENDING);
    answer("busy_running", WORK_BUSY_RUNNING);
    answer("pending_bit", WORK_STRUCT_PENDING_BIT);
    answer("cpu_unbound_is_no_cpu", WORK_CPU_UNBOUND >= (int)num_online_cpus());
}

static atomic_t stop;

/* Keeps the queue busy, with two works in turn, until it is told to stop. */
static void produce(void *wq)
{
    int i;

    for (i = 0; !atomic_read(&stop) && !kit_is_hung(); i++) {
        queue_work(wq, i % 2 ? &a.work : &b.work);
        if (i % 8 == 7)
            msleep(1);
    }
}

SCENARIO(Q482)
{
    struct workqueue_struct *wq = alloc_workqueue("q82", 0, 0);
    struct kit_thread *producer;
    int i, before, covered = 0;

    atomic_set(&stop, 0);
    test_work_init(&a);
    test_work_init(&b);
    test_work_init(&c);
    producer = kit_thread_on(2, produce, wq);
    item_await_begun(&a, 1);
    for (i = 0; i < 10; i++) {
        before = item_ended(&c);
        queue_work(wq, &c.work);
        flush_workqueue(wq);
        covered += item_ended(&c) == before + 1;
    }
    atomic_set(&stop, 1);
    kit_join(producer);
    destroy_workqueue(wq);
    answer("covered", covered);
    answer("most", item_most(&a) == 1 && item_most(&b) == 1);
}

SCENARIO(Q483)
{
    struct workqueue_struct *wq = alloc_workqueue("q83", WQ_HIGHPRI | WQ_MEM_RECLAIM, 0);
    int i, right = 0;

    for (i = 0; i < 4; i++) {
        test_work_init(&many[i]);
        queue_work_on(i, wq, &many[i].work);
    }
    flush_workqueue(wq);
    for (i = 0; i < 4; i++)
        right += item_cpu(&many[i], 1) == i;
    answer("right", right);
    destroy_workqueue(wq);
}

SCENARIO(Q484)
{
    struct workqueue_struct *wq = alloc_workqueue("q84", WQ_UNBOUND | WQ_HIGHPRI, 0);
    int i;

    for (i = 0; i < 8; i++) {
        test_work_init(&many[i]);
        queue_work_on(i % 4, wq, &many[i].work);
    }
    flush_workqueue(wq);
    answer("runs", many_ended(8));
    destroy_workqueue(wq);
}

SCENARIO(Q485)
{
    struct workqueue_struct *wq = alloc_workqueue("q85", 0, 1);
    int i;

    kit_marks_init(&marks);
    for (i = 0; i < 8; i++) {
        test_work_init_marked(&many[i], &marks, (char)('A' + i));
        many[i].run.is_gated = i == 0;
        queue_work_on(1, wq, &many[i].work);
    }
    item_release(&many[0]);
    flush_workqueue(wq);
    answer_marks("order", &marks);
    destroy_workqueue(wq);
}

SCENARIO(Q486)
{
    struct workqueue_struct *wq = alloc_workqueue("q86", 0, 0);
    struct kit_thread *flush;
    int i, early = 0;

    for (i = 0; i < 4; i++) {
        test_work_init_gated(&many[i]);
        queue_work_on(i, wq, &many[i].work);
    }
    flush = kit_thread_on(0, thread_flush_workqueue, wq);
    for (i = 0; i < 4; i++) {
        early += !still_waits(flush);
        item_release(&many[i]);
    }
    kit_join(flush);
    answer("early", early);
    answer("ended", many_ended(4));
    destroy_workqueue(wq);
}

/* Queues the two works that follow in a binary tree, on the same CPU. */
static void queue_children(struct test_work *self, int number)
{
    long at = self - many;

    if (2 * at + 2 < 31) {
        queue_work(the_queue, &many[2 * at + 1].work);
        queue_work(the_queue, &many[2 * at + 2].work);
    }
}

SCENARIO(Q487)
{
    int i;

    the_queue = alloc_workqueue("q87", 0, 0);
    for (i = 0; i < 31; i++) {
        test_work_init(&many[i]);
        many[i].then = queue_children;
    }
    queue_work(the_queue, &many[0].work);
    drain_workqueue(the_queue);
    answer("drained", many_ended(31));
    queue_work(the_queue, &many[0].work);
    destroy_workqueue(the_queue);
    answer("destroyed", many_ended(31));
}

SCENARIO(Q488)
{
    static struct workqueue_struct *queues[40];
    int i, made = 0;

    for (i = 0; i < 40; i++) {
        queues[i] = alloc_workqueue("q88/%d-%s", i % 2 ? WQ_UNBOUND : 0, 1, i, "many");
        made += queues[i] != NULL;
        test_work_init(&many[i]);
        queue_work(queues[i], &many[i].work);
    }
    for (i = 0; i < 40; i++)
        destroy_workqueue(queues[i]);
    answer("made", made);
    answer("runs", many_ended(40));
}

KIT_GROUP(queues_waits, "queues", KIT_ROW(Q474), KIT_ROW(Q475), KIT_ROW(Q477), KIT_ROW(Q478), KIT_ROW(Q479),
          KIT_ROW(Q480), KIT_ROW(Q481), KIT_ROW(Q482), KIT_ROW(Q483), KIT_ROW(Q484), KIT_ROW(Q485),
          KIT_ROW(Q486), KIT_ROW(Q487), KIT_ROW(Q488));
