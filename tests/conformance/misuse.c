// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * Scenarios of misuse, which a kernel warns about: they have a guest of their own. Beyond the table of facts:
 * a work that is disabled too often, a bottom half's work that is cancelled in an interrupt, a flush that a
 * work for memory reclaim must not wait for, functions that return with bottom halves off, and a tasklet that
 * is killed in an interrupt. Whether something was said is an answer, its words are not.
 */
#include "works.h"

static struct item a;
static unsigned int said_before;

/* Whether anything has been said since the scenario began, or since the latest call. */
static void answer_said(const char *key)
{
    unsigned int now;

    kit_settle();
    now = kit_diagnosed();
    answer(key, now > said_before);
    said_before = now;
}

SCENARIO(W20)
{
    static struct work_struct zeroed;

    said_before = 0;
    memset(&zeroed, 0, sizeof(zeroed));
    answer("cancel", cancel_work(&zeroed));
    answer("flush", flush_work(&zeroed));
    answer_said("flush_said");
    answer("sync", cancel_work_sync(&zeroed));
    answer_said("sync_said");
    answer("pending", work_pending(&zeroed));
    /* It can be initialised and used after that. */
    item_init(&a, 0);
    answer("queued", schedule_work(&a.work));
    flush_work(&a.work);
    answer("runs", kit_ended(&a.seen));
}

SCENARIO(W22)
{
    static struct item zeroed;

    said_before = 0;
    memset(&zeroed, 0, sizeof(zeroed));
    kit_seen_init(&zeroed.seen);
    zeroed.work.func = item_run;
    answer("queued", schedule_work(&zeroed.work));
    answer_said("said");
    answer("pending", work_pending(&zeroed.work));
    answer("again", schedule_work(&zeroed.work));
    answer("runs", kit_begun(&zeroed.seen));
}

SCENARIO(D26)
{
    static struct delayed_work zeroed;

    said_before = 0;
    memset(&zeroed, 0, sizeof(zeroed));
    answer("cancel", cancel_delayed_work(&zeroed));
    answer("sync", cancel_delayed_work_sync(&zeroed));
    answer_said("sync_said");
    answer("flush", flush_delayed_work(&zeroed));
    answer_said("flush_said");
    answer("pending", delayed_work_pending(&zeroed));
}

static void drain(void *wq)
{
    drain_workqueue(wq);
}

/* An outsider queues another work while the queue is drained; works of the queue may. */
SCENARIO(Q04)
{
    static struct item other;
    struct workqueue_struct *p = alloc_workqueue("kit", 0, 0);
    struct kit_thread *thread;

    said_before = 0;
    item_init(&a, RUN(1));
    a.requeues_last = RUN(1);
    a.again = p;
    queue_work_on(1, p, &a.work);
    item_await(&a, 1);
    item_init(&other, 0);
    thread = kit_thread_on(2, drain, p);
    kit_settle();
    answer("waits", !kit_thread_done(thread));
    answer("outsider", queue_work(p, &other.work));
    answer_said("said");
    item_open(&a, 1);
    kit_join(thread);
    answer("own", a.requeued);
    answer_said("own_said");
    answer("pending", work_pending(&other.work));
    answer("runs", kit_ended(&a.seen));
    answer("ran", kit_begun(&other.seen));
    destroy_workqueue(p);
}

/*
 * A work of a queue for memory reclaim waits for others: a flush is warned about unless it is of such a
 * queue.
 */
static struct {
    struct work_struct work;
    struct work_struct *target;
    bool cancels;
    int answer;
} reclaimer;

static void reclaimer_run(struct work_struct *work)
{
    reclaimer.answer = reclaimer.cancels ? cancel_work_sync(reclaimer.target) : flush_work(reclaimer.target);
}

static void reclaim_with(struct workqueue_struct *reclaim, struct workqueue_struct *target, bool cancels)
{
    memset(&reclaimer, 0, sizeof(reclaimer));
    item_hold(&a, 2, target);
    reclaimer.target = &a.work;
    reclaimer.cancels = cancels;
    INIT_WORK(&reclaimer.work, reclaimer_run);
    queue_work_on(1, reclaim, &reclaimer.work);
    kit_settle();
    item_open(&a, 1);
    flush_work(&reclaimer.work);
    flush_work(&a.work);
}

SCENARIO(W505)
{
    struct workqueue_struct *reclaim = alloc_workqueue("kit", WQ_MEM_RECLAIM, 0);
    struct workqueue_struct *other = alloc_workqueue("kit", WQ_MEM_RECLAIM, 0);
    struct workqueue_struct *plain = alloc_workqueue("kit", 0, 0);

    said_before = 0;
    reclaim_with(reclaim, other, false);
    answer("same", reclaimer.answer);
    answer_said("same_said");
    reclaim_with(reclaim, plain, true);
    answer("cancel", reclaimer.answer);
    answer_said("cancel_said");
    reclaim_with(plain, reclaim, false);
    answer("from_plain", reclaimer.answer);
    answer_said("from_plain_said");
    reclaim_with(reclaim, plain, false);
    answer("flush", reclaimer.answer);
    answer_said("flush_said");
    destroy_workqueue(reclaim);
    destroy_workqueue(other);
    destroy_workqueue(plain);
}

static void leaking_run(struct work_struct *work)
{
    local_bh_disable();
}

