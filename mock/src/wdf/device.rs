//! WDFDEVICE: control devices (O-16) and what a PnP device has of one (O-12).

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use super::attributes::{self, Allow};
use super::callback_lock::CallbackLock;
use super::dispose_list::DisposeList;
use super::driver;
use super::io::{self, Handles};
use super::name::DeviceName;
use super::object::{Body, Kind, Object, State};
use super::verifier::{self, Break};
use super::{hooks, queue, registry, strings, wdf};
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
    level: WDF_EXECUTION_LEVEL,
    pub(super) scope: WDF_SYNCHRONIZATION_SCOPE,
    pub(super) callback_lock: OnceLock<Arc<CallbackLock>>,
    dispose_list: OnceLock<DisposeList>,
    /// `DO_DEVICE_INITIALIZING` is gone: the device can be opened (IO-6).
    ready: AtomicBool,
    /// It cannot be opened any more.
    going: AtomicBool,
    handles: OnceLock<Arc<Handles>>,
    default_queue: Mutex<Option<Arc<Object>>>,
}

/// A `WDFDEVICE_INIT`: opaque to drivers, used up by `WdfDeviceCreate`.
#[derive(Debug)]
pub(super) struct Inits {
    list: Mutex<Vec<(usize, Role, DeviceName)>>,
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
        list.push((block as usize, role, None));
        block.cast()
    }

    fn role(&self, init: PWDFDEVICE_INIT, call: &str) -> Role {
        let list = self.list.lock().unwrap_or_else(PoisonError::into_inner);
        match list
            .iter()
            .find(|(address, _, _)| *address == init as usize)
        {
            Some((_, role, _)) => *role,
            None => hooks::fail(
                "WDF_VIOLATION(0x10D,5)",
                format!("{call}: the WDFDEVICE_INIT was never allocated or is used up"),
            ),
        }
    }

    fn name(&self, init: PWDFDEVICE_INIT, name: &str) {
        let mut list = self.list.lock().unwrap_or_else(PoisonError::into_inner);
        for (address, _, slot) in list.iter_mut() {
            if *address == init as usize {
                *slot = Some(name.into());
            }
        }
    }

    fn name_of(&self, init: PWDFDEVICE_INIT) -> DeviceName {
        let list = self.list.lock().unwrap_or_else(PoisonError::into_inner);
        let found = list
            .iter()
            .find(|(address, _, _)| *address == init as usize);
        found.and_then(|(_, _, name)| name.clone())
    }

    /// Whether an init is still there.
    pub(super) fn contains(&self, init: PWDFDEVICE_INIT) -> bool {
        let list = self.list.lock().unwrap_or_else(PoisonError::into_inner);
        list.iter().any(|(address, _, _)| *address == init as usize)
    }

    /// Gives an init back.
    pub(super) fn free(&self, init: PWDFDEVICE_INIT) {
        let mut list = self.list.lock().unwrap_or_else(PoisonError::into_inner);
        list.retain(|(address, _, _)| *address != init as usize);
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

/// Names the device to be.
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
    match unsafe { strings::read(name) } {
        Some(name) => wdf().inits.name(init, &name),
        None => return STATUS_INVALID_PARAMETER,
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
    match unsafe { attributes::read(attributes) }
        .and_then(|attributes| create(role, wdf().inits.name_of(the_init), attributes))
    {
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

fn create(
    role: Role,
    name: DeviceName,
    attributes: Option<WDF_OBJECT_ATTRIBUTES>,
) -> Result<WDFOBJECT, NTSTATUS> {
    if let Some(attributes) = &attributes {
        attributes::validate(attributes, Allow::BOTH)?;
    }
    let driver = wdf().driver().ok_or(STATUS_INVALID_DEVICE_REQUEST)?;
    let (level, scope) = driver::constraints(&driver, attributes.as_ref());
    let body = Body::Device(DeviceBody {
        role,
        level,
        scope,
        callback_lock: OnceLock::new(),
        dispose_list: OnceLock::new(),
        ready: AtomicBool::new(false),
        going: AtomicBool::new(false),
        handles: OnceLock::new(),
        default_queue: Mutex::default(),
    });
    let object = Object::allocate(Kind::Device, attributes.as_ref(), body)
        .ok_or(STATUS_INSUFFICIENT_RESOURCES)?;
    object.no_delete.store(role == Role::Pnp, Ordering::Relaxed);
    if let Some(name) = name
        && !wdf().names.add_device(&name, object.address())
    {
        object.delete_from_failed_create();
        return Err(STATUS_OBJECT_NAME_COLLISION);
    }
    let result = initialize(&object, level, attributes.as_ref(), &driver);
    if result.is_err() {
        wdf().names.forget(object.address());
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
        Body::Driver(_)
        | Body::General
        | Body::Dpc(_)
        | Body::WorkItem(_)
        | Body::Timer(_)
        | Body::Queue(_)
        | Body::Request(_) => unreachable!("{object:?} is not a WDFDEVICE"),
    }
}

/// Ends the making of a control device: from here on it can be opened (IO-6).
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
    let device = registry::of_kind(device, Kind::Device, "WdfControlFinishInitializing");
    match role(&device) {
        Role::Control => start(&device),
        Role::Pnp => verifier::record(Break::NotControlDevice, device.name()),
    }
}

/// The device is there: it can be opened, and its default queue is settled (IO-6).
pub(super) fn start(device: &Object) {
    body_of(device).ready.store(true, Ordering::Relaxed);
}

/// Whether [`start`] was called.
pub(super) fn takes_requests(device: &Object) -> bool {
    body_of(device).ready.load(Ordering::Relaxed)
}

/// The mark of a device that cannot be opened any more.
pub(super) fn going(device: &Object) -> &AtomicBool {
    &body_of(device).going
}

/// Whether the device is on its way out.
pub(super) fn is_going(device: &Object) -> bool {
    going(device).load(Ordering::Relaxed)
}

/// Level and scope of a device, as a queue inherits them.
pub(super) fn constraints(device: &Object) -> (WDF_EXECUTION_LEVEL, WDF_SYNCHRONIZATION_SCOPE) {
    let body = body_of(device);
    (body.level, body.scope)
}

/// Makes `queue` the default one; false if there is one (IO-6).
pub(super) fn set_default_queue(device: &Object, queue: &Arc<Object>) -> bool {
    let mut slot = default_slot(device);
    let free = slot.is_none();
    if free {
        *slot = Some(Arc::clone(queue));
    }
    free
}

/// The queue that gets the device's requests.
pub(super) fn default_queue(device: &Object) -> Option<Arc<Object>> {
    default_slot(device).clone()
}

fn default_slot(device: &Object) -> std::sync::MutexGuard<'_, Option<Arc<Object>>> {
    let slot = &body_of(device).default_queue;
    slot.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The handles of a device, which come to be with the first one that is opened.
pub(super) fn handles(device: &Object) -> Arc<Handles> {
    let slot = &body_of(device).handles;
    if let Some(handles) = slot.get() {
        return Arc::clone(handles);
    }
    let handles = Handles::new();
    handles.init();
    Arc::clone(slot.get_or_init(|| handles))
}

/// Nobody opens the device any more; waits for those that have (IO-11, IO-21).
pub(super) fn shut(device: &Arc<Object>) {
    io::close_door(device);
    if let Some(handles) = body_of(device).handles.get() {
        handles.wait_until_closed(device.name());
    }
}

/// The driver deletes a control device: its name goes now, and it goes itself unless a handle is
/// open (O-16).
pub(super) fn may_delete(device: &Object) -> bool {
    io::close_door(device);
    wdf().names.forget_device(device.address());
    let handles = body_of(device).handles.get();
    handles.is_none_or(|handles| handles.may_delete())
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
    io::close_door(object);
    object.call_cleanup();
    forget_queue(body);
    object.destroy_children();
    if let Some(list) = body.dispose_list.get() {
        list.wait_for_empty();
    }
    wdf().names.forget(object.address());
    false
}

/// The end of the memory.
pub(super) fn destroy(body: &DeviceBody) {
    if let Some(list) = body.dispose_list.get() {
        list.run_down();
    }
}

/// The children are disposed: nothing refers to the default queue any more.
fn forget_queue(body: &DeviceBody) {
    let slot = &body.default_queue;
    let queue = slot.lock().unwrap_or_else(PoisonError::into_inner).take();
    drop(queue);
}

/// PnP removal: the queue is purged, the handles are closed, then the children are disposed and
/// waited for before the device goes (O-12, IO-11).
pub(super) fn remove(object: &Arc<Object>) {
    io::close_door(object);
    if let Some(queue) = default_queue(object) {
        queue::purge_and_wait(&queue);
    }
    shut(object);
    wdf().names.forget(object.address());
    object.early_dispose_as_child();
    forget_queue(body_of(object));
    object.destroy_children();
    if let Some(list) = body_of(object).dispose_list.get() {
        list.wait_for_empty();
    }
    if object.state() == State::Disposed {
        object.delete();
    }
}
