//! Freezing and thawing by two threads at once.

mod support;

use bottomhalf::linux::WQ_FREEZABLE;
use kmdf_mock::sim_assert;
use kmdf_mock::sync::preempt;
use kmdf_mock::world::{self, Preemption, Sim};
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
