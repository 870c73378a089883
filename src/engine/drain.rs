//! The DPC of a CPU: runs its tasklets and the works of its `WQ_BH` queues, and makes the calls that
//! interrupts could not make.
//!
//! They run in *rounds*, as in Linux: everything that is on the lists when a round begins, in the
//! order of [`super::round`]; what is scheduled meanwhile waits for the next round. A DPC that has served its
//! share while more is waiting hands the lists to the CPU's [thread](super::overflow), so that the
//! threads of the CPU get their turn (D-21, D-25, H-15).
//!
//! # Invariants
//!
//! - **P1** While `kicked` is set the CPU's DPC is queued or running, and will look at the lists
//!   again before it clears the flag, under their lock: at the deferred calls always, at the
//!   tasklets unless the thread serves them. So a push kicks only if it is not; a push of a tasklet
//!   does not while the thread serves, since the thread looks again before it stops (O1).
//! - **P2** A drain publishes the tasklet that it follows in `running`, from before it sets RUN
//!   until it has touched it for the last time (T4).
//! - **P3** One drain of a CPU at a time: it is at DISPATCH_LEVEL on that CPU from when it takes a
//!   tasklet off the lists until it is done with it. A DPC that is not tied to its CPU (H-36) could
//!   run elsewhere: it finds `draining` set, and leaves the tasklets to whoever drains, who looks at
//!   the lists again when it has done.

use intrusive_collections::UnsafeRef;

use super::backend::Backend;
use super::item::tasklet_struct;
use super::locked::Raised;
use super::overflow::Keeper;
use super::round::{Round, Turn};
use super::runtime::{PerCpu, Runtime};
use super::sub_queue::SubQueue;
use super::wait::Deferred;
use crate::sync::Ordering::Relaxed;

/// Rounds of one drain: Linux's MAX_SOFTIRQ_RESTART.
const ROUNDS: u32 = 10;

/// How long a drain may take: Linux's MAX_SOFTIRQ_TIME of 2 ms. The clock moves with the tick, so
/// this is the first tick that is so much later.
const TIME_100NS: u64 = 20_000;

/// What a CPU has to do, under its lock.
pub(crate) struct CpuLists<B: Backend> {
    /// What is left of a round that a drain has put back.
    begun: Round<B>,
    /// What has been scheduled since that round began.
    next: Round<B>,
    deferred: Deferred<B>,
    /// P1.
    kicked: bool,
    /// P3.
    draining: bool,
    /// The CPU's thread.
    pub(super) keeper: Keeper<B>,
}

impl<B: Backend> CpuLists<B> {
    pub(crate) const fn new() -> Self {
        Self {
            begun: Round::new(),
            next: Round::new(),
            deferred: Deferred::new(),
            kicked: false,
            draining: false,
            keeper: Keeper::new(),
        }
    }

    /// Whether nothing waits but deferred calls.
    pub(super) fn is_idle(&self) -> bool {
        self.begun.is_empty() && self.next.is_empty()
    }

    /// The item whose turn it is.
    pub(super) fn pop(&mut self) -> Option<Turn<B>> {
        self.begin_if_over();
        self.begun.pop()
    }

    /// Puts a sub-queue that has another work back into the round that it came from.
    pub(super) fn put_back(&mut self, sub: UnsafeRef<SubQueue<B>>) {
        self.begun.push_sub(sub);
    }

    /// The round whose turn it is: what is left of one that has begun, else a new one.
    fn take_round(&mut self) -> Round<B> {
        self.begin_if_over();
        core::mem::replace(&mut self.begun, Round::new())
    }

    /// Begins a round if the one before has run what it may; the rest goes into the new one.
    fn begin_if_over(&mut self) {
        if self.begun.is_over() {
            self.begun.hand_on(&mut self.next);
            self.begun = core::mem::replace(&mut self.next, Round::new());
        }
    }
}

