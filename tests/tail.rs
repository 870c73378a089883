//! Rows of the calls beyond the first release: `cancel_work`, `work_busy`, `current_work`, `disable_work`
//! and its kin, `drain_workqueue`, `tasklet_disable_nosync`.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

use bottomhalf::linux::*;
use kmdf_mock::world::{self, Gate, Interrupt};
use kmdf_mock::{sim_assert, sim_assert_eq};
use support::{NonReentrant, Tasklet, Work, Wq, rows};

fn busy(work: Work) -> u32 {
    // SAFETY: the item is alive in every scenario.
    unsafe { work_busy(work.work()) }
}

fn cancel(work: Work) -> bool {
    // SAFETY: as in `busy`.
    unsafe { cancel_work(work.work()) }
}

fn disable(work: Work) -> bool {
    // SAFETY: as in `busy`.
    unsafe { disable_work(work.work()) }
}

fn enable(work: Work) -> bool {
    // SAFETY: as in `busy`.
    unsafe { enable_work(work.work()) }
}

fn drain(wq: Wq) {
    // SAFETY: the queue is alive in every scenario.
    unsafe { drain_workqueue(wq.0) };
}

/// W08: `cancel_work` of an idle work is false, of a queued one true, of a running one false, of one that
/// runs and is queued true; the queued instance never runs and the running one finishes.
#[test]
fn w08_cancel_by_state() {
    rows(|_| {
        let wq = Wq::ordered();
        let gate = Gate::new();
        let (blocker, work) = (Work::gated(&gate), Work::counting());
        sim_assert_eq!(cancel(work), false);
        sim_assert!(blocker.queue(wq));
        blocker.wait_begun(1);
        sim_assert!(work.queue(wq));
        sim_assert_eq!(cancel(work), true);
        sim_assert_eq!(cancel(blocker), false);
        sim_assert!(blocker.queue(wq));
        sim_assert_eq!(cancel(blocker), true);
        gate.open();
        wq.flush();
        sim_assert_eq!((work.runs(), blocker.runs()), (0, 1));
        wq.destroy();
        work.free();
        blocker.free();
    });
}

/// W02, W03, W06, W07: `work_busy` says pending, running, or both; inside its own function a work is not
/// pending until it queues itself, and `current_work` is it.
#[test]
fn w06_w07_busy_and_current_by_state() {
    rows(|_| {
        let wq = Wq::ordered();
        let gate = Gate::new();
        let blocker = Work::gated(&gate);
        let work = Work::new(move |this, run| {
            sim_assert_eq!(current_work(), this.work());
            sim_assert_eq!(world::current_irql(), 0);
            sim_assert_eq!((this.pending(), busy(this)), (false, WORK_BUSY_RUNNING));
            if run == 1 {
                sim_assert!(this.queue(wq));
                sim_assert_eq!(busy(this), WORK_BUSY_PENDING | WORK_BUSY_RUNNING);
            }
        });
        sim_assert!(current_work().is_null());
        sim_assert_eq!(busy(work), 0);
        sim_assert!(blocker.queue(wq));
        blocker.wait_begun(1);
        sim_assert!(work.queue(wq));
        sim_assert_eq!(
            (busy(work), busy(blocker)),
            (WORK_BUSY_PENDING, WORK_BUSY_RUNNING)
        );
        gate.open();
        wq.destroy();
        sim_assert_eq!((work.runs(), busy(work)), (2, 0));
        world::at_dispatch(|| sim_assert!(current_work().is_null()));
        work.free();
        blocker.free();
    });
}

/// W37: a disabled work refuses to be queued as often as it was disabled; enabling does not queue it.
#[test]
fn w37_disabled_works_refuse() {
    rows(|_| {
        let (wq, work) = (Wq::bound(), Work::counting());
        sim_assert_eq!(disable(work), false);
        sim_assert_eq!(work.queue(wq), false);
        sim_assert_eq!(disable(work), false);
        sim_assert_eq!(enable(work), false);
        sim_assert_eq!(work.queue(wq), false);
        sim_assert_eq!(enable(work), true);
        world::settle();
        sim_assert_eq!((work.runs(), work.pending()), (0, false));
        sim_assert!(work.queue(wq));
        wq.destroy();
        sim_assert_eq!(work.runs(), 1);
        work.free();
    });
}

