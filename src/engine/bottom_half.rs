//! Works of `WQ_BH` queues: they run as tasklets do, at DISPATCH_LEVEL in the drain of a CPU.
//!
//! Such a queue has no WDFWORKITEM. A sub-queue with works is on the list of its CPU, and the drain
//! there takes one work after the other from it.
//!
//! A thread is no identity at DISPATCH_LEVEL, where a drain runs on whatever thread it has
//! interrupted (N-26, N-40). So the workers and slots of a drain are marked with an identity of the
//! CPU, an odd number; thread objects are at even addresses.
//!
//! # Invariants
//!
//! - **H1** When a queue's lock is released, a sub-queue of it that has a work is *listed*: on the
//!   list of its CPU, with the drain that has taken it off, or in the hands of a raised section that
//!   is about to put it there. Who makes it listed owns that link until then; the drain ends it under
//!   the queue's lock when it finds no work. It is listed once at most.
//! - **H2** A queue with a listed sub-queue is not idle, and so is not freed (Q4).
//! - **H3** A work of a `WQ_BH` queue never runs in a thread, nor a work of another queue in a drain:
//!   a twin is held only by a run of its own kind.

use core::pin::{Pin, pin};

use intrusive_collections::UnsafeRef;

use super::backend::{Backend, Irql};
use super::claim::{Claim, Worker};
use super::diagnostic::{Diagnostic, Report};
use super::item::work_struct;
use super::locked::Raised;
use super::queue::{Queue, QueueState};
use super::running::{Slot, Start};
use super::runtime::Runtime;
use super::sub_queue::SubQueue;
use super::wait::Deferred;
use super::worker::{Serving, call};
use crate::sync::Ordering::SeqCst;
use crate::sync::relax;

/// The identity of no thread and no drain.
const NOBODY: usize = 0;

/// Who the drain of `cpu` is, among threads.
fn identity(cpu: u32) -> usize {
    cpu as usize * 2 + 1
}

/// The identity of some drain, for who asks only whether it is one.
pub(super) const ANY_DRAIN: usize = 1;

/// Whether this identity is a drain's.
pub(super) const fn is_drain(identity: usize) -> bool {
    identity % 2 == 1
}

impl<B: Backend> Queue<B> {
    /// Has `sub` listed if it has a work and is not (H1).
    pub(super) fn list(
        &self,
        sub: &SubQueue<B>,
        state: &mut QueueState<B>,
        deferred: &mut Deferred<B>,
    ) {
        if !sub.startable(state) {
            return;
        }
        let fresh = sub.update(state, |inner| {
            !core::mem::replace(&mut inner.is_listed, true)
        });
        if fresh {
            state.listed += 1;
            // SAFETY: H1: it is ours to link; H2: it stays until its drain has let go of it.
            let handle = unsafe { UnsafeRef::from_raw(core::ptr::from_ref(sub)) };
            deferred.subs.push_back(handle);
        }
    }

    /// Takes a work of `sub` for `worker`, which enters the queue; if there is none `sub` is listed
    /// no more, and the queue may be freed once the caller is not raised any more.
    fn claim_listed(
        &self,
        sub: &SubQueue<B>,
        worker: Pin<&Worker>,
        raised: &Raised<B>,
        deferred: &mut Deferred<B>,
    ) -> Option<Claim<B>> {
        let mut state = self.state.lock(raised);
        if !sub.startable(&state) {
            self.unlist(sub, &mut state, deferred);
            return None;
        }
        state.add_worker(worker);
        self.take_first(sub, &mut state)
    }

    /// The end of `worker`, which has run a work of `sub`: whether `sub` has another one. If not it
    /// is listed no more, and the queue may be freed once the caller is not raised any more.
    fn leave_listed(
        &self,
        sub: &SubQueue<B>,
        worker: Pin<&Worker>,
        raised: &Raised<B>,
        deferred: &mut Deferred<B>,
    ) -> bool {
        let mut state = self.state.lock(raised);
        state.remove_worker(worker);
        let more = sub.startable(&state);
        if !more {
            self.unlist(sub, &mut state, deferred);
        }
        more
    }

    fn unlist(&self, sub: &SubQueue<B>, state: &mut QueueState<B>, deferred: &mut Deferred<B>) {
        sub.update(state, |inner| inner.is_listed = false);
        state.listed -= 1;
        self.wake_if_idle(state, deferred);
    }
}

