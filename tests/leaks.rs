//! What a work's function may not leave behind on its thread, and what may not be written over a work: each is said by
//! name, taken back where it can be, and no work is lost.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering::SeqCst};

use bottomhalf::linux::*;
use kmdf_mock::GROUP_AFFINITY;
use kmdf_mock::ntddk::{
    KeGetCurrentThread, KeQueryPriorityThread, KeSetPriorityThread, KeSetSystemGroupAffinityThread,
};
use kmdf_mock::world;
use kmdf_mock::{sim_assert, sim_assert_eq};
use support::{Work, Wq, reports, rows};

fn priority() -> i32 {
    // SAFETY: the caller's own thread, at PASSIVE_LEVEL.
    unsafe { KeQueryPriorityThread(KeGetCurrentThread()) }
}

fn set_priority(priority: i32) {
    // SAFETY: as above.
    unsafe { KeSetPriorityThread(KeGetCurrentThread(), priority) };
}

fn stay_on(cpu: u32) {
    let mut wanted = GROUP_AFFINITY {
        Mask: 1 << cpu,
        ..GROUP_AFFINITY::default()
    };
    // SAFETY: the structure lives across the call; null asks for no answer.
    unsafe { KeSetSystemGroupAffinityThread(&mut wanted, core::ptr::null_mut()) };
}

/// How many of the reports so far have this code.
fn count(code: &str) -> usize {
    reports().iter().filter(|found| *found == code).count()
}

/// BH31: a function that leaves its thread at a real-time priority is reported, and the thread has its own again, or
/// that of its queue, before the next work. A priority below is the thread's own affair: NT takes it back itself.
#[test]
fn bh31_a_function_that_leaves_a_real_time_priority() {
    rows(|rig| {
        rig.expect(&["BH31"]);
        let normal = {
            let seen = Arc::new(AtomicI32::new(0));
            let work = Work::new({
                let seen = Arc::clone(&seen);
                move |_, _| seen.store(priority(), SeqCst)
            });
            work.schedule();
            work.flush();
            work.free();
            seen.load(SeqCst)
        };
        for (flags, expected) in [(0, normal), (WQ_HIGHPRI, 15)] {
            let wq = Wq::with(flags | WQ_UNBOUND, 1);
            let leak = Work::new(|_, _| set_priority(16));
            let after = Work::new(move |_, _| sim_assert_eq!(priority(), expected));
            sim_assert!(leak.queue(wq) && after.queue(wq));
            wq.flush();
            sim_assert_eq!(after.runs(), 1);
            wq.destroy();
            leak.free();
            after.free();
        }
        sim_assert_eq!(count("BH31"), 2);
    });
}

/// BH31: a function that leaves its thread bound to a CPU is reported by the name of its queue, and the binding is
/// taken back. Builds with debug assertions look for it.
#[test]
#[cfg(debug_assertions)]
fn bh31_a_function_that_leaves_an_affinity() {
    rows(|rig| {
        rig.expect(&["BH31"]);
        let wq = Wq::with(WQ_UNBOUND, 0);
        let leak = Work::new(|_, _| stay_on(3));
        for run in 1..=3 {
            leak.queue(wq);
            wq.flush();
            world::settle();
            sim_assert_eq!(count("BH31"), run);
        }
        wq.destroy();
        leak.free();
    });
}

/// BH31: a pinned work that moves its thread elsewhere is reported, and the pinned works that follow are on their CPU.
#[test]
fn bh31_a_pinned_function_that_moves_its_thread() {
    rows(|rig| {
        rig.expect(&["BH31"]);
        let wq = Wq::with(WQ_PERCPU, 1);
        let leak = Work::new(|_, _| stay_on(3));
        let after = Work::new(|_, _| sim_assert_eq!(world::current_cpu(), 1));
        world::run_on_cpu(1, || sim_assert!(leak.queue(wq) && after.queue(wq)));
        wq.destroy();
        sim_assert_eq!((after.runs(), count("BH31")), (1, 1));
        leak.free();
        after.free();
    });
}

/// The control: functions that take back what they change are not reported.
#[test]
fn a_function_that_takes_everything_back_is_not_reported() {
    rows(|_| {
        let wq = Wq::with(WQ_UNBOUND | WQ_HIGHPRI, 2);
        let tidy = Work::new(|_, _| {
            world::run_on_cpu(2, || world::at_dispatch(|| ()));
            let own = priority();
            set_priority(20);
            set_priority(own);
        });
        tidy.queue(wq);
        wq.flush();
        sim_assert!(reports().is_empty());
        wq.destroy();
        tidy.free();
    });
}

/// W22, BH32: a work that is idle, and over whose link something was written, is reported and runs: Linux warns of a
/// link that is not empty. Nothing of what was written is followed.
#[test]
fn bh32_something_is_written_over_the_link_of_an_idle_work() {
    rows(|rig| {
        rig.expect(&["BH32"]);
        let wq = Wq::bound();
        for bytes in [0_u8, 0xFF, 0x5A] {
            let work = Work::counting();
            // SAFETY: the link is the 16 bytes behind the word, and nobody uses it while the work is idle.
            unsafe { work.work().cast::<u8>().add(8).write_bytes(bytes, 16) };
            let before = count("BH32");
            sim_assert!(work.queue(wq));
            sim_assert_eq!(count("BH32"), before + 1);
            work.flush();
            sim_assert!(work.queue(wq));
            work.flush();
            sim_assert_eq!((work.runs(), count("BH32")), (2, before + 1));
            work.free();
        }
        wq.destroy();
    });
}

/// The control of BH32: a work is not reported after any of the ways to stop being pending.
#[test]
fn bh32_is_not_said_of_works_that_were_queued_before() {
    rows(|_| {
        let wq = Wq::with(WQ_UNBOUND, 1);
        let work = Work::counting();
        for round in 1..=6 {
            work.queue(wq);
            work.cancel_sync();
            work.queue_delayed(wq, 1);
            work.cancel_delayed_sync();
            work.modify(wq, 1);
            work.modify(wq, 0);
            work.flush_delayed();
            sim_assert!(work.runs() >= round);
        }
        sim_assert!(reports().is_empty());
        wq.destroy();
        work.free();
    });
}
