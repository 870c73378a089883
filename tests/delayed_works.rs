//! Rows D of facts/linux: delayed works. What is left out needs calls that do not exist yet
//! (`queue_delayed_work_on`, `disable_delayed_work`, `rcu_work`). The return values by state are in
//! `delayed_works/table.rs`.

#[path = "delayed_works/table.rs"]
mod table;

mod support;

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex};

use bottomhalf::counters;
use bottomhalf::linux::*;
use kmdf_mock::world::{self, Gate, Interrupt};
use kmdf_mock::{sim_assert, sim_assert_eq};
use support::{
    NonReentrant, Rig, SelfReentrant, Trace, Work, Wq, coarse, machine, punctual, rows, rows_on,
    rows_with, sleep_jiffies, still_waits, wait_until,
};

/// A jiffy in 100 ns.
const JIFFY: u64 = 10_000_000 / HZ;
/// A delay that no scenario waits for.
const LONG: u64 = 100_000;

/// The jiffy and the time at which each run began.
#[derive(Clone, Default)]
struct Stamps(Arc<Mutex<Vec<(u64, u64)>>>);

impl Stamps {
    /// A work that stamps its runs.
    fn work(&self) -> Work {
        let stamps = self.clone();
        Work::new(move |_, _| stamps.add())
    }
    fn add(&self) {
        let stamp = (jiffies(), world::now_100ns());
        self.0.lock().unwrap().push(stamp);
    }
    /// Jiffy and time of every run so far.
    fn all(&self) -> Vec<(u64, u64)> {
        self.0.lock().unwrap().clone()
    }
    /// Those of run `index`, from 0, once it has stamped: a run counts as begun a moment before.
    fn run(&self, index: usize) -> (u64, u64) {
        wait_until(|| self.all().len() > index);
        self.all()[index]
    }
    /// Jiffy of run `index`.
    fn jiffy(&self, index: usize) -> u64 {
        self.run(index).0
    }
    /// Time of run `index`.
    fn time(&self, index: usize) -> u64 {
        self.run(index).1
    }
}

/// The queues on which a work that is queued while it runs waits behind itself: an ordered one, and
/// without self-reentrance any.
fn serial_queues(rig: &Rig) -> Vec<Wq> {
    match rig.reentrance {
        SelfReentrant => vec![Wq::ordered()],
        NonReentrant => vec![Wq::ordered(), Wq::bound()],
    }
}

/// An ordered queue with a work on it that waits for `gate`.
fn blocked_queue(gate: &Gate) -> (Wq, Work) {
    let (wq, blocker) = (Wq::ordered(), Work::gated(gate));
    sim_assert!(blocker.queue(wq));
    blocker.wait_begun(1);
    (wq, blocker)
}

/// A work whose first run waits for `gate`, and which does so now on `wq`.
fn running(gate: &Gate, wq: Wq) -> Work {
    let gate = gate.clone();
    let work = Work::new(move |_, run| {
        if run == 1 {
            gate.wait();
        }
    });
    sim_assert!(work.queue(wq));
    work.wait_begun(1);
    work
}

fn free(works: impl IntoIterator<Item = Work>) {
    works.into_iter().for_each(Work::free);
}

/// D01: a work that is armed for `d` jiffies runs in the jiffy after `jiffies + d`: more than `d` jiffies
/// have passed, and at most `d + 1`.
#[test]
fn d01_a_short_delay_ends_in_the_jiffy_after_it() {
    rows_on(punctual, 50, |_| {
        for delay in [1, 2, 3, 10, 62] {
            let stamps = Stamps::default();
            let work = stamps.work();
            let before = jiffies();
            sim_assert!(work.queue_delayed(Wq::system(), delay));
            let expires = work.expires();
            sim_assert!((before + delay..=jiffies() + delay).contains(&expires));
            work.wait_begun(1);
            sim_assert_eq!(stamps.jiffy(0), expires + 1, "delay {delay}");
            Wq::system().flush();
            work.free();
        }
    });
}

/// D02: with a longer delay Linux is late by up to a granule of its timer wheel (8 jiffies from 63, 64
/// from 504); ours is within that, and never early.
#[test]
fn d02_a_longer_delay_ends_within_its_granule() {
    rows_on(punctual, 50, |_| {
        for (delay, granule) in [(63, 8), (64, 8), (100, 8), (503, 8), (504, 64), (505, 64)] {
            let stamps = Stamps::default();
            let work = stamps.work();
            sim_assert!(work.queue_delayed(Wq::system(), delay));
            let expires = work.expires();
            work.wait_begun(1);
            let late = stamps.jiffy(0) - expires;
            sim_assert!((1..=granule).contains(&late), "delay {delay}: {late} late");
            Wq::system().flush();
            work.free();
        }
    });
}

/// D01, D02, D05, D06 on machines whose timers are up to a tick late, and on machines whose tick is longer
/// than a jiffy (T-30): the delay has passed by the precise clock, whenever in the tick it began.
#[test]
fn d01_d02_never_before_the_delay_whatever_the_tick() {
    for machine in [machine, coarse] {
        rows_on(machine, 50, |_| {
            for delay in [1, 2, 3, 4, 10, 62, 63, 505] {
                world::sleep_100ns(u64::from(world::choose(156_250)));
                let stamps = Stamps::default();
                let (work, moved) = (stamps.work(), stamps.work());
                sim_assert!(!moved.modify(Wq::system(), LONG));
                let before = world::now_100ns();
                sim_assert!(work.queue_delayed(Wq::system(), delay));
                sim_assert!(moved.modify(Wq::system(), delay));
                let expires = work.expires();
                work.wait_begun(1);
                moved.wait_begun(1);
                for run in 0..2 {
                    let elapsed = stamps.time(run) - before;
                    sim_assert!(elapsed >= delay * JIFFY, "{elapsed} for {delay} jiffies");
                    sim_assert!(stamps.jiffy(run) > expires);
                }
                Wq::system().flush();
                free([work, moved]);
            }
        });
    }
}

