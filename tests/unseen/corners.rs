//! Corners: items that are freed or initialised anew while somebody waits for them, drains that meet timers and
//! rescuers, disables that meet cancels, promotion of what was held.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

use bottomhalf::linux::*;
use kmdf_mock::world::{self, Gate};
use kmdf_mock::{sim_assert, sim_assert_eq};

use crate::drain;
use crate::support::{
    Rig, Tasklet, Trace, Work, Wq, machine, rows, rows_on, sleep_jiffies, still_waits, wait_until,
};

/// W18, W15: somebody flushes a work that runs; the function frees the work's memory; the flush waits for the end of
/// the function all the same, and does not look at the memory.
#[test]
fn a_flush_outlives_the_memory_of_the_work() {
    rows(|_| {
        let gates = [Gate::new(), Gate::new()];
        let [first, second] = gates.clone();
        let work = Work::new(move |me, _| {
            let (first, second) = (first.clone(), second.clone());
            first.wait();
            me.free();
            second.wait();
        });
        let seen = work.seen();
        sim_assert!(work.schedule());
        work.wait_begun(1);
        let flushers = [(); 3].map(|()| {
            let seen = Arc::clone(&seen);
            world::spawn("flush", None, move || {
                sim_assert!(work.flush());
                drop(seen);
            })
        });
        for flusher in &flushers {
            still_waits(flusher);
        }
        gates[0].open();
        for flusher in &flushers {
            still_waits(flusher);
        }
        gates[1].open();
        for flusher in flushers {
            flusher.join();
        }
    });
}

/// W37, W19, T25: initialised anew, an item has forgotten that it was disabled.
#[test]
fn an_item_initialised_anew_is_enabled() {
    rows(|_| {
        let work = Work::counting();
        let tasklet = Tasklet::counting();
        // SAFETY: the items are alive, and neither pending nor running.
        unsafe {
            sim_assert!(!disable_work(work.work()) && !disable_delayed_work(work.dwork()));
            sim_assert!(!work.schedule());
            tasklet.disable();
        }
        work.init();
        sim_assert!(work.schedule_delayed(1));
        work.flush_delayed();
        sim_assert_eq!(work.runs(), 1);
        sim_assert_eq!(tasklet.count(), 1);
        tasklet.enable();
        tasklet.schedule();
        tasklet.kill();
        sim_assert_eq!(tasklet.runs(), 1);
    });
}

/// W10, W12, W37: a disable that comes while somebody waits in a cancel outlasts the cancel.
#[test]
fn a_disable_outlasts_the_cancel_it_met() {
    rows(|_| {
        let gate = Gate::new();
        let work = Work::gated(&gate);
        sim_assert!(work.schedule());
        work.wait_begun(1);
        let waits = [(); 2].map(|()| {
            world::spawn("cancel", None, move || {
                sim_assert!(!work.cancel_delayed_sync())
            })
        });
        waits.iter().for_each(still_waits);
        // SAFETY: the item is alive.
        unsafe {
            sim_assert!(!disable_work(work.work()));
            gate.open();
            for wait in waits {
                wait.join();
            }
            sim_assert!(!work.schedule() && !work.modify(Wq::system(), 2));
            sim_assert!(enable_work(work.work()));
        }
        sim_assert!(work.schedule());
        work.flush();
        sim_assert_eq!(work.runs(), 2);
    });
}

/// W24, D08: of works that `max_active` holds one is cancelled, one moved to the end, one queued again after a cancel;
/// the others keep their order and their turn.
#[test]
fn what_is_held_keeps_its_order_when_others_leave() {
    rows(|_| {
        let gate = Gate::new();
        let wq = Wq::with(WQ_UNBOUND, 1);
        let trace = Trace::default();
        let blocker = Work::gated(&gate);
        sim_assert!(blocker.queue(wq));
        let works = ['a', 'b', 'c', 'd', 'e'].map(|letter| {
            let trace = trace.clone();
            Work::new(move |_, _| trace.add(letter))
        });
        sim_assert!(works.iter().all(|work| work.queue(wq)));
        sim_assert!(works[0].cancel_sync());
        sim_assert!(works[2].modify(wq, 0));
        sim_assert!(works[1].cancel_delayed() && works[1].queue(wq));
        sim_assert!(works[4].modify(wq, 3));
        gate.open();
        sleep_jiffies(10);
        sim_assert_eq!(trace.get(), "dcbe");
        wq.destroy();
    });
}

/// Q03: a queue is drained in a reset while a poller that re-arms itself runs on it. In Linux the timer is invisible to
/// the drain, and the poller goes on after it.
#[test]
fn a_poller_survives_a_drain() {
    rows(|_| {
        let wq = Wq::bound();
        let gate = Gate::new();
        let inner = gate.clone();
        let poller = Work::new(move |me, run| {
            if run == 1 {
                inner.wait();
            }
            sim_assert!(me.queue_delayed(wq, 20), "run {run}");
        });
        sim_assert!(poller.queue(wq));
        poller.wait_begun(1);
        let waits = world::spawn("drain", None, move || drain(wq));
        still_waits(&waits);
        gate.open();
        waits.join();
        wait_until(|| poller.runs() == 3);
        sim_assert!(poller.cancel_delayed_sync());
        wq.destroy();
    });
}

/// D17, Q03: a drain waits for no timer that was armed before it, and the work runs later.
#[test]
fn a_drain_leaves_armed_works_alone() {
    rows(|_| {
        let wq = Wq::bound();
        let armed = Work::counting();
        sim_assert!(armed.queue_delayed(wq, 30));
        drain(wq);
        sim_assert_eq!(armed.runs(), 0);
        sim_assert!(armed.pending());
        wait_until(|| armed.runs() == 1);
        wq.destroy();
    });
}

