//! Clocks (N-27, N-28) and the DPC time budget (N-35).

use crate::abi::{PULONG64, ULONG, ULONG64, ULONGLONG};
use crate::nt::check::call;

/// The interrupt time in 100 ns, precise to the clock, not to the tick (T-33).
///
/// # Safety
/// `QpcTimeStamp` is null or valid for a write.
pub unsafe extern "C" fn KeQueryInterruptTimePrecise(QpcTimeStamp: PULONG64) -> ULONG64 {
    let now = call().engine.now();
    if !QpcTimeStamp.is_null() {
        // SAFETY: the caller promises a valid pointer.
        unsafe { QpcTimeStamp.write(now) };
    }
    now
}

/// The interrupt time in 100 ns as of the last tick, without time asleep.
///
/// # Safety
/// None beyond being called in a world.
pub unsafe extern "C" fn KeQueryUnbiasedInterruptTime() -> ULONGLONG {
    call().engine.last_tick()
}

/// The length of a tick in 100 ns.
///
/// # Safety
/// None beyond being called in a world.
pub unsafe extern "C" fn KeQueryTimeIncrement() -> ULONG {
    call().config.tick
}

/// Passes time on this CPU without giving it away.
///
/// # Safety
/// None beyond being called in a world.
pub unsafe extern "C" fn KeStallExecutionProcessor(MicroSeconds: ULONG) {
    let w = call();
    w.engine.stall(w, u64::from(MicroSeconds) * 10);
}

/// Whether this CPU has been at DISPATCH_LEVEL for so long that a DPC should end soon (D-25).
///
/// # Safety
/// None beyond being called in a world.
pub unsafe extern "C" fn KeShouldYieldProcessor() -> ULONG {
    let w = call();
    ULONG::from(w.engine.should_yield(w))
}
