// SPDX-License-Identifier: MIT OR Apache-2.0
/* Scenarios of tasklets: each row of the table of tasklets. What the table lacks is in contexts.c. */
#include "probe.h"

static struct probe a, b, c;
static struct kit_marks marks;

SCENARIO(T01)
{
    probe_init(&a, probe_run);
    tasklet_schedule(&a.tasklet);
    probe_await(&a, 1);
    answer("runs", kit_begun(&a.seen));
    answer("state", probe_state(&a));
}

SCENARIO(T02)
{
    unsigned long state;
    int before, after;

    probe_init(&a, probe_run);
    local_bh_disable();
    tasklet_schedule(&a.tasklet);
    tasklet_schedule(&a.tasklet);
    state = probe_state(&a);
    before = kit_begun(&a.seen);
    local_bh_enable();
    after = kit_ended(&a.seen);
    kit_settle();
    answer("state", state);
    answer("before", before);
    answer("after", after);
    answer("runs", kit_begun(&a.seen));
}

static void schedule_self_once(struct tasklet_struct *t)
{
    struct probe *probe = probe_of(t);

    if (kit_enter(&probe->seen) == 1)
        tasklet_schedule(t);
    kit_leave(&probe->seen);
}

SCENARIO(T03)
{
    probe_init(&a, schedule_self_once);
    tasklet_schedule(&a.tasklet);
    probe_await(&a, 2);
    answer("runs", kit_begun(&a.seen));
    answer("most", kit_most(&a.seen));
}

SCENARIO(T04)
{
    struct kit_thread *thread = probe_hold(&a, 1);

    kit_run_on(2, probe_schedule, &a);
    kit_settle();
    answer("state", probe_state(&a));
    answer("runs_before", kit_begun(&a.seen));
    probe_release(&a, thread);
    probe_await(&a, 2);
    answer("runs", kit_begun(&a.seen));
    answer("most", kit_most(&a.seen));
    answer("first_cpu", kit_cpu_of(&a.seen, 1));
    answer("second_cpu", kit_cpu_of(&a.seen, 2));
}

static void letters(void)
{
    kit_marks_init(&marks);
    probe_letter(&a, 'A', &marks);
    probe_letter(&b, 'B', &marks);
    probe_letter(&c, 'C', &marks);
}

SCENARIO(T05)
{
    letters();
    local_bh_disable();
    tasklet_schedule(&a.tasklet);
    tasklet_schedule(&b.tasklet);
    tasklet_schedule(&c.tasklet);
    local_bh_enable();
    probe_await(&c, 1);
    answer_marks("order", &marks);
}

SCENARIO(T06)
{
    letters();
    local_bh_disable();
    tasklet_schedule(&a.tasklet);
    tasklet_hi_schedule(&b.tasklet);
    local_bh_enable();
    probe_await(&a, 1);
    answer_marks("order", &marks);
}

SCENARIO(T07)
{
    probe_init(&a, probe_run);
    tasklet_disable(&a.tasklet);
    tasklet_schedule(&a.tasklet);
    kit_settle();
    tasklet_schedule(&a.tasklet);
    kit_settle();
    answer("runs_before", kit_begun(&a.seen));
    answer("scheduled", (probe_state(&a) >> TASKLET_STATE_SCHED) & 1);
    tasklet_enable(&a.tasklet);
    probe_await(&a, 1);
    answer("runs", kit_begun(&a.seen));
}

SCENARIO(T08)
{
    probe_init(&a, probe_run);
    tasklet_disable(&a.tasklet);
    tasklet_disable(&a.tasklet);
    tasklet_schedule(&a.tasklet);
    tasklet_enable(&a.tasklet);
    kit_settle();
    answer("after_one", kit_begun(&a.seen));
    tasklet_enable(&a.tasklet);
    probe_await(&a, 1);
    answer("after_two", kit_begun(&a.seen));
}

SCENARIO(T09)
{
    probe_init(&a, probe_run);
    tasklet_disable(&a.tasklet);
    tasklet_enable(&a.tasklet);
    kit_settle();
    answer("runs", kit_begun(&a.seen));
    answer("count", atomic_read(&a.tasklet.count));
}

SCENARIO(T10)
{
    probe_init(&a, probe_run);
    tasklet_kill(&a.tasklet);
    answer("state", probe_state(&a));
    tasklet_schedule(&a.tasklet);
    probe_await(&a, 1);
    answer("runs", kit_begun(&a.seen));
}

SCENARIO(T11)
{
    probe_init(&a, probe_run);
    tasklet_schedule(&a.tasklet);
    tasklet_kill(&a.tasklet);
    answer("runs_at_return", kit_ended(&a.seen));
    answer("state", probe_state(&a));
    kit_settle();
    answer("runs", kit_begun(&a.seen));
}

SCENARIO(T12)
{
    struct kit_thread *thread = probe_hold(&a, 1);
    struct kit_thread *killer = kit_thread_on(2, probe_kill, &a);

    kit_settle();
    answer("returned_before", kit_thread_done(killer));
    probe_release(&a, thread);
    kit_join(killer);
    answer("ended_at_return", kit_ended(&a.seen));
    kit_settle();
    answer("runs", kit_begun(&a.seen));
    answer("state", probe_state(&a));
}

static atomic_t is_over;

/* The pause lets a killer on another CPU find the tasklet running and not scheduled. */
static void schedule_self_for_ever(struct tasklet_struct *t)
{
    struct probe *probe = probe_of(t);

    kit_enter(&probe->seen);
    udelay(300);
    if (!atomic_read(&is_over))
        tasklet_schedule(t);
    kit_leave(&probe->seen);
}

