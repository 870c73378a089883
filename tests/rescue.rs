//! Forward progress when NT's pool brings no worker (H-32, W-30): rescuers, and the dispatch-level
//! timer.

use bottomhalf::counters;
use bottomhalf::linux::*;
use kmdf_mock::world::{self, Gate, Sim};
use kmdf_mock::{sim_assert, sim_assert_eq};

#[path = "support/mod.rs"]
mod support;
use support::*;

/// A machine whose pool has one thread.
fn one_worker(seed: u64) -> Sim {
    machine(seed).workers(1)
}

/// Both rules, on a machine whose pool has one thread.
fn starved(scenario: fn(&Rig)) {
    for reentrance in [SelfReentrant, NonReentrant] {
        rows_with_on(one_worker, reentrance, SEEDS, scenario);
    }
}

/// A work that waits for `other`.
fn waits_for(other: Work) -> Work {
    Work::new(move |_, _| {
        other.flush();
    })
}

/// H-32: a work waits for a work on another queue, and the pool has one thread. In Linux the second one
/// gets a thread of its own; here the rescuer of the runtime serves it.
#[test]
fn h32_a_work_that_waits_for_a_work_gets_on() {
    starved(|_| {
        let (outer, inner) = (Wq::bound(), Wq::bound());
        let last = Work::counting();
        let first = waits_for(last);
        sim_assert!(last.queue(inner));
        sim_assert!(first.queue(outer));
        sim_assert!(first.flush() || first.runs() == 1);
        sim_assert_eq!(last.runs(), 1);
        outer.destroy();
        inner.destroy();
    });
}

/// Works on a queue each, all of which wait for the last one.
fn chain(queues: [Wq; 6]) -> [Work; 6] {
    let gate = Gate::new();
    let waits = [(); 5].map(|()| Work::gated(&gate));
    let last = Work::new(move |_, _| gate.open());
    let works = [waits[0], waits[1], waits[2], waits[3], waits[4], last];
    for (queue, work) in queues.into_iter().zip(works) {
        sim_assert!(work.queue(queue));
    }
    works
}

/// QUEUE-26, H-32: a chain of works that wait for each other, each on a WQ_MEM_RECLAIM queue of its own, gets on
/// with one thread in the pool, however long it is: every such queue has a rescuer.
#[test]
fn h32_a_chain_over_reclaim_queues_gets_on() {
    starved(|_| {
        let queues = [(); 6].map(|()| Wq::with(WQ_MEM_RECLAIM, 0));
        let works = chain(queues);
        for work in works {
            work.flush();
            sim_assert_eq!(work.runs(), 1);
        }
        sim_assert!(counters().rescues > 0);
        queues.into_iter().for_each(Wq::destroy);
    });
}

/// The control of the test above: the same chain over ordinary queues needs as many threads as it is
/// long, and the machine has two: the pool's and the runtime's rescuer.
#[test]
fn h32_the_same_chain_over_ordinary_queues_stops() {
    let run = one_worker(1).run(|| {
        let _rig = Rig::new(NonReentrant);
        for work in chain([(); 6].map(|()| Wq::bound())) {
            work.flush();
        }
    });
    let failure = run.expect_err("six works block on two threads").to_string();
    assert!(failure.contains("SIM_DEADLOCK"), "{failure}");
}

/// QUEUE-26: the delayed works of a WQ_MEM_RECLAIM queue do not depend on NT's pool: their timer calls back at
/// DISPATCH_LEVEL, and their queue has a rescuer. Those of other queues come through the pool (T-27).
#[test]
fn delayed_works_of_a_reclaim_queue_do_not_depend_on_the_pool() {
    starved(|_| {
        let gate = Gate::new();
        let (blocker, reclaim) = (Work::gated(&gate), Wq::with(WQ_MEM_RECLAIM, 0));
        sim_assert!(blocker.schedule());
        blocker.wait_begun(1);
        let work = Work::counting();
        sim_assert!(work.queue_delayed(reclaim, 5));
        work.wait_begun(1);
        sim_assert_eq!(blocker.seen().inside(), 1);
        gate.open();
        blocker.flush();
        reclaim.destroy();
    });
}

/// Once the pool has been found used up, a further work does not wait for the next look: the rescuer is
/// called at once, as long as the pool's thread has not come. So a burst is served as fast as it comes.
#[test]
fn a_starved_queue_is_served_without_delay() {
    starved(|_| {
        let gate = Gate::new();
        let (blocker, reclaim) = (Work::gated(&gate), Wq::with(WQ_MEM_RECLAIM, 1));
        sim_assert!(blocker.schedule());
        blocker.wait_begun(1);
        let first = Work::counting();
        sim_assert!(first.queue(reclaim));
        first.wait_begun(1);
        first.flush();
        let before = world::now_100ns();
        for _ in 0..20 {
            let next = Work::counting();
            sim_assert!(next.queue(reclaim));
            next.wait_begun(1);
        }
        // Twenty looks would be 200 ms.
        sim_assert!(world::now_100ns() - before < 1_000_000);
        gate.open();
        reclaim.destroy();
    });
}

