//! Calls that wait: too short, too long, for somebody else, or for ever.

use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

use bottomhalf::linux::*;
use kmdf_mock::world::{self, Gate, Preemption, Sim};
use kmdf_mock::{sim_assert, sim_assert_eq};

use super::support::{Rig, Work, Wq, machine, sleep_jiffies, wait_until};
use super::{
    Calls, LINUX, Reached, any_queue, blocked, cancel, convicts, disable_sync, each, give_way,
    holds, impatient, occupied, racing, rows, run_first, start,
};

/// B-07, B-34: no call with sync in its name returns while the function runs, whether it was queued or its
/// timer has just expired.
#[test]
fn b07_b34_a_sync_call_returns_after_the_run() {
    static EXPIRED: Reached = Reached::new();
    fn scenario(_: &Rig, calls: Calls) {
        let disable_delayed: fn(Work) -> bool = |work| {
            // SAFETY: the item is alive.
            unsafe { disable_delayed_work_sync(work.dwork()) }
        };
        let (wq, kind) = (Wq::bound(), any_queue());
        let syncs = [
            calls.cancel_sync,
            calls.cancel_delayed_sync,
            disable_sync,
            disable_delayed,
        ];
        for (index, sync) in syncs.into_iter().enumerate() {
            let gate = Gate::new();
            let work = Work::gated(&gate);
            run_first(work, wq);
            let caller = blocked("sync", move || (sync(work), work.seen().inside()));
            gate.open();
            sim_assert_eq!(caller.join(), (false, 0), "sync call {index}");
            work.free();
            // And as the timer expires.
            let work = Work::new(|_, _| give_way(20));
            sim_assert!(work.queue_delayed(kind, 1));
            let tick = u64::from(super::support::TICK_100NS);
            world::sleep_100ns(2 * tick - world::now_100ns() % tick);
            give_way(60);
            let cancelled = sync(work);
            sim_assert_eq!(work.seen().inside(), 0, "sync call {index}");
            sim_assert!(!work.pending());
            EXPIRED.note(!cancelled);
            let runs = work.runs();
            sleep_jiffies(4);
            sim_assert_eq!((work.runs(), runs), (runs, u32::from(!cancelled)));
            work.free();
        }
        kind.destroy();
        wq.destroy();
    }
    holds(racing, 60, scenario);
    EXPIRED.check();
    let unwaited = Calls {
        cancel_delayed_sync: Work::cancel_delayed,
        ..LINUX
    };
    convicts(racing, scenario, unwaited, "sync returns early");
}

/// B-12: two flushes and a cancel of one running work: each finds it, and none returns before it has ended.
#[test]
fn b12_two_flushes_and_a_cancel_wait_for_one_run() {
    fn scenario(_: &Rig, calls: Calls) {
        let (wq, gate) = (Wq::bound(), Gate::new());
        let work = Work::gated(&gate);
        run_first(work, wq);
        let flushes = [0; 2].map(|_| {
            blocked("flush", move || {
                (calls.flush)(work);
                work.seen().inside()
            })
        });
        let queue_flush = blocked("flush_workqueue", move || {
            (calls.flush_queue)(wq);
            work.seen().inside()
        });
        let canceller = blocked("cancel", move || {
            (calls.cancel_sync)(work);
            work.seen().inside()
        });
        flushes
            .iter()
            .for_each(|flush| sim_assert!(!flush.thread.is_finished()));
        gate.open();
        each(flushes, |flush| sim_assert_eq!(flush.join(), 0));
        sim_assert_eq!((queue_flush.join(), canceller.join()), (0, 0));
        wq.destroy();
        work.free();
    }
    holds(racing, 50, scenario);
    convicts(
        racing,
        scenario,
        Calls {
            flush: |_| false,
            ..LINUX
        },
        "flush returns early",
    );
    convicts(
        racing,
        scenario,
        Calls {
            flush_queue: |_| {},
            ..LINUX
        },
        "flush_workqueue returns early",
    );
    convicts(
        racing,
        scenario,
        Calls {
            cancel_sync: cancel,
            ..LINUX
        },
        "cancel returns early",
    );
}

/// B-31: a flush of a work that always queues itself waits for what was there, and returns.
#[test]
fn b31_flush_of_a_work_that_queues_itself_returns() {
    fn scenario(_: &Rig, calls: Calls) {
        let wq = any_queue();
        let work = Work::new(move |work, _| {
            work.queue(wq);
            give_way(4);
        });
        run_first(work, wq);
        for _ in 0..5 {
            let before = work.seen().ended();
            (calls.flush)(work);
            sim_assert!(work.seen().ended() > before);
        }
        work.cancel_sync();
        wq.destroy();
        work.free();
    }
    holds(racing, 60, scenario);
    let flush: fn(Work) -> bool = |work| {
        while work.flush() {}
        true
    };
    convicts(
        impatient,
        scenario,
        Calls { flush, ..LINUX },
        "SIM_LIVELOCK",
    );
}

