//! WDFDPC: facts D-1 to D-32.

#![allow(missing_docs, reason = "tests")]

mod wdf_common;

use std::ptr::null_mut;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

use kmdf_mock::call_unsafe_wdf_function_binding as unsafe_wdf;
use kmdf_mock::world::{self, Driver, Gate, Preemption, Sim, Verifier};
use kmdf_mock::*;
use wdf_common::*;

/// D-1: the config has 24 bytes, and a zeroed one asks for no serialization.
#[test]
fn config_is_24_bytes_and_zero_means_no_serialization() {
    assert_eq!(size_of::<WDF_DPC_CONFIG>(), 24);
    assert_eq!(WDF_DPC_CONFIG::default().AutomaticSerialization, 0);
}

/// D-2, rows 1 to 3: what is wrong with the attributes is noticed first, whatever else is wrong.
#[test]
fn create_checks_attributes_first() {
    strict(1)
        .run(|| {
            let setup = Setup::new();
            let mut config = WDF_DPC_CONFIG::default();
            let mut handle = null_mut();
            // SAFETY: NULL attributes are a case of the table; the rest is good for the call.
            let status =
                unsafe { unsafe_wdf!(WdfDpcCreate, &raw mut config, null_mut(), &raw mut handle) };
            sim_assert_eq!(status, STATUS_WDF_PARENT_NOT_SPECIFIED, "row 1");
            let mut short = attributes(0);
            short.Size = 48;
            sim_assert_eq!(
                try_dpc(config, short),
                Err(STATUS_INFO_LENGTH_MISMATCH),
                "row 2"
            );
            let orphan = attributes(0);
            sim_assert_eq!(
                try_dpc(config, orphan),
                Err(STATUS_WDF_PARENT_NOT_SPECIFIED),
                "row 3"
            );
            setup.finish();
        })
        .unwrap();
}

/// D-2, rows 4 and 5: a parent that is no handle and NULL pointers are bug checks, in this order.
#[test]
fn create_bug_checks_on_bad_pointers() {
    let bad_parent = strict(1).run(|| {
        let setup = Setup::new();
        let _ = try_dpc(dpc_config(), attributes(setup.device.0 + 8));
    });
    assert_eq!(code_of(bad_parent), "WDF_VIOLATION(0x10D,5)");
    let null_config = strict(1).run(|| {
        let setup = Setup::new();
        let mut attributes = attributes(setup.device.0);
        let mut handle = null_mut();
        // SAFETY: a NULL config is a case of the table; the rest is good for the call.
        let _ = unsafe {
            unsafe_wdf!(
                WdfDpcCreate,
                null_mut(),
                &raw mut attributes,
                &raw mut handle
            )
        };
    });
    assert_eq!(code_of(null_config), "WDF_VIOLATION(0x10D,4)");
    let null_out = strict(1).run(|| {
        let setup = Setup::new();
        let mut attributes = attributes(setup.device.0);
        let mut config = dpc_config();
        // SAFETY: a NULL result pointer is a case of the table; the rest is good for the call.
        let _ = unsafe {
            unsafe_wdf!(
                WdfDpcCreate,
                &raw mut config,
                &raw mut attributes,
                null_mut()
            )
        };
    });
    assert_eq!(code_of(null_out), "WDF_VIOLATION(0x10D,4)");
}

/// D-2, rows 6, 7 and 9: config size, then attribute rules, then the search for a device.
#[test]
fn create_checks_in_order_after_the_pointers() {
    strict(1)
        .run(|| {
            let setup = Setup::new();
            let under_driver = attributes(setup.driver.handle() as usize);
            let mut no_level = under_driver;
            no_level.ExecutionLevel = 0;
            let mut short = dpc_config();
            short.Size = 16;
            sim_assert_eq!(
                try_dpc(short, no_level),
                Err(STATUS_INFO_LENGTH_MISMATCH),
                "row 6"
            );
            let status = try_dpc(dpc_config(), no_level);
            sim_assert_eq!(status, Err(STATUS_WDF_OBJECT_ATTRIBUTES_INVALID), "row 7");
            let status = try_dpc(dpc_config(), under_driver);
            sim_assert_eq!(status, Err(STATUS_INVALID_DEVICE_REQUEST), "row 9");
            setup.finish();
        })
        .unwrap();
}

