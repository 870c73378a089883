//! WDFDRIVER: creation (O-18, O-19) and unload (O-17).

use std::sync::{Arc, OnceLock};

use super::attributes::{self, Allow};
use super::dispose_list::DisposeList;
use super::object::{Body, Kind, Object};
use super::{hooks, registry, verifier, wdf};
use crate::abi::*;

/// `STATUS_DRIVER_INTERNAL_ERROR`: a second `WdfDriverCreate`.
const STATUS_DRIVER_INTERNAL_ERROR: NTSTATUS = 0xC000_0183_u32 as i32;
/// `WdfDriverInitCompanion`, the third flag that 1.33 knows.
const COMPANION: i32 = 4;

/// What a WDFDRIVER adds to an object.
#[derive(Debug)]
pub(super) struct DriverBody {
    config: WDF_DRIVER_CONFIG,
    level: WDF_EXECUTION_LEVEL,
    scope: WDF_SYNCHRONIZATION_SCOPE,
    dispose_list: OnceLock<DisposeList>,
}

impl DriverBody {
    /// Whether the driver said that PnP has nothing to do with it (O-18).
    pub(super) const fn is_pnp(&self) -> bool {
        self.config.DriverInitFlags & (_WDF_DRIVER_INIT_FLAGS::WdfDriverInitNonPnpDriver as u32)
            == 0
    }

    /// The driver's callback for a new device.
    pub(super) const fn device_add(&self) -> PFN_WDF_DRIVER_DEVICE_ADD {
        self.config.EvtDriverDeviceAdd
    }
}

/// Creates the driver object; once per image.
///
/// IRQL: = PASSIVE.
///
/// # Safety
/// - `driver_object` and `registry_path` are NULL, which is a bug check, or point to what they
///   should.
/// - `attributes` and `config` are NULL or point to structures as long as their `Size` says.
/// - `driver` is NULL or writable.
#[must_use]
pub unsafe extern "C" fn WdfDriverCreate(
    globals: PWDF_DRIVER_GLOBALS,
    driver_object: PDRIVER_OBJECT,
    registry_path: PCUNICODE_STRING,
    attributes: PWDF_OBJECT_ATTRIBUTES,
    config: PWDF_DRIVER_CONFIG,
    driver: *mut WDFDRIVER,
) -> NTSTATUS {
    super::enter(globals, "WdfDriverCreate", PASSIVE_LEVEL);
    registry::not_null(driver_object, "WdfDriverCreate: DriverObject");
    registry::not_null(registry_path, "WdfDriverCreate: RegistryPath");
    registry::not_null(config, "WdfDriverCreate: DriverConfig");
    // SAFETY: the caller's promises; the pointers that may not be NULL are not.
    let result = unsafe { create(driver_object, registry_path, attributes, config) };
    let (handle, status) = match result {
        Ok(handle) => (handle.cast(), STATUS_SUCCESS),
        Err(status) => (std::ptr::null_mut(), status),
    };
    if !driver.is_null() {
        // SAFETY: not NULL, and the caller promises that it is writable.
        unsafe { driver.write(handle) };
    }
    status
}

unsafe fn create(
    driver_object: PDRIVER_OBJECT,
    registry_path: PCUNICODE_STRING,
    attributes: PWDF_OBJECT_ATTRIBUTES,
    config: PWDF_DRIVER_CONFIG,
) -> Result<WDFOBJECT, NTSTATUS> {
    // SAFETY: the caller's promise about `config`.
    if unsafe { (&raw const (*config).Size).read() } as usize != size_of::<WDF_DRIVER_CONFIG>() {
        return Err(STATUS_INFO_LENGTH_MISMATCH);
    }
    // SAFETY: the size was just checked.
    let config = unsafe { config.read() };
    let known = _WDF_DRIVER_INIT_FLAGS::WdfDriverInitNonPnpDriver
        | _WDF_DRIVER_INIT_FLAGS::WdfDriverInitNoDispatchOverride
        | COMPANION;
    if config.DriverInitFlags & !(known as u32) != 0 {
        return Err(STATUS_INVALID_PARAMETER);
    }
    if !verifier::may_wait("WdfDriverCreate", "a new driver") {
        return Err(STATUS_INVALID_DEVICE_REQUEST);
    }
    // SAFETY: the caller promises a string.
    let path = unsafe { super::strings::read(registry_path) }.ok_or(STATUS_INVALID_PARAMETER)?;
    if wdf().driver().is_some() {
        return Err(STATUS_DRIVER_INTERNAL_ERROR);
    }
    let body = DriverBody {
        config,
        level: 0,
        scope: 0,
        dispose_list: OnceLock::new(),
    };
    let overrides = config.DriverInitFlags
        & (_WDF_DRIVER_INIT_FLAGS::WdfDriverInitNoDispatchOverride as u32)
        == 0;
    if overrides && !body.is_pnp() && config.EvtDriverDeviceAdd.is_some() {
        return Err(STATUS_INVALID_PARAMETER);
    }
    // SAFETY: the caller's promise about `attributes`.
    let attributes = unsafe { attributes::read(attributes) }?;
    if let Some(attributes) = &attributes {
        attributes::validate(attributes, Allow::BOTH)?;
    }
    let object = commit(body, attributes.as_ref())?;
    wdf().bind(&object, &path, config.DriverInitFlags);
    if overrides && (body_of(&object).is_pnp() || config.EvtDriverUnload.is_some()) {
        // SAFETY: the caller promises a driver object. O-19: what stood here before is lost.
        unsafe { (*driver_object).DriverUnload = Some(unload) };
    }
    Ok(object.handle())
}

