//! Driver and devices: facts O-12 to O-19, and what unloading with something pending is.

#![allow(missing_docs, reason = "tests")]

mod wdf_common;

use std::ptr::null_mut;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, Mutex};

use kmdf_mock::call_unsafe_wdf_function_binding as unsafe_wdf;
use kmdf_mock::world::{self, Driver, Gate, Sim};
use kmdf_mock::*;
use wdf_common::*;

const SECOND: u64 = 10_000_000;
const NON_PNP: u32 = _WDF_DRIVER_INIT_FLAGS::WdfDriverInitNonPnpDriver as u32;

unsafe extern "C" fn nothing(_driver: WDFDRIVER) {}

unsafe extern "C" fn refuse(_driver: WDFDRIVER, _init: PWDFDEVICE_INIT) -> NTSTATUS {
    STATUS_INSUFFICIENT_RESOURCES
}

fn driver_config(flags: u32) -> WDF_DRIVER_CONFIG {
    WDF_DRIVER_CONFIG {
        Size: size_of::<WDF_DRIVER_CONFIG>() as u32,
        EvtDriverUnload: Some(nothing),
        DriverInitFlags: flags,
        ..Default::default()
    }
}

/// A world with a driver that never ends is a failure only where it is unloaded.
#[test]
fn driver_loads_adds_removes_unloads() {
    for_seeds(|| {
        let driver = Driver::load();
        sim_assert!(!driver.handle().is_null());
        let first = driver.add_device();
        let second = driver.add_device();
        sim_assert!(first != second);
        driver.remove_device(first);
        let third = driver.add_device();
        driver.remove_device(second);
        driver.remove_device(third);
        driver.unload();
        // A second image life in the same world.
        Driver::load_non_pnp().unload();
    });
}

/// The globals name the driver and its service (BIND-11).
#[test]
fn globals_name_the_driver() {
    strict(1)
        .run(|| {
            let driver = Driver::load();
            // SAFETY: the globals are alive as long as the world.
            let globals = unsafe { *kmdf_mock::wdf::driver_globals() };
            sim_assert_eq!(globals.Driver, driver.handle());
            sim_assert_eq!(globals.DriverName[..5], [109, 111, 99, 107, 0], "mock");
            driver.unload();
        })
        .unwrap();
}

/// O-18: what `WdfDriverCreate` refuses.
#[test]
fn driver_create_checks() {
    strict(1)
        .run(|| {
            let mut config = driver_config(0);
            config.Size = 24;
            sim_assert_eq!(
                Driver::load_with(config).err(),
                Some(STATUS_INFO_LENGTH_MISMATCH)
            );
            let status = Driver::load_with(driver_config(8)).err();
            sim_assert_eq!(status, Some(STATUS_INVALID_PARAMETER), "an unknown flag");
            let mut both = driver_config(NON_PNP);
            both.EvtDriverDeviceAdd = Some(refuse);
            sim_assert_eq!(
                Driver::load_with(both).err(),
                Some(STATUS_INVALID_PARAMETER)
            );
            Driver::load_with(driver_config(NON_PNP)).unwrap().unload();
        })
        .unwrap();
}

/// O-18: a driver without PnP and without an unload callback cannot be unloaded.
#[test]
fn driver_without_unload_callback_stays() {
    let result = strict(1).run(|| {
        let mut config = driver_config(NON_PNP);
        config.EvtDriverUnload = None;
        Driver::load_with(config).unwrap().unload();
    });
    assert_eq!(code_of(result), "SIM_NEVER_UNLOADED(DriverUnload)");
}

unsafe extern "C" fn lost_unload(_driver_object: PDRIVER_OBJECT) {
    world::fail(
        "ASSERT",
        "the unload routine that was overwritten is called".to_owned(),
    );
}

unsafe extern "C" fn entry_with_own_unload(
    driver_object: PDRIVER_OBJECT,
    registry_path: PCUNICODE_STRING,
) -> NTSTATUS {
    // SAFETY: NT's arguments are good.
    unsafe {
        (*driver_object).DriverUnload = Some(lost_unload);
        create(driver_object, registry_path)
    }
}

