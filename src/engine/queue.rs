//! A workqueue: sub-queues of works, `max_active`, and one NT work item that brings workers.
//!
//! Linux keeps idle workers and wakes one. KMDF cannot lend a worker for long, but a WDFWORKITEM
//! that is enqueued again at the start of its own callback yields another worker at once (W-11,
//! W-12), so one object brings as many as are wanted: whoever leaves a startable work behind
//! *kicks* the queue, and every callback that finds more than it takes kicks it again before it
//! starts running.
//!
//! # Invariants
//!
//! - **Q1** (A `WQ_BH` queue has H1 of [`super::bottom_half`] instead.) When the queue's lock is released and a sub-queue has a work that `max_active` allows
//!   to start, and the queue is not frozen, then the queue is kicked, or a worker is *looking*: inside, between two works, and
//!   about to claim. (A kick that NT's pool does not answer is [`super::rescue`]'s.) A claim that leaves a startable work behind kicks in turn. So each kick stands
//!   for one claim, and a burst of works costs at most `max_active` kicks as long as none of them
//!   ends.
//! - **Q2** `active` of a sub-queue counts the works that were claimed from it and are not
//!   complete, held ones included; it grows only while it is below `max_active`. `active` of the
//!   queue is their sum; it does not grow while the queue is frozen.
//! - **Q3** `total` and the colours count the works that are linked or active: `total == 0` means
//!   that the queue is empty.
//! - **Q4** A queue is freed only after it is empty, no worker is inside, and a grace period has
//!   passed in which every kick was delivered and every raised section that may know its address
//!   has ended.

use core::pin::Pin;

use intrusive_collections::{LinkedList, LinkedListLink, UnsafeRef, intrusive_adapter};

use super::backend::{Backend, TimerLevel};
use super::claim::WorkerAdapter;
use super::diagnostic::{Diagnostic, Report};
use super::flush::Colours;
use super::item::work_struct;
use super::locked::{Locked, Raised};
use super::rescue::{Rescue, Rescuer};
use super::sub_queue::SubQueue;
use super::timers::Timers;
use super::wait::{Deferred, Waiter, Waiters};
use super::word::{SUB_QUEUE_ALIGN, State};
use crate::sync::{AtomicBool, AtomicU32, Ordering, UnsafeCell};

/// Longest name kept, as in Linux 6.12, without the terminator.
pub(crate) const NAME_MAX: usize = 31;

intrusive_adapter!(
    /// Links a work on a sub-queue by its `entry`.
    pub(crate) WorkAdapter = UnsafeRef<work_struct>: work_struct { entry => LinkedListLink }
);
intrusive_adapter!(
    /// Links a queue on a list of kicks.
    pub(crate) KickAdapter<B> = UnsafeRef<Queue<B>>: Queue<B> { kick => LinkedListLink } where B: Backend
);
intrusive_adapter!(
    /// Links a queue on the runtime's list.
    pub(crate) QueueAdapter<B> = UnsafeRef<Queue<B>>: Queue<B> { link => LinkedListLink } where B: Backend
);
/// What a queue is. The bits are those of Linux's `WQ_` flags.
pub(crate) mod flag {
    /// Works run as tasklets do.
    pub(crate) const BH: u32 = 1 << 0;
    /// One FIFO for all CPUs.
    pub(crate) const UNBOUND: u32 = 1 << 1;
    /// Stopped while the driver is frozen.
    pub(crate) const FREEZABLE: u32 = 1 << 2;
    /// Gets on when NT's pool brings no worker.
    pub(crate) const MEM_RECLAIM: u32 = 1 << 3;
    /// Works run before others.
    pub(crate) const HIGHPRI: u32 = 1 << 4;
    /// Works use the CPU for long.
    pub(crate) const CPU_INTENSIVE: u32 = 1 << 5;
    /// Visible in sysfs.
    pub(crate) const SYSFS: u32 = 1 << 6;
    /// Rather on a CPU that is awake than on the one that queues.
    pub(crate) const POWER_EFFICIENT: u32 = 1 << 7;
    /// Works run on the CPU that they are queued on, whatever [`Config`](crate::Config) says.
    pub(crate) const PERCPU: u32 = 1 << 8;
    /// One work at a time, in the order of queueing. Linux's `__WQ_ORDERED`.
    pub(crate) const ORDERED: u32 = 1 << 17;
    /// Made by one of the `create_` calls. Linux's `__WQ_LEGACY`.
    pub(crate) const LEGACY: u32 = 1 << 18;
    /// Never two instances of one work, whatever the image's rule. Not a bit of Linux's.
    pub(crate) const NON_REENTRANT: u32 = 1 << 24;
}

