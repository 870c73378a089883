//! Delayed works: too early, too late, never, or twice.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

use bottomhalf::linux::*;
use kmdf_mock::world::{self, Gate, Sim};
use kmdf_mock::{sim_assert, sim_assert_eq};

use super::support::{Rig, Work, Wq, punctual, sleep_jiffies, wait_until};
use super::{
    Calls, LINUX, Reached, any_queue, convicts, each, give_way, holds, queue_on, racing, rows,
};

/// B-08: flush_delayed_work of an armed work, at any moment of its life: the function has ended when it
/// returns, with works of other callers queued before and behind it.
#[test]
fn b08_after_a_delayed_flush_the_function_has_ended() {
    static EARLY: Reached = Reached::new();
    fn scenario(_: &Rig, calls: Calls) {
        let wq = any_queue();
        let (work, others) = (
            Work::counting(),
            [0; 3].map(|_| Work::new(|_, _| give_way(4))),
        );
        for round in 1..=30 {
            each(others, |other| (calls.queue)(other, wq));
            sim_assert!((calls.queue_delayed)(
                work,
                wq,
                u64::from(1 + world::choose(2))
            ));
            world::sleep_100ns(u64::from(world::choose(3 * super::support::TICK_100NS)));
            each(others, |other| (calls.queue)(other, wq));
            let begin = jiffies();
            (calls.flush_delayed)(work);
            sim_assert_eq!(work.seen().ended(), round, "runs that have ended");
            EARLY.note(jiffies() <= begin);
        }
        wq.destroy();
        work.free();
        each(others, Work::free);
    }
    holds(racing, 100, scenario);
    EARLY.check();
    // The flush looks at the queue only.
    let flush_delayed = Work::flush;
    convicts(
        racing,
        scenario,
        Calls {
            flush_delayed,
            ..LINUX
        },
        "runs that have ended",
    );
}

/// B-20: a delayed work frees itself in its function, as its timer expires; more of them are due at the same
/// time, and others stay armed.
#[test]
fn b20_a_delayed_work_frees_itself() {
    rows(racing, 60, |_| {
        let stays = Work::counting();
        sim_assert!(stays.schedule_delayed(2000));
        let wq = any_queue();
        for delay in [1, 1, 2] {
            let works = [0; 4].map(|_| Work::new(|work, _| work.free()));
            let seen = works.map(Work::seen);
            each(works, |work| sim_assert!(work.queue_delayed(wq, delay)));
            wait_until(|| seen.iter().all(|seen| seen.ended() == 1));
        }
        wq.destroy();
        sim_assert!(stays.cancel_delayed_sync());
        stays.free();
    });
}

/// The jiffy in which the last run of a work began.
fn stamped() -> (Work, Arc<AtomicU64>) {
    let jiffy = Arc::new(AtomicU64::new(0));
    let stamp = Arc::clone(&jiffy);
    (Work::new(move |_, _| stamp.store(jiffies(), SeqCst)), jiffy)
}

/// B-42: `mod_delayed_work` counts from now: to sooner, to later, and to now, and across the wrap of the lower
/// half of `jiffies`, five minutes after the start.
#[test]
fn b42_modified_around_the_wrap_of_jiffies() {
    fn scenario(_: &Rig, calls: Calls) {
        const WRAP: u64 = 1 << 32;
        let wq = Wq::bound();
        let (work, jiffy) = stamped();
        let to = |runs: u32, before: u64, first: u64, delay: u64| {
            sleep_jiffies(WRAP - before - jiffies());
            sim_assert!((calls.queue_delayed)(work, wq, first));
            let begin = jiffies();
            sim_assert!((calls.modify)(work, wq, delay), "it was armed");
            sleep_jiffies(delay + 3);
            sim_assert_eq!(work.runs(), runs, "runs after its time");
            let took = jiffy.load(SeqCst) - begin;
            sim_assert!(
                (delay..=delay + 2).contains(&took),
                "{took} jiffies for {delay}"
            );
        };
        to(1, 500, 40, 20);
        to(2, 400, 20, 40);
        to(3, 300, 50, 0);
        to(4, 8, 40, 20);
        sim_assert!(jiffies() > WRAP);
        sim_assert!((calls.queue_delayed)(work, wq, 5));
        sleep_jiffies(10);
        sim_assert_eq!(work.runs(), 5);
        wq.destroy();
        work.free();
    }
    holds(punctual, 5, scenario);
    let modify: fn(Work, Wq, u64) -> bool = |work, wq, delay| work.modify(wq, jiffies() + delay);
    convicts(
        punctual,
        scenario,
        Calls { modify, ..LINUX },
        "runs after its time",
    );
}

/// B-58: works that queue themselves for ever keep the queue busy, and every CPU: a delayed work of the same
/// queue still begins soon after its time.
#[test]
fn b58_a_delayed_work_is_not_starved() {
    fn scenario(_: &Rig, calls: Calls) {
        for wq in [Wq::ordered(), Wq::with(0, 2), any_queue()] {
            let stop = Gate::new();
            let busy: Vec<_> = (0..8)
                .map(|_| {
                    let stop = stop.clone();
                    Work::new(move |work, _| {
                        if !stop.is_open() {
                            work.queue(wq);
                        }
                    })
                })
                .collect();
            for (cpu, work) in (0..4).cycle().zip(&busy) {
                world::run_on_cpu(cpu, || sim_assert!(work.queue(wq)));
            }
            let (work, jiffy) = stamped();
            let expires = jiffies() + 3;
            sim_assert!((calls.queue_delayed)(work, wq, 3));
            wait_until(|| work.seen().ended() == 1);
            let late = jiffy.load(SeqCst) - expires;
            sim_assert!(late <= 3, "{late} jiffies late");
            stop.open();
            wq.destroy();
            work.free();
            busy.into_iter().for_each(Work::free);
        }
    }
    holds(racing, 30, scenario);
    // It begins when the others leave a gap.
    let queue_delayed: fn(Work, Wq, u64) -> bool =
        |work, wq, delay| work.queue_delayed(wq, delay + 5);
    let planted = Calls {
        queue_delayed,
        ..LINUX
    };
    convicts(racing, scenario, planted, "jiffies late");
}

/// B-58 on the queues of CPUs: as long as NT brings one thread only, the works of every CPU get their turn,
/// whatever those of the others do, and wherever the thread is.
#[test]
fn b58_every_cpu_gets_its_turn() {
    fn scenario(_: &Rig, calls: Calls) {
        let wq = (calls.alloc)(0, 2);
        let stop = Gate::new();
        let works: Vec<_> = (0..8)
            .map(|index| {
                let stop = stop.clone();
                Work::new(move |work, _| {
                    if !stop.is_open() {
                        queue_on(index % 4, work, wq);
                    }
                })
            })
            .collect();
        for (cpu, work) in (0..4).cycle().zip(&works) {
            world::run_on_cpu(cpu, || sim_assert!(work.queue(wq)));
        }
        sleep_jiffies(20);
        stop.open();
        wq.destroy();
        let runs: Vec<_> = works.iter().map(|work| work.runs()).collect();
        let (least, most) = (runs.iter().min(), runs.iter().max());
        sim_assert!(
            least.map(|least| least * 20) >= most.copied(),
            "starved: {runs:?}"
        );
        works.into_iter().for_each(Work::free);
    }
    fn one_thread(seed: u64) -> Sim {
        racing(seed).workers(1)
    }
    holds(one_thread, 20, scenario);
}
