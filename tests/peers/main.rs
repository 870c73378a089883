//! The bugs of others, B-01 to B-70 of facts/peers, as tests by number.
//!
//! Each scenario would fail if this library had the bug. Where the bug can be put in front of the public
//! calls, a control does so: it plays the same scenario with [`Calls`] in which one call does what the other
//! implementation does, and the scenario has to convict that, by name. A bug that a test elsewhere already
//! stands for is named in that test's comment; `numbers.rs` keeps the account of all seventy.

#[path = "../support/mod.rs"]
mod support;

mod bottom_halves;
mod delayed;
mod handover;
mod identity;
mod levels;
mod numbers;
mod queues;
mod tasklets;
mod teardown;
mod waits;
mod works;

use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex};

use bottomhalf::WorkReentrance;
use bottomhalf::linux::*;
use kmdf_mock::sim_assert;
use kmdf_mock::world::{self, Failure, Gate, Live, Preemption, Sim};
use support::{NonReentrant, Rig, SelfReentrant, TICK_100NS, Tasklet, Work, Wq, machine, rows_on};

/// The calls of a scenario. A control replaces some of them.
#[derive(Clone, Copy)]
struct Calls {
    queue: fn(Work, Wq) -> bool,
    cancel_sync: fn(Work) -> bool,
    flush: fn(Work) -> bool,
    queue_delayed: fn(Work, Wq, u64) -> bool,
    modify: fn(Work, Wq, u64) -> bool,
    cancel_delayed_sync: fn(Work) -> bool,
    flush_delayed: fn(Work) -> bool,
    flush_queue: fn(Wq),
    destroy: fn(Wq),
    system: fn() -> Wq,
    alloc: fn(u32, i32) -> Wq,
    schedule: fn(Tasklet),
    disable: fn(Tasklet),
    enable: fn(Tasklet),
    kill: fn(Tasklet),
}

/// The calls of the library.
const LINUX: Calls = Calls {
    queue: Work::queue,
    cancel_sync: Work::cancel_sync,
    flush: Work::flush,
    queue_delayed: Work::queue_delayed,
    modify: Work::modify,
    cancel_delayed_sync: Work::cancel_delayed_sync,
    flush_delayed: Work::flush_delayed,
    flush_queue: Wq::flush,
    destroy: Wq::destroy,
    system: Wq::system,
    alloc: Wq::with,
    schedule: Tasklet::schedule,
    disable: Tasklet::disable,
    enable: Tasklet::enable,
    kill: Tasklet::kill,
};

type Scenario = fn(&Rig, Calls);

const BOTH: [WorkReentrance; 2] = [SelfReentrant, NonReentrant];

/// Seeds that a control may take until its scenario notices.
const PATIENCE: u64 = 200;

fn play(
    sim: Sim,
    reentrance: WorkReentrance,
    scenario: Scenario,
    calls: Calls,
) -> Result<(), Failure> {
    sim.run(move || {
        let rig = Rig::new(reentrance);
        scenario(&rig, calls);
        rig.finish();
    })
}

/// How many times as many seeds are wanted: `BOTTOMHALF_SOAK` in the environment.
fn soak() -> u64 {
    std::env::var("BOTTOMHALF_SOAK").map_or(1, |times| times.parse().expect("a number"))
}

/// The library passes `scenario` with every seed, under both rules for works.
fn holds(machine: fn(u64) -> Sim, seeds: u64, scenario: Scenario) {
    for reentrance in BOTH {
        world::seeds(0..seeds * soak(), |seed| {
            if let Err(failure) = play(machine(seed), reentrance, scenario, LINUX) {
                panic!("{failure}\nwith {reentrance:?}");
            }
        });
    }
}

/// As [`holds`], for a scenario that has no control here.
fn rows(machine: fn(u64) -> Sim, seeds: u64, scenario: fn(&Rig)) {
    rows_on(machine, seeds * soak(), scenario);
}

/// Plays a scenario on threads of the operating system, in real time. A failure ends the process.
fn in_real_time(rounds: u64, scenario: fn(&Rig)) {
    for reentrance in BOTH {
        for _ in 0..rounds * soak() {
            let run = Live::new().tick_100ns(TICK_100NS).run(move || {
                let rig = Rig::new(reentrance);
                scenario(&rig);
                rig.finish();
            });
            run.unwrap_or_else(|failure| panic!("{failure}"));
        }
    }
}

/// The control: with `planted` some seed fails, under each rule, and the first that does is called `name`.
fn convicts(machine: fn(u64) -> Sim, scenario: Scenario, planted: Calls, name: &str) {
    for reentrance in BOTH {
        let failure = (0..PATIENCE)
            .find_map(|seed| play(machine(seed), reentrance, scenario, planted).err())
            .unwrap_or_else(|| panic!("{name}: nobody notices, with {reentrance:?}"));
        let found = format!("{}: {}", failure.code(), failure.message());
        assert!(found.contains(name), "{name} is expected, not {failure}");
    }
}