fn commit(
    mut body: DriverBody,
    attributes: Option<&WDF_OBJECT_ATTRIBUTES>,
) -> Result<Arc<Object>, NTSTATUS> {
    let (level, scope) = resolve(
        attributes,
        _WDF_EXECUTION_LEVEL::WdfExecutionLevelDispatch,
        _WDF_SYNCHRONIZATION_SCOPE::WdfSynchronizationScopeNone,
    );
    body.level = level;
    body.scope = scope;
    let object = Object::allocate(Kind::Driver, attributes, Body::Driver(body))
        .ok_or(STATUS_INSUFFICIENT_RESOURCES)?;
    object
        .no_delete
        .store(true, std::sync::atomic::Ordering::Relaxed);
    let done = match DisposeList::create(object.name()) {
        None => Err(STATUS_INSUFFICIENT_RESOURCES),
        Some(list) => {
            let _ = body_of(&object).dispose_list.set(list);
            object.commit(attributes, None)
        }
    };
    if let Err(status) = done {
        object.delete_from_failed_create();
        return Err(status);
    }
    Ok(object)
}

/// Level and scope of an object: its own, or the one it inherits (S-7).
fn resolve(
    attributes: Option<&WDF_OBJECT_ATTRIBUTES>,
    inherited_level: WDF_EXECUTION_LEVEL,
    inherited_scope: WDF_SYNCHRONIZATION_SCOPE,
) -> (WDF_EXECUTION_LEVEL, WDF_SYNCHRONIZATION_SCOPE) {
    let Some(attributes) = attributes else {
        return (inherited_level, inherited_scope);
    };
    let mut level = attributes.ExecutionLevel;
    let mut scope = attributes.SynchronizationScope;
    if level == _WDF_EXECUTION_LEVEL::WdfExecutionLevelInheritFromParent {
        level = inherited_level;
    }
    if scope == _WDF_SYNCHRONIZATION_SCOPE::WdfSynchronizationScopeInheritFromParent {
        scope = inherited_scope;
    }
    (level, scope)
}

/// Level and scope of a device of `driver`.
pub(super) fn constraints(
    driver: &Object,
    attributes: Option<&WDF_OBJECT_ATTRIBUTES>,
) -> (WDF_EXECUTION_LEVEL, WDF_SYNCHRONIZATION_SCOPE) {
    let body = body_of(driver);
    resolve(attributes, body.level, body.scope)
}

/// The driver's part of an object.
pub(super) fn body_of(object: &Object) -> &DriverBody {
    match &object.body {
        Body::Driver(body) => body,
        Body::Device(_)
        | Body::General
        | Body::Dpc(_)
        | Body::WorkItem(_)
        | Body::Timer(_)
        | Body::Queue(_)
        | Body::Request(_) => unreachable!("{object:?} is not a WDFDRIVER"),
    }
}

/// Adds an object to the driver's dispose list; false when there is none.
pub(super) fn add_to_dispose_list(driver: &Object, object: &Arc<Object>) -> bool {
    match body_of(driver).dispose_list.get() {
        Some(list) => {
            list.add(object);
            true
        }
        None => false,
    }
}

/// The driver's part of dispose: what was deferred has been done.
pub(super) fn dispose(body: &DriverBody) -> bool {
    if let Some(list) = body.dispose_list.get() {
        list.wait_for_empty();
    }
    true
}

/// The end of the memory.
pub(super) fn destroy(body: &DriverBody) {
    if let Some(list) = body.dispose_list.get() {
        list.run_down();
    }
}

/// What the framework puts into `DriverObject->DriverUnload` (O-17): the driver's callback first,
/// then the driver's objects, then the runs that are still out.
unsafe extern "C" fn unload(_driver_object: PDRIVER_OBJECT) {
    let Some(driver) = wdf().driver() else { return };
    let callback = body_of(&driver).config.EvtDriverUnload;
    if let Some(callback) = callback {
        hooks::callback(driver.name(), "EvtDriverUnload", || {
            // SAFETY: the driver gave this function for its driver object, which is alive.
            unsafe { callback(driver.handle().cast()) }
        });
    }
    driver.delete();
    wdf().unbind();
}
