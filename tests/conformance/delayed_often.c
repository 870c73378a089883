// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * Delayed works beyond the table: D478 (cancelled by two threads at once), D479 (flushed by two), D480 (a
 * delay that never ends), D481 (arms and cancels itself), D482 (armed and cancelled in a hard interrupt),
 * D483 (its timer ends while max_active holds its queue), D484 (the system's queue, by schedule), D485 (two
 * that put each other off), D486 (flush_workqueue after the timer has ended), D487 (frees itself), D488
 * (initialises itself anew), D489 (one on each CPU that arms itself), D490 (armed and cancelled by four
 * threads), D491 (modified and flushed by turns), D492 (an ordered queue across CPUs), D493 (queue_work of
 * the work within while it runs).
 */
#include "items.h"

static struct test_dwork a, b;
static struct test_dwork many[4];
static struct test_work blocker;
static struct kit_marks marks;
static struct workqueue_struct *the_queue;

SCENARIO(D478)
{
    struct workqueue_struct *wq = alloc_workqueue("d78", 0, 0);
    struct item_call calls[2] = {{call_cancel_delayed_work_sync, &a.dwork, false},
                                 {call_cancel_delayed_work_sync, &a.dwork, false}};
    struct kit_thread *threads[2];
    int i, round, trues = 0;

    test_dwork_init(&a);
    for (round = 0; round < 10; round++) {
        queue_delayed_work(wq, &a.dwork, LONG_DELAY);
        for (i = 0; i < 2; i++)
            threads[i] = kit_thread_on(1 + i, thread_call, &calls[i]);
        for (i = 0; i < 2; i++) {
            kit_join(threads[i]);
            trues += calls[i].result;
        }
    }
    answer("trues", trues);
    answer("runs", item_begun(&a));
    answer("pending", delayed_work_pending(&a.dwork));
    destroy_workqueue(wq);
}

SCENARIO(D479)
{
    struct workqueue_struct *wq = alloc_workqueue("d79", 0, 0);
    struct item_call call = {call_flush_delayed_work, &a.dwork, false};
    struct item_call second = call;
    struct kit_thread *threads[2];
    int round, behind = 0;

    test_dwork_init(&a);
    for (round = 0; round < 10; round++) {
        queue_delayed_work(wq, &a.dwork, LONG_DELAY);
        threads[0] = kit_thread_on(1, thread_call, &call);
        threads[1] = kit_thread_on(2, thread_call, &second);
        kit_join(threads[0]);
        kit_join(threads[1]);
        behind += item_ended(&a) != round + 1;
    }
    answer("behind", behind);
    answer("runs", item_ended(&a));
    answer("pending", delayed_work_pending(&a.dwork));
    destroy_workqueue(wq);
}

SCENARIO(D480)
{
    struct workqueue_struct *wq = alloc_workqueue("d80", 0, 0);

    test_dwork_init(&a);
    answer("queue", queue_delayed_work(wq, &a.dwork, MAX_JIFFY_OFFSET));
    kit_settle();
    answer("pending", delayed_work_pending(&a.dwork));
    answer("mod", mod_delayed_work(wq, &a.dwork, MAX_JIFFY_OFFSET / 2));
    kit_settle();
    answer("runs", item_begun(&a));
    answer("flush_work", flush_work(&a.dwork.work));
    answer("cancel", cancel_delayed_work_sync(&a.dwork));
    answer("negative", mod_delayed_work(wq, &a.dwork, (unsigned long)-1000));
    item_await_ended(&a, 1);
    flush_workqueue(wq);
    answer("negative_runs", item_ended(&a));
    destroy_workqueue(wq);
}

static int inside_results[3];

static void arm_and_cancel(struct test_dwork *self, int number)
{
    inside_results[0] = queue_delayed_work(the_queue, &self->dwork, LONG_DELAY);
    inside_results[1] = cancel_delayed_work(&self->dwork);
    inside_results[2] = cancel_delayed_work(&self->dwork);
}

