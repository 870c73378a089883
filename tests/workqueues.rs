//! Rows Q of facts/linux: workqueues.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};

use bottomhalf::linux::{WQ_CPU_INTENSIVE, WQ_HIGHPRI, WQ_UNBOUND};
use kmdf_mock::world::{self, Gate, Sim};
use kmdf_mock::{sim_assert, sim_assert_eq};
use support::{
    NonReentrant, SelfReentrant, Trace, Work, Wq, machine, rows, rows_on, rows_with, sleep_jiffies,
    spin_until, still_waits, wait_until,
};

/// `count` works that only count.
fn counting(count: usize) -> Vec<Work> {
    (0..count).map(|_| Work::counting()).collect()
}

/// `count` works that wait for `gate`.
fn gated(count: usize, gate: &Gate) -> Vec<Work> {
    (0..count).map(|_| Work::gated(gate)).collect()
}

/// How many of the works run now.
fn inside(works: &[Work]) -> u32 {
    works.iter().map(|work| work.seen().inside()).sum()
}

/// How many runs there were.
fn runs(works: &[Work]) -> u32 {
    works.iter().map(|work| work.runs()).sum()
}

fn free(works: Vec<Work>) {
    works.into_iter().for_each(Work::free);
}

/// A thread that flushes `wq`.
fn flusher(name: &str, wq: Wq) -> world::Thread {
    world::spawn(name, None, move || wq.flush())
}

/// A work that adds `letter` to `trace` in each run.
fn letter(trace: &Trace, letter: char) -> Work {
    let trace = trace.clone();
    Work::new(move |_, _| trace.add(letter))
}

/// Q01: `flush_workqueue` waits for what was queued before it on any CPU, and for nothing that is
/// queued later.
#[test]
fn q01_flush_waits_for_earlier_works_only() {
    rows(|_| {
        let wq = Wq::bound();
        let gates = [Gate::new(), Gate::new(), Gate::new()];
        let [a, b, c] = [0, 1, 2].map(|index: usize| Work::gated(&gates[index]));
        world::run_on_cpu(0, || sim_assert!(a.queue(wq)));
        world::run_on_cpu(2, || sim_assert!(b.queue(wq)));
        a.wait_begun(1);
        b.wait_begun(1);
        let flush = flusher("flush", wq);
        still_waits(&flush);
        sim_assert!(c.queue(wq));
        c.wait_begun(1);
        gates[0].open();
        still_waits(&flush);
        gates[1].open();
        flush.join();
        sim_assert_eq!(a.seen().ended(), 1);
        sim_assert_eq!(b.seen().ended(), 1);
        sim_assert_eq!(c.seen().inside(), 1);
        gates[2].open();
        wq.destroy();
        free(vec![a, b, c]);
    });
}

/// Q02: a work that was queued again before the flush began has run twice when the flush returns.
/// SelfReentrant: the two runs may overlap.
#[test]
fn q02_a_requeue_before_the_flush_is_covered() {
    rows(|_| {
        let wq = Wq::bound();
        let gate = Gate::new();
        let work = Work::gated(&gate);
        work.queue(wq);
        work.wait_begun(1);
        sim_assert!(work.queue(wq));
        let flush = flusher("flush", wq);
        still_waits(&flush);
        gate.open();
        flush.join();
        sim_assert_eq!(work.seen().ended(), 2);
        wq.destroy();
        work.free();
    });
}

/// Q02: a work that queues itself after the flush began is not waited for a second time.
#[test]
fn q02_a_chained_requeue_after_the_flush_began_is_not_covered() {
    rows(|_| {
        let wq = Wq::ordered();
        let (first, second) = (Gate::new(), Gate::new());
        let blocker = Work::gated(&second);
        let work = Work::new({
            let first = first.clone();
            move |this, run| {
                if run == 1 {
                    first.wait();
                    sim_assert!(blocker.queue(wq));
                    sim_assert!(this.queue(wq));
                }
            }
        });
        work.queue(wq);
        work.wait_begun(1);
        let flush = flusher("flush", wq);
        still_waits(&flush);
        first.open();
        flush.join();
        sim_assert_eq!(work.runs(), 1);
        sim_assert!(work.pending(), "the requeued run is still to come");
        second.open();
        wq.flush();
        sim_assert_eq!(work.seen().ended(), 2);
        wq.destroy();
        free(vec![work, blocker]);
    });
}

