//! Queueing, cancelling and flushing a work.
//!
//! The calls here own no state: they move a work between the places that [`super::word`] names,
//! each under the lock that the place names.

use crate::sync::Ordering::{AcqRel, Relaxed, SeqCst};
use core::pin::pin;

use super::backend::{Backend, Irql};
use super::diagnostic::{Diagnostic, Report};
use super::item::{delayed_work, work_struct};
use super::locked::Raised;
use super::queue::{At, Queue, flag};
use super::runtime::Runtime;
use super::wait::{Deferred, Waiter};
use super::word::{State, was_elsewhere};
use crate::sync::relax;

/// What [`Runtime::take`] found.
pub(crate) enum Taken {
    /// Not pending; what the word said. Nothing was changed.
    Not { word: u64, depth: u16 },
    /// It was pending and is the caller's now (W1), in Transit.
    Yes,
}

/// What [`Runtime::disable`] did.
pub(crate) struct Disabled {
    /// It was pending, and was cancelled.
    pub(crate) pending: bool,
    /// It is disabled once more: the caller owes an [`enable`].
    pub(crate) deeper: bool,
}

/// What [`enable`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Enabled {
    /// The work can be queued again.
    Yes,
    /// It is still disabled by somebody else.
    NotYet,
    /// It was not disabled.
    Underflow,
}

/// The refusal that needs no raise: a pending or disabled work is left as it is, by a write.
/// `false` if the work can be queued or its word has just changed.
#[inline]
pub(crate) fn refuse(work: &work_struct) -> bool {
    let (word, state) = work.load();
    let refused = match state {
        State::Idle { depth } => depth > 0,
        State::Uninitialised => false,
        State::Transit { .. } | State::Queue { .. } | State::Held { .. } | State::Timer => true,
    };
    // ORDERING: a refused queueing still writes. SeqCst pairs with the full barrier that ends
    // PENDING in `Shard::begin`, so the run that this caller relies on sees what the caller stored
    // (R05).
    refused
        && work
            .data
            .compare_exchange(word, word, SeqCst, Relaxed)
            .is_ok()
}

impl At {
    /// This CPU's sub-queue, to be run anywhere.
    pub(crate) fn here<B: Backend>(_raised: &Raised<B>) -> Self {
        Self {
            cpu: B::cpu(),
            pin: false,
        }
    }

    /// The place for a work that is wanted on `cpu`. If that is not active the work is taken for one
    /// that is wanted nowhere, as Linux does with a CPU that has gone, and this is said.
    pub(crate) fn wanted<B: Backend>(
        cpu: Option<u32>,
        work: &work_struct,
        raised: &Raised<B>,
    ) -> Self {
        match cpu {
            Some(cpu) if cpu < B::active_cpus() => Self { cpu, pin: true },
            Some(_) => {
                raised.say(Report::of(Diagnostic::NoSuchCpu, work, "queue_work_on"));
                Self::here(raised)
            }
            None => Self::here(raised),
        }
    }
}

/// Takes one [`Runtime::disable`] back, if there is one. IRQL: any.
fn enable(work: &work_struct) -> Enabled {
    loop {
        let (word, state) = work.load();
        let State::Idle { depth } = state else {
            return Enabled::Underflow;
        };
        let Some(shallower) = depth.checked_sub(1) else {
            return Enabled::Underflow;
        };
        let next = State::Idle { depth: shallower }.word_from(word);
        // ORDERING: Release: who queues next sees what was done while it was disabled.
        if work
            .data
            .compare_exchange(word, next, AcqRel, Relaxed)
            .is_ok()
        {
            return if shallower == 0 {
                Enabled::Yes
            } else {
                Enabled::NotYet
            };
        }
    }
}

/// [`Runtime::disable`] for a caller that has found nothing attached: disabled once more, or why not. `None` if
/// it is pending, so that an attach has come between.
pub(crate) fn disable_unattached(work: &work_struct) -> Option<Result<(), Diagnostic>> {
    loop {
        let (word, state) = work.load();
        let State::Idle { depth } = state else {
            let uninitialised = state == State::Uninitialised;
            return uninitialised.then_some(Err(Diagnostic::WaitUninitialised));
        };
        let Some(deeper) = depth.checked_add(1) else {
            return Some(Err(Diagnostic::DisableOverflow));
        };
        let next = State::Idle { depth: deeper }.word_from(word);
        // ORDERING: as in `Runtime::disable`.
        if work
            .data
            .compare_exchange(word, next, AcqRel, Relaxed)
            .is_ok()
        {
            return Some(Ok(()));
        }
    }
}

