//! The DPC watchdog: facts D-21, D-25, N-35, H-15. A storm is convicted; code that gives its CPU back is not.

mod common;

use std::process::Command;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, OnceLock};

use common::{Dpc, Event};
use kmdf_mock::world::{self, Interrupt, Live, Sim};
use kmdf_mock::{_KDPC_IMPORTANCE, ntddk, sim_assert, sim_assert_eq, sync};

/// 100 ns in a millisecond.
const MS: u64 = 10_000;

/// A machine whose watchdog allows a routine 1 ms and a CPU 4 ms.
fn machine(seed: u64) -> Sim {
    Sim::new(seed).watchdog_100ns(MS, 4 * MS)
}

fn code(f: impl Fn() + Clone + Send + 'static) -> Option<String> {
    let run = machine(1).run(f);
    run.err().map(|failure| failure.code().to_owned())
}

const ROUTINE: Option<&str> = Some("DPC_WATCHDOG(0x133,0)");
const CUMULATIVE: Option<&str> = Some("DPC_WATCHDOG(0x133,1)");

/// A DPC that queues itself from its own routine as often as `again` says.
fn storm(again: impl Fn(&Dpc) + Send + Sync + 'static) {
    let own: Arc<OnceLock<Dpc>> = Arc::default();
    let inner = Arc::clone(&own);
    let dpc = own.get_or_init(|| Dpc::new(move || again(inner.get().unwrap())));
    dpc.set_importance(_KDPC_IMPORTANCE::MediumHighImportance);
    world::run_on_cpu(0, || dpc.insert());
    world::settle();
}

/// D-21, D-25, H-15: a DPC that queues itself again never lets its CPU go: 0x133 with parameter 1 = 1, for every
/// seed; with a last time it is not convicted.
#[test]
fn a_storm_is_convicted() {
    world::seeds(0..20, |seed| {
        let run = machine(seed).run(|| {
            storm(|dpc| {
                dpc.insert();
            });
        });
        assert_eq!(
            run.err().map(|f| f.code().to_owned()).as_deref(),
            CUMULATIVE
        );
    });
    let left = Arc::new(AtomicU32::new(100));
    let bounded = code(move || {
        let left = Arc::clone(&left);
        storm(move |dpc| {
            if left.load(SeqCst) > 0 {
                left.fetch_sub(1, SeqCst);
                dpc.insert();
            }
        });
    });
    assert_eq!(bounded, None);
}

/// D-25: a DPC that runs again and again for many times the limit, but from a thread that pauses at PASSIVE_LEVEL
/// in between, is not convicted.
#[test]
fn a_requeue_with_a_pause_is_not_convicted() {
    world::seeds(0..20, |seed| {
        machine(seed)
            .run(|| {
                let spent = Arc::new(AtomicU64::new(0));
                let total = Arc::clone(&spent);
                let dpc = Dpc::new(move || {
                    world::burn_100ns(MS / 2);
                    total.fetch_add(MS / 2, SeqCst);
                });
                world::run_on_cpu(2, || {
                    for _ in 0..100 {
                        dpc.insert();
                        world::sleep_100ns(MS / 10);
                    }
                });
                world::settle();
                sim_assert!(spent.load(SeqCst) > 40 * MS);
            })
            .unwrap();
    });
}

/// D-25, N-35: the way out of a storm: a DPC that hands the rest to a thread of the CPU when it is asked to yield,
/// which raises to DISPATCH_LEVEL for one portion at a time.
#[test]
fn a_drain_that_yields_to_a_thread_is_not_convicted() {
    world::seeds(0..20, |seed| {
        machine(seed)
            .yield_after_100ns(MS / 2)
            .run(|| {
                let left = Arc::new(AtomicU32::new(2_000));
                let more = Arc::new(Event::synchronization());
                let (in_dpc, wake) = (Arc::clone(&left), Arc::clone(&more));
                let dpc = Dpc::new(move || {
                    while portion(&in_dpc) {
                        // SAFETY: the call has no requirement.
                        if unsafe { ntddk::KeShouldYieldProcessor() } != 0 {
                            wake.set();
                            return;
                        }
                    }
                });
                let (in_thread, wait) = (Arc::clone(&left), Arc::clone(&more));
                let thread = world::spawn("overflow", Some(1), move || {
                    wait.wait(None);
                    while world::at_dispatch(|| portion(&in_thread)) {}
                });
                world::run_on_cpu(1, || dpc.insert());
                thread.join();
                sim_assert_eq!(left.load(SeqCst), 0);
            })
            .unwrap();
    });
    // The control: the same drain that does not ask.
    let deaf = code(|| {
        let left = AtomicU32::new(2_000);
        let dpc = Dpc::new(move || while portion(&left) {});
        dpc.insert();
        world::settle();
    });
    assert_eq!(deaf.as_deref(), ROUTINE);
}

