//! Device interrupts: facts N-41, N-42, D-8, H-9.

mod common;

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use common::{Dpc, run};
use kmdf_mock::world::{self, Interrupt, Sim};
use kmdf_mock::{sim_assert, sim_assert_eq};

/// N-41, N-42: an interrupt runs at its IRQL on the CPU where it is asserted, preempts DISPATCH_LEVEL there, and
/// waits while the IRQL is not below its own.
#[test]
fn an_interrupt_preempts_what_is_below_it() {
    run(0..50, |_| {
        let runs = Arc::new(AtomicU32::new(0));
        let seen = Arc::clone(&runs);
        let interrupt = Interrupt::connect("nic", 7, move || {
            sim_assert_eq!((world::current_irql(), world::current_cpu()), (7, 1));
            seen.fetch_add(1, Ordering::SeqCst);
        });
        world::run_on_cpu(1, || {
            interrupt.raise(1);
            sim_assert_eq!(runs.load(Ordering::SeqCst), 1);
            world::at_dispatch(|| interrupt.raise(1));
            sim_assert_eq!(runs.load(Ordering::SeqCst), 2);
            world::at_irql(7, || {
                interrupt.raise(1);
                interrupt.raise(1);
                sim_assert_eq!(runs.load(Ordering::SeqCst), 2);
                sim_assert!(!interrupt.is_idle());
            });
            sim_assert_eq!(runs.load(Ordering::SeqCst), 3);
            sim_assert!(interrupt.is_idle());
        });
    });
}

/// N-41: interrupts nest by IRQL; a higher one preempts a lower one in the middle, not the other way round.
#[test]
fn interrupts_nest() {
    run(0..50, |_| {
        let log = Arc::new(Mutex::new(Vec::new()));
        let inner = Arc::clone(&log);
        let high = Arc::new(Interrupt::connect("high", 9, move || {
            inner.lock().unwrap().push("high")
        }));
        let outer = Arc::clone(&log);
        let raised = Arc::clone(&high);
        let low = Interrupt::connect("low", 5, move || {
            outer.lock().unwrap().push("low begins");
            raised.raise(world::current_cpu());
            outer.lock().unwrap().push("low ends");
        });
        world::run_on_cpu(0, || low.raise(0));
        sim_assert_eq!(*log.lock().unwrap(), ["low begins", "high", "low ends"]);
        log.lock().unwrap().clear();
        world::run_on_cpu(0, || {
            world::at_irql(12, || {
                high.raise(0);
                low.raise(0);
            });
        });
        sim_assert_eq!(
            *log.lock().unwrap(),
            ["high", "low begins", "high", "low ends"]
        );
    });
}

/// D-8, N-17, H-9: an interrupt queues a DPC, which runs on the same CPU once the IRQL is below DISPATCH_LEVEL.
#[test]
fn an_interrupt_queues_a_dpc() {
    run(0..50, |_| {
        let log = Arc::new(Mutex::new(Vec::new()));
        let late = Arc::clone(&log);
        let dpc = Dpc::new(move || {
            late.lock()
                .unwrap()
                .push(("dpc", world::current_irql(), world::current_cpu()))
        });
        let early = Arc::clone(&log);
        let interrupt = Interrupt::connect("nic", 7, move || {
            sim_assert!(dpc.insert());
            early
                .lock()
                .unwrap()
                .push(("isr", world::current_irql(), world::current_cpu()));
        });
        world::run_on_cpu(2, || {
            world::at_dispatch(|| {
                interrupt.raise(2);
                sim_assert_eq!(*log.lock().unwrap(), [("isr", 7, 2)]);
            });
            sim_assert_eq!(*log.lock().unwrap(), [("isr", 7, 2), ("dpc", 2, 2)]);
        });
    });
}

/// An interrupt on a halted CPU wakes it; other CPUs can go on while a routine is in its middle.
#[test]
fn other_cpus_go_on_during_an_interrupt() {
    let overlaps = Arc::new(AtomicU32::new(0));
    let seen = Arc::clone(&overlaps);
    run(0..50, move |_| {
        let inside = Arc::new(AtomicU32::new(0));
        let mark = Arc::clone(&inside);
        let interrupt = Interrupt::connect("nic", 7, move || {
            mark.store(1, Ordering::SeqCst);
            for _ in 0..20 {
                kmdf_mock::sync::preempt();
            }
            mark.store(0, Ordering::SeqCst);
        });
        world::run_on_cpu(0, || {
            interrupt.raise(3);
            for _ in 0..40 {
                kmdf_mock::sync::preempt();
                if inside.load(Ordering::SeqCst) == 1 {
                    seen.fetch_add(1, Ordering::SeqCst);
                    break;
                }
            }
        });
        world::settle();
        sim_assert!(interrupt.is_idle());
        sim_assert_eq!(world::counters().interrupts, 1);
    });
    assert!(
        overlaps.load(Ordering::SeqCst) > 0,
        "no seed shows the routine in its middle"
    );
}

/// A routine that does not restore the IRQL.
#[test]
fn an_interrupt_that_changes_the_irql_is_convicted() {
    let failure = Sim::new(1)
        .run(|| {
            let interrupt = Interrupt::connect("nic", 7, || {
                // SAFETY: leaving the IRQL raised is the point.
                unsafe { kmdf_mock::ntddk::KfRaiseIrql(8) };
            });
            interrupt.raise(0);
            world::settle();
        })
        .unwrap_err();
    assert_eq!(failure.code(), "IRQL_UNEXPECTED_VALUE(0xC8)");
}
