//! Workers of a queue, and the works that they claim from it.
//!
//! The invariants are those of [`super::queue`].

use core::cell::Cell;
use core::pin::Pin;

use intrusive_collections::{LinkedListLink, UnsafeRef, intrusive_adapter};

use super::backend::Backend;
use super::item::work_struct;
use super::locked::Raised;
use super::queue::{Queue, QueueState};
use super::rescue::Rescue;
use super::sub_queue::SubQueue;
use super::wait::Deferred;
use super::word::State;
use crate::sync::Ordering;

intrusive_adapter!(
    /// Links a worker on the list of the queue that it serves.
    pub(crate) WorkerAdapter = UnsafeRef<Worker>: Worker { link => LinkedListLink }
);

/// A thread that serves a queue, on that thread's stack.
pub(crate) struct Worker {
    link: LinkedListLink,
    thread: usize,
    /// Counted in its queue's `looking`.
    looks: Cell<bool>,
    /// It is a rescuer's thread.
    rescues: bool,
}

// SAFETY: a worker's link and flag are touched only under its queue's lock.
unsafe impl Sync for Worker {}

/// A work that left its sub-queue to be run: the runner owes a [`Queue::complete`].
pub(crate) struct Claim<B: Backend> {
    pub(crate) work: *mut work_struct,
    pub(crate) sub: *const SubQueue<B>,
    pub(crate) colour: u8,
    /// It is to be run on the sub-queue's CPU.
    pub(crate) pin: bool,
}

/// How a worker comes to a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Entrance {
    /// The queue's work item brought it: from here on it is looking, and the next kick is a new one.
    Kick,
    /// It is the rescuer, and looking.
    Rescue,
    /// It brings a work along: the timer's callback, or a worker with a twin.
    Guest,
}

impl Worker {
    /// The current thread, not yet inside a queue.
    pub(crate) fn new(thread: usize) -> Self {
        Self {
            link: LinkedListLink::new(),
            thread,
            looks: Cell::new(false),
            rescues: false,
        }
    }

    /// As [`Self::new`], if that is a rescuer's.
    pub(crate) fn rescuer(thread: usize) -> Self {
        Self {
            rescues: true,
            ..Self::new(thread)
        }
    }
}

impl<B: Backend> Queue<B> {
    /// Registers a worker.
    pub(crate) fn enter(&self, worker: Pin<&Worker>, entrance: Entrance, raised: &Raised<B>) {
        let mut state = self.state.lock(raised);
        match entrance {
            Entrance::Kick => {
                state.kicked = false;
                self.dismiss_rescuer(&mut state, raised);
                // A rescuer that has taken the queue already comes all the same (S2).
                if state.rescue != Rescue::Called {
                    state.rescue = Rescue::NotSeen;
                }
                state.looks(&worker, true);
            }
            Entrance::Rescue => {
                state.rescue = state.without_rescuer();
                state.looks(&worker, true);
            }
            Entrance::Guest => {}
        }
        state.add_worker(worker);
    }

    /// Takes the next work that `max_active` allows, for `worker`, which is `pinned` to a CPU or not.
    /// If more could start, another worker is called.
    pub(crate) fn claim(
        &self,
        worker: Pin<&Worker>,
        pinned: Option<u32>,
        raised: &Raised<B>,
        deferred: &mut Deferred<B>,
    ) -> Option<Claim<B>> {
        let cpu = pinned.unwrap_or_else(B::cpu);
        let mut state = self.state.lock(raised);
        if !state.may_start() {
            return None;
        }
        let subs = self.sub_queues();
        // A pinned worker would pay for another CPU's works with a move; it serves one batch only.
        // Others begin with this CPU's own works, then in turn, so that no CPU's works starve.
        let near = pinned.is_some() || state.next_sub.is_multiple_of(2);
        let first = if self.subs > 1 && near {
            cpu as usize
        } else {
            state.next_sub / 2
        };
        let index = (0..subs.len())
            .map(|step| (first + step) % subs.len())
            .find(|index| subs[*index].startable(&state))?;
        // Only who has the choice takes a turn: a pinned batch makes an even number of claims, so
        // that its turns would always fall to the near ones.
        if pinned.is_none() {
            state.next_sub = state.next_sub.wrapping_add(1);
        }
        let sub = &subs[index];
        let claim = self.take_first(sub, &mut state);
        state.looks(&worker, false);
        self.keep_kicked(&mut state, raised, deferred);
        claim
    }

    /// Takes the first work of `sub`, which is startable.
    pub(super) fn take_first(
        &self,
        sub: &SubQueue<B>,
        state: &mut QueueState<B>,
    ) -> Option<Claim<B>> {
        let first = sub.update(state, |inner| {
            inner.active += 1;
            inner.works.pop_front()
        });
        let work = UnsafeRef::into_raw(first?);
        state.active += 1;
        // SAFETY: W1: a linked work is kept in place by its driver, and we own it from here.
        let word = unsafe { &(*work).data };
        // ORDERING: AcqRel: as in `unlink`.
        let State::Queue { colour, pin, .. } =
            State::of(word.swap(State::Transit { depth: 0 }.word(), Ordering::AcqRel))
        else {
            unreachable!("W1: a work on a sub-queue says so");
        };
        Some(Claim {
            work,
            sub,
            colour,
            pin,
        })
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
        state.active -= 1;
        if state.active == 0 {
            let freezers = state.freezers.take();
            deferred.woken.back_mut().splice_after(freezers);
        }
        self.leave_colour(&mut state, claim.colour, raised, deferred);
        if let Some(worker) = looks {
            state.looks(&worker, true);
        }
        self.keep_kicked(&mut state, raised, deferred);
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
        state.remove_worker(worker);
        self.keep_kicked(&mut state, raised, deferred);
        self.wake_if_idle(&mut state, deferred);
    }
}

impl<B: Backend> QueueState<B> {
    /// Puts `worker` on the list of those that are inside.
    pub(super) fn add_worker(&mut self, worker: Pin<&Worker>) {
        // SAFETY: the worker is pinned on its stack and leaves before that frame ends.
        self.workers
            .push_back(unsafe { UnsafeRef::from_raw(core::ptr::from_ref(worker.get_ref())) });
    }

    /// Takes `worker` off that list.
    pub(super) fn remove_worker(&mut self, worker: Pin<&Worker>) {
        // SAFETY: `add_worker` has put it on this list, and only its own thread takes it off.
        unsafe {
            self.workers
                .cursor_mut_from_ptr(core::ptr::from_ref(worker.get_ref()))
        }
        .remove();
        self.looks(&worker, false);
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

    /// Whether `thread` is a rescuer that serves this queue now.
    pub(crate) fn is_rescuer(&self, thread: usize) -> bool {
        self.workers
            .iter()
            .any(|worker| worker.thread == thread && worker.rescues)
    }
}
