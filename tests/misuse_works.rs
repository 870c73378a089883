//! What Linux says about works that misbehave while they run: one that waits for what may never get on, and
//! one that leaves the IRQL changed.

mod support;

use bottomhalf::linux::*;
use kmdf_mock::ntddk::{KeLowerIrql, KfRaiseIrql};
use kmdf_mock::world::{self, Gate};
use kmdf_mock::{sim_assert, sim_assert_eq};
use support::{Work, Wq, reports, rows, wait_until};

/// Runs `body` in a work of `wq`, and says what was reported meanwhile.
fn in_a_work(wq: Wq, body: impl Fn() + Send + Sync + 'static) -> Vec<String> {
    let before = reports().len();
    let work = Work::new(move |_, _| body());
    sim_assert!(work.queue(wq));
    work.flush();
    work.free();
    reports().split_off(before)
}

fn drain(wq: Wq) {
    // SAFETY: the scenario has not destroyed it.
    unsafe { drain_workqueue(wq.0) };
}

/// The last line of the log.
fn last_line() -> String {
    world::debug_log().pop().unwrap_or_default()
}

/// BH27: a work of a WQ_MEM_RECLAIM queue that flushes a queue, or a work that is queued on one, without that
/// flag: it waits, and it is said. `flush_work`, `flush_workqueue`, `drain_workqueue`.
#[test]
fn bh27_memory_depends_on_a_queue_that_may_not_get_on() {
    rows(|rig| {
        rig.expect(&["BH27"]);
        let reclaim = Wq(alloc_workqueue(c"reclaim", WQ_MEM_RECLAIM, 0));
        let other = Wq(alloc_workqueue(c"other", WQ_UNBOUND, 1));
        let gate = Gate::new();
        let (first, waited) = (Work::gated(&gate), Work::counting());
        let reported = {
            sim_assert!(first.queue(other));
            first.wait_begun(1);
            sim_assert!(waited.queue(other));
            let opener = gate.clone();
            let opens = world::spawn("opener", None, move || {
                world::sleep_100ns(1_000_000);
                opener.open();
            });
            let reported = in_a_work(reclaim, move || sim_assert!(waited.flush()));
            opens.join();
            reported
        };
        sim_assert_eq!(reported, ["BH27"]);
        let line = last_line();
        let place = format!("BH27 flush_work(item {:#x}, ", waited.work().addr());
        sim_assert!(line.contains(&place), "{line}");
        sim_assert_eq!(waited.runs(), 1);
        sim_assert_eq!(in_a_work(reclaim, move || other.flush()), ["BH27"]);
        let line = last_line();
        sim_assert!(
            line.contains("BH27 flush_workqueue(workqueue \"other\"): "),
            "{line}"
        );
        let drained = in_a_work(reclaim, move || drain(other));
        sim_assert_eq!(drained, ["BH27"]);
        let line = last_line();
        sim_assert!(
            line.contains("BH27 drain_workqueue(workqueue \"other\"): "),
            "{line}"
        );
        for wq in [reclaim, other] {
            wq.destroy();
        }
        first.free();
        waited.free();
    });
}

/// Control: what Linux does not warn about: flushes between two such queues, by a queue without the flag, by a
/// thread that is no worker, by a queue of the `create_` calls; and a cancel.
#[test]
fn flushes_that_memory_may_depend_on() {
    rows(|_| {
        let reclaim = Wq::with(WQ_MEM_RECLAIM, 0);
        let sound = Wq::with(WQ_MEM_RECLAIM | WQ_UNBOUND, 0);
        let other = Wq::with(0, 0);
        let legacy = Wq(create_workqueue(c"legacy"));
        let none: Vec<String> = Vec::new();
        sim_assert_eq!(in_a_work(reclaim, move || sound.flush()), none);
        sim_assert_eq!(in_a_work(reclaim, move || legacy.flush()), none);
        sim_assert_eq!(in_a_work(other, move || Wq::system().flush()), none);
        sim_assert_eq!(in_a_work(legacy, move || other.flush()), none);
        other.flush();
        let armed = Work::counting();
        let cancelled = in_a_work(reclaim, move || {
            sim_assert!(armed.queue_delayed(other, 100));
            sim_assert!(armed.cancel_delayed_sync());
        });
        sim_assert_eq!(cancelled, none);
        for wq in [reclaim, sound, other, legacy] {
            wq.destroy();
        }
        armed.free();
    });
}

/// BH28, W-16: a work that returns with the IRQL raised: NT would stop the machine when the thread goes back to
/// its pool. It is put back and said, with the function; the worker runs the next work at PASSIVE_LEVEL.
#[test]
fn bh28_a_work_leaves_the_irql_raised() {
    rows(|rig| {
        rig.expect(&["BH28", "BH17"]);
        let wq = Wq::ordered();
        let raised = |irql| {
            Work::new(move |_, _| {
                // SAFETY: raising is legal; that it is not lowered again is the mistake.
                let _ = unsafe { KfRaiseIrql(irql) };
            })
        };
        for leaky in [raised(2), raised(1), Work::new(|_, _| local_bh_disable())] {
            let next = Work::counting();
            let before = reports().len();
            sim_assert!(leaky.queue(wq) && next.queue(wq));
            next.flush();
            sim_assert_eq!(reports().split_off(before), ["BH28"]);
            let line = last_line();
            let place = format!("BH28 the function(item {:#x}, ", leaky.work().addr());
            sim_assert!(line.contains(&place), "{line}");
            sim_assert_eq!(next.seen().irql(0), 0);
            for cpu in 0..4 {
                let before = reports().len();
                world::run_on_cpu(cpu, || world::at_dispatch(local_bh_enable));
                let left = reports().split_off(before);
                sim_assert_eq!(left, ["BH17"], "no section is left on CPU {cpu}");
            }
            leaky.free();
            next.free();
        }
        wq.destroy();
    });
}

/// Control: a work that raises and lowers again, or frees itself, is not said anything about.
#[test]
fn a_work_that_lowers_what_it_raised() {
    rows(|_| {
        // SAFETY: the level is that of the raise before.
        let work = Work::new(|_, _| unsafe { KeLowerIrql(KfRaiseIrql(2)) });
        sim_assert!(work.schedule());
        work.flush();
        work.free();
        let gone = Work::new(|work, _| {
            // The body lives in the item: it is not used any more.
            sim_assert!(!work.pending());
        });
        let seen = gone.seen();
        sim_assert!(gone.schedule());
        wait_until(move || seen.ended() == 1);
        gone.flush();
        gone.free();
    });
}