/// Takes one disable back for a driver: `true` if the work can be queued again; one too many is said. IRQL: any.
pub(crate) fn enable_work<B: Backend>(work: &work_struct) -> bool {
    let enabled = enable(work);
    if enabled == Enabled::Underflow {
        Report::of(Diagnostic::EnableWorkUnderflow, work, "enable_work").print::<B>();
    }
    enabled != Enabled::NotYet
}

impl<B: Backend> Runtime<B> {
    /// Queues `work` on `queue`, for `cpu` or on behalf of this one; `false` if it is pending or
    /// disabled. IRQL: any.
    #[inline(always)]
    pub(crate) fn queue_work(
        &self,
        queue: &Queue<B>,
        work: &work_struct,
        cpu: Option<u32>,
        raised: Raised<B>,
    ) -> bool {
        if !self.claim_pending(work, State::Transit { depth: 0 }, &raised) {
            return false;
        }
        // Counted before it can be found, run or cancelled by others.
        self.count_accepted(&raised);
        let mut deferred = Deferred::new();
        let at = At::wanted(cpu, work, &raised);
        let queued = self.link_claimed(queue, work, at, &raised, &mut deferred);
        if !queued {
            self.count_refused(&raised);
        }
        deferred.deliver(self, raised);
        queued
    }

    /// Takes PENDING of an idle work to `target`, [`State::Transit`] or [`State::Timer`]; `false` if it is
    /// refused. The caller is raised: W2.
    pub(crate) fn claim_pending(
        &self,
        work: &work_struct,
        target: State,
        raised: &Raised<B>,
    ) -> bool {
        loop {
            let (word, state) = work.load();
            let next = match state {
                State::Idle { depth: 0 } if !work.function().is_null() => target.word_from(word),
                State::Idle { depth: 0 } | State::Uninitialised => {
                    let call = if matches!(target, State::Timer) {
                        "queue_delayed_work"
                    } else {
                        "queue_work"
                    };
                    raised.say(Report::of(Diagnostic::QueueUninitialised, work, call));
                    return false;
                }
                // Refused, as in `refuse`.
                State::Idle { .. }
                | State::Transit { .. }
                | State::Queue { .. }
                | State::Held { .. }
                | State::Timer => word,
            };
            // ORDERING: as in `refuse`; success also publishes the caller's stores to the run.
            if work
                .data
                .compare_exchange(word, next, SeqCst, Relaxed)
                .is_ok()
            {
                return next != word;
            }
        }
    }

    /// Links a work in Transit to the sub-queue for `at`; gives it back idle if the queue refuses.
    pub(crate) fn link_claimed(
        &self,
        queue: &Queue<B>,
        work: &work_struct,
        at: At,
        raised: &Raised<B>,
        deferred: &mut Deferred<B>,
    ) -> bool {
        let at = self.beside_its_run(queue, work, at, raised);
        let linked = queue.try_link(work, at, self.caller(raised), raised, deferred);
        if !linked {
            self.give_back(work, "queue_work", raised);
        }
        linked
    }

    /// Where a work that is wanted at `at` is linked: one that runs for a CPU of the queue is queued for that CPU
    /// again, whatever CPU is asked for (row W03). Linux decides so when it is queued; the run may be over when a
    /// worker comes to it. IRQL: any, raised.
    pub(crate) fn beside_its_run(
        &self,
        queue: &Queue<B>,
        work: &work_struct,
        at: At,
        raised: &Raised<B>,
    ) -> At {
        let elsewhere = was_elsewhere(work.load().0, at.cpu);
        if !elsewhere || !queue.minds_cpu(at) || self.is_reentrant(queue) {
            return at;
        }
        let address = core::ptr::from_ref(work).addr();
        let shard = self.running.shard(address).lock(raised);
        let Some(sub) = shard.sub_of(address, work.function()) else {
            return at;
        };
        // SAFETY: Q3: the run counts in its queue as long as its slot is in the shard, which is locked.
        let sub = unsafe { &*sub };
        if core::ptr::eq(sub.queue(), queue) {
            At {
                cpu: sub.cpu(),
                ..at
            }
        } else {
            at
        }
    }

