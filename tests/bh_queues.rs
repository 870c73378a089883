//! Works of `WQ_BH` queues: they run as tasklets do (linux.md 3.1, rows Q22, Q23).

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

use bottomhalf::counters;
use bottomhalf::linux::*;
use kmdf_mock::world::{self, Interrupt, Preemption, Sim};
use kmdf_mock::{sim_assert, sim_assert_eq};
use support::{Flag, Tasklet, Trace, Work, Wq, machine, reports, rows, rows_on};

/// `alloc_workqueue(name, WQ_BH, 0)`.
fn bh() -> Wq {
    let wq = Wq::with(WQ_BH, 0);
    sim_assert!(!wq.0.is_null());
    wq
}

fn bh_highpri() -> Wq {
    Wq::with(WQ_BH | WQ_HIGHPRI, 0)
}

/// Does `f` with bottom halves off on `cpu`; what it queues has run when this returns.
fn bh_off_on<R>(cpu: u32, f: impl FnOnce() -> R) -> R {
    world::run_on_cpu(cpu, || {
        local_bh_disable();
        let result = f();
        local_bh_enable();
        result
    })
}

/// A work that adds a letter.
fn letter(trace: &Trace, letter: char) -> Work {
    let trace = trace.clone();
    Work::new(move |_, _| trace.add(letter))
}

fn queue_on(cpu: i32, wq: Wq, work: Work) -> bool {
    // SAFETY: both are alive in every scenario.
    unsafe { queue_work_on(cpu, wq.0, work.work()) }
}

fn drain(wq: Wq) {
    // SAFETY: as in `queue_on`.
    unsafe { drain_workqueue(wq.0) };
}

fn cancel(work: Work) -> bool {
    // SAFETY: as in `queue_on`.
    unsafe { cancel_work(work.work()) }
}

/// Opens once; waited for by spinning.
/// A work whose first run waits for the flag.
fn gated() -> (Work, Flag) {
    let flag = Flag::default();
    let gate = flag.clone();
    let work = Work::new(move |_, run| {
        if run == 1 {
            gate.spin();
        }
    });
    (work, flag)
}

/// Starts `work` on `cpu` and waits until it is inside. The thread may be under the drain, so it is not joined
/// here.
fn start_on(cpu: u32, wq: Wq, work: Work) -> world::Thread {
    let thread = world::spawn("starter", Some(cpu), move || {
        sim_assert!(work.queue(wq));
    });
    work.wait_begun(1);
    thread
}

/// Every drain is interrupted, at every point in every other seed.
fn busy(seed: u64) -> Sim {
    let preemption = if seed.is_multiple_of(2) {
        Preemption::Always
    } else {
        Preemption::Often
    };
    machine(seed).preemption(preemption)
}

/// Q22: queued with bottom halves off A and B do not run; then A and B, in a soft interrupt of that CPU.
#[test]
fn q22_works_run_in_order_as_soft_interrupts() {
    rows(|_| {
        for wq in [bh(), bh_highpri(), Wq(system_bh_wq())] {
            let trace = Trace::default();
            let probing = |name: char| {
                let trace = trace.clone();
                Work::new(move |_, _| {
                    sim_assert!(in_serving_softirq() && in_interrupt());
                    sim_assert!(!in_hardirq() && !in_task() && !irqs_disabled());
                    trace.add(name);
                })
            };
            let (a, b) = (probing('A'), probing('B'));
            bh_off_on(2, || {
                sim_assert!(a.queue(wq) && b.queue(wq));
                sim_assert!(!a.queue(wq));
                sim_assert_eq!((a.pending(), a.runs(), b.runs()), (true, 0, 0));
            });
            sim_assert_eq!(trace.get(), "AB");
            for work in [a, b] {
                let seen = work.seen();
                sim_assert_eq!((seen.runs(), seen.cpu(0), seen.irql(0)), (1, 2, 2));
                sim_assert!(!work.pending());
                work.free();
            }
            if wq.0 != system_bh_wq() {
                wq.destroy();
            }
        }
    });
}

