// SPDX-License-Identifier: MIT OR Apache-2.0
/* Scenarios of works that are disabled and enabled, as of Linux 6.10. */
#include "works.h"

#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 10, 0)

static struct item a;
static struct item blocker;
static struct caller first;
static struct caller second;

SCENARIO(W37)
{
    struct workqueue_struct *p = alloc_workqueue("kit", 0, 0);

    item_init(&a, 0);
    answer("disable", disable_work(&a.work));
    answer("queue", queue_work(p, &a.work));
    answer("again", disable_work(&a.work));
    answer("enable", enable_work(&a.work));
    answer("still", queue_work(p, &a.work));
    answer("last", enable_work(&a.work));
    kit_settle();
    answer("by_itself", kit_begun(&a.seen));
    answer("then", queue_work(p, &a.work));
    destroy_workqueue(p);
    answer("runs", kit_ended(&a.seen));
}

SCENARIO(W38)
{
    struct workqueue_struct *o = alloc_ordered_workqueue("kit", 0);

    item_init(&a, 0);
    item_hold(&blocker, 0, o);
    queue_work(o, &a.work);
    answer("disable", disable_work(&a.work));
    answer("cancel_sync", cancel_work_sync(&a.work));
    answer("flush", flush_work(&a.work));
    item_open(&blocker, 1);
    flush_workqueue(o);
    answer("before", kit_begun(&a.seen));
    answer("enable", enable_and_queue_work(o, &a.work));
    destroy_workqueue(o);
    answer("runs", kit_ended(&a.seen));
}

/* disable_work of a running work: does not wait, and the work cannot queue itself any more. */
SCENARIO(W474)
{
    struct workqueue_struct *p = alloc_workqueue("kit", 0, 0);

    item_init(&a, RUN(1));
    a.requeues_last = RUN(1);
    a.again = p;
    queue_work_on(1, p, &a.work);
    item_await(&a, 1);
    answer("disable", disable_work(&a.work));
    answer("inside", kit_ended(&a.seen) == 0);
    answer("busy", work_busy(&a.work));
    item_open(&a, 1);
    flush_workqueue(p);
    answer("requeued", a.requeued);
    answer("enable", enable_work(&a.work));
    answer("queue", queue_work(p, &a.work));
    destroy_workqueue(p);
    answer("runs", kit_ended(&a.seen));
}

/* disable_work_sync of a running work waits; of one that is queued too it takes the queued run away. */
SCENARIO(W475)
{
    struct workqueue_struct *p = alloc_workqueue("kit", 0, 0);

    item_hold(&a, 1, p);
    caller_start(&first, 2, disable_work_sync, &a);
    answer("waits", caller_waits(&first));
    answer("during", queue_work_on(3, p, &a.work));
    item_open(&a, 1);
    answer("returned", caller_join(&first));
    answer("ended", first.ended);
    answer("enable", enable_work(&a.work));
    item_hold(&a, 1, p);
    answer("queued", queue_work_on(1, p, &a.work));
    caller_start(&first, 2, disable_work_sync, &a);
    answer("waits_too", caller_waits(&first));
    item_open(&a, 1);
    answer("both", caller_join(&first));
    answer("once", kit_begun(&a.seen));
    answer("refused", queue_work(p, &a.work));
    answer("enabled", enable_work(&a.work));
    destroy_workqueue(p);
}

/* The depth: three disables of any kind need three enables; cancels and flushes do not count. */
SCENARIO(W476)
{
    struct workqueue_struct *p = alloc_workqueue("kit", 0, 0);

    item_init(&a, 0);
    disable_work(&a.work);
    disable_work_sync(&a.work);
    disable_work(&a.work);
    answer("cancel", cancel_work(&a.work));
    answer("cancel_sync", cancel_work_sync(&a.work));
    answer("first", enable_work(&a.work));
    answer("second", enable_and_queue_work(p, &a.work));
    answer("refused", queue_work(p, &a.work));
    answer("busy", work_busy(&a.work));
    answer("third", enable_and_queue_work(p, &a.work));
    destroy_workqueue(p);
    answer("runs", kit_ended(&a.seen));
}

