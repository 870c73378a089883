// SPDX-License-Identifier: MIT OR Apache-2.0
/* Tests of hard interrupts: timers, locks against them, and calls on other CPUs. */
#include <linux/atomic.h>
#include <linux/delay.h>
#include <linux/hrtimer.h>
#include <linux/interrupt.h>
#include <linux/kernel.h>
#include <linux/kthread.h>
#include <linux/slab.h>
#include <linux/smp.h>
#include <linux/spinlock.h>
#include <linux/string.h>

#include "compat_tests.h"

static struct hrtimer timer;
static atomic_t runs;
static int cpu_of_run;
static bool was_hard;
static ktime_t ran_at;

static enum hrtimer_restart tell(struct hrtimer *t)
{
    (void)t;
    cpu_of_run = (int)smp_processor_id();
    was_hard = in_hardirq() && irqs_disabled() && !in_task();
    ran_at = ktime_get();
    atomic_inc(&runs);
    return HRTIMER_NORESTART;
}

static int start_here(void *unused)
{
    (void)unused;
    hrtimer_start(&timer, ns_to_ktime(300000), HRTIMER_MODE_REL_PINNED_HARD);
    return 0;
}

const char *test_hrtimer(void)
{
    struct task_struct *task;
    ktime_t began = ktime_get();

    atomic_set(&runs, 0);
    hrtimer_init(&timer, CLOCK_MONOTONIC, HRTIMER_MODE_REL_PINNED_HARD);
    timer.function = tell;
    EXPECT(!hrtimer_active(&timer));
    task = kthread_create(start_here, NULL, "starter");
    kthread_bind(task, 2);
    wake_up_process(task);
    msleep(30);
    EXPECT(atomic_read(&runs) == 1 && cpu_of_run == 2 && was_hard);
    EXPECT(ktime_us_delta(ran_at, began) >= 300);
    EXPECT(hrtimer_cancel(&timer) == 0 && !hrtimer_active(&timer));
    EXPECT(kthread_stop(task) == 0);
    return NULL;
}

static enum hrtimer_restart tell_again(struct hrtimer *t)
{
    tell(t);
    hrtimer_forward_now(t, ns_to_ktime(200000));
    return atomic_read(&runs) < 4 ? HRTIMER_RESTART : HRTIMER_NORESTART;
}

const char *test_hrtimer_restarts(void)
{
    ktime_t began = ktime_get();

    atomic_set(&runs, 0);
    hrtimer_setup(&timer, tell_again, CLOCK_MONOTONIC, HRTIMER_MODE_REL_PINNED_HARD);
    hrtimer_start(&timer, ns_to_ktime(200000), HRTIMER_MODE_REL_PINNED_HARD);
    msleep(60);
    EXPECT(atomic_read(&runs) == 4 && was_hard);
    EXPECT(ktime_us_delta(ran_at, began) >= 800);
    EXPECT(hrtimer_cancel(&timer) == 0);
    return NULL;
}

const char *test_hrtimer_cancel(void)
{
    static struct hrtimer other;

    atomic_set(&runs, 0);
    hrtimer_setup(&timer, tell, CLOCK_MONOTONIC, HRTIMER_MODE_REL_PINNED_HARD);
    hrtimer_setup(&other, tell, CLOCK_MONOTONIC, HRTIMER_MODE_REL_PINNED_HARD);
    hrtimer_start(&timer, ms_to_ktime(5), HRTIMER_MODE_REL_PINNED_HARD);
    EXPECT(hrtimer_active(&timer) && !hrtimer_active(&other));
    EXPECT(hrtimer_cancel(&timer) == 1 && hrtimer_cancel(&timer) == 0);
    hrtimer_start(&other, ms_to_ktime(20), HRTIMER_MODE_REL_PINNED_HARD);
    msleep(12);
    EXPECT(atomic_read(&runs) == 0);
    msleep(20);
    EXPECT(atomic_read(&runs) == 1);
    hrtimer_cancel(&other);
    return NULL;
}

static DEFINE_SPINLOCK(lock);
static int guarded;

static void add(void)
{
    unsigned long flags;
    int was;

    spin_lock_irqsave(&lock, flags);
    was = READ_ONCE(guarded);
    udelay(20);
    WRITE_ONCE(guarded, was + 1);
    spin_unlock_irqrestore(&lock, flags);
}

