//! KMDF: WDFDPC, WDFWORKITEM, WDFTIMER, the object tree, driver and device, over the calls of
//! [`crate::ntddk`].
//!
//! The public functions are those of the WDF function table, with wdk-sys's names and the
//! signatures of its `PFN_` types.
//! [`call_unsafe_wdf_function_binding!`](crate::call_unsafe_wdf_function_binding) calls them as in
//! a driver; [`function_table`] has them by index.
//!
//! # Layer
//!
//! Above: drivers. Below: `ntddk`, and the few things in `hooks` that are not NT calls. Nothing
//! here knows which engine runs the world.
//!
//! # Where it does not imitate
//!
//! - A timer create that fails for want of an NT timer keeps its reference count in order; the
//!   framework is suspected not to (T-10).
//! - The 60-second wait of a work item's flush and delete (W-20) ends after three rounds with
//!   `SIM_DEADLOCK` or `SIM_LIVELOCK` instead of going on for ever.
//! - Siblings are disposed in an order that the seed picks (O-4).
//! - A queue's wait for requests (IO-10) ends after three rounds with `SIM_DEADLOCK`.
//! - Of requests there are IOCTLs from user mode, by the default queue; nothing cancels one that the
//!   driver has. Interrupts and power states do not exist: every queue has power, EvtIoStop and
//!   EvtIoResume are never called.

#![allow(
    non_snake_case,
    reason = "the function names are those of the KMDF headers"
)]

mod attributes;
mod callback_lock;
mod device;
mod dispose_list;
mod dpc;
mod driver;
mod harness;
mod hooks;
mod io;
mod name;
mod object;
mod object_api;
mod primitives;
mod queue;
mod queue_create;
mod registry;
mod request;
mod rundown;
mod strings;
mod system_work_item;
mod table;
mod timer;
mod verifier;
mod work_item;

use std::cell::UnsafeCell;
use std::fmt;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

pub use device::{
    WdfControlDeviceInitAllocate, WdfControlFinishInitializing, WdfDeviceCreate,
    WdfDeviceInitAssignName, WdfDeviceInitFree,
};
pub use dpc::{WdfDpcCancel, WdfDpcCreate, WdfDpcEnqueue, WdfDpcGetParentObject, WdfDpcWdmGetDpc};
pub use driver::WdfDriverCreate;
pub use harness::{Driver, DriverEntry};
pub use io::{IoStatus, IoTarget, ioctl};
pub use name::WdfDeviceCreateSymbolicLink;
pub use object_api::{
    WdfObjectCreate, WdfObjectDelete, WdfObjectDereferenceActual, WdfObjectGetTypedContextWorker,
    WdfObjectReferenceActual,
};
pub use queue::WdfIoQueueGetDevice;
pub use queue_create::WdfIoQueueCreate;
pub use request::{
    WdfRequestComplete, WdfRequestCompleteWithInformation, WdfRequestRetrieveInputBuffer,
    WdfRequestRetrieveOutputBuffer, WdfRequestSetInformation,
};
pub use table::function_table;
pub use timer::{WdfTimerCreate, WdfTimerGetParentObject, WdfTimerStart, WdfTimerStop};
pub use work_item::{
    WdfWorkItemCreate, WdfWorkItemEnqueue, WdfWorkItemFlush, WdfWorkItemGetParentObject,
};

use self::device::Inits;
use self::name::Names;
use self::object::Object;
use self::primitives::FxEvent;
use self::registry::Registry;
use crate::abi::*;

/// Calls a WDF function by name as a driver does, with the globals of the world's image in front.
/// An `unsafe` call, in the shape of wdk-sys's macro of the same name.
#[macro_export]
macro_rules! call_unsafe_wdf_function_binding {
    ($name:ident $(, $argument:expr)* $(,)?) => {
        $crate::wdf::$name($crate::wdf::driver_globals() $(, $argument)*)
    };
}

