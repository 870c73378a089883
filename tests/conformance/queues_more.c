// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * Workqueues beyond the table: Q453 (max_active lowered while three run), Q454 (max_active of an unbound
 * queue set later), Q455 (it counts on each CPU), Q456 (a freezable queue that is not frozen), Q457 (drain
 * leaves armed works alone), Q458 (destroy while a work queues on another queue), Q459 (an ordered queue
 * from a thread, a hard interrupt and with bottom halves off), Q470 (cancel and requeue in an ordered
 * queue), Q471 (an ordered queue holds up nobody else), Q472 (flush covers what max_active holds back), Q473
 * (two flushes with a work in between).
 */
#include "items.h"

static struct test_work a, b, c, d, e;
static struct test_dwork armed;
static struct test_work many[6];
static struct kit_marks marks;

static int many_inside(int from, int to)
{
    int i, inside = 0;

    for (i = from; i < to; i++)
        inside += item_inside(&many[i]);
    return inside;
}

static int many_ended(int count)
{
    int i, ended = 0;

    for (i = 0; i < count; i++)
        ended += item_ended(&many[i]);
    return ended;
}

static void release_many(int count)
{
    int i;

    for (i = 0; i < count; i++)
        item_release(&many[i]);
}

SCENARIO(Q453)
{
    struct workqueue_struct *wq = alloc_workqueue("q53", 0, 3);
    int i;

    for (i = 0; i < 5; i++) {
        test_work_init_gated(&many[i]);
        queue_work_on(1, wq, &many[i].work);
    }
    kit_wait_until(many_inside(0, 3) == 3);
    workqueue_set_max_active(wq, 1);
    kit_settle();
    answer("running", many_inside(0, 5));
    item_release(&many[0]);
    item_release(&many[1]);
    kit_wait_until(many_inside(0, 3) == 1);
    kit_settle();
    answer("held", many_inside(3, 5));
    item_release(&many[2]);
    item_await_begun(&many[3], 1);
    kit_settle();
    answer("next", many_inside(0, 5));
    answer("last", item_begun(&many[4]));
    release_many(5);
    flush_workqueue(wq);
    answer("runs", many_ended(5));
    destroy_workqueue(wq);
}

SCENARIO(Q454)
{
    struct workqueue_struct *wq = alloc_workqueue("q54", WQ_UNBOUND, 2);
    int i;

    for (i = 0; i < 4; i++) {
        test_work_init_gated(&many[i]);
        queue_work(wq, &many[i].work);
    }
    kit_wait_until(many_inside(0, 4) == 2);
    kit_settle();
    answer("running", many_inside(0, 4));
    workqueue_set_max_active(wq, 3);
    kit_wait_until(many_inside(0, 4) == 3);
    kit_settle();
    answer("raised", many_inside(0, 4));
    release_many(4);
    flush_workqueue(wq);
    answer("runs", many_ended(4));
    destroy_workqueue(wq);
}

SCENARIO(Q455)
{
    struct workqueue_struct *wq = alloc_workqueue("q55", 0, 1);
    int i;

    for (i = 0; i < 6; i++) {
        test_work_init_gated(&many[i]);
        queue_work_on(1 + i % 2, wq, &many[i].work);
    }
    kit_wait_until(many_inside(0, 6) == 2);
    kit_settle();
    answer("running", many_inside(0, 6));
    workqueue_set_max_active(wq, 2);
    kit_wait_until(many_inside(0, 6) == 4);
    kit_settle();
    answer("raised", many_inside(0, 6));
    release_many(6);
    flush_workqueue(wq);
    answer("runs", many_ended(6));
    destroy_workqueue(wq);
}

SCENARIO(Q456)
{
    struct workqueue_struct *wq = alloc_workqueue("q56", WQ_FREEZABLE, 0);
    struct workqueue_struct *created = create_freezable_workqueue("q56c");

    test_work_init(&a);
    test_work_init_gated(&b);
    test_work_init(&c);
    answer("queued", queue_work(wq, &a.work));
    flush_workqueue(wq);
    answer("runs", item_ended(&a));
    queue_work_on(1, created, &b.work);
    item_await_begun(&b, 1);
    queue_work_on(2, created, &c.work);
    kit_settle();
    answer("beside", item_begun(&c));
    item_release(&b);
    flush_workqueue(created);
    answer("created_runs", item_ended(&b) + item_ended(&c));
    destroy_workqueue(created);
    destroy_workqueue(wq);
}

SCENARIO(Q457)
{
    struct workqueue_struct *wq = alloc_workqueue("q57", 0, 0);

    test_dwork_init(&armed);
    test_work_init(&a);
    queue_delayed_work(wq, &armed.dwork, LONG_DELAY);
    queue_work(wq, &a.work);
    drain_workqueue(wq);
    answer("runs", item_ended(&a));
    answer("armed_runs", item_begun(&armed));
    answer("pending", delayed_work_pending(&armed.dwork));
    answer("moved", mod_delayed_work(wq, &armed.dwork, 1));
    item_await_ended(&armed, 1);
    flush_workqueue(wq);
    answer("after", item_ended(&armed));
    destroy_workqueue(wq);
}

static struct workqueue_struct *other_queue;

static void queue_b_elsewhere(struct test_work *self, int number)
{
    queue_work(other_queue, &b.work);
}

