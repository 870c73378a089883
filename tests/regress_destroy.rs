//! What a review found in `destroy_workqueue`: a kick that outlives its queue, a delayed work that is
//! moved while destroy looks, and a detach that walks past a destroy.

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
/// began after it. The DPC used to wake the waiter of the grace period first, and enqueued the work item
/// of a queue that was gone by then.
#[test]
fn a_kick_is_made_before_the_grace_period_ends() {
    rows_with_on(three_cpus, NonReentrant, 400, |_| {
        let (queue, work) = (Wq::ordered(), Work::counting());
        let over = Arc::new(AtomicBool::new(false));
        // Queues, and keeps its CPU from running the DPC until destroy waits for it.
        let line = Interrupt::connect("queues", 5, move || {
            work.queue(queue);
            linger(400);
        });
        // Comes between the calls that the DPC makes.
        let delay = Interrupt::connect("delays", 6, || linger(200));
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
            sim_assert_eq!(work.cancel_delayed(), true);
            queue.destroy();
        });
        over.store(true, SeqCst);
        noise.join();
        work.free();
    });
}

/// Q4: a delayed work that `flush_delayed_work` takes from its timer counts for its queue until it is
/// linked there, and destroy looks at the timers before it looks at the lists. Between the two it used to
/// be seen nowhere, and was queued on a freed queue.
#[test]
fn a_delayed_work_on_its_way_keeps_its_queue() {
    rows_with_on(busy, NonReentrant, 3000, |rig: &Rig| {
        rig.allow(&["BH02", "BH10"]);
        let (queue, delayed) = (Wq::ordered(), Work::counting());
        let (go, over) = (
            Arc::new(AtomicBool::new(false)),
            Arc::new(AtomicBool::new(false)),
        );
        let start = Arc::clone(&go);
        let arms = Work::new(move |_, _| {
            while !start.load(SeqCst) {
                preempt();
            }
            delayed.queue_delayed(queue, 50);
        });
        sim_assert_eq!(arms.queue(queue), true);
        arms.wait_begun(1);
        let stop = Arc::clone(&over);
        let flusher = world::spawn("flusher", None, move || {
            while !stop.load(SeqCst) {
                delayed.flush_delayed();
            }
        });
        go.store(true, SeqCst);
        queue.destroy();
        over.store(true, SeqCst);
        flusher.join();
        sim_assert_eq!(delayed.pending(), false);
        arms.free();
        delayed.free();
    });
}

/// The last detach waits for a `destroy_workqueue` that is under way. It used to keep a pointer to a queue
/// over the wait for its works, while the other thread freed it.
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