/// W38: disabling a queued work takes it off; a cancel and a flush of it find nothing; enabling and
/// queueing it runs it once.
#[test]
fn w38_disable_takes_a_queued_work_off() {
    rows(|_| {
        let (wq, gate) = (Wq::ordered(), Gate::new());
        let (blocker, work) = (Work::gated(&gate), Work::counting());
        sim_assert!(blocker.queue(wq));
        blocker.wait_begun(1);
        sim_assert!(work.queue(wq));
        sim_assert_eq!(disable(work), true);
        sim_assert_eq!((work.cancel_sync(), work.flush()), (false, false));
        // SAFETY: both are alive.
        sim_assert!(unsafe { enable_and_queue_work(wq.0, work.work()) });
        gate.open();
        wq.destroy();
        sim_assert_eq!(work.runs(), 1);
        work.free();
        blocker.free();
    });
}

/// W39: an enable too many is reported (BH14) and says that the work can be queued.
#[test]
fn w39_an_enable_too_many_is_reported() {
    rows(|rig| {
        rig.expect(&["BH14"]);
        let work = Work::counting();
        sim_assert_eq!(enable(work), true);
        sim_assert!(work.schedule());
        sim_assert!(work.flush() || work.runs() == 1);
        work.free();
    });
}

/// D27: disabling an armed delayed work cancels it; queueing and modifying it are refused until it is
/// enabled, and it does not run.
#[test]
fn d27_a_disabled_delayed_work_is_not_armed() {
    rows(|_| {
        let (wq, work) = (Wq::bound(), Work::counting());
        sim_assert!(work.queue_delayed(wq, 100));
        // SAFETY: the item is alive.
        sim_assert_eq!(unsafe { disable_delayed_work(work.dwork()) }, true);
        sim_assert_eq!(
            (work.queue_delayed(wq, 1), work.modify(wq, 1)),
            (false, false)
        );
        sim_assert_eq!(
            (work.queue_delayed(wq, 0), work.modify(wq, 0)),
            (false, false)
        );
        // SAFETY: as above.
        sim_assert_eq!(unsafe { enable_delayed_work(work.dwork()) }, true);
        support::sleep_jiffies(200);
        sim_assert_eq!((work.runs(), work.pending()), (0, false));
        wq.destroy();
        work.free();
    });
}

/// `disable_work_sync` waits for the running instance, which cannot queue itself any more.
#[test]
fn a_synchronous_disable_waits() {
    rows(|_| {
        let (wq, gate) = (Wq::bound(), Gate::new());
        let work = Work::new({
            let gate = gate.clone();
            move |this, _| {
                gate.wait();
                sim_assert_eq!(this.queue(wq), false);
            }
        });
        sim_assert!(work.queue(wq));
        work.wait_begun(1);
        let disabler = world::spawn("disabler", None, move || {
            // SAFETY: the item is alive.
            sim_assert_eq!(unsafe { disable_work_sync(work.work()) }, false);
            sim_assert_eq!(work.seen().inside(), 0);
        });
        support::still_waits(&disabler);
        gate.open();
        disabler.join();
        sim_assert_eq!(enable(work), true);
        sim_assert_eq!(work.runs(), 1);
        wq.destroy();
        work.free();
    });
}

/// Q03: a drain waits for a work that queues itself five times more.
#[test]
fn q03_drain_runs_chains_to_their_end() {
    rows(|_| {
        let wq = Wq::bound();
        let work = Work::new(move |this, run| {
            if run <= 5 {
                sim_assert!(this.queue(wq));
            }
        });
        sim_assert!(work.queue(wq));
        drain(wq);
        sim_assert_eq!((work.runs(), work.pending()), (6, false));
        sim_assert!(work.queue(wq), "the queue is open again");
        wq.destroy();
        work.free();
    });
}

