//! Deadlines: two trees, on a timer each.
//!
//! Any number of delayed works share one passive-level WDFTIMER, armed for the earliest deadline.
//! Its callback handles everything that is due, so a fire that is lost or overlaps another one
//! (T-24) does no harm, and it then serves as a worker itself: one hop from the expiry to the
//! function.
//!
//! A passive-level timer comes through NT's worker pool (T-27), which may be used up. So the delayed
//! works of queues that must get on without it, [`flag::MEM_RECLAIM`], have a tree of their own on a
//! dispatch-level timer. That timer also looks after queues whose worker does not come, see
//! [`super::rescue`].
//!
//! # Invariants
//!
//! - **D1** A node is in a tree if and only if its item's `flags` name that tree; both change under
//!   the tree's lock. While it is in a tree the item's work is also on its queue's list of armed
//!   works, under the same lock.
//! - **D2** When a tree's lock is released, its timer is armed for the earliest deadline or earlier,
//!   or somebody is about to arm it: the programmer, who looks again after `WdfTimerStart`, or the
//!   timer's callback, which arms last.
//! - **D3** No work leaves a tree for its queue before its deadline: standard timers fire up to a
//!   tick early (T-30), so the clock is read again. The clock itself is up to a tick behind, so the
//!   deadline counts from the latest time that it can be when the work is armed.

use core::pin::{Pin, pin};

use intrusive_collections::{KeyAdapter, RBTree, RBTreeLink, UnsafeRef, intrusive_adapter};

use super::backend::{Backend, TimerLevel};
use super::claim::{Entrance, Worker};
use super::diagnostic::{Diagnostic, Report};
use super::item::{ANY_CPU, delayed_work};
use super::locked::{Locked, Raised};
use super::queue::{At, Queue};
use super::runtime::Runtime;
use super::time;
use super::wait::Deferred;
use super::word::State;
use crate::sync::Ordering::{AcqRel, Relaxed};

