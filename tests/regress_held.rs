//! Works that are queued on two queues: the instance that is held for the worker
//! that runs its twin is a work of its own queue, whatever queue that worker came from.

mod support;

use bottomhalf::linux::{WQ_BH, WQ_NON_REENTRANT};
use kmdf_mock::world::{self, Gate};
use kmdf_mock::{sim_assert, sim_assert_eq};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

use support::{NonReentrant, Rig, SelfReentrant, Work, Wq, rows_with, spin_until, wait_until};

const SEEDS: u64 = 60;

/// Row Q25 for a held work: its function cannot wait for its own queue, and is told so.
#[test]
fn a_held_work_does_not_wait_for_its_own_queue() {
    rows_with(NonReentrant, SEEDS, |rig: &Rig| {
        rig.expect(&["BH07"]);
        let (first, second, gate) = (Wq::ordered(), Wq::ordered(), Gate::new());
        let go = gate.clone();
        let work = Work::new(move |_, run| {
            if run == 1 {
                go.wait();
            } else {
                second.flush();
            }
        });
        sim_assert!(work.queue(first));
        work.wait_begun(1);
        sim_assert!(work.queue(second));
        world::settle();
        gate.open();
        let seen = work.seen();
        wait_until(move || seen.ended() == 2);
        first.destroy();
        second.destroy();
        work.free();
    });
}

/// Row Q03 for a held work: a queue that is destroyed takes what its own works queue.
#[test]
fn a_held_work_may_queue_to_its_own_queue_while_that_is_destroyed() {
    rows_with(NonReentrant, SEEDS, |_| {
        let (first, second, gate) = (Wq::ordered(), Wq::ordered(), Gate::new());
        let (go, chained) = (gate.clone(), Work::counting());
        let work = Work::new(move |_, run| {
            if run == 1 {
                go.wait();
            } else {
                sim_assert!(chained.queue(second));
            }
        });
        sim_assert!(work.queue(first));
        work.wait_begun(1);
        sim_assert!(work.queue(second));
        let destroyer = world::spawn("destroyer", None, move || second.destroy());
        world::settle();
        gate.open();
        destroyer.join();
        sim_assert_eq!((work.runs(), chained.runs()), (2, 1));
        first.destroy();
        work.free();
        chained.free();
    });
}

/// The queue whose worker runs it cannot be destroyed by it, for the callback of that queue's work item is
/// below it on the stack (W-17); it is told so.
#[test]
fn a_held_work_does_not_destroy_the_queue_that_it_runs_on() {
    rows_with(NonReentrant, SEEDS, |rig: &Rig| {
        rig.expect(&["BH07"]);
        let (first, second, gate) = (Wq::ordered(), Wq::ordered(), Gate::new());
        let (go, behind) = (gate.clone(), Work::counting());
        let work = Work::new(move |_, run| {
            if run == 1 {
                go.wait();
            } else {
                first.destroy();
            }
        });
        sim_assert!(work.queue(first));
        work.wait_begun(1);
        sim_assert!(behind.queue(first));
        sim_assert!(work.queue(second));
        world::settle();
        gate.open();
        let seen = work.seen();
        wait_until(move || seen.ended() == 2);
        first.destroy();
        sim_assert_eq!(behind.runs(), 1);
        second.destroy();
        work.free();
        behind.free();
    });
}

/// R3 and WQ_NON_REENTRANT with SelfReentrant: two instances that another queue has started run at once when
/// the work is queued on a queue whose works never overlap themselves. That one starts when both have ended,
/// whichever ends first, and a further one when it has.
#[test]
fn a_held_work_waits_for_every_instance() {
    for first in [0, 1] {
        rows_with_first(first);
    }
}

fn rows_with_first(first: usize) {
    let scenario: fn(&Rig) = if first == 0 {
        |_| instances_end(0)
    } else {
        |_| instances_end(1)
    };
    rows_with(SelfReentrant, SEEDS, scenario);
}

