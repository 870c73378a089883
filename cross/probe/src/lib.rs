//! A small core of a KMDF driver, written the way the library's KMDF backend is: a control device, one
//! DPC aimed at a processor, one work item, one timer and one system thread. It exists to be compiled
//! and called, so that the stand-in is proven on every shape the backend needs.

#![no_std]

mod objects;
mod thread;

pub use objects::{
    ControlDevice, create_control_device, create_dpc, create_driver, create_timer, create_work_item,
};
pub use thread::{Stop, current_processor, milliseconds, pin, raised, run_on, start, unpin, wait};

use wdk_sys::{
    NTSTATUS, WDFDPC, WDFOBJECT, WDFTIMER, WDFWORKITEM, call_unsafe_wdf_function_binding,
};

/// The pool tag of everything the probe allocates.
pub const TAG: u32 = u32::from_le_bytes(*b"borP");

/// The objects that one attached device owns.
#[derive(Debug)]
pub struct Objects {
    /// Runs at DISPATCH_LEVEL on one processor.
    pub dpc: WDFDPC,
    /// Runs at PASSIVE_LEVEL in a system worker.
    pub work_item: WDFWORKITEM,
    /// Fires at PASSIVE_LEVEL.
    pub timer: WDFTIMER,
}

impl Objects {
    /// Creates the three objects as children of `device`.
    ///
    /// # Errors
    /// The status of the first creation that fails; what was created before it is deleted.
    ///
    /// # Safety
    /// `device` is a live device, and the caller runs at PASSIVE_LEVEL.
    pub unsafe fn create(device: WDFOBJECT, processor: u32) -> Result<Self, NTSTATUS> {
        // SAFETY: the caller vouches for `device` and the level, which is all that creation asks for.
        unsafe {
            let dpc = create_dpc(device, processor)?;
            let work_item = create_work_item(device).inspect_err(|_| delete(dpc.cast()))?;
            let timer = create_timer(device).inspect_err(|status| {
                wdk::println!("probe: no timer, status {status:#x}");
                delete(work_item.cast());
                delete(dpc.cast());
            })?;
            Ok(Self {
                dpc,
                work_item,
                timer,
            })
        }
    }

    /// Queues the DPC. True if it was not queued already.
    ///
    /// # Safety
    /// [`Objects::delete`] has not begun.
    pub unsafe fn schedule(&self) -> bool {
        // SAFETY: the DPC is alive by the contract of this function; any IRQL is legal.
        unsafe { call_unsafe_wdf_function_binding!(WdfDpcEnqueue, self.dpc) != 0 }
    }

    /// Queues the work item.
    ///
    /// # Safety
    /// As [`Objects::schedule`], at or below DISPATCH_LEVEL.
    pub unsafe fn queue(&self) {
        // SAFETY: the work item is alive and the level is legal by the contract of this function.
        unsafe { call_unsafe_wdf_function_binding!(WdfWorkItemEnqueue, self.work_item) }
    }

    /// Arms the timer for `delay` hundreds of nanoseconds from now. True if it was armed already.
    ///
    /// # Safety
    /// As [`Objects::schedule`], at or below DISPATCH_LEVEL.
    pub unsafe fn arm(&self, delay: u32) -> bool {
        let due = -i64::from(delay.max(1));
        // SAFETY: the timer is alive and the level is legal by the contract of this function.
        unsafe { call_unsafe_wdf_function_binding!(WdfTimerStart, self.timer, due) != 0 }
    }

    /// Stops the timer, waits until nothing of the three runs, and deletes them.
    ///
    /// # Safety
    /// Nobody else uses the objects, and the caller runs at PASSIVE_LEVEL.
    pub unsafe fn delete(self) {
        // SAFETY: each handle is alive and this is its last use, by the contract of this function.
        unsafe {
            let _was_armed = call_unsafe_wdf_function_binding!(WdfTimerStop, self.timer, 1);
            let _was_queued = call_unsafe_wdf_function_binding!(WdfDpcCancel, self.dpc, 1);
            wdk_sys::ntddk::KeFlushQueuedDpcs();
            call_unsafe_wdf_function_binding!(WdfWorkItemFlush, self.work_item);
            delete(self.timer.cast());
            delete(self.work_item.cast());
            delete(self.dpc.cast());
        }
    }
}

/// Deletes a framework object.
///
/// # Safety
/// `object` is alive and nobody uses it afterwards.
pub(crate) unsafe fn delete(object: WDFOBJECT) {
    // SAFETY: the contract of this function is that of WdfObjectDelete.
    unsafe { call_unsafe_wdf_function_binding!(WdfObjectDelete, object) }
}
