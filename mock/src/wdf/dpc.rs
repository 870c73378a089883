//! WDFDPC: a KDPC and a callback (facts D-1 to D-33).
//!
//! There is nothing between the calls and the KDPC: no state of its own, no check for a deleted
//! object (D-9), no waiting unless the removal failed (D-13, D-14).

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use super::attributes::{self, Allow};
use super::callback_lock::{self, CallbackLock};
use super::object::{Body, Kind, Object};
use super::verifier::{self, Break};
use super::{hooks, registry};
use crate::abi::*;
use crate::ntddk;

/// What a WDFDPC adds to an object.
#[derive(Debug)]
pub(super) struct DpcBody {
    callback: PFN_WDF_DPC,
    serialization: OnceLock<Arc<CallbackLock>>,
    /// The parent, with a reference, until the dispose.
    parent: Mutex<Option<Arc<Object>>>,
}

/// Creates a DPC object under a parent that has a device above it (D-1 to D-6).
///
/// IRQL: <= DISPATCH.
///
/// # Safety
/// - `config` and `attributes` are NULL or point to structures as long as their `Size` says.
/// - `dpc` is NULL or writable.
#[must_use]
pub unsafe extern "C" fn WdfDpcCreate(
    globals: PWDF_DRIVER_GLOBALS,
    config: PWDF_DPC_CONFIG,
    attributes: PWDF_OBJECT_ATTRIBUTES,
    dpc: *mut WDFDPC,
) -> NTSTATUS {
    super::enter(globals, "WdfDpcCreate", DISPATCH_LEVEL);
    // SAFETY: passed on to the caller.
    match unsafe { create(config, attributes, dpc) } {
        Ok(handle) => {
            // SAFETY: `create` checked that the pointer is not NULL.
            unsafe { dpc.write(handle.cast()) };
            STATUS_SUCCESS
        }
        Err(status) => status,
    }
}

/// D-2, row by row.
unsafe fn create(
    config: PWDF_DPC_CONFIG,
    attributes: PWDF_OBJECT_ATTRIBUTES,
    dpc: *mut WDFDPC,
) -> Result<WDFOBJECT, NTSTATUS> {
    // SAFETY: the caller's promise about `attributes`.
    let (attributes, parent) = unsafe { attributes::with_parent(attributes) }?;
    registry::not_null(config, "WdfDpcCreate: Config");
    registry::not_null(dpc, "WdfDpcCreate: Dpc");
    // SAFETY: the caller's promise about `config`.
    if unsafe { (*config).Size } as usize != size_of::<WDF_DPC_CONFIG>() {
        return Err(STATUS_INFO_LENGTH_MISMATCH);
    }
    attributes::validate(&attributes, Allow::NEITHER)?;
    // SAFETY: the size was just checked.
    let config = unsafe { config.read() };
    let body = Body::Dpc(DpcBody {
        callback: config.EvtDpcFunc,
        serialization: OnceLock::new(),
        parent: Mutex::new(None),
    });
    let object = Object::allocate(Kind::Dpc, Some(&attributes), body)
        .ok_or(STATUS_INSUFFICIENT_RESOURCES)?;
    let result = initialize(&object, &config, &attributes, &parent);
    if result.is_err() {
        object.delete_from_failed_create();
    }
    result
}

fn initialize(
    object: &Arc<Object>,
    config: &WDF_DPC_CONFIG,
    attributes: &WDF_OBJECT_ATTRIBUTES,
    parent: &Arc<Object>,
) -> Result<WDFOBJECT, NTSTATUS> {
    // SAFETY: the KDPC lies in the object's block and nobody else knows it yet.
    unsafe { ntddk::KeInitializeDpc(object.kdpc(), Some(thunk), object.handle()) };
    // Dropped by the dispose, after the flush.
    object.add_ref();
    let device = parent.device().ok_or(STATUS_INVALID_DEVICE_REQUEST)?;
    object.set_device(&device);
    let lock = callback_lock::effective(parent, config.AutomaticSerialization != 0, false)?;
    let body = body(object);
    if let Some(lock) = lock {
        let _ = body.serialization.set(lock);
    }
    parent.add_ref();
    *body.parent.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(parent));
    let handle = object.commit(Some(attributes), Some(parent))?;
    hooks::count(|counters| counters.objects_dpc += 1);
    Ok(handle)
}

fn body(object: &Object) -> &DpcBody {
    match &object.body {
        Body::Dpc(body) => body,
        Body::Driver(_)
        | Body::Device(_)
        | Body::General
        | Body::WorkItem(_)
        | Body::Timer(_)
        | Body::Queue(_)
        | Body::Request(_) => unreachable!("{object:?} is not a WDFDPC"),
    }
}

