// SPDX-License-Identifier: MIT OR Apache-2.0
/* Scenarios of tasklets: context, place, visibility, lists, and the lock of a tasklet. */
#include "probe.h"

static struct probe a, b, c;
static struct kit_marks marks;

static struct {
    bool interrupt, softirq, serving, hardirq, task, atomic, irqs;
} context;

static void probe_context(struct tasklet_struct *t)
{
    struct probe *probe = probe_of(t);

    kit_enter(&probe->seen);
    context.interrupt = in_interrupt();
    context.softirq = in_softirq();
    context.serving = in_serving_softirq();
    context.hardirq = in_hardirq();
    context.task = in_task();
    context.atomic = in_atomic();
    context.irqs = !irqs_disabled();
    kit_leave(&probe->seen);
}

SCENARIO(T22)
{
    probe_init(&a, probe_context);
    tasklet_schedule(&a.tasklet);
    probe_await(&a, 1);
    answer("interrupt", context.interrupt);
    answer("softirq", context.softirq);
    answer("serving", context.serving);
    answer("hardirq", context.hardirq);
    answer("task", context.task);
    answer("atomic", context.atomic);
    answer("irqs_on", context.irqs);
}

SCENARIO(T23)
{
    probe_init(&a, probe_run);
    kit_run_on(3, probe_schedule, &a);
    probe_await(&a, 1);
    answer("runs", kit_begun(&a.seen));
    answer("cpu", kit_cpu_of(&a.seen, 1));
}

static int inside;

static void schedule_in_hardirq(void *arg)
{
    struct probe *probe = arg;

    tasklet_schedule(&probe->tasklet);
    udelay(200);
    inside = kit_begun(&probe->seen);
}

SCENARIO(T24)
{
    probe_init(&a, probe_run);
    kit_hardirq_on(2, schedule_in_hardirq, &a);
    probe_await(&a, 1);
    answer("runs_inside", inside);
    answer("runs", kit_begun(&a.seen));
    answer("cpu", kit_cpu_of(&a.seen, 1));
}

static atomic_t other_calls;

static void other_callback(struct tasklet_struct *t)
{
    atomic_inc(&other_calls);
}

SCENARIO(T25)
{
    atomic_set(&other_calls, 0);
    probe_init(&a, probe_run);
    tasklet_schedule(&a.tasklet);
    tasklet_kill(&a.tasklet);
    tasklet_setup(&a.tasklet, other_callback);
    tasklet_schedule(&a.tasklet);
    tasklet_kill(&a.tasklet);
    answer("first", kit_begun(&a.seen));
    answer("second", atomic_read(&other_calls));
}

SCENARIO(T26)
{
    struct kit_thread *on1 = probe_hold(&a, 1);
    struct kit_thread *on2 = probe_hold(&b, 2);

    answer("first_inside", atomic_read(&a.seen.inside));
    answer("second_inside", atomic_read(&b.seen.inside));
    probe_release(&a, on1);
    probe_release(&b, on2);
    tasklet_kill(&a.tasklet);
    tasklet_kill(&b.tasklet);
}

#define STORES 40

struct store {
    struct tasklet_struct *tasklet;
    int value;
};

static struct store stores[2];
static int noted[2];

static void note_stores(struct tasklet_struct *t)
{
    noted[0] = READ_ONCE(stores[0].value);
    noted[1] = READ_ONCE(stores[1].value);
}

static void store_and_schedule(void *arg)
{
    struct store *store = arg;
    int i;

    for (i = 0; i < STORES; i++) {
        WRITE_ONCE(store->value, store->value + 1);
        tasklet_schedule(store->tasklet);
    }
}

/* Kill waits for the last run, which has to have seen the last store of either thread. */
SCENARIO(T27)
{
    static struct tasklet_struct t;
    int round, missed = 0;

    tasklet_setup(&t, note_stores);
    memset(stores, 0, sizeof(stores));
    stores[0].tasklet = stores[1].tasklet = &t;
    for (round = 0; round < 5 && !kit_is_hung(); round++) {
        struct kit_thread *on1 = kit_thread_on(1, store_and_schedule, &stores[0]);
        struct kit_thread *on2 = kit_thread_on(2, store_and_schedule, &stores[1]);

        kit_join(on1);
        kit_join(on2);
        tasklet_kill(&t);
        missed += noted[0] != stores[0].value || noted[1] != stores[1].value;
    }
    answer("missed", missed);
}

SCENARIO(T28)
{
    struct probe *probe = kmalloc(sizeof(*probe), GFP_KERNEL);
    size_t i, touched = 0;

    if (!probe)
        return;
    kit_marks_init(&marks);
    probe_letter(probe, 'A', &marks);
    kit_run_on(1, probe_schedule, probe);
    tasklet_kill(&probe->tasklet);
    memset(probe, 0x5a, sizeof(*probe));
    kit_settle();
    for (i = 0; i < sizeof(*probe); i++)
        touched += ((unsigned char *)probe)[i] != 0x5a;
    kfree(probe);
    answer_marks("order", &marks);
    answer("touched", (long long)touched);
}

static void letters(void)
{
    kit_marks_init(&marks);
    probe_letter(&a, 'A', &marks);
    probe_letter(&b, 'B', &marks);
    probe_letter(&c, 'C', &marks);
}

SCENARIO(T29)
{
    letters();
    local_bh_disable();
    tasklet_schedule(&a.tasklet);
    tasklet_schedule(&b.tasklet);
    tasklet_hi_schedule(&b.tasklet);
    tasklet_hi_schedule(&c.tasklet);
    local_bh_enable();
    probe_await(&b, 1);
    answer_marks("order", &marks);
}

SCENARIO(T30)
{
    probe_init(&a, probe_run);
    answer("locked", tasklet_trylock(&a.tasklet));
    tasklet_schedule(&a.tasklet);
    kit_settle();
    answer("runs_locked", kit_begun(&a.seen));
    tasklet_unlock(&a.tasklet);
    probe_await(&a, 1);
    answer("runs", kit_begun(&a.seen));
}

SCENARIO(T31)
{
    letters();
    tasklet_disable(&a.tasklet);
    local_bh_disable();
    tasklet_schedule(&a.tasklet);
    tasklet_schedule(&b.tasklet);
    local_bh_enable();
    probe_await(&b, 1);
    answer("disabled", kit_begun(&a.seen));
    answer("behind_it", kit_begun(&b.seen));
    tasklet_enable(&a.tasklet);
    probe_await(&a, 1);
    answer_marks("order", &marks);
}

KIT_GROUP(tasklets_more, "tasklets", KIT_ROW(T22), KIT_ROW(T23), KIT_ROW(T24), KIT_ROW(T25), KIT_ROW(T26),
          KIT_ROW(T27), KIT_ROW(T28), KIT_ROW(T29), KIT_ROW(T30), KIT_ROW(T31));
