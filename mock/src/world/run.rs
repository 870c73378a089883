//! Builders of worlds.

use std::sync::{Arc, Mutex, PoisonError, mpsc};

use crate::engine::{live, sim};
use crate::nt::{self, state::Kind};
use crate::world::config::{Config, Preemption, Verifier};
use crate::world::failure::Failure;
use crate::world::state::{World, enter, try_current};
use crate::world::{panics, pool};

/// A simulated world: deterministic, the same seed gives the same run.
#[derive(Debug, Clone)]
pub struct Sim {
    config: Config,
}

/// A live world: OS threads as CPUs, real time.
///
/// A failure prints its report and ends the process with status 111: OS threads cannot be forgotten in the
/// middle. Code that must be convicted runs in a child process.
#[derive(Debug, Clone)]
pub struct Live {
    config: Config,
}

macro_rules! builder {
    ($world:ident) => {
        impl $world {
            /// Active CPUs.
            pub fn cpus(mut self, cpus: u32) -> Self {
                self.config.cpus = cpus;
                self
            }

            /// CPUs that the machine can ever have (N-23); at least the active ones.
            pub fn max_cpus(mut self, cpus: u32) -> Self {
                self.config.max_cpus = cpus;
                self
            }

            /// The length of a tick in 100 ns: 156 250 is NT's default, 40 000 is a tick per jiffy at HZ = 250.
            pub fn tick_100ns(mut self, tick: u32) -> Self {
                self.config.tick = tick;
                self
            }

            /// Exactly so many system worker threads for the delayed queue, which never become more: a
            /// pool that can starve. The default is NT's 3, with [`dynamic_workers`](Self::dynamic_workers)
            /// 16 (W-30).
            pub fn workers(mut self, workers: u32) -> Self {
                self.config.workers = Some(workers);
                self
            }

            /// Threads that NT adds to a worker pool at most, one at a time: whenever items wait and none was
            /// completed for a second (W-30).
            pub fn dynamic_workers(mut self, threads: u32) -> Self {
                self.config.dynamic_workers = Some(threads);
                self
            }

            /// The DPC watchdog (D-25): time of one routine, and time at DISPATCH_LEVEL or above without a
            /// break, in 100 ns. More is `DPC_WATCHDOG(0x133,0)` or `(0x133,1)`. The live engine's defaults are
            /// 20 s and 120 s; the simulation's are 50 ms and 100 ms, since a preemption point takes only 100 ns.
            pub fn watchdog_100ns(mut self, routine: u64, cumulative: u64) -> Self {
                self.config.watchdog = (routine, cumulative);
                self
            }

            /// Time at DISPATCH_LEVEL after which `KeShouldYieldProcessor` says yes, in 100 ns (D-25, N-35).
            /// The default is 100 µs, and in the simulation, by seed, earlier now and then.
            pub fn yield_after_100ns(mut self, time: u64) -> Self {
                self.config.yield_after = Some(time);
                self
            }

            /// How violations of IRQL ceilings are answered.
            pub fn verifier(mut self, verifier: Verifier) -> Self {
                self.config.verifier = verifier;
                self
            }

            /// Makes the `nth` allocation of the driver and every later one fail, counted from 1 (V-1).
            pub fn fail_allocation(mut self, nth: u64) -> Self {
                self.config.fail_allocation = Some(nth);
                self
            }
        }
    };
}

builder!(Sim);
builder!(Live);

/// A run and its trace.
#[derive(Debug)]
pub struct Traced<R> {
    /// What the run returned.
    pub result: Result<R, Failure>,
    /// Every event, a line each, without addresses.
    pub trace: Vec<String>,
    /// A number that equal traces share.
    pub fingerprint: u64,
    /// Preemption points passed.
    pub steps: u64,
}

impl Sim {
    /// A world with 4 CPUs, a tick of 15.625 ms, 3 system worker threads, up to 16 more, and a strict verifier.
    pub fn new(seed: u64) -> Self {
        Self {
            config: Config::new(Some(seed)),
        }
    }

    /// How often a preemption point really switches.
    pub fn preemption(mut self, preemption: Preemption) -> Self {
        self.config.preemption = preemption;
        self
    }

    /// Standard timers expire on the first tick at or after their due time. Without this they are, by seed,
    /// a tick late now and then (T-30): for tests that say on which tick something happens.
    pub fn timers_on_time(mut self) -> Self {
        self.config.late_timers = false;
        self
    }

    /// The virtual time of a preemption point in 100 ns; the default is 1. With 0 only
    /// [`burn_100ns`](crate::world::burn_100ns), `KeStallExecutionProcessor` and waiting take time, and a
    /// timeline can be stated to the last 100 ns; code that polls the clock then waits for ever. The
    /// watchdog counts a point as 100 ns all the same.
    pub fn point_100ns(mut self, time: u32) -> Self {
        self.config.point = u64::from(time);
        self
    }

    /// Schedules threads by their priorities: of those that are ready for a CPU one of the highest priority
    /// gets it, at once if the thread that is there has a lower one. Without this priorities are recorded and
    /// any order is possible, as on a machine with CPUs to spare and with NT's temporary boosts.
    pub fn by_priority(mut self) -> Self {
        self.config.by_priority = true;
        self
    }

