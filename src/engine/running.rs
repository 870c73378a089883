//! Which works run now, and who waits for them.
//!
//! A work may be freed inside its own function, so nothing about a run can live in the work. A
//! worker keeps a [`Slot`] on its own stack instead, in a table sharded by the work's address;
//! flushes and synchronous cancels leave a [`Waiter`] there.
//!
//! # Invariants
//!
//! - **R1** PENDING of a work is cleared in the same locked section in which its slot appears:
//!   under the shard's lock a work is pending or running, never in between.
//! - **R2** Instances that start in a shard are numbered. A waiter waits for the instances of its
//!   address and function up to a number; while the work that it waits for is only queued, that number is
//!   [`QUEUED`], and whoever starts or cancels the work replaces it in the locked section in which
//!   the work stops being pending.
//! - **R3** Under Linux's rule since 3.7 at most one slot has a given address and function. A work
//!   whose twin runs is held in the twin's slot and run by the same worker, next; if a reentrant
//!   queue has started more twins, by the worker of the last one to end. The address alone
//!   is no identity: a function may run on when the memory of its work is another work (B-59).

use core::cell::Cell;
use core::marker::PhantomPinned;
use core::pin::Pin;

use intrusive_collections::{LinkedList, LinkedListLink, UnsafeRef, intrusive_adapter};

use super::backend::Backend;
use super::bottom_half::{ANY_DRAIN, is_drain};
use super::claim::Claim;
use super::item::work_struct;
use super::locked::{Locked, Raised};
use super::queue::flag;
use super::sub_queue::SubQueue;
use super::wait::{Waiter, Waiters, take_ready};
use super::word::State;
use crate::sync::Ordering;

/// Limit of a waiter whose work has not started (R2).
pub(crate) const QUEUED: u64 = u64::MAX;

const SHARDS: usize = 64;

/// One run, on the stack of its worker.
pub(crate) struct Slot<B: Backend> {
    link: LinkedListLink,
    address: Cell<usize>,
    func: Cell<*mut ()>,
    sequence: Cell<u64>,
    /// The sub-queue that counts the run.
    sub: Cell<*const SubQueue<B>>,
    /// The thread, or the identity of a drain.
    thread: usize,
    /// The next instance of the same work (R3).
    held: Cell<Option<Claim<B>>>,
    _pinned: PhantomPinned,
}

intrusive_adapter!(
    /// Links a slot.
    pub(crate) SlotAdapter<B> = UnsafeRef<Slot<B>>: Slot<B> { link => LinkedListLink } where B: Backend
);

// SAFETY: a linked slot's cells are touched only under its shard's lock; unlinked it is its
// thread's.
unsafe impl<B: Backend> Sync for Slot<B> {}
// SAFETY: as above.
unsafe impl<B: Backend> Send for Slot<B> {}

/// One shard of the table.
pub(crate) struct Shard<B: Backend> {
    slots: LinkedList<SlotAdapter<B>>,
    pub(crate) waiters: Waiters<B>,
    last: u64,
}

/// The table.
pub(crate) struct Running<B: Backend> {
    shards: [Locked<Shard<B>>; SHARDS],
}

/// What comes after a run.
pub(crate) enum Ended<B: Backend> {
    /// Nothing.
    Over,
    /// The twin that was held, in its place.
    Twin { claim: Claim<B>, func: *mut () },
    /// The twin that was held is held by another instance now, which `thread` runs.
    Held { claim: Claim<B>, thread: usize },
}

/// What became of a claim.
pub(crate) enum Start {
    /// The slot is this run's; the function is to be called.
    Run { func: *mut () },
    /// Its twin runs on `thread`, which will run it next (R3).
    Held { thread: usize },
}

impl<B: Backend> Slot<B> {
    /// An empty slot of `thread`.
    pub(crate) fn new(thread: usize) -> Self {
        Self {
            link: LinkedListLink::new(),
            address: Cell::new(0),
            func: Cell::new(core::ptr::null_mut()),
            sequence: Cell::new(0),
            sub: Cell::new(core::ptr::null()),
            thread,
            held: Cell::new(None),
            _pinned: PhantomPinned,
        }
    }

    /// The sub-queue that counts the run. It is there as long as the slot is linked (Q3).
    pub(super) fn sub(&self) -> *const SubQueue<B> {
        self.sub.get()
    }

    /// The next instance of the same work, if it waits for the end of this one. Under the shard's
    /// lock: its queue is there as long as it is held (Q3).
    pub(super) fn held(&self) -> Option<Claim<B>> {
        self.held.get()
    }

