//! Races for PENDING: who has the work when it is queued, dequeued, cancelled and expires all at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed, Ordering::SeqCst};

use bottomhalf::linux::*;
use bottomhalf::{Attachment, Config, Host, WorkReentrance, attach};
use kmdf_mock::world::{self, Driver, Live};
use kmdf_mock::{sim_assert, sim_assert_eq};

use super::support::{NonReentrant, Rig, TICK_100NS, Work, Wq, sleep_jiffies};
use super::{
    BOTH, Calls, LINUX, Reached, any_queue, cancel, convicts, each, give_way, holds, in_real_time,
    queue_on, racing, rows, start,
};

/// B-03: ten threads queue one work again and again: it runs at least once, at most as often as it was
/// accepted (here: exactly so), and the last queueing, accepted or refused, is seen by a run.
#[test]
fn b03_ten_threads_queue_one_work() {
    static REFUSED: Reached = Reached::new();
    fn scenario(_: &Rig, calls: Calls) {
        let (stored, seen) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
        let work = {
            let (stored, seen) = (Arc::clone(&stored), Arc::clone(&seen));
            Work::new(move |_, _| {
                seen.fetch_max(stored.load(Relaxed), Relaxed);
            })
        };
        let wq = Wq::bound();
        let threads: Vec<_> = (0..10)
            .map(|_| {
                let stored = Arc::clone(&stored);
                start("queue", move || {
                    (0..40)
                        .map(|_| {
                            stored.fetch_add(1, Relaxed);
                            u32::from((calls.queue)(work, wq))
                        })
                        .sum::<u32>()
                })
            })
            .collect();
        let accepted = threads.into_iter().map(super::Call::join).sum::<u32>();
        wq.flush();
        let last = seen.load(Relaxed);
        sim_assert_eq!(
            (work.runs(), last),
            (accepted, 400),
            "runs, and the last one seen"
        );
        sim_assert!(accepted >= 1);
        REFUSED.note(accepted < 400);
        wq.destroy();
        work.free();
    }
    holds(racing, 30, scenario);
    REFUSED.check();
    // Pending, and on no list.
    let queue: fn(Work, Wq) -> bool = |work, wq| {
        let accepted = work.queue(wq);
        if world::choose(16) == 0 {
            cancel(work);
        }
        accepted
    };
    convicts(
        racing,
        scenario,
        Calls { queue, ..LINUX },
        "runs, and the last one seen",
    );
}

/// Counts of the run below.
static RUNS: AtomicU64 = AtomicU64::new(0);
static STORED: AtomicU64 = AtomicU64::new(0);
static LAST: AtomicU64 = AtomicU64::new(0);

unsafe extern "C" fn count(_: *mut work_struct) {
    RUNS.fetch_add(1, Relaxed);
    LAST.fetch_max(STORED.load(Relaxed), Relaxed);
}

fn attached(driver: &Driver, rule: WorkReentrance) -> Attachment {
    let host = Host::Driver(driver.handle().cast());
    // SAFETY: the driver stays loaded until the attachment is gone.
    unsafe { attach(host, &Config::new(rule)) }.expect("a fresh machine has the resources")
}

/// B-03 in full: a million queueings by ten threads of the operating system, in real time.
#[test]
fn b03_a_million_queueings_by_ten_threads() {
    const TIMES: u64 = 50_000;
    static WORK: work_struct = DECLARE_WORK(count);
    for rule in BOTH {
        each([&RUNS, &STORED, &LAST], |count| count.store(0, SeqCst));
        let run = Live::new().run(move || {
            let driver = Driver::load();
            let attachment = attached(&driver, rule);
            let threads: Vec<_> = (0..10)
                .map(|_| {
                    start("queue", || {
                        let work = (&raw const WORK).cast_mut();
                        (0..TIMES)
                            .map(|_| {
                                STORED.fetch_add(1, Relaxed);
                                // SAFETY: a static that was declared, and all its bytes are atomic.
                                u64::from(unsafe { schedule_work(work) })
                            })
                            .sum::<u64>()
                    })
                })
                .collect();
            let accepted = threads.into_iter().map(super::Call::join).sum::<u64>();
            // SAFETY: as above.
            unsafe { flush_work((&raw const WORK).cast_mut()) };
            sim_assert_eq!(RUNS.load(SeqCst), accepted);
            sim_assert_eq!(LAST.load(SeqCst), 10 * TIMES);
            attachment.detach();
            driver.unload();
        });
        run.unwrap_or_else(|failure| panic!("{failure}"));
    }
}

