// SPDX-License-Identifier: MIT OR Apache-2.0
/* Scenarios of works beyond the table of facts: states, contexts and callers that it does not name. */
#include "works.h"

static struct item a;
static struct item b;
static struct item blocker;
static struct caller first;

/* work_busy in each state: idle, queued, held by max_active, running, both, over. */
SCENARIO(W461)
{
    struct workqueue_struct *one = alloc_workqueue("kit", 0, 1);
    struct workqueue_struct *o = alloc_ordered_workqueue("kit", 0);

    item_init(&a, RUN(1) | RUN(2));
    answer("idle", work_busy(&a.work));
    item_hold(&blocker, 0, o);
    queue_work(o, &a.work);
    answer("queued", work_busy(&a.work));
    cancel_work(&a.work);
    item_open(&blocker, 1);
    flush_workqueue(o);
    item_hold(&blocker, 1, one);
    queue_work_on(1, one, &a.work);
    answer("held", work_busy(&a.work));
    item_open(&blocker, 1);
    item_await(&a, 1);
    answer("running", work_busy(&a.work));
    queue_work_on(1, one, &a.work);
    answer("both", work_busy(&a.work));
    item_open(&a, 1);
    item_await(&a, 2);
    answer("second", work_busy(&a.work));
    item_open(&a, 2);
    destroy_workqueue(one);
    destroy_workqueue(o);
    answer("over", work_busy(&a.work));
}

/* The half of W30 that no kernel runs beside itself: the same function, initialised anew, on the same CPU. */
SCENARIO(W462)
{
    struct workqueue_struct *p = alloc_workqueue("kit", 0, 0);

    item_hold(&a, 1, p);
    INIT_WORK(&a.work, item_run);
    answer("queued", queue_work_on(1, p, &a.work));
    kit_settle();
    answer("before", kit_begun(&a.seen));
    item_open(&a, 1);
    item_wait(&a, 2);
    answer("runs", kit_begun(&a.seen));
    answer("most", kit_most(&a.seen));
    destroy_workqueue(p);
}

/* current_work: of a work, from a function that it calls; of a thread, an interrupt and a tasklet none. */
static struct {
    struct work_struct work;
    bool is_self;
    bool in_thread;
    bool in_interrupt;
    bool in_tasklet;
    atomic_t runs;
} who;

static struct work_struct *ask_who(void)
{
    return current_work();
}

static void who_run(struct work_struct *work)
{
    who.is_self = ask_who() == work;
    atomic_inc(&who.runs);
}

static void who_in_thread(void *arg)
{
    *(bool *)arg = ask_who() != NULL;
}

static void who_in_tasklet(struct tasklet_struct *t)
{
    who.in_tasklet = ask_who() != NULL;
}

SCENARIO(W463)
{
    static struct tasklet_struct tasklet;

    memset(&who, 0, sizeof(who));
    INIT_WORK(&who.work, who_run);
    tasklet_setup(&tasklet, who_in_tasklet);
    item_hold(&a, 1, system_wq);
    kit_run_on(1, who_in_thread, &who.in_thread);
    kit_hardirq_on(1, who_in_thread, &who.in_interrupt);
    tasklet_schedule(&tasklet);
    tasklet_kill(&tasklet);
    schedule_work(&who.work);
    flush_work(&who.work);
    item_open(&a, 1);
    flush_work(&a.work);
    answer("runs", atomic_read(&who.runs));
    answer("self", who.is_self);
    answer("thread", who.in_thread);
    answer("interrupt", who.in_interrupt);
    answer("tasklet", who.in_tasklet);
}

/* A work queues itself on another queue of its CPU: one more run, not beside the first. */
SCENARIO(W464)
{
    struct workqueue_struct *p = alloc_workqueue("kit", 0, 0);
    struct workqueue_struct *q = alloc_workqueue("kit", 0, 0);

    item_init(&a, RUN(1));
    a.requeues_first = RUN(1);
    a.again = q;
    queue_work_on(1, p, &a.work);
    item_await(&a, 1);
    answer("requeued", a.requeued);
    answer("on_first", queue_work_on(1, p, &a.work));
    kit_settle();
    answer("before", kit_begun(&a.seen));
    item_open(&a, 1);
    flush_workqueue(p);
    flush_workqueue(q);
    answer("runs", kit_ended(&a.seen));
    answer("most", kit_most(&a.seen));
    answer("cpu2", kit_cpu_of(&a.seen, 2));
    destroy_workqueue(p);
    destroy_workqueue(q);
}