unsafe fn create(driver_object: PDRIVER_OBJECT, registry_path: PCUNICODE_STRING) -> NTSTATUS {
    let mut config = driver_config(0);
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

/// O-19: the framework overwrites the unload routine that a driver set before.
#[test]
fn own_unload_routine_is_overwritten() {
    strict(1)
        .run(|| Driver::load_entry(entry_with_own_unload).unwrap().unload())
        .unwrap();
}

unsafe extern "C" fn entry_twice(
    driver_object: PDRIVER_OBJECT,
    registry_path: PCUNICODE_STRING,
) -> NTSTATUS {
    // SAFETY: NT's arguments are passed on.
    unsafe {
        let first = create(driver_object, registry_path);
        let second = create(driver_object, registry_path);
        sim_assert_eq!(
            second,
            0xC000_0183_u32 as i32,
            "one driver object per image"
        );
        first
    }
}

/// One driver object per image.
#[test]
fn second_driver_create_is_refused() {
    strict(1)
        .run(|| Driver::load_entry(entry_twice).unwrap().unload())
        .unwrap();
}

/// A device-add callback that refuses leaves no device.
#[test]
fn refused_device_leaves_nothing() {
    strict(1)
        .run(|| {
            let mut config = driver_config(0);
            config.EvtDriverDeviceAdd = Some(refuse);
            let driver = Driver::load_with(config).unwrap();
            let status = driver.try_add_device();
            sim_assert_eq!(status, Err(STATUS_INSUFFICIENT_RESOURCES));
            driver.unload();
        })
        .unwrap();
}

/// A device takes no parent, but a level and a scope.
#[test]
fn device_attributes() {
    strict(1)
        .run(|| {
            let driver = Driver::load_non_pnp();
            let mut with_parent = attributes(driver.handle() as usize);
            let status = driver.control_device(Some(&mut with_parent));
            sim_assert_eq!(status, Err(0xC020_020F_u32 as i32));
            let mut real = attributes(0);
            real.ExecutionLevel = 2;
            real.SynchronizationScope = 2;
            sim_assert!(driver.control_device(Some(&mut real)).is_ok());
            let mut zeroed = WDF_OBJECT_ATTRIBUTES {
                Size: 56,
                ..Default::default()
            };
            let status = driver.control_device(Some(&mut zeroed));
            sim_assert_eq!(status, Err(STATUS_WDF_OBJECT_ATTRIBUTES_INVALID));
            driver.unload();
        })
        .unwrap();
}

/// An init is used up by the device, and a used-up one is convicted.
#[test]
fn init_is_used_up() {
    let result = strict(1).run(|| {
        let driver = Driver::load_non_pnp();
        let sddl = UNICODE_STRING {
            Length: 0,
            MaximumLength: 0,
            Buffer: null_mut(),
        };
        let mut device = null_mut();
        // SAFETY: the pointers are good for the calls; the last call is wrong on purpose.
        unsafe {
            let mut init = unsafe_wdf!(
                WdfControlDeviceInitAllocate,
                driver.handle(),
                &raw const sddl
            );
            let stale = init;
            let status = unsafe_wdf!(WdfDeviceInitAssignName, init, &raw const sddl);
            sim_assert_eq!(status, STATUS_SUCCESS);
            let status = unsafe_wdf!(WdfDeviceCreate, &raw mut init, null_mut(), &raw mut device);
            sim_assert_eq!(status, STATUS_SUCCESS);
            sim_assert!(init.is_null());
            unsafe_wdf!(WdfControlFinishInitializing, device);
            unsafe_wdf!(WdfDeviceInitFree, stale);
        }
    });
    assert_eq!(code_of(result), "WDF_VIOLATION(0x10D,5)");
}

/// O-12: removal disposes the child tree, waits for what runs, and then cleans up the device.
#[test]
fn removal_disposes_children_before_the_device() {
    unsafe extern "C" fn add(_driver: WDFDRIVER, mut init: PWDFDEVICE_INIT) -> NTSTATUS {
        let mut attributes = with_context(attributes(0));
        let mut device = null_mut();
        // SAFETY: the pointers are good for the call.
        unsafe {
            unsafe_wdf!(
                WdfDeviceCreate,
                &raw mut init,
                &raw mut attributes,
                &raw mut device
            )
        }
    }
    for_seeds(|| {
        let mut config = driver_config(0);
        config.EvtDriverDeviceAdd = Some(add);
        let driver = Driver::load_with(config).unwrap();
        let device = Device(driver.add_device() as usize);
        let log = Arc::new(Mutex::new(Vec::new()));
        let note = |what: &'static str| {
            let log = Arc::clone(&log);
            move || log.lock().unwrap().push(what)
        };
        device
            .on_cleanup(note("cleanup device"))
            .on_destroy(note("destroy device"));
        let item = work_item(device.0).on_cleanup(note("cleanup item"));
        let run = note("run");
        item.on_run(move |_| {
            world::sleep_100ns(SECOND);
            run();
        });
        let late = timer(device.0)
            .on_cleanup(note("cleanup timer"))
            .on_run(|_| {
                world::fail("ASSERT", "the timer fires after the removal".to_owned());
            });
        late.start(-(SECOND as i64) * 10);
        item.enqueue();
        driver.remove_device(device.raw());
        let seen = log.lock().unwrap().clone();
        let at = |what| seen.iter().position(|other| *other == what).unwrap();
        sim_assert_eq!(seen.len(), 5, "{seen:?}");
        sim_assert!(at("run") < at("cleanup item"));
        sim_assert!(at("cleanup item").max(at("cleanup timer")) < at("cleanup device"));
        sim_assert_eq!(at("destroy device"), 4);
        world::sleep_100ns(20 * SECOND);
        driver.unload();
    });
}

