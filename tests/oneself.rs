//! Waits that would never end, because they wait for the end of the caller's own run: each is told BH07 and
//! returns. And waits that look alike and do end: none of them is refused.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

use bottomhalf::linux::*;
use kmdf_mock::world::{self, Gate};
use kmdf_mock::{sim_assert, sim_assert_eq};
use support::{NonReentrant, SEEDS, SelfReentrant, Work, Wq, reports, rows, rows_with};

/// A work that does `first` in its first run, and nothing in others.
fn once(first: impl Fn(Work) + Send + Sync + 'static) -> Work {
    Work::new(move |this, run| {
        if run == 1 {
            first(this);
        }
    })
}

/// Does `f`, in which exactly `codes` are reported.
fn reporting<R>(codes: &[&str], f: impl FnOnce() -> R) -> R {
    let before = reports().len();
    let result = f();
    sim_assert_eq!(reports().split_off(before), codes);
    result
}

fn drain(wq: Wq) {
    // SAFETY: the queue is alive in every scenario.
    unsafe { drain_workqueue(wq.0) };
}

/// Runs `wait`, from a work on one queue that has queued itself on another one, `B`, with both: before a worker
/// of B has claimed it, and after it. B has other works too, in front and behind. It is told BH07; the second
/// run follows the first.
fn refused(flags: u32, wait: fn(Wq)) {
    for claimed in [false, true] {
        world::seeds(0..SEEDS, |seed| {
            let run = support::machine(seed).run(move || {
                let rig = support::Rig::new(NonReentrant);
                rig.expect(&["BH07"]);
                let (a, b) = (Wq::bound(), Wq::with(flags, 1));
                let others = [Work::counting(), Work::counting()];
                let work = once(move |this| {
                    sim_assert!(others[0].queue(b));
                    sim_assert!(this.queue(b));
                    sim_assert!(others[1].queue(b));
                    if claimed {
                        world::settle();
                    }
                    reporting(&["BH07"], || wait(b));
                    sim_assert_eq!(this.runs(), 1);
                });
                work.queue(a);
                work.wait_begun(2);
                b.flush();
                sim_assert_eq!((work.runs(), work.seen().most_inside()), (2, 1));
                sim_assert_eq!(others.map(Work::runs), [1, 1]);
                // The queue is what it was.
                sim_assert!(work.queue(b));
                b.destroy();
                a.destroy();
                sim_assert_eq!(work.runs(), 3);
                others.into_iter().chain([work]).for_each(Work::free);
                rig.finish();
            });
            if let Err(failure) = run {
                panic!("{failure}\nclaimed: {claimed}");
            }
        });
    }
}

/// W28, BH07: with NonReentrant a work that queues itself on B and flushes B would wait for itself.
#[test]
fn w28_flush_of_the_queue_of_the_own_twin() {
    refused(0, Wq::flush);
    refused(WQ_UNBOUND, Wq::flush);
}

/// BH07: the same with `drain_workqueue`. B takes works again afterwards.
#[test]
fn drain_of_the_queue_of_the_own_twin() {
    refused(WQ_UNBOUND, drain);
}

/// BH07: the same with `destroy_workqueue`, which does not happen: B goes on, and is destroyed later.
#[test]
fn destroy_of_the_queue_of_the_own_twin() {
    refused(WQ_UNBOUND, Wq::destroy);
}

/// BH07: the same with `Attachment::freeze`, which freezes and does not wait.
#[test]
fn freeze_of_the_queue_of_the_own_twin() {
    rows_with(NonReentrant, SEEDS, |rig| {
        rig.expect(&["BH07"]);
        let (a, b) = (Wq::bound(), Wq::with(WQ_FREEZABLE, 0));
        let attachment = rig.attachment();
        let work = once(move |this| {
            sim_assert!(this.queue(b));
            world::settle();
            reporting(&["BH07"], || attachment.freeze());
        });
        work.queue(a);
        work.wait_begun(2);
        rig.attachment().freeze();
        rig.attachment().thaw();
        // The work's own freeze.
        rig.attachment().thaw();
        a.destroy();
        b.destroy();
        work.free();
    });
}

/// A delayed work that is armed for B, and destroys B: it is made due (BH10), claimed, held behind its own run, and
/// the destroy is told BH07 and does not happen.
#[test]
fn destroy_of_the_queue_that_the_caller_is_armed_for() {
    rows_with(NonReentrant, SEEDS, |rig| {
        rig.expect(&["BH07", "BH10"]);
        let (a, b) = (Wq::bound(), Wq::bound());
        let work = once(move |this| {
            sim_assert!(this.queue_delayed(b, 100_000));
            reporting(&["BH10", "BH07"], || b.destroy());
        });
        work.queue(a);
        work.wait_begun(2);
        a.destroy();
        b.destroy();
        sim_assert_eq!(work.runs(), 2);
        work.free();
    });
}

