//! What the tests of queues and requests share: devices whose IOCTL callback is a closure.

#![allow(dead_code, reason = "each test binary uses its part")]
#![allow(missing_docs, unreachable_pub, reason = "a module of tests")]

use std::collections::BTreeMap;
use std::ptr::null_mut;
use std::sync::{Arc, Mutex};

use kmdf_mock::call_unsafe_wdf_function_binding as unsafe_wdf;
use kmdf_mock::image::Static;
use kmdf_mock::world::Driver;
use kmdf_mock::*;

use crate::wdf_common::{Device, attributes};

/// `CTL_CODE(FILE_DEVICE_UNKNOWN, 0x800, METHOD_BUFFERED, FILE_ANY_ACCESS)`.
pub const IOCTL: u32 = code(METHOD_BUFFERED);
pub const LINK: &str = r"\DosDevices\MockLink";

pub const fn code(method: u32) -> u32 {
    FILE_DEVICE_UNKNOWN << 16 | FILE_ANY_ACCESS << 14 | 0x800 << 2 | method
}

type OnIoctl = Arc<dyn Fn(Call) + Send + Sync>;

static CALLBACKS: Static<Mutex<BTreeMap<usize, OnIoctl>>> = Static::new(Mutex::default);
static PNP_QUEUE: Static<Mutex<usize>> = Static::new(Mutex::default);

/// A request in the driver's hands, with the arguments of its callback.
#[derive(Debug, Clone, Copy)]
pub struct Call {
    pub request: usize,
    pub output_length: usize,
    pub input_length: usize,
    pub code: u32,
}

impl Call {
    pub fn raw(self) -> WDFREQUEST {
        self.request as WDFREQUEST
    }

    /// The first bytes of the input, or the status of the call that retrieves it.
    pub fn input(self, required: usize) -> Result<Vec<u8>, NTSTATUS> {
        let (address, length) = self.retrieve(required, true)?;
        // SAFETY: the framework says that so many bytes are there, until the completion.
        Ok(unsafe { std::slice::from_raw_parts(address as *const u8, length) }.to_vec())
    }

    /// Address and length of a buffer.
    pub fn retrieve(self, required: usize, input: bool) -> Result<(usize, usize), NTSTATUS> {
        let mut buffer: PVOID = null_mut();
        let mut length = 0;
        let (at, size) = (&raw mut buffer, &raw mut length);
        // SAFETY: both pointers are good for the call.
        let status = unsafe {
            if input {
                unsafe_wdf!(
                    WdfRequestRetrieveInputBuffer,
                    self.raw(),
                    required,
                    at,
                    size
                )
            } else {
                unsafe_wdf!(
                    WdfRequestRetrieveOutputBuffer,
                    self.raw(),
                    required,
                    at,
                    size
                )
            }
        };
        if status < 0 {
            return Err(status);
        }
        Ok((buffer as usize, length))
    }

    /// Writes to the beginning of the output buffer.
    pub fn write(self, bytes: &[u8]) -> Result<(), NTSTATUS> {
        let (address, _) = self.retrieve(bytes.len(), false)?;
        // SAFETY: the framework says that the buffer has at least so many bytes.
        unsafe { (address as *mut u8).copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
        Ok(())
    }

    pub fn complete(self, status: NTSTATUS, information: u64) {
        // SAFETY: any handle may be passed; a bad one fails the world.
        unsafe {
            unsafe_wdf!(
                WdfRequestCompleteWithInformation,
                self.raw(),
                status,
                information
            );
        }
    }

    pub fn complete_plain(self, status: NTSTATUS) {
        // SAFETY: as above.
        unsafe { unsafe_wdf!(WdfRequestComplete, self.raw(), status) }
    }
}

pub unsafe extern "C" fn on_device_control(
    queue: WDFQUEUE,
    request: WDFREQUEST,
    output_length: usize,
    input_length: usize,
    code: u32,
) {
    let callback = CALLBACKS
        .get()
        .lock()
        .unwrap()
        .get(&(queue as usize))
        .cloned();
    let call = Call {
        request: request as usize,
        output_length,
        input_length,
        code,
    };
    callback.expect("the queue has a closure")(call);
}

/// A handle that may cross threads.
#[derive(Clone, Copy, Debug)]
pub struct Queue(pub usize);

impl Queue {
    pub fn raw(self) -> WDFQUEUE {
        self.0 as WDFQUEUE
    }