/// O-12: removal waits for a child that is being disposed on the dispose list.
#[test]
fn removal_waits_for_deferred_disposes() {
    for_seeds(|| {
        let setup = Setup::new();
        let cleaned = counter();
        for _ in 0..3 {
            let seen = Arc::clone(&cleaned);
            let item = setup.work_item().on_cleanup(move || {
                seen.fetch_add(1, SeqCst);
            });
            item.enqueue();
            world::at_dispatch(|| item.delete());
        }
        setup.driver.remove_device(setup.device.raw());
        sim_assert_eq!(cleaned.load(SeqCst), 3);
        setup.driver.unload();
    });
}

/// O-16: a control device is deleted by its driver, with its children; a non-PnP driver may leave
/// that to the framework's unload.
#[test]
fn control_device_is_deleted_with_its_children() {
    for_seeds(|| {
        for by_hand in [true, false] {
            let driver = Driver::load_non_pnp();
            let device = driver.control_device(None).unwrap() as usize;
            let cleaned = counter();
            let seen = Arc::clone(&cleaned);
            let item = work_item(device).on_cleanup(move || {
                seen.fetch_add(1, SeqCst);
            });
            item.enqueue();
            if by_hand {
                Device(device).delete();
                sim_assert_eq!(cleaned.load(SeqCst), 1);
            }
            driver.unload();
            sim_assert_eq!(cleaned.load(SeqCst), 1);
        }
    });
}

/// O-16: a PnP driver that leaves its control device behind is never unloaded.
#[test]
fn control_device_of_a_pnp_driver_keeps_the_image() {
    let result = strict(1).run(|| {
        let setup = Setup::new();
        setup.driver.control_device(None).unwrap();
        setup.finish();
    });
    assert_eq!(code_of(result), "SIM_NEVER_UNLOADED(WDFDEVICE#2)");
    strict(1)
        .run(|| {
            let setup = Setup::new();
            let control = setup.driver.control_device(None).unwrap();
            Device(control as usize).delete();
            setup.finish();
        })
        .unwrap();
}

/// O-16: PnP removes its devices, and only those.
#[test]
fn control_device_is_not_removed_by_pnp() {
    let result = strict(1).run(|| {
        let driver = Driver::load_non_pnp();
        let device = driver.control_device(None).unwrap();
        driver.remove_device(device);
    });
    assert_eq!(code_of(result), "SIM_MISUSE");
}

/// O-17: the unload callback runs first; after it, and before the unload ends, callbacks still run.
#[test]
fn callbacks_run_after_the_unload_callback() {
    for_seeds(|| {
        let driver = Driver::load_non_pnp();
        let device = driver.control_device(None).unwrap() as usize;
        let unloaded = flag();
        let ran_after = flag();
        let (seen, after) = (Arc::clone(&unloaded), Arc::clone(&ran_after));
        let (begun, go) = (Gate::new(), Gate::new());
        let (started, wait) = (begun.clone(), go.clone());
        let item = work_item(device).on_run(move |_| {
            started.open();
            wait.wait();
            after.store(seen.load(SeqCst), SeqCst);
        });
        item.enqueue();
        begun.wait();
        driver.on_unload(move || {
            unloaded.store(true, SeqCst);
            go.open();
        });
        driver.unload();
        sim_assert!(
            ran_after.load(SeqCst),
            "after EvtDriverUnload began, before the image went"
        );
    });
}

/// O-17, H-34: what is still there after the unload is 0xCE: a thread of the driver's.
#[test]
fn unload_with_a_thread_is_convicted() {
    unsafe extern "C" fn forever(_context: PVOID) {
        loop {
            world::sleep_100ns(SECOND);
        }
    }
    let result = strict(1).run(|| {
        let setup = Setup::new();
        let mut handle = null_mut();
        // SAFETY: the pointers are good for the call.
        let status = unsafe {
            ntddk::PsCreateSystemThread(
                &raw mut handle,
                THREAD_ALL_ACCESS,
                null_mut(),
                null_mut(),
                null_mut(),
                Some(forever),
                null_mut(),
            )
        };
        sim_assert_eq!(status, STATUS_SUCCESS);
        setup.finish();
    });
    assert_eq!(code_of(result), "DRIVER_UNLOADED_PENDING(0xCE)");
}

