// SPDX-License-Identifier: MIT OR Apache-2.0
/* Scenarios of works: threads that race. What they answer is the same whoever wins. */
#include "works.h"

#define THREADS 3

static struct item a;
static struct workqueue_struct *queue;
static atomic_t queued;
static atomic_t cancelled;

/* Wakes the works now and then: a thread that never sleeps may keep its CPU. */
static void breathe(int call)
{
    if (call % 256 == 255)
        msleep(1);
    cond_resched();
}

static void queue_often(void *arg)
{
    int i;

    for (i = 0; i < CONFORMANCE_CALLS; i++) {
        if (queue_work(queue, &a.work))
            atomic_inc(&queued);
        breathe(i);
    }
}

static void cancel_often(void *arg)
{
    int i;

    for (i = 0; i < CONFORMANCE_CALLS; i++) {
        if (cancel_work(&a.work))
            atomic_inc(&cancelled);
        breathe(i);
    }
}

static void cancel_sync_often(void *arg)
{
    int i;

    for (i = 0; i < CONFORMANCE_CALLS / 10; i++) {
        if (cancel_work_sync(&a.work))
            atomic_inc(&cancelled);
        breathe(i);
    }
}

/* Three threads queue on three CPUs while the scenario's own thread does something else, if anything. */
static void race(void (*beside)(void *arg))
{
    struct kit_thread *threads[THREADS];
    int i;

    queue = alloc_workqueue("kit", 0, 0);
    item_init(&a, 0);
    atomic_set(&queued, 0);
    atomic_set(&cancelled, 0);
    for (i = 0; i < THREADS; i++)
        threads[i] = kit_thread_on(i + 1, queue_often, NULL);
    if (beside)
        beside(NULL);
    for (i = 0; i < THREADS; i++)
        kit_join(threads[i]);
}

/* Each accepted queueing has run or has been cancelled. */
static void race_over(void)
{
    destroy_workqueue(queue);
    answer("lost", atomic_read(&queued) - atomic_read(&cancelled) - kit_ended(&a.seen));
    answer("most", kit_most(&a.seen));
    answer("some", kit_ended(&a.seen) > 0);
    answer("pending", work_pending(&a.work));
}

SCENARIO(W34)
{
    race(NULL);
    race_over();
}

SCENARIO(W35)
{
    race(cancel_often);
    race_over();
}

SCENARIO(W36)
{
    race(cancel_sync_often);
    if (cancel_work_sync(&a.work))
        atomic_inc(&cancelled);
    answer("inside", atomic_read(&a.seen.inside));
    answer("busy", work_busy(&a.work));
    race_over();
}

/* A work that looks at a number. */
static struct {
    struct work_struct work;
    int stored;
    int seen;
} look;

static void look_run(struct work_struct *work)
{
    WRITE_ONCE(look.seen, READ_ONCE(look.stored));
}

SCENARIO(W33)
{
    int missed = 0;
    int i;

    memset(&look, 0, sizeof(look));
    INIT_WORK(&look.work, look_run);
    for (i = 1; i <= CONFORMANCE_CALLS; i++) {
        WRITE_ONCE(look.stored, i);
        queue_work_on(1, system_wq, &look.work);
        if (i % 7 == 0) {
            flush_work(&look.work);
            missed += READ_ONCE(look.seen) != i;
        }
        if (i % 64 == 0)
            cond_resched();
    }
    flush_work(&look.work);
    answer("missed", missed);
    answer("last", READ_ONCE(look.seen) == CONFORMANCE_CALLS);
}

/* Works that queue each other, on two CPUs and two queues, a hundred times in all. */
static struct {
    struct work_struct works[2];
    struct workqueue_struct *queues[2];
    atomic_t runs;
    atomic_t refused;
} pair;

static void pair_run(struct work_struct *work)
{
    int other = work == &pair.works[0];

    if (atomic_inc_return(&pair.runs) >= 100)
        return;
    if (!queue_work_on(1 + other, pair.queues[other], &pair.works[other]))
        atomic_inc(&pair.refused);
}

SCENARIO(W458)
{
    memset(&pair, 0, sizeof(pair));
    INIT_WORK(&pair.works[0], pair_run);
    INIT_WORK(&pair.works[1], pair_run);
    pair.queues[0] = alloc_workqueue("kit", 0, 0);
    pair.queues[1] = alloc_workqueue("kit", WQ_UNBOUND | WQ_HIGHPRI, 0);
    queue_work(pair.queues[0], &pair.works[0]);
    kit_wait_until(atomic_read(&pair.runs) == 100);
    flush_workqueue(pair.queues[0]);
    flush_workqueue(pair.queues[1]);
    answer("runs", atomic_read(&pair.runs));
    answer("refused", atomic_read(&pair.refused));
    destroy_workqueue(pair.queues[0]);
    destroy_workqueue(pair.queues[1]);
}

/* Threads queue one work on two queues of one CPU; only one at a time can have it. */
static void queue_on_either(void *arg)
{
    struct workqueue_struct **queues = arg;
    int i;

    for (i = 0; i < CONFORMANCE_CALLS / 10; i++) {
        if (queue_work_on(3, queues[i % 2], &a.work))
            atomic_inc(&queued);
        breathe(i);
    }
}

SCENARIO(W459)
{
    struct workqueue_struct *queues[2];
    struct kit_thread *threads[2];

    queues[0] = alloc_workqueue("kit", 0, 0);
    queues[1] = alloc_workqueue("kit", 0, 1);
    item_init(&a, 0);
    atomic_set(&queued, 0);
    threads[0] = kit_thread_on(1, queue_on_either, queues);
    threads[1] = kit_thread_on(2, queue_on_either, queues);
    kit_join(threads[0]);
    kit_join(threads[1]);
    destroy_workqueue(queues[0]);
    destroy_workqueue(queues[1]);
    answer("lost", atomic_read(&queued) - kit_ended(&a.seen));
    answer("most", kit_most(&a.seen));
    answer("some", kit_ended(&a.seen) > 0);
}

static void flush_often(void *arg)
{
    int i;

    for (i = 0; i < CONFORMANCE_CALLS / 10; i++) {
        flush_work(&a.work);
        breathe(i);
    }
}

/* Flushes of a work that others keep queueing all return. */
SCENARIO(W460)
{
    race(flush_often);
    flush_work(&a.work);
    answer("after", work_busy(&a.work));
    race_over();
}

KIT_GROUP(works_race, "works", KIT_ROW(W33), KIT_ROW(W34), KIT_ROW(W35), KIT_ROW(W36), KIT_ROW(W458),
          KIT_ROW(W459), KIT_ROW(W460));
