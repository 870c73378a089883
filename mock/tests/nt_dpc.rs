//! DPCs: facts D-8 to D-24 and D-30.

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use common::{Dpc, run};
use kmdf_mock::world::{self, Sim};
use kmdf_mock::{_KDPC_IMPORTANCE, sim_assert, sim_assert_eq};

/// D-8, D-10, D-18: an insertion at DISPATCH_LEVEL is TRUE once, then FALSE; the routine runs once, at
/// DISPATCH_LEVEL, when the IRQL is lowered.
#[test]
fn a_queued_dpc_is_not_queued_again() {
    run(0..50, |_| {
        let runs = Arc::new(AtomicU32::new(0));
        let seen = Arc::clone(&runs);
        let dpc = Dpc::new(move || {
            sim_assert_eq!(world::current_irql(), 2);
            seen.fetch_add(1, Ordering::SeqCst);
        });
        world::at_dispatch(|| {
            sim_assert!(dpc.insert());
            sim_assert!(!dpc.insert());
            sim_assert_eq!(runs.load(Ordering::SeqCst), 0);
        });
        sim_assert_eq!(runs.load(Ordering::SeqCst), 1);
    });
}

/// D-11, D-20: the queued mark is gone before the routine begins, so a second CPU can queue and run the same
/// DPC at the same time.
#[test]
fn a_dpc_runs_on_two_cpus_at_once() {
    let overlaps = Arc::new(AtomicU32::new(0));
    for seed in 0..100 {
        let overlaps = Arc::clone(&overlaps);
        Sim::new(seed)
            .run(move || {
                let inside = Arc::new(AtomicU32::new(0));
                let both = Arc::clone(&inside);
                let dpc = Dpc::new(move || {
                    if both.fetch_add(1, Ordering::SeqCst) == 1 {
                        overlaps.fetch_add(1, Ordering::SeqCst);
                    }
                    for _ in 0..20 {
                        kmdf_mock::sync::preempt();
                    }
                    both.fetch_sub(1, Ordering::SeqCst);
                });
                let other = dpc.clone();
                let thread = world::spawn("other", Some(1), move || {
                    other.insert();
                });
                world::run_on_cpu(0, || dpc.insert());
                thread.join();
                world::settle();
            })
            .unwrap();
    }
    assert!(overlaps.load(Ordering::SeqCst) > 0, "no seed overlaps");
}

/// D-22: High goes to the head, the others to the tail.
#[test]
fn high_importance_goes_first() {
    run(0..20, |_| {
        let order = Arc::new(std::sync::Mutex::new(Vec::new()));
        let make = |n: u32, importance| {
            let order = Arc::clone(&order);
            let dpc = Dpc::new(move || order.lock().unwrap().push(n));
            dpc.set_importance(importance);
            dpc
        };
        let medium = _KDPC_IMPORTANCE::MediumImportance;
        let high = _KDPC_IMPORTANCE::HighImportance;
        let dpcs = [make(1, medium), make(2, high), make(3, medium), make(4, high)];
        world::at_dispatch(|| dpcs.iter().for_each(|dpc| assert!(dpc.insert())));
        sim_assert_eq!(*order.lock().unwrap(), [4, 2, 1, 3]);
    });
}
