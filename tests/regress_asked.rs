//! What Linux 6.12 answered when it was asked, and was answered otherwise here.

mod support;

use bottomhalf::linux::*;
use kmdf_mock::sim_assert;
use kmdf_mock::world;
use support::{NonReentrant, Work, Wq, rows, rows_with, sleep_jiffies, wait_until};

/// WORK-13: a work that another thread queues between the enable and the queueing has been enabled all the same.
#[test]
fn enable_and_queue_says_that_it_has_enabled() {
    rows(|_| {
        let wq = Wq::bound();
        let work = Work::counting();
        let other = world::spawn("other", None, move || {
            for _ in 0..20 {
                work.queue(wq);
            }
        });
        for _ in 0..10 {
            // SAFETY: item and queue are alive.
            unsafe {
                disable_work(work.work());
                sim_assert!(enable_and_queue_work(wq.0, work.work()));
            }
        }
        other.join();
        wq.destroy();
        work.free();
    });
}

/// WORK-11: a work of a `WQ_BH` queue runs in no worker's thread, and so none is current there, nor in the thread
/// that it has interrupted.
#[test]
fn no_work_is_current_in_a_bottom_half() {
    rows(|_| {
        let (wq, outer) = (Wq::with(WQ_BH, 0), Wq::bound());
        let inner = Work::new(|_, _| sim_assert!(current_work().is_null()));
        let work = Work::new(move |this, _| {
            sim_assert!(current_work() == this.work());
            local_bh_disable();
            sim_assert!(inner.queue(wq));
            local_bh_enable();
            sim_assert!(current_work() == this.work());
        });
        sim_assert!(work.queue(outer));
        outer.destroy();
        wq.destroy();
        sim_assert!(work.runs() == 1 && inner.runs() == 1);
        work.free();
        inner.free();
    });
}

/// Queues a work for a CPU.
fn queue_on(cpu: u32, wq: Wq, work: Work) -> bool {
    // SAFETY: item and queue are alive.
    unsafe { queue_work_on(cpu.cast_signed(), wq.0, work.work()) }
}

/// W03: a work that asks for another CPU while it runs, here from its own function, runs again where it runs, however
/// soon that run is over; when it is idle it gets the CPU that is asked for.
#[test]
fn a_work_that_runs_keeps_its_cpu() {
    rows_with(NonReentrant, 60, |_| {
        let wq = Wq::bound();
        let work = Work::new(move |this, run| {
            sim_assert!(run % 8 == 0 || queue_on(run % 4, wq, this));
        });
        let seen = work.seen();
        for (cpu, runs) in [(1, 8), (3, 16)] {
            sim_assert!(queue_on(cpu, wq, work));
            let all = seen.clone();
            wait_until(move || all.ended() == runs);
            work.flush();
        }
        sim_assert!((0..8).all(|run| seen.cpu(run) == 1));
        sim_assert!((8..16).all(|run| seen.cpu(run) == 3));
        wq.destroy();
        work.free();
    });
}

/// W03: so does a work that was held until its run on another queue had ended: it runs for the CPU that it was held
/// for, and counts in the `max_active` of that one.
#[test]
fn a_work_that_was_held_keeps_its_cpu() {
    rows_with(NonReentrant, 60, |_| {
        let (first, second) = (Wq::bound(), Wq::with(0, 1));
        let work = Work::new(move |this, run| match run {
            1 => {
                sim_assert!(queue_on(3, second, this));
                // Long enough for a worker of the second queue to come, and to leave it to this one.
                sleep_jiffies(2);
            }
            2 => sim_assert!(queue_on(1, second, this)),
            _ => {}
        });
        let seen = work.seen();
        sim_assert!(queue_on(1, first, work));
        let all = seen.clone();
        wait_until(move || all.ended() == 3);
        sim_assert!(seen.cpu(0) == 1 && seen.cpu(2) == 3);
        first.destroy();
        second.destroy();
        work.free();
    });
}

/// W03: so does a work of a `WQ_BH` queue, which never overlaps itself, whatever the rule.
#[test]
fn a_bottom_half_that_runs_keeps_its_cpu() {
    rows(|_| {
        let wq = Wq::with(WQ_BH, 0);
        let work = Work::new(move |this, run| {
            sim_assert!(run == 8 || queue_on(run % 4, wq, this));
        });
        let seen = work.seen();
        sim_assert!(queue_on(1, wq, work));
        let all = seen.clone();
        wait_until(move || all.ended() == 8);
        sim_assert!((0..8).all(|run| seen.cpu(run) == 1));
        wq.destroy();
        work.free();
    });
}
