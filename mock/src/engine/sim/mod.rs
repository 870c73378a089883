//! The deterministic engine: virtual CPUs on one OS thread, every choice out of one seed.
//!
//! A thread is a coroutine. Interrupts and DPCs run nested on the stack of the thread that they preempt,
//! inside one of its preemption points, and can be paused there while other CPUs go on: to the scheduler
//! they are just deeper frames of that coroutine. A CPU at or above DISPATCH_LEVEL keeps its thread.

mod burn;
mod clock;
mod context;
mod deliver;
mod hang;
mod report;
mod schedule;
mod state;

use std::cell::Cell;

use corosensei::Yielder;

use crate::engine::rng::Rng;
use crate::engine::{Engine, Entry, ThreadId};
use crate::world::config::{Config, Preemption};
use crate::world::state::{World, current};

use context::{Context, Phase, Why};
use state::{Local, State};

/// What a preemption point counts on the watchdog's clock, in 100 ns.
const STEP: u64 = 1;
/// Ticks that a machine has been up when its world begins.
const UPTIME_TICKS: u64 = 1_000;
/// Points between two looks at the watchdog.
const WATCHDOG_PERIOD: u64 = 4_096;

/// The deterministic engine of one world.
pub(crate) struct Sim {
    /// The hot path reads these only.
    step: Cell<u64>,
    now: Cell<u64>,
    check_at: Cell<u64>,
    next_event: Cell<u64>,
    attention: Cell<bool>,
    current: Cell<usize>,
    /// The CPU that a context has picked to go on, before it gave the OS thread back.
    picked: Cell<Option<usize>>,

    switch_at: Cell<u64>,
    idle_step: Cell<u64>,
    entered_step: Cell<u64>,
    tick: u64,
    /// Virtual time of a preemption point.
    point: u64,
    by_priority: bool,
    step_limit: u64,
    preemption: Preemption,
    watchdog: (u64, u64),
    state: Local<State>,
}

// SAFETY: a world of this engine is made, run and dropped by one OS thread (`world::sim::run`), and its
// contexts never change it; `Engine` asks for `Send + Sync` because of the other engine.
unsafe impl Send for Sim {}
// SAFETY: as above.
unsafe impl Sync for Sim {}

impl Sim {
    /// An engine for the world of `config`.
    pub(crate) fn new(config: &Config) -> Self {
        let mut rng = Rng::new(config.seed.unwrap_or(0) ^ 0x6B6D_6466_2D6D_6F63);
        let pace = match config.preemption {
            Preemption::Never => 0,
            Preemption::Seldom => 200,
            Preemption::Often => [2, 3, 5, 9, 17, 40][rng.below(6) as usize],
            Preemption::Always => 1,
        };
        let tick = u64::from(config.tick);
        Self {
            step: Cell::new(0),
            now: Cell::new(tick * UPTIME_TICKS),
            check_at: Cell::new(0),
            next_event: Cell::new(u64::MAX),
            attention: Cell::new(false),
            current: Cell::new(0),
            picked: Cell::new(None),
            switch_at: Cell::new(0),
            idle_step: Cell::new(0),
            entered_step: Cell::new(0),
            tick,
            point: config.point,
            by_priority: config.by_priority,
            step_limit: config.step_limit,
            preemption: config.preemption,
            watchdog: config.watchdog,
            state: Local::new(State::new(rng, config.max_cpus as usize, pace)),
        }
    }

    /// How many preemption points the world has passed.
    pub(crate) fn steps(&self) -> u64 {
        self.step.get()
    }

    /// Step, CPU, IRQL and thread of the calling context, for the trace.
    pub(crate) fn place(&self) -> (u64, u32, u8, ThreadId) {
        let cpu = self.current.get();
        let (irql, thread) = self.state.with(|s| (s.cpus[cpu].irql, s.cpus[cpu].thread));
        (
            self.step.get(),
            cpu as u32,
            irql,
            thread.unwrap_or(ThreadId::MAX),
        )
    }

    #[cold]
    fn slow_point(&self, w: &World) {
        if self.now.get() >= self.next_event.get() {
            self.clock(w);
        }
        if self.attention.get() {
            self.deliver(w);
        }
        if self.step.get() >= self.check_at.get() {
            self.check_limits(w);
        }
        if self.step.get() >= self.switch_at.get() {
            self.end_turn(w);
            if self.attention.get() {
                self.deliver(w);
            }
        }
    }

