//! The KMDF verifier: IRQL ceilings (V-2, V-8) and named breaks (V-4).

use super::hooks::{self, Verifier};
use crate::abi::*;

/// The events at which a verified framework stops in the debugger. They change nothing by
/// themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Break {
    /// W-9: the enqueue is dropped.
    WorkItemEnqueueRunningDown,
    /// W-18: the flush returns without waiting.
    WorkItemFlushOwnCallback,
    /// T-13: the start is dropped.
    TimerStartRunningDown,
    /// T-17: the stop does not cancel.
    TimerStopOwnCallback,
    /// T-21: two waiting stops at once.
    TimerStopConcurrent,
    /// T-22: a deadlock if the timer is passive.
    TimerDeleteOwnCallback,
    /// The last reference went without a delete.
    DestroyedWithoutDelete,
    /// S-3: the create fails.
    SerializationMismatch,
    /// O-6: the delete is ignored.
    DeleteNotAllowed,
    /// V-2: the call is refused.
    IrqlTooHigh,
    /// IO-15: a request is completed that the driver does not own, because it was completed.
    RequestNotDriverOwned,
    /// IO-15: a completed request is used.
    RequestCompleted,
    /// IO-10: the driver does not complete what it owns.
    QueueWaitTimedOut,
    /// IO-6: `WdfControlFinishInitializing` of a device that PnP made.
    NotControlDevice,
}

impl Break {
    /// The name in [`crate::world::breaks`].
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::WorkItemEnqueueRunningDown => "WORKITEM_ENQUEUE_RUNNING_DOWN",
            Self::WorkItemFlushOwnCallback => "WORKITEM_FLUSH_OWN_CALLBACK",
            Self::TimerStartRunningDown => "TIMER_START_RUNNING_DOWN",
            Self::TimerStopOwnCallback => "TIMER_STOP_OWN_CALLBACK",
            Self::TimerStopConcurrent => "TIMER_STOP_CONCURRENT",
            Self::TimerDeleteOwnCallback => "TIMER_DELETE_OWN_CALLBACK",
            Self::DestroyedWithoutDelete => "DESTROYED_WITHOUT_DELETE",
            Self::SerializationMismatch => "SERIALIZATION_MISMATCH",
            Self::DeleteNotAllowed => "DELETE_NOT_ALLOWED",
            Self::IrqlTooHigh => "IRQL_TOO_HIGH",
            Self::RequestNotDriverOwned => "REQUEST_NOT_DRIVER_OWNED",
            Self::RequestCompleted => "REQUEST_COMPLETED",
            Self::QueueWaitTimedOut => "QUEUE_WAIT_TIMED_OUT",
            Self::NotControlDevice => "NOT_CONTROL_DEVICE",
        }
    }
}

/// Counts a break when the verifier is on; in any mode the framework's debug output has a line.
pub(super) fn record(event: Break, object: &str) {
    hooks::debug_print(&format!("KMDF_BREAK({}): {object}", event.name()));
    if hooks::verifier() != Verifier::Off {
        hooks::count_break(event.name());
    }
}

/// Entry of every DDI: a preemption point, and in strict mode the ceiling of V-8.
pub(super) fn enter(call: &'static str, ceiling_level: u32) {
    hooks::preempt();
    ceiling(call, ceiling_level);
}

/// A strict world ends when a call is made above its ceiling.
pub(super) fn ceiling(call: &'static str, ceiling: u32) {
    if hooks::verifier() == Verifier::Strict && u32::from(hooks::irql()) > ceiling {
        hooks::irql_violation(call, ceiling);
    }
}

/// The check that three calls make themselves when they are asked to wait (V-2): false means that
/// the verifier refuses the call.
pub(super) fn may_wait(call: &'static str, object: &str) -> bool {
    if hooks::verifier() == Verifier::Off || u32::from(hooks::irql()) == PASSIVE_LEVEL {
        return true;
    }
    record(
        Break::IrqlTooHigh,
        &format!("{call} of {object} at IRQL {}", hooks::irql()),
    );
    false
}
