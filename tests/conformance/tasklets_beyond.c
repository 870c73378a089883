// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * Scenarios of tasklets beyond the table of rows. It lacks: trylock, unlock_wait and disable_in_atomic
 * while a tasklet runs, one enable too many, high priority on another CPU and from inside a tasklet, two
 * killers, tasklets that schedule others, every static initialiser, disabling what is scheduled, a kill of
 * what is locked, and enabling and scheduling from interrupts.
 */
#include "probe.h"

static struct probe a, b, c;
static struct kit_marks marks;

static void letters(void)
{
    kit_marks_init(&marks);
    probe_letter(&a, 'A', &marks);
    probe_letter(&b, 'B', &marks);
    probe_letter(&c, 'C', &marks);
}

/* Trylock fails while it runs, and succeeds afterwards. */
SCENARIO(T401)
{
    struct kit_thread *thread = probe_hold(&a, 1);

    answer("running", tasklet_trylock(&a.tasklet));
    probe_release(&a, thread);
    tasklet_kill(&a.tasklet);
    answer("idle", tasklet_trylock(&a.tasklet));
    answer("again", tasklet_trylock(&a.tasklet));
    answer("state", probe_state(&a));
    tasklet_unlock(&a.tasklet);
    answer("unlocked", probe_state(&a));
}

static void unlock_wait(void *probe)
{
    tasklet_unlock_wait(&((struct probe *)probe)->tasklet);
}

static void unlock_spin_wait(void *probe)
{
    local_bh_disable();
    tasklet_unlock_spin_wait(&((struct probe *)probe)->tasklet);
    local_bh_enable();
}

/* Both waits for the lock last until the run is over, and do not wait for what is scheduled. */
SCENARIO(T402)
{
    struct kit_thread *thread = probe_hold(&a, 1);
    struct kit_thread *sleeper = kit_thread_on(2, unlock_wait, &a);
    struct kit_thread *spinner = kit_thread_on(3, unlock_spin_wait, &a);

    kit_settle();
    answer("sleeper_before", kit_thread_done(sleeper));
    answer("spinner_before", kit_thread_done(spinner));
    probe_release(&a, thread);
    kit_join(sleeper);
    kit_join(spinner);
    answer("ended", kit_ended(&a.seen));
    tasklet_kill(&a.tasklet);
}

static void disable_in_atomic(void *probe)
{
    local_bh_disable();
    tasklet_disable_in_atomic(&((struct probe *)probe)->tasklet);
    local_bh_enable();
}

SCENARIO(T403)
{
    struct kit_thread *thread = probe_hold(&a, 1);
    struct kit_thread *disabler = kit_thread_on(2, disable_in_atomic, &a);

    kit_settle();
    answer("returned_before", kit_thread_done(disabler));
    answer("count_before", atomic_read(&a.tasklet.count));
    probe_release(&a, thread);
    kit_join(disabler);
    answer("ended_at_return", kit_ended(&a.seen));
    tasklet_schedule(&a.tasklet);
    kit_settle();
    answer("runs_disabled", kit_begun(&a.seen));
    tasklet_enable(&a.tasklet);
    probe_await(&a, 2);
    answer("runs", kit_begun(&a.seen));
}

/* On another CPU than a normal one that runs; high priority ones have the same context. */
SCENARIO(T405)
{
    struct kit_thread *thread = probe_hold(&a, 1);

    probe_init(&b, probe_run);
    kit_run_on(2, probe_hi_schedule, &b);
    probe_await(&b, 1);
    answer("runs", kit_begun(&b.seen));
    answer("cpu", kit_cpu_of(&b.seen, 1));
    answer("normal_ended", kit_ended(&a.seen));
    probe_release(&a, thread);
    tasklet_kill(&a.tasklet);
}

