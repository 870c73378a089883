//! WDFREQUEST: an I/O request on its way through the driver (facts IO-12 to IO-19).
//!
//! # Invariants
//!
//! - **Q1** The request has its IRP from its creation until it is completed; whoever takes the IRP
//!   out is the one that completes it.
//! - **Q2** Completion drops the framework's reference. With the verifier on the dispatch of the
//!   request holds another one, so that inside the callback a second completion is noticed by name;
//!   without it, and after the callback, the handle is dead (IO-15).

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::hooks::{self, Verifier};
use super::io::Irp;
use super::object::{Body, Kind, Object};
use super::verifier::{self, Break};
use super::{queue, registry};
use crate::abi::*;

/// `FACILITY_DRIVER_FRAMEWORK` in its place, and the bits of a facility.
const FRAMEWORK: u32 = 0x0020_0000;
const FACILITY: u32 = 0x0FFF_0000;
/// The status codes of the framework's own facility that completion turns into particular ones
/// (IO-17), and those.
const CONVERSIONS: [(u32, u32); 4] = [
    (0xC020_0203, 0x8000_0011),
    (0xC020_0204, 0x8000_0011),
    (0xC020_0201, 0xC000_00E5),
    (0xC020_0214, 0xC000_009A),
];

/// What a WDFREQUEST adds to an object.
#[derive(Debug)]
pub(super) struct RequestBody {
    irp: Mutex<Option<Arc<Irp>>>,
    /// The queue that presented it to the driver.
    queue: Mutex<Option<Arc<Object>>>,
    information: AtomicU64,
    driver_owned: AtomicBool,
    completed: AtomicBool,
}

