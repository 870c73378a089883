//! The KMDF verifier: facts V-2 to V-4, and the ceilings of V-8 in the three modes.

#![allow(missing_docs, reason = "tests")]

mod wdf_common;

use std::ptr::null_mut;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

use kmdf_mock::call_unsafe_wdf_function_binding as unsafe_wdf;
use kmdf_mock::world::{self, Gate, Sim, Verifier};
use kmdf_mock::*;
use wdf_common::*;

/// The three objects under test.
#[derive(Clone, Copy)]
struct Objects {
    device: Device,
    driver: usize,
    dpc: Dpc,
    item: WorkItem,
    timer: Timer,
}

impl Objects {
    fn of(setup: &Setup) -> Self {
        Self {
            device: setup.device,
            driver: setup.driver.handle() as usize,
            dpc: setup.dpc(),
            item: setup.work_item(),
            timer: setup.timer(),
        }
    }
}

type Call = fn(Objects);

/// What a call returns does not matter here.
fn ignore<T>(_: T) {}

/// V-8: name, ceiling, and a call that is legal at the ceiling.
const CEILINGS: &[(&str, u8, Call)] = &[
    ("WdfDpcCreate", 2, |o| {
        ignore(try_dpc(dpc_config(), attributes(o.device.0)))
    }),
    ("WdfDpcEnqueue", 15, |o| ignore(o.dpc.enqueue())),
    ("WdfDpcCancel", 15, |o| ignore(o.dpc.cancel(false))),
    ("WdfDpcCancel", 0, |o| ignore(o.dpc.cancel(true))),
    ("WdfDpcWdmGetDpc", 15, |o| ignore(o.dpc.kdpc())),
    ("WdfWorkItemCreate", 2, |o| {
        ignore(try_work_item(work_item_config(), attributes(o.device.0)));
    }),
    ("WdfWorkItemEnqueue", 2, |o| o.item.enqueue()),
    ("WdfWorkItemFlush", 0, |o| o.item.flush()),
    ("WdfWorkItemGetParentObject", 2, |o| {
        // SAFETY: the handle is good.
        ignore(unsafe { unsafe_wdf!(WdfWorkItemGetParentObject, o.item.raw()) });
    }),
    ("WdfTimerCreate", 2, |o| {
        ignore(try_timer(timer_config(), attributes(o.device.0)))
    }),
    ("WdfTimerStart", 2, |o| ignore(o.timer.start_ms(1))),
    ("WdfTimerStop", 2, |o| ignore(o.timer.stop(false))),
    ("WdfTimerStop", 0, |o| ignore(o.timer.stop(true))),
    ("WdfTimerGetParentObject", 2, |o| {
        // SAFETY: the handle is good.
        ignore(unsafe { unsafe_wdf!(WdfTimerGetParentObject, o.timer.raw()) });
    }),
    ("WdfObjectCreate", 2, |o| {
        ignore(try_general(attributes(o.device.0)))
    }),
    ("WdfObjectDelete", 2, |o| General(o.item.0).delete()),
    ("WdfObjectReferenceActual", 2, |o| {
        o.dpc.reference();
        o.dpc.dereference();
    }),
];

/// V-8: every call is legal at its ceiling, and convicted one level above in a strict world.
#[test]
fn every_call_has_its_ceiling() {
    for (index, &(name, ceiling, _)) in CEILINGS.iter().enumerate() {
        strict(1)
            .run(move || {
                let setup = Setup::new();
                let objects = Objects::of(&setup);
                world::at_irql(ceiling, || CEILINGS[index].2(objects));
                setup.finish();
            })
            .unwrap_or_else(|failure| panic!("{name} at {ceiling}: {failure}"));
        if ceiling == 15 {
            continue;
        }
        let above = strict(1).run(move || {
            let setup = Setup::new();
            let objects = Objects::of(&setup);
            world::at_irql(ceiling + 1, || CEILINGS[index].2(objects));
        });
        assert_eq!(code_of(above), format!("KMDF_IRQL({name})"));
    }
}

/// V-2: exactly three calls look at the IRQL themselves; on a machine with the verifier they
/// refuse.
#[test]
fn three_calls_refuse_to_wait_above_passive() {
    Sim::new(1)
        .verifier(Verifier::On)
        .run(|| {
            let setup = Setup::new();
            let objects = Objects::of(&setup);
            world::at_dispatch(|| {
                sim_assert!(!objects.dpc.cancel(true));
                sim_assert_eq!(breaks("IRQL_TOO_HIGH"), 1);
                objects.item.flush();
                sim_assert_eq!(breaks("IRQL_TOO_HIGH"), 2);
                sim_assert!(!objects.timer.stop(true));
                sim_assert_eq!(breaks("IRQL_TOO_HIGH"), 3);
            });
            setup.finish();
        })
        .unwrap();
}

