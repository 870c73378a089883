//! DPCs: facts D-8 to D-24 and D-30.

mod common;

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use common::{Dpc, run};
use kmdf_mock::world::{self, Sim};
use kmdf_mock::{_KDPC_IMPORTANCE, ntddk, sim_assert, sim_assert_eq};

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
/// DPC at the same time (B-23).
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
        let order = Arc::new(Mutex::new(Vec::new()));
        let make = |n: u32, importance| {
            let order = Arc::clone(&order);
            let dpc = Dpc::new(move || order.lock().unwrap().push(n));
            dpc.set_importance(importance);
            dpc
        };
        let medium = _KDPC_IMPORTANCE::MediumImportance;
        let high = _KDPC_IMPORTANCE::HighImportance;
        let dpcs = [
            make(1, medium),
            make(2, high),
            make(3, medium),
            make(4, high),
        ];
        world::at_dispatch(|| dpcs.iter().for_each(|dpc| assert!(dpc.insert())));
        sim_assert_eq!(*order.lock().unwrap(), [4, 2, 1, 3]);
    });
}

/// D-12, D-31: removing a queued DPC is TRUE and it does not run; removing it again, or while it runs, is
/// FALSE.
#[test]
fn a_removed_dpc_does_not_run() {
    run(0..50, |_| {
        let runs = Arc::new(AtomicU32::new(0));
        let seen = Arc::clone(&runs);
        let dpc = Dpc::new(move || {
            seen.fetch_add(1, Ordering::SeqCst);
        });
        world::at_dispatch(|| {
            sim_assert!(dpc.insert());
            sim_assert!(dpc.remove());
            sim_assert!(!dpc.remove());
        });
        world::settle();
        sim_assert_eq!(runs.load(Ordering::SeqCst), 0);
    });
}

/// D-21: a DPC that queues itself again runs in the same drain, before the IRQL drops.
#[test]
fn a_dpc_that_queues_itself_runs_before_the_irql_drops() {
    run(0..50, |_| {
        let runs = Arc::new(AtomicU32::new(0));
        let own: Arc<OnceLock<Dpc>> = Arc::default();
        let (seen, again) = (Arc::clone(&runs), Arc::clone(&own));
        let dpc = own.get_or_init(|| {
            Dpc::new(move || {
                if seen.fetch_add(1, Ordering::SeqCst) < 4 {
                    sim_assert!(again.get().unwrap().insert());
                }
            })
        });
        world::run_on_cpu(0, || world::at_dispatch(|| dpc.insert()));
        sim_assert_eq!(runs.load(Ordering::SeqCst), 5);
    });
}

/// D-25, D-21: a DPC that queues itself for ever keeps its CPU at DISPATCH_LEVEL: 0x133 with parameter 1 = 1.
#[test]
fn a_self_requeue_storm_hits_the_watchdog() {
    let failure = Sim::new(1)
        .run(|| {
            let own: Arc<OnceLock<Dpc>> = Arc::default();
            let again = Arc::clone(&own);
            let dpc = own.get_or_init(|| {
                Dpc::new(move || {
                    again.get().unwrap().insert();
                })
            });
            dpc.insert();
            world::settle();
        })
        .unwrap_err();
    assert_eq!(failure.code(), "DPC_WATCHDOG(0x133,1)");
}

/// D-25: one routine that does not end: 0x133 with parameter 1 = 0.
#[test]
fn a_routine_without_end_hits_the_watchdog() {
    let failure = Sim::new(1)
        .run(|| {
            let dpc = Dpc::new(|| {
                loop {
                    kmdf_mock::sync::preempt();
                }
            });
            dpc.insert();
            world::settle();
        })
        .unwrap_err();
    assert_eq!(failure.code(), "DPC_WATCHDOG(0x133,0)");
}

