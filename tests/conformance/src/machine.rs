//! The simulated machine that a scenario runs on, with a driver attached.

use std::ffi::{c_int, c_uint};

// The C symbols of the library are in it.
use bottomhalf_c as _;

use std::sync::{Mutex, PoisonError};

use bottomhalf::{Config, Host, WorkReentrance, attach, counters};
use kmdf_mock::world::{self, Driver, Preemption, Sim};

unsafe extern "C" {
    fn compat_init() -> c_int;
    fn compat_exit() -> c_uint;
}

/// One tick: 1/HZ, so that jiffies and ticks coincide.
const TICK_100NS: u32 = 40_000;
/// 100 ns units in a second.
const SECOND: u64 = 10_000_000;

/// A process runs one machine at a time.
static ONE: Mutex<()> = Mutex::new(());

/// What the machine is like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Four CPUs, any schedule.
    FourCpus,
    /// One CPU that is given away by priorities and quanta alone, timers on the tick: for rows that say when
    /// something happens.
    Timeline,
}

/// A run, and what it has left behind.
#[derive(Debug, Clone)]
pub struct Ran<R> {
    /// What the body returned.
    pub result: R,
    /// Items that were pending when the driver detached.
    pub pending: u64,
    /// Blocks of the environment's memory that were not freed.
    pub blocks: u32,
    /// What was printed.
    pub printed: Vec<String>,
}

impl Kind {
    fn sim(self, seed: u64) -> Sim {
        let sim = Sim::new(seed)
            .tick_100ns(TICK_100NS)
            .workers(16)
            // A tasklet that is held by a gate spins for as long as the scenario looks elsewhere.
            .watchdog_100ns(20 * SECOND, 60 * SECOND);
        match self {
            Self::FourCpus => sim.cpus(4),
            Self::Timeline => sim
                .cpus(1)
                .preemption(Preemption::Never)
                .by_priority()
                .point_100ns(0)
                .timers_on_time(),
        }
    }

    /// Runs `body` with a driver attached and the environment of the scenarios there; detaches and unloads after it.
    ///
    /// # Errors
    /// The machine's failure.
    pub fn run<R: Send + 'static>(
        self,
        seed: u64,
        body: impl FnOnce() -> R + Send + 'static,
    ) -> Result<Ran<R>, String> {
        // The statics of C are there once.
        let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
        let ran = self.sim(seed).run(move || in_driver(body));
        ran.map_err(|failure| failure.to_string())
    }
}

fn in_driver<R>(body: impl FnOnce() -> R) -> Ran<R> {
    let driver = Driver::load();
    let host = Host::Driver(driver.handle().cast());
    let config = Config::new(WorkReentrance::NonReentrant).pin_bound(true);
    // SAFETY: the driver stays loaded until the attachment below is detached.
    let attachment = unsafe { attach(host, &config) }.expect("a fresh machine has the resources");
    // SAFETY: at PASSIVE_LEVEL, before any other call into the environment.
    let status = unsafe { compat_init() };
    assert_eq!(status, 0, "a fresh machine has the resources");
    let result = body();
    world::settle();
    let pending = counters().pending;
    // SAFETY: at PASSIVE_LEVEL; the body was the last to call into the environment, and waits for its threads.
    let blocks = unsafe { compat_exit() };
    attachment.detach();
    driver.unload();
    Ran {
        result,
        pending,
        blocks,
        printed: world::debug_log(),
    }
}