/// The framework's state in one world: `FX_DRIVER_GLOBALS`, in the framework's own words.
pub(crate) struct Wdf {
    globals: Box<UnsafeCell<WDF_DRIVER_GLOBALS>>,
    registry: Registry,
    inits: Inits,
    names: Names,
    driver: Mutex<Option<Arc<Object>>>,
    /// References that keep the image: one of the driver object, one per run of a work item (W-25).
    references: AtomicI32,
    destroyed: FxEvent,
    harness: harness::State,
}

// SAFETY: the globals are written while the driver is created and while it is unloaded, when no
// other context uses them; all else is shareable by itself.
unsafe impl Sync for Wdf {}
// SAFETY: as above.
unsafe impl Send for Wdf {}

impl fmt::Debug for Wdf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Wdf")
    }
}

impl Default for Wdf {
    fn default() -> Self {
        let globals = WDF_DRIVER_GLOBALS {
            Driver: std::ptr::null_mut(),
            DriverFlags: 0,
            DriverTag: 0,
            DriverName: [0; 32],
            DisplaceDriverUnload: 0,
        };
        Self {
            globals: Box::new(UnsafeCell::new(globals)),
            registry: Registry::new(),
            inits: Inits::new(),
            names: Names::default(),
            driver: Mutex::new(None),
            references: AtomicI32::new(0),
            destroyed: FxEvent::uninit(),
            harness: harness::State::default(),
        }
    }
}

impl Wdf {
    /// The driver object, from its creation to the end of its unload.
    fn driver(&self) -> Option<Arc<Object>> {
        self.driver
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// A driver was created.
    fn bind(&self, driver: &Arc<Object>, path: &str, flags: ULONG) {
        self.destroyed.init(_EVENT_TYPE::NotificationEvent, false);
        self.references.store(1, Ordering::Relaxed);
        *self.driver.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(driver));
        let service = path.rsplit('\\').next().unwrap_or("WDF");
        let mut name = [0; 32];
        for (slot, byte) in name.iter_mut().zip(service.bytes().take(31)) {
            *slot = byte as CHAR;
        }
        let globals = WDF_DRIVER_GLOBALS {
            Driver: driver.handle().cast(),
            DriverFlags: flags,
            DriverTag: u32::from_le_bytes(*b"WDFd"),
            DriverName: name,
            DisplaceDriverUnload: 1,
        };
        // SAFETY: the driver is being created: no other context of its image runs yet.
        unsafe { self.globals.get().write(globals) };
    }

    /// The driver object was deleted: waits for the runs of work items that are still out (O-17).
    fn unbind(&self) {
        *self.driver.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.release();
        self.destroyed.wait(
            "the work item callbacks that are still running (O-17)",
            None,
        );
        // SAFETY: the driver is gone, and so is every context of its image that used the framework.
        unsafe { (*self.globals.get()).Driver = std::ptr::null_mut() };
    }

    fn add_ref(&self) {
        self.references.fetch_add(1, Ordering::AcqRel);
    }

    fn release(&self) {
        if self.references.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.destroyed.set();
        }
    }
}

/// The framework's state in the current world.
fn wdf() -> &'static Wdf {
    crate::world::state::current().extension::<Wdf>()
}

/// The globals of the image in the current world, as `WdfDriverGlobals` in a driver.
pub fn driver_globals() -> PWDF_DRIVER_GLOBALS {
    wdf().globals.get()
}

/// Every call passes the globals first; another pointer is a bad call.
fn check_globals(globals: PWDF_DRIVER_GLOBALS, call: &str) {
    if globals != driver_globals() {
        hooks::fail(
            "WDF_VIOLATION(0x10D,5)",
            format!("{call}: the first argument is not the image's WdfDriverGlobals"),
        );
    }
}

/// The door of every call.
fn enter(globals: PWDF_DRIVER_GLOBALS, call: &'static str, ceiling: u32) {
    check_globals(globals, call);
    verifier::enter(call, ceiling);
}
