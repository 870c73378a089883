//! Queues: what their creation refuses, which request the driver is shown when and at which IRQL, and
//! what becomes of the requests when the device goes.

#![allow(missing_docs, reason = "tests")]

mod wdf_common;
mod wdf_io;

use std::ptr::null_mut;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, Mutex};

use kmdf_mock::call_unsafe_wdf_function_binding as unsafe_wdf;
use kmdf_mock::world::{self, Driver, Gate};
use kmdf_mock::*;
use wdf_common::*;
use wdf_io::*;

const PARALLEL: i32 = _WDF_IO_QUEUE_DISPATCH_TYPE::WdfIoQueueDispatchParallel;
const SEQUENTIAL: i32 = _WDF_IO_QUEUE_DISPATCH_TYPE::WdfIoQueueDispatchSequential;
const MANUAL: i32 = _WDF_IO_QUEUE_DISPATCH_TYPE::WdfIoQueueDispatchManual;

unsafe extern "C" fn never(_: WDFQUEUE, _: WDFREQUEST, _: usize, _: usize, _: u32) {
    world::fail("ASSERT", "a callback that is never called".to_owned());
}

/// IO-1, IO-2, IO-4 to IO-6: what the creation answers.
#[test]
fn create_checks() {
    strict(1)
        .run(|| {
            let driver = Driver::load_non_pnp();
            let device = named_device(&driver, r"\Device\Mock");
            let good = || queue_config(PARALLEL, Some(never));
            let answer = |change: fn(&mut WDF_IO_QUEUE_CONFIG)| {
                let mut config = good();
                change(&mut config);
                try_queue(device, &mut config, None).err()
            };
            sim_assert_eq!(answer(|c| c.Size = 95), Some(STATUS_INFO_LENGTH_MISMATCH));
            sim_assert_eq!(
                answer(|c| c.DispatchType = 0),
                Some(STATUS_INVALID_PARAMETER)
            );
            sim_assert_eq!(
                answer(|c| c.DispatchType = 4),
                Some(STATUS_INVALID_PARAMETER)
            );
            let silent = answer(|c| c.EvtIoDeviceControl = None);
            sim_assert_eq!(silent, Some(STATUS_WDF_NO_CALLBACK));
            let manual = answer(|c| c.DispatchType = MANUAL);
            sim_assert_eq!(
                manual,
                Some(STATUS_INVALID_PARAMETER),
                "manual with callback"
            );
            let limited = answer(|c| c.DispatchType = SEQUENTIAL);
            sim_assert_eq!(
                limited,
                Some(STATUS_INVALID_PARAMETER),
                "sequential with limit"
            );
            let mut config = good();
            config.DefaultQueue = 0;
            // SAFETY: the configuration is good for the call; no handle is asked for.
            let status = unsafe {
                unsafe_wdf!(
                    WdfIoQueueCreate,
                    device.raw(),
                    &raw mut config,
                    null_mut(),
                    null_mut()
                )
            };
            sim_assert_eq!(status, STATUS_INVALID_PARAMETER_4);
            let mut zeroed = WDF_OBJECT_ATTRIBUTES::default();
            let status = try_queue(device, &mut good(), Some(&mut zeroed)).err();
            sim_assert_eq!(status, Some(STATUS_INFO_LENGTH_MISMATCH));
            let mut elsewhere = attributes(driver.handle() as usize);
            let status = try_queue(device, &mut good(), Some(&mut elsewhere)).err();
            sim_assert_eq!(
                status,
                Some(STATUS_INVALID_DEVICE_REQUEST),
                "no device above"
            );
            try_queue(device, &mut good(), None).unwrap();
            let second = try_queue(device, &mut good(), None).err();
            sim_assert_eq!(second, Some(STATUS_UNSUCCESSFUL), "one default queue");
            finish_initializing(device);
            let late = try_queue(device, &mut good(), None).err();
            sim_assert_eq!(late, Some(STATUS_INVALID_DEVICE_STATE));
            driver.unload();
        })
        .unwrap();
}

