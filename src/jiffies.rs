//! Jiffies, as `linux/jiffies.h` and `linux/timer.h` have them.
//!
//! Nothing here blocks or makes a KMDF call; what reads the clock calls `KeQueryUnbiasedInterruptTime`, or
//! with [`Config::high_resolution`](crate::Config) the precise clock of NT.
//! Figures are `unsigned long` in Linux, so `u64` here, and wrap as Linux's do: compare them with
//! [`time_after`] and its kin. Milliseconds and microseconds are `unsigned int`, so `u32`.

use crate::engine::backend::Backend;
use crate::engine::time::jiffies_at;
pub use crate::engine::time::{HZ, INITIAL_JIFFIES};
use crate::kmdf::Kmdf;

/// The longest delay that the conversions return: "for ever". `jiffies + MAX_JIFFY_OFFSET + 1` is still
/// after `jiffies`. Linux: `MAX_JIFFY_OFFSET`.
pub const MAX_JIFFY_OFFSET: u64 = (i64::MAX as u64 >> 1) - 1;

const MSEC_PER_SEC: u64 = 1_000;
const USEC_PER_SEC: u64 = 1_000_000;
const NSEC_PER_SEC: u64 = 1_000_000_000;

/// Jiffies that Linux adds to each CPU's round times, so that the CPUs do not all wake at once.
const SKEW_PER_CPU: u64 = 3;

/// The conversions at `HZ` ticks per second. Each is exact where Linux's is.
struct At<const HZ: u64>;

impl<const HZ: u64> At<HZ> {
    const fn msecs_to_jiffies(msecs: u32) -> u64 {
        if msecs > i32::MAX as u32 {
            return MAX_JIFFY_OFFSET;
        }
        (msecs as u64 * HZ).div_ceil(MSEC_PER_SEC)
    }

    const fn usecs_to_jiffies(usecs: u32) -> u64 {
        // Linux compares with the microseconds of MAX_JIFFY_OFFSET, cut to 32 bits. Where HZ divides a
        // million that leaves the last two jiffies below 2^32 microseconds, among them "minus one".
        if USEC_PER_SEC.is_multiple_of(HZ) && usecs > Self::jiffies_to_usecs(MAX_JIFFY_OFFSET) {
            return MAX_JIFFY_OFFSET;
        }
        (usecs as u64 * HZ).div_ceil(USEC_PER_SEC)
    }

    const fn nsecs_to_jiffies(nsecs: u64) -> u64 {
        nsecs / NSEC_PER_SEC * HZ + nsecs % NSEC_PER_SEC * HZ / NSEC_PER_SEC
    }

    const fn jiffies_to_msecs(jiffies: u64) -> u32 {
        (jiffies as u128 * MSEC_PER_SEC as u128).div_ceil(HZ as u128) as u32
    }

    const fn jiffies_to_usecs(jiffies: u64) -> u32 {
        (jiffies as u128 * USEC_PER_SEC as u128 / HZ as u128) as u32
    }

    const fn rounded(jiffies: u64, cpu: u32, up: bool, now: u64) -> u64 {
        let skew = cpu as u64 * SKEW_PER_CPU;
        let skewed = jiffies.wrapping_add(skew);
        let past = skewed % HZ;
        let second = skewed - past;
        let round = if past < HZ / 4 && !up {
            second
        } else {
            second.wrapping_add(HZ)
        };
        let round = round.wrapping_sub(skew);
        if time_after(round, now) {
            round
        } else {
            jiffies
        }
    }
}

/// Jiffies now. It stands still while the machine sleeps. Linux: `jiffies`.
///
/// IRQL: any. Does not block.
#[must_use]
pub fn jiffies() -> u64 {
    jiffies_at(Kmdf::now_100ns())
}

/// [`jiffies`]; the two differ on 32-bit kernels only. Linux: `jiffies_64`.
///
/// IRQL: any. Does not block.
#[must_use]
pub fn jiffies_64() -> u64 {
    jiffies()
}

/// [`jiffies`]; the two differ on 32-bit kernels only. Linux: `get_jiffies_64`.
///
/// IRQL: any. Does not block.
#[must_use]
pub fn get_jiffies_64() -> u64 {
    jiffies()
}

/// Milliseconds in jiffies, rounded up, so that a delay is never shorter than asked for. What is
/// negative as an `int` is [`MAX_JIFFY_OFFSET`]. Linux: `msecs_to_jiffies`.
///
/// IRQL: any. Does not block.
#[must_use]
pub const fn msecs_to_jiffies(msecs: u32) -> u64 {
    At::<HZ>::msecs_to_jiffies(msecs)
}

