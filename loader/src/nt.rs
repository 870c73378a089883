//! ntoskrnl.exe: the calls of `kmdf_mock::ntddk` under Microsoft's convention.

use kmdf_mock::ntddk::{
    PEX_TIMER, PEXT_CALLBACK, PIO_WORKITEM, PIO_WORKITEM_ROUTINE, WORK_QUEUE_TYPE,
};
use kmdf_mock::*;

use crate::convert::wrappers;

wrappers! {
    /// Every call of the NT layer.
    CALLS: &str, ntddk:
    // Events, waits, threads.
    KeInitializeEvent(event: PRKEVENT, kind: EVENT_TYPE, state: BOOLEAN);
    KeSetEvent(event: PRKEVENT, increment: KPRIORITY, wait: BOOLEAN) -> LONG;
    KeClearEvent(event: PRKEVENT);
    KeResetEvent(event: PRKEVENT) -> LONG;
    KeReadStateEvent(event: PRKEVENT) -> LONG;
    KeWaitForSingleObject(
        object: PVOID, reason: KWAIT_REASON, mode: KPROCESSOR_MODE, alertable: BOOLEAN, timeout: PLARGE_INTEGER
    ) -> NTSTATUS;
    KeDelayExecutionThread(mode: KPROCESSOR_MODE, alertable: BOOLEAN, interval: PLARGE_INTEGER) -> NTSTATUS;
    PsCreateSystemThread(
        handle: PHANDLE, access: ULONG, attributes: POBJECT_ATTRIBUTES, process: HANDLE, client: PCLIENT_ID,
        routine: PKSTART_ROUTINE, context: PVOID
    ) -> NTSTATUS;
    PsTerminateSystemThread(status: NTSTATUS) -> NTSTATUS;
    KeGetCurrentThread() -> PKTHREAD;
    KeSetPriorityThread(thread: PKTHREAD, priority: KPRIORITY) -> KPRIORITY;
    KeQueryPriorityThread(thread: PKTHREAD) -> KPRIORITY;
    ObReferenceObjectByHandle(
        handle: HANDLE, access: ACCESS_MASK, kind: POBJECT_TYPE, mode: KPROCESSOR_MODE, object: *mut PVOID,
        information: POBJECT_HANDLE_INFORMATION
    ) -> NTSTATUS;
    ObfDereferenceObject(object: PVOID) -> i64;
    ZwClose(handle: HANDLE) -> NTSTATUS;
    KeEnterCriticalRegion();
    KeLeaveCriticalRegion();
    // IRQL, spin locks, clocks, processors.
    KeGetCurrentIrql() -> KIRQL;
    KfRaiseIrql(irql: KIRQL) -> KIRQL;
    KeLowerIrql(irql: KIRQL);
    KeInitializeSpinLock(lock: PKSPIN_LOCK);
    KeAcquireSpinLockRaiseToDpc(lock: PKSPIN_LOCK) -> KIRQL;
    KeReleaseSpinLock(lock: PKSPIN_LOCK, irql: KIRQL);
    KeAcquireSpinLockAtDpcLevel(lock: PKSPIN_LOCK);
    KeReleaseSpinLockFromDpcLevel(lock: PKSPIN_LOCK);
    KeQueryInterruptTimePrecise(counter: PULONG64) -> ULONG64;
    KeQueryUnbiasedInterruptTime() -> ULONGLONG;
    KeQueryTimeIncrement() -> ULONG;
    KeStallExecutionProcessor(microseconds: ULONG);
    KeShouldYieldProcessor() -> ULONG;
    KeQueryDpcWatchdogInformation(information: PKDPC_WATCHDOG_INFORMATION) -> NTSTATUS;
    KeGetCurrentProcessorNumberEx(number: PPROCESSOR_NUMBER) -> ULONG;
    KeQueryMaximumProcessorCountEx(group: USHORT) -> ULONG;
    KeQueryActiveProcessorCountEx(group: USHORT) -> ULONG;
    KeGetProcessorNumberFromIndex(index: ULONG, number: PPROCESSOR_NUMBER) -> NTSTATUS;
    KeSetSystemGroupAffinityThread(affinity: PGROUP_AFFINITY, previous: PGROUP_AFFINITY);
    KeRevertToUserGroupAffinityThread(previous: PGROUP_AFFINITY);
    KeRegisterProcessorChangeCallback(function: PPROCESSOR_CALLBACK_FUNCTION, context: PVOID, flags: ULONG) -> PVOID;
    KeDeregisterProcessorChangeCallback(handle: PVOID);
    // DPCs, timers, work items, pool, and the end.
    KeInitializeDpc(dpc: PRKDPC, routine: PKDEFERRED_ROUTINE, context: PVOID);
    KeInsertQueueDpc(dpc: PRKDPC, first: PVOID, second: PVOID) -> BOOLEAN;
    KeRemoveQueueDpc(dpc: PRKDPC) -> BOOLEAN;
    KeSetImportanceDpc(dpc: PRKDPC, importance: KDPC_IMPORTANCE);
    KeSetTargetProcessorDpcEx(dpc: PKDPC, number: PPROCESSOR_NUMBER) -> NTSTATUS;
    KeFlushQueuedDpcs();
    ExAllocateTimer(callback: PEXT_CALLBACK, context: PVOID, attributes: ULONG) -> PEX_TIMER;
    ExSetTimer(timer: PEX_TIMER, due: LONGLONG, period: LONGLONG, parameters: PVOID) -> BOOLEAN;
    ExCancelTimer(timer: PEX_TIMER, parameters: PVOID) -> BOOLEAN;
    ExDeleteTimer(timer: PEX_TIMER, cancel: BOOLEAN, wait: BOOLEAN, parameters: PVOID) -> BOOLEAN;
    IoAllocateWorkItem(device: PDEVICE_OBJECT) -> PIO_WORKITEM;
    IoQueueWorkItem(item: PIO_WORKITEM, routine: PIO_WORKITEM_ROUTINE, queue: WORK_QUEUE_TYPE, context: PVOID);
    IoFreeWorkItem(item: PIO_WORKITEM);
    ExAllocatePool2(flags: POOL_FLAGS, bytes: SIZE_T, tag: ULONG) -> PVOID;
    ExFreePool(block: PVOID);
    ExFreePoolWithTag(block: PVOID, tag: ULONG);
    KeBugCheckEx(code: ULONG, first: ULONG_PTR, second: ULONG_PTR, third: ULONG_PTR, fourth: ULONG_PTR) -> !;
}

#[cfg(test)]
mod tests {
    use super::CALLS;

    #[test]
    fn every_call_of_the_mock_is_offered() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../mock/src/nt");
        let mut count = 0;
        for file in std::fs::read_dir(folder).expect("the mock is beside the loader") {
            let path = file.expect("the folder can be read").path();
            let source = std::fs::read_to_string(&path).expect("a source is text");
            for line in source.lines() {
                let Some(rest) = line.strip_prefix("pub unsafe extern \"C\" fn ") else {
                    continue;
                };
                let name = rest.split('(').next().unwrap_or_default();
                assert!(
                    CALLS.iter().any(|(other, _)| *other == name),
                    "{name} is not offered"
                );
                count += 1;
            }
        }
        assert_eq!(count, CALLS.len());
    }
}
