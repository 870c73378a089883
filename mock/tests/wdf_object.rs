//! The object model: facts O-1 to O-11, and the attribute rules S-11 to S-14.

#![allow(missing_docs, reason = "tests")]

mod wdf_common;

use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, Mutex};

use kmdf_mock::call_unsafe_wdf_function_binding as unsafe_wdf;
use kmdf_mock::world::{self, Driver, Gate, Sim, Verifier};
use kmdf_mock::*;
use wdf_common::*;

/// What happened, in order.
type Log = Arc<Mutex<Vec<String>>>;

fn log_into(log: &Log, line: String) -> impl Fn() + Send + Sync + use<> {
    let log = Arc::clone(log);
    move || log.lock().unwrap().push(line.clone())
}

/// A general object that logs its cleanup and destroy.
fn logged(parent: usize, name: &str, log: &Log) -> General {
    general(parent)
        .on_cleanup(log_into(log, format!("cleanup {name}")))
        .on_destroy(log_into(log, format!("destroy {name}")))
}

fn lines(log: &Log) -> Vec<String> {
    log.lock().unwrap().clone()
}

fn place(lines: &[String], line: &str) -> usize {
    let found = lines.iter().position(|other| other == line);
    let Some(found) = found else {
        world::fail("ASSERT", format!("{line} is not in {lines:?}"));
    };
    found
}

/// O-1: the layout, and `INIT` is valid.
#[test]
fn attributes_are_56_bytes() {
    assert_eq!(size_of::<WDF_OBJECT_ATTRIBUTES>(), 56);
    assert_eq!(size_of::<WDF_OBJECT_CONTEXT_TYPE_INFO>(), 40);
}

/// S-11: sizes of the attributes and of the type info.
#[test]
fn wrong_sizes_are_a_length_mismatch() {
    strict(1)
        .run(|| {
            let setup = Setup::new();
            let parent = setup.device.0;
            let mut long = attributes(parent);
            long.Size = 64;
            sim_assert_eq!(try_general(long), Err(STATUS_INFO_LENGTH_MISMATCH));
            for (size, accepted) in [(40, true), (24, true), (32, false), (0, false)] {
                let info = WDF_OBJECT_CONTEXT_TYPE_INFO {
                    Size: size,
                    ..CONTEXT.0
                };
                let mut with_info = attributes(parent);
                with_info.ContextTypeInfo = &raw const info;
                let status = try_general(with_info);
                sim_assert_eq!(status.is_ok(), accepted, "type info of {size}: {status:?}");
            }
            setup.finish();
        })
        .unwrap();
}

/// S-11: context rules. A name without a size is fine; a size without a name, an override without a
/// type or below the type's size are not.
#[test]
fn context_rules() {
    strict(1)
        .run(|| {
            let setup = Setup::new();
            let parent = setup.device.0;
            let nameless = WDF_OBJECT_CONTEXT_TYPE_INFO {
                ContextName: std::ptr::null_mut(),
                ..CONTEXT.0
            };
            let empty = WDF_OBJECT_CONTEXT_TYPE_INFO {
                ContextSize: 0,
                ..CONTEXT.0
            };
            let mut asked = attributes(parent);
            asked.ContextTypeInfo = &raw const nameless;
            sim_assert_eq!(
                try_general(asked),
                Err(STATUS_WDF_OBJECT_ATTRIBUTES_INVALID)
            );
            asked.ContextTypeInfo = &raw const empty;
            sim_assert!(try_general(asked).is_ok());
            asked.ContextTypeInfo = &raw const CONTEXT.0;
            asked.ContextSizeOverride = 8;
            sim_assert_eq!(
                try_general(asked),
                Err(STATUS_WDF_OBJECT_ATTRIBUTES_INVALID)
            );
            asked.ContextSizeOverride = 4096;
            sim_assert!(try_general(asked).is_ok());
            asked.ContextTypeInfo = std::ptr::null();
            sim_assert_eq!(
                try_general(asked),
                Err(STATUS_WDF_OBJECT_ATTRIBUTES_INVALID)
            );
            setup.finish();
        })
        .unwrap();
}

