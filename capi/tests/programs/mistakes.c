// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * B-68: an item is freed, or initialised again by the macros of the headers, while it is queued, armed or
 * scheduled. Each scenario makes one mistake, and must not end well; with "plant" it does the same without
 * the mistake.
 */
#include "kit.h"

static struct gate gate;
static struct item *blocker;

static void open_and_destroy(struct workqueue_struct *wq, struct item *item)
{
    gate_open(&gate);
    destroy_workqueue(wq);
    item_free(blocker);
    item_free(item);
}

/* A queue with a work that waits at the gate, and two items queued behind it. */
static struct workqueue_struct *two_queued(struct item *items[2])
{
    struct workqueue_struct *wq = alloc_ordered_workqueue("ordered", 0);

    blocker = item_new(&gate);
    gate_init(&gate);
    CHECK(queue_work(wq, &blocker->dwork.work));
    WAIT_UNTIL(blocker->inside == 1);
    items[0] = item_new(NULL);
    items[1] = item_new(NULL);
    CHECK(queue_work(wq, &items[0]->dwork.work) && queue_work(wq, &items[1]->dwork.work));
    return wq;
}

static void free_queued(void)
{
    struct item *items[2];
    struct workqueue_struct *wq = two_queued(items);

    if (planted)
        CHECK(cancel_work_sync(&items[0]->dwork.work));
    item_free(items[0]);
    open_and_destroy(wq, items[1]);
}

static void init_queued(void)
{
    struct item *items[2];
    struct workqueue_struct *wq = two_queued(items);

    if (planted)
        CHECK(cancel_work_sync(&items[0]->dwork.work));
    INIT_WORK(&items[0]->dwork.work, item_run);
    open_and_destroy(wq, items[1]);
    item_free(items[0]);
}

static void init_queued_and_queue(void)
{
    struct item *items[2];
    struct workqueue_struct *wq = two_queued(items);

    if (planted)
        CHECK(cancel_work_sync(&items[0]->dwork.work));
    INIT_DELAYED_WORK(&items[0]->dwork, item_run);
    CHECK(queue_work(wq, &items[0]->dwork.work));
    open_and_destroy(wq, items[1]);
    item_free(items[0]);
}

static void free_armed(void)
{
    struct item *item = item_new(NULL);

    CHECK(schedule_delayed_work(&item->dwork, 3));
    if (planted)
        CHECK(cancel_delayed_work_sync(&item->dwork));
    item_free(item);
    sleep_jiffies(10);
}

static void init_armed(void)
{
    struct item *item = item_new(NULL);

    CHECK(schedule_delayed_work(&item->dwork, 3));
    if (planted)
        CHECK(cancel_delayed_work_sync(&item->dwork));
    INIT_DELAYED_WORK(&item->dwork, item_run);
    sleep_jiffies(10);
    check_same("runs", item->runs, 0);
    item_free(item);
}

static void nothing(struct tasklet_struct *tasklet)
{
    (void)tasklet;
}

static struct tasklet_struct *scheduled(KIRQL *irql)
{
    struct tasklet_struct *tasklet = allocate(sizeof(*tasklet));

    tasklet_setup(tasklet, nothing);
    KeRaiseIrql(DISPATCH_LEVEL, irql);
    tasklet_schedule(tasklet);
    if (planted) {
        KeLowerIrql(*irql);
        tasklet_kill(tasklet);
        KeRaiseIrql(DISPATCH_LEVEL, irql);
    }
    return tasklet;
}

static void free_scheduled(void)
{
    KIRQL irql;
    struct tasklet_struct *tasklet = scheduled(&irql);

    release(tasklet);
    KeLowerIrql(irql);
    kmdf_mock_settle();
}

/* The schedule is lost, and a disable finds a tasklet that is not scheduled. */
static void setup_scheduled(void)
{
    KIRQL irql;
    struct tasklet_struct *tasklet = scheduled(&irql);

    tasklet_setup(tasklet, nothing);
    KeLowerIrql(irql);
    tasklet_disable(tasklet);
    tasklet_schedule(tasklet);
    if (planted)
        tasklet_enable(tasklet);
    kmdf_mock_settle();
    release(tasklet);
}

/* The disable of a driver that means a kill: the schedule stays. */
static void disable_and_free_scheduled(void)
{
    struct tasklet_struct *tasklet = allocate(sizeof(*tasklet));

    tasklet_setup(tasklet, nothing);
    tasklet_disable(tasklet);
    if (!planted)
        tasklet_schedule(tasklet);
    kmdf_mock_settle();
    release(tasklet);
}

const struct scenario scenarios[] = {
    { .name = "free_queued", .run = free_queued },
    { .name = "init_queued", .run = init_queued },
    { .name = "init_queued_and_queue", .run = init_queued_and_queue },
    { .name = "free_armed", .run = free_armed },
    { .name = "init_armed", .run = init_armed },
    { .name = "free_scheduled", .run = free_scheduled },
    { .name = "setup_scheduled", .run = setup_scheduled },
    { .name = "disable_and_free_scheduled", .run = disable_and_free_scheduled },
    { .name = NULL },
};
