/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Jiffies. Linux counts them in an `unsigned long`. On Windows that has 32 bits, so there they wrap as on a
 * 32-bit Linux: five minutes after the start, and then every 198 days at HZ 250. time_after() and its kin see
 * past that.
 *
 * HZ is 250, or BOTTOMHALF_HZ. The library is built with one too; an attach with another is refused.
 *
 * Names and interfaces are Linux's, so that drivers compile unchanged; nothing else is taken from it.
 */
#ifndef BOTTOMHALF_LINUX_JIFFIES_H
#define BOTTOMHALF_LINUX_JIFFIES_H

#include <bottomhalf/abi.h>
#include <limits.h>

#ifndef BOTTOMHALF_HZ
#define BOTTOMHALF_HZ 250
#endif
#ifndef HZ
#define HZ BOTTOMHALF_HZ
#elif HZ != BOTTOMHALF_HZ
#error "bottomhalf: HZ is not BOTTOMHALF_HZ: define BOTTOMHALF_HZ, for the library too, and leave HZ to us"
#endif
BOTTOMHALF_STATIC_ASSERT(HZ >= 12 && HZ <= 12287, "bottomhalf: HZ is 12 to 12287");

/* The jiffy of the start: five minutes before 32 bits are over. */
#define INITIAL_JIFFIES ((unsigned long)(unsigned int)(-300 * HZ))
/* The longest delay that the conversions return, for what is longer or negative. */
#define MAX_JIFFY_OFFSET ((unsigned long)((LONG_MAX >> 1) - 1))

/*
 * The time now in units of 1/HZ, as of the last tick. In Linux these are variables; here no member, parameter
 * or variable of a driver's can have the name.
 *
 * IRQL: any. Does not block.
 */
#define jiffies ((unsigned long)bottomhalf_jiffies())
#define jiffies_64 ((unsigned long long)bottomhalf_jiffies_64())

/*
 * Seconds in jiffies; a constant expression if @seconds is one.
 *
 * IRQL: any. Does not block.
 */
#define secs_to_jiffies(seconds) ((unsigned long)(seconds) * HZ)

BOTTOMHALF_BEGIN

/* What the library says in 64 bits, as an `unsigned long`; what does not fit is for ever. */
static inline unsigned long bottomhalf_as_long(uint64_t count)
{
#ifdef BOTTOMHALF_LLP64
    if (count > MAX_JIFFY_OFFSET && (HZ > 1000 || count > ULONG_MAX))
        return MAX_JIFFY_OFFSET;
#endif
    return (unsigned long)count;
}

/* The time of 64 bits that @j means: the one next to now. */
static inline uint64_t bottomhalf_as_time(unsigned long j)
{
#ifdef BOTTOMHALF_LLP64
    uint64_t now = bottomhalf_jiffies();

    return now + (uint64_t)(int64_t)(long)(j - (unsigned long)now);
#else
    return j;
#endif
}

/*
 * jiffies_64.
 *
 * IRQL: any. Does not block.
 */
BOTTOMHALF_IRQL_ANY
static inline unsigned long long get_jiffies_64(void)
{
    return bottomhalf_get_jiffies_64();
}

/*
 * Milliseconds in jiffies, rounded up; what is negative as an int is MAX_JIFFY_OFFSET.
 *
 * IRQL: any. Does not block.
 */
BOTTOMHALF_IRQL_ANY
static inline unsigned long msecs_to_jiffies(unsigned int msecs)
{
    return bottomhalf_as_long(bottomhalf_msecs_to_jiffies(msecs));
}

/*
 * Microseconds in jiffies, rounded up; the last values below 2^32 are MAX_JIFFY_OFFSET.
 *
 * IRQL: any. Does not block.
 */
BOTTOMHALF_IRQL_ANY
static inline unsigned long usecs_to_jiffies(unsigned int usecs)
{
    return bottomhalf_as_long(bottomhalf_usecs_to_jiffies(usecs));
}