/// S-12: zeroed enumerations are invalid, as is anything beyond the last value.
#[test]
fn enumerations_are_range_checked() {
    strict(1)
        .run(|| {
            let setup = Setup::new();
            let zeroed = WDF_OBJECT_ATTRIBUTES {
                Size: 56,
                ParentObject: setup.device.0 as WDFOBJECT,
                ..Default::default()
            };
            let invalid = STATUS_WDF_OBJECT_ATTRIBUTES_INVALID;
            sim_assert_eq!(try_dpc(dpc_config(), zeroed), Err(invalid));
            for (level, scope) in [(0, 1), (4, 1), (1, 0), (1, 5)] {
                let mut attributes = attributes(setup.device.0);
                attributes.ExecutionLevel = level;
                attributes.SynchronizationScope = scope;
                sim_assert_eq!(try_dpc(dpc_config(), attributes), Err(invalid));
                sim_assert_eq!(try_work_item(work_item_config(), attributes), Err(invalid));
                sim_assert_eq!(try_timer(timer_config(), attributes), Err(invalid));
            }
            setup.finish();
        })
        .unwrap();
}

/// S-13: a real scope on a DPC, work item or timer is refused; inherit and none are accepted.
#[test]
fn scopes_are_refused() {
    strict(1)
        .run(|| {
            let setup = Setup::new();
            for (scope, accepted) in [(1, true), (2, false), (3, false), (4, true)] {
                let mut attributes = attributes(setup.device.0);
                attributes.SynchronizationScope = scope;
                let expected = if accepted {
                    STATUS_SUCCESS
                } else {
                    STATUS_WDF_SYNCHRONIZATION_SCOPE_INVALID
                };
                let statuses = [
                    try_dpc(dpc_config(), attributes).err(),
                    try_work_item(work_item_config(), attributes).err(),
                    try_timer(timer_config(), attributes).err(),
                ];
                for status in statuses {
                    sim_assert_eq!(status.unwrap_or(STATUS_SUCCESS), expected, "scope {scope}");
                }
            }
            setup.finish();
        })
        .unwrap();
}

/// S-14: an execution level on a DPC or work item is refused; on a timer it is accepted.
#[test]
fn execution_levels_are_refused() {
    strict(1)
        .run(|| {
            let setup = Setup::new();
            for level in [2, 3] {
                let mut attributes = attributes(setup.device.0);
                attributes.ExecutionLevel = level;
                let refused = Some(STATUS_WDF_EXECUTION_LEVEL_INVALID);
                sim_assert_eq!(try_dpc(dpc_config(), attributes).err(), refused);
                sim_assert_eq!(try_work_item(work_item_config(), attributes).err(), refused);
                sim_assert!(try_timer(timer_config(), attributes).is_ok());
            }
            // Both wrong: the scope is looked at first.
            let mut attributes = attributes(setup.device.0);
            attributes.ExecutionLevel = 2;
            attributes.SynchronizationScope = 2;
            let status = try_dpc(dpc_config(), attributes).err();
            sim_assert_eq!(status, Some(STATUS_WDF_SYNCHRONIZATION_SCOPE_INVALID));
            setup.finish();
        })
        .unwrap();
}

/// O-2: the context is zeroed, as large as asked, found by the address of its type info alone, and
/// good until the destroy callback returned.
#[test]
fn context_is_zeroed_and_found_by_address() {
    strict(1)
        .run(|| {
            let setup = Setup::new();
            let mut asked = attributes(setup.device.0);
            asked.ContextTypeInfo = &raw const CONTEXT.0;
            asked.ContextSizeOverride = 300;
            let object = try_general(asked).unwrap();
            let context = context_of(object.0).cast::<u8>();
            for offset in 0..300 {
                // SAFETY: the context has 300 bytes.
                sim_assert_eq!(unsafe { context.add(offset).read() }, 0);
            }
            let twin = WDF_OBJECT_CONTEXT_TYPE_INFO { ..CONTEXT.0 };
            // SAFETY: the handle is good, the type info any address.
            let other = unsafe {
                unsafe_wdf!(
                    WdfObjectGetTypedContextWorker,
                    object.0 as WDFOBJECT,
                    &raw const twin
                )
            };
            sim_assert!(
                other.is_null(),
                "an equal type info elsewhere is another type"
            );
            sim_assert!(
                context_of(setup.device.0).is_null(),
                "the device has no context"
            );
            setup.finish();
        })
        .unwrap();
}

/// O-2: a context is tracked memory, freed when the destroy callback has returned.
#[test]
fn context_is_freed_with_its_object() {
    strict(1)
        .run(|| {
            let setup = Setup::new();
            let object = general(setup.device.0);
            let context = context_of(object.0);
            object.reference();
            object.delete();
            sim_assert!(
                !world::pool::is_freed(context),
                "a reference keeps it (O-7)"
            );
            object.dereference();
            sim_assert!(world::pool::is_freed(context));
            setup.finish();
        })
        .unwrap();
}

