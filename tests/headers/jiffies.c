/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Every name of linux/jiffies.h, as drivers use them. */
#include <linux/jiffies.h>

static const unsigned long start = INITIAL_JIFFIES;
static const unsigned long ever = MAX_JIFFY_OFFSET;
static const unsigned long period = secs_to_jiffies(3) + HZ;

/* The types of Linux. */
unsigned long (*takes_uint[])(unsigned int) = { msecs_to_jiffies, usecs_to_jiffies };
unsigned int (*gives_uint[])(const unsigned long) = { jiffies_to_msecs, jiffies_to_usecs };
unsigned long (*takes_nsecs)(unsigned long long) = nsecs_to_jiffies;
unsigned long long (*gives_64[])(unsigned long long) = { nsecs_to_jiffies64 };
unsigned long long (*gives_nsecs)(const unsigned long) = jiffies_to_nsecs;
unsigned long (*rounds[])(unsigned long) = {
    round_jiffies,
    round_jiffies_up,
    round_jiffies_relative,
    round_jiffies_up_relative,
};
unsigned long (*rounds_for[])(unsigned long, int) = {
    __round_jiffies,
    __round_jiffies_up,
    __round_jiffies_relative,
    __round_jiffies_up_relative,
};

bool use_times(volatile unsigned long *stamp, const unsigned long timeout);
bool use_times(volatile unsigned long *stamp, const unsigned long timeout)
{
    unsigned long now = jiffies;

    *stamp = jiffies + timeout;
    return time_after(now, *stamp) || time_before(now, start) || time_after_eq(jiffies, *stamp + period) ||
           time_before_eq(jiffies, now + ever) || time_in_range(now, start, *stamp) ||
           time_in_range_open(now, start, *stamp) || time_is_before_jiffies(now) ||
           time_is_after_jiffies(now) || time_is_before_eq_jiffies(*stamp) ||
           time_is_after_eq_jiffies(*stamp);
}

bool use_times_64(unsigned long long stamp, uint64_t other);
bool use_times_64(unsigned long long stamp, uint64_t other)
{
    unsigned long long now = jiffies_64;

    return time_after64(now, stamp) || time_before64(get_jiffies_64(), other) ||
           time_after_eq64(now, other) || time_before_eq64(now, stamp) ||
           time_in_range64(now, stamp, other) ||
           time_is_before_jiffies64(stamp) || time_is_after_jiffies64(stamp) ||
           time_is_before_eq_jiffies64(other) || time_is_after_eq_jiffies64(other);
}
