//! Creation: the driver, the control device, the DPC, the work item and the timer.

use core::mem::size_of;
use core::ptr::{null, null_mut};

use wdk_sys::{
    _KDPC_IMPORTANCE, _WDF_DRIVER_INIT_FLAGS, _WDF_EXECUTION_LEVEL, _WDF_SYNCHRONIZATION_SCOPE,
    DRIVER_OBJECT, NT_SUCCESS, NTSTATUS, PCUNICODE_STRING, PROCESSOR_NUMBER,
    STATUS_INSUFFICIENT_RESOURCES, ULONG, UNICODE_STRING, WDF_DPC_CONFIG, WDF_DRIVER_CONFIG,
    WDF_NO_OBJECT_ATTRIBUTES, WDF_OBJECT_ATTRIBUTES, WDF_OBJECT_CONTEXT_TYPE_INFO,
    WDF_TIMER_CONFIG, WDF_WORKITEM_CONFIG, WDFDEVICE, WDFDPC, WDFDRIVER, WDFOBJECT, WDFTIMER,
    WDFWORKITEM, call_unsafe_wdf_function_binding, ntddk,
};

const fn size_field<T>() -> ULONG {
    size_of::<T>() as ULONG
}

fn check(status: NTSTATUS) -> Result<(), NTSTATUS> {
    if NT_SUCCESS(status) {
        Ok(())
    } else {
        Err(status)
    }
}

/// What the control device carries.
#[derive(Debug)]
pub struct ControlDevice {
    /// How often its DPC, its work item and its timer ran.
    pub runs: core::sync::atomic::AtomicU32,
}

/// The framework finds a context by the address of its description, so there is one, and it stays.
#[repr(transparent)]
struct ContextType(WDF_OBJECT_CONTEXT_TYPE_INFO);
// SAFETY: the description is never written, and its pointers lead to statics.
unsafe impl Sync for ContextType {}

static CONTROL_DEVICE: ContextType = ContextType(WDF_OBJECT_CONTEXT_TYPE_INFO {
    Size: size_field::<WDF_OBJECT_CONTEXT_TYPE_INFO>(),
    ContextName: c"ControlDevice".as_ptr().cast(),
    ContextSize: size_of::<ControlDevice>(),
    UniqueType: (&raw const CONTROL_DEVICE).cast(),
    EvtDriverGetUniqueContextType: None,
});

/// Attributes as `WDF_OBJECT_ATTRIBUTES_INIT` leaves them; all zero would be refused (S-12).
fn attributes() -> WDF_OBJECT_ATTRIBUTES {
    WDF_OBJECT_ATTRIBUTES {
        Size: size_field::<WDF_OBJECT_ATTRIBUTES>(),
        ExecutionLevel: _WDF_EXECUTION_LEVEL::WdfExecutionLevelInheritFromParent,
        SynchronizationScope: _WDF_SYNCHRONIZATION_SCOPE::WdfSynchronizationScopeInheritFromParent,
        ..Default::default()
    }
}

/// Registers a driver without Plug and Play (O-18).
///
/// # Errors
/// The framework's status.
///
/// # Safety
/// The arguments are those of DriverEntry.
pub unsafe fn create_driver(
    driver: &mut DRIVER_OBJECT,
    registry_path: PCUNICODE_STRING,
) -> Result<WDFDRIVER, NTSTATUS> {
    let mut config = WDF_DRIVER_CONFIG {
        Size: size_field::<WDF_DRIVER_CONFIG>(),
        EvtDriverUnload: Some(evt_driver_unload),
        DriverInitFlags: _WDF_DRIVER_INIT_FLAGS::WdfDriverInitNonPnpDriver as ULONG,
        ..Default::default()
    };
    let mut handle: WDFDRIVER = null_mut();
    // SAFETY: the caller passes DriverEntry's arguments on; the rest outlives the call.
    check(unsafe {
        call_unsafe_wdf_function_binding!(
            WdfDriverCreate,
            driver,
            registry_path,
            WDF_NO_OBJECT_ATTRIBUTES,
            &mut config,
            &mut handle,
        )
    })?;
    Ok(handle)
}