impl<B: Backend> Runtime<B> {
    /// Runs the first work of `sub`, which the drain of `cpu` has taken off its list; returns it if
    /// it has another one. IRQL: = DISPATCH, on that CPU (P3).
    pub(super) fn run_bottom_half(
        &self,
        sub: UnsafeRef<SubQueue<B>>,
        cpu: u32,
    ) -> Option<UnsafeRef<SubQueue<B>>> {
        let queue = sub.queue();
        let worker = pin!(Worker::new(identity(cpu)));
        let slot = pin!(Slot::new(identity(cpu)));
        let raised = Raised::new();
        let mut deferred = Deferred::new();
        let claim = queue.claim_listed(&sub, worker.as_ref(), &raised, &mut deferred);
        let Some(claim) = claim else {
            deferred.deliver(self, raised);
            return None;
        };
        let serving = Serving {
            queue,
            worker: worker.as_ref(),
            slot: slot.as_ref(),
        };
        self.execute_bottom_half(&serving, claim, cpu, raised, deferred);
        let raised = Raised::new();
        let mut deferred = Deferred::new();
        let more = queue.leave_listed(&sub, worker.as_ref(), &raised, &mut deferred);
        deferred.deliver(self, raised);
        more.then_some(sub)
    }

    /// Runs a claim, and the twins that are held for it meanwhile. `raised` since the claim: W2.
    fn execute_bottom_half(
        &self,
        serving: &Serving<'_, B>,
        claim: Claim<B>,
        cpu: u32,
        raised: Raised<B>,
        mut deferred: Deferred<B>,
    ) {
        let address = claim.work.addr();
        let start = {
            let mut shard = self.running.shard(address).lock(&raised);
            shard.start(serving.slot, &claim, false, &mut deferred.woken)
        };
        let Start::Run { func } = start else {
            deferred.deliver(self, raised);
            return;
        };
        let per_cpu = self.per_cpu(cpu);
        self.count_run(&raised);
        // ORDERING: SeqCst: as for tasklets.
        per_cpu.serving.store(address, SeqCst);
        deferred.deliver(self, raised);
        let guest = pin!(Worker::new(identity(cpu)));
        let mut next = Some((claim, func));
        while let Some((claim, func)) = next {
            // SAFETY: `func` is the function that the driver gave at init.
            unsafe { call(func, &claim) };
            self.restore_level(per_cpu, address, func.addr());
            next = self.end_run(serving, guest.as_ref(), &claim);
        }
        per_cpu.serving.store(0, SeqCst);
    }

    /// Who the caller is to a queue: the drain that it is part of, or its thread; an interrupt is nobody,
    /// whatever it interrupts (N-26). IRQL: any, raised from `raised.from()`.
    pub(super) fn caller(&self, raised: &Raised<B>) -> usize {
        if raised.from() > Irql::DISPATCH {
            return NOBODY;
        }
        self.drain_of(raised).unwrap_or_else(B::thread)
    }

    /// The drain that the caller is the callback of, if it is one's: not an interrupt over it.
    pub(super) fn drain_of(&self, raised: &Raised<B>) -> Option<usize> {
        let cpu = self.slot_of(B::cpu());
        let serves = raised.from() == Irql::DISPATCH
            // ORDERING: SeqCst: written on this CPU, below this context.
            && self.per_cpu(cpu).serving.load(SeqCst) != 0;
        serves.then(|| identity(cpu))
    }

    /// Waits for the instances of a work that has been cancelled or disabled. At DISPATCH it spins for a run
    /// in a drain, which is on another CPU and ends by itself; unless the work was on a `WQ_BH` queue last, a
    /// thread may run it too, which is not waited for there, and that is said. The caller is not its function.
    pub(super) fn wait_after_cancel(&self, work: &work_struct, name: &'static str) {
        let level = B::irql();
        if level <= Irql::APC {
            self.wait_for_running(work);
            return;
        }
        while level == Irql::DISPATCH && self.is_running_in_drain(work) {
            relax();
        }
        if level > Irql::DISPATCH || !work.was_in_drain() {
            Report::of(Diagnostic::WaitAtDispatch, work, name).print::<B>();
        }
    }

    fn is_running_in_drain(&self, work: &work_struct) -> bool {
        let address = core::ptr::from_ref(work).addr();
        let raised = Raised::<B>::new();
        let shard = self.running.shard(address).lock(&raised);
        shard.is_running_in_drain(address, work.function())
    }
}