/// D-2, row 8: no memory.
#[test]
fn create_fails_without_memory_and_leaves_nothing() {
    let mut refused = 0;
    for nth in 1..40 {
        let found = Sim::new(nth)
            .fail_allocation(nth)
            .run(|| {
                let Ok(driver) = Driver::load_entry(plain_entry) else {
                    return false;
                };
                let Ok(device) = driver.try_add_device() else {
                    driver.unload();
                    return false;
                };
                let cleanups = counter();
                let made = try_dpc(dpc_config(), with_context(attributes(device as usize)));
                let refused = match made {
                    Ok(dpc) => {
                        let cleanups = Arc::clone(&cleanups);
                        dpc.on_cleanup(move || {
                            cleanups.fetch_add(1, SeqCst);
                        });
                        false
                    }
                    Err(status) => {
                        sim_assert_eq!(status, STATUS_INSUFFICIENT_RESOURCES);
                        true
                    }
                };
                driver.remove_device(device);
                sim_assert_eq!(cleanups.load(SeqCst), u32::from(!refused));
                driver.unload();
                refused
            })
            .unwrap();
        refused += u32::from(found);
    }
    assert!(refused > 0, "some allocation of the forty is the DPC's");
}

unsafe extern "C" fn plain_add(_driver: WDFDRIVER, mut init: PWDFDEVICE_INIT) -> NTSTATUS {
    let mut device = null_mut();
    // SAFETY: the pointers are good for the call.
    unsafe { unsafe_wdf!(WdfDeviceCreate, &raw mut init, null_mut(), &raw mut device) }
}

unsafe extern "C" fn plain_unload(_driver: WDFDRIVER) {}

unsafe extern "C" fn plain_entry(
    driver_object: PDRIVER_OBJECT,
    registry_path: PCUNICODE_STRING,
) -> NTSTATUS {
    let mut config = WDF_DRIVER_CONFIG {
        Size: size_of::<WDF_DRIVER_CONFIG>() as u32,
        EvtDriverDeviceAdd: Some(plain_add),
        EvtDriverUnload: Some(plain_unload),
        ..Default::default()
    };
    // SAFETY: NT's arguments are passed on; the config is good for the call.
    unsafe {
        unsafe_wdf!(
            WdfDriverCreate,
            driver_object,
            registry_path,
            null_mut(),
            &raw mut config,
            null_mut()
        )
    }
}

/// D-2, row 11: a parent that is on its way out takes no children, and a failed create calls no
/// callbacks (D-5).
#[test]
fn create_under_a_dying_parent_is_refused() {
    strict(1)
        .run(|| {
            let setup = Setup::new();
            let parent = general(setup.device.0);
            let calls = counter();
            let seen = Arc::clone(&calls);
            parent.on_cleanup(move || {
                let status = try_dpc(dpc_config(), with_context(attributes(parent.0)));
                sim_assert_eq!(status, Err(STATUS_DELETE_PENDING));
                seen.fetch_add(1, SeqCst);
            });
            parent.delete();
            sim_assert_eq!(calls.load(SeqCst), 1);
            setup.finish();
        })
        .unwrap();
}

/// D-3: a NULL callback is accepted; the DPC just does nothing.
#[test]
fn null_callback_is_accepted() {
    strict(1)
        .run(|| {
            let setup = Setup::new();
            let mut config = dpc_config();
            config.EvtDpcFunc = None;
            let dpc = try_dpc(config, attributes(setup.device.0)).unwrap();
            sim_assert!(dpc.enqueue());
            setup.finish();
        })
        .unwrap();
}

/// D-4: any object below a device is a parent; a control device counts; an object below the driver
/// alone does not.
#[test]
fn parent_chain_must_reach_a_device() {
    strict(1)
        .run(|| {
            let driver = Driver::load_non_pnp();
            let device = driver.control_device(None).unwrap() as usize;
            let below = general(general(device).0);
            sim_assert!(try_dpc(dpc_config(), attributes(device)).is_ok());
            sim_assert!(try_dpc(dpc_config(), attributes(below.0)).is_ok());
            let apart = general(driver.handle() as usize);
            let status = try_dpc(dpc_config(), attributes(apart.0));
            sim_assert_eq!(status, Err(STATUS_INVALID_DEVICE_REQUEST));
            driver.unload();
        })
        .unwrap();
}