// SAFETY: everything in it is reached under the lock only, and names memory that any CPU may use.
unsafe impl<B: Backend> Send for CpuLists<B> {}

/// What the DPC does next.
enum Next<B: Backend> {
    /// A round.
    Round(Round<B>),
    /// Nothing: the lists are empty, or others serve them.
    Leave,
    /// Nothing in this callback, but more waits, and there is no thread.
    Requeue,
}

/// How much a drain may do.
struct Budget {
    rounds: u32,
    began_100ns: u64,
}

impl Budget {
    fn new<B: Backend>() -> Self {
        Self {
            rounds: 0,
            began_100ns: B::now_100ns(),
        }
    }

    fn is_out_of_time<B: Backend>(&self) -> bool {
        B::now_100ns().saturating_sub(self.began_100ns) >= TIME_100NS
    }

    /// Whether the drain should end although more is waiting. IRQL: = DISPATCH.
    fn is_spent<B: Backend>(&self) -> bool {
        self.rounds > 0
            && (self.rounds >= ROUNDS || self.is_out_of_time::<B>() || B::should_yield())
    }
}

impl<B: Backend> Runtime<B> {
    /// Puts a tasklet, whose SCHED is the caller's, on a list of `cpu`.
    pub(crate) fn link_tasklet(
        &self,
        tasklet: &tasklet_struct,
        cpu: u32,
        hi: bool,
        raised: &Raised<B>,
    ) {
        self.link_on(tasklet, self.per_cpu(cpu), hi, raised);
    }

    /// As [`Self::link_tasklet`], on the CPU that `per_cpu` is of.
    #[inline(always)]
    pub(crate) fn link_on(
        &self,
        tasklet: &tasklet_struct,
        per_cpu: &PerCpu<B>,
        hi: bool,
        raised: &Raised<B>,
    ) {
        self.push(per_cpu, raised, |lists| {
            lists.next.push_tasklet(tasklet, hi);
            !lists.keeper.serves()
        });
    }

    /// Puts a sub-queue, whose mark of being listed is the caller's, on the list of its CPU.
    pub(crate) fn list_sub(&self, sub: UnsafeRef<SubQueue<B>>, raised: &Raised<B>) {
        self.push(self.per_cpu(sub.cpu()), raised, |lists| {
            lists.next.push_sub(sub);
            !lists.keeper.serves()
        });
    }

    /// Leaves calls to this CPU's DPC: the caller came from above DISPATCH.
    pub(crate) fn defer_to_dpc(&self, deferred: Deferred<B>, raised: &Raised<B>) {
        self.defer_to(B::cpu(), deferred, raised);
    }

    /// Leaves calls to the DPC of `cpu`.
    pub(crate) fn defer_to(&self, cpu: u32, deferred: Deferred<B>, raised: &Raised<B>) {
        self.push(self.per_cpu(cpu), raised, |lists| {
            lists.deferred.append(deferred);
            true
        });
    }

    /// Adds to the lists of a CPU; `add` says whether the DPC is to look.
    #[inline(always)]
    fn push(
        &self,
        per_cpu: &PerCpu<B>,
        raised: &Raised<B>,
        add: impl FnOnce(&mut CpuLists<B>) -> bool,
    ) {
        let kick = {
            let mut lists = per_cpu.lists.lock(raised);
            add(&mut lists) && !core::mem::replace(&mut lists.kicked, true)
        };
        if kick {
            // Still raised: the item is linked and its DPC queued before anybody on this CPU can
            // look.
            self.backend.dpc_enqueue(per_cpu.index);
        }
    }

