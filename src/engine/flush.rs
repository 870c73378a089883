//! Colours: what `flush_workqueue` waits for.
//!
//! Every work takes the queue's current colour when it is linked and gives it back when it is
//! complete or cancelled. A flush closes the current colour and waits until that colour and all
//! older ones have no work left; works queued later have a newer colour and do not hold it up (rows
//! Q01, Q02).
//!
//! # Invariants
//!
//! - **C1** `oldest ..= current` (modulo 16) are the colours in use; no work has another one.
//! - **C2** `oldest` has a work left, or it is `current`.
//! - **C3** When 15 colours are closed, further flushes wait in `overflow` and are given one colour
//!   together as soon as one is free: row Q20, any number of flushes at once.

use intrusive_collections::LinkedList;

use super::backend::Backend;
use super::wait::{Waiter, WaiterAdapter, Waiters, take_ready};
use super::word::COLOURS;

/// The colours of one queue, under the queue's lock.
pub(crate) struct Colours<B: Backend> {
    current: u8,
    oldest: u8,
    works: [u32; COLOURS],
    /// Flushes that wait for a colour; `limit` is the colour.
    flushers: Waiters<B>,
    /// Flushes that have no colour yet.
    overflow: Waiters<B>,
}

const fn after(colour: u8) -> u8 {
    (colour + 1) % COLOURS as u8
}

impl<B: Backend> Colours<B> {
    pub(crate) const fn new() -> Self {
        Self {
            current: 0,
            oldest: 0,
            works: [0; COLOURS],
            flushers: LinkedList::new(WaiterAdapter::NEW),
            overflow: LinkedList::new(WaiterAdapter::NEW),
        }
    }

    /// A work is linked: the colour it takes.
    pub(crate) fn enter(&mut self) -> u8 {
        self.works[self.current as usize] += 1;
        self.current
    }

    /// A work is complete or cancelled. Flushes that are over move to `woken`.
    pub(crate) fn leave(&mut self, colour: u8, woken: &mut Waiters<B>) {
        self.works[colour as usize] -= 1;
        self.retire(woken);
        if !self.overflow.is_empty() && after(self.current) != self.oldest {
            let colour = self.current;
            for waiter in self.overflow.iter() {
                waiter.limit.set(u64::from(colour));
            }
            self.flushers.back_mut().splice_after(self.overflow.take());
            self.current = after(colour);
            self.retire(woken);
        }
    }

    /// Links a flush; `false` if there is nothing to wait for.
    pub(crate) fn flush(&mut self, waiter: core::pin::Pin<&Waiter<B>>) -> bool {
        if self.oldest == self.current && self.works[self.current as usize] == 0 {
            return false;
        }
        if after(self.current) == self.oldest {
            self.overflow.push_back(waiter.handle());
        } else {
            waiter.limit.set(u64::from(self.current));
            self.flushers.push_back(waiter.handle());
            self.current = after(self.current);
        }
        true
    }

    /// Refuses the flushes of `thread` that wait for a work of `colour`.
    pub(super) fn refuse(&mut self, thread: usize, colour: u8, woken: &mut Waiters<B>) {
        let oldest = self.oldest;
        let age = |colour: u8| (colour + COLOURS as u8 - oldest) % COLOURS as u8;
        take_ready(&mut self.flushers, woken, |flush| {
            age(flush.limit.get() as u8) >= age(colour) && flush.refuse(thread)
        });
        take_ready(&mut self.overflow, woken, |flush| flush.refuse(thread));
    }

    /// Restores C2, and wakes the flushes whose colour is not in use any more.
    fn retire(&mut self, woken: &mut Waiters<B>) {
        while self.oldest != self.current && self.works[self.oldest as usize] == 0 {
            self.oldest = after(self.oldest);
        }
        let (oldest, current) = (self.oldest, self.current);
        let closed = (current + COLOURS as u8 - oldest) % COLOURS as u8;
        take_ready(&mut self.flushers, woken, |flush| {
            let age = (flush.limit.get() as u8 + COLOURS as u8 - oldest) % COLOURS as u8;
            age >= closed
        });
    }
}
