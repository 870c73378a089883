//! The I/O manager's part: handles to a device, IRPs, and the harness call that sends one.
//!
//! # Invariants
//!
//! - **I1** A handle is open only while its device takes requests, and a device stays until the last
//!   one is closed: a control device that the driver deletes earlier goes with that close (O-16), a
//!   removal and an unload wait for it (IO-11, IO-21).
//! - **I2** An IRP is completed once. Its buffers are the driver's until then and freed memory
//!   afterwards.

use std::fmt;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::device;
use super::hooks;
use super::object::{Kind, Object};
use super::primitives::{FxEvent, FxLock};
use super::{queue, request, wdf};
use crate::abi::*;
use crate::ntddk;

/// The handles of one device, from the first open or the default queue on.
#[derive(Debug)]
pub(super) struct Handles {
    lock: FxLock,
    closed: FxEvent,
    state: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    count: u32,
    /// The driver deleted the device while a handle was open.
    delete_at_close: bool,
}

impl Handles {
    /// No handle; [`Handles::init`] makes the event usable.
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            lock: FxLock::new(),
            closed: FxEvent::uninit(),
            state: Mutex::default(),
        })
    }

    pub(super) fn init(&self) {
        self.closed.init(_EVENT_TYPE::NotificationEvent, true);
    }

    fn state(&self) -> MutexGuard<'_, Open> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the last close.
    pub(super) fn wait_until_closed(&self, device: &str) {
        self.closed
            .wait(&format!("the last handle of {device} to close"), None);
    }

    /// The driver deletes a control device; false if the last close is to do it (O-16).
    pub(super) fn may_delete(&self) -> bool {
        let irql = self.lock.acquire();
        let mut state = self.state();
        let free = state.count == 0;
        state.delete_at_close |= !free;
        drop(state);
        self.lock.release(irql);
        free
    }

    fn open(&self, device: &Object) -> bool {
        let irql = self.lock.acquire();
        let open = device::takes_requests(device) && !device::is_going(device);
        if open {
            self.state().count += 1;
            self.closed.clear();
        }
        self.lock.release(irql);
        open
    }

    fn close(&self, device: &Arc<Object>) {
        let irql = self.lock.acquire();
        let mut state = self.state();
        state.count -= 1;
        let last = state.count == 0;
        let delete = last && std::mem::take(&mut state.delete_at_close);
        drop(state);
        self.lock.release(irql);
        if delete {
            device.delete();
        }
        let irql = self.lock.acquire();
        let closed = last && self.state().count == 0;
        if closed {
            self.closed.set();
        }
        self.lock.release(irql);
    }
}

/// How an IOCTL ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IoStatus {
    /// The status that the request was completed with, or that it was refused with.
    pub status: NTSTATUS,
    /// The information that the request was completed with: for a good status the bytes of output.
    pub information: u64,
    /// What the caller finds in its output buffer, as many bytes as `information` says.
    pub output: Vec<u8>,
}

impl IoStatus {
    fn refused(status: NTSTATUS) -> Self {
        Self {
            status,
            information: 0,
            output: Vec::new(),
        }
    }
}

/// An `IRP_MJ_DEVICE_CONTROL` from user mode.
pub(super) struct Irp {
    code: u32,
    input: (usize, usize),
    output: (usize, usize),
    done: FxEvent,
    result: Mutex<Option<IoStatus>>,
}

impl fmt::Debug for Irp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "IRP of IOCTL {:#x}", self.code)
    }
}

impl Irp {
    /// An IRP with its buffers, as the code's method asks for them (IO-14).
    fn new(code: u32, input: &[u8], output_length: usize) -> Arc<Self> {
        let (input_at, output_at) = match code & 3 {
            METHOD_BUFFERED => {
                let system = hooks::system_buffer(input.len().max(output_length));
                (system, if output_length == 0 { 0 } else { system })
            }
            METHOD_NEITHER => (0, 0),
            _ => (
                hooks::system_buffer(input.len()),
                hooks::system_buffer(output_length),
            ),
        };
        if input_at != 0 {
            // SAFETY: the block is new and has room for the input.
            unsafe { (input_at as *mut u8).copy_from_nonoverlapping(input.as_ptr(), input.len()) };
        }
        let irp = Arc::new(Self {
            code,
            input: (input_at, input.len()),
            output: (output_at, output_length),
            done: FxEvent::uninit(),
            result: Mutex::default(),
        });
        irp.done.init(_EVENT_TYPE::NotificationEvent, false);
        irp
    }

    pub(super) const fn code(&self) -> u32 {
        self.code
    }

    pub(super) const fn method(&self) -> u32 {
        self.code & 3
    }

    pub(super) const fn input_length(&self) -> usize {
        self.input.1
    }

    pub(super) const fn output_length(&self) -> usize {
        self.output.1
    }

    /// Where the input lies, and its length.
    pub(super) fn input(&self) -> (*mut u8, usize) {
        (self.input.0 as *mut u8, self.input.1)
    }

