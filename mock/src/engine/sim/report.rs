//! What the simulation says when a world is stuck.

use crate::engine::sim::Sim;
use crate::world::failure::record;
use crate::world::state::World;

/// Timeouts of repeated waits that may pass in a row before the world counts as deadlocked.
pub(super) const SOFT_JUMPS: u32 = 3;
/// Moves of the clock in a world whose main thread never comes back.
pub(super) const JUMP_LIMIT: u64 = 1_000_000;

impl Sim {
    /// Nothing can run and no time will change that.
    pub(super) fn deadlock(&self, w: &World) {
        let waits = w.nt.with(|nt| {
            let mut waits = nt.who_waits();
            waits.extend(nt.work.starvation());
            waits
        });
        let code = format!("SIM_DEADLOCK({})", waits.join("; "));
        record(
            w,
            &code,
            "nothing can run, and no timer will change that".to_owned(),
            waits,
        );
    }

    /// The world does not come to rest.
    pub(super) fn livelock(&self, w: &World) -> ! {
        self.record_livelock(w, format!("{} steps without a rest", self.step_limit));
        w.engine.stop(w)
    }

    pub(super) fn record_livelock(&self, w: &World, why: String) {
        let running = self.state.with(|s| {
            s.cpus
                .iter()
                .enumerate()
                .filter_map(|(n, cpu)| Some((n, cpu.irql, cpu.thread?)))
                .collect::<Vec<_>>()
        });
        let mut notes: Vec<String> = w.nt.with(|nt| {
            running
                .iter()
                .map(|&(cpu, irql, id)| {
                    format!("{} runs on CPU {cpu} at IRQL {irql}", nt.threads[id].name)
                })
                .collect()
        });
        let what = notes.join("; ");
        notes.extend(w.nt.with(|nt| nt.who_waits()));
        notes.extend(w.nt.with(|nt| nt.work.starvation()));
        record(w, &format!("SIM_LIVELOCK({what})"), why, notes);
    }
}
