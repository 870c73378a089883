//! `Config::high_resolution`: delays that do not wait for NT's tick.

use bottomhalf::linux::*;
use bottomhalf::{Config, Host, attach, counters};
use kmdf_mock::world::{self, Driver};
use kmdf_mock::{sim_assert, sim_assert_eq};

#[path = "support/mod.rs"]
mod support;
use support::*;

/// A jiffy and a tick of NT in 100 ns.
const JIFFY: u64 = 10_000_000 / HZ;
const TICK: u64 = 156_250;
/// A high-resolution timer is up to a millisecond late (T-31); and the simulated machine takes its time.
const LATE: u64 = 10_000 + 2_000;

/// Runs `scenario` attached with the option, on machines with a tick of 15.625 ms.
fn precise(scenario: fn()) {
    world::seeds(0..SEEDS, |seed| {
        let run = coarse(seed).run(move || {
            let driver = Driver::load();
            let config = Config::new(NonReentrant).high_resolution(true);
            // SAFETY: the driver stays loaded until the detach below.
            let attached = unsafe { attach(Host::Driver(driver.handle().cast()), &config) };
            let attached = attached.expect("a fresh machine has the resources");
            scenario();
            world::settle();
            sim_assert_eq!(counters().pending, 0);
            attached.detach();
            driver.unload();
            sim_assert!(reports().is_empty());
        });
        if let Err(failure) = run {
            panic!("{failure}");
        }
    });
}

/// How long after it was armed a work of `queue` runs, in 100 ns.
fn takes(queue: Wq, delay: u64) -> u64 {
    let before = world::now_100ns();
    let begun = std::sync::Arc::new(std::sync::atomic::AtomicU64::new(0));
    let note = std::sync::Arc::clone(&begun);
    let work = Work::new(move |this, _| {
        note.store(world::now_100ns(), std::sync::atomic::Ordering::SeqCst);
        // SAFETY: the item is alive during its function.
        sim_assert!(jiffies() >= this.expires());
    });
    sim_assert!(work.queue_delayed(queue, delay));
    while begun.load(std::sync::atomic::Ordering::SeqCst) == 0 {
        world::sleep_100ns(JIFFY);
    }
    begun.load(std::sync::atomic::Ordering::SeqCst) - before
}

/// ATTACH-9, D01, T-31: with the option a delay ends after itself, and less than a jiffy and a millisecond later,
/// whatever the tick; on both timers.
#[test]
fn d01_a_delay_does_not_wait_for_the_tick() {
    precise(|| {
        let queues = [Wq::system(), Wq::with(WQ_MEM_RECLAIM, 0)];
        for (queue, delay) in queues
            .into_iter()
            .flat_map(|queue| [(queue, 1), (queue, 7)])
        {
            let taken = takes(queue, delay);
            sim_assert!(taken >= delay * JIFFY, "{taken}");
            sim_assert!(taken <= (delay + 1) * JIFFY + LATE, "{taken}");
        }
        queues[1].destroy();
    });
}

/// The control of the test above: without the option the same machine takes longer than that.
#[test]
fn t29_without_the_option_a_delay_waits_for_the_tick() {
    rows_on(coarse, SEEDS, |_| {
        let taken = takes(Wq::system(), 1);
        sim_assert!(taken > 2 * JIFFY + LATE, "{taken}");
        sim_assert!(taken <= 4 * TICK, "{taken}");
    });
}

/// ATTACH-9, N-27: the clock goes on where the ticks are: `jiffies` neither jumps when the image attaches nor ever
/// runs backwards while it is attached.
#[test]
fn n27_jiffies_go_on() {
    precise(|| {
        let mut last = jiffies();
        for _ in 0..50 {
            world::sleep_100ns(JIFFY / 3);
            let now = jiffies();
            sim_assert!(
                now >= last && now <= last + 1 + TICK / JIFFY,
                "{last} {now}"
            );
            last = now;
        }
    });
}

/// T-33: a tick may come between the two clocks that attach compares, with a thread that uses the CPU up meanwhile.
#[test]
fn attach_while_a_tick_passes() {
    world::seeds(0..SEEDS * 4, |seed| {
        let run = coarse(seed)
            .cpus(1)
            .preemption(world::Preemption::Always)
            .run(|| {
                let driver = Driver::load();
                let config = Config::new(NonReentrant).high_resolution(true);
                for _ in 0..4 {
                    let burner = world::spawn("burner", None, || {
                        for _ in 0..60 {
                            world::burn_100ns(TICK / 8);
                            kmdf_mock::sync::preempt();
                        }
                    });
                    // SAFETY: the driver stays loaded until the detach below.
                    let attached = unsafe { attach(Host::Driver(driver.handle().cast()), &config) };
                    let attached = attached.expect("a fresh machine has the resources");
                    let before = jiffies();
                    world::burn_100ns(TICK);
                    sim_assert!(jiffies() > before);
                    sim_assert!(jiffies() - before < HZ * 10);
                    attached.detach();
                    burner.join();
                }
                driver.unload();
            });
        if let Err(failure) = run {
            panic!("{failure}");
        }
    });
}
