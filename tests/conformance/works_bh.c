// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * Scenarios of works on WQ_BH queues, as of Linux 6.9; disabling them, as of 6.10. Row Q22 is with the
 * queues.
 */
#include "works.h"

#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 10, 0)

/* A work of a bottom half: it spins where an item sleeps. */
static struct bottom {
    struct work_struct work;
    struct kit_seen seen;
    struct kit_gate gate;
    bool is_gated;
    int requeues;
    struct workqueue_struct *again;
    int current_is_self;
    int pending;
    unsigned int busy;
} a, b;

static void bottom_run(struct work_struct *work)
{
    struct bottom *bottom = container_of(work, struct bottom, work);
    int run = kit_enter(&bottom->seen);

    if (run <= bottom->requeues)
        queue_work(bottom->again, work);
    bottom->current_is_self = current_work() == work;
    bottom->pending = work_pending(work);
    bottom->busy = work_busy(work);
    if (bottom->is_gated && run == 1)
        kit_gate_spin(&bottom->gate);
    kit_leave(&bottom->seen);
}

static void bottom_init(struct bottom *bottom, bool is_gated)
{
    memset(bottom, 0, sizeof(*bottom));
    kit_seen_init(&bottom->seen);
    kit_gate_init(&bottom->gate);
    bottom->is_gated = is_gated;
    INIT_WORK(&bottom->work, bottom_run);
}

/* When this returns, the work spins on that CPU. */
static void bottom_hold(struct bottom *bottom, int cpu, struct workqueue_struct *wq)
{
    bottom_init(bottom, true);
    queue_work_on(cpu, wq, &bottom->work);
    kit_gate_await(&bottom->gate, 1);
}

/* A thread that makes one call for a work, with bottom halves off if so asked. */
static struct {
    bool (*call)(struct work_struct *work);
    bool is_atomic;
    struct bottom *bottom;
    atomic_t called;
    int answer;
    int ended;
} remote;

static void remote_main(void *arg)
{
    atomic_set(&remote.called, 1);
    if (remote.is_atomic)
        local_bh_disable();
    remote.answer = remote.call(&remote.bottom->work);
    remote.ended = kit_ended(&remote.bottom->seen);
    if (remote.is_atomic)
        local_bh_enable();
}

static struct kit_thread *remote_start(bool (*call)(struct work_struct *), bool is_atomic,
                                       struct bottom *bottom)
{
    struct kit_thread *thread;

    remote.call = call;
    remote.is_atomic = is_atomic;
    remote.bottom = bottom;
    remote.answer = -1;
    remote.ended = -1;
    atomic_set(&remote.called, 0);
    thread = kit_thread_on(2, remote_main, NULL);
    kit_wait_until(atomic_read(&remote.called));
    kit_settle();
    return thread;
}

/* cancel_work_sync and flush_work in every state of a work in a bottom half. */
SCENARIO(W486)
{
    struct workqueue_struct *bh = alloc_workqueue("kit", WQ_BH, 0);
    struct kit_thread *thread;

    bottom_init(&a, false);
    answer("idle", cancel_work_sync(&a.work));
    answer("never", flush_work(&a.work));
    local_bh_disable();
    queue_work(bh, &a.work);
    answer("queued", cancel_work(&a.work));
    queue_work(bh, &a.work);
    answer("queued_sync", cancel_work_sync(&a.work));
    local_bh_enable();
    flush_workqueue(bh);
    answer("runs", kit_begun(&a.seen));
    bottom_hold(&a, 1, bh);
    answer("running", cancel_work(&a.work));
    thread = remote_start(cancel_work_sync, false, &a);
    answer("waits", !kit_thread_done(thread));
    answer("during", queue_work_on(3, bh, &a.work));
    kit_gate_open(&a.gate);
    kit_join(thread);
    answer("returned", remote.answer);
    answer("ended", remote.ended);
    answer("after", queue_work(bh, &a.work));
    destroy_workqueue(bh);
    answer("then", kit_ended(&a.seen));
}

/* disable_work_sync with bottom halves off: spins until the run on the other CPU has ended. */
SCENARIO(W487)
{
    struct workqueue_struct *bh = alloc_workqueue("kit", WQ_BH, 0);
    struct kit_thread *thread;

    bottom_hold(&a, 1, bh);
    answer("queued", queue_work_on(1, bh, &a.work));
    thread = remote_start(disable_work_sync, true, &a);
    answer("waits", !kit_thread_done(thread));
    kit_gate_open(&a.gate);
    kit_join(thread);
    answer("returned", remote.answer);
    answer("ended", remote.ended);
    answer("refused", queue_work(bh, &a.work));
    answer("cancel", cancel_work_sync(&a.work));
    answer("enable", enable_and_queue_work(bh, &a.work));
    destroy_workqueue(bh);
    answer("runs", kit_ended(&a.seen));
}

