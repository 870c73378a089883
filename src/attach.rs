//! Attaching to KMDF, and what can be asked of the runtime.

use crate::engine::backend::Status;
use crate::engine::diagnostic::{Diagnostic, report};
use crate::engine::runtime::Counters;
use crate::kmdf::{Config, Host, Kmdf, visit};
use crate::sync::AtomicU32;
use crate::sync::Ordering::Relaxed;

/// An attach. Dropping it, or [`Attachment::detach`], ends it.
#[derive(Debug)]
#[must_use = "dropping it detaches at once"]
pub struct Attachment {
    /// How often it has frozen the runtime.
    freezes: AtomicU32,
}

/// Makes everything that deferred work needs, or counts one more user of what is there.
///
/// The first attach of an image creates every WDF object: a WDFDPC per CPU, two WDFTIMERs, and a
/// WDFWORKITEM for each of the [`system_queues`](crate::system_queues). It is the only call that can
/// fail for want of resources, besides [`alloc_workqueue`](crate::workqueue::alloc_workqueue). Before
/// it queueing is refused and reported (BH03).
///
/// # Errors
///
/// `STATUS_INVALID_PARAMETER` for a null handle; `STATUS_INVALID_DEVICE_REQUEST` above
/// APC_LEVEL, or if the image is attached on another host or with another rule; what KMDF said
/// if an object could not be made; `STATUS_NOT_SUPPORTED` if the crate was built without KMDF.
///
/// IRQL: = PASSIVE. Blocks while another attach or detach is under way: a work must not attach while the
/// last detach may be, for that waits for the work.
///
/// # Safety
///
/// The handle in `host` is a live WDFDRIVER or WDFDEVICE of this driver, and stays so until the
/// matching detach.
pub unsafe fn attach(host: Host, config: &Config) -> Result<Attachment, Status> {
    // SAFETY: by the caller's word.
    unsafe { crate::kmdf::attach(host, config)? };
    Ok(Attachment {
        freezes: AtomicU32::new(0),
    })
}

impl Attachment {
    /// Freezes the workqueues that were made with [`WQ_FREEZABLE`](crate::workqueue::WQ_FREEZABLE): for
    /// EvtDeviceSelfManagedIoSuspend. They take works, also those of timers, and start none. Returns when
    /// the works of theirs that run have ended. Cancelling goes on; a flush waits for the thaw. A queue
    /// that is destroyed, or detached, is thawed for it: what is pending runs.
    ///
    /// Counted, over all attaches of the image: queues belong to the driver, so they stand still as long
    /// as one device is suspended.
    ///
    /// IRQL: = PASSIVE. Blocks. From a work of such a queue (BH07), or at DISPATCH_LEVEL (BH06), it
    /// freezes, does not wait, and says so.
    pub fn freeze(&self) {
        if let Some(runtime) = visit() {
            runtime.freeze();
            // After the runtime's own count: a thaw that comes in between must find nothing to take back.
            // ORDERING: a count; the runtime's own is under a lock.
            self.freezes.fetch_add(1, Relaxed);
            runtime.wait_until_frozen();
        }
    }

    /// Takes one [`Self::freeze`] of this attach back: for EvtDeviceSelfManagedIoRestart. With the last
    /// one of the image the works that were held start. One too many is reported (BH30) and ignored. An
    /// attach that ends thaws what it has frozen.
    ///
    /// IRQL: <= DISPATCH. Does not block. KMDF: one `WdfWorkItemEnqueue` per queue.
    pub fn thaw(&self) {
        if !self.thaw_once() {
            report::<Kmdf>(Diagnostic::ThawUnderflow, "thaw", 0, 0);
        }
    }

    fn thaw_once(&self) -> bool {
        // ORDERING: as in `freeze`.
        let take = |freezes: u32| freezes.checked_sub(1);
        let frozen = self.freezes.fetch_update(Relaxed, Relaxed, take).is_ok();
        if frozen && let Some(runtime) = visit() {
            runtime.thaw();
        }
        frozen
    }

    /// Ends this attach. The last one refuses all queueing, runs everything that is pending, and
    /// deletes the objects: nothing of ours runs after it returns, in particular not after
    /// EvtDriverUnload (O-17). What was still armed, disabled or not destroyed is reported (BH10,
    /// BH11, BH13).
    ///
    /// IRQL: = PASSIVE. Blocks. At DISPATCH_LEVEL (BH06), and from a work if it is the last one
    /// (BH07), it does not happen, and says so: the image stays attached.
    pub fn detach(self) {
        drop(self);
    }

    /// As [`Self::detach`]; `false` if it did not happen.
    pub(crate) fn end(&mut self) -> bool {
        while self.thaw_once() {}
        crate::kmdf::detach()
    }
}

impl Drop for Attachment {
    fn drop(&mut self) {
        self.end();
    }
}

/// Counts since attach; all zero if nothing is attached.
///
/// IRQL: <= APC.
#[must_use]
pub fn counters() -> Counters {
    visit()
        .map(|runtime| runtime.counters())
        .unwrap_or_default()
}