SCENARIO(T13)
{
    struct kit_thread *killer;
    int runs;

    atomic_set(&is_over, 0);
    probe_init(&a, schedule_self_for_ever);
    kit_run_on(1, probe_schedule, &a);
    kit_wait_until(kit_begun(&a.seen) > 3);
    killer = kit_thread_on(2, probe_kill, &a);
    kit_wait_until(kit_thread_done(killer));
    runs = kit_begun(&a.seen);
    kit_settle();
    answer("returned", kit_thread_done(killer));
    answer("stopped", kit_begun(&a.seen) == runs);
    answer("state", probe_state(&a));
    atomic_set(&is_over, 1);
    kit_join(killer);
}

SCENARIO(T14)
{
    probe_init(&a, probe_run);
    tasklet_disable(&a.tasklet);
    tasklet_kill(&a.tasklet);
    answer("count", atomic_read(&a.tasklet.count));
    answer("state", probe_state(&a));
    tasklet_enable(&a.tasklet);
    kit_settle();
    answer("runs", kit_begun(&a.seen));
}

SCENARIO(T15)
{
    struct kit_thread *killer;

    probe_init(&a, probe_run);
    tasklet_disable(&a.tasklet);
    tasklet_schedule(&a.tasklet);
    killer = kit_thread_on(2, probe_kill, &a);
    kit_settle();
    answer("returned_before", kit_thread_done(killer));
    answer("runs_before", kit_begun(&a.seen));
    tasklet_enable(&a.tasklet);
    kit_join(killer);
    answer("runs_at_return", kit_ended(&a.seen));
    kit_settle();
    answer("runs", kit_begun(&a.seen));
    answer("state", probe_state(&a));
}

SCENARIO(T16)
{
    struct kit_thread *thread = probe_hold(&a, 1);
    struct kit_thread *disabler = kit_thread_on(2, probe_disable, &a);

    kit_settle();
    answer("returned_before", kit_thread_done(disabler));
    probe_release(&a, thread);
    kit_join(disabler);
    answer("ended_at_return", kit_ended(&a.seen));
    answer("count", atomic_read(&a.tasklet.count));
    tasklet_enable(&a.tasklet);
}

SCENARIO(T17)
{
    struct kit_thread *thread = probe_hold(&a, 1);

    tasklet_disable_nosync(&a.tasklet);
    answer("ended_at_return", kit_ended(&a.seen));
    probe_release(&a, thread);
    probe_await(&a, 1);
    answer("ended", kit_ended(&a.seen));
    tasklet_enable(&a.tasklet);
}

static void disable_and_schedule_self_once(struct tasklet_struct *t)
{
    struct probe *probe = probe_of(t);

    if (kit_enter(&probe->seen) == 1) {
        tasklet_disable_nosync(t);
        tasklet_schedule(t);
    }
    kit_leave(&probe->seen);
}

SCENARIO(T18)
{
    probe_init(&a, disable_and_schedule_self_once);
    tasklet_schedule(&a.tasklet);
    probe_await(&a, 1);
    answer("runs_disabled", kit_begun(&a.seen));
    answer("state", probe_state(&a));
    tasklet_enable(&a.tasklet);
    probe_await(&a, 2);
    answer("runs", kit_begun(&a.seen));
}

SCENARIO(T19)
{
    struct kit_thread *thread = probe_hold(&a, 1);
    struct kit_thread *killer = kit_thread_on(2, probe_kill, &a);

    kit_settle();
    answer("state_killed", probe_state(&a));
    tasklet_schedule(&a.tasklet);
    probe_release(&a, thread);
    kit_join(killer);
    kit_settle();
    answer("runs", kit_begun(&a.seen));
    answer("state", probe_state(&a));
}

static unsigned long got;
static atomic_t calls;

static void old_form(unsigned long data)
{
    got = data;
    atomic_inc(&calls);
}

SCENARIO(T20)
{
    static struct tasklet_struct t;

    got = 0;
    atomic_set(&calls, 0);
    tasklet_init(&t, old_form, 0x1234);
    tasklet_schedule(&t);
    kit_wait_until(atomic_read(&calls) == 1);
    tasklet_kill(&t);
    answer("data", (long long)got);
    answer("runs", atomic_read(&calls));
}

static void count_call(struct tasklet_struct *t)
{
    atomic_inc(&calls);
}

static DECLARE_TASKLET_DISABLED(declared_disabled, count_call);

SCENARIO(T21)
{
    struct tasklet_struct *t = &declared_disabled;

    atomic_set(&calls, 0);
    answer("count", atomic_read(&t->count));
    answer("state", (long long)t->state);
    tasklet_schedule(t);
    kit_settle();
    answer("runs_disabled", atomic_read(&calls));
    tasklet_enable(t);
    kit_wait_until(atomic_read(&calls) == 1);
    tasklet_disable(t);
    answer("runs", atomic_read(&calls));
}

KIT_GROUP(tasklets, "tasklets", KIT_ROW(T01), KIT_ROW(T02), KIT_ROW(T03), KIT_ROW(T04), KIT_ROW(T05),
          KIT_ROW(T06), KIT_ROW(T07), KIT_ROW(T08), KIT_ROW(T09), KIT_ROW(T10), KIT_ROW(T11), KIT_ROW(T12),
          KIT_ROW(T13), KIT_ROW(T14), KIT_ROW(T15), KIT_ROW(T16), KIT_ROW(T17), KIT_ROW(T18), KIT_ROW(T19),
          KIT_ROW(T20), KIT_ROW(T21));
