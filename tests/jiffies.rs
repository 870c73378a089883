//! Jiffies as a driver sees them: in constants, on the machine's clock, and on each CPU. The conversions
//! and the rounding at other HZ than the build's are tested where they are.

mod support;

use bottomhalf::linux::*;
use kmdf_mock::world;
use kmdf_mock::{sim_assert, sim_assert_eq};
use support::{coarse, machine, punctual, sleep_jiffies};

/// The rows below are those of HZ 250, Linux's own default.
const _: () = assert!(HZ == 250);

/// A driver's constants: the conversions are made when it is compiled.
const POLL: u64 = msecs_to_jiffies(100);
const TIMEOUT: u64 = secs_to_jiffies(5);
const RESET: u64 = usecs_to_jiffies(20_000) + nsecs_to_jiffies(8_000_000);

/// D31, JIFFIES-1: `msecs_to_jiffies` rounds up, nothing stays nothing, and a negative argument is for ever, with the
/// figures that a real kernel gives at HZ 250.
#[test]
fn d31_msecs_to_jiffies() {
    let answers = [0, 1, 4, 5, (-1_i32).cast_unsigned()].map(msecs_to_jiffies);
    assert_eq!(answers, [0, 1, 1, 2, MAX_JIFFY_OFFSET]);
    assert_eq!(MAX_JIFFY_OFFSET, 0x3FFF_FFFF_FFFF_FFFE);
    assert_eq!((POLL, TIMEOUT, RESET), (25, 1250, 5 + 2));
}

/// JIFFIES-1, JIFFIES-2, JIFFIES-3: there and back, by `msecs_to_jiffies`, `usecs_to_jiffies`,
/// `nsecs_to_jiffies`, `nsecs_to_jiffies64`, `secs_to_jiffies`, `jiffies_to_msecs`, `jiffies_to_usecs` and
/// `jiffies_to_nsecs`: a delay is never shorter after the way through jiffies, unless it is in nanoseconds,
/// and less than a jiffy longer.
#[test]
fn what_was_converted_is_not_shorter() {
    for msecs in (0..5_000).chain([60_000, 86_400_000, 0x0FFF_FFFF]) {
        let back = jiffies_to_msecs(msecs_to_jiffies(msecs));
        assert!((msecs..msecs + 4).contains(&back), "{msecs} is {back}");
        let usecs = msecs.wrapping_mul(7) % 100_000_000;
        let back = jiffies_to_usecs(usecs_to_jiffies(usecs));
        assert!((usecs..usecs + 4_000).contains(&back), "{usecs} is {back}");
        let nsecs = u64::from(usecs) * 1_000 + 999;
        let back = jiffies_to_nsecs(nsecs_to_jiffies(nsecs));
        assert!(
            back <= nsecs && nsecs < back + 4_000_000,
            "{nsecs} is {back}"
        );
        assert_eq!(nsecs_to_jiffies64(nsecs), nsecs_to_jiffies(nsecs));
    }
    // 71 minutes and 35 seconds are what 32 bits of microseconds hold.
    let limit = secs_to_jiffies(4295);
    assert_eq!(jiffies_to_usecs(limit), 4_295_000_000_u64 as u32);
    assert_eq!(
        jiffies_to_nsecs(limit),
        u64::from(jiffies_to_usecs(limit)) * 1_000
    );
}

/// What a comparison says for times that are `distance` apart, the first one before or after.
fn compared(a: u64, b: u64) -> [bool; 4] {
    let plain = [time_after, time_before, time_after_eq, time_before_eq].map(|f| f(a, b));
    let wide = [
        time_after64,
        time_before64,
        time_after_eq64,
        time_before_eq64,
    ]
    .map(|f| f(a, b));
    assert_eq!(plain, wide);
    plain
}

/// JIFFIES-4: `time_after`, `time_before`, `time_after_eq`, `time_before_eq`, `time_after64`, `time_before64`,
/// `time_after_eq64` and `time_before_eq64`. The comparisons are right on both sides of the wrap, up to half the
/// range; exactly half the range apart each time is after the other, and neither is "after or the same", as in Linux.
#[test]
fn comparisons_outlive_the_wrap() {
    for base in [0, 1, INITIAL_JIFFIES, u64::MAX - 3, u64::MAX, 1 << 63] {
        assert_eq!(compared(base, base), [false, false, true, true]);
        for distance in [1, 2, 250, MAX_JIFFY_OFFSET + 1, i64::MAX as u64] {
            let later = base.wrapping_add(distance);
            assert_eq!(compared(later, base), [true, false, true, false]);
            assert_eq!(compared(base, later), [false, true, false, true]);
        }
        let opposite = base.wrapping_add(1 << 63);
        assert_eq!(compared(opposite, base), [true, true, false, false]);
    }
}

/// JIFFIES-4: `time_in_range`, `time_in_range64`, `time_in_range_open`. A range contains its ends, the open one
/// not its last; also over the wrap.
#[test]
fn ranges_outlive_the_wrap() {
    for base in [10, u64::MAX - 2] {
        let at = |offset: u64| base.wrapping_add(offset);
        let closed = [0, 1, 2, 5, 6].map(|offset| time_in_range(at(offset), at(1), at(5)));
        assert_eq!(closed, [false, true, true, true, false]);
        let wide = [0, 1, 2, 5, 6].map(|offset| time_in_range64(at(offset), at(1), at(5)));
        assert_eq!(wide, closed);
        let open = [0, 1, 4, 5].map(|offset| time_in_range_open(at(offset), at(1), at(5)));
        assert_eq!(open, [false, true, true, false]);
    }
}