/// B-13: a work queues itself and ends; a sync cancel comes just then. Whatever it finds, nothing runs or is
/// pending when it returns, and it says yes exactly if it took an instance away.
#[test]
fn b13_cancelled_as_a_run_that_queued_itself_ends() {
    static CANCELLED: Reached = Reached::new();
    static LATE: Reached = Reached::new();
    fn scenario(_: &Rig, calls: Calls) {
        for wq in [Wq::ordered(), any_queue()] {
            let accepted = Arc::new(AtomicU32::new(1));
            let work = {
                let accepted = Arc::clone(&accepted);
                Work::new(move |work, run| {
                    if run == 1 {
                        let accepted = Arc::clone(&accepted);
                        accepted.fetch_add(u32::from(work.queue(wq)), SeqCst);
                    }
                    give_way(12);
                })
            };
            sim_assert!(work.queue(wq));
            give_way(60);
            let cancelled = (calls.cancel_sync)(work);
            sim_assert_eq!(work.seen().inside(), 0, "runs under way after the cancel");
            sim_assert!(!work.pending(), "it is pending after the cancel");
            let books = (work.runs() + u32::from(cancelled), accepted.load(SeqCst));
            sim_assert_eq!(
                books.0,
                books.1,
                "run or cancelled after the cancel, and accepted"
            );
            CANCELLED.note(cancelled && work.runs() == 1);
            LATE.note(!cancelled && work.runs() == 2);
            wq.destroy();
            sim_assert_eq!(work.runs() + u32::from(cancelled), books.1);
            work.free();
        }
    }
    holds(racing, 300, scenario);
    CANCELLED.check();
    LATE.check();
    convicts(
        racing,
        scenario,
        Calls {
            cancel_sync: |_| false,
            ..LINUX
        },
        "after the cancel",
    );
}

/// B-30: a sync cancel races with the very first queueing of a fresh item, by whichever call.
#[test]
fn b30_cancelled_while_it_is_queued_for_the_first_time() {
    static CANCELLED: Reached = Reached::new();
    static MISSED: Reached = Reached::new();
    rows(racing, 200, |_| {
        let wq = any_queue();
        for _ in 0..4 {
            let work = Work::counting();
            let (how, delay) = (world::choose(3), u64::from(world::choose(3)));
            let queue = start("queue", move || match how {
                0 => work.queue(wq),
                1 => work.queue_delayed(wq, delay),
                _ => !work.modify(wq, delay),
            });
            give_way(25);
            let cancelled = match world::choose(3) {
                0 => work.cancel_delayed_sync(),
                1 => work.cancel_sync(),
                _ => {
                    work.flush_delayed();
                    false
                }
            };
            let accepted = queue.join();
            // `mod_delayed_work` says false also if it is refused during a cancel (D13).
            sim_assert!(accepted || cancelled || how < 2);
            let late = work.cancel_delayed_sync();
            let over = work.runs() + u32::from(cancelled) + u32::from(late);
            sim_assert!(over == u32::from(accepted) || (how == 2 && over == 0));
            CANCELLED.note(cancelled);
            MISSED.note(!cancelled && accepted);
            work.free();
        }
        wq.destroy();
    });
    CANCELLED.check();
    MISSED.check();
}