/* A work's function returns with bottom halves off: works of that CPU go on, with them on. */
SCENARIO(W506)
{
    struct workqueue_struct *p = alloc_workqueue("kit", 0, 0);
    static struct work_struct leaking;

    said_before = 0;
    INIT_WORK(&leaking, leaking_run);
    queue_work_on(1, p, &leaking);
    flush_work(&leaking);
    answer_said("said");
    item_init(&a, 0);
    queue_work_on(1, p, &a.work);
    flush_work(&a.work);
    answer("runs", kit_ended(&a.seen));
    destroy_workqueue(p);
}

static atomic_t tasklet_runs;
static struct tasklet_struct tasklet;

static void tasklet_run(struct tasklet_struct *t)
{
    atomic_inc(&tasklet_runs);
}

static void kill_tasklet(void *arg)
{
    tasklet_kill(&tasklet);
}

/* An idle tasklet is killed in an interrupt. */
SCENARIO(T501)
{
    said_before = 0;
    atomic_set(&tasklet_runs, 0);
    tasklet_setup(&tasklet, tasklet_run);
    kit_hardirq_on(1, kill_tasklet, NULL);
    answer_said("said");
    answer("state", (long long)tasklet.state);
    tasklet_schedule(&tasklet);
    tasklet_kill(&tasklet);
    answer("runs", atomic_read(&tasklet_runs));
    answer_said("then_said");
}

static void leaking_tasklet(struct tasklet_struct *t)
{
    if (atomic_inc_return(&tasklet_runs) == 1)
        local_bh_disable();
}

/*
 * A tasklet's function returns with bottom halves off: tasklets and threads of that CPU go on, with them on.
 */
SCENARIO(T502)
{
    said_before = 0;
    atomic_set(&tasklet_runs, 0);
    tasklet_setup(&tasklet, leaking_tasklet);
    tasklet_schedule(&tasklet);
    tasklet_kill(&tasklet);
    answer_said("said");
    answer("softirq", !!in_softirq());
    tasklet_schedule(&tasklet);
    tasklet_kill(&tasklet);
    answer("runs", atomic_read(&tasklet_runs));
    answer_said("then_said");
}

#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 10, 0)

SCENARIO(W39)
{
    said_before = 0;
    item_init(&a, 0);
    answer("enable", enable_work(&a.work));
    answer_said("said");
    answer("queued", schedule_work(&a.work));
    flush_work(&a.work);
    answer("runs", kit_ended(&a.seen));
    answer("disable", disable_work(&a.work));
    answer("refused", schedule_work(&a.work));
    answer("again", enable_work(&a.work));
    answer_said("again_said");
}

/* One enable too many of a delayed work, and by enable_and_queue_work. */
SCENARIO(W501)
{
    static struct delayed_work late;

    said_before = 0;
    INIT_DELAYED_WORK(&late, leaking_run);
    answer("delayed", enable_delayed_work(&late));
    answer_said("said");
    item_init(&a, 0);
    answer("and_queue", enable_and_queue_work(system_wq, &a.work));
    flush_work(&a.work);
    answer("runs", kit_ended(&a.seen));
}

/* Disabled once more than the depth holds: it is said, and as many enables as the depth holds are enough. */
SCENARIO(W502)
{
    int enabled = 0;
    int i;

    said_before = 0;
    item_init(&a, 0);
    for (i = 0; i < 65535; i++)
        disable_work(&a.work);
    answer_said("full_said");
    answer("disable", disable_work(&a.work));
    answer_said("said");
    for (i = 0; i < 65534; i++)
        enabled += enable_work(&a.work);
    answer("early", enabled);
    answer("refused", schedule_work(&a.work));
    answer("last", enable_work(&a.work));
    answer("queued", schedule_work(&a.work));
    flush_work(&a.work);
    answer("runs", kit_ended(&a.seen));
}

static void cancel_sync_a(void *arg)
{
    *(int *)arg = cancel_work_sync(&a.work);
}

/* The work of a bottom half may be cancelled with bottom halves off, but not in an interrupt. */
SCENARIO(W503)
{
    struct workqueue_struct *bh = alloc_workqueue("kit", WQ_BH, 0);
    int cancelled = -1;

    said_before = 0;
    item_init(&a, 0);
    queue_work(bh, &a.work);
    flush_work(&a.work);
    local_bh_disable();
    cancel_work_sync(&a.work);
    local_bh_enable();
    answer_said("bh_said");
    kit_hardirq_on(1, cancel_sync_a, &cancelled);
    answer("cancel", cancelled);
    answer_said("said");
    answer("queued", queue_work(bh, &a.work));
    destroy_workqueue(bh);
    answer("runs", kit_ended(&a.seen));
}

/* A zeroed work is disabled and enabled. */
SCENARIO(W504)
{
    static struct work_struct zeroed;

    memset(&zeroed, 0, sizeof(zeroed));
    answer("disable", disable_work(&zeroed));
    answer("pending", work_pending(&zeroed));
    answer("enable", enable_work(&zeroed));
}

#define ROWS_OF_6_10 , KIT_ROW(W39), KIT_ROW(W501), KIT_ROW(W502), KIT_ROW(W503), KIT_ROW(W504)
#else
#define ROWS_OF_6_10
#endif

KIT_GROUP(misuse, "misuse", KIT_ROW(W20), KIT_ROW(W22), KIT_ROW(D26), KIT_ROW(Q04), KIT_ROW(W505),
          KIT_ROW(W506), KIT_ROW(T501), KIT_ROW(T502) ROWS_OF_6_10);