    /// Whether this is an instance of the work with that address and function.
    fn runs(&self, address: usize, func: *mut ()) -> bool {
        self.address.get() == address && self.func.get() == func
    }
}

impl<B: Backend> Running<B> {
    pub(crate) fn new() -> Self {
        Self {
            shards: core::array::from_fn(|_| {
                Locked::new(Shard {
                    slots: LinkedList::new(SlotAdapter::NEW),
                    waiters: Waiters::default(),
                    last: 0,
                })
            }),
        }
    }

    /// Address of the work that `thread`, or the drain with that identity, is running, or zero.
    pub(crate) fn current(&self, thread: usize, raised: &Raised<B>) -> usize {
        self.with_slot_of(thread, raised, |slot| slot.address.get())
            .unwrap_or(0)
    }

    /// What `f` says of the run of `thread`, under its shard's lock; `None` if it runs no work.
    pub(super) fn with_slot_of<R>(
        &self,
        thread: usize,
        raised: &Raised<B>,
        mut f: impl FnMut(&Slot<B>) -> R,
    ) -> Option<R> {
        self.shards.iter().find_map(|shard| {
            let shard = shard.lock(raised);
            let slot = shard.slots.iter().find(|slot| slot.thread == thread)?;
            Some(f(slot))
        })
    }

    /// The shards.
    pub(super) fn shards(&self) -> &[Locked<Shard<B>>] {
        &self.shards
    }

    /// The shard of a work.
    pub(crate) fn shard(&self, address: usize) -> &Locked<Shard<B>> {
        // Items are 8-aligned and often in arrays of one stride: mix the bits (Fibonacci hashing).
        let mixed = (address as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        &self.shards[(mixed >> 58) as usize]
    }
}

impl<B: Backend> Shard<B> {
    /// Starts `claim` in `slot`, or has it held by its running twin.
    pub(crate) fn start(
        &mut self,
        slot: Pin<&Slot<B>>,
        claim: &Claim<B>,
        reentrant: bool,
        woken: &mut Waiters<B>,
    ) -> Start {
        let address = claim.work.addr();
        // SAFETY: W1: we own the work until PENDING is cleared below, so the driver keeps it.
        let work = unsafe { &*claim.work };
        let func = work.function();
        if !reentrant && let Some(twin) = self.twin_of_kind(address, func, slot.thread) {
            let place = State::Held {
                sub: claim.sub.addr(),
                colour: claim.colour,
            };
            // ORDERING: Release: who cancels the work sees what its owner saw.
            work.data.swap(place.word(), Ordering::AcqRel);
            twin.held.set(Some(*claim));
            return Start::Held {
                thread: twin.thread,
            };
        }
        slot.sub.set(claim.sub);
        slot.address.set(address);
        slot.func.set(func);
        // SAFETY: the slot is pinned and stays linked only until `finish`, on its own thread.
        self.slots
            .push_back(unsafe { UnsafeRef::from_raw(core::ptr::from_ref(slot.get_ref())) });
        self.begin(slot, work, woken);
        Start::Run { func }
    }

    /// Numbers the instance and lets go of the work: R1, R2.
    fn begin(&mut self, slot: Pin<&Slot<B>>, work: &work_struct, woken: &mut Waiters<B>) {
        self.last += 1;
        slot.sequence.set(self.last);
        self.settle_waiters(slot.address.get(), woken);
        // ORDERING: SeqCst: a full barrier between the end of PENDING and the function, as Linux
        // has (linux.md 2.5): whoever was refused before this has published its stores to this run,
        // by the same word. Nothing follows the work's address after this line (I2).
        // SAFETY: Q3: the run counts in its queue until it has ended, so the queue is there.
        let cpu = unsafe { &*slot.sub.get() }.cpu();
        let idle = State::Idle { depth: 0 }.word_after(is_drain(slot.thread), cpu);
        work.data.swap(idle, Ordering::SeqCst);
    }

    /// Ends the run in `slot`. If a twin is held there it starts in its place, unless another instance
    /// still runs, which a reentrant queue may have started: then it is held there.
    pub(crate) fn finish(&mut self, slot: Pin<&Slot<B>>, woken: &mut Waiters<B>) -> Ended<B> {
        let (address, func) = (slot.address.get(), slot.func.get());
        let held = slot.held.take();
        let drain = is_drain(slot.thread);
        // H3: what is held stays with its kind.
        let other = self.slots.iter().find(|other| {
            !core::ptr::eq(*other, slot.get_ref())
                && other.runs(address, func)
                && is_drain(other.thread) == drain
        });
        let ended = match (held, other) {
            (None, _) => Ended::Over,
            (Some(claim), Some(other)) => {
                other.held.set(Some(claim));
                let thread = other.thread;
                Ended::Held { claim, thread }
            }
            (Some(claim), None) => {
                slot.sub.set(claim.sub);
                // SAFETY: W1: a held work is pending, so its driver keeps it; we own it from here.
                self.begin(slot, unsafe { &*claim.work }, woken);
                self.release(address, woken);
                return Ended::Twin { claim, func };
            }
        };
        // SAFETY: `start` has linked it in this shard, and only its own thread unlinks it.
        unsafe {
            self.slots
                .cursor_mut_from_ptr(core::ptr::from_ref(slot.get_ref()))
        }
        .remove();
        self.release(address, woken);
        ended
    }