/// Where a work is to be linked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct At {
    /// The CPU whose sub-queue takes it, if the queue has one for each.
    pub(crate) cpu: u32,
    /// Whether it is to be run there too.
    pub(crate) pin: bool,
}

/// A workqueue. Allocated with its sub-queues behind it, see [`Queue::layout`].
#[repr(C, align(256))]
pub(crate) struct Queue<B: Backend> {
    /// On the runtime's list; guarded by that list's lock.
    pub(crate) link: LinkedListLink,
    /// On a list of kicks; the `kicked` flag makes its setter the owner.
    kick: LinkedListLink,
    /// On a rescuer's list (S2).
    pub(super) rescue_link: LinkedListLink,
    /// Its own, or the runtime's.
    pub(super) rescuer: UnsafeCell<*const Rescuer<B>>,
    /// Not started unless the queue is MEM_RECLAIM.
    pub(super) own_rescuer: Rescuer<B>,
    /// Delayed works that are in a deadline tree for this queue; guarded by that tree's lock (D1).
    armed_works: UnsafeCell<LinkedList<WorkAdapter>>,
    /// Sub-queues: one, or one per CPU if bound.
    pub(super) subs: u32,
    /// What was asked for, see [`flag`].
    flags: u32,
    /// Every work is pinned to its sub-queue's CPU.
    pins: bool,
    /// Delayed works whose timer will bring a work here.
    pub(crate) armed: AtomicU32,
    /// The queue is being destroyed: nothing is armed for it any more.
    pub(crate) ending: AtomicBool,
    name: [u8; NAME_MAX],
    work_item: UnsafeCell<Option<B::WorkItem>>,
    pub(crate) state: Locked<QueueState<B>>,
}

// SAFETY: the links and the work item are written before the queue is shared or under the lock that
// the field names; everything else is atomic or behind the queue's lock.
unsafe impl<B: Backend> Sync for Queue<B> {}

/// What the queue's lock guards.
pub(crate) struct QueueState<B: Backend> {
    /// The work item is enqueued, or about to be, and its callback has not started (Q1).
    pub(super) kicked: bool,
    /// What has been done about a kick that brings no worker.
    pub(super) rescue: Rescue,
    /// When a look called the rescuer, or found it called (S4).
    pub(super) called_since: Option<u64>,
    /// That the rescuer does not come has been said.
    pub(super) locked_up: bool,
    /// Works linked or active (Q3).
    pub(crate) total: u32,
    /// Works that were claimed and are not complete (Q2).
    pub(super) active: u32,
    /// Nothing is claimed, see [`super::freeze`].
    pub(super) frozen: bool,
    /// Callers that wait until nothing is active any more.
    pub(super) freezers: Waiters<B>,
    /// Above zero only works of this queue may queue to it.
    pub(crate) draining: u32,
    /// Where the next claim begins to look.
    pub(super) next_sub: usize,
    /// Sub-queues that have a work which `max_active` allows to start.
    pub(super) startable: u32,
    /// Workers that are looking (Q1).
    pub(super) looking: u32,
    /// Sub-queues that are listed (H1).
    pub(super) listed: u32,
    pub(crate) colours: Colours<B>,
    pub(super) workers: LinkedList<WorkerAdapter>,
    /// Callers that wait until the queue is empty and no worker is inside.
    pub(crate) idle_waiters: Waiters<B>,
}

impl<B: Backend> Queue<B> {
    /// Bytes of a queue with `subs` sub-queues.
    pub(crate) const fn size(subs: u32) -> usize {
        size_of::<Self>() + subs as usize * size_of::<SubQueue<B>>()
    }

    /// Writes a queue and its sub-queues into `memory`.
    ///
    /// # Safety
    ///
    /// `memory` is `Self::size(subs)` writable bytes, aligned to [`SUB_QUEUE_ALIGN`], that stay in
    /// place until the queue is gone.
    pub(crate) unsafe fn place(
        memory: *mut u8,
        name: &[u8],
        flags: u32,
        pins: bool,
        subs: u32,
        max_active: u32,
    ) {
        let mut kept = [0; NAME_MAX];
        let length = name.len().min(NAME_MAX);
        kept[..length].copy_from_slice(&name[..length]);
        let queue = Self {
            link: LinkedListLink::new(),
            kick: LinkedListLink::new(),
            rescue_link: LinkedListLink::new(),
            rescuer: UnsafeCell::new(core::ptr::null()),
            own_rescuer: Rescuer::new(),
            armed_works: UnsafeCell::new(LinkedList::new(WorkAdapter::NEW)),
            subs,
            flags,
            pins: pins && subs > 1,
            armed: AtomicU32::new(0),
            ending: AtomicBool::new(false),
            name: kept,
            work_item: UnsafeCell::new(None),
            state: Locked::new(QueueState {
                kicked: false,
                rescue: Rescue::NotSeen,
                called_since: None,
                locked_up: false,
                total: 0,
                active: 0,
                frozen: false,
                freezers: Waiters::default(),
                draining: 0,
                next_sub: 0,
                startable: 0,
                looking: 0,
                listed: 0,
                colours: Colours::new(),
                workers: LinkedList::new(WorkerAdapter::NEW),
                idle_waiters: Waiters::default(),
            }),
        };
        let this = memory.cast::<Self>();
        // SAFETY: the caller gives writable and aligned bytes for the queue.
        unsafe { this.write(queue) };
        for index in 0..subs {
            let sub = SubQueue::new(this, index, max_active);
            // SAFETY: and for `subs` sub-queues behind it; 256 divides the queue's size.
            unsafe {
                this.add(1)
                    .cast::<SubQueue<B>>()
                    .add(index as usize)
                    .write(sub)
            };
        }
    }

