//! The calls that take any object: create, delete, references, contexts (facts O-1 to O-9).

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::attributes::{self, Allow};
use super::device;
use super::object::{Body, Kind, Object};
use super::registry;
use super::verifier::{self, Break};
use super::wdf;
use crate::abi::*;

/// Creates a general object, under the driver if no parent is named.
///
/// IRQL: <= DISPATCH.
///
/// # Safety
/// - `attributes` is NULL or points to a structure as long as its `Size` says.
/// - `object` is NULL or writable.
#[must_use]
pub unsafe extern "C" fn WdfObjectCreate(
    globals: PWDF_DRIVER_GLOBALS,
    attributes: PWDF_OBJECT_ATTRIBUTES,
    object: *mut WDFOBJECT,
) -> NTSTATUS {
    super::enter(globals, "WdfObjectCreate", DISPATCH_LEVEL);
    // SAFETY: passed on to the caller.
    match unsafe { create(attributes, object) } {
        Ok(handle) => {
            // SAFETY: `create` checked that the pointer is not NULL.
            unsafe { object.write(handle) };
            STATUS_SUCCESS
        }
        Err(status) => status,
    }
}

unsafe fn create(
    attributes: PWDF_OBJECT_ATTRIBUTES,
    object: *mut WDFOBJECT,
) -> Result<WDFOBJECT, NTSTATUS> {
    // SAFETY: the caller's promise about `attributes`.
    let read = unsafe { attributes::read(attributes) };
    let parent = match &read {
        Ok(Some(attributes)) if !attributes.ParentObject.is_null() => Some(registry::any(
            attributes.ParentObject,
            "WdfObjectCreate: ParentObject",
        )),
        Ok(_) | Err(_) => None,
    };
    registry::not_null(object, "WdfObjectCreate: Object");
    let attributes = read?;
    if let Some(attributes) = &attributes {
        attributes::validate(attributes, Allow::EXECUTION_LEVEL)?;
    }
    let created = Object::allocate(Kind::General, attributes.as_ref(), Body::General)
        .ok_or(STATUS_INSUFFICIENT_RESOURCES)?;
    let parent = parent.or_else(|| wdf().driver());
    let result = created.commit(attributes.as_ref(), parent.as_ref());
    if result.is_err() {
        created.delete_from_failed_create();
    }
    result
}

/// Deletes an object: disposes its children and itself, at PASSIVE if it must, and drops the
/// framework's reference. Never fails; ignored where deletion is not the driver's business (O-6).
///
/// IRQL: <= DISPATCH; = PASSIVE for a control device.
///
/// # Safety
/// - `object` may be any value: a bad one is a bug check.
pub unsafe extern "C" fn WdfObjectDelete(globals: PWDF_DRIVER_GLOBALS, object: WDFOBJECT) {
    super::enter(globals, "WdfObjectDelete", DISPATCH_LEVEL);
    let object = registry::any(object, "WdfObjectDelete");
    if object.no_delete.load(Ordering::Relaxed) {
        verifier::record(Break::DeleteNotAllowed, object.name());
        return;
    }
    if object.kind() == Kind::Device {
        verifier::ceiling("WdfObjectDelete", PASSIVE_LEVEL);
        // The framework reports the level and goes on: the object defers its dispose.
        let _ = verifier::may_wait("WdfObjectDelete", object.name());
        if !device::may_delete(&object) {
            return;
        }
    }
    object.delete();
}

/// Takes a reference: keeps memory and context, not function (O-7).
///
/// IRQL: <= DISPATCH.
///
/// # Safety
/// - `handle` may be any value: a bad one is a bug check.
pub unsafe extern "C" fn WdfObjectReferenceActual(
    globals: PWDF_DRIVER_GLOBALS,
    handle: WDFOBJECT,
    _tag: PVOID,
    _line: LONG,
    _file: PCCH,
) {
    super::enter(globals, "WdfObjectReferenceActual", DISPATCH_LEVEL);
    registry::any(handle, "WdfObjectReference").add_ref();
}

/// Drops a reference. The last one of an object that nobody deleted is a bug check (O-7).
///
/// IRQL: <= DISPATCH.
///
/// # Safety
/// - `handle` may be any value: a bad one is a bug check.
pub unsafe extern "C" fn WdfObjectDereferenceActual(
    globals: PWDF_DRIVER_GLOBALS,
    handle: WDFOBJECT,
    _tag: PVOID,
    _line: LONG,
    _file: PCCH,
) {
    super::enter(globals, "WdfObjectDereferenceActual", DISPATCH_LEVEL);
    let object: Arc<Object> = registry::any(handle, "WdfObjectDereference");
    object.release();
}

/// The context of the given type, or NULL (O-2).
///
/// IRQL: any.
///
/// # Safety
/// - `handle` and `type_info` may be any value: a bad handle is a bug check.
#[must_use]
pub unsafe extern "C" fn WdfObjectGetTypedContextWorker(
    globals: PWDF_DRIVER_GLOBALS,
    handle: WDFOBJECT,
    type_info: PCWDF_OBJECT_CONTEXT_TYPE_INFO,
) -> PVOID {
    super::check_globals(globals, "WdfObjectGetTypedContextWorker");
    registry::any(handle, "WdfObjectGetTypedContextWorker").context_of(type_info)
}
