// SPDX-License-Identifier: MIT OR Apache-2.0
/* Scenarios of works: queueing, order, where a work runs, what it may do with itself. */
#include "works.h"

static struct item a;
static struct item b;

SCENARIO(W01)
{
    struct workqueue_struct *p = alloc_workqueue("kit", 0, 0);

    item_init(&a, 0);
    answer("queued", queue_work(p, &a.work));
    flush_work(&a.work);
    answer("runs", kit_ended(&a.seen));
    answer("pending", work_pending(&a.work));
    destroy_workqueue(p);
}

SCENARIO(W02)
{
    struct workqueue_struct *o = alloc_ordered_workqueue("kit", 0);
    struct workqueue_struct *p = alloc_workqueue("kit", 0, 0);

    item_init(&a, 0);
    item_hold(&b, 0, o);
    answer("first", queue_work(o, &a.work));
    answer("second", queue_work(o, &a.work));
    answer("other", queue_work(p, &a.work));
    answer("system", schedule_work(&a.work));
    answer("busy", work_busy(&a.work));
    answer("pending", work_pending(&a.work));
    kit_settle();
    answer("before", kit_begun(&a.seen));
    item_open(&b, 1);
    destroy_workqueue(o);
    destroy_workqueue(p);
    answer("runs", kit_ended(&a.seen));
}

SCENARIO(W03)
{
    struct workqueue_struct *p = alloc_workqueue("kit", 0, 0);

    item_hold(&a, 1, p);
    answer("on2", queue_work_on(2, p, &a.work));
    answer("on3", queue_work_on(3, p, &a.work));
    answer("busy", work_busy(&a.work));
    kit_settle();
    answer("before", kit_begun(&a.seen));
    item_open(&a, 1);
    item_wait(&a, 2);
    answer("runs", kit_begun(&a.seen));
    answer("most", kit_most(&a.seen));
    answer("cpu1", kit_cpu_of(&a.seen, 1));
    answer("cpu2", kit_cpu_of(&a.seen, 2));
    destroy_workqueue(p);
}

/* The order of A, which queues itself first or last of all in its first run, and B. */
static void requeue_beside(bool first)
{
    static struct kit_marks marks;
    struct workqueue_struct *o = alloc_ordered_workqueue("kit", 0);

    kit_marks_init(&marks);
    item_init(&a, RUN(1));
    item_init(&b, 0);
    a.marks = b.marks = &marks;
    a.letter = 'A';
    b.letter = 'B';
    a.again = o;
    a.requeues_first = first ? RUN(1) : 0;
    a.requeues_last = first ? 0 : RUN(1);
    queue_work(o, &a.work);
    item_await(&a, 1);
    answer("b", queue_work(o, &b.work));
    item_open(&a, 1);
    item_wait(&a, 2);
    destroy_workqueue(o);
    answer("requeued", a.requeued);
    answer_marks("order", &marks);
}

SCENARIO(W04)
{
    requeue_beside(false);
}

SCENARIO(W05)
{
    requeue_beside(true);
}

/* What a work sees from within. */
struct probe {
    struct work_struct work;
    bool queues_itself;
    atomic_t runs;
    int queued;
    int pending;
    unsigned int busy;
    bool is_current;
    bool interrupt;
    bool task;
    bool irqs_off;
    bool atomic;
};

static void probe_run(struct work_struct *work)
{
    struct probe *probe = container_of(work, struct probe, work);

    if (atomic_inc_return(&probe->runs) == 1) {
        if (probe->queues_itself)
            probe->queued = schedule_work(work);
        probe->pending = work_pending(work);
        probe->busy = work_busy(work);
        probe->is_current = current_work() == work;
        probe->interrupt = in_interrupt() || in_softirq() || in_hardirq() || in_serving_softirq();
        probe->task = in_task();
        probe->irqs_off = irqs_disabled();
        probe->atomic = in_atomic();
    }
}

static struct probe probe;

static void probe_init(bool queues_itself)
{
    memset(&probe, 0, sizeof(probe));
    probe.queues_itself = queues_itself;
    INIT_WORK(&probe.work, probe_run);
}

SCENARIO(W06)
{
    probe_init(false);
    schedule_work(&probe.work);
    flush_work(&probe.work);
    answer("runs", atomic_read(&probe.runs));
    answer("pending", probe.pending);
    answer("busy", probe.busy);
    answer("current", probe.is_current);
    answer("interrupt", probe.interrupt);
    answer("task", probe.task);
    answer("irqs_off", probe.irqs_off);
    answer("atomic", probe.atomic);
    answer("outside", current_work() == NULL);
}

