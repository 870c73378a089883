//! What stands around a driver, for the examples: a simulated machine that loads it and attaches it, and its log.
//! In a driver this is `DriverEntry`, `EvtDriverDeviceAdd` and `EvtDriverUnload`.
#![allow(dead_code, reason = "each example uses a part of it")]
#![allow(unsafe_code, reason = "an attach takes a handle of KMDF's")]

use std::sync::Arc;

use bottomhalf::{Attachment, Config, Counters, Host, WorkReentrance, attach};
use kmdf_mock::world::{self, Driver, Interrupt, Sim, Thread};

/// Loads a driver into a machine with four CPUs, attaches, lets it `live`, and unloads it. The same `seed` gives
/// the same run.
pub(crate) fn machine<R: Send + 'static>(
    seed: u64,
    live: impl FnOnce(Attachment) -> R + Send + 'static,
) -> R {
    let machine = Sim::new(seed).cpus(4).tick_100ns(10_000);
    let run = machine.run(move || {
        let driver = Driver::load();
        let host = Host::Driver(driver.handle().cast());
        // SAFETY: the driver is unloaded after the detach.
        let attachment = unsafe { attach(host, &Config::new(WorkReentrance::NonReentrant)) };
        let result = live(attachment.expect("a fresh machine has the resources"));
        driver.unload();
        let diagnostics = world::debug_log();
        assert!(diagnostics.is_empty(), "{diagnostics:?}");
        result
    });
    run.unwrap_or_else(|failure| panic!("{failure}"))
}

/// Interrupts from the card, on all CPUs in turn, for 12 ms and more.
pub(crate) fn storm(line: &Arc<Interrupt>) -> Thread {
    let line = Arc::clone(line);
    world::spawn("card", None, move || {
        for cpu in (0..4).cycle().take(400) {
            line.raise(cpu);
            world::sleep_100ns(300);
        }
    })
}

/// A line of the driver's log: when, where, at which IRQL.
pub(crate) fn say(what: &str) {
    let now = world::now_100ns() / 1000;
    let (cpu, irql) = (world::current_cpu(), world::current_irql());
    println!(
        "{:4}.{} ms  CPU {cpu}  IRQL {irql}  {what}",
        now / 10,
        now % 10
    );
}

/// The law that the counts keep.
pub(crate) fn print_counts(counts: &Counters) {
    let (run, cancelled) = (counts.run, counts.cancelled);
    print!(
        "accepted {} = run {run} + cancelled {cancelled}",
        counts.accepted
    );
    println!(" + pending {}", counts.pending);
}