/* Two threads kill a running one: both return when it is over, and it can be used again. */
SCENARIO(T406)
{
    struct kit_thread *thread = probe_hold(&a, 1);
    struct kit_thread *first = kit_thread_on(2, probe_kill, &a);
    struct kit_thread *second = kit_thread_on(3, probe_kill, &a);

    kit_settle();
    answer("returned_before", kit_thread_done(first) + kit_thread_done(second));
    probe_release(&a, thread);
    kit_join(first);
    kit_join(second);
    answer("ended", kit_ended(&a.seen));
    answer("state", probe_state(&a));
    tasklet_schedule(&a.tasklet);
    probe_await(&a, 2);
    answer("runs", kit_begun(&a.seen));
}

static void then_schedule_b(struct tasklet_struct *t)
{
    probe_run(t);
    tasklet_schedule(&b.tasklet);
}

/* What a tasklet schedules goes behind what is scheduled already. */
SCENARIO(T407)
{
    letters();
    tasklet_setup(&a.tasklet, then_schedule_b);
    local_bh_disable();
    tasklet_schedule(&a.tasklet);
    tasklet_schedule(&c.tasklet);
    local_bh_enable();
    probe_await(&b, 1);
    answer_marks("order", &marks);
}

static void then_hi_schedule_b(struct tasklet_struct *t)
{
    probe_run(t);
    tasklet_hi_schedule(&b.tasklet);
}

/* High priority from inside a normal one, with another normal one behind that. */
SCENARIO(T408)
{
    letters();
    tasklet_setup(&a.tasklet, then_hi_schedule_b);
    local_bh_disable();
    tasklet_schedule(&a.tasklet);
    tasklet_schedule(&c.tasklet);
    local_bh_enable();
    probe_await(&b, 1);
    kit_wait_until(kit_ended(&c.seen) == 1);
    answer_marks("order", &marks);
}

static void schedule_self_twice_once(struct tasklet_struct *t)
{
    struct probe *probe = probe_of(t);

    if (kit_enter(&probe->seen) == 1) {
        tasklet_schedule(t);
        tasklet_hi_schedule(t);
    }
    kit_leave(&probe->seen);
}

SCENARIO(T409)
{
    probe_init(&a, schedule_self_twice_once);
    tasklet_schedule(&a.tasklet);
    probe_await(&a, 2);
    answer("runs", kit_begun(&a.seen));
}

static atomic_t calls;
static unsigned long datum;

static void count_call(struct tasklet_struct *t)
{
    atomic_inc(&calls);
}

static void old_form(unsigned long data)
{
    WRITE_ONCE(datum, data);
    atomic_inc(&calls);
}

static DECLARE_TASKLET(declared, count_call);
static DECLARE_TASKLET_OLD(declared_old, old_form);
static DECLARE_TASKLET_DISABLED_OLD(declared_disabled_old, old_form);

/* The static initialisers that no row names. */
SCENARIO(T410)
{
    atomic_set(&calls, 0);
    datum = 1;
    answer("count", atomic_read(&declared.count));
    tasklet_schedule(&declared);
    tasklet_kill(&declared);
    answer("calls", atomic_read(&calls));
    tasklet_schedule(&declared_old);
    tasklet_kill(&declared_old);
    answer("old_calls", atomic_read(&calls));
    answer("datum", (long long)READ_ONCE(datum));
    answer("disabled_count", atomic_read(&declared_disabled_old.count));
    tasklet_schedule(&declared_disabled_old);
    kit_settle();
    answer("disabled_calls", atomic_read(&calls));
    tasklet_enable(&declared_disabled_old);
    tasklet_kill(&declared_disabled_old);
    answer("enabled_calls", atomic_read(&calls));
    tasklet_disable(&declared_disabled_old);
}

