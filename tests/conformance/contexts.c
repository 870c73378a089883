// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * Scenarios of softirq context, of BH-off sections and of jiffies, all beyond the table of rows: it asks
 * what the context tests say in a tasklet and in a work only, and nothing of nesting, of BH-off sections
 * and interrupts, or of jiffies but for one conversion.
 */
#include "probe.h"

static struct probe a, b;

struct context {
    int interrupt, softirq, serving, hardirq, task, atomic;
};

static void look(struct context *context)
{
    context->interrupt = in_interrupt() != 0;
    context->softirq = in_softirq() != 0;
    context->serving = in_serving_softirq() != 0;
    context->hardirq = in_hardirq() != 0;
    context->task = in_task() != 0;
    context->atomic = in_atomic() != 0;
}

/* Six digits, in the order of the members. */
static void answer_context(const char *key, const struct context *context)
{
    char text[8];

    snprintf(text, sizeof(text), "%d%d%d%d%d%d", context->interrupt, context->softirq, context->serving,
             context->hardirq, context->task, context->atomic);
    answer_text(key, text);
}

/* A thread; with bottom halves off; off twice; on once; on again. */
SCENARIO(T430)
{
    struct context plain, off, twice, once, on;

    look(&plain);
    local_bh_disable();
    look(&off);
    local_bh_disable();
    look(&twice);
    local_bh_enable();
    look(&once);
    local_bh_enable();
    look(&on);
    answer_context("plain", &plain);
    answer_context("off", &off);
    answer_context("twice", &twice);
    answer_context("once", &once);
    answer_context("on", &on);
}

/* Only the outermost enable runs what is scheduled. */
SCENARIO(T431)
{
    int inner, outer;

    probe_init(&a, probe_run);
    local_bh_disable();
    local_bh_disable();
    tasklet_schedule(&a.tasklet);
    local_bh_enable();
    inner = kit_begun(&a.seen);
    local_bh_enable();
    outer = kit_ended(&a.seen);
    answer("inner", inner);
    answer("outer", outer);
}

static DEFINE_SPINLOCK(lock);

/* A BH-off section of a spinlock. */
SCENARIO(T432)
{
    struct context held;
    int before, after;

    probe_init(&a, probe_run);
    spin_lock_bh(&lock);
    look(&held);
    tasklet_schedule(&a.tasklet);
    before = kit_begun(&a.seen);
    spin_unlock_bh(&lock);
    after = kit_ended(&a.seen);
    answer_context("held", &held);
    answer("before", before);
    answer("after", after);
}

static struct context of_interrupt;
static int irqs_off;

static void look_in_hardirq(void *arg)
{
    look(&of_interrupt);
    irqs_off = irqs_disabled() != 0;
}

SCENARIO(T433)
{
    kit_hardirq_on(1, look_in_hardirq, NULL);
    answer_context("hardirq", &of_interrupt);
    answer("irqs_off", irqs_off);
}

static struct context nested[3];
static int b_inside;

static void bh_off_inside(struct tasklet_struct *t)
{
    struct probe *probe = probe_of(t);

    kit_enter(&probe->seen);
    look(&nested[0]);
    local_bh_disable();
    tasklet_schedule(&b.tasklet);
    look(&nested[1]);
    local_bh_enable();
    look(&nested[2]);
    b_inside = kit_begun(&b.seen);
    kit_leave(&probe->seen);
}

/* A BH-off section in a tasklet: its end runs nothing. */
SCENARIO(T434)
{
    probe_init(&a, bh_off_inside);
    probe_init(&b, probe_run);
    tasklet_schedule(&a.tasklet);
    probe_await(&b, 1);
    answer_context("in", &nested[0]);
    answer_context("off", &nested[1]);
    answer_context("on", &nested[2]);
    answer("inside", b_inside);
    answer("runs", kit_begun(&b.seen));
}

static int bh_off_runs, bh_on_runs;

static void interrupted_with_bh_off(void *arg)
{
    local_bh_disable();
    kit_hardirq_here(probe_schedule, arg);
    bh_off_runs = kit_begun(&a.seen);
    local_bh_enable();
    bh_on_runs = kit_ended(&a.seen);
}

