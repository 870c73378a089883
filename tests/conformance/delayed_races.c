// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * Delayed works beyond the table, with several threads and interrupts at once; the answers hold for every
 * order. D495 (mod between two queues from every CPU), D496 (interrupts arm and cancel while a thread
 * flushes), D497 (cancelled by threads while it arms itself), D498 (flush_delayed_work against mod), D499
 * (delayed works of a WQ_BH queue), D500 (disabled and enabled while others arm it), D501 (an armed work is
 * queued by hand).
 */
#include "items.h"

#define ROUNDS 100

static struct test_dwork a;
static struct test_dwork many[4];
static struct workqueue_struct *the_queue, *other_queue;
static atomic_t accepted, mod_false, cancelled, stop, wrong;

static void reset(void)
{
    test_dwork_init(&a);
    atomic_set(&accepted, 0);
    atomic_set(&mod_false, 0);
    atomic_set(&cancelled, 0);
    atomic_set(&stop, 0);
    atomic_set(&wrong, 0);
}

/* How many queueings of `a` have neither run nor been cancelled. */
static int lost(void)
{
    return atomic_read(&accepted) + atomic_read(&mod_false) - atomic_read(&cancelled) - item_ended(&a);
}

static void run_on_all(void (*fn)(void *arg), void *arg)
{
    struct kit_thread *threads[4];
    int cpu;

    for (cpu = 0; cpu < 4; cpu++)
        threads[cpu] = kit_thread_on(cpu, fn, arg);
    for (cpu = 0; cpu < 4; cpu++)
        kit_join(threads[cpu]);
}

static void settle_down(void)
{
    flush_delayed_work(&a.dwork);
    flush_workqueue(the_queue);
    if (other_queue)
        flush_workqueue(other_queue);
}

static void mod_to_and_fro(void *unused)
{
    int i;

    for (i = 0; i < ROUNDS; i++) {
        struct workqueue_struct *wq = i % 2 ? the_queue : other_queue;

        atomic_add(!mod_delayed_work(wq, &a.dwork, (unsigned long)(i % 4)), &mod_false);
        if (i % 9 == 0)
            atomic_add(cancel_delayed_work(&a.dwork), &cancelled);
        if (i % 16 == 0)
            msleep(1);
    }
}

SCENARIO(D495)
{
    the_queue = alloc_workqueue("d495a", 0, 0);
    other_queue = alloc_workqueue("d495b", WQ_UNBOUND, 0);
    reset();
    run_on_all(mod_to_and_fro, NULL);
    settle_down();
    answer("lost", lost());
    answer("pending", delayed_work_pending(&a.dwork));
    destroy_workqueue(other_queue);
    destroy_workqueue(the_queue);
    other_queue = NULL;
}

static unsigned long handler_delay;

static void arm_or_cancel_in_handler(void *unused)
{
    if (handler_delay % 3 == 2)
        atomic_add(cancel_delayed_work(&a.dwork), &cancelled);
    atomic_add(queue_delayed_work(the_queue, &a.dwork, handler_delay % 3), &accepted);
    if (handler_delay % 4 == 3)
        atomic_add(!mod_delayed_work(the_queue, &a.dwork, 1), &mod_false);
}

static void flush_until_stopped(void *unused)
{
    while (!atomic_read(&stop) && !kit_is_hung()) {
        flush_delayed_work(&a.dwork);
        msleep(1);
    }
}

SCENARIO(D496)
{
    struct kit_thread *flush;

    the_queue = alloc_workqueue("d496", 0, 0);
    reset();
    flush = kit_thread_on(3, flush_until_stopped, NULL);
    for (handler_delay = 0; handler_delay < 12; handler_delay++)
        kit_hardirq_on(1 + (int)(handler_delay % 2), arm_or_cancel_in_handler, NULL);
    atomic_set(&stop, 1);
    kit_join(flush);
    settle_down();
    answer("lost", lost());
    answer("most", item_most(&a));
    answer("pending", delayed_work_pending(&a.dwork));
    destroy_workqueue(the_queue);
}

static void arm_itself(struct test_dwork *self, int number)
{
    queue_delayed_work(the_queue, &self->dwork, (unsigned long)(number % 2));
}

static void cancel_and_start(void *item)
{
    struct test_dwork *self = item;
    int i;

    for (i = 0; i < 20; i++) {
        queue_delayed_work(the_queue, &self->dwork, (unsigned long)(i % 2));
        msleep(1);
        cancel_delayed_work_sync(&self->dwork);
        if (delayed_work_pending(&self->dwork) || item_inside(self))
            atomic_inc(&wrong);
    }
}

