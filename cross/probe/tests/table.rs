//! The genuine `call_unsafe_wdf_function_binding!` over a table of 458 entries that write down who is
//! called with what: table index, argument order and prototype of every function of the ABI.

#![allow(
    non_snake_case,
    non_upper_case_globals,
    reason = "the linker looks for Windows' names"
)]

mod fake;

use fake::{Call, Word, call_each, calls, globals, install, place, printed};
use wdk_sys::{DRIVER_OBJECT, NTSTATUS, PVOID, STATUS_INVALID_PARAMETER};

#[test]
fn every_function_is_at_its_place_and_gets_its_arguments() {
    install();
    let called = call_each();
    assert_eq!(called.len(), 24, "one call for each prototype of the ABI");
    for (calls, expected) in called {
        assert_eq!(calls, [expected]);
    }
}

fn names(calls: &[Call]) -> Vec<&'static str> {
    calls.iter().map(|call| call.name).collect()
}

/// The words of the only call of `name`.
fn words<'a>(calls: &'a [Call], name: &str) -> &'a [u64] {
    let mut found = calls.iter().filter(|call| call.name == name);
    let call = found
        .next()
        .unwrap_or_else(|| panic!("{name} is not called"));
    assert_eq!(found.next(), None, "{name} is called once");
    &call.words
}

#[test]
fn driver_and_control_device_are_created() -> Result<(), NTSTATUS> {
    install();
    let mut object = DRIVER_OBJECT::default();
    // SAFETY: the framework of this test takes any arguments.
    let driver = unsafe { probe::create_driver(&mut object, place(1)) }?;
    assert_eq!(driver, place(12));
    let created = calls();
    let create = words(&created, "WdfDriverCreate");
    assert_eq!(
        create[..4],
        [
            globals().word(),
            (&raw mut object).word(),
            place::<u8>(1).word(),
            0
        ]
    );
    assert_eq!(
        create[6..],
        [32, 1],
        "Size and DriverInitFlags of WDF_DRIVER_CONFIG"
    );

    // SAFETY: the framework of this test takes any arguments.
    let device = unsafe { probe::create_control_device(driver) }?;
    assert_eq!(device, place(13));
    let created = calls();
    assert_eq!(
        names(&created),
        [
            "WdfControlDeviceInitAllocate",
            "WdfDeviceInitAssignName",
            "WdfDeviceCreate",
            "WdfControlFinishInitializing"
        ]
    );
    let allocate = words(&created, "WdfControlDeviceInitAllocate");
    assert_eq!(
        (allocate[1], allocate[3]),
        (driver.word(), 54),
        "driver and length of the SDDL"
    );
    assert_eq!(
        words(&created, "WdfDeviceInitAssignName")[1..],
        [place::<u8>(14).word(), 0]
    );
    assert_eq!(
        words(&created, "WdfDeviceCreate")[4..],
        [56, 1],
        "Size of WDF_OBJECT_ATTRIBUTES, and a context type that points to itself (O-2)"
    );
    assert_eq!(
        words(&created, "WdfControlFinishInitializing")[1],
        device.word()
    );
    Ok(())
}

#[test]
fn objects_are_created_used_and_deleted() -> Result<(), NTSTATUS> {
    install();
    let device: PVOID = place(13);
    // SAFETY: the framework of this test takes any handle.
    let objects = unsafe { probe::Objects::create(device, 70) }?;
    let created = calls();
    assert_eq!(
        words(&created, "WdfDpcCreate")[4..],
        [24, 56, device.word()]
    );
    assert_eq!(words(&created, "WdfWorkItemCreate")[4..], [24]);
    assert_eq!(
        words(&created, "WdfTimerCreate")[4..],
        [40, 2],
        "Size and the passive level (T-7)"
    );
    assert_eq!(
        words(&created, "KeSetImportanceDpc"),
        [place::<u8>(8).word(), 3]
    );
    let target = words(&created, "KeSetTargetProcessorDpcEx");
    assert_eq!(
        (target[0], &target[2..]),
        (place::<u8>(8).word(), &[1, 6][..]),
        "CPU 70 is (1, 6)"
    );

    // SAFETY: the objects are alive until the last call.
    unsafe {
        assert!(objects.schedule());
        objects.queue();
        assert!(!objects.arm(0));
        assert!(!objects.arm(20_000));
        objects.delete();
    }
    let (dpc, item, timer) = (
        place::<u8>(11).word(),
        place::<u8>(9).word(),
        place::<u8>(10).word(),
    );
    let globals = globals().word();
    let call = |name, words: &[u64]| Call {
        name,
        words: words.to_vec(),
    };
    assert_eq!(
        calls(),
        [
            call("WdfDpcEnqueue", &[globals, dpc]),
            call("WdfWorkItemEnqueue", &[globals, item]),
            call("WdfTimerStart", &[globals, timer, (-1_i64).word()]),
            call("WdfTimerStart", &[globals, timer, (-20_000_i64).word()]),
            call("WdfTimerStop", &[globals, timer, 1]),
            call("WdfDpcCancel", &[globals, dpc, 1]),
            call("KeFlushQueuedDpcs", &[]),
            call("WdfWorkItemFlush", &[globals, item]),
            call("WdfObjectDelete", &[globals, timer]),
            call("WdfObjectDelete", &[globals, item]),
            call("WdfObjectDelete", &[globals, dpc]),
        ]
    );
    Ok(())
}