    /// Whether a work of `queue` may run beside itself.
    pub(super) fn is_reentrant(&self, queue: &Queue<B>) -> bool {
        self.reentrant && !queue.is(flag::NON_REENTRANT | flag::BH)
    }

    /// Makes a work in Transit idle again: its queue takes nothing any more.
    pub(crate) fn give_back(&self, work: &work_struct, call: &'static str, raised: &Raised<B>) {
        raised.say(Report::of(Diagnostic::QueueDraining, work, call));
        // The driver may free it from here on.
        work.end_transit(0);
    }

    /// Takes a pending work from wherever it is. IRQL: any, raised.
    pub(crate) fn take(
        &self,
        work: &work_struct,
        raised: &Raised<B>,
        deferred: &mut Deferred<B>,
    ) -> Taken {
        let address = core::ptr::from_ref(work).addr();
        loop {
            let (word, state) = work.load();
            match state {
                State::Uninitialised => return Taken::Not { word, depth: 0 },
                State::Idle { depth } => return Taken::Not { word, depth },
                // W2: another CPU is in the middle of it, for a few lines.
                State::Transit { .. } => relax(),
                State::Timer => {
                    // Only a delayed work has this place, and its work is its first member. The
                    // reference in hand is to the work alone; `arm` has exposed the whole.
                    let dwork = core::ptr::with_exposed_provenance::<delayed_work>(address);
                    // SAFETY: the driver keeps a pending item.
                    if self.disarm(unsafe { &*dwork }, word, raised) {
                        return Taken::Yes;
                    }
                    relax();
                }
                State::Queue { sub, colour, .. } => {
                    // SAFETY: Q4: the word was read in this raised section, so the sub-queue that
                    // it names is not freed before the section ends.
                    let sub = unsafe { Self::sub_at(sub) };
                    if sub
                        .queue()
                        .unlink(sub, work, word, colour, raised, deferred)
                    {
                        let mut shard = self.running.shard(address).lock(raised);
                        shard.settle_waiters(address, &mut deferred.woken);
                        return Taken::Yes;
                    }
                }
                State::Held { .. } => {
                    let claim = {
                        let mut shard = self.running.shard(address).lock(raised);
                        shard.unhold(work, word, &mut deferred.woken)
                    };
                    if let Some(claim) = claim {
                        // SAFETY: Q3: the claim counts in its queue until `complete`.
                        let queue = unsafe { &*claim.sub }.queue();
                        queue.complete(&claim, None, raised, deferred);
                        return Taken::Yes;
                    }
                }
            }
        }
    }

    /// Cancels a pending work and does not wait for a running one; `true` if it was pending.
    /// IRQL: any.
    pub(crate) fn cancel(&self, work: &work_struct, raised: Raised<B>) -> bool {
        let mut deferred = Deferred::new();
        let pending = matches!(self.take(work, &raised, &mut deferred), Taken::Yes);
        if pending {
            // ORDERING: Release: whoever queues it next sees what the canceller did before.
            work.end_transit(0);
            self.count_cancelled(&raised);
        }
        deferred.deliver(self, raised);
        pending
    }

    /// Disables the work once more, unless that would be too often, and cancels it. IRQL: any.
    pub(crate) fn disable(&self, work: &work_struct, raised: Raised<B>) -> Disabled {
        let mut deferred = Deferred::new();
        let (pending, deeper) = loop {
            match self.take(work, &raised, &mut deferred) {
                Taken::Yes => {
                    // ORDERING: as in `cancel`; from here on queueing is refused.
                    work.end_transit(1);
                    self.count_cancelled(&raised);
                    break (true, true);
                }
                Taken::Not { word, depth } => {
                    // A word that was never initialised stays so, or queueing the item would call no function.
                    let uninitialised = State::of(word) == State::Uninitialised;
                    let Some(deeper) = depth.checked_add(1).filter(|_| !uninitialised) else {
                        let diagnostic = if uninitialised {
                            Diagnostic::WaitUninitialised
                        } else {
                            Diagnostic::DisableOverflow
                        };
                        raised.say(Report::of(diagnostic, work, "disable_work"));
                        break (false, false);
                    };
                    let next = State::Idle { depth: deeper }.word_from(word);
                    if work
                        .data
                        .compare_exchange(word, next, AcqRel, Relaxed)
                        .is_ok()
                    {
                        break (false, true);
                    }
                }
            }
        };
        deferred.deliver(self, raised);
        Disabled { pending, deeper }
    }

