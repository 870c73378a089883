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
/// `expires` is `jiffies + delay`, and the work is due one jiffy later, so that at least `delay`
/// whole jiffies pass (rows D01, D02: Linux's lowest wheel level does the same). A delay with the
/// sign bit lies in the past and is due with the next tick (row D22). Beyond the clock's end it is
/// never due.
pub(crate) const fn expiry(now_100ns: u64, delay: u64) -> (u64, u64) {
    let expires = jiffies_at(now_100ns).wrapping_add(delay);
    let waits = if delay > i64::MAX as u64 {
        1
    } else {
        delay.saturating_add(1)
    };
    let due = (now_100ns / JIFFY_100NS).saturating_add(waits);
    (expires, due.saturating_mul(JIFFY_100NS))
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

    /// Rows D01 and D22: never before `delay` whole jiffies have passed, and never more than one
    /// jiffy later; a delay in the past is due with the next tick.
    #[test]
    fn a_delay_ends_in_the_jiffy_after_it() {
        for now in [0, 1, JIFFY_100NS - 1, JIFFY_100NS, 12_345_678] {
            for delay in [1, 2, 3, 62, 505] {
                let (expires, deadline) = expiry(now, delay);
                assert_eq!(expires, jiffies_at(now) + delay);
                assert_eq!(jiffies_at(deadline), expires + 1);
                assert!(deadline - now >= delay * JIFFY_100NS);
                assert!(deadline - now <= (delay + 1) * JIFFY_100NS);
            }
            for past in [u64::MAX, 1 << 63] {
                assert_eq!(jiffies_at(expiry(now, past).1), jiffies_at(now) + 1);
            }
        }
    }

    /// A delay that no clock will see does not wrap into the past (H-29).
    #[test]
    fn an_endless_delay_is_never_due() {
        assert_eq!(expiry(1 << 62, i64::MAX as u64).1, u64::MAX);
    }
}