/// Microseconds in jiffies, rounded up. The last values below 2^32 are [`MAX_JIFFY_OFFSET`], from 7999
/// before the end at HZ 250. Linux: `usecs_to_jiffies`.
///
/// IRQL: any. Does not block.
#[must_use]
pub const fn usecs_to_jiffies(usecs: u32) -> u64 {
    At::<HZ>::usecs_to_jiffies(usecs)
}

/// Nanoseconds in jiffies, rounded **down**: a delay made by it may be a jiffy short. Linux:
/// `nsecs_to_jiffies`.
///
/// IRQL: any. Does not block.
#[must_use]
pub const fn nsecs_to_jiffies(nsecs: u64) -> u64 {
    At::<HZ>::nsecs_to_jiffies(nsecs)
}

/// [`nsecs_to_jiffies`]; the two differ on 32-bit kernels only. Linux: `nsecs_to_jiffies64`.
///
/// IRQL: any. Does not block.
#[must_use]
pub const fn nsecs_to_jiffies64(nsecs: u64) -> u64 {
    At::<HZ>::nsecs_to_jiffies(nsecs)
}

/// Seconds in jiffies. Linux: `secs_to_jiffies`, since 6.13.
///
/// IRQL: any. Does not block.
#[must_use]
pub const fn secs_to_jiffies(secs: u64) -> u64 {
    secs.wrapping_mul(HZ)
}

/// Jiffies in milliseconds, rounded up where a jiffy is no whole number of them, and cut to 32 bits.
/// Linux: `jiffies_to_msecs`.
///
/// IRQL: any. Does not block.
#[must_use]
pub const fn jiffies_to_msecs(jiffies: u64) -> u32 {
    At::<HZ>::jiffies_to_msecs(jiffies)
}

/// Jiffies in microseconds, rounded down where a jiffy is no whole number of them, and cut to 32 bits:
/// good for 71 minutes. Linux: `jiffies_to_usecs`.
///
/// IRQL: any. Does not block.
#[must_use]
pub const fn jiffies_to_usecs(jiffies: u64) -> u32 {
    At::<HZ>::jiffies_to_usecs(jiffies)
}

/// Jiffies in nanoseconds. Linux makes them of [`jiffies_to_usecs`], so they too are good for 71
/// minutes. Linux: `jiffies_to_nsecs`.
///
/// IRQL: any. Does not block.
#[must_use]
pub const fn jiffies_to_nsecs(jiffies: u64) -> u64 {
    jiffies_to_usecs(jiffies) as u64 * 1_000
}

/// Whether `a` is after `b`, if the two are less than half the range apart. Linux: `time_after`.
///
/// IRQL: any. Does not block.
#[must_use]
pub const fn time_after(a: u64, b: u64) -> bool {
    b.wrapping_sub(a).cast_signed() < 0
}

/// Whether `a` is before `b`, if the two are less than half the range apart. Linux: `time_before`.
///
/// IRQL: any. Does not block.
#[must_use]
pub const fn time_before(a: u64, b: u64) -> bool {
    time_after(b, a)
}

/// Whether `a` is after `b` or the same. Linux: `time_after_eq`.
///
/// IRQL: any. Does not block.
#[must_use]
pub const fn time_after_eq(a: u64, b: u64) -> bool {
    a.wrapping_sub(b).cast_signed() >= 0
}

/// Whether `a` is before `b` or the same. Linux: `time_before_eq`.
///
/// IRQL: any. Does not block.
#[must_use]
pub const fn time_before_eq(a: u64, b: u64) -> bool {
    time_after_eq(b, a)
}

/// Whether `a` is in `b ..= c`. Linux: `time_in_range`.
///
/// IRQL: any. Does not block.
#[must_use]
pub const fn time_in_range(a: u64, b: u64, c: u64) -> bool {
    time_after_eq(a, b) && time_before_eq(a, c)
}

/// Whether `a` is in `b .. c`. Linux: `time_in_range_open`.
///
/// IRQL: any. Does not block.
#[must_use]
pub const fn time_in_range_open(a: u64, b: u64, c: u64) -> bool {
    time_after_eq(a, b) && time_before(a, c)
}

/// [`time_after`] for [`jiffies_64`]. Linux: `time_after64`.
///
/// IRQL: any. Does not block.
#[must_use]
pub const fn time_after64(a: u64, b: u64) -> bool {
    time_after(a, b)
}

/// [`time_before`] for [`jiffies_64`]. Linux: `time_before64`.
///
/// IRQL: any. Does not block.
#[must_use]
pub const fn time_before64(a: u64, b: u64) -> bool {
    time_before(a, b)
}