/// IO-2: the sizes of older clients, which end before `Settings` and before `Driver`.
#[test]
fn older_configurations_are_taken() {
    for size in [80, 88] {
        strict(1)
            .run(move || {
                let driver = Driver::load_non_pnp();
                let device = named_device(&driver, r"\Device\Mock");
                let mut config = queue_config(PARALLEL, Some(on_device_control));
                config.Size = size;
                config.Driver = 1 as WDFDRIVER;
                let queue = try_queue(device, &mut config, None).unwrap();
                on_ioctl(queue, |call| call.complete(STATUS_SUCCESS, 0));
                finish_initializing(device);
                sim_assert_eq!(world::ioctl(device.raw(), IOCTL, &[], 0).status, 0);
                driver.unload();
            })
            .unwrap();
    }
}

/// IO-5: a parallel configuration that is zeroed, as Rust's Default yields it, presents nothing.
#[test]
fn a_parallel_queue_of_zero_requests_presents_none() {
    let result = strict(1).run(|| {
        let driver = Driver::load_non_pnp();
        let device = named_device(&driver, r"\Device\Mock");
        let mut config = queue_config(PARALLEL, Some(never));
        config.Settings.Parallel.NumberOfPresentedRequests = 0;
        try_queue(device, &mut config, None).unwrap();
        finish_initializing(device);
        world::ioctl(device.raw(), IOCTL, &[], 0);
    });
    let failure = result.unwrap_err();
    assert!(failure.code().starts_with("SIM_DEADLOCK"), "{failure}");
    assert!(failure.to_string().contains("WDFREQUEST#1"), "{failure}");
}

/// A scope with a lock is more than the mock has, and it says so.
#[test]
fn automatic_synchronization_is_refused_by_name() {
    let result = strict(1).run(|| {
        let driver = Driver::load_non_pnp();
        let device = named_device(&driver, r"\Device\Mock");
        let mut scoped = attributes(0);
        scoped.SynchronizationScope = _WDF_SYNCHRONIZATION_SCOPE::WdfSynchronizationScopeQueue;
        let mut config = queue_config(PARALLEL, Some(never));
        let _ = try_queue(device, &mut config, Some(&mut scoped));
    });
    assert_eq!(
        code_of(result),
        "SIM_UNSUPPORTED(SynchronizationScope of a queue)"
    );
}

/// IO-7, IO-8: a parallel queue shows the driver requests at once, in the threads that send them, up to
/// its limit; a sequential one shows one at a time.
#[test]
fn dispatch_is_parallel_or_sequential() {
    for (kind, limit, most) in [
        (PARALLEL, u32::MAX, 4),
        (PARALLEL, 2, 2),
        (SEQUENTIAL, 0, 1),
    ] {
        let mut highest = 0;
        for seed in SEEDS {
            let seen = strict(seed).cpus(4).run(move || {
                let driver = Driver::load_non_pnp();
                let inside = Inside::new();
                let counted = Arc::clone(&inside);
                let device = open_device(&driver, kind, limit, None, move |call| {
                    counted.during(|| world::burn_100ns(50));
                    call.complete(STATUS_SUCCESS, 0);
                });
                send_from_threads(device, 4);
                sim_assert_eq!(inside.total(), 4);
                driver.unload();
                inside.most()
            });
            highest = highest.max(seen.unwrap());
        }
        assert_eq!(highest, most, "dispatch type {kind} with limit {limit}");
    }
}

fn send_from_threads(device: Device, threads: u32) {
    let threads: Vec<_> = (0..threads)
        .map(|number| {
            world::spawn(&format!("sender {number}"), None, move || {
                sim_assert_eq!(world::ioctl(device.raw(), IOCTL, &[], 0).status, 0);
            })
        })
        .collect();
    for thread in threads {
        thread.join();
    }
}

