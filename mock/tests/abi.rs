//! The ABI against `layout.tsv`, the figures that the compilers of Windows give the same names
//! (BIND-1, BIND-5 to BIND-13).

use std::collections::BTreeMap;
use std::mem::{align_of, offset_of, size_of};

/// What Rust makes of the ABI: the kind and the name of a row, and the figure.
type Table = BTreeMap<(&'static str, String), i64>;

fn entry(kind: &'static str, name: String, value: usize) -> ((&'static str, String), i64) {
    (
        (kind, name),
        i64::try_from(value).expect("a figure of the ABI fits i64"),
    )
}

/// Writes the function `$name`, which gives size, alignment and field offsets of the structures.
macro_rules! structures {
    ($name:ident: $($structure:ident { $($field:ident),* $(,)? })*) => {
        fn $name() -> Table {
            let mut table = Table::new();
            $(
                let name = stringify!($structure);
                table.extend([
                    entry("size", name.into(), size_of::<kmdf_mock::$structure>()),
                    entry("align", name.into(), align_of::<kmdf_mock::$structure>()),
                ]);
                table.extend([$(entry(
                    "offset",
                    concat!(stringify!($structure), ".", stringify!($field)).into(),
                    offset_of!(kmdf_mock::$structure, $field),
                )),*]);
            )*
            table
        }
    };
}

/// Writes the function `$name`, which gives the constants of bindgen's enumeration modules.
macro_rules! enumerations {
    ($name:ident: $($module:ident { $($constant:ident),* $(,)? })*) => {
        fn $name() -> Table {
            Table::from([$($((
                ("value", concat!(stringify!($module), "::", stringify!($constant)).into()),
                i64::from(kmdf_mock::$module::$constant),
            ),)*)*])
        }
    };
}

structures! { structures:
    _UNICODE_STRING { Length, MaximumLength, Buffer }
    _LIST_ENTRY { Flink, Blink }
    _KDPC {}
    _DRIVER_OBJECT {
        Type, Size, DeviceObject, Flags, DriverStart, DriverSize, DriverSection,
        DriverExtension, DriverName, HardwareDatabase, FastIoDispatch, DriverInit,
        DriverStartIo, DriverUnload, MajorFunction,
    }
    _WDF_DRIVER_GLOBALS { Driver, DriverFlags, DriverTag, DriverName, DisplaceDriverUnload }
    _WDF_OBJECT_CONTEXT_TYPE_INFO {
        Size, ContextName, ContextSize, UniqueType, EvtDriverGetUniqueContextType,
    }
    _WDF_OBJECT_ATTRIBUTES {
        Size, EvtCleanupCallback, EvtDestroyCallback, ExecutionLevel, SynchronizationScope,
        ParentObject, ContextSizeOverride, ContextTypeInfo,
    }
    _WDF_DRIVER_CONFIG {
        Size, EvtDriverDeviceAdd, EvtDriverUnload, DriverInitFlags, DriverPoolTag,
    }
    _WDF_DPC_CONFIG { Size, EvtDpcFunc, AutomaticSerialization }
    _WDF_WORKITEM_CONFIG { Size, EvtWorkItemFunc, AutomaticSerialization }
    _WDF_TIMER_CONFIG {
        Size, EvtTimerFunc, Period, AutomaticSerialization, TolerableDelay,
        UseHighResolutionTimer,
    }
    _WDF_IO_QUEUE_CONFIG {
        Size, DispatchType, PowerManaged, AllowZeroLengthRequests, DefaultQueue, EvtIoDefault,
        EvtIoRead, EvtIoWrite, EvtIoDeviceControl, EvtIoInternalDeviceControl, EvtIoStop,
        EvtIoResume, EvtIoCanceledOnQueue, Settings, Driver,
    }
    _LARGE_INTEGER { QuadPart }
    _KEVENT { Header }
    _PROCESSOR_NUMBER { Group, Number, Reserved }
    _GROUP_AFFINITY { Mask, Group, Reserved }
    _KE_PROCESSOR_CHANGE_NOTIFY_CONTEXT { State, NtNumber, Status, ProcNumber }
    _KDPC_WATCHDOG_INFORMATION {
        DpcTimeLimit, DpcTimeCount, DpcWatchdogLimit, DpcWatchdogCount, Reserved,
    }
    _OBJECT_ATTRIBUTES {
        Length, RootDirectory, ObjectName, Attributes, SecurityDescriptor,
        SecurityQualityOfService,
    }
    _CLIENT_ID { UniqueProcess, UniqueThread }
    _OBJECT_HANDLE_INFORMATION { HandleAttributes, GrantedAccess }
}

