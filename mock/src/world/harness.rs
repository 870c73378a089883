//! What a test calls inside a world.

use crate::abi::{GROUP_AFFINITY, NTSTATUS};
use crate::nt;
use crate::world::counters::Counters;
use crate::world::failure::fail;
use crate::world::state::{World, current, try_current};

/// Runs `f` with the current thread bound to `cpu`.
///
/// # Panics
/// Outside a world, or if there is no such CPU.
pub fn run_on_cpu<R>(cpu: u32, f: impl FnOnce() -> R) -> R {
    let mut wanted = GROUP_AFFINITY {
        Mask: 1 << cpu,
        ..Default::default()
    };
    let mut before = GROUP_AFFINITY::default();
    // SAFETY: both structures are valid for the calls.
    unsafe { nt::KeSetSystemGroupAffinityThread(&raw mut wanted, &raw mut before) };
    let result = f();
    // SAFETY: as above.
    unsafe { nt::KeRevertToUserGroupAffinityThread(&raw mut before) };
    result
}

/// Runs `f` at DISPATCH_LEVEL ("bottom halves off").
pub fn at_dispatch<R>(f: impl FnOnce() -> R) -> R {
    at_irql(2, f)
}

/// Runs `f` at `irql`, which is not below the current one.
pub fn at_irql<R>(irql: u8, f: impl FnOnce() -> R) -> R {
    // SAFETY: the IRQL is restored below.
    let before = unsafe { nt::KfRaiseIrql(irql) };
    let result = f();
    // SAFETY: `before` is what the raise returned.
    unsafe { nt::KeLowerIrql(before) };
    result
}

/// Waits until nothing else in the world can run without time passing: all others are blocked or idle, no
/// DPC is queued and no timer is due. Exact in the simulation; on the live engine it polls.
pub fn settle() {
    let w = current();
    nt::wait::check_irql(w, "world::settle", None);
    let me = w.engine.thread();
    w.nt.with(|nt| nt.threads[me].waiting = Some(nt::state::Waiting::Settle));
    w.engine.settle(w);
    w.nt.with(|nt| nt.threads[me].waiting = None);
}

/// Sleeps for exactly so many 100 ns of the virtual clock, whatever the tick; never early.
pub fn sleep_100ns(time: u64) {
    let w = current();
    nt::wait::check_irql(w, "world::sleep_100ns", None);
    nt::wait::sleep_until(w, w.engine.now() + time);
}

/// Uses the current CPU for so many 100 ns, at any IRQL. Below DISPATCH_LEVEL other threads of the CPU take turns
/// of two ticks; DPCs and interrupts preempt the burn, and what they use does not count for it. At
/// DISPATCH_LEVEL and above it counts for the DPC watchdog. On the live engine threads do not share CPUs.
pub fn burn_100ns(time: u64) {
    let w = current();
    w.engine.preempt(w);
    w.engine.burn(w, time);
}

/// The precise interrupt time.
pub fn now_100ns() -> u64 {
    let w = current();
    w.engine.preempt(w);
    w.engine.now()
}

/// The CPU of the caller.
pub fn current_cpu() -> u32 {
    current().engine.cpu()
}

/// The IRQL of the caller.
pub fn current_irql() -> u8 {
    current().engine.irql()
}

/// Whether the caller is in a simulated world.
pub fn is_sim() -> bool {
    try_current().is_some_and(|w| w.sim)
}

/// The seed of the world; `None` on the live engine and outside.
pub fn seed() -> Option<u64> {
    try_current().and_then(|w| w.config.seed)
}

/// Brings one more CPU online (N-23, N-25) and returns its index. Threads that may run everywhere may run on it
/// too. PASSIVE_LEVEL.
///
/// # Panics
/// If the machine has its maximum already (`max_cpus`), or a processor change callback refuses.
pub fn add_cpu() -> u32 {
    try_add_cpu().expect("no processor change callback refuses the CPU")
}

