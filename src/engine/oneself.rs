//! Waits for the end of the caller's own run.
//!
//! Linux deadlocks on them; here they are refused (BH07). A caller that is the work's own function, or a
//! work of the queue that it waits for, is refused before it waits. But with `NonReentrant` the caller's
//! next instance may be queued on *another* queue. Once a worker there has claimed it, it is held until the
//! caller ends, so that queue is not done before the caller is, and if the held one takes the last place
//! that `max_active` leaves, what is behind it does not start. The same goes for what is queued behind
//! the caller itself.
//!
//! # Invariants
//!
//! - **E1** Who waits links the waiter first, and then looks for what is held behind its thread. Who has
//!   an instance held does so first, and then looks for waiters of the thread that holds it. Both under
//!   locks, so whoever comes second sees the other, and no such wait lasts.

use super::backend::Backend;
use super::claim::Claim;
use super::locked::Raised;
use super::queue::Queue;
use super::running::{QUEUED, Shard, Slot};
use super::runtime::Runtime;
use super::sub_queue::SubQueue;
use super::wait::{Deferred, Waiters, take_ready};
use super::word::State;
use crate::engine::item::work_struct;

impl<B: Backend> Queue<B> {
    /// Refuses the waits of `thread` for this queue that a claim of `colour` holds up.
    fn refuse_waits(
        &self,
        thread: usize,
        colour: u8,
        raised: &Raised<B>,
        deferred: &mut Deferred<B>,
    ) {
        let mut state = self.state.lock(raised);
        let woken = &mut deferred.woken;
        state.colours.refuse(thread, colour, woken);
        take_ready(&mut state.idle_waiters, woken, |waiter| {
            waiter.refuse(thread)
        });
        take_ready(&mut state.freezers, woken, |waiter| waiter.refuse(thread));
    }
}

impl<B: Backend> Slot<B> {
    /// How many of the thread's claims `sub` counts: the run, and what is held behind it.
    fn claims_in(&self, sub: &SubQueue<B>) -> u32 {
        let held = self
            .held()
            .is_some_and(|claim| core::ptr::eq(claim.sub, sub));
        u32::from(core::ptr::eq(self.sub(), sub)) + u32::from(held)
    }
}

impl<B: Backend> Shard<B> {
    /// Refuses the flushes of `thread` for works that are queued on `sub`.
    fn refuse_flushes(&mut self, thread: usize, sub: &SubQueue<B>, woken: &mut Waiters<B>) {
        take_ready(&mut self.waiters, woken, |waiter| {
            waiter.limit.get() == QUEUED && is_on(waiter.address, sub) && waiter.refuse(thread)
        });
    }
}

/// Whether the work at `address`, for which a waiter with the limit [`QUEUED`] is linked in its shard,
/// whose lock is held, is queued on `sub`.
fn is_on<B: Backend>(address: usize, sub: &SubQueue<B>) -> bool {
    let work = core::ptr::with_exposed_provenance::<work_struct>(address);
    // SAFETY: R2: the limit says that it is pending, so its driver keeps it.
    let state = unsafe { &*work }.load().1;
    matches!(state, State::Queue { sub: place, .. } if place == core::ptr::from_ref(sub).addr())
}

impl<B: Backend> Runtime<B> {
    /// E1 for who has linked a waiter of this thread on `queue`, which may be gone since.
    pub(super) fn refuse_own_wait(
        &self,
        queue: *const Queue<B>,
        raised: &Raised<B>,
        deferred: &mut Deferred<B>,
    ) {
        let thread = B::thread();
        let held = self.running.with_slot_of(thread, raised, |slot| {
            let claim = slot.held()?;
            // SAFETY: Q3: the claim is held under the lock that is held, so its queue is there.
            let its_queue = unsafe { &*claim.sub }.queue();
            core::ptr::eq(its_queue, queue).then_some((its_queue as *const Queue<B>, claim.colour))
        });
        if let Some((queue, colour)) = held.flatten() {
            // SAFETY: Q4: it was there in this raised section.
            unsafe { &*queue }.refuse_waits(thread, colour, raised, deferred);
        }
    }

    /// E1 for who has linked a waiter of this thread for a work that is queued on `sub`.
    pub(super) fn refuse_own_flush(
        &self,
        sub: &SubQueue<B>,
        raised: &Raised<B>,
        deferred: &mut Deferred<B>,
    ) {
        self.refuse_flushes(B::thread(), sub, raised, deferred);
    }

    /// E1 for who has had `claim` held behind the run of `thread`.
    pub(super) fn refuse_waits_behind(
        &self,
        claim: &Claim<B>,
        thread: usize,
        raised: &Raised<B>,
        deferred: &mut Deferred<B>,
    ) {
        // SAFETY: Q4: it was there in this raised section.
        let sub = unsafe { &*claim.sub };
        sub.queue()
            .refuse_waits(thread, claim.colour, raised, deferred);
        self.refuse_flushes(thread, sub, raised, deferred);
    }

    /// Refuses the flushes of `thread` for works that cannot start because of its own claims.
    fn refuse_flushes(
        &self,
        thread: usize,
        sub: &SubQueue<B>,
        raised: &Raised<B>,
        deferred: &mut Deferred<B>,
    ) {
        if self.is_stuck(thread, sub, raised) {
            for shard in self.running.shards() {
                let mut shard = shard.lock(raised);
                shard.refuse_flushes(thread, sub, &mut deferred.woken);
            }
        }
    }

    /// Whether nothing on `sub` starts before the run of `thread` ends, and for no other reason.
    fn is_stuck(&self, thread: usize, sub: &SubQueue<B>, raised: &Raised<B>) -> bool {
        let own = || {
            let claims = |slot: &Slot<B>| slot.claims_in(sub);
            let own = self.running.with_slot_of(thread, raised, claims);
            own.unwrap_or(0)
        };
        // A thread has two claims at most. Most callers are told here, for one lock.
        let may_be = {
            let state = sub.queue().state.lock(raised);
            sub.is_full_of(1, &state) || sub.is_full_of(2, &state)
        };
        if !may_be {
            return false;
        }
        // Again as long as somebody takes the held one back meanwhile.
        loop {
            let before = own();
            if before == 0 {
                return false;
            }
            let stuck = sub.is_full_of(before, &sub.queue().state.lock(raised));
            if own() == before {
                return stuck;
            }
        }
    }
}