/// [`time_after_eq`] for [`jiffies_64`]. Linux: `time_after_eq64`.
///
/// IRQL: any. Does not block.
#[must_use]
pub const fn time_after_eq64(a: u64, b: u64) -> bool {
    time_after_eq(a, b)
}

/// [`time_before_eq`] for [`jiffies_64`]. Linux: `time_before_eq64`.
///
/// IRQL: any. Does not block.
#[must_use]
pub const fn time_before_eq64(a: u64, b: u64) -> bool {
    time_before_eq(a, b)
}

/// [`time_in_range`] for [`jiffies_64`]. Linux: `time_in_range64`.
///
/// IRQL: any. Does not block.
#[must_use]
pub const fn time_in_range64(a: u64, b: u64, c: u64) -> bool {
    time_in_range(a, b, c)
}

/// Whether `a` is over: [`jiffies`] is after it. Linux: `time_is_before_jiffies`.
///
/// IRQL: any. Does not block.
#[must_use]
pub fn time_is_before_jiffies(a: u64) -> bool {
    time_after(jiffies(), a)
}

/// Whether `a` is still to come. Linux: `time_is_after_jiffies`.
///
/// IRQL: any. Does not block.
#[must_use]
pub fn time_is_after_jiffies(a: u64) -> bool {
    time_before(jiffies(), a)
}

/// Whether `a` is over or now. Linux: `time_is_before_eq_jiffies`.
///
/// IRQL: any. Does not block.
#[must_use]
pub fn time_is_before_eq_jiffies(a: u64) -> bool {
    time_after_eq(jiffies(), a)
}

/// Whether `a` is now or still to come. Linux: `time_is_after_eq_jiffies`.
///
/// IRQL: any. Does not block.
#[must_use]
pub fn time_is_after_eq_jiffies(a: u64) -> bool {
    time_before_eq(jiffies(), a)
}

/// [`time_is_before_jiffies`] for [`jiffies_64`]. Linux: `time_is_before_jiffies64`.
///
/// IRQL: any. Does not block.
#[must_use]
pub fn time_is_before_jiffies64(a: u64) -> bool {
    time_is_before_jiffies(a)
}

/// [`time_is_after_jiffies`] for [`jiffies_64`]. Linux: `time_is_after_jiffies64`.
///
/// IRQL: any. Does not block.
#[must_use]
pub fn time_is_after_jiffies64(a: u64) -> bool {
    time_is_after_jiffies(a)
}

/// [`time_is_before_eq_jiffies`] for [`jiffies_64`]. Linux: `time_is_before_eq_jiffies64`.
///
/// IRQL: any. Does not block.
#[must_use]
pub fn time_is_before_eq_jiffies64(a: u64) -> bool {
    time_is_before_eq_jiffies(a)
}

/// [`time_is_after_eq_jiffies`] for [`jiffies_64`]. Linux: `time_is_after_eq_jiffies64`.
///
/// IRQL: any. Does not block.
#[must_use]
pub fn time_is_after_eq_jiffies64(a: u64) -> bool {
    time_is_after_eq_jiffies(a)
}

/// The time `j`, in jiffies, moved to a whole second, so that what may be late runs together: down if
/// it is less than a quarter of a second past one, else up. The seconds of CPU `cpu` end three jiffies
/// per CPU earlier, so that the CPUs do not wake all at once. A time that would not be in the future is
/// left as it is. Linux: `__round_jiffies`.
///
/// IRQL: any. Does not block.
#[must_use]
pub fn __round_jiffies(j: u64, cpu: u32) -> u64 {
    At::<HZ>::rounded(j, cpu, false, jiffies())
}

/// [`__round_jiffies`] for a delay: `j` jiffies from now. Linux: `__round_jiffies_relative`.
///
/// IRQL: any. Does not block.
#[must_use]
pub fn __round_jiffies_relative(j: u64, cpu: u32) -> u64 {
    relative(j, cpu, false)
}

/// [`__round_jiffies`] on this CPU. Linux: `round_jiffies`.
///
/// IRQL: any. Does not block.
#[must_use]
pub fn round_jiffies(j: u64) -> u64 {
    __round_jiffies(j, Kmdf::cpu())
}

/// [`__round_jiffies_relative`] on this CPU. Linux: `round_jiffies_relative`.
///
/// IRQL: any. Does not block.
#[must_use]
pub fn round_jiffies_relative(j: u64) -> u64 {
    __round_jiffies_relative(j, Kmdf::cpu())
}

