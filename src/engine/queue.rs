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
//! - **Q1** When the queue's lock is released and a sub-queue has a work that `max_active` allows
//!   to start, then the queue is kicked, or a worker is *looking*: inside, between two works, and
//!   about to claim. A claim that leaves a startable work behind kicks in turn. So each kick stands
//!   for one claim, and a burst of works costs at most `max_active` kicks as long as none of them
//!   ends.
//! - **Q2** `active` of a sub-queue counts the works that were claimed from it and are not
//!   complete, held ones included; it never exceeds `max_active`.
//! - **Q3** `total` and the colours count the works that are linked or active: `total == 0` means
//!   that the queue is empty.
//! - **Q4** A queue is freed only after it is empty, no worker is inside, and a grace period has
//!   passed in which every kick was delivered and every raised section that may know its address
//!   has ended.

use core::cell::Cell;
use core::pin::Pin;

use intrusive_collections::{LinkedList, LinkedListLink, UnsafeRef, intrusive_adapter};

use super::backend::Backend;
use super::flush::Colours;
use super::item::work_struct;
use super::locked::{Locked, Raised};
use super::wait::{Deferred, Waiters};
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
intrusive_adapter!(
    /// Links a worker on the list of the queue that it serves.
    pub(crate) WorkerAdapter = UnsafeRef<Worker>: Worker { link => LinkedListLink }
);

/// A workqueue. Allocated with its sub-queues behind it, see [`Queue::layout`].
#[repr(C, align(256))]
pub(crate) struct Queue<B: Backend> {
    /// On the runtime's list; guarded by that list's lock.
    pub(crate) link: LinkedListLink,
    /// On a list of kicks; the `kicked` flag makes its setter the owner.
    kick: LinkedListLink,
    /// Sub-queues: one, or one per CPU if bound.
    subs: u32,
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
    kicked: bool,
    /// Works linked or active (Q3).
    pub(crate) total: u32,
    /// Above zero only works of this queue may queue to it.
    pub(crate) draining: u32,
    /// Where the next claim begins to look.
    next_sub: usize,
    /// Sub-queues that have a work which `max_active` allows to start.
    startable: u32,
    /// Workers that are looking (Q1).
    looking: u32,
    pub(crate) colours: Colours<B>,
    workers: LinkedList<WorkerAdapter>,
    /// Callers that wait until the queue is empty and no worker is inside.
    pub(crate) idle_waiters: Waiters<B>,
}

/// One FIFO of a queue.
#[repr(C, align(256))]
pub(crate) struct SubQueue<B: Backend> {
    queue: *const Queue<B>,
    state: UnsafeCell<SubState>,
}

/// What the queue's lock guards of a sub-queue.
pub(crate) struct SubState {
    works: LinkedList<WorkAdapter>,
    active: u32,
    max_active: u32,
}

/// A thread that serves a queue, on that thread's stack.
pub(crate) struct Worker {
    link: LinkedListLink,
    thread: usize,
    /// Counted in its queue's `looking`.
    looks: Cell<bool>,
}

// SAFETY: a worker's link and flag are touched only under its queue's lock.
unsafe impl Sync for Worker {}

/// A work that left its sub-queue to be run: the runner owes a [`Queue::complete`].
pub(crate) struct Claim<B: Backend> {
    pub(crate) work: *mut work_struct,
    pub(crate) sub: *const SubQueue<B>,
    pub(crate) colour: u8,
}

impl Worker {
    /// The current thread, not yet inside a queue.
    pub(crate) fn new(thread: usize) -> Self {
        Self {
            link: LinkedListLink::new(),
            thread,
            looks: Cell::new(false),
        }
    }
}

impl<B: Backend> SubQueue<B> {
    /// The queue that this is a part of.
    pub(crate) fn queue(&self) -> &Queue<B> {
        // SAFETY: Q4: a sub-queue is part of its queue's allocation and as alive.
        unsafe { &*self.queue }
    }

    /// Changes the state, for whoever holds the queue's lock, and keeps `startable` right.
    fn update<R>(&self, lock: &mut QueueState<B>, f: impl FnOnce(&mut SubState) -> R) -> R {
        self.state.with_mut(|state| {
            // SAFETY: the unique borrow of the queue's state proves that the lock is held, and no
            // other reference to the sub-queue's state outlives its own `update`.
            let state = unsafe { &mut *state };
            let before = state.startable();
            let result = f(state);
            match (before, state.startable()) {
                (false, true) => lock.startable += 1,
                (true, false) => lock.startable -= 1,
                (false, false) | (true, true) => {}
            }
            result
        })
    }

