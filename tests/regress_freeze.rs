//! Freezing and thawing by two threads at once.

mod support;

use bottomhalf::linux::{WQ_FREEZABLE, WQ_UNBOUND, cancel_work};
use kmdf_mock::sim_assert;
use kmdf_mock::sync::preempt;
use kmdf_mock::world::{self, Gate, Preemption, Sim};
use support::{NonReentrant, Rig, Work, Wq, machine, reports, rows_with_on};

fn busy(seed: u64) -> Sim {
    machine(seed).preemption(Preemption::Always)
}

/// ATTACH-8, F1: a thaw that comes while another thread has just begun to freeze takes that freeze back, or is one
/// too many and is reported (BH30). In either case the queue stands still as long as there is a freeze to take
/// back, and no longer.
#[test]
fn a_thaw_that_meets_a_freeze_takes_it_back_or_is_one_too_many() {
    rows_with_on(busy, NonReentrant, 300, |rig: &Rig| {
        rig.allow(&["BH30"]);
        let wq = Wq::with(WQ_FREEZABLE, 0);
        let (freezes, thaws) = (rig.attachment(), rig.attachment());
        let freezer = world::spawn("freezer", None, move || freezes.freeze());
        let thawer = world::spawn("thawer", None, move || {
            for _ in 0..world::choose(80) {
                preempt();
            }
            thaws.thaw();
        });
        freezer.join();
        thawer.join();
        let work = Work::counting();
        sim_assert!(work.queue(wq));
        if reports().is_empty() {
            work.flush();
        } else {
            world::settle();
            sim_assert!(work.runs() == 0, "it is frozen");
            rig.attachment().thaw();
            work.flush();
        }
        sim_assert!(work.runs() == 1);
        wq.destroy();
        work.free();
    });
}

/// BH07: a work freezes while its next instance is held behind it on a freezable queue: that wait is refused, and the
/// queue is cancelled empty and destroyed by another thread before it is said. The message follows no queue.
#[test]
fn a_refused_freeze_does_not_follow_the_queue() {
    rows_with_on(busy, NonReentrant, 1_000, |rig: &Rig| {
        rig.allow(&["BH07"]);
        let (home, frozen) = (Wq::ordered(), Wq::with(WQ_FREEZABLE | WQ_UNBOUND, 0));
        let attachment = rig.attachment();
        let (gate, thaws) = (Gate::new(), rig.attachment());
        let go = gate.clone();
        let work = Work::new(move |_, run| {
            if run == 1 {
                go.wait();
                attachment.freeze();
            }
        });
        sim_assert!(work.queue(home));
        work.wait_begun(1);
        sim_assert!(work.queue(frozen));
        world::settle();
        let others = [0, 0, 1, 1, 2, 2].map(|cpu| {
            world::spawn("other", Some(cpu), || {
                for _ in 0..1_500 {
                    preempt();
                }
            })
        });
        gate.open();
        let ender = world::spawn("ender", Some(3), move || {
            for _ in 0..world::choose(200) {
                preempt();
            }
            // SAFETY: alive.
            unsafe { cancel_work(work.work()) };
            frozen.destroy();
        });
        ender.join();
        others.into_iter().for_each(world::Thread::join);
        let seen = work.seen();
        support::wait_until(move || seen.inside() == 0);
        thaws.thaw();
        home.destroy();
        work.free();
    });
}
