//! Random traffic against a reference bookkeeping.
//!
//! A seed decides the machine, the items, the queues, every call of every thread, interrupt and function,
//! and every preemption. `ledger` and `tasklets` hold the laws; the plant here makes the calls and tells
//! them. The negative controls at the end make the plant, or its word, wrong in one way each: the law
//! that is about it must notice.

mod support;

#[path = "conservation/ledger.rs"]
mod ledger;
#[path = "conservation/plant.rs"]
mod plant;
#[path = "conservation/tasklets.rs"]
mod tasklets;

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::Mutex;
use std::time::Instant;

use bottomhalf::WorkReentrance;
use kmdf_mock::world::{self, Failure, Preemption};
use plant::{Fault, Reached, scenario};
use support::{NonReentrant, SelfReentrant, machine};

/// One schedule.
fn schedule(
    seed: u64,
    reentrance: WorkReentrance,
    preemption: Preemption,
    fault: Option<Fault>,
) -> Result<Reached, Failure> {
    let workers = if seed.is_multiple_of(4) { 3 } else { 16 };
    let cpus = 2 + (seed % 3) as u32;
    machine(seed)
        .cpus(cpus)
        .workers(workers)
        .preemption(preemption)
        .run(move || scenario(reentrance, cpus, fault))
}

/// What every test must reach at least once, or its schedules prove little.
const REACHED: [&str; 24] = [
    "a destroyed queue had works pending",
    "a kill without schedules",
    "a work freed itself",
    "by a function",
    "by an interrupt",
    "by a tasklet",
    "cancel of a pending work",
    "cancel of an idle work",
    "cancel_sync of a pending work",
    "cancel_sync of an idle work",
    "detached with works pending",
    "flush did not wait",
    "flush waited",
    "flush_workqueue waited",
    "max_active used up",
    "mod of a pending work",
    "mod of an idle work",
    "order known",
    "own requeue: true",
    "queue accepted",
    "queue refused",
    "queue_delayed accepted",
    "queue_delayed refused",
    "state known",
];

/// How many times as many schedules are wanted: `BOTTOMHALF_SOAK` in the environment.
fn soak() -> u64 {
    std::env::var("BOTTOMHALF_SOAK").map_or(1, |times| times.parse().expect("a number"))
}

/// Runs the schedules of `0..seeds`, and says how many there were and how fast.
fn schedules(reentrance: WorkReentrance, preemption: Preemption, seeds: u64) {
    let begin = Instant::now();
    let seeds = seeds * soak();
    let total: Mutex<(u64, BTreeMap<&str, u64>)> = Mutex::default();
    world::seeds(0..seeds, |seed| {
        match schedule(seed, reentrance, preemption, None) {
            Ok(reached) => {
                let mut total = total.lock().unwrap();
                total.0 += 1;
                for (what, count) in reached {
                    *total.1.entry(what).or_default() += count;
                }
            }
            Err(failure) => panic!("{failure}\nwith {reentrance:?}, {preemption:?}"),
        }
    });
    let (count, reached) = total.into_inner().unwrap();
    let seconds = begin.elapsed().as_secs_f64();
    let rate = count as f64 / seconds;
    let line = format!(
        "conservation, {reentrance:?}, {preemption:?}: {count} schedules in {seconds:.1} s, {rate:.0}/s\n"
    );
    // Past the harness's capture: the figure is shown when the test passes.
    std::io::stderr().write_all(line.as_bytes()).unwrap();
    println!("{reached:#?}");
    if count == seeds {
        for what in REACHED {
            assert!(reached.contains_key(what), "no schedule reached: {what}");
        }
        let overlapped = reached.contains_key("work overlaps itself");
        assert_eq!(
            overlapped,
            reentrance == SelfReentrant,
            "works overlap themselves"
        );
    }
}

macro_rules! schedules {
    ($($name:ident: $reentrance:ident, $preemption:ident, $seeds:literal;)*) => { $(
        #[test]
        fn $name() {
            schedules($reentrance, Preemption::$preemption, $seeds);
        }
    )* };
}

schedules! {
    self_reentrant_never: SelfReentrant, Never, 1000;
    self_reentrant_seldom: SelfReentrant, Seldom, 2500;
    self_reentrant_often: SelfReentrant, Often, 8000;
    self_reentrant_always: SelfReentrant, Always, 2000;
    non_reentrant_never: NonReentrant, Never, 1000;
    non_reentrant_seldom: NonReentrant, Seldom, 2500;
    non_reentrant_often: NonReentrant, Often, 8000;
    non_reentrant_always: NonReentrant, Always, 2000;
}

/// Schedules that a negative control may take until its law notices.
const PATIENCE: u64 = 500;

/// With `fault` the first schedule that fails does so by a law of `laws`.
fn convicts(fault: Fault, laws: &[&str]) {
    let failure = (0..PATIENCE)
        .find_map(|seed| schedule(seed, NonReentrant, Preemption::Often, Some(fault)).err());
    let failure = failure.unwrap_or_else(|| panic!("{fault:?} is not noticed"));
    let name = failure.message().split(':').next().unwrap_or_default();
    println!("{fault:?}: {}", failure.message());
    assert!(laws.contains(&name), "{fault:?} is noticed as {failure}");
}

macro_rules! controls {
    ($($name:ident: $fault:ident, $laws:expr;)*) => { $(
        #[test]
        fn $name() {
            convicts(Fault::$fault, &$laws);
        }
    )* };
}

controls! {
    control_a_cancel_that_is_not_counted: ForgetCancel, ["conservation", "answer", "flush"];
    control_a_queueing_that_is_not_counted: ForgetQueue, ["conservation", "answer"];
    control_a_queueing_that_never_was: PhantomQueue, ["conservation", "answer", "flush"];
    control_a_function_called_twice: RunTwice, ["conservation"];
    control_a_delay_cut_short: ShortDelay, ["early"];
    control_a_flush_that_does_not_wait: NoFlush, ["flush"];
    control_a_flush_of_a_queue_that_does_not_wait: NoFlushQueue, ["flush_workqueue"];
    control_a_cancel_sync_that_does_not_wait: NoWait, ["cancel_sync"];
    control_an_ordered_queue_that_is_not: NotOrdered, ["max_active", "order"];
    control_a_queue_with_too_many: MoreActive, ["max_active"];
    control_works_that_overlap: Overlap, ["self-concurrency"];
    control_a_kill_that_does_nothing: NoKill, ["kill"];
    control_a_disable_that_does_nothing: NoDisable, ["disable"];
    control_a_schedule_that_is_lost: LostSchedule, ["schedule", "kill"];
    control_a_destroy_that_loses_a_work: LostAtDestroy, ["destroy_workqueue", "order"];
}