/// D-5: creation works at DISPATCH, also when it fails.
#[test]
fn create_works_at_dispatch() {
    for_seeds(|| {
        let setup = Setup::new();
        let device = setup.device.0;
        let driver = setup.driver.handle() as usize;
        world::at_dispatch(|| {
            sim_assert!(try_dpc(dpc_config(), attributes(device)).is_ok());
            let status = try_dpc(dpc_config(), attributes(driver));
            sim_assert_eq!(status, Err(STATUS_INVALID_DEVICE_REQUEST));
        });
        setup.finish();
    });
}

/// D-6: an ordinary KDPC of medium importance without a target.
#[test]
fn kdpc_is_medium_and_untargeted() {
    strict(1)
        .run(|| {
            let setup = Setup::new();
            let kdpc = setup.dpc().kdpc();
            // SAFETY: the KDPC is alive with its object.
            let (importance, number) = unsafe { ((*kdpc).importance(), (*kdpc).target()) };
            sim_assert_eq!(i32::from(importance), _KDPC_IMPORTANCE::MediumImportance);
            sim_assert_eq!(number, 0);
            setup.finish();
        })
        .unwrap();
}

/// D-8, D-10, D-12: TRUE when it queues, FALSE with no second run when it is queued; a cancel says
/// whether it took the run away.
#[test]
fn enqueue_and_cancel_return_what_they_did() {
    for_seeds(|| {
        let setup = Setup::new();
        let runs = counter();
        let seen = Arc::clone(&runs);
        let dpc = setup.dpc().on_run(move |_| {
            seen.fetch_add(1, SeqCst);
        });
        sim_assert!(!dpc.cancel(false), "never queued");
        world::at_dispatch(|| {
            sim_assert!(dpc.enqueue());
            sim_assert!(!dpc.enqueue(), "queued already");
            sim_assert!(dpc.cancel(false));
            sim_assert!(!dpc.cancel(false), "no longer queued");
            sim_assert!(dpc.enqueue());
            sim_assert_eq!(runs.load(SeqCst), 0, "nothing runs at DISPATCH");
        });
        world::settle();
        sim_assert_eq!(runs.load(SeqCst), 1);
        sim_assert!(!dpc.cancel(false), "done");
        setup.finish();
    });
}

/// D-9: an object that was deleted and is kept by a reference still queues.
#[test]
fn enqueue_does_not_ask_whether_the_object_was_deleted() {
    strict(1)
        .run(|| {
            let setup = Setup::new();
            let dpc = setup.dpc();
            dpc.reference();
            dpc.delete();
            world::at_dispatch(|| {
                sim_assert!(dpc.enqueue());
                sim_assert!(dpc.cancel(false));
            });
            dpc.dereference();
            setup.finish();
        })
        .unwrap();
}

/// D-11: a running DPC is free to be queued from the first instruction of its callback.
#[test]
fn enqueue_from_the_own_callback_returns_true() {
    for_seeds(|| {
        let setup = Setup::new();
        let runs = counter();
        let seen = Arc::clone(&runs);
        let dpc = setup.dpc().on_run(move |dpc| {
            if seen.fetch_add(1, SeqCst) < 3 {
                sim_assert!(dpc.enqueue());
            }
        });
        sim_assert!(dpc.enqueue());
        world::settle();
        sim_assert_eq!(runs.load(SeqCst), 4);
        setup.finish();
    });
}

