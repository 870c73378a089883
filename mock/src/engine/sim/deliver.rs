//! IRQL of a virtual CPU: what it lets through, and the watchdog over it.

use crate::engine::sim::{Sim, WATCHDOG_PERIOD};
use crate::nt::{dpc, interrupt};
use crate::world::fail;
use crate::world::state::World;

/// Time at DISPATCH_LEVEL after which `KeShouldYieldProcessor` says yes, in 100 ns (D-25: 100 µs).
const YIELD_AFTER: u64 = 1_000;

impl Sim {
    pub(super) fn change_irql(&self, irql: u8) {
        if irql < 2 {
            // The time at DISPATCH_LEVEL ends here.
            self.check_watchdog();
        }
        self.state.with(|s| {
            let time = self.own_time(s);
            let cpu = &mut s.cpus[self.current.get()];
            if cpu.irql < 2 && irql >= 2 {
                cpu.high_since = time;
            }
            cpu.irql = irql;
            cpu.masked = false;
            self.update_attention(s);
        });
    }

    /// Runs what the current CPU's IRQL lets through, nested on the calling context.
    pub(super) fn deliver(&self, w: &World) {
        loop {
            let (cpu, irql, lines, drain) = self.state.with(|s| {
                let number = self.current.get();
                let cpu = &mut s.cpus[number];
                let drain = cpu.irql < 2 && cpu.drain;
                (number as u32, cpu.irql, cpu.interrupt, drain)
            });
            let line = if lines {
                interrupt::take(w, cpu, irql)
            } else {
                None
            };
            if let Some((line, level)) = line {
                self.change_irql(level);
                interrupt::service(w, line);
                self.change_irql(irql);
            } else if drain {
                self.state.with(|s| s.cpus[cpu as usize].drain = false);
                self.change_irql(2);
                dpc::drain(w);
                self.change_irql(irql);
            } else {
                let asserted = w.nt.with(|nt| !nt.cpus[cpu as usize].asserted.is_empty());
                self.state
                    .with(|s| s.cpus[cpu as usize].interrupt = asserted);
                self.attention.set(false);
                return;
            }
        }
    }

    /// Below DISPATCH_LEVEL there is nothing to yield from.
    pub(super) fn long_at_dispatch(&self, budget: Option<u64>) -> bool {
        self.state.with(|s| {
            let (time, limit) = (self.own_time(s), budget.unwrap_or(YIELD_AFTER));
            let cpu = &s.cpus[self.current.get()];
            let long = time - cpu.high_since > limit;
            cpu.irql >= 2 && (long || (budget.is_none() && s.rng.one_in(32)))
        })
    }

    /// What is left of the watchdog's two limits (D-25), in 100 ns.
    pub(super) fn watchdog_left(&self) -> (u64, u64) {
        self.state.with(|s| {
            let time = self.own_time(s);
            let cpu = &s.cpus[self.current.get()];
            let single = cpu.routines.last().map_or(0, |begin| time - begin);
            let total = if cpu.irql < 2 {
                0
            } else {
                time - cpu.high_since
            };
            let (routine, cumulative) = self.watchdog;
            (
                routine.saturating_sub(single),
                cumulative.saturating_sub(total),
            )
        })
    }

    /// Starts or stops the watchdog of a DPC or interrupt routine.
    pub(super) fn note_routine(&self, begins: bool) {
        if !begins {
            self.check_watchdog();
        }
        self.state.with(|s| {
            let time = self.own_time(s);
            let routines = &mut s.cpus[self.current.get()].routines;
            if begins {
                routines.push(time);
            } else {
                routines.pop();
            }
        });
    }

    /// The DPC watchdog (D-25), and the bound on a world that never comes to rest.
    pub(super) fn check_limits(&self, w: &World) {
        let step = self.step.get();
        self.check_at
            .set(self.switch_at.get().min(step + WATCHDOG_PERIOD));
        self.check_watchdog();
        if step - self.idle_step.get() > self.step_limit {
            self.livelock(w);
        }
    }

    fn check_watchdog(&self) {
        let (single, total) = self.state.with(|s| {
            let time = self.own_time(s);
            let cpu = &s.cpus[self.current.get()];
            let single = cpu.routines.last().map_or(0, |begin| time - begin);
            (
                single,
                if cpu.irql < 2 {
                    0
                } else {
                    time - cpu.high_since
                },
            )
        });
        let cpu = self.current.get();
        if single > self.watchdog.0 {
            fail(
                "DPC_WATCHDOG(0x133,0)",
                format!("one routine on CPU {cpu} ran for {single} x 100 ns"),
            );
        }
        if total > self.watchdog.1 {
            fail(
                "DPC_WATCHDOG(0x133,1)",
                format!("CPU {cpu} was at DISPATCH_LEVEL or above for {total} x 100 ns"),
            );
        }
    }
}
