//! What the scheduler finds: windows that are one point wide, and ones that need another CPU to do a lot meanwhile.

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

use kmdf_mock::sync::{self, AtomicBool};
use kmdf_mock::world::{self, Gate, Preemption, Sim};

/// In how many of `seeds` runs the check of thread A and its use are separated by the whole of thread B, which
/// takes `length` points. Right code would do both in one access.
fn hits(seeds: u64, preemption: Preemption, length: u32) -> u32 {
    let hits = Arc::new(AtomicU32::new(0));
    for seed in 0..seeds {
        let hits = Arc::clone(&hits);
        Sim::new(seed)
            .preemption(preemption)
            .run(move || {
                let (begun, ended) = (
                    Arc::new(AtomicBool::new(false)),
                    Arc::new(AtomicBool::new(false)),
                );
                let (b, e) = (Arc::clone(&begun), Arc::clone(&ended));
                let other = world::spawn("b", Some(1), move || {
                    b.store(true, SeqCst);
                    (0..length).for_each(|_| sync::preempt());
                    e.store(true, SeqCst);
                });
                let before = begun.load(SeqCst);
                let after = ended.load(SeqCst);
                hits.fetch_add(u32::from(!before && after), SeqCst);
                other.join();
            })
            .unwrap();
    }
    hits.load(SeqCst)
}

/// Both kinds of window are found in a few hundred runs.
#[test]
fn narrow_and_long_windows_are_found() {
    for (length, least) in [(1, 10), (30, 5), (300, 2)] {
        let found = hits(1_000, Preemption::Often, length);
        assert!(
            found >= least,
            "a window of {length} points is found in {found} of 1000 runs"
        );
    }
}

/// The control: without preemption at the points nothing of this kind is found.
#[test]
fn nothing_is_found_without_preemption() {
    assert_eq!(hits(200, Preemption::Never, 30), 0);
}

/// A classic lost wakeup: the waiter checks, then waits for an edge; the waker sets and clears in between. It is
/// found, and reported as a deadlock (B-23).
#[test]
fn a_lost_wakeup_is_found() {
    let lost = |seed| {
        Sim::new(seed)
            .run(|| {
                let ready = Arc::new(AtomicBool::new(false));
                let event = Arc::new(common::Event::notification());
                let (r, e) = (Arc::clone(&ready), Arc::clone(&event));
                let waker = world::spawn("waker", Some(1), move || {
                    r.store(true, SeqCst);
                    e.set();
                });
                if !ready.load(SeqCst) {
                    // The mistake: a wake between the check and this line is forgotten.
                    event.clear();
                    event.wait(None);
                }
                waker.join();
            })
            .err()
            .map(|failure| failure.code().to_owned())
    };
    let codes: Vec<String> = (0..300).filter_map(lost).collect();
    assert!(codes.len() >= 3, "{} of 300", codes.len());
    assert!(
        codes
            .iter()
            .all(|code| code == "SIM_DEADLOCK(main waits for event 1)"),
        "{codes:?}"
    );
}

/// The same with the clear before the check is right, and no seed convicts it.
#[test]
fn the_right_wakeup_is_never_convicted() {
    common::run(0..300, |_| {
        let gate = Gate::new();
        let other = gate.clone();
        let waker = world::spawn("waker", Some(1), move || other.open());
        gate.wait();
        waker.join();
    });
}

/// A thread that spins below DISPATCH_LEVEL does not keep others off its CPU.
#[test]
fn one_cpu_is_shared() {
    world::seeds(0..50, |seed| {
        Sim::new(seed)
            .cpus(1)
            .run(|| {
                let stop = Arc::new(AtomicBool::new(false));
                let other = Arc::clone(&stop);
                let spinner = world::spawn("spinner", None, move || while !other.load(SeqCst) {});
                for _ in 0..10 {
                    sync::preempt();
                }
                stop.store(true, SeqCst);
                spinner.join();
            })
            .unwrap();
    });
}
