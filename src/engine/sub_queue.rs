//! A sub-queue: one FIFO of a queue, and how many of its works may run at once.
//!
//! The invariants are those of [`super::queue`].

use intrusive_collections::{LinkedList, LinkedListLink};

use super::backend::Backend;
use super::queue::{Queue, QueueState, WorkAdapter};
use crate::sync::UnsafeCell;

/// One FIFO of a queue.
#[repr(C, align(256))]
pub(crate) struct SubQueue<B: Backend> {
    queue: *const Queue<B>,
    /// Its place among the queue's, which is its CPU if the queue has one for each.
    index: u32,
    /// On the list of its CPU, if the queue is a bottom-half one (H1).
    pub(super) listed: LinkedListLink,
    state: UnsafeCell<SubState>,
}

/// What the queue's lock guards of a sub-queue.
pub(crate) struct SubState {
    pub(super) works: LinkedList<WorkAdapter>,
    pub(super) active: u32,
    pub(super) max_active: u32,
    /// It is on the list of its CPU, or with the drain there, or on its way (H1).
    pub(super) is_listed: bool,
}

impl<B: Backend> SubQueue<B> {
    /// Sub-queue `index` of `queue`, empty.
    pub(super) const fn new(queue: *const Queue<B>, index: u32, max_active: u32) -> Self {
        Self {
            queue,
            index,
            listed: LinkedListLink::new(),
            state: UnsafeCell::new(SubState {
                works: LinkedList::new(WorkAdapter::NEW),
                active: 0,
                max_active,
                is_listed: false,
            }),
        }
    }

    /// The queue that this is a part of.
    pub(crate) fn queue(&self) -> &Queue<B> {
        // SAFETY: Q4: a sub-queue is part of its queue's allocation and as alive.
        unsafe { &*self.queue }
    }

    /// The CPU whose works it takes.
    pub(crate) fn cpu(&self) -> u32 {
        self.index
    }

    /// Changes the state, for whoever holds the queue's lock, and keeps `startable` right.
    pub(super) fn update<R>(
        &self,
        lock: &mut QueueState<B>,
        f: impl FnOnce(&mut SubState) -> R,
    ) -> R {
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

    /// Whether works wait for others to end, for whoever holds the queue's lock.
    pub(super) fn congested(&self, _lock: &QueueState<B>) -> bool {
        // SAFETY: as in `update`; this reference ends here.
        self.state.with_mut(|state| unsafe { (*state).congested() })
    }

    /// Whether so many active works alone keep the others from starting, for whoever holds the queue's
    /// lock.
    pub(super) fn is_full_of(&self, active: u32, _lock: &QueueState<B>) -> bool {
        self.state.with_mut(|state| {
            // SAFETY: as in `update`; this reference ends here.
            let state = unsafe { &*state };
            state.active == active && state.active >= state.max_active
        })
    }

    /// Whether a work may start, for whoever holds the queue's lock.
    pub(super) fn startable(&self, _lock: &QueueState<B>) -> bool {
        // SAFETY: as in `update`; this reference ends here.
        self.state.with_mut(|state| unsafe { (*state).startable() })
    }
}

impl SubState {
    fn startable(&self) -> bool {
        self.active < self.max_active && !self.works.is_empty()
    }

    /// Whether there are more works than may start now. Linux counts a work as active from when it is
    /// queued, so those that only wait for a worker do not count.
    fn congested(&self) -> bool {
        let free = self.max_active.saturating_sub(self.active) as usize;
        self.works.iter().nth(free).is_some()
    }
}