SCENARIO(D481)
{
    the_queue = alloc_workqueue("d81", 0, 0);
    test_dwork_init(&a);
    a.then = arm_and_cancel;
    queue_delayed_work(the_queue, &a.dwork, 1);
    item_await_ended(&a, 1);
    flush_workqueue(the_queue);
    answer("queue", inside_results[0]);
    answer("cancel", inside_results[1]);
    answer("again", inside_results[2]);
    answer("pending", delayed_work_pending(&a.dwork));
    answer("runs", item_ended(&a));
    destroy_workqueue(the_queue);
}

static int handler_results[5];

static void arm_in_handler(void *wq)
{
    handler_results[0] = queue_delayed_work(wq, &a.dwork, LONG_DELAY);
    handler_results[1] = queue_delayed_work(wq, &a.dwork, 1);
    handler_results[2] = cancel_delayed_work(&a.dwork);
    handler_results[3] = queue_delayed_work(wq, &a.dwork, 0);
    handler_results[4] = item_begun(&a);
}

SCENARIO(D482)
{
    struct workqueue_struct *wq = alloc_workqueue("d82", 0, 0);

    test_dwork_init(&a);
    kit_hardirq_on(1, arm_in_handler, wq);
    answer("armed", handler_results[0]);
    answer("again", handler_results[1]);
    answer("cancel", handler_results[2]);
    answer("zero", handler_results[3]);
    answer("inside", handler_results[4]);
    flush_workqueue(wq);
    answer("runs", item_ended(&a));
    answer("cpu", item_cpu(&a, 1));
    destroy_workqueue(wq);
}

SCENARIO(D483)
{
    struct workqueue_struct *wq = alloc_workqueue("d83", 0, 1);

    test_work_init_gated(&blocker);
    queue_work_on(1, wq, &blocker.work);
    item_await_begun(&blocker, 1);
    test_dwork_init(&a);
    test_dwork_init(&b);
    queue_delayed_work_on(1, wq, &a.dwork, 1);
    queue_delayed_work_on(1, wq, &b.dwork, 1);
    kit_settle();
    answer("runs_before", item_begun(&a) + item_begun(&b));
    answer("pending", delayed_work_pending(&a.dwork));
    answer("cancel", cancel_delayed_work(&a.dwork));
    item_release(&blocker);
    item_await_ended(&b, 1);
    flush_workqueue(wq);
    answer("a", item_begun(&a));
    answer("b", item_ended(&b));
    destroy_workqueue(wq);
}

SCENARIO(D484)
{
    test_dwork_init(&a);
    answer("schedule", schedule_delayed_work(&a.dwork, LONG_DELAY));
    answer("again", schedule_delayed_work(&a.dwork, 0));
    answer("mod", mod_delayed_work(system_wq, &a.dwork, 1));
    item_await_ended(&a, 1);
    flush_delayed_work(&a.dwork);
    answer("on", schedule_delayed_work_on(2, &a.dwork, 1));
    item_await_ended(&a, 2);
    flush_delayed_work(&a.dwork);
    answer("cpu", item_cpu(&a, 2));
    answer("long", queue_delayed_work(system_long_wq, &a.dwork, 1));
    item_await_ended(&a, 3);
    flush_delayed_work(&a.dwork);
    answer("runs", item_ended(&a));
    answer("cancel", cancel_delayed_work_sync(&a.dwork));
}

static void put_b_off(struct test_dwork *self, int number)
{
    if (number <= 10)
        mod_delayed_work(the_queue, &b.dwork, 1);
}

static void put_a_off(struct test_dwork *self, int number)
{
    if (number <= 10)
        mod_delayed_work(the_queue, &a.dwork, 1);
}

