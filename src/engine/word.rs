//! The `data` word of a work: where it is in its life, and where it is linked.
//!
//! ```text
//!   63                    8 7      4 3    2 1 0
//!  +-----------------------+--------+------+-+-+   place: where a pending work is
//!  | sub-queue address     | colour | INIT |pl|P|   Queue, Pinned, Held: the sub-queue that counts it
//!  +-----------------------+--------+------+-+-+
//!  | last | depth (16..32) | timer  | INIT |pl|P|   Idle, Transit: how often it is disabled
//! ```
//!
//! A pinned work is queued like another, and there is a fifth place, the timer: it takes a bit of the
//! colour's, which a work without sub-queue has no use for.
//!
//! # Invariants
//!
//! - **W1** `PENDING` has one owner. Whoever sets it owns the item until it is linked (place Queue,
//!   Held or Timer), and whoever unlinks it owns it again (place Transit). Only the owner, or the
//!   holder of the lock that the place names, changes the word; everybody else at most writes back
//!   the value that it read.
//! - **W2** A work in Transit belongs to a CPU at HIGH_LEVEL, for a bounded few lines.
//! - **W3** A disabled work (depth > 0) is not pending, except in the Transit of whoever disables
//!   it.
//! - **W4** All bits zero means: never initialised. `INIT` is set from `INIT_WORK` on.

/// Bit 0, Linux's `WORK_STRUCT_PENDING`: queued, or its timer is armed.
const PENDING: u64 = 1;
const PLACE_SHIFT: u32 = 1;
const PLACE: u64 = 0b11 << PLACE_SHIFT;
const QUEUE: u64 = 1 << PLACE_SHIFT;
const HELD: u64 = 2 << PLACE_SHIFT;
const PINNED: u64 = 3 << PLACE_SHIFT;
const INIT: u64 = 1 << 3;
const COLOUR_SHIFT: u32 = 4;
const COLOUR: u64 = 0xF << COLOUR_SHIFT;
const TIMER: u64 = 1 << COLOUR_SHIFT;
const ADDRESS: u64 = !0xFF;
const DEPTH_SHIFT: u32 = 16;
const DEPTH: u64 = 0xFFFF << DEPTH_SHIFT;

/// In the word of a work that is idle, in transit or armed: it was last on a `WQ_BH` queue, or runs from one.
/// Linux's `WORK_OFFQ_BH`. No part of the state.
const LAST_BH: u64 = 2 << COLOUR_SHIFT;
/// In the same words: the CPU, counted from one, of the sub-queue that it was last on, or runs from. What Linux keeps
/// of the pool. No part of the state.
const LAST_CPU_SHIFT: u32 = 32;
const LAST_CPU: u64 = 0xFFFF << LAST_CPU_SHIFT;
/// What is kept of the last queue.
const LAST: u64 = LAST_BH | LAST_CPU;

/// How many colours there are; see [`super::flush`].
pub(crate) const COLOURS: usize = 16;

/// What a sub-queue's address is a multiple of, so that it fits above the flags.
pub(crate) const SUB_QUEUE_ALIGN: usize = 256;

/// The decoded word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// Zeroed memory: `INIT_WORK` has not been called.
    Uninitialised,
    /// Not pending; `depth` > 0 refuses queueing.
    Idle { depth: u16 },
    /// Pending and owned by a CPU that is linking or unlinking it.
    Transit { depth: u16 },
    /// Linked on a sub-queue, under its queue's lock. `pin`: to be run on the sub-queue's CPU.
    Queue { sub: usize, colour: u8, pin: bool },
    /// Given to the worker that runs the same work, under the lock of the running table.
    Held { sub: usize, colour: u8 },
    /// In the deadline tree or on its way there, under the tree's lock.
    Timer,
}

impl State {
    /// Decodes a word.
    pub(crate) const fn of(word: u64) -> Self {
        let depth = ((word & DEPTH) >> DEPTH_SHIFT) as u16;
        let sub = (word & ADDRESS) as usize;
        let colour = ((word & COLOUR) >> COLOUR_SHIFT) as u8;
        if word & INIT == 0 {
            return Self::Uninitialised;
        }
        if word & PENDING == 0 {
            return Self::Idle { depth };
        }
        let place = word & PLACE;
        match place {
            QUEUE | PINNED => Self::Queue {
                sub,
                colour,
                pin: place == PINNED,
            },
            HELD => Self::Held { sub, colour },
            _ if word & TIMER != 0 => Self::Timer,
            _ => Self::Transit { depth },
        }
    }

