//! Rescuers: what becomes of a kick that NT's pool does not answer, while the queue is empty in between, and while
//! the rescuer is busy elsewhere.

mod support;

use bottomhalf::linux::*;
use kmdf_mock::sim_assert;
use kmdf_mock::sim_assert_eq;
use kmdf_mock::world::{Gate, Preemption, Sim};
use support::{
    NonReentrant, Rig, SelfReentrant, Work, Wq, machine, reports, rows_with_on, sleep_jiffies,
};

const SEEDS: u64 = 60;

/// A machine whose pool has one thread.
fn one_worker(seed: u64) -> Sim {
    machine(seed).workers(1)
}

/// The same, with a switch at every point.
fn busy(seed: u64) -> Sim {
    one_worker(seed).preemption(Preemption::Always)
}

fn starved(scenario: fn(&Rig)) {
    for machine in [one_worker, busy] {
        for reentrance in [SelfReentrant, NonReentrant] {
            rows_with_on(machine, reentrance, SEEDS, scenario);
        }
    }
}

/// QUEUE-26, S1: a work is queued and cancelled while the pool is used up, so that the queue has been asked for a
/// worker and has nothing for it. A work that is queued later, before that worker has come, is rescued all the same.
#[test]
fn a_queue_that_was_empty_for_a_while_is_rescued() {
    starved(|_| {
        let gate = Gate::new();
        let (blocker, reclaim) = (Work::gated(&gate), Wq::with(WQ_MEM_RECLAIM, 0));
        sim_assert!(blocker.schedule());
        blocker.wait_begun(1);
        let work = Work::counting();
        for rest in [0, 1, 3, 20] {
            let before = work.runs();
            sim_assert!(work.queue(reclaim));
            sleep_jiffies(rest);
            work.cancel_sync();
            sleep_jiffies(20);
            sim_assert!(work.queue(reclaim));
            work.flush();
            sim_assert!(work.runs() > before);
        }
        sim_assert_eq!(blocker.seen().inside(), 1);
        gate.open();
        blocker.flush();
        reclaim.destroy();
    });
}

/// S2: a work that the rescuer runs drains a queue for which the rescuer has been called meanwhile, and which is
/// empty since: there is nothing to wait for, though the pool is used up still. A work that is queued after that is
/// rescued as before.
#[test]
fn a_rescued_work_drains_an_empty_queue_that_waits_for_the_rescuer() {
    starved(|_| {
        let gate = Gate::new();
        let blocker = Work::gated(&gate);
        sim_assert!(blocker.schedule());
        blocker.wait_begun(1);
        let (outer, inner) = (Wq::bound(), Wq::bound());
        let last = Work::counting();
        let first = Work::new(move |_, _| {
            sim_assert!(current_is_workqueue_rescuer());
            sim_assert!(last.queue(inner));
            sleep_jiffies(20);
            sim_assert!(last.cancel_sync());
            // SAFETY: alive.
            unsafe { drain_workqueue(inner.0) };
            sim_assert!(last.queue(inner));
        });
        sim_assert!(first.queue(outer));
        first.flush();
        last.flush();
        sim_assert_eq!((first.runs(), last.runs()), (1, 1));
        gate.open();
        blocker.flush();
        inner.destroy();
        outer.destroy();
    });
}

/// S2: a work that the rescuer runs destroys a queue for which the rescuer has been called meanwhile, and whose
/// worker has come since. It does not wait for the rescuer, which is its own thread.
#[test]
fn a_rescued_work_destroys_a_queue_that_waits_for_the_rescuer() {
    starved(|_| {
        let gate = Gate::new();
        let (blocker, opens) = (Work::gated(&gate), gate.clone());
        sim_assert!(blocker.schedule());
        blocker.wait_begun(1);
        let (outer, inner) = (Wq::bound(), Wq::bound());
        let last = Work::counting();
        let first = Work::new(move |_, _| {
            sim_assert!(current_is_workqueue_rescuer());
            sim_assert!(last.queue(inner));
            sleep_jiffies(20);
            opens.open();
            last.flush();
            // SAFETY: alive; its only work has run.
            unsafe { drain_workqueue(inner.0) };
            inner.destroy();
        });
        sim_assert!(first.queue(outer));
        first.flush();
        sim_assert_eq!((first.runs(), last.runs()), (1, 1));
        blocker.flush();
        outer.destroy();
    });
}

/// BH33: two queues that nobody has served for 30 s by the same look are both reported, once each.
#[test]
fn every_queue_that_nobody_serves_is_reported() {
    rows_with_on(one_worker, NonReentrant, 20, |rig| {
        rig.expect(&["BH33"]);
        let gate = Gate::new();
        let (pool, rescuer) = (Work::gated(&gate), Work::gated(&gate));
        let queues = [(); 5].map(|()| Wq::bound());
        for (work, queue) in [(pool, queues[0]), (rescuer, queues[1])] {
            sim_assert!(work.queue(queue));
            work.wait_begun(1);
        }
        let late = [2, 3, 4].map(|index| (Work::counting(), queues[index]));
        for (work, queue) in late {
            sim_assert!(work.queue(queue));
        }
        sleep_jiffies(29 * HZ);
        sim_assert!(reports().is_empty());
        sleep_jiffies(60 * HZ);
        sim_assert_eq!(reports(), ["BH33"; 3]);
        gate.open();
        for (work, _) in late {
            work.wait_begun(1);
        }
        queues.into_iter().for_each(Wq::destroy);
    });
}
