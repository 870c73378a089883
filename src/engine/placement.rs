//! Where the thread of a worker runs, and how urgently.
//!
//! NT lends a worker's thread with an affinity and a priority of its own and wants it back so. A work that is
//! pinned is called with the thread moved to its CPU; the move is kept while the works that follow come
//! from the same sub-queue, so a batch pays for it once. For the works of a HIGHPRI queue the thread's
//! priority is raised in the same way.
//!
//! What a driver's function changes of the same, and does not take back, is taken back for it, and said.

use super::backend::Backend;
use super::claim::Claim;
use super::diagnostic::{Diagnostic, report, report_queue};
use super::queue::{Queue, flag};

/// Of a worker of a HIGHPRI queue, and of a rescuer: the highest that is not a real-time one. NT's pool
/// threads have 12 to 15 (W-29), those that serve us 12.
pub(super) const HIGH: i32 = 15;
/// The lowest real-time priority. NT's boosts end below it, so a thread that has it was given it.
const REAL_TIME: i32 = 16;

/// What the current thread has been changed to, by one worker.
pub(crate) struct Placement<B: Backend> {
    /// The CPU that it is moved to, and what takes that back.
    pinned: Option<(u32, B::Affinity)>,
    /// The priority that it was lent with.
    own: i32,
    /// Its priority is raised.
    raised: bool,
}

impl<B: Backend> Placement<B> {
    /// As NT lent it. IRQL: = PASSIVE.
    pub(crate) fn new() -> Self {
        Self {
            pinned: None,
            own: B::priority(),
            raised: false,
        }
    }

    /// The CPU that the thread is pinned to.
    pub(crate) fn cpu(&self) -> Option<u32> {
        self.pinned.as_ref().map(|(cpu, _)| *cpu)
    }

    /// Has the thread run where and as urgently as `claim` is to be run. IRQL: = PASSIVE, on the
    /// worker's thread.
    pub(crate) fn take(&mut self, claim: &Claim<B>) {
        // SAFETY: Q3: the claim counts in its queue's total, so the queue is there.
        let sub = unsafe { &*claim.sub };
        if !self.raised && sub.queue().is(flag::HIGHPRI) {
            B::set_priority(HIGH);
            self.raised = true;
        }
        let cpu = sub.cpu();
        match self.pinned.take() {
            // A work that is not pinned runs here as well as anywhere.
            Some((here, before)) if here == cpu => self.pinned = Some((here, before)),
            // Where the thread was at first is what it goes back to.
            Some((_, before)) if claim.pin => {
                let _between = B::pin(cpu);
                self.pinned = Some((cpu, before));
            }
            Some((_, before)) => B::unpin(before),
            None if claim.pin => self.pinned = Some((cpu, B::pin(cpu))),
            None => {}
        }
    }

    /// Takes back what the function at `func` of the work at `address` has left behind. The numbers are for
    /// the message: the work may be gone (I2).
    pub(crate) fn check(&self, address: usize, func: usize) {
        let call = "work function";
        if B::priority() >= REAL_TIME {
            B::set_priority(if self.raised { HIGH } else { self.own });
            report::<B>(Diagnostic::ThreadChanged, call, address, func);
        }
        if let Some((cpu, _)) = self.pinned
            && B::cpu() != cpu
        {
            let _elsewhere = B::pin(cpu);
            report::<B>(Diagnostic::ThreadChanged, call, address, func);
        }
    }

    /// Gives the thread back as it was. IRQL: = PASSIVE, on the worker's thread, which is inside `queue`.
    ///
    /// An affinity that a function has left on a thread that is not pinned shows only here: NT has no call
    /// that asks for it, so finding out costs two. Builds with debug assertions do.
    pub(crate) fn restore(self, queue: &Queue<B>) {
        if let Some((_, before)) = self.pinned {
            B::unpin(before);
        } else if cfg!(debug_assertions) && B::unpin_all() {
            report_queue(Diagnostic::ThreadChanged, "work function", queue);
        }
        if self.raised {
            B::set_priority(self.own);
        }
    }
}