/// IO-8: a driver that keeps requests is shown the next one of a sequential queue when it completes one, in
/// the thread that completes, in the order in which they came.
#[test]
fn a_completion_presents_the_next_one_in_order() {
    for_seeds(|| {
        let driver = Driver::load_non_pnp();
        let kept: Arc<Mutex<Vec<Call>>> = Arc::default();
        let keep = Arc::clone(&kept);
        let device = open_device(&driver, SEQUENTIAL, 0, None, move |call| {
            keep.lock().unwrap().push(call);
        });
        let mut senders = Vec::new();
        for number in 0..3_u8 {
            senders.push(world::spawn("sender", None, move || {
                let answer = world::ioctl(device.raw(), IOCTL, &[number], 1);
                sim_assert_eq!(answer.output, [number]);
            }));
            world::settle();
            sim_assert_eq!(kept.lock().unwrap().len(), 1, "one at a time");
        }
        for number in 0..3_u8 {
            let call = kept.lock().unwrap().remove(0);
            sim_assert_eq!(call.input(1).unwrap(), [number]);
            call.complete(STATUS_SUCCESS, 1);
        }
        for sender in senders {
            sender.join();
        }
        driver.unload();
    });
}

/// IO-9: a queue with ExecutionLevel Passive is served at PASSIVE even when a DPC completes the request
/// before; a queue without stays on the thread that completes.
#[test]
fn the_execution_level_holds_when_a_dpc_completes() {
    for (level, expected) in [
        (_WDF_EXECUTION_LEVEL::WdfExecutionLevelPassive, [0, 0]),
        (_WDF_EXECUTION_LEVEL::WdfExecutionLevelDispatch, [0, 2]),
    ] {
        for seed in SEEDS {
            let seen = strict(seed).run(move || {
                let driver = Driver::load_non_pnp();
                let irqls: Arc<Mutex<Vec<u32>>> = Arc::default();
                let kept: Arc<Mutex<Option<Call>>> = Arc::default();
                let (seen, keep) = (Arc::clone(&irqls), Arc::clone(&kept));
                let device = open_device(&driver, SEQUENTIAL, 0, Some(level), move |call| {
                    let mut irqls = seen.lock().unwrap();
                    irqls.push(u32::from(world::current_irql()));
                    let first = irqls.len() == 1;
                    drop(irqls);
                    if first {
                        *keep.lock().unwrap() = Some(call);
                    } else {
                        call.complete(STATUS_SUCCESS, 0);
                    }
                });
                let senders = [0, 1].map(|_| {
                    let sender = world::spawn("sender", None, move || {
                        sim_assert_eq!(world::ioctl(device.raw(), IOCTL, &[], 0).status, 0);
                    });
                    world::settle();
                    sender
                });
                let first = kept.lock().unwrap().take();
                world::at_dispatch(|| first.unwrap().complete(STATUS_SUCCESS, 0));
                for sender in senders {
                    sender.join();
                }
                driver.unload();
                let irqls = irqls.lock().unwrap();
                irqls.clone()
            });
            assert_eq!(seen.unwrap(), expected);
        }
    }
}

/// IO-3, IO-9: the queue inherits its level from the device, and knows it.
#[test]
fn the_level_is_inherited_from_the_device() {
    strict(1)
        .run(|| {
            let driver = Driver::load_non_pnp();
            let mut passive = attributes(0);
            passive.ExecutionLevel = _WDF_EXECUTION_LEVEL::WdfExecutionLevelPassive;
            let device = named_device_with(&driver, r"\Device\Mock", Some(&mut passive));
            let mut config = queue_config(SEQUENTIAL, Some(never));
            config.Settings.Parallel.NumberOfPresentedRequests = 0;
            let before = world::counters().pool_allocations;
            let queue = try_queue(device, &mut config, None).unwrap();
            let queues = world::counters().pool_allocations - before;
            sim_assert!(queues >= 1);
            // SAFETY: the queue is alive.
            let owner = unsafe { unsafe_wdf!(WdfIoQueueGetDevice, queue.raw()) };
            sim_assert_eq!(owner, device.raw());
            // A second delete is not the driver's business: the default queue stays (O-6).
            queue.delete();
            sim_assert_eq!(breaks("DELETE_NOT_ALLOWED"), 1);
            driver.unload();
        })
        .unwrap();
}

