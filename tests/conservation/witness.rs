//! Sees every write of the state words, says whose it was, and looks it up in the table.
//!
//! | law | what |
//! |---|---|
//! | `transition` | the write is in the table of legal transitions |
//! | `owner` | Transit is left by the context that entered it (W1), at HIGH_LEVEL (W2); RUN likewise (T1) |
//! | `depth` | a disable deepens by one, an enable takes one back |
//! | `run` | a tasklet's function is entered with RUN set |

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use bottomhalf::WorkReentrance;
use kmdf_mock::world::{self, Write};

use crate::ledger::{Verdict, law};
use crate::support::{Tasklet, Work};
use crate::table::{Actor, Bits, Place, Step, Transition, legal};

/// How often each transition was seen.
pub(crate) type Hits = BTreeMap<Transition, u64>;

/// Offsets of the words of a tasklet, which are Linux's.
const STATE: usize = 8;
const COUNT: usize = 16;
const LINK: usize = 20;
/// The parking mark in the `link` word.
const PARKED: u64 = 1 << 8;
const SCHED: u64 = 1;
const RUN: u64 = 2;
/// What NT calls HIGH_LEVEL on x86-64.
const HIGH_LEVEL: u8 = 15;

/// A context: the thread, and whether it is in a DPC of that thread's CPU.
type Context = (usize, bool);

#[derive(Default)]
struct WorkView {
    /// If it is not that of the schedule.
    legal: Option<&'static BTreeSet<Transition>>,
    inside: u32,
    /// Who has it in Transit.
    owner: Option<Context>,
}

struct TaskletView {
    bits: Bits,
    count: i64,
    /// Who has set RUN.
    owner: Option<Context>,
    /// By `tasklet_trylock`.
    locked: bool,
}

impl TaskletView {
    /// One that has just been initialised.
    fn new() -> Self {
        Self {
            bits: Bits {
                sched: false,
                run: false,
                disabled: false,
                parked: false,
            },
            count: 0,
            owner: None,
            locked: false,
        }
    }
}

struct Seen {
    /// The calls that each thread is in, innermost last, and whether they were made in a DPC.
    calls: BTreeMap<usize, Vec<(Actor, bool)>>,
    works: Vec<WorkView>,
    tasklets: Vec<TaskletView>,
    hits: Hits,
}

/// The witness of one schedule.
pub(crate) struct Witness {
    legal: &'static BTreeSet<Transition>,
    seen: Mutex<Seen>,
}

impl Witness {
    pub(crate) fn new(reentrance: WorkReentrance) -> Arc<Self> {
        Arc::new(Self {
            legal: legal(reentrance),
            seen: Mutex::new(Seen {
                calls: BTreeMap::new(),
                works: Vec::new(),
                tasklets: Vec::new(),
                hits: Hits::new(),
            }),
        })
    }

    /// Makes a call as `actor`.
    pub(crate) fn acting<R>(&self, actor: Actor, call: impl FnOnce() -> R) -> R {
        let place = world::place();
        let enter = |seen: &mut Seen| seen.calls_of(place.thread).push((actor, place.in_dpc));
        enter(&mut self.seen.lock().unwrap());
        let answer = call();
        self.seen.lock().unwrap().calls_of(place.thread).pop();
        answer
    }

    /// Watches a work, which nobody uses yet and which may have a rule of its own; its index.
    pub(crate) fn watch_work(self: &Arc<Self>, work: Work, rule: Option<WorkReentrance>) -> usize {
        let index = {
            let works = &mut self.seen.lock().unwrap().works;
            works.push(WorkView {
                legal: rule.map(legal),
                ..WorkView::default()
            });
            works.len() - 1
        };
        let witness = Arc::clone(self);
        world::watch(work.work(), move |write| {
            let verdict = witness
                .seen
                .lock()
                .unwrap()
                .work(index, write, witness.legal);
            must(verdict, || format!("work {index}, {write:?}"));
        });
        index
    }

