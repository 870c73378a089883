//! Bottom halves off and on, and the tests for the caller's context, as `linux/interrupt.h`,
//! `linux/bottom_half.h` and `linux/preempt.h` have them.
//!
//! Bottom halves of a CPU are its tasklets and the works of its `WQ_BH` queues. On NT they are off
//! while the IRQL is DISPATCH_LEVEL or above, and that is how the tests answer:
//!
//! | caller | interrupt | softirq | serving_softirq | hardirq | task | atomic | irqs_disabled |
//! |---|---|---|---|---|---|---|---|
//! | a work, a thread (PASSIVE_LEVEL, APC_LEVEL) | no | no | no | no | yes | no | no |
//! | bottom halves off, a spin lock held, a DPC of the driver's own | yes | yes | no | no | yes | yes | no |
//! | a tasklet, a work of a `WQ_BH` queue | yes | yes | yes | no | no | yes | no |
//! | an interrupt (above DISPATCH_LEVEL) over a thread | yes | no | no | yes | no | yes | yes |
//! | an interrupt over `local_bh_disable` | yes | yes | no | yes | no | yes | yes |
//! | an interrupt over a tasklet | yes | yes | yes | yes | no | yes | yes |
//!
//! The answers are Linux's, but for three things. A spin lock of NT raises to DISPATCH_LEVEL, so it is
//! what `spin_lock_bh` is in Linux, and not `spin_lock`. A lock that raises further, as that of an
//! interrupt does, looks like the interrupt. And KMDF does not tell a DPC of the driver's own, or a
//! timer callback at DISPATCH_LEVEL, from a thread that holds a spin lock: [`in_task`] says yes and
//! [`in_serving_softirq`] no there, where Linux's timers say the opposite.

use crate::engine::backend::{Backend, Irql};
use crate::engine::diagnostic::{Diagnostic, report};
use crate::engine::softirq::Context;
use crate::kmdf::{Kmdf, enter};

/// Turns the bottom halves of this CPU off; the caller stays on it, at DISPATCH_LEVEL, until the
/// matching [`local_bh_enable`]. It nests. Linux: `local_bh_disable`.
///
/// It raises the IRQL, and so ends in the order of the locks: a spin lock taken after it is released
/// before the enable. Not attached (BH03), or above DISPATCH_LEVEL (BH17), it does nothing.
///
/// IRQL: <= DISPATCH. Does not block.
pub fn local_bh_disable() {
    match enter() {
        Some((runtime, raised)) => runtime.disable_bottom_halves(raised),
        None => report::<Kmdf>(Diagnostic::NotAttached, "local_bh_disable", 0, 0),
    }
}

/// Takes one [`local_bh_disable`] back. The outermost runs what is scheduled on this CPU before it
/// returns, at the level before the disable. Linux: `local_bh_enable`.
///
/// Without a disable, or above DISPATCH_LEVEL, it does nothing and says so (BH17).
///
/// IRQL: <= DISPATCH. Does not block.
pub fn local_bh_enable() {
    match enter() {
        Some((runtime, raised)) => runtime.enable_bottom_halves(raised),
        None => report::<Kmdf>(Diagnostic::NotAttached, "local_bh_enable", 0, 0),
    }
}

/// Whether the caller is a tasklet or an interrupt, or has bottom halves off. Linux: `in_interrupt`.
///
/// IRQL: any. Does not block.
#[must_use]
pub fn in_interrupt() -> bool {
    Kmdf::irql() >= Irql::DISPATCH
}

/// Whether the caller is a tasklet, has bottom halves off, or has interrupted either.
/// Linux: `in_softirq`.
///
/// IRQL: any. Does not block.
#[must_use]
pub fn in_softirq() -> bool {
    let context = context();
    Kmdf::irql() == Irql::DISPATCH || context.serving || context.off
}

/// Whether the caller is a tasklet or a work of a `WQ_BH` queue, or has interrupted one.
/// Linux: `in_serving_softirq`.
///
/// IRQL: any. Does not block.
#[must_use]
pub fn in_serving_softirq() -> bool {
    context().serving
}

/// Whether the caller is an interrupt. Linux: `in_hardirq`.
///
/// IRQL: any. Does not block.
#[must_use]
pub fn in_hardirq() -> bool {
    Kmdf::irql() > Irql::DISPATCH
}

/// As [`in_hardirq`], by its name before Linux 5.11. Linux: `in_irq`.
///
/// IRQL: any. Does not block.
#[must_use]
pub fn in_irq() -> bool {
    in_hardirq()
}

/// Whether the caller is a thread, be it one with bottom halves off. Linux: `in_task`.
///
/// IRQL: any. Does not block.
#[must_use]
pub fn in_task() -> bool {
    !in_hardirq() && !in_serving_softirq()
}

/// Whether the caller may not sleep. Linux: `in_atomic`.
///
/// IRQL: any. Does not block.
#[must_use]
pub fn in_atomic() -> bool {
    Kmdf::irql() >= Irql::DISPATCH
}

/// Whether no interrupt of the caller's level comes in on this CPU. Linux: `irqs_disabled`.
///
/// IRQL: any. Does not block.
#[must_use]
pub fn irqs_disabled() -> bool {
    Kmdf::irql() > Irql::DISPATCH
}

/// What the engine knows about the caller; nothing while nothing is attached.
fn context() -> Context {
    enter()
        .map(|(runtime, raised)| runtime.context(&raised))
        .unwrap_or_default()
}
