//! `WdfIoQueueCreate`: what it looks at, in which order (facts IO-1 to IO-6).

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::attributes::{self, Allow};
use super::device;
use super::object::{Body, Kind, Object};
use super::queue::{QueueBody, body_of};
use super::system_work_item::SystemWorkItem;
use super::{hooks, registry};
use crate::abi::*;

/// Sizes of the configuration of older clients: without `Settings`, and without `Driver` (IO-2).
const SIZE_V1_7: usize = 80;
const SIZE_V1_9: usize = 88;

/// Creates a queue under a device. A default queue gets the device's requests.
///
/// IRQL: <= DISPATCH.
///
/// # Safety
/// - `device` may be any value: a bad one is a bug check.
/// - `config` and `attributes` are NULL or point to structures as long as their `Size` says.
/// - `queue` is NULL or writable.
#[must_use]
pub unsafe extern "C" fn WdfIoQueueCreate(
    globals: PWDF_DRIVER_GLOBALS,
    device: WDFDEVICE,
    config: PWDF_IO_QUEUE_CONFIG,
    attributes: PWDF_OBJECT_ATTRIBUTES,
    queue: *mut WDFQUEUE,
) -> NTSTATUS {
    super::enter(globals, "WdfIoQueueCreate", DISPATCH_LEVEL);
    let device = registry::of_kind(device, Kind::Device, "WdfIoQueueCreate");
    registry::not_null(config, "WdfIoQueueCreate: Config");
    // SAFETY: passed on to the caller; the configuration is not NULL.
    match unsafe { create(&device, config, attributes, queue.is_null()) } {
        Ok(handle) => {
            if !queue.is_null() {
                // SAFETY: not NULL, and the caller promises that it is writable.
                unsafe { queue.write(handle.cast()) };
            }
            STATUS_SUCCESS
        }
        Err(status) => status,
    }
}

/// IO-1, check by check.
unsafe fn create(
    device: &Arc<Object>,
    config: PWDF_IO_QUEUE_CONFIG,
    attributes: PWDF_OBJECT_ATTRIBUTES,
    unnamed: bool,
) -> Result<WDFOBJECT, NTSTATUS> {
    // SAFETY: the caller's promise about `attributes`.
    let attributes = unsafe { attributes::read(attributes) }?;
    if let Some(attributes) = &attributes {
        attributes::validate(attributes, Allow::EVERYTHING)?;
    }
    // SAFETY: the caller's promise about `config`.
    let config = unsafe { read(config) }?;
    let default = config.DefaultQueue != 0;
    if unnamed && !default {
        return Err(STATUS_INVALID_PARAMETER_4);
    }
    if default && device::takes_requests(device) {
        return Err(STATUS_INVALID_DEVICE_STATE);
    }
    let parent = parent(device, attributes.as_ref())?;
    if !config.Driver.is_null() {
        registry::of_kind(config.Driver, Kind::Driver, "WdfIoQueueCreate: Driver");
    }
    let level = level(device, attributes.as_ref());
    let passive = level == _WDF_EXECUTION_LEVEL::WdfExecutionLevelPassive;
    let presented = presented(&config);
    let body = Body::Queue(QueueBody::new(&config, presented, passive));
    let object = Object::allocate(Kind::Queue, attributes.as_ref(), body)
        .ok_or(STATUS_INSUFFICIENT_RESOURCES)?;
    body_of(&object).init();
    let result = initialize(&object, &config, attributes.as_ref(), device, &parent);
    if result.is_err() {
        object.delete_from_failed_create();
    }
    result
}

/// Reads a configuration of any of the three sizes (IO-2).
unsafe fn read(config: PWDF_IO_QUEUE_CONFIG) -> Result<WDF_IO_QUEUE_CONFIG, NTSTATUS> {
    // SAFETY: the caller promises that at least the `Size` field is readable.
    let size = unsafe { (&raw const (*config).Size).read() } as usize;
    if ![size_of::<WDF_IO_QUEUE_CONFIG>(), SIZE_V1_9, SIZE_V1_7].contains(&size) {
        return Err(STATUS_INFO_LENGTH_MISMATCH);
    }
    let mut whole = WDF_IO_QUEUE_CONFIG::default();
    // SAFETY: the caller promises `Size` bytes, and they are no more than the structure has.
    unsafe {
        config
            .cast::<u8>()
            .copy_to_nonoverlapping((&raw mut whole).cast(), size);
    }
    Ok(whole)
}