static enum hrtimer_restart add_in_interrupt(struct hrtimer *t)
{
    add();
    hrtimer_forward_now(t, ns_to_ktime(30000));
    return atomic_inc_return(&runs) < 10 ? HRTIMER_RESTART : HRTIMER_NORESTART;
}

static int add_in_thread(void *unused)
{
    int i;

    (void)unused;
    hrtimer_start(&timer, ns_to_ktime(30000), HRTIMER_MODE_REL_PINNED_HARD);
    for (i = 0; i < 20; i++)
        add();
    return in_task() && !in_interrupt();
}

const char *test_spinlock_against_interrupts(void)
{
    struct task_struct *task;
    int added = 0;

    atomic_set(&runs, 0);
    guarded = 0;
    spin_lock_init(&lock);
    hrtimer_setup(&timer, add_in_interrupt, CLOCK_MONOTONIC, HRTIMER_MODE_REL_PINNED_HARD);
    task = kthread_create(add_in_thread, NULL, "adder");
    kthread_bind(task, 1);
    wake_up_process(task);
    while (atomic_read(&runs) < 10) {
        add();
        added++;
        msleep(1);
    }
    EXPECT(kthread_stop(task) == 1);
    EXPECT(guarded == 30 + added && !spin_is_locked(&lock));
    hrtimer_cancel(&timer);
    return NULL;
}

const char *test_irqs_off(void)
{
    unsigned long flags, inner;
    unsigned int cpu;

    spin_lock_init(&lock);
    EXPECT(!irqs_disabled() && !in_interrupt());
    local_irq_save(flags);
    EXPECT(irqs_disabled());
    local_irq_save(inner);
    local_irq_restore(inner);
    EXPECT(irqs_disabled());
    local_irq_restore(flags);
    EXPECT(!irqs_disabled() && !in_interrupt());
    local_irq_disable();
    EXPECT(irqs_disabled());
    local_irq_enable();
    EXPECT(!irqs_disabled());
    spin_lock(&lock);
    EXPECT(in_atomic() && !irqs_disabled() && spin_is_locked(&lock));
    spin_unlock(&lock);
    spin_lock_irq(&lock);
    EXPECT(irqs_disabled());
    spin_unlock_irq(&lock);
    cpu = get_cpu();
    EXPECT(cpu == get_cpu() && in_atomic());
    put_cpu();
    EXPECT(in_atomic() && cpu == smp_processor_id());
    put_cpu();
    EXPECT(!in_atomic());
    return NULL;
}

static void remember(void *cpu)
{
    *(int *)cpu = in_hardirq() ? (int)smp_processor_id() : -2;
}

const char *test_call_on_cpu(void)
{
    int i, cpu, cpus = 0;

    for_each_online_cpu(i)
        cpus++;
    EXPECT(cpus == 4 && num_online_cpus() == 4 && num_possible_cpus() == 4);
    for_each_online_cpu(i) {
        cpu = -1;
        EXPECT(smp_call_function_single(i, remember, &cpu, 1) == 0 && cpu == i);
        EXPECT(cpumask_test_cpu((unsigned int)i, cpumask_of((unsigned int)i)));
    }
    EXPECT(smp_call_function_single(4, remember, &cpu, 1) == -ENXIO);
    return NULL;
}

static void allocate(void *block)
{
    *(char **)block = kzalloc(40, GFP_ATOMIC);
}

static void release(void *block)
{
    kfree(block);
}

const char *test_memory_above_dispatch(void)
{
    char *block = NULL, *other = kmalloc(100, GFP_KERNEL);
    int i;

    EXPECT(smp_call_function_single(1, allocate, &block, 1) == 0 && block);
    for (i = 0; i < 40; i++)
        EXPECT(block[i] == 0);
    memset(block, 1, 40);
    smp_call_function_single(2, release, other, 1);
    kfree(block);
    /* The place of a freed block is zeroed when it is given again. */
    EXPECT(smp_call_function_single(3, allocate, &block, 1) == 0 && block && block[39] == 0);
    smp_call_function_single(0, release, block, 1);
    return NULL;
}

/* Leaves a block of the reserve, which the end of the environment counts. */
const char *test_reserve_leak(void)
{
    char *block = NULL;

    EXPECT(smp_call_function_single(1, allocate, &block, 1) == 0 && block);
    return NULL;
}