/// Q04: an outsider that queues to a queue which is being destroyed is refused and told so. Linux says
/// true there and the work stays pending for ever; ours stays idle and usable. (A work of the queue
/// itself may queue: Q06.)
#[test]
fn q04_an_outsider_is_refused_while_the_queue_is_destroyed() {
    rows(|rig| {
        rig.expect(&["BH02"]);
        let wq = Wq::bound();
        let gate = Gate::new();
        let (last, late) = (Work::gated(&gate), Work::counting());
        last.queue(wq);
        last.wait_begun(1);
        let destroyer = world::spawn("destroyer", None, move || wq.destroy());
        still_waits(&destroyer);
        sim_assert!(!late.queue(wq), "the queue is being destroyed");
        sim_assert!(!late.pending());
        gate.open();
        destroyer.join();
        sim_assert_eq!(late.runs(), 0);
        sim_assert_eq!(last.seen().ended(), 1);
        sim_assert!(late.queue(Wq::system()), "it can be queued elsewhere");
        late.flush();
        sim_assert_eq!(late.runs(), 1);
        free(vec![last, late]);
    });
}

/// Q05: destroying a queue runs everything that is pending on it first, in order.
#[test]
fn q05_destroy_runs_what_is_pending() {
    rows(|_| {
        let wq = Wq::ordered();
        let gate = Gate::new();
        let trace = Trace::default();
        let a = Work::new({
            let (trace, gate) = (trace.clone(), gate.clone());
            move |_, _| {
                gate.wait();
                trace.add('A');
            }
        });
        let (b, c) = (letter(&trace, 'B'), letter(&trace, 'C'));
        for work in [a, b, c] {
            sim_assert!(work.queue(wq));
        }
        a.wait_begun(1);
        let destroyer = world::spawn("destroyer", None, move || wq.destroy());
        still_waits(&destroyer);
        gate.open();
        destroyer.join();
        sim_assert_eq!(trace.get(), "ABC");
        free(vec![a, b, c]);
    });
}

/// Q06: a work that queues itself 30 times runs 31 times before destroy returns.
#[test]
fn q06_destroy_runs_chained_requeues_to_the_end() {
    rows(|_| {
        let wq = Wq::bound();
        let work = Work::new(move |this, run| {
            if run <= 30 {
                sim_assert!(this.queue(wq), "a work of the queue may queue to it");
            }
        });
        work.queue(wq);
        wq.destroy();
        sim_assert_eq!(work.seen().ended(), 31);
        work.free();
    });
}

/// Q07: an ordered queue runs its works in the order in which they were queued, whichever CPUs queued
/// them, one at a time.
#[test]
fn q07_an_ordered_queue_keeps_the_order_across_cpus() {
    rows(|_| {
        let wq = Wq::ordered();
        let gate = Gate::new();
        let blocker = Work::gated(&gate);
        let trace = Trace::default();
        let works = ['A', 'B', 'C', 'D'].map(|name| letter(&trace, name));
        blocker.queue(wq);
        for (work, cpu) in works.iter().zip([1, 2, 3, 0]) {
            world::run_on_cpu(cpu, || sim_assert!(work.queue(wq)));
        }
        world::settle();
        sim_assert_eq!(trace.get(), "");
        gate.open();
        wq.flush();
        sim_assert_eq!(trace.get(), "ABCD");
        wq.destroy();
        blocker.free();
        free(works.to_vec());
    });
}