    /// Takes back the work held for `address` if its word still is `word`. The caller owns it then.
    pub(crate) fn unhold(
        &mut self,
        work: &work_struct,
        word: u64,
        woken: &mut Waiters<B>,
    ) -> Option<Claim<B>> {
        if work.load().0 != word {
            return None;
        }
        let address = core::ptr::from_ref(work).addr();
        let claim = self.slots.iter().find_map(|slot| {
            let held = slot.held.take()?;
            if held.work.addr() == address {
                return Some(held);
            }
            slot.held.set(Some(held));
            None
        })?;
        // ORDERING: AcqRel: as in `Queue::unlink`.
        // SAFETY: Q3: the claim counts in its queue's total until `complete`, so the queue is there.
        let sub = unsafe { &*claim.sub };
        let transit = State::Transit { depth: 0 }.word_after(sub.queue().is(flag::BH), sub.cpu());
        work.data.swap(transit, Ordering::AcqRel);
        self.settle_waiters(address, woken);
        Some(claim)
    }

    /// The work at `address` stops being pending: who waited for it to start waits for what runs
    /// (R2).
    pub(crate) fn settle_waiters(&mut self, address: usize, woken: &mut Waiters<B>) {
        let last = self.last;
        let mut settled = false;
        for waiter in self.waiters.iter() {
            if waiter.address == address && waiter.limit.get() == QUEUED {
                waiter.limit.set(last);
                settled = true;
            }
        }
        if settled {
            self.release(address, woken);
        }
    }

    /// Links `waiter` for the instances that run now, and for the queued one if `queued`; `false`
    /// if there is nothing to wait for.
    pub(crate) fn wait_for(&mut self, waiter: Pin<&Waiter<B>>, queued: bool) -> bool {
        if !queued && !self.is_running(waiter.address, waiter.func) {
            return false;
        }
        waiter.limit.set(if queued { QUEUED } else { self.last });
        self.waiters.push_back(waiter.handle());
        true
    }

    /// Whether an instance of the work runs.
    pub(crate) fn is_running(&self, address: usize, func: *mut ()) -> bool {
        self.twin(address, func).is_some()
    }

    /// Whether `thread` is running the work.
    pub(crate) fn is_running_on(&self, address: usize, func: *mut (), thread: usize) -> bool {
        self.slots
            .iter()
            .any(|slot| slot.runs(address, func) && slot.thread == thread)
    }

    /// The twin that runs in a thread, if `identity` is one, else the twin that runs in a drain (H3).
    fn twin_of_kind(&self, address: usize, func: *mut (), identity: usize) -> Option<&Slot<B>> {
        self.slots
            .iter()
            .find(|slot| slot.runs(address, func) && is_drain(slot.thread) == is_drain(identity))
    }

    /// Whether an instance of the work runs in a drain.
    pub(crate) fn is_running_in_drain(&self, address: usize, func: *mut ()) -> bool {
        self.twin_of_kind(address, func, ANY_DRAIN).is_some()
    }

    /// The sub-queue that counts an instance of the work that runs.
    pub(super) fn sub_of(&self, address: usize, func: *mut ()) -> Option<*const SubQueue<B>> {
        self.twin(address, func).map(Slot::sub)
    }

    fn twin(&self, address: usize, func: *mut ()) -> Option<&Slot<B>> {
        self.slots.iter().find(|slot| slot.runs(address, func))
    }

    /// Wakes those whose instances have all ended.
    fn release(&mut self, address: usize, woken: &mut Waiters<B>) {
        let slots = &self.slots;
        take_ready(&mut self.waiters, woken, |waiter| {
            waiter.address == address
                && waiter.limit.get() != QUEUED
                && !slots.iter().any(|slot| {
                    slot.runs(address, waiter.func) && slot.sequence.get() <= waiter.limit.get()
                })
        });
    }
}

impl<B: Backend> Clone for Claim<B> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<B: Backend> Copy for Claim<B> {}