/// Fills a part of the stack below the caller's frame, where the calls before had theirs, gives everybody time
/// to write there, and says whether somebody did. `writer` writes there too.
#[inline(never)]
fn scribbled_over(writer: impl FnOnce(&mut [u64])) -> bool {
    let mut page = [0_u64; 512];
    for word in &mut page {
        // SAFETY: a reference is valid for a write.
        unsafe { core::ptr::write_volatile(word, 0xA5A5_A5A5_A5A5_A5A5) };
    }
    for _ in 0..40 {
        kmdf_mock::sync::preempt();
    }
    writer(&mut page);
    // SAFETY: as above, for a read.
    page.iter()
        .any(|word| unsafe { core::ptr::read_volatile(word) } != 0xA5A5_A5A5_A5A5_A5A5)
}

/// B-56: once a flush or a cancel has returned nobody writes to the stack that it waited on. The record of a
/// waiter is there, and the worker that wakes it may still be at it.
#[test]
fn b56_the_waiters_stack_is_left_alone() {
    static WAITED: Reached = Reached::new();
    rows(racing, 100, |_| {
        let wq = any_queue();
        let work = Work::new(|_, _| give_way(10));
        for round in 0..10 {
            work.queue(wq);
            give_way(20);
            let waits = world::counters().waits;
            match round % 5 {
                0 | 1 => _ = work.flush(),
                2 => wq.flush(),
                3 => _ = work.cancel_sync(),
                _ => _ = work.flush_delayed(),
            }
            WAITED.note(world::counters().waits > waits);
            sim_assert!(
                !scribbled_over(|_| {}),
                "somebody wrote to the stack of a waiter"
            );
        }
        wq.destroy();
        sim_assert!(
            !scribbled_over(|_| {}),
            "somebody wrote to the stack of a waiter"
        );
        work.free();
    });
    WAITED.check();
}

/// The control of B-56: one bit that somebody writes is found.
#[test]
fn b56_a_write_to_the_stack_is_found() {
    rows(racing, 1, |_| {
        sim_assert!(scribbled_over(|page| page[300] ^= 1));
        sim_assert!(!scribbled_over(|_| {}));
    });
}

/// Two to eight sync cancels of a running work, with some of them of a work that is queued behind itself:
/// all return, none before the end.
fn many_cancels(_: &Rig, calls: Calls) {
    let (wq, gate) = (Wq::ordered(), Gate::new());
    for count in 2..=8 {
        let gate_of_this = Gate::new();
        let work = Work::gated(&gate_of_this);
        run_first(work, wq);
        sim_assert!(count % 2 == 0 || work.queue(wq));
        let cancels: Vec<_> = (0..count)
            .map(|_| {
                start("cancel", move || {
                    ((calls.cancel_sync)(work), work.seen().inside())
                })
            })
            .collect();
        world::settle();
        sim_assert!(!cancels.iter().any(|cancel| cancel.thread.is_finished()));
        gate_of_this.open();
        let answers: Vec<_> = cancels.into_iter().map(super::Call::join).collect();
        sim_assert!(answers.iter().all(|answer| answer.1 == 0));
        let found = answers.iter().filter(|answer| answer.0).count();
        sim_assert_eq!(found, count % 2, "one of them took the queued instance");
        sim_assert_eq!((work.runs(), work.pending()), (1, false));
        sim_assert!(work.queue(wq), "nobody holds it any more");
        wq.flush();
        work.free();
    }
    gate.open();
    wq.destroy();
}

/// B-57: of several sync cancels every one is woken.
#[test]
fn b57_every_sync_cancel_is_woken() {
    holds(racing, 20, many_cancels);
    // The first one's return leaves the work to itself, and the others are forgotten.
    let cancel_sync: fn(Work) -> bool = |work| {
        static WAITERS: AtomicU32 = AtomicU32::new(0);
        let first = WAITERS.fetch_add(1, SeqCst) == 0;
        let pending = cancel(work);
        wait_until(|| first && work.seen().inside() == 0);
        pending
    };
    convicts(
        impatient,
        many_cancels,
        Calls {
            cancel_sync,
            ..LINUX
        },
        "SIM_LIVELOCK",
    );
}

