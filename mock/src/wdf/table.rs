//! The function table: the same functions by index (BIND-1, BIND-3).

use std::mem::transmute;

use super::*;

/// Entries of the table of KMDF 1.33 (BIND-2).
const LENGTH: usize = _WDFFUNCENUM::WdfFunctionTableNumEntries as usize;

macro_rules! table {
    ($($name:ident: $type:ident at $index:ident),* $(,)?) => {{
        let mut table: [WDFFUNC; LENGTH] = [Some(absent); LENGTH];
        $(
            let function: $type = Some($name);
            // SAFETY: both are optional function pointers of one size. Whoever calls an entry goes
            // back to the type that belongs to its index.
            let entry = unsafe { transmute::<$type, WDFFUNC>(function) };
            table[_WDFFUNCENUM::$index as usize] = entry;
        )*
        table
    }};
}

static TABLE: [WDFFUNC; LENGTH] = table! {
    WdfControlDeviceInitAllocate: PFN_WDFCONTROLDEVICEINITALLOCATE
        at WdfControlDeviceInitAllocateTableIndex,
    WdfControlFinishInitializing: PFN_WDFCONTROLFINISHINITIALIZING
        at WdfControlFinishInitializingTableIndex,
    WdfDeviceInitFree: PFN_WDFDEVICEINITFREE at WdfDeviceInitFreeTableIndex,
    WdfDeviceInitAssignName: PFN_WDFDEVICEINITASSIGNNAME at WdfDeviceInitAssignNameTableIndex,
    WdfDeviceCreate: PFN_WDFDEVICECREATE at WdfDeviceCreateTableIndex,
    WdfDeviceCreateSymbolicLink: PFN_WDFDEVICECREATESYMBOLICLINK
        at WdfDeviceCreateSymbolicLinkTableIndex,
    WdfDpcCreate: PFN_WDFDPCCREATE at WdfDpcCreateTableIndex,
    WdfDpcEnqueue: PFN_WDFDPCENQUEUE at WdfDpcEnqueueTableIndex,
    WdfDpcCancel: PFN_WDFDPCCANCEL at WdfDpcCancelTableIndex,
    WdfDpcGetParentObject: PFN_WDFDPCGETPARENTOBJECT at WdfDpcGetParentObjectTableIndex,
    WdfDpcWdmGetDpc: PFN_WDFDPCWDMGETDPC at WdfDpcWdmGetDpcTableIndex,
    WdfDriverCreate: PFN_WDFDRIVERCREATE at WdfDriverCreateTableIndex,
    WdfIoQueueCreate: PFN_WDFIOQUEUECREATE at WdfIoQueueCreateTableIndex,
    WdfIoQueueGetDevice: PFN_WDFIOQUEUEGETDEVICE at WdfIoQueueGetDeviceTableIndex,
    WdfObjectGetTypedContextWorker: PFN_WDFOBJECTGETTYPEDCONTEXTWORKER
        at WdfObjectGetTypedContextWorkerTableIndex,
    WdfObjectReferenceActual: PFN_WDFOBJECTREFERENCEACTUAL at WdfObjectReferenceActualTableIndex,
    WdfObjectDereferenceActual: PFN_WDFOBJECTDEREFERENCEACTUAL
        at WdfObjectDereferenceActualTableIndex,
    WdfObjectCreate: PFN_WDFOBJECTCREATE at WdfObjectCreateTableIndex,
    WdfObjectDelete: PFN_WDFOBJECTDELETE at WdfObjectDeleteTableIndex,
    WdfRequestComplete: PFN_WDFREQUESTCOMPLETE at WdfRequestCompleteTableIndex,
    WdfRequestCompleteWithInformation: PFN_WDFREQUESTCOMPLETEWITHINFORMATION
        at WdfRequestCompleteWithInformationTableIndex,
    WdfRequestRetrieveInputBuffer: PFN_WDFREQUESTRETRIEVEINPUTBUFFER
        at WdfRequestRetrieveInputBufferTableIndex,
    WdfRequestRetrieveOutputBuffer: PFN_WDFREQUESTRETRIEVEOUTPUTBUFFER
        at WdfRequestRetrieveOutputBufferTableIndex,
    WdfRequestSetInformation: PFN_WDFREQUESTSETINFORMATION at WdfRequestSetInformationTableIndex,
    WdfTimerCreate: PFN_WDFTIMERCREATE at WdfTimerCreateTableIndex,
    WdfTimerStart: PFN_WDFTIMERSTART at WdfTimerStartTableIndex,
    WdfTimerStop: PFN_WDFTIMERSTOP at WdfTimerStopTableIndex,
    WdfTimerGetParentObject: PFN_WDFTIMERGETPARENTOBJECT at WdfTimerGetParentObjectTableIndex,
    WdfWorkItemCreate: PFN_WDFWORKITEMCREATE at WdfWorkItemCreateTableIndex,
    WdfWorkItemEnqueue: PFN_WDFWORKITEMENQUEUE at WdfWorkItemEnqueueTableIndex,
    WdfWorkItemGetParentObject: PFN_WDFWORKITEMGETPARENTOBJECT
        at WdfWorkItemGetParentObjectTableIndex,
    WdfWorkItemFlush: PFN_WDFWORKITEMFLUSH at WdfWorkItemFlushTableIndex,
};

/// The functions by table index. Indices that the mock does not serve end the run with a name.
pub fn function_table() -> &'static [WDFFUNC] {
    &TABLE
}

unsafe extern "C" fn absent() {
    hooks::fail(
        "SIM_UNSUPPORTED(WDF function)",
        "the driver called an index of the WDF table that the mock does not serve".to_owned(),
    )
}