/// D-25, N-35: KeShouldYieldProcessor says no below DISPATCH_LEVEL, and above it from the configured time on.
#[test]
fn a_dpc_is_asked_to_yield_when_its_budget_is_spent() {
    fn asked() -> bool {
        // SAFETY: the call has no requirement.
        unsafe { ntddk::KeShouldYieldProcessor() != 0 }
    }
    world::seeds(0..50, |seed| {
        Sim::new(seed)
            .yield_after_100ns(2_000)
            .run(|| {
                let polls = Arc::new(AtomicU32::new(0));
                let seen = Arc::clone(&polls);
                let dpc = Dpc::new(move || {
                    // SAFETY: the call has no requirement.
                    unsafe { ntddk::KeStallExecutionProcessor(100) };
                    sim_assert!(!asked(), "at half the budget");
                    while !asked() {
                        seen.fetch_add(1, Ordering::SeqCst);
                    }
                });
                sim_assert!(!asked(), "at PASSIVE_LEVEL");
                world::run_on_cpu(0, || dpc.insert());
                world::settle();
                let polls = polls.load(Ordering::SeqCst);
                sim_assert!((1..=1_000).contains(&polls), "{polls} polls of 100 ns");
                sim_assert!(!asked(), "at PASSIVE_LEVEL again");
            })
            .unwrap();
    });
    // The control: a DPC within its budget is never asked to yield.
    Sim::new(1)
        .yield_after_100ns(1_000_000)
        .watchdog_100ns(10_000_000, 10_000_000)
        .run(|| {
            let dpc = Dpc::new(|| (0..1_000).for_each(|_| sim_assert!(!asked())));
            dpc.insert();
            world::settle();
        })
        .unwrap();
}

/// D-25, N-35: the watchdog's limits and what is left of them, in ticks.
#[test]
fn the_watchdog_can_be_queried() {
    fn query() -> (u32, u32, u32, u32) {
        let mut now = kmdf_mock::KDPC_WATCHDOG_INFORMATION::default();
        // SAFETY: the structure is valid for the call.
        let status = unsafe { ntddk::KeQueryDpcWatchdogInformation(&raw mut now) };
        sim_assert_eq!(status, 0);
        let left = (now.DpcTimeCount, now.DpcWatchdogCount);
        (now.DpcTimeLimit, left.0, now.DpcWatchdogLimit, left.1)
    }
    Sim::new(1)
        .tick_100ns(10_000)
        .watchdog_100ns(50_000, 100_000)
        .run(|| {
            sim_assert_eq!(query(), (5, 5, 10, 10));
            let dpc = Dpc::new(|| {
                // SAFETY: the call has no requirement.
                unsafe { ntddk::KeStallExecutionProcessor(2_500) };
                sim_assert_eq!(query(), (5, 3, 10, 8));
            });
            world::run_on_cpu(0, || dpc.insert());
            world::settle();
            sim_assert_eq!(query(), (5, 5, 10, 10));
        })
        .unwrap();
    let high = Sim::new(1).run(|| world::at_irql(3, query));
    assert_eq!(high.unwrap_err().code(), "DV(0xC4,0x20003)");
}

/// D-19, D-24: the CPU is the target if there is one, else the CPU of the insertion; a target set while the DPC
/// is queued counts for the next insertion.
#[test]
fn the_target_cpu_runs_the_dpc() {
    run(0..50, |_| {
        let cpus = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&cpus);
        let dpc = Dpc::new(move || seen.lock().unwrap().push(world::current_cpu()));
        dpc.set_importance(_KDPC_IMPORTANCE::MediumHighImportance);
        world::run_on_cpu(2, || {
            world::at_dispatch(|| {
                dpc.insert();
                dpc.set_target(3);
            });
            world::settle();
            dpc.insert();
            world::settle();
        });
        sim_assert_eq!(*cpus.lock().unwrap(), [2, 3]);
    });
}

/// D-23: a Medium DPC for another CPU waits for a tick while that CPU is busy below DISPATCH_LEVEL; a
/// MediumHigh one interrupts it at once. Measured in points that the busy CPU passes meanwhile.
#[test]
fn only_medium_high_interrupts_another_cpu() {
    let waited = Arc::new([AtomicU32::new(0), AtomicU32::new(0)]);
    let seen = Arc::clone(&waited);
    run(0..40, move |seed| {
        let kind = seed as usize % 2;
        let importance = [
            _KDPC_IMPORTANCE::MediumImportance,
            _KDPC_IMPORTANCE::MediumHighImportance,
        ][kind];
        let (points, stop) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
        let (counted, until) = (Arc::clone(&points), Arc::clone(&stop));
        let busy = world::spawn("busy", Some(1), move || {
            while until.load(Ordering::SeqCst) == 0 {
                counted.fetch_add(1, Ordering::SeqCst);
                kmdf_mock::sync::preempt();
            }
        });
        let (ran_at, now) = (Arc::new(AtomicU32::new(0)), Arc::clone(&points));
        let mark = Arc::clone(&ran_at);
        let dpc = Dpc::new(move || mark.store(now.load(Ordering::SeqCst), Ordering::SeqCst));
        dpc.set_importance(importance);
        dpc.set_target(1);
        let inserted_at = world::run_on_cpu(0, || {
            while points.load(Ordering::SeqCst) == 0 {
                kmdf_mock::sync::preempt();
            }
            dpc.insert();
            let inserted_at = points.load(Ordering::SeqCst);
            while ran_at.load(Ordering::SeqCst) == 0 {
                kmdf_mock::sync::preempt();
            }
            inserted_at
        });
        if ran_at.load(Ordering::SeqCst).saturating_sub(inserted_at) > 2 {
            seen[kind].fetch_add(1, Ordering::SeqCst);
        }
        stop.store(1, Ordering::SeqCst);
        busy.join();
    });
    let [medium, medium_high] = [0, 1].map(|kind: usize| waited[kind].load(Ordering::SeqCst));
    // Not always: a low rate of requests is reason enough for an interrupt.
    assert!(
        (8..20).contains(&medium),
        "a Medium DPC waits in {medium} of 20 runs"
    );
    assert_eq!(medium_high, 0, "a MediumHigh DPC never waits");
}