/// B-60: the same on one CPU, without preemption too: the cancels do not spin for each other.
#[test]
fn b60_sync_cancels_get_past_each_other_without_preemption() {
    fn unpreempted(seed: u64) -> Sim {
        let preemption = if seed.is_multiple_of(2) {
            Preemption::Never
        } else {
            Preemption::Always
        };
        machine(seed)
            .cpus(1)
            .preemption(preemption)
            .step_limit(400_000)
    }
    holds(unpreempted, 20, many_cancels);
    // Each waits at a raised IRQL, so the runner does not get the CPU.
    let cancel_sync: fn(Work) -> bool = |work| {
        world::at_dispatch(|| {
            while work.seen().inside() > 0 {
                kmdf_mock::sync::preempt();
            }
        });
        work.cancel_sync()
    };
    convicts(
        unpreempted,
        many_cancels,
        Calls {
            cancel_sync,
            ..LINUX
        },
        "SIM_LIVELOCK",
    );
}

/// B-62: a sync cancel returns whatever the work is doing: nothing, nothing any more, armed and not arming
/// itself, running and not arming itself. And twice in a row.
#[test]
fn b62_cancel_sync_of_a_work_that_does_not_arm_itself() {
    fn scenario(_: &Rig, calls: Calls) {
        let (wq, gate) = (Wq::bound(), Gate::new());
        let work = Work::gated(&gate);
        let sync = calls.cancel_delayed_sync;
        sim_assert_eq!([sync(work), sync(work)], [false; 2]);
        sim_assert!(work.queue_delayed(wq, 500));
        sim_assert_eq!([sync(work), sync(work)], [true, false]);
        run_first(work, wq);
        let running = start("cancel", move || sync(work));
        world::settle();
        gate.open();
        sim_assert_eq!(running.join(), false);
        sim_assert_eq!([sync(work), sync(work)], [false; 2]);
        wq.destroy();
        sim_assert_eq!((work.runs(), sync(work)), (1, false));
        work.free();
    }
    holds(racing, 40, scenario);
    let cancel_delayed_sync: fn(Work) -> bool = |work| {
        // As in B-62: it is cancelled again and again until that took something away.
        while !work.cancel_delayed() {
            sleep_jiffies(1);
        }
        true
    };
    let planted = Calls {
        cancel_delayed_sync,
        ..LINUX
    };
    convicts(impatient, scenario, planted, "SIM_LIVELOCK");
}

/// B-66: flush_work waits for its own work only: the caller holds what another work of the queue, before or
/// behind, is waiting for.
#[test]
fn b66_flush_does_not_wait_for_other_works() {
    fn scenario(_: &Rig, calls: Calls) {
        let (bound, ordered) = (Wq::bound(), Wq::ordered());
        let lock = Gate::new();
        let needs_lock = [0; 2].map(|_| Work::gated(&lock));
        let [before, behind] = needs_lock;
        run_first(before, bound);
        let works = [Work::counting(), Work::new(|_, _| give_way(30))];
        sim_assert!(works[0].queue(bound));
        sim_assert!(works[1].queue(ordered) && behind.queue(ordered));
        each(works, calls.flush);
        sim_assert_eq!(works.map(|work| work.seen().ended()), [1; 2]);
        sim_assert_eq!(needs_lock.map(|work| work.seen().ended()), [0; 2]);
        lock.open();
        bound.destroy();
        ordered.destroy();
        works.into_iter().chain(needs_lock).for_each(Work::free);
    }
    holds(racing, 40, scenario);
    let flush: fn(Work) -> bool = |_| {
        let gate = Gate::new();
        let (wq, _) = occupied(&gate);
        wq.flush();
        true
    };
    convicts(racing, scenario, Calls { flush, ..LINUX }, "SIM_DEADLOCK");
}

/// B-41: cancel and flush wait by an event, and nobody looks every tick meanwhile. (What happens to a work
/// that waits for itself is BH07, in tests/misuse.rs.)
#[test]
fn b41_waiting_is_not_polling() {
    fn scenario(_: &Rig, calls: Calls) {
        for sync in [calls.cancel_sync, calls.flush, calls.cancel_delayed_sync] {
            let (wq, gate) = (Wq::bound(), Gate::new());
            let work = Work::gated(&gate);
            run_first(work, wq);
            let caller = blocked("sync", move || sync(work));
            let before = world::counters().waits;
            sleep_jiffies(100);
            // The sleep itself is a wait.
            sim_assert!(world::counters().waits <= before + 1, "somebody polls");
            gate.open();
            caller.join();
            wq.destroy();
            work.free();
        }
    }
    holds(racing, 30, scenario);
    let cancel_sync: fn(Work) -> bool = |work| {
        let pending = cancel(work);
        wait_until(|| work.seen().inside() == 0);
        pending
    };
    let planted = Calls {
        cancel_sync,
        ..LINUX
    };
    convicts(racing, scenario, planted, "somebody polls");
}