/// Q08: `max_active` of a bound queue counts per CPU: with 1, two works of CPU 1 take turns while one of
/// CPU 2 runs beside them.
#[test]
fn q08_max_active_of_a_bound_queue_counts_per_cpu() {
    rows(|_| {
        let wq = Wq::with(0, 1);
        let gate = Gate::new();
        let [a, b, c] = [0; 3].map(|_| Work::gated(&gate));
        world::run_on_cpu(1, || {
            a.queue(wq);
            b.queue(wq);
        });
        world::run_on_cpu(2, || sim_assert!(c.queue(wq)));
        world::settle();
        sim_assert_eq!(
            [a, b, c].map(|work| work.seen().inside()),
            [1, 0, 1],
            "running of A, B and C"
        );
        gate.open();
        wq.flush();
        sim_assert_eq!(runs(&[a, b, c]), 3);
        wq.destroy();
        free(vec![a, b, c]);
    });
}

/// Q10: `max_active` 0 is a generous default: six works of one CPU that all sleep have all begun.
#[test]
fn q10_max_active_zero_lets_six_sleepers_of_one_cpu_start() {
    rows(|_| {
        let wq = Wq::with(0, 0);
        let gate = Gate::new();
        let works = gated(6, &gate);
        world::run_on_cpu(1, || {
            works.iter().for_each(|work| sim_assert!(work.queue(wq)))
        });
        world::settle();
        sim_assert_eq!(inside(&works), 6);
        gate.open();
        wq.destroy();
        free(works);
    });
}

/// Q11: an unbound queue with `max_active` 1 runs one work at a time, whichever CPUs queued them.
#[test]
fn q11_unbound_with_max_active_one_runs_one_at_a_time() {
    rows(|_| {
        let wq = Wq::with(WQ_UNBOUND, 1);
        let gates = [Gate::new(), Gate::new()];
        let (a, b) = (Work::gated(&gates[0]), Work::gated(&gates[1]));
        world::run_on_cpu(1, || sim_assert!(a.queue(wq)));
        world::run_on_cpu(2, || sim_assert!(b.queue(wq)));
        world::settle();
        sim_assert_eq!((a.runs(), b.runs()), (1, 0));
        gates[0].open();
        b.wait_begun(1);
        sim_assert_eq!(a.seen().inside(), 0);
        gates[1].open();
        wq.destroy();
        free(vec![a, b]);
    });
}

/// Q12: while a work sleeps the next one of the same CPU starts.
#[test]
fn q12_the_next_work_starts_while_one_sleeps() {
    rows(|_| {
        let wq = Wq::bound();
        let gate = Gate::new();
        let (a, b) = (Work::gated(&gate), Work::counting());
        world::run_on_cpu(1, || {
            a.queue(wq);
            b.queue(wq);
        });
        world::settle();
        sim_assert_eq!((a.seen().inside(), b.seen().ended()), (1, 1));
        gate.open();
        wq.destroy();
        free(vec![a, b]);
    });
}

/// Q14: a work that burns the CPU on a CPU-intensive queue does not keep a work of another queue, queued on
/// the same CPU, from starting.
#[test]
fn q14_a_cpu_intensive_work_holds_up_nobody() {
    rows(|_| {
        let (intensive, wq) = (Wq::with(WQ_CPU_INTENSIVE, 0), Wq::bound());
        let started = Arc::new(AtomicU32::new(0));
        let burns = Work::new({
            let started = Arc::clone(&started);
            move |_, _| spin_until(&started)
        });
        let other = Work::new(move |_, _| started.store(1, SeqCst));
        world::run_on_cpu(1, move || {
            sim_assert!(burns.queue(intensive));
            burns.wait_begun(1);
            sim_assert!(other.queue(wq));
        });
        wq.destroy();
        intensive.destroy();
        sim_assert_eq!((burns.runs(), other.runs()), (1, 1));
        burns.free();
        other.free();
    });
}