/// D-30: the flush waits for what is queued and what runs on every CPU, and not for what comes later.
#[test]
fn a_flush_waits_for_what_was_queued_before() {
    run(0..100, |_| {
        let ended = Arc::new(AtomicU32::new(0));
        let dpcs: Vec<Dpc> = (0..4)
            .map(|cpu| {
                let ended = Arc::clone(&ended);
                let dpc = Dpc::new(move || {
                    for _ in 0..10 {
                        kmdf_mock::sync::preempt();
                    }
                    ended.fetch_add(1, Ordering::SeqCst);
                });
                dpc.set_target(cpu);
                dpc
            })
            .collect();
        dpcs.iter().for_each(|dpc| assert!(dpc.insert()));
        // SAFETY: the call has no requirement beyond PASSIVE_LEVEL.
        unsafe { kmdf_mock::ntddk::KeFlushQueuedDpcs() };
        sim_assert_eq!(ended.load(Ordering::SeqCst), 4);
        sim_assert_eq!(world::counters().dpc_flushes, 1);
    });
}

/// D-30: a DPC that queues itself again before each flush looks is not waited for without end.
#[test]
fn a_flush_ends_under_a_dpc_that_comes_back() {
    run(0..50, |_| {
        let own: Arc<OnceLock<Dpc>> = Arc::default();
        let stop = Arc::new(AtomicU32::new(0));
        let (again, until) = (Arc::clone(&own), Arc::clone(&stop));
        let dpc = own.get_or_init(|| {
            Dpc::new(move || {
                if until.load(Ordering::SeqCst) == 0 {
                    again.get().unwrap().insert();
                }
            })
        });
        dpc.set_target(3);
        dpc.set_importance(_KDPC_IMPORTANCE::MediumHighImportance);
        world::run_on_cpu(0, || {
            dpc.insert();
            // SAFETY: the call has no requirement beyond PASSIVE_LEVEL.
            unsafe { kmdf_mock::ntddk::KeFlushQueuedDpcs() };
            stop.store(1, Ordering::SeqCst);
        });
        world::settle();
    });
}

/// D-27: memory with a queued DPC in it is freed: 0xC7 with parameter 1 = 1.
#[test]
fn freeing_a_queued_dpc_is_convicted() {
    let failure = Sim::new(3)
        .run(|| {
            // SAFETY: a KDPC may be all zeroes until it is initialised.
            let dpc = world::pool::alloc(unsafe { std::mem::zeroed::<kmdf_mock::KDPC>() });
            world::at_dispatch(|| {
                // SAFETY: the block is alive, and the test is about freeing it too early.
                unsafe {
                    kmdf_mock::ntddk::KeInitializeDpc(dpc, None, std::ptr::null_mut());
                    kmdf_mock::ntddk::KeInsertQueueDpc(
                        dpc,
                        std::ptr::null_mut(),
                        std::ptr::null_mut(),
                    );
                    world::pool::free(dpc);
                }
            });
        })
        .unwrap_err();
    assert_eq!(failure.code(), "TIMER_OR_DPC_INVALID(0xC7,1)");
}

/// D-32: a routine that returns at another IRQL: 0xC8.
#[test]
fn a_routine_that_leaves_the_irql_raised_is_convicted() {
    let failure = Sim::new(4)
        .run(|| {
            Dpc::new(|| {
                // SAFETY: the test is about not restoring the IRQL.
                unsafe { kmdf_mock::ntddk::KfRaiseIrql(5) };
            })
            .insert();
            world::settle();
        })
        .unwrap_err();
    assert_eq!(failure.code(), "IRQL_UNEXPECTED_VALUE(0xC8)");
}
