// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * Delayed works beyond the table: D466 (a delay of 0 among queue_work), D467 (mod with 0 of an armed one
 * goes to the tail), D468 (mod in a hard interrupt), D469 (queue_delayed_work_on in a work), D470
 * (flush_delayed_work of one that arms itself), D471 (the first queue counts), D472 (arms itself five
 * times), D473 (the last of several mods counts), D474 (put off), D475 (many delays, none early), D476
 * (static initialisers, deferrable), D477 (on the stack).
 */
#include "items.h"

static struct test_dwork a, b, c;
static struct test_dwork many[20];
static struct test_work blocker, plain;
static struct kit_marks marks;
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

SCENARIO(D466)
{
    struct workqueue_struct *wq = blocked_queue("d66");

    kit_marks_init(&marks);
    test_dwork_init_marked(&a, &marks, 'A');
    test_work_init_marked(&plain, &marks, 'P');
    test_dwork_init_marked(&b, &marks, 'B');
    test_dwork_init_marked(&c, &marks, 'C');
    queue_delayed_work(wq, &a.dwork, 0);
    queue_work(wq, &plain.work);
    mod_delayed_work(wq, &b.dwork, 0);
    queue_work(wq, &c.dwork.work);
    item_release(&blocker);
    flush_workqueue(wq);
    answer_marks("order", &marks);
    destroy_workqueue(wq);
}

SCENARIO(D467)
{
    struct workqueue_struct *wq = blocked_queue("d67");

    kit_marks_init(&marks);
    test_dwork_init_marked(&a, &marks, 'A');
    test_dwork_init_marked(&b, &marks, 'B');
    test_dwork_init_marked(&c, &marks, 'C');
    queue_delayed_work(wq, &a.dwork, LONG_DELAY);
    queue_delayed_work(wq, &b.dwork, 0);
    answer("mod", mod_delayed_work(wq, &a.dwork, 0));
    queue_delayed_work(wq, &c.dwork, 0);
    item_release(&blocker);
    flush_workqueue(wq);
    answer_marks("order", &marks);
    answer("pending", delayed_work_pending(&a.dwork));
    destroy_workqueue(wq);
}

static unsigned long handler_delay;
static int handler_result;

static void mod_in_handler(void *wq)
{
    handler_result = mod_delayed_work(wq, &a.dwork, handler_delay);
}

static int mod_from_interrupt(struct workqueue_struct *wq, unsigned long delay)
{
    handler_delay = delay;
    kit_hardirq_on(2, mod_in_handler, wq);
    return handler_result;
}

SCENARIO(D468)
{
    struct workqueue_struct *wq = alloc_workqueue("d68", 0, 0);
    struct workqueue_struct *blocked = blocked_queue("d68b");

    test_dwork_init(&a);
    answer("idle", mod_from_interrupt(wq, LONG_DELAY));
    answer("armed", mod_from_interrupt(wq, 2 * LONG_DELAY));
    answer("to_zero", mod_from_interrupt(blocked, 0));
    answer("queued", mod_from_interrupt(blocked, 0));
    answer("runs_before", item_begun(&a));
    answer("elsewhere", mod_from_interrupt(wq, 0));
    flush_workqueue(wq);
    answer("runs", item_ended(&a));
    test_dwork_init_gated(&a);
    queue_delayed_work(wq, &a.dwork, 0);
    item_await_begun(&a, 1);
    answer("running", mod_from_interrupt(wq, LONG_DELAY));
    answer("running_armed", mod_from_interrupt(wq, 0));
    item_release(&a);
    flush_workqueue(wq);
    answer("running_runs", item_ended(&a));
    item_release(&blocker);
    destroy_workqueue(blocked);
    destroy_workqueue(wq);
}

static void arm_b_on_cpu_2(struct test_dwork *self, int number)
{
    handler_result = queue_delayed_work_on(2, the_queue, &b.dwork, 2);
}

SCENARIO(D469)
{
    the_queue = alloc_workqueue("d69", 0, 0);
    test_dwork_init(&a);
    test_dwork_init(&b);
    a.then = arm_b_on_cpu_2;
    queue_delayed_work_on(1, the_queue, &a.dwork, 0);
    item_await_ended(&b, 1);
    answer("result", handler_result);
    answer("a_cpu", item_cpu(&a, 1));
    answer("b_cpu", item_cpu(&b, 1));
    flush_workqueue(the_queue);
    answer("zero_on", queue_delayed_work_on(3, the_queue, &b.dwork, 0));
    item_await_ended(&b, 2);
    answer("zero_cpu", item_cpu(&b, 2));
    destroy_workqueue(the_queue);
}

static void arm_long(struct test_dwork *self, int number)
{
    queue_delayed_work(the_queue, &self->dwork, LONG_DELAY);
}

SCENARIO(D470)
{
    the_queue = alloc_workqueue("d70", 0, 0);
    test_dwork_init(&a);
    a.then = arm_long;
    queue_delayed_work(the_queue, &a.dwork, LONG_DELAY);
    flush_delayed_work(&a.dwork);
    answer("first", item_ended(&a));
    flush_delayed_work(&a.dwork);
    answer("second", item_ended(&a));
    answer("pending", delayed_work_pending(&a.dwork));
    answer("cancel", cancel_delayed_work_sync(&a.dwork));
    answer("runs", item_begun(&a));
    destroy_workqueue(the_queue);
}

