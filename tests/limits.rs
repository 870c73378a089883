//! How many works of a queue run at once, and how urgently: `workqueue_set_max_active`, `workqueue_congested`,
//! WQ_HIGHPRI.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicI32, AtomicU32, Ordering::SeqCst};

use bottomhalf::linux::*;
use kmdf_mock::ntddk::{KeGetCurrentThread, KeSetPriorityThread};
use kmdf_mock::world::{self, Gate};
use kmdf_mock::{sim_assert, sim_assert_eq};
use support::{Trace, Work, Wq, reports, rows, sleep_jiffies};

fn set_max_active(wq: Wq, max_active: i32) {
    // SAFETY: the queue is alive in every scenario.
    unsafe { workqueue_set_max_active(wq.0, max_active) };
}

fn congested(cpu: i32, wq: Wq) -> bool {
    // SAFETY: as above.
    unsafe { workqueue_congested(cpu, wq.0) }
}

fn inside(works: &[Work]) -> u32 {
    works.iter().map(|work| work.seen().inside()).sum()
}

fn runs(works: &[Work]) -> u32 {
    works.iter().map(|work| work.runs()).sum()
}

fn queue_all(works: &[Work], wq: Wq) {
    for work in works {
        sim_assert!(work.queue(wq));
    }
}

fn gated(count: usize, gate: &Gate) -> Vec<Work> {
    (0..count).map(|_| Work::gated(gate)).collect()
}

/// Q08: with a `max_active` of 1, A and B of CPU 1 and C of CPU 2: A and C run and B waits, so CPU 1 is congested
/// and CPU 2 is not. From when they are queued, as in Linux, and until B has begun.
#[test]
fn q08_a_cpu_whose_works_wait_is_congested() {
    rows(|_| {
        let wq = Wq::with(0, 1);
        let gate = Gate::new();
        let works = gated(3, &gate);
        sim_assert!(!congested(1, wq));
        let all = |wq| [0, 1, 2, 3].map(|cpu| congested(cpu, wq));
        world::run_on_cpu(1, || {
            works[0].queue(wq);
            sim_assert!(!congested(WORK_CPU_UNBOUND, wq));
            works[1].queue(wq);
            sim_assert!(congested(WORK_CPU_UNBOUND, wq));
        });
        world::run_on_cpu(2, || sim_assert!(works[2].queue(wq)));
        sim_assert_eq!(all(wq), [false, true, false, false]);
        world::settle();
        sim_assert_eq!(all(wq), [false, true, false, false]);
        world::at_irql(9, || sim_assert!(congested(1, wq)));
        for cpu in [4, 64, -1, i32::MAX] {
            sim_assert!(!congested(cpu, wq), "CPU {cpu}");
        }
        sim_assert_eq!(inside(&works), 2);
        gate.open();
        wq.flush();
        sim_assert_eq!(all(wq), [false; 4]);
        wq.destroy();
        works.into_iter().for_each(Work::free);
    });
}

/// Q08: an unbound and an ordered queue are congested for all CPUs or for none.
#[test]
fn q08_an_unbound_queue_is_congested_for_every_cpu() {
    rows(|_| {
        for wq in [Wq::with(WQ_UNBOUND, 1), Wq::ordered()] {
            let gate = Gate::new();
            let works = gated(2, &gate);
            works[0].queue(wq);
            sim_assert!(!congested(0, wq) && !congested(3, wq));
            works[1].queue(wq);
            sim_assert!(congested(0, wq) && congested(3, wq));
            gate.open();
            wq.destroy();
            works.into_iter().for_each(Work::free);
        }
    });
}