/// Q15: with `max_active` 1 a work waits for the one before it of its CPU, also if that one burns the
/// CPU and never sleeps.
#[test]
fn q15_with_max_active_one_the_next_work_waits_for_a_burner() {
    rows(|_| {
        let wq = Wq::with(0, 1);
        let stop = Arc::new(AtomicU32::new(0));
        let a = Work::new({
            let stop = Arc::clone(&stop);
            move |_, _| spin_until(&stop)
        });
        let seen = a.seen();
        let b = Work::new(move |_, _| sim_assert_eq!(seen.ended(), 1));
        world::run_on_cpu(1, || {
            a.queue(wq);
            b.queue(wq);
        });
        a.wait_begun(1);
        sleep_jiffies(1);
        sim_assert_eq!((a.seen().inside(), b.runs()), (1, 0));
        stop.store(1, SeqCst);
        wq.flush();
        sim_assert_eq!((a.seen().ended(), b.seen().ended()), (1, 1));
        wq.destroy();
        free(vec![a, b]);
    });
}

/// Q16: a work of a WQ_HIGHPRI queue runs while the works of normal queues of its CPU sleep and burn.
#[test]
fn q16_a_highpri_work_runs_while_normal_queues_are_busy() {
    rows(|_| {
        let (normal, high) = (Wq::with(0, 2), Wq::with(WQ_HIGHPRI, 0));
        let gate = Gate::new();
        let stop = Arc::new(AtomicU32::new(0));
        let burner = Work::new({
            let stop = Arc::clone(&stop);
            move |_, _| spin_until(&stop)
        });
        let (sleeper, waiting, urgent) = (Work::gated(&gate), Work::counting(), Work::counting());
        world::run_on_cpu(1, || {
            for work in [burner, sleeper, waiting] {
                work.queue(normal);
            }
            urgent.queue(high);
        });
        urgent.wait_begun(1);
        high.flush();
        sim_assert_eq!((urgent.seen().ended(), waiting.runs()), (1, 0));
        stop.store(1, SeqCst);
        gate.open();
        normal.destroy();
        high.destroy();
        free(vec![burner, sleeper, waiting, urgent]);
    });
}

/// Q17: six works that one CPU queues on an unbound queue run all at once.
#[test]
fn q17_an_unbound_queue_runs_six_works_of_one_cpu_at_once() {
    rows(|_| {
        let wq = Wq::with(WQ_UNBOUND, 0);
        let gate = Gate::new();
        let works = gated(6, &gate);
        world::run_on_cpu(3, || {
            works.iter().for_each(|work| sim_assert!(work.queue(wq)))
        });
        world::settle();
        sim_assert_eq!(inside(&works), 6);
        gate.open();
        wq.destroy();
        free(works);
    });
}

/// Q20: 24 flushes at once over one work: none returns before it has ended, and all return then.
#[test]
fn q20_twenty_four_flushes_at_once() {
    rows(|_| {
        let wq = Wq::bound();
        let gate = Gate::new();
        let work = Work::gated(&gate);
        work.queue(wq);
        work.wait_begun(1);
        let seen = work.seen();
        let flushers: Vec<_> = (0..24)
            .map(|index| {
                let seen = Arc::clone(&seen);
                world::spawn(&format!("flush {index}"), None, move || {
                    wq.flush();
                    sim_assert_eq!(seen.ended(), 1, "a flush returned early");
                })
            })
            .collect();
        flushers.iter().for_each(still_waits);
        gate.open();
        flushers.into_iter().for_each(world::Thread::join);
        wq.destroy();
        work.free();
    });
}

/// Q21: `max_active` below 1 is 1, and said so.
#[test]
fn q21_a_negative_max_active_is_one() {
    rows(|rig| {
        rig.expect(&["BH12"]);
        let wq = Wq::with(0, -5);
        sim_assert!(!wq.0.is_null());
        let gate = Gate::new();
        let works = gated(2, &gate);
        world::run_on_cpu(1, || {
            works.iter().for_each(|work| sim_assert!(work.queue(wq)))
        });
        world::settle();
        sim_assert_eq!(inside(&works), 1);
        gate.open();
        wq.destroy();
        free(works);
    });
}