/// W17, BH07: `flush_work` of a work that is queued behind the caller on an ordered queue, or on a bound one with a
/// `max_active` of 1; `flush_delayed_work` of one that is armed for it, too.
#[test]
fn w17_flush_of_a_work_behind_the_caller() {
    rows(|rig| {
        rig.expect(&["BH07"]);
        for wq in [
            Wq::ordered(),
            Wq::with(WQ_UNBOUND, 1),
            Wq::with(WQ_PERCPU, 1),
        ] {
            let (behind, armed) = (Work::counting(), Work::counting());
            let work = once(move |_| {
                sim_assert!(behind.queue(wq));
                sim_assert!(!reporting(&["BH07"], || behind.flush()));
                sim_assert!(armed.queue_delayed(wq, 100_000));
                sim_assert!(!reporting(&["BH07"], || armed.flush_delayed()));
                sim_assert!(behind.pending() && armed.pending());
                sim_assert!(armed.cancel_sync());
            });
            world::run_on_cpu(1, || work.queue(wq));
            work.flush();
            wq.flush();
            sim_assert_eq!((behind.runs(), armed.runs()), (1, 0));
            wq.destroy();
            [work, behind, armed].into_iter().for_each(Work::free);
        }
    });
}

/// BH07: the caller's twin, held, takes the only place of B, and the caller flushes a work behind it: whether the
/// twin is claimed before the flush or while it waits.
#[test]
fn flush_of_a_work_behind_the_own_twin() {
    rows_with(NonReentrant, SEEDS, |rig| {
        rig.expect(&["BH07"]);
        for claimed in [false, true] {
            let (a, b) = (Wq::bound(), Wq::with(WQ_UNBOUND, 1));
            let behind = Work::counting();
            let work = once(move |this| {
                sim_assert!(this.queue(b));
                sim_assert!(behind.queue(b));
                if claimed {
                    world::settle();
                }
                sim_assert!(!reporting(&["BH07"], || behind.flush()));
                sim_assert_eq!(behind.runs(), 0);
            });
            work.queue(a);
            work.wait_begun(2);
            behind.flush();
            sim_assert_eq!((behind.runs(), work.seen().most_inside()), (1, 1));
            a.destroy();
            b.destroy();
            work.free();
            behind.free();
        }
    });
}

/// BH07: `work_on_cpu` and `schedule_on_each_cpu` from a work that takes the only place of `system_wq` for a CPU: the
/// work on the stack is taken back, and the result is -EDEADLK.
#[test]
fn w23_work_on_cpu_behind_the_caller() {
    unsafe extern "C" fn one(_arg: *mut core::ffi::c_void) -> i64 {
        1
    }
    unsafe extern "C" fn nothing(_work: *mut work_struct) {}
    rows(|rig| {
        rig.expect(&["BH07"]);
        // SAFETY: `system_wq` is alive.
        unsafe { workqueue_set_max_active(system_wq(), 1) };
        let work = once(|_| {
            // SAFETY: the function may be called anywhere.
            let on = |cpu| unsafe { work_on_cpu(cpu, one, core::ptr::null_mut()) };
            sim_assert_eq!(on(2), 1);
            sim_assert_eq!(reporting(&["BH07"], || on(1)), -35);
            // SAFETY: the function may be called anywhere.
            let each = || unsafe { schedule_on_each_cpu(nothing) };
            sim_assert_eq!(reporting(&["BH07"], each), -35);
        });
        // SAFETY: the item is alive.
        sim_assert!(unsafe { schedule_work_on(1, work.work()) });
        work.flush();
        sim_assert_eq!(work.runs(), 1);
        work.free();
    });
}

/// What must not be refused: waits from a work that end, although its twin is pending somewhere else, or the queue
/// is almost full of it.
#[test]
fn waits_that_end_are_not_refused() {
    rows(|_| {
        let (a, b, c) = (Wq::with(0, 2), Wq::with(WQ_UNBOUND, 1), Wq::bound());
        let other = Work::counting();
        let work = once(move |this| {
            // Its twin is held on C.
            sim_assert!(this.queue(c));
            world::settle();
            sim_assert!(other.queue(b));
            b.flush();
            sim_assert_eq!(other.runs(), 1);
            sim_assert!(other.queue(b));
            drain(b);
            // Its own queue has a second place.
            sim_assert!(other.queue(a));
            other.flush();
            sim_assert_eq!(other.runs(), 3);
        });
        world::run_on_cpu(1, || work.queue(a));
        work.wait_begun(2);
        [a, b, c].into_iter().for_each(Wq::destroy);
        work.free();
        other.free();
    });
}