/// H-3, 0xD5: a plain read of a context after its object was destroyed ends the process with status
/// 112 and the replay line. The control runs in a child process.
#[test]
fn plain_read_of_a_freed_context_is_convicted() {
    if std::env::var_os("KMDF_MOCK_CONTROL").is_some() {
        let result = strict(9).run(|| {
            let setup = Setup::new();
            let object = general(setup.device.0);
            let context = context_of(object.0).cast::<u64>();
            object.delete();
            // SAFETY: the read is the mistake that is convicted.
            let late = unsafe { context.read_volatile() };
            world::fail("ASSERT", format!("freed memory was read: {late}"));
        });
        panic!("{result:?}");
    }
    let output = std::process::Command::new(std::env::current_exe().unwrap())
        .args([
            "plain_read_of_a_freed_context_is_convicted",
            "--exact",
            "--nocapture",
        ])
        .env("KMDF_MOCK_CONTROL", "1")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(112), "{text}");
    assert!(
        text.contains("PAGE_FAULT_IN_FREED_SPECIAL_POOL(0xD5)"),
        "{text}"
    );
}

/// O-4, observed in §12: children are cleaned up before their parent, whatever the order among
/// siblings; memory goes from the parent on, and a referenced child last.
#[test]
fn children_are_cleaned_up_before_their_parent() {
    let mut orders = std::collections::BTreeSet::new();
    for seed in SEEDS {
        let order = strict(seed)
            .run(|| {
                let setup = Setup::new();
                let log = Log::default();
                let a = logged(setup.device.0, "a", &log);
                let b = logged(a.0, "b", &log);
                let _c = logged(a.0, "c", &log);
                let d = logged(b.0, "d", &log);
                d.reference();
                a.delete();
                let seen = lines(&log);
                let at = |line| place(&seen, line);
                sim_assert_eq!(seen.len(), 7, "d is still referenced: {seen:?}");
                sim_assert!(at("cleanup d") < at("cleanup b"));
                sim_assert!(at("cleanup b") < at("cleanup a"));
                sim_assert!(at("cleanup c") < at("cleanup a"));
                for destroyed in ["destroy a", "destroy b", "destroy c"] {
                    sim_assert!(at("cleanup a") < at(destroyed));
                }
                d.dereference();
                sim_assert_eq!(lines(&log).last().unwrap(), "destroy d");
                setup.finish();
                at("cleanup b") < at("cleanup c")
            })
            .unwrap();
        orders.insert(order);
    }
    assert_eq!(orders.len(), 2, "both orders of the siblings occur");
}

/// O-5: cleanup and destroy of a general object come at the IRQL of the delete.
#[test]
fn general_object_is_cleaned_up_where_it_is_deleted() {
    for_seeds(|| {
        let setup = Setup::new();
        let levels = Arc::new(Mutex::new(Vec::new()));
        let [first, second] = [0; 2].map(|_| Arc::clone(&levels));
        let object = general(setup.device.0)
            .on_cleanup(move || first.lock().unwrap().push(world::current_irql()))
            .on_destroy(move || second.lock().unwrap().push(world::current_irql()));
        world::at_dispatch(|| object.delete());
        sim_assert_eq!(*levels.lock().unwrap(), [2, 2]);
        setup.finish();
    });
}

/// O-5, D-28: with a child that must be disposed at PASSIVE, the whole tree waits for PASSIVE.
#[test]
fn tree_with_a_dpc_is_disposed_at_passive() {
    for_seeds(|| {
        let setup = Setup::new();
        let log = Log::default();
        let parent = logged(setup.device.0, "parent", &log);
        let middle = logged(parent.0, "middle", &log);
        dpc(middle.0).on_cleanup({
            let note = log_into(&log, "cleanup dpc".to_owned());
            move || {
                sim_assert_eq!(world::current_irql(), 0);
                note();
            }
        });
        world::at_dispatch(|| parent.delete());
        world::settle();
        let seen = lines(&log);
        sim_assert_eq!(
            seen[..3],
            ["cleanup dpc", "cleanup middle", "cleanup parent"]
        );
        sim_assert_eq!(seen.len(), 5, "{seen:?}");
        setup.finish();
    });
}