/*
 * Nanoseconds in jiffies, rounded down.
 *
 * IRQL: any. Does not block.
 */
BOTTOMHALF_IRQL_ANY
static inline unsigned long nsecs_to_jiffies(unsigned long long nsecs)
{
    return (unsigned long)bottomhalf_nsecs_to_jiffies(nsecs);
}

/*
 * Nanoseconds in jiffies of 64 bits, rounded down.
 *
 * IRQL: any. Does not block.
 */
BOTTOMHALF_IRQL_ANY
static inline unsigned long long nsecs_to_jiffies64(unsigned long long nsecs)
{
    return bottomhalf_nsecs_to_jiffies64(nsecs);
}

/*
 * Jiffies in milliseconds, rounded up where a jiffy is no whole number of them; cut to 32 bits.
 *
 * IRQL: any. Does not block.
 */
BOTTOMHALF_IRQL_ANY
static inline unsigned int jiffies_to_msecs(unsigned long j)
{
    return bottomhalf_jiffies_to_msecs(j);
}

/*
 * Jiffies in microseconds, rounded down; cut to 32 bits, so good for 71 minutes.
 *
 * IRQL: any. Does not block.
 */
BOTTOMHALF_IRQL_ANY
static inline unsigned int jiffies_to_usecs(unsigned long j)
{
    return bottomhalf_jiffies_to_usecs(j);
}

/*
 * Jiffies in nanoseconds, by way of jiffies_to_usecs().
 *
 * IRQL: any. Does not block.
 */
BOTTOMHALF_IRQL_ANY
static inline unsigned long long jiffies_to_nsecs(unsigned long j)
{
    return bottomhalf_jiffies_to_nsecs(j);
}

/*
 * @j moved to a whole second of @cpu, so that what may be late runs together: down if it is less than a
 * quarter past one, else up. A time that would not be in the future stays as it is.
 *
 * IRQL: any. Does not block.
 */
BOTTOMHALF_IRQL_ANY
static inline unsigned long __round_jiffies(unsigned long j, int cpu)
{
    return (unsigned long)bottomhalf___round_jiffies(bottomhalf_as_time(j), (uint32_t)cpu);
}

/*
 * __round_jiffies() for a delay: @j jiffies from now.
 *
 * IRQL: any. Does not block.
 */
BOTTOMHALF_IRQL_ANY
static inline unsigned long __round_jiffies_relative(unsigned long j, int cpu)
{
    return (unsigned long)bottomhalf___round_jiffies_relative((uint64_t)(int64_t)(long)j, (uint32_t)cpu);
}

/*
 * __round_jiffies() on this CPU.
 *
 * IRQL: any. Does not block.
 */
BOTTOMHALF_IRQL_ANY
static inline unsigned long round_jiffies(unsigned long j)
{
    return (unsigned long)bottomhalf_round_jiffies(bottomhalf_as_time(j));
}

/*
 * __round_jiffies_relative() on this CPU.
 *
 * IRQL: any. Does not block.
 */
BOTTOMHALF_IRQL_ANY
static inline unsigned long round_jiffies_relative(unsigned long j)
{
    return (unsigned long)bottomhalf_round_jiffies_relative((uint64_t)(int64_t)(long)j);
}

/*
 * __round_jiffies(), always up.
 *
 * IRQL: any. Does not block.
 */
BOTTOMHALF_IRQL_ANY
static inline unsigned long __round_jiffies_up(unsigned long j, int cpu)
{
    return (unsigned long)bottomhalf___round_jiffies_up(bottomhalf_as_time(j), (uint32_t)cpu);
}

/*
 * __round_jiffies_relative(), always up.
 *
 * IRQL: any. Does not block.
 */
BOTTOMHALF_IRQL_ANY
static inline unsigned long __round_jiffies_up_relative(unsigned long j, int cpu)
{
    return (unsigned long)bottomhalf___round_jiffies_up_relative((uint64_t)(int64_t)(long)j, (uint32_t)cpu);
}