/// Creates the control device that is the parent of everything else (O-16).
///
/// # Errors
/// The framework's status, or STATUS_INSUFFICIENT_RESOURCES.
///
/// # Safety
/// `driver` is the driver's handle, and the caller runs at PASSIVE_LEVEL.
pub unsafe fn create_control_device(driver: WDFDRIVER) -> Result<WDFDEVICE, NTSTATUS> {
    const SYSTEM_AND_ADMINISTRATORS: &[u16] = &wide(b"D:P(A;;GA;;;SY)(A;;GA;;;BA)");
    let sddl = unicode(SYSTEM_AND_ADMINISTRATORS);
    let mut attributes = WDF_OBJECT_ATTRIBUTES {
        EvtCleanupCallback: Some(evt_object_cleanup),
        ContextTypeInfo: CONTROL_DEVICE.0.UniqueType,
        ..attributes()
    };
    let mut device: WDFDEVICE = null_mut();
    // SAFETY: the caller vouches for `driver` and the level; `init` is handed from call to call and
    // freed by exactly one of WdfDeviceCreate, which clears it, and WdfDeviceInitFree.
    unsafe {
        let mut init =
            call_unsafe_wdf_function_binding!(WdfControlDeviceInitAllocate, driver, &sddl);
        if init.is_null() {
            return Err(STATUS_INSUFFICIENT_RESOURCES);
        }
        let created = call_unsafe_wdf_function_binding!(WdfDeviceInitAssignName, init, null());
        let created = check(created).and_then(|()| {
            check(call_unsafe_wdf_function_binding!(
                WdfDeviceCreate,
                &mut init,
                &mut attributes,
                &mut device,
            ))
        });
        if let Err(status) = created {
            if !init.is_null() {
                call_unsafe_wdf_function_binding!(WdfDeviceInitFree, init);
            }
            return Err(status);
        }
        call_unsafe_wdf_function_binding!(WdfControlFinishInitializing, device);
    }
    Ok(device)
}

/// Creates a DPC that runs on `processor` and is not put off there (D-23, D-24).
///
/// # Errors
/// The status of the framework, or of the choice of the processor; the DPC is then deleted.
///
/// # Safety
/// `device` is a live device and the level is at most DISPATCH_LEVEL.
pub unsafe fn create_dpc(device: WDFOBJECT, processor: u32) -> Result<WDFDPC, NTSTATUS> {
    let mut config = WDF_DPC_CONFIG {
        Size: size_field::<WDF_DPC_CONFIG>(),
        EvtDpcFunc: Some(evt_dpc),
        AutomaticSerialization: 0,
    };
    let mut attributes = WDF_OBJECT_ATTRIBUTES {
        ParentObject: device,
        ..attributes()
    };
    let mut dpc: WDFDPC = null_mut();
    let mut number = PROCESSOR_NUMBER::default();
    // SAFETY: the caller vouches for `device` and the level; all else outlives its call, and the KDPC
    // lives as long as the DPC.
    unsafe {
        check(call_unsafe_wdf_function_binding!(
            WdfDpcCreate,
            &mut config,
            &mut attributes,
            &mut dpc
        ))?;
        let kdpc = call_unsafe_wdf_function_binding!(WdfDpcWdmGetDpc, dpc);
        ntddk::KeSetImportanceDpc(kdpc, _KDPC_IMPORTANCE::MediumHighImportance);
        check(ntddk::KeGetProcessorNumberFromIndex(processor, &mut number))
            .and_then(|()| check(ntddk::KeSetTargetProcessorDpcEx(kdpc, &mut number)))
            .inspect_err(|_| crate::delete(dpc.cast()))?;
    }
    Ok(dpc)
}