/// SelfReentrant: the second instance runs beside the first, so the flush of its queue ends, and is not refused.
#[test]
fn w28_a_self_reentrant_work_flushes_the_queue_of_its_second_instance() {
    rows_with(SelfReentrant, SEEDS, |_| {
        let (a, b) = (Wq::bound(), Wq::bound());
        let work = once(move |this| {
            sim_assert!(this.queue(b));
            b.flush();
            sim_assert_eq!(this.runs(), 2);
        });
        work.queue(a);
        a.flush();
        a.destroy();
        b.destroy();
        work.free();
    });
}

/// Q01: a flush of B from a work that somebody else queues on B after the flush has begun waits for what was there,
/// and not for that: it is not refused.
#[test]
fn q01_a_twin_that_is_queued_after_the_flush_does_not_end_it() {
    rows_with(NonReentrant, SEEDS, |_| {
        let (a, b) = (Wq::bound(), Wq::with(WQ_UNBOUND, 2));
        let gate = Gate::new();
        let earlier = Work::gated(&gate);
        let flushed = Arc::new(AtomicU32::new(0));
        let work = once({
            let flushed = Arc::clone(&flushed);
            move |_| {
                b.flush();
                flushed.store(earlier.seen().ended(), SeqCst);
            }
        });
        earlier.queue(b);
        earlier.wait_begun(1);
        work.queue(a);
        work.wait_begun(1);
        world::settle();
        sim_assert!(work.queue(b));
        world::settle();
        sim_assert_eq!(work.runs(), 1);
        gate.open();
        work.wait_begun(2);
        sim_assert_eq!(flushed.load(SeqCst), 1);
        a.destroy();
        b.destroy();
        work.free();
        earlier.free();
    });
}

/// BH07: a work that runs twice at once is queued on a WQ_NON_REENTRANT queue and held behind the first instance. The
/// second one flushes that queue: while the first runs that is a wait like any, and once the held one waits for the
/// second alone, it is refused.
#[test]
fn a_held_work_that_waits_for_another_instance_ends_the_flush_of_that() {
    rows_with(SelfReentrant, SEEDS, |rig| {
        rig.expect(&["BH07"]);
        let (free, strict) = (Wq::bound(), Wq::with(WQ_NON_REENTRANT, 0));
        let (first, second) = (Gate::new(), Gate::new());
        let flushed = Gate::new();
        let work = Work::new({
            let (first, second, flushed) = (first.clone(), second.clone(), flushed.clone());
            move |_, run| match run {
                1 => first.wait(),
                2 => {
                    second.wait();
                    strict.flush();
                    flushed.open();
                }
                _ => {}
            }
        });
        for run in 1..=2 {
            sim_assert!(work.queue(free));
            work.wait_begun(run);
        }
        sim_assert!(work.queue(strict));
        world::settle();
        second.open();
        world::settle();
        sim_assert!(reports().is_empty(), "the first instance still runs");
        first.open();
        flushed.wait();
        sim_assert_eq!(reports(), ["BH07"]);
        work.wait_begun(3);
        strict.destroy();
        free.destroy();
        work.free();
    });
}

/// Storms: works that queue themselves on a second queue of their own and flush, drain or cancel there at random,
/// while others queue and cancel them. Whatever is refused, every call returns and nothing is lost.
#[test]
fn storms_of_own_waits_end() {
    rows(|rig| {
        rig.allow(&["BH07", "BH02"]);
        let pairs: Vec<_> = (0..2)
            .map(|_| {
                let (a, b) = (Wq::with(WQ_UNBOUND, 1), Wq::with(WQ_UNBOUND, 1));
                let other = Work::counting();
                let work = Work::new(move |this, run| {
                    if run > 6 {
                        return;
                    }
                    if world::choose(2) == 0 {
                        other.queue(b);
                    }
                    this.queue(if world::choose(3) == 0 { a } else { b });
                    match world::choose(5) {
                        0 => b.flush(),
                        1 => drain(b),
                        2 => drop(other.seen()),
                        3 => {
                            other.flush();
                        }
                        _ => {
                            other.cancel_sync();
                        }
                    }
                });
                (a, b, work, other)
            })
            .collect();
        let threads: Vec<_> = pairs
            .iter()
            .map(|(a, b, work, other)| {
                let (a, b, work, other) = (*a, *b, *work, *other);
                world::spawn("outside", None, move || {
                    for _ in 0..10 {
                        match world::choose(5) {
                            0 => work.cancel_sync(),
                            1 => other.queue(b),
                            2 => work.queue(b),
                            _ => work.queue(a),
                        };
                    }
                })
            })
            .collect();
        threads.into_iter().for_each(world::Thread::join);
        for (a, b, work, other) in pairs {
            work.cancel_sync();
            b.destroy();
            a.destroy();
            work.free();
            other.free();
        }
    });
}
