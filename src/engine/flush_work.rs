//! Flushing one work.
//!
//! The waiter is left in the running table, see [`super::running`]; nothing about it is in the work.

use core::pin::{Pin, pin};

use super::backend::Backend;
use super::diagnostic::{Diagnostic, Report};
use super::item::work_struct;
use super::locked::Raised;
use super::queue::flag;
use super::runtime::Runtime;
use super::wait::{Deferred, Waiter};
use super::word::State;
use crate::sync::relax;

impl<B: Backend> Runtime<B> {
    /// Waits for the queued instance, if any, and for the running ones; `true` if it waited.
    /// IRQL: <= APC.
    pub(crate) fn flush_work(&self, work: &work_struct, name: &'static str) -> bool {
        if self.is_uninitialised(work, name)
            || !self.may_wait(work, name)
            || self.is_own_function(work, name)
        {
            return false;
        }
        let report = Report::of(Diagnostic::WaitForOneself, work, name);
        // Whoever looks for waits for a thread's own run finds the work by its address.
        core::ptr::from_ref(work).expose_provenance();
        let waiter = pin!(Waiter::<B>::for_work(work));
        let waiter = waiter.into_ref();
        waiter.prepare();
        if !self.link_flush(work, waiter, report) {
            return false;
        }
        let waited = waiter.wait_unless_refused();
        if !waited {
            report.print::<B>();
        }
        waited
    }

    /// Links `waiter` for what of `work` is queued and running; `false` if that is nothing. IRQL: <= APC.
    fn link_flush(&self, work: &work_struct, waiter: Pin<&Waiter<B>>, report: Report) -> bool {
        let reclaiming = self.is_reclaiming();
        let mut deferred = Deferred::new();
        loop {
            let raised = Raised::<B>::new();
            let mut shard = self.running.shard(waiter.address).lock(&raised);
            let (sub, queued) = match work.load().1 {
                // W2: wait until it is somewhere.
                State::Transit { .. } => {
                    drop(shard);
                    drop(raised);
                    relax();
                    continue;
                }
                // SAFETY: Q4: the word was read in this raised section.
                State::Queue { sub, .. } => (Some(unsafe { Self::sub_at(sub) }), true),
                // SAFETY: as above.
                State::Held { sub, .. } => (Some(unsafe { Self::sub_at(sub) }), true),
                State::Uninitialised | State::Idle { .. } | State::Timer => {
                    let running = shard.sub_of(waiter.address, waiter.func);
                    // SAFETY: Q3: what runs counts in its queue under the shard's lock, so that was there
                    // in this raised section.
                    let running = running.map(|sub| unsafe { &*sub });
                    (running, false)
                }
            };
            let linked = shard.wait_for(waiter, queued);
            drop(shard);
            if let Some(sub) = sub
                && linked
            {
                if reclaiming && !sub.queue().is(flag::MEM_RECLAIM) {
                    // The work may be gone, if it is running only.
                    let diagnostic = Diagnostic::FlushDependency;
                    raised.say(Report {
                        diagnostic,
                        ..report
                    });
                }
                if queued {
                    self.refuse_own_flush(sub, &raised, &mut deferred);
                }
            }
            deferred.deliver(self, raised);
            return linked;
        }
    }
}
