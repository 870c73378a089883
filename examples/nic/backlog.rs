//! Frames between the tasklet, which takes them off the ring, and the work, which accounts for them.
//!
//! One producer and one consumer at a time, so two indices do. That there is one of each is what the
//! shim promises: a tasklet never runs on two CPUs at once, and an ordered queue runs one work at a
//! time. The promises also carry what one run wrote over to the next, on whatever CPU.

use kmdf_mock::sync::{AtomicU32, AtomicUsize, Ordering};

/// A bounded queue of frame numbers.
#[derive(Debug)]
pub(crate) struct Backlog {
    slots: Box<[AtomicU32]>,
    /// Frames ever pushed.
    pushed: AtomicUsize,
    /// Frames ever popped.
    popped: AtomicUsize,
}

impl Backlog {
    /// A queue for `capacity` frames.
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            slots: (0..capacity).map(|_| AtomicU32::new(0)).collect(),
            pushed: AtomicUsize::new(0),
            popped: AtomicUsize::new(0),
        }
    }

    /// Frames in the queue.
    pub(crate) fn len(&self) -> usize {
        let popped = self.popped.load(Ordering::SeqCst);
        self.pushed.load(Ordering::SeqCst) - popped
    }

    /// Whether one more frame fits.
    pub(crate) fn has_room(&self) -> bool {
        self.len() < self.slots.len()
    }

    /// Adds a frame, for which there is room. The producer only.
    pub(crate) fn push(&self, frame: u32) {
        let pushed = self.pushed.load(Ordering::Relaxed);
        self.slots[pushed % self.slots.len()].store(frame, Ordering::Relaxed);
        // Pairs with the load in `pop`: the slot is written before it counts.
        self.pushed.store(pushed + 1, Ordering::SeqCst);
    }

    /// Removes the oldest frame. The consumer only.
    pub(crate) fn pop(&self) -> Option<u32> {
        let popped = self.popped.load(Ordering::Relaxed);
        if self.pushed.load(Ordering::SeqCst) == popped {
            return None;
        }
        let frame = self.slots[popped % self.slots.len()].load(Ordering::Relaxed);
        // Pairs with the load in `len`: the slot is read before it is free.
        self.popped.store(popped + 1, Ordering::SeqCst);
        Some(frame)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_come_out_in_order_and_room_comes_back() {
        let backlog = Backlog::new(3);
        let mut next = 0;
        for frame in 0..10 {
            while !backlog.has_room() {
                assert_eq!((backlog.len(), backlog.pop()), (3, Some(next)));
                next += 1;
            }
            backlog.push(frame);
        }
        while let Some(frame) = backlog.pop() {
            assert_eq!(frame, next);
            next += 1;
        }
        assert_eq!((next, backlog.len()), (10, 0));
    }
}
