//! Delayed works: queue, modify, flush. The deadlines are kept by [`super::timers`].

use super::backend::Backend;
use super::item::{ANY_CPU, delayed_work, work_struct};
use super::locked::Raised;
use super::queue::{At, Queue};
use super::runtime::Runtime;
use super::timers::{link_armed, target};
use super::wait::Deferred;
use super::word::State;
use super::work::Taken;
use crate::sync::Ordering::{AcqRel, Relaxed};
use crate::sync::relax;

/// What `modify_delayed` did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Modified {
    /// It was pending, and still is.
    Again,
    /// It was not pending, and is now.
    Fresh,
    /// It was pending, and the queue is draining: it is not any more.
    Dropped,
    /// It was not pending, and still is not.
    Refused,
}

impl<B: Backend> Runtime<B> {
    /// Arms `dwork` to be queued on `queue`, for `cpu` or any, after `delay` jiffies, or queues it at
    /// once if that is zero; `false` if it is pending or disabled. IRQL: any.
    #[inline(always)]
    pub(crate) fn queue_delayed(
        &self,
        queue: &Queue<B>,
        dwork: &delayed_work,
        delay: u64,
        cpu: Option<u32>,
        raised: Raised<B>,
    ) -> bool {
        if delay == 0 {
            return self.queue_work(queue, &dwork.work, cpu, raised);
        }
        // ORDERING: destroy waits for every raised section that has not seen it, and looks again.
        if queue.ending.load(Relaxed) {
            if self.claim_pending(&dwork.work, State::Transit { depth: 0 }, &raised) {
                self.give_back(&dwork.work, "queue_delayed_work", &raised);
            }
            return false;
        }
        if !self.claim_pending(&dwork.work, State::Timer, &raised) {
            return false;
        }
        self.count_accepted(&raised);
        let mut deferred = Deferred::new();
        Self::aim(dwork, cpu, &raised);
        self.arm(queue, dwork, delay, &raised, &mut deferred);
        deferred.deliver(self, raised);
        true
    }

    /// Makes `dwork` due after `delay` jiffies on `queue`, whatever it is doing. IRQL: any.
    pub(crate) fn modify_delayed(
        &self,
        queue: &Queue<B>,
        dwork: &delayed_work,
        delay: u64,
        cpu: Option<u32>,
        raised: Raised<B>,
    ) -> Modified {
        let mut deferred = Deferred::new();
        let mut modified = self.own(&dwork.work, &raised, &mut deferred);
        // Disabled or never initialised: nothing happens.
        let accepted = if modified == Modified::Refused {
            true
        } else if delay == 0 {
            let at = At::wanted(cpu, &dwork.work, &raised);
            self.link_claimed(queue, &dwork.work, at, &raised, &mut deferred)
        } else if queue.ending.load(Relaxed) {
            // ORDERING: as in `queue_delayed`.
            self.give_back(&dwork.work, "mod_delayed_work", &raised);
            false
        } else {
            // ORDERING: AcqRel: from here on it is found through the tree's lock.
            let timer = State::Timer.word_from(dwork.work.load().0);
            dwork.work.data.swap(timer, AcqRel);
            Self::aim(dwork, cpu, &raised);
            self.arm(queue, dwork, delay, &raised, &mut deferred);
            true
        };
        if !accepted {
            self.count_cancelled(&raised);
            modified = if modified == Modified::Again {
                Modified::Dropped
            } else {
                Modified::Refused
            };
        }
        deferred.deliver(self, raised);
        modified
    }

    /// Makes PENDING of `work` the caller's, wherever the work is. Refused only if `take` has found
    /// it disabled or not initialised, or it has no function: that a claim failed means nothing by
    /// itself, for the instance that was in its way may have begun to run since, and that run need
    /// not see the caller's stores.
    fn own(&self, work: &work_struct, raised: &Raised<B>, deferred: &mut Deferred<B>) -> Modified {
        loop {
            let Taken::Not { word, depth } = self.take(work, raised, deferred) else {
                return Modified::Again;
            };
            if self.claim_pending(work, State::Transit { depth: 0 }, raised) {
                self.count_accepted(raised);
                return Modified::Fresh;
            }
            let uninitialised = State::of(word) == State::Uninitialised;
            if depth > 0 || uninitialised || work.function().is_null() {
                return Modified::Refused;
            }
        }
    }

    /// Notes the CPU that a work is wanted on when it is due.
    fn aim(dwork: &delayed_work, cpu: Option<u32>, raised: &Raised<B>) {
        let at = At::wanted(cpu, &dwork.work, raised);
        let cpu = if at.pin {
            at.cpu.cast_signed()
        } else {
            ANY_CPU
        };
        // ORDERING: the tree's lock publishes it.
        dwork.cpu.store(cpu, Relaxed);
    }

    /// Queues `dwork` now if it is armed, then waits for it; `true` if it waited. IRQL: <= APC.
    pub(crate) fn flush_delayed(&self, dwork: &delayed_work) -> bool {
        {
            let raised = Raised::<B>::new();
            let mut deferred = Deferred::new();
            while let (word, State::Timer) = dwork.work.load() {
                if self.take_from_tree(dwork, word, &raised) {
                    // SAFETY: we own the item, and it counts in `armed` until it is linked.
                    let queue = unsafe { target::<B>(dwork) };
                    link_armed(self, queue, dwork, true, &raised, &mut deferred);
                    break;
                }
                // Another CPU is putting it into a tree or taking it out, for a few lines.
                relax();
            }
            deferred.deliver(self, raised);
        }
        self.flush_work(&dwork.work, "flush_delayed_work")
    }
}