SCENARIO(D485)
{
    the_queue = alloc_workqueue("d85", 0, 0);
    test_dwork_init(&a);
    test_dwork_init(&b);
    a.then = put_b_off;
    b.then = put_a_off;
    queue_delayed_work(the_queue, &a.dwork, 1);
    item_await_ended(&a, 11);
    flush_workqueue(the_queue);
    kit_settle();
    answer("a", item_ended(&a));
    answer("b", item_ended(&b));
    answer("pending", delayed_work_pending(&a.dwork) || delayed_work_pending(&b.dwork));
    destroy_workqueue(the_queue);
}

SCENARIO(D486)
{
    struct workqueue_struct *wq = alloc_ordered_workqueue("d86", 0);
    struct kit_thread *flush;

    test_work_init_gated(&blocker);
    queue_work(wq, &blocker.work);
    item_await_begun(&blocker, 1);
    test_dwork_init(&a);
    test_dwork_init(&b);
    queue_delayed_work(wq, &a.dwork, (unsigned long)-1);
    queue_delayed_work(wq, &b.dwork, LONG_DELAY);
    msleep(100);
    flush = kit_thread_on(3, thread_flush_workqueue, wq);
    answer("waits", still_waits(flush));
    item_release(&blocker);
    kit_join(flush);
    answer("ended", item_ended(&a));
    answer("armed", item_begun(&b));
    answer("cancel", cancel_delayed_work(&b.dwork));
    destroy_workqueue(wq);
}

static atomic_t freed;

struct in_memory {
    struct delayed_work dwork;
    unsigned long filled[8];
};

static void free_itself(struct work_struct *work)
{
    struct in_memory *self = container_of(to_delayed_work(work), struct in_memory, dwork);

    memset(self, 0x5a, sizeof(*self));
    kfree(self);
    atomic_inc(&freed);
}

SCENARIO(D487)
{
    struct workqueue_struct *wq = alloc_workqueue("d87", 0, 0);
    unsigned int i;

    atomic_set(&freed, 0);
    for (i = 0; i < 16; i++) {
        struct in_memory *self = kzalloc(sizeof(*self), GFP_KERNEL);

        if (!self)
            break;
        INIT_DELAYED_WORK(&self->dwork, free_itself);
        queue_delayed_work_on((int)(i % 4), wq, &self->dwork, i % 3);
    }
    kit_wait_until(atomic_read(&freed) == 16);
    destroy_workqueue(wq);
    answer("freed", atomic_read(&freed));
}

static atomic_t other_runs;

static void count_other(struct work_struct *work)
{
    atomic_inc(&other_runs);
}

static void init_anew(struct test_dwork *self, int number)
{
    INIT_DELAYED_WORK(&self->dwork, count_other);
    queue_delayed_work_on(0, the_queue, &self->dwork, 1);
}

SCENARIO(D488)
{
    the_queue = alloc_workqueue("d88", 0, 0);
    atomic_set(&other_runs, 0);
    test_dwork_init(&a);
    a.then = init_anew;
    queue_delayed_work_on(0, the_queue, &a.dwork, 1);
    kit_wait_until(atomic_read(&other_runs) == 1);
    flush_workqueue(the_queue);
    answer("runs", item_ended(&a));
    answer("other_runs", atomic_read(&other_runs));
    answer("pending", delayed_work_pending(&a.dwork));
    destroy_workqueue(the_queue);
}

static void arm_again_here(struct test_dwork *self, int number)
{
    queue_delayed_work_on((int)(self - many), the_queue, &self->dwork, 1);
}

SCENARIO(D489)
{
    int cpu, runs = 0, more = 0, right = 0, most = 0;

    the_queue = alloc_workqueue("d89", 0, 0);
    for (cpu = 0; cpu < 4; cpu++) {
        test_dwork_init(&many[cpu]);
        many[cpu].then = arm_again_here;
        queue_delayed_work_on(cpu, the_queue, &many[cpu].dwork, 1);
    }
    for (cpu = 0; cpu < 4; cpu++)
        item_await_ended(&many[cpu], 4);
    for (cpu = 0; cpu < 4; cpu++) {
        cancel_delayed_work_sync(&many[cpu].dwork);
        runs += item_begun(&many[cpu]);
        right += item_cpu(&many[cpu], 4) == cpu;
        most = max(most, item_most(&many[cpu]));
    }
    kit_settle();
    for (cpu = 0; cpu < 4; cpu++)
        more += item_begun(&many[cpu]);
    answer("right", right);
    answer("most", most);
    answer("more", more - runs);
    destroy_workqueue(the_queue);
}