/// Q21: `max_active` above 512 is 512, and said so.
#[test]
fn q21_a_huge_max_active_is_512() {
    fn crowded(seed: u64) -> Sim {
        machine(seed).workers(600)
    }
    rows_on(crowded, 3, |rig| {
        rig.expect(&["BH12"]);
        let wq = Wq::with(WQ_UNBOUND, 100_000);
        sim_assert!(!wq.0.is_null());
        let gate = Gate::new();
        let works = gated(520, &gate);
        works.iter().for_each(|work| sim_assert!(work.queue(wq)));
        world::settle();
        sim_assert_eq!(inside(&works), 512);
        gate.open();
        wq.flush();
        sim_assert_eq!(runs(&works), 520);
        wq.destroy();
        free(works);
    });
}

/// Q24: flushing a queue on which nothing was ever queued, or on which everything has run, returns.
#[test]
fn q24_flushing_an_idle_queue_returns() {
    rows(|_| {
        let wq = Wq::bound();
        wq.flush();
        let work = Work::counting();
        work.queue(wq);
        wq.flush();
        // The threads that attach has made have gone to sleep.
        world::settle();
        let waits = world::counters().waits;
        wq.flush();
        sim_assert_eq!(
            world::counters().waits,
            waits,
            "there is nothing to wait for"
        );
        sim_assert_eq!(work.seen().ended(), 1);
        wq.destroy();
        work.free();
    });
}

/// Q25: a work that flushes its own queue is told so and goes on; in Linux it waits for itself for ever.
#[test]
fn q25_flushing_the_own_queue_is_reported() {
    rows(|rig| {
        rig.expect(&["BH07"]);
        let wq = Wq::bound();
        let work = Work::new(move |_, _| wq.flush());
        work.queue(wq);
        work.flush();
        sim_assert_eq!(work.seen().ended(), 1);
        wq.destroy();
        work.free();
    });
}

/// Q25: the same for destroying it: the queue stays, and can be destroyed from outside.
#[test]
fn q25_destroying_the_own_queue_is_reported() {
    rows(|rig| {
        rig.expect(&["BH07"]);
        let wq = Wq::bound();
        let work = Work::new(move |_, run| {
            if run == 1 {
                wq.destroy();
            }
        });
        work.queue(wq);
        work.flush();
        sim_assert!(work.queue(wq), "the queue is as it was");
        work.flush();
        sim_assert_eq!(work.seen().ended(), 2);
        wq.destroy();
        work.free();
    });
}

/// Flushing and destroying at DISPATCH, where nobody may wait, is reported (BH06) and does nothing.
#[test]
fn flush_and_destroy_at_dispatch_are_reported() {
    rows(|rig| {
        rig.expect(&["BH06"]);
        let wq = Wq::bound();
        let gate = Gate::new();
        let work = Work::gated(&gate);
        sim_assert!(work.queue(wq));
        world::at_dispatch(|| {
            wq.flush();
            wq.destroy();
        });
        work.wait_begun(1);
        gate.open();
        wq.flush();
        sim_assert!(work.queue(wq), "the queue is as it was");
        wq.destroy();
        sim_assert_eq!(work.seen().ended(), 2);
        work.free();
    });
}

/// A queue can be made, used and destroyed a hundred times in a row (B-05).
#[test]
fn a_hundred_queues_come_and_go() {
    rows(|_| {
        let works = counting(3);
        for round in 1..=100 {
            let wq = if round % 2 == 0 {
                Wq::bound()
            } else {
                Wq::ordered()
            };
            works.iter().for_each(|work| sim_assert!(work.queue(wq)));
            wq.destroy();
            sim_assert_eq!(runs(&works), 3 * round);
        }
        free(works);
    });
}

/// Destroying a queue with a hundred works pending runs all of them, once (B-05).
#[test]
fn destroy_with_a_hundred_pending_runs_all() {
    rows(|_| {
        let wq = Wq::with(0, 4);
        let works = counting(100);
        works.iter().for_each(|work| sim_assert!(work.queue(wq)));
        wq.destroy();
        for work in &works {
            sim_assert_eq!(work.seen().ended(), 1);
        }
        free(works);
    });
}

