//! System worker threads (W-16, W-28 to W-31): a pool per queue, which NT lets grow only slowly.
//!
//! A pool begins with its static threads. While items wait and none has been completed for a second, a dynamic
//! thread is added, up to a bound; one that has had nothing to do for ten minutes leaves.

use std::collections::VecDeque;

use crate::abi::KPRIORITY;
use crate::engine::ThreadId;
use crate::nt::state::{Kind, Waiting};
use crate::nt::thread;
use crate::nt::work::{self, PIO_WORKITEM};
use crate::world::config::Config;
use crate::world::fail;
use crate::world::state::{World, current};

/// Time without a completed item after which a pool with waiting items grows, in 100 ns (W-30).
const STALL: u64 = 10_000_000;
/// Idle time after which a dynamic thread leaves, in 100 ns (W-30).
const LEAVES_AFTER: u64 = 6_000_000_000;
/// Names and priorities (W-29) of the pools, in the order of NT's queue types.
const POOLS: [(&str, KPRIORITY); 3] = [
    ("critical worker", 13),
    ("worker", 12),
    ("hyper-critical worker", 15),
];
/// Static threads of the critical and the hyper-critical pool.
const CRITICAL_THREADS: u32 = 5;
const HYPER_CRITICAL_THREADS: u32 = 1;

/// An item in a worker queue.
#[derive(Clone, Copy)]
struct Queued(PIO_WORKITEM);

// SAFETY: the pointer is a key; whoever queues the item keeps it until its routine has begun, and every
// access is made under the lock of the world.
unsafe impl Send for Queued {}

/// The threads of one queue.
#[derive(Default)]
struct Pool {
    limit: u32,
    dynamic_limit: u32,
    /// Threads that exist, and how many of them are dynamic.
    threads: u32,
    dynamic: u32,
    idle: Vec<ThreadId>,
    queue: VecDeque<Queued>,
    completed: u64,
    /// When the pool is looked at for a stall, and how many items were completed when that was decided.
    look: Option<(u64, u64)>,
    /// Threads that have ever existed: the number of the next one.
    numbers: u32,
}

/// The pools of a machine.
pub(crate) struct Workers {
    pools: [Pool; 3],
}

/// A thread to make.
struct Wanted {
    pool: usize,
    number: u32,
    dynamic: bool,
}

impl Pool {
    /// Has the pool looked at in a second if items wait and nobody is there to take them.
    fn watch(&mut self, now: u64) -> Option<u64> {
        let may_grow = self.dynamic < self.dynamic_limit;
        if self.queue.is_empty() || !self.idle.is_empty() || !may_grow {
            return None;
        }
        let (at, _) = self.look.get_or_insert((now + STALL, self.completed));
        Some(*at)
    }

    fn add_thread(&mut self, pool: usize, dynamic: bool) -> Wanted {
        self.threads += 1;
        self.dynamic += u32::from(dynamic);
        self.numbers += 1;
        Wanted {
            pool,
            number: self.numbers - 1,
            dynamic,
        }
    }

    fn take(&mut self) -> Option<PIO_WORKITEM> {
        let item = self.queue.pop_front()?;
        if self.queue.is_empty() {
            self.look = None;
        }
        Some(item.0)
    }

    /// How many items wait for how many threads, for a report; `None` if none waits.
    fn starvation(&self, name: &str) -> Option<String> {
        if self.queue.is_empty() {
            return None;
        }
        Some(format!(
            "{} work item(s) wait for a {name} thread: {} exist, {} idle",
            self.queue.len(),
            self.threads,
            self.idle.len()
        ))
    }
}

impl Workers {
    /// The pools of a machine that has just booted.
    pub(crate) fn new(config: &Config) -> Self {
        let limits = [CRITICAL_THREADS, config.workers(), HYPER_CRITICAL_THREADS];
        assert!(limits[1] > 0, "there is at least one system worker thread");
        Self {
            pools: limits.map(|limit| Pool {
                limit,
                dynamic_limit: config.dynamic_workers(),
                ..Pool::default()
            }),
        }
    }

    /// Items that wait for a worker thread.
    pub(crate) fn waiting(&self) -> usize {
        self.pools.iter().map(|pool| pool.queue.len()).sum()
    }

    /// When the next pool is looked at for a stall.
    pub(crate) fn next_look(&self) -> Option<u64> {
        self.pools
            .iter()
            .filter_map(|pool| pool.look.map(|(at, _)| at))
            .min()
    }

    /// A line for every pool whose items wait for a thread.
    pub(crate) fn starvation(&self) -> Vec<String> {
        (self.pools.iter().zip(POOLS))
            .filter_map(|(pool, (name, _))| pool.starvation(name))
            .collect()
    }
}

/// Puts an item into the queue of a pool.
pub(crate) fn push(workers: &mut Workers, pool: usize, item: PIO_WORKITEM) {
    workers.pools[pool].queue.push_back(Queued(item));
}