/// D-13: a waiting cancel flushes only if it found nothing to remove.
#[test]
fn waiting_cancel_flushes_only_when_nothing_was_queued() {
    for_seeds(|| {
        let setup = Setup::new();
        // Medium importance: queued to another CPU it waits for a tick, so the removal finds it
        // (D-23).
        let mut number = PROCESSOR_NUMBER {
            Group: 0,
            Number: 1,
            Reserved: 0,
        };
        let dpc = setup.dpc();
        // SAFETY: the KDPC is alive with its object, the number good for the call.
        unsafe { ntddk::KeSetTargetProcessorDpcEx(dpc.kdpc(), &raw mut number) };
        world::run_on_cpu(0, move || {
            let before = world::counters();
            sim_assert!(!dpc.cancel(true));
            let between = world::counters();
            sim_assert_eq!((between - before).dpc_flushes, 1);
            sim_assert!(dpc.enqueue());
            if dpc.cancel(true) {
                sim_assert_eq!((world::counters() - between).dpc_flushes, 0);
            }
        });
        setup.finish();
    });
}

/// D-14: a waiting cancel that removes the second instance returns TRUE while the first one runs.
#[test]
fn waiting_cancel_that_removed_does_not_wait_for_a_running_instance() {
    for_seeds(|| {
        let setup = Setup::new();
        let inside = Inside::new();
        let may_end = flag();
        let (seen, end) = (Arc::clone(&inside), Arc::clone(&may_end));
        let dpc = setup.dpc().target(1).on_run(move |_| {
            seen.during(|| spin_until(|| end.load(SeqCst)));
        });
        world::run_on_cpu(0, move || {
            sim_assert!(dpc.enqueue());
            spin_until(|| inside.now() == 1);
            sim_assert!(dpc.enqueue(), "queued behind itself");
            sim_assert!(dpc.cancel(true), "the second instance was removed");
            sim_assert_eq!(inside.now(), 1, "and the first one still runs");
            may_end.store(true, SeqCst);
        });
        setup.finish();
    });
}

/// D-13: a waiting cancel that removed nothing waits for the running instance.
#[test]
fn waiting_cancel_that_removed_nothing_waits() {
    for_seeds(|| {
        let setup = Setup::new();
        let inside = Inside::new();
        let seen = Arc::clone(&inside);
        let dpc = setup.dpc().target(1).on_run(move |_| seen.during(linger));
        world::run_on_cpu(0, move || {
            sim_assert!(dpc.enqueue());
            dpc.cancel(true);
            sim_assert_eq!(inside.now(), 0);
        });
        setup.finish();
    });
}

/// D-15: a DPC that queues itself survives a waiting cancel, for some schedule.
#[test]
fn self_queueing_dpc_survives_a_waiting_cancel() {
    let survived = count_seeds(|| {
        let setup = Setup::new();
        let stop = flag();
        let runs = counter();
        let (seen, end) = (Arc::clone(&runs), Arc::clone(&stop));
        let dpc = setup.dpc().target(1).on_run(move |dpc| {
            seen.fetch_add(1, SeqCst);
            linger();
            if !end.load(SeqCst) {
                let other = world::current_cpu() % 2 + 1;
                dpc.target(other).enqueue();
            }
        });
        let survived = Arc::new(AtomicU32::new(0));
        let result = Arc::clone(&survived);
        world::run_on_cpu(0, move || {
            dpc.enqueue();
            dpc.cancel(true);
            let before = runs.load(SeqCst);
            world::sleep_100ns(1_000_000);
            result.store(u32::from(runs.load(SeqCst) > before), SeqCst);
            stop.store(true, SeqCst);
        });
        world::settle();
        setup.finish();
        survived.load(SeqCst) == 1
    });
    assert!(survived > 0, "no schedule out of {SEEDS:?} let it survive");
}

/// D-16: with the verifier on and above PASSIVE, a waiting cancel is refused and nothing is
/// removed.
#[test]
fn verifier_refuses_a_waiting_cancel_above_passive() {
    Sim::new(1)
        .verifier(Verifier::On)
        .run(|| {
            let setup = Setup::new();
            let runs = counter();
            let seen = Arc::clone(&runs);
            let dpc = setup.dpc().on_run(move |_| {
                seen.fetch_add(1, SeqCst);
            });
            world::at_dispatch(|| {
                sim_assert!(dpc.enqueue());
                sim_assert!(!dpc.cancel(true));
                sim_assert_eq!(breaks("IRQL_TOO_HIGH"), 1);
            });
            world::settle();
            sim_assert_eq!(runs.load(SeqCst), 1, "not cancelled");
            setup.finish();
        })
        .unwrap();
}