/// Q09: with a `max_active` of 2 two of three works of CPU 1 run; once it is 3 the third starts. Also on an
/// unbound queue, and if the call is made at DISPATCH_LEVEL.
#[test]
fn q09_a_raised_max_active_starts_what_was_held_back() {
    rows(|_| {
        for (flags, irql) in [(0, 0), (0, 2), (WQ_UNBOUND, 0)] {
            let wq = Wq::with(flags, 2);
            let gate = Gate::new();
            let works = gated(3, &gate);
            world::run_on_cpu(1, || queue_all(&works, wq));
            world::settle();
            sim_assert_eq!(inside(&works), 2);
            world::at_irql(irql, || set_max_active(wq, 3));
            world::settle();
            sim_assert_eq!(inside(&works), 3);
            gate.open();
            wq.destroy();
            works.into_iter().for_each(Work::free);
        }
    });
}

/// A raise far above what waits starts all of it, on every CPU.
#[test]
fn q09_a_raised_max_active_counts_on_every_cpu() {
    rows(|_| {
        let wq = Wq::with(0, 1);
        let gate = Gate::new();
        let works = gated(12, &gate);
        for (index, work) in works.iter().enumerate() {
            // SAFETY: item and queue are alive.
            sim_assert!(unsafe { queue_work_on(index as i32 % 4, wq.0, work.work()) });
        }
        world::settle();
        sim_assert_eq!(inside(&works), 4);
        set_max_active(wq, 100);
        world::settle();
        sim_assert_eq!(inside(&works), 12);
        gate.open();
        wq.destroy();
        works.into_iter().for_each(Work::free);
    });
}

/// A lowered `max_active` lets go on what runs, and starts nothing before as many have ended.
#[test]
fn q09_a_lowered_max_active_counts_from_the_next_start() {
    rows(|_| {
        let wq = Wq::with(WQ_UNBOUND, 3);
        let gates: Vec<Gate> = (0..4).map(|_| Gate::new()).collect();
        let works: Vec<Work> = gates.iter().map(Work::gated).collect();
        queue_all(&works, wq);
        world::settle();
        sim_assert_eq!(inside(&works), 3);
        set_max_active(wq, 1);
        for (gate, left) in gates.iter().zip([2, 1]) {
            gate.open();
            world::settle();
            sim_assert_eq!((inside(&works), works[3].runs()), (left, 0));
        }
        gates[2].open();
        works[3].wait_begun(1);
        gates[3].open();
        wq.destroy();
        sim_assert_eq!(runs(&works), 4);
        works.into_iter().for_each(Work::free);
    });
}

/// Threads change `max_active` all the time while others queue and cancel: no more works run at once than the
/// highest that was ever set, and none is lost.
#[test]
fn storms_of_max_active_lose_nothing() {
    rows(|_| {
        let wq = Wq::with(WQ_UNBOUND, 2);
        let (now, most) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
        let works: Vec<Work> = (0..6)
            .map(|_| {
                let (now, most) = (Arc::clone(&now), Arc::clone(&most));
                Work::new(move |_, _| {
                    most.fetch_max(now.fetch_add(1, SeqCst) + 1, SeqCst);
                    kmdf_mock::sync::preempt();
                    now.fetch_sub(1, SeqCst);
                })
            })
            .collect();
        let accepted = Arc::new(AtomicU32::new(0));
        let mut threads: Vec<_> = (0..2)
            .map(|_| {
                let (works, accepted) = (works.clone(), Arc::clone(&accepted));
                world::spawn("queues", None, move || {
                    for _ in 0..20 {
                        let work = works[world::choose(6) as usize];
                        if world::choose(5) == 0 {
                            accepted.fetch_sub(u32::from(work.cancel_sync()), SeqCst);
                        } else {
                            accepted.fetch_add(u32::from(work.queue(wq)), SeqCst);
                        }
                    }
                })
            })
            .collect();
        threads.push(world::spawn("limits", None, move || {
            for _ in 0..20 {
                set_max_active(wq, 1 + world::choose(4) as i32);
            }
        }));
        threads.into_iter().for_each(world::Thread::join);
        wq.destroy();
        sim_assert_eq!(runs(&works), accepted.load(SeqCst));
        sim_assert!(most.load(SeqCst) <= 4, "{most:?} at once");
        works.into_iter().for_each(Work::free);
    });
}

