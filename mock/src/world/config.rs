//! What a world is made of.

/// How violations of an IRQL ceiling are answered (facts §10 item 9).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verifier {
    /// No verifier: the call does what it would do on a machine without one.
    Off,
    /// The KMDF verifier: the results of V-2, and breaks counted by name (V-4).
    On,
    /// Every violation is a failure of the run.
    Strict,
}

/// How often a preemption point really switches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Preemption {
    /// Only a context that waits or spins gives way.
    Never,
    /// Once in about two hundred points.
    Seldom,
    /// Once in a few points; the seed picks how many.
    Often,
    /// At every point.
    Always,
}

/// The parts of a world's machine, whichever engine runs it.
#[derive(Debug, Clone)]
pub(crate) struct Config {
    pub(crate) seed: Option<u64>,
    pub(crate) cpus: u32,
    pub(crate) max_cpus: u32,
    pub(crate) tick: u32,
    pub(crate) workers: Option<u32>,
    pub(crate) dynamic_workers: Option<u32>,
    pub(crate) late_timers: bool,
    pub(crate) verifier: Verifier,
    pub(crate) fail_allocation: Option<u64>,
    pub(crate) preemption: Preemption,
    pub(crate) trace_all: bool,
    pub(crate) step_limit: u64,
    pub(crate) watchdog: (u64, u64),
    pub(crate) yield_after: Option<u64>,
    pub(crate) point: u64,
    pub(crate) by_priority: bool,
    pub(crate) special_pool: bool,
}

/// Most CPUs a world can have: one bit each in an affinity mask.
pub(crate) const CPU_LIMIT: u32 = 64;

impl Config {
    /// The default machine: 4 CPUs, a tick of 15.625 ms, strict.
    pub(crate) const fn new(seed: Option<u64>) -> Self {
        Self {
            seed,
            cpus: 4,
            max_cpus: 0,
            tick: 156_250,
            workers: None,
            dynamic_workers: None,
            late_timers: true,
            verifier: Verifier::Strict,
            fail_allocation: None,
            preemption: Preemption::Often,
            trace_all: false,
            step_limit: 4_000_000,
            watchdog: match seed {
                Some(_) => (500_000, 1_000_000),
                None => (200_000_000, 1_200_000_000),
            },
            yield_after: None,
            point: 1,
            by_priority: false,
            special_pool: true,
        }
    }

    /// Active and maximum processor count made consistent.
    pub(crate) fn checked(mut self) -> Self {
        assert!(
            self.cpus >= 1 && self.cpus <= CPU_LIMIT,
            "a world has 1 to {CPU_LIMIT} CPUs"
        );
        self.max_cpus = self.max_cpus.max(self.cpus);
        assert!(self.tick > 0, "a tick takes time");
        self
    }

    /// Static threads of the delayed pool: NT's three, unless the test says how many (W-30).
    pub(crate) fn workers(&self) -> u32 {
        self.workers.unwrap_or(3)
    }

    /// How many threads a stalled pool can get: NT's sixteen; none if the test has fixed its size.
    pub(crate) fn dynamic_workers(&self) -> u32 {
        let usual = if self.workers.is_some() { 0 } else { 16 };
        self.dynamic_workers.unwrap_or(usual)
    }
}