enumerations! { enumerations:
    _WDFFUNCENUM {
        WdfControlDeviceInitAllocateTableIndex, WdfControlFinishInitializingTableIndex,
        WdfDeviceInitFreeTableIndex, WdfDeviceInitAssignNameTableIndex,
        WdfDeviceCreateTableIndex, WdfDpcCreateTableIndex, WdfDpcEnqueueTableIndex,
        WdfDpcCancelTableIndex, WdfDpcGetParentObjectTableIndex, WdfDpcWdmGetDpcTableIndex,
        WdfDriverCreateTableIndex, WdfObjectGetTypedContextWorkerTableIndex,
        WdfObjectDeleteTableIndex, WdfTimerCreateTableIndex, WdfTimerStartTableIndex,
        WdfTimerStopTableIndex, WdfTimerGetParentObjectTableIndex, WdfWorkItemCreateTableIndex,
        WdfWorkItemEnqueueTableIndex, WdfWorkItemGetParentObjectTableIndex,
        WdfWorkItemFlushTableIndex, WdfFunctionTableNumEntries,
        WdfObjectReferenceActualTableIndex, WdfObjectDereferenceActualTableIndex,
        WdfObjectCreateTableIndex, WdfDeviceCreateSymbolicLinkTableIndex,
        WdfIoQueueCreateTableIndex, WdfIoQueueGetDeviceTableIndex, WdfRequestCompleteTableIndex,
        WdfRequestCompleteWithInformationTableIndex, WdfRequestRetrieveInputBufferTableIndex,
        WdfRequestRetrieveOutputBufferTableIndex, WdfRequestSetInformationTableIndex,
    }
    _WDF_EXECUTION_LEVEL {
        WdfExecutionLevelInvalid, WdfExecutionLevelInheritFromParent, WdfExecutionLevelPassive,
        WdfExecutionLevelDispatch,
    }
    _WDF_SYNCHRONIZATION_SCOPE {
        WdfSynchronizationScopeInvalid, WdfSynchronizationScopeInheritFromParent,
        WdfSynchronizationScopeDevice, WdfSynchronizationScopeQueue,
        WdfSynchronizationScopeNone,
    }
    _WDF_DRIVER_INIT_FLAGS {
        WdfDriverInitNonPnpDriver, WdfDriverInitNoDispatchOverride, WdfVerifyOn, WdfVerifierOn,
        WdfDriverInitCompanion,
    }
    _WDF_TRI_STATE { WdfFalse, WdfTrue, WdfUseDefault }
    _WDF_IO_QUEUE_DISPATCH_TYPE {
        WdfIoQueueDispatchInvalid, WdfIoQueueDispatchSequential, WdfIoQueueDispatchParallel,
        WdfIoQueueDispatchManual, WdfIoQueueDispatchMax,
    }
    _EVENT_TYPE { NotificationEvent, SynchronizationEvent }
    _KWAIT_REASON { Executive, DelayExecution, UserRequest }
    _MODE { KernelMode, UserMode, MaximumMode }
    _KDPC_IMPORTANCE { LowImportance, MediumImportance, HighImportance, MediumHighImportance }
    KE_PROCESSOR_CHANGE_NOTIFY_STATE {
        KeProcessorAddStartNotify, KeProcessorAddCompleteNotify, KeProcessorAddFailureNotify,
    }
}