/// Creates a work item.
///
/// # Errors
/// The framework's status.
///
/// # Safety
/// As [`create_dpc`].
pub unsafe fn create_work_item(device: WDFOBJECT) -> Result<WDFWORKITEM, NTSTATUS> {
    let mut config = WDF_WORKITEM_CONFIG {
        Size: size_field::<WDF_WORKITEM_CONFIG>(),
        EvtWorkItemFunc: Some(evt_work_item),
        ..Default::default()
    };
    let mut attributes = WDF_OBJECT_ATTRIBUTES {
        ParentObject: device,
        ..attributes()
    };
    let mut work_item: WDFWORKITEM = null_mut();
    // SAFETY: the caller vouches for `device` and the level; all else outlives the call.
    check(unsafe {
        call_unsafe_wdf_function_binding!(
            WdfWorkItemCreate,
            &mut config,
            &mut attributes,
            &mut work_item
        )
    })?;
    Ok(work_item)
}

/// Creates a timer whose callback runs at PASSIVE_LEVEL; it must say so itself (T-7).
///
/// # Errors
/// The framework's status.
///
/// # Safety
/// As [`create_dpc`].
pub unsafe fn create_timer(device: WDFOBJECT) -> Result<WDFTIMER, NTSTATUS> {
    let mut config = WDF_TIMER_CONFIG {
        Size: size_field::<WDF_TIMER_CONFIG>(),
        EvtTimerFunc: Some(evt_timer),
        ..Default::default()
    };
    let mut attributes = WDF_OBJECT_ATTRIBUTES {
        ExecutionLevel: _WDF_EXECUTION_LEVEL::WdfExecutionLevelPassive,
        ParentObject: device,
        ..attributes()
    };
    let mut timer: WDFTIMER = null_mut();
    // SAFETY: the caller vouches for `device` and the level; all else outlives the call.
    check(unsafe {
        call_unsafe_wdf_function_binding!(WdfTimerCreate, &mut config, &mut attributes, &mut timer)
    })?;
    Ok(timer)
}

/// The context of the control device, or null if `device` has none.
unsafe fn context(device: WDFOBJECT) -> *const ControlDevice {
    // SAFETY: the caller passes a live device; the description is the one it was created with.
    unsafe {
        call_unsafe_wdf_function_binding!(
            WdfObjectGetTypedContextWorker,
            device,
            CONTROL_DEVICE.0.UniqueType
        )
    }
    .cast()
}

unsafe fn count(device: WDFOBJECT) {
    // SAFETY: the framework keeps a parent alive during the callbacks of its children, and the
    // context as long as the parent.
    if let Some(context) = unsafe { context(device).as_ref() } {
        context
            .runs
            .fetch_add(1, core::sync::atomic::Ordering::Relaxed);
    }
}

unsafe extern "C" fn evt_driver_unload(driver: WDFDRIVER) {
    wdk::println!("probe: driver {driver:p} is unloaded");
}

unsafe extern "C" fn evt_object_cleanup(object: WDFOBJECT) {
    wdk::println!("probe: {object:p} goes away");
}

unsafe extern "C" fn evt_dpc(dpc: WDFDPC) {
    // SAFETY: a callback's handle is alive while the callback runs.
    unsafe {
        count(call_unsafe_wdf_function_binding!(
            WdfDpcGetParentObject,
            dpc
        ))
    }
}

unsafe extern "C" fn evt_work_item(work_item: WDFWORKITEM) {
    // SAFETY: a callback's handle is alive while the callback runs.
    unsafe {
        count(call_unsafe_wdf_function_binding!(
            WdfWorkItemGetParentObject,
            work_item
        ))
    }
}

unsafe extern "C" fn evt_timer(timer: WDFTIMER) {
    // SAFETY: a callback's handle is alive while the callback runs.
    unsafe {
        count(call_unsafe_wdf_function_binding!(
            WdfTimerGetParentObject,
            timer
        ))
    }
}

/// An ASCII text as UTF-16.
const fn wide<const N: usize>(text: &[u8; N]) -> [u16; N] {
    let mut wide = [0; N];
    let mut index = 0;
    while index < N {
        wide[index] = text[index] as u16;
        index += 1;
    }
    wide
}

fn unicode(text: &'static [u16]) -> UNICODE_STRING {
    let bytes = size_of_val(text) as u16;
    UNICODE_STRING {
        Length: bytes,
        MaximumLength: bytes,
        Buffer: text.as_ptr().cast_mut(),
    }
}
