//! The WDF function table under Microsoft's convention, and binding a driver to it.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use kmdf_mock::_WDFFUNCENUM as Index;
use kmdf_mock::*;

use crate::convert::{Argument, wrappers};
use crate::thunk;

wrappers! {
    /// The functions of the table that need nothing but their arguments converted.
    CALLS: usize, wdf:
    WdfControlDeviceInitAllocate[WdfControlDeviceInitAllocateTableIndex](
        globals: PWDF_DRIVER_GLOBALS, driver: WDFDRIVER, sddl: *const UNICODE_STRING
    ) -> PWDFDEVICE_INIT;
    WdfControlFinishInitializing[WdfControlFinishInitializingTableIndex](globals: PWDF_DRIVER_GLOBALS, device: WDFDEVICE);
    WdfDeviceInitFree[WdfDeviceInitFreeTableIndex](globals: PWDF_DRIVER_GLOBALS, init: PWDFDEVICE_INIT);
    WdfDeviceInitAssignName[WdfDeviceInitAssignNameTableIndex](
        globals: PWDF_DRIVER_GLOBALS, init: PWDFDEVICE_INIT, name: PCUNICODE_STRING
    ) -> NTSTATUS;
    WdfDeviceCreate[WdfDeviceCreateTableIndex](
        globals: PWDF_DRIVER_GLOBALS, init: *mut PWDFDEVICE_INIT, attributes: PWDF_OBJECT_ATTRIBUTES,
        device: *mut WDFDEVICE
    ) -> NTSTATUS;
    WdfDeviceCreateSymbolicLink[WdfDeviceCreateSymbolicLinkTableIndex](
        globals: PWDF_DRIVER_GLOBALS, device: WDFDEVICE, name: PCUNICODE_STRING
    ) -> NTSTATUS;
    WdfIoQueueCreate[WdfIoQueueCreateTableIndex](
        globals: PWDF_DRIVER_GLOBALS, device: WDFDEVICE, config: PWDF_IO_QUEUE_CONFIG,
        attributes: PWDF_OBJECT_ATTRIBUTES, queue: *mut WDFQUEUE
    ) -> NTSTATUS;
    WdfIoQueueGetDevice[WdfIoQueueGetDeviceTableIndex](globals: PWDF_DRIVER_GLOBALS, queue: WDFQUEUE) -> WDFDEVICE;
    WdfRequestComplete[WdfRequestCompleteTableIndex](
        globals: PWDF_DRIVER_GLOBALS, request: WDFREQUEST, status: NTSTATUS
    );
    WdfRequestCompleteWithInformation[WdfRequestCompleteWithInformationTableIndex](
        globals: PWDF_DRIVER_GLOBALS, request: WDFREQUEST, status: NTSTATUS, information: ULONG_PTR
    );
    WdfRequestRetrieveInputBuffer[WdfRequestRetrieveInputBufferTableIndex](
        globals: PWDF_DRIVER_GLOBALS, request: WDFREQUEST, required: usize, buffer: *mut PVOID, length: *mut usize
    ) -> NTSTATUS;
    WdfRequestRetrieveOutputBuffer[WdfRequestRetrieveOutputBufferTableIndex](
        globals: PWDF_DRIVER_GLOBALS, request: WDFREQUEST, required: usize, buffer: *mut PVOID, length: *mut usize
    ) -> NTSTATUS;
    WdfRequestSetInformation[WdfRequestSetInformationTableIndex](
        globals: PWDF_DRIVER_GLOBALS, request: WDFREQUEST, information: ULONG_PTR
    );
    WdfDpcCreate[WdfDpcCreateTableIndex](
        globals: PWDF_DRIVER_GLOBALS, config: PWDF_DPC_CONFIG, attributes: PWDF_OBJECT_ATTRIBUTES,
        dpc: *mut WDFDPC
    ) -> NTSTATUS;
    WdfDpcEnqueue[WdfDpcEnqueueTableIndex](globals: PWDF_DRIVER_GLOBALS, dpc: WDFDPC) -> BOOLEAN;
    WdfDpcCancel[WdfDpcCancelTableIndex](globals: PWDF_DRIVER_GLOBALS, dpc: WDFDPC, wait: BOOLEAN) -> BOOLEAN;
    WdfDpcGetParentObject[WdfDpcGetParentObjectTableIndex](globals: PWDF_DRIVER_GLOBALS, dpc: WDFDPC) -> WDFOBJECT;
    WdfDpcWdmGetDpc[WdfDpcWdmGetDpcTableIndex](globals: PWDF_DRIVER_GLOBALS, dpc: WDFDPC) -> PKDPC;
    WdfObjectGetTypedContextWorker[WdfObjectGetTypedContextWorkerTableIndex](
        globals: PWDF_DRIVER_GLOBALS, handle: WDFOBJECT, info: PCWDF_OBJECT_CONTEXT_TYPE_INFO
    ) -> PVOID;
    WdfObjectReferenceActual[WdfObjectReferenceActualTableIndex](
        globals: PWDF_DRIVER_GLOBALS, handle: WDFOBJECT, tag: PVOID, line: LONG, file: PCCH
    );
    WdfObjectDereferenceActual[WdfObjectDereferenceActualTableIndex](
        globals: PWDF_DRIVER_GLOBALS, handle: WDFOBJECT, tag: PVOID, line: LONG, file: PCCH
    );
    WdfObjectCreate[WdfObjectCreateTableIndex](
        globals: PWDF_DRIVER_GLOBALS, attributes: PWDF_OBJECT_ATTRIBUTES, object: *mut WDFOBJECT
    ) -> NTSTATUS;
    WdfObjectDelete[WdfObjectDeleteTableIndex](globals: PWDF_DRIVER_GLOBALS, object: WDFOBJECT);
    WdfTimerCreate[WdfTimerCreateTableIndex](
        globals: PWDF_DRIVER_GLOBALS, config: PWDF_TIMER_CONFIG, attributes: PWDF_OBJECT_ATTRIBUTES,
        timer: *mut WDFTIMER
    ) -> NTSTATUS;
    WdfTimerStart[WdfTimerStartTableIndex](globals: PWDF_DRIVER_GLOBALS, timer: WDFTIMER, due: LONGLONG) -> BOOLEAN;
    WdfTimerStop[WdfTimerStopTableIndex](globals: PWDF_DRIVER_GLOBALS, timer: WDFTIMER, wait: BOOLEAN) -> BOOLEAN;
    WdfTimerGetParentObject[WdfTimerGetParentObjectTableIndex](globals: PWDF_DRIVER_GLOBALS, timer: WDFTIMER) -> WDFOBJECT;
    WdfWorkItemCreate[WdfWorkItemCreateTableIndex](
        globals: PWDF_DRIVER_GLOBALS, config: PWDF_WORKITEM_CONFIG, attributes: PWDF_OBJECT_ATTRIBUTES,
        item: *mut WDFWORKITEM
    ) -> NTSTATUS;
    WdfWorkItemEnqueue[WdfWorkItemEnqueueTableIndex](globals: PWDF_DRIVER_GLOBALS, item: WDFWORKITEM);
    WdfWorkItemGetParentObject[WdfWorkItemGetParentObjectTableIndex](globals: PWDF_DRIVER_GLOBALS, item: WDFWORKITEM) -> WDFOBJECT;
    WdfWorkItemFlush[WdfWorkItemFlushTableIndex](globals: PWDF_DRIVER_GLOBALS, item: WDFWORKITEM);
}

