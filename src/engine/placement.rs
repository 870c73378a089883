//! Where the thread of a worker runs, and how urgently.
//!
//! NT lends a worker's thread with an affinity of its own and wants it back so. A work that is pinned is
//! called with the thread moved to its CPU; the move is kept while the works that follow come from the
//! same sub-queue, so a batch pays for it once. For the works of a HIGHPRI queue the thread's priority is
//! raised in the same way.

use super::backend::Backend;
use super::claim::Claim;
use super::queue::flag;

/// Of a worker of a HIGHPRI queue: the highest that is not a real-time one. NT's pool threads that serve
/// us have 12 (W-29).
const HIGH: i32 = 15;

/// What the current thread has been changed to, by one worker.
pub(crate) struct Placement<B: Backend> {
    /// The CPU that it is moved to, and what takes that back.
    pinned: Option<(u32, B::Affinity)>,
    /// The priority that it had, if that was raised.
    priority: Option<i32>,
}

impl<B: Backend> Placement<B> {
    /// As NT lent it.
    pub(crate) const fn new() -> Self {
        Self {
            pinned: None,
            priority: None,
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
        if self.priority.is_none() && sub.queue().is(flag::HIGHPRI) {
            self.priority = Some(B::set_priority(HIGH));
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

    /// Gives the thread back as it was. IRQL: = PASSIVE, on the worker's thread.
    pub(crate) fn restore(self) {
        if let Some((_, before)) = self.pinned {
            B::unpin(before);
        }
        if let Some(before) = self.priority {
            B::set_priority(before);
        }
    }
}
