//! The legal transitions of the state words, as a pure table.
//!
//! A transition of a work is one write of its `data`: who wrote, from which state, to which, and
//! whether an instance of the work was inside its function. One of a tasklet is one change of its
//! `state`, its `count` or its parking mark, with all three as they were before. A write that leaves the
//! value as it is counts too: that is how a refused call publishes its caller's stores (R05, R06).
//! What is not in the table is not legal; the table is walked, and each of its transitions is counted.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::LazyLock;

use bottomhalf::WorkReentrance;

use crate::support::{NonReentrant, SelfReentrant};

/// Who writes: the call that the writing context is in, or the engine's own callbacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Actor {
    /// A worker, the timer's callback, or a DPC.
    Engine,
    Queue,
    QueueDelayed,
    Modify,
    Cancel,
    CancelSync,
    Flush,
    FlushDelayed,
    Disable,
    DisableSync,
    Enable,
    EnableAndQueue,
    /// `drain_workqueue`, `destroy_workqueue`, detach.
    End,
    Schedule,
    HiSchedule,
    Kill,
    TaskletDisable,
    DisableNosync,
    TaskletEnable,
    Trylock,
    Unlock,
}

/// The state of a work, by its word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Place {
    Uninitialised,
    Idle,
    /// Not pending, and disabled once.
    Disabled,
    /// Not pending, and disabled more than once.
    Deeper,
    Transit,
    Queue,
    /// Queued, to be run on its sub-queue's CPU.
    Pinned,
    Held,
    Timer,
}

impl Place {
    /// Decodes a word as `engine::word` documents it, by its own reading of that page; `None` if the word
    /// is of no state.
    pub(crate) fn of(word: u64) -> Option<Self> {
        let (pending, initialised) = (word & 1 != 0, word & 8 != 0);
        let (place, colour) = (word >> 1 & 3, word >> 4 & 0xF);
        let depth = word >> 16 & 0xFFFF;
        let sub = word >> 8 != 0;
        // Off a queue a work says whether the last one was a WQ_BH queue, and of which CPU, also while it is armed.
        let last = 1 << 5 | 0xFFFF << 32;
        match (initialised, pending, place) {
            (false, _, _) => (word == 0).then_some(Self::Uninitialised),
            (true, false, 0) if word >> 48 == 0 && colour & !2 == 0 => Some(match depth {
                0 => Self::Idle,
                1 => Self::Disabled,
                _ => Self::Deeper,
            }),
            (true, true, 0) if word & !last == 0x09 => Some(Self::Transit),
            (true, true, 0) if word & !last == 0x19 => Some(Self::Timer),
            (true, true, 1) => sub.then_some(Self::Queue),
            (true, true, 2) => sub.then_some(Self::Held),
            (true, true, 3) => sub.then_some(Self::Pinned),
            _ => None,
        }
    }
}

/// What a write does to a tasklet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Step {
    /// Writes `state` as it is: a refused schedule, a killer that has to wait, a second start.
    Refused,
    SetSched,
    ClearSched,
    SetRun,
    ClearRun,
    Park,
    Unpark,
    CountUp,
    CountDown,
}

/// The state of a tasklet.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Bits {
    pub(crate) sched: bool,
    pub(crate) run: bool,
    /// The count is above zero.
    pub(crate) disabled: bool,
    pub(crate) parked: bool,
}

impl fmt::Debug for Bits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = [
            (self.sched, "Sched"),
            (self.run, "Run"),
            (self.disabled, "Disabled"),
            (self.parked, "Parked"),
        ];
        let set: Vec<_> = names.iter().filter(|(set, _)| *set).collect();
        let set: Vec<_> = set.into_iter().map(|(_, name)| *name).collect();
        f.write_str(&if set.is_empty() {
            "Idle".to_owned()
        } else {
            set.join("+")
        })
    }
}

/// One transition.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Transition {
    Work {
        from: Place,
        to: Place,
        /// An instance of it is inside its function.
        running: bool,
        actor: Actor,
    },
    Tasklet {
        from: Bits,
        step: Step,
        actor: Actor,
    },
}

impl fmt::Display for Transition {
    /// Without spaces inside a column, for scripts.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Work {
                from,
                to,
                running,
                actor,
            } => {
                let running = if *running { "running" } else { "not-running" };
                write!(f, "work {from:?} {to:?} {running} {actor:?}")
            }
            Self::Tasklet { from, step, actor } => {
                write!(f, "tasklet {from:?} {step:?} - {actor:?}")
            }
        }
    }
}