/* enable_and_queue_work of a work that still runs, and of one that somebody queues before it is disabled. */
SCENARIO(W477)
{
    struct workqueue_struct *p = alloc_workqueue("kit", 0, 0);

    item_hold(&a, 1, p);
    answer("disable", disable_work(&a.work));
    answer("enable", enable_and_queue_work(p, &a.work));
    answer("busy", work_busy(&a.work));
    answer("again", queue_work(p, &a.work));
    answer("pending", disable_work(&a.work));
    answer("enabled", enable_and_queue_work(p, &a.work));
    item_open(&a, 1);
    item_wait(&a, 2);
    destroy_workqueue(p);
    answer("runs", kit_ended(&a.seen));
    answer("most", kit_most(&a.seen));
}

/* Initialised anew a work is enabled. */
SCENARIO(W478)
{
    item_init(&a, 0);
    disable_work(&a.work);
    disable_work(&a.work);
    answer("refused", schedule_work(&a.work));
    INIT_WORK(&a.work, item_run);
    answer("queued", schedule_work(&a.work));
    flush_work(&a.work);
    answer("runs", kit_ended(&a.seen));
}

static void disable_a(void *arg)
{
    *(int *)arg = disable_work(&a.work);
}

static void enable_a(void *arg)
{
    *(int *)arg = enable_work(&a.work);
}

/* From a hard interrupt: disable_work of a queued work, enable_work. */
SCENARIO(W479)
{
    struct workqueue_struct *o = alloc_ordered_workqueue("kit", 0);
    int returned = -1;

    item_init(&a, 0);
    item_hold(&blocker, 0, o);
    queue_work(o, &a.work);
    kit_hardirq_on(1, disable_a, &returned);
    answer("disable", returned);
    answer("queue", queue_work(o, &a.work));
    kit_hardirq_on(2, disable_a, &returned);
    answer("again", returned);
    kit_hardirq_on(1, enable_a, &returned);
    answer("enable", returned);
    kit_hardirq_on(1, enable_a, &returned);
    answer("last", returned);
    answer("queued", queue_work(o, &a.work));
    item_open(&blocker, 1);
    destroy_workqueue(o);
    answer("runs", kit_ended(&a.seen));
}

static struct {
    struct work_struct work;
    int disabled;
    int queued;
    atomic_t runs;
} self;

static void self_run(struct work_struct *work)
{
    self.disabled = disable_work(work);
    self.queued = schedule_work(work);
    atomic_inc(&self.runs);
}

/* A work disables itself. */
SCENARIO(W480)
{
    memset(&self, 0, sizeof(self));
    INIT_WORK(&self.work, self_run);
    schedule_work(&self.work);
    flush_work(&self.work);
    answer("disabled", self.disabled);
    answer("queued", self.queued);
    answer("outside", schedule_work(&self.work));
    answer("enable", enable_work(&self.work));
    answer("then", schedule_work(&self.work));
    flush_work(&self.work);
    answer("runs", atomic_read(&self.runs));
}

/* A disabled work that runs is waited for by flush_work and cancel_work_sync. */
SCENARIO(W481)
{
    struct workqueue_struct *p = alloc_workqueue("kit", 0, 0);

    item_hold(&a, 1, p);
    disable_work(&a.work);
    caller_start(&first, 2, flush_work, &a);
    caller_start(&second, 3, cancel_work_sync, &a);
    answer("wait", caller_waits(&first) + caller_waits(&second));
    item_open(&a, 1);
    answer("flush", caller_join(&first));
    answer("cancel", caller_join(&second));
    answer("ended", first.ended + second.ended);
    answer("refused", queue_work(p, &a.work));
    answer("idle", flush_work(&a.work));
    enable_work(&a.work);
    destroy_workqueue(p);
}

/* Held behind max_active: disabled it does not run, and it holds nothing up. */
SCENARIO(W482)
{
    static struct item b;
    struct workqueue_struct *one = alloc_workqueue("kit", 0, 1);

    item_hold(&blocker, 1, one);
    item_init(&a, 0);
    item_init(&b, 0);
    queue_work_on(1, one, &a.work);
    queue_work_on(1, one, &b.work);
    answer("disable", disable_work_sync(&a.work));
    item_open(&blocker, 1);
    destroy_workqueue(one);
    answer("a", kit_begun(&a.seen));
    answer("b", kit_ended(&b.seen));
    answer("enable", enable_work(&a.work));
}

