//! The scheduler: which CPU advances next, and with which thread.

use std::sync::atomic::Ordering;

use crate::engine::sim::context::{Phase, Why, resume};
use crate::engine::sim::state::State;
use crate::engine::sim::{Sim, hang, publish, report};
use crate::engine::{Entry, ThreadId};
use crate::nt::state::Kind;
use crate::world::state::{World, current};

/// Shortest and longest hold of a CPU, as powers of two of preemption points.
const HOLD_POWERS: (u32, u32) = (3, 12);

impl Sim {
    /// Runs the world until thread `main` is over or the world has failed.
    pub(crate) fn run(&self, w: &World, main: ThreadId) {
        let watch = hang::watch(&w.replay);
        loop {
            watch.pulse.beat();
            let over = self.state.with(|s| s.contexts[main].phase == Phase::Over);
            if over || w.failed.load(Ordering::Relaxed) {
                break;
            }
            let picked = match self.picked.take() {
                None => self.state.with(|s| self.pick(s)),
                picked => picked,
            };
            let Some(cpu) = picked else {
                if self.rest(w) {
                    continue;
                }
                break;
            };
            self.advance(w, cpu);
        }
        self.state
            .with(|s| s.contexts.iter_mut().for_each(|context| context.forget()));
    }

    /// Picks the CPU that goes on: one that is not held back, if there is one. A CPU that spins for a lock
    /// which nobody has freed since is the last choice, after those that burn: the lock's holder may be one.
    fn pick(&self, s: &mut State) -> Option<usize> {
        let step = self.step.get();
        let ready = s.ready_cpus();
        let (mut free, mut held, mut spinning) = (0_u64, 0_u64, 0_u64);
        let mut burns = false;
        for (cpu, state) in s.cpus.iter().enumerate() {
            burns |= state.burning.is_some();
            let set = match state.held_until <= step {
                _ if !self.is_runnable(s, cpu, ready) => continue,
                _ if state.only_spins(ready & (1 << cpu) != 0) => &mut spinning,
                true => &mut free,
                false => &mut held,
            };
            *set |= 1 << cpu;
        }
        if burns {
            spinning = 0;
        }
        let mut candidates = [free, held, spinning].into_iter().find(|&set| set != 0)?;
        for _ in 0..s.rng.below(candidates.count_ones()) {
            candidates &= candidates - 1;
        }
        Some(candidates.trailing_zeros() as usize)
    }

    /// Ends the turn of the running context, which can go on, and picks the next CPU. If that is its own, with
    /// itself on it, there is no need to leave the coroutine.
    pub(super) fn end_turn(&self, w: &World) {
        let cpu = self.current.get();
        let (id, yielder) = self.state.with(|s| {
            let id = s.running(cpu);
            s.cpus[cpu].time = self.own_time(s);
            s.put_down(self.step.get(), cpu, id, Why::Preempted);
            let picked = self.pick(s);
            if picked == Some(cpu) && s.cpus[cpu].thread == Some(id) {
                self.begin_turn(s);
                return (id, None);
            }
            self.picked.set(picked);
            (id, Some(s.contexts[id].yielder))
        });
        match yielder {
            None => self.trace_turn(w, id, cpu),
            // SAFETY: as in `suspend`.
            Some(yielder) => unsafe { (*yielder).suspend(Why::Preempted) },
        }
    }

    fn begin_turn(&self, s: &mut State) {
        s.cpus[self.current.get()].spins_on = 0;
        self.plan_switch(s);
        self.entered_step.set(self.step.get());
        self.update_attention(s);
    }

    fn trace_turn(&self, w: &World, id: ThreadId, cpu: usize) {
        if w.config.trace_all {
            let place = self.place();
            w.trace
                .with(|trace| trace.add_unseen(place, "switch", id as u64, cpu as u64));
        }
    }

    /// Lets `cpu` run until its context gives the OS thread back.
    fn advance(&self, w: &World, cpu: usize) {
        self.current.set(cpu);
        let (next, thread) = self
            .state
            .with(|s| (self.stop_burn(s, cpu), s.cpus[cpu].thread));
        let id = match (next, thread) {
            (None, Some(id)) => id,
            (next, _) => self.dispatch(w, cpu, next),
        };
        let coro = self.state.with(|s| {
            if self.goes_on_burning(s, cpu, id) {
                return None;
            }
            self.begin_turn(s);
            Some(s.contexts[id].coroutine(w, id, publish))
        });
        let Some(coro) = coro else { return };
        self.trace_turn(w, id, cpu);
        // SAFETY: the context is on this CPU, so it neither runs elsewhere nor is over.
        let why = unsafe { resume(coro) };
        if why == Why::Preempted {
            // The context has booked its turn itself, in `end_turn`.
            return;
        }
        // A CPU drains its queue before it goes idle (D-23).
        let queued = matches!(why, Why::Blocked | Why::Over)
            && w.nt.with(|nt| !nt.cpus[cpu].dpcs.is_empty());
        self.state.with(|s| {
            s.cpus[cpu].time = self.own_time(s);
            s.cpus[cpu].drain |= queued;
            if why == Why::Burning {
                s.cpus[cpu].burning = Some(self.now.get());
            } else {
                s.put_down(self.step.get(), cpu, id, why);
            }
        });
    }