/// H-34: a KDPC of the driver's own that is still queued after the unload.
#[test]
fn unload_with_a_queued_dpc_is_convicted() {
    unsafe extern "C" fn routine(_: *mut KDPC, _: PVOID, _: PVOID, _: PVOID) {}
    let mut convicted = 0;
    for seed in SEEDS {
        let result = strict(seed).run(|| {
            let driver = Driver::load_non_pnp();
            let dpc = world::pool::alloc([0_u64; 8]) as usize;
            driver.on_unload(move || {
                let dpc = dpc as PKDPC;
                let mut number = PROCESSOR_NUMBER {
                    Group: 0,
                    Number: 3,
                    Reserved: 0,
                };
                // SAFETY: the block is as large as a KDPC and stays allocated.
                unsafe {
                    ntddk::KeInitializeDpc(dpc, Some(routine), null_mut());
                    ntddk::KeSetTargetProcessorDpcEx(dpc, &raw mut number);
                    ntddk::KeSetImportanceDpc(dpc, _KDPC_IMPORTANCE::LowImportance);
                    ntddk::KeInsertQueueDpc(dpc, null_mut(), null_mut());
                }
            });
            world::run_on_cpu(0, || driver.unload());
        });
        if let Err(failure) = result {
            assert_eq!(failure.code(), "DRIVER_UNLOADED_PENDING(0xCE)");
            convicted += 1;
        }
    }
    assert!(
        convicted > 0,
        "no seed of {SEEDS:?} unloaded before the DPC ran"
    );
}

/// H-34: an armed timer of the driver's own after the unload.
#[test]
fn unload_with_an_armed_timer_is_convicted() {
    let result = strict(1).run(|| {
        let driver = Driver::load_non_pnp();
        // SAFETY: a timer without a callback may be armed.
        unsafe {
            let timer = ntddk::ExAllocateTimer(None, null_mut(), 0);
            ntddk::ExSetTimer(timer, -(SECOND as i64), 0, null_mut());
        }
        driver.unload();
    });
    assert_eq!(code_of(result), "DRIVER_UNLOADED_PENDING(0xCE)");
}

/// H-34: pool that the driver did not free, and an object that a reference keeps, are found at
/// unload.
#[test]
fn unload_with_pool_or_objects_left_is_convicted() {
    let pool = strict(1).run(|| {
        let setup = Setup::new();
        // SAFETY: the block is lost on purpose.
        unsafe { ntddk::ExAllocatePool2(POOL_FLAG_NON_PAGED, 64, 0x6C61_654C) };
        setup.finish();
    });
    assert_eq!(code_of(pool), "DV(0xC4,0x62)");
    let object = strict(1).run(|| {
        let setup = Setup::new();
        setup.dpc().reference();
        setup.finish();
    });
    let failure = object.unwrap_err();
    assert_eq!(failure.code(), "DV(0xC4,0x62)");
    assert!(failure.message().contains("WDFDPC#1"), "{failure}");
}

/// O-6: a control device is deleted at PASSIVE; above, a strict world ends, and without a verifier
/// the dispose is deferred.
#[test]
fn control_device_is_deleted_at_passive() {
    let result = strict(1).run(|| {
        let driver = Driver::load_non_pnp();
        let device = Device(driver.control_device(None).unwrap() as usize);
        world::at_dispatch(|| device.delete());
    });
    assert_eq!(code_of(result), "KMDF_IRQL(WdfObjectDelete)");
    Sim::new(1)
        .verifier(world::Verifier::Off)
        .run(|| {
            let driver = Driver::load_non_pnp();
            let device = Device(driver.control_device(None).unwrap() as usize);
            world::at_dispatch(|| device.delete());
            driver.unload();
        })
        .unwrap();
}

/// A driver that does not load, because memory is short, leaves nothing behind.
#[test]
fn failed_load_leaves_nothing() {
    for nth in 1..12 {
        Sim::new(nth)
            .fail_allocation(nth)
            .run(|| {
                if let Ok(driver) = Driver::load_with(driver_config(NON_PNP)) {
                    let device = driver.control_device(None);
                    if let Ok(device) = device {
                        Device(device as usize).delete();
                    }
                    driver.unload();
                }
            })
            .unwrap();
    }
}
