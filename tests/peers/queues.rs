//! Queues: works that need each other, that overcrowd, that outlive.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

use bottomhalf::counters;
use bottomhalf::linux::*;
use kmdf_mock::world::{self, Gate, Sim};
use kmdf_mock::{sim_assert, sim_assert_eq};

use super::support::{Rig, Work, Wq, sleep_jiffies, wait_until};
use super::{
    Calls, LINUX, Scenario, any_queue, convicts, each, give_way, holds, racing, roomy, rows, start,
};

/// Works of which each waits for the next one, queued in this order by one CPU.
fn chain(length: usize, wq: Wq, calls: Calls) -> Vec<Work> {
    let gates: Vec<_> = (0..=length).map(|_| Gate::new()).collect();
    gates[length].open();
    let works: Vec<_> = gates
        .windows(2)
        .map(|pair| {
            let (mine, next) = (pair[0].clone(), pair[1].clone());
            Work::new(move |_, _| {
                next.wait();
                mine.open();
            })
        })
        .collect();
    world::run_on_cpu(1, || {
        works
            .iter()
            .for_each(|work| sim_assert!((calls.queue)(*work, wq)))
    });
    works
}

/// B-25: on `system_wq` a work may wait for one that is queued behind it.
#[test]
fn b25_a_work_waits_for_the_one_behind_it_on_system_wq() {
    fn scenario(_: &Rig, calls: Calls) {
        let works = chain(2, (calls.system)(), calls);
        works.iter().for_each(|work| _ = work.flush());
        works.into_iter().for_each(|work| {
            sim_assert_eq!(work.seen().ended(), 1);
            work.free();
        });
    }
    holds(racing, 40, scenario);
    convicts(
        racing,
        scenario,
        Calls {
            system: Wq::ordered,
            ..LINUX
        },
        "SIM_DEADLOCK",
    );
}

/// B-40: works that block on one queue, many more than NT's pool has threads, do not keep a queue with
/// WQ_MEM_RECLAIM from going on, with a delay and without.
#[test]
fn b40_a_blocked_queue_does_not_starve_one_for_memory_reclaim() {
    fn scenario(_: &Rig, calls: Calls) {
        let hungry = [0; 2].map(|_| Wq::with(WQ_UNBOUND, 20));
        let reclaim = (calls.alloc)(WQ_MEM_RECLAIM, 1);
        let gate = Gate::new();
        let sleepers: Vec<_> = (0..40).map(|_| Work::gated(&gate)).collect();
        for (index, work) in sleepers.iter().enumerate() {
            sim_assert!((calls.queue)(*work, hungry[index % 2]));
        }
        sleep_jiffies(20);
        let works = [0; 3].map(|_| Work::counting());
        for delay in [0, 2] {
            each(works, |work| {
                sim_assert!(work.queue_delayed(reclaim, delay))
            });
            wait_until(|| works.iter().all(|work| !work.pending()));
            reclaim.flush();
        }
        sim_assert_eq!(works.map(|work| work.seen().ended()), [2; 3]);
        gate.open();
        each(hungry, Wq::destroy);
        reclaim.destroy();
        sleepers.into_iter().chain(works).for_each(Work::free);
    }
    fn crowded(seed: u64) -> Sim {
        roomy(seed).workers(8).step_limit(400_000)
    }
    holds(crowded, 30, scenario);
    let alloc: fn(u32, i32) -> Wq = |_, max_active| Wq::with(0, max_active);
    convicts(crowded, scenario, Calls { alloc, ..LINUX }, "SIM_LIVELOCK");
}

/// B-44: eight works of one queue with `max_active` 8, each waiting for the next, come to an end; and two do
/// if NT's pool has one thread.
#[test]
fn b44_a_chain_of_works_on_one_queue() {
    fn ends(length: usize, calls: Calls) {
        let wq = (calls.alloc)(0, 8);
        let works = chain(length, wq, calls);
        wq.destroy();
        works.into_iter().for_each(|work| {
            sim_assert_eq!(work.seen().ended(), 1);
            work.free();
        });
    }
    fn one_thread(seed: u64) -> Sim {
        roomy(seed).workers(1)
    }
    let eight: Scenario = |_, calls| ends(8, calls);
    let two: Scenario = |_, calls| ends(2, calls);
    holds(roomy, 40, eight);
    holds(one_thread, 40, two);
    // One worker, or some more than one, as the cure was.
    let one: fn(u32, i32) -> Wq = |flags, _| Wq::with(flags, 1);
    let some: fn(u32, i32) -> Wq = |flags, _| Wq::with(flags, 3);
    for alloc in [one, some] {
        convicts(roomy, eight, Calls { alloc, ..LINUX }, "SIM_DEADLOCK");
    }
}

