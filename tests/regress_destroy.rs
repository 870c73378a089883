//! `destroy_workqueue` against a kick that an interrupt has left behind, and against the last detach.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use kmdf_mock::sim_assert_eq;
use kmdf_mock::sync::preempt;
use kmdf_mock::world::{self, Interrupt, Preemption, Sim, run_on_cpu};
use support::{NonReentrant, Rig, Work, Wq, machine, rows_with_on};

/// Three CPUs, and a switch at every point.
fn three_cpus(seed: u64) -> Sim {
    machine(seed).cpus(3).preemption(Preemption::Always)
}

fn busy(seed: u64) -> Sim {
    machine(seed).preemption(Preemption::Always)
}

/// Keeps a CPU busy at its IRQL.
fn linger(points: u32) {
    for _ in 0..points {
        preempt();
    }
}

/// Q4: a kick that an interrupt has left to the DPC of its CPU is made before a grace period ends that
/// began after it, so the work item is not gone (W-10).
#[test]
fn a_kick_is_made_before_the_grace_period_ends() {
    rows_with_on(three_cpus, NonReentrant, 1000, |_| {
        let (queue, work) = (Wq::ordered(), Work::counting());
        let over = Arc::new(AtomicBool::new(false));
        // Queues, and keeps its CPU from running the DPC until destroy waits for it.
        let line = Interrupt::connect("queues", 5, move || {
            work.queue(queue);
            linger(1500);
        });
        // Comes between the calls that the DPC makes.
        let delay = Interrupt::connect("delays", 6, || linger(600));
        let stop = Arc::clone(&over);
        let noise = world::spawn("noise", Some(1), move || {
            while !stop.load(SeqCst) {
                delay.raise(2);
                linger(20);
            }
        });
        run_on_cpu(0, || {
            line.raise(2);
            while !work.pending() {
                preempt();
            }
            // The interrupt goes on while destroy reaches the last CPU of its grace period.
            sim_assert_eq!(work.cancel_delayed(), true);
            queue.destroy();
        });
        over.store(true, SeqCst);
        noise.join();
        work.free();
    });
}

/// The last detach waits for a `destroy_workqueue` that is under way, and remembers no queue over a wait.
#[test]
fn detach_while_destroy_is_under_way() {
    rows_with_on(busy, NonReentrant, 600, |rig: &Rig| {
        rig.allow(&["BH13", "BH03"]);
        let queues = [Wq::ordered(), Wq::bound(), Wq::ordered()];
        let works = queues.map(|queue| {
            let work = Work::new(|_, _| linger(10));
            sim_assert_eq!(work.queue(queue), true);
            work
        });
        let ready = Arc::new(AtomicBool::new(false));
        let set = Arc::clone(&ready);
        let destroyer = world::spawn("destroyer", None, move || {
            set.store(true, SeqCst);
            for queue in queues {
                queue.destroy();
            }
        });
        while !ready.load(SeqCst) {
            preempt();
        }
        rig.detach();
        destroyer.join();
        for work in works {
            sim_assert_eq!(work.runs(), 1);
            work.free();
        }
    });
}