use Actor::*;

/// Calls that make a work pending.
const QUEUERS: [Actor; 4] = [Queue, QueueDelayed, Modify, EnableAndQueue];
/// Calls that take a pending work from wherever it is.
const TAKERS: [Actor; 5] = [Modify, Cancel, CancelSync, Disable, DisableSync];
/// Calls that disable, if only for as long as they wait.
const DISABLERS: [Actor; 3] = [CancelSync, Disable, DisableSync];
/// Calls that take a disable back.
const ENABLERS: [Actor; 2] = [Enable, EnableAndQueue];

/// A row: states before and after, and who may do it.
type Row = (Place, Place, &'static [Actor]);

/// What may be done to a work whether or not it runs.
const WORK: &[Row] = &[
    // PENDING is claimed, and the work linked (W1), or given back by a queue that drains. Nothing is armed
    // here for a queue that is being destroyed (BH02).
    (
        Place::Idle,
        Place::Transit,
        &[Queue, Modify, EnableAndQueue],
    ),
    (Place::Idle, Place::Timer, &[QueueDelayed]),
    (
        Place::Transit,
        Place::Queue,
        &[Queue, Modify, EnableAndQueue],
    ),
    (Place::Transit, Place::Timer, &[Modify]),
    (
        Place::Transit,
        Place::Idle,
        &[Queue, Modify, EnableAndQueue],
    ),
    // A pending work is taken back.
    (Place::Queue, Place::Transit, &TAKERS),
    (Place::Timer, Place::Transit, &TAKERS),
    (Place::Transit, Place::Idle, &[Cancel]),
    (Place::Transit, Place::Disabled, &DISABLERS),
    // Or disabled while it is not pending (W3), and enabled again.
    (Place::Idle, Place::Disabled, &DISABLERS),
    (Place::Disabled, Place::Deeper, &DISABLERS),
    (
        Place::Deeper,
        Place::Deeper,
        &[CancelSync, Disable, DisableSync, Enable, EnableAndQueue],
    ),
    (Place::Deeper, Place::Disabled, &ENABLERS),
    (Place::Disabled, Place::Idle, &ENABLERS),
    // A worker claims it; the timer, or who hurries it, moves it from the tree to its queue.
    (Place::Queue, Place::Transit, &[Engine]),
    (Place::Timer, Place::Transit, &[Engine, FlushDelayed, End]),
    (Place::Transit, Place::Queue, &[Engine, FlushDelayed, End]),
    // Refused calls write what they found.
    (Place::Disabled, Place::Disabled, &QUEUERS),
    (Place::Deeper, Place::Deeper, &[Queue, QueueDelayed, Modify]),
    (Place::Transit, Place::Transit, &QUEUERS),
    (Place::Queue, Place::Queue, &QUEUERS),
    (Place::Timer, Place::Timer, &QUEUERS),
];

/// And only under `NonReentrant`: the place Held. That the twin's function has been entered and not been
/// left is not part of it, for the twin holds its slot from a little before to a little after.
const HELD: &[Row] = &[
    (Place::Transit, Place::Held, &[Engine]),
    (Place::Held, Place::Transit, &TAKERS),
    (Place::Held, Place::Held, &QUEUERS),
];

/// What nobody may do while an instance is inside its function: a cancel that waits enables after that
/// wait, and nothing begins before.
const AT_REST: &[Row] = &[
    (Place::Deeper, Place::Disabled, &[CancelSync]),
    (Place::Disabled, Place::Idle, &[CancelSync]),
];

/// What begins a run. Under `NonReentrant` no instance may be inside its function then: self-concurrency,
/// by the word.
const BEGINS: &[Row] = &[(Place::Transit, Place::Idle, &[Engine])];
const BEGINS_HELD: &[Row] = &[(Place::Held, Place::Idle, &[Engine])];

/// What may be done to a tasklet: the state before as SCHED, RUN, disabled, parked (`*` for either), the
/// step, and by whom. No row has a parked tasklet without SCHED (T3).
const TASKLET: &[(&str, Step, &[Actor])] = &[
    ("0**0", Step::SetSched, &[Schedule, HiSchedule, Kill]),
    ("1***", Step::Refused, &[Schedule, HiSchedule, Kill]),
    // A killer gives SCHED back when the run is over. Somebody may have locked it since: see `witness`.
    ("10*0", Step::ClearSched, &[Kill]),
    ("11*0", Step::ClearSched, &[Kill]),
    // T1: only a drain, and who locks it, take and give RUN.
    ("10*0", Step::SetRun, &[Engine]),
    ("00*0", Step::SetRun, &[Trylock]),
    ("10**", Step::SetRun, &[Trylock]),
    ("01*0", Step::Refused, &[Trylock]),
    ("11**", Step::Refused, &[Trylock]),
    ("11*0", Step::Refused, &[Engine]),
    ("11*0", Step::ClearSched, &[Engine]),
    ("01*0", Step::ClearRun, &[Engine, Unlock]),
    ("11**", Step::ClearRun, &[Engine, Unlock]),
    // T3: who makes it runnable takes the mark away.
    ("1**0", Step::Park, &[Engine]),
    ("1**1", Step::Unpark, &[Engine, TaskletEnable, Unlock]),
    ("0**0", Step::CountUp, &[TaskletDisable, DisableNosync]),
    ("1***", Step::CountUp, &[TaskletDisable, DisableNosync]),
    ("0*10", Step::CountDown, &[TaskletEnable]),
    ("1*1*", Step::CountDown, &[TaskletEnable]),
];

/// Legal, and so seldom that a large run may miss them: a refusal in the few lines in which the other
/// side changes the word too, and the mark of a tasklet that was taken, run and parked once more between
/// a look at RUN and the taking of the mark.
pub(crate) fn is_rare(transition: &Transition) -> bool {
    match transition {
        Transition::Work {
            from, to, actor, ..
        } => from == to && matches!(actor, Modify | EnableAndQueue),
        Transition::Tasklet { from, step, .. } => {
            *step == Step::Unpark && (from.run || from.disabled)
        }
    }
}

/// A queued work that is to run on its sub-queue's CPU goes the same ways as one that is not.
const PINNED: (Place, Place) = (Place::Queue, Place::Pinned);

/// The legal transitions under a rule.
pub(crate) fn legal(reentrance: WorkReentrance) -> &'static BTreeSet<Transition> {
    static TABLES: LazyLock<[BTreeSet<Transition>; 2]> =
        LazyLock::new(|| [SelfReentrant, NonReentrant].map(expand));
    &TABLES[usize::from(reentrance == NonReentrant)]
}