/// D03: a delay of zero uses no timer: the work is queued at once, and is pending behind what blocks its
/// queue.
#[test]
fn d03_a_delay_of_zero_is_queued_at_once() {
    rows(|_| {
        let gate = Gate::new();
        let (wq, blocker) = blocked_queue(&gate);
        let work = Work::counting();
        let starts = world::counters().timer_starts;
        sim_assert!(work.queue_delayed(wq, 0));
        sim_assert!(work.pending());
        sim_assert!(!work.queue_delayed(wq, 5));
        sim_assert_eq!(world::counters().timer_starts, starts, "no timer is armed");
        gate.open();
        wq.flush();
        sim_assert_eq!(work.seen().ended(), 1);
        wq.destroy();
        free([blocker, work]);
    });
}

/// D04: while the timer is armed neither a shorter delay nor `queue_work` changes anything.
#[test]
fn d04_an_armed_timer_is_left_as_it_is() {
    rows(|_| {
        let wq = Wq::bound();
        let stamps = Stamps::default();
        let work = stamps.work();
        sim_assert!(work.queue_delayed(wq, 50));
        let expires = work.expires();
        sim_assert!(!work.queue_delayed(wq, 5));
        sim_assert_eq!(work.expires(), expires);
        sim_assert!(!work.queue(wq));
        work.wait_begun(1);
        sim_assert!(stamps.jiffy(0) > expires);
        sleep_jiffies(60);
        sim_assert_eq!(work.runs(), 1);
        wq.destroy();
        work.free();
    });
}

/// D05: modifying an idle work says that it was not pending, and arms it.
#[test]
fn d05_modifying_an_idle_work_arms_it() {
    rows_on(punctual, 50, |_| {
        let stamps = Stamps::default();
        let work = stamps.work();
        sim_assert!(!work.modify(Wq::system(), 3));
        sim_assert!(work.pending());
        let expires = work.expires();
        work.wait_begun(1);
        sim_assert_eq!(stamps.jiffy(0), expires + 1);
        sleep_jiffies(10);
        sim_assert_eq!(work.runs(), 1);
        work.free();
    });
}

/// D06: modifying an armed work sets its timer anew, to earlier and to later; with a delay of zero it runs
/// now, once.
#[test]
fn d06_modifying_an_armed_work_sets_it_anew() {
    rows_on(punctual, 50, |_| {
        let (wq, stamps) = (Wq::bound(), Stamps::default());
        let (now, soon) = (Work::counting(), stamps.work());
        for work in [now, soon] {
            sim_assert!(work.queue_delayed(wq, 100));
            let expires = work.expires();
            sim_assert!(work.modify(wq, 200));
            sim_assert!(work.expires() >= expires + 100);
        }
        let before = jiffies();
        sim_assert!(now.modify(wq, 0));
        now.wait_begun(1);
        sim_assert!(jiffies() <= before + 1, "it runs now");
        sim_assert!(soon.modify(wq, 7));
        let expires = soon.expires();
        soon.wait_begun(1);
        sim_assert_eq!(stamps.jiffy(0), expires + 1);
        sleep_jiffies(300);
        sim_assert_eq!((now.runs(), soon.runs()), (1, 1));
        wq.destroy();
        free([now, soon]);
    });
}

/// D07: modifying a work that is queued takes it off its queue and arms the timer.
#[test]
fn d07_modifying_a_queued_work_takes_it_off_its_queue() {
    rows(|_| {
        let gate = Gate::new();
        let (wq, blocker) = blocked_queue(&gate);
        let work = Work::counting();
        sim_assert!(work.queue(wq));
        sim_assert!(work.modify(wq, LONG));
        gate.open();
        wq.flush();
        sim_assert_eq!(work.runs(), 0);
        sim_assert!(work.pending(), "its timer is armed");
        sim_assert!(work.cancel_delayed());
        wq.destroy();
        free([blocker, work]);
    });
}

/// D08: modifying a queued work with a delay of zero moves it to the end of its queue.
#[test]
fn d08_modifying_with_zero_moves_to_the_tail() {
    rows(|_| {
        let gate = Gate::new();
        let (wq, blocker) = blocked_queue(&gate);
        let trace = Trace::default();
        let [a, c] = ['A', 'C'].map(|letter| {
            let trace = trace.clone();
            Work::new(move |_, _| trace.add(letter))
        });
        sim_assert!(a.queue(wq));
        sim_assert!(c.queue(wq));
        sim_assert!(a.modify(wq, 0));
        gate.open();
        wq.flush();
        sim_assert_eq!(trace.get(), "CA");
        wq.destroy();
        free([blocker, a, c]);
    });
}

/// D09: inside its own function a work is not pending: modifying says false, queueing says true, and
/// either makes it run once more.
#[test]
fn d09_modify_and_queue_from_inside() {
    rows(|_| {
        let wq = Wq::bound();
        let modified = Work::new(move |this, run| {
            if run == 1 {
                sim_assert!(!this.modify(wq, 1));
                sim_assert!(this.pending());
            }
        });
        let queued = Work::new(move |this, run| {
            if run == 1 {
                sim_assert!(this.queue_delayed(wq, 1));
                sim_assert!(this.pending());
            }
        });
        for work in [modified, queued] {
            sim_assert!(work.queue(wq));
            work.wait_begun(2);
        }
        sleep_jiffies(10);
        sim_assert_eq!((modified.runs(), queued.runs()), (2, 2));
        wq.destroy();
        free([modified, queued]);
    });
}

