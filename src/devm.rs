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
use crate::engine::diagnostic::{Diagnostic, report};
use crate::kmdf::Kmdf;
use crate::sync::AtomicPtr;
use crate::sync::Ordering::{AcqRel, Acquire, Relaxed};
use crate::work::{INIT_WORK, cancel_work_sync, work_func_t, work_struct};

/// Linux's `-EBUSY`.
const EBUSY: i32 = 16;

/// What a device takes back. Zeroed memory is an empty list. Linux: part of `struct device`.
#[repr(C)]
#[derive(Debug, Default)]
pub struct devm_list {
    newest: AtomicPtr<devm_action>,
}

/// One entry of a [`devm_list`]. Zeroed memory, or one that was released, can be added.
#[repr(C)]
#[derive(Debug, Default)]
pub struct devm_action {
    older: AtomicPtr<devm_action>,
    /// Null unless it is on a list.
    release: AtomicPtr<()>,
    data: AtomicPtr<c_void>,
}

impl devm_list {
    /// An empty list.
    ///
    /// IRQL: any. Does not block.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            newest: AtomicPtr::new(core::ptr::null_mut()),
        }
    }
}

impl devm_action {
    /// One that is on no list.
    ///
    /// IRQL: any. Does not block.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            older: AtomicPtr::new(core::ptr::null_mut()),
            release: AtomicPtr::new(core::ptr::null_mut()),
            data: AtomicPtr::new(core::ptr::null_mut()),
        }
    }
}

/// What an action does when its device goes, at PASSIVE_LEVEL.
pub type devm_release = unsafe extern "C" fn(data: *mut c_void);

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
    let (device, entry) = unsafe { (&*device, &*action) };
    // ORDERING: the exchange below publishes it.
    let claimed =
        entry
            .release
            .compare_exchange(core::ptr::null_mut(), release as *mut (), Relaxed, Relaxed);
    if claimed.is_err() {
        report::<Kmdf>(
            Diagnostic::ReleasedTwice,
            "devm_add_action",
            action.addr(),
            release as usize,
        );
        return -EBUSY;
    }
    entry.data.store(data, Relaxed);
    // ORDERING: a hint, which the exchange checks.
    let mut newest = device.newest.load(Relaxed);
    loop {
        entry.older.store(newest, Relaxed);
        // ORDERING: Release publishes the entry; pairs with the Acquire of `devm_release_all`.
        match device
            .newest
            .compare_exchange(newest, action, AcqRel, Relaxed)
        {
            Ok(_) => return 0,
            Err(other) => newest = other,
        }
    }
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
    loop {
        // SAFETY: by the caller's word. An action may add another, so it is read anew.
        let newest = unsafe { &(*device).newest };
        // ORDERING: Acquire pairs with the Release of `devm_add_action`.
        let action = newest.load(Acquire);
        // SAFETY: an action stays in place until it is released, and this is the only one to do that.
        let Some(entry) = (unsafe { action.as_ref() }) else {
            return;
        };
        let older = entry.older.load(Relaxed);
        // ORDERING: AcqRel: as above. If another has been added meanwhile, that one is first.
        if newest
            .compare_exchange(action, older, AcqRel, Relaxed)
            .is_err()
        {
            continue;
        }
        let data = entry.data.load(Relaxed);
        // From here on the driver may free the action, or add it again.
        let release = entry.release.swap(core::ptr::null_mut(), AcqRel);
        // SAFETY: `devm_add_action` has put a function of this type there.
        let release = unsafe { core::mem::transmute::<*mut (), devm_release>(release) };
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
/// IRQL: any. Does not block. Returns as [`devm_work_autocancel`] does.
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
