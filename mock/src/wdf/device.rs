//! WDFDEVICE: control devices (O-16) and what a PnP device has of one (O-12).

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use super::attributes::{self, Allow};
use super::callback_lock::CallbackLock;
use super::dispose_list::DisposeList;
use super::driver;
use super::object::{Body, Kind, Object, State};
use super::verifier;
use super::{hooks, registry, wdf};
use crate::abi::*;

/// How a device came to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// The driver made it by itself and deletes it.
    Control,
    /// PnP made it and removes it.
    Pnp,
}

/// What a WDFDEVICE adds to an object.
#[derive(Debug)]
pub(super) struct DeviceBody {
    pub(super) role: Role,
    pub(super) scope: WDF_SYNCHRONIZATION_SCOPE,
    pub(super) callback_lock: OnceLock<Arc<CallbackLock>>,
    dispose_list: OnceLock<DisposeList>,
}

/// A `WDFDEVICE_INIT`: opaque to drivers, used up by `WdfDeviceCreate`.
#[derive(Debug)]
pub(super) struct Inits {
    list: Mutex<Vec<(usize, Role)>>,
}

impl Inits {
    pub(super) const fn new() -> Self {
        Self {
            list: Mutex::new(Vec::new()),
        }
    }

    /// A new init; NULL when there is no memory.
    pub(super) fn allocate(&self, role: Role) -> PWDFDEVICE_INIT {
        let Some(block) = hooks::allocate(64) else {
            return std::ptr::null_mut();
        };
        let mut list = self.list.lock().unwrap_or_else(PoisonError::into_inner);
        list.push((block as usize, role));
        block.cast()
    }

    fn role(&self, init: PWDFDEVICE_INIT, call: &str) -> Role {
        let list = self.list.lock().unwrap_or_else(PoisonError::into_inner);
        match list.iter().find(|(address, _)| *address == init as usize) {
            Some((_, role)) => *role,
            None => hooks::fail(
                "WDF_VIOLATION(0x10D,5)",
                format!("{call}: the WDFDEVICE_INIT was never allocated or is used up"),
            ),
        }
    }

    /// Whether an init is still there.
    pub(super) fn contains(&self, init: PWDFDEVICE_INIT) -> bool {
        let list = self.list.lock().unwrap_or_else(PoisonError::into_inner);
        list.iter().any(|(address, _)| *address == init as usize)
    }

    /// Gives an init back.
    pub(super) fn free(&self, init: PWDFDEVICE_INIT) {
        let mut list = self.list.lock().unwrap_or_else(PoisonError::into_inner);
        list.retain(|(address, _)| *address != init as usize);
        drop(list);
        hooks::free(init.cast());
    }
}

/// Begins the making of a control device; NULL when there is no memory (O-16).
///
/// IRQL: = PASSIVE.
///
/// # Safety
/// - `driver` may be any value: a bad one is a bug check.
/// - `sddl` is NULL, which is a bug check, or points to a string.
#[must_use]
pub unsafe extern "C" fn WdfControlDeviceInitAllocate(
    globals: PWDF_DRIVER_GLOBALS,
    driver: WDFDRIVER,
    sddl: *const UNICODE_STRING,
) -> PWDFDEVICE_INIT {
    super::enter(globals, "WdfControlDeviceInitAllocate", PASSIVE_LEVEL);
    let driver = registry::of_kind(driver, Kind::Driver, "WdfControlDeviceInitAllocate");
    registry::not_null(sddl, "WdfControlDeviceInitAllocate: SDDLString");
    if !verifier::may_wait("WdfControlDeviceInitAllocate", driver.name()) {
        return std::ptr::null_mut();
    }
    wdf().inits.allocate(Role::Control)
}

/// Gives back an init that no device was made from.
///
/// IRQL: <= DISPATCH.
///
/// # Safety
/// - `init` may be any value: a bad one is a bug check.
pub unsafe extern "C" fn WdfDeviceInitFree(globals: PWDF_DRIVER_GLOBALS, init: PWDFDEVICE_INIT) {
    super::enter(globals, "WdfDeviceInitFree", DISPATCH_LEVEL);
    registry::not_null(init, "WdfDeviceInitFree: DeviceInit");
    let _ = wdf().inits.role(init, "WdfDeviceInitFree");
    wdf().inits.free(init);
}

/// Names the device to be. The mock has no name space: the name is read and forgotten.
///
/// IRQL: = PASSIVE.
///
/// # Safety
/// - `init` may be any value: a bad one is a bug check.
/// - `name` is NULL or points to a string.
#[must_use]
pub unsafe extern "C" fn WdfDeviceInitAssignName(
    globals: PWDF_DRIVER_GLOBALS,
    init: PWDFDEVICE_INIT,
    name: PCUNICODE_STRING,
) -> NTSTATUS {
    super::enter(globals, "WdfDeviceInitAssignName", PASSIVE_LEVEL);
    registry::not_null(init, "WdfDeviceInitAssignName: DeviceInit");
    let _ = wdf().inits.role(init, "WdfDeviceInitAssignName");
    if !verifier::may_wait("WdfDeviceInitAssignName", "a WDFDEVICE_INIT") {
        return STATUS_INVALID_DEVICE_REQUEST;
    }
    if name.is_null() {
        return STATUS_SUCCESS;
    }
    // SAFETY: the caller promises a string.
    let (length, room, buffer) = unsafe { ((*name).Length, (*name).MaximumLength, (*name).Buffer) };
    if length % 2 != 0 || length > room || (length != 0 && buffer.is_null()) {
        return STATUS_INVALID_PARAMETER;
    }
    STATUS_SUCCESS
}