#[test]
fn a_dpc_without_its_processor_is_deleted() {
    install();
    // SAFETY: the framework of this test takes any handle.
    let refused = unsafe { probe::create_dpc(place(13), 128) };
    assert_eq!(refused.err(), Some(STATUS_INVALID_PARAMETER));
    assert_eq!(
        words(&calls(), "WdfObjectDelete"),
        [globals().word(), place::<u8>(11).word()]
    );
}

unsafe extern "C" fn routine(_: PVOID) {}

#[test]
fn a_thread_is_started_and_joined() -> Result<(), NTSTATUS> {
    // SAFETY: the kernel of this test starts no thread.
    let stop = unsafe { probe::start(Some(routine), 16) }?;
    let started = calls();
    let (event, thread) = (place::<u8>(6).word(), place::<u8>(4).word());
    assert_eq!(
        words(&started, "ExAllocatePool2"),
        [0x40, 24, u64::from(probe::TAG)]
    );
    assert_eq!(words(&started, "KeInitializeEvent"), [event, 0, 0]);
    let create = words(&started, "PsCreateSystemThread");
    assert_eq!(create[5..], [Some(routine as _).word(), event, 48]);
    assert_eq!(words(&started, "KeSetPriorityThread"), [thread, 16]);
    assert_eq!(words(&started, "ZwClose"), [place::<u8>(5).word()]);

    // SAFETY: as above.
    unsafe { stop.join() };
    let joined = calls();
    assert_eq!(
        names(&joined),
        [
            "KeSetEvent",
            "KeEnterCriticalRegion",
            "KeWaitForSingleObject",
            "KeLeaveCriticalRegion",
            "ObfDereferenceObject",
            "ExFreePool"
        ]
    );
    assert_eq!(
        words(&joined, "KeWaitForSingleObject"),
        [thread, 0, 0, 0, 0]
    );
    Ok(())
}

#[test]
fn waits_levels_processors_and_time_reach_the_kernel() {
    // SAFETY: the kernel of this test waits for nothing.
    assert!(!unsafe { probe::wait(place(3), Some(500)) });
    assert_eq!(
        words(&calls(), "KeWaitForSingleObject")[5..],
        [(-500_i64).word()]
    );

    assert_eq!(probe::raised(2, || 7), 7);
    let raised = calls();
    assert_eq!(
        names(&raised),
        ["KeGetCurrentIrql", "KfRaiseIrql", "KeLowerIrql"]
    );
    assert_eq!(
        (&raised[1].words[..], &raised[2].words[..]),
        (&[2][..], &[0][..])
    );

    // SAFETY: the kernel of this test moves no thread.
    assert_eq!(unsafe { probe::run_on(67, || 9) }, Some(9));
    let moved = calls();
    assert_eq!(words(&moved, "KeSetSystemGroupAffinityThread")[2..], [8, 1]);
    assert_eq!(
        words(&moved, "KeRevertToUserGroupAffinityThread")[1..],
        [0xF]
    );

    assert_eq!(probe::current_processor(), (3, 4));
    assert_eq!(words(&calls(), "KeQueryMaximumProcessorCountEx"), [0xFFFF]);
    assert_eq!(probe::milliseconds(), (7, 156_250));
}

/// `wdk::println!` cuts a long text into pieces that `DbgPrint` takes, and loses nothing.
#[test]
fn printing_reaches_the_debugger() {
    let long = "0123456789".repeat(120);
    wdk::println!("{long}");
    assert_eq!(printed(), format!("{long}\n"));
}
