// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * Jiffies: row D31, and beyond the table J401 (milliseconds), J402 (microseconds), J403 (nanoseconds), J404
 * (jiffies to others), J405 (time_after and its kin at the wrap), J406 (now), J407 (whole seconds), J408
 * (constants). What the compiler can fold is asked with arguments that it cannot see, too.
 */
#include "items.h"

/* A value that the compiler knows nothing of. */
static unsigned long hidden(unsigned long value)
{
    static unsigned long shown;

    WRITE_ONCE(shown, value);
    return READ_ONCE(shown);
}

#define MS(value) msecs_to_jiffies((unsigned int)hidden(value))
#define US(value) usecs_to_jiffies((unsigned int)hidden(value))

SCENARIO(D31)
{
    answer("ms0", (long long)msecs_to_jiffies(0));
    answer("ms1", (long long)msecs_to_jiffies(1));
    answer("ms4", (long long)msecs_to_jiffies(4));
    answer("ms5", (long long)msecs_to_jiffies(5));
    answer("negative", msecs_to_jiffies(-1) == MAX_JIFFY_OFFSET);
}

SCENARIO(J401)
{
    unsigned long sum = 0, value;

    for (value = 0; value < 2000; value++)
        sum += MS(value);
    answer("ms8", (long long)MS(8));
    answer("ms9", (long long)MS(9));
    answer("ms999", (long long)MS(999));
    answer("ms1000", (long long)MS(1000));
    answer("ms1001", (long long)MS(1001));
    answer("day", (long long)MS(86400000));
    answer("greatest", (long long)MS(0x7fffffff));
    answer("negative", MS(0x80000000ul) == MAX_JIFFY_OFFSET && MS(0xfffffffful) == MAX_JIFFY_OFFSET);
    answer("folded", msecs_to_jiffies(1001) == MS(1001) && msecs_to_jiffies(0x7fffffff) == MS(0x7fffffff));
    answer("sum", (long long)sum);
}

SCENARIO(J402)
{
    answer("us0", (long long)US(0));
    answer("us1", (long long)US(1));
    answer("us3999", (long long)US(3999));
    answer("us4000", (long long)US(4000));
    answer("us4001", (long long)US(4001));
    answer("second", (long long)US(1000000));
    answer("hour", (long long)US(3600000000ul));
    answer("greatest", (long long)US(0xfffffffful));
    answer("folded", usecs_to_jiffies(4001) == US(4001));
    answer("folded_greatest", (long long)usecs_to_jiffies(0xffffffffu));
}

SCENARIO(J403)
{
    answer("ns0", (long long)nsecs_to_jiffies(hidden(0)));
    answer("ns3999999", (long long)nsecs_to_jiffies(hidden(3999999)));
    answer("ns4000000", (long long)nsecs_to_jiffies(hidden(4000000)));
    answer("second", (long long)nsecs_to_jiffies(hidden(1000000000)));
    answer("wide", (long long)nsecs_to_jiffies64(1ull << 62));
    answer("widest", (long long)nsecs_to_jiffies64(~0ull));
}

SCENARIO(J404)
{
    answer("ms0", jiffies_to_msecs(hidden(0)));
    answer("ms1", jiffies_to_msecs(hidden(1)));
    answer("ms250", jiffies_to_msecs(hidden(250)));
    answer("ms_cut", jiffies_to_msecs(hidden(0x40000001ul)));
    answer("us1", jiffies_to_usecs(hidden(1)));
    answer("us250", jiffies_to_usecs(hidden(250)));
    answer("us_cut", jiffies_to_usecs(hidden(0x100001ul)));
    answer("ns1", (long long)jiffies_to_nsecs(hidden(1)));
    answer("ns250", (long long)jiffies_to_nsecs(hidden(250)));
    answer("back", msecs_to_jiffies(jiffies_to_msecs(hidden(12345))) == 12345);
}

/* What the comparisons say about two times, a bit for each. */
static int compared(unsigned long x, unsigned long y)
{
    return time_after(x, y) | time_before(x, y) << 1 | time_after_eq(x, y) << 2 | time_before_eq(x, y) << 3;
}

static int compared64(u64 x, u64 y)
{
    return time_after64(x, y) | time_before64(x, y) << 1 | time_after_eq64(x, y) << 2 |
           time_before_eq64(x, y) << 3;
}

/* Whether a time is in the range from the last one before the wrap to 3: closed, open, and in u64. */
static int wrapped_range(unsigned long x)
{
    const unsigned long from = ~0ul, to = 3;
    const u64 x64 = x == from ? ~0ull : x, from64 = ~0ull, to64 = 3;

    return time_in_range(x, from, to) | time_in_range_open(x, from, to) << 1 |
           time_in_range64(x64, from64, to64) << 2;
}

