//! The DPC watchdog (D-25) in real time: since when each CPU has been at what. The clock's thread looks.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::engine::Engine as _;
use crate::engine::live::{CPU, IRQL, Live, duration};
use crate::world::fail;
use crate::world::state::World;

/// Since when a CPU is at DISPATCH_LEVEL, in a DPC and in an interrupt; 0 means that it is not. An interrupt runs
/// in parallel with the DPC that it preempts.
#[derive(Debug, Default)]
pub(super) struct Since {
    dispatch: AtomicU64,
    dpc: AtomicU64,
    interrupt: AtomicU64,
}

impl Since {
    /// The CPU is at DISPATCH_LEVEL from `time` on, or not any more (0).
    pub(super) fn note_dispatch(&self, time: u64) {
        self.dispatch.store(time, Ordering::SeqCst);
    }

    /// A routine of the calling thread's IRQL begins at `time`, or ends (0).
    fn note_routine(&self, time: u64) {
        self.routine().store(time, Ordering::SeqCst);
    }

    fn routine(&self) -> &AtomicU64 {
        if IRQL.get() > 2 {
            &self.interrupt
        } else {
            &self.dpc
        }
    }
}

/// How long ago `since` is at `now`.
fn passed(since: &AtomicU64, now: u64) -> u64 {
    match since.load(Ordering::SeqCst) {
        0 => 0,
        since => now.saturating_sub(since),
    }
}

impl Live {
    /// A DPC or interrupt routine begins or ends on the calling thread's CPU.
    pub(super) fn note_routine(&self, w: &World, begins: bool) {
        let since = &self.cpus[CPU.get() as usize].since;
        if begins {
            since.note_routine(self.now());
        } else {
            self.check_watchdog(w);
            since.note_routine(0);
        }
    }

    /// What the calling thread's CPU has left of the limits.
    pub(super) fn limits_left(&self, w: &World) -> (u64, u64) {
        let since = &self.cpus[CPU.get() as usize].since;
        let (now, (routine, cumulative)) = (self.now(), w.config.watchdog);
        (
            routine.saturating_sub(passed(since.routine(), now)),
            cumulative.saturating_sub(passed(&since.dispatch, now)),
        )
    }

    /// Fails the world if some CPU is over a limit.
    pub(super) fn check_watchdog(&self, w: &World) {
        let (now, (routine, cumulative)) = (self.now(), w.config.watchdog);
        for (number, cpu) in self.cpus.iter().enumerate() {
            let since = &cpu.since;
            let single = passed(&since.dpc, now).max(passed(&since.interrupt, now));
            if single > routine {
                let limit = duration(routine);
                fail(
                    "DPC_WATCHDOG(0x133,0)",
                    format!("a routine on CPU {number} ran for more than {limit:?}"),
                );
            }
            if passed(&since.dispatch, now) > cumulative {
                let limit = duration(cumulative);
                fail(
                    "DPC_WATCHDOG(0x133,1)",
                    format!("CPU {number} was at DISPATCH_LEVEL for more than {limit:?}"),
                );
            }
        }
    }
}
