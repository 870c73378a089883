//! Timers and clocks: facts T-11 to T-15, T-25, T-28 to T-34, D-33.

mod common;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use common::{Timer, run};
use kmdf_mock::world::{self, Sim};
use kmdf_mock::{LARGE_INTEGER, ntddk, sim_assert, sim_assert_eq};

const TICK: u64 = 156_250;

/// T-12, T-25: setting an armed timer is TRUE and replaces the due time; after the expiry it is FALSE again.
#[test]
fn setting_an_armed_timer_replaces_its_due_time() {
    run(0..50, |_| {
        let runs = Arc::new(AtomicU32::new(0));
        let seen = Arc::clone(&runs);
        let timer = Timer::new(move || {
            sim_assert_eq!(world::current_irql(), 2);
            seen.fetch_add(1, Ordering::SeqCst);
        });
        sim_assert!(!timer.set(-10_000_000));
        sim_assert!(timer.set(-20_000_000));
        world::sleep_100ns(15_000_000);
        sim_assert_eq!(runs.load(Ordering::SeqCst), 0);
        world::sleep_100ns(10_000_000);
        sim_assert_eq!(runs.load(Ordering::SeqCst), 1);
        sim_assert!(!timer.set(-10));
    });
}

/// T-34: cancelling an armed timer is TRUE and it does not expire; cancelling it again is FALSE.
#[test]
fn a_cancelled_timer_does_not_expire() {
    run(0..50, |_| {
        let timer = Timer::new(|| world::fail("ASSERT", "a cancelled timer expired".to_owned()));
        timer.set(-1_000_000);
        sim_assert!(timer.cancel());
        sim_assert!(!timer.cancel());
        world::sleep_100ns(10_000_000);
    });
}

/// T-29, T-30: a standard timer expires on a tick, from one tick early to one tick late for its caller; both
/// happen.
#[test]
fn a_standard_timer_is_early_and_late() {
    let spread = Arc::new(Mutex::new(BTreeSet::new()));
    let seen = Arc::clone(&spread);
    run(0..300, move |_| {
        let fired = Arc::new(AtomicU64::new(0));
        let at = Arc::clone(&fired);
        let timer = Timer::new(move || at.store(world::now_100ns(), Ordering::SeqCst));
        let asked = 10 * TICK;
        world::sleep_100ns(u64::from(world::choose(TICK as u32)));
        let begin = world::now_100ns();
        timer.set(-(asked as i64));
        world::sleep_100ns(asked + 3 * TICK);
        let passed = fired.load(Ordering::SeqCst) - begin;
        sim_assert!(
            passed + TICK >= asked && passed <= asked + TICK + 1_000,
            "{passed} passed"
        );
        seen.lock().unwrap().insert(passed.cmp(&asked) as i8);
    });
    assert_eq!(
        *spread.lock().unwrap(),
        BTreeSet::from([-1, 1]),
        "early and late"
    );
}

/// T-31: a high-resolution timer is never early and at most a millisecond late; T-15: it takes no absolute time.
#[test]
fn a_high_resolution_timer_is_never_early() {
    run(0..200, |_| {
        let fired = Arc::new(AtomicU64::new(0));
        let at = Arc::clone(&fired);
        let timer = Timer::high_resolution(move || at.store(world::now_100ns(), Ordering::SeqCst));
        let begin = world::now_100ns();
        timer.set(-30_000);
        world::sleep_100ns(60_000);
        let passed = fired.load(Ordering::SeqCst) - begin;
        sim_assert!((30_000..=41_000).contains(&passed), "{passed} passed");
    });
    let failure = Sim::new(1)
        .run(|| Timer::high_resolution(|| ()).set(0))
        .unwrap_err();
    assert_eq!(failure.code(), "INVALID_PARAMETER(ExSetTimer)");
}

/// T-15: the due time 0 is an absolute time in the past: a standard timer expires on the next tick.
#[test]
fn due_time_zero_expires_soon() {
    run(0..50, |_| {
        let runs = Arc::new(AtomicU32::new(0));
        let seen = Arc::clone(&runs);
        let timer = Timer::new(move || {
            seen.fetch_add(1, Ordering::SeqCst);
        });
        timer.set(0);
        world::sleep_100ns(TICK + 10);
        sim_assert_eq!(runs.load(Ordering::SeqCst), 1);
    });
}

/// T-33: KeDelayExecutionThread is never early, and ends on a tick.
#[test]
fn a_delay_is_never_early() {
    run(0..100, |_| {
        world::sleep_100ns(u64::from(world::choose(TICK as u32)));
        let begin = world::now_100ns();
        let mut interval = LARGE_INTEGER {
            QuadPart: -(3 * TICK as i64),
        };
        // SAFETY: the interval is valid for the call.
        unsafe { ntddk::KeDelayExecutionThread(0, 0, &raw mut interval) };
        let passed = world::now_100ns() - begin;
        sim_assert!(
            (3 * TICK..=4 * TICK + 100).contains(&passed),
            "{passed} passed"
        );
    });
}

/// N-27: the precise time advances between ticks, the unbiased time with them.
#[test]
fn two_clocks() {
    run(0..20, |_| {
        // SAFETY: the calls have no requirement; null is allowed.
        let precise = || unsafe { ntddk::KeQueryInterruptTimePrecise(std::ptr::null_mut()) };
        // SAFETY: as above.
        let unbiased = || unsafe { ntddk::KeQueryUnbiasedInterruptTime() };
        let (p, u) = (precise(), unbiased());
        world::sleep_100ns(TICK / 2);
        sim_assert!(precise() >= p + TICK / 2);
        sim_assert_eq!(unbiased() % TICK, 0);
        sim_assert!(unbiased() - u <= TICK);
        // SAFETY: as above.
        unsafe { ntddk::KeStallExecutionProcessor(50) };
        sim_assert!(precise() >= p + TICK / 2 + 500);
        // SAFETY: as above.
        sim_assert_eq!(unsafe { ntddk::KeQueryTimeIncrement() }, TICK as u32);
    });
}

/// An expiry that has left the queue cannot be cancelled: it runs, and the timer can be set anew meanwhile
/// (B-23).
#[test]
fn an_expiry_on_its_way_runs() {
    run(0..50, |_| {
        let runs = Arc::new(AtomicU32::new(0));
        let seen = Arc::clone(&runs);
        let timer = Timer::new(move || {
            seen.fetch_add(1, Ordering::SeqCst);
        });
        world::run_on_cpu(0, || {
            timer.set(-1);
            world::at_dispatch(|| {
                // SAFETY: the call has no requirement.
                unsafe { ntddk::KeStallExecutionProcessor(2 * TICK as u32 / 10) };
                let on_its_way = !timer.cancel();
                sim_assert!(on_its_way);
                timer.set(-(TICK as i64));
            });
        });
        world::sleep_100ns(5 * TICK);
        sim_assert_eq!(runs.load(Ordering::SeqCst), 2);
    });
}

/// T-28: a periodic timer counts from its last expiry, so that it does not drift.
#[test]
fn a_periodic_timer_does_not_drift() {
    run(0..20, |_| {
        let runs = Arc::new(AtomicU32::new(0));
        let seen = Arc::clone(&runs);
        let timer = Timer::new(move || {
            seen.fetch_add(1, Ordering::SeqCst);
        });
        timer.set_periodic(-10_000_000, 10_000_000);
        world::sleep_100ns(105_000_000);
        let count = runs.load(Ordering::SeqCst);
        sim_assert!((10..=11).contains(&count), "{count} expiries in 10.5 s");
        sim_assert!(timer.cancel());
    });
}
