// SPDX-License-Identifier: MIT OR Apache-2.0
/* Clocks, delays, and timers that expire in a hard interrupt. */
#include <linux/bug.h>
#include <linux/compiler.h>
#include <linux/delay.h>
#include <linux/errno.h>
#include <linux/hrtimer.h>
#include <linux/jiffies.h>
#include <linux/kthread.h>
#include <linux/ktime.h>
#include <linux/smp.h>
#include <linux/spinlock.h>
#include <linux/string.h>

#include "internal.h"

/* Timers that can be armed at once. */
#define SLOTS 16

enum slot_state {
    IDLE,
    /* The thread waits for its time. */
    ARMED,
    /* Its interrupt is on its way. */
    FIRED,
    RUNNING,
};

/* What an hrtimer has from its start until its function has returned. */
struct slot {
    struct hrtimer *user;
    enum slot_state state;
    unsigned int cpu;
};

static struct slot slots[SLOTS];
/* Guards all slots, and the expiry of their users. */
static DEFINE_SPINLOCK(slots_lock);
/*
 * Waits for the earliest expiry. A thread, and not a timer of NT: that expires in a DPC, which a CPU that is
 * held at DISPATCH_LEVEL does not run.
 */
static struct task_struct *clock_task;

void cpu_relax(void)
{
    KeStallExecutionProcessor(1);
}

ktime_t ktime_get(void)
{
    ULONG64 counter;

    return (ktime_t)(KeQueryInterruptTimePrecise(&counter) * 100);
}

static void delay_100ns(s64 time)
{
    LARGE_INTEGER due;

    due.QuadPart = time > 0 ? -time : -1;
    KeDelayExecutionThread(KernelMode, FALSE, &due);
}

void msleep(unsigned int msecs)
{
    delay_100ns((s64)msecs * COMPAT_100NS_PER_MS);
}

unsigned long msleep_interruptible(unsigned int msecs)
{
    msleep(msecs);
    return 0;
}

void ssleep(unsigned int seconds)
{
    delay_100ns((s64)seconds * 1000 * COMPAT_100NS_PER_MS);
}

static void wake_sleeper(PEX_TIMER timer, PVOID event)
{
    (void)timer;
    KeSetEvent(event, 0, FALSE);
}

void usleep_range(unsigned long min, unsigned long max)
{
    KEVENT event;
    PEX_TIMER timer;

    (void)max;
    KeInitializeEvent(&event, NotificationEvent, FALSE);
    timer = ExAllocateTimer(wake_sleeper, &event, EX_TIMER_HIGH_RESOLUTION);
    if (!timer) {
        delay_100ns((s64)min * 10);
        return;
    }
    ExSetTimer(timer, min ? -(s64)min * 10 : -1, 0, NULL);
    KeWaitForSingleObject(&event, Executive, KernelMode, FALSE, NULL);
    ExDeleteTimer(timer, TRUE, TRUE, NULL);
}

void fsleep(unsigned long usecs)
{
    usleep_range(usecs, 2 * usecs);
}

void ndelay(unsigned long nsecs)
{
    udelay((nsecs + 999) / 1000);
}

void udelay(unsigned long usecs)
{
    KeStallExecutionProcessor((ULONG)usecs);
}

void mdelay(unsigned long msecs)
{
    while (msecs--)
        udelay(1000);
}

/* The slot of a timer that is armed or whose function runs, or a free one for NULL. The lock is held. */
static struct slot *slot_of(const struct hrtimer *timer)
{
    unsigned int i;

    for (i = 0; i < SLOTS; i++) {
        if (slots[i].user == timer)
            return &slots[i];
    }
    return NULL;
}

static void release_slot(struct slot *slot)
{
    slot->state = IDLE;
    slot->user = NULL;
}

/* In a hard interrupt of the CPU that has started the timer. */
static void expire(void *context)
{
    struct slot *slot = context;
    struct hrtimer *timer;
    unsigned long flags;
    bool again;

    spin_lock_irqsave(&slots_lock, flags);
    timer = slot->user;
    /* Cancelled on the way. A next user is served only if its own interrupt is on its way as well. */
    again = slot->state == FIRED;
    if (again)
        slot->state = RUNNING;
    spin_unlock_irqrestore(&slots_lock, flags);
    if (!again)
        return;
    again = timer->function(timer) == HRTIMER_RESTART;
    /* A timer that does not go on may be gone by now. */
    spin_lock_irqsave(&slots_lock, flags);
    if (again)
        slot->state = ARMED;
    else
        release_slot(slot);
    spin_unlock_irqrestore(&slots_lock, flags);
    if (again)
        wake_up_process(clock_task);
}

