//! The virtual clock: it advances a little at every point, and jumps when nothing can run.

use crate::engine::ThreadId;
use crate::engine::sim::Sim;
use crate::engine::sim::context::Phase;
use crate::engine::sim::state::State;
use crate::nt::timer;
use crate::world::state::World;

impl Sim {
    /// Lets a blocked thread run again; for one that runs, remembers it.
    pub(super) fn make_ready(&self, s: &mut State, thread: ThreadId) {
        let context = &mut s.contexts[thread];
        match context.phase {
            Phase::Blocked => {
                context.phase = Phase::Ready;
                s.sleepers.retain(|&(_, id)| id != thread);
                s.ready.push(thread);
            }
            Phase::Ready | Phase::Running | Phase::Settling => context.woken = true,
            Phase::Over => {}
        }
    }

    /// The clock interrupt: wakes who slept long enough, expires timers, and finds the next event.
    pub(super) fn clock(&self, w: &World) {
        let now = self.now.get();
        self.state.with(|s| {
            while let Some(place) = s.sleepers.iter().position(|&(until, _)| until <= now) {
                let (_, thread) = s.sleepers.remove(place);
                self.make_ready(s, thread);
            }
        });
        timer::clock(w, now, true);
        self.find_next_event(w);
    }

    pub(super) fn find_next_event(&self, w: &World) {
        let (timers, waiting_dpc) = w.nt.with(|nt| {
            let waiting = nt.cpus.iter().any(|cpu| !cpu.dpcs.is_empty());
            let look = nt.work.next_look().unwrap_or(u64::MAX);
            (nt.timers.next().unwrap_or(u64::MAX).min(look), waiting)
        });
        let tick = if waiting_dpc {
            (self.now.get() / self.tick + 1) * self.tick
        } else {
            u64::MAX
        };
        let sleeper = self
            .state
            .with(|s| s.sleepers.iter().map(|&(until, _)| until).min());
        self.next_event
            .set(timers.min(tick).min(sleeper.unwrap_or(u64::MAX)));
    }

    /// Moves the clock to the next event. False: there is none.
    pub(super) fn jump(&self, w: &World) -> bool {
        self.find_next_event(w);
        let next = self.next_event.get();
        if next == u64::MAX {
            return false;
        }
        let only_soft = self.only_repeated_waits(w);
        let too_many = self.state.with(|s| {
            s.jumps += 1;
            s.soft_jumps = if only_soft { s.soft_jumps + 1 } else { 0 };
            s.soft_jumps > super::report::SOFT_JUMPS
        });
        if too_many {
            return false;
        }
        self.now.set(self.now.get().max(next));
        self.idle_step.set(self.step.get());
        self.clock(w);
        true
    }

    /// Whether every coming event is the timeout of a wait that will just be made again.
    fn only_repeated_waits(&self, w: &World) -> bool {
        let sleepers: Vec<ThreadId> = self
            .state
            .with(|s| s.sleepers.iter().map(|&(_, id)| id).collect());
        w.nt.with(|nt| {
            nt.timers.armed() == 0
                && nt.work.next_look().is_none()
                && nt
                    .cpus
                    .iter()
                    .all(|cpu| cpu.dpcs.is_empty() && cpu.expired.is_empty())
                && sleepers
                    .iter()
                    .all(|&id| nt.threads[id].wait_note.is_some())
        })
    }
}