/// D10: a work that runs and is queued behind itself is taken off its queue and armed; cancelled then, it
/// has run once. SelfReentrant: on an ordered queue, since on another one the second run begins at once.
#[test]
fn d10_modifying_a_work_that_runs_and_is_queued() {
    rows(|rig| {
        for wq in serial_queues(rig) {
            let gate = Gate::new();
            let work = running(&gate, wq);
            sim_assert!(work.queue(wq));
            world::settle();
            sim_assert_eq!(work.runs(), 1);
            sim_assert!(work.modify(wq, LONG));
            gate.open();
            wq.flush();
            sim_assert!(work.pending(), "its timer is armed");
            sim_assert!(work.cancel_delayed());
            sim_assert_eq!(work.seen().ended(), 1);
            wq.destroy();
            work.free();
        }
    });
}

/// D11: `cancel_delayed_work` of a work that is idle, armed, queued, running, running and armed: it says
/// whether the work was pending, and leaves a running instance alone.
#[test]
fn d11_cancel_by_state() {
    rows(|_| {
        let wq = Wq::bound();
        let gate = Gate::new();
        let (blocked, blocker) = blocked_queue(&gate);
        let [idle, armed, queued] = [0; 3].map(|_| Work::counting());
        let (runs, both) = (running(&gate, wq), running(&gate, wq));
        sim_assert!(armed.queue_delayed(wq, 3));
        sim_assert!(queued.queue(blocked));
        sim_assert!(both.queue_delayed(wq, 3));
        let works = [idle, armed, queued, runs, both];
        sim_assert_eq!(
            works.map(Work::cancel_delayed),
            [false, true, true, false, true]
        );
        sim_assert_eq!(works.map(Work::pending), [false; 5]);
        sim_assert_eq!(runs.seen().inside(), 1, "the running instance goes on");
        gate.open();
        sleep_jiffies(10);
        sim_assert_eq!(works.map(Work::runs), [0, 0, 0, 1, 1]);
        wq.destroy();
        blocked.destroy();
        free(works.into_iter().chain([blocker]));
    });
}

/// D12: `cancel_delayed_work_sync` by state: it says whether the work was pending, and returns only when
/// no instance runs (B-26).
#[test]
fn d12_cancel_sync_by_state() {
    rows(|_| {
        let wq = Wq::bound();
        let (gate, block) = (Gate::new(), Gate::new());
        let (blocked, blocker) = blocked_queue(&block);
        let [idle, armed, queued] = [0; 3].map(|_| Work::counting());
        let (runs, both) = (running(&gate, wq), running(&gate, wq));
        sim_assert!(armed.queue_delayed(wq, 3));
        sim_assert!(queued.queue(blocked));
        sim_assert!(both.queue_delayed(wq, 3));
        sim_assert_eq!(
            [idle, armed, queued].map(Work::cancel_delayed_sync),
            [false, true, true]
        );
        let cancels = [(runs, false), (both, true)].map(|(work, answer)| {
            world::spawn("canceller", None, move || {
                sim_assert_eq!(work.cancel_delayed_sync(), answer);
                sim_assert_eq!(work.seen().inside(), 0, "it returned too early");
            })
        });
        cancels.iter().for_each(still_waits);
        gate.open();
        cancels.into_iter().for_each(world::Thread::join);
        block.open();
        sleep_jiffies(10);
        let works = [idle, armed, queued, runs, both];
        sim_assert_eq!(works.map(Work::runs), [0, 0, 0, 1, 1]);
        wq.destroy();
        blocked.destroy();
        free(works.into_iter().chain([blocker]));
    });
}

/// D13, as of 6.10: while a work is cancelled with `_sync` neither queueing nor modifying does anything,
/// and both say false. Afterwards it can be queued again.
#[test]
fn d13_nothing_is_armed_during_a_cancel_sync() {
    rows(|_| {
        let wq = Wq::bound();
        let gate = Gate::new();
        let work = running(&gate, wq);
        let cancel = world::spawn("canceller", None, move || {
            sim_assert!(!work.cancel_delayed_sync());
        });
        still_waits(&cancel);
        let starts = world::counters().timer_starts;
        sim_assert!(!work.queue_delayed(wq, 1));
        sim_assert!(!work.queue_delayed(wq, 0));
        sim_assert!(!work.modify(wq, 1));
        sim_assert!(!work.modify(wq, 0));
        sim_assert!(!work.pending());
        sim_assert_eq!(world::counters().timer_starts, starts, "no timer is armed");
        gate.open();
        cancel.join();
        sleep_jiffies(10);
        sim_assert_eq!(work.runs(), 1);
        sim_assert!(work.queue_delayed(wq, 1));
        work.wait_begun(2);
        wq.destroy();
        work.free();
    });
}

