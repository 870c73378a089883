//! Waiter records on the caller's stack, and the things to do once the locks are released.
//!
//! A blocking call links a [`Waiter`] somewhere under a lock and sleeps on its event. Whoever makes
//! the awaited thing true unlinks it under that lock, and signals it later, at DISPATCH at most:
//! `KeSetEvent` is not legal above (N-1). From an interrupt the signal is left to this CPU's DPC,
//! like the other calls that NT forbids there (H-9).
//!
//! # Invariants
//!
//! - **A1** From when it is linked until its event is set a waiter is on exactly one list, and its
//!   frame lives: its owner leaves only after the event, or after unlinking it under the list's
//!   lock.
//! - **A2** A waiter is taken off the last list before its event is set, and not touched after.

use core::cell::Cell;
use core::marker::PhantomPinned;
use core::pin::Pin;

use intrusive_collections::{LinkedList, LinkedListLink, UnsafeRef, intrusive_adapter};

use super::backend::{Backend, Irql, TimerLevel};
use super::item::work_struct;
use super::locked::Raised;
use super::queue::{KickAdapter, Queue};
use super::round::SubAdapter;
use super::runtime::Runtime;
use crate::sync::UnsafeCell;

/// One blocked caller.
pub(crate) struct Waiter<B: Backend> {
    link: LinkedListLink,
    /// Address of the item awaited, never followed; zero where the list says it all.
    pub(crate) address: usize,
    /// Function of the work awaited; null where the address says it all.
    pub(crate) func: *mut (),
    /// What exactly is awaited; the meaning belongs to the list that the waiter is on.
    pub(crate) limit: Cell<u64>,
    /// Whose it is.
    thread: usize,
    /// It was taken off its list because it waits for the end of its own thread's run, see
    /// [`super::oneself`].
    refused: Cell<bool>,
    event: UnsafeCell<B::Event>,
    _pinned: PhantomPinned,
}

// SAFETY: A1: after `prepare` a waiter's cells are touched only under the lock of the list that it
// is on, and by its owner when it is on none.
unsafe impl<B: Backend> Sync for Waiter<B> {}
// SAFETY: as above; the owner's frame outlives every use elsewhere.
unsafe impl<B: Backend> Send for Waiter<B> {}

intrusive_adapter!(
    /// Links a [`Waiter`].
    pub(crate) WaiterAdapter<B> = UnsafeRef<Waiter<B>>: Waiter<B> { link => LinkedListLink } where B: Backend
);

/// A list of waiters.
pub(crate) type Waiters<B> = LinkedList<WaiterAdapter<B>>;

impl<B: Backend> Waiter<B> {
    /// A waiter of this thread for the item at `address`.
    pub(crate) fn new(address: usize) -> Self {
        Self::with(address, core::ptr::null_mut())
    }

    /// A waiter for `work` with the function that it has now.
    pub(crate) fn for_work(work: &work_struct) -> Self {
        Self::with(core::ptr::from_ref(work).addr(), work.function())
    }

    fn with(address: usize, func: *mut ()) -> Self {
        Self {
            link: LinkedListLink::new(),
            address,
            func,
            limit: Cell::new(0),
            thread: B::thread(),
            refused: Cell::new(false),
            event: UnsafeCell::new(B::Event::default()),
            _pinned: PhantomPinned,
        }
    }

    /// Makes the event ready, before the waiter is linked. IRQL: any.
    pub(crate) fn prepare(self: Pin<&Self>) {
        // SAFETY: the event is pinned with the waiter and nobody else knows of it yet.
        self.event.with_mut(|event| unsafe { B::event_init(event) });
    }

    /// A reference for a list. The list, or whoever pops it, must stop using it before the event is
    /// set (A2).
    pub(crate) fn handle(self: Pin<&Self>) -> UnsafeRef<Self> {
        // SAFETY: A1: the pinned frame outlives every use of the reference.
        unsafe { UnsafeRef::from_raw(core::ptr::from_ref(self.get_ref())) }
    }

    /// Blocks until somebody took this waiter off its list and woke it. IRQL: <= APC.
    pub(crate) fn wait(self: Pin<&Self>) {
        // SAFETY: `prepare` has initialised the event.
        self.event.with_mut(|event| unsafe { B::event_wait(event) });
    }

    /// Blocks as [`Self::wait`] does; `false` if the wait was refused.
    pub(crate) fn wait_unless_refused(self: Pin<&Self>) -> bool {
        self.wait();
        !self.refused.get()
    }

    /// Refuses the wait if it is one of `thread`. Whoever holds the list's lock takes it off then.
    pub(super) fn refuse(&self, thread: usize) -> bool {
        let refused = self.thread == thread;
        if refused {
            self.refused.set(true);
        }
        refused
    }

