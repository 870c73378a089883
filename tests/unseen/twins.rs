//! A work that runs on one queue and is pending on another: what waits for it, and what it may wait for.

use bottomhalf::linux::*;
use kmdf_mock::world::{self, Gate};
use kmdf_mock::{sim_assert, sim_assert_eq};

use crate::drain;
use crate::support::{
    NonReentrant, Rig, SEEDS, Tasklet, Work, Wq, rows, rows_with, sleep_jiffies, still_waits,
    wait_until,
};

/// W28, W29, W24: a work queues itself on a queue of one, another work behind it, and waits for that one: it would wait
/// for its own end, which is said instead (BH07); nothing hangs, and all run.
#[test]
fn a_work_that_waits_behind_its_own_twin_is_told_so() {
    rows_with(NonReentrant, SEEDS, |rig: &Rig| {
        for waits in 0..4 {
            rig.expect(&["BH07"]);
            let wq = if world::choose(2) == 0 {
                Wq::ordered()
            } else {
                Wq::with(WQ_UNBOUND, 1)
            };
            let behind = Work::counting();
            let work = Work::new(move |me, run| {
                if run > 1 {
                    return;
                }
                sim_assert!(me.queue(wq) && behind.queue(wq));
                match waits {
                    0 => drop(behind.flush()),
                    1 => wq.flush(),
                    2 => drain(wq),
                    _ => drop(behind.flush_delayed()),
                }
            });
            sim_assert!(work.schedule());
            sleep_jiffies(5);
            sim_assert_eq!(
                (work.seen().ended(), behind.seen().ended()),
                (2, 1),
                "{waits}"
            );
            wq.destroy();
        }
    });
}

/// W13, D12, ATTACH-7: a work runs on the system queue and is pending on a frozen one: a cancel takes the second away,
/// waits for the first, and the work can be queued at once.
#[test]
fn a_cancel_waits_for_the_run_and_takes_the_frozen_twin_away() {
    rows(|rig: &Rig| {
        let wq = Wq::with(WQ_FREEZABLE, 1);
        let gate = Gate::new();
        let work = Work::gated(&gate);
        sim_assert!(work.schedule());
        work.wait_begun(1);
        rig.attachment().freeze();
        sim_assert!(work.queue(wq) && !work.schedule());
        // SAFETY: the item is alive.
        sim_assert_eq!(unsafe { work_busy(work.work()) }, 3);
        let flush = world::spawn("flush", None, move || sim_assert!(work.flush()));
        still_waits(&flush);
        let cancel = world::spawn("cancel", None, move || sim_assert!(work.cancel_sync()));
        still_waits(&cancel);
        sim_assert!(!work.pending() && !work.queue(wq));
        gate.open();
        cancel.join();
        flush.join();
        sim_assert!(work.queue(wq));
        sleep_jiffies(3);
        sim_assert_eq!(work.runs(), 1);
        rig.attachment().thaw();
        work.flush();
        sim_assert_eq!(work.runs(), 2);
        wq.destroy();
    });
}

/// W12, D13: several cancels, a disable and a flush wait for one run with a timer armed behind it; one of them answers
/// for the timer, and the enable that follows is the last word.
#[test]
fn one_of_many_cancels_answers_for_the_timer() {
    rows(|_| {
        let gate = Gate::new();
        let work = Work::gated(&gate);
        sim_assert!(work.schedule());
        work.wait_begun(1);
        sim_assert!(work.schedule_delayed(400));
        // SAFETY: the item is alive as long as the world.
        sim_assert_eq!(unsafe { work_busy(work.work()) }, 3);
        let took = std::sync::Arc::new(std::sync::atomic::AtomicU32::new(0));
        let waits = [0, 1, 2, 3].map(|which| {
            let took = std::sync::Arc::clone(&took);
            world::spawn("cancel", None, move || {
                // SAFETY: the item is alive as long as the world.
                let answer = unsafe {
                    match which {
                        0 => cancel_delayed_work_sync(work.dwork()),
                        1 => cancel_work_sync(work.work()),
                        2 => disable_delayed_work_sync(work.dwork()),
                        _ => disable_work_sync(work.work()),
                    }
                };
                sim_assert_eq!(work.seen().inside(), 0);
                took.fetch_add(u32::from(answer), std::sync::atomic::Ordering::SeqCst);
            })
        });
        waits.iter().for_each(still_waits);
        sim_assert!(!work.schedule_delayed(1) && !work.modify(Wq::system(), 0));
        gate.open();
        for wait in waits {
            wait.join();
        }
        sim_assert_eq!(took.load(std::sync::atomic::Ordering::SeqCst), 1);
        // SAFETY: the item is alive.
        unsafe {
            sim_assert!(!work.schedule() && !enable_work(work.work()));
            sim_assert!(!work.schedule() && enable_delayed_work(work.dwork()));
        }
        sim_assert!(work.schedule_delayed(2));
        sleep_jiffies(8);
        sim_assert_eq!(work.runs(), 2);
    });
}

/// T30, T07, T15, T16, T28: a tasklet that is locked, disabled and scheduled at once: each of those who wait goes on
/// when what it waits for is over, and not before.
#[test]
fn a_tasklet_that_is_locked_disabled_and_scheduled() {
    rows(|_| {
        let tasklet = Tasklet::counting();
        // SAFETY: the tasklet is freed at the end, when nobody waits.
        unsafe {
            sim_assert!(tasklet_trylock(tasklet.raw()) && !tasklet_trylock(tasklet.raw()));
            world::run_on_cpu(2, || tasklet.schedule());
            tasklet.schedule();
            sim_assert_eq!(tasklet.state() & 3, 3);
            let disable = world::spawn("disable", None, move || tasklet.disable());
            let unlocked = world::spawn("unlock_wait", None, move || {
                tasklet_unlock_wait(tasklet.raw())
            });
            still_waits(&disable);
            still_waits(&unlocked);
            sim_assert_eq!((tasklet.count(), tasklet.runs()), (1, 0));
            tasklet_unlock(tasklet.raw());
            disable.join();
            unlocked.join();
            let kill = world::spawn("kill", None, move || tasklet.kill());
            still_waits(&kill);
            sim_assert_eq!(tasklet.runs(), 0);
            sim_assert!(tasklet_trylock(tasklet.raw()));
            world::at_irql(9, || tasklet.enable());
            still_waits(&kill);
            sim_assert_eq!((tasklet.count(), tasklet.runs()), (0, 0));
            tasklet_unlock(tasklet.raw());
            kill.join();
        }
        sim_assert_eq!((tasklet.runs(), tasklet.state()), (1, 0));
        tasklet.schedule();
        wait_until(|| tasklet.runs() == 2);
        tasklet.kill();
        tasklet.free();
    });
}