    /// Whether a work may start, for whoever holds the queue's lock.
    fn startable(&self, _lock: &QueueState<B>) -> bool {
        // SAFETY: as in `update`; this reference ends here.
        self.state.with_mut(|state| unsafe { (*state).startable() })
    }
}

impl SubState {
    fn startable(&self) -> bool {
        self.active < self.max_active && !self.works.is_empty()
    }
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
    pub(crate) unsafe fn place(memory: *mut u8, name: &[u8], subs: u32, max_active: u32) {
        let mut kept = [0; NAME_MAX];
        let length = name.len().min(NAME_MAX);
        kept[..length].copy_from_slice(&name[..length]);
        let queue = Self {
            link: LinkedListLink::new(),
            kick: LinkedListLink::new(),
            subs,
            armed: AtomicU32::new(0),
            ending: AtomicBool::new(false),
            name: kept,
            work_item: UnsafeCell::new(None),
            state: Locked::new(QueueState {
                kicked: false,
                total: 0,
                draining: 0,
                next_sub: 0,
                startable: 0,
                looking: 0,
                colours: Colours::new(),
                workers: LinkedList::new(WorkerAdapter::NEW),
                idle_waiters: Waiters::default(),
            }),
        };
        let this = memory.cast::<Self>();
        // SAFETY: the caller gives writable and aligned bytes for the queue.
        unsafe { this.write(queue) };
        for index in 0..subs as usize {
            let state = SubState {
                works: LinkedList::new(WorkAdapter::NEW),
                active: 0,
                max_active,
            };
            let sub = SubQueue {
                queue: this,
                state: UnsafeCell::new(state),
            };
            // SAFETY: and for `subs` sub-queues behind it; 256 divides the queue's size.
            unsafe { this.add(1).cast::<SubQueue<B>>().add(index).write(sub) };
        }
    }

    /// The sub-queues.
    fn sub_queues(&self) -> &[SubQueue<B>] {
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

    /// Kicks the queue if it has a startable work and nobody is on the way (Q1).
    fn keep_kicked(&self, state: &mut QueueState<B>, deferred: &mut Deferred<B>) {
        if !state.kicked && state.looking == 0 && state.startable > 0 {
            state.kicked = true;
            deferred.kick(self);
        }
    }

    /// Links `work`, which the caller owns, at the tail of the sub-queue for `cpu`. `calls_worker`
    /// unless the caller is a worker of this queue that will look.
    pub(crate) fn link(
        &self,
        work: &work_struct,
        cpu: u32,
        calls_worker: bool,
        raised: &Raised<B>,
        deferred: &mut Deferred<B>,
    ) {
        let mut state = self.state.lock(raised);
        self.link_locked(&mut state, work, cpu);
        if calls_worker {
            self.keep_kicked(&mut state, deferred);
        }
    }

    /// As [`Self::link`], unless the queue is draining and `thread` is not one of its workers.
    pub(crate) fn try_link(
        &self,
        work: &work_struct,
        cpu: u32,
        thread: usize,
        raised: &Raised<B>,
        deferred: &mut Deferred<B>,
    ) -> bool {
        let mut state = self.state.lock(raised);
        if state.draining > 0 && !state.is_worker(thread) {
            return false;
        }
        self.link_locked(&mut state, work, cpu);
        self.keep_kicked(&mut state, deferred);
        true
    }

    fn link_locked(&self, state: &mut QueueState<B>, work: &work_struct, cpu: u32) {
        let sub = self.sub_for(cpu);
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
        };
        // ORDERING: Release publishes the link, and the caller's earlier stores, to whoever takes
        // the work; pairs with the Acquire of `work_struct::load` and the RMW of `claim`.
        work.data.swap(place.word(), Ordering::AcqRel);
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
        work.data
            .swap(State::Transit { depth: 0 }.word(), Ordering::AcqRel);
        self.leave_colour(&mut state, colour, deferred);
        true
    }

    /// Registers a worker. `kick_ends` if the queue's own work item brought it: from here on it is
    /// looking, and the next kick is a new one.
    pub(crate) fn enter(&self, worker: Pin<&Worker>, kick_ends: bool, raised: &Raised<B>) {
        let mut state = self.state.lock(raised);
        if kick_ends {
            state.kicked = false;
            state.looks(&worker, true);
        }
        // SAFETY: the worker is pinned on its thread's stack and leaves before that frame ends.
        state
            .workers
            .push_back(unsafe { UnsafeRef::from_raw(core::ptr::from_ref(worker.get_ref())) });
    }

