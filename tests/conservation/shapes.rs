//! Shapes of traffic: what a schedule is mostly about.
//!
//! A schedule has a few items and a few hundred calls, so what it reaches depends on what its calls are
//! about. Each shape makes one neighbourhood of the state space crowded.

use kmdf_mock::world::choose;

use crate::ledger::Call;

/// What a thread does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// A call on a work: whatever the shape calls.
    Work,
    /// A disable, other calls, an enable.
    DisableWork,
    /// A call that does not wait, at DISPATCH_LEVEL.
    Poke,
    Schedule,
    Kill,
    /// A disable, other calls, an enable.
    DisableTasklet,
    /// A lock, other calls, an unlock.
    LockTasklet,
    FlushQueue,
    DrainQueue,
    /// Another `max_active` for a queue.
    MaxActive,
    /// Freezes and thaws.
    Freeze,
    /// An interrupt, which makes a call.
    Interrupt,
    /// A work that frees itself.
    Once,
    /// A queue that is made, used and destroyed.
    PrivateQueue,
    /// Gives way.
    Linger,
}

use Event::*;

/// Which works a schedule has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Items {
    /// Up to so many, of any kind.
    Any(u32),
    /// One, now and then two, that may be delayed.
    Delayed,
    /// Two or three that are never delayed, all on one queue of its own kind.
    Neighbours,
}

/// What the traffic of a schedule is like.
#[derive(Debug)]
pub(crate) struct Shape {
    pub(crate) name: &'static str,
    /// Pauses in which time passes, or else none.
    pub(crate) leisurely: bool,
    pub(crate) items: Items,
    /// Events of a thread: at least, and how many more at most.
    pub(crate) events: (u32, u32),
    pub(crate) mix: &'static [Event],
    /// The calls on works; empty means any call at all.
    pub(crate) calls: &'static [Call],
}

/// How the delays of these calls are chosen: see `Plant::tell`.
const DELAYED: Call = Call::QueueDelayed(0);
const MODIFY: Call = Call::Modify(0);

/// The shapes, the common one first.
pub(crate) const SHAPES: [Shape; 8] = [
    Shape {
        name: "everything, at leisure",
        leisurely: true,
        items: Items::Any(5),
        events: (8, 24),
        mix: &[
            Work,
            Work,
            Work,
            Work,
            Work,
            Work,
            Work,
            Work,
            Work,
            Work,
            Work,
            Work,
            Poke,
            Schedule,
            Schedule,
            Kill,
            DisableTasklet,
            LockTasklet,
            DisableWork,
            FlushQueue,
            Interrupt,
            Interrupt,
            Once,
            PrivateQueue,
            MaxActive,
            Freeze,
            Linger,
            Linger,
        ],
        calls: &[],
    },
    Shape {
        name: "calls on one or two works",
        leisurely: false,
        items: Items::Delayed,
        events: (40, 120),
        mix: &[
            Work,
            Work,
            Work,
            Work,
            Work,
            Work,
            Work,
            Work,
            Work,
            Work,
            Work,
            Work,
            Poke,
            Poke,
            Interrupt,
            Interrupt,
            PrivateQueue,
        ],
        calls: &[
            Call::Queue,
            Call::Queue,
            Call::Queue,
            DELAYED,
            MODIFY,
            MODIFY,
            Call::Cancel,
            Call::CancelSync,
            Call::FlushDelayed,
        ],
    },
    Shape {
        name: "tasklets",
        leisurely: false,
        items: Items::Delayed,
        events: (40, 120),
        mix: &[
            Poke,
            Schedule,
            Schedule,
            Schedule,
            Kill,
            Kill,
            DisableTasklet,
            DisableTasklet,
            LockTasklet,
            Interrupt,
        ],
        calls: &[Call::Queue],
    },
    Shape {
        name: "disables and cancels",
        leisurely: false,
        items: Items::Delayed,
        events: (20, 60),
        mix: &[
            Work,
            Work,
            Work,
            DisableWork,
            DisableWork,
            Poke,
            Interrupt,
            Linger,
        ],
        calls: &[
            Call::Queue,
            Call::Queue,
            DELAYED,
            MODIFY,
            Call::Cancel,
            Call::CancelSync,
        ],
    },
    Shape {
        name: "flushes",
        leisurely: false,
        items: Items::Neighbours,
        events: (20, 60),
        mix: &[
            Work, Work, Work, Work, FlushQueue, Freeze, MaxActive, Poke, Linger,
        ],
        calls: &[Call::Queue, Call::Queue, Call::Flush, Call::FlushDelayed],
    },
    Shape {
        name: "queues that end",
        leisurely: false,
        items: Items::Any(3),
        events: (10, 20),
        mix: &[
            Work,
            Work,
            Work,
            PrivateQueue,
            DrainQueue,
            DrainQueue,
            DrainQueue,
            DisableWork,
            DisableWork,
            Poke,
            Linger,
        ],
        calls: &[Call::Queue, Call::Queue, DELAYED, MODIFY, Call::Cancel],
    },
    Shape {
        name: "interrupts",
        leisurely: false,
        items: Items::Any(2),
        events: (20, 60),
        mix: &[
            Interrupt, Interrupt, Interrupt, Poke, Work, Schedule, Linger,
        ],
        calls: &[],
    },
    Shape {
        name: "delays",
        leisurely: true,
        items: Items::Delayed,
        events: (10, 30),
        mix: &[Work, Work, Linger, Linger, Linger, Poke],
        calls: &[
            DELAYED,
            DELAYED,
            DELAYED,
            MODIFY,
            MODIFY,
            MODIFY,
            Call::FlushDelayed,
            Call::Cancel,
            Call::CancelSync,
        ],
    },
];

impl Shape {
    /// The shape of this schedule.
    pub(crate) fn choose() -> &'static Self {
        const TABLE: [usize; 16] = [0, 0, 0, 0, 1, 1, 1, 2, 2, 3, 3, 4, 5, 5, 6, 7];
        &SHAPES[TABLE[choose(TABLE.len() as u32) as usize]]
    }

    /// The next event of a thread.
    pub(crate) fn event(&self) -> Event {
        pick(self.mix)
    }
}

/// One of several.
pub(crate) fn pick<T: Copy>(of: &[T]) -> T {
    of[choose(of.len() as u32) as usize]
}
