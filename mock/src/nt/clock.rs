//! Clocks (N-27, N-28) and the DPC time budget (N-35).

use crate::abi::{
    KDPC_WATCHDOG_INFORMATION, NTSTATUS, PKDPC_WATCHDOG_INFORMATION, PULONG64, STATUS_SUCCESS,
    ULONG, ULONG64, ULONGLONG,
};
use crate::nt::check::{call, ceiling};

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

/// Passes time on this CPU.
///
/// # Safety
/// None beyond being called in a world.
pub unsafe extern "C" fn KeStallExecutionProcessor(MicroSeconds: ULONG) {
    let w = call();
    w.engine.burn(w, u64::from(MicroSeconds) * 10);
}

/// What the DPC watchdog (D-25) allows and what is left of it on this CPU, in ticks, rounded up. At IRQL ≤
/// DISPATCH_LEVEL.
///
/// # Safety
/// `WatchdogInformation` is writable.
pub unsafe extern "C" fn KeQueryDpcWatchdogInformation(
    WatchdogInformation: PKDPC_WATCHDOG_INFORMATION,
) -> NTSTATUS {
    let w = call();
    ceiling(w, "KeQueryDpcWatchdogInformation", 2, "DV(0xC4,0x20003)");
    let (routine, cumulative) = w.config.watchdog;
    let (routine_left, cumulative_left) = w.engine.watchdog_left(w);
    let ticks =
        |time: u64| u32::try_from(time.div_ceil(u64::from(w.config.tick))).unwrap_or(u32::MAX);
    let information = KDPC_WATCHDOG_INFORMATION {
        DpcTimeLimit: ticks(routine),
        DpcTimeCount: ticks(routine_left),
        DpcWatchdogLimit: ticks(cumulative),
        DpcWatchdogCount: ticks(cumulative_left),
        Reserved: 0,
    };
    // SAFETY: the caller promises a writable structure.
    unsafe { WatchdogInformation.write(information) };
    STATUS_SUCCESS
}

/// Whether this CPU has been at DISPATCH_LEVEL for so long that a DPC should end soon (D-25). Never below it.
///
/// # Safety
/// None beyond being called in a world.
pub unsafe extern "C" fn KeShouldYieldProcessor() -> ULONG {
    let w = call();
    ULONG::from(w.engine.should_yield(w))
}