SCENARIO(D471)
{
    struct workqueue_struct *wq = alloc_workqueue("d71", 0, 0);
    struct workqueue_struct *blocked = blocked_queue("d71b");

    test_dwork_init(&a);
    queue_delayed_work(blocked, &a.dwork, 1);
    answer("other", queue_delayed_work(wq, &a.dwork, 0));
    kit_settle();
    answer("other_work", queue_work(wq, &a.dwork.work));
    flush_workqueue(wq);
    answer("runs_before", item_begun(&a));
    answer("pending", delayed_work_pending(&a.dwork));
    item_release(&blocker);
    flush_workqueue(blocked);
    answer("runs", item_ended(&a));
    destroy_workqueue(blocked);
    destroy_workqueue(wq);
}

static unsigned long again_delay;

static void arm_five_times(struct test_dwork *self, int number)
{
    if (number <= 5)
        queue_delayed_work(the_queue, &self->dwork, again_delay);
}

SCENARIO(D472)
{
    unsigned long delay;

    the_queue = alloc_workqueue("d72", 0, 0);
    for (delay = 0; delay < 2; delay++) {
        again_delay = delay;
        test_dwork_init(&a);
        a.then = arm_five_times;
        queue_delayed_work(the_queue, &a.dwork, delay);
        item_await_ended(&a, 6);
        flush_workqueue(the_queue);
        kit_settle();
        answer(delay ? "one_runs" : "zero_runs", item_ended(&a));
        answer(delay ? "one_most" : "zero_most", item_most(&a));
        answer(delay ? "one_pending" : "zero_pending", delayed_work_pending(&a.dwork));
    }
    destroy_workqueue(the_queue);
}

SCENARIO(D473)
{
    struct workqueue_struct *wq = alloc_workqueue("d73", 0, 0);
    int i, trues = 0;

    test_dwork_init(&a);
    for (i = 0; i < 50; i++)
        trues += mod_delayed_work_on(i % 4, wq, &a.dwork, LONG_DELAY - 100ul * (unsigned int)i);
    trues += mod_delayed_work_on(2, wq, &a.dwork, 1);
    item_await_ended(&a, 1);
    kit_settle();
    answer("trues", trues);
    answer("runs", item_ended(&a));
    answer("cpu", item_cpu(&a, 1));
    destroy_workqueue(wq);
}

SCENARIO(D474)
{
    struct workqueue_struct *wq = alloc_workqueue("d74", 0, 0);

    test_dwork_init(&a);
    local_bh_disable();
    queue_delayed_work_on(0, wq, &a.dwork, 20);
    answer("mod", mod_delayed_work_on(0, wq, &a.dwork, LONG_DELAY));
    local_bh_enable();
    msleep(200);
    answer("runs", item_begun(&a));
    answer("cancel", cancel_delayed_work(&a.dwork));
    destroy_workqueue(wq);
}

SCENARIO(D475)
{
    struct workqueue_struct *wq = alloc_workqueue("d75", WQ_UNBOUND, 0);
    unsigned long expires[ARRAY_SIZE(many)];
    unsigned int i;
    int early = 0, ended = 0;

    for (i = 0; i < ARRAY_SIZE(many); i++) {
        test_dwork_init(&many[i]);
        queue_delayed_work(wq, &many[i].dwork, 1 + i * 7 % 20 * 3);
        expires[i] = many[i].dwork.timer.expires;
    }
    for (i = 0; i < ARRAY_SIZE(many); i++) {
        item_await_ended(&many[i], 1);
        early += time_before(many[i].run.began, expires[i]);
    }
    flush_workqueue(wq);
    for (i = 0; i < ARRAY_SIZE(many); i++)
        ended += item_ended(&many[i]);
    answer("early", early);
    answer("ended", ended);
    destroy_workqueue(wq);
}

static atomic_t static_runs = ATOMIC_INIT(0);

static void count_static(struct work_struct *work)
{
    atomic_inc(&static_runs);
}

static DECLARE_DELAYED_WORK(static_dwork, count_static);
static DECLARE_DEFERRABLE_WORK(static_deferrable, count_static);

SCENARIO(D476)
{
    static struct delayed_work deferrable;

    atomic_set(&static_runs, 0);
    INIT_DEFERRABLE_WORK(&deferrable, count_static);
    answer("pending", delayed_work_pending(&static_dwork) | delayed_work_pending(&static_deferrable) << 1);
    answer("declared", schedule_delayed_work(&static_dwork, 2));
    answer("declared_deferrable", schedule_delayed_work(&static_deferrable, 2));
    answer("deferrable", schedule_delayed_work_on(0, &deferrable, 2));
    kit_wait_until(atomic_read(&static_runs) == 3);
    answer("runs", atomic_read(&static_runs));
    answer("cancel", cancel_delayed_work_sync(&static_dwork));
    answer("cancel_declared", cancel_delayed_work_sync(&static_deferrable));
    answer("cancel_deferrable", cancel_delayed_work_sync(&deferrable));
}

SCENARIO(D477)
{
    struct workqueue_struct *wq = alloc_workqueue("d77", 0, 0);
    struct delayed_work on_stack;

    atomic_set(&static_runs, 0);
    INIT_DELAYED_WORK_ONSTACK(&on_stack, count_static);
    answer("queue", queue_delayed_work(wq, &on_stack, 1));
    flush_delayed_work(&on_stack);
    answer("runs", atomic_read(&static_runs));
    answer("armed", queue_delayed_work(wq, &on_stack, LONG_DELAY));
    answer("cancel", cancel_delayed_work_sync(&on_stack));
    destroy_delayed_work_on_stack(&on_stack);
    answer("at_end", atomic_read(&static_runs));
    destroy_workqueue(wq);
}

KIT_GROUP(delayed_more, "delayed", KIT_ROW(D466), KIT_ROW(D467), KIT_ROW(D468), KIT_ROW(D469),
          KIT_ROW(D470), KIT_ROW(D471), KIT_ROW(D472), KIT_ROW(D473), KIT_ROW(D474), KIT_ROW(D475),
          KIT_ROW(D476), KIT_ROW(D477));
