//! Attaching to KMDF, and what can be asked of the runtime.

use crate::engine::backend::Status;
use crate::engine::runtime::Counters;
use crate::kmdf::{Config, Host, visit};

/// An attach. Dropping it, or [`Attachment::detach`], ends it.
#[derive(Debug)]
#[must_use = "dropping it detaches at once"]
pub struct Attachment {
    _private: (),
}

/// Makes everything that deferred work needs, or counts one more user of what is there.
///
/// The first attach of an image creates every WDF object: a WDFDPC per CPU, a WDFTIMER, and the
/// WDFWORKITEM of `system_wq`. It is the only call that can fail for want of resources, besides
/// [`alloc_workqueue`](crate::workqueue::alloc_workqueue). Before it queueing is refused and
/// reported (BH03).
///
/// # Errors
///
/// `STATUS_INVALID_PARAMETER` for a null handle; `STATUS_INVALID_DEVICE_REQUEST` above
/// PASSIVE_LEVEL, or if the image is attached on another host or with another rule; what KMDF said
/// if an object could not be made; `STATUS_NOT_SUPPORTED` if the crate was built without KMDF.
///
/// IRQL: = PASSIVE. Blocks while another attach or detach is under way.
///
/// # Safety
///
/// The handle in `host` is a live WDFDRIVER or WDFDEVICE of this driver, and stays so until the
/// matching detach.
pub unsafe fn attach(host: Host, config: &Config) -> Result<Attachment, Status> {
    // SAFETY: by the caller's word.
    unsafe { crate::kmdf::attach(host, config)? };
    Ok(Attachment { _private: () })
}

impl Attachment {
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
}

impl Drop for Attachment {
    fn drop(&mut self) {
        crate::kmdf::detach();
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
