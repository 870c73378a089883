// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * Workqueues beyond the table, with several threads and interrupts at once; the answers hold for every
 * order. Q490 (max_active changes under load), Q491 (a work of an unbound queue from every CPU), Q492
 * (flushes while works are queued and cancelled), Q493 (interrupts queue while a thread flushes), Q494
 * (queues are made and destroyed on each CPU), Q495 (an ordered queue keeps the order of each of four CPUs),
 * Q496 (one work on two queues by turns), Q497 (chains under a max_active of 1, drained), Q498 (works of a
 * bottom half and of a thread queue each other), Q499 (a WQ_BH queue from every CPU).
 */
#include "items.h"

#define ROUNDS 100

static struct test_work many[24];
static struct workqueue_struct *the_queue, *other_queue;
static atomic_t accepted, cancelled, stop, wrong;

static void reset(unsigned int count)
{
    unsigned int i;

    atomic_set(&accepted, 0);
    atomic_set(&cancelled, 0);
    atomic_set(&stop, 0);
    atomic_set(&wrong, 0);
    for (i = 0; i < count; i++)
        test_work_init(&many[i]);
}

static int many_ended(unsigned int count)
{
    unsigned int i;
    int ended = 0;

    for (i = 0; i < count; i++)
        ended += item_ended(&many[i]);
    return ended;
}

static int most_of_many(unsigned int count)
{
    unsigned int i;
    int most = 0;

    for (i = 0; i < count; i++)
        most = max(most, item_most(&many[i]));
    return most;
}

/* Runs fn(arg) in a thread of each CPU and waits for all. */
static void run_on_all(void (*fn)(void *arg), void *arg)
{
    struct kit_thread *threads[4];
    int cpu;

    for (cpu = 0; cpu < 4; cpu++)
        threads[cpu] = kit_thread_on(cpu, fn, arg);
    for (cpu = 0; cpu < 4; cpu++)
        kit_join(threads[cpu]);
}

static atomic_t inside_of_queue;

/* Counts the works of the queue that are inside at once. */
static void count_inside(struct test_work *self, int number)
{
    int inside = atomic_inc_return(&inside_of_queue);

    if (inside > 4)
        atomic_inc(&wrong);
    udelay(50);
    atomic_dec(&inside_of_queue);
}

static void queue_eight(void *unused)
{
    int i;

    for (i = 0; i < ROUNDS; i++) {
        atomic_add(queue_work_on(1, the_queue, &many[i % 8].work), &accepted);
        if (i % 8 == 7)
            msleep(1);
    }
}

SCENARIO(Q490)
{
    struct kit_thread *threads[2];
    int i;

    the_queue = alloc_workqueue("q490", 0, 4);
    reset(8);
    atomic_set(&inside_of_queue, 0);
    for (i = 0; i < 8; i++)
        many[i].then = count_inside;
    for (i = 0; i < 2; i++)
        threads[i] = kit_thread_on(2 + i, queue_eight, NULL);
    for (i = 0; i < 40; i++) {
        workqueue_set_max_active(the_queue, 1 + i % 4);
        if (i % 4 == 0)
            msleep(1);
    }
    kit_join(threads[0]);
    kit_join(threads[1]);
    flush_workqueue(the_queue);
    answer("lost", atomic_read(&accepted) - many_ended(8));
    answer("too_many", atomic_read(&wrong));
    answer("most", most_of_many(8));
    destroy_workqueue(the_queue);
}

static void queue_first(void *unused)
{
    int i;

    for (i = 0; i < ROUNDS; i++) {
        atomic_add(queue_work(the_queue, &many[0].work), &accepted);
        if (i % 4 == 0)
            msleep(1);
    }
}

SCENARIO(Q491)
{
    the_queue = alloc_workqueue("q491", WQ_UNBOUND, 0);
    reset(1);
    run_on_all(queue_first, NULL);
    flush_workqueue(the_queue);
    answer("lost", atomic_read(&accepted) - item_ended(&many[0]));
    answer("most", item_most(&many[0]));
    destroy_workqueue(the_queue);
}

