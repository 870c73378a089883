//! A KMDF driver that checks, where it runs, what bottomhalf promises.
//!
//! It has no hardware. When it is loaded it makes a control device, attaches bottomhalf to itself, runs the
//! checks of [`check`], and prints a line for each promise to the debugger:
//!
//! ```text
//! PASS tasklet_once
//! FAIL delayed_never_early it ran 1 jiffies too early
//! 12 passed, 0 failed
//! ```
//!
//! DriverEntry fails if a promise is not kept, so that whoever starts the service is told.

#![no_std]

extern crate alloc;
extern crate wdk_panic;

mod check;

use core::ptr::null_mut;

use bottomhalf::Host;
use wdk_alloc::WdkAllocator;
use wdk_sys::{
    _WDF_DRIVER_INIT_FLAGS, _WDF_EXECUTION_LEVEL, _WDF_SYNCHRONIZATION_SCOPE, DRIVER_OBJECT,
    NT_SUCCESS, NTSTATUS, PCUNICODE_STRING, STATUS_INSUFFICIENT_RESOURCES, STATUS_SUCCESS,
    STATUS_UNSUCCESSFUL, ULONG, UNICODE_STRING, WDF_DRIVER_CONFIG, WDF_NO_OBJECT_ATTRIBUTES,
    WDF_OBJECT_ATTRIBUTES, WDFDEVICE, WDFDRIVER, call_unsafe_wdf_function_binding,
};

#[global_allocator]
static ALLOCATOR: WdkAllocator = WdkAllocator;

/// Where the driver begins.
///
/// # Safety
/// Called by the framework, with the arguments of the system.
#[unsafe(export_name = "DriverEntry")]
pub unsafe extern "system" fn driver_entry(
    driver: &mut DRIVER_OBJECT,
    registry_path: PCUNICODE_STRING,
) -> NTSTATUS {
    // SAFETY: the arguments are DriverEntry's.
    match unsafe { start(driver, registry_path) } {
        Ok(()) => STATUS_SUCCESS,
        Err(status) => status,
    }
}

/// Makes the driver and its device, and runs the checks.
///
/// # Safety
/// The arguments are DriverEntry's.
unsafe fn start(
    driver: &mut DRIVER_OBJECT,
    registry_path: PCUNICODE_STRING,
) -> Result<(), NTSTATUS> {
    // SAFETY: by the caller's word.
    let driver = unsafe { create_driver(driver, registry_path)? };
    // SAFETY: the handle is fresh, and this is PASSIVE_LEVEL.
    unsafe { create_control_device(driver)? };
    let report = check::run(Host::Driver(driver.cast()));
    for line in report.text.lines() {
        wdk::println!("{line}");
    }
    if report.failed > 0 {
        return Err(STATUS_UNSUCCESSFUL);
    }
    Ok(())
}

fn status_of(status: NTSTATUS) -> Result<(), NTSTATUS> {
    if NT_SUCCESS(status) {
        Ok(())
    } else {
        Err(status)
    }
}

/// A driver without Plug and Play.
///
/// # Safety
/// The arguments are DriverEntry's.
unsafe fn create_driver(
    driver: &mut DRIVER_OBJECT,
    registry_path: PCUNICODE_STRING,
) -> Result<WDFDRIVER, NTSTATUS> {
    let mut config = WDF_DRIVER_CONFIG {
        Size: size_of::<WDF_DRIVER_CONFIG>() as ULONG,
        EvtDriverUnload: Some(evt_driver_unload),
        DriverInitFlags: _WDF_DRIVER_INIT_FLAGS::WdfDriverInitNonPnpDriver as ULONG,
        ..WDF_DRIVER_CONFIG::default()
    };
    let mut handle: WDFDRIVER = null_mut();
    // SAFETY: DriverEntry's arguments; the rest outlives the call.
    status_of(unsafe {
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

/// The device of the driver, which administrators may open.
///
/// # Safety
/// The handle is the driver's, and the caller runs at PASSIVE_LEVEL.
unsafe fn create_control_device(driver: WDFDRIVER) -> Result<WDFDEVICE, NTSTATUS> {
    static SDDL: [u16; 27] = utf16(b"D:P(A;;GA;;;SY)(A;;GA;;;BA)");
    static NAME: [u16; 26] = utf16(b"\\Device\\BottomhalfKmdfRust");
    let mut attributes = WDF_OBJECT_ATTRIBUTES {
        Size: size_of::<WDF_OBJECT_ATTRIBUTES>() as ULONG,
        ExecutionLevel: _WDF_EXECUTION_LEVEL::WdfExecutionLevelInheritFromParent,
        SynchronizationScope: _WDF_SYNCHRONIZATION_SCOPE::WdfSynchronizationScopeInheritFromParent,
        ..WDF_OBJECT_ATTRIBUTES::default()
    };
    let mut device: WDFDEVICE = null_mut();
    // SAFETY: the handle is the caller's. What is allocated goes into the device, or is freed.
    unsafe {
        let mut init =
            call_unsafe_wdf_function_binding!(WdfControlDeviceInitAllocate, driver, &string(&SDDL));
        if init.is_null() {
            return Err(STATUS_INSUFFICIENT_RESOURCES);
        }
        let named =
            call_unsafe_wdf_function_binding!(WdfDeviceInitAssignName, init, &string(&NAME));
        let created = status_of(named).and_then(|()| {
            status_of(call_unsafe_wdf_function_binding!(
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

/// The framework deletes the device after it, and the driver can be stopped because it is there.
unsafe extern "C" fn evt_driver_unload(_driver: WDFDRIVER) {
    wdk::println!("unloaded");
}

const fn utf16<const N: usize>(ascii: &[u8; N]) -> [u16; N] {
    let mut units = [0; N];
    let mut index = 0;
    while index < N {
        units[index] = ascii[index] as u16;
        index += 1;
    }
    units
}

/// A counted string.
fn string(units: &'static [u16]) -> UNICODE_STRING {
    UNICODE_STRING {
        Length: size_of_val(units) as u16,
        MaximumLength: size_of_val(units) as u16,
        Buffer: units.as_ptr().cast_mut(),
    }
}
