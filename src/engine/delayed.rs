//! Delayed works: one deadline tree on one timer.
//!
//! Any number of delayed works share one passive-level WDFTIMER, armed for the earliest deadline.
//! Its callback handles everything that is due, so a fire that is lost or overlaps another one
//! (T-24) does no harm, and it then serves as a worker itself: one hop from the expiry to the
//! function.
//!
//! # Invariants
//!
//! - **D1** A node is in the tree if and only if its item's `LINKED` flag is set; both change under
//!   the tree's lock.
//! - **D2** When the tree's lock is released, the timer is armed for the earliest deadline or
//!   earlier, or somebody is about to arm it: the programmer, who looks again after
//!   `WdfTimerStart`, or the timer's callback, which arms last.
//! - **D3** No work leaves the tree for its queue before its deadline: standard timers fire up to a
//!   tick early (T-30), so the clock is read again. The clock itself is up to a tick behind, so the
//!   deadline counts from the latest time that it can be when the work is armed.

use core::pin::{Pin, pin};

use intrusive_collections::{KeyAdapter, RBTree, RBTreeLink, UnsafeRef, intrusive_adapter};

use super::backend::Backend;
use super::claim::Worker;
use super::diagnostic::{Diagnostic, Report};
use super::item::{LINKED, delayed_work, work_struct};
use super::locked::Raised;
use super::queue::Queue;
use super::runtime::Runtime;
use super::time;
use super::wait::Deferred;
use super::word::State;
use super::work::Taken;
use crate::sync::Ordering::{AcqRel, Relaxed};

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

intrusive_adapter!(
    /// Links a delayed work in the deadline tree.
    pub(crate) DeadlineAdapter = UnsafeRef<delayed_work>: delayed_work { timer.node => RBTreeLink }
);

impl<'a> KeyAdapter<'a> for DeadlineAdapter {
    type Key = u64;
    fn get_key(&self, dwork: &'a delayed_work) -> u64 {
        // ORDERING: written by the owner before the node was linked, under the tree's lock.
        dwork.timer.deadline.load(Relaxed)
    }
}

/// Not armed.
const NEVER: u64 = u64::MAX;

/// The tree, under its lock.
pub(crate) struct Timers {
    tree: RBTree<DeadlineAdapter>,
    /// What the timer is armed for.
    armed_for: u64,
    /// Somebody is between deciding to arm and having armed (D2).
    programming: bool,
}

impl Timers {
    pub(crate) const fn new() -> Self {
        Self {
            tree: RBTree::new(DeadlineAdapter::NEW),
            armed_for: NEVER,
            programming: false,
        }
    }

    fn earliest(&self) -> u64 {
        self.tree
            .front()
            .get()
            .map_or(NEVER, |dwork| DeadlineAdapter::NEW.get_key(dwork))
    }

    /// Whether the timer must be armed earlier than it is.
    fn is_late(&self) -> bool {
        !self.programming && self.earliest() < self.armed_for
    }

    fn remove(&mut self, dwork: &delayed_work) {
        // SAFETY: D1: `LINKED` says that the node is in this tree, whose lock is held.
        unsafe { self.tree.cursor_mut_from_ptr(core::ptr::from_ref(dwork)) }.remove();
        dwork.flags.fetch_and(!LINKED, Relaxed);
        // ORDERING: AcqRel: as in `Queue::unlink`: the remover owns the work from here.
        dwork
            .work
            .data
            .swap(State::Transit { depth: 0 }.word(), AcqRel);
    }
}

/// The queue that a delayed work goes to.
///
/// # Safety
///
/// The caller owns the pending item or holds the lock that says where it is, and is raised.
unsafe fn target<'a, B: Backend>(dwork: &delayed_work) -> &'a Queue<B> {
    // ORDERING: written by the owner before it linked the node.
    let queue = dwork.wq.load(Relaxed).cast::<Queue<B>>();
    // SAFETY: Q4: an armed delayed work counts in its queue's `armed`, which destroy waits for.
    unsafe { &*queue }
}

/// Links a work that was taken from the tree, and owned since, to its queue.
///
/// It counts in `armed` until it is linked: destroy looks at `armed` first and at the lists second, so
/// it sees a work on its way by the one look or by the other.
fn link_armed<B: Backend>(
    queue: &Queue<B>,
    dwork: &delayed_work,
    calls_worker: bool,
    raised: &Raised<B>,
    deferred: &mut Deferred<B>,
) {
    queue.link(&dwork.work, B::cpu(), calls_worker, raised, deferred);
    // ORDERING: a count; the grace period of destroy orders it.
    queue.armed.fetch_sub(1, Relaxed);
}