SCENARIO(J405)
{
    const unsigned long top = ~0ul, half = top / 2 + 1;

    answer("same", compared(hidden(5), 5));
    answer("later", compared(hidden(6), 5));
    answer("wrapped", compared(hidden(2), top - 1));
    answer("unwrapped", compared(hidden(top - 1), 2));
    answer("less_than_half", compared(hidden(half - 1), 0));
    answer("half", compared(hidden(half), 0));
    answer("half_back", compared(hidden(0), half));
    answer("more_than_half", compared(hidden(half + 1), 0));
    answer("wide", compared64(2, ~0ull - 1) | compared64(1ull << 63, 0) << 4 | compared64(0, 0) << 8);
    answer("range_before", wrapped_range(hidden(top - 1)));
    answer("range_from", wrapped_range(hidden(top)));
    answer("range_inside", wrapped_range(hidden(1)));
    answer("range_to", wrapped_range(hidden(3)));
    answer("range_after", wrapped_range(hidden(4)));
}

SCENARIO(J406)
{
    unsigned long before = jiffies, later = before + LONG_DELAY;
    u64 before64 = get_jiffies_64(), later64 = before64 + LONG_DELAY;

    msleep(20);
    answer("passes", time_after_eq(jiffies, before + msecs_to_jiffies(20)));
    answer("passes64", time_after_eq64(get_jiffies_64(), before64 + 5));
    answer("low_half", (u32)before64 - (u32)before <= 10);
    answer("before", time_is_before_jiffies(before) | time_is_before_jiffies(later) << 1);
    answer("before_eq", time_is_before_eq_jiffies(before) | time_is_before_eq_jiffies(later) << 1);
    answer("after", time_is_after_jiffies(before) | time_is_after_jiffies(later) << 1);
    answer("after_eq", time_is_after_eq_jiffies(before) | time_is_after_eq_jiffies(later) << 1);
    answer("before64", time_is_before_jiffies64(before64) | time_is_before_jiffies64(later64) << 1);
    answer("before_eq64", time_is_before_eq_jiffies64(before64) | time_is_before_eq_jiffies64(later64) << 1);
    answer("after64", time_is_after_jiffies64(before64) | time_is_after_jiffies64(later64) << 1);
    answer("after_eq64", time_is_after_eq_jiffies64(before64) | time_is_after_eq_jiffies64(later64) << 1);
}

/* The next time after `from` that is `rest` jiffies past a whole second. */
static unsigned long past_second(unsigned long from, unsigned long rest)
{
    return from - from % HZ + HZ + rest;
}

SCENARIO(J407)
{
    unsigned long soon = jiffies + 10 * HZ, whole = past_second(soon, 0), past = jiffies - 5 * HZ - 7;

    answer("whole", (long)(round_jiffies(past_second(soon, 0)) - whole));
    answer("little", (long)(__round_jiffies(past_second(soon, HZ / 4 - 1), 0) - whole));
    answer("quarter", (long)(__round_jiffies(past_second(soon, HZ / 4), 0) - whole));
    answer("less", (long)(__round_jiffies(past_second(soon, HZ - 1), 0) - whole));
    answer("up", (long)(__round_jiffies_up(past_second(soon, 1), 0) - whole));
    answer("up_whole", (long)(__round_jiffies_up(past_second(soon, 0), 0) - whole));
    answer("cpu2", (long)(__round_jiffies(past_second(soon, 0), 2) - whole));
    answer("cpu2_little", (long)(__round_jiffies(past_second(soon, 50), 2) - whole));
    answer("cpu2_quarter", (long)(__round_jiffies(past_second(soon, 60), 2) - whole));
    answer("cpu2_up", (long)(__round_jiffies_up(past_second(soon, 0), 2) - whole));
    answer("past", round_jiffies(past) == past);
    answer("relative", (jiffies + round_jiffies_relative(10 * HZ)) % HZ <= 1);
    answer("relative_up", (jiffies + round_jiffies_up_relative(10 * HZ)) % HZ <= 1);
    answer("up_here", (long)(round_jiffies_up(past_second(soon, 1)) - whole));
}

SCENARIO(J408)
{
    answer("hz", HZ);
    answer("max_offset", (long long)MAX_JIFFY_OFFSET);
    answer("initial", (long long)(unsigned long)INITIAL_JIFFIES);
    answer("width", sizeof(jiffies));
    answer("dwork", sizeof(struct delayed_work));
    answer("work", sizeof(struct work_struct));
}

KIT_GROUP(jiffies, "delayed", KIT_ROW(D31), KIT_ROW(J401), KIT_ROW(J402), KIT_ROW(J403), KIT_ROW(J404),
          KIT_ROW(J405), KIT_ROW(J406), KIT_ROW(J407), KIT_ROW(J408));