/// Whether `jiffies` is what the machine's clock says, counted from Linux's five minutes before 32 bits are
/// over, or up to a tick behind: it is as of the last tick.
fn behind(tick_100ns: u64) -> bool {
    let (before, now, after) = (world::now_100ns(), jiffies(), world::now_100ns());
    let at = |time: u64| INITIAL_JIFFIES + time / (10_000_000 / HZ);
    time_in_range(now, at(before - before.min(tick_100ns)), at(after))
}

/// DELAYED-9: `jiffies`, `jiffies_64`, `get_jiffies_64`. The clock is the machine's, and goes on by one in each
/// tick; it needs no attach.
#[test]
fn jiffies_count_the_ticks() {
    world::seeds(0..10, |seed| {
        let run = punctual(seed).run(|| {
            let first = jiffies();
            for _ in 0..10 {
                sim_assert!(behind(u64::from(support::TICK_100NS)));
                let now = jiffies();
                sim_assert_eq!((jiffies_64(), get_jiffies_64()), (now, now));
                sleep_jiffies(1);
                sim_assert!((1..=2).contains(&(jiffies() - now)));
            }
            sleep_jiffies(300 * HZ);
            sim_assert!((300 * HZ + 10..300 * HZ + 21).contains(&(jiffies() - first)));
            sim_assert!(behind(u64::from(support::TICK_100NS)));
        });
        run.unwrap_or_else(|failure| panic!("{failure}"));
    });
}

/// DELAYED-9: on a machine whose tick is longer than a jiffy the clock goes on by several at once.
#[test]
fn jiffies_on_a_coarse_tick() {
    let run = coarse(1).run(|| {
        let mut steps = [0_u32; 6];
        for _ in 0..100 {
            let before = jiffies();
            sleep_jiffies(1);
            sim_assert!(behind(156_250));
            steps[(jiffies() - before) as usize] += 1;
        }
        sim_assert!(steps[4] > 0 && steps[5] == 0, "the steps: {steps:?}");
    });
    run.unwrap_or_else(|failure| panic!("{failure}"));
}

/// JIFFIES-5: the four questions about a time and now, before, at and after it, in both widths:
/// `time_is_before_jiffies`, `time_is_after_jiffies`, `time_is_before_eq_jiffies`, `time_is_after_eq_jiffies`,
/// `time_is_before_jiffies64`, `time_is_after_jiffies64`, `time_is_before_eq_jiffies64`,
/// `time_is_after_eq_jiffies64`.
#[test]
fn a_time_is_before_at_or_after_jiffies() {
    let run = machine(3).run(|| {
        let ask = |time| {
            let plain = [
                time_is_before_jiffies,
                time_is_after_jiffies,
                time_is_before_eq_jiffies,
                time_is_after_eq_jiffies,
            ];
            let wide = [
                time_is_before_jiffies64,
                time_is_after_jiffies64,
                time_is_before_eq_jiffies64,
                time_is_after_eq_jiffies64,
            ];
            let answers = plain.map(|question| question(time));
            sim_assert_eq!(wide.map(|question| question(time)), answers);
            answers
        };
        let now = jiffies();
        let around = [now - 1, now, now + 1].map(ask);
        sim_assert_eq!(jiffies(), now, "the test is faster than a tick");
        sim_assert_eq!(around[0], [true, false, true, false]);
        sim_assert_eq!(around[1], [false, false, true, true]);
        sim_assert_eq!(around[2], [false, true, false, true]);
    });
    run.unwrap_or_else(|failure| panic!("{failure}"));
}

/// JIFFIES-6: `round_jiffies`, `round_jiffies_relative`, `round_jiffies_up` and `round_jiffies_up_relative` round
/// for the CPU that they are called on, as `__round_jiffies`, `__round_jiffies_relative`, `__round_jiffies_up` and
/// `__round_jiffies_up_relative` do for one that is named; a delay is rounded as the time that it ends at; up
/// never comes early.
#[test]
fn rounding_is_that_of_the_cpu() {
    let run = machine(5).run(|| {
        for cpu in 0..4 {
            let here = world::spawn("rounder", Some(cpu), move || {
                let now = jiffies();
                for delay in (0..600).step_by(7) {
                    let at = now + delay;
                    sim_assert_eq!(round_jiffies(at), __round_jiffies(at, cpu));
                    sim_assert_eq!(round_jiffies_up(at), __round_jiffies_up(at, cpu));
                    sim_assert_eq!(
                        round_jiffies_relative(delay),
                        __round_jiffies(at, cpu) - now
                    );
                    sim_assert_eq!(
                        __round_jiffies_relative(delay, cpu),
                        __round_jiffies(at, cpu) - now
                    );
                    let up = __round_jiffies_up(at, cpu) - now;
                    sim_assert_eq!(round_jiffies_up_relative(delay), up);
                    sim_assert_eq!(__round_jiffies_up_relative(delay, cpu), up);
                    sim_assert!(up >= delay, "up is never early");
                    let round = (__round_jiffies(at, cpu) + 3 * u64::from(cpu)).is_multiple_of(HZ);
                    sim_assert!(round || __round_jiffies(at, cpu) == at);
                }
                sim_assert_eq!(jiffies(), now, "the test is faster than a tick");
            });
            here.join();
        }
    });
    run.unwrap_or_else(|failure| panic!("{failure}"));
}
