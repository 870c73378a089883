//! What a drain runs, in the order in which it runs it.
//!
//! Linux serves the works of `WQ_BH` queues before the tasklets of the same priority, at most ten of
//! them before the tasklets get their turn. A CPU's list holds sub-queues, each at most once; a
//! sub-queue gives one work at a time, and goes to the end of the list if it has another.

use intrusive_collections::{LinkedList, LinkedListLink, UnsafeRef, intrusive_adapter};

use super::backend::Backend;
use super::item::tasklet_struct;
use super::queue::flag;
use super::sub_queue::SubQueue;
use crate::sync::Ordering::Relaxed;

/// Works of one priority in one round: Linux's BH_WORKER_RESTARTS.
const WORKS: u32 = 10;

intrusive_adapter!(
    /// Links a sub-queue on the list of its CPU.
    pub(crate) SubAdapter<B> = UnsafeRef<SubQueue<B>>: SubQueue<B> { listed => LinkedListLink } where B: Backend
);

/// A FIFO of tasklets through their `next`.
pub(crate) struct Fifo {
    head: *mut tasklet_struct,
    tail: *mut tasklet_struct,
}

// SAFETY: the tasklets on the list are `Sync`, and the list is behind a lock.
unsafe impl Send for Fifo {}

impl Fifo {
    const fn new() -> Self {
        Self {
            head: core::ptr::null_mut(),
            tail: core::ptr::null_mut(),
        }
    }

    fn push(&mut self, tasklet: &tasklet_struct) {
        let this = core::ptr::from_ref(tasklet).cast_mut();
        // ORDERING: the list's lock orders the links.
        tasklet.next.store(core::ptr::null_mut(), Relaxed);
        if self.tail.is_null() {
            self.head = this;
        } else {
            // SAFETY: T2: a linked tasklet has SCHED set, so its driver keeps it in place.
            unsafe { &*self.tail }.next.store(this, Relaxed);
        }
        self.tail = this;
    }

    fn pop(&mut self) -> Option<*mut tasklet_struct> {
        if self.head.is_null() {
            return None;
        }
        let first = self.head;
        // SAFETY: as in `push`. ORDERING: as there.
        self.head = unsafe { &*first }.next.load(Relaxed);
        if self.head.is_null() {
            self.tail = core::ptr::null_mut();
        }
        Some(first)
    }
}

/// What runs next.
pub(crate) enum Turn<B: Backend> {
    /// A work of this sub-queue, which whoever runs it puts back if it has another one.
    Work(UnsafeRef<SubQueue<B>>),
    /// A tasklet, whose SCHED is the drain's.
    Tasklet(*mut tasklet_struct),
}

/// The items of one priority.
struct Class<B: Backend> {
    works: LinkedList<SubAdapter<B>>,
    /// How many works have run.
    ran: u32,
    tasklets: Fifo,
}

impl<B: Backend> Class<B> {
    const fn new() -> Self {
        Self {
            works: LinkedList::new(SubAdapter::NEW),
            ran: 0,
            tasklets: Fifo::new(),
        }
    }

    fn pop(&mut self) -> Option<Turn<B>> {
        if self.ran < WORKS
            && let Some(sub) = self.works.pop_front()
        {
            self.ran += 1;
            return Some(Turn::Work(sub));
        }
        self.tasklets.pop().map(Turn::Tasklet)
    }

    /// Nothing of it is to be run in this round.
    fn is_over(&self) -> bool {
        self.tasklets.head.is_null() && (self.works.is_empty() || self.ran >= WORKS)
    }
}

/// The items of one round: high priority, then normal.
pub(crate) struct Round<B: Backend>([Class<B>; 2]);

impl<B: Backend> Round<B> {
    pub(crate) const fn new() -> Self {
        Self([Class::new(), Class::new()])
    }

    fn class(&mut self, hi: bool) -> &mut Class<B> {
        &mut self.0[usize::from(!hi)]
    }

    /// Adds a tasklet at the end.
    pub(super) fn push_tasklet(&mut self, tasklet: &tasklet_struct, hi: bool) {
        self.class(hi).tasklets.push(tasklet);
    }

    /// Adds a sub-queue at the end.
    pub(super) fn push_sub(&mut self, sub: UnsafeRef<SubQueue<B>>) {
        let hi = sub.queue().is(flag::HIGHPRI);
        self.class(hi).works.push_back(sub);
    }

    /// The next one.
    pub(super) fn pop(&mut self) -> Option<Turn<B>> {
        let [hi, normal] = &mut self.0;
        hi.pop().or_else(|| normal.pop())
    }

    /// Whether it has run what it may.
    pub(super) fn is_over(&self) -> bool {
        self.0.iter().all(Class::is_over)
    }

    /// Whether nothing is in it.
    pub(super) fn is_empty(&self) -> bool {
        self.0
            .iter()
            .all(|class| class.tasklets.head.is_null() && class.works.is_empty())
    }

    /// Gives the works that it may not run any more to the `next` round, before that one's own.
    pub(super) fn hand_on(&mut self, next: &mut Self) {
        for (mine, next) in self.0.iter_mut().zip(&mut next.0) {
            next.works.front_mut().splice_before(mine.works.take());
        }
    }
}
