//! Bottom halves off and on, and what the engine knows about the context of a caller.
//!
//! On NT the bottom halves of a CPU are off while its IRQL is DISPATCH_LEVEL or above: its DPC does
//! not come in, and its thread does not run. So `local_bh_disable` raises to DISPATCH_LEVEL, and the
//! `local_bh_enable` that belongs to it lowers again.
//!
//! # Invariants
//!
//! - **X1** The depth of a CPU, and the level that its outermost disable came from, are touched only
//!   on that CPU at DISPATCH_LEVEL or above, so by one context: whoever has raised it there is not
//!   replaced before it lowers again. A caller from below DISPATCH_LEVEL finds depth zero, or one that
//!   a section has left that was ended by hand; it starts anew.
//! - **X2** A section with bottom halves off is a raised section (G1): the runtime that it began with
//!   stays until it has ended.

use super::backend::{Backend, Irql};
use super::diagnostic::{Diagnostic, Report, report};
use super::locked::Raised;
use super::runtime::{PerCpu, Runtime};
use crate::sync::AtomicU32;
use crate::sync::Ordering::{Relaxed, SeqCst};

/// The value of `serving` while a callback runs that is the function of no item: the release of a
/// typed tasklet's owner.
pub(super) const NO_ITEM: usize = 1;

/// How bottom halves are off on a CPU (X1).
pub(crate) struct Off {
    depth: AtomicU32,
    from: AtomicU32,
}

/// What the engine knows about a caller at DISPATCH_LEVEL or above.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Context {
    /// It is a tasklet or a bottom-half work, or has interrupted one.
    pub(crate) serving: bool,
    /// It is in a section of `local_bh_disable`, or has interrupted one.
    pub(crate) off: bool,
}

impl Off {
    pub(crate) const fn new() -> Self {
        Self {
            depth: AtomicU32::new(0),
            from: AtomicU32::new(0),
        }
    }
}

impl<B: Backend> Runtime<B> {
    /// Turns this CPU's bottom halves off once more. IRQL: <= DISPATCH, and DISPATCH afterwards.
    pub(crate) fn disable_bottom_halves(&self, raised: Raised<B>) {
        let from = raised.from();
        if from > Irql::DISPATCH {
            raised.say(unbalanced("local_bh_disable"));
            return;
        }
        let off = &self.per_cpu(B::cpu()).off;
        // ORDERING: X1: nobody else looks.
        let depth = if from < Irql::DISPATCH {
            0
        } else {
            off.depth.load(Relaxed)
        };
        if depth == 0 {
            off.from.store(u32::from(from.0), Relaxed);
        }
        off.depth.store(depth + 1, Relaxed);
        raised.stay_at_dispatch();
    }

    /// Takes one of these back; the last one lets the bottom halves run. IRQL: = DISPATCH.
    pub(crate) fn enable_bottom_halves(&self, raised: Raised<B>) {
        let cpu = self.slot_of(B::cpu());
        let off = &self.per_cpu(cpu).off;
        // ORDERING: X1: nobody else looks.
        let depth = off.depth.load(Relaxed);
        if raised.from() != Irql::DISPATCH || depth == 0 {
            raised.say(unbalanced("local_bh_enable"));
            return;
        }
        off.depth.store(depth - 1, Relaxed);
        // ORDERING: X1.
        let to = Irql(off.from.load(Relaxed) as u8);
        drop(raised);
        if depth == 1 && to < Irql::DISPATCH {
            // Here, and not only by the DPC that comes in below: the CPU's thread may have the
            // tasklets, and what the caller has scheduled runs before this returns (row T02).
            self.serve_pending(cpu);
            // The DPC comes in here, and goes on with what these have scheduled. X2 ends.
            B::lower(to);
        }
    }

    /// What the caller is part of. IRQL: any; below DISPATCH it is nothing.
    pub(crate) fn context(&self, raised: &Raised<B>) -> Context {
        if raised.from() < Irql::DISPATCH {
            return Context::default();
        }
        let per_cpu = self.per_cpu(B::cpu());
        Context {
            serving: per_cpu.serving.load(SeqCst) != 0,
            // ORDERING: X1.
            off: per_cpu.off.depth.load(Relaxed) > 0,
        }
    }

    /// Makes the level after a callback of a drain what it was before, and says so if it has changed.
    /// IRQL: whatever the callback has left.
    pub(super) fn restore_level(&self, per_cpu: &PerCpu<B>, item: usize, func: usize) {
        let level = B::irql();
        // ORDERING: X1. A drain begins at depth zero.
        let depth = per_cpu.off.depth.load(Relaxed);
        if level == Irql::DISPATCH && depth == 0 {
            return;
        }
        if level > Irql::DISPATCH {
            B::lower(Irql::DISPATCH);
        } else if level < Irql::DISPATCH {
            B::raise_to_dispatch();
        }
        per_cpu.off.depth.store(0, Relaxed);
        report::<B>(Diagnostic::LevelChanged, "the function", item, func);
    }

    /// Makes the level after a work PASSIVE_LEVEL, and says so if it is another. IRQL: whatever the
    /// function has left.
    pub(super) fn restore_passive(&self, item: usize, func: usize) {
        let level = B::irql();
        if level == Irql::PASSIVE {
            return;
        }
        if level >= Irql::DISPATCH {
            // ORDERING: X1. A section that the function has begun ends with it.
            self.per_cpu(B::cpu()).off.depth.store(0, Relaxed);
        }
        B::lower(Irql::PASSIVE);
        report::<B>(Diagnostic::LevelChanged, "the function", item, func);
    }
}

#[cold]
fn unbalanced(call: &'static str) -> Report {
    Report {
        diagnostic: Diagnostic::BottomHalvesUnbalanced,
        call,
        item: 0,
        func: 0,
    }
}
