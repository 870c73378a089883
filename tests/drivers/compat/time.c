// SPDX-License-Identifier: MIT OR Apache-2.0
/* Clocks, delays, and timers that expire in a hard interrupt. */
#include <linux/bug.h>
#include <linux/compiler.h>
#include <linux/delay.h>
#include <linux/errno.h>
#include <linux/hrtimer.h>
#include <linux/ktime.h>
#include <linux/smp.h>
#include <linux/spinlock.h>
#include <linux/string.h>

#include "internal.h"

/* Timers that can be armed at once. */
#define SLOTS 16

/* A timer of NT, and the hrtimer that has it now: from its start until its function has returned. */
struct slot {
    PEX_TIMER timer;
    KDPC restart;
    struct hrtimer *user;
    unsigned int cpu;
    bool is_running;
};

static struct slot slots[SLOTS];
/* Guards `user`, `cpu` and `is_running` of all slots. */
static DEFINE_SPINLOCK(slots_lock);

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

/* The slot of a timer that is armed or whose function runs. The lock is held. */
static struct slot *slot_of(const struct hrtimer *timer)
{
    unsigned int i;

    for (i = 0; i < SLOTS; i++) {
        if (slots[i].user == timer)
            return &slots[i];
    }
    return NULL;
}

static void arm(struct slot *slot, ktime_t time)
{
    ExSetTimer(slot->timer, time > 0 ? -((time + 99) / 100) : -1, 0, NULL);
}

/* The function has asked for another expiry, above DISPATCH_LEVEL. */
static void restart(struct _KDPC *dpc, PVOID context, PVOID first, PVOID second)
{
    struct slot *slot = context;
    struct hrtimer *timer = READ_ONCE(slot->user);

    (void)dpc, (void)first, (void)second;
    if (timer)
        arm(slot, timer->compat_expires - ktime_get());
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
    /* What was on its way when its timer was cancelled is nothing to the next user of the slot. */
    if (timer && timer->compat_expires > ktime_get())
        timer = NULL;
    slot->is_running = timer != NULL;
    spin_unlock_irqrestore(&slots_lock, flags);
    if (!timer)
        return;
    again = timer->function(timer) == HRTIMER_RESTART;
    if (again)
        KeInsertQueueDpc(&slot->restart, NULL, NULL);
    /* A timer that does not go on may be gone by now. */
    spin_lock_irqsave(&slots_lock, flags);
    slot->is_running = false;
    if (!again)
        slot->user = NULL;
    spin_unlock_irqrestore(&slots_lock, flags);
}

static void timer_is_due(PEX_TIMER timer, PVOID context)
{
    struct slot *slot = context;

    (void)timer;
    compat_interrupt(slot->cpu, expire, slot);
}

void hrtimer_init(struct hrtimer *timer, int clock, enum hrtimer_mode mode)
{
    (void)clock, (void)mode;
    memset(timer, 0, sizeof(*timer));
}

void hrtimer_setup(struct hrtimer *timer, enum hrtimer_restart (*function)(struct hrtimer *timer), int clock,
                   enum hrtimer_mode mode)
{
    hrtimer_init(timer, clock, mode);
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
    if (slot) {
        slot->user = timer;
        slot->cpu = raw_smp_processor_id();
        timer->compat_expires = ktime_get() + time;
    }
    spin_unlock_irqrestore(&slots_lock, flags);
    BUG_ON(!slot);
    arm(slot, time);
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

/* Whether the timer was armed, which it is no more; or else whether its function runs, in `is_running`. */
static bool disarm(struct hrtimer *timer, bool *is_running)
{
    struct slot *slot;
    unsigned long flags;
    bool armed = false;

    spin_lock_irqsave(&slots_lock, flags);
    slot = slot_of(timer);
    *is_running = slot && slot->is_running;
    if (slot && !slot->is_running) {
        armed = true;
        slot->user = NULL;
    }
    spin_unlock_irqrestore(&slots_lock, flags);
    return armed;
}

int hrtimer_cancel(struct hrtimer *timer)
{
    bool is_running;

    for (;;) {
        bool armed = disarm(timer, &is_running);

        if (!is_running)
            return armed;
        cpu_relax();
    }
}

int compat_timers_init(void)
{
    unsigned int i;

    for (i = 0; i < SLOTS; i++) {
        slots[i].user = NULL;
        slots[i].is_running = false;
        KeInitializeDpc(&slots[i].restart, restart, &slots[i]);
        slots[i].timer = ExAllocateTimer(timer_is_due, &slots[i], EX_TIMER_HIGH_RESOLUTION);
        if (!slots[i].timer)
            return -ENOMEM;
    }
    return 0;
}

void compat_timers_exit(void)
{
    unsigned int i;

    for (i = 0; i < SLOTS; i++) {
        slots[i].user = NULL;
        if (slots[i].timer)
            ExDeleteTimer(slots[i].timer, TRUE, TRUE, NULL);
        slots[i].timer = NULL;
    }
}
