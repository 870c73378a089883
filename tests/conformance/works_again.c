// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * Scenarios of works that are initialised, queued or cancelled again and again: from their own functions, by
 * several callers at once, and in contexts that the table of facts does not name.
 */
#include "works.h"

static struct item a;
static struct item b;
static struct caller first;
static struct caller second;
static struct caller third;

static atomic_t other_runs;

static void other_run(struct work_struct *work)
{
    atomic_inc(&other_runs);
}

/*
 * Initialised anew with another function while it runs, it is another work: idle, and nobody waits for the
 * old run.
 */
SCENARIO(W510)
{
    struct workqueue_struct *p = alloc_workqueue("kit", 0, 0);

    atomic_set(&other_runs, 0);
    item_hold(&a, 1, p);
    answer("before", work_busy(&a.work));
    INIT_WORK(&a.work, other_run);
    answer("busy", work_busy(&a.work));
    answer("flush", flush_work(&a.work));
    answer("cancel", cancel_work_sync(&a.work));
    answer("inside", kit_ended(&a.seen) == 0);
    answer("queued", queue_work_on(1, p, &a.work));
    flush_work(&a.work);
    answer("new", atomic_read(&other_runs));
    answer("old", kit_ended(&a.seen));
    item_open(&a, 1);
    destroy_workqueue(p);
}

static struct {
    struct work_struct work;
    struct kit_gate gate;
    struct workqueue_struct *wq;
    int queued;
    atomic_t first;
    atomic_t second;
    bool is_first_over;
    bool was_first_over;
} steps;

static void second_step(struct work_struct *work)
{
    steps.was_first_over = READ_ONCE(steps.is_first_over);
    atomic_inc(&steps.second);
}

static void first_step(struct work_struct *work)
{
    INIT_WORK(work, second_step);
    steps.queued = queue_work(steps.wq, work);
    atomic_inc(&steps.first);
    kit_gate_sleep(&steps.gate);
    WRITE_ONCE(steps.is_first_over, true);
}

/*
 * A function makes its work another one and queues that: the next step does not wait for the end of the
 * first.
 */
SCENARIO(W511)
{
    struct workqueue_struct *p = alloc_workqueue("kit", 0, 0);

    memset(&steps, 0, sizeof(steps));
    kit_gate_init(&steps.gate);
    steps.wq = p;
    INIT_WORK(&steps.work, first_step);
    queue_work_on(1, p, &steps.work);
    kit_wait_until(atomic_read(&steps.second) == 1);
    kit_gate_open(&steps.gate);
    destroy_workqueue(p);
    answer("queued", steps.queued);
    answer("first", atomic_read(&steps.first));
    answer("second", atomic_read(&steps.second));
    answer("waited", steps.was_first_over);
}

/* It queues itself for another CPU and runs where it ran; when it is over, another CPU counts again. */
SCENARIO(W512)
{
    struct workqueue_struct *p = alloc_workqueue("kit", 0, 0);

    item_init(&a, RUN(1));
    queue_work_on(1, p, &a.work);
    item_await(&a, 1);
    answer("on2", queue_work_on(2, p, &a.work));
    item_open(&a, 1);
    flush_work(&a.work);
    answer("cpu2", kit_cpu_of(&a.seen, 2));
    answer("on3", queue_work_on(3, p, &a.work));
    flush_work(&a.work);
    answer("cpu3", kit_cpu_of(&a.seen, 3));
    answer("unbound", queue_work_on(WORK_CPU_UNBOUND, p, &a.work));
    flush_work(&a.work);
    answer("cpu4", kit_cpu_of(&a.seen, 4));
    destroy_workqueue(p);
}