static void queue_and_cancel(void *unused)
{
    int i;

    for (i = 0; i < ROUNDS; i++) {
        atomic_add(queue_work(the_queue, &many[i % 6].work), &accepted);
        if (i % 3 == 0)
            atomic_add(cancel_work(&many[i % 6].work), &cancelled);
        if (i % 7 == 0)
            atomic_add(cancel_work_sync(&many[i % 5].work), &cancelled);
    }
}

static void flush_until_stopped(void *unused)
{
    while (!atomic_read(&stop) && !kit_is_hung()) {
        flush_workqueue(the_queue);
        flush_work(&many[0].work);
        msleep(1);
    }
}

SCENARIO(Q492)
{
    struct kit_thread *flush;

    the_queue = alloc_workqueue("q492", 0, 1);
    reset(6);
    flush = kit_thread_on(3, flush_until_stopped, NULL);
    run_on_all(queue_and_cancel, NULL);
    atomic_set(&stop, 1);
    kit_join(flush);
    flush_workqueue(the_queue);
    answer("lost", atomic_read(&accepted) - atomic_read(&cancelled) - many_ended(6));
    answer("most", most_of_many(6));
    destroy_workqueue(the_queue);
}

static void queue_in_handler(void *unused)
{
    int i;

    for (i = 0; i < 6; i++)
        atomic_add(queue_work(the_queue, &many[i].work), &accepted);
    atomic_add(cancel_work(&many[5].work), &cancelled);
}

SCENARIO(Q493)
{
    struct kit_thread *flush;
    int i;

    the_queue = alloc_ordered_workqueue("q493", WQ_MEM_RECLAIM);
    reset(6);
    flush = kit_thread_on(3, flush_until_stopped, NULL);
    for (i = 0; i < 12; i++)
        kit_hardirq_on(1 + i % 2, queue_in_handler, NULL);
    atomic_set(&stop, 1);
    kit_join(flush);
    flush_workqueue(the_queue);
    answer("lost", atomic_read(&accepted) - atomic_read(&cancelled) - many_ended(6));
    answer("most", most_of_many(6));
    destroy_workqueue(the_queue);
}

static void make_use_destroy(void *number)
{
    struct test_work *item = number;
    int i;

    for (i = 0; i < 8; i++) {
        struct workqueue_struct *wq = alloc_workqueue("q495", i % 2 ? WQ_UNBOUND : WQ_MEM_RECLAIM, 1);

        if (!queue_work(wq, &item->work))
            atomic_inc(&wrong);
        destroy_workqueue(wq);
        if (item_ended(item) != i + 1)
            atomic_inc(&wrong);
    }
}

SCENARIO(Q494)
{
    struct kit_thread *threads[4];
    int i;

    reset(4);
    for (i = 0; i < 4; i++)
        threads[i] = kit_thread_on(i, make_use_destroy, &many[i]);
    for (i = 0; i < 4; i++)
        kit_join(threads[i]);
    answer("wrong", atomic_read(&wrong));
    answer("ended", many_ended(4));
}

static struct kit_marks orders[4];

/* Queues six works of its own in their order, which an ordered queue keeps whatever others queue. */
static void queue_in_order(void *first)
{
    struct test_work *item = first;
    int i;

    for (i = 0; i < 6; i++) {
        atomic_add(queue_work(the_queue, &item[i].work), &accepted);
        if (i % 2)
            msleep(1);
    }
}

SCENARIO(Q495)
{
    static const char *const keys[] = {"cpu0", "cpu1", "cpu2", "cpu3"};
    struct kit_thread *threads[4];
    int i;

    the_queue = alloc_ordered_workqueue("q495", 0);
    reset(24);
    for (i = 0; i < 24; i++) {
        many[i].run.marks = &orders[i / 6];
        many[i].run.letter = (char)('A' + i % 6);
        many[i].then = count_inside;
    }
    atomic_set(&inside_of_queue, 3);
    for (i = 0; i < 4; i++) {
        kit_marks_init(&orders[i]);
        threads[i] = kit_thread_on(i, queue_in_order, &many[6 * i]);
    }
    for (i = 0; i < 4; i++)
        kit_join(threads[i]);
    flush_workqueue(the_queue);
    for (i = 0; i < 4; i++)
        answer_marks(keys[i], &orders[i]);
    /* With three counted from the beginning a second one beside the first is the fifth. */
    answer("overlaps", atomic_read(&wrong));
    destroy_workqueue(the_queue);
}

