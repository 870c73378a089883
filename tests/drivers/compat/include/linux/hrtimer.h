/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Timers that are precise and expire in a hard interrupt, on the CPU that started them. Only the pinned hard
 * mode exists: it is the one in which a driver finds itself in an interrupt.
 */
#ifndef COMPAT_LINUX_HRTIMER_H
#define COMPAT_LINUX_HRTIMER_H

#include <linux/ktime.h>
#include <linux/types.h>

#define CLOCK_REALTIME 0
#define CLOCK_MONOTONIC 1

enum hrtimer_mode {
    HRTIMER_MODE_REL_PINNED_HARD = 0x0b,
};

enum hrtimer_restart {
    HRTIMER_NORESTART,
    HRTIMER_RESTART,
};

struct hrtimer {
    enum hrtimer_restart (*function)(struct hrtimer *timer);
    /* The rest is the environment's. */
    void *compat_timer;
    ktime_t compat_expires;
    unsigned int compat_state;
    unsigned int compat_cpu;
};

void hrtimer_init(struct hrtimer *timer, int clock, enum hrtimer_mode mode);
void hrtimer_setup(struct hrtimer *timer, enum hrtimer_restart (*function)(struct hrtimer *timer), int clock,
                   enum hrtimer_mode mode);
/* At most DISPATCH_LEVEL, or in the timer's own function. */
void hrtimer_start(struct hrtimer *timer, ktime_t time, enum hrtimer_mode mode);
/* In the timer's own function, before it returns HRTIMER_RESTART: moves the next expiry behind now. */
u64 hrtimer_forward_now(struct hrtimer *timer, ktime_t interval);
/* Process context: waits for a function that runs. Whether the timer was armed. */
int hrtimer_cancel(struct hrtimer *timer);
bool hrtimer_active(const struct hrtimer *timer);

#endif