/* disable_work while queued, with bottom halves off, and enabled before they are on again. */
SCENARIO(W488)
{
    struct workqueue_struct *bh = alloc_workqueue("kit", WQ_BH, 0);

    bottom_init(&a, false);
    bottom_init(&b, false);
    local_bh_disable();
    queue_work(bh, &a.work);
    queue_work(bh, &b.work);
    answer("disable", disable_work(&a.work));
    answer("refused", queue_work(bh, &a.work));
    answer("enable", enable_work(&a.work));
    answer("disable_sync", disable_work_sync(&b.work));
    local_bh_enable();
    flush_workqueue(bh);
    answer("a", kit_begun(&a.seen));
    answer("b", kit_begun(&b.seen));
    answer("enable_sync", enable_work(&b.work));
    answer("queued", queue_work(bh, &b.work));
    destroy_workqueue(bh);
    answer("then", kit_ended(&b.seen));
}

/* What a work of a bottom half sees of itself, alone and queued again. */
SCENARIO(W489)
{
    struct workqueue_struct *bh = alloc_workqueue("kit", WQ_BH, 0);

    bottom_init(&a, false);
    queue_work(bh, &a.work);
    flush_work(&a.work);
    answer("current", a.current_is_self);
    answer("pending", a.pending);
    answer("busy", a.busy);
    bottom_init(&a, false);
    a.requeues = 5;
    a.again = bh;
    queue_work(bh, &a.work);
    kit_wait_until(kit_ended(&a.seen) == 6);
    flush_work(&a.work);
    answer("runs", kit_ended(&a.seen));
    answer("most", kit_most(&a.seen));
    destroy_workqueue(bh);
}

static struct {
    struct work_struct work;
    char more[100];
} *freed;
static struct kit_seen freed_seen;

static void freed_run(struct work_struct *work)
{
    kit_enter(&freed_seen);
    memset(freed, 0x5a, sizeof(*freed));
    kfree(freed);
    kit_leave(&freed_seen);
}

/* A work of a bottom half frees its own memory. */
SCENARIO(W490)
{
    struct workqueue_struct *bh = alloc_workqueue("kit", WQ_BH, 0);
    int i;

    kit_seen_init(&freed_seen);
    for (i = 0; i < 10; i++) {
        freed = kmalloc(sizeof(*freed), GFP_KERNEL);
        if (!freed)
            break;
        INIT_WORK(&freed->work, freed_run);
        queue_work_on(i % 4, bh, &freed->work);
        flush_workqueue(bh);
    }
    destroy_workqueue(bh);
    answer("runs", kit_ended(&freed_seen));
}

/* Works on two CPUs run at once; on one CPU one waits for the other, whatever their queues. */
SCENARIO(W491)
{
    struct workqueue_struct *bh = alloc_workqueue("kit", WQ_BH, 0);

    bottom_hold(&a, 1, bh);
    bottom_hold(&b, 2, bh);
    answer("at_once", kit_begun(&a.seen) + kit_begun(&b.seen));
    kit_gate_open(&b.gate);
    flush_work(&b.work);
    bottom_init(&b, false);
    queue_work_on(1, system_bh_wq, &b.work);
    kit_settle();
    answer("waits", kit_begun(&b.seen) == 0);
    kit_gate_open(&a.gate);
    flush_work(&b.work);
    answer("then", kit_ended(&b.seen));
    destroy_workqueue(bh);
}

/* A work that was in a bottom half runs in a thread when it is queued on another kind of queue, and back. */
SCENARIO(W492)
{
    struct workqueue_struct *bh = alloc_workqueue("kit", WQ_BH, 0);
    struct workqueue_struct *p = alloc_workqueue("kit", 0, 0);

    bottom_init(&a, false);
    answer("bottom", queue_work_on(1, bh, &a.work));
    flush_work(&a.work);
    answer("thread", queue_work_on(1, p, &a.work));
    flush_work(&a.work);
    answer("current", a.current_is_self);
    answer("back", queue_work_on(2, bh, &a.work));
    flush_work(&a.work);
    answer("runs", kit_ended(&a.seen));
    answer("cpu3", kit_cpu_of(&a.seen, 3));
    destroy_workqueue(bh);
    destroy_workqueue(p);
}

KIT_GROUP(works_bh, "works", KIT_ROW(W486), KIT_ROW(W487), KIT_ROW(W488), KIT_ROW(W489), KIT_ROW(W490),
          KIT_ROW(W491), KIT_ROW(W492));

#endif
