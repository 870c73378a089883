//! Each call in states that the tables of linux.md 4.2 do not have as columns: held by `max_active`, frozen,
//! due while frozen, in a drain, pinned behind another, armed and deferrable, disabled.

use bottomhalf::linux::*;
use kmdf_mock::world::{self, Gate, Thread};
use kmdf_mock::{sim_assert, sim_assert_eq};

use crate::support::{Rig, Work, Wq, rows, sleep_jiffies, still_waits};

/// Ways to be pending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Armed,
    Deferrable,
    Held,
    Pinned,
    Frozen,
    FrozenDue,
    Draining,
}

use State::*;
const STATES: [State; 7] = [Armed, Deferrable, Held, Pinned, Frozen, FrozenDue, Draining];

/// A work that is pending in one of the ways, and what to undo.
struct Scene<'a> {
    rig: &'a Rig,
    state: State,
    wq: Wq,
    work: Work,
    gate: Gate,
    drain: Option<Thread>,
}

impl<'a> Scene<'a> {
    fn new(rig: &'a Rig, state: State) -> Self {
        let gate = Gate::new();
        let work = Work::counting();
        let blocker = Work::gated(&gate);
        let wq = match state {
            Armed | Deferrable => Wq::bound(),
            Held => Wq::with(0, 1),
            Pinned => Wq::with(WQ_PERCPU, 1),
            Frozen | FrozenDue => Wq::with(WQ_FREEZABLE, 0),
            Draining => Wq::ordered(),
        };
        let mut drain = None;
        // SAFETY: the items live as long as the world.
        unsafe {
            match state {
                Armed => sim_assert!(work.queue_delayed(wq, 900)),
                Deferrable => {
                    work.init_deferrable();
                    sim_assert!(work.queue_delayed(wq, 900));
                }
                Held | Pinned => {
                    sim_assert!(queue_work_on(2, wq.0, blocker.work()));
                    blocker.wait_begun(1);
                    sim_assert!(queue_work_on(2, wq.0, work.work()));
                }
                Frozen | FrozenDue => {
                    rig.attachment().freeze();
                    let delay = if state == Frozen { 0 } else { 2 };
                    sim_assert!(work.queue_delayed(wq, delay));
                    sleep_jiffies(8);
                }
                Draining => {
                    sim_assert!(blocker.queue(wq) && work.queue(wq));
                    drain = Some(world::spawn("drain", None, move || crate::drain(wq)));
                    still_waits(drain.as_ref().unwrap());
                }
            }
        }
        sim_assert_eq!(work.runs(), 0, "{state:?}");
        Self {
            rig,
            state,
            wq,
            work,
            gate,
            drain,
        }
    }

    /// Lets everything go on, and checks how often the work has run then.
    fn end(self, runs: u32) {
        self.gate.open();
        if matches!(self.state, Frozen | FrozenDue) {
            self.rig.attachment().thaw();
        }
        if let Some(drain) = self.drain {
            drain.join();
        }
        self.work.flush_delayed();
        self.wq.flush();
        sim_assert_eq!(self.work.runs(), runs, "{:?}", self.state);
        sim_assert!(!self.work.pending());
        self.wq.destroy();
    }
}