/// D14: a work that arms itself again for the next jiffy is stopped, and no run is left when the cancel
/// returns (B-09, B-69).
#[test]
fn d14_cancel_sync_stops_a_work_that_arms_itself() {
    rows(|_| {
        let wq = Wq::bound();
        let work = Work::new(move |this, _| {
            this.queue_delayed(wq, 1);
        });
        sim_assert!(work.queue_delayed(wq, 1));
        work.wait_begun(1 + world::choose(3));
        world::sleep_100ns(u64::from(world::choose(2 * JIFFY as u32)));
        work.cancel_delayed_sync();
        sim_assert_eq!(work.seen().inside(), 0);
        sim_assert!(!work.pending());
        let runs = work.runs();
        sleep_jiffies(10);
        sim_assert_eq!(work.runs(), runs);
        wq.destroy();
        work.free();
    });
}

/// D15: `flush_delayed_work` does nothing for an idle work, runs an armed one now, and of one that runs and
/// is armed waits for both runs. SelfReentrant: the two runs may overlap.
#[test]
fn d15_flush_delayed_by_state() {
    rows(|_| {
        let wq = Wq::bound();
        let gate = Gate::new();
        let (idle, armed) = (Work::counting(), Work::counting());
        sim_assert!(!idle.flush_delayed());
        sim_assert!(armed.queue_delayed(wq, LONG));
        let before = jiffies();
        armed.flush_delayed();
        sim_assert_eq!(armed.seen().ended(), 1);
        sim_assert!(!armed.pending());
        sim_assert!(jiffies() < before + LONG);

        let both = running(&gate, wq);
        sim_assert!(both.queue_delayed(wq, LONG));
        let flush = world::spawn("flush", None, move || {
            sim_assert!(both.flush_delayed());
            sim_assert_eq!(both.seen().ended(), 2);
        });
        still_waits(&flush);
        gate.open();
        flush.join();
        sim_assert!(!both.pending(), "the timer is gone");
        sim_assert!(jiffies() < before + LONG);
        wq.destroy();
        free([idle, armed, both]);
    });
}

/// D15 (B-08): whenever in the life of an armed work the flush comes, the work has run when it returns.
#[test]
fn d15_after_flush_delayed_the_work_has_run() {
    for reentrance in [SelfReentrant, NonReentrant] {
        rows_with(reentrance, 200, |_| {
            let wq = Wq::bound();
            let work = Work::counting();
            for round in 1..=10 {
                sim_assert!(work.queue_delayed(wq, 1));
                world::sleep_100ns(u64::from(world::choose(3 * JIFFY as u32)));
                work.flush_delayed();
                sim_assert_eq!(work.seen().ended(), round);
            }
            wq.destroy();
            work.free();
        });
    }
}

/// D16: flushing an armed work whose queue is blocked takes it from the timer to the queue at once, and
/// waits.
#[test]
fn d16_flush_delayed_waits_for_a_blocked_queue() {
    rows(|_| {
        let gate = Gate::new();
        let (wq, blocker) = blocked_queue(&gate);
        let work = Work::counting();
        sim_assert!(work.queue_delayed(wq, LONG));
        let expires = work.expires();
        let flush = world::spawn("flush", None, move || sim_assert!(work.flush_delayed()));
        still_waits(&flush);
        sim_assert!(work.pending());
        gate.open();
        flush.join();
        sim_assert_eq!(work.seen().ended(), 1);
        sim_assert!(jiffies() < expires, "the timer is gone");
        wq.destroy();
        free([blocker, work]);
    });
}

/// D17: an armed timer is nothing that `flush_work` or `flush_workqueue` waits for.
#[test]
fn d17_flushes_do_not_see_an_armed_timer() {
    rows(|_| {
        let wq = Wq::bound();
        let work = Work::counting();
        sim_assert!(work.queue_delayed(wq, LONG));
        sim_assert!(!work.flush());
        wq.flush();
        sim_assert_eq!(work.runs(), 0);
        sim_assert!(work.cancel_delayed());
        wq.destroy();
        work.free();
    });
}

/// D18: a timer that expires while the work runs queues it behind itself: it is pending and running, and
/// runs once more afterwards. SelfReentrant: on an ordered queue only; on another one the second run
/// begins at once.
#[test]
fn d18_the_timer_expires_while_the_work_runs() {
    rows(|rig| {
        for (wq, ordered) in [(Wq::bound(), false), (Wq::ordered(), true)] {
            let overlaps = !ordered && rig.reentrance == SelfReentrant;
            let gate = Gate::new();
            let work = running(&gate, wq);
            sim_assert!(work.queue_delayed(wq, 3));
            sleep_jiffies(10);
            sim_assert_eq!(work.pending(), !overlaps);
            sim_assert_eq!(work.runs(), if overlaps { 2 } else { 1 });
            gate.open();
            wq.flush();
            sim_assert_eq!(work.seen().ended(), 2);
            sim_assert!(overlaps || work.seen().most_inside() == 1);
            wq.destroy();
            work.free();
        }
    });
}

/// D20: works with equal delays all run, once, in their jiffy; the order is nobody's business.
#[test]
fn d20_equal_delays_all_run() {
    rows_on(punctual, 50, |_| {
        let wq = Wq::bound();
        let stamps = [0; 3].map(|_| Stamps::default());
        let works = stamps.clone().map(|stamps| stamps.work());
        world::run_on_cpu(1, || {
            works.map(|work| sim_assert!(work.queue_delayed(wq, 4)))
        });
        let expires = works.map(Work::expires);
        sleep_jiffies(20);
        for (stamps, expires) in stamps.iter().zip(expires) {
            sim_assert_eq!(stamps.jiffy(0), expires + 1);
        }
        sim_assert_eq!(works.map(Work::runs), [1; 3]);
        wq.destroy();
        free(works);
    });
}

