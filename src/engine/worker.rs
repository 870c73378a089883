//! Workers: the callback of a queue's work item, and the life of one run.

use core::pin::{Pin, pin};

use super::backend::Backend;
use super::claim::{Claim, Entrance, Worker};
use super::item::work_func_t;
use super::locked::Raised;
use super::placement::Placement;
use super::queue::Queue;
use super::running::{Ended, Slot, Start};
use super::runtime::Runtime;
use super::wait::Deferred;
use crate::sync::Ordering;

/// Works that a worker runs before it gives the thread back to NT, which owns it (W-31).
const BATCH: u32 = 32;

/// A worker inside the queue that it serves.
pub(super) struct Serving<'a, B: Backend> {
    pub(super) queue: &'a Queue<B>,
    pub(super) worker: Pin<&'a Worker>,
    pub(super) slot: Pin<&'a Slot<B>>,
}

impl<B: Backend> Runtime<B> {
    /// The callback of a queue's work item. IRQL: = PASSIVE.
    ///
    /// # Safety
    ///
    /// `queue` is the context that the work item was made with, and the work item is not deleted.
    pub(crate) unsafe fn work_item_callback(&self, queue: *const ()) {
        // ORDERING: a counter; nothing is read on the strength of it.
        self.work_item_callbacks.fetch_add(1, Ordering::Relaxed);
        // SAFETY: Q4 and B2: the queue is freed only after its work item is deleted, and that waits
        // for this callback.
        self.serve(unsafe { &*queue.cast::<Queue<B>>() });
    }

    /// Serves `queue` as a worker that its work item brought. IRQL: = PASSIVE.
    fn serve(&self, queue: &Queue<B>) {
        let worker = pin!(Worker::new(B::thread()));
        queue.enter(worker.as_ref(), Entrance::Kick, &Raised::new());
        self.work(queue, worker.as_ref());
    }

    /// Runs works of `queue`, which `worker` has entered, until it has none that may start, or for
    /// one batch; then leaves. IRQL: = PASSIVE.
    pub(crate) fn work(&self, queue: &Queue<B>, worker: Pin<&Worker>) {
        let slot = pin!(Slot::new(B::thread()));
        let serving = Serving {
            queue,
            worker,
            slot: slot.as_ref(),
        };
        let mut placement = Placement::new();
        for _ in 0..BATCH {
            let raised = Raised::new();
            let mut deferred = Deferred::new();
            let pinned = placement.cpu();
            let Some(claim) = queue.claim(worker, pinned, &raised, &mut deferred) else {
                break;
            };
            self.execute(&serving, claim, &mut placement, raised, deferred);
        }
        placement.restore(queue);
        let raised = Raised::new();
        let mut deferred = Deferred::new();
        queue.leave(worker, &raised, &mut deferred);
        deferred.deliver(self, raised);
    }

    /// Runs a claim, and the twins that are held for it meanwhile. `raised` since the claim: W2.
    ///
    /// The twins run where the first does, whatever CPU they ask for (row W03).
    fn execute(
        &self,
        serving: &Serving<'_, B>,
        claim: Claim<B>,
        placement: &mut Placement<B>,
        raised: Raised<B>,
        mut deferred: Deferred<B>,
    ) {
        let address = claim.work.addr();
        let reentrant = self.is_reentrant(serving.queue);
        let start = {
            let mut shard = self.running.shard(address).lock(&raised);
            shard.start(serving.slot, &claim, reentrant, &mut deferred.woken)
        };
        let func = match start {
            Start::Run { func } => func,
            Start::Held { thread } => {
                self.refuse_waits_behind(&claim, thread, &raised, &mut deferred);
                deferred.deliver(self, raised);
                return;
            }
        };
        self.count_run(&raised);
        deferred.deliver(self, raised);
        placement.take(&claim);
        let guest = pin!(Worker::new(B::thread()));
        let mut next = Some((claim, func));
        while let Some((claim, func)) = next {
            // SAFETY: `func` is the function that the driver gave at init.
            unsafe { call(func, &claim) };
            // W-16: NT would stop the machine when the thread goes back to its pool, and not say whose
            // function it was.
            self.restore_passive(claim.work.addr(), func.addr());
            placement.check(claim.work.addr(), func.addr());
            next = self.end_run(serving, guest.as_ref(), &claim);
        }
    }

    /// Ends a run: wakes its waiters, frees its place, and starts the twin that was held, if any.
    ///
    /// A twin may belong to another queue than the one that is served. `guest` is inside that queue
    /// while it runs, so that what a work may ask of its queue does not depend on whose worker runs
    /// it (rows Q03, Q25). The served queue cannot be destroyed by it: its callback is on this
    /// stack.
    pub(super) fn end_run(
        &self,
        serving: &Serving<'_, B>,
        guest: Pin<&Worker>,
        claim: &Claim<B>,
    ) -> Option<(Claim<B>, *mut ())> {
        let raised = Raised::new();
        let mut deferred = Deferred::new();
        // The address is a number here: the work may be gone (I2).
        let address = claim.work.addr();
        let ended = {
            let mut shard = self.running.shard(address).lock(&raised);
            shard.finish(serving.slot, &mut deferred.woken)
        };
        let next = match ended {
            Ended::Over => None,
            Ended::Twin { claim, func } => {
                self.count_run(&raised);
                Some((claim, func))
            }
            Ended::Held { claim, thread } => {
                self.refuse_waits_behind(&claim, thread, &raised, &mut deferred);
                None
            }
        };
        // SAFETY: Q3: the claim counts in its queue's total until `complete`, so the queue is
        // there.
        let queue = unsafe { &*claim.sub }.queue();
        let at_home = core::ptr::eq(queue, serving.queue);
        let looks = (next.is_none() && at_home).then_some(serving.worker);
        queue.complete(claim, looks, &raised, &mut deferred);
        if !at_home {
            queue.leave(guest, &raised, &mut deferred);
        }
        if let Some((twin, _)) = &next {
            // SAFETY: Q3: as above, for the twin.
            let queue = unsafe { &*twin.sub }.queue();
            if !core::ptr::eq(queue, serving.queue) {
                queue.enter(guest, Entrance::Guest, &raised);
            }
        }
        deferred.deliver(self, raised);
        next
    }
}

/// Calls a work's function.
///
/// # Safety
///
/// `func` is a [`work_func_t`], and the claim's work is the one that it was set in.
pub(super) unsafe fn call<B: Backend>(func: *mut (), claim: &Claim<B>) {
    // SAFETY: the caller vouches for the function; function and data pointers have one size here.
    let function = unsafe { core::mem::transmute::<*mut (), work_func_t>(func) };
    // SAFETY: the driver's function takes its own work, which is the driver's again from here (I2).
    unsafe { function(claim.work) };
}
