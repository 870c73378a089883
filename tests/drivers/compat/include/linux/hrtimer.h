/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Timers that expire in a hard interrupt, on the CPU that started them; never early, and as late as a sleep
 * by the tick may be. Only the pinned hard mode exists: in it a driver finds itself in an interrupt.
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
    /* The environment's. */
    ktime_t compat_expires;
};

void hrtimer_init(struct hrtimer *timer, int clock, enum hrtimer_mode mode);
void hrtimer_setup(struct hrtimer *timer, enum hrtimer_restart (*function)(struct hrtimer *timer), int clock,
                   enum hrtimer_mode mode);
/* Any context but the timer's own function. */
void hrtimer_start(struct hrtimer *timer, ktime_t time, enum hrtimer_mode mode);
/* In the timer's own function, before it returns HRTIMER_RESTART: moves the next expiry behind now. */
u64 hrtimer_forward_now(struct hrtimer *timer, ktime_t interval);
/* Process context: waits for a function that runs. Whether the timer was armed. */
int hrtimer_cancel(struct hrtimer *timer);
bool hrtimer_active(const struct hrtimer *timer);

#endif
