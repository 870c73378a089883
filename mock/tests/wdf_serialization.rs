//! AutomaticSerialization: facts S-1 to S-8.

#![allow(missing_docs, reason = "tests")]

mod wdf_common;

use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

use kmdf_mock::world::{self, Driver, Sim, Verifier};
use kmdf_mock::*;
use wdf_common::*;

const PASSIVE: i32 = _WDF_EXECUTION_LEVEL::WdfExecutionLevelPassive;
const DISPATCH: i32 = _WDF_EXECUTION_LEVEL::WdfExecutionLevelDispatch;
const INHERIT: i32 = 1;
const DEVICE_SCOPE: i32 = _WDF_SYNCHRONIZATION_SCOPE::WdfSynchronizationScopeDevice;
const NO_SCOPE: i32 = _WDF_SYNCHRONIZATION_SCOPE::WdfSynchronizationScopeNone;

/// A driver with one control device of a level and a scope.
fn device(level: i32, scope: i32) -> (Driver, usize) {
    let driver = Driver::load_non_pnp();
    let mut attributes = attributes(0);
    attributes.ExecutionLevel = level;
    attributes.SynchronizationScope = scope;
    let device = driver.control_device(Some(&mut attributes)).unwrap();
    (driver, device as usize)
}

/// What the four creates with AutomaticSerialization say: DPC, work item, dispatch and passive
/// timer.
fn statuses(parent: usize, serialize: u8) -> [NTSTATUS; 4] {
    let mut dpc = dpc_config();
    dpc.AutomaticSerialization = serialize;
    let mut item = work_item_config();
    item.AutomaticSerialization = serialize;
    let mut timer = timer_config();
    timer.AutomaticSerialization = serialize;
    let mut passive = attributes(parent);
    passive.ExecutionLevel = PASSIVE;
    [
        try_dpc(dpc, attributes(parent)).err(),
        try_work_item(item, attributes(parent)).err(),
        try_timer(timer, attributes(parent)).err(),
        try_timer(timer, passive).err(),
    ]
    .map(|status| status.unwrap_or(STATUS_SUCCESS))
}

const BAD: NTSTATUS = STATUS_WDF_INCOMPATIBLE_EXECUTION_LEVEL;

/// S-1: without AutomaticSerialization nothing is checked.
#[test]
fn without_serialization_everything_is_accepted() {
    strict(1)
        .run(|| {
            for (level, scope) in [(PASSIVE, DEVICE_SCOPE), (DISPATCH, DEVICE_SCOPE), (1, 1)] {
                let (driver, device) = device(level, scope);
                sim_assert_eq!(statuses(device, 0), [STATUS_SUCCESS; 4]);
                driver.unload();
            }
        })
        .unwrap();
}

/// S-2, S-7, T-8: with scope none, or inherited from a driver that has none, everything is accepted
/// and there is no lock.
#[test]
fn scope_none_accepts_everything() {
    strict(1)
        .run(|| {
            for level in [INHERIT, PASSIVE, DISPATCH] {
                for scope in [INHERIT, NO_SCOPE] {
                    let (driver, device) = device(level, scope);
                    sim_assert_eq!(statuses(device, 1), [STATUS_SUCCESS; 4]);
                    driver.unload();
                }
            }
        })
        .unwrap();
}

/// S-3, S-4, W-3, confirmed in §12: the truth table for a real scope; a work item counts as
/// passive.
#[test]
fn real_scope_wants_the_level_of_the_parent() {
    Sim::new(1)
        .verifier(Verifier::On)
        .run(|| {
            let (driver, passive) = device(PASSIVE, DEVICE_SCOPE);
            sim_assert_eq!(
                statuses(passive, 1),
                [BAD, STATUS_SUCCESS, BAD, STATUS_SUCCESS]
            );
            sim_assert_eq!(breaks("SERIALIZATION_MISMATCH"), 2);
            driver.unload();
            for level in [DISPATCH, INHERIT] {
                let (driver, dispatch) = device(level, DEVICE_SCOPE);
                sim_assert_eq!(
                    statuses(dispatch, 1),
                    [STATUS_SUCCESS, BAD, STATUS_SUCCESS, BAD]
                );
                driver.unload();
            }
        })
        .unwrap();
}

/// S-5: the flag is the immediate parent's: a general object below a passive device lacks it.
#[test]
fn general_parent_lacks_the_passive_flag() {
    strict(1)
        .run(|| {
            let (driver, passive) = device(PASSIVE, DEVICE_SCOPE);
            let between = general(passive);
            sim_assert_eq!(
                statuses(between.0, 1),
                [STATUS_SUCCESS, BAD, STATUS_SUCCESS, BAD]
            );
            driver.unload();
        })
        .unwrap();
}

/// S-6, D-20: with a spin lock a DPC does not overlap itself: the second CPU spins at DISPATCH.
#[test]
fn serialized_dpc_does_not_overlap() {
    let mut spun = 0;
    for seed in SEEDS {
        let waited = strict(seed)
            .run(|| {
                let (driver, device) = device(DISPATCH, DEVICE_SCOPE);
                let mut config = dpc_config();
                config.AutomaticSerialization = 1;
                let dpc = try_dpc(config, with_context(attributes(device)))
                    .unwrap()
                    .urgent();
                let inside = Inside::new();
                let seen = Arc::clone(&inside);
                let queued_inside = counter();
                let queued = Arc::clone(&queued_inside);
                dpc.on_run(move |dpc| {
                    sim_assert_eq!(u32::from(world::current_irql()), DISPATCH_LEVEL);
                    seen.during(|| {
                        if seen.total() == 1 {
                            let other = (world::current_cpu() + 1) % 4;
                            queued.store(u32::from(dpc.target(other).enqueue()), SeqCst);
                        }
                        linger();
                    });
                });
                dpc.enqueue();
                world::settle();
                sim_assert_eq!((inside.most(), inside.total()), (1, 2));
                driver.unload();
                queued_inside.load(SeqCst)
            })
            .unwrap();
        spun += waited;
    }
    assert_eq!(u64::from(spun), SEEDS.end, "it was queued while it ran");
}