    /// The callback of the DPC of `cpu`. IRQL: = DISPATCH, on that CPU.
    pub(crate) fn dpc_callback(&self, cpu: u32) {
        let per_cpu = self.per_cpu(cpu);
        // ORDERING: a counter; nothing is read on the strength of it.
        per_cpu.dpc_callbacks.fetch_add(1, Relaxed);
        let mut budget = Budget::new::<B>();
        let mut left = None;
        loop {
            match self.next_of_dpc(per_cpu, left.take(), budget.is_spent::<B>()) {
                Next::Round(mut round) => {
                    budget.rounds += 1;
                    while let Some(turn) = round.pop() {
                        if let Some(sub) = self.run(turn, cpu) {
                            round.push_sub(sub);
                        }
                        if budget.is_out_of_time::<B>() {
                            break;
                        }
                    }
                    left = Some(round);
                }
                Next::Leave => return,
                Next::Requeue => {
                    // P1: `kicked` stays set, for this.
                    self.backend.dpc_enqueue(cpu);
                    return;
                }
            }
        }
    }

    /// Runs one item on `cpu`; a sub-queue that has another work is returned. IRQL: = DISPATCH, on
    /// that CPU (P3).
    pub(super) fn run(&self, turn: Turn<B>, cpu: u32) -> Option<UnsafeRef<SubQueue<B>>> {
        match turn {
            Turn::Work(sub) => self.run_bottom_half(sub, cpu),
            Turn::Tasklet(tasklet) => {
                self.run_tasklet(tasklet, cpu);
                None
            }
        }
    }

    /// Runs what waits on `cpu`, in the place of its DPC: what is left of a round that has begun, the
    /// round after it, in which is what the caller has scheduled, and more as far as a drain goes.
    /// IRQL: = DISPATCH, on that CPU, outside of a drain.
    pub(super) fn serve_pending(&self, cpu: u32) {
        let per_cpu = self.per_cpu(cpu);
        let mut budget = Budget::new::<B>();
        let mut owed = true;
        while (owed || !budget.is_spent::<B>())
            && let Some((mut round, left)) = take_pending(per_cpu)
        {
            while let Some(turn) = round.pop() {
                if let Some(sub) = self.run(turn, cpu) {
                    round.push_sub(sub);
                }
            }
            budget.rounds += 1;
            owed &= left;
            let raised = Raised::new();
            self.push(per_cpu, &raised, |lists| {
                round.hand_on(&mut lists.next);
                lists.draining = false;
                !lists.is_idle() && !lists.keeper.serves()
            });
        }
    }

    /// Makes the calls that were left to the DPC, and says what it does next. `left` is what it has
    /// not run of its last round; `spent` says that it should not go on.
    fn next_of_dpc(&self, per_cpu: &PerCpu<B>, left: Option<Round<B>>, spent: bool) -> Next<B> {
        let (next, mut deferred) = {
            let raised = Raised::<B>::new();
            let mut lists = per_cpu.lists.lock(&raised);
            if let Some(left) = left {
                lists.begun = left;
                lists.draining = false;
            }
            let mut deferred = core::mem::replace(&mut lists.deferred, Deferred::new());
            let next = if lists.is_idle() || lists.draining || lists.keeper.serves() {
                Next::Leave
            } else if !spent {
                lists.draining = true;
                Next::Round(lists.take_round())
            } else if lists.keeper.hand_over(&mut deferred.woken) {
                // ORDERING: a counter; nothing is read on the strength of it.
                per_cpu.overflows.fetch_add(1, Relaxed);
                Next::Leave
            } else {
                Next::Requeue
            };
            lists.kicked = !matches!(next, Next::Leave);
            (next, deferred)
        };
        deferred.perform(self);
        next
    }
}

/// The round whose turn it is, and whether it is what was left of one.
fn take_pending<B: Backend>(per_cpu: &PerCpu<B>) -> Option<(Round<B>, bool)> {
    let raised = Raised::<B>::new();
    let mut lists = per_cpu.lists.lock(&raised);
    if lists.is_idle() || lists.draining {
        return None;
    }
    let left = !lists.begun.is_over();
    lists.draining = true;
    Some((lists.take_round(), left))
}