    /// The sub-queues.
    pub(super) fn sub_queues(&self) -> &[SubQueue<B>] {
        let first = core::ptr::from_ref(self)
            .wrapping_add(1)
            .cast::<SubQueue<B>>();
        // SAFETY: `place` wrote that many right behind the queue, in the same allocation.
        unsafe { core::slice::from_raw_parts(first, self.subs as usize) }
    }

    /// The sub-queue for a work queued on `cpu`.
    pub(crate) fn sub_for(&self, cpu: u32) -> &SubQueue<B> {
        let subs = self.sub_queues();
        // A CPU beyond the table (H-36) shares the first sub-queue.
        subs.get(cpu as usize).unwrap_or(&subs[0])
    }

    /// Whether a work that is linked at `at` is to be run on that CPU. A queue without a sub-queue for each CPU takes
    /// the CPU for a hint, as Linux does.
    pub(crate) fn minds_cpu(&self, at: At) -> bool {
        self.pins || (at.pin && self.subs > 1)
    }

    /// The level of the timer that its delayed works are on.
    pub(super) fn timer_level(&self) -> TimerLevel {
        if self.is(flag::MEM_RECLAIM | flag::BH) {
            TimerLevel::Dispatch
        } else {
            TimerLevel::Passive
        }
    }

    /// The list of armed works, for whoever holds the lock of the tree that they are in.
    pub(super) fn armed_list<R>(
        &self,
        _timers: &mut Timers,
        f: impl FnOnce(&mut LinkedList<WorkAdapter>) -> R,
    ) -> R {
        // SAFETY: the unique borrow of the tree proves that its lock is held (D1), and the reference
        // ends with this call.
        self.armed_works.with_mut(|list| f(unsafe { &mut *list }))
    }

    /// Whether it was made with `flag`, or with one of several.
    pub(crate) fn is(&self, flag: u32) -> bool {
        self.flags & flag != 0
    }

    /// The name, as bytes.
    pub(crate) fn name(&self) -> &[u8] {
        let end = self
            .name
            .iter()
            .position(|byte| *byte == 0)
            .unwrap_or(NAME_MAX);
        &self.name[..end]
    }

    /// Gives the queue its work item, before it is shared.
    pub(crate) fn set_work_item(&self, item: B::WorkItem) {
        // SAFETY: the queue is not shared yet, so nobody reads the cell.
        self.work_item
            .with_mut(|slot| unsafe { *slot = Some(item) });
    }

    /// The work item.
    pub(crate) fn work_item(&self) -> B::WorkItem {
        // SAFETY: written once, before the queue was shared.
        let item = self.work_item.with_mut(|slot| unsafe { *slot });
        item.expect("a queue is shared only once it has its work item")
    }

    /// Sees to it that a worker comes if there is a startable work and nobody is on the way (Q1).
    pub(super) fn keep_kicked(
        &self,
        state: &mut QueueState<B>,
        raised: &Raised<B>,
        deferred: &mut Deferred<B>,
    ) {
        if self.is(flag::BH) || state.looking > 0 || !state.may_start() {
            return;
        }
        if !state.kicked {
            state.kicked = true;
            // A rescuer that has been called comes all the same (S2).
            if state.rescue != Rescue::Called {
                state.rescue = Rescue::NotSeen;
            }
            deferred.kick(self);
        } else if state.rescue == Rescue::Starved {
            state.rescue = Rescue::Called;
            self.rescuer().call(self, raised, deferred);
        }
    }

    /// Links `work`, which the caller owns, at the tail of the sub-queue for `at`. `calls_worker`
    /// unless the caller is a worker of this queue that will look.
    pub(crate) fn link(
        &self,
        work: &work_struct,
        at: At,
        calls_worker: bool,
        raised: &Raised<B>,
        deferred: &mut Deferred<B>,
    ) {
        let mut state = self.state.lock(raised);
        self.link_locked(&mut state, work, at, raised, deferred);
        if calls_worker {
            self.keep_kicked(&mut state, raised, deferred);
        }
    }