/// O-5: dropped at DISPATCH, the last reference of an object that is disposed at PASSIVE destroys
/// it at PASSIVE; that of a general object destroys it there.
#[test]
fn last_dereference_at_dispatch() {
    for_seeds(|| {
        let setup = Setup::new();
        let levels = Arc::new(Mutex::new(Vec::new()));
        for object in [general(setup.device.0), General(setup.dpc().0)] {
            let seen = Arc::clone(&levels);
            object.on_destroy(move || seen.lock().unwrap().push(world::current_irql()));
            object.reference();
            object.delete();
            world::at_dispatch(|| object.dereference());
            world::settle();
        }
        sim_assert_eq!(*levels.lock().unwrap(), [2, 0]);
        setup.finish();
    });
}

/// O-8, V-1: whichever allocation fails first, failed creates leave no child and call no callback,
/// and the driver unloads with nothing left.
#[test]
fn failed_creates_leave_nothing() {
    let mut refused = 0;
    let mut made = 0;
    for nth in 8..40 {
        let (ok, failed) = Sim::new(nth)
            .fail_allocation(nth)
            .run(|| {
                let Ok(driver) = Driver::load_entry(entry) else {
                    return (0, 0);
                };
                let Ok(device) = driver.control_device(None) else {
                    driver.unload();
                    return (0, 0);
                };
                let device = device as usize;
                let mut passive = attributes(device);
                passive.ExecutionLevel = _WDF_EXECUTION_LEVEL::WdfExecutionLevelPassive;
                let statuses = [
                    try_dpc(dpc_config(), with_context(attributes(device))).map(|o| o.0),
                    try_work_item(work_item_config(), with_context(attributes(device)))
                        .map(|o| o.0),
                    try_timer(timer_config(), with_context(attributes(device))).map(|o| o.0),
                    try_timer(timer_config(), with_context(passive)).map(|o| o.0),
                    try_general(with_context(attributes(device))).map(|o| o.0),
                ];
                let mut counts = (0, 0);
                for status in statuses {
                    match status {
                        Ok(_) => counts.0 += 1,
                        Err(status) => {
                            sim_assert_eq!(status, STATUS_INSUFFICIENT_RESOURCES);
                            counts.1 += 1;
                        }
                    }
                }
                driver.unload();
                counts
            })
            .unwrap();
        made += ok;
        refused += failed;
    }
    assert!(made > 0 && refused > 0, "{made} made, {refused} refused");
}

unsafe extern "C" fn unload(_driver: WDFDRIVER) {}

unsafe extern "C" fn entry(
    driver_object: PDRIVER_OBJECT,
    registry_path: PCUNICODE_STRING,
) -> NTSTATUS {
    let mut config = WDF_DRIVER_CONFIG {
        Size: size_of::<WDF_DRIVER_CONFIG>() as u32,
        EvtDriverUnload: Some(unload),
        DriverInitFlags: _WDF_DRIVER_INIT_FLAGS::WdfDriverInitNonPnpDriver as u32,
        ..Default::default()
    };
    // SAFETY: NT's arguments are passed on; the config is good for the call.
    unsafe {
        unsafe_wdf!(
            WdfDriverCreate,
            driver_object,
            registry_path,
            std::ptr::null_mut(),
            &raw mut config,
            std::ptr::null_mut()
        )
    }
}

/// O-6: deleting what the driver may not delete is a break, and nothing else.
#[test]
fn delete_of_a_driver_or_pnp_device_is_ignored() {
    Sim::new(1)
        .verifier(Verifier::On)
        .run(|| {
            let setup = Setup::new();
            setup.device.delete();
            General(setup.driver.handle() as usize).delete();
            sim_assert_eq!(breaks("DELETE_NOT_ALLOWED"), 2);
            setup.dpc();
            setup.finish();
        })
        .unwrap();
}

/// O-6: a second delete while the memory is still there is ignored.
#[test]
fn second_delete_is_ignored() {
    for_seeds(|| {
        let setup = Setup::new();
        let cleanups = counter();
        for object in [General(setup.dpc().0), general(setup.device.0)] {
            let seen = Arc::clone(&cleanups);
            object.on_cleanup(move || {
                seen.fetch_add(1, SeqCst);
            });
            object.reference();
            object.delete();
            object.delete();
            world::at_dispatch(|| object.delete());
            object.dereference();
        }
        world::settle();
        sim_assert_eq!(cleanups.load(SeqCst), 2);
        setup.finish();
    });
}