/* Unbound and ordered queues do not run a work beside itself either. */
SCENARIO(W513)
{
    struct workqueue_struct *u = alloc_workqueue("kit", WQ_UNBOUND, 0);
    struct workqueue_struct *h = alloc_workqueue("kit", WQ_HIGHPRI, 0);

    item_hold(&a, 1, u);
    answer("unbound", queue_work_on(3, u, &a.work));
    item_hold(&b, 1, h);
    answer("highpri", queue_work_on(3, h, &b.work));
    kit_settle();
    answer("before", kit_begun(&a.seen) + kit_begun(&b.seen));
    item_open(&a, 1);
    item_open(&b, 1);
    destroy_workqueue(u);
    destroy_workqueue(h);
    answer("runs", kit_ended(&a.seen) + kit_ended(&b.seen));
    answer("most", kit_most(&a.seen));
    answer("most_highpri", kit_most(&b.seen));
}

static struct {
    struct execute_work execute;
    int answer;
    atomic_t runs;
    bool task;
} process;

static void process_run(struct work_struct *work)
{
    process.task = in_task() && !in_interrupt();
    atomic_inc(&process.runs);
}

/* Once at a time: each call initialises the work. */
static void execute_once(void *arg)
{
    process.answer = execute_in_process_context(process_run, &process.execute);
}

static void execute_in_tasklet(struct tasklet_struct *t)
{
    execute_once(NULL);
}

/* execute_in_process_context in an interrupt, twice, in a tasklet, and with bottom halves off: later. */
SCENARIO(W514)
{
    static struct tasklet_struct tasklet;

    memset(&process, 0, sizeof(process));
    kit_hardirq_on(1, execute_once, NULL);
    answer("interrupt", process.answer);
    kit_wait_until(atomic_read(&process.runs) == 1);
    flush_work(&process.execute.work);
    kit_hardirq_on(2, execute_once, NULL);
    answer("again", process.answer);
    kit_wait_until(atomic_read(&process.runs) == 2);
    flush_work(&process.execute.work);
    answer("runs", atomic_read(&process.runs));
    memset(&process, 0, sizeof(process));
    tasklet_setup(&tasklet, execute_in_tasklet);
    tasklet_schedule(&tasklet);
    tasklet_kill(&tasklet);
    flush_work(&process.execute.work);
    answer("tasklet", process.answer);
    answer("then", atomic_read(&process.runs));
    memset(&process, 0, sizeof(process));
    local_bh_disable();
    execute_once(NULL);
    local_bh_enable();
    flush_work(&process.execute.work);
    answer("bh_off", process.answer);
    answer("last", atomic_read(&process.runs));
    answer("task", process.task);
}

static struct {
    struct work_struct work;
    struct workqueue_struct *wq;
    atomic_t runs;
} forever;

static void forever_run(struct work_struct *work)
{
    atomic_inc(&forever.runs);
    msleep(1);
    queue_work(forever.wq, work);
}

/* A work that queues itself for ever is flushed, and stopped by a cancel. */
SCENARIO(W515)
{
    int runs;

    memset(&forever, 0, sizeof(forever));
    INIT_WORK(&forever.work, forever_run);
    forever.wq = alloc_workqueue("kit", 0, 0);
    queue_work_on(1, forever.wq, &forever.work);
    kit_wait_until(atomic_read(&forever.runs) >= 3);
    runs = atomic_read(&forever.runs);
    flush_work(&forever.work);
    answer("flushed", 1);
    kit_wait_until(atomic_read(&forever.runs) > runs);
    cancel_work_sync(&forever.work);
    runs = atomic_read(&forever.runs);
    answer("busy", work_busy(&forever.work));
    kit_settle();
    answer("stopped", atomic_read(&forever.runs) == runs);
    answer("queued", queue_work(forever.wq, &forever.work));
    kit_wait_until(atomic_read(&forever.runs) > runs);
    cancel_work_sync(&forever.work);
    destroy_workqueue(forever.wq);
    answer("over", work_busy(&forever.work));
}

/*
 * Three cancels and the work that they wait for, which three others queue meanwhile: refused until all are
 * back.
 */