    /// Whether freed pool memory becomes inaccessible, so that a plain access to it faults; the default is yes. It
    /// costs two system calls per block, which is a third of the time of a short world. Without it freed
    /// blocks are filled with `0xDD`, and accesses through [`crate::sync`] and NT's calls are convicted as
    /// before: for campaigns that leave the faults to a part of their seeds.
    pub fn special_pool(mut self, on: bool) -> Self {
        self.config.special_pool = on;
        self
    }

    /// Preemption points that may pass without the world coming to rest; more is `SIM_LIVELOCK`.
    pub fn step_limit(mut self, steps: u64) -> Self {
        self.config.step_limit = steps;
        self
    }

    /// Runs `f` as the first system thread of the world. The run ends with it: threads that still run then
    /// are forgotten.
    ///
    /// # Errors
    /// The first failure of the world.
    ///
    /// # Panics
    /// Inside another world.
    pub fn run<R: Send + 'static>(
        self,
        f: impl FnOnce() -> R + Send + 'static,
    ) -> Result<R, Failure> {
        self.execute(f).result
    }

    /// As [`Sim::run`], and keeps the whole trace.
    pub fn run_traced<R: Send + 'static>(
        mut self,
        f: impl FnOnce() -> R + Send + 'static,
    ) -> Traced<R> {
        self.config.trace_all = true;
        self.execute(f)
    }

    fn execute<R: Send + 'static>(self, f: impl FnOnce() -> R + Send + 'static) -> Traced<R> {
        assert!(try_current().is_none(), "a world is run inside a world");
        panics::install();
        pool::install_fault_handler();
        let config = self.config.checked();
        let engine = Box::new(sim::Sim::new(&config));
        let world = Box::into_raw(Box::new(World::new(config, engine)));
        // SAFETY: the box is freed below, after its last context is gone and the guard is dropped.
        let w: &'static World = unsafe { &*world };
        let guard = enter(w);
        let slot = Arc::new(Mutex::new(None));
        let result = Arc::clone(&slot);
        let main = nt::thread::create(
            w,
            "main".to_owned(),
            Kind::Harness,
            None,
            Box::new(move || {
                let value = f();
                *result.lock().unwrap_or_else(PoisonError::into_inner) = Some(value);
            }),
        );
        let engine = sim::sim_of(w);
        engine.run(w, main);
        let traced = Traced {
            result: outcome(w, &slot),
            trace: w.trace.with(|trace| {
                trace.lines(|id| {
                    w.nt.with(|nt| {
                        nt.threads
                            .get(id)
                            .map_or_else(String::new, |t| t.name.clone())
                    })
                })
            }),
            fingerprint: w.trace.with(|trace| trace.fingerprint()),
            steps: engine.steps(),
        };
        drop(guard);
        // SAFETY: the engine has forgotten every context, and nothing else keeps a reference.
        drop(unsafe { Box::from_raw(world) });
        traced
    }
}

/// The failure of a run, or else its value.
fn outcome<R>(w: &World, slot: &Mutex<Option<R>>) -> Result<R, Failure> {
    if let Some(failure) = w.failure.with(Option::take) {
        return Err(failure);
    }
    let value = slot.lock().unwrap_or_else(PoisonError::into_inner).take();
    Ok(value.expect("a world without a failure ends when its first thread has returned"))
}

impl Default for Live {
    fn default() -> Self {
        Self::new()
    }
}

impl Live {
    /// A world with 4 CPUs, a tick of 15.625 ms, 3 system worker threads, up to 16 more, and a strict verifier.
    pub fn new() -> Self {
        Self {
            config: Config::new(None),
        }
    }

    /// Runs `f` as the first system thread of the world, and waits for it.
    ///
    /// # Errors
    /// None: a failure ends the process. The type is that of [`Sim::run`].
    ///
    /// # Panics
    /// Inside another world.
    pub fn run<R: Send + 'static>(
        self,
        f: impl FnOnce() -> R + Send + 'static,
    ) -> Result<R, Failure> {
        assert!(try_current().is_none(), "a world is run inside a world");
        panics::install();
        pool::install_fault_handler();
        let config = self.config.checked();
        let engine = Box::new(live::Live::new(&config));
        let world = Box::into_raw(Box::new(World::new(config, engine)));
        // SAFETY: the box is freed below if every OS thread has left the world, and never otherwise.
        let w: &'static World = unsafe { &*world };
        let guard = enter(w);
        let (sender, result) = mpsc::channel();
        let engine = w.engine.as_live().expect("this world is live");
        engine.start_service(w);
        let body = Box::new(move || {
            // The receiver is gone only if the process ends.
            let _ = sender.send(f());
        });
        nt::thread::create(w, "main".to_owned(), Kind::Harness, None, body);
        let value = result
            .recv()
            .expect("a live world that fails ends the process");
        let left = engine.leave();
        drop(guard);
        if left {
            // SAFETY: every OS thread has left the world, and nothing else keeps a reference.
            drop(unsafe { Box::from_raw(world) });
        }
        Ok(value)
    }
}
