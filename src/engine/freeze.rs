//! Freezing: queues that stand still while the device is suspended.
//!
//! A frozen queue takes works and starts none. Works that were claimed before it froze go on, twins that
//! are held included, and freezing waits for them, as Linux does.
//!
//! # Invariants
//!
//! - **F1** A queue on the runtime's list is frozen if and only if it is FREEZABLE, the runtime is frozen
//!   at least once, and nobody has begun to end it.
//! - **F2** A caller that waits in `freezers` is woken when the queue has nothing active, and when it is
//!   thawed; it looks at all queues again then, so that no queue is remembered over a wait.

use core::pin::pin;

use super::backend::{Backend, Irql};
use super::diagnostic::{Diagnostic, report, report_queue};
use super::locked::Raised;
use super::queue::{Queue, QueueState, flag};
use super::runtime::Runtime;
use super::wait::{Deferred, Waiter};
use crate::sync::Ordering::Relaxed;

impl<B: Backend> QueueState<B> {
    /// Starts nothing any more.
    fn freeze(&mut self, queue: &Queue<B>) {
        // ORDERING: `ending` is set under the queue's lock, which is held.
        if queue.is(flag::FREEZABLE) && !queue.ending.load(Relaxed) {
            self.frozen = true;
        }
    }

    /// Starts works again.
    fn thaw(&mut self, queue: &Queue<B>, raised: &Raised<B>, deferred: &mut Deferred<B>) {
        if self.frozen {
            self.frozen = false;
            deferred.woken.back_mut().splice_after(self.freezers.take());
            queue.keep_kicked(self, raised, deferred);
        }
    }
}

impl<B: Backend> Runtime<B> {
    /// Freezes once more. IRQL: any.
    pub(crate) fn freeze(&self) {
        let raised = Raised::<B>::new();
        let queues = self.queues.lock(&raised);
        // ORDERING: under the list's lock.
        self.freezes.fetch_add(1, Relaxed);
        for queue in queues.iter() {
            queue.state.lock(&raised).freeze(queue);
        }
    }

    /// Waits until no work of a frozen queue runs. From a work of such a queue, and at DISPATCH, it does not
    /// wait, and says so. IRQL: <= APC.
    pub(crate) fn wait_until_frozen(&self) {
        if B::irql() > Irql::APC {
            report::<B>(Diagnostic::WaitAtDispatch, "freeze", 0, 0);
            return;
        }
        while self.wait_for_one_frozen() {}
    }

    /// Takes one [`Self::freeze`] back, which was made before. IRQL: <= DISPATCH.
    pub(crate) fn thaw(&self) {
        let raised = Raised::<B>::new();
        let mut deferred = Deferred::new();
        {
            let queues = self.queues.lock(&raised);
            // ORDERING: as in `freeze`.
            if self.freezes.fetch_sub(1, Relaxed) == 1 {
                for queue in queues.iter() {
                    let mut state = queue.state.lock(&raised);
                    state.thaw(queue, &raised, &mut deferred);
                }
            }
        }
        deferred.deliver(self, raised);
    }

    /// F1 for a queue that is about to be put on the list, whose lock is held.
    pub(super) fn freeze_new(&self, queue: &Queue<B>, raised: &Raised<B>) {
        // ORDERING: under the list's lock.
        if self.freezes.load(Relaxed) > 0 {
            queue.state.lock(raised).freeze(queue);
        }
    }

    /// F1 for a queue that the caller has begun to end: what is pending on it is to run.
    pub(super) fn thaw_queue(&self, queue: &Queue<B>) {
        let raised = Raised::<B>::new();
        let mut deferred = Deferred::new();
        queue
            .state
            .lock(&raised)
            .thaw(queue, &raised, &mut deferred);
        deferred.deliver(self, raised);
    }

    /// Waits for a frozen queue on which works still run; `false` if there is none, or the caller is one
    /// of those works.
    fn wait_for_one_frozen(&self) -> bool {
        let waiter = pin!(Waiter::<B>::new(0));
        let waiter = waiter.into_ref();
        waiter.prepare();
        let thread = B::thread();
        let (queue, own) = {
            let raised = Raised::<B>::new();
            let queues = self.queues.lock(&raised);
            let busy = queues.iter().find_map(|queue| {
                let state = queue.state.lock(&raised);
                (state.frozen && state.active > 0).then_some((queue, state))
            });
            let Some((queue, mut state)) = busy else {
                return false;
            };
            let own = state.is_worker(thread);
            if !own {
                state.freezers.push_back(waiter.handle());
            }
            (core::ptr::from_ref(queue), own)
        };
        if own {
            // SAFETY: Q4: the caller is inside the queue.
            report_queue(Diagnostic::WaitForOneself, "freeze", unsafe { &*queue });
            return false;
        }
        let waited = self.wait_for_queue(queue, waiter);
        if !waited {
            // Nothing keeps the queue: the instance that was held there may be cancelled since.
            report::<B>(Diagnostic::WaitForOneself, "freeze", queue.addr(), 0);
        }
        waited
    }
}
