//! Jiffies: Linux's clock over the backend's 100 ns clock.
//!
//! A jiffy is 1/HZ of unbiased interrupt time, so it stands still while the machine sleeps, as
//! Linux's does. Like Linux's it starts five minutes before it would wrap in 32 bits, so that code
//! that does not use `time_after` fails early.

/// Ticks per second that drivers were written for: 250, as in the common distributions, or what the
/// environment variable `BOTTOMHALF_HZ` says when this crate is built. Linux allows 12 to 12287, and
/// so does this crate. Linux: `HZ`.
pub const HZ: u64 = match hz(option_env!("BOTTOMHALF_HZ")) {
    Some(hz) => hz,
    None => panic!("BOTTOMHALF_HZ is not a whole number from 12 to 12287"),
};

/// The value of `HZ` if the builder says `text`; `None` for what Linux does not allow.
const fn hz(text: Option<&str>) -> Option<u64> {
    let Some(text) = text else {
        return Some(250);
    };
    match u64::from_str_radix(text, 10) {
        Ok(hz @ 12..=12_287) => Some(hz),
        Ok(_) | Err(_) => None,
    }
}

/// 100 ns units in a second.
const SECOND: u64 = 10_000_000;

/// Linux's clock at `HZ` ticks per second. A jiffy need not be a whole number of 100 ns units: each
/// begins with the first unit that is not before its time.
struct Clock<const HZ: u64>;

impl<const HZ: u64> Clock<HZ> {
    /// Jiffies when the clock is zero.
    const INITIAL: u64 = (300 * HZ as u32).wrapping_neg() as u64;

    /// 100 ns units in a jiffy, if it is a whole number of them: one division then instead of several.
    const WHOLE: Option<u64> = if SECOND.is_multiple_of(HZ) {
        Some(SECOND / HZ)
    } else {
        None
    };

    /// How many jiffies are over after `span` 100 ns units.
    const fn over(span: u64) -> u64 {
        match Self::WHOLE {
            Some(jiffy) => span / jiffy,
            None => span / SECOND * HZ + span % SECOND * HZ / SECOND,
        }
    }

    /// 100 ns units until `count` jiffies are over.
    const fn span(count: u64) -> u64 {
        if let Some(jiffy) = Self::WHOLE {
            return count.saturating_mul(jiffy);
        }
        (count / HZ)
            .saturating_mul(SECOND)
            .saturating_add((count % HZ * SECOND).div_ceil(HZ))
    }

    const fn jiffies_at(now_100ns: u64) -> u64 {
        Self::INITIAL.wrapping_add(Self::over(now_100ns))
    }

    const fn expiry(now_100ns: u64, tick_100ns: u64, delay: u64) -> (u64, u64) {
        let expires = Self::jiffies_at(now_100ns).wrapping_add(delay);
        let end = if delay > i64::MAX as u64 {
            now_100ns.saturating_add(1)
        } else {
            let latest = now_100ns.saturating_add(tick_100ns);
            latest.saturating_add(Self::span(delay))
        };
        let over = Self::over(end);
        let begun = Self::span(over);
        let deadline = if begun == end {
            begun
        } else {
            Self::span(over + 1)
        };
        (expires, deadline)
    }
}

/// Jiffies when the clock is zero: minus five minutes, in 32 bits. Linux: `INITIAL_JIFFIES`.
pub const INITIAL_JIFFIES: u64 = Clock::<HZ>::INITIAL;

/// Jiffies at `now_100ns`.
pub(crate) const fn jiffies_at(now_100ns: u64) -> u64 {
    Clock::<HZ>::jiffies_at(now_100ns)
}