    /// Address of the work that the caller's thread is the function of, or zero. IRQL: any.
    pub(crate) fn current_work(&self) -> usize {
        let raised = Raised::<B>::new();
        if raised.from() > Irql::APC {
            return 0;
        }
        self.running.current(B::thread(), &raised)
    }

    /// Waits for the instances that run now. IRQL: <= APC.
    pub(super) fn wait_for_running(&self, work: &work_struct) -> bool {
        let waiter = pin!(Waiter::<B>::for_work(work));
        let waiter = waiter.into_ref();
        waiter.prepare();
        let waits = {
            let raised = Raised::<B>::new();
            self.running
                .shard(waiter.address)
                .lock(&raised)
                .wait_for(waiter, false)
        };
        if waits {
            waiter.wait();
        }
        waits
    }

    /// Cancels, keeps others from queueing meanwhile, and waits for running instances; `true` if it
    /// was pending. IRQL: as [`Self::wait_after_cancel`].
    pub(crate) fn cancel_sync(&self, work: &work_struct, name: &'static str) -> bool {
        if self.is_uninitialised(work, name) {
            return false;
        }
        if self.is_own_function(work, name) {
            return self.cancel(work, Raised::new());
        }
        // Since 6.10 Linux holds others off by the disable depth, not by keeping PENDING.
        let disabled = self.disable(work, Raised::new());
        self.wait_after_cancel(work, name);
        if disabled.deeper {
            enable(work);
        }
        disabled.pending
    }

    /// Disables once more, cancels, and waits for running instances; `true` if it was pending.
    /// IRQL: as [`Self::wait_after_cancel`].
    pub(crate) fn disable_sync(&self, work: &work_struct, name: &'static str) -> bool {
        if self.is_uninitialised(work, name) {
            return false;
        }
        let own = self.is_own_function(work, name);
        let disabled = self.disable(work, Raised::new());
        if !own {
            self.wait_after_cancel(work, name);
        }
        disabled.pending
    }

    /// Whether an instance of the work runs. A hint. IRQL: any.
    pub(crate) fn is_work_running(&self, work: &work_struct, raised: &Raised<B>) -> bool {
        let address = core::ptr::from_ref(work).addr();
        let shard = self.running.shard(address).lock(raised);
        shard.is_running(address, work.function())
    }

    pub(super) fn is_uninitialised(&self, work: &work_struct, name: &'static str) -> bool {
        let uninitialised = work.load().1 == State::Uninitialised;
        if uninitialised {
            Report::of(Diagnostic::WaitUninitialised, work, name).print::<B>();
        }
        uninitialised
    }

    pub(super) fn may_wait(&self, work: &work_struct, name: &'static str) -> bool {
        let low = B::irql() <= Irql::APC;
        if !low {
            Report::of(Diagnostic::WaitAtDispatch, work, name).print::<B>();
        }
        low
    }

    /// Whether the caller is the work's own function: Linux deadlocks there.
    pub(super) fn is_own_function(&self, work: &work_struct, name: &'static str) -> bool {
        let address = core::ptr::from_ref(work).addr();
        let own = {
            let raised = Raised::<B>::new();
            let low = raised.from() <= Irql::APC;
            let me = self.drain_of(&raised).or_else(|| low.then(B::thread));
            let shard = self.running.shard(address).lock(&raised);
            me.is_some_and(|me| shard.is_running_on(address, work.function(), me))
        };
        if own {
            Report::of(Diagnostic::WaitForOneself, work, name).print::<B>();
        }
        own
    }
}