/// Q23: `WQ_BH` with `WQ_UNBOUND`, or with a `max_active` of 1: no queue is made, BH21. `WQ_HIGHPRI` may be added.
#[test]
fn q23_flags_that_exclude_each_other() {
    rows(|rig| {
        rig.expect(&["BH21"]);
        for (flags, max_active) in [
            (WQ_BH | WQ_UNBOUND, 0),
            (WQ_BH, 1),
            (WQ_BH | WQ_FREEZABLE, 0),
            (WQ_BH | WQ_MEM_RECLAIM, 0),
            (WQ_BH | WQ_CPU_INTENSIVE, 0),
        ] {
            sim_assert!(Wq::with(flags, max_active).0.is_null());
        }
        sim_assert_eq!(reports().len(), 5);
        bh_highpri().destroy();
    });
}

/// Such a queue needs no WDFWORKITEM and queueing enqueues none; `workqueue_set_max_active` leaves it as it is
/// (BH19).
#[test]
fn it_has_no_work_item() {
    rows(|rig| {
        rig.expect(&["BH19"]);
        let before = world::counters();
        let (wq, work) = (bh(), Work::counting());
        // SAFETY: alive.
        unsafe { workqueue_set_max_active(wq.0, 3) };
        for _ in 0..5 {
            work.queue(wq);
            work.flush();
        }
        let made = world::counters() - before;
        sim_assert_eq!((made.objects_work_item, made.work_item_enqueues), (0, 0));
        wq.destroy();
        work.free();
    });
}

/// Linux serves the works of a priority before its tasklets: high works, high tasklets, works, tasklets.
#[test]
fn works_run_before_tasklets_of_their_priority() {
    rows(|_| {
        let trace = Trace::default();
        let tasklet = |name: char| {
            let trace = trace.clone();
            Tasklet::new(move |_, _| trace.add(name))
        };
        let (t, hi) = (tasklet('t'), tasklet('T'));
        let (w, high) = (letter(&trace, 'w'), letter(&trace, 'W'));
        let (wq, wq_high) = (bh(), bh_highpri());
        bh_off_on(1, || {
            t.schedule();
            hi.hi_schedule();
            sim_assert!(w.queue(wq) && high.queue(wq_high));
        });
        sim_assert_eq!(trace.get(), "WTwt");
        for tasklet in [t, hi] {
            tasklet.kill();
            tasklet.free();
        }
        [wq, wq_high].into_iter().for_each(Wq::destroy);
        [w, high].into_iter().for_each(Work::free);
    });
}

/// But at most ten works before the tasklets get their turn, as in Linux; a work that queues itself for ever
/// keeps no tasklet back.
#[test]
fn ten_works_then_the_tasklets() {
    rows(|_| {
        let trace = Trace::default();
        let note = trace.clone();
        let tasklet = Tasklet::new(move |_, _| note.add('t'));
        let works: Vec<Work> = ('a'..='o').map(|name| letter(&trace, name)).collect();
        let wq = bh();
        bh_off_on(1, || {
            tasklet.schedule();
            works.iter().for_each(|work| sim_assert!(work.queue(wq)));
        });
        wq.flush();
        sim_assert_eq!(trace.get(), "abcdefghijtklmno");
        wq.destroy();
        works.into_iter().for_each(Work::free);
        let wq = bh();
        let endless = Work::new(move |work, _| {
            work.queue(wq);
        });
        sim_assert!(endless.queue(wq));
        for run in 2..5 {
            tasklet.schedule();
            support::wait_until(|| tasklet.runs() == run);
        }
        sim_assert!(!endless.cancel_sync() || endless.seen().inside() == 0);
        wq.destroy();
        endless.free();
        tasklet.kill();
        tasklet.free();
    });
}

/// W03, R3: queued on CPU 2 and 3 while it runs on CPU 1 it does not run twice at once, whatever the image's
/// rule; it runs again on CPU 1, next.
#[test]
fn w03_it_never_overlaps_itself() {
    rows_on(machine, 50, |_| {
        let wq = bh();
        let (work, flag) = gated();
        let starter = start_on(1, wq, work);
        sim_assert!(queue_on(2, wq, work));
        sim_assert!(!queue_on(3, wq, work));
        world::sleep_100ns(5_000);
        sim_assert_eq!((work.runs(), work.pending()), (1, true));
        flag.set();
        work.flush();
        starter.join();
        let seen = work.seen();
        sim_assert_eq!((seen.runs(), seen.most_inside()), (2, 1));
        sim_assert_eq!((seen.cpu(0), seen.cpu(1)), (1, 1));
        wq.destroy();
        work.free();
    });
}