    /// Gives the OS thread back to the scheduler; returns when the scheduler picks this context again.
    fn suspend(&self, why: Why) {
        let yielder = self.state.with(|s| {
            let id = s.cpus[self.current.get()]
                .thread
                .expect("a running context has a thread");
            s.contexts[id].yielder
        });
        // SAFETY: the yielder lives on the stack of this very coroutine, which published it before it ran
        // anything else.
        unsafe { (*yielder).suspend(why) };
    }

    /// Moves the current thread if its affinity excludes the CPU that it is on.
    fn leave_forbidden_cpu(&self) {
        let moves = self.state.with(|s| {
            let cpu = self.current.get();
            let id = s.cpus[cpu].thread.expect("a running context has a thread");
            s.contexts[id].affinity & (1 << cpu) == 0
        });
        if moves {
            self.suspend(Why::Moved);
        }
    }

    fn update_attention(&self, s: &State) {
        self.attention
            .set(s.cpus[self.current.get()].wants_attention());
    }

    /// Picks how many points the current context passes before the next switch.
    fn plan_switch(&self, s: &mut State) {
        let points = match self.preemption {
            Preemption::Never => 1 << 40,
            Preemption::Always => 1,
            Preemption::Seldom | Preemption::Often => 1 + u64::from(s.rng.below(2 * s.pace)),
        };
        let at = self.step.get() + points;
        self.switch_at.set(at);
        self.check_at.set(at.min(self.step.get() + WATCHDOG_PERIOD));
    }

    /// Ends the turn of the current thread at its next point, if one of a higher priority is ready for its CPU.
    fn yield_to_more_urgent(&self, s: &State) {
        let cpu = self.current.get();
        let urgent = |id| s.has_more_urgent(cpu, id);
        if self.by_priority && s.cpus[cpu].irql < 2 && s.cpus[cpu].thread.is_some_and(urgent) {
            self.switch_at.set(0);
            self.check_at.set(0);
        }
    }

    /// Time that the current CPU has spent, up to now.
    fn own_time(&self, s: &State) -> u64 {
        s.cpus[self.current.get()].time + (self.step.get() - self.entered_step.get()) * STEP
    }
}

/// Tells the engine where a coroutine's yielder is.
fn publish(id: ThreadId, yielder: &Yielder<(), Why>) {
    let w = current();
    let sim = sim_of(w);
    sim.state.with(|s| s.contexts[id].yielder = yielder);
}

/// The simulation that runs `w`.
pub(crate) fn sim_of(w: &World) -> &Sim {
    w.engine.as_sim().expect("this world is simulated")
}

impl Engine for Sim {
    fn as_sim(&self) -> Option<&Sim> {
        Some(self)
    }

    #[inline]
    fn preempt(&self, w: &World) {
        let step = self.step.get() + 1;
        self.step.set(step);
        let now = self.now.get() + self.point;
        self.now.set(now);
        if step >= self.check_at.get() || now >= self.next_event.get() || self.attention.get() {
            self.slow_point(w);
        }
    }

    fn spin(&self, w: &World, lock: usize) {
        self.step.set(self.step.get() + 1);
        self.now.set(self.now.get() + self.point);
        self.switch_at.set(0);
        self.state
            .with(|s| s.cpus[self.current.get()].spins_on = lock);
        self.slow_point(w);
    }

    fn unlocked(&self, _w: &World, lock: usize) {
        self.state.with(|s| {
            for cpu in s.cpus.iter_mut().filter(|cpu| cpu.spins_on == lock) {
                cpu.spins_on = 0;
            }
        });
    }

    fn cpu(&self) -> u32 {
        self.current.get() as u32
    }

    fn irql(&self) -> u8 {
        self.state.with(|s| s.cpus[self.current.get()].irql)
    }

    fn thread(&self) -> ThreadId {
        let thread = self.state.with(|s| s.cpus[self.current.get()].thread);
        thread.expect("a running context has a thread")
    }

    fn set_irql(&self, w: &World, irql: u8) {
        let lowered = irql < 2 && self.irql() >= 2;
        self.change_irql(irql);
        if self.attention.get() {
            self.deliver(w);
        }
        if lowered {
            self.leave_forbidden_cpu();
        }
    }

