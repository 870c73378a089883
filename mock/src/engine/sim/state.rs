//! The scheduler's data.

use std::cell::{Cell, UnsafeCell};
use std::cmp::Reverse;
use std::collections::VecDeque;

use crate::engine::ThreadId;
use crate::engine::rng::Rng;
use crate::engine::sim::context::Context;

/// State that only one OS thread uses, with a check that no closure enters it twice.
pub(super) struct Local<T> {
    busy: Cell<bool>,
    value: UnsafeCell<T>,
}

impl<T> Local<T> {
    pub(super) const fn new(value: T) -> Self {
        Self {
            busy: Cell::new(false),
            value: UnsafeCell::new(value),
        }
    }

    /// Runs `f` on the state. `f` may not switch contexts nor call a driver.
    pub(super) fn with<R>(&self, f: impl FnOnce(&mut T) -> R) -> R {
        assert!(
            !self.busy.replace(true),
            "kmdf-mock: the scheduler's state is entered twice"
        );
        // SAFETY: `busy` excludes a second reference, and the engine is used by one OS thread only.
        let result = f(unsafe { &mut *self.value.get() });
        self.busy.set(false);
        result
    }
}

/// One virtual CPU.
#[derive(Debug, Clone)]
pub(super) struct Cpu {
    pub(super) irql: u8,
    /// The thread on the CPU: a real one or the idle thread; `None` when the CPU is halted.
    pub(super) thread: Option<ThreadId>,
    pub(super) idle: Option<ThreadId>,
    /// A drain of the DPC queue has been requested.
    pub(super) drain: bool,
    /// Interrupt lines may be asserted.
    pub(super) interrupt: bool,
    /// Until this step the CPU makes no progress if another can.
    pub(super) held_until: u64,
    /// Time spent on this CPU, in 100 ns.
    pub(super) time: u64,
    /// `time` when the IRQL last rose from below DISPATCH_LEVEL.
    pub(super) high_since: u64,
    /// `time` when each nested DPC or interrupt routine began.
    pub(super) routines: Vec<u64>,
    /// Since when, on the virtual clock, the thread on the CPU burns.
    pub(super) burning: Option<u64>,
    /// What the thread has burnt since it got the CPU, up to `burning`.
    pub(super) turn: u64,
    /// The asserted lines were looked at, and the burning thread's IRQL is too high for them.
    pub(super) masked: bool,
    /// The lock that its thread spins for, until somebody frees that or the CPU is picked again; else 0.
    pub(super) spins_on: usize,
}

impl Cpu {
    const fn new() -> Self {
        Self {
            irql: 0,
            thread: None,
            idle: None,
            drain: false,
            interrupt: false,
            held_until: 0,
            time: 0,
            high_since: 0,
            routines: Vec::new(),
            burning: None,
            turn: 0,
            masked: false,
            spins_on: 0,
        }
    }

    /// Whether something is requested that the CPU's IRQL lets it look at.
    pub(super) const fn wants_attention(&self) -> bool {
        (self.drain && self.irql < 2) || (self.interrupt && self.irql < 12)
    }

    /// Whether another turn would only find the lock taken again.
    pub(super) const fn only_spins(&self, has_ready: bool) -> bool {
        self.spins_on != 0 && !self.wants_attention() && !(has_ready && self.irql < 2)
    }

    /// As [`Cpu::wants_attention`], without the lines that the burning thread has found too low for it.
    pub(super) const fn interrupts_burn(&self) -> bool {
        (self.drain && self.irql < 2) || (self.interrupt && self.irql < 12 && !self.masked)
    }
}

/// Everything that is not on the hot path of a preemption point.
pub(super) struct State {
    pub(super) rng: Rng,
    pub(super) cpus: Vec<Cpu>,
    pub(super) contexts: Vec<Context>,
    pub(super) ready: Vec<ThreadId>,
    /// Who sleeps until when; unordered, there are few.
    pub(super) sleepers: Vec<(u64, ThreadId)>,
    pub(super) settlers: VecDeque<ThreadId>,
    /// Mean number of points between two switches.
    pub(super) pace: u32,
    /// Once in so many preemptions the CPU is held back for a while: one long window finds what many short
    /// ones do not.
    pub(super) hold_one_in: u32,
    /// Times the clock was moved because nothing could run.
    pub(super) jumps: u64,
    /// Such moves in a row that only ended waits that are repeated.
    pub(super) soft_jumps: u32,
}

impl State {
    pub(super) fn new(mut rng: Rng, cpus: usize, pace: u32) -> Self {
        Self {
            hold_one_in: [2, 3, 6, 12, 40][rng.below(5) as usize],
            rng,
            cpus: vec![Cpu::new(); cpus],
            contexts: Vec::new(),
            ready: Vec::new(),
            sleepers: Vec::new(),
            settlers: VecDeque::new(),
            pace,
            jumps: 0,
            soft_jumps: 0,
        }
    }

    /// The CPUs on which some ready thread may run.
    pub(super) fn ready_cpus(&self) -> u64 {
        self.ready
            .iter()
            .fold(0, |cpus, &id| cpus | self.contexts[id].affinity)
    }

    /// Whether some ready thread may run on `cpu`.
    pub(super) fn has_ready(&self, cpu: usize) -> bool {
        self.ready
            .iter()
            .any(|&id| self.contexts[id].affinity & (1 << cpu) != 0)
    }

    /// Takes one of the ready threads that may run on `cpu`: one of the highest priority, and of these one
    /// that has not used its turn up, or else did so first.
    pub(super) fn take_ready(&mut self, cpu: usize) -> Option<ThreadId> {
        let claim = |id: ThreadId| {
            let context = &self.contexts[id];
            let fits = context.affinity & (1 << cpu) != 0;
            fits.then_some((context.priority, Reverse(context.turn_ended)))
        };
        let (mut best, mut count) = (None, 0);
        for claim in self.ready.iter().filter_map(|&id| claim(id)) {
            if best.is_none_or(|best| claim > best) {
                (best, count) = (Some(claim), 0);
            }
            count += u32::from(best == Some(claim));
        }
        let pick = self.rng.below(count) as usize;
        best?;
        let place = (0..self.ready.len())
            .filter(|&place| claim(self.ready[place]) == best)
            .nth(pick)?;
        Some(self.ready.remove(place))
    }

    /// Whether a ready thread that may run on `cpu` has a higher priority than `id`, which is there.
    pub(super) fn has_more_urgent(&self, cpu: usize, id: ThreadId) -> bool {
        self.has_ready_from(cpu, self.contexts[id].priority + 1)
    }

    /// Whether a ready thread that may run on `cpu` has at least this priority.
    pub(super) fn has_ready_from(&self, cpu: usize, least: i32) -> bool {
        self.ready.iter().any(|&other| {
            let other = &self.contexts[other];
            other.priority >= least && other.affinity & (1 << cpu) != 0
        })
    }
}