/// The most requests that a parallel queue shows the driver at a time (IO-5).
fn presented(config: &WDF_IO_QUEUE_CONFIG) -> u32 {
    if config.Size as usize == SIZE_V1_7 {
        return u32::MAX;
    }
    // SAFETY: the union has one form, an integer.
    unsafe { config.Settings.Parallel.NumberOfPresentedRequests }
}

/// The parent of the queue: the device, or an object below it (IO-3).
fn parent(
    device: &Arc<Object>,
    attributes: Option<&WDF_OBJECT_ATTRIBUTES>,
) -> Result<Arc<Object>, NTSTATUS> {
    let handle = attributes.map_or(std::ptr::null_mut(), |attributes| attributes.ParentObject);
    if handle.is_null() {
        return Ok(Arc::clone(device));
    }
    let parent = registry::any(handle, "WdfIoQueueCreate: ParentObject");
    match parent.device() {
        Some(above) if Arc::ptr_eq(&above, device) => Ok(parent),
        Some(_) | None => Err(STATUS_INVALID_DEVICE_REQUEST),
    }
}

/// The level of the queue's callbacks, its own or the device's. A scope with a lock ends the run:
/// the mock has no queues with automatic synchronization.
fn level(device: &Object, attributes: Option<&WDF_OBJECT_ATTRIBUTES>) -> WDF_EXECUTION_LEVEL {
    let (mut level, mut scope) = device::constraints(device);
    if let Some(attributes) = attributes {
        if attributes.ExecutionLevel != _WDF_EXECUTION_LEVEL::WdfExecutionLevelInheritFromParent {
            level = attributes.ExecutionLevel;
        }
        let inherit = _WDF_SYNCHRONIZATION_SCOPE::WdfSynchronizationScopeInheritFromParent;
        if attributes.SynchronizationScope != inherit {
            scope = attributes.SynchronizationScope;
        }
    }
    if scope == _WDF_SYNCHRONIZATION_SCOPE::WdfSynchronizationScopeDevice
        || scope == _WDF_SYNCHRONIZATION_SCOPE::WdfSynchronizationScopeQueue
    {
        hooks::fail(
            "SIM_UNSUPPORTED(SynchronizationScope of a queue)",
            format!(
                "WdfIoQueueCreate on {}: the scope is {scope}",
                device.name()
            ),
        );
    }
    level
}

fn initialize(
    object: &Arc<Object>,
    config: &WDF_IO_QUEUE_CONFIG,
    attributes: Option<&WDF_OBJECT_ATTRIBUTES>,
    device: &Arc<Object>,
    parent: &Arc<Object>,
) -> Result<WDFOBJECT, NTSTATUS> {
    object.set_device(device);
    validate(config)?;
    let body = body_of(object);
    if body.passive {
        object.passive_callbacks.store(true, Ordering::Relaxed);
        let item = SystemWorkItem::create(object.name()).ok_or(STATUS_INSUFFICIENT_RESOURCES)?;
        let _ = body.item.set(item);
    }
    let handle = object.commit(attributes, Some(parent))?;
    if config.DefaultQueue != 0 {
        if !device::set_default_queue(device, object) {
            return Err(STATUS_UNSUCCESSFUL);
        }
        object.no_delete.store(true, Ordering::Relaxed);
    }
    Ok(handle)
}

/// IO-4: the dispatch type and what goes with it.
fn validate(config: &WDF_IO_QUEUE_CONFIG) -> Result<(), NTSTATUS> {
    let manual = _WDF_IO_QUEUE_DISPATCH_TYPE::WdfIoQueueDispatchManual;
    let parallel = _WDF_IO_QUEUE_DISPATCH_TYPE::WdfIoQueueDispatchParallel;
    let sequential = _WDF_IO_QUEUE_DISPATCH_TYPE::WdfIoQueueDispatchSequential;
    if !(sequential..=manual).contains(&config.DispatchType) {
        return Err(STATUS_INVALID_PARAMETER);
    }
    let callbacks = config.EvtIoDefault.is_some()
        || config.EvtIoRead.is_some()
        || config.EvtIoWrite.is_some()
        || config.EvtIoDeviceControl.is_some()
        || config.EvtIoInternalDeviceControl.is_some();
    if config.DispatchType != manual && !callbacks {
        return Err(STATUS_WDF_NO_CALLBACK);
    }
    if config.DispatchType == manual && callbacks {
        return Err(STATUS_INVALID_PARAMETER);
    }
    let old = config.Size as usize == SIZE_V1_7;
    if !old && config.DispatchType != parallel && presented(config) != 0 {
        return Err(STATUS_INVALID_PARAMETER);
    }
    Ok(())
}
