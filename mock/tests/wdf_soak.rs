//! A driver that does legal things at random: it is never convicted, its books balance, and the
//! same seed gives the same trace.

#![allow(missing_docs, reason = "tests")]

mod wdf_common;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU32, Ordering::SeqCst};

use kmdf_mock::world::{self, Preemption, Verifier};
use kmdf_mock::*;
use wdf_common::*;

/// 100 ns in a millisecond.
const MS: u64 = 10_000;

/// The driver's objects and books.
#[derive(Clone)]
struct Rig {
    dpcs: [Dpc; 2],
    items: [WorkItem; 2],
    timers: [Timer; 2],
    books: Arc<Books>,
}

#[derive(Default)]
struct Books {
    /// Calls that callbacks may still make.
    budget: AtomicI64,
    accepted: [AtomicU32; 2],
    removed: [AtomicU32; 2],
    ran: [AtomicU32; 2],
    item_enqueues: [AtomicU32; 2],
    item_runs: [AtomicU32; 2],
    starts: [AtomicU32; 2],
    fires: [AtomicU32; 2],
}

fn add(count: &AtomicU32, n: bool) {
    count.fetch_add(u32::from(n), SeqCst);
}

impl Rig {
    fn new(setup: &Setup) -> Self {
        let books = Arc::new(Books::default());
        books.budget.store(60, SeqCst);
        Self {
            dpcs: [setup.dpc().urgent(), setup.dpc()],
            items: [setup.work_item(), setup.work_item()],
            timers: [setup.timer(), setup.passive_timer()],
            books,
        }
    }

    fn connect(&self) {
        for which in 0..2 {
            let rig = self.clone();
            self.dpcs[which].on_run(move |_| {
                add(&rig.books.ran[which], true);
                rig.call_on();
            });
            let rig = self.clone();
            self.items[which].on_run(move |_| {
                add(&rig.books.item_runs[which], true);
                rig.call_on();
            });
            let rig = self.clone();
            self.timers[which].on_run(move |_| {
                add(&rig.books.fires[which], true);
                rig.call_on();
            });
        }
    }

    /// What a callback does, as long as there is budget.
    fn call_on(&self) {
        if self.books.budget.fetch_sub(1, SeqCst) > 0 {
            self.kick();
        }
    }

    /// A call that is legal up to DISPATCH.
    fn kick(&self) {
        let which = world::choose(2) as usize;
        match world::choose(4) {
            0 => self.enqueue(which),
            1 => self.remove(which),
            2 => {
                add(&self.books.item_enqueues[which], true);
                self.items[which].enqueue();
            }
            _ => {
                add(&self.books.starts[which], true);
                self.timers[which].start_ms(i64::from(world::choose(40)) + 1);
            }
        }
    }

    fn enqueue(&self, which: usize) {
        add(&self.books.accepted[which], self.dpcs[which].enqueue());
    }

    fn remove(&self, which: usize) {
        add(&self.books.removed[which], self.dpcs[which].cancel(false));
    }

    /// One step of a thread at PASSIVE.
    fn step(&self) {
        let which = world::choose(2) as usize;
        match world::choose(10) {
            0..=2 => self.kick(),
            3 => world::at_dispatch(|| (0..3).for_each(|_| self.kick())),
            4 => world::at_irql(5, || self.enqueue(which)),
            5 => add(&self.books.removed[which], self.dpcs[which].cancel(true)),
            6 => self.items[which].flush(),
            7 => drop(self.timers[which].stop(world::choose(2) == 0).then_some(())),
            8 => world::sleep_100ns(u64::from(world::choose(30)) * MS),
            _ => world::run_on_cpu(world::choose(4), || self.kick()),
        }
    }

    /// Waits until nothing of the driver can run again.
    fn quiesce(&self) {
        self.books.budget.store(0, SeqCst);
        for _ in 0..3 {
            self.timers.iter().for_each(|timer| {
                timer.stop(true);
            });
            for (which, dpc) in self.dpcs.iter().enumerate() {
                add(&self.books.removed[which], dpc.cancel(true));
            }
            self.items.iter().for_each(|item| item.flush());
        }
    }

    fn check(&self) {
        let books = &self.books;
        for which in 0..2 {
            let accepted = books.accepted[which].load(SeqCst);
            let removed = books.removed[which].load(SeqCst);
            sim_assert_eq!(
                books.ran[which].load(SeqCst),
                accepted - removed,
                "DPC {which}"
            );
            let enqueues = books.item_enqueues[which].load(SeqCst);
            let runs = books.item_runs[which].load(SeqCst);
            sim_assert!(
                runs <= enqueues && (runs > 0) == (enqueues > 0),
                "item {which}"
            );
            let fires = books.fires[which].load(SeqCst);
            sim_assert!(fires <= books.starts[which].load(SeqCst), "timer {which}");
        }
    }
}

fn legal_life() {
    let setup = Setup::new();
    let rig = Rig::new(&setup);
    rig.connect();
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let rig = rig.clone();
            world::spawn("actor", None, move || (0..25).for_each(|_| rig.step()))
        })
        .collect();
    threads.into_iter().for_each(world::Thread::join);
    rig.quiesce();
    rig.check();
    if world::choose(2) == 0 {
        rig.items[0].delete();
        world::at_dispatch(|| rig.dpcs[1].delete());
        rig.timers[1].delete();
    }
    drop(rig);
    setup.finish();
}

/// D-8, D-12, W-7, T-12: whatever legal calls are made, every accepted DPC runs or was removed, no
/// item runs unasked, no timer fires unasked, and nobody is convicted.
#[test]
fn legal_driver_is_never_convicted() {
    let modes = [Preemption::Often, Preemption::Always, Preemption::Seldom];
    world::seeds(0..300, |seed| {
        let mode = modes[(seed % 3) as usize];
        if let Err(failure) = strict(seed).preemption(mode).run(legal_life) {
            panic!("{failure}");
        }
    });
}

/// V-6: the verifier shakes the order and changes nothing else.
#[test]
fn legal_driver_has_no_break_but_concurrent_stops() {
    world::seeds(0..60, |seed| {
        strict(seed)
            .verifier(Verifier::On)
            .run(|| {
                legal_life();
                for (name, _) in world::breaks() {
                    sim_assert_eq!(name, "TIMER_STOP_CONCURRENT");
                }
            })
            .unwrap();
    });
}

/// The same seed gives the same trace; other seeds give others.
#[test]
fn same_seed_same_trace() {
    let mut seen = std::collections::BTreeSet::new();
    for seed in 0..20 {
        let first = strict(seed).run_traced(legal_life);
        let second = strict(seed).run_traced(legal_life);
        assert_eq!(first.fingerprint, second.fingerprint, "seed {seed}");
        assert_eq!(first.trace, second.trace, "seed {seed}");
        seen.insert(first.fingerprint);
    }
    assert_eq!(seen.len(), 20);
}