/* Queues it on one queue or the other, but only while it is idle: flush_work in between. */
SCENARIO(Q496)
{
    int i, refused = 0;

    the_queue = alloc_workqueue("q496a", 0, 0);
    other_queue = alloc_workqueue("q496b", WQ_UNBOUND, 0);
    reset(1);
    for (i = 0; i < 30; i++) {
        refused += !queue_work_on(i % 4, i % 2 ? the_queue : other_queue, &many[0].work);
        flush_work(&many[0].work);
    }
    answer("refused", refused);
    answer("ended", item_ended(&many[0]));
    answer("most", item_most(&many[0]));
    destroy_workqueue(other_queue);
    destroy_workqueue(the_queue);
}

/* Each work queues the next one of its eight on the same CPU, three times around. */
static void queue_next(struct test_work *self, int number)
{
    long at = self - many;

    if (number < 3 || at % 8 != 7)
        atomic_add(queue_work(the_queue, &many[at / 8 * 8 + (at + 1) % 8].work), &accepted);
}

SCENARIO(Q497)
{
    int i;

    the_queue = alloc_workqueue("q497", 0, 1);
    reset(24);
    for (i = 0; i < 24; i++)
        many[i].then = queue_next;
    for (i = 0; i < 3; i++)
        atomic_add(queue_work_on(i, the_queue, &many[8 * i].work), &accepted);
    drain_workqueue(the_queue);
    answer("ended", many_ended(24));
    answer("lost", atomic_read(&accepted) - many_ended(24));
    for (i = 0; i < 24; i++)
        test_work_init(&many[i]);
    for (i = 0; i < 24; i++)
        queue_work_on(i % 4, the_queue, &many[i].work);
    destroy_workqueue(the_queue);
    answer("destroyed", many_ended(24));
}

#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 9, 0)
static void queue_other_kind(struct test_work *self, int number)
{
    bool is_first = self == &many[0];

    if (number <= 5)
        queue_work(is_first ? the_queue : other_queue, is_first ? &many[1].work : &many[0].work);
}

SCENARIO(Q498)
{
    the_queue = alloc_workqueue("q498", 0, 0);
    other_queue = alloc_workqueue("q498b", WQ_BH, 0);
    reset(2);
    many[0].then = queue_other_kind;
    many[1].then = queue_other_kind;
    queue_work_on(1, other_queue, &many[0].work);
    item_await_ended(&many[0], 6);
    flush_workqueue(other_queue);
    flush_workqueue(the_queue);
    answer("bottom_half", item_ended(&many[0]));
    answer("thread", item_ended(&many[1]));
    answer("most", most_of_many(2));
    destroy_workqueue(other_queue);
    destroy_workqueue(the_queue);
}

static void queue_from_bottom_half(void *unused)
{
    int i;

    for (i = 0; i < ROUNDS; i++) {
        local_bh_disable();
        atomic_add(queue_work(the_queue, &many[i % 4].work), &accepted);
        atomic_add(queue_work(the_queue, &many[(i + 1) % 4].work), &accepted);
        if (i % 3 == 0)
            atomic_add(cancel_work(&many[i % 4].work), &cancelled);
        local_bh_enable();
        if (i % 8 == 0)
            atomic_add(cancel_work_sync(&many[i % 4].work), &cancelled);
    }
}

SCENARIO(Q499)
{
    the_queue = alloc_workqueue("q499", WQ_BH, 0);
    reset(4);
    run_on_all(queue_from_bottom_half, NULL);
    flush_workqueue(the_queue);
    answer("lost", atomic_read(&accepted) - atomic_read(&cancelled) - many_ended(4));
    answer("most", most_of_many(4));
    destroy_workqueue(the_queue);
}

#define ROWS_OF_6_9 , KIT_ROW(Q498), KIT_ROW(Q499)
#else
#define ROWS_OF_6_9
#endif

KIT_GROUP(queues_races, "queues", KIT_ROW(Q490), KIT_ROW(Q491), KIT_ROW(Q492), KIT_ROW(Q493), KIT_ROW(Q494),
          KIT_ROW(Q495), KIT_ROW(Q496), KIT_ROW(Q497) ROWS_OF_6_9);