/// D21: what is armed later for an earlier time runs earlier.
#[test]
fn d21_the_earlier_expiry_runs_first() {
    rows(|_| {
        let wq = Wq::bound();
        let trace = Trace::default();
        let [a, b] = ['A', 'B'].map(|letter| {
            let trace = trace.clone();
            Work::new(move |_, _| trace.add(letter))
        });
        world::run_on_cpu(1, || {
            sim_assert!(a.queue_delayed(wq, 20));
            sim_assert!(b.queue_delayed(wq, 5));
        });
        a.wait_begun(1);
        wq.flush();
        sim_assert_eq!(trace.get(), "BA");
        wq.destroy();
        free([a, b]);
    });
}

/// D22: a delay with the sign bit lies in the past: the work runs with the next tick.
#[test]
fn d22_a_delay_in_the_past_ends_with_the_next_tick() {
    rows_on(punctual, 50, |_| {
        for delay in [u64::MAX, u64::MAX - 100, 1 << 63] {
            let stamps = Stamps::default();
            let work = stamps.work();
            sim_assert!(work.queue_delayed(Wq::system(), delay));
            let armed_at = work.expires().wrapping_sub(delay);
            work.wait_begun(1);
            sim_assert_eq!(stamps.jiffy(0), armed_at + 1);
            Wq::system().flush();
            work.free();
        }
    });
}

/// D23: `cancel_work_sync` on the work of an armed delayed work cancels it and says true. Linux waits for
/// the timer first; ours does not.
#[test]
fn d23_cancel_work_sync_cancels_an_armed_timer_at_once() {
    rows(|_| {
        let work = Work::counting();
        sim_assert!(work.queue_delayed(Wq::system(), 20));
        let before = world::now_100ns();
        sim_assert!(work.cancel_sync());
        sim_assert!(world::now_100ns() - before < JIFFY);
        sim_assert!(!work.pending());
        sleep_jiffies(30);
        sim_assert_eq!(work.runs(), 0);
        work.free();
    });
}

/// D24: an interrupt cancels an armed work (true), modifies an idle one (false) and arms another (true);
/// those two run once, later, at PASSIVE_LEVEL.
#[test]
fn d24_cancel_modify_and_queue_from_an_interrupt() {
    rows(|_| {
        let wq = Wq::bound();
        let [cancelled, modified, armed, queued] = [0; 4].map(|_| Work::counting());
        sim_assert!(cancelled.queue_delayed(wq, 2));
        let isr = Interrupt::connect("device", 7, move || {
            sim_assert!(cancelled.cancel_delayed());
            sim_assert!(!modified.modify(wq, 2));
            sim_assert!(armed.queue_delayed(wq, 2));
            sim_assert!(queued.queue_delayed(wq, 0));
            for work in [modified, armed, queued] {
                sim_assert!(work.pending());
                sim_assert_eq!(work.runs(), 0, "nothing runs inside the interrupt");
            }
        });
        isr.raise(2);
        wait_until(|| isr.is_idle());
        let works = [cancelled, modified, armed, queued];
        sleep_jiffies(10);
        sim_assert_eq!(works.map(Work::runs), [0, 1, 1, 1]);
        sim_assert_eq!(modified.seen().irql(0), 0);
        wq.destroy();
        free(works);
    });
}

/// D25: modifying with another queue moves the work there, from the timer and from a blocked queue.
#[test]
fn d25_modifying_moves_to_another_queue() {
    rows(|_| {
        let gate = Gate::new();
        let (blocked, blocker) = blocked_queue(&gate);
        let (other, other_gate) = (Wq::ordered(), Gate::new());
        let (armed, queued) = (Work::counting(), Work::gated(&other_gate));
        sim_assert!(armed.queue_delayed(blocked, LONG));
        sim_assert!(queued.queue(blocked));
        sim_assert!(armed.modify(other, 2));
        armed.wait_begun(1);
        sim_assert!(queued.modify(other, 0));
        queued.wait_begun(1);
        sim_assert_eq!(
            blocker.seen().inside(),
            1,
            "its first queue is still blocked"
        );
        let flush = world::spawn("flush", None, move || other.flush());
        still_waits(&flush);
        other_gate.open();
        flush.join();
        gate.open();
        blocked.destroy();
        other.destroy();
        sim_assert_eq!((armed.runs(), queued.runs()), (1, 1));
        free([blocker, armed, queued]);
    });
}

/// D26: waiting for zeroed memory is diagnosed, says false, and harms nothing.
#[test]
fn d26_a_zeroed_delayed_work_is_diagnosed() {
    rows(|rig| {
        rig.expect(&["BH05"]);
        let zeroed = world::pool::alloc(delayed_work::new());
        // SAFETY: zeroed memory is what is tested; it is freed once.
        unsafe {
            sim_assert!(!cancel_delayed_work_sync(zeroed));
            sim_assert!(!cancel_delayed_work(zeroed));
            sim_assert!(!flush_delayed_work(zeroed));
            sim_assert!(!delayed_work_pending(zeroed));
            world::pool::free(zeroed);
        }
        let reports = world::debug_log();
        let reports = reports.iter().filter(|line| line.contains("BH05"));
        sim_assert_eq!(reports.count(), 2, "both calls that wait say so");
    });
}

/// D28: once cancelled, a work can be queued on another queue.
#[test]
fn d28_cancelled_and_queued_elsewhere() {
    rows(|_| {
        let (one, two) = (Wq::bound(), Wq::ordered());
        let work = Work::counting();
        sim_assert!(work.queue_delayed(one, LONG));
        sim_assert!(work.cancel_delayed());
        sim_assert!(work.queue_delayed(two, 2));
        one.destroy();
        work.wait_begun(1);
        sleep_jiffies(10);
        sim_assert_eq!(work.runs(), 1);
        two.destroy();
        work.free();
    });
}