/// W07, W18: a work finds nothing in `current_work`, may queue itself, and may free itself.
#[test]
fn w07_w18_a_work_and_its_function() {
    rows(|_| {
        let wq = bh();
        let work = Work::new(move |this, run| {
            sim_assert!(current_work().is_null());
            sim_assert!(!this.pending());
            if run < 4 {
                sim_assert!(this.queue(wq));
            }
        });
        let tasklet = Tasklet::new(|_, _| sim_assert!(current_work().is_null()));
        bh_off_on(1, || {
            sim_assert!(work.queue(wq));
            tasklet.schedule();
            sim_assert!(current_work().is_null());
        });
        sim_assert_eq!(work.runs(), 4);
        let gone = Work::new(|this, _| this.free());
        let seen = gone.seen();
        bh_off_on(1, || sim_assert!(gone.queue(wq)));
        sim_assert_eq!(seen.runs(), 1);
        wq.destroy();
        work.free();
        tasklet.kill();
        tasklet.free();
    });
}

/// W08, W09: cancelled while it is queued it does not run; idle and running it is not cancelled.
#[test]
fn w08_w09_cancel_by_state() {
    rows(|_| {
        let wq = bh();
        let work = Work::counting();
        sim_assert_eq!((cancel(work), work.cancel_sync()), (false, false));
        bh_off_on(1, || {
            sim_assert!(work.queue(wq));
            sim_assert!(cancel(work));
            sim_assert!(work.queue(wq));
        });
        sim_assert_eq!(work.runs(), 1);
        let (running, flag) = gated();
        let starter = start_on(1, wq, running);
        sim_assert!(!cancel(running));
        sim_assert!(queue_on(2, wq, running));
        sim_assert!(cancel(running));
        flag.set();
        starter.join();
        running.flush();
        sim_assert_eq!(running.runs(), 1);
        wq.destroy();
        [work, running].into_iter().for_each(Work::free);
    });
}

/// W10, W11, W13: at PASSIVE_LEVEL a synchronous cancel sleeps until the run is over; queueing meanwhile is
/// refused.
#[test]
fn w10_cancel_sync_sleeps_for_the_run() {
    rows(|_| {
        let wq = bh();
        let (work, flag) = gated();
        let starter = start_on(1, wq, work);
        sim_assert!(queue_on(2, wq, work));
        let canceller = world::spawn("canceller", Some(3), move || {
            sim_assert!(work.cancel_sync());
            sim_assert_eq!(work.seen().inside(), 0);
        });
        support::wait_until(|| canceller.is_blocked());
        sim_assert!(!work.queue(wq));
        flag.set();
        canceller.join();
        starter.join();
        sim_assert_eq!((work.runs(), work.pending()), (1, false));
        sim_assert!(work.queue(wq));
        wq.destroy();
        sim_assert_eq!(work.runs(), 2);
        work.free();
    });
}

/// At DISPATCH_LEVEL a synchronous cancel of such a work spins until the run on the other CPU is over, as in
/// Linux, and needs no diagnostic; idle and queued it returns at once.
#[test]
fn cancel_sync_spins_at_dispatch() {
    rows(|_| {
        let wq = bh();
        let (work, flag) = gated();
        let starter = start_on(1, wq, work);
        let opener = world::spawn("opener", Some(3), move || {
            world::sleep_100ns(3_000);
            flag.set();
        });
        bh_off_on(2, || {
            sim_assert!(!work.cancel_sync());
            sim_assert_eq!(work.seen().inside(), 0);
            sim_assert!(!work.cancel_sync());
            sim_assert!(work.queue(wq));
            sim_assert!(work.cancel_sync());
            // SAFETY: alive.
            unsafe {
                sim_assert!(!disable_work_sync(work.work()));
                sim_assert!(!work.queue(wq));
                sim_assert!(enable_work(work.work()));
            }
            sim_assert!(!work.cancel_sync());
        });
        opener.join();
        starter.join();
        sim_assert_eq!(work.runs(), 1);
        wq.destroy();
        work.free();
    });
}