    pub fn delete(self) {
        // SAFETY: any handle may be passed.
        unsafe { unsafe_wdf!(WdfObjectDelete, self.0 as WDFOBJECT) }
    }
}

/// `f` is the queue's EvtIoDeviceControl from now on.
pub fn on_ioctl(queue: Queue, f: impl Fn(Call) + Send + Sync + 'static) {
    CALLBACKS.get().lock().unwrap().insert(queue.0, Arc::new(f));
}

/// `WDF_IO_QUEUE_CONFIG_INIT_DEFAULT_QUEUE` and a callback.
pub fn queue_config(
    kind: i32,
    callback: PFN_WDF_IO_QUEUE_IO_DEVICE_CONTROL,
) -> WDF_IO_QUEUE_CONFIG {
    let mut config = WDF_IO_QUEUE_CONFIG {
        Size: size_of::<WDF_IO_QUEUE_CONFIG>() as u32,
        DispatchType: kind,
        PowerManaged: _WDF_TRI_STATE::WdfUseDefault,
        DefaultQueue: 1,
        EvtIoDeviceControl: callback,
        ..Default::default()
    };
    if kind == _WDF_IO_QUEUE_DISPATCH_TYPE::WdfIoQueueDispatchParallel {
        config.Settings.Parallel.NumberOfPresentedRequests = u32::MAX;
    }
    config
}

pub fn try_queue(
    device: Device,
    config: &mut WDF_IO_QUEUE_CONFIG,
    attributes: Option<&mut WDF_OBJECT_ATTRIBUTES>,
) -> Result<Queue, NTSTATUS> {
    let mut queue: WDFQUEUE = null_mut();
    let attributes = attributes.map_or(null_mut(), std::ptr::from_mut);
    // SAFETY: all pointers are good for the call.
    let status = unsafe {
        unsafe_wdf!(
            WdfIoQueueCreate,
            device.raw(),
            config,
            attributes,
            &raw mut queue
        )
    };
    if status < 0 {
        return Err(status);
    }
    Ok(Queue(queue as usize))
}

/// Calls `f` with the text as a `UNICODE_STRING`.
pub fn with_string<R>(text: &str, f: impl FnOnce(PCUNICODE_STRING) -> R) -> R {
    let mut units: Vec<u16> = text.encode_utf16().collect();
    let bytes = (units.len() * 2) as u16;
    let string = UNICODE_STRING {
        Length: bytes,
        MaximumLength: bytes,
        Buffer: units.as_mut_ptr(),
    };
    f(&raw const string)
}

/// A control device with a name, before its making is finished.
pub fn try_named_device(
    driver: &Driver,
    name: &str,
    attributes: Option<&mut WDF_OBJECT_ATTRIBUTES>,
) -> Result<Device, NTSTATUS> {
    let attributes = attributes.map_or(null_mut(), std::ptr::from_mut);
    let mut device: WDFDEVICE = null_mut();
    // SAFETY: all pointers are good for the calls they are passed to.
    let status = unsafe {
        let mut init = with_string("D:P(A;;GA;;;SY)", |sddl| {
            unsafe_wdf!(WdfControlDeviceInitAllocate, driver.handle(), sddl)
        });
        let status = with_string(name, |name| {
            unsafe_wdf!(WdfDeviceInitAssignName, init, name)
        });
        sim_assert_eq!(status, STATUS_SUCCESS);
        let status = unsafe_wdf!(WdfDeviceCreate, &raw mut init, attributes, &raw mut device);
        if status < 0 {
            unsafe_wdf!(WdfDeviceInitFree, init);
        }
        status
    };
    if status < 0 {
        return Err(status);
    }
    Ok(Device(device as usize))
}

pub fn named_device_with(
    driver: &Driver,
    name: &str,
    attributes: Option<&mut WDF_OBJECT_ATTRIBUTES>,
) -> Device {
    try_named_device(driver, name, attributes).unwrap()
}

pub fn named_device(driver: &Driver, name: &str) -> Device {
    named_device_with(driver, name, None)
}

pub fn link(device: Device, name: &str) -> NTSTATUS {
    // SAFETY: the string is good for the call.
    with_string(name, |name| unsafe {
        unsafe_wdf!(WdfDeviceCreateSymbolicLink, device.raw(), name)
    })
}

pub fn finish_initializing(device: Device) {
    // SAFETY: any handle may be passed.
    unsafe { unsafe_wdf!(WdfControlFinishInitializing, device.raw()) }
}

/// A control device that is open to the world as [`LINK`], its default queue running `f`.
pub fn open_device(
    driver: &Driver,
    kind: i32,
    limit: u32,
    level: Option<WDF_EXECUTION_LEVEL>,
    f: impl Fn(Call) + Send + Sync + 'static,
) -> Device {
    let device = named_device(driver, r"\Device\Mock");
    sim_assert_eq!(link(device, LINK), STATUS_SUCCESS);
    let mut config = queue_config(kind, Some(on_device_control));
    config.Settings.Parallel.NumberOfPresentedRequests = limit;
    let mut with_level = attributes(0);
    if let Some(level) = level {
        with_level.ExecutionLevel = level;
    }
    let queue = try_queue(device, &mut config, Some(&mut with_level)).unwrap();
    on_ioctl(queue, f);
    finish_initializing(device);
    device
}

unsafe extern "C" fn add(_driver: WDFDRIVER, mut init: PWDFDEVICE_INIT) -> NTSTATUS {
    let mut device: WDFDEVICE = null_mut();
    // SAFETY: the init is the one PnP gave, and both pointers are good for the call.
    let status =
        unsafe { unsafe_wdf!(WdfDeviceCreate, &raw mut init, null_mut(), &raw mut device) };
    sim_assert_eq!(status, STATUS_SUCCESS);
    let sequential = _WDF_IO_QUEUE_DISPATCH_TYPE::WdfIoQueueDispatchSequential;
    let mut config = queue_config(sequential, Some(on_device_control));
    match try_queue(Device(device as usize), &mut config, None) {
        Ok(queue) => {
            *PNP_QUEUE.get().lock().unwrap() = queue.0;
            STATUS_SUCCESS
        }
        Err(status) => status,
    }
}

unsafe extern "C" fn unload(_driver: WDFDRIVER) {}

/// A PnP driver whose devices have a sequential default queue.
pub fn pnp_driver() -> Driver {
    Driver::load_with(WDF_DRIVER_CONFIG {
        Size: size_of::<WDF_DRIVER_CONFIG>() as u32,
        EvtDriverDeviceAdd: Some(add),
        EvtDriverUnload: Some(unload),
        ..Default::default()
    })
    .unwrap()
}

/// The queue of the device that PnP made last.
pub fn pnp_queue() -> Queue {
    Queue(*PNP_QUEUE.get().lock().unwrap())
}