/// V-2: without a verifier nothing is checked, and the wait itself is what fails.
#[test]
fn without_a_verifier_the_wait_fails() {
    let calls: [Call; 3] = [
        |o| ignore(o.dpc.cancel(true)),
        |o| {
            o.item.enqueue();
            o.item.flush();
        },
        |o| ignore(o.timer.stop(true)),
    ];
    for call in calls {
        let result = Sim::new(1).cpus(1).verifier(Verifier::Off).run(move || {
            let setup = Setup::new();
            let objects = Objects::of(&setup);
            world::at_dispatch(|| call(objects));
        });
        assert_eq!(code_of(result), "DV(0xC4,0x3B)");
    }
}

/// O-11: a control device is begun at PASSIVE; a verified framework refuses it above.
#[test]
fn device_calls_are_refused_above_passive() {
    Sim::new(1)
        .verifier(Verifier::On)
        .run(|| {
            let setup = Setup::new();
            let objects = Objects::of(&setup);
            let sddl = UNICODE_STRING {
                Length: 0,
                MaximumLength: 0,
                Buffer: null_mut(),
            };
            world::at_dispatch(|| {
                // SAFETY: the pointers are good for the call.
                let init = unsafe {
                    unsafe_wdf!(
                        WdfControlDeviceInitAllocate,
                        objects.driver as WDFDRIVER,
                        &raw const sddl
                    )
                };
                sim_assert!(init.is_null());
            });
            sim_assert_eq!(breaks("IRQL_TOO_HIGH"), 1);
            setup.finish();
        })
        .unwrap();
}

/// V-4: breaks are counted by name with the verifier on, and not counted without; either way there
/// is a line in the debug output, and the call does what the source does.
#[test]
fn breaks_are_counted_when_the_verifier_is_on() {
    for (mode, expected) in [(Verifier::Off, 0), (Verifier::On, 1), (Verifier::Strict, 1)] {
        Sim::new(1)
            .verifier(mode)
            .run(move || {
                let setup = Setup::new();
                setup.device.delete();
                sim_assert_eq!(breaks("DELETE_NOT_ALLOWED"), expected);
                let log = world::debug_log();
                let line = "KMDF_BREAK(DELETE_NOT_ALLOWED): WDFDEVICE#1";
                sim_assert!(log.iter().any(|other| other == line), "{log:?}");
                setup.finish();
            })
            .unwrap();
    }
}

/// V-4, T-22: a timer that is deleted by its own callback is a break before it is a deadlock.
#[test]
fn self_delete_of_a_passive_timer_is_a_break() {
    Sim::new(1)
        .verifier(Verifier::On)
        .run(|| {
            let setup = Setup::new();
            setup.passive_timer().on_run(Timer::delete).start_ms(1);
            world::sleep_100ns(1_000_000);
            sim_assert_eq!(breaks("TIMER_DELETE_OWN_CALLBACK"), 1);
            sim_assert_eq!(breaks("TIMER_STOP_OWN_CALLBACK"), 1);
            // The world ends here with the timer's thread still waiting for itself.
        })
        .unwrap();
}

/// V-4: with the breaks come no changes: a clean life has none.
#[test]
fn clean_life_has_no_breaks() {
    world::seeds(SEEDS, |seed| {
        Sim::new(seed)
            .verifier(Verifier::On)
            .run(|| {
                let setup = Setup::new();
                let runs = counter();
                let [first, second, third] = [0; 3].map(|_| Arc::clone(&runs));
                let count = |runs: &std::sync::atomic::AtomicU32| {
                    runs.fetch_add(1, SeqCst);
                };
                setup.dpc().on_run(move |_| count(&first)).enqueue();
                setup.work_item().on_run(move |_| count(&second)).enqueue();
                setup
                    .passive_timer()
                    .on_run(move |_| count(&third))
                    .start_ms(1);
                world::sleep_100ns(1_000_000);
                world::settle();
                sim_assert_eq!(runs.load(SeqCst), 3);
                setup.finish();
                sim_assert!(world::breaks().is_empty(), "{:?}", world::breaks());
            })
            .unwrap();
    });
}

/// V-6, O-10: with the verifier on, locks taken at PASSIVE are points at which others go first; the
/// outcome of a race between two enqueues and a flush stays right.
#[test]
fn verified_locks_only_shake_the_order() {
    world::seeds(SEEDS, |seed| {
        Sim::new(seed)
            .verifier(Verifier::On)
            .run(|| {
                let setup = Setup::new();
                let runs = counter();
                let seen = Arc::clone(&runs);
                let item = setup.work_item().on_run(move |_| {
                    seen.fetch_add(1, SeqCst);
                });
                let go = Gate::new();
                let threads: Vec<_> = (0..2)
                    .map(|_| {
                        let go = go.clone();
                        world::spawn("enqueuer", None, move || {
                            go.wait();
                            item.enqueue();
                            item.flush();
                        })
                    })
                    .collect();
                go.open();
                threads.into_iter().for_each(world::Thread::join);
                let total = runs.load(SeqCst);
                sim_assert!((1..=2).contains(&total), "{total} runs");
                setup.finish();
            })
            .unwrap();
    });
}