/// B-54: two threads queue one work on two queues at once: each accepted queueing is one run, on whichever
/// queue, and both queues come to rest.
#[test]
fn b54_one_work_and_two_queues() {
    static FIRST: Reached = Reached::new();
    static SECOND: Reached = Reached::new();
    fn scenario(rig: &Rig, calls: Calls) {
        let queues = [any_queue(), Wq::ordered()];
        let work = Work::new(|_, _| give_way(6));
        let mut accepted = 0;
        for _ in 0..12 {
            let threads = queues.map(|wq| start("queue", move || (calls.queue)(work, wq)));
            let [one, two] = threads.map(super::Call::join);
            FIRST.note(one && !two);
            SECOND.note(two && !one);
            accepted += u32::from(one) + u32::from(two);
            if world::choose(2) == 0 {
                each(queues, Wq::flush);
            }
        }
        each(queues, Wq::flush);
        sim_assert!(!work.pending());
        sim_assert_eq!(work.runs(), accepted, "runs of a work that is queued twice");
        // On a WQ_BH queue and on another one it may run at the same time (WORK-7).
        let seen = work.seen();
        let drained = (0..seen.runs()).any(|run| seen.irql(run as usize) == 2);
        let most = 1 + u32::from(drained);
        sim_assert!(rig.reentrance != NonReentrant || seen.most_inside() <= most);
        each(queues, Wq::destroy);
        work.free();
    }
    holds(racing, 100, scenario);
    FIRST.check();
    SECOND.check();
    let queue: fn(Work, Wq) -> bool = |work, wq| {
        // What was accepted is told before it is: two callers hear yes.
        let idle = !work.pending();
        give_way(4);
        work.queue(wq);
        idle
    };
    convicts(
        racing,
        scenario,
        Calls { queue, ..LINUX },
        "runs of a work that is queued twice",
    );
}

/// B-54 on one queue: two threads queue one work for two CPUs. Each accepted queueing is one run, on the CPU
/// that was asked for, unless the work is queued while it runs: then where it runs, under NonReentrant.
#[test]
fn b54_one_work_and_two_cpus() {
    rows(racing, 100, |rig| {
        let wq = Wq::bound();
        let work = Work::new(|_, _| give_way(6));
        let mut accepted = 0;
        for round in 1..=12 {
            let alone = world::choose(2) == 0;
            if alone {
                wq.flush();
            }
            let before = work.runs();
            let threads = [1, 2].map(|cpu| start("queue", move || queue_on(cpu, work, wq)));
            let [one, two] = threads.map(super::Call::join);
            accepted += u32::from(one) + u32::from(two);
            sim_assert!(!alone || one || two, "round {round}");
            if alone && one != two {
                wq.flush();
                let cpu = work.seen().cpu(before as usize);
                sim_assert_eq!(cpu, if one { 1 } else { 2 });
            }
        }
        wq.flush();
        sim_assert_eq!((work.runs(), work.pending()), (accepted, false));
        sim_assert!(rig.reentrance != NonReentrant || work.seen().most_inside() == 1);
        wq.destroy();
        work.free();
    });
}

/// B-55: `mod_delayed_work` at the very time at which the timer expires: the work is never stuck, every
/// modification that was told *not pending* is a run more, and none is lost.
#[test]
fn b55_modified_as_its_timer_expires() {
    static BEFORE: Reached = Reached::new();
    static AFTER: Reached = Reached::new();
    fn scenario(_: &Rig, calls: Calls) {
        let queues = [any_queue(), Wq::with(WQ_MEM_RECLAIM, 0)];
        let work = Work::counting();
        let mut runs = 0;
        for _ in 0..20 {
            let [wq, other] = [0, 1].map(|_| queues[world::choose(2) as usize]);
            let begin = world::now_100ns();
            sim_assert!((calls.queue_delayed)(work, other, 1));
            // Its time has come one to three ticks from now.
            let tick = u64::from(TICK_100NS);
            let due = (begin / tick + 1 + u64::from(world::choose(3))) * tick;
            let around = u64::from(world::choose(200));
            world::sleep_100ns(due.saturating_sub(world::now_100ns()) + around);
            let pending = (calls.modify)(work, wq, u64::from(world::choose(3)));
            runs += 1 + u32::from(!pending);
            BEFORE.note(pending);
            AFTER.note(!pending);
            sleep_jiffies(6);
            each(queues, Wq::flush);
            sim_assert!(!work.pending(), "it is pending for ever");
            sim_assert_eq!(work.runs(), runs, "runs, and those that were promised");
        }
        each(queues, Wq::destroy);
        work.free();
    }
    holds(racing, 100, scenario);
    BEFORE.check();
    AFTER.check();
    // That the timer may have fired already is not considered.
    let modify: fn(Work, Wq, u64) -> bool = |work, wq, delay| {
        let pending = work.pending();
        cancel(work);
        give_way(3);
        pending && work.queue_delayed(wq, delay)
    };
    convicts(
        racing,
        scenario,
        Calls { modify, ..LINUX },
        "runs, and those that were promised",
    );
}