/// B-48: no wake-up is lost: after each queueing, by callers that race, the work runs with nothing else to
/// bring a worker along. And a queue is as fast as its works: a thousand pass one ordered queue in far less
/// than a millisecond each.
#[test]
fn b48_no_lost_wakeup_and_no_pause_between_works() {
    fn scenario(_: &Rig, calls: Calls) {
        let (wq, ordered) = (any_queue(), Wq::ordered());
        let works = [0; 3].map(|_| Work::counting());
        for round in 1..=10 {
            let threads = works.map(|work| {
                start("queue", move || {
                    give_way(10);
                    sim_assert!((calls.queue)(work, wq));
                })
            });
            each(threads, super::Call::join);
            world::settle();
            sim_assert_eq!(works.map(|work| work.seen().ended()), [round; 3]);
        }
        let many: Vec<_> = (0..1000).map(|_| Work::counting()).collect();
        let begin = world::now_100ns();
        many.iter()
            .for_each(|work| sim_assert!((calls.queue)(*work, ordered)));
        ordered.flush();
        let each = (world::now_100ns() - begin) / 1000;
        sim_assert!(each < 1_000, "a work takes {each} times 100 ns");
        wq.destroy();
        ordered.destroy();
        many.into_iter().chain(works).for_each(Work::free);
    }
    holds(racing, 10, scenario);
    // A pause of a millisecond for each.
    let queue: fn(Work, Wq) -> bool = |work, wq| {
        world::sleep_100ns(10_000);
        work.queue(wq)
    };
    convicts(racing, scenario, Calls { queue, ..LINUX }, "a work takes");
}

/// B-50, B-53: the counters are read, by an interrupt too, while works free themselves: nothing follows a
/// work that is gone, and at rest what was accepted has run, was cancelled, or is pending.
#[test]
fn b50_b53_counted_while_works_free_themselves() {
    rows(racing, 60, |_| {
        let wq = Wq::with(WQ_UNBOUND, 3);
        let before = counters();
        let over = Arc::new(AtomicU32::new(0));
        let reader = {
            let over = Arc::clone(&over);
            start("reader", move || {
                while over.load(SeqCst) == 0 {
                    let now = counters();
                    sim_assert!(now.accepted < 1 << 32 && now.pending < 1 << 32, "{now:?}");
                    world::sleep_100ns(20);
                }
            })
        };
        let line = Arc::new(world::Interrupt::connect("dump", 8, || _ = counters()));
        let mut cancelled = 0;
        for round in 0..20 {
            let work = Work::new(|work, _| work.free());
            let stays = Work::counting();
            line.raise(round % 4);
            sim_assert!(work.queue(wq) && stays.queue_delayed(wq, 1));
            cancelled += u64::from(stays.cancel_delayed_sync());
            stays.free();
        }
        wq.flush();
        over.store(1, SeqCst);
        reader.join();
        wait_until(|| line.is_idle());
        let now = counters();
        sim_assert_eq!(now.accepted - before.accepted, 40);
        sim_assert_eq!(now.cancelled - before.cancelled, cancelled);
        sim_assert_eq!(now.run - before.run, 40 - cancelled);
        sim_assert_eq!(now.pending, 0);
        wq.destroy();
    });
}

/// B-52: a queue is destroyed while its first workers are on their way; and a work of a queue that is full
/// queues others to it, which run when there is room.
#[test]
fn b52_destroyed_as_workers_come_and_queued_by_a_worker_of_a_full_queue() {
    fn scenario(_: &Rig, calls: Calls) {
        for _ in 0..4 {
            let wq = (calls.alloc)(WQ_UNBOUND, 4);
            let works = [0; 6].map(|_| Work::counting());
            each(works, |work| sim_assert!((calls.queue)(work, wq)));
            give_way(20);
            (calls.destroy)(wq);
            sim_assert_eq!(
                works.map(|work| work.seen().ended()),
                [1; 6],
                "runs at the end"
            );
            each(works, Work::free);
        }
        let wq = (calls.alloc)(WQ_UNBOUND, 1);
        let behind = [0; 3].map(|_| Work::counting());
        let full = Work::new(move |_, _| {
            each(behind, |work| sim_assert!((calls.queue)(work, wq)));
            each(behind, |work| sim_assert_eq!(work.runs(), 0));
        });
        sim_assert!((calls.queue)(full, wq));
        give_way(60);
        (calls.destroy)(wq);
        sim_assert_eq!(
            behind.map(|work| work.seen().ended()),
            [1; 3],
            "runs at the end"
        );
        behind.into_iter().chain([full]).for_each(Work::free);
    }
    holds(racing, 60, scenario);
    let destroy: fn(Wq) = |_| {};
    convicts(
        racing,
        scenario,
        Calls { destroy, ..LINUX },
        "runs at the end",
    );
}

/// B-61: a work is cancelled, its queue destroyed, the work cancelled again, and so on with a new queue: the
/// work does not remember a queue that is gone. The queue's memory is tracked.
#[test]
fn b61_cancelled_after_its_queue_is_gone() {
    rows(racing, 60, |_| {
        let work = Work::new(|_, _| give_way(6));
        for round in 0..6 {
            let wq = any_queue();
            let accepted = match round % 3 {
                0 => work.queue(wq),
                1 => work.queue_delayed(wq, 1),
                _ => work.queue_delayed(wq, 500),
            };
            sim_assert!(accepted);
            give_way(30);
            work.cancel_delayed_sync();
            wq.destroy();
            let calls = [
                Work::cancel_sync,
                Work::cancel_delayed_sync,
                Work::flush,
                Work::flush_delayed,
            ];
            sim_assert_eq!(calls.map(|call| call(work)), [false; 4]);
        }
        work.free();
    });
}