/// BH06: a work that was on a thread's queue last is not waited for at DISPATCH_LEVEL, nor is any in an
/// interrupt, nor does a flush spin.
#[test]
fn bh06_what_cannot_be_waited_for_at_dispatch() {
    rows(|rig| {
        rig.expect(&["BH06"]);
        let (wq, threads) = (bh(), Wq::bound());
        let work = Work::counting();
        work.queue(wq);
        work.flush();
        let line = Interrupt::connect("line", 5, move || {
            sim_assert!(!work.cancel_sync());
        });
        line.raise(1);
        support::wait_until(|| line.is_idle());
        sim_assert_eq!(reports(), ["BH06"]);
        world::at_dispatch(|| sim_assert!(!work.flush()));
        sim_assert_eq!(reports().len(), 2);
        work.queue(threads);
        work.flush();
        world::at_dispatch(|| sim_assert!(!work.cancel_sync()));
        sim_assert_eq!(reports().len(), 3);
        [wq, threads].into_iter().for_each(Wq::destroy);
        work.free();
    });
}

/// BH07: its own function does not wait for itself, whatever thread the drain is on (N-40); a tasklet on the
/// same CPU is not its function.
#[test]
fn bh07_the_own_function() {
    rows(|rig| {
        rig.expect(&["BH07"]);
        let wq = bh();
        let work = Work::new(move |this, run| {
            if run == 1 {
                sim_assert!(!this.cancel_sync());
                sim_assert!(this.queue(wq));
                sim_assert!(this.cancel_sync());
            }
        });
        let tasklet = Tasklet::new(move |_, _| sim_assert!(!work.cancel_sync()));
        bh_off_on(1, || {
            sim_assert!(work.queue(wq));
            tasklet.schedule();
        });
        sim_assert_eq!((work.runs(), tasklet.runs()), (1, 1));
        sim_assert_eq!(reports(), ["BH07", "BH07"]);
        wq.destroy();
        work.free();
        tasklet.kill();
        tasklet.free();
    });
}

/// Q01, Q03, Q06: `flush_workqueue`, `drain_workqueue` and `destroy_workqueue` wait for works of all CPUs and for
/// what they queue themselves; the queue is gone afterwards.
#[test]
fn q03_q06_flush_drain_and_destroy() {
    rows_on(busy, 60, |_| {
        let wq = bh();
        let works = [0, 1, 2, 3].map(|cpu: i32| {
            let work = Work::new(move |this, run| {
                if run < 6 {
                    sim_assert!(this.queue(wq), "a work of the queue may queue to it");
                }
            });
            (cpu, work)
        });
        let (flushed, flag) = gated();
        let starter = start_on(1, wq, flushed);
        let flusher = world::spawn("flusher", Some(0), move || {
            wq.flush();
            sim_assert_eq!(flushed.seen().inside(), 0);
        });
        support::wait_until(|| flusher.is_blocked());
        flag.set();
        flusher.join();
        starter.join();
        for (cpu, work) in works {
            sim_assert!(queue_on(cpu, wq, work));
        }
        drain(wq);
        sim_assert!(works.iter().all(|(_, work)| work.runs() == 6));
        for (cpu, work) in works {
            sim_assert!(queue_on(cpu, wq, work));
        }
        wq.destroy();
        for (cpu, work) in works {
            sim_assert_eq!(work.runs(), 7);
            sim_assert_eq!(work.seen().cpu(6), cpu as u32);
            work.free();
        }
        flushed.free();
    });
}

/// BH02: while the queue drains, an outsider is refused, also a tasklet and an interrupt that have interrupted a
/// worker.
#[test]
fn bh02_outsiders_are_refused_while_it_drains() {
    rows(|rig| {
        rig.expect(&["BH02"]);
        let wq = bh();
        let (work, flag) = gated();
        let other = Work::counting();
        let starter = start_on(1, wq, work);
        let drainer = world::spawn("drainer", Some(3), move || drain(wq));
        support::wait_until(|| drainer.is_blocked());
        sim_assert!(!other.queue(wq));
        let tasklet = Tasklet::new(move |_, _| sim_assert!(!other.queue(wq)));
        world::spawn("scheduler", Some(2), move || tasklet.schedule()).join();
        tasklet.wait_begun(1);
        tasklet.kill();
        flag.set();
        drainer.join();
        starter.join();
        sim_assert_eq!(reports(), ["BH02", "BH02"]);
        sim_assert!(other.queue(wq));
        wq.destroy();
        sim_assert_eq!(other.runs(), 1);
        [work, other].into_iter().for_each(Work::free);
        tasklet.free();
    });
}