/* Scheduled by an interrupt of another CPU while it runs. */
SCENARIO(T411)
{
    struct kit_thread *thread = probe_hold(&a, 1);

    kit_hardirq_on(3, probe_schedule, &a);
    answer("state", probe_state(&a));
    probe_release(&a, thread);
    probe_await(&a, 2);
    answer("runs", kit_begun(&a.seen));
    answer("most", kit_most(&a.seen));
    answer("second_cpu", kit_cpu_of(&a.seen, 2));
}

static void hi_schedule_self_once(struct tasklet_struct *t)
{
    struct probe *probe = probe_of(t);

    probe_run(t);
    if (kit_begun(&probe->seen) == 1)
        tasklet_hi_schedule(t);
}

/* A normal one that schedules itself with high priority, with another normal one behind it. */
SCENARIO(T412)
{
    letters();
    tasklet_setup(&a.tasklet, hi_schedule_self_once);
    local_bh_disable();
    tasklet_schedule(&a.tasklet);
    tasklet_schedule(&b.tasklet);
    local_bh_enable();
    probe_await(&a, 2);
    kit_wait_until(kit_ended(&b.seen) == 1);
    answer_marks("order", &marks);
}

/* Disabled after it has been scheduled. */
SCENARIO(T415)
{
    probe_init(&a, probe_run);
    local_bh_disable();
    tasklet_schedule(&a.tasklet);
    tasklet_disable_nosync(&a.tasklet);
    local_bh_enable();
    kit_settle();
    answer("runs_disabled", kit_begun(&a.seen));
    answer("state", probe_state(&a));
    tasklet_enable(&a.tasklet);
    probe_await(&a, 1);
    answer("runs", kit_begun(&a.seen));
}

/* A kill waits for whoever holds the lock. */
SCENARIO(T416)
{
    struct kit_thread *killer;

    probe_init(&a, probe_run);
    answer("locked", tasklet_trylock(&a.tasklet));
    killer = kit_thread_on(2, probe_kill, &a);
    kit_settle();
    answer("returned_before", kit_thread_done(killer));
    tasklet_unlock(&a.tasklet);
    kit_join(killer);
    kit_settle();
    answer("runs", kit_begun(&a.seen));
    answer("state", probe_state(&a));
}

static void enable(void *probe)
{
    tasklet_enable(&((struct probe *)probe)->tasklet);
}

/* Enabled by an interrupt of another CPU: it runs where it was scheduled. */
SCENARIO(T417)
{
    probe_init(&a, probe_run);
    tasklet_disable(&a.tasklet);
    kit_run_on(1, probe_schedule, &a);
    kit_settle();
    answer("runs_disabled", kit_begun(&a.seen));
    kit_hardirq_on(2, enable, &a);
    probe_await(&a, 1);
    answer("runs", kit_begun(&a.seen));
    answer("cpu", kit_cpu_of(&a.seen, 1));
}

/* One enable too many counts as disabled, until a disable makes up for it. */
SCENARIO(T418)
{
    probe_init(&a, probe_run);
    tasklet_enable(&a.tasklet);
    answer("count", atomic_read(&a.tasklet.count));
    tasklet_schedule(&a.tasklet);
    kit_settle();
    answer("runs_unbalanced", kit_begun(&a.seen));
    tasklet_disable_nosync(&a.tasklet);
    kit_settle();
    answer("runs_balanced", kit_begun(&a.seen));
    answer("count_balanced", atomic_read(&a.tasklet.count));
    /* Whoever answers otherwise leaves it to be enabled. */
    atomic_set(&a.tasklet.count, 0);
    tasklet_kill(&a.tasklet);
}

KIT_GROUP(tasklets_beyond, "tasklets", KIT_ROW(T401), KIT_ROW(T402), KIT_ROW(T403), KIT_ROW(T405),
          KIT_ROW(T406), KIT_ROW(T407), KIT_ROW(T408), KIT_ROW(T409), KIT_ROW(T410), KIT_ROW(T411),
          KIT_ROW(T412), KIT_ROW(T415), KIT_ROW(T416), KIT_ROW(T417), KIT_ROW(T418));
