//! Jiffies: Linux's clock over the backend's 100 ns clock.
//!
//! A jiffy is 1/HZ of unbiased interrupt time, so it stands still while the machine sleeps, as
//! Linux's does. Like Linux's it starts five minutes before it would wrap in 32 bits, so that code
//! that does not use `time_after` fails early.

/// Ticks per second that drivers were written for. Linux's default on the common distributions.
pub const HZ: u64 = 250;

/// The longest time that `msecs_to_jiffies` returns, for negative arguments.
pub const MAX_JIFFY_OFFSET: u64 = (i64::MAX as u64 >> 1) - 1;

/// 100 ns units in a jiffy.
pub(crate) const JIFFY_100NS: u64 = 10_000_000 / HZ;

/// Jiffies when the clock is zero: minus five minutes, in 32 bits, as Linux has it.
const INITIAL: u64 = (300 * HZ as u32).wrapping_neg() as u64;

/// Jiffies at `now_100ns`.
pub(crate) const fn jiffies_at(now_100ns: u64) -> u64 {
    INITIAL.wrapping_add(now_100ns / JIFFY_100NS)
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
    let expires = jiffies_at(now_100ns).wrapping_add(delay);
    let end = if delay > i64::MAX as u64 {
        now_100ns.saturating_add(1)
    } else {
        let latest = now_100ns.saturating_add(tick_100ns);
        latest.saturating_add(delay.saturating_mul(JIFFY_100NS))
    };
    (
        expires,
        end.div_ceil(JIFFY_100NS).saturating_mul(JIFFY_100NS),
    )
}

/// Linux's `msecs_to_jiffies`: rounds up; negative as `int` means for ever.
#[must_use]
pub const fn msecs_to_jiffies(msecs: u32) -> u64 {
    if msecs > i32::MAX as u32 {
        return MAX_JIFFY_OFFSET;
    }
    (msecs as u64 * HZ).div_ceil(1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Row D31, with the figures of HZ 250.
    #[test]
    fn msecs_round_up_and_negative_is_for_ever() {
        let answers = [0, 1, 4, 5, 1000, u32::MAX].map(msecs_to_jiffies);
        assert_eq!(answers, [0, 1, 1, 2, 250, MAX_JIFFY_OFFSET]);
    }

    /// Rows D01 and D22: with a tick that a jiffy is a multiple of, a delay ends in the jiffy after
    /// `expires`; a delay in the past is due with the next jiffy.
    #[test]
    fn a_delay_ends_in_the_jiffy_after_it() {
        for tick in [JIFFY_100NS, JIFFY_100NS / 2, JIFFY_100NS / 4, 1] {
            for now in [0, 1, 5, 123_456].map(|ticks| ticks * tick) {
                for delay in [1, 2, 3, 62, 505] {
                    let (expires, deadline) = expiry(now, tick, delay);
                    assert_eq!(expires, jiffies_at(now) + delay);
                    assert_eq!(deadline, jiffy_starts(expires + 1));
                }
                for past in [u64::MAX, 1 << 63] {
                    let deadline = expiry(now, tick, past).1;
                    assert_eq!(jiffies_at(deadline - 1), jiffies_at(now));
                }
            }
        }
    }

    /// When a jiffy begins.
    fn jiffy_starts(jiffy: u64) -> u64 {
        (jiffy - INITIAL) * JIFFY_100NS
    }

    /// T-30: whatever the tick, and however late in it the call is made, `delay` whole jiffies
    /// pass; and the deadline is at most a tick and a jiffy later than that.
    #[test]
    fn a_delay_never_ends_early() {
        for tick in [1, 10_000, JIFFY_100NS, 100_144, 156_250] {
            for last_tick in [0, 1, 7, 1_000].map(|ticks| ticks * tick) {
                for delay in [1, 2, 3, 62, 505] {
                    let (_, deadline) = expiry(last_tick, tick, delay);
                    for now in [last_tick, last_tick + tick - 1] {
                        let passed = deadline - now;
                        assert!(passed >= delay * JIFFY_100NS);
                        assert!(passed <= (delay + 1) * JIFFY_100NS + tick);
                    }
                }
            }
        }
    }

    /// A delay that no clock will see does not wrap into the past (H-29).
    #[test]
    fn an_endless_delay_is_never_due() {
        assert_eq!(expiry(1 << 62, JIFFY_100NS, i64::MAX as u64).1, u64::MAX);
    }
}