SCENARIO(D497)
{
    struct kit_thread *threads[4];
    int i, runs = 0, more = 0;

    the_queue = alloc_workqueue("d497", 0, 0);
    reset();
    for (i = 0; i < 4; i++) {
        test_dwork_init(&many[i]);
        many[i].then = arm_itself;
        threads[i] = kit_thread_on(i, cancel_and_start, &many[i]);
    }
    for (i = 0; i < 4; i++)
        kit_join(threads[i]);
    for (i = 0; i < 4; i++)
        runs += item_begun(&many[i]);
    kit_settle();
    for (i = 0; i < 4; i++)
        more += item_begun(&many[i]);
    answer("wrong", atomic_read(&wrong));
    answer("more", more - runs);
    destroy_workqueue(the_queue);
}

static void mod_until_stopped(void *unused)
{
    int i;

    for (i = 0; i < ROUNDS; i++) {
        atomic_add(!mod_delayed_work(the_queue, &a.dwork, i % 2 ? LONG_DELAY : 1), &mod_false);
        if (i % 4 == 0)
            msleep(1);
    }
    atomic_set(&stop, 1);
}

SCENARIO(D498)
{
    struct kit_thread *flush, *mod;

    the_queue = alloc_workqueue("d498", 0, 1);
    reset();
    flush = kit_thread_on(3, flush_until_stopped, NULL);
    mod = kit_thread_on(2, mod_until_stopped, NULL);
    kit_join(mod);
    kit_join(flush);
    settle_down();
    answer("lost", lost());
    answer("most", item_most(&a));
    answer("pending", delayed_work_pending(&a.dwork));
    destroy_workqueue(the_queue);
}

static void queue_by_hand(void *unused)
{
    int i;

    for (i = 0; i < ROUNDS; i++) {
        atomic_add(queue_work(the_queue, &a.dwork.work), &accepted);
        atomic_add(queue_delayed_work(the_queue, &a.dwork, 1), &accepted);
        if (i % 5 == 0)
            atomic_add(cancel_delayed_work_sync(&a.dwork), &cancelled);
        if (i % 16 == 0)
            msleep(1);
    }
}

SCENARIO(D501)
{
    the_queue = alloc_ordered_workqueue("d501", 0);
    reset();
    run_on_all(queue_by_hand, NULL);
    settle_down();
    answer("lost", lost());
    answer("most", item_most(&a));
    destroy_workqueue(the_queue);
}

#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 10, 0)
SCENARIO(D499)
{
    the_queue = alloc_workqueue("d499", WQ_BH, 0);
    other_queue = alloc_workqueue("d499h", WQ_BH | WQ_HIGHPRI, 0);
    reset();
    run_on_all(mod_to_and_fro, NULL);
    settle_down();
    answer("lost", lost());
    answer("pending", delayed_work_pending(&a.dwork));
    destroy_workqueue(other_queue);
    destroy_workqueue(the_queue);
    other_queue = NULL;
}

static void disable_and_enable(void *unused)
{
    int i;

    for (i = 0; i < 25; i++) {
        int begun;

        atomic_add(disable_delayed_work_sync(&a.dwork), &cancelled);
        begun = item_begun(&a);
        msleep(1);
        if (delayed_work_pending(&a.dwork) || item_begun(&a) != begun || item_inside(&a))
            atomic_inc(&wrong);
        enable_delayed_work(&a.dwork);
    }
}

static void arm_often(void *unused)
{
    int i;

    for (i = 0; i < 5 * ROUNDS; i++) {
        atomic_add(queue_delayed_work(the_queue, &a.dwork, (unsigned long)(i % 2)), &accepted);
        if (i % 16 == 0)
            msleep(1);
    }
}

SCENARIO(D500)
{
    struct kit_thread *arm, *disable;

    the_queue = alloc_workqueue("d500", 0, 0);
    reset();
    arm = kit_thread_on(1, arm_often, NULL);
    disable = kit_thread_on(2, disable_and_enable, NULL);
    kit_join(disable);
    kit_join(arm);
    settle_down();
    answer("wrong", atomic_read(&wrong));
    answer("lost", lost());
    answer("enabled", queue_delayed_work(the_queue, &a.dwork, 0));
    destroy_workqueue(the_queue);
}

#define ROWS_OF_6_10 , KIT_ROW(D499), KIT_ROW(D500)
#else
#define ROWS_OF_6_10
#endif

KIT_GROUP(delayed_races, "delayed", KIT_ROW(D495), KIT_ROW(D496), KIT_ROW(D497), KIT_ROW(D498),
          KIT_ROW(D501) ROWS_OF_6_10);