/// Does `f` with a work in each of the states.
fn each(rig: &Rig, runs: u32, f: impl Fn(&Scene<'_>)) {
    for state in STATES {
        let scene = Scene::new(rig, state);
        f(&scene);
        scene.end(runs);
    }
}

/// W02, D04: a pending work refuses every way to queue it, whatever keeps it from running, and runs once.
#[test]
fn what_is_pending_is_refused_by_every_queueing() {
    rows(|rig| {
        each(rig, 1, |at| {
            let (wq, work) = (at.wq.0, at.work);
            // SAFETY: item and queue are alive.
            unsafe {
                sim_assert!(!queue_work(wq, work.work()), "{:?}", at.state);
                sim_assert!(!queue_work_on(1, wq, work.work()));
                sim_assert!(!schedule_work(work.work()));
                sim_assert!(!queue_delayed_work(wq, work.dwork(), 0));
                sim_assert!(!queue_delayed_work_on(3, wq, work.dwork(), 7));
                sim_assert!(!schedule_delayed_work(work.dwork(), 1));
                sim_assert!(work_pending(work.work()) && delayed_work_pending(work.dwork()));
                sim_assert_eq!(work_busy(work.work()), WORK_BUSY_PENDING);
                sim_assert_eq!(work_data_bits(work.work()) & WORK_STRUCT_PENDING, 1);
            }
        });
    });
}

/// A call that takes away what is pending, and whether it disables too.
type Cancel = (unsafe fn(*mut delayed_work) -> bool, bool);

/// The work of a delayed work.
fn plain(dwork: *mut delayed_work) -> *mut work_struct {
    dwork.cast()
}

// SAFETY: in each closure, by the word of who calls it.
const CANCELS: [Cancel; 8] = unsafe {
    [
        (cancel_delayed_work, false),
        (cancel_delayed_work_sync, false),
        (|dwork| cancel_work(plain(dwork)), false),
        (|dwork| cancel_work_sync(plain(dwork)), false),
        (disable_delayed_work, true),
        (disable_delayed_work_sync, true),
        (|dwork| disable_work(plain(dwork)), true),
        (|dwork| disable_work_sync(plain(dwork)), true),
    ]
};

/// W08, W09, D11, D12, W38: each cancel takes a pending work away and says so, once; it can be queued again at
/// once, elsewhere.
#[test]
fn every_cancel_takes_away_what_is_pending() {
    rows(|rig| {
        let (cancel, disables) = CANCELS[world::choose(8) as usize];
        each(rig, 1, |at| {
            let dwork = at.work.dwork();
            // SAFETY: item and queue are alive.
            unsafe {
                sim_assert!(cancel(dwork), "{:?}", at.state);
                sim_assert!(!at.work.pending());
                sim_assert!(!cancel(dwork));
                if disables {
                    sim_assert!(!at.work.schedule() && !at.work.modify(Wq::system(), 0));
                    sim_assert!(!at.work.flush() && !at.work.flush_delayed());
                    sim_assert!(!enable_delayed_work(dwork));
                    sim_assert!(enable_and_queue_work(system_wq(), at.work.work()));
                } else {
                    sim_assert!(at.work.schedule());
                }
                at.work.flush();
            }
            sim_assert_eq!(at.work.runs(), 1);
        });
    });
}

/// D06, D08, D25: `mod_delayed_work` takes a pending work to another queue, where it runs although its own stands
/// still; moved about five times it still runs once.
#[test]
fn mod_takes_what_is_pending_to_a_queue_that_moves() {
    rows(|rig| {
        each(rig, 1, |at| {
            let other = Wq::system();
            sim_assert!(at.work.modify(other, 50), "{:?}", at.state);
            sim_assert!(at.work.modify(other, 700));
            if at.state != Draining {
                let moved = world::run_on_cpu(2, || at.work.modify(at.wq, 0));
                sim_assert!(moved);
            }
            if !matches!(at.state, Armed | Deferrable) {
                sim_assert!(at.work.modify(other, 1));
                sleep_jiffies(8);
                sim_assert_eq!(at.work.runs(), 1);
                sim_assert!(!at.gate.is_open());
            }
        });
    });
}

/// W24, D16, D17: `flush_work` of an armed work is false at once; of one that cannot run it waits until it can and
/// is true; a cancel meanwhile ends the wait.
#[test]
fn flush_waits_for_what_cannot_run_until_it_runs_or_is_cancelled() {
    rows(|rig| {
        let cancels = world::choose(2) == 1;
        each(rig, u32::from(!cancels), |at| {
            let work = at.work;
            let armed = matches!(at.state, Armed | Deferrable);
            if armed {
                sim_assert!(!work.flush());
                if cancels {
                    sim_assert!(work.cancel_delayed());
                }
                return;
            }
            let flusher = world::spawn("flush", None, move || {
                work.flush();
                sim_assert!(!work.pending());
            });
            still_waits(&flusher);
            if cancels {
                sim_assert!(work.cancel_delayed());
                flusher.join();
            }
        });
    });
}

/// W37, D27, D13: a disabled work answers every call with false, and nothing is left when it is enabled; one that is
/// disabled in its own run finishes it, and cannot queue itself.
#[test]
fn a_disabled_work_does_nothing_whatever_is_asked() {
    rows(|_| {
        let gate = Gate::new();
        let inner = gate.clone();
        let work = Work::new(move |me, run| {
            if run == 1 {
                inner.wait();
                sim_assert!(!me.schedule() && !me.schedule_delayed(3));
                sim_assert!(!me.modify(Wq::system(), 3));
            }
        });
        sim_assert!(work.schedule());
        work.wait_begun(1);
        let wq = Wq::with(WQ_PERCPU | WQ_HIGHPRI, 2);
        // SAFETY: item and queue are alive.
        unsafe {
            sim_assert!(!disable_work(work.work()));
            let waits = world::spawn("disable", None, move || {
                sim_assert!(!disable_delayed_work_sync(work.dwork()));
                sim_assert_eq!(work.seen().ended(), 1);
            });
            still_waits(&waits);
            sim_assert_eq!(work_busy(work.work()), WORK_BUSY_RUNNING);
            sim_assert!(!queue_work_on(1, wq.0, work.work()) && !work.queue_delayed(wq, 4));
            sim_assert!(!mod_delayed_work_on(1, wq.0, work.dwork(), 4));
            sim_assert!(!work.cancel_delayed() && !cancel_work(work.work()));
            gate.open();
            waits.join();
            sim_assert!(!work.pending() && !delayed_work_pending(work.dwork()));
            sim_assert_eq!(work_busy(work.work()), 0);
            sim_assert!(!enable_and_queue_work(wq.0, work.work()));
            sleep_jiffies(10);
            sim_assert_eq!(work.runs(), 1);
            sim_assert!(enable_delayed_work(work.dwork()));
            sim_assert!(!work.pending() && work.queue(wq));
        }
        wq.destroy();
        sim_assert_eq!(work.runs(), 2);
    });
}