/// D-16, D-17: without a verifier it goes ahead, and the flush in a DPC is a wait in a DPC (D-32).
#[test]
fn waiting_cancel_in_a_dpc_is_a_bug_check() {
    let result = Sim::new(1).verifier(Verifier::Off).run(|| {
        let setup = Setup::new();
        let dpc = setup.dpc().on_run(|dpc| {
            dpc.cancel(true);
        });
        dpc.enqueue();
        world::settle();
    });
    assert_eq!(code_of(result), "ATTEMPTED_SWITCH_FROM_DPC(0xB8)");
    let strict = strict(1).run(|| {
        let setup = Setup::new();
        let dpc = setup.dpc().on_run(|dpc| {
            dpc.cancel(true);
        });
        dpc.enqueue();
        world::settle();
    });
    assert_eq!(code_of(strict), "KMDF_IRQL(WdfDpcCancel)");
}

/// D-18: the callback runs at DISPATCH.
#[test]
fn callback_runs_at_dispatch() {
    for_seeds(|| {
        let setup = Setup::new();
        let runs = counter();
        let seen = Arc::clone(&runs);
        let dpc = setup.dpc().on_run(move |_| {
            sim_assert_eq!(u32::from(world::current_irql()), DISPATCH_LEVEL);
            seen.fetch_add(1, SeqCst);
        });
        sim_assert!(dpc.enqueue());
        world::settle();
        sim_assert_eq!(runs.load(SeqCst), 1);
        setup.finish();
    });
}

/// D-19, D-24: the queue is that of the CPU that inserts, or of the target.
#[test]
fn runs_on_the_inserting_cpu_or_on_the_target() {
    for_seeds(|| {
        let setup = Setup::new();
        let wanted = counter();
        let want = Arc::clone(&wanted);
        let check = move |_| sim_assert_eq!(world::current_cpu(), want.load(SeqCst));
        let dpc = setup.dpc().on_run(check);
        for cpu in 0..4 {
            wanted.store(cpu, SeqCst);
            world::run_on_cpu(cpu, move || {
                dpc.enqueue();
            });
            world::settle();
        }
        dpc.target(3);
        wanted.store(3, SeqCst);
        dpc.enqueue();
        world::settle();
        setup.finish();
    });
}

/// D-20, observed in §12: queued on a second CPU while it runs, a DPC runs twice at once.
#[test]
fn dpc_overlaps_itself_on_two_cpus() {
    let overlapped = count_seeds(|| {
        let setup = Setup::new();
        let inside = Inside::new();
        let seen = Arc::clone(&inside);
        let dpc = setup.dpc().urgent().on_run(move |_| seen.during(linger));
        let go = Gate::new();
        let threads: Vec<_> = (0..2)
            .map(|cpu| {
                let go = go.clone();
                world::spawn("enqueuer", Some(cpu), move || {
                    go.wait();
                    for _ in 0..5 {
                        dpc.enqueue();
                        linger();
                    }
                })
            })
            .collect();
        go.open();
        threads.into_iter().for_each(world::Thread::join);
        world::settle();
        sim_assert!(inside.most() <= 2);
        let most = inside.most();
        setup.finish();
        most == 2
    });
    assert!(overlapped > 0, "no schedule out of {SEEDS:?} overlapped");
}

/// D-20: held up by a callback on one CPU, a second enqueue elsewhere runs there at once.
#[test]
fn second_instance_runs_while_the_first_is_held() {
    for_seeds(|| {
        let setup = Setup::new();
        let inside = Inside::new();
        let seen = Arc::clone(&inside);
        let dpc = setup.dpc().target(1).on_run(move |dpc| {
            let both = Arc::clone(&seen);
            seen.during(|| {
                if world::current_cpu() == 1 {
                    sim_assert!(dpc.target(2).enqueue());
                }
                spin_until(|| both.total() == 2);
            });
        });
        dpc.enqueue();
        world::settle();
        sim_assert_eq!(inside.most(), 2);
        setup.finish();
    });
}