    fn start(&self, w: &World, id: ThreadId, entry: Entry) {
        let affinity = w.nt.with(|nt| nt.threads[id].affinity);
        self.state.with(|s| {
            assert!(
                s.contexts.len() == id,
                "threads are started in the order of their creation"
            );
            s.contexts.push(Context::new(entry, affinity));
            s.ready.push(id);
        });
        self.priority_changed(w, id);
    }

    fn priority_changed(&self, w: &World, id: ThreadId) {
        if !self.by_priority {
            return;
        }
        let priority = w.nt.with(|nt| nt.threads[id].priority);
        self.state.with(|s| {
            s.contexts[id].priority = priority;
            self.yield_to_more_urgent(s);
        });
    }

    fn exit(&self, w: &World) -> ! {
        self.stop(w)
    }

    fn block(&self, _w: &World, until: Option<u64>) {
        let waits = self.state.with(|s| {
            let cpu = &s.cpus[self.current.get()];
            assert!(
                cpu.irql < 2,
                "kmdf-mock: a context blocks at IRQL {}",
                cpu.irql
            );
            let id = cpu.thread.expect("a running context has a thread");
            let context = &mut s.contexts[id];
            if std::mem::take(&mut context.woken) {
                return false;
            }
            context.phase = Phase::Blocked;
            if let Some(until) = until {
                s.sleepers.push((until, id));
                self.next_event.set(self.next_event.get().min(until));
            }
            true
        });
        if waits {
            self.suspend(Why::Blocked);
        }
    }

    fn wake(&self, _w: &World, thread: ThreadId) {
        self.state.with(|s| {
            self.make_ready(s, thread);
            self.yield_to_more_urgent(s);
        });
    }

    fn move_to_affinity(&self, w: &World) {
        let id = self.thread();
        let affinity = w.nt.with(|nt| nt.threads[id].affinity);
        let stays = self.state.with(|s| {
            s.contexts[id].affinity = affinity;
            s.cpus[self.current.get()].irql >= 2
        });
        if !stays {
            self.leave_forbidden_cpu();
        }
    }

    fn affinities_changed(&self, w: &World) {
        let affinities: Vec<u64> =
            w.nt.with(|nt| nt.threads.iter().map(|thread| thread.affinity).collect());
        self.state.with(|s| {
            for (context, affinity) in s.contexts.iter_mut().zip(affinities) {
                context.affinity = affinity;
            }
        });
    }

    fn request_drain(&self, _w: &World, cpu: u32) {
        self.state.with(|s| {
            s.cpus[cpu as usize].drain = true;
            self.update_attention(s);
        });
    }

    fn request_interrupt(&self, _w: &World, cpu: u32) {
        self.state.with(|s| {
            s.cpus[cpu as usize].interrupt = true;
            s.cpus[cpu as usize].masked = false;
            self.update_attention(s);
        });
    }

    fn now(&self) -> u64 {
        self.now.get()
    }

    fn last_tick(&self) -> u64 {
        self.now.get() / self.tick * self.tick
    }

    fn alarm(&self, _w: &World, at: u64) {
        self.next_event.set(self.next_event.get().min(at));
    }

    fn burn(&self, w: &World, time: u64) {
        self.burn_here(w, time);
    }

    fn settle(&self, _w: &World) {
        self.state.with(|s| {
            let id = s.cpus[self.current.get()]
                .thread
                .expect("a running context has a thread");
            s.contexts[id].phase = Phase::Settling;
            s.settlers.push_back(id);
        });
        self.suspend(Why::Blocked);
    }

    fn choose(&self, n: u32) -> u32 {
        self.state.with(|s| s.rng.below(n))
    }

    fn should_yield(&self, w: &World) -> bool {
        self.long_at_dispatch(w.config.yield_after)
    }

    fn watchdog_left(&self, _w: &World) -> (u64, u64) {
        Sim::watchdog_left(self)
    }

    fn routine(&self, _w: &World, begins: bool) {
        self.note_routine(begins);
    }

    fn stop(&self, _w: &World) -> ! {
        loop {
            self.suspend(Why::Over);
        }
    }
}