/// The rows of `tsv` against `table`, both ways: what differs, one line each.
fn differences(tsv: &str, mut table: Table) -> Vec<String> {
    let mut differences = Vec::new();
    for row in tsv.lines().skip(1) {
        let [kind, name, value] = row.split('\t').collect::<Vec<_>>()[..] else {
            differences.push(format!("{row}: not three columns"));
            continue;
        };
        let kind = ["size", "align", "offset", "value"]
            .into_iter()
            .find(|known| *known == kind);
        let figure = kind.and_then(|kind| table.remove(&(kind, name.to_owned())));
        match (figure, value.parse::<i64>()) {
            (Some(figure), Ok(value)) if figure == value => {}
            (Some(figure), _) => differences.push(format!("{row}: Rust has {figure}")),
            (None, _) => differences.push(format!("{row}: no check of this file covers it")),
        }
    }
    differences.extend(
        table
            .into_keys()
            .map(|(kind, name)| format!("{kind} {name}: no row")),
    );
    differences
}

fn table() -> Table {
    let mut table = structures();
    table.extend(enumerations());
    table
}

const LAYOUT: &str = include_str!("../layout.tsv");

#[test]
fn abi_agrees_with_layout() {
    assert_eq!(differences(LAYOUT, table()), Vec::<String>::new());
    assert!(LAYOUT.lines().count() > 150, "the table is read whole");
}

/// The negative controls of [`abi_agrees_with_layout`]: a wrong figure, a row that nothing covers, a
/// covered name whose row is gone, and a malformed row each give one difference.
#[test]
fn a_wrong_row_is_found() {
    let planted = |from: &str, to: &str| {
        assert_eq!(LAYOUT.matches(from).count(), 1, "{from:?} is one row");
        differences(&LAYOUT.replacen(from, to, 1), table())
    };
    let enqueue = "value\t_WDFFUNCENUM::WdfDpcEnqueueTableIndex\t112\n";
    assert_eq!(
        planted(enqueue, &enqueue.replace("112", "113")),
        ["value\t_WDFFUNCENUM::WdfDpcEnqueueTableIndex\t113: Rust has 112"]
    );
    assert_eq!(
        planted(enqueue, &format!("{enqueue}size\t_KTIMER\t64\n")),
        ["size\t_KTIMER\t64: no check of this file covers it"]
    );
    assert_eq!(
        planted(enqueue, ""),
        ["value _WDFFUNCENUM::WdfDpcEnqueueTableIndex: no row"]
    );
    assert_eq!(
        planted("align\t_KDPC\t8\n", "align\t_KDPC 8\n"),
        ["align\t_KDPC 8: not three columns", "align _KDPC: no row"]
    );
}

/// `wdk-macros` joins `WdfXTableIndex` and `PFN_WDFX` by name; one without the other is a function
/// that cannot be called.
#[test]
fn every_index_has_its_prototype_and_its_row() {
    let source = include_str!("../src/abi/functions.rs");
    let names = |prefix: &str, until: char| {
        let mut names: Vec<_> = source
            .lines()
            .filter_map(|line| line.trim_start().strip_prefix(prefix)?.split(until).next())
            .collect();
        names.sort_unstable();
        names
    };
    let indices: Vec<_> = names("pub const ", ':')
        .into_iter()
        .filter_map(|name| name.strip_suffix("TableIndex"))
        .collect();
    let mut expected: Vec<_> = indices.iter().map(|name| name.to_uppercase()).collect();
    expected.sort_unstable();
    assert_eq!(names("pub type PFN_", ' '), expected);
    assert!(!indices.is_empty());
    for name in indices {
        let row = format!("value\t_WDFFUNCENUM::{name}TableIndex\t");
        assert!(LAYOUT.contains(&row), "layout.tsv has no row for {name}");
    }
}

