//! KMDF's calls as C symbols, over [`kmdf_mock::wdf`]. In the WDK they are inline functions that put the
//! image's globals in front and go through the function table; here they are the functions themselves, with
//! the same arguments. `host/include/wdf.h` has the prototypes.

use kmdf_mock::*;

/// Exports functions of [`kmdf_mock::wdf`] under their own names, with the globals of the image in front.
macro_rules! wdf {
    ($($name:ident($($argument:ident: $type:ty),*) $(-> $result:ty)?;)*) => {$(
        #[doc = concat!("[`kmdf_mock::wdf::", stringify!($name), "`] for C.")]
        ///
        /// # Safety
        ///
        /// As there.
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $name($($argument: $type),*) $(-> $result)? {
            // SAFETY: by the caller's word.
            unsafe { ::kmdf_mock::wdf::$name(::kmdf_mock::wdf::driver_globals(), $($argument),*) }
        }
    )*};
}

wdf! {
    WdfDriverCreate(
        object: PDRIVER_OBJECT, path: PCUNICODE_STRING, attributes: PWDF_OBJECT_ATTRIBUTES,
        config: PWDF_DRIVER_CONFIG, driver: *mut WDFDRIVER
    ) -> NTSTATUS;
    WdfControlDeviceInitAllocate(driver: WDFDRIVER, sddl: PCUNICODE_STRING) -> PWDFDEVICE_INIT;
    WdfControlFinishInitializing(device: WDFDEVICE);
    WdfDeviceInitFree(init: PWDFDEVICE_INIT);
    WdfDeviceInitAssignName(init: PWDFDEVICE_INIT, name: PCUNICODE_STRING) -> NTSTATUS;
    WdfDeviceCreate(init: *mut PWDFDEVICE_INIT, attributes: PWDF_OBJECT_ATTRIBUTES, device: *mut WDFDEVICE) -> NTSTATUS;
    WdfObjectCreate(attributes: PWDF_OBJECT_ATTRIBUTES, object: *mut WDFOBJECT) -> NTSTATUS;
    WdfObjectDelete(object: WDFOBJECT);
    WdfObjectReferenceActual(object: WDFOBJECT, tag: PVOID, line: LONG, file: PCCH);
    WdfObjectDereferenceActual(object: WDFOBJECT, tag: PVOID, line: LONG, file: PCCH);
    WdfObjectGetTypedContextWorker(object: WDFOBJECT, kind: PCWDF_OBJECT_CONTEXT_TYPE_INFO) -> PVOID;
}

wdf! {
    WdfDpcCreate(config: PWDF_DPC_CONFIG, attributes: PWDF_OBJECT_ATTRIBUTES, dpc: *mut WDFDPC) -> NTSTATUS;
    WdfDpcEnqueue(dpc: WDFDPC) -> BOOLEAN;
    WdfDpcCancel(dpc: WDFDPC, wait: BOOLEAN) -> BOOLEAN;
    WdfDpcGetParentObject(dpc: WDFDPC) -> WDFOBJECT;
    WdfDpcWdmGetDpc(dpc: WDFDPC) -> PKDPC;
    WdfTimerCreate(config: PWDF_TIMER_CONFIG, attributes: PWDF_OBJECT_ATTRIBUTES, timer: *mut WDFTIMER) -> NTSTATUS;
    WdfTimerStart(timer: WDFTIMER, due: LONGLONG) -> BOOLEAN;
    WdfTimerStop(timer: WDFTIMER, wait: BOOLEAN) -> BOOLEAN;
    WdfTimerGetParentObject(timer: WDFTIMER) -> WDFOBJECT;
    WdfWorkItemCreate(
        config: PWDF_WORKITEM_CONFIG, attributes: PWDF_OBJECT_ATTRIBUTES, item: *mut WDFWORKITEM
    ) -> NTSTATUS;
    WdfWorkItemEnqueue(item: WDFWORKITEM);
    WdfWorkItemGetParentObject(item: WDFWORKITEM) -> WDFOBJECT;
    WdfWorkItemFlush(item: WDFWORKITEM);
}