/// One of the portions of work, of 20 µs; false: there is none left.
fn portion(left: &AtomicU32) -> bool {
    let some = left.fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1));
    if some.is_ok() {
        world::burn_100ns(200);
    }
    some.is_ok()
}

/// D-25: the limits are kept to the point, for a routine and for a CPU, whatever the engine's own looks: a thread at
/// DISPATCH_LEVEL counts as well as a DPC, and an interrupt routine as well as that of a DPC.
#[test]
fn the_limits_are_kept_to_the_point() {
    let points = |n: u64| (0..n).for_each(|_| sync::preempt());
    let dpc = |n| {
        code(move || {
            let dpc = Dpc::new(move || points(n));
            dpc.insert();
            world::settle();
        })
    };
    assert_eq!(dpc(MS - 100), None);
    assert_eq!(dpc(MS + 100).as_deref(), ROUTINE);
    let thread = |n| code(move || world::at_dispatch(|| points(n)));
    assert_eq!(thread(4 * MS - 100), None);
    assert_eq!(thread(4 * MS + 100).as_deref(), CUMULATIVE);
    let interrupt = |n| {
        code(move || {
            let irq = Interrupt::connect("nic", 7, move || points(n));
            irq.raise(0);
            world::settle();
        })
    };
    assert_eq!(interrupt(MS - 100), None);
    assert_eq!(interrupt(MS + 100).as_deref(), ROUTINE);
}

/// D-25: two CPUs that queue each other's DPC give their threads a turn each time: no storm, however long it lasts.
#[test]
fn a_relay_between_two_cpus_is_not_convicted() {
    machine(1)
        .run(|| {
            static LEFT: kmdf_mock::image::Static<AtomicU32> =
                kmdf_mock::image::Static::new(|| AtomicU32::new(500));
            let relay: Arc<OnceLock<[Dpc; 2]>> = Arc::default();
            let dpc = |own: u32| {
                let relay = Arc::clone(&relay);
                let dpc = Dpc::new(move || {
                    world::burn_100ns(MS / 10);
                    if LEFT.get().load(SeqCst) > 0 {
                        LEFT.get().fetch_sub(1, SeqCst);
                        relay.get().unwrap()[1 - own as usize].insert();
                    }
                });
                dpc.set_importance(_KDPC_IMPORTANCE::MediumHighImportance);
                dpc.set_target(own);
                dpc
            };
            relay.get_or_init(|| [dpc(0), dpc(1)])[0].insert();
            world::settle();
            sim_assert_eq!(LEFT.get().load(SeqCst), 0);
        })
        .unwrap();
}

/// D-25: the live engine's watchdog convicts a storm and a routine without end, which it looks for from another
/// thread; a DPC within its limits is not convicted.
#[test]
fn the_live_engine_has_a_watchdog() {
    match std::env::var("KMDF_MOCK_CONTROL").as_deref() {
        Ok(control) => live(control),
        Err(_) => {
            for (control, expected) in [("storm", CUMULATIVE), ("stuck", ROUTINE), ("good", None)] {
                let output = Command::new(std::env::current_exe().unwrap())
                    .args(["the_live_engine_has_a_watchdog", "--exact"])
                    .env("KMDF_MOCK_CONTROL", control)
                    .output()
                    .unwrap();
                let text = String::from_utf8_lossy(&output.stderr);
                let status = expected.map_or(0, |_| 111);
                assert_eq!(output.status.code(), Some(status), "{text}");
                assert!(text.contains(expected.unwrap_or_default()), "{text}");
            }
        }
    }
}

fn live(control: &str) {
    let machine = Live::new().cpus(2).watchdog_100ns(200 * MS, 300 * MS);
    let control = control.to_owned();
    machine
        .run(move || match control.as_str() {
            "storm" => storm(|dpc| {
                dpc.insert();
            }),
            "stuck" => storm(|_| {
                loop {
                    std::hint::spin_loop();
                }
            }),
            _ => storm(|_| world::burn_100ns(MS)),
        })
        .unwrap();
}
