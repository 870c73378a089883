//! Contexts: drains that meet timers, kills that meet interrupts, calls in a process, works that act on themselves.

use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

use bottomhalf::linux::*;
use kmdf_mock::world::{self, Gate, Interrupt};
use kmdf_mock::{sim_assert, sim_assert_eq};

use crate::drain;
use crate::support::{
    NonReentrant, Rig, SEEDS, Tasklet, Work, Wq, rows, rows_with, sleep_jiffies, still_waits,
    wait_until,
};

/// D17, Q04: a work that was armed before a drain is due in it: Linux warns and leaves it pending for ever, here it runs,
/// and the drain goes on.
#[test]
fn a_timer_that_ends_in_a_drain_queues_its_work() {
    rows(|_| {
        let wq = Wq::bound();
        let gate = Gate::new();
        let hog = Work::gated(&gate);
        sim_assert!(hog.queue(wq));
        hog.wait_begun(1);
        let late = Work::counting();
        sim_assert!(late.queue_delayed(wq, 5));
        let waits = world::spawn("drain", None, move || drain(wq));
        still_waits(&waits);
        sleep_jiffies(12);
        still_waits(&waits);
        gate.open();
        waits.join();
        wait_until(|| late.seen().ended() == 1);
        sim_assert!(!late.pending());
        wq.destroy();
    });
}

/// D04, D05, Q04: moved to a queue that is drained: with a delay the work is armed, and runs when it is due; without
/// one it is an outsider, and pending no more. The answer is whether it was pending before.
#[test]
fn mod_to_a_draining_queue_says_what_was_before() {
    rows(|rig: &Rig| {
        let (delay, armed) = (5 * u64::from(world::choose(2)), world::choose(2) == 1);
        if delay == 0 {
            rig.expect(&["BH02"]);
        }
        let wq = Wq::bound();
        let gate = Gate::new();
        let hog = Work::gated(&gate);
        sim_assert!(hog.queue(wq));
        hog.wait_begun(1);
        let late = Work::counting();
        if armed {
            sim_assert!(late.schedule_delayed(500));
        }
        let waits = world::spawn("drain", None, move || drain(wq));
        still_waits(&waits);
        sim_assert_eq!(late.modify(wq, delay), armed);
        sim_assert_eq!(late.pending(), delay > 0);
        gate.open();
        waits.join();
        sleep_jiffies(12);
        sim_assert!(!late.pending() && late.runs() == u32::from(delay > 0));
        sim_assert!(late.queue(wq));
        wq.destroy();
        sim_assert_eq!(late.runs(), 1 + u32::from(delay > 0));
    });
}

static EACH: AtomicU32 = AtomicU32::new(0);

unsafe extern "C" fn each_cpu(_: *mut work_struct) {
    EACH.fetch_or(1 << world::current_cpu(), SeqCst);
}
/// CPU-6, W23: a work of the system queue has a function called on each CPU, its own too.
#[test]
fn on_each_cpu_from_a_work() {
    rows(|_| {
        EACH.store(0, SeqCst);
        let work = Work::new(|_, _| {
            // SAFETY: the function is one of works.
            sim_assert_eq!(unsafe { schedule_on_each_cpu(each_cpu) }, 0);
        });
        sim_assert!(work.schedule());
        work.flush();
        sim_assert_eq!(EACH.load(SeqCst), 15);
    });
}

static EXECUTED: AtomicU32 = AtomicU32::new(0);
unsafe extern "C" fn executed(work: *mut work_struct) {
    let ew = from_work!(execute_work, work, work);
    sim_assert!(!ew.is_null() && in_task());
    EXECUTED.fetch_add(1, SeqCst);
}

/// W32: at once in a thread, later from an interrupt, a tasklet and a section without bottom halves.
#[test]
fn in_process_context_from_everywhere() {
    rows(|_| {
        EXECUTED.store(0, SeqCst);
        let ew = world::pool::alloc(execute_work::default()) as usize;
        // SAFETY: the memory is the world's, and each call ends before the next.
        let run = move || unsafe { execute_in_process_context(executed, ew as *mut execute_work) };
        sim_assert_eq!(run(), 0);
        sim_assert_eq!(EXECUTED.load(SeqCst), 1);
        let line = Interrupt::connect("card", 12, move || sim_assert_eq!(run(), 1));
        line.raise(2);
        wait_until(|| EXECUTED.load(SeqCst) == 2);
        let tasklet = Tasklet::new(move |_, _| sim_assert_eq!(run(), 1));
        tasklet.schedule();
        tasklet.kill();
        wait_until(|| EXECUTED.load(SeqCst) == 3);
        local_bh_disable();
        sim_assert_eq!(run(), 1);
        local_bh_enable();
        wait_until(|| EXECUTED.load(SeqCst) == 4);
    });
}