static long add_on_cpu(void *arg)
{
    return *(int *)arg + 1000 * (long)raw_smp_processor_id() + (current_work() != NULL);
}

static struct {
    struct work_struct work;
    long answer;
    bool is_current;
} remote;

static void remote_run(struct work_struct *work)
{
    int number = 40;

    remote.answer = work_on_cpu(3, add_on_cpu, &number);
    remote.is_current = current_work() == work;
}

/* work_on_cpu from a work. */
SCENARIO(W465)
{
    struct workqueue_struct *p = alloc_workqueue("kit", 0, 0);

    memset(&remote, 0, sizeof(remote));
    INIT_WORK(&remote.work, remote_run);
    queue_work_on(1, p, &remote.work);
    destroy_workqueue(p);
    answer("returned", remote.answer);
    answer("current", remote.is_current);
}

static void described_run(struct work_struct *work)
{
    set_worker_desc("number %d of %s", 7, "a name that is longer than what a description can hold");
    kit_enter(&b.seen);
    kit_leave(&b.seen);
}

/* set_worker_desc changes nothing that a driver sees; anybody may call it. */
SCENARIO(W466)
{
    struct work_struct work;

    item_init(&b, 0);
    set_worker_desc("nobody");
    INIT_WORK_ONSTACK(&work, described_run);
    answer("queued", schedule_work(&work));
    flush_work(&work);
    destroy_work_on_stack(&work);
    answer("runs", kit_ended(&b.seen));
    answer("said", kit_diagnosed());
}

/* A work on the stack that is queued, cancelled, initialised again, queued and waited for. */
SCENARIO(W467)
{
    struct workqueue_struct *o = alloc_ordered_workqueue("kit", 0);
    struct work_struct work;

    item_init(&b, 0);
    item_hold(&blocker, 0, o);
    INIT_WORK_ONSTACK(&work, described_run);
    answer("idle", flush_work(&work));
    answer("first", queue_work(o, &work));
    answer("cancelled", cancel_work_sync(&work));
    destroy_work_on_stack(&work);
    INIT_WORK_ONSTACK(&work, described_run);
    answer("second", queue_work(o, &work));
    item_open(&blocker, 1);
    flush_work(&work);
    destroy_work_on_stack(&work);
    answer("runs", kit_ended(&b.seen));
    destroy_workqueue(o);
}

static struct {
    struct delayed_work delayed;
    atomic_t runs;
} late;

static void late_run(struct work_struct *work)
{
    atomic_inc(&late.runs);
}

/* A delayed work's own work is queued at once when it is idle, and refused while its timer is armed. */
SCENARIO(W468)
{
    memset(&late, 0, sizeof(late));
    INIT_DELAYED_WORK(&late.delayed, late_run);
    answer("idle", schedule_work(&late.delayed.work));
    flush_work(&late.delayed.work);
    answer("runs", atomic_read(&late.runs));
    answer("armed", schedule_delayed_work(&late.delayed, 1000 * HZ));
    answer("refused", schedule_work(&late.delayed.work));
    answer("flush", flush_work(&late.delayed.work));
    answer("pending", delayed_work_pending(&late.delayed));
    answer("cancelled", cancel_delayed_work_sync(&late.delayed));
    answer("then", atomic_read(&late.runs));
}

/* Every queue of the system takes a work and runs it, one after another, without being told of another. */
SCENARIO(W469)
{
    struct workqueue_struct *queues[7];
    int queued = 0;
    unsigned int i;

    queues[0] = system_wq;
    queues[1] = system_highpri_wq;
    queues[2] = system_long_wq;
    queues[3] = system_unbound_wq;
    queues[4] = system_freezable_wq;
    queues[5] = system_power_efficient_wq;
    queues[6] = system_freezable_power_efficient_wq;
    item_init(&a, 0);
    for (i = 0; i < ARRAY_SIZE(queues); i++) {
        queued += queue_work(queues[i], &a.work);
        flush_work(&a.work);
    }
    answer("queued", queued);
    answer("runs", kit_ended(&a.seen));
    answer("most", kit_most(&a.seen));
}