static atomic_t accepted, taken_back;

static void arm_and_take_back(void *wq)
{
    int i;

    for (i = 0; i < 200; i++) {
        atomic_add(queue_delayed_work(wq, &a.dwork, (unsigned long)(i % 4)), &accepted);
        atomic_add(cancel_delayed_work_sync(&a.dwork), &taken_back);
    }
}

SCENARIO(D490)
{
    struct workqueue_struct *wq = alloc_workqueue("d90", 0, 0);
    struct kit_thread *threads[4];
    int cpu;

    atomic_set(&accepted, 0);
    atomic_set(&taken_back, 0);
    test_dwork_init(&a);
    for (cpu = 0; cpu < 4; cpu++)
        threads[cpu] = kit_thread_on(cpu, arm_and_take_back, wq);
    for (cpu = 0; cpu < 4; cpu++)
        kit_join(threads[cpu]);
    answer("lost", atomic_read(&accepted) - atomic_read(&taken_back) - item_ended(&a));
    answer("pending", delayed_work_pending(&a.dwork));
    answer("inside", item_inside(&a));
    destroy_workqueue(wq);
}

SCENARIO(D491)
{
    struct workqueue_struct *wq = alloc_workqueue("d91", 0, 0);
    int i, behind = 0;

    test_dwork_init(&a);
    for (i = 0; i < 50; i++) {
        mod_delayed_work(wq, &a.dwork, (unsigned long)(i % 3 * 1000));
        flush_delayed_work(&a.dwork);
        behind += item_ended(&a) != i + 1;
    }
    answer("behind", behind);
    answer("runs", item_ended(&a));
    destroy_workqueue(wq);
}

SCENARIO(D492)
{
    struct workqueue_struct *wq = alloc_ordered_workqueue("d92", 0);
    int cpu;

    kit_marks_init(&marks);
    for (cpu = 0; cpu < 4; cpu++) {
        test_dwork_init_marked(&many[cpu], &marks, (char)('A' + cpu));
        queue_delayed_work_on(cpu, wq, &many[cpu].dwork, 50 * (4 - (unsigned int)cpu));
    }
    for (cpu = 0; cpu < 4; cpu++)
        item_await_ended(&many[cpu], 1);
    flush_workqueue(wq);
    answer_marks("order", &marks);
    destroy_workqueue(wq);
}

SCENARIO(D493)
{
    struct workqueue_struct *wq = alloc_workqueue("d93", 0, 0);

    test_dwork_init_gated(&a);
    queue_work(wq, &a.dwork.work);
    item_await_begun(&a, 1);
    answer("queue_work", queue_work(wq, &a.dwork.work));
    answer("delayed", queue_delayed_work(wq, &a.dwork, 1));
    answer("mod", mod_delayed_work(wq, &a.dwork, LONG_DELAY));
    answer("queue_work_again", queue_work(wq, &a.dwork.work));
    answer("cancel", cancel_delayed_work(&a.dwork));
    item_release(&a);
    flush_workqueue(wq);
    answer("runs", item_ended(&a));
    destroy_workqueue(wq);
}

KIT_GROUP(delayed_often, "delayed", KIT_ROW(D478), KIT_ROW(D479), KIT_ROW(D480), KIT_ROW(D481),
          KIT_ROW(D482), KIT_ROW(D483), KIT_ROW(D484), KIT_ROW(D485), KIT_ROW(D486), KIT_ROW(D487),
          KIT_ROW(D488), KIT_ROW(D489), KIT_ROW(D490), KIT_ROW(D491), KIT_ROW(D492), KIT_ROW(D493));