/// B-63: PENDING changes hands between a worker that takes the work off its list and callers that link it
/// again, on this queue and on another, at every point at which they can meet: no link is written by two,
/// so no work is lost, and the stores before each queueing are seen. In the simulator with any order of the
/// accesses, and on this machine's processors with what they make of the barriers.
#[test]
fn b63_pending_changes_hands_at_every_point() {
    fn scenario(_: &Rig) {
        let queues = [Wq::with(0, 1), Wq::ordered(), any_queue()];
        let (stored, seen) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
        let works = [0; 2].map(|_| {
            let (stored, seen) = (Arc::clone(&stored), Arc::clone(&seen));
            Work::new(move |_, _| {
                seen.fetch_max(stored.load(Relaxed), Relaxed);
            })
        });
        let threads = [0, 1, 2].map(|index: usize| {
            let stored = Arc::clone(&stored);
            start("queue", move || {
                let mut accepted = [0, 0];
                for round in 0..12 {
                    let which = (round + index) % 2;
                    stored.fetch_add(1, Relaxed);
                    accepted[which] += u32::from(works[which].queue(queues[(index + round) % 3]));
                    give_way(3);
                }
                accepted
            })
        });
        let accepted = threads.map(super::Call::join);
        each(queues, Wq::destroy);
        for (which, work) in works.into_iter().enumerate() {
            let accepted = accepted.iter().map(|counts| counts[which]).sum::<u32>();
            sim_assert_eq!((work.runs(), work.pending()), (accepted, false));
            work.free();
        }
        sim_assert_eq!(seen.load(SeqCst), 36);
    }
    rows(racing, 150, scenario);
    in_real_time(30, scenario);
}

/// B-67: a cancel at the instant at which a worker takes the work off its list: it has the work, or it waits
/// for the run. Nothing is in between.
#[test]
fn b67_cancelled_as_it_is_dequeued() {
    static CANCELLED: Reached = Reached::new();
    static MISSED: Reached = Reached::new();
    fn scenario(_: &Rig, calls: Calls) {
        let wq = any_queue();
        for _ in 0..6 {
            let work = Work::new(|_, _| give_way(6));
            sim_assert!(work.queue(wq));
            give_way(50);
            let cancelled = (calls.cancel_sync)(work);
            let seen = work.seen();
            sim_assert_eq!(seen.inside(), 0, "runs under way after the cancel");
            sim_assert_eq!(
                seen.ended() + u32::from(cancelled),
                1,
                "neither run nor taken after the cancel"
            );
            CANCELLED.note(cancelled);
            MISSED.note(!cancelled);
            work.free();
        }
        wq.destroy();
    }
    holds(racing, 200, scenario);
    CANCELLED.check();
    MISSED.check();
    // The work is looked for on the list only.
    let cancel_sync: fn(Work) -> bool = |work| work.pending() && cancel(work);
    convicts(
        racing,
        scenario,
        Calls {
            cancel_sync,
            ..LINUX
        },
        "after the cancel",
    );
}

/// B-70: a work that always queues itself is stopped by one sync cancel, whenever that comes, with a delay
/// and without.
#[test]
fn b70_cancel_sync_stops_a_work_that_queues_itself() {
    fn scenario(_: &Rig, calls: Calls) {
        let wq = any_queue();
        for delay in [0, 1] {
            let work = Work::new(move |work, _| {
                work.queue_delayed(wq, delay);
                give_way(6);
            });
            sim_assert!(work.queue(wq));
            give_way(100);
            sleep_jiffies(delay);
            (calls.cancel_sync)(work);
            let runs = work.runs();
            sim_assert_eq!(
                (work.pending(), work.seen().inside()),
                (false, 0),
                "stopped"
            );
            sleep_jiffies(4);
            sim_assert_eq!(work.runs(), runs, "stopped");
            work.free();
        }
        wq.destroy();
    }
    holds(racing, 150, scenario);
    // The instance that was found is taken away, and what the function queues meanwhile is missed.
    let cancel_sync: fn(Work) -> bool = |work| {
        let pending = cancel(work);
        work.flush();
        pending
    };
    convicts(
        racing,
        scenario,
        Calls {
            cancel_sync,
            ..LINUX
        },
        "stopped",
    );
}