/// What the callers of one work were told, so that the books can be closed.
#[derive(Default)]
struct Books {
    accepted: AtomicU32,
    cancelled: AtomicU32,
}

impl Books {
    fn queue(&self, work: Work, wq: Wq, delay: u64) {
        let accepted = work.queue_delayed(wq, delay);
        self.accepted.fetch_add(accepted.into(), SeqCst);
    }

    fn modify(&self, work: Work, wq: Wq, delay: u64) {
        let was_pending = work.modify(wq, delay);
        self.accepted.fetch_add((!was_pending).into(), SeqCst);
    }

    fn cancel(&self, work: Work) {
        let cancelled = work.cancel_delayed();
        self.cancelled.fetch_add(cancelled.into(), SeqCst);
    }

    /// One call picked by the seed.
    fn call(&self, work: Work, wq: Wq) {
        let delay = u64::from(world::choose(3));
        match world::choose(5) {
            0 | 1 => self.queue(work, wq, delay),
            2 | 3 => self.modify(work, wq, delay),
            _ => self.cancel(work),
        }
    }

    /// One queueing that was accepted is one run, or was cancelled (linux.md 2.3).
    fn close(&self, work: Work) {
        let (accepted, cancelled) = (self.accepted.load(SeqCst), self.cancelled.load(SeqCst));
        sim_assert!(!work.pending());
        sim_assert_eq!(accepted, work.seen().ended() + cancelled);
    }
}

/// D29: three threads queue, modify and cancel one work: accepted queueings and modifications of an idle
/// work, less the cancels, are the runs. NonReentrant: and it never overlaps itself.
#[test]
fn d29_the_books_of_three_threads_close() {
    for reentrance in [SelfReentrant, NonReentrant] {
        rows_with(reentrance, 200, |rig| {
            let wq = Wq::bound();
            let work = Work::counting();
            let books = Arc::new(Books::default());
            let threads: Vec<_> = (0..3)
                .map(|index| {
                    let books = Arc::clone(&books);
                    world::spawn(&format!("user {index}"), None, move || {
                        for _ in 0..60 {
                            books.call(work, wq);
                            if world::choose(8) == 0 {
                                world::sleep_100ns(u64::from(world::choose(JIFFY as u32)));
                            }
                        }
                    })
                })
                .collect();
            threads.into_iter().for_each(world::Thread::join);
            sleep_jiffies(10);
            wq.flush();
            books.close(work);
            sim_assert!(rig.reentrance == SelfReentrant || work.seen().most_inside() <= 1);
            wq.destroy();
            work.free();
        });
    }
}

/// D29: a modification is never lost, however briefly others make the work pending: while two threads queue
/// and cancel it, a third modifies it, and what it was told is in the books.
#[test]
fn d29_a_modification_is_never_lost() {
    for reentrance in [SelfReentrant, NonReentrant] {
        rows_with(reentrance, 200, |_| {
            let wq = Wq::bound();
            let work = Work::counting();
            let books = Arc::new(Books::default());
            let threads = [0, 1, 2].map(|index| {
                let books = Arc::clone(&books);
                world::spawn(&format!("user {index}"), None, move || {
                    for _ in 0..80 {
                        if index == 0 {
                            books.modify(work, wq, LONG);
                        } else {
                            books.queue(work, wq, LONG);
                            books.cancel(work);
                        }
                    }
                })
            });
            threads.into_iter().for_each(world::Thread::join);
            books.cancel(work);
            books.close(work);
            wq.destroy();
            work.free();
        });
    }
}

/// D31: `msecs_to_jiffies` rounds up; a negative argument is for ever.
#[test]
fn d31_msecs_to_jiffies() {
    let answers = [0, 1, 4, 5, (-1_i32).cast_unsigned()].map(msecs_to_jiffies);
    assert_eq!(answers, [0, 1, 1, 2, MAX_JIFFY_OFFSET]);
}

/// D32: `timer.expires` can be read while the work is armed; afterwards it is not pending.
#[test]
fn d32_expires_is_readable_while_armed() {
    rows(|_| {
        let work = Work::counting();
        let before = jiffies();
        sim_assert!(work.queue_delayed(Wq::system(), 12));
        sim_assert!((before + 12..=jiffies() + 12).contains(&work.expires()));
        sim_assert!(work.pending());
        work.wait_begun(1);
        sim_assert!(!work.pending());
        Wq::system().flush();
        work.free();
    });
}

/// A thousand works due at one tick all run in that jiffy, for one expiry of the timer (B-22).
#[test]
fn a_thousand_works_are_due_at_one_tick() {
    rows_on(punctual, 5, |_| {
        let wq = Wq::with(WQ_UNBOUND, 4);
        let stamps = Stamps::default();
        let works: Vec<_> = (0..1000).map(|_| stamps.work()).collect();
        let (starts, fires) = (world::counters().timer_starts, counters().timer_callbacks);
        let target = jiffies() + 40;
        for work in &works {
            sim_assert!(work.queue_delayed(wq, target - jiffies()));
        }
        // The timer is started once; twice if a tick came between reading the jiffies and arming.
        sim_assert!(world::counters().timer_starts - starts <= 2);
        wait_until(|| jiffies() > target);
        let due = world::now_100ns();
        wait_until(|| jiffies() > target + 20);
        wq.flush();
        for work in &works {
            sim_assert_eq!(work.seen().ended(), 1);
        }
        sim_assert!(stamps.all().iter().all(|run| run.0 > target));
        // One expiry, or two; and the other timer looks after the queue every 10 ms while it has works left.
        let looks = (world::now_100ns() - due) / 100_000 + 1;
        sim_assert!(counters().timer_callbacks - fires <= 2 + looks);
        wq.destroy();
        free(works);
    });
}