    /// Watches a tasklet, which nobody uses yet; its index.
    pub(crate) fn watch_tasklet(self: &Arc<Self>, tasklet: Tasklet) -> usize {
        let index = {
            let tasklets = &mut self.seen.lock().unwrap().tasklets;
            tasklets.push(TaskletView::new());
            tasklets.len() - 1
        };
        let watch = |offset: usize, change: fn(&TaskletView, &Write) -> Option<Step>| {
            let witness = Arc::clone(self);
            world::watch(
                tasklet.raw().cast::<u8>().wrapping_add(offset),
                move |write| {
                    let mut seen = witness.seen.lock().unwrap();
                    let step = change(&seen.tasklets[index], write);
                    let verdict = step.map_or(Ok(()), |step| {
                        seen.tasklet(index, step, write, witness.legal)
                    });
                    drop(seen);
                    must(verdict, || format!("tasklet {index}, {write:?}"));
                },
            );
        };
        watch(STATE, |_, write| Some(state_step(write)));
        watch(COUNT, |_, write| count_step(write));
        watch(LINK, |_, write| link_step(write));
        index
    }

    /// Before the items are freed.
    pub(crate) fn unwatch(work: Work) {
        world::unwatch(work.work());
    }

    pub(crate) fn unwatch_tasklet(tasklet: Tasklet) {
        for offset in [STATE, COUNT, LINK] {
            world::unwatch(tasklet.raw().cast::<u8>().wrapping_add(offset));
        }
    }

    /// A work's function has been entered.
    pub(crate) fn work_enters(&self, index: usize) {
        self.seen.lock().unwrap().works[index].inside += 1;
    }

    /// It is about to be left.
    pub(crate) fn work_leaves(&self, index: usize) {
        self.seen.lock().unwrap().works[index].inside -= 1;
    }

    /// A tasklet's function has been entered.
    pub(crate) fn tasklet_enters(&self, index: usize) -> Verdict {
        let bits = self.seen.lock().unwrap().tasklets[index].bits;
        law("run", bits.run, || format!("tasklet {index} is {bits:?}"))
    }

    /// What it would say of a write of its first work by `actor` on `thread`, at HIGH_LEVEL.
    pub(crate) fn suppose(&self, actor: Actor, thread: usize, words: (u64, u64)) -> Verdict {
        let mut seen = self.seen.lock().unwrap();
        if seen.works.is_empty() {
            seen.works.push(WorkView::default());
        }
        seen.calls.insert(thread, vec![(actor, false)]);
        let (before, after) = words;
        let place = world::Place {
            thread,
            cpu: 0,
            irql: HIGH_LEVEL,
            in_dpc: false,
        };
        let write = Write {
            before,
            after,
            place,
        };
        seen.work(0, &write, self.legal)
    }

    /// What it would say of a step of its first tasklet by `actor` on `thread`.
    pub(crate) fn suppose_step(&self, actor: Actor, thread: usize, step: Step) -> Verdict {
        let mut seen = self.seen.lock().unwrap();
        if seen.tasklets.is_empty() {
            seen.tasklets.push(TaskletView::new());
        }
        seen.calls.insert(thread, vec![(actor, false)]);
        let place = world::Place {
            thread,
            cpu: 0,
            irql: HIGH_LEVEL,
            in_dpc: false,
        };
        let write = Write {
            before: 0,
            after: 0,
            place,
        };
        seen.tasklet(0, step, &write, self.legal)
    }

    pub(crate) fn hits(&self) -> Hits {
        self.seen.lock().unwrap().hits.clone()
    }
}

/// Fails the schedule if a law is broken. An observer holds nothing then.
fn must(verdict: Verdict, what: impl FnOnce() -> String) {
    if let Err(broken) = verdict {
        world::fail("LEDGER", format!("{broken}; {}", what()));
    }
}

fn state_step(write: &Write) -> Step {
    let changed = write.before ^ write.after;
    match (changed & SCHED != 0, changed & RUN != 0) {
        (false, false) => Step::Refused,
        (true, _) if write.after & SCHED != 0 => Step::SetSched,
        (true, _) => Step::ClearSched,
        (false, true) if write.after & RUN != 0 => Step::SetRun,
        (false, true) => Step::ClearRun,
    }
}