/// W-13, S-6: with a mutex a work item does not overlap itself; the second worker thread is
/// blocked, in a critical region.
#[test]
fn serialized_work_item_blocks_a_second_worker() {
    for_seeds(|| {
        let (driver, device) = device(PASSIVE, DEVICE_SCOPE);
        let mut config = work_item_config();
        config.AutomaticSerialization = 1;
        let item = try_work_item(config, with_context(attributes(device))).unwrap();
        let inside = Inside::new();
        let seen = Arc::clone(&inside);
        item.on_run(move |item| {
            sim_assert_eq!(u32::from(world::current_irql()), PASSIVE_LEVEL);
            seen.during(|| {
                if seen.total() < 3 {
                    item.enqueue();
                }
                world::sleep_100ns(10_000);
            });
        });
        item.enqueue();
        item.flush();
        sim_assert_eq!((inside.most(), inside.total()), (1, 3));
        driver.unload();
    });
}

/// S-8: one lock for all callbacks of the device: a work item and a passive timer exclude each
/// other.
#[test]
fn callbacks_of_one_device_exclude_each_other() {
    for_seeds(|| {
        let (driver, device) = device(PASSIVE, DEVICE_SCOPE);
        let inside = Inside::new();
        let mut config = work_item_config();
        config.AutomaticSerialization = 1;
        let seen = Arc::clone(&inside);
        let item = try_work_item(config, with_context(attributes(device)))
            .unwrap()
            .on_run(move |_| seen.during(|| world::sleep_100ns(100_000)));
        let mut config = timer_config();
        config.AutomaticSerialization = 1;
        let mut passive = with_context(attributes(device));
        passive.ExecutionLevel = PASSIVE;
        let seen = Arc::clone(&inside);
        let timer = try_timer(config, passive)
            .unwrap()
            .on_run(move |_| seen.during(|| world::sleep_100ns(100_000)));
        timer.start_ms(16);
        for _ in 0..6 {
            item.enqueue();
            world::sleep_100ns(50_000);
        }
        item.flush();
        timer.stop(true);
        sim_assert_eq!(inside.most(), 1);
        sim_assert!(inside.total() >= 2);
        driver.unload();
    });
}

/// T-26: a dispatch timer's callback is under the spin lock, at DISPATCH, and excludes the device's
/// DPCs.
#[test]
fn serialized_dispatch_timer_excludes_dpcs() {
    for_seeds(|| {
        let (driver, device) = device(DISPATCH, DEVICE_SCOPE);
        let inside = Inside::new();
        let mut config = timer_config();
        config.AutomaticSerialization = 1;
        let seen = Arc::clone(&inside);
        let timer = try_timer(config, with_context(attributes(device))).unwrap();
        timer.on_run(move |_| {
            sim_assert_eq!(u32::from(world::current_irql()), DISPATCH_LEVEL);
            seen.during(linger);
        });
        let mut config = dpc_config();
        config.AutomaticSerialization = 1;
        let seen = Arc::clone(&inside);
        let dpc = try_dpc(config, with_context(attributes(device)))
            .unwrap()
            .urgent();
        dpc.on_run(move |_| seen.during(linger));
        timer.start_ms(1);
        for _ in 0..40 {
            dpc.enqueue();
            world::sleep_100ns(5_000);
        }
        timer.stop(true);
        dpc.cancel(true);
        sim_assert_eq!(inside.most(), 1);
        sim_assert!(inside.total() > 1);
        driver.unload();
    });
}

/// S-8's counterpart: without the flag they overlap.
#[test]
fn callbacks_without_the_flag_overlap() {
    let overlapped = count_seeds(|| {
        let (driver, device) = device(PASSIVE, DEVICE_SCOPE);
        let inside = Inside::new();
        for _ in 0..2 {
            let seen = Arc::clone(&inside);
            work_item(device)
                .on_run(move |_| seen.during(|| world::sleep_100ns(100_000)))
                .enqueue();
        }
        world::sleep_100ns(1_000_000);
        driver.unload();
        inside.most() == 2
    });
    assert!(overlapped > 0);
}

/// S-6: taking the lock again on the way is a bug check, verifier or not.
#[test]
fn recursive_callback_lock_is_a_bug_check() {
    let result = Sim::new(1).cpus(1).verifier(Verifier::Off).run(|| {
        let (_driver, device) = device(DISPATCH, DEVICE_SCOPE);
        let mut config = dpc_config();
        config.AutomaticSerialization = 1;
        let dpc = try_dpc(config, with_context(attributes(device))).unwrap();
        dpc.on_run(|dpc| {
            // Lowering the IRQL in the callback lets the same DPC in, below its own lock.
            dpc.enqueue();
            // SAFETY: the IRQL is lowered on purpose, and restored.
            unsafe {
                ntddk::KeLowerIrql(0);
                ntddk::KfRaiseIrql(2);
            }
        });
        dpc.enqueue();
        world::settle();
    });
    let code = code_of(result);
    assert_eq!(code, "WDF_VIOLATION(0x10D,2)");
}