/// As [`add_cpu`].
///
/// # Errors
/// The status with which a processor change callback refused the CPU, which is not online then.
///
/// # Panics
/// If the machine has its maximum already (`max_cpus`).
pub fn try_add_cpu() -> Result<u32, NTSTATUS> {
    let w = current();
    w.engine.preempt(w);
    let result = nt::processor::add(w);
    w.engine.preempt(w);
    result
}

/// A number below `n`, picked by the seed.
pub fn choose(n: u32) -> u32 {
    current().engine.choose(n)
}

/// The highest IRQL of a device, and the ceiling of `DbgPrint` (N-42).
const HIGHEST_DEVICE_IRQL: u8 = 12;

/// A line that `DbgPrint` would show; above the highest device's IRQL it is `DBGPRINT_IRQL`. Outside of a world it goes to standard error.
pub fn debug_print(line: &str) {
    match try_current() {
        Some(w) => {
            let irql = w.engine.irql();
            if irql > HIGHEST_DEVICE_IRQL {
                fail("DBGPRINT_IRQL", format!("DbgPrint at IRQL {irql}: {line}"));
            }
            w.debug_log.with(|log| log.push(line.to_owned()));
        }
        None => eprintln!("{line}"),
    }
}

/// The lines of [`debug_print`] so far.
pub fn debug_log() -> Vec<String> {
    current().debug_log.with(|log| log.clone())
}

/// Verifier breaks so far, by name, in the order of their first occurrence (V-4).
pub fn breaks() -> Vec<(String, u32)> {
    current().breaks.with(|breaks| breaks.clone())
}

/// What has happened in the world so far.
pub fn counters() -> Counters {
    current().counters.with(|counters| *counters)
}

impl World {
    /// Changes the counters.
    pub(crate) fn count(&self, f: impl FnOnce(&mut Counters)) {
        self.counters.with(f);
    }

    /// Counts a verifier break under a stable name.
    pub(crate) fn add_break(&self, name: &str) {
        self.breaks.with(
            |breaks| match breaks.iter_mut().find(|(other, _)| other == name) {
                Some((_, count)) => *count += 1,
                None => breaks.push((name.to_owned(), 1)),
            },
        );
    }

    /// Whether this allocation is one that the world was told to fail: the n-th and every later one (V-1).
    pub(crate) fn allocation_fails(&self) -> bool {
        let Some(first) = self.config.fail_allocation else {
            return false;
        };
        self.allocations
            .fetch_add(1, std::sync::atomic::Ordering::Relaxed)
            + 1
            >= first
    }

    /// Adds an event to the trace of a simulated world.
    pub(crate) fn trace_event(&self, what: &'static str, a: u64, b: u64) {
        if let Some(sim) = self.engine.as_sim() {
            let place = sim.place();
            self.trace.with(|trace| trace.add(place, what, a, b));
        }
    }
}

/// Fails the world if a condition does not hold; outside a world it panics.
#[macro_export]
macro_rules! sim_assert {
    ($cond:expr $(,)?) => {
        if !$cond {
            $crate::world::assertion_failed(::std::format!("{} does not hold", stringify!($cond)));
        }
    };
    ($cond:expr, $($message:tt)+) => {
        if !$cond {
            $crate::world::assertion_failed(::std::format!($($message)+));
        }
    };
}

/// Fails the world if two values differ; outside a world it panics.
#[macro_export]
macro_rules! sim_assert_eq {
    ($left:expr, $right:expr $(,)?) => {
        match (&$left, &$right) {
            (left, right) => if *left != *right {
                $crate::world::assertion_failed(::std::format!(
                    "{} == {} does not hold: {left:?} and {right:?}", stringify!($left), stringify!($right)
                ));
            }
        }
    };
    ($left:expr, $right:expr, $($message:tt)+) => {
        match (&$left, &$right) {
            (left, right) => if *left != *right {
                $crate::world::assertion_failed(::std::format!(
                    "{}: {left:?} and {right:?}", ::std::format!($($message)+)
                ));
            }
        }
    };
}
