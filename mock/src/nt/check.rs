//! What every NT and WDF call does at its door.

use crate::world::config::Verifier;
use crate::world::state::{World, current};

/// Enters a call: a preemption point in the caller's world.
pub(crate) fn call() -> &'static World {
    let w = current();
    w.engine.preempt(w);
    w
}

/// Leaves a call: a preemption point again.
pub(crate) fn done(w: &World) {
    w.engine.preempt(w);
}

/// Checks an IRQL ceiling (V-8). False means that it is exceeded and the world's verifier lets the caller
/// decide what to do; a strict world fails with `code` instead.
pub(crate) fn ceiling(w: &World, name: &str, max: u8, code: &str) -> bool {
    let irql = w.engine.irql();
    if irql <= max {
        return true;
    }
    match w.config.verifier {
        Verifier::Off => {}
        Verifier::On => w.add_break(code),
        Verifier::Strict => crate::world::fail(
            code,
            format!("{name} called at IRQL {irql}; its ceiling is {max}"),
        ),
    }
    false
}

/// Whether the calling context is a DPC routine, or interrupts one.
pub(crate) fn in_dpc(w: &World) -> bool {
    let cpu = w.engine.cpu() as usize;
    w.nt.with(|nt| nt.cpus[cpu].running.is_some())
}