static void schedule_from_tasklet(struct tasklet_struct *t)
{
    who.is_self = schedule_work(&who.work);
}

static void task_run(struct work_struct *work)
{
    who.in_thread = in_task() && !in_interrupt() && !irqs_disabled();
    atomic_inc(&who.runs);
}

/* Queued in a tasklet, and under a lock that keeps interrupts off: it runs in a thread, later. */
SCENARIO(W470)
{
    static struct tasklet_struct tasklet;
    static DEFINE_SPINLOCK(lock);
    unsigned long flags;
    bool queued;

    memset(&who, 0, sizeof(who));
    INIT_WORK(&who.work, task_run);
    tasklet_setup(&tasklet, schedule_from_tasklet);
    tasklet_schedule(&tasklet);
    tasklet_kill(&tasklet);
    flush_work(&who.work);
    answer("tasklet", who.is_self);
    answer("runs", atomic_read(&who.runs));
    answer("task", who.in_thread);
    spin_lock_irqsave(&lock, flags);
    queued = schedule_work_on(1, &who.work);
    spin_unlock_irqrestore(&lock, flags);
    flush_work(&who.work);
    answer("locked", queued);
    answer("then", atomic_read(&who.runs));
    answer("still_task", who.in_thread);
}

static DECLARE_WORK(declared, task_run);

/* A work that is initialised where it is declared. */
SCENARIO(W471)
{
    memset(&who, 0, sizeof(who));
    answer("busy", work_busy(&declared));
    answer("func", declared.func == task_run);
    answer("flush", flush_work(&declared));
    answer("queued", schedule_work(&declared));
    flush_work(&declared);
    answer("runs", atomic_read(&who.runs));
    answer("pending", work_pending(&declared));
}

/* Works that max_active holds start in the order of queueing, on the CPU they were queued on. */
SCENARIO(W472)
{
    static struct kit_marks marks;
    static struct item items[5];
    struct workqueue_struct *one = alloc_workqueue("kit", 0, 1);
    int i;

    kit_marks_init(&marks);
    item_hold(&blocker, 1, one);
    for (i = 0; i < 5; i++) {
        item_init(&items[i], 0);
        items[i].marks = &marks;
        items[i].letter = (char)('A' + i);
        queue_work_on(1, one, &items[i].work);
    }
    answer("cancelled", cancel_work(&items[1].work));
    answer("requeued", queue_work_on(1, one, &items[1].work));
    answer("also", cancel_work_sync(&items[3].work));
    item_open(&blocker, 1);
    destroy_workqueue(one);
    answer_marks("order", &marks);
    answer("on1", kit_cpu_of(&items[4].seen, 1) == 1);
}

/* A flush of a work that max_active holds, while what is before it is cancelled. */
SCENARIO(W473)
{
    struct workqueue_struct *one = alloc_workqueue("kit", 0, 1);

    item_hold(&blocker, 1, one);
    item_init(&a, 0);
    item_init(&b, 0);
    queue_work_on(1, one, &a.work);
    queue_work_on(1, one, &b.work);
    caller_start(&first, 2, flush_work, &b);
    answer("waits", caller_waits(&first));
    answer("cancelled", cancel_work(&a.work));
    item_open(&blocker, 1);
    answer("returned", caller_join(&first));
    answer("a", kit_ended(&a.seen));
    answer("b", kit_ended(&b.seen));
    destroy_workqueue(one);
}

KIT_GROUP(works_more, "works", KIT_ROW(W461), KIT_ROW(W462), KIT_ROW(W463), KIT_ROW(W464), KIT_ROW(W465),
          KIT_ROW(W466), KIT_ROW(W467), KIT_ROW(W468), KIT_ROW(W469), KIT_ROW(W470), KIT_ROW(W471),
          KIT_ROW(W472), KIT_ROW(W473));