/// O-6: two threads that delete, and a parent that is deleted meanwhile, clean up once.
#[test]
fn racing_deletes_clean_up_once() {
    for_seeds(|| {
        let setup = Setup::new();
        let parent = general(setup.device.0);
        let log = Log::default();
        let child = logged(parent.0, "child", &log);
        child.reference();
        parent.reference();
        let go = Gate::new();
        let deleters: Vec<_> = [child, parent, child]
            .into_iter()
            .map(|object| {
                let go = go.clone();
                world::spawn("deleter", None, move || {
                    go.wait();
                    object.delete();
                })
            })
            .collect();
        go.open();
        deleters.into_iter().for_each(world::Thread::join);
        sim_assert_eq!(lines(&log), ["cleanup child"]);
        child.dereference();
        parent.dereference();
        sim_assert_eq!(lines(&log), ["cleanup child", "destroy child"]);
        setup.finish();
    });
}

/// O-7: the last reference without a delete is a bug check.
#[test]
fn dereference_to_zero_is_a_bug_check() {
    let result = strict(1).run(|| {
        let setup = Setup::new();
        general(setup.device.0).dereference();
    });
    assert_eq!(code_of(result), "WDF_VIOLATION(0x10D,7)");
}

/// O-9: wrong type, NULL and garbage are bug checks without an error code.
#[test]
fn bad_handles_are_bug_checks() {
    let wrong_type = strict(1).run(|| {
        let setup = Setup::new();
        Dpc(setup.work_item().0).enqueue();
    });
    let failure = wrong_type.unwrap_err();
    assert_eq!(failure.code(), "WDF_VIOLATION(0x10D,5)");
    assert!(
        failure.message().contains("WDFWORKITEM#1, not a WDFDPC"),
        "{failure}"
    );
    let null = strict(1).run(|| {
        let _setup = Setup::new();
        WorkItem(0).enqueue();
    });
    assert_eq!(code_of(null), "WDF_VIOLATION(0x10D,5)");
    let garbage = strict(1).run(|| {
        let _setup = Setup::new();
        General(0x1234_5678).delete();
    });
    assert_eq!(code_of(garbage), "WDF_VIOLATION(0x10D,5)");
}

/// B-16: the first argument of every call is the image's globals.
#[test]
fn wrong_globals_are_a_bug_check() {
    let result = strict(1).run(|| {
        let setup = Setup::new();
        let dpc = setup.dpc();
        let mut other = WDF_DRIVER_GLOBALS {
            Driver: std::ptr::null_mut(),
            DriverFlags: 0,
            DriverTag: 0,
            DriverName: [0; 32],
            DisplaceDriverUnload: 0,
        };
        // SAFETY: the globals are wrong on purpose.
        unsafe { kmdf_mock::wdf::WdfDpcEnqueue(&raw mut other, dpc.raw()) }
    });
    assert_eq!(code_of(result), "WDF_VIOLATION(0x10D,5)");
}

/// O-11: general objects are made at DISPATCH, under the driver if no parent is named.
#[test]
fn general_object_defaults_to_the_driver() {
    strict(1)
        .run(|| {
            let driver = Driver::load_non_pnp();
            let destroyed = flag();
            let seen = Arc::clone(&destroyed);
            world::at_dispatch(|| general(0)).on_destroy(move || seen.store(true, SeqCst));
            driver.unload();
            sim_assert!(destroyed.load(SeqCst), "it goes with the driver");
        })
        .unwrap();
}

/// BIND-1, BIND-2: the table has 458 entries, and its functions are these, at their indices.
#[test]
fn function_table_has_the_functions_at_their_indices() {
    let table = kmdf_mock::wdf::function_table();
    assert_eq!(table.len(), 458);
    let at = |index: _WDFFUNCENUM::Type| table[index as usize].unwrap() as usize;
    assert_eq!(
        at(_WDFFUNCENUM::WdfDpcCreateTableIndex),
        kmdf_mock::wdf::WdfDpcCreate as *const () as usize
    );
    assert_eq!(
        at(380),
        kmdf_mock::wdf::WdfWorkItemEnqueue as *const () as usize
    );
    assert_eq!(at(319), kmdf_mock::wdf::WdfTimerStart as *const () as usize);
    assert_eq!(
        at(208),
        kmdf_mock::wdf::WdfObjectDelete as *const () as usize
    );
    assert_eq!(
        at(116),
        kmdf_mock::wdf::WdfDriverCreate as *const () as usize
    );
    let result = strict(1).run(|| {
        let absent = kmdf_mock::wdf::function_table()[0].unwrap();
        // SAFETY: the entry of an index that the mock does not serve takes any call.
        unsafe { absent() };
    });
    assert_eq!(code_of(result), "SIM_UNSUPPORTED(WDF function)");
}
