//! Random traffic against a reference bookkeeping.
//!
//! A seed decides the machine, the shape of the traffic, the items, the queues, every call of every
//! thread, interrupt and function, and every preemption. `ledger` and `tasklets` hold the laws about what
//! is asked, answered and run; the plant makes the calls and tells them. `witness` sees every write of a
//! state word and holds it against `table`, the list of legal transitions, which also says what the
//! schedules have reached. The negative controls at the end make the plant, or its word, wrong in one way
//! each: the law that is about it must notice.
//!
//! `ci/seeds.sh` runs more seeds, in processes of their own, and prints the table.

mod support;

#[path = "conservation/ledger.rs"]
mod ledger;
#[path = "conservation/plant.rs"]
mod plant;
#[path = "conservation/shapes.rs"]
mod shapes;
#[path = "conservation/table.rs"]
mod table;
#[path = "conservation/tasklets.rs"]
mod tasklets;
#[path = "conservation/witness.rs"]
mod witness;

use std::collections::BTreeMap;
use std::io::Write;
use std::ops::Range;
use std::sync::Mutex;
use std::time::Instant;

use bottomhalf::WorkReentrance;
use kmdf_mock::world::{self, Failure, Preemption};
use ledger::{Accounts, Call, Home, Limits};
use plant::{Fault, Outcome, scenario};
use support::{NonReentrant, SelfReentrant, machine};
use table::{Actor, Place, Step, Transition};
use witness::{Hits, Witness};

/// How often a schedule is preempted.
fn preemption_of(seed: u64) -> Preemption {
    match seed % 16 {
        0 => Preemption::Never,
        1 | 2 => Preemption::Seldom,
        3 | 4 => Preemption::Always,
        _ => Preemption::Often,
    }
}