/* Sends the interrupts that are due. Returns the jiffies until the next one. */
static long fire(void)
{
    ktime_t now = ktime_get(), next = KTIME_MAX;
    unsigned long flags;
    unsigned int i;

    for (i = 0; i < SLOTS; i++) {
        bool is_due = false;
        unsigned int cpu = 0;

        spin_lock_irqsave(&slots_lock, flags);
        if (slots[i].state == ARMED) {
            ktime_t expires = slots[i].user->compat_expires;

            is_due = expires <= now;
            cpu = slots[i].cpu;
            if (is_due)
                slots[i].state = FIRED;
            else if (expires < next)
                next = expires;
        }
        spin_unlock_irqrestore(&slots_lock, flags);
        if (is_due)
            compat_interrupt(cpu, expire, &slots[i]);
    }
    if (next == KTIME_MAX)
        return MAX_SCHEDULE_TIMEOUT;
    return (long)((next - now) / (NSEC_PER_SEC / HZ)) + 1;
}

static int clock_main(void *unused)
{
    (void)unused;
    for (;;) {
        set_current_state(TASK_INTERRUPTIBLE);
        if (kthread_should_stop())
            return 0;
        schedule_timeout(fire());
    }
}

void hrtimer_init(struct hrtimer *timer, int clock_id, enum hrtimer_mode mode)
{
    (void)clock_id, (void)mode;
    memset(timer, 0, sizeof(*timer));
}

void hrtimer_setup(struct hrtimer *timer, enum hrtimer_restart (*function)(struct hrtimer *timer),
                   int clock_id, enum hrtimer_mode mode)
{
    hrtimer_init(timer, clock_id, mode);
    timer->function = function;
}

void hrtimer_start(struct hrtimer *timer, ktime_t time, enum hrtimer_mode mode)
{
    struct slot *slot;
    unsigned long flags;

    (void)mode;
    spin_lock_irqsave(&slots_lock, flags);
    slot = slot_of(timer);
    if (!slot)
        slot = slot_of(NULL);
    BUG_ON(!slot || slot->state == RUNNING);
    slot->user = timer;
    slot->state = ARMED;
    slot->cpu = raw_smp_processor_id();
    timer->compat_expires = ktime_get() + time;
    spin_unlock_irqrestore(&slots_lock, flags);
    wake_up_process(clock_task);
}

u64 hrtimer_forward_now(struct hrtimer *timer, ktime_t interval)
{
    ktime_t now = ktime_get();
    u64 overruns = 0;

    while (timer->compat_expires <= now) {
        timer->compat_expires += interval;
        overruns++;
    }
    return overruns;
}

bool hrtimer_active(const struct hrtimer *timer)
{
    unsigned long flags;
    bool active;

    spin_lock_irqsave(&slots_lock, flags);
    active = slot_of(timer) != NULL;
    spin_unlock_irqrestore(&slots_lock, flags);
    return active;
}

int hrtimer_cancel(struct hrtimer *timer)
{
    for (;;) {
        enum slot_state state;
        struct slot *slot;
        unsigned long flags;

        spin_lock_irqsave(&slots_lock, flags);
        slot = slot_of(timer);
        state = slot ? slot->state : IDLE;
        if (state == ARMED || state == FIRED)
            release_slot(slot);
        spin_unlock_irqrestore(&slots_lock, flags);
        if (state != RUNNING)
            return state != IDLE;
        cpu_relax();
    }
}

int compat_timers_init(void)
{
    unsigned int i;

    spin_lock_init(&slots_lock);
    for (i = 0; i < SLOTS; i++)
        release_slot(&slots[i]);
    clock_task = kthread_run(clock_main, NULL, "hrtimers");
    return IS_ERR(clock_task) ? -ENOMEM : 0;
}

void compat_timers_exit(void)
{
    if (!IS_ERR(clock_task))
        kthread_stop(clock_task);
}