/// Wakes an idle worker thread, makes one more if a static one is missing, or has the pool looked at later.
pub(crate) fn wake(w: &World, pool: usize) {
    let now = w.engine.now();
    let (wanted, look) = w.nt.with(|nt| {
        let own = &mut nt.work.pools[pool];
        if !own.idle.is_empty() {
            let place = w.engine.choose(own.idle.len() as u32) as usize;
            let thread = own.idle.swap_remove(place);
            w.engine.wake(w, thread);
            return (None, None);
        }
        if own.threads - own.dynamic < own.limit {
            return (Some(own.add_thread(pool, false)), None);
        }
        (None, own.watch(now))
    });
    if let Some(wanted) = wanted {
        make(w, wanted);
    }
    if let Some(look) = look {
        w.engine.alarm(w, look);
    }
}

/// The look at the pools: one that has not completed an item for a second gets a thread.
pub(crate) fn clock(w: &World, now: u64) {
    for pool in 0..POOLS.len() {
        let wanted = w.nt.with(|nt| {
            let own = &mut nt.work.pools[pool];
            let (_, completed) = own.look.take_if(|(at, _)| *at <= now)?;
            let stalled = own.completed == completed && own.watch(now).is_some();
            let wanted = stalled.then(|| own.add_thread(pool, true));
            own.look = None;
            own.watch(now);
            wanted
        });
        if let Some(wanted) = wanted {
            w.count(|counters| counters.dynamic_workers += 1);
            make(w, wanted);
        }
    }
}

fn make(w: &World, wanted: Wanted) {
    let Wanted {
        pool,
        number,
        dynamic,
    } = wanted;
    let name = format!("{} {number}", POOLS[pool].0);
    let body = Box::new(move || worker(pool, dynamic));
    thread::create(w, name, Kind::Worker, None, body);
}

/// What a worker thread does next.
enum Next {
    Run(PIO_WORKITEM),
    Wait,
    Leave,
}

/// A worker thread: takes items in the order in which they were queued (W-28).
fn worker(pool: usize, dynamic: bool) {
    let w = current();
    let me = w.engine.thread();
    w.nt.with(|nt| nt.threads[me].priority = POOLS[pool].1);
    w.engine.priority_changed(w, me);
    let mut leaves_at = dynamic.then(|| w.engine.now() + LEAVES_AFTER);
    loop {
        w.engine.preempt(w);
        let late = leaves_at.is_some_and(|at| w.engine.now() >= at);
        let next = w.nt.with(|nt| {
            let own = &mut nt.work.pools[pool];
            let next = match own.take() {
                Some(item) => Next::Run(item),
                None if late => Next::Leave,
                None => Next::Wait,
            };
            own.idle.retain(|&thread| thread != me);
            match next {
                Next::Run(_) => nt.threads[me].waiting = None,
                Next::Wait => {
                    own.idle.push(me);
                    nt.threads[me].waiting = Some(Waiting::Work);
                }
                Next::Leave => {
                    own.threads -= 1;
                    own.dynamic -= 1;
                    nt.threads[me].waiting = None;
                }
            }
            next
        });
        match next {
            Next::Run(item) => {
                work::run(w, item);
                check_return(w, me, POOLS[pool].1);
                w.nt.with(|nt| nt.work.pools[pool].completed += 1);
                leaves_at = dynamic.then(|| w.engine.now() + LEAVES_AFTER);
            }
            Next::Leave => return,
            Next::Wait if w.engine.is_stopping() => return,
            Next::Wait => w.engine.block(w, leaves_at),
        }
    }
}

/// What a worker routine may not leave behind (W-16): the thread is the system's again.
fn check_return(w: &World, me: ThreadId, priority: KPRIORITY) {
    let irql = w.engine.irql();
    if irql >= 2 {
        fail(
            "WORKER_THREAD_RETURNED_AT_BAD_IRQL(0xE1)",
            format!("a worker routine returned at IRQL {irql}"),
        );
    }
    let (critical, bound, left_at) = w.nt.with(|nt| {
        let thread = &nt.threads[me];
        let bound = thread.user_affinity.is_some();
        (thread.critical, bound, thread.priority)
    });
    if irql != 0 {
        fail(
            "IRQL_UNEXPECTED_VALUE(0xC8)",
            "a worker routine returned at APC_LEVEL".to_owned(),
        );
    }
    if critical != 0 {
        fail(
            "APC_INDEX_MISMATCH(0x1)",
            "a worker routine returned in a critical region".to_owned(),
        );
    }
    if bound {
        fail(
            "SIM_AFFINITY_LEAK",
            "a worker routine returned with its thread bound to CPUs".to_owned(),
        );
    }
    if left_at != priority {
        fail(
            "SIM_PRIORITY_LEAK",
            format!("a worker routine returned its thread at priority {left_at}, not {priority}"),
        );
    }
}