/// Makes a device from an init, which is used up and set to NULL on success.
///
/// IRQL: = PASSIVE.
///
/// # Safety
/// - `init` points to a pointer to an init.
/// - `attributes` is NULL or points to a structure as long as its `Size` says.
/// - `device` is NULL or writable.
#[must_use]
pub unsafe extern "C" fn WdfDeviceCreate(
    globals: PWDF_DRIVER_GLOBALS,
    init: *mut PWDFDEVICE_INIT,
    attributes: PWDF_OBJECT_ATTRIBUTES,
    device: *mut WDFDEVICE,
) -> NTSTATUS {
    super::enter(globals, "WdfDeviceCreate", PASSIVE_LEVEL);
    registry::not_null(init, "WdfDeviceCreate: DeviceInit");
    // SAFETY: not NULL, and the caller promises that it points to a pointer.
    let the_init = unsafe { init.read() };
    registry::not_null(the_init, "WdfDeviceCreate: *DeviceInit");
    registry::not_null(device, "WdfDeviceCreate: Device");
    // SAFETY: not NULL, and the caller promises that it is writable.
    unsafe { device.write(std::ptr::null_mut()) };
    let role = wdf().inits.role(the_init, "WdfDeviceCreate");
    if !verifier::may_wait("WdfDeviceCreate", "a new device") {
        return STATUS_INVALID_DEVICE_REQUEST;
    }
    // SAFETY: the caller's promise about `attributes`.
    match unsafe { attributes::read(attributes) }.and_then(|attributes| create(role, attributes)) {
        Ok(handle) => {
            wdf().inits.free(the_init);
            // SAFETY: as above.
            unsafe {
                init.write(std::ptr::null_mut());
                device.write(handle.cast());
            }
            STATUS_SUCCESS
        }
        Err(status) => status,
    }
}

fn create(role: Role, attributes: Option<WDF_OBJECT_ATTRIBUTES>) -> Result<WDFOBJECT, NTSTATUS> {
    if let Some(attributes) = &attributes {
        attributes::validate(attributes, Allow::BOTH)?;
    }
    let driver = wdf().driver().ok_or(STATUS_INVALID_DEVICE_REQUEST)?;
    let (level, scope) = driver::constraints(&driver, attributes.as_ref());
    let body = Body::Device(DeviceBody {
        role,
        scope,
        callback_lock: OnceLock::new(),
        dispose_list: OnceLock::new(),
    });
    let object = Object::allocate(Kind::Device, attributes.as_ref(), body)
        .ok_or(STATUS_INSUFFICIENT_RESOURCES)?;
    object.no_delete.store(role == Role::Pnp, Ordering::Relaxed);
    let result = initialize(&object, level, attributes.as_ref(), &driver);
    if result.is_err() {
        object.delete_from_failed_create();
    }
    result
}

fn initialize(
    object: &Arc<Object>,
    level: WDF_EXECUTION_LEVEL,
    attributes: Option<&WDF_OBJECT_ATTRIBUTES>,
    driver: &Arc<Object>,
) -> Result<WDFOBJECT, NTSTATUS> {
    let body = body_of(object);
    let passive = level == _WDF_EXECUTION_LEVEL::WdfExecutionLevelPassive;
    let _ = body
        .callback_lock
        .set(CallbackLock::create(object.name(), passive));
    let list = DisposeList::create(object.name()).ok_or(STATUS_INSUFFICIENT_RESOURCES)?;
    let _ = body.dispose_list.set(list);
    let handle = object.commit(attributes, Some(driver))?;
    wdf().harness.created(object);
    Ok(handle)
}

/// Who made a device.
pub(super) fn role(device: &Object) -> Role {
    body_of(device).role
}

fn body_of(object: &Object) -> &DeviceBody {
    match &object.body {
        Body::Device(body) => body,
        Body::Driver(_) | Body::General | Body::Dpc(_) | Body::WorkItem(_) | Body::Timer(_) => {
            unreachable!("{object:?} is not a WDFDEVICE")
        }
    }
}

/// Ends the making of a control device. Without it the device takes no requests; the mock has none.
///
/// IRQL: = PASSIVE.
///
/// # Safety
/// - `device` may be any value: a bad one is a bug check.
pub unsafe extern "C" fn WdfControlFinishInitializing(
    globals: PWDF_DRIVER_GLOBALS,
    device: WDFDEVICE,
) {
    super::enter(globals, "WdfControlFinishInitializing", PASSIVE_LEVEL);
    let _ = registry::of_kind(device, Kind::Device, "WdfControlFinishInitializing");
}

/// The list of objects below a device that wait for PASSIVE; a device without one never came to be,
/// and the driver's serves.
pub(super) fn add_to_dispose_list(device: &Object, object: &Arc<Object>) -> bool {
    match body_of(device).dispose_list.get() {
        Some(list) => {
            list.add(object);
            true
        }
        None => false,
    }
}

/// The device's part of dispose. A control device does its own cleanup and then waits for its
/// dispose list; a PnP device's removal does that (O-12, O-16).
pub(super) fn dispose(object: &Arc<Object>, body: &DeviceBody) -> bool {
    if body.role == Role::Pnp {
        return true;
    }
    object.call_cleanup();
    object.destroy_children();
    if let Some(list) = body.dispose_list.get() {
        list.wait_for_empty();
    }
    false
}

/// The end of the memory.
pub(super) fn destroy(body: &DeviceBody) {
    if let Some(list) = body.dispose_list.get() {
        list.run_down();
    }
}

/// PnP removal: the children are disposed and waited for before the device goes (O-12).
pub(super) fn remove(object: &Arc<Object>) {
    object.early_dispose_as_child();
    object.destroy_children();
    if let Some(list) = body_of(object).dispose_list.get() {
        list.wait_for_empty();
    }
    if object.state() == State::Disposed {
        object.delete();
    }
}
