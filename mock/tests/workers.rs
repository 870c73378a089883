//! The pool of system worker threads: facts W-28, W-30, W-31, H-32. It has few threads and gets more slowly.

mod common;

use std::sync::{Arc, Mutex};

use common::WorkItem;
use kmdf_mock::sim_assert_eq;
use kmdf_mock::world::{self, Gate, Live, Sim};

/// 100 ns in a second.
const SECOND: u64 = 10_000_000;

/// Work items that note when they begin and then wait for a gate.
struct Blockers {
    gate: Gate,
    began: Arc<Mutex<Vec<(usize, u64)>>>,
    items: Vec<WorkItem>,
}

impl Blockers {
    fn queue(count: usize) -> Self {
        let (gate, began) = (Gate::new(), Arc::new(Mutex::new(Vec::new())));
        let start = world::now_100ns();
        let items: Vec<_> = (0..count)
            .map(|n| {
                let (gate, began) = (gate.clone(), Arc::clone(&began));
                WorkItem::new(move || {
                    let at = world::now_100ns() - start;
                    began.lock().unwrap().push((n, at));
                    gate.wait();
                })
            })
            .collect();
        items.iter().for_each(WorkItem::queue);
        Self { gate, began, items }
    }

    /// Which began, in their order, and the whole seconds after which they did.
    fn began(&self) -> Vec<(usize, u64)> {
        let began = self.began.lock().unwrap();
        began.iter().map(|&(n, at)| (n, at / SECOND)).collect()
    }

    fn finish(self) {
        self.gate.open();
        world::settle();
        sim_assert_eq!(self.began().len(), self.items.len());
        self.items.iter().for_each(WorkItem::free);
    }
}

/// W-30: three threads at once; when all of them block, one more for every second in which nothing is completed, in
/// the order in which the items were queued (W-28).
#[test]
fn a_stalled_pool_grows_by_a_thread_a_second() {
    world::seeds(0..50, |seed| {
        Sim::new(seed)
            .run(|| {
                let blockers = Blockers::queue(6);
                world::settle();
                let mut first: Vec<usize> = blockers.began().iter().map(|b| b.0).collect();
                first.sort_unstable();
                sim_assert_eq!(first, [0, 1, 2]);
                sim_assert_eq!(world::counters().dynamic_workers, 0);
                world::sleep_100ns(3 * SECOND + SECOND / 2);
                sim_assert_eq!(blockers.began()[3..], [(3, 1), (4, 2), (5, 3)]);
                sim_assert_eq!(world::counters().dynamic_workers, 3);
                blockers.finish();
            })
            .unwrap();
    });
}

/// W-30: a pool that completes items is not stalled, however long its queue is.
#[test]
fn a_busy_pool_does_not_grow() {
    let grown = |item| {
        let run = Sim::new(1).run(move || {
            let items: Vec<_> = (0..20)
                .map(|_| WorkItem::new(move || world::sleep_100ns(item)))
                .collect();
            items.iter().for_each(WorkItem::queue);
            world::sleep_100ns(60 * SECOND);
            sim_assert_eq!(world::counters().work_routines, 20);
            world::counters().dynamic_workers
        });
        run.unwrap()
    };
    assert_eq!(grown(SECOND / 2), 0);
    let control = grown(3 * SECOND);
    assert!(control > 0, "items of three seconds do stall the pool");
}

/// W-30: at most 16 threads are added; the twentieth item waits for ever, and the report says for what.
#[test]
fn the_growth_has_a_bound() {
    let run = Sim::new(3).run(|| {
        let blockers = Blockers::queue(20);
        world::sleep_100ns(100 * SECOND);
        sim_assert_eq!(blockers.began().len(), 19);
        sim_assert_eq!(blockers.began()[18], (18, 16));
        let last = Gate::new();
        let opener = last.clone();
        WorkItem::new(move || opener.open()).queue();
        last.wait();
    });
    let failure = run.unwrap_err();
    let starved = "2 work item(s) wait for a worker thread: 19 exist, 0 idle)";
    assert!(failure.code().ends_with(starved), "{failure}");
    let who = "SIM_DEADLOCK(main waits for event 2; worker 0 waits for event 1;";
    assert!(failure.code().starts_with(who), "{failure}");
}

/// W-30, H-32: works that wait for a work behind them: NT's pool gets over it after a second; a pool of a fixed size
/// never does, and says who waits for whom.
#[test]
fn a_pool_of_a_fixed_size_starves() {
    let run = |sim: Sim| {
        sim.run(|| {
            let gate = Gate::new();
            let waits = [gate.clone(), gate.clone(), gate.clone()]
                .map(|gate| WorkItem::new(move || gate.wait()));
            waits.iter().for_each(WorkItem::queue);
            let opener = WorkItem::new(move || gate.open());
            opener.queue();
            world::sleep_100ns(2 * SECOND);
            let done = world::counters().work_routines;
            sim_assert_eq!(done, 4, "not all works ran");
        })
    };
    world::seeds(0..20, |seed| assert!(run(Sim::new(seed)).is_ok()));
    let fixed = run(Sim::new(1).workers(3)).unwrap_err();
    assert_eq!(fixed.code(), "ASSERT");
    let grows = run(Sim::new(1).workers(2).dynamic_workers(2));
    assert!(grows.is_ok());
}

/// W-30: a dynamic thread that is idle for ten minutes leaves, and the pool is slow again; before that it serves at
/// once. The static threads stay.
#[test]
fn an_idle_dynamic_thread_leaves() {
    let fourth = |pause| {
        let run = Sim::new(5).run(move || {
            let blockers = Blockers::queue(4);
            world::sleep_100ns(2 * SECOND);
            blockers.finish();
            world::sleep_100ns(pause);
            let again = Blockers::queue(4);
            world::sleep_100ns(2 * SECOND);
            let at = again.began()[3].1;
            again.finish();
            (at, world::counters().dynamic_workers)
        });
        run.unwrap()
    };
    assert_eq!(fourth(590 * SECOND), (0, 1));
    assert_eq!(fourth(610 * SECOND), (1, 2));
}

/// W-31: a pool that grows by time hides nothing from a test that asks whether the world is at rest: it settles
/// before the second is over.
#[test]
fn the_world_settles_while_items_wait() {
    Sim::new(1)
        .run(|| {
            let blockers = Blockers::queue(4);
            world::settle();
            sim_assert_eq!(blockers.began().len(), 3);
            blockers.finish();
        })
        .unwrap();
}

/// W-30: the live engine's pool grows in real time.
#[test]
fn a_live_pool_grows() {
    let (before, after) = Live::new()
        .run(|| {
            let blockers = Blockers::queue(4);
            world::sleep_100ns(SECOND / 5);
            let before = blockers.began().len();
            world::sleep_100ns(SECOND * 3 / 2);
            let after = blockers.began().len();
            blockers.finish();
            (before, after)
        })
        .unwrap();
    assert_eq!((before, after), (3, 4));
}