/// One schedule.
fn schedule(
    seed: u64,
    reentrance: WorkReentrance,
    preemption: Preemption,
    fault: Option<Fault>,
) -> Result<Outcome, Failure> {
    let workers = match seed % 8 {
        3 => 1,
        7 => 3,
        _ => 16,
    };
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
const REACHED: [&str; 37] = [
    "a DPC left its tasklets to the thread",
    "a destroyed queue had works pending",
    "a kill without schedules",
    "a rescuer came",
    "a tasklet was locked",
    "a work freed itself",
    "by a function",
    "by an interrupt",
    "by a tasklet",
    "cancel of a pending work",
    "cancel of an idle work",
    "cancel_sync of a pending work",
    "cancel_sync of an idle work",
    "detached with works pending",
    "disable of a pending work",
    "disable of an idle work",
    "drained",
    "enabled and queued",
    "enabled",
    "enabled, and still disabled",
    "froze with works pending",
    "flush did not wait",
    "flush waited",
    "flush_workqueue waited",
    "max_active changed",
    "max_active used up",
    "mod of a pending work",
    "mod of an idle work",
    "order known",
    "own requeue: true",
    "queue accepted",
    "queue refused",
    "queue_delayed accepted",
    "queue_delayed refused",
    "ran as a bottom half",
    "ran on its CPU",
    "state known",
];

/// Seeds of a normal run, each with both rules.
const SEEDS: u64 = 5_000;

/// The seeds of this run: `BOTTOMHALF_SEEDS=first:count` in the environment, for `ci/seeds.sh`.
fn seeds() -> Range<u64> {
    let Ok(text) = std::env::var("BOTTOMHALF_SEEDS") else {
        return 0..SEEDS;
    };
    let (first, count) = text.split_once(':').expect("first:count");
    let number = |text: &str| text.parse::<u64>().expect("a number");
    let first = number(first);
    first..first + number(count)
}

/// The fault that `BOTTOMHALF_FAULT` plants, for the negative control of `ci/seeds.sh`.
fn planted() -> Option<Fault> {
    let name = std::env::var("BOTTOMHALF_FAULT").ok()?;
    assert_eq!(
        name, "RunTwice",
        "the fault that can be planted from outside"
    );
    Some(Fault::RunTwice)
}

/// What the schedules of a run did.
#[derive(Default)]
struct Total {
    schedules: u64,
    reached: BTreeMap<&'static str, u64>,
    hits: Hits,
}

impl Total {
    fn add(&mut self, outcome: Outcome) {
        self.schedules += 1;
        for (what, count) in outcome.reached {
            *self.reached.entry(what).or_default() += count;
        }
        for (transition, count) in outcome.hits {
            *self.hits.entry(transition).or_default() += count;
        }
    }

    /// A line for each legal transition and each thing reached, with how often.
    fn lines(&self, reentrance: WorkReentrance) -> String {
        let transitions = table::legal(reentrance).iter().map(|transition| {
            let count = self.hits.get(transition).copied().unwrap_or_default();
            let rare = if table::is_rare(transition) {
                " rare"
            } else {
                ""
            };
            format!("{count} {transition}{rare}\n")
        });
        let reached = self.reached.iter();
        let reached = reached.map(|(what, count)| format!("{count} reached {what}\n"));
        transitions.chain(reached).collect()
    }
}

/// Runs the schedules of one rule, and says how many there were and how fast.
fn schedules(reentrance: WorkReentrance) {
    let begin = Instant::now();
    let (seeds, fault) = (seeds(), planted());
    let wanted = seeds.end - seeds.start;
    let total: Mutex<Total> = Mutex::default();
    world::seeds(seeds, |seed| {
        let preemption = preemption_of(seed);
        match schedule(seed, reentrance, preemption, fault) {
            Ok(outcome) => total.lock().unwrap().add(outcome),
            Err(failure) => panic!("{failure}\nwith {reentrance:?}, {preemption:?}"),
        }
    });
    let total = total.into_inner().unwrap();
    let seconds = begin.elapsed().as_secs_f64();
    let legal = table::legal(reentrance);
    // A WQ_BH queue has the other table under SelfReentrant.
    let hit = total.hits.keys().filter(|hit| legal.contains(hit)).count();
    let (count, legal) = (total.schedules, legal.len());
    let line = format!(
        "conservation, {reentrance:?}: {count} schedules in {seconds:.1} s, {:.0}/s, \
         {hit} of {legal} transitions\n",
        count as f64 / seconds
    );
    // Past the harness's capture: the figure is shown when the test passes.
    std::io::stderr().write_all(line.as_bytes()).unwrap();
    let lines = total.lines(reentrance);
    if let Ok(file) = std::env::var("BOTTOMHALF_HITS") {
        std::fs::write(file, &lines).unwrap();
    }
    println!("{lines}");
    if count == wanted && count >= SEEDS {
        for what in REACHED {
            assert!(
                total.reached.contains_key(what),
                "no schedule reached: {what}"
            );
        }
        assert!(hit * 10 / legal >= 9, "only {hit} of {legal} transitions");
        let overlapped = total.reached.contains_key("work overlaps itself");
        assert_eq!(
            overlapped,
            reentrance == SelfReentrant,
            "works overlap themselves"
        );
    }
}

#[test]
fn self_reentrant() {
    schedules(SelfReentrant);
}

#[test]
fn non_reentrant() {
    schedules(NonReentrant);
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
    control_a_disable_work_that_does_nothing: NoDisableWork, "disable_work";
    control_a_schedule_that_is_lost: LostSchedule, "schedule";
    control_a_destroy_that_loses_a_work: LostAtDestroy, "destroy_workqueue";
    control_a_bottom_half_that_is_none: NotBh, "bh";
    control_a_lock_that_does_nothing: NoLock, "lock";
    control_a_freeze_that_does_nothing: NoFreeze, "freeze";
    control_a_work_on_another_cpu: WrongCpu, "cpu";
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
        alone: false,
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

/// Words of `engine::word`.
mod word {
    pub(crate) const IDLE: u64 = 8;
    pub(crate) const TRANSIT: u64 = 9;
    pub(crate) const QUEUE: u64 = 0x100 | 2 | 9;
    pub(crate) const HELD: u64 = 0x100 | 4 | 9;
    pub(crate) const DISABLED: u64 = 1 << 16 | 8;
    pub(crate) const THRICE: u64 = 3 << 16 | 8;
}

#[test]
fn control_a_write_that_is_not_legal() {
    use Actor::{Cancel, Disable, Queue};
    use word::*;
    let illegal = |actor, words| {
        let witness = Witness::new(NonReentrant);
        broken(witness.suppose(actor, 1, words))
    };
    // A cancel does not claim, a queueing does not take, nobody skips Transit, and there is no place Held
    // without a worker, nor under the other rule.
    for (actor, words) in [
        (Cancel, (IDLE, TRANSIT)),
        (Queue, (QUEUE, TRANSIT)),
        (Queue, (IDLE, QUEUE)),
        (Queue, (TRANSIT, HELD)),
        (Queue, (IDLE, IDLE | 0x40)),
    ] {
        assert_eq!(illegal(actor, words), "transition", "{actor:?} {words:?}");
    }
    let reentrant = Witness::new(SelfReentrant);
    let held = reentrant.suppose(Actor::Engine, 1, (TRANSIT, HELD));
    assert_eq!(broken(held), "transition");
    assert_eq!(illegal(Disable, (DISABLED, THRICE)), "depth");
}

#[test]
fn control_a_work_in_transit_that_somebody_else_takes() {
    use word::*;
    let witness = Witness::new(NonReentrant);
    witness.suppose(Actor::Queue, 1, (IDLE, TRANSIT)).unwrap();
    let other = witness.suppose(Actor::Queue, 2, (TRANSIT, QUEUE));
    assert_eq!(broken(other), "owner");
}

#[test]
fn control_a_run_that_is_begun_inside_another() {
    use word::*;
    let witness = Witness::new(NonReentrant);
    let begin = |witness: &Witness| {
        witness.suppose(Actor::Queue, 1, (IDLE, TRANSIT))?;
        witness.suppose(Actor::Queue, 1, (TRANSIT, QUEUE))?;
        witness.suppose(Actor::Engine, 1, (QUEUE, TRANSIT))?;
        witness.suppose(Actor::Engine, 1, (TRANSIT, IDLE))
    };
    begin(&witness).unwrap();
    witness.work_enters(0);
    assert_eq!(broken(begin(&witness)), "transition");
}

#[test]
fn control_a_tasklet_that_two_run() {
    let witness = Witness::new(NonReentrant);
    let step = |thread, actor, step| witness.suppose_step(actor, thread, step);
    step(1, Actor::Schedule, Step::SetSched).unwrap();
    assert_eq!(broken(step(1, Actor::Schedule, Step::SetRun)), "transition");
    step(1, Actor::Engine, Step::SetRun).unwrap();
    assert_eq!(broken(step(2, Actor::Engine, Step::ClearRun)), "owner");
    assert_eq!(broken(step(2, Actor::Engine, Step::Unpark)), "transition");
}

#[test]
fn control_a_function_that_is_entered_without_run() {
    let witness = Witness::new(NonReentrant);
    witness
        .suppose_step(Actor::Schedule, 1, Step::SetSched)
        .unwrap();
    assert_eq!(broken(witness.tasklet_enters(0)), "run");
}

/// By the table every state of a work can be reached from idle and left for idle again, Held under one
/// rule only; none leads to or from a work that was never initialised.
#[test]
fn the_table_leads_everywhere_and_back() {
    let all = [
        Place::Disabled,
        Place::Deeper,
        Place::Transit,
        Place::Queue,
        Place::Pinned,
        Place::Held,
        Place::Timer,
        Place::Uninitialised,
    ];
    for reentrance in [SelfReentrant, NonReentrant] {
        let steps = table::legal(reentrance)
            .iter()
            .filter_map(|step| match step {
                Transition::Work { from, to, .. } => Some((*from, *to)),
                Transition::Tasklet { .. } => None,
            });
        let steps: Vec<_> = steps.collect();
        let leads = |from: Place, to: Place| {
            let mut reached = vec![from];
            while let Some((_, next)) = steps
                .iter()
                .find(|(a, b)| reached.contains(a) && !reached.contains(b))
            {
                reached.push(*next);
            }
            reached.contains(&to)
        };
        for place in all {
            let exists = match place {
                Place::Uninitialised => false,
                Place::Held => reentrance == NonReentrant,
                Place::Idle
                | Place::Disabled
                | Place::Deeper
                | Place::Transit
                | Place::Queue
                | Place::Pinned
                | Place::Timer => true,
            };
            let there = (leads(Place::Idle, place), leads(place, Place::Idle));
            assert_eq!(there, (exists, exists), "{place:?} with {reentrance:?}");
        }
    }
}
