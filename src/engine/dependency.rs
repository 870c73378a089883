//! Flushes that memory may not depend on.
//!
//! A queue with [`flag::MEM_RECLAIM`] gets on when the kernel has no worker to give. That is worth nothing
//! if one of its works waits for a work of a queue that does not. Linux warns about such a flush, and so
//! does this; a cancel is exempt there, since it waits for a run that has its worker already.

use super::backend::{Backend, Irql};
use super::diagnostic::{Diagnostic, report_queue};
use super::queue::{Queue, flag};
use super::runtime::Runtime;

impl<B: Backend> Runtime<B> {
    /// Whether the caller runs for a queue that memory may depend on. The `create_` calls do not count: what
    /// they are used for is not known. IRQL: <= APC.
    pub(crate) fn is_reclaiming(&self) -> bool {
        let thread = B::thread();
        self.any_queue(|queue, state| {
            let counts = queue.is(flag::MEM_RECLAIM) && !queue.is(flag::LEGACY);
            counts && state.is_worker(thread)
        })
    }

    /// Says that the caller, which is about to wait for all of `wanted`, may wait for ever when memory is
    /// short. `wanted` may be gone: then nothing is waited for. IRQL: any.
    pub(crate) fn check_dependency(&self, wanted: *const Queue<B>, call: &'static str) {
        if B::irql() > Irql::APC {
            return;
        }
        let held_up =
            self.any_queue(|queue, _| core::ptr::eq(queue, wanted) && !queue.is(flag::MEM_RECLAIM));
        if held_up && self.is_reclaiming() {
            // SAFETY: it was on the list just now, and the driver keeps a queue that it waits for.
            report_queue(Diagnostic::FlushDependency, call, unsafe { &*wanted });
        }
    }
}