/// [`__round_jiffies`], always up: a time on a whole second moves to the next one. For a time that must
/// not come early. Linux: `__round_jiffies_up`.
///
/// IRQL: any. Does not block.
#[must_use]
pub fn __round_jiffies_up(j: u64, cpu: u32) -> u64 {
    At::<HZ>::rounded(j, cpu, true, jiffies())
}

/// [`__round_jiffies_up`] for a delay: `j` jiffies from now. Linux: `__round_jiffies_up_relative`.
///
/// IRQL: any. Does not block.
#[must_use]
pub fn __round_jiffies_up_relative(j: u64, cpu: u32) -> u64 {
    relative(j, cpu, true)
}

/// [`__round_jiffies_up`] on this CPU. Linux: `round_jiffies_up`.
///
/// IRQL: any. Does not block.
#[must_use]
pub fn round_jiffies_up(j: u64) -> u64 {
    __round_jiffies_up(j, Kmdf::cpu())
}

/// [`__round_jiffies_up_relative`] on this CPU. Linux: `round_jiffies_up_relative`.
///
/// IRQL: any. Does not block.
#[must_use]
pub fn round_jiffies_up_relative(j: u64) -> u64 {
    __round_jiffies_up_relative(j, Kmdf::cpu())
}

/// The clock is read once, so that the answer is a delay from the very time that it was rounded for.
fn relative(j: u64, cpu: u32, up: bool) -> u64 {
    let now = jiffies();
    At::<HZ>::rounded(j.wrapping_add(now), cpu, up, now).wrapping_sub(now)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One row: an argument and the answers at HZ 100, 250, 300, 1000 and 1024.
    type Row<A, R> = (A, [R; 5]);

    macro_rules! at_each_hz {
        ($rows:expr, $function:ident) => {
            for (argument, answers) in $rows {
                let found = [
                    At::<100>::$function(argument),
                    At::<250>::$function(argument),
                    At::<300>::$function(argument),
                    At::<1000>::$function(argument),
                    At::<1024>::$function(argument),
                ];
                assert_eq!(found, answers, "{}({argument})", stringify!($function));
            }
        };
    }

    /// Row D31, at each HZ: up to the next jiffy; nothing for nothing; negative is for ever.
    #[test]
    fn d31_milliseconds_round_up() {
        const EVER: u64 = MAX_JIFFY_OFFSET;
        let rows: [Row<u32, u64>; 10] = [
            (0, [0; 5]),
            (1, [1, 1, 1, 1, 2]),
            (3, [1, 1, 1, 3, 4]),
            (4, [1, 1, 2, 4, 5]),
            (5, [1, 2, 2, 5, 6]),
            (10, [1, 3, 3, 10, 11]),
            (11, [2, 3, 4, 11, 12]),
            (1000, [100, 250, 300, 1000, 1024]),
            (
                i32::MAX as u32,
                [214748365, 536870912, 644245095, 2147483647, 2199023255],
            ),
            (-1_i32 as u32, [EVER; 5]),
        ];
        at_each_hz!(rows, msecs_to_jiffies);
        assert_eq!(At::<250>::msecs_to_jiffies(i32::MIN as u32), EVER);
    }

    /// JIFFIES-1: microseconds round up too. What Linux's limit, cut to 32 bits, leaves above it is for ever.
    #[test]
    fn microseconds_round_up() {
        let rows: [Row<u32, u64>; 6] = [
            (0, [0; 5]),
            (1, [1; 5]),
            (976, [1; 5]),
            (977, [1, 1, 1, 1, 2]),
            (4_000, [1, 1, 2, 4, 5]),
            (4_001, [1, 2, 2, 5, 5]),
        ];
        at_each_hz!(rows, usecs_to_jiffies);
        let last = u32::MAX - 7_999;
        assert_eq!(At::<250>::usecs_to_jiffies(last), 1_073_740);
        assert_eq!(At::<250>::usecs_to_jiffies(last + 1), MAX_JIFFY_OFFSET);
        assert_eq!(At::<250>::usecs_to_jiffies(u32::MAX), MAX_JIFFY_OFFSET);
        assert_eq!(At::<1000>::usecs_to_jiffies(u32::MAX), MAX_JIFFY_OFFSET);
        assert_eq!(At::<1000>::usecs_to_jiffies(u32::MAX - 1_999), 4_294_966);
    }

    /// JIFFIES-2: nanoseconds are cut off, and no argument overflows.
    #[test]
    fn nanoseconds_round_down() {
        let rows: [Row<u64, u64>; 6] = [
            (976_562, [0; 5]),
            (999_999, [0, 0, 0, 0, 1]),
            (1_000_000, [0, 0, 0, 1, 1]),
            (3_999_999, [0, 0, 1, 3, 4]),
            (4_000_000, [0, 1, 1, 4, 4]),
            (10_000_000_000, [1000, 2500, 3000, 10_000, 10_240]),
        ];
        at_each_hz!(rows, nsecs_to_jiffies);
        assert_eq!(
            At::<1000>::nsecs_to_jiffies(u64::MAX),
            18_446_744_073_709_551_615 / 1_000_000
        );
    }

    /// JIFFIES-3: milliseconds are rounded up where a jiffy is no whole number of them, microseconds down; both are
    /// cut to 32 bits.
    #[test]
    fn jiffies_in_smaller_units() {
        let rows: [Row<u64, u32>; 5] = [
            (0, [0; 5]),
            (1, [10, 4, 4, 1, 1]),
            (2, [20, 8, 7, 2, 2]),
            (1024, [10_240, 4096, 3414, 1024, 1000]),
            (1 << 32, [0, 0, 1_431_655_766, 0, 4_194_304_000]),
        ];
        at_each_hz!(rows, jiffies_to_msecs);
        let rows: [Row<u64, u32>; 3] = [
            (0, [0; 5]),
            (1, [10_000, 4_000, 3_333, 1_000, 976]),
            (
                1_073_742,
                [
                    2_147_485_408,
                    704,
                    3_579_140_000,
                    1_073_742_000,
                    1_048_576_171,
                ],
            ),
        ];
        at_each_hz!(rows, jiffies_to_usecs);
    }

    /// The rule in other words: the latest round time of the CPU that is not after `j`, if `j` is less
    /// than a quarter of a second past it and up is not asked for, else the next one; and `j` itself if
    /// that is not in the future.
    fn rule<const HZ: u64>(j: u64, cpu: u32, up: bool, now: u64) -> u64 {
        let is_round = |time: u64| (time + 3 * u64::from(cpu)).is_multiple_of(HZ);
        let mut before = j;
        while !is_round(before) {
            before -= 1;
        }
        let round = if !up && (j - before) * 4 < HZ - HZ % 4 {
            before
        } else {
            before + HZ
        };
        if round > now { round } else { j }
    }

    fn follows_the_rule<const HZ: u64>() {
        let now = 70 * HZ + 11;
        for cpu in [0, 1, 7, 63] {
            for up in [false, true] {
                for j in now - 5..now + 3 * HZ {
                    let expected = rule::<HZ>(j, cpu, up, now);
                    assert_eq!(
                        At::<HZ>::rounded(j, cpu, up, now),
                        expected,
                        "HZ {HZ}, CPU {cpu}, up {up}, {j} at {now}"
                    );
                }
            }
        }
    }

    /// JIFFIES-6: rounding at each HZ, on several CPUs, before, at and after now.
    #[test]
    fn rounding_follows_the_rule() {
        follows_the_rule::<12>();
        follows_the_rule::<100>();
        follows_the_rule::<250>();
        follows_the_rule::<300>();
        follows_the_rule::<1000>();
        follows_the_rule::<1024>();
    }

    /// JIFFIES-6: rounding by hand, at HZ 250: a quarter of a second is 62 jiffies, the skew 3 for each CPU.
    #[test]
    fn rounding_by_hand() {
        let second = 1000 * 250;
        let down = |j, cpu| At::<250>::rounded(j, cpu, false, 0) as i64 - second as i64;
        let up = |j, cpu| At::<250>::rounded(j, cpu, true, 0) as i64 - second as i64;
        assert_eq!(
            [0, 1, 61, 62, 249].map(|past| down(second + past, 0)),
            [0, 0, 0, 250, 250]
        );
        assert_eq!(
            [0, 58, 59, 246, 247].map(|past| down(second + past, 1)),
            [-3, -3, 247, 247, 247]
        );
        assert_eq!(
            [0, 1, 249].map(|past| up(second + past, 0)),
            [250, 250, 250]
        );
        assert_eq!(up(second - 3, 1), 247);
        // Never into the past, and never to now.
        assert_eq!(
            At::<250>::rounded(second + 30, 0, false, second + 10),
            second + 30
        );
        assert_eq!(
            At::<250>::rounded(second + 30, 0, false, second),
            second + 30
        );
        assert_eq!(
            At::<250>::rounded(second + 30, 0, false, second - 1),
            second
        );
        assert_eq!(
            At::<250>::rounded(second - 300, 0, true, second),
            second - 300
        );
    }
}