/// Q04: an outsider's work on a draining queue is refused and reported (BH02); Linux says true and leaves
/// it pending for ever, which is a listed deviation.
#[test]
fn q04_draining_refuses_outsiders() {
    rows(|rig| {
        rig.expect(&["BH02"]);
        let (wq, gate) = (Wq::bound(), Gate::new());
        let (blocker, outsider) = (Work::gated(&gate), Work::counting());
        sim_assert!(blocker.queue(wq));
        blocker.wait_begun(1);
        let drainer = world::spawn("drainer", None, move || drain(wq));
        support::still_waits(&drainer);
        sim_assert_eq!(outsider.queue(wq), false);
        sim_assert_eq!(outsider.pending(), false);
        gate.open();
        drainer.join();
        sim_assert!(outsider.queue(wq));
        wq.destroy();
        sim_assert_eq!(outsider.runs(), 1);
        blocker.free();
        outsider.free();
    });
}

/// Q04: an interrupt is an outsider too, also if it interrupts a worker of the queue (N-26); what the worker
/// itself queues while it holds a spin lock is the queue's own.
#[test]
fn q04_an_interrupt_over_a_worker_is_an_outsider() {
    rows(|rig| {
        rig.expect(&["BH02"]);
        let wq = Wq::bound();
        let (begun, over) = (Gate::new(), Arc::new(AtomicU32::new(0)));
        let (chained, outsider) = (Work::counting(), Work::counting());
        let spins = Work::new({
            let (begun, over) = (begun.clone(), Arc::clone(&over));
            move |_, _| {
                begun.open();
                support::spin_until(&over);
                sim_assert!(world::at_dispatch(|| chained.queue(wq)));
            }
        });
        let line = Interrupt::connect("outsider", 5, move || {
            sim_assert_eq!(outsider.queue(wq), false);
            over.store(1, SeqCst);
        });
        // SAFETY: item and queue are alive.
        sim_assert!(unsafe { queue_work_on(1, wq.0, spins.work()) });
        begun.wait();
        let drainer = world::spawn("drainer", Some(2), move || drain(wq));
        // Until the drain has begun an outsider is not refused.
        let probe = Work::counting();
        while probe.queue(wq) {
            cancel(probe);
            world::sleep_100ns(10);
        }
        line.raise(1);
        drainer.join();
        wq.destroy();
        sim_assert_eq!((chained.runs(), outsider.runs()), (1, 0));
    });
}

/// T17, T18: `tasklet_disable_nosync` returns while the tasklet runs, also inside its own callback; what
/// was scheduled meanwhile runs after the enable.
#[test]
fn t17_t18_disable_without_waiting() {
    rows(|_| {
        let tasklet = Tasklet::new(|this, run| {
            if run == 1 {
                // SAFETY: the tasklet is alive.
                unsafe { tasklet_disable_nosync(this.raw()) };
                this.schedule();
            }
        });
        tasklet.schedule();
        world::settle();
        sim_assert_eq!((tasklet.runs(), tasklet.count()), (1, 1));
        sim_assert_eq!(tasklet.state() & TASKLET_STATE_SCHED, TASKLET_STATE_SCHED);
        tasklet.enable();
        world::settle();
        sim_assert_eq!((tasklet.runs(), tasklet.state()), (2, 0));
        tasklet.kill();
        tasklet.free();
    });
}

/// W35: three producers and a canceller of one work: what was accepted and not cancelled ran.
#[test]
fn w35_producers_and_a_canceller() {
    support::rows_with(NonReentrant, 100, |_| {
        let (wq, work) = (Wq::bound(), Work::counting());
        let producers: Vec<_> = (0..3)
            .map(|cpu| {
                world::spawn("producer", Some(cpu), move || {
                    for _ in 0..20 {
                        work.queue(wq);
                    }
                })
            })
            .collect();
        let canceller = world::spawn("canceller", Some(3), move || {
            for _ in 0..20 {
                cancel(work);
            }
        });
        producers.into_iter().for_each(world::Thread::join);
        canceller.join();
        wq.flush();
        let counts = bottomhalf::counters();
        sim_assert_eq!(counts.accepted, counts.run + counts.cancelled);
        sim_assert_eq!(counts.run, u64::from(work.runs()));
        sim_assert!(work.seen().most_inside() <= 1);
        wq.destroy();
        work.free();
    });
}