/*
 * __round_jiffies_up() on this CPU.
 *
 * IRQL: any. Does not block.
 */
BOTTOMHALF_IRQL_ANY
static inline unsigned long round_jiffies_up(unsigned long j)
{
    return (unsigned long)bottomhalf_round_jiffies_up(bottomhalf_as_time(j));
}

/*
 * __round_jiffies_up_relative() on this CPU.
 *
 * IRQL: any. Does not block.
 */
BOTTOMHALF_IRQL_ANY
static inline unsigned long round_jiffies_up_relative(unsigned long j)
{
    return (unsigned long)bottomhalf_round_jiffies_up_relative((uint64_t)(int64_t)(long)j);
}

static inline bool bottomhalf_after(unsigned long a, unsigned long b)
{
    return (long)(b - a) < 0;
}

static inline bool bottomhalf_after64(unsigned long long a, unsigned long long b)
{
    return (long long)(b - a) < 0;
}

BOTTOMHALF_END

/* An operand of another type than `unsigned long` is warned of, as a comparison of different pointers. */
#ifdef __cplusplus
#define BOTTOMHALF_IS_LONG(x) ((void)0)
#else
#define BOTTOMHALF_IS_LONG(x) ((void)sizeof((__typeof__(x) *)0 == (unsigned long *)0))
#endif
/* An operand that has not 64 bits does not compile. */
#define BOTTOMHALF_HAS_64(x) ((void)sizeof(char[sizeof(x) == 8 ? 1 : -1]))

/*
 * Comparisons of two times that are less than half the range apart, right across the wrap: whether @a is
 * after, before, after or at, before or at @b; in @b to @c; in @b to @c without @c. Operands are of type
 * unsigned long.
 *
 * IRQL: any. Does not block.
 */
#define time_after(a, b) (BOTTOMHALF_IS_LONG(a), BOTTOMHALF_IS_LONG(b), bottomhalf_after((a), (b)))
#define time_before(a, b) time_after(b, a)
#define time_after_eq(a, b) (BOTTOMHALF_IS_LONG(a), BOTTOMHALF_IS_LONG(b), !bottomhalf_after((b), (a)))
#define time_before_eq(a, b) time_after_eq(b, a)
#define time_in_range(a, b, c) (time_after_eq(a, b) && time_before_eq(a, c))
#define time_in_range_open(a, b, c) (time_after_eq(a, b) && time_before(a, c))

/*
 * The same for times of 64 bits, which is what Linux names u64.
 *
 * IRQL: any. Does not block.
 */
#define time_after64(a, b) (BOTTOMHALF_HAS_64(a), BOTTOMHALF_HAS_64(b), bottomhalf_after64((a), (b)))
#define time_before64(a, b) time_after64(b, a)
#define time_after_eq64(a, b) (BOTTOMHALF_HAS_64(a), BOTTOMHALF_HAS_64(b), !bottomhalf_after64((b), (a)))
#define time_before_eq64(a, b) time_after_eq64(b, a)
#define time_in_range64(a, b, c) (time_after_eq64(a, b) && time_before_eq64(a, c))

/*
 * Whether @a is over; is still to come; is over or now; is now or still to come.
 *
 * IRQL: any. Does not block.
 */
#define time_is_before_jiffies(a) time_after(jiffies, a)
#define time_is_after_jiffies(a) time_before(jiffies, a)
#define time_is_before_eq_jiffies(a) time_after_eq(jiffies, a)
#define time_is_after_eq_jiffies(a) time_before_eq(jiffies, a)
#define time_is_before_jiffies64(a) time_after64(get_jiffies_64(), a)
#define time_is_after_jiffies64(a) time_before64(get_jiffies_64(), a)
#define time_is_before_eq_jiffies64(a) time_after_eq64(get_jiffies_64(), a)
#define time_is_after_eq_jiffies64(a) time_before_eq64(get_jiffies_64(), a)

#endif