    /// Takes the waiter off `list`, on which it is.
    pub(crate) fn unlink(self: Pin<&Self>, list: &mut Waiters<B>) {
        // SAFETY: the caller holds the list's lock and knows that the waiter is on this list.
        unsafe { list.cursor_mut_from_ptr(core::ptr::from_ref(self.get_ref())) }.remove();
    }
}

/// Moves every waiter of `list` for which `ready` holds to `woken`.
pub(crate) fn take_ready<B: Backend>(
    list: &mut Waiters<B>,
    woken: &mut Waiters<B>,
    mut ready: impl FnMut(&Waiter<B>) -> bool,
) {
    let mut cursor = list.front_mut();
    while let Some(waiter) = cursor.get() {
        if ready(waiter) {
            if let Some(waiter) = cursor.remove() {
                woken.push_back(waiter);
            }
        } else {
            cursor.move_next();
        }
    }
}

/// Signals every waiter of `woken`. IRQL: <= DISPATCH.
pub(crate) fn wake<B: Backend>(woken: &mut Waiters<B>) {
    while let Some(waiter) = woken.pop_front() {
        // SAFETY: A2: it is off every list, its frame lives until this call sets the event, and
        // `waiter` is not used after.
        waiter
            .event
            .with_mut(|event| unsafe { B::event_set(event) });
    }
}

/// Calls down that must wait until the locks are released and the IRQL is DISPATCH or less.
pub(crate) struct Deferred<B: Backend> {
    /// To be signalled.
    pub(crate) woken: Waiters<B>,
    /// Whose work item is to be enqueued.
    pub(crate) kicks: LinkedList<KickAdapter<B>>,
    /// Sub-queues that are to be put on the list of their CPU: before the section ends (H1).
    pub(crate) subs: LinkedList<SubAdapter<B>>,
    /// Which timers may have to be armed earlier, by level.
    pub(crate) timers: [bool; 2],
}

impl<B: Backend> Deferred<B> {
    /// Nothing to do.
    pub(crate) const fn new() -> Self {
        Self {
            woken: LinkedList::new(WaiterAdapter::NEW),
            kicks: LinkedList::new(KickAdapter::NEW),
            subs: LinkedList::new(SubAdapter::NEW),
            timers: [false; 2],
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.woken.is_empty()
            && self.kicks.is_empty()
            && self.subs.is_empty()
            && self.timers == [false; 2]
    }

    /// Adds `queue` to the kicks. Its `kicked` flag, which the caller has just set under the
    /// queue's lock, makes it a member of one list at most.
    pub(crate) fn kick(&mut self, queue: &Queue<B>) {
        // SAFETY: Q4: a kicked queue stays until a grace period after its kick was delivered.
        self.kicks
            .push_back(unsafe { UnsafeRef::from_raw(core::ptr::from_ref(queue)) });
    }

    /// Ends the raised section and does what was put off: here, if the caller came from DISPATCH or
    /// below, else in this CPU's DPC.
    #[inline(always)]
    pub(crate) fn deliver(self, runtime: &Runtime<B>, raised: Raised<B>) {
        if self.is_empty() {
            drop(raised);
        } else {
            self.deliver_some(runtime, raised);
        }
    }

    #[inline(never)]
    fn deliver_some(mut self, runtime: &Runtime<B>, raised: Raised<B>) {
        while let Some(sub) = self.subs.pop_front() {
            runtime.list_sub(sub, &raised);
        }
        if self.is_empty() {
            drop(raised);
        } else if raised.from() <= Irql::DISPATCH {
            raised.finish_at_dispatch(|| self.perform(runtime));
        } else {
            runtime.defer_to_dpc(self, &raised);
        }
    }

    /// Appends `other`.
    pub(crate) fn append(&mut self, mut other: Self) {
        debug_assert!(other.subs.is_empty(), "sub-queues are listed at once");
        self.woken.back_mut().splice_after(other.woken.take());
        self.kicks.back_mut().splice_after(other.kicks.take());
        for (mine, other) in self.timers.iter_mut().zip(other.timers) {
            *mine |= other;
        }
    }

    /// Makes the calls. IRQL: = DISPATCH.
    ///
    /// The wakes come last: one of them may end a grace period, and what was put off before that
    /// period began is done within it (G1, Q4).
    pub(crate) fn perform(&mut self, runtime: &Runtime<B>) {
        let kicked = !self.kicks.is_empty();
        while let Some(queue) = self.kicks.pop_front() {
            runtime.backend.work_item_enqueue(queue.work_item());
        }
        if kicked {
            runtime.ask_for_look();
        }
        for level in TimerLevel::ALL {
            if core::mem::take(&mut self.timers[level as usize]) {
                runtime.program_timer(level);
            }
        }
        wake(&mut self.woken);
    }
}