impl<B: Backend> Runtime<B> {
    /// Arms `dwork` to be queued on `queue` after `delay` jiffies, or queues it at once if that is
    /// zero; `false` if it is pending or disabled. IRQL: any.
    pub(crate) fn queue_delayed(
        &self,
        queue: &Queue<B>,
        dwork: &delayed_work,
        delay: u64,
        raised: Raised<B>,
    ) -> bool {
        if delay == 0 {
            return self.queue_work(queue, &dwork.work, raised);
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
        raised: Raised<B>,
    ) -> Modified {
        let mut deferred = Deferred::new();
        let mut modified = self.own(&dwork.work, &raised, &mut deferred);
        // Disabled or never initialised: nothing happens.
        let accepted = if modified == Modified::Refused {
            true
        } else if delay == 0 {
            self.link_claimed(queue, &dwork.work, &raised, &mut deferred)
        } else if queue.ending.load(Relaxed) {
            // ORDERING: as in `queue_delayed`.
            self.give_back(&dwork.work, "mod_delayed_work", &raised);
            false
        } else {
            // ORDERING: AcqRel: from here on it is found through the tree's lock.
            dwork.work.data.swap(State::Timer.word(), AcqRel);
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
    /// it disabled or not initialised: that a claim failed means nothing by itself, for the
    /// instance that was in its way may have begun to run since, and that run need not see the
    /// caller's stores.
    fn own(&self, work: &work_struct, raised: &Raised<B>, deferred: &mut Deferred<B>) -> Modified {
        loop {
            let Taken::Not { word, depth } = self.take(work, raised, deferred) else {
                return Modified::Again;
            };
            if self.claim_pending(work, State::Transit { depth: 0 }, raised) {
                self.count_accepted(raised);
                return Modified::Fresh;
            }
            if depth > 0 || State::of(word) == State::Uninitialised {
                return Modified::Refused;
            }
        }
    }

    /// Puts a work whose place is Timer, and whose node is not linked, into the tree.
    fn arm(
        &self,
        queue: &Queue<B>,
        dwork: &delayed_work,
        delay: u64,
        raised: &Raised<B>,
        deferred: &mut Deferred<B>,
    ) {
        let (expires, deadline) = time::expiry(B::now_100ns(), B::tick_100ns(), delay);
        // ORDERING: the tree's lock publishes these.
        dwork
            .wq
            .store(core::ptr::from_ref(queue).cast_mut().cast(), Relaxed);
        dwork.timer.expires.store(expires, Relaxed);
        dwork.timer.deadline.store(deadline, Relaxed);
        // ORDERING: a count; destroy reads it after a grace period.
        queue.armed.fetch_add(1, Relaxed);
        let mut timers = self.timers.lock(raised);
        // Whoever cancels by the work alone finds the whole again by its address.
        core::ptr::from_ref(dwork).expose_provenance();
        // SAFETY: W1: the caller owns the work, so its node is in no tree whatever its bytes say.
        unsafe { dwork.timer.node.force_unlink() };
        // SAFETY: the driver keeps a pending item in place, and it is removed before it is not.
        timers
            .tree
            .insert(unsafe { UnsafeRef::from_raw(core::ptr::from_ref(dwork)) });
        dwork.flags.fetch_or(LINKED, Relaxed);
        deferred.timer |= timers.is_late();
    }

    /// Takes an armed work out of the tree if its word still is `word`. The caller owns it then,
    /// and it does not count in its queue's `armed` any more.
    pub(crate) fn disarm(&self, dwork: &delayed_work, word: u64, raised: &Raised<B>) -> bool {
        let taken = self.take_from_tree(dwork, word, raised);
        if taken {
            // SAFETY: we own the item, and it counts in `armed` until now.
            unsafe { target::<B>(dwork) }.armed.fetch_sub(1, Relaxed);
        }
        taken
    }

    /// As [`Self::disarm`], but the work still counts in its queue's `armed`.
    fn take_from_tree(&self, dwork: &delayed_work, word: u64, raised: &Raised<B>) -> bool {
        let mut timers = self.timers.lock(raised);
        // ORDERING: `LINKED` changes under this lock; Timer without it is on its way in.
        let linked = dwork.work.load().0 == word && dwork.flags.load(Relaxed) & LINKED != 0;
        if linked {
            timers.remove(dwork);
        }
        linked
    }

    /// Queues `dwork` now if it is armed, then waits for it; `true` if it waited. IRQL: <= APC.
    pub(crate) fn flush_delayed(&self, dwork: &delayed_work) -> bool {
        {
            let raised = Raised::<B>::new();
            let mut deferred = Deferred::new();
            let (word, state) = dwork.work.load();
            if state == State::Timer && self.take_from_tree(dwork, word, &raised) {
                // SAFETY: we own the item, and it counts in `armed` until it is linked.
                let queue = unsafe { target::<B>(dwork) };
                link_armed(queue, dwork, true, &raised, &mut deferred);
            }
            deferred.deliver(self, raised);
        }
        self.flush_work(&dwork.work, "flush_delayed_work")
    }

    /// Arms the timer for the earliest deadline, as long as that is earlier than it is armed for.
    /// IRQL: = DISPATCH.
    pub(crate) fn program_timer(&self) {
        loop {
            let earliest = {
                let raised = Raised::<B>::new();
                let mut timers = self.timers.lock(&raised);
                if !timers.is_late() {
                    return;
                }
                timers.programming = true;
                timers.armed_for = timers.earliest();
                timers.armed_for
            };
            // T-15: zero is an absolute time in 1601; the least relative time is one unit.
            self.backend
                .timer_start(earliest.saturating_sub(B::now_100ns()).max(1));
            let raised = Raised::<B>::new();
            self.timers.lock(&raised).programming = false;
        }
    }

    /// The timer's callback. IRQL: = PASSIVE.
    pub(crate) fn timer_callback(&self) {
        // ORDERING: a counter; nothing is read on the strength of it.
        self.timer_callbacks.fetch_add(1, Relaxed);
        {
            let raised = Raised::<B>::new();
            self.timers.lock(&raised).armed_for = NEVER;
        }
        let worker = pin!(Worker::new(B::thread()));
        let mine = self.queue_due(worker.as_ref());
        let mut deferred = Deferred::new();
        deferred.timer = true;
        deferred.deliver(self, Raised::new());
        if let Some(queue) = mine {
            self.work(queue, worker.as_ref());
        }
    }

    /// Moves everything that is due to its queue. `worker` enters the first queue, which is
    /// returned: the caller serves it.
    fn queue_due(&self, worker: Pin<&Worker>) -> Option<&Queue<B>> {
        let mut mine = None;
        loop {
            let raised = Raised::<B>::new();
            let mut deferred = Deferred::new();
            let now = B::now_100ns();
            let due = {
                let mut timers = self.timers.lock(&raised);
                if timers.earliest() > now {
                    return mine;
                }
                let Some(dwork) = timers.tree.front().clone_pointer() else {
                    return mine;
                };
                timers.remove(&dwork);
                UnsafeRef::into_raw(dwork)
            };
            // SAFETY: W1: we own the pending item, so the driver keeps it.
            let due = unsafe { &*due };
            // SAFETY: as above.
            let queue = unsafe { target::<B>(due) };
            if mine.is_none() {
                queue.enter(worker, false, &raised);
                mine = Some(queue);
            }
            let calls_worker = !mine.is_some_and(|first| core::ptr::eq(first, queue));
            link_armed(queue, due, calls_worker, &raised, &mut deferred);
            deferred.deliver(self, raised);
        }
    }

    /// Makes the delayed works that are armed for `queue` due now; how many there were. For
    /// destroy, and with no queue for detach. IRQL: <= DISPATCH.
    pub(crate) fn expire_armed(&self, queue: Option<&Queue<B>>) -> u32 {
        let mut count = 0;
        loop {
            let raised = Raised::<B>::new();
            let mut deferred = Deferred::new();
            let found = {
                let mut timers = self.timers.lock(&raised);
                let mut cursor = timers.tree.front();
                while let Some(dwork) = cursor.get()
                    // SAFETY: the tree's lock is held and the item is in the tree.
                    && queue.is_some_and(|queue| !core::ptr::eq(queue, unsafe { target(dwork) }))
                {
                    cursor.move_next();
                }
                let Some(dwork) = cursor.clone_pointer() else {
                    return count;
                };
                timers.remove(&dwork);
                UnsafeRef::into_raw(dwork)
            };
            // SAFETY: W1: we own the pending item, so the driver keeps it.
            let dwork = unsafe { &*found };
            let call = queue.map_or("detach", |_| "destroy_workqueue");
            let report = Report::of(Diagnostic::ArmedAtEnd, &dwork.work, call);
            raised.say(report);
            // SAFETY: as above.
            let queue = unsafe { target::<B>(dwork) };
            link_armed(queue, dwork, true, &raised, &mut deferred);
            deferred.deliver(self, raised);
            count += 1;
        }
    }
}
