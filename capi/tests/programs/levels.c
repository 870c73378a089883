// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * Calls at raised IRQLs, by the functions of the headers: B-02 (the IRQL is the same afterwards), B-29
 * (queueing under a lock and in an interrupt), B-46 (a schedule does not call the function), B-27 and B-36 (a
 * schedule is kept), B-47 (queued by its own function).
 */
#include "kit.h"

/* What the calls are made on; others use them meanwhile. */
static struct around {
    struct workqueue_struct *wq;
    struct item *item;
    struct item *other;
    struct tasklet_struct tasklet;
    bool stop;
} *around;

static unsigned int tasklet_runs;

static void count_tasklet(struct tasklet_struct *tasklet)
{
    (void)tasklet;
    tasklet_runs++;
}

/* The mistake: two locks are released in the wrong order, so the IRQL stays. */
static void call_queue_work(void)
{
    KIRQL irql;

    if (planted)
        KeRaiseIrql(DISPATCH_LEVEL, &irql);
    queue_work(around->wq, &around->item->dwork.work);
}
static void call_queue_work_on(void)
{
    queue_work_on(1, around->wq, &around->item->dwork.work);
}
static void call_schedule_work(void)
{
    schedule_work(&around->other->dwork.work);
}
static void call_queue_delayed_work(void)
{
    queue_delayed_work(around->wq, &around->item->dwork, kmdf_mock_choose(3));
}
static void call_schedule_delayed_work_on(void)
{
    schedule_delayed_work_on(2, &around->other->dwork, kmdf_mock_choose(3));
}
static void call_mod_delayed_work(void)
{
    mod_delayed_work(around->wq, &around->item->dwork, kmdf_mock_choose(3));
}
static void call_cancel_work(void)
{
    cancel_work(&around->item->dwork.work);
}
static void call_cancel_delayed_work(void)
{
    cancel_delayed_work(&around->other->dwork);
}
static void call_disable_and_enable_work(void)
{
    disable_work(&around->item->dwork.work);
    enable_and_queue_work(around->wq, &around->item->dwork.work);
}
static void call_disable_and_enable_delayed_work(void)
{
    disable_delayed_work(&around->other->dwork);
    enable_delayed_work(&around->other->dwork);
}
static void call_hints(void)
{
    (void)work_busy(&around->item->dwork.work);
    (void)delayed_work_pending(&around->item->dwork);
    (void)workqueue_congested(WORK_CPU_UNBOUND, around->wq);
    (void)(jiffies + get_jiffies_64() + in_interrupt() + in_atomic());
}
static void call_tasklet_schedule(void)
{
    tasklet_schedule(&around->tasklet);
}
static void call_tasklet_hi_schedule(void)
{
    tasklet_hi_schedule(&around->tasklet);
}
static void call_disable_and_enable_tasklet(void)
{
    tasklet_disable_nosync(&around->tasklet);
    tasklet_enable(&around->tasklet);
}
static void call_lock_and_unlock_tasklet(void)
{
    if (tasklet_trylock(&around->tasklet))
        tasklet_unlock(&around->tasklet);
}
static void call_flush_work(void)
{
    flush_work(&around->item->dwork.work);
}
static void call_flush_delayed_work(void)
{
    flush_delayed_work(&around->other->dwork);
}
static void call_cancel_work_sync(void)
{
    cancel_work_sync(&around->item->dwork.work);
}
static void call_cancel_delayed_work_sync(void)
{
    cancel_delayed_work_sync(&around->other->dwork);
}
static void call_flush_workqueue(void)
{
    flush_workqueue(around->wq);
}
static void call_tasklet_disable(void)
{
    tasklet_disable(&around->tasklet);
    tasklet_enable(&around->tasklet);
}
static void call_tasklet_kill(void)
{
    tasklet_kill(&around->tasklet);
}
static void call_local_bh(void)
{
    local_bh_disable();
    call_tasklet_schedule();
    local_bh_enable();
}
static void call_alloc_and_destroy(void)
{
    destroy_workqueue(alloc_workqueue("%s", WQ_UNBOUND, 1, "a queue"));
}