    /// Where the output goes, and its length.
    pub(super) fn output(&self) -> (*mut u8, usize) {
        (self.output.0 as *mut u8, self.output.1)
    }

    /// `IoCompleteRequest`: the output goes to the caller and the buffers go.
    pub(super) fn complete(&self, name: &str, status: NTSTATUS, information: u64) {
        let (address, room) = self.output;
        let is_error = status.cast_unsigned() >> 30 == 3;
        let copied = !is_error && address != 0;
        if copied && self.method() == METHOD_BUFFERED && information > room as u64 {
            // NT copies as many bytes as the driver says: past the end of the caller's buffer.
            hooks::fail(
                &format!("SIM_BUFFER_OVERRUN({name})"),
                format!("{information} bytes of information, {room} bytes of output buffer"),
            );
        }
        let mut output = Vec::new();
        if copied {
            let length = room.min(usize::try_from(information).unwrap_or(room));
            // SAFETY: the block is alive until it is freed below, and as long as `room`.
            output = unsafe { std::slice::from_raw_parts(address as *const u8, length) }.to_vec();
        }
        self.free_buffers();
        let mut result = self.result.lock().unwrap_or_else(PoisonError::into_inner);
        *result = Some(IoStatus {
            status,
            information,
            output,
        });
        drop(result);
        self.done.set();
    }

    fn free_buffers(&self) {
        let (input, output) = (self.input.0, self.output.0);
        if input != 0 {
            hooks::free_system_buffer(input);
        }
        if output != 0 && output != input {
            hooks::free_system_buffer(output);
        }
    }

    /// Waits for the completion.
    fn wait(&self, request: &str) -> IoStatus {
        self.done.wait(&format!("{request} to be completed"), None);
        let mut result = self.result.lock().unwrap_or_else(PoisonError::into_inner);
        result
            .take()
            .unwrap_or_else(|| IoStatus::refused(STATUS_UNSUCCESSFUL))
    }
}

/// The device that an IOCTL goes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IoTarget {
    /// The device with this handle.
    Device(usize),
    /// The device behind this symbolic link: `\DosDevices\Name`, `\??\Name` or `\\.\Name`.
    Link(String),
}

impl From<WDFDEVICE> for IoTarget {
    fn from(device: WDFDEVICE) -> Self {
        Self::Device(device as usize)
    }
}

impl From<&str> for IoTarget {
    fn from(link: &str) -> Self {
        Self::Link(link.to_owned())
    }
}

/// Opens a device, sends it one IOCTL from the current thread, as `DeviceIoControl` does, waits for
/// the completion and closes the device. The buffers are those of the code's method; with
/// `METHOD_NEITHER` the driver gets none. PASSIVE_LEVEL.
///
/// A device that does not take requests, because it is not ready yet or on its way out, refuses with
/// `STATUS_NO_SUCH_DEVICE`, a name that nobody has with `STATUS_OBJECT_NAME_NOT_FOUND`.
///
/// # Panics
/// Outside a world.
pub fn ioctl(
    target: impl Into<IoTarget>,
    code: u32,
    input: &[u8],
    output_length: usize,
) -> IoStatus {
    hooks::check_wait("world::ioctl");
    hooks::preempt();
    let device = match target.into() {
        IoTarget::Device(address) => wdf().registry.find(address),
        IoTarget::Link(name) => match wdf().names.device_of(&name) {
            Some(address) => wdf().registry.find(address),
            None => return IoStatus::refused(STATUS_OBJECT_NAME_NOT_FOUND),
        },
    };
    let Some(device) = device.filter(|device| device.kind() == Kind::Device) else {
        return IoStatus::refused(STATUS_NO_SUCH_DEVICE);
    };
    let handles = device::handles(&device);
    if !handles.open(&device) {
        return IoStatus::refused(STATUS_NO_SUCH_DEVICE);
    }
    let result = send(&device, code, input, output_length);
    handles.close(&device);
    result
}

/// IO-7: from the dispatch routine to the queue, in a critical region.
fn send(device: &Arc<Object>, code: u32, input: &[u8], output_length: usize) -> IoStatus {
    let Some(queue) = device::default_queue(device) else {
        return IoStatus::refused(STATUS_INVALID_DEVICE_REQUEST);
    };
    let irp = Irp::new(code, input, output_length);
    // SAFETY: the calls pair up, on one thread.
    unsafe { ntddk::KeEnterCriticalRegion() };
    let request = request::create(device, &irp);
    let name: Arc<str> = match &request {
        Ok(request) => Arc::clone(request.name()),
        Err(_) => "a request without memory".into(),
    };
    match request {
        Ok(request) => queue::add(&queue, request),
        Err(status) => irp.complete(&name, status, 0),
    }
    // SAFETY: as above.
    unsafe { ntddk::KeLeaveCriticalRegion() };
    irp.wait(&name)
}

/// Marks a device as on its way out: nobody opens it any more.
pub(super) fn close_door(device: &Object) {
    device::going(device).store(true, Ordering::Relaxed);
}