impl RequestBody {
    fn irp(&self) -> Option<Arc<Irp>> {
        self.irp
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

/// Makes the request of an IRP; it has no parent (IO-12).
pub(super) fn create(device: &Arc<Object>, irp: &Arc<Irp>) -> Result<Arc<Object>, NTSTATUS> {
    let body = Body::Request(RequestBody {
        irp: Mutex::new(Some(Arc::clone(irp))),
        queue: Mutex::default(),
        information: AtomicU64::new(0),
        driver_owned: AtomicBool::new(false),
        completed: AtomicBool::new(false),
    });
    let request =
        Object::allocate(Kind::Request, None, body).ok_or(STATUS_INSUFFICIENT_RESOURCES)?;
    request.no_delete.store(true, Ordering::Relaxed);
    request.set_device(device);
    request.commit(None, None)?;
    Ok(request)
}

fn body_of(object: &Object) -> &RequestBody {
    match &object.body {
        Body::Request(body) => body,
        Body::Driver(_)
        | Body::Device(_)
        | Body::General
        | Body::Dpc(_)
        | Body::WorkItem(_)
        | Body::Timer(_)
        | Body::Queue(_) => unreachable!("{object:?} is not a WDFREQUEST"),
    }
}

/// The IRP of a request that nobody has completed yet.
pub(super) fn irp_of(request: &Object) -> Arc<Irp> {
    match body_of(request).irp() {
        Some(irp) => irp,
        None => no_irp(request, "a use of the request"),
    }
}

/// `queue` is about to present the request to the driver.
pub(super) fn present(request: &Object, queue: &Arc<Object>) {
    let body = body_of(request);
    *body.queue.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(queue));
    body.driver_owned.store(true, Ordering::Relaxed);
}

/// Without the verifier the framework follows the request's IRP pointer, which is NULL by then.
fn no_irp(request: &Object, call: &str) -> ! {
    hooks::fail(
        "SYSTEM_SERVICE_EXCEPTION(0x3B)",
        format!("{call}: {} is completed and has no IRP", request.name()),
    )
}

/// Completes the request, whoever owns it: the end of the IRP, then the queue's next request, then
/// the end of the object.
pub(super) fn complete(request: &Arc<Object>, status: NTSTATUS, call: &str) {
    let body = body_of(request);
    let information = body.information.load(Ordering::Relaxed);
    if hooks::verifier() != Verifier::Off {
        check(request, body, status, information);
    }
    body.completed.store(true, Ordering::Relaxed);
    let irp = body
        .irp
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .take();
    let Some(irp) = irp else {
        no_irp(request, call);
    };
    let queue = body
        .queue
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .take();
    body.driver_owned.store(false, Ordering::Relaxed);
    hooks::preempt();
    irp.complete(request.name(), converted(status), information);
    if let Some(queue) = queue {
        queue::request_completed(&queue, request);
    }
    request.delete();
}

/// What a verified framework looks at before it completes (IO-16).
fn check(request: &Object, body: &RequestBody, status: NTSTATUS, information: u64) {
    if body.completed.load(Ordering::Relaxed) {
        verifier::record(Break::RequestCompleted, request.name());
    }
    let room = body.irp().map_or(0, |irp| irp.output_length());
    if status >= 0 && room > 0 && information > room as u64 {
        hooks::fail(
            "WDF_VIOLATION(0x10D,6)",
            format!(
                "{} is completed with {information} bytes of information; its output buffer has {room}",
                request.name()
            ),
        );
    }
}

/// IO-17: status codes of WDF's own facility do not leave the framework.
fn converted(status: NTSTATUS) -> NTSTATUS {
    let code = status.cast_unsigned();
    if code & FACILITY != FRAMEWORK {
        return status;
    }
    let known = CONVERSIONS.iter().find(|(from, _)| *from == code);
    known.map_or(STATUS_INVALID_DEVICE_REQUEST, |(_, to)| to.cast_signed())
}

fn driver_completes(
    request: WDFREQUEST,
    status: NTSTATUS,
    information: Option<u64>,
    call: &'static str,
) {
    let object = registry::of_kind(request, Kind::Request, call);
    let body = body_of(&object);
    if hooks::verifier() != Verifier::Off && !body.driver_owned.load(Ordering::Relaxed) {
        verifier::record(Break::RequestNotDriverOwned, object.name());
        return;
    }
    if let Some(information) = information {
        body.information.store(information, Ordering::Relaxed);
    }
    complete(&object, status, call);
}

/// Completes a request with the information it has (IO-15).
///
/// IRQL: <= DISPATCH.
///
/// # Safety
/// - `request` may be any value: a bad one is a bug check.
pub unsafe extern "C" fn WdfRequestComplete(
    globals: PWDF_DRIVER_GLOBALS,
    request: WDFREQUEST,
    status: NTSTATUS,
) {
    super::enter(globals, "WdfRequestComplete", DISPATCH_LEVEL);
    driver_completes(request, status, None, "WdfRequestComplete");
}

/// Completes a request, with the number of bytes that go back to whoever sent it (IO-15, IO-16).
///
/// IRQL: <= DISPATCH.
///
/// # Safety
/// - `request` may be any value: a bad one is a bug check.
pub unsafe extern "C" fn WdfRequestCompleteWithInformation(
    globals: PWDF_DRIVER_GLOBALS,
    request: WDFREQUEST,
    status: NTSTATUS,
    information: ULONG_PTR,
) {
    const CALL: &str = "WdfRequestCompleteWithInformation";
    super::enter(globals, CALL, DISPATCH_LEVEL);
    driver_completes(request, status, Some(information), CALL);
}

/// Sets the information that [`WdfRequestComplete`] completes the request with.
///
/// IRQL: <= DISPATCH.
///
/// # Safety
/// - `request` may be any value: a bad one is a bug check.
pub unsafe extern "C" fn WdfRequestSetInformation(
    globals: PWDF_DRIVER_GLOBALS,
    request: WDFREQUEST,
    information: ULONG_PTR,
) {
    super::enter(globals, "WdfRequestSetInformation", DISPATCH_LEVEL);
    let object = registry::of_kind(request, Kind::Request, "WdfRequestSetInformation");
    let body = body_of(&object);
    if body.irp().is_none() {
        no_irp(&object, "WdfRequestSetInformation");
    }
    body.information.store(information, Ordering::Relaxed);
}

/// The input of a request, if it has at least `required` bytes (IO-13).
///
/// IRQL: <= DISPATCH.
///
/// # Safety
/// - `request` may be any value: a bad one is a bug check.
/// - `buffer` is NULL, which is a bug check, or writable; `length` is NULL or writable.
#[must_use]
pub unsafe extern "C" fn WdfRequestRetrieveInputBuffer(
    globals: PWDF_DRIVER_GLOBALS,
    request: WDFREQUEST,
    required: usize,
    buffer: *mut PVOID,
    length: *mut usize,
) -> NTSTATUS {
    const CALL: &str = "WdfRequestRetrieveInputBuffer";
    super::enter(globals, CALL, DISPATCH_LEVEL);
    // SAFETY: passed on to the caller.
    unsafe { retrieve(request, required, buffer, length, CALL, Irp::input) }
}

/// The place for the output of a request, if it has at least `required` bytes (IO-13).
///
/// IRQL: <= DISPATCH.
///
/// # Safety
/// - As [`WdfRequestRetrieveInputBuffer`].
#[must_use]
pub unsafe extern "C" fn WdfRequestRetrieveOutputBuffer(
    globals: PWDF_DRIVER_GLOBALS,
    request: WDFREQUEST,
    required: usize,
    buffer: *mut PVOID,
    length: *mut usize,
) -> NTSTATUS {
    const CALL: &str = "WdfRequestRetrieveOutputBuffer";
    super::enter(globals, CALL, DISPATCH_LEVEL);
    // SAFETY: passed on to the caller.
    unsafe { retrieve(request, required, buffer, length, CALL, Irp::output) }
}

unsafe fn retrieve(
    request: WDFREQUEST,
    required: usize,
    buffer: *mut PVOID,
    length: *mut usize,
    call: &str,
    part: impl FnOnce(&Irp) -> (*mut u8, usize),
) -> NTSTATUS {
    let object = registry::of_kind(request, Kind::Request, call);
    registry::not_null(buffer, &format!("{call}: Buffer"));
    // SAFETY: not NULL, and the caller promises that it is writable.
    unsafe { buffer.write(std::ptr::null_mut()) };
    if !length.is_null() {
        // SAFETY: not NULL, and the caller promises that it is writable.
        unsafe { length.write(0) };
    }
    let body = body_of(&object);
    if hooks::verifier() != Verifier::Off && body.completed.load(Ordering::Relaxed) {
        verifier::record(Break::RequestCompleted, object.name());
        return STATUS_INTERNAL_ERROR;
    }
    let Some(irp) = body.irp() else {
        no_irp(&object, call);
    };
    let (address, size) = part(&irp);
    if size == 0 {
        return STATUS_BUFFER_TOO_SMALL;
    }
    if irp.method() == METHOD_NEITHER {
        return STATUS_INVALID_DEVICE_REQUEST;
    }
    if size < required {
        return STATUS_BUFFER_TOO_SMALL;
    }
    // SAFETY: as above.
    unsafe { buffer.write(address.cast()) };
    if !length.is_null() {
        // SAFETY: as above.
        unsafe { length.write(size) };
    }
    STATUS_SUCCESS
}