/* Scheduled by an interrupt of a BH-off section: runs at its end. */
SCENARIO(T435)
{
    probe_init(&a, probe_run);
    kit_run_on(1, interrupted_with_bh_off, &a);
    answer("off", bh_off_runs);
    answer("on", bh_on_runs);
    answer("cpu", kit_cpu_of(&a.seen, 1));
}

/* A plain spinlock is no BH-off section. */
SCENARIO(T436)
{
    struct context held;

    spin_lock(&lock);
    look(&held);
    spin_unlock(&lock);
    answer_context("held", &held);
}

SCENARIO(T440)
{
    answer("hz", HZ);
    answer("us0", (long long)usecs_to_jiffies(0));
    answer("us1", (long long)usecs_to_jiffies(1));
    answer("us4000", (long long)usecs_to_jiffies(4000));
    answer("us4001", (long long)usecs_to_jiffies(4001));
    answer("ns3999999", (long long)nsecs_to_jiffies(3999999));
    answer("ns4000000", (long long)nsecs_to_jiffies(4000000));
    answer("ms1000", (long long)msecs_to_jiffies(1000));
    answer("ms1001", (long long)msecs_to_jiffies(1001));
    answer("to_ms", (long long)jiffies_to_msecs(3));
    answer("to_us", (long long)jiffies_to_usecs(3));
}

SCENARIO(T441)
{
    unsigned long low = 5, high = (unsigned long)-5;

    answer("after", time_after(low, high));
    answer("before", time_before(low, high));
    answer("after_self", time_after(low, low));
    answer("after_eq_self", time_after_eq(low, low));
    answer("before_eq_self", time_before_eq(high, high));
    answer("in_range", time_in_range(low, high, low));
    answer("in_range_open", time_in_range_open(low, high, low));
    answer("past", time_is_before_jiffies(jiffies - 1));
    answer("future", time_is_after_jiffies(jiffies + 1000));
}

SCENARIO(T442)
{
    unsigned long begun = jiffies;
    u64 begun_64 = get_jiffies_64();

    answer("soon_after_start", begun - INITIAL_JIFFIES < 3600ul * HZ);
    answer("wraps_soon", (u32)INITIAL_JIFFIES + 300u * HZ == 0);
    msleep(20);
    answer("went_on", jiffies - begun >= 5);
    answer("went_on_64", get_jiffies_64() - begun_64 >= 5);
}

/* What rounding adds to a time that many jiffies behind a whole second of a CPU. */
static void answer_rounded(const char *key, unsigned long offset, int cpu)
{
    /* A whole second of CPU 0, some seconds from now. */
    unsigned long second = jiffies / HZ * HZ + 10 * HZ;
    unsigned long time = second + offset;
    char text[48];

    snprintf(text, sizeof(text), "%ld,%ld", (long)(__round_jiffies(time, cpu) - time),
             (long)(__round_jiffies_up(time, cpu) - time));
    answer_text(key, text);
}

SCENARIO(T443)
{
    unsigned long past = jiffies - 3 * HZ - 7;
    unsigned long now, rounded;

    answer_rounded("at0", 0, 0);
    answer_rounded("at1", 1, 0);
    answer_rounded("at61", 61, 0);
    answer_rounded("at62", 62, 0);
    answer_rounded("at249", 249, 0);
    answer_rounded("cpu3_at0", 0, 3);
    answer_rounded("cpu3_at241", 241, 3);
    answer("past", (long)(__round_jiffies(past, 0) - past));
    do {
        now = jiffies;
        rounded = __round_jiffies_relative(1000, 0);
    } while (jiffies != now);
    answer("relative", (long long)((now + rounded) % HZ));
}

KIT_GROUP(contexts, "tasklets", KIT_ROW(T430), KIT_ROW(T431), KIT_ROW(T432), KIT_ROW(T433), KIT_ROW(T434),
          KIT_ROW(T435), KIT_ROW(T436), KIT_ROW(T440), KIT_ROW(T441), KIT_ROW(T442), KIT_ROW(T443));