/// W27: queued by an interrupt it runs after it, as a soft interrupt of that CPU.
#[test]
fn w27_queued_by_an_interrupt() {
    rows(|_| {
        let wq = bh();
        let work = Work::counting();
        let line = Interrupt::connect("line", 5, move || {
            sim_assert!(work.queue(wq));
            sim_assert_eq!(work.runs(), 0);
        });
        line.raise(3);
        support::wait_until(|| work.seen().ended() == 1);
        sim_assert_eq!((work.seen().cpu(0), work.seen().irql(0)), (3, 2));
        wq.destroy();
        work.free();
    });
}

/// D01, D11: a delayed work of such a queue runs when it is due, at DISPATCH_LEVEL, never early; cancelled while
/// armed it does not.
#[test]
fn d01_delayed_works() {
    rows(|_| {
        let wq = bh();
        let work = Work::counting();
        let began = jiffies();
        sim_assert!(work.queue_delayed(wq, 3));
        support::wait_until(|| work.runs() == 1);
        sim_assert!(jiffies() >= began + 3);
        sim_assert_eq!(work.seen().irql(0), 2);
        sim_assert!(work.queue_delayed(wq, 3));
        sim_assert!(work.cancel_delayed());
        sim_assert!(!work.modify(wq, 1));
        work.flush_delayed();
        sim_assert_eq!(work.runs(), 2, "flushed, it runs at once");
        support::sleep_jiffies(8);
        sim_assert_eq!(work.runs(), 2);
        wq.destroy();
        work.free();
    });
}

/// H3 of the engine: the same work on a `WQ_BH` queue and on one with threads runs where it was queued: never in
/// a thread for the one, nor at DISPATCH_LEVEL for the other, even while its twin runs. Linux voids its guarantee
/// there too (row W28).
#[test]
fn w28_the_kinds_do_not_mix() {
    rows_on(busy, 60, |_| {
        let (wq, threads) = (bh(), Wq::bound());
        let work = Work::counting();
        let levels: Arc<[AtomicU32; 2]> = Arc::default();
        let queues = [(wq, 2), (threads, 0)].map(|(queue, level)| {
            let levels = Arc::clone(&levels);
            world::spawn("producer", None, move || {
                for _ in 0..10 {
                    levels[usize::from(level == 2)].fetch_add(u32::from(work.queue(queue)), SeqCst);
                    world::sleep_100ns(50);
                }
            })
        });
        queues.into_iter().for_each(world::Thread::join);
        [wq, threads].into_iter().for_each(Wq::destroy);
        let seen = work.seen();
        let high = (0..seen.runs() as usize)
            .filter(|run| seen.irql(*run) == 2)
            .count();
        sim_assert_eq!(high as u32, levels[1].load(SeqCst));
        sim_assert_eq!(
            seen.runs(),
            levels.iter().map(|count| count.load(SeqCst)).sum()
        );
        work.free();
    });
}

/// H-15 with works: they queue themselves for ever on every CPU, the threads take over, the order holds, and the
/// CPUs' other threads go on; then the queue is destroyed under them.
#[test]
fn storms_go_to_the_thread_and_end_with_their_queue() {
    rows_on(
        |seed| busy(seed).watchdog_100ns(20_000, 50_000),
        60,
        |_| {
            let wq = bh();
            let stopped = Arc::new(AtomicU32::new(0));
            let storms: Vec<Work> = (0..8)
                .map(|_| {
                    let stop = Arc::clone(&stopped);
                    Work::new(move |this, _| {
                        if stop.load(SeqCst) == 0 {
                            sim_assert!(this.queue(wq));
                        }
                    })
                })
                .collect();
            for (index, storm) in storms.iter().enumerate() {
                sim_assert!(queue_on(index as i32 % 4, wq, *storm));
            }
            support::wait_until(|| counters().overflows >= 4);
            let trace = Trace::default();
            let letters = ['A', 'B', 'C'].map(|name| letter(&trace, name));
            for round in 1..=3 {
                bh_off_on(2, || {
                    letters.iter().for_each(|work| sim_assert!(work.queue(wq)));
                });
                letters.iter().for_each(|work| {
                    work.flush();
                });
                sim_assert_eq!(trace.get(), "ABC".repeat(round));
            }
            let destroyer = world::spawn("destroyer", Some(1), move || wq.destroy());
            world::sleep_100ns(2_000);
            stopped.store(1, SeqCst);
            destroyer.join();
            for (index, storm) in storms.iter().enumerate() {
                let seen = storm.seen();
                sim_assert_eq!(seen.most_inside(), 1);
                let here = (0..seen.runs() as usize)
                    .all(|run| (seen.cpu(run), seen.irql(run)) == (index as u32 % 4, 2));
                sim_assert!(here, "it ran elsewhere");
            }
            storms.into_iter().chain(letters).for_each(Work::free);
        },
    );
}