/// IO-10, IO-11: a removal cancels what the driver was not shown, refuses what comes later and waits for what
/// the driver has.
#[test]
fn removal_purges_the_queue() {
    for_seeds(|| {
        let driver = pnp_driver();
        let device = Device(driver.add_device() as usize);
        let kept: Arc<Mutex<Vec<Call>>> = Arc::default();
        let keep = Arc::clone(&kept);
        on_ioctl(pnp_queue(), move |call| keep.lock().unwrap().push(call));
        let send = move |expected: NTSTATUS| {
            move || {
                let answer = world::ioctl(device.raw(), IOCTL, &[], 0);
                sim_assert_eq!(answer.status, expected);
            }
        };
        let shown = world::spawn("shown", None, send(STATUS_SUCCESS));
        world::settle();
        let waiting = world::spawn("waiting", None, send(STATUS_CANCELLED));
        world::settle();
        let gone = Gate::new();
        let told = gone.clone();
        let driver = Arc::new(driver);
        let pnp = Arc::clone(&driver);
        let remover = world::spawn("PnP", None, move || {
            pnp.remove_device(device.raw());
            told.open();
        });
        world::settle();
        waiting.join();
        sim_assert!(!gone.is_open(), "the driver still has a request");
        send(STATUS_NO_SUCH_DEVICE)();
        let call = kept.lock().unwrap().pop().unwrap();
        call.complete(STATUS_SUCCESS, 0);
        shown.join();
        remover.join();
        send(STATUS_NO_SUCH_DEVICE)();
        Arc::into_inner(driver).unwrap().unload();
    });
}

/// IO-10: a request that the driver never completes holds the removal for ever: three rounds of the framework's
/// wait, each a break, then the mock's name for it.
#[test]
fn a_request_that_is_never_completed_holds_the_removal() {
    let result = strict(1).run(|| {
        let driver = pnp_driver();
        let device = Device(driver.add_device() as usize);
        on_ioctl(pnp_queue(), |_call| {});
        world::spawn("sender", None, move || {
            world::ioctl(device.raw(), IOCTL, &[], 0);
        });
        world::settle();
        driver.remove_device(device.raw());
    });
    let failure = result.unwrap_err();
    assert_eq!(failure.code(), "SIM_DEADLOCK(main waits for WDFQUEUE#1)");
    assert!(failure.to_string().contains("WDFREQUEST#1"), "{failure}");
}

/// IO-21: the same of a control device holds the unload, since its handle stays open.
#[test]
fn a_request_that_is_never_completed_holds_the_unload() {
    let result = strict(1).run(|| {
        let driver = Driver::load_non_pnp();
        let device = open_device(&driver, PARALLEL, u32::MAX, None, |_call| {});
        world::spawn("sender", None, move || {
            world::ioctl(device.raw(), IOCTL, &[], 0);
        });
        world::settle();
        driver.unload();
    });
    let failure = result.unwrap_err();
    assert!(failure.code().starts_with("SIM_DEADLOCK"), "{failure}");
    assert!(failure.to_string().contains("WDFREQUEST#1"), "{failure}");
}

/// O-16, IO-21: a control device that is deleted while a handle is open goes with the last close, after the
/// request is completed; nobody opens it meanwhile.
#[test]
fn a_control_device_goes_with_its_last_handle() {
    for_seeds(|| {
        let driver = Driver::load_non_pnp();
        let kept: Arc<Mutex<Option<Call>>> = Arc::default();
        let keep = Arc::clone(&kept);
        let device = open_device(&driver, PARALLEL, u32::MAX, None, move |call| {
            *keep.lock().unwrap() = Some(call);
        });
        let done = counter();
        let count = Arc::clone(&done);
        let sender = world::spawn("sender", None, move || {
            sim_assert_eq!(world::ioctl(LINK, IOCTL, &[], 0).status, STATUS_SUCCESS);
            count.fetch_add(1, SeqCst);
        });
        world::settle();
        device.delete();
        let refused = world::ioctl(LINK, IOCTL, &[], 0).status;
        sim_assert_eq!(refused, STATUS_NO_SUCH_DEVICE);
        let call = kept.lock().unwrap().take().unwrap();
        sim_assert_eq!(done.load(SeqCst), 0);
        call.complete(STATUS_SUCCESS, 0);
        sender.join();
        let refused = world::ioctl(LINK, IOCTL, &[], 0).status;
        sim_assert_eq!(refused, STATUS_OBJECT_NAME_NOT_FOUND, "the link went too");
        driver.unload();
    });
}
