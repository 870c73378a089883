/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Time in nanoseconds. */
#ifndef COMPAT_LINUX_KTIME_H
#define COMPAT_LINUX_KTIME_H

#include <linux/time64.h>
#include <linux/types.h>

typedef s64 ktime_t;

#define KTIME_MAX ((s64)~((u64)1 << 63))

/* Any context. The time since the machine started. */
ktime_t ktime_get(void);

static inline u64 ktime_get_ns(void)
{
    return (u64)ktime_get();
}

#define ktime_get_boottime() ktime_get()
#define ktime_get_real() ktime_get()
#define ktime_get_raw() ktime_get()

static inline ktime_t ktime_set(s64 seconds, unsigned long nsecs)
{
    return seconds * NSEC_PER_SEC + (s64)nsecs;
}

static inline ktime_t ns_to_ktime(u64 ns)
{
    return (ktime_t)ns;
}

static inline ktime_t us_to_ktime(u64 us)
{
    return (ktime_t)us * NSEC_PER_USEC;
}

static inline ktime_t ms_to_ktime(u64 ms)
{
    return (ktime_t)ms * NSEC_PER_MSEC;
}

static inline s64 ktime_to_ns(ktime_t time)
{
    return time;
}

static inline s64 ktime_to_us(ktime_t time)
{
    return time / NSEC_PER_USEC;
}

static inline s64 ktime_to_ms(ktime_t time)
{
    return time / NSEC_PER_MSEC;
}

static inline ktime_t ktime_add(ktime_t a, ktime_t b)
{
    return a + b;
}

static inline ktime_t ktime_sub(ktime_t a, ktime_t b)
{
    return a - b;
}

static inline ktime_t ktime_add_ns(ktime_t time, u64 ns)
{
    return time + (s64)ns;
}

static inline ktime_t ktime_add_us(ktime_t time, u64 us)
{
    return time + us_to_ktime(us);
}

static inline ktime_t ktime_add_ms(ktime_t time, u64 ms)
{
    return time + ms_to_ktime(ms);
}

static inline int ktime_compare(ktime_t a, ktime_t b)
{
    return a < b ? -1 : a > b;
}

static inline bool ktime_before(ktime_t a, ktime_t b)
{
    return a < b;
}

static inline bool ktime_after(ktime_t a, ktime_t b)
{
    return a > b;
}

static inline s64 ktime_us_delta(ktime_t later, ktime_t earlier)
{
    return ktime_to_us(later - earlier);
}

static inline s64 ktime_ms_delta(ktime_t later, ktime_t earlier)
{
    return ktime_to_ms(later - earlier);
}

#endif