static atomic_t late_runs = ATOMIC_INIT(0);

static void late_run(struct work_struct *work)
{
    atomic_inc(&late_runs);
}

/* The delayed forms count on the same depth as the plain ones. */
SCENARIO(W483)
{
    static struct delayed_work late;

    atomic_set(&late_runs, 0);
    INIT_DELAYED_WORK(&late, late_run);
    answer("armed", schedule_delayed_work(&late, 1000 * HZ));
    answer("disable", disable_delayed_work(&late));
    answer("refused", schedule_delayed_work(&late, 0));
    answer("again", disable_work(&late.work));
    answer("sync", disable_delayed_work_sync(&late));
    answer("first", enable_work(&late.work));
    answer("second", enable_delayed_work(&late));
    answer("third", enable_delayed_work(&late));
    answer("rearmed", schedule_delayed_work(&late, 1000 * HZ));
    answer("cancelled", cancel_delayed_work_sync(&late));
    answer("runs", atomic_read(&late_runs));
}

static struct workqueue_struct *queue;
static atomic_t queued;
static atomic_t cancelled;
static atomic_t enabled;

static void queue_often(void *arg)
{
    int i;

    for (i = 0; i < CONFORMANCE_CALLS; i++) {
        if (queue_work(queue, &a.work))
            atomic_inc(&queued);
        if (i % 256 == 255)
            msleep(1);
        cond_resched();
    }
}

/* Disables, looks that nothing is inside or comes, and enables. Returns how often it was otherwise. */
static int disable_often(bool and_queue)
{
    int broken = 0;
    int i;

    for (i = 0; i < CONFORMANCE_CALLS / 20; i++) {
        int begun;

        if (disable_work_sync(&a.work))
            atomic_inc(&cancelled);
        begun = kit_begun(&a.seen);
        broken += atomic_read(&a.seen.inside) != 0;
        cond_resched();
        broken += kit_begun(&a.seen) != begun;
        if (and_queue ? enable_and_queue_work(queue, &a.work) : enable_work(&a.work))
            atomic_inc(&enabled);
        if (i % 16 == 15)
            msleep(1);
    }
    return broken;
}

/* Two threads queue while the scenario's own disables and enables. */
static int disable_race(bool and_queue)
{
    struct kit_thread *threads[2];
    int broken;

    queue = alloc_workqueue("kit", 0, 0);
    item_init(&a, 0);
    atomic_set(&queued, 0);
    atomic_set(&cancelled, 0);
    atomic_set(&enabled, 0);
    threads[0] = kit_thread_on(1, queue_often, NULL);
    threads[1] = kit_thread_on(2, queue_often, NULL);
    broken = disable_often(and_queue);
    kit_join(threads[0]);
    kit_join(threads[1]);
    destroy_workqueue(queue);
    answer("broken", broken);
    answer("enabled", atomic_read(&enabled) == CONFORMANCE_CALLS / 20);
    answer("most", kit_most(&a.seen));
    answer("some", kit_ended(&a.seen) > 0);
    return kit_ended(&a.seen) + atomic_read(&cancelled);
}

SCENARIO(W484)
{
    int over = disable_race(false);

    answer("lost", atomic_read(&queued) - over);
}

/*
 * Somebody else may queue between the enable and the queueing: it returns true, and one of the two has
 * queued.
 */
SCENARIO(W485)
{
    int over = disable_race(true);

    answer("lost", over < atomic_read(&queued));
    answer("beyond", over > atomic_read(&queued) + atomic_read(&enabled));
}

KIT_GROUP(works_disable, "works", KIT_ROW(W37), KIT_ROW(W38), KIT_ROW(W474), KIT_ROW(W475), KIT_ROW(W476),
          KIT_ROW(W477), KIT_ROW(W478), KIT_ROW(W479), KIT_ROW(W480), KIT_ROW(W481), KIT_ROW(W482),
          KIT_ROW(W483), KIT_ROW(W484), KIT_ROW(W485));

#endif