/// A caller that queues a work every millisecond, with a delay of 10 jiffies, does not put it off: it
/// runs when the first call said (B-37).
#[test]
fn queueing_again_does_not_postpone() {
    rows_on(punctual, 50, |_| {
        let stamps = Stamps::default();
        let work = stamps.work();
        sim_assert!(work.queue_delayed(Wq::system(), 10));
        let expires = work.expires();
        while jiffies() < expires {
            sim_assert!(!work.queue_delayed(Wq::system(), 10));
            world::sleep_100ns(10_000);
        }
        work.wait_begun(1);
        sim_assert_eq!(stamps.jiffy(0), expires + 1);
        sleep_jiffies(20);
        sim_assert_eq!(work.runs(), 1);
        work.free();
    });
}

/// Twenty works are modified at random, for sooner and for later: each run comes in the jiffy that the last
/// call before it said, so no earlier deadline is missed and no later one fires in its place (D2, D3).
#[test]
fn each_run_comes_when_the_last_call_said() {
    rows_on(punctual, 50, |_| {
        let wq = Wq::bound();
        let stamps = [0; 20].map(|_| Stamps::default());
        let works = stamps.clone().map(|stamps| stamps.work());
        let mut said: [Vec<u64>; 20] = Default::default();
        for _ in 0..100 {
            let index = world::choose(20) as usize;
            let work = works[index];
            let was_pending = work.modify(wq, 1 + u64::from(world::choose(8)));
            if was_pending {
                said[index].pop();
            }
            said[index].push(work.expires());
            if world::choose(3) == 0 {
                world::sleep_100ns(u64::from(world::choose(3 * JIFFY as u32 / 2)));
            }
        }
        sleep_jiffies(20);
        for (stamps, said) in stamps.iter().zip(&said) {
            let ran: Vec<_> = stamps.all().iter().map(|run| run.0 - 1).collect();
            sim_assert_eq!(&ran, said, "the jiffies before the runs");
        }
        wq.destroy();
        free(works);
    });
}

/// The timer's callback serves as a worker. Works that block it do not hold up what is due later, on their
/// own queue or on another one.
#[test]
fn a_work_that_blocks_the_timer_callback_holds_up_nothing() {
    rows_on(punctual, 50, |_| {
        let (wq, ordered) = (Wq::bound(), Wq::ordered());
        let gate = Gate::new();
        let blocked = [0; 3].map(|_| Work::gated(&gate));
        let stamps = [0; 3].map(|_| Stamps::default());
        let later = stamps.clone().map(|stamps| stamps.work());
        sim_assert!(blocked[0].queue_delayed(ordered, 2));
        sim_assert!(blocked[1].queue_delayed(wq, 2));
        sim_assert!(blocked[2].queue_delayed(wq, 3));
        for (work, delay) in later.iter().zip([2, 4, 6]) {
            sim_assert!(work.queue_delayed(wq, delay));
        }
        let expires = later.map(Work::expires);
        sleep_jiffies(20);
        sim_assert_eq!(blocked.map(|work| work.seen().inside()), [1; 3]);
        for (stamps, expires) in stamps.iter().zip(expires) {
            sim_assert_eq!(stamps.jiffy(0), expires + 1);
        }
        gate.open();
        wq.destroy();
        ordered.destroy();
        free(blocked.into_iter().chain(later));
    });
}

/// Several threads cancel a work with `_sync` while it arms itself: each returns only when nothing runs, and
/// nothing is left.
#[test]
fn several_threads_cancel_a_work_that_arms_itself() {
    rows(|_| {
        let wq = Wq::bound();
        let work = Work::new(move |this, _| {
            this.queue_delayed(wq, world::choose(2).into());
        });
        sim_assert!(work.queue_delayed(wq, 1));
        work.wait_begun(2);
        let threads = [0, 1, 2].map(|index| {
            world::spawn(&format!("canceller {index}"), None, move || {
                work.cancel_delayed_sync();
            })
        });
        threads.into_iter().for_each(world::Thread::join);
        // While one cancel is under way nothing can be queued; after the last one nobody does.
        sim_assert_eq!(work.seen().inside(), 0);
        sim_assert!(!work.pending());
        let runs = work.runs();
        sleep_jiffies(10);
        sim_assert_eq!(work.runs(), runs);
        wq.destroy();
        work.free();
    });
}

/// Interrupts on every CPU arm, modify and cancel works, for this and the next jiffies, while the timer's
/// callback moves and runs them: the books of each work close.
#[test]
fn interrupts_arm_and_cancel_while_the_timer_fires() {
    for reentrance in [SelfReentrant, NonReentrant] {
        rows_with(reentrance, 200, |rig| {
            let queues = [Wq::bound(), Wq::ordered()];
            let works = [0; 4].map(|_| Work::counting());
            let books: Arc<[Books; 4]> = Arc::default();
            let isr = Interrupt::connect("device", 9, {
                let books = Arc::clone(&books);
                move || {
                    for _ in 0..3 {
                        let index = world::choose(4) as usize;
                        books[index].call(works[index], queues[world::choose(2) as usize]);
                    }
                }
            });
            for _ in 0..60 {
                isr.raise(world::choose(4));
                let pause = u64::from(world::choose(300));
                let around_the_tick = JIFFY - (world::now_100ns() + 50) % JIFFY + pause;
                world::sleep_100ns(if world::choose(3) == 0 {
                    around_the_tick
                } else {
                    pause
                });
            }
            wait_until(|| isr.is_idle());
            sleep_jiffies(10);
            queues.into_iter().for_each(Wq::flush);
            for (books, work) in books.iter().zip(works) {
                books.close(work);
                sim_assert!(rig.reentrance == SelfReentrant || work.seen().most_inside() <= 1);
            }
            queues.into_iter().for_each(Wq::destroy);
            free(works);
        });
    }
}