/// Q03, Q04, H-32: drains of two threads at once, of a reclaiming queue in a starved pool: the chain goes on on the
/// rescuer's thread, works of other queues are outsiders, and the queue can be used afterwards.
#[test]
fn a_chain_on_the_rescuer_is_drained() {
    rows_on(
        |seed| machine(seed).workers(1),
        40,
        |rig: &Rig| {
            rig.expect(&["BH02"]);
            let gates = [Gate::new(), Gate::new()];
            let hog = Work::gated(&gates[0]);
            sim_assert!(hog.schedule());
            hog.wait_begun(1);
            let wq = Wq::with(WQ_MEM_RECLAIM, 1);
            let inner = gates[1].clone();
            let chain = Work::new(move |me, run| {
                inner.wait();
                sim_assert!(run == 5 || me.queue(wq));
            });
            sim_assert!(chain.queue(wq));
            chain.wait_begun(1);
            let outsider = Work::counting();
            let drains = [(); 2].map(|()| world::spawn("drain", None, move || drain(wq)));
            drains.iter().for_each(still_waits);
            let other = Wq::with(WQ_MEM_RECLAIM, 1);
            let guest = Work::new(move |_, _| sim_assert!(!outsider.queue(wq)));
            sim_assert!(guest.queue(other));
            guest.flush();
            gates[1].open();
            for drain in drains {
                drain.join();
            }
            sim_assert_eq!(chain.seen().ended(), 5);
            sim_assert!(outsider.queue(wq));
            gates[0].open();
            outsider.flush();
            wq.destroy();
            other.destroy();
            sim_assert_eq!(outsider.runs(), 1);
        },
    );
}

/// D15, D16, R: several threads flush and move an armed work while its timer expires: every flush returns after a run,
/// and there is one run for each arming that was new.
#[test]
fn flushes_of_one_armed_work_run_it_once() {
    rows(|_| {
        let work = Work::new(|_, _| sleep_jiffies(1));
        for turn in 1..5 {
            sim_assert!(work.schedule_delayed(u64::from(world::choose(3)) + 1));
            world::sleep_100ns(u64::from(world::choose(100_000)));
            let flushers = [(); 4].map(|()| {
                world::spawn("flush", None, move || {
                    work.flush_delayed();
                    sim_assert_eq!(work.seen().ended(), turn);
                })
            });
            for flusher in flushers {
                flusher.join();
            }
        }
    });
}

/// Q22, W18, D14: a delayed work of a `WQ_BH` queue that re-arms itself for ever is cancelled from a thread; one that
/// frees itself is not looked at again.
#[test]
fn bottom_halves_that_rearm_or_free_themselves() {
    rows(|_| {
        let wq = Wq::with(WQ_BH, 0);
        let seen = {
            let freed = Work::new(|me, _| me.free());
            let seen = freed.seen();
            sim_assert!(freed.queue_delayed(wq, 2));
            seen
        };
        let poller = Work::new(move |me, run| {
            sim_assert!(me.queue_delayed(wq, u64::from(run % 3)));
        });
        sim_assert!(poller.queue_delayed(wq, 1));
        world::sleep_100ns(u64::from(world::choose(1_000_000)));
        poller.cancel_delayed_sync();
        let runs = poller.runs();
        wait_until(|| seen.runs() == 1);
        sleep_jiffies(5);
        sim_assert_eq!(poller.runs(), runs);
        wq.destroy();
    });
}

/// W04, Q08: a work that queues itself for ever on a queue of one leaves the others their turn.
#[test]
fn a_work_that_never_ends_lets_the_others_run() {
    rows(|_| {
        for wq in [
            Wq::ordered(),
            Wq::with(WQ_PERCPU, 1),
            Wq::with(WQ_UNBOUND, 1),
        ] {
            world::run_on_cpu(1, || {
                let stop = Arc::new(AtomicU32::new(0));
                let ends = Arc::clone(&stop);
                let greedy = Work::new(move |me, _| {
                    if ends.load(SeqCst) == 0 {
                        me.queue(wq);
                    }
                });
                let other = Work::counting();
                sim_assert!(greedy.queue(wq) && other.queue(wq));
                other.flush();
                sim_assert_eq!(other.seen().ended(), 1);
                stop.store(1, SeqCst);
                greedy.cancel_sync();
                wq.destroy();
            });
        }
    });
}

/// W03, N-25: works for a CPU that has just come run there, and one that was refused it before is not lost.
#[test]
fn a_cpu_that_comes_gets_works() {
    rows_on(
        |seed| machine(seed).max_cpus(6),
        20,
        |rig: &Rig| {
            rig.expect(&["BH18"]);
            let wq = Wq::with(WQ_PERCPU, 1);
            let work = Work::counting();
            sim_assert!(crate::queue_on(4, wq, work));
            work.flush();
            let cpu = world::add_cpu();
            sim_assert_eq!(cpu, 4);
            sim_assert!(crate::queue_on(4, wq, work));
            work.flush();
            wq.flush();
            sim_assert_eq!(work.runs(), 2);
            sim_assert_eq!(work.seen().cpu(1), 4);
            let tasklet = Tasklet::counting();
            world::run_on_cpu(4, || tasklet.schedule());
            tasklet.kill();
            sim_assert_eq!(tasklet.seen().cpu(0), 4);
            let delayed = Work::counting();
            // SAFETY: item and queue are alive.
            unsafe { sim_assert!(queue_delayed_work_on(4, wq.0, delayed.dwork(), 3)) };
            wait_until(|| delayed.runs() == 1);
            sim_assert_eq!(delayed.seen().cpu(0), 4);
            wq.destroy();
        },
    );
}