/// What the framework has put into the driver object, for the host's convention.
static UNLOAD: AtomicUsize = AtomicUsize::new(0);

/// The framework's unload routine as the driver sees it.
unsafe extern "win64" fn framework_unload(object: PDRIVER_OBJECT) {
    let address = UNLOAD.load(Ordering::Relaxed);
    // SAFETY: the framework's own routine: this one stands in the driver object only after it was put there.
    let unload: PDRIVER_UNLOAD = unsafe { std::mem::transmute(address) };
    if let Some(unload) = unload {
        // SAFETY: the driver calls with the object that it was given, as the routine asks.
        unsafe { unload(object) };
    }
}

/// The routine that replaces what the framework puts into `DriverUnload`, which the driver may call.
#[allow(non_snake_case, reason = "the name is that of the Windows headers")]
unsafe extern "win64" fn WdfDriverCreate(
    globals: PWDF_DRIVER_GLOBALS,
    object: PDRIVER_OBJECT,
    path: PCUNICODE_STRING,
    attributes: PWDF_OBJECT_ATTRIBUTES,
    config: PWDF_DRIVER_CONFIG,
    driver: *mut WDFDRIVER,
) -> NTSTATUS {
    let mut attributes = attributes.hold();
    let mut config = config.hold();
    let unload = |object: PDRIVER_OBJECT| {
        // SAFETY: the object is NT's, and lives until the driver is unloaded.
        unsafe { &raw mut (*object).DriverUnload }.cast::<usize>()
    };
    // SAFETY: as above; a NULL object is the framework's to complain about.
    let before = (!object.is_null()).then(|| unsafe { unload(object).read() });
    let attributes = Argument::pass(&mut attributes);
    let config = Argument::pass(&mut config);
    // SAFETY: by the driver's word; the copies live until the call returns.
    let status = unsafe { wdf::WdfDriverCreate(globals, object, path, attributes, config, driver) };
    if let Some(before) = before {
        // SAFETY: as above.
        let after = unsafe { unload(object).read() };
        if after != before {
            UNLOAD.store(after, Ordering::Relaxed);
            // SAFETY: as above.
            unsafe { unload(object).write(framework_unload as *const () as usize) };
        }
    }
    status
}

/// The table that drivers get: an address for each index, and one that says its index where there is no function.
pub(crate) fn table() -> &'static [usize] {
    static TABLE: OnceLock<Vec<usize>> = OnceLock::new();
    TABLE.get_or_init(|| {
        let length = Index::WdfFunctionTableNumEntries as u32;
        let stub = thunk::stubs(length, absent);
        let mut table: Vec<usize> = (0..length).map(stub).collect();
        for (index, entry) in CALLS {
            table[*index] = entry.address();
        }
        table[Index::WdfDriverCreateTableIndex as usize] = WdfDriverCreate as *const () as usize;
        table
    })
}

extern "win64" fn absent(index: u32) -> ! {
    world::fail(
        &format!("SIM_UNSUPPORTED(WDF function {index})"),
        format!("the driver called index {index} of the WDF table, which the mock does not serve"),
    )
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_function_of_the_mock_is_offered_under_its_index() {
        let theirs = kmdf_mock::wdf::function_table();
        let served =
            |index: &usize| theirs[*index].map(|f| f as usize) != theirs[0].map(|f| f as usize);
        let theirs: BTreeSet<usize> = (0..theirs.len()).filter(served).collect();
        let create = Index::WdfDriverCreateTableIndex as usize;
        let ours: BTreeSet<usize> = CALLS
            .iter()
            .map(|(index, _)| *index)
            .chain([create])
            .collect();
        assert_eq!(ours, theirs);
        assert_eq!(table().len(), 458);
        let different: BTreeSet<usize> = table().iter().copied().collect();
        assert_eq!(different.len(), 458, "each index has a function of its own");
    }
}
