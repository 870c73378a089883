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
use ledger::{Accounts, Call, Home, Limits};
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
    // The two rules get different schedules.
    let machine_seed = 2 * seed + u64::from(reentrance == NonReentrant);
    machine(machine_seed)
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
    self_reentrant_often: SelfReentrant, Often, 12000;
    self_reentrant_always: SelfReentrant, Always, 3000;
    non_reentrant_never: NonReentrant, Never, 1000;
    non_reentrant_seldom: NonReentrant, Seldom, 2500;
    non_reentrant_often: NonReentrant, Often, 12000;
    non_reentrant_always: NonReentrant, Always, 3000;
}

/// Schedules that a negative control may take until its law notices.
const PATIENCE: u64 = 500;

/// With `fault` some schedule breaks `law`. Others may break other laws first: a wrong word about one
/// call makes several sums wrong.
fn convicts(fault: Fault, law: &str) {
    let message = (0..PATIENCE).find_map(|seed| {
        let failure = schedule(seed, NonReentrant, Preemption::Often, Some(fault)).err()?;
        let name = failure.message().split(':').next();
        (name == Some(law)).then(|| failure.message().to_owned())
    });
    let message = message.unwrap_or_else(|| panic!("{fault:?} is not noticed by {law}"));
    println!("{fault:?}: {message}");
}

macro_rules! controls {
    ($($name:ident: $fault:ident, $law:literal;)*) => { $(
        #[test]
        fn $name() {
            convicts(Fault::$fault, $law);
        }
    )* };
}

controls! {
    control_a_cancel_that_is_not_counted: ForgetCancel, "conservation";
    control_a_queueing_that_is_not_counted: ForgetQueue, "conservation";
    control_a_queueing_that_never_was: PhantomQueue, "conservation";
    control_a_function_called_twice: RunTwice, "conservation";
    control_a_delay_cut_short: ShortDelay, "early";
    control_a_flush_that_does_not_wait: NoFlush, "flush";
    control_a_flush_of_a_queue_that_does_not_wait: NoFlushQueue, "flush_workqueue";
    control_a_cancel_sync_that_does_not_wait: NoWait, "cancel_sync";
    control_an_ordered_queue_that_is_not: NotOrdered, "max_active";
    control_a_queue_with_too_many: MoreActive, "max_active";
    control_works_that_overlap: Overlap, "self-concurrency";
    control_a_kill_that_does_nothing: NoKill, "kill";
    control_a_disable_that_does_nothing: NoDisable, "disable";
    control_a_schedule_that_is_lost: LostSchedule, "schedule";
    control_a_destroy_that_loses_a_work: LostAtDestroy, "destroy_workqueue";
}

/// The law by whose breach `verdict` fails.
fn broken<T: std::fmt::Debug>(verdict: Result<T, String>) -> String {
    let text = verdict.unwrap_err();
    text.split(':').next().unwrap_or_default().to_owned()
}

/// Two works that are queued one after the other on an ordered queue.
fn two_in_a_row() -> Accounts {
    let mut books = Accounts::new(true);
    let (ordered, max_active, bound, cpus) = (true, 1, false, 1);
    books.add_queue(Limits {
        ordered,
        max_active,
        bound,
        cpus,
    });
    for now in [10, 20] {
        let work = books.add_work(Home::Queue(0), true);
        let ticket = books.begin(work, Call::Queue, false, now);
        books.end(ticket, true, false, now + 5).unwrap();
    }
    books
}

#[test]
fn control_a_work_that_overtakes() {
    let mut books = two_in_a_row();
    let first = books.run_begins(0, 30).unwrap();
    books.run_ends(0, first);
    books.run_begins(1, 40).unwrap();
    assert_eq!(broken(two_in_a_row().run_begins(1, 30)), "order");
}

#[test]
fn control_an_idle_work_that_is_refused() {
    let mut books = Accounts::new(true);
    let work = books.add_work(Home::Any, false);
    let refused = books.begin(work, Call::Queue, false, 10);
    assert_eq!(broken(books.end(refused, false, false, 15)), "answer");
    // While another call is under way the same answer is possible.
    let other = books.begin(work, Call::Queue, false, 20);
    let refused = books.begin(work, Call::Queue, false, 21);
    books.end(refused, false, false, 25).unwrap();
    books.end(other, true, false, 26).unwrap();
}

#[test]
fn control_an_armed_work_that_is_not_cancelled() {
    let mut books = Accounts::new(true);
    let work = books.add_work(Home::Any, false);
    let armed = books.begin(work, Call::QueueDelayed(1000), false, 10);
    books.end(armed, true, false, 15).unwrap();
    let cancel = books.begin(work, Call::Cancel, false, 20);
    assert_eq!(broken(books.end(cancel, false, false, 25)), "answer");
    // Once it is due it may have begun to run.
    let cancel = books.begin(work, Call::Cancel, false, 1020);
    books.end(cancel, false, false, 1025).unwrap();
}

#[test]
fn control_a_tasklet_inside_itself() {
    let mut books = tasklets::Accounts::default();
    let tasklet = books.add();
    for _ in 0..2 {
        let ticket = books.schedule_begins(tasklet, false);
        books.schedule_ends(ticket);
    }
    books.run_begins(tasklet).unwrap();
    assert_eq!(broken(books.run_begins(tasklet)), "tasklet-concurrency");
}