fn instances_end(first: usize) {
    let (free, strict) = (Wq::bound(), Wq::with(WQ_NON_REENTRANT, 0));
    let gates = [(); 4].map(|()| Gate::new());
    let of_run = gates.clone();
    let work = Work::new(move |_, run| of_run[run as usize - 1].wait());
    for run in 1..=2 {
        sim_assert!(work.queue(free));
        work.wait_begun(run);
    }
    sim_assert!(work.queue(strict));
    world::settle();
    sim_assert_eq!((work.runs(), work.pending()), (2, true));
    gates[first].open();
    world::settle();
    sim_assert_eq!(
        (work.runs(), work.pending()),
        (2, true),
        "it overlaps itself"
    );
    gates[1 - first].open();
    work.wait_begun(3);
    sim_assert_eq!(work.seen().inside(), 1);
    sim_assert!(work.queue(strict));
    world::settle();
    sim_assert_eq!(work.seen().inside(), 1);
    gates[2].open();
    gates[3].open();
    work.flush();
    sim_assert_eq!(work.runs(), 4);
    free.destroy();
    strict.destroy();
    work.free();
}

/// E1 when a held work goes from one instance to the other: the function that is left then waits for the queue
/// whose work waits for its own end. It is told so (BH07), though it was not so when the wait began.
#[test]
fn a_wait_for_what_comes_to_be_held_is_refused() {
    rows_with(SelfReentrant, SEEDS, |rig| {
        rig.expect(&["BH07"]);
        let (free, strict) = (Wq::bound(), Wq::with(WQ_NON_REENTRANT, 0));
        let gates = [(); 2].map(|()| Gate::new());
        let of_run = gates.clone();
        let work = Work::new(move |_, run| match run {
            1 | 2 => {
                of_run[run as usize - 1].wait();
                if run == 2 {
                    strict.flush();
                }
            }
            _ => {}
        });
        for run in 1..=2 {
            sim_assert!(work.queue(free));
            work.wait_begun(run);
        }
        sim_assert!(work.queue(strict));
        world::settle();
        gates[1].open();
        world::settle();
        sim_assert_eq!((work.runs(), work.seen().inside()), (2, 2));
        gates[0].open();
        free.flush();
        strict.flush();
        sim_assert_eq!(work.runs(), 3);
        free.destroy();
        strict.destroy();
        work.free();
    });
}

/// H3 when a run ends: what is held behind a thread is not handed to a drain that runs the same work, nor the
/// other way round. Each instance runs at the level of its queue.
#[test]
fn a_held_work_stays_with_its_kind() {
    for rule in [SelfReentrant, NonReentrant] {
        // Below the drain of CPU 1 nobody gets on, so the test itself is elsewhere.
        rows_with(rule, SEEDS, |_| world::run_on_cpu(0, level_by_queue));
    }
}

fn level_by_queue() {
    let (thread, drain) = (Wq::with(WQ_NON_REENTRANT, 0), Wq::with(WQ_BH, 0));
    let (gate, flag) = (Gate::new(), Arc::new(AtomicU32::new(0)));
    let (opens, set) = (gate.clone(), Arc::clone(&flag));
    let levels = Arc::new([0, 2].map(|_| AtomicU32::new(0)));
    let count = Arc::clone(&levels);
    let work = Work::new(move |_, _| {
        let high = world::current_irql() == 2;
        count[usize::from(high)].fetch_add(1, SeqCst);
        if high {
            spin_until(&set);
        } else {
            opens.wait();
        }
    });
    sim_assert!(work.queue(thread));
    work.wait_begun(1);
    let other = world::spawn("drain", Some(1), move || sim_assert!(work.queue(drain)));
    work.wait_begun(2);
    let thread_first = world::choose(2) == 0;
    // Held behind the run of its own kind.
    sim_assert!(work.queue(if thread_first { thread } else { drain }));
    for _ in 0..world::choose(300) {
        kmdf_mock::sync::preempt();
    }
    if thread_first {
        gate.open();
        wait_until(|| work.runs() == 3 || work.seen().ended() > 0);
        flag.store(1, SeqCst);
    } else {
        flag.store(1, SeqCst);
        wait_until(|| work.runs() == 3 || work.seen().ended() > 0);
        gate.open();
    }
    other.join();
    thread.flush();
    drain.flush();
    let runs = if thread_first { [2, 1] } else { [1, 2] };
    sim_assert_eq!(levels.each_ref().map(|runs| runs.load(SeqCst)), runs);
    thread.destroy();
    drain.destroy();
    work.free();
}
