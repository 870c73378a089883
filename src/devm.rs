//! What a device takes back when it goes, as `linux/devm-helpers.h` has it.
//!
//! Linux keeps a list for each `struct device`, and works through it, newest first, once the driver's
//! `remove` has returned. KMDF has nothing that guarantees an order between a device's children (O-4), so
//! the list is the driver's own: a [`devm_list`] in the device's context, which is zeroed (O-2) and so
//! empty, and a call of [`devm_release_all`] from `EvtDeviceReleaseHardware`, or from the context's
//! `EvtCleanupCallback`. Nothing is allocated: each entry is a [`devm_action`] beside the item.
//! Why so: `docs/adr/0009-devm-lists.md`.

use core::ffi::c_void;

use crate::delayed_work::{INIT_DELAYED_WORK, cancel_delayed_work_sync, delayed_work};
pub use crate::engine::devm::{devm_action, devm_list, devm_release};
use crate::engine::diagnostic::{Diagnostic, report};
use crate::kmdf::Kmdf;
use crate::work::{INIT_WORK, cancel_work_sync, work_func_t, work_struct};

/// Linux's `-EBUSY`.
const EBUSY: i32 = 16;

/// Has `release` called with `data` when `device` goes. Linux: `devm_add_action`.
///
/// Returns 0, or `-EBUSY` if `action` is on a list already, which is reported (BH26).
///
/// IRQL: any. Does not block, does not allocate, makes no KMDF call.
///
/// # Safety
///
/// `device` and `action` are valid; `action` stays in place until it is released, and `release` can take
/// `data` until then.
pub unsafe fn devm_add_action(
    device: *mut devm_list,
    action: *mut devm_action,
    release: devm_release,
    data: *mut c_void,
) -> i32 {
    // SAFETY: by the caller's word.
    if unsafe { (*device).push(action, release, data) } {
        return 0;
    }
    report::<Kmdf>(
        Diagnostic::ReleasedTwice,
        "devm_add_action",
        action.addr(),
        release as usize,
    );
    -EBUSY
}

/// Does what was added to `device`, newest first, and empties it; also what is added meanwhile. Linux:
/// `devres_release_all`, which the driver core calls after `remove`.
///
/// IRQL: = PASSIVE. Blocks as the actions do. At DISPATCH_LEVEL the cancels do not wait (BH06).
///
/// # Safety
///
/// `device` is valid, and nobody else releases it at the same time.
pub unsafe fn devm_release_all(device: *mut devm_list) {
    // SAFETY: by the caller's word.
    while let Some((release, data)) = unsafe { (*device).pop() } {
        // SAFETY: by the word of who added it.
        unsafe { release(data) };
    }
}

/// [`INIT_WORK`], and a [`cancel_work_sync`] when `device` goes. Linux: `devm_work_autocancel`, whose
/// device has the list and whose action is allocated.
///
/// Returns 0, or `-EBUSY` as [`devm_add_action`]; then the work is left as it is.
///
/// IRQL: any. Does not block, does not allocate, makes no KMDF call.
///
/// # Safety
///
/// `work` is valid and not pending. It, `device` and `action` stay in place until the list is released.
pub unsafe fn devm_work_autocancel(
    device: *mut devm_list,
    action: *mut devm_action,
    work: *mut work_struct,
    func: work_func_t,
) -> i32 {
    unsafe extern "C" fn cancel(work: *mut c_void) {
        // SAFETY: the work that the action was added with.
        unsafe { cancel_work_sync(work.cast()) };
    }
    // SAFETY: by the caller's word.
    let status = unsafe { devm_add_action(device, action, cancel, work.cast()) };
    if status == 0 {
        // SAFETY: by the caller's word.
        unsafe { INIT_WORK(work, func) };
    }
    status
}

/// [`INIT_DELAYED_WORK`], and a [`cancel_delayed_work_sync`] when `device` goes. Linux:
/// `devm_delayed_work_autocancel`.
///
/// Returns what [`devm_work_autocancel`] does.
///
/// IRQL: any. Does not block, does not allocate, makes no KMDF call.
///
/// # Safety
///
/// `dwork` is valid and not pending. It, `device` and `action` stay in place until the list is released.
pub unsafe fn devm_delayed_work_autocancel(
    device: *mut devm_list,
    action: *mut devm_action,
    dwork: *mut delayed_work,
    func: work_func_t,
) -> i32 {
    unsafe extern "C" fn cancel(dwork: *mut c_void) {
        // SAFETY: the delayed work that the action was added with.
        unsafe { cancel_delayed_work_sync(dwork.cast()) };
    }
    // SAFETY: by the caller's word.
    let status = unsafe { devm_add_action(device, action, cancel, dwork.cast()) };
    if status == 0 {
        // SAFETY: by the caller's word.
        unsafe { INIT_DELAYED_WORK(dwork, func) };
    }
    status
}
