//! Works that are lost, run twice, or are touched after their end.

use bottomhalf::linux::*;
use kmdf_mock::world::{self, Gate};
use kmdf_mock::{sim_assert, sim_assert_eq};

use super::support::{Rig, Work, Wq, sleep_jiffies, wait_until};
use super::{
    Calls, LINUX, any_queue, cancel, convicts, disable_sync, enable, holds, occupied, racing, rows,
    run_first,
};

/// B-01: a work queues itself from its own function, now and with a delay, queues and cancels itself there,
/// and at last frees itself. The memory is tracked: a later touch fails the run (H-3 convicts the naive
/// mapping of it).
#[test]
fn b01_a_work_queues_itself_and_then_frees_itself() {
    rows(racing, 100, |_| {
        for wq in [any_queue(), Wq::ordered()] {
            // Queued again, it may run in parallel with itself: nothing of it is used after that.
            let work = Work::new(move |work, run| match run {
                1..=3 => sim_assert!(work.queue(wq)),
                4 => sim_assert!(work.queue_delayed(wq, 1)),
                5 => {
                    sim_assert!(work.queue_delayed(wq, 900));
                    sim_assert!(work.cancel_delayed());
                    work.free();
                }
                _ => sim_assert!(false, "it runs after it was freed"),
            });
            let seen = work.seen();
            sim_assert!(work.queue(wq));
            wait_until(|| seen.ended() == 5);
            sleep_jiffies(4);
            sim_assert_eq!(seen.runs(), 5);
            wq.destroy();
        }
    });
}

/// B-11: after a sync cancel of an idle, queued, armed, running, and running and queued work it can be
/// queued again, and runs.
#[test]
fn b11_a_cancelled_work_can_be_queued_again() {
    fn again(work: Work, wq: Wq, calls: Calls) {
        let runs = work.runs();
        sim_assert!((calls.queue)(work, wq), "it cannot be queued any more");
        wait_until(|| work.seen().ended() == runs + 1);
    }
    fn scenario(_: &Rig, calls: Calls) {
        let wq = Wq::ordered();
        let other = Wq::bound();
        let idle = Work::counting();
        for cancel_sync in [calls.cancel_sync, calls.cancel_delayed_sync] {
            sim_assert!(!cancel_sync(idle));
            again(idle, other, calls);
            sim_assert!(idle.queue_delayed(wq, 500));
            sim_assert!(cancel_sync(idle));
            again(idle, other, calls);
            for queued_behind_itself in [false, true] {
                let gate = Gate::new();
                let running = Work::gated(&gate);
                run_first(running, wq);
                sim_assert!(idle.queue(wq));
                sim_assert!(cancel_sync(idle));
                again(idle, other, calls);
                sim_assert!(!queued_behind_itself || running.queue(wq));
                let canceller = super::blocked("canceller", move || cancel_sync(running));
                gate.open();
                sim_assert_eq!(canceller.join(), queued_behind_itself);
                again(running, wq, calls);
                running.flush();
                running.free();
            }
        }
        wq.destroy();
        other.destroy();
        idle.free();
    }
    holds(racing, 30, scenario);
    // The mark of the cancel stays.
    let sticky = Calls {
        cancel_sync: disable_sync,
        ..LINUX
    };
    convicts(racing, scenario, sticky, "it cannot be queued any more");
}

/// B-15: two works that are queued both run; one that is queued twice before its run runs once, and the
/// second queueing says so.
#[test]
fn b15_each_work_runs_and_a_pending_one_is_not_queued_twice() {
    fn scenario(_: &Rig, calls: Calls) {
        let gate = Gate::new();
        let (wq, blocker) = occupied(&gate);
        let [one, two] = [0; 2].map(|_| Work::counting());
        let answers = [one, two, one, two].map(|work| (calls.queue)(work, wq));
        gate.open();
        wq.flush();
        sim_assert_eq!(
            (answers, [one.runs(), two.runs()]),
            ([true, true, false, false], [1, 1])
        );
        wq.destroy();
        [blocker, one, two].into_iter().for_each(Work::free);
    }
    holds(racing, 30, scenario);
    // An event is set, and the work that was given is not looked at.
    let queue: fn(Work, Wq) -> bool = |_, _| true;
    convicts(racing, scenario, Calls { queue, ..LINUX }, "answers");
}

/// B-24: the second of two works that were queued together can be cancelled while the first one runs, and
/// both can be queued after a cancel that did not wait. (The third part, a work that is touched after its
/// function, is B-01.)
#[test]
fn b24_the_second_of_two_can_be_cancelled() {
    fn scenario(_: &Rig, calls: Calls) {
        let (wq, gate) = (Wq::ordered(), Gate::new());
        let (first, second) = (Work::gated(&gate), Work::counting());
        world::at_dispatch(|| {
            sim_assert!((calls.queue)(first, wq) && (calls.queue)(second, wq));
        });
        first.wait_begun(1);
        sim_assert!((calls.cancel_sync)(second), "it was pending");
        sim_assert!(!second.pending());
        sim_assert!((calls.queue)(second, wq), "a cancelled work is idle");
        sim_assert!(cancel(second) && !cancel(second) && !cancel(first));
        gate.open();
        wq.flush();
        sim_assert_eq!([first.runs(), second.runs()], [1, 0], "runs");
        sim_assert!((calls.queue)(first, wq) && (calls.queue)(second, wq));
        wq.destroy();
        sim_assert_eq!([first.runs(), second.runs()], [2, 1], "runs");
        first.free();
        second.free();
    }
    holds(racing, 40, scenario);
    // The work is taken off a list that the worker has emptied: nothing happens.
    let missed = Calls {
        cancel_sync: |_| true,
        ..LINUX
    };
    convicts(racing, scenario, missed, "second.pending()");
    let kept: fn(Work) -> bool = |work| {
        let pending = disable_sync(work);
        let _ = pending || enable(work);
        pending
    };
    let kept = Calls {
        cancel_sync: kept,
        ..LINUX
    };
    convicts(racing, scenario, kept, "a cancelled work is idle");
}

/// B-47: whatever a function does to queue its own work again, with a delay or without, counts: pending ends
/// before the function is called.
#[test]
fn b47_queued_by_its_own_function_it_runs_again() {
    fn scenario(_: &Rig, calls: Calls) {
        let (wq, ordered) = (any_queue(), Wq::ordered());
        let work = Work::new(move |work, run| {
            let wq = if run % 2 == 0 { ordered } else { wq };
            match run {
                1 | 2 => sim_assert!((calls.queue)(work, wq), "a run is lost"),
                3 | 4 => sim_assert!(work.queue_delayed(wq, 0)),
                5 | 6 => sim_assert!(work.queue_delayed(wq, 2)),
                // SAFETY: the queue lives until it has run.
                7 | 8 => sim_assert_eq!(unsafe { mod_delayed_work(wq.0, work.dwork(), 0) }, false),
                9 | 10 => sim_assert_eq!(work.modify(wq, 3), false),
                _ => {}
            }
        });
        sim_assert!(work.queue(wq));
        wait_until(|| work.seen().ended() == 11);
        sleep_jiffies(6);
        sim_assert_eq!((work.runs(), work.pending()), (11, false));
        wq.destroy();
        ordered.destroy();
        work.free();
    }
    holds(racing, 40, scenario);
    // It stays pending until its function has ended.
    let queue: fn(Work, Wq) -> bool = |work, wq| work.seen().inside() == 0 && work.queue(wq);
    convicts(racing, scenario, Calls { queue, ..LINUX }, "a run is lost");
}