/// D-21: a DPC that queues itself on its own CPU is picked up by the same drain: the thread below
/// does not run in between.
#[test]
fn self_queueing_keeps_the_cpu_from_its_threads() {
    for_seeds(|| {
        let setup = Setup::new();
        let runs = counter();
        let seen = Arc::clone(&runs);
        let dpc = setup.dpc().on_run(move |dpc| {
            if seen.fetch_add(1, SeqCst) < 9 {
                dpc.enqueue();
            }
        });
        world::run_on_cpu(0, move || {
            dpc.enqueue();
            sim_assert_eq!(runs.load(SeqCst), 10);
        });
        setup.finish();
    });
}

/// D-21, D-25: a DPC that always queues itself on its own CPU ends at the watchdog's cumulative
/// limit; one that never returns at the limit of a single routine.
#[test]
fn endless_dpcs_meet_the_watchdog() {
    let storm = strict(1).run(|| {
        let setup = Setup::new();
        let dpc = setup.dpc().on_run(|dpc| {
            dpc.enqueue();
        });
        dpc.enqueue();
        world::settle();
    });
    assert_eq!(code_of(storm), "DPC_WATCHDOG(0x133,1)");
    let stuck = strict(1).run(|| {
        let setup = Setup::new();
        setup.dpc().on_run(|_| spin_until(|| false)).enqueue();
        world::settle();
    });
    assert_eq!(code_of(stuck), "DPC_WATCHDOG(0x133,0)");
}

/// D-26, observed in §12: deleting a DPC runs a queued instance, it does not drop it.
#[test]
fn delete_runs_a_queued_instance() {
    for_seeds(|| {
        let setup = Setup::new();
        let runs = counter();
        let seen = Arc::clone(&runs);
        let dpc = setup.dpc().target(1).on_run(move |_| {
            linger();
            seen.fetch_add(1, SeqCst);
        });
        world::run_on_cpu(0, move || {
            dpc.enqueue();
            dpc.delete();
            sim_assert_eq!(runs.load(SeqCst), 1);
        });
        setup.finish();
    });
}

/// D-27: queued after the flush of its delete, the KDPC is in freed memory.
#[test]
fn enqueue_after_dispose_is_convicted_when_the_memory_goes() {
    let result = strict(1).run(|| {
        let setup = Setup::new();
        let dpc = setup.dpc();
        dpc.reference();
        dpc.delete();
        world::at_dispatch(|| {
            sim_assert!(dpc.enqueue());
            dpc.target(1);
        });
        dpc.dereference();
    });
    // The DPC may also have run in time, in memory that the reference keeps: then nothing is wrong.
    if let Err(failure) = result {
        assert_eq!(failure.code(), "TIMER_OR_DPC_INVALID(0xC7,1)");
    }
    let certain = strict(1).run(|| {
        let setup = Setup::new();
        let parent = general(setup.device.0);
        let dpc = dpc(parent.0).on_destroy(|| {});
        parent.on_cleanup(move || {
            // The child's dispose is over, its memory is not: nothing flushes from here on. Medium
            // importance on another CPU waits for a tick (D-23).
            let mut number = PROCESSOR_NUMBER {
                Group: 0,
                Number: 3,
                Reserved: 0,
            };
            // SAFETY: the KDPC is alive with its object, the number good for the call.
            unsafe { ntddk::KeSetTargetProcessorDpcEx(dpc.kdpc(), &raw mut number) };
            sim_assert!(dpc.enqueue());
        });
        world::run_on_cpu(0, move || parent.delete());
    });
    assert_eq!(code_of(certain), "TIMER_OR_DPC_INVALID(0xC7,1)");
}

/// D-28: deleted at DISPATCH, the object is disposed later, at PASSIVE.
#[test]
fn delete_at_dispatch_is_deferred() {
    for_seeds(|| {
        let setup = Setup::new();
        let done = counter();
        let (cleanup, destroy) = (Arc::clone(&done), Arc::clone(&done));
        let dpc = setup
            .dpc()
            .on_cleanup(move || {
                sim_assert_eq!(u32::from(world::current_irql()), PASSIVE_LEVEL);
                cleanup.fetch_add(1, SeqCst);
            })
            .on_destroy(move || {
                sim_assert_eq!(u32::from(world::current_irql()), PASSIVE_LEVEL);
                destroy.fetch_add(10, SeqCst);
            });
        world::run_on_cpu(0, move || world::at_dispatch(|| dpc.delete()));
        world::settle();
        sim_assert_eq!(done.load(SeqCst), 11);
        setup.finish();
    });
}