/* The highest IRQL of each. */
static const struct {
    void (*call)(void);
    KIRQL highest;
} calls[] = {
    { call_queue_work, 12 },
    { call_queue_work_on, 12 },
    { call_schedule_work, 12 },
    { call_queue_delayed_work, 12 },
    { call_schedule_delayed_work_on, 12 },
    { call_mod_delayed_work, 12 },
    { call_cancel_work, 12 },
    { call_cancel_delayed_work, 12 },
    { call_disable_and_enable_work, 12 },
    { call_disable_and_enable_delayed_work, 12 },
    { call_hints, 12 },
    { call_tasklet_schedule, 12 },
    { call_tasklet_hi_schedule, 12 },
    { call_disable_and_enable_tasklet, 12 },
    { call_lock_and_unlock_tasklet, 12 },
    { call_local_bh, DISPATCH_LEVEL },
    { call_flush_work, APC_LEVEL },
    { call_flush_delayed_work, APC_LEVEL },
    { call_cancel_work_sync, APC_LEVEL },
    { call_cancel_delayed_work_sync, APC_LEVEL },
    { call_flush_workqueue, APC_LEVEL },
    { call_tasklet_disable, APC_LEVEL },
    { call_tasklet_kill, APC_LEVEL },
    { call_alloc_and_destroy, PASSIVE_LEVEL },
};

/* Somebody else uses the same items. */
static void meddle(void *context)
{
    (void)context;
    while (!around->stop) {
        calls[kmdf_mock_choose((uint32_t)ARRAYSIZE(calls) - 1)].call();
        kmdf_mock_sleep_100ns(JIFFY_100NS / 4);
    }
}

static void around_new(void)
{
    around = allocate(sizeof(*around));
    around->wq = alloc_workqueue("levels", 0, 0);
    around->item = item_new(NULL);
    around->other = item_new(NULL);
    tasklet_setup(&around->tasklet, count_tasklet);
    tasklet_runs = 0;
}

static void around_free(void)
{
    tasklet_kill(&around->tasklet);
    cancel_delayed_work_sync(&around->item->dwork);
    cancel_delayed_work_sync(&around->other->dwork);
    destroy_workqueue(around->wq);
    item_free(around->item);
    item_free(around->other);
    release(around);
}

static void b02_every_call_restores_the_irql(void)
{
    static const KIRQL levels[] = { PASSIVE_LEVEL, APC_LEVEL, DISPATCH_LEVEL, 3, 9, 12 };
    struct kmdf_mock_thread *meddler;
    size_t n, at;

    around_new();
    meddler = kmdf_mock_spawn("meddler", -1, meddle, NULL);
    for (at = 0; at < ARRAYSIZE(levels); at++) {
        for (n = 0; n < ARRAYSIZE(calls); n++) {
            KIRQL before, after;

            if (levels[at] > calls[n].highest)
                continue;
            before = KfRaiseIrql(levels[at]);
            calls[n].call();
            after = KeGetCurrentIrql();
            check_same("the IRQL after the call", after, levels[at]);
            KeLowerIrql(before);
        }
    }
    around->stop = true;
    kmdf_mock_join(meddler);
    around_free();
}

static struct item *works[4];

/* In an interrupt, or under a lock. */
static void use_them(void *context)
{
    (void)context;
    CHECK(queue_work(around->wq, &works[0]->dwork.work));
    CHECK(queue_delayed_work(around->wq, &works[1]->dwork, 2));
    CHECK(!mod_delayed_work(around->wq, &works[2]->dwork, 500));
    CHECK(mod_delayed_work(around->wq, &works[2]->dwork, 0));
    CHECK(queue_delayed_work(around->wq, &works[3]->dwork, 1));
    if (!planted)
        CHECK(cancel_delayed_work(&works[3]->dwork));
    tasklet_schedule(&around->tasklet);
}