/// When a delay of `delay` jiffies that starts now ends: `expires` in jiffies, as drivers read it,
/// and the deadline in 100 ns.
///
/// `now_100ns` was read off a clock that is behind by less than `tick_100ns` (T-29, T-33). The
/// delay counts from the latest time that it can be now, and its end is rounded up to a jiffy, so
/// that at least `delay` whole jiffies pass whatever the tick (T-30). With a tick of a jiffy or
/// less the work is due in the jiffy after `expires`, which is `jiffies + delay` (rows D01, D02:
/// Linux's lowest wheel level does the same). A delay with the sign bit lies in the past and is due
/// with the next tick (row D22). Beyond the clock's end it is never due.
pub(crate) const fn expiry(now_100ns: u64, tick_100ns: u64, delay: u64) -> (u64, u64) {
    Clock::<HZ>::expiry(now_100ns, tick_100ns, delay)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Calls `$test` for each HZ that Linux is built with, and for the ends of what it allows. Some
    /// are no divisor of the clock's rate.
    macro_rules! at_every_hz {
        ($test:ident) => {
            $test::<250>();
            $test::<12>();
            $test::<100>();
            $test::<300>();
            $test::<1000>();
            $test::<1024>();
            $test::<12_287>();
        };
    }

    /// The figure of the build: 250 unless the builder says another that Linux allows. With one that
    /// it refuses nothing compiles.
    #[test]
    fn hz_is_250_or_what_the_builder_says() {
        assert_eq!(hz(None), Some(250));
        for said in [12, 100, 250, 300, 1000, 1024, 12_287] {
            assert_eq!(hz(Some(&std::format!("{said}"))), Some(said));
        }
        for said in ["", "11", "12288", "0", "-250", "250.0", " 250", "two"] {
            assert_eq!(hz(Some(said)), None, "{said:?}");
        }
    }

    /// Linux's five minutes, as its 64-bit kernels have them.
    #[test]
    fn the_first_jiffy_wraps_in_32_bits_after_five_minutes() {
        fn check<const HZ: u64>() {
            let first = Clock::<HZ>::jiffies_at(0);
            assert_eq!(first >> 32, 0);
            assert_eq!(Clock::<HZ>::jiffies_at(300 * SECOND) as u32, 0);
            assert_eq!(Clock::<HZ>::jiffies_at(300 * SECOND), 1 << 32);
        }
        at_every_hz!(check);
        assert_eq!(Clock::<250>::INITIAL, 0xFFFE_DB08);
    }

    /// A jiffy begins when it says, also at an HZ that does not divide the clock's rate, and a second
    /// has HZ of them.
    #[test]
    fn a_jiffy_begins_once_and_ends_with_the_next() {
        fn check<const HZ: u64>() {
            for count in (0..3 * HZ).chain([u64::MAX / SECOND - 1]) {
                let begin = Clock::<HZ>::span(count);
                assert_eq!(Clock::<HZ>::over(begin), count);
                assert!(begin == 0 || Clock::<HZ>::over(begin - 1) == count - 1);
            }
            assert_eq!(Clock::<HZ>::over(7 * SECOND), 7 * HZ);
        }
        at_every_hz!(check);
    }

    /// Rows D01 and D22: with a tick that a jiffy is a multiple of, a delay ends in the jiffy after
    /// `expires`; a delay in the past is due with the next jiffy.
    #[test]
    fn a_delay_ends_in_the_jiffy_after_it() {
        fn check<const HZ: u64>() {
            let jiffy = SECOND / HZ;
            for tick in [jiffy, jiffy / 2, jiffy / 4, 1] {
                for now in [0, 1, 5, 123].map(Clock::<HZ>::span) {
                    for delay in [1, 2, 3, 62, 505] {
                        let (expires, deadline) = Clock::<HZ>::expiry(now, tick, delay);
                        assert_eq!(expires, Clock::<HZ>::jiffies_at(now) + delay);
                        let begin = Clock::<HZ>::span(expires + 1 - Clock::<HZ>::INITIAL);
                        // A jiffy that is not a whole number of units may take one unit more.
                        let late = if SECOND.is_multiple_of(HZ) {
                            0
                        } else {
                            jiffy + 1
                        };
                        assert!((begin..=begin + late).contains(&deadline));
                    }
                    for past in [u64::MAX, 1 << 63] {
                        let deadline = Clock::<HZ>::expiry(now, tick, past).1;
                        assert!(deadline > now && deadline <= now + jiffy + 1);
                    }
                }
            }
        }
        at_every_hz!(check);
    }

    /// T-30: whatever the tick, and however late in it the call is made, `delay` whole jiffies
    /// pass; and the deadline is at most a tick and a jiffy later than that.
    #[test]
    fn a_delay_never_ends_early() {
        fn check<const HZ: u64>() {
            for tick in [1, 10_000, SECOND / HZ, 100_144, 156_250] {
                for last_tick in [0, 1, 7, 1_000].map(|ticks| ticks * tick) {
                    for delay in [1, 2, 3, 62, 505] {
                        let (_, deadline) = Clock::<HZ>::expiry(last_tick, tick, delay);
                        for now in [last_tick, last_tick + tick - 1] {
                            let passed = (deadline - now) * HZ;
                            assert!(passed >= delay * SECOND);
                            assert!(passed <= (delay + 1) * SECOND + (tick + 2) * HZ);
                        }
                    }
                }
            }
        }
        at_every_hz!(check);
    }

    /// A delay that no clock will see does not wrap into the past (H-29).
    #[test]
    fn an_endless_delay_is_never_due() {
        fn check<const HZ: u64>() {
            let deadline = Clock::<HZ>::expiry(1 << 62, SECOND / HZ, i64::MAX as u64).1;
            assert_eq!(deadline, u64::MAX);
        }
        check::<250>();
        check::<12>();
    }
}