/// A queue that is full of sleeping works does not hold up another one.
#[test]
fn a_full_queue_does_not_hold_up_another() {
    rows(|_| {
        let (full, other) = (Wq::with(WQ_UNBOUND, 8), Wq::bound());
        let gate = Gate::new();
        let (blocked, others) = (gated(12, &gate), counting(40));
        blocked
            .iter()
            .for_each(|work| sim_assert!(work.queue(full)));
        world::settle();
        sim_assert_eq!(inside(&blocked), 8);
        others
            .iter()
            .for_each(|work| sim_assert!(work.queue(other)));
        other.flush();
        sim_assert_eq!(runs(&others), 40);
        sim_assert_eq!(runs(&blocked), 8);
        gate.open();
        full.destroy();
        other.destroy();
        sim_assert_eq!(runs(&blocked), 12);
        free(blocked);
        free(others);
    });
}

/// A burst of a thousand works at DISPATCH on one CPU costs at most `max_active` enqueues of the work
/// item, as long as none of the works ends.
#[test]
fn a_burst_of_a_thousand_costs_max_active_enqueues() {
    rows_on(machine, 10, |_| {
        let wq = Wq::with(0, 4);
        let gate = Gate::new();
        let works = gated(1000, &gate);
        let before = world::counters().work_item_enqueues;
        world::run_on_cpu(1, || {
            world::at_dispatch(|| works.iter().for_each(|work| sim_assert!(work.queue(wq))));
        });
        world::settle();
        sim_assert_eq!(inside(&works), 4);
        let enqueues = world::counters().work_item_enqueues - before;
        sim_assert!((1..=4).contains(&enqueues), "{enqueues} enqueues");
        gate.open();
        wq.destroy();
        sim_assert_eq!(runs(&works), 1000);
        free(works);
    });
}

/// On a machine with one CPU no worker runs while that CPU is at DISPATCH, so the whole burst is one
/// enqueue.
#[test]
fn a_burst_on_the_only_cpu_costs_one_enqueue() {
    fn small(seed: u64) -> Sim {
        machine(seed).cpus(1)
    }
    rows_on(small, 10, |_| {
        let wq = Wq::with(0, 4);
        let works = counting(1000);
        let enqueues = world::at_dispatch(|| {
            let before = world::counters().work_item_enqueues;
            works.iter().for_each(|work| sim_assert!(work.queue(wq)));
            world::counters().work_item_enqueues - before
        });
        sim_assert_eq!(enqueues, 1);
        wq.destroy();
        sim_assert_eq!(runs(&works), 1000);
        free(works);
    });
}

/// Once the works of a burst run, an enqueue is due only when a worker gives its thread back to NT with
/// works left, after a batch of 32.
#[test]
fn running_a_thousand_works_costs_an_enqueue_per_batch() {
    rows_on(machine, 10, |_| {
        let wq = Wq::with(0, 4);
        let gate = Gate::new();
        let works = gated(1000, &gate);
        let before = world::counters().work_item_enqueues;
        // On one CPU: `max_active` of a bound queue counts per queueing CPU (Q08).
        world::at_dispatch(|| works.iter().for_each(|work| sim_assert!(work.queue(wq))));
        gate.open();
        wq.flush();
        let enqueues = world::counters().work_item_enqueues - before;
        sim_assert!(enqueues <= 4 + 1000_u64.div_ceil(32), "{enqueues} enqueues");
        wq.destroy();
        free(works);
    });
}

