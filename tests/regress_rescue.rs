//! A kick that NT's pool does not answer, while the queue has nothing to start for some time: its rescuer still comes
//! for the work that is queued later (S1).

mod support;

use bottomhalf::linux::*;
use kmdf_mock::world::Sim;
use kmdf_mock::{sim_assert, sim_assert_eq};
use support::{NonReentrant, SelfReentrant, Work, Wq, machine, rows_with_on, sleep_jiffies};

const SEEDS: u64 = 40;

/// One worker thread, which the scenario's own work keeps.
fn starved(seed: u64) -> Sim {
    machine(seed).workers(1)
}

/// Runs `body` in a work that has the pool's only thread; then it queues a work on `wq` and flushes it.
fn with_the_only_worker(wq: Wq, body: impl Fn() + Send + Sync + 'static) {
    let late = Work::counting();
    let work = Work::new(move |_, _| {
        body();
        sim_assert!(late.queue(wq));
        late.flush();
        sim_assert_eq!(late.runs(), 1);
    });
    sim_assert!(work.schedule());
    work.flush();
    sim_assert_eq!(work.runs(), 1);
    work.free();
    late.free();
}

/// H-32, W-30: the work that the kick was for is cancelled, and looks at the queue find nothing. A work that is queued
/// later is started by a rescuer all the same.
#[test]
fn a_kick_whose_work_is_cancelled_is_looked_after() {
    for rule in [SelfReentrant, NonReentrant] {
        rows_with_on(starved, rule, SEEDS, |_| {
            for flags in [0, WQ_MEM_RECLAIM] {
                let wq = Wq::with(flags, 0);
                let first = Work::counting();
                with_the_only_worker(wq, move || {
                    sim_assert!(first.queue(wq));
                    sim_assert!(first.cancel_sync());
                    sleep_jiffies(10);
                });
                wq.destroy();
                first.free();
            }
        });
    }
}

/// The same for a queue that is frozen while its kick is not answered, and thawed later.
#[test]
fn a_kick_of_a_queue_that_was_frozen_is_looked_after() {
    for rule in [SelfReentrant, NonReentrant] {
        rows_with_on(starved, rule, SEEDS, |rig| {
            let wq = Wq::with(WQ_FREEZABLE, 0);
            let first = Work::counting();
            let attachment = rig.attachment();
            with_the_only_worker(wq, move || {
                sim_assert!(first.queue(wq));
                attachment.freeze();
                sleep_jiffies(10);
                attachment.thaw();
            });
            wq.destroy();
            sim_assert_eq!(first.runs(), 1);
            first.free();
        });
    }
}