SCENARIO(W516)
{
    struct workqueue_struct *p = alloc_workqueue("kit", 0, 0);
    int queued = 0;
    int i;

    item_hold(&a, 1, p);
    caller_start(&first, 2, cancel_work_sync, &a);
    caller_start(&second, 3, cancel_work_sync, &a);
    caller_start(&third, 2, cancel_work_sync, &a);
    for (i = 0; i < 12; i++)
        queued += queue_work_on(i % 4, p, &a.work);
    answer("during", queued);
    item_open(&a, 1);
    i = caller_join(&first);
    i += caller_join(&second);
    i += caller_join(&third);
    answer("returned", i);
    answer("ended", first.ended + second.ended + third.ended);
    answer("after", queue_work(p, &a.work));
    destroy_workqueue(p);
    answer("runs", kit_ended(&a.seen));
}

static atomic_t queued;
static atomic_t cancelled;
static struct workqueue_struct *queues[3];

static void use_often(void *arg)
{
    int number = *(int *)arg;
    int i;

    for (i = 0; i < CONFORMANCE_CALLS / 10; i++) {
        if (queue_work_on(number, queues[0], &a.work))
            atomic_inc(&queued);
        if (i % 3 == number && cancel_work_sync(&a.work))
            atomic_inc(&cancelled);
        if (i % 8 == number)
            flush_work(&a.work);
        if (i % 64 == 63)
            msleep(1);
    }
}

/* Three threads queue, cancel with waiting and flush the same work. */
SCENARIO(W517)
{
    static const int numbers[3] = {0, 1, 2};
    struct kit_thread *threads[3];
    int i;

    queues[0] = alloc_workqueue("kit", 0, 0);
    item_init(&a, 0);
    atomic_set(&queued, 0);
    atomic_set(&cancelled, 0);
    for (i = 0; i < 3; i++)
        threads[i] = kit_thread_on(i + 1, use_often, (void *)&numbers[i]);
    for (i = 0; i < 3; i++)
        kit_join(threads[i]);
    destroy_workqueue(queues[0]);
    answer("lost", atomic_read(&queued) - atomic_read(&cancelled) - kit_ended(&a.seen));
    answer("most", kit_most(&a.seen));
    answer("some", kit_ended(&a.seen) > 0);
    answer("busy", work_busy(&a.work));
}

static atomic_t many_runs;

static void many_run(struct work_struct *work)
{
    atomic_inc(&many_runs);
}

/* A hundred works on three kinds of queues, flushed from the last to the first: each has run once by then. */
SCENARIO(W518)
{
    static struct work_struct works[100];
    int accepted = 0;
    int pending = 0;
    int i;

    atomic_set(&many_runs, 0);
    queues[0] = alloc_workqueue("kit", 0, 0);
    queues[1] = alloc_workqueue("kit", WQ_UNBOUND, 4);
    queues[2] = alloc_ordered_workqueue("kit", WQ_HIGHPRI);
    for (i = 0; i < 100; i++) {
        INIT_WORK(&works[i], many_run);
        accepted += queue_work_on(i % 4, queues[i % 3], &works[i]);
    }
    for (i = 99; i >= 0; i--) {
        flush_work(&works[i]);
        pending += work_busy(&works[i]) != 0;
    }
    answer("queued", accepted);
    answer("runs", atomic_read(&many_runs));
    answer("pending", pending);
    for (i = 0; i < 3; i++)
        destroy_workqueue(queues[i]);
}

static long nested_on_cpu(void *arg)
{
    int *depth = arg;

    if (--*depth == 0)
        return raw_smp_processor_id();
    return 10 * work_on_cpu((raw_smp_processor_id() + 1) % 4, nested_on_cpu, depth) + raw_smp_processor_id();
}

/* work_on_cpu from a function of work_on_cpu, around the CPUs. */
SCENARIO(W519)
{
    int depth = 4;

    answer("cpus", work_on_cpu(1, nested_on_cpu, &depth));
}

KIT_GROUP(works_again, "works", KIT_ROW(W510), KIT_ROW(W511), KIT_ROW(W512), KIT_ROW(W513), KIT_ROW(W514),
          KIT_ROW(W515), KIT_ROW(W516), KIT_ROW(W517), KIT_ROW(W518), KIT_ROW(W519));