    /// Encodes a state.
    pub(crate) const fn word(self) -> u64 {
        match self {
            Self::Uninitialised => 0,
            Self::Idle { depth } => INIT | (depth as u64) << DEPTH_SHIFT,
            Self::Transit { depth } => INIT | PENDING | (depth as u64) << DEPTH_SHIFT,
            Self::Queue { sub, colour, pin } => {
                let place = if pin { PINNED } else { QUEUE };
                INIT | PENDING | place | (colour as u64) << COLOUR_SHIFT | sub as u64
            }
            Self::Held { sub, colour } => {
                INIT | PENDING | HELD | (colour as u64) << COLOUR_SHIFT | sub as u64
            }
            Self::Timer => INIT | PENDING | TIMER,
        }
    }

    /// Encodes [`Self::Idle`], [`Self::Transit`] or [`Self::Timer`] of a work that was on a `WQ_BH` queue, or
    /// not, on the sub-queue of `cpu`.
    pub(crate) const fn word_after(self, bh: bool, cpu: u32) -> u64 {
        let last = ((cpu as u64 + 1) << LAST_CPU_SHIFT) & LAST_CPU;
        self.word() | last | if bh { LAST_BH } else { 0 }
    }

    /// Encodes one of these for a work whose word is `from`, which is one of these too.
    pub(crate) const fn word_from(self, from: u64) -> u64 {
        self.word() | from & LAST
    }

    /// Whether `work_pending` says yes.
    pub(crate) const fn is_pending(self) -> bool {
        match self {
            Self::Uninitialised | Self::Idle { .. } => false,
            Self::Transit { .. } | Self::Queue { .. } | Self::Held { .. } | Self::Timer => true,
        }
    }
}

/// Whether the work of an idle, transit or timer word was last on a `WQ_BH` queue.
pub(crate) const fn was_bh(word: u64) -> bool {
    word & LAST_BH != 0
}

/// Whether the work of such a word may run from the sub-queue of another CPU than `cpu`.
pub(crate) const fn was_elsewhere(word: u64, cpu: u32) -> bool {
    let last = word & LAST_CPU;
    last != 0 && last >> LAST_CPU_SHIFT != cpu as u64 + 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec;

    /// W1 to W4 rest on the word saying one thing only: every state survives the round trip, and
    /// two different states never share a word.
    #[test]
    fn every_state_has_a_word_of_its_own() {
        let subs = [SUB_QUEUE_ALIGN, 0x7FFF_FFFF_FF00, 0xFFFF_FA80_0000_0100];
        let mut states = vec![State::Uninitialised, State::Timer];
        for depth in [0, 1, 2, u16::MAX] {
            states.push(State::Idle { depth });
            states.push(State::Transit { depth });
        }
        for sub in subs {
            for colour in 0..COLOURS as u8 {
                for pin in [false, true] {
                    states.push(State::Queue { sub, colour, pin });
                }
                states.push(State::Held { sub, colour });
            }
        }
        for (index, state) in states.iter().enumerate() {
            assert_eq!(State::of(state.word()), *state);
            for other in &states[index + 1..] {
                assert_ne!(state.word(), other.word(), "{state:?} and {other:?}");
            }
        }
    }

    /// That a work was on a `WQ_BH` queue is no part of its state, and goes from word to word.
    #[test]
    fn the_last_queue_is_no_part_of_the_state() {
        for depth in [0, 1, u16::MAX] {
            let transit = State::Transit { depth: 0 };
            let idle = State::Idle { depth };
            let timer = State::Timer;
            for bh in [false, true] {
                for cpu in [0, 3, 2047] {
                    assert_eq!(State::of(transit.word_after(bh, cpu)), transit);
                    let armed = timer.word_from(idle.word_after(bh, cpu));
                    assert_eq!((State::of(armed), was_bh(armed)), (timer, bh));
                    assert!(!was_elsewhere(armed, cpu) && was_elsewhere(armed, cpu + 1));
                    let word = idle.word_from(transit.word_after(bh, cpu));
                    assert_eq!((State::of(word), was_bh(word)), (idle, bh));
                    assert!(!was_elsewhere(word, cpu) && was_elsewhere(word, cpu + 1));
                }
                assert!(!was_elsewhere(idle.word(), 0));
            }
        }
    }

    /// Linux's bit 0 is visible to drivers through `work_data_bits`: it must say pending and
    /// nothing else may.
    #[test]
    fn bit_zero_is_pending() {
        let sub = SUB_QUEUE_ALIGN;
        let queued = |pin| State::Queue {
            sub,
            colour: 15,
            pin,
        };
        for (state, pending) in [
            (State::Uninitialised, false),
            (State::Idle { depth: 3 }, false),
            (State::Transit { depth: 0 }, true),
            (queued(false), true),
            (queued(true), true),
            (State::Held { sub, colour: 0 }, true),
            (State::Timer, true),
        ] {
            assert_eq!(state.word() & 1 == 1, pending, "{state:?}");
            assert_eq!(state.is_pending(), pending, "{state:?}");
        }
    }
}