fn expand(reentrance: WorkReentrance) -> BTreeSet<Transition> {
    let both: &[bool] = &[false, true];
    let parts: &[(&[Row], &[bool])] = match reentrance {
        SelfReentrant => &[(WORK, both), (AT_REST, &[false]), (BEGINS, both)],
        NonReentrant => &[
            (WORK, both),
            (AT_REST, &[false]),
            (HELD, both),
            (BEGINS, &[false]),
            (BEGINS_HELD, &[false]),
        ],
    };
    let mut all = BTreeSet::new();
    for (rows, runnings) in parts {
        for (from, to, actors) in *rows {
            let pinned = |place: Place| if place == PINNED.0 { PINNED.1 } else { place };
            for (running, actor) in pairs(runnings, actors) {
                for (from, to) in [(*from, *to), (pinned(*from), pinned(*to))] {
                    all.insert(Transition::Work {
                        from,
                        to,
                        running,
                        actor,
                    });
                }
            }
        }
    }
    for (pattern, step, actors) in TASKLET {
        for (from, actor) in pairs(&matching(pattern), actors) {
            let step = *step;
            all.insert(Transition::Tasklet { from, step, actor });
        }
    }
    all
}

fn pairs<A: Copy, B: Copy>(left: &[A], right: &[B]) -> Vec<(A, B)> {
    let row = |a: &A| right.iter().map(|b| (*a, *b)).collect::<Vec<_>>();
    left.iter().flat_map(row).collect()
}

/// The states that a pattern stands for.
fn matching(pattern: &str) -> Vec<Bits> {
    let fits = |bits: u8| {
        let digit = |at: usize| if bits >> at & 1 == 1 { '1' } else { '0' };
        pattern
            .chars()
            .enumerate()
            .all(|(at, wanted)| wanted == '*' || wanted == digit(at))
    };
    let decode = |bits: u8| Bits {
        sched: bits & 1 != 0,
        run: bits & 2 != 0,
        disabled: bits & 4 != 0,
        parked: bits & 8 != 0,
    };
    (0..16).filter(|bits| fits(*bits)).map(decode).collect()
}