/// As long as the pool answers, no rescuer serves a queue, and no timer goes on firing.
#[test]
fn a_rescuer_does_not_come_when_it_is_not_needed() {
    rows(|_| {
        let queue = Wq::with(WQ_MEM_RECLAIM, 0);
        for _ in 0..10 {
            let work = Work::counting();
            sim_assert!(work.queue(queue));
            work.flush();
        }
        world::settle();
        sleep_jiffies(10);
        let fires = counters().timer_callbacks;
        sleep_jiffies(100);
        sim_assert_eq!(counters().timer_callbacks, fires);
        sim_assert_eq!(counters().rescues, 0);
        queue.destroy();
    });
}

/// S2: a queue can be destroyed whatever its rescuer is doing. Its WDFWORKITEM can go only when NT has
/// called it back, so destroy waits for the pool (O-12); but not its works.
#[test]
fn a_queue_is_destroyed_while_its_rescuer_comes() {
    starved(|_| {
        for round in 0..4 {
            let gate = Gate::new();
            let blocker = Work::gated(&gate);
            sim_assert!(blocker.schedule());
            blocker.wait_begun(1);
            let queue = Wq::with(WQ_MEM_RECLAIM * (round % 2), 0);
            let works = [(); 3].map(|()| Work::counting());
            for work in works {
                sim_assert!(work.queue(queue));
            }
            let opener = world::spawn("opener", None, move || {
                for work in works {
                    work.wait_begun(1);
                }
                gate.open();
            });
            // About the time at which the second look is due, and also before and after it.
            sleep_jiffies(u64::from(round) * 2);
            queue.destroy();
            opener.join();
            blocker.flush();
        }
    });
}

/// In a rescued work the caller's identity is that of any work: `current_work`, waiting for oneself
/// (BH07), destroying one's own queue (BH07).
#[test]
fn a_rescued_work_knows_itself() {
    starved(|rig| {
        rig.expect(&["BH07"]);
        let gate = Gate::new();
        let (blocker, queue) = (Work::gated(&gate), Wq::with(WQ_MEM_RECLAIM, 0));
        sim_assert!(blocker.schedule());
        blocker.wait_begun(1);
        let work = Work::new(move |this, _| {
            sim_assert_eq!(current_work(), this.work());
            sim_assert!(!this.flush());
            queue.flush();
            queue.destroy();
        });
        sim_assert!(work.queue(queue));
        work.wait_begun(1);
        gate.open();
        blocker.flush();
        queue.destroy();
    });
}

/// The last detach with the pool used up: what is pending on ordinary queues runs, on the rescuer.
#[test]
fn detach_does_not_depend_on_the_pool() {
    starved(|rig| {
        rig.allow(&["BH10"]);
        let gate = Gate::new();
        let blocker = Work::gated(&gate);
        sim_assert!(blocker.schedule());
        blocker.wait_begun(1);
        let works = [(); 3].map(|()| Work::counting());
        for work in works {
            sim_assert!(work.schedule());
        }
        let late = Work::counting();
        sim_assert!(late.schedule_delayed(HZ));
        let opener = world::spawn("opener", None, move || {
            for work in works {
                work.wait_begun(1);
            }
            gate.open();
        });
        rig.detach();
        opener.join();
        sim_assert_eq!(late.runs(), 1);
    });
}

/// Threads are made in attach and in `alloc_workqueue`, and nowhere else; a queue whose thread cannot be
/// made is not made (N-32).
#[test]
fn threads_are_made_early() {
    rows(|_| {
        let before = world::counters().threads;
        let ordinary = Wq::bound();
        sim_assert_eq!(world::counters().threads, before);
        let reclaim = Wq::with(WQ_MEM_RECLAIM, 0);
        sim_assert_eq!(world::counters().threads, before + 1);
        for queue in [ordinary, reclaim] {
            let work = Work::counting();
            sim_assert!(work.queue(queue));
            work.flush();
            queue.destroy();
        }
        sim_assert_eq!(world::counters().threads, before + 1);
    });
}

/// BH33: a queue that neither NT's pool nor the rescuer serves for 30 s is reported, once, and served when one
/// of them is free. Linux's watchdog calls it a lockup.
#[test]
fn bh33_a_queue_that_nobody_serves_is_reported() {
    rows_with_on(one_worker, NonReentrant, 20, |rig| {
        rig.expect(&["BH33"]);
        let gate = Gate::new();
        let (pool, rescuer) = (Work::gated(&gate), Work::gated(&gate));
        let queues = [(); 3].map(|()| Wq::bound());
        for (work, queue) in [(pool, queues[0]), (rescuer, queues[1])] {
            sim_assert!(work.queue(queue));
            work.wait_begun(1);
        }
        let late = Work::counting();
        sim_assert!(late.queue(queues[2]));
        sleep_jiffies(29 * HZ);
        sim_assert!(reports().is_empty());
        sleep_jiffies(60 * HZ);
        sim_assert_eq!(reports(), ["BH33"]);
        gate.open();
        late.wait_begun(1);
        queues.into_iter().for_each(Wq::destroy);
    });
}