/// Delayed works that are armed for a queue when it is destroyed run once, at once, and are reported
/// (BH10). Linux lets their timers fire into freed memory.
#[test]
fn destroy_runs_armed_works_once() {
    rows(|rig| {
        rig.expect(&["BH10"]);
        let wq = Wq::bound();
        let works = [0; 5].map(|_| Work::counting());
        works
            .iter()
            .for_each(|work| sim_assert!(work.queue_delayed(wq, LONG)));
        let before = jiffies();
        wq.destroy();
        sim_assert!(jiffies() < before + 5);
        sim_assert_eq!(works.map(|work| work.seen().ended()), [1; 5]);
        sim_assert_eq!(works.map(Work::pending), [false; 5]);
        let reports = world::debug_log();
        let reports = reports.iter().filter(|line| line.contains("BH10"));
        sim_assert_eq!(reports.count(), 5, "each is reported");
        free(works);
    });
}

/// The same if the timer expires while the queue is destroyed: each work runs once, whoever queues it.
#[test]
fn destroy_races_with_the_timer() {
    for reentrance in [SelfReentrant, NonReentrant] {
        rows_with(reentrance, 200, |rig| {
            rig.allow(&["BH10"]);
            let wq = Wq::bound();
            let works = [0; 5].map(|_| Work::counting());
            works
                .iter()
                .for_each(|work| sim_assert!(work.queue_delayed(wq, 1)));
            let into_the_tick = u64::from(world::choose(2_000));
            world::sleep_100ns(2 * JIFFY - world::now_100ns() % JIFFY + into_the_tick - 1_000);
            wq.destroy();
            sim_assert_eq!(works.map(|work| work.seen().ended()), [1; 5]);
            free(works);
        });
    }
}

/// A work that arms itself for ever does not keep its queue from being destroyed: once the queue is being
/// destroyed nothing is armed for it any more, by nobody, and the refusal is reported (BH02).
#[test]
fn destroy_ends_a_work_that_arms_itself() {
    rows(|rig| {
        rig.expect(&["BH02", "BH10"]);
        let wq = Wq::bound();
        let refused = Arc::new(AtomicU64::new(0));
        let work = Work::new({
            let refused = Arc::clone(&refused);
            move |this, _| {
                if !this.queue_delayed(wq, 1) {
                    refused.fetch_add(1, SeqCst);
                }
            }
        });
        sim_assert!(work.queue_delayed(wq, LONG));
        wq.destroy();
        sim_assert_eq!((work.seen().ended(), refused.load(SeqCst)), (1, 1));
        sim_assert!(!work.pending());
        work.free();
    });
}

/// At detach an armed work runs once, at once, and is reported.
#[test]
fn detach_runs_armed_works_once() {
    rows(|rig| {
        rig.expect(&["BH10"]);
        let work = Work::counting();
        sim_assert!(work.queue_delayed(Wq::system(), LONG));
        let before = jiffies();
        rig.detach();
        sim_assert!(jiffies() < before + 5);
        sim_assert_eq!(work.seen().ended(), 1);
        work.free();
    });
}

/// After detach nothing can be armed, and the calls that cancel and wait find nothing; each refusal is
/// reported (BH03).
#[test]
fn after_detach_nothing_is_armed() {
    rows(|rig| {
        rig.expect(&["BH03"]);
        let work = Work::counting();
        rig.detach();
        sim_assert!(Wq::system().0.is_null());
        sim_assert!(!work.queue_delayed(Wq::system(), 1));
        sim_assert!(!work.modify(Wq::system(), 0));
        sim_assert!(!work.cancel_delayed());
        sim_assert!(!work.cancel_delayed_sync());
        sim_assert!(!work.flush_delayed());
        sim_assert!(!work.pending());
        sleep_jiffies(5);
        sim_assert_eq!(work.runs(), 0);
        work.free();
    });
}

/// A null queue is refused and reported (BH04).
#[test]
fn a_null_queue_is_refused() {
    rows(|rig| {
        rig.expect(&["BH04"]);
        let work = Work::counting();
        let null = Wq(core::ptr::null_mut());
        sim_assert!(!work.queue_delayed(null, 1));
        sim_assert!(!work.modify(null, 1));
        sim_assert!(!work.queue(null));
        sim_assert!(!work.pending());
        work.free();
    });
}

/// A queue that is forgotten is destroyed at detach, and reported (BH13); what was armed for it runs once,
/// and is reported too (BH10).
#[test]
fn detach_destroys_a_forgotten_queue() {
    rows(|rig| {
        rig.expect(&["BH10", "BH13"]);
        let wq = Wq::ordered();
        let (armed, queued) = (Work::counting(), Work::counting());
        sim_assert!(armed.queue_delayed(wq, LONG));
        sim_assert!(queued.queue(wq));
        rig.detach();
        sim_assert_eq!((armed.seen().ended(), queued.seen().ended()), (1, 1));
        free([armed, queued]);
    });
}