/// W34, W35, W36: producers on all CPUs, a canceller of each kind, and the end of the queue: what was accepted and
/// not cancelled ran, and after the destroy nothing is touched.
#[test]
fn w35_the_books_close() {
    rows_on(busy, 100, |_| {
        let wq = bh();
        let works = [0; 3].map(|_| Work::counting());
        let queued = Arc::new(AtomicU32::new(0));
        let producers = [0, 1, 2, 3].map(|cpu: u32| {
            let queued = Arc::clone(&queued);
            world::spawn("producer", Some(cpu), move || {
                for step in 0..8 {
                    let work = works[(step + cpu as usize) % 3];
                    let on = (cpu as i32 + step as i32) % 4;
                    queued.fetch_add(u32::from(queue_on(on, wq, work)), SeqCst);
                }
            })
        });
        let cancellers = [false, true].map(|dispatch| {
            let queued = Arc::clone(&queued);
            world::spawn("canceller", None, move || {
                for step in 0..6 {
                    let work = works[step % 3];
                    let cancelled = match (dispatch, step % 2) {
                        (true, _) => world::at_dispatch(|| cancel(work)),
                        (false, 0) => work.cancel_sync(),
                        (false, _) => cancel(work),
                    };
                    queued.fetch_sub(u32::from(cancelled), SeqCst);
                }
            })
        });
        for thread in producers.into_iter().chain(cancellers) {
            thread.join();
        }
        wq.destroy();
        let runs: u32 = works.iter().map(|work| work.runs()).sum();
        sim_assert_eq!(runs, queued.load(SeqCst));
        sim_assert!(works.iter().all(|work| work.seen().most_inside() <= 1));
        let counts = counters();
        sim_assert_eq!(counts.pending, 0);
        works.into_iter().for_each(Work::free);
    });
}

/// BH13: a queue that is left at detach is destroyed after its works have run, also those that queue themselves.
#[test]
fn bh13_detach_runs_what_is_pending() {
    rows_on(busy, 60, |rig| {
        rig.expect(&["BH13"]);
        rig.allow(&["BH03"]);
        let (left, works) = (bh(), [0, 1, 2, 3].map(|_| Work::counting()));
        let endless = Work::new(|this, _| {
            this.queue(Wq(system_bh_wq()));
        });
        endless.queue(Wq(system_bh_highpri_wq()));
        for (cpu, work) in works.iter().enumerate() {
            sim_assert!(queue_on(cpu as i32, left, *work));
        }
        rig.detach();
        sim_assert!(works.iter().all(|work| work.runs() == 1));
        sim_assert!(endless.runs() >= 1 && !endless.pending());
        works.into_iter().chain([endless]).for_each(Work::free);
    });
}

/// BH28: a function that returns at another level is reported, and the next work runs as it should.
#[test]
fn bh28_a_function_that_changes_the_level() {
    rows(|rig| {
        rig.expect(&["BH28"]);
        let wq = bh();
        let messy = Work::new(|_, _| local_bh_disable());
        let next = Work::counting();
        bh_off_on(1, || sim_assert!(messy.queue(wq) && next.queue(wq)));
        sim_assert_eq!((messy.runs(), next.runs(), next.seen().irql(0)), (1, 1, 2));
        wq.destroy();
        [messy, next].into_iter().for_each(Work::free);
    });
}