intrusive_adapter!(
    /// Links a delayed work in a deadline tree.
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
pub(crate) const NEVER: u64 = u64::MAX;

/// A tree, under its lock.
pub(crate) struct Timers {
    tree: RBTree<DeadlineAdapter>,
    /// When queues are to be looked after, or never: see [`super::rescue`].
    pub(super) look_at: u64,
    /// What the timer is armed for.
    armed_for: u64,
    /// Somebody is between deciding to arm and having armed (D2).
    programming: bool,
}

impl Timers {
    pub(crate) const fn new() -> Self {
        Self {
            tree: RBTree::new(DeadlineAdapter::NEW),
            look_at: NEVER,
            armed_for: NEVER,
            programming: false,
        }
    }

    /// The earliest deadline.
    fn due(&self) -> u64 {
        self.tree
            .front()
            .get()
            .map_or(NEVER, |dwork| DeadlineAdapter::NEW.get_key(dwork))
    }

    /// What the timer is to be armed for.
    fn earliest(&self) -> u64 {
        self.due().min(self.look_at)
    }

    /// Whether the timer must be armed earlier than it is.
    pub(super) fn is_late(&self) -> bool {
        !self.programming && self.earliest() < self.armed_for
    }

    /// Puts `dwork`, whose place is Timer and which its caller owns, into this tree, for `queue`.
    #[inline(always)]
    fn insert<B: Backend>(&mut self, dwork: &delayed_work, queue: &Queue<B>) {
        // SAFETY: W1: the caller owns the work, so its node is in no tree whatever its bytes say.
        unsafe { dwork.timer.node.force_unlink() };
        // SAFETY: the driver keeps a pending item in place, and it is removed before it is not.
        self.tree
            .insert(unsafe { UnsafeRef::from_raw(core::ptr::from_ref(dwork)) });
        queue.armed_list(self, |list| {
            // SAFETY: as for the node.
            unsafe { dwork.work.entry.force_unlink() };
            // SAFETY: as for the node.
            list.push_back(unsafe { UnsafeRef::from_raw(core::ptr::from_ref(&dwork.work)) });
        });
        // ORDERING: changes under the tree's lock only (D1).
        dwork.flags.store(linked(queue.timer_level()), Relaxed);
    }

    /// Takes `dwork` out of this tree, in which it is. The caller owns it from here.
    fn remove<B: Backend>(&mut self, dwork: &delayed_work) {
        // SAFETY: D1: `flags` say that the node is in this tree, whose lock is held.
        unsafe { self.tree.cursor_mut_from_ptr(core::ptr::from_ref(dwork)) }.remove();
        // SAFETY: the item is armed until below, so its queue is there.
        unsafe { target::<B>(dwork) }.armed_list(self, |list| {
            // SAFETY: D1: it is on this list.
            unsafe { list.cursor_mut_from_ptr(core::ptr::from_ref(&dwork.work)) }.remove();
        });
        // ORDERING: as in `insert`.
        dwork.flags.store(0, Relaxed);
        // ORDERING: AcqRel: as in `Queue::unlink`: the remover owns the work from here.
        let transit = State::Transit { depth: 0 }.word_from(dwork.work.load().0);
        dwork.work.data.swap(transit, AcqRel);
    }
}

/// What `flags` of an item say while it is in the tree of `level`.
const fn linked(level: TimerLevel) -> u32 {
    match level {
        TimerLevel::Passive => 1,
        TimerLevel::Dispatch => 2,
    }
}

/// The level of the tree that an item is in; `None` if it is on its way into one or out of it.
fn level_of(dwork: &delayed_work) -> Option<TimerLevel> {
    // ORDERING: a hint; whoever acts on it looks again under the tree's lock.
    let flags = dwork.flags.load(Relaxed);
    TimerLevel::ALL
        .into_iter()
        .find(|level| linked(*level) == flags)
}

/// The queue that a delayed work goes to.
///
/// # Safety
///
/// The caller owns the pending item or holds the lock that says where it is, and is raised.
pub(super) unsafe fn target<'a, B: Backend>(dwork: &delayed_work) -> &'a Queue<B> {
    // ORDERING: written by the owner before it linked the node.
    let queue = dwork.wq.load(Relaxed).cast::<Queue<B>>();
    // SAFETY: Q4: an armed delayed work counts in its queue's `armed`, which destroy waits for.
    unsafe { &*queue }
}

/// Links a work that was taken from a tree, and owned since, to its queue.
///
/// It counts in `armed` until it is linked: destroy looks at `armed` first and at the lists second,
/// so it sees a work on its way by the one look or by the other.
pub(super) fn link_armed<B: Backend>(
    runtime: &Runtime<B>,
    queue: &Queue<B>,
    dwork: &delayed_work,
    calls_worker: bool,
    raised: &Raised<B>,
    deferred: &mut Deferred<B>,
) {
    // ORDERING: written by the owner before it linked the node.
    let at = match dwork.cpu.load(Relaxed) {
        ANY_CPU => At::here(raised),
        cpu => At {
            cpu: cpu.cast_unsigned(),
            pin: true,
        },
    };
    let at = runtime.beside_its_run(queue, &dwork.work, at, raised);
    queue.link(&dwork.work, at, calls_worker, raised, deferred);
    // ORDERING: a count; the grace period of destroy orders it.
    queue.armed.fetch_sub(1, Relaxed);
}

impl<B: Backend> Runtime<B> {
    /// The tree of `level`.
    pub(super) fn timers_of(&self, level: TimerLevel) -> &Locked<Timers> {
        &self.timers[level as usize]
    }

    /// Puts a work whose place is Timer, and whose node is not linked, into the tree of its queue.
    pub(super) fn arm(
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
        let level = queue.timer_level();
        let mut timers = self.timers_of(level).lock(raised);
        // Whoever finds the item by the work alone finds the whole again by its address.
        core::ptr::from_ref(dwork).expose_provenance();
        timers.insert(dwork, queue);
        deferred.timers[level as usize] |= timers.is_late();
    }

    /// Takes an armed work out of its tree if its word still is `word`. The caller owns it then,
    /// and it does not count in its queue's `armed` any more.
    pub(crate) fn disarm(&self, dwork: &delayed_work, word: u64, raised: &Raised<B>) -> bool {
        let taken = self.take_from_tree(dwork, word, raised);
        if taken {
            // ORDERING: a count; the grace period of destroy orders it.
            // SAFETY: we own the item, and it counts in `armed` until now.
            unsafe { target::<B>(dwork) }.armed.fetch_sub(1, Relaxed);
        }
        taken
    }

    /// As [`Self::disarm`], but the work still counts in its queue's `armed`.
    pub(super) fn take_from_tree(
        &self,
        dwork: &delayed_work,
        word: u64,
        raised: &Raised<B>,
    ) -> bool {
        // Timer without a tree is on its way into one.
        let Some(level) = level_of(dwork) else {
            return false;
        };
        let mut timers = self.timers_of(level).lock(raised);
        let linked = dwork.work.load().0 == word && level_of(dwork) == Some(level);
        if linked {
            timers.remove::<B>(dwork);
        }
        linked
    }

    /// Arms the timer of `level` for the earliest deadline, as long as that is earlier than it is
    /// armed for. IRQL: = DISPATCH.
    pub(crate) fn program_timer(&self, level: TimerLevel) {
        loop {
            let earliest = {
                let raised = Raised::<B>::new();
                let mut timers = self.timers_of(level).lock(&raised);
                if !timers.is_late() {
                    return;
                }
                timers.programming = true;
                timers.armed_for = timers.earliest();
                timers.armed_for
            };
            // T-15: zero is an absolute time in 1601; the least relative time is one unit.
            let due_100ns = earliest.saturating_sub(B::now_100ns()).max(1);
            self.backend.timer_start(level, due_100ns);
            let raised = Raised::<B>::new();
            self.timers_of(level).lock(&raised).programming = false;
        }
    }

    /// The callback of the passive-level timer. IRQL: = PASSIVE.
    pub(crate) fn passive_timer_callback(&self) {
        self.timer_fired(TimerLevel::Passive);
        let worker = pin!(Worker::new(B::thread()));
        let mine = self.queue_due(TimerLevel::Passive, Some(worker.as_ref()));
        self.program_again(TimerLevel::Passive);
        if let Some(queue) = mine {
            self.work(queue, worker.as_ref());
        }
    }

    /// The callback of the dispatch-level timer. IRQL: = DISPATCH.
    pub(crate) fn dispatch_timer_callback(&self) {
        self.timer_fired(TimerLevel::Dispatch);
        self.queue_due(TimerLevel::Dispatch, None);
        self.look_after_queues();
        self.program_again(TimerLevel::Dispatch);
    }

    /// The timer of `level` is not armed any more.
    fn timer_fired(&self, level: TimerLevel) {
        // ORDERING: a counter; nothing is read on the strength of it.
        self.timer_callbacks.fetch_add(1, Relaxed);
        let raised = Raised::<B>::new();
        self.timers_of(level).lock(&raised).armed_for = NEVER;
    }

    fn program_again(&self, level: TimerLevel) {
        let mut deferred = Deferred::new();
        deferred.timers[level as usize] = true;
        deferred.deliver(self, Raised::new());
    }

    /// Moves everything that is due in the tree of `level` to its queue. `worker` enters the first
    /// queue, which is returned: the caller serves it. At DISPATCH, where there is none, it ends
    /// early if the DPC has taken long (D-25); the timer then fires again.
    fn queue_due(&self, level: TimerLevel, worker: Option<Pin<&Worker>>) -> Option<&Queue<B>> {
        let mut mine = None;
        loop {
            if worker.is_none() && B::should_yield() {
                return None;
            }
            let raised = Raised::<B>::new();
            let mut deferred = Deferred::new();
            let now = B::now_100ns();
            let due = {
                let mut timers = self.timers_of(level).lock(&raised);
                if timers.due() > now {
                    return mine;
                }
                let Some(dwork) = timers.tree.front().clone_pointer() else {
                    return mine;
                };
                timers.remove::<B>(&dwork);
                UnsafeRef::into_raw(dwork)
            };
            // SAFETY: W1: we own the pending item, so the driver keeps it.
            let due = unsafe { &*due };
            // SAFETY: as above.
            let queue = unsafe { target::<B>(due) };
            if let Some(worker) = worker
                && mine.is_none()
            {
                queue.enter(worker, Entrance::Guest, &raised);
                mine = Some(queue);
            }
            let calls_worker = !mine.is_some_and(|first| core::ptr::eq(first, queue));
            link_armed(self, queue, due, calls_worker, &raised, &mut deferred);
            deferred.deliver(self, raised);
        }
    }

    /// Makes the delayed works that are armed for `queue` due now; how many there were. For
    /// destroy. IRQL: <= DISPATCH.
    pub(crate) fn expire_armed(&self, queue: &Queue<B>) -> u32 {
        let level = queue.timer_level();
        self.expire(level, "destroy_workqueue", |timers| {
            let work = queue.armed_list(timers, |list| list.front().clone_pointer())?;
            // Only a delayed work is ever armed, and its work is its first member; `arm` has exposed
            // the whole.
            let address = UnsafeRef::into_raw(work).addr();
            let dwork = core::ptr::with_exposed_provenance::<delayed_work>(address);
            // SAFETY: D1: it is in the tree whose lock is held.
            Some(unsafe { UnsafeRef::from_raw(dwork) })
        })
    }

    /// As [`Self::expire_armed`] for all queues, at detach.
    pub(crate) fn expire_all(&self) -> u32 {
        let expire = |level| {
            self.expire(level, "detach", |timers| {
                timers.tree.front().clone_pointer()
            })
        };
        TimerLevel::ALL.into_iter().map(expire).sum()
    }

    /// Takes out of the tree of `level` what `next` finds there, until it finds no more, and queues
    /// it.
    fn expire(
        &self,
        level: TimerLevel,
        call: &'static str,
        next: impl Fn(&mut Timers) -> Option<UnsafeRef<delayed_work>>,
    ) -> u32 {
        let mut count = 0;
        loop {
            let raised = Raised::<B>::new();
            let mut deferred = Deferred::new();
            let found = {
                let mut timers = self.timers_of(level).lock(&raised);
                let Some(dwork) = next(&mut timers) else {
                    return count;
                };
                timers.remove::<B>(&dwork);
                UnsafeRef::into_raw(dwork)
            };
            // SAFETY: W1: we own the pending item, so the driver keeps it.
            let dwork = unsafe { &*found };
            raised.say(Report::of(Diagnostic::ArmedAtEnd, &dwork.work, call));
            // SAFETY: as above.
            let queue = unsafe { target::<B>(dwork) };
            link_armed(self, queue, dwork, true, &raised, &mut deferred);
            deferred.deliver(self, raised);
            count += 1;
        }
    }
}