/// The status codes and the other plain constants, from Microsoft's documentation (N-42, N-44).
#[test]
fn constants_have_their_documented_values() {
    use kmdf_mock::*;
    let status = |code: NTSTATUS| code.cast_unsigned();
    assert_eq!(status(STATUS_SUCCESS), 0);
    assert_eq!(status(STATUS_TIMEOUT), 0x0000_0102);
    assert_eq!(status(STATUS_OBJECT_NAME_EXISTS), 0x4000_0000);
    assert_eq!(status(STATUS_UNSUCCESSFUL), 0xC000_0001);
    assert_eq!(status(STATUS_INFO_LENGTH_MISMATCH), 0xC000_0004);
    assert_eq!(status(STATUS_INVALID_PARAMETER), 0xC000_000D);
    assert_eq!(status(STATUS_INVALID_DEVICE_REQUEST), 0xC000_0010);
    assert_eq!(status(STATUS_DELETE_PENDING), 0xC000_0056);
    assert_eq!(status(STATUS_INSUFFICIENT_RESOURCES), 0xC000_009A);
    assert_eq!(status(STATUS_NOT_SUPPORTED), 0xC000_00BB);
    assert_eq!(status(STATUS_CANNOT_DELETE), 0xC000_0121);
    assert_eq!(status(STATUS_PENDING), 0x0000_0103);
    assert_eq!(status(STATUS_NO_SUCH_DEVICE), 0xC000_000E);
    assert_eq!(status(STATUS_BUFFER_TOO_SMALL), 0xC000_0023);
    assert_eq!(status(STATUS_OBJECT_NAME_NOT_FOUND), 0xC000_0034);
    assert_eq!(status(STATUS_OBJECT_NAME_COLLISION), 0xC000_0035);
    assert_eq!(status(STATUS_INTERNAL_ERROR), 0xC000_00E5);
    assert_eq!(status(STATUS_INVALID_PARAMETER_4), 0xC000_00F2);
    assert_eq!(status(STATUS_CANCELLED), 0xC000_0120);
    assert_eq!(status(STATUS_INVALID_DEVICE_STATE), 0xC000_0184);
    assert_eq!(status(STATUS_WDF_NO_CALLBACK), 0xC020_020B);
    assert_eq!(
        [
            METHOD_BUFFERED,
            METHOD_IN_DIRECT,
            METHOD_OUT_DIRECT,
            METHOD_NEITHER
        ],
        [0, 1, 2, 3]
    );
    assert_eq!((FILE_DEVICE_UNKNOWN, FILE_ANY_ACCESS), (0x22, 0));
    assert_eq!(status(STATUS_WDF_OBJECT_ATTRIBUTES_INVALID), 0xC020_0209);
    assert_eq!(status(STATUS_WDF_INCOMPATIBLE_EXECUTION_LEVEL), 0xC020_020C);
    assert_eq!(
        status(STATUS_WDF_SYNCHRONIZATION_SCOPE_INVALID),
        0xC020_0210
    );
    assert_eq!(status(STATUS_WDF_EXECUTION_LEVEL_INVALID), 0xC020_0211);
    assert_eq!(status(STATUS_WDF_PARENT_NOT_SPECIFIED), 0xC020_0212);
    assert_eq!(
        [PASSIVE_LEVEL, APC_LEVEL, DISPATCH_LEVEL, HIGH_LEVEL],
        [0, 1, 2, 15]
    );
    assert_eq!((POOL_FLAG_UNINITIALIZED, POOL_FLAG_NON_PAGED), (0x2, 0x40));
    assert_eq!(ALL_PROCESSOR_GROUPS, 0xFFFF);
    assert_eq!(KE_PROCESSOR_CHANGE_ADD_EXISTING, 1);
    assert_eq!(THREAD_ALL_ACCESS, 0x1F_FFFF);
    assert_eq!(OBJ_KERNEL_HANDLE, 0x200);
}