SCENARIO(Q458)
{
    struct workqueue_struct *wq = alloc_workqueue("q58", 0, 0);
    struct kit_thread *destroy;

    other_queue = alloc_workqueue("q58o", 0, 0);
    test_work_init_gated(&a);
    test_work_init_gated(&b);
    a.then = queue_b_elsewhere;
    queue_work(wq, &a.work);
    item_await_begun(&a, 1);
    destroy = kit_thread_on(3, thread_destroy_workqueue, wq);
    answer("waits", still_waits(destroy));
    item_release(&a);
    kit_join(destroy);
    answer("a", item_ended(&a));
    item_await_begun(&b, 1);
    answer("b_inside", item_inside(&b));
    item_release(&b);
    destroy_workqueue(other_queue);
    answer("b", item_ended(&b));
}

static void queue_a_and_b(void *wq)
{
    queue_work(wq, &a.work);
    queue_work(wq, &b.work);
}

static void queue_c_with_bh_off(void *wq)
{
    local_bh_disable();
    queue_work(wq, &c.work);
    local_bh_enable();
}

SCENARIO(Q459)
{
    struct workqueue_struct *wq = alloc_ordered_workqueue("q59", 0);

    kit_marks_init(&marks);
    test_work_init_marked(&a, &marks, 'A');
    test_work_init_marked(&b, &marks, 'B');
    test_work_init_marked(&c, &marks, 'C');
    test_work_init_marked(&d, &marks, 'D');
    test_work_init_gated(&e);
    queue_work(wq, &e.work);
    kit_hardirq_on(1, queue_a_and_b, wq);
    kit_run_on(2, queue_c_with_bh_off, wq);
    queue_work_on(3, wq, &d.work);
    item_release(&e);
    flush_workqueue(wq);
    answer_marks("order", &marks);
    destroy_workqueue(wq);
}

SCENARIO(Q470)
{
    struct workqueue_struct *wq = alloc_ordered_workqueue("q70", 0);

    kit_marks_init(&marks);
    test_work_init_marked(&a, &marks, 'A');
    test_work_init_marked(&b, &marks, 'B');
    test_work_init_marked(&c, &marks, 'C');
    test_work_init_marked(&d, &marks, 'D');
    a.run.is_gated = true;
    queue_work(wq, &a.work);
    item_await_begun(&a, 1);
    queue_work(wq, &b.work);
    queue_work(wq, &c.work);
    queue_work(wq, &d.work);
    answer("cancel", cancel_work(&b.work));
    answer("again", queue_work(wq, &b.work));
    answer("cancel_sync", cancel_work_sync(&c.work));
    item_release(&a);
    flush_workqueue(wq);
    answer_marks("order", &marks);
    destroy_workqueue(wq);
}

SCENARIO(Q471)
{
    struct workqueue_struct *wq = alloc_ordered_workqueue("q71", 0);
    struct workqueue_struct *other = alloc_ordered_workqueue("q71o", WQ_MEM_RECLAIM);
    struct workqueue_struct *bound = alloc_workqueue("q71b", 0, 1);

    test_work_init_gated(&a);
    test_work_init(&b);
    test_work_init(&c);
    test_work_init(&d);
    queue_work(wq, &a.work);
    item_await_begun(&a, 1);
    queue_work(wq, &b.work);
    queue_work(other, &c.work);
    queue_work(bound, &d.work);
    flush_workqueue(other);
    flush_workqueue(bound);
    answer("other", item_ended(&c));
    answer("bound", item_ended(&d));
    answer("behind", item_begun(&b));
    item_release(&a);
    destroy_workqueue(wq);
    answer("at_end", item_ended(&b));
    destroy_workqueue(other);
    destroy_workqueue(bound);
}

SCENARIO(Q472)
{
    struct workqueue_struct *wq = alloc_workqueue("q72", 0, 1);
    struct kit_thread *flush;
    int i;

    for (i = 0; i < 5; i++) {
        test_work_init_gated(&many[i]);
        queue_work_on(1, wq, &many[i].work);
    }
    item_await_begun(&many[0], 1);
    flush = kit_thread_on(3, thread_flush_workqueue, wq);
    answer("waits", still_waits(flush));
    answer("cancel_held", cancel_work(&many[2].work));
    for (i = 0; i < 4; i++)
        item_release(&many[i]);
    item_await_begun(&many[4], 1);
    answer("last_waits", still_waits(flush));
    item_release(&many[4]);
    kit_join(flush);
    answer("runs", many_ended(5));
    destroy_workqueue(wq);
}

SCENARIO(Q473)
{
    struct workqueue_struct *wq = alloc_workqueue("q73", 0, 0);
    struct kit_thread *first, *second;

    test_work_init_gated(&a);
    test_work_init_gated(&b);
    queue_work_on(1, wq, &a.work);
    first = kit_thread_on(3, thread_flush_workqueue, wq);
    answer("first_waits", still_waits(first));
    queue_work_on(2, wq, &b.work);
    second = kit_thread_on(2, thread_flush_workqueue, wq);
    answer("second_waits", still_waits(second));
    item_release(&a);
    kit_join(first);
    answer("second_still", still_waits(second));
    answer("b_ended", item_ended(&b));
    item_release(&b);
    kit_join(second);
    answer("ended", item_ended(&a) + item_ended(&b));
    destroy_workqueue(wq);
}

KIT_GROUP(queues_more, "queues", KIT_ROW(Q453), KIT_ROW(Q454), KIT_ROW(Q455), KIT_ROW(Q456), KIT_ROW(Q457),
          KIT_ROW(Q458), KIT_ROW(Q459), KIT_ROW(Q470), KIT_ROW(Q471), KIT_ROW(Q472), KIT_ROW(Q473));