/// D-28, observed in §12: a DPC may delete itself; the callbacks come later, at PASSIVE.
#[test]
fn delete_from_the_own_callback_is_legal() {
    for_seeds(|| {
        let setup = Setup::new();
        let destroyed = flag();
        let seen = Arc::clone(&destroyed);
        let ended = flag();
        let end = Arc::clone(&ended);
        let dpc = setup
            .dpc()
            .on_run(move |dpc| {
                dpc.delete();
                linger();
                end.store(true, SeqCst);
            })
            .on_destroy(move || {
                sim_assert!(ended.load(SeqCst), "the callback is over");
                seen.store(true, SeqCst);
            });
        dpc.enqueue();
        world::settle();
        sim_assert!(destroyed.load(SeqCst));
        setup.finish();
    });
}

/// D-29: the parent's deletion disposes the DPC, and a queued instance runs.
#[test]
fn delete_of_the_parent_runs_a_queued_instance() {
    for_seeds(|| {
        let setup = Setup::new();
        let parent = general(setup.device.0);
        let runs = counter();
        let seen = Arc::clone(&runs);
        let dpc = dpc(parent.0).target(1).on_run(move |_| {
            seen.fetch_add(1, SeqCst);
        });
        world::run_on_cpu(0, move || {
            dpc.enqueue();
            parent.delete();
            sim_assert_eq!(runs.load(SeqCst), 1);
        });
        setup.finish();
    });
}

/// D-14's counterpart with a bad handle: a destroyed DPC is named (O-9).
#[test]
fn enqueue_of_a_destroyed_dpc_is_a_bad_handle() {
    let result = strict(1).run(|| {
        let setup = Setup::new();
        let dpc = setup.dpc();
        dpc.delete();
        dpc.enqueue();
    });
    let failure = result.unwrap_err();
    assert_eq!(failure.code(), "WDF_VIOLATION(0x10D,5)");
    assert!(
        failure.message().contains("WDFDPC#1"),
        "{}",
        failure.message()
    );
}

/// D-18: a callback that comes back at another IRQL is convicted.
#[test]
fn callback_that_changes_the_irql_is_convicted() {
    let result = Sim::new(1).preemption(Preemption::Never).run(|| {
        let setup = Setup::new();
        let dpc = setup.dpc().on_run(|_| {
            // SAFETY: the IRQL is left raised on purpose.
            unsafe { ntddk::KfRaiseIrql(5) };
        });
        dpc.enqueue();
        world::settle();
    });
    assert_eq!(code_of(result), "IRQL_UNEXPECTED_VALUE(0xC8)");
}

/// O-15: when the delete has returned, the callback does not run again.
#[test]
fn nothing_runs_after_the_delete_returned() {
    for_seeds(|| {
        let setup = Setup::new();
        let over = flag();
        let seen = Arc::clone(&over);
        let dpc = setup.dpc().urgent().on_run(move |_| {
            sim_assert!(!seen.load(SeqCst));
            linger();
        });
        for cpu in 0..4 {
            world::run_on_cpu(cpu, move || dpc.enqueue());
        }
        dpc.delete();
        over.store(true, SeqCst);
        world::sleep_100ns(1_000_000);
        setup.finish();
    });
}

/// The counters of the calls and callbacks.
#[test]
fn counters_count_calls_and_callbacks() {
    strict(1)
        .run(|| {
            let setup = Setup::new();
            let before = world::counters();
            let dpc = setup.dpc().on_run(|_| {});
            world::at_dispatch(|| {
                dpc.enqueue();
                dpc.enqueue();
            });
            world::settle();
            let span = world::counters() - before;
            sim_assert_eq!(
                (span.objects_dpc, span.dpc_enqueues, span.dpc_callbacks),
                (1, 2, 1)
            );
            setup.finish();
        })
        .unwrap();
}