fn signed(word: u64) -> i64 {
    i64::from((word as u32).cast_signed())
}

fn count_step(write: &Write) -> Option<Step> {
    match signed(write.after) - signed(write.before) {
        0 => None,
        change if change > 0 => Some(Step::CountUp),
        _ => Some(Step::CountDown),
    }
}

fn link_step(write: &Write) -> Option<Step> {
    match (write.before & PARKED != 0, write.after & PARKED != 0) {
        (false, true) => Some(Step::Park),
        (true, false) => Some(Step::Unpark),
        (false, false) | (true, true) => None,
    }
}

impl Seen {
    fn calls_of(&mut self, thread: usize) -> &mut Vec<(Actor, bool)> {
        self.calls.entry(thread).or_default()
    }

    /// Who wrote: the innermost call of the thread, unless a DPC has interrupted it since.
    fn writer(&self, write: &Write) -> (Actor, Context) {
        let place = write.place;
        let call = self.calls.get(&place.thread).and_then(|calls| calls.last());
        let actor = match call {
            Some((actor, in_dpc)) if *in_dpc == place.in_dpc => *actor,
            Some(_) | None => Actor::Engine,
        };
        (actor, (place.thread, place.in_dpc))
    }

    fn count(&mut self, transition: Transition, legal: &BTreeSet<Transition>) -> Verdict {
        *self.hits.entry(transition).or_default() += 1;
        law("transition", legal.contains(&transition), || {
            transition.to_string()
        })
    }

    fn work(&mut self, index: usize, write: &Write, legal: &BTreeSet<Transition>) -> Verdict {
        let (actor, context) = self.writer(write);
        let (Some(from), Some(to)) = (Place::of(write.before), Place::of(write.after)) else {
            return Err("transition: a word of no state".to_owned());
        };
        let running = self.works[index].inside > 0;
        let legal = self.works[index].legal.unwrap_or(legal);
        let transition = Transition::Work {
            from,
            to,
            running,
            actor,
        };
        self.count(transition, legal)?;
        if write.before == write.after {
            return Ok(());
        }
        let view = &mut self.works[index];
        let through = from == Place::Transit || to == Place::Transit;
        let owned = from != Place::Transit || view.owner == Some(context);
        let high = !through || write.place.irql == HIGH_LEVEL;
        law("owner", owned && high, || {
            format!("Transit is of {:?}", view.owner)
        })?;
        view.owner = (to == Place::Transit).then_some(context);
        let disabled = |place| matches!(place, Place::Idle | Place::Disabled | Place::Deeper);
        let depth = |word: u64| (word >> 16 & 0xFFFF) as i64;
        let change = depth(write.after) - depth(write.before);
        let by_one = !(disabled(from) && disabled(to)) || change.abs() == 1;
        law("depth", by_one, || format!("{transition} by {change}"))
    }

    fn tasklet(
        &mut self,
        index: usize,
        step: Step,
        write: &Write,
        legal: &BTreeSet<Transition>,
    ) -> Verdict {
        let (actor, context) = self.writer(write);
        let from = self.tasklets[index].bits;
        self.count(Transition::Tasklet { from, step, actor }, legal)?;
        let view = &mut self.tasklets[index];
        match step {
            Step::Refused => {}
            Step::SetSched => view.bits.sched = true,
            Step::ClearSched => {
                let over = actor != Actor::Kill || !from.run || view.locked;
                law("owner", over, || "a kill is over, and it runs".to_owned())?;
                view.bits.sched = false;
            }
            Step::SetRun => {
                view.bits.run = true;
                view.locked = actor == Actor::Trylock;
                view.owner = Some(context);
            }
            Step::ClearRun => {
                view.bits.run = false;
                let owner = view.owner.take();
                law("owner", owner == Some(context), || {
                    format!("RUN is of {owner:?}")
                })?;
            }
            Step::Park => view.bits.parked = true,
            Step::Unpark => view.bits.parked = false,
            Step::CountUp | Step::CountDown => {
                view.count = signed(write.after);
                view.bits.disabled = view.count > 0;
            }
        }
        Ok(())
    }
}