/// T15, T19: enable from an interrupt lets a kill of a disabled, scheduled tasklet go on.
#[test]
fn an_interrupt_ends_a_kill() {
    rows(|_| {
        let tasklet = Tasklet::counting();
        let line = Interrupt::connect("card", 10, move || tasklet.enable());
        tasklet.disable();
        // SAFETY: the tasklet is alive.
        unsafe { tasklet_disable_nosync(tasklet.raw()) };
        world::run_on_cpu(3, || tasklet.hi_schedule());
        let killers = [(); 2].map(|()| world::spawn("kill", None, move || tasklet.kill()));
        killers.iter().for_each(still_waits);
        line.raise(1);
        killers.iter().for_each(still_waits);
        sim_assert_eq!(tasklet.runs(), 0);
        line.raise(2);
        for killer in killers {
            killer.join();
        }
        sim_assert_eq!(tasklet.runs(), 1);
        sim_assert_eq!(tasklet.seen().cpu(0), 3);
        sim_assert_eq!(tasklet.state(), 0);
        tasklet.free();
    });
}

/// Q24, Q03, ATTACH-7: a flush and a drain of a frozen queue wait for the thaw, and a new limit changes nothing about
/// it.
#[test]
fn flush_of_a_queue_that_stands_still() {
    rows(|rig: &Rig| {
        let wq = Wq::with(WQ_FREEZABLE | WQ_MEM_RECLAIM | WQ_HIGHPRI, 2);
        rig.attachment().freeze();
        let works = [(); 3].map(|()| Work::counting());
        for work in works {
            sim_assert!(work.queue(wq));
        }
        let flush = world::spawn("flush", None, move || wq.flush());
        let drains = world::spawn("drain", None, move || drain(wq));
        still_waits(&flush);
        still_waits(&drains);
        // SAFETY: the queue is alive.
        unsafe { workqueue_set_max_active(wq.0, 1) };
        still_waits(&flush);
        sim_assert_eq!(works[0].runs(), 0);
        rig.attachment().thaw();
        flush.join();
        drains.join();
        for work in works {
            sim_assert_eq!(work.seen().ended(), 1);
        }
        wq.destroy();
    });
}

/// W37, W38, D09, W08: what a work may do to itself in its own function, without waiting.
#[test]
fn a_work_disables_enables_queues_and_cancels_itself() {
    rows_with(NonReentrant, SEEDS, |_| {
        let work = Work::new(|me, run| {
            // SAFETY: the item is alive.
            unsafe {
                if run > 1 {
                    return;
                }
                sim_assert!(me.schedule());
                sim_assert!(disable_work(me.work()));
                sim_assert!(!me.schedule() && !me.pending());
                sim_assert!(enable_and_queue_work(system_wq(), me.work()));
                sim_assert!(cancel_work(me.work()) && me.schedule_delayed(2));
            }
        });
        sim_assert!(work.schedule());
        wait_until(|| work.runs() == 2);
        sleep_jiffies(5);
        sim_assert_eq!(work.runs(), 2);
    });
}

/// W30, W31, W15: initialised anew, with the same function, while somebody flushes it.
#[test]
fn initialised_anew_under_a_flush() {
    rows(|rig: &Rig| {
        let gate = Gate::new();
        let inner = gate.clone();
        let work = Work::new(move |me, run| {
            if run == 1 {
                inner.wait();
                me.init();
                sim_assert!(me.schedule_delayed(1));
            }
        });
        sim_assert!(work.schedule());
        work.wait_begun(1);
        let flush = world::spawn("flush", None, move || {
            sim_assert!(work.flush());
            sim_assert!(work.seen().ended() >= 1);
        });
        let cancels = world::choose(2) == 1;
        still_waits(&flush);
        gate.open();
        flush.join();
        if cancels {
            work.cancel_delayed_sync();
        } else {
            work.flush_delayed();
            sim_assert_eq!(work.seen().ended(), 2);
        }
        if rig.reentrance == NonReentrant {
            sim_assert_eq!(work.seen().most_inside(), 1);
        }
    });
}
