//! Code that uses a CPU for a given virtual time: it stays on its CPU while the clock moves on.
//!
//! A burn makes progress while its thread is on a CPU and nothing preempts it there. So burns on different
//! CPUs pass at the same time, and burns on one CPU pass one after the other, in turns of a quantum. A burn
//! counts as running code: the clock moves to its end before the world counts as settled.

use crate::engine::ThreadId;
use crate::engine::sim::Sim;
use crate::engine::sim::context::Why;
use crate::engine::sim::state::State;
use crate::world::state::World;

/// Ticks of burning after which a thread leaves its CPU to others of the same priority that are ready for it.
/// What DPCs and interrupts use meanwhile does not count.
const QUANTUM_TICKS: u64 = 2;

impl Sim {
    /// Uses the current CPU for `time`. Interrupts, and below DISPATCH_LEVEL DPCs and other threads, come in
    /// between and do not count.
    pub(super) fn burn_here(&self, w: &World, time: u64) {
        let mut left = time;
        while left > 0 {
            // A burn of a DPC or an interrupt is nested in the one that it preempts, on the same context.
            let id = self.state.with(|s| {
                let id = s.running(self.current.get());
                s.contexts[id].burn = Some(left);
                id
            });
            self.suspend(Why::Burning);
            left = self
                .state
                .with(|s| s.contexts[id].burn.take())
                .unwrap_or_default();
            self.check_limits(w);
            if self.attention.get() {
                self.deliver(w);
            }
            self.state
                .with(|s| s.cpus[self.current.get()].masked = true);
        }
    }

    /// Moves the clock to the next event or the next end of a burn. False: no CPU burns.
    pub(super) fn pass_burns(&self, w: &World) -> bool {
        let quantum = self.tick * QUANTUM_TICKS;
        let next = self.state.with(|s| {
            let ends = (0..s.cpus.len()).filter_map(|cpu| s.burn_event(cpu, quantum));
            ends.min()
        });
        let Some(next) = next else { return false };
        self.find_next_event(w);
        let at = next.min(self.next_event.get()).max(self.now.get());
        let passed = at - self.now.replace(at);
        self.state.with(|s| {
            for cpu in s.cpus.iter_mut().filter(|cpu| cpu.spins_on != 0) {
                cpu.time += passed;
            }
        });
        if self.now.get() >= self.next_event.get() {
            self.clock(w);
        }
        true
    }

    /// Whether the burn of `cpu` has something to be interrupted for, or is over.
    pub(super) fn burn_is_due(&self, s: &State, cpu: usize) -> bool {
        let event = s.burn_event(cpu, self.tick * QUANTUM_TICKS);
        s.cpus[cpu].interrupts_burn() || event.is_some_and(|at| at <= self.now.get())
    }

    /// Books what the burn of `cpu` has used so far. The thread to put there instead, if its turn is over.
    pub(super) fn stop_burn(&self, s: &mut State, cpu: usize) -> Option<ThreadId> {
        let since = s.cpus[cpu].burning.take()?;
        let id = s.running(cpu);
        let left = s.contexts[id].burn.unwrap_or_default();
        let used = left.min(self.now.get() - since);
        s.contexts[id].burn = Some(left - used);
        s.cpus[cpu].time += used;
        if s.cpus[cpu].irql < 2 {
            s.cpus[cpu].turn += used;
        }
        let state = &s.cpus[cpu];
        let over = state.turn >= self.tick * QUANTUM_TICKS && s.has_rival(cpu, id);
        let gives_way = state.irql < 2 && (over || s.has_more_urgent(cpu, id));
        if used == left || state.interrupts_burn() || !gives_way {
            return None;
        }
        if over {
            s.contexts[id].turn_ended = self.now.get();
        }
        let next = s.take_ready(cpu)?;
        s.give_up_cpu(cpu, id);
        Some(next)
    }
}

impl State {
    /// The thread on a CPU that is not halted.
    pub(super) fn running(&self, cpu: usize) -> ThreadId {
        self.cpus[cpu]
            .thread
            .expect("a running context has a thread")
    }

    /// Whether a ready thread has a claim to the CPU that `id` is on.
    fn has_rival(&self, cpu: usize, id: ThreadId) -> bool {
        self.has_ready_from(cpu, self.contexts[id].priority)
    }

    /// When the burn of `cpu` is over, or its thread's turn.
    fn burn_event(&self, cpu: usize, quantum: u64) -> Option<u64> {
        let state = &self.cpus[cpu];
        let since = state.burning?;
        let id = self.running(cpu);
        let end = since + self.contexts[id].burn.unwrap_or_default();
        if state.irql >= 2 || !self.has_rival(cpu, id) {
            return Some(end);
        }
        if self.has_more_urgent(cpu, id) {
            return Some(since);
        }
        Some(end.min(since + quantum.saturating_sub(state.turn)))
    }
}