SCENARIO(W07)
{
    probe_init(true);
    schedule_work(&probe.work);
    kit_wait_until(atomic_read(&probe.runs) == 2);
    flush_work(&probe.work);
    answer("queued", probe.queued);
    answer("pending", probe.pending);
    answer("busy", probe.busy);
    answer("runs", atomic_read(&probe.runs));
}

/* A work in memory of its own, which it fills with rubbish and frees. */
struct freed {
    struct work_struct work;
    char more[200];
};

static struct kit_seen freed_seen;

static void freed_run(struct work_struct *work)
{
    struct freed *freed = container_of(work, struct freed, work);

    kit_enter(&freed_seen);
    memset(freed, 0x5a, sizeof(*freed));
    kfree(freed);
    kit_leave(&freed_seen);
}

SCENARIO(W18)
{
    struct workqueue_struct *p = alloc_workqueue("kit", 0, 0);
    int queued = 0;
    int i;

    kit_seen_init(&freed_seen);
    for (i = 0; i < 20; i++) {
        struct freed *freed = kmalloc(sizeof(*freed), GFP_KERNEL);

        if (!freed)
            break;
        INIT_WORK(&freed->work, freed_run);
        queued += queue_work_on(i % 4, p, &freed->work);
        if (i % 3 == 0)
            flush_workqueue(p);
    }
    destroy_workqueue(p);
    answer("queued", queued);
    answer("runs", kit_ended(&freed_seen));
}

static struct kit_seen other_seen;

static void other_run(struct work_struct *work)
{
    kit_enter(&other_seen);
    kit_leave(&other_seen);
}

SCENARIO(W19)
{
    struct workqueue_struct *p = alloc_workqueue("kit", 0, 0);

    kit_seen_init(&other_seen);
    item_init(&a, 0);
    queue_work(p, &a.work);
    flush_work(&a.work);
    INIT_WORK(&a.work, other_run);
    answer("queued", queue_work(p, &a.work));
    flush_work(&a.work);
    answer("old", kit_ended(&a.seen));
    answer("new", kit_ended(&other_seen));
    destroy_workqueue(p);
}

SCENARIO(W21)
{
    struct work_struct work;

    kit_seen_init(&other_seen);
    INIT_WORK_ONSTACK(&work, other_run);
    answer("queued", schedule_work(&work));
    flush_work(&work);
    answer("runs", kit_ended(&other_seen));
    answer("pending", work_pending(&work));
    destroy_work_on_stack(&work);
}

static long where_and_what(void *arg)
{
    return 100 * (long)raw_smp_processor_id() + *(int *)arg;
}

SCENARIO(W23)
{
    int seven = 7;

    answer("on2", work_on_cpu(2, where_and_what, &seven));
    answer("on0", work_on_cpu(0, where_and_what, &seven));
    answer("safe", work_on_cpu_safe(3, where_and_what, &seven));
}

SCENARIO(W25)
{
    struct workqueue_struct *p = alloc_workqueue("kit", 0, 0);
    struct workqueue_struct *q = alloc_workqueue("kit", WQ_UNBOUND, 0);

    item_init(&a, 0);
    answer("first", queue_work(p, &a.work));
    flush_work(&a.work);
    answer("other", queue_work(q, &a.work));
    flush_work(&a.work);
    answer("system", schedule_work(&a.work));
    flush_work(&a.work);
    answer("runs", kit_ended(&a.seen));
    destroy_workqueue(p);
    destroy_workqueue(q);
}

static struct workqueue_struct *queue_of_a;

static void queue_a(void *arg)
{
    *(int *)arg = queue_work(queue_of_a, &a.work);
}

SCENARIO(W26)
{
    int queued = -1;

    queue_of_a = alloc_workqueue("kit", 0, 0);
    item_init(&a, 0);
    answer("on3", queue_work_on(3, queue_of_a, &a.work));
    flush_work(&a.work);
    kit_run_on(1, queue_a, &queued);
    answer("here", queued);
    flush_work(&a.work);
    answer("cpu1", kit_cpu_of(&a.seen, 1));
    answer("cpu2", kit_cpu_of(&a.seen, 2));
    destroy_workqueue(queue_of_a);
}