    /// A thread whose burn another one has cut short goes on with it, unless it is over or interrupted.
    fn goes_on_burning(&self, s: &mut State, cpu: usize, id: ThreadId) -> bool {
        let burns = s.contexts[id].burn.is_some_and(|left| left > 0);
        let goes_on = burns && !s.cpus[cpu].interrupts_burn();
        if goes_on {
            s.cpus[cpu].burning = Some(self.now.get());
        }
        goes_on
    }

    fn is_runnable(&self, s: &State, cpu: usize, ready: u64) -> bool {
        let state = &s.cpus[cpu];
        if state.burning.is_some() {
            return self.burn_is_due(s, cpu);
        }
        state.thread.is_some() || state.drain || state.interrupt || ready & (1 << cpu) != 0
    }

    /// Puts a thread on a halted CPU: `next`, or a ready one, or the idle thread if something is requested of
    /// the CPU.
    fn dispatch(&self, w: &World, cpu: usize, next: Option<ThreadId>) -> ThreadId {
        let ready = self.state.with(|s| {
            let wanted = s.cpus[cpu].drain || s.cpus[cpu].interrupt;
            if next.is_some() {
                next
            } else if wanted && s.rng.one_in(2) {
                None
            } else {
                s.take_ready(cpu)
            }
        });
        let id = ready.unwrap_or_else(|| self.idle_thread(w, cpu));
        self.state.with(|s| {
            s.contexts[id].phase = Phase::Running;
            s.cpus[cpu].thread = Some(id);
            s.cpus[cpu].irql = s.contexts[id].irql;
            s.cpus[cpu].masked = false;
            s.cpus[cpu].turn = 0;
        });
        id
    }

    fn idle_thread(&self, w: &World, cpu: usize) -> ThreadId {
        if let Some(id) = self.state.with(|s| s.cpus[cpu].idle) {
            return id;
        }
        let id =
            w.nt.with(|nt| nt.add_thread(w, format!("idle {cpu}"), Kind::Idle, 1 << cpu));
        let entry: Entry = Box::new(|| {
            let w = current();
            let sim = crate::engine::sim::sim_of(w);
            loop {
                sim.deliver(w);
                sim.suspend(Why::Idle);
            }
        });
        self.state.with(|s| {
            s.contexts
                .push(super::context::Context::new(entry, 1 << cpu));
            s.cpus[cpu].idle = Some(id);
        });
        id
    }

    /// Nothing can run: drains what waits, wakes who waits for rest, moves the clock. False: the world is
    /// stuck, and the failure is recorded.
    fn rest(&self, w: &World) -> bool {
        if self.pass_burns(w) {
            return true;
        }
        let settler = self.state.with(|s| s.settlers.front().copied());
        if let Some(thread) = settler {
            let waiting = w.nt.with(|nt| {
                (0..nt.cpus.len())
                    .filter(|&cpu| !nt.cpus[cpu].dpcs.is_empty())
                    .collect::<Vec<_>>()
            });
            self.state.with(|s| {
                for &cpu in &waiting {
                    s.cpus[cpu].drain = true;
                }
                if waiting.is_empty() {
                    s.settlers.pop_front();
                    s.contexts[thread].phase = Phase::Ready;
                    s.ready.push(thread);
                }
            });
            self.idle_step.set(self.step.get());
            return true;
        }
        if self.state.with(|s| s.jumps) > report::JUMP_LIMIT {
            self.record_livelock(w, "time passes and nothing else happens".to_owned());
            return false;
        }
        if self.jump(w) {
            return true;
        }
        self.deadlock(w);
        false
    }
}

impl State {
    /// Books what a context that gave the OS thread back does next.
    fn put_down(&mut self, step: u64, cpu: usize, id: ThreadId, why: Why) {
        match why {
            Why::Preempted => {
                // One at a time: two CPUs that are held back cancel each other out.
                let held = self.cpus.iter().any(|cpu| cpu.held_until > step);
                if !held && self.rng.one_in(self.hold_one_in) {
                    let (least, most) = HOLD_POWERS;
                    let power = least + self.rng.below(most - least + 1);
                    self.cpus[cpu].held_until = step + (1 << power);
                    return;
                }
                let low = self.cpus[cpu].irql < 2 && Some(id) != self.cpus[cpu].idle;
                let one_in = match self.has_ready(cpu) {
                    true if low && self.has_more_urgent(cpu, id) => 1,
                    true => 2,
                    false => 8,
                };
                if low && self.rng.one_in(one_in) {
                    self.give_up_cpu(cpu, id);
                }
            }
            Why::Moved => self.give_up_cpu(cpu, id),
            // The scheduler books a burn itself: the thread stays where it is.
            Why::Burning => {}
            Why::Blocked => {
                self.contexts[id].turn_ended = 0;
                self.release_cpu(cpu, id);
            }
            Why::Idle => {
                self.cpus[cpu].thread = None;
                self.contexts[id].phase = Phase::Ready;
            }
            Why::Over => {
                self.cpus[cpu].thread = None;
                self.contexts[id].forget();
            }
        }
    }

    /// Takes a thread that can go on off its CPU.
    pub(super) fn give_up_cpu(&mut self, cpu: usize, id: ThreadId) {
        self.release_cpu(cpu, id);
        self.ready.push(id);
    }

    fn release_cpu(&mut self, cpu: usize, id: ThreadId) {
        self.contexts[id].irql = self.cpus[cpu].irql;
        if self.contexts[id].phase == Phase::Running {
            self.contexts[id].phase = Phase::Ready;
        }
        self.cpus[cpu].thread = None;
        self.cpus[cpu].irql = 0;
    }
}