    /// As [`Self::link`], unless the queue is draining and `thread` is not one of its workers.
    pub(crate) fn try_link(
        &self,
        work: &work_struct,
        at: At,
        thread: usize,
        raised: &Raised<B>,
        deferred: &mut Deferred<B>,
    ) -> bool {
        let mut state = self.state.lock(raised);
        if state.draining > 0 && !state.is_worker(thread) {
            return false;
        }
        self.link_locked(&mut state, work, at, raised, deferred);
        self.keep_kicked(&mut state, raised, deferred);
        true
    }

    fn link_locked(
        &self,
        state: &mut QueueState<B>,
        work: &work_struct,
        at: At,
        raised: &Raised<B>,
        deferred: &mut Deferred<B>,
    ) {
        if work.entry.is_linked() {
            raised.say(Report::of(Diagnostic::LinkOverwritten, work, "queue_work"));
        }
        let sub = self.sub_for(at.cpu);
        let colour = state.colours.enter();
        state.total += 1;
        // SAFETY: W1: the caller owns the work, so its link is on no list whatever its bytes say.
        unsafe { work.entry.force_unlink() };
        // SAFETY: the driver keeps a pending work in place, and it is unlinked before it is not.
        let handle = unsafe { UnsafeRef::from_raw(core::ptr::from_ref(work)) };
        sub.update(state, |inner| inner.works.push_back(handle));
        let place = State::Queue {
            sub: core::ptr::from_ref(sub).addr(),
            colour,
            pin: self.minds_cpu(at),
        };
        // ORDERING: Release publishes the link, and the caller's earlier stores, to whoever takes
        // the work; pairs with the Acquire of `work_struct::load` and the RMW of `claim`.
        work.data.swap(place.word(), Ordering::AcqRel);
        if self.is(flag::BH) {
            self.list(sub, state, deferred);
        }
    }

    /// Takes `work` off `sub` if its word still is `word`, which says that it is linked there. The
    /// caller owns it then.
    pub(crate) fn unlink(
        &self,
        sub: &SubQueue<B>,
        work: &work_struct,
        word: u64,
        colour: u8,
        raised: &Raised<B>,
        deferred: &mut Deferred<B>,
    ) -> bool {
        let mut state = self.state.lock(raised);
        if work.load().0 != word {
            return false;
        }
        sub.update(&mut state, |inner| {
            // SAFETY: the word is written under this lock, and it says that the work is on this
            // list.
            unsafe { inner.works.cursor_mut_from_ptr(core::ptr::from_ref(work)) }.remove()
        });
        // ORDERING: AcqRel: the owner sees what the linker published and hands it on.
        let transit = State::Transit { depth: 0 }.word_after(self.is(flag::BH), sub.cpu());
        work.data.swap(transit, Ordering::AcqRel);
        self.leave_colour(&mut state, colour, raised, deferred);
        true
    }

    /// Takes one work out of the counts, and wakes those who waited for it.
    pub(super) fn leave_colour(
        &self,
        state: &mut QueueState<B>,
        colour: u8,
        raised: &Raised<B>,
        deferred: &mut Deferred<B>,
    ) {
        state.total -= 1;
        state.colours.leave(colour, &mut deferred.woken);
        if state.total == 0 {
            self.dismiss_rescuer(state, raised);
        }
        self.wake_if_idle(state, deferred);
    }

    pub(super) fn wake_if_idle(&self, state: &mut QueueState<B>, deferred: &mut Deferred<B>) {
        if state.is_idle() {
            deferred
                .woken
                .back_mut()
                .splice_after(state.idle_waiters.take());
        }
    }
}

impl<B: Backend> QueueState<B> {
    /// Whether there is a work that a worker would be given.
    pub(super) fn may_start(&self) -> bool {
        self.startable > 0 && !self.frozen
    }

    /// Links `waiter` until the queue is idle; `false` if it is.
    pub(super) fn wait_for_idle(&mut self, waiter: Pin<&Waiter<B>>) -> bool {
        let waits = !self.is_idle();
        if waits {
            self.idle_waiters.push_back(waiter.handle());
        }
        waits
    }

    /// Empty, and no worker inside or called to be.
    pub(crate) fn is_idle(&self) -> bool {
        let inside = !self.workers.is_empty() || self.listed > 0 || self.rescue == Rescue::Called;
        self.total == 0 && !inside
    }
}

static_assertions::const_assert!(SUB_QUEUE_ALIGN == 256);
