/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Cycle counters and what makes nanoseconds of them, as far as mcp251xfd-timestamp.c needs them. */
#ifndef STUB_LINUX_CLOCKSOURCE_H
#define STUB_LINUX_CLOCKSOURCE_H

#include <linux/types.h>

#define CYCLECOUNTER_MASK(bits) ((u64)((bits) < 64 ? ((u64)1 << ((bits)&63)) - 1 : ~(u64)0))

/* A counter of `mask` + 1 values; a step is `mult` / 2^`shift` nanoseconds. */
struct cyclecounter {
    u64 (*read)(const struct cyclecounter *cc);
    u64 mask;
    u32 mult;
    u32 shift;
};

/* The time that has gone by on a counter. Right only if it is read before the counter has wrapped. */
struct timecounter {
    const struct cyclecounter *cc;
    u64 cycle_last;
    u64 nsec;
};

void timecounter_init(struct timecounter *tc, const struct cyclecounter *cc, u64 start_tstamp);
u64 timecounter_read(struct timecounter *tc);

u64 ktime_get_real_ns(void);

static inline u32 clocksource_hz2mult(u32 hz, u32 shift)
{
    return (u32)((((u64)1000000000 << shift) + hz / 2) / hz);
}

#endif