/// Queues the DPC: TRUE if it was not queued (D-8, D-10, D-11). Nothing checks whether the object
/// is being deleted (D-9).
///
/// IRQL: any.
///
/// # Safety
/// - `dpc` may be any value: a bad one is a bug check.
#[must_use]
pub unsafe extern "C" fn WdfDpcEnqueue(globals: PWDF_DRIVER_GLOBALS, dpc: WDFDPC) -> BOOLEAN {
    super::enter(globals, "WdfDpcEnqueue", HIGH_LEVEL);
    let object = registry::of_kind(dpc, Kind::Dpc, "WdfDpcEnqueue");
    hooks::count(|counters| counters.dpc_enqueues += 1);
    // SAFETY: the KDPC lies in the object's block, which is alive as the handle was found. A block
    // that is freed while its KDPC is queued is a failure of its own (D-27).
    unsafe { ntddk::KeInsertQueueDpc(object.kdpc(), std::ptr::null_mut(), std::ptr::null_mut()) }
}

/// Removes the DPC from its queue; with `wait`, flushes all DPCs if it was not there (D-12 to
/// D-17).
///
/// IRQL: any; = PASSIVE with `wait`.
///
/// # Safety
/// - `dpc` may be any value: a bad one is a bug check.
#[must_use]
pub unsafe extern "C" fn WdfDpcCancel(
    globals: PWDF_DRIVER_GLOBALS,
    dpc: WDFDPC,
    wait: BOOLEAN,
) -> BOOLEAN {
    super::enter(
        globals,
        "WdfDpcCancel",
        if wait != 0 { PASSIVE_LEVEL } else { HIGH_LEVEL },
    );
    let object = registry::of_kind(dpc, Kind::Dpc, "WdfDpcCancel");
    hooks::count(|counters| counters.dpc_cancels += 1);
    if wait != 0 && !verifier::may_wait("WdfDpcCancel", object.name()) {
        return 0;
    }
    // SAFETY: as in `WdfDpcEnqueue`.
    let removed = unsafe { ntddk::KeRemoveQueueDpc(object.kdpc()) };
    // D-14: a removal that succeeded says nothing about an earlier instance on another CPU, and yet
    // nobody waits for that one.
    if wait != 0 && removed == 0 {
        hooks::flush_queued_dpcs();
    }
    removed
}

/// The parent that the DPC was created with.
///
/// IRQL: any.
///
/// # Safety
/// - `dpc` may be any value: a bad one is a bug check.
#[must_use]
pub unsafe extern "C" fn WdfDpcGetParentObject(
    globals: PWDF_DRIVER_GLOBALS,
    dpc: WDFDPC,
) -> WDFOBJECT {
    super::enter(globals, "WdfDpcGetParentObject", HIGH_LEVEL);
    let object = registry::of_kind(dpc, Kind::Dpc, "WdfDpcGetParentObject");
    let parent = body(&object)
        .parent
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .clone();
    parent.map_or(std::ptr::null_mut(), |parent| parent.handle())
}

/// The KDPC inside the object, to set its importance or target before it is queued (D-24).
///
/// IRQL: any.
///
/// # Safety
/// - `dpc` may be any value: a bad one is a bug check.
#[must_use]
pub unsafe extern "C" fn WdfDpcWdmGetDpc(globals: PWDF_DRIVER_GLOBALS, dpc: WDFDPC) -> PKDPC {
    super::enter(globals, "WdfDpcWdmGetDpc", HIGH_LEVEL);
    registry::of_kind(dpc, Kind::Dpc, "WdfDpcWdmGetDpc").kdpc()
}

/// What the KDPC calls, at DISPATCH (D-18).
unsafe extern "C" fn thunk(_dpc: *mut KDPC, context: PVOID, _arg1: PVOID, _arg2: PVOID) {
    let Some(object) = super::wdf().registry.find(context as usize) else {
        let what = super::wdf().registry.epitaph(context as usize);
        hooks::fail(
            "TIMER_OR_DPC_INVALID(0xC7,1)",
            format!("a DPC ran in {what}"),
        );
    };
    let body = body(&object);
    let Some(callback) = body.callback else {
        return;
    };
    let serialization = body.serialization.get().map(Arc::clone);
    let held = serialization
        .as_ref()
        .map(|lock| lock.acquire(object.name()));
    hooks::callback(object.name(), "EvtDpcFunc", || {
        // SAFETY: the driver gave this function for this object; the dispose flushes DPCs before
        // the memory goes (D-26).
        unsafe { callback(object.handle().cast()) }
    });
    if let (Some(lock), Some(held)) = (serialization, held) {
        lock.release(held);
    }
}

/// D-26: flushes, so that a queued instance runs, and lets go. It removes nothing.
pub(super) fn dispose(object: &Arc<Object>, body: &DpcBody) -> bool {
    hooks::flush_queued_dpcs();
    let parent = body
        .parent
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .take();
    if let Some(parent) = parent {
        parent.release();
    }
    object.release();
    true
}

/// The end of the memory. A KDPC that was queued after the flush is still in a queue (D-27).
pub(super) fn destroy(object: &Arc<Object>, body: &DpcBody) {
    if body
        .parent
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .is_some()
    {
        verifier::record(Break::DestroyedWithoutDelete, object.name());
    }
    hooks::check_dpc_not_queued(object.kdpc(), object.name());
}
