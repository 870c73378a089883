//! Delayed works of `WQ_BH` queues, cancelled at DISPATCH_LEVEL.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

use bottomhalf::linux::*;
use kmdf_mock::world::{self, Preemption, Sim};
use kmdf_mock::{sim_assert, sim_assert_eq};
use support::{NonReentrant, Rig, Work, Wq, machine, rows_with_on, spin_until};

fn busy(seed: u64) -> Sim {
    machine(seed).preemption(Preemption::Always)
}

/// D14, W10: a delayed work of a `WQ_BH` queue arms itself again and runs on. A synchronous cancel at DISPATCH_LEVEL
/// takes the timer back and spins until the run on the other CPU is over, as Linux's does: that the work was on
/// such a queue last is known while it is armed too.
#[test]
fn cancel_sync_spins_for_a_work_that_has_armed_itself() {
    rows_with_on(busy, NonReentrant, 100, |_: &Rig| {
        let wq = Wq(alloc_workqueue(c"bh", WQ_BH, 0));
        let flag = Arc::new(AtomicU32::new(0));
        let gate = Arc::clone(&flag);
        let work = Work::new(move |this, run| {
            if run == 1 {
                sim_assert!(this.queue_delayed(wq, 1000));
                spin_until(&gate);
            }
        });
        let starter = world::spawn("starter", Some(1), move || {
            sim_assert!(work.queue(wq));
        });
        work.wait_begun(1);
        let opener = world::spawn("opener", Some(3), move || {
            world::sleep_100ns(3_000);
            flag.store(1, SeqCst);
        });
        world::run_on_cpu(2, || {
            world::at_dispatch(|| {
                while !work.pending() {
                    kmdf_mock::sync::preempt();
                }
                sim_assert!(work.cancel_delayed_sync());
                sim_assert_eq!(work.seen().inside(), 0);
            });
        });
        opener.join();
        starter.join();
        sim_assert_eq!(work.runs(), 1);
        wq.destroy();
        work.free();
    });
}