static void schedule_probe(void *arg)
{
    *(int *)arg = schedule_work(&probe.work);
    /* Nothing of it runs before the interrupt is over. */
    kit_burn_ms(1);
    *(int *)arg += 10 * atomic_read(&probe.runs);
}

SCENARIO(W27)
{
    int queued = -1;

    probe_init(false);
    kit_hardirq_on(1, schedule_probe, &queued);
    answer("queued", queued);
    kit_wait_until(atomic_read(&probe.runs) == 1);
    flush_work(&probe.work);
    answer("runs", atomic_read(&probe.runs));
    answer("task", probe.task);
    answer("interrupt", probe.interrupt);
}

SCENARIO(W28)
{
    struct workqueue_struct *p = alloc_workqueue("kit", 0, 0);
    struct workqueue_struct *q = alloc_workqueue("kit", 0, 0);

    item_hold(&a, 1, p);
    answer("queued", queue_work_on(2, q, &a.work));
    answer("beside", item_begins(&a, 2));
    item_open(&a, 1);
    item_wait(&a, 2);
    answer("runs", kit_begun(&a.seen));
    answer("most", kit_most(&a.seen));
    destroy_workqueue(p);
    destroy_workqueue(q);
}

SCENARIO(W29)
{
    struct workqueue_struct *p = alloc_workqueue("kit", 0, 0);
    struct workqueue_struct *q = alloc_workqueue("kit", 0, 0);

    item_hold(&a, 1, p);
    answer("queued", queue_work_on(1, q, &a.work));
    kit_settle();
    answer("before", kit_begun(&a.seen));
    item_open(&a, 1);
    item_wait(&a, 2);
    answer("runs", kit_begun(&a.seen));
    answer("most", kit_most(&a.seen));
    destroy_workqueue(p);
    destroy_workqueue(q);
}

SCENARIO(W30)
{
    struct workqueue_struct *p = alloc_workqueue("kit", 0, 0);

    item_hold(&a, 1, p);
    INIT_WORK(&a.work, item_run);
    answer("queued", queue_work_on(2, p, &a.work));
    answer("beside", item_begins(&a, 2));
    item_open(&a, 1);
    item_wait(&a, 2);
    answer("runs", kit_begun(&a.seen));
    answer("most", kit_most(&a.seen));
    destroy_workqueue(p);
}

SCENARIO(W31)
{
    struct workqueue_struct *p = alloc_workqueue("kit", 0, 0);

    kit_seen_init(&other_seen);
    item_hold(&a, 1, p);
    INIT_WORK(&a.work, other_run);
    answer("queued", queue_work_on(1, p, &a.work));
    kit_wait_until(kit_ended(&other_seen) == 1);
    answer("new", kit_ended(&other_seen));
    answer("old", kit_ended(&a.seen));
    item_open(&a, 1);
    destroy_workqueue(p);
    answer("runs", kit_ended(&a.seen));
}

static struct {
    struct execute_work execute;
    int answer;
    bool inside;
    atomic_t runs;
    bool task;
} process;

static void process_run(struct work_struct *work)
{
    process.task = in_task() && !in_interrupt();
    atomic_inc(&process.runs);
}

static void execute(void *arg)
{
    process.answer = execute_in_process_context(process_run, &process.execute);
    process.inside = atomic_read(&process.runs) != 0;
}

/* One line for both contexts: called in a thread, and in an interrupt. */
SCENARIO(W32)
{
    memset(&process, 0, sizeof(process));
    execute(NULL);
    answer("thread", process.answer);
    answer("at_once", process.inside);
    answer("task", process.task);
    memset(&process, 0, sizeof(process));
    kit_hardirq_on(1, execute, NULL);
    answer("interrupt", process.answer);
    answer("inside", process.inside);
    kit_wait_until(atomic_read(&process.runs) == 1);
    kit_settle();
    answer("runs", atomic_read(&process.runs));
    answer("in_task", process.task);
}

KIT_GROUP(works, "works", KIT_ROW(W01), KIT_ROW(W02), KIT_ROW(W03), KIT_ROW(W04), KIT_ROW(W05), KIT_ROW(W06),
          KIT_ROW(W07), KIT_ROW(W18), KIT_ROW(W19), KIT_ROW(W21), KIT_ROW(W23), KIT_ROW(W25), KIT_ROW(W26),
          KIT_ROW(W27), KIT_ROW(W28), KIT_ROW(W29), KIT_ROW(W30), KIT_ROW(W31), KIT_ROW(W32));