/// The machine of the races: it switches at every point, now and then, or seldom, as the seed has it. With some
/// seeds NT's pool has one thread, so that rescuers serve the queues too; with every other seed the works of
/// bound queues are pinned.
fn racing(seed: u64) -> Sim {
    let workers = if seed % 4 < 2 { 16 } else { 1 };
    roomy(seed).workers(workers)
}

/// The same, with workers enough for everybody.
fn roomy(seed: u64) -> Sim {
    machine(seed).preemption(match seed % 3 {
        0 => Preemption::Always,
        1 => Preemption::Often,
        _ => Preemption::Seldom,
    })
}

/// A machine with one CPU.
fn single(seed: u64) -> Sim {
    racing(seed).cpus(1)
}

/// A machine that soon says that somebody goes on without end.
fn impatient(seed: u64) -> Sim {
    racing(seed).step_limit(150_000)
}

/// Something that at least one seed must reach, or the race proves little.
struct Reached(AtomicBool);

impl Reached {
    const fn new() -> Self {
        Self(AtomicBool::new(false))
    }
    fn note(&self, reached: bool) {
        self.0.fetch_or(reached, SeqCst);
    }
    /// A replay of one seed need not reach it.
    #[track_caller]
    fn check(&self) {
        let replay = std::env::var_os("KMDF_MOCK_SEED").is_some();
        assert!(replay || self.0.load(SeqCst), "no seed has come here");
    }
}

/// A call that another thread of the machine makes.
struct Call<T> {
    thread: world::Thread,
    value: Arc<Mutex<Option<T>>>,
}

/// Makes `f` in a thread of its own, which runs from now on.
fn start<T: Send + 'static>(name: &str, f: impl FnOnce() -> T + Send + 'static) -> Call<T> {
    let value = Arc::new(Mutex::new(None));
    let place = Arc::clone(&value);
    let body = move || {
        let value = f();
        *place.lock().unwrap() = Some(value);
    };
    Call {
        thread: world::spawn(name, None, body),
        value,
    }
}

/// As [`start`], and fails unless the call waits.
fn blocked<T: Send + 'static>(name: &str, f: impl FnOnce() -> T + Send + 'static) -> Call<T> {
    let call = start(name, f);
    world::settle();
    sim_assert!(!call.thread.is_finished(), "{name} returns early");
    call
}

impl<T> Call<T> {
    /// What it returned, once it has.
    fn join(self) -> T {
        self.thread.join();
        let value = self.value.lock().unwrap().take();
        value.expect("a thread that has ended has left its value")
    }
}

/// Linux: `cancel_work`.
fn cancel(work: Work) -> bool {
    // SAFETY: the item is alive in every scenario.
    unsafe { cancel_work(work.work()) }
}

/// Linux: `queue_work_on`.
fn queue_on(cpu: i32, work: Work, wq: Wq) -> bool {
    // SAFETY: item and queue are alive in every scenario.
    unsafe { queue_work_on(cpu, wq.0, work.work()) }
}

/// Linux: `disable_work_sync`.
fn disable_sync(work: Work) -> bool {
    // SAFETY: as in `cancel`.
    unsafe { disable_work_sync(work.work()) }
}

/// Linux: `enable_work`.
fn enable(work: Work) -> bool {
    // SAFETY: as in `cancel`.
    unsafe { enable_work(work.work()) }
}

/// Queues `work` where a queued one waits behind it, and returns when it runs.
fn run_first(work: Work, wq: Wq) {
    sim_assert!(work.queue(wq));
    work.wait_begun(1);
}

/// A queue of a kind that the seed picks, for works that do not block.
fn any_queue() -> Wq {
    match world::choose(7) {
        0 => Wq::bound(),
        5 => Wq::with(WQ_BH, 0),
        1 => Wq::ordered(),
        2 => Wq::with(WQ_MEM_RECLAIM, 0),
        3 => Wq::with(WQ_UNBOUND | WQ_MEM_RECLAIM, 4),
        4 => Wq::with(WQ_HIGHPRI, 2),
        _ => Wq::with(WQ_UNBOUND | WQ_FREEZABLE, 3),
    }
}

/// An ordered queue with a work on it that waits for `gate`.
fn occupied(gate: &Gate) -> (Wq, Work) {
    let (wq, blocker) = (Wq::ordered(), Work::gated(gate));
    run_first(blocker, wq);
    (wq, blocker)
}

/// Kills and frees.
fn end(tasklet: Tasklet) {
    tasklet.kill();
    tasklet.free();
}

/// Calls `f` for each.
fn each<T, R, const N: usize>(items: [T; N], f: impl FnMut(T) -> R) {
    items.into_iter().map(f).for_each(drop);
}

/// Passes a number of preemption points that the seed picks, at any IRQL.
fn give_way(most: u32) {
    for _ in 0..world::choose(most) {
        kmdf_mock::sync::preempt();
    }
}
