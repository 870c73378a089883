//! Events and waits: facts N-1, N-2 and W-20.

mod common;

use std::cell::UnsafeCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use common::{Event, run};
use kmdf_mock::world::{self, Gate, Sim};
use kmdf_mock::{KEVENT, STATUS_SUCCESS, STATUS_TIMEOUT, ntddk, sim_assert, sim_assert_eq};

/// N-1: a notification event releases every waiter and stays signalled.
#[test]
fn a_notification_event_releases_everybody() {
    run(0..50, |_| {
        let event = Arc::new(Event::notification());
        let woken = Arc::new(AtomicU32::new(0));
        let threads: Vec<_> = (0..3)
            .map(|n| {
                let (event, woken) = (Arc::clone(&event), Arc::clone(&woken));
                world::spawn(&format!("waiter {n}"), None, move || {
                    sim_assert_eq!(event.wait(None), STATUS_SUCCESS);
                    woken.fetch_add(1, Ordering::SeqCst);
                })
            })
            .collect();
        world::settle();
        sim_assert!(threads.iter().all(world::Thread::is_blocked));
        sim_assert_eq!(event.set(), 0);
        threads.into_iter().for_each(world::Thread::join);
        sim_assert_eq!(woken.load(Ordering::SeqCst), 3);
        sim_assert_eq!(event.state(), 1);
        sim_assert_eq!(event.set(), 1);
    });
}

/// N-1: a synchronization event releases one waiter per set, and keeps one set for the next.
#[test]
fn a_synchronization_event_releases_one() {
    run(0..50, |_| {
        let event = Arc::new(Event::synchronization());
        let woken = Arc::new(AtomicU32::new(0));
        for n in 0..3 {
            let (event, woken) = (Arc::clone(&event), Arc::clone(&woken));
            world::spawn(&format!("waiter {n}"), None, move || {
                event.wait(None);
                woken.fetch_add(1, Ordering::SeqCst);
            });
        }
        world::settle();
        for expected in 1..=3 {
            event.set();
            world::settle();
            sim_assert_eq!(woken.load(Ordering::SeqCst), expected);
        }
        event.set();
        sim_assert_eq!(event.wait(Some(0)), STATUS_SUCCESS);
        sim_assert_eq!(event.wait(Some(0)), STATUS_TIMEOUT);
    });
}

/// W-20, N-1: a waiter that a notification event released stays released, even if the event is cleared before it
/// runs.
#[test]
fn a_released_waiter_stays_released() {
    run(0..100, |_| {
        let event = Arc::new(Event::notification());
        let mine = Arc::clone(&event);
        let waiter = world::spawn("waiter", Some(1), move || {
            mine.wait(None);
        });
        world::settle();
        world::at_dispatch(|| {
            event.set();
            event.clear();
        });
        waiter.join();
        sim_assert_eq!(event.state(), 0);
    });
}

/// N-2: a poll never blocks and is allowed at DISPATCH_LEVEL; a timeout passes virtual time only.
#[test]
fn polls_and_timeouts() {
    run(0..50, |_| {
        let event = Event::notification();
        sim_assert_eq!(world::at_dispatch(|| event.wait(Some(0))), STATUS_TIMEOUT);
        let begin = world::now_100ns();
        sim_assert_eq!(event.wait(Some(-100_000_000)), STATUS_TIMEOUT);
        let passed = world::now_100ns() - begin;
        sim_assert!(
            (100_000_000..100_400_000).contains(&passed),
            "ten seconds took {passed}"
        );
        event.set();
        sim_assert_eq!(event.wait(Some(-10)), STATUS_SUCCESS);
    });
}

/// A set that races with the timeout: the waiter reports one of the two, and a synchronization event is
/// consumed exactly if it reports success.
#[test]
fn a_set_that_races_with_the_timeout_is_not_lost() {
    let outcomes = Arc::new([AtomicU32::new(0), AtomicU32::new(0)]);
    let seen = Arc::clone(&outcomes);
    run(0..200, move |_| {
        let event = Arc::new(Event::synchronization());
        let mine = Arc::clone(&event);
        let tick = 156_250;
        let setter = world::spawn("setter", Some(1), move || {
            world::sleep_100ns(tick - 300);
            for _ in 0..world::choose(600) {
                kmdf_mock::sync::preempt();
            }
            mine.set();
        });
        let status = event.wait(Some(-(tick as i64) / 2));
        setter.join();
        let expected = if status == STATUS_SUCCESS { 0 } else { 1 };
        sim_assert_eq!(event.state(), expected);
        seen[expected as usize].fetch_add(1, Ordering::SeqCst);
    });
    assert!(
        outcomes.iter().all(|n| n.load(Ordering::SeqCst) > 0),
        "both outcomes happen: {outcomes:?}"
    );
}

/// N-1: memory that was never initialised is no event.
#[test]
fn an_uninitialised_event_is_convicted() {
    let failure = Sim::new(1)
        .run(|| {
            let event = UnsafeCell::new(KEVENT::default());
            // SAFETY: the memory is valid, and not an event on purpose.
            unsafe { ntddk::KeSetEvent(event.get(), 0, 0) };
        })
        .unwrap_err();
    assert_eq!(failure.code(), "OBJECT_TYPE_INVALID(0x189)");
}

/// A gate is a notification event that everybody can share.
#[test]
fn a_gate_opens_for_good() {
    run(0..20, |_| {
        let gate = Gate::new();
        sim_assert!(!gate.is_open());
        let other = gate.clone();
        let opener = world::spawn("opener", None, move || other.open());
        gate.wait();
        gate.wait();
        sim_assert!(gate.is_open());
        opener.join();
    });
}