static void b29_queueing_under_a_lock_and_in_an_interrupt(void)
{
    KSPIN_LOCK lock;
    KIRQL irql;
    int how, n;

    around_new();
    KeInitializeSpinLock(&lock);
    for (how = 0; how < 2; how++) {
        for (n = 0; n < 4; n++)
            works[n] = item_new(NULL);
        if (how) {
            kmdf_mock_interrupt(kmdf_mock_choose(4), use_them, NULL);
        } else {
            KeAcquireSpinLock(&lock, &irql);
            use_them(NULL);
            KeReleaseSpinLock(&lock, irql);
        }
        WAIT_UNTIL(works[0]->runs && works[1]->runs && works[2]->runs && tasklet_runs > (unsigned int)how);
        sleep_jiffies(4);
        flush_workqueue(around->wq);
        for (n = 0; n < 4; n++) {
            check_same("runs", works[n]->runs, n < 3);
            item_free(works[n]);
        }
    }
    around_free();
}

/* B-46, B-27, B-36: while bottom halves are off or it is disabled the function is not called; then it is. */
static void b46_b27_b36_a_schedule_is_kept_and_does_not_call(void)
{
    KIRQL irql;

    around_new();
    KeRaiseIrql(DISPATCH_LEVEL, &irql);
    tasklet_schedule(&around->tasklet);
    tasklet_hi_schedule(&around->tasklet);
    check_same("runs under the caller", tasklet_runs, 0);
    KeLowerIrql(irql);
    kmdf_mock_settle();
    check_same("runs", tasklet_runs, 1);

    tasklet_disable(&around->tasklet);
    tasklet_schedule(&around->tasklet);
    kmdf_mock_settle();
    check_same("runs while it is disabled", tasklet_runs, 1);
    CHECK(around->tasklet.state == 1ul << TASKLET_STATE_SCHED);
    if (planted)
        around->tasklet.state = 0; /* what is disabled is dropped */
    tasklet_enable(&around->tasklet);
    kmdf_mock_settle();
    check_same("runs after the enable", tasklet_runs, 2);

    CHECK(tasklet_trylock(&around->tasklet));
    tasklet_schedule(&around->tasklet);
    kmdf_mock_settle();
    check_same("runs while it is locked", tasklet_runs, 2);
    tasklet_unlock(&around->tasklet);
    kmdf_mock_settle();
    check_same("runs after the unlock", tasklet_runs, 3);
    around_free();
}

/* A work that queues itself, with the delays that it is told, and counts what was accepted. */
static struct again {
    struct delayed_work dwork;
    unsigned int runs;
    unsigned int left;
} *again;

static void go_again(struct work_struct *work)
{
    struct again *its = container_of(work, struct again, dwork.work);
    bool accepted = true;

    its->runs++;
    if (!its->left)
        return;
    its->left--;
    switch (kmdf_mock_choose(4)) {
    case 0:
        accepted = queue_work(around->wq, work);
        break;
    case 1:
        accepted = queue_delayed_work(around->wq, to_delayed_work(work), 0);
        break;
    case 2:
        accepted = queue_delayed_work(around->wq, to_delayed_work(work), 2);
        break;
    default:
        accepted = !mod_delayed_work(around->wq, to_delayed_work(work), 1);
        break;
    }
    /* The mistake: pending ends after the function, and what it has queued with it. */
    if (planted)
        cancel_delayed_work(to_delayed_work(work));
    CHECK(accepted);
}

static void b47_queued_by_its_own_function_it_runs_again(void)
{
    around_new();
    again = allocate(sizeof(*again));
    INIT_DELAYED_WORK(&again->dwork, go_again);
    again->left = 6;
    CHECK(queue_work(around->wq, &again->dwork.work));
    sleep_jiffies(40);
    WAIT_UNTIL(planted || again->runs == 7);
    check_same("runs", again->runs, 7);
    CHECK(!cancel_delayed_work_sync(&again->dwork));
    release(again);
    around_free();
}

const struct scenario scenarios[] = {
    { .name = "b02_every_call_restores_the_irql", .run = b02_every_call_restores_the_irql },
    { .name = "b29_queueing_under_a_lock_and_in_an_interrupt",
      .run = b29_queueing_under_a_lock_and_in_an_interrupt },
    { .name = "b46_b27_b36_a_schedule_is_kept_and_does_not_call",
      .run = b46_b27_b36_a_schedule_is_kept_and_does_not_call },
    { .name = "b47_queued_by_its_own_function_it_runs_again",
      .run = b47_queued_by_its_own_function_it_runs_again },
    { .name = NULL },
};
