//! Answers that differed from Linux's, found by asking Linux the same.

mod support;

use bottomhalf::linux::{WQ_BH, current_work, disable_work, enable_and_queue_work};
use kmdf_mock::world::{self, Gate};
use kmdf_mock::{sim_assert, sim_assert_eq};

use support::{Work, Wq, rows};

/// W38: `enable_and_queue_work` says whether the work can be queued again, also when somebody else queues it in
/// between.
#[test]
fn an_enable_that_somebody_overtakes_is_still_one() {
    rows(|_| {
        let (wq, gate) = (Wq::ordered(), Gate::new());
        let (blocker, work) = (Work::gated(&gate), Work::counting());
        sim_assert!(blocker.queue(wq));
        blocker.wait_begun(1);
        // SAFETY: item and queue are alive until the threads are joined.
        unsafe {
            sim_assert!(!disable_work(work.work()));
            let other = world::spawn("other", None, move || {
                // Until the enable lets it in, or its own queueing has come first.
                while !work.pending() {
                    work.queue(wq);
                    kmdf_mock::sync::preempt();
                }
            });
            sim_assert!(enable_and_queue_work(wq.0, work.work()));
            other.join();
        }
        gate.open();
        wq.destroy();
        sim_assert_eq!(work.runs(), 1);
        work.free();
        blocker.free();
    });
}

/// W06, Q22: a work of a `WQ_BH` queue is nobody's `current_work`, nor is the work that it interrupts.
#[test]
fn a_bottom_half_has_no_current_work() {
    rows(|_| {
        let (wq, bh) = (Wq::bound(), Wq::with(WQ_BH, 0));
        let bottom = Work::new(|_, _| sim_assert!(current_work().is_null()));
        let work = Work::new(move |this, _| {
            sim_assert_eq!(current_work(), this.work());
            sim_assert!(bottom.queue(bh));
            bottom.flush();
            sim_assert_eq!(current_work(), this.work());
        });
        sim_assert!(work.queue(wq));
        wq.destroy();
        bh.destroy();
        sim_assert_eq!((work.runs(), bottom.runs()), (1, 1));
        work.free();
        bottom.free();
    });
}