    /// Takes the next work that `max_active` allows, for `worker`. If more could start, another
    /// worker is called.
    pub(crate) fn claim(
        &self,
        worker: Pin<&Worker>,
        cpu: u32,
        raised: &Raised<B>,
        deferred: &mut Deferred<B>,
    ) -> Option<Claim<B>> {
        let mut state = self.state.lock(raised);
        if state.startable == 0 {
            return None;
        }
        let subs = self.sub_queues();
        // Begin with this CPU's own works, then in turn, so that no CPU's works starve.
        let first = if self.subs > 1 && state.next_sub.is_multiple_of(2) {
            cpu as usize
        } else {
            state.next_sub
        };
        let index = (0..subs.len())
            .map(|step| (first + step) % subs.len())
            .find(|index| subs[*index].startable(&state))?;
        state.next_sub = state.next_sub.wrapping_add(1);
        let sub = &subs[index];
        let first = sub.update(&mut state, |inner| {
            inner.active += 1;
            inner.works.pop_front()
        });
        let work = UnsafeRef::into_raw(first?);
        // SAFETY: W1: a linked work is kept in place by its driver, and we own it from here.
        let word = unsafe { &(*work).data };
        // ORDERING: AcqRel: as in `unlink`.
        let State::Queue { colour, .. } =
            State::of(word.swap(State::Transit { depth: 0 }.word(), Ordering::AcqRel))
        else {
            unreachable!("W1: a work on a sub-queue says so");
        };
        state.looks(&worker, false);
        self.keep_kicked(&mut state, deferred);
        Some(Claim { work, sub, colour })
    }

    /// Ends a claim: its place under `max_active` is free. `looks` is the caller if it is a worker
    /// of this queue that will claim or leave next.
    pub(crate) fn complete(
        &self,
        claim: &Claim<B>,
        looks: Option<Pin<&Worker>>,
        raised: &Raised<B>,
        deferred: &mut Deferred<B>,
    ) {
        let mut state = self.state.lock(raised);
        // SAFETY: Q4: the claim counts in `total` until now, so the queue is alive.
        let sub = unsafe { &*claim.sub };
        sub.update(&mut state, |inner| inner.active -= 1);
        self.leave_colour(&mut state, claim.colour, deferred);
        if let Some(worker) = looks {
            state.looks(&worker, true);
        }
        self.keep_kicked(&mut state, deferred);
    }

    /// Takes one work out of the counts, and wakes those who waited for it.
    fn leave_colour(&self, state: &mut QueueState<B>, colour: u8, deferred: &mut Deferred<B>) {
        state.total -= 1;
        state.colours.leave(colour, &mut deferred.woken);
        self.wake_if_idle(state, deferred);
    }

    fn wake_if_idle(&self, state: &mut QueueState<B>, deferred: &mut Deferred<B>) {
        if state.is_idle() {
            deferred
                .woken
                .back_mut()
                .splice_after(state.idle_waiters.take());
        }
    }

    /// Unregisters a worker. If works are left, another one is called.
    ///
    /// The queue may be freed once this returns, unless the caller has another hold on it.
    pub(crate) fn leave(
        &self,
        worker: Pin<&Worker>,
        raised: &Raised<B>,
        deferred: &mut Deferred<B>,
    ) {
        let mut state = self.state.lock(raised);
        // SAFETY: `enter` has put it on this list, and only its own thread takes it off.
        unsafe {
            state
                .workers
                .cursor_mut_from_ptr(core::ptr::from_ref(worker.get_ref()))
        }
        .remove();
        state.looks(&worker, false);
        self.keep_kicked(&mut state, deferred);
        self.wake_if_idle(&mut state, deferred);
    }
}

impl<B: Backend> QueueState<B> {
    /// Empty, and no worker inside.
    pub(crate) fn is_idle(&self) -> bool {
        self.total == 0 && self.workers.is_empty()
    }

    /// Counts `worker` as looking, or not (Q1).
    fn looks(&mut self, worker: &Worker, looks: bool) {
        match (worker.looks.replace(looks), looks) {
            (false, true) => self.looking += 1,
            (true, false) => self.looking -= 1,
            (false, false) | (true, true) => {}
        }
    }

    /// Whether `thread` is a worker of this queue now.
    pub(crate) fn is_worker(&self, thread: usize) -> bool {
        self.workers.iter().any(|worker| worker.thread == thread)
    }
}

static_assertions::const_assert!(SUB_QUEUE_ALIGN == 256);
