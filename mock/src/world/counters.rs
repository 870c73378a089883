//! What happened in a world, counted.

use std::ops::Sub;

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// Counts of what happened in a world since it began. Subtract two snapshots to get a span.
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
        #[non_exhaustive]
        pub struct Counters {
            $($(#[$doc])* pub $name: u64,)*
        }

        impl Sub for Counters {
            type Output = Self;

            fn sub(self, earlier: Self) -> Self {
                Self { $($name: self.$name - earlier.$name,)* }
            }
        }
    };
}

counters! {
    /// Calls of `WdfDpcEnqueue`, whatever they returned.
    dpc_enqueues,
    /// DPC routines that ran, of raw KDPCs and of WDFDPCs.
    dpc_callbacks,
    /// Calls of `WdfDpcCancel`.
    dpc_cancels,
    /// Calls of `WdfWorkItemEnqueue`, dropped ones too.
    work_item_enqueues,
    /// Work item callbacks that ran.
    work_item_callbacks,
    /// Calls of `WdfWorkItemFlush`.
    work_item_flushes,
    /// Calls of `WdfTimerStart`.
    timer_starts,
    /// Calls of `WdfTimerStop`.
    timer_stops,
    /// Timer callbacks that ran.
    timer_callbacks,
    /// Calls of `KeFlushQueuedDpcs`.
    dpc_flushes,
    /// Calls of `KeInsertQueueDpc` that queued.
    dpc_inserts,
    /// Expiries of timers.
    timer_expiries,
    /// Pool allocations.
    pool_allocations,
    /// Bytes in them.
    pool_bytes,
    /// Pool blocks freed.
    pool_frees,
    /// WDFDPCs created.
    objects_dpc,
    /// WDFWORKITEMs created.
    objects_work_item,
    /// WDFTIMERs created.
    objects_timer,
    /// System threads created by the driver.
    threads,
    /// Events set.
    events_set,
    /// Waits that blocked.
    waits,
    /// Interrupt service routines that ran.
    interrupts,
    /// Calls of `KfRaiseIrql`.
    irql_raises,
    /// Work items that a system worker thread ran.
    work_routines,
    /// Threads that NT added to a stalled worker pool.
    dynamic_workers,
}