/// A flush returns although works queue themselves for ever, since it waits for no later queueing; and so
/// does the next one (B-51).
#[test]
fn flush_returns_under_a_requeueing_load() {
    rows(|_| {
        let wq = Wq::with(0, 2);
        let stop = Arc::new(AtomicBool::new(false));
        let works: Vec<_> = (0..3)
            .map(|_| {
                let stop = Arc::clone(&stop);
                Work::new(move |this, _| {
                    if !stop.load(SeqCst) {
                        this.queue(wq);
                    }
                })
            })
            .collect();
        works.iter().for_each(|work| sim_assert!(work.queue(wq)));
        for _ in 0..10 {
            let before: Vec<_> = works.iter().map(|work| work.seen().ended()).collect();
            wq.flush();
            for (work, before) in works.iter().zip(before) {
                sim_assert!(work.seen().ended() > before, "the flush waited for nothing");
            }
        }
        stop.store(true, SeqCst);
        wq.destroy();
        free(works);
    });
}

/// Twenty flushes, one after each of twenty works, are more than there are colours. Every second work
/// is cancelled while its flush waits. No flush returns before the works of its time are over, and each
/// of those that had a colour of their own returns as soon as they are.
#[test]
fn more_flushes_than_colours_with_cancels_in_between() {
    rows(|_| {
        let wq = Wq::ordered();
        let gate = Gate::new();
        let blocker = Work::gated(&gate);
        blocker.queue(wq);
        blocker.wait_begun(1);
        let gates: Vec<_> = (0..20).map(|_| Gate::new()).collect();
        let works: Vec<_> = gates.iter().map(Work::gated).collect();
        let mut flushers = Vec::new();
        for (index, work) in works.iter().enumerate() {
            sim_assert!(work.queue(wq));
            flushers.push(flusher(&format!("flush {index}"), wq));
            still_waits(&flushers[index]);
        }
        for index in (0..20).step_by(2) {
            sim_assert!(works[index].cancel_sync());
            flushers.iter().for_each(still_waits);
        }
        gate.open();
        for over in (1..20).step_by(2) {
            works[over].wait_begun(1);
            world::settle();
            for (index, flush) in flushers.iter().enumerate() {
                sim_assert!(
                    index < over || !flush.is_finished(),
                    "flush {index} at {over}"
                );
                // The first 15 flushes have a colour each.
                sim_assert!(
                    index >= over.min(15) || flush.is_finished(),
                    "flush {index} at {over}"
                );
            }
            gates[over].open();
        }
        flushers.into_iter().for_each(world::Thread::join);
        sim_assert_eq!(runs(&works), 10);
        wq.destroy();
        blocker.free();
        free(works);
    });
}

/// Three threads queue works, flush their queue and cancel what is flushed, all at once: every call
/// returns, and nothing is lost (the rig counts).
#[test]
fn flushes_race_with_cancels_and_queueing() {
    for reentrance in [SelfReentrant, NonReentrant] {
        rows_with(reentrance, 200, |_| {
            let wq = Wq::with(WQ_UNBOUND, 2);
            let works: Arc<Vec<_>> = Arc::new(counting(6));
            let threads: Vec<_> = (0..3)
                .map(|index| {
                    let works = Arc::clone(&works);
                    world::spawn(&format!("user {index}"), None, move || {
                        for round in 0..40 {
                            let work = works[(round * 5 + index) % works.len()];
                            work.queue(wq);
                            match (index + round) % 3 {
                                0 => wq.flush(),
                                1 => {
                                    work.cancel_sync();
                                }
                                _ => {}
                            }
                        }
                    })
                })
                .collect();
            threads.into_iter().for_each(world::Thread::join);
            wq.flush();
            sim_assert!(works.iter().all(|work| !work.pending()));
            wq.destroy();
            free(works.to_vec());
        });
    }
}

/// Two threads that destroy two queues at once do not get into each other's way.
#[test]
fn two_queues_are_destroyed_at_once() {
    rows(|_| {
        let queues = [Wq::bound(), Wq::ordered()];
        let works = counting(20);
        for (index, work) in works.iter().enumerate() {
            sim_assert!(work.queue(queues[index % 2]));
        }
        let threads = queues.map(|wq| world::spawn("destroyer", None, move || wq.destroy()));
        threads.into_iter().for_each(world::Thread::join);
        sim_assert_eq!(runs(&works), 20);
        wait_until(|| inside(&works) == 0);
        free(works);
    });
}