/// Q19: `workqueue_set_max_active(ordered, 5)` is reported as BH19, and still one work runs at a time.
#[test]
fn q19_an_ordered_queue_stays_ordered() {
    rows(|rig| {
        rig.expect(&["BH19"]);
        let wq = Wq::ordered();
        let (trace, gate) = (Trace::default(), Gate::new());
        let works: Vec<Work> = "ABC"
            .chars()
            .map(|letter| {
                let (trace, gate) = (trace.clone(), gate.clone());
                Work::new(move |_, _| {
                    gate.wait();
                    trace.add(letter);
                })
            })
            .collect();
        queue_all(&works, wq);
        set_max_active(wq, 5);
        sim_assert_eq!(reports(), ["BH19"]);
        world::settle();
        sim_assert_eq!(inside(&works), 1);
        gate.open();
        wq.destroy();
        sim_assert_eq!(trace.get(), "ABC");
        works.into_iter().for_each(Work::free);
    });
}

/// Q21 for `workqueue_set_max_active`: values outside 1 to 512 are clamped and reported (BH12), zero included,
/// which is a default for `alloc_workqueue` only.
#[test]
fn q21_set_max_active_clamps_and_says_so() {
    rows(|rig| {
        rig.expect(&["BH12"]);
        let wq = Wq::with(WQ_UNBOUND, 2);
        let gate = Gate::new();
        let works = gated(3, &gate);
        for asked in [-5, 0] {
            set_max_active(wq, asked);
        }
        queue_all(&works, wq);
        world::settle();
        sim_assert_eq!(inside(&works), 1);
        set_max_active(wq, 100_000);
        world::settle();
        sim_assert_eq!(inside(&works), 3);
        sim_assert_eq!(reports(), ["BH12"; 3]);
        gate.open();
        wq.destroy();
        works.into_iter().for_each(Work::free);
    });
}

/// BH04: a null queue.
#[test]
fn bh04_set_max_active_of_no_queue() {
    rows(|rig| {
        rig.expect(&["BH04"]);
        set_max_active(Wq(core::ptr::null_mut()), 5);
        sim_assert!(!congested(0, Wq(core::ptr::null_mut())));
    });
}

/// The priority of the caller's thread.
fn priority() -> i32 {
    // SAFETY: the caller's own thread, at PASSIVE_LEVEL; it is set back at once.
    unsafe {
        let thread = KeGetCurrentThread();
        let now = KeSetPriorityThread(thread, 15);
        KeSetPriorityThread(thread, now.max(1));
        now
    }
}

/// Q16: works of a WQ_HIGHPRI queue run at priority 15, those of others at what NT's pool has; the thread has
/// its own again afterwards, so that a normal work on it runs as before.
#[test]
fn q16_a_highpri_work_runs_at_high_priority() {
    rows(|_| {
        let (normal, high) = (Wq::bound(), Wq::with(WQ_HIGHPRI, 0));
        let probe = || {
            let found = Arc::new(AtomicI32::new(-1));
            let work = Work::new({
                let found = Arc::clone(&found);
                move |_, _| found.store(priority(), SeqCst)
            });
            (work, found)
        };
        let ((slow, low), (urgent, raised)) = (probe(), probe());
        slow.queue(normal);
        slow.flush();
        let pool = low.load(SeqCst);
        sim_assert!(pool < 15, "the pool's threads have {pool}");
        for _ in 0..4 {
            urgent.queue(high);
            // SAFETY: item and queue are alive.
            unsafe { queue_delayed_work(high.0, urgent.dwork(), 1) };
            sleep_jiffies(3);
            urgent.flush_delayed();
            sim_assert_eq!(raised.swap(-1, SeqCst), 15);
            slow.queue(normal);
            slow.flush();
            sim_assert_eq!(low.swap(-1, SeqCst), pool);
        }
        normal.destroy();
        high.destroy();
        slow.free();
        urgent.free();
    });
}
