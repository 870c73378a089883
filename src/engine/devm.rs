//! Lists of what a device takes back when it goes, in the driver's memory.
//!
//! # Invariants
//!
//! - **V1** An action is on one list at most: `release` is null if and only if it is on none. Whoever
//!   makes it non-null links it, and whoever unlinks it makes it null.
//! - **V2** Anybody may add to a list at any time; one caller at a time takes from it. So the action that
//!   the taker has read stays the newest, or a newer one is before it.

use core::ffi::c_void;

use static_assertions::const_assert_eq;

use crate::sync::AtomicPtr;
use crate::sync::Ordering::{AcqRel, Acquire, Relaxed};

/// What an action does when its device goes, with the `data` that it was added with.
pub type devm_release = unsafe extern "C" fn(data: *mut c_void);

/// What a device takes back. Zeroed memory is an empty list. Linux: part of `struct device`.
#[repr(C)]
#[derive(Debug, Default)]
pub struct devm_list {
    newest: AtomicPtr<devm_action>,
}

/// One entry of a [`devm_list`]. Zeroed memory, and one that was released, can be added. Linux: allocated by
/// `devres_alloc`.
#[repr(C)]
#[derive(Debug, Default)]
pub struct devm_action {
    older: AtomicPtr<devm_action>,
    /// Null unless it is on a list (V1).
    release: AtomicPtr<()>,
    data: AtomicPtr<c_void>,
}

impl devm_action {
    /// One that is on no list.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            older: AtomicPtr::new(core::ptr::null_mut()),
            release: AtomicPtr::new(core::ptr::null_mut()),
            data: AtomicPtr::new(core::ptr::null_mut()),
        }
    }
}

impl devm_list {
    /// An empty list.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            newest: AtomicPtr::new(core::ptr::null_mut()),
        }
    }

    /// Adds `action`; `false` if it is on a list already.
    ///
    /// # Safety
    ///
    /// `action` is valid, and stays in place until it is taken.
    pub(crate) unsafe fn push(
        &self,
        action: *mut devm_action,
        release: devm_release,
        data: *mut c_void,
    ) -> bool {
        // SAFETY: by the caller's word; all of it is atomic.
        let entry = unsafe { &*action };
        // ORDERING: V1: the winner owns the entry; the exchange below publishes it. Acquire pairs with the
        // Release of `pop`, so that what that has read is read.
        let claimed = entry.release.compare_exchange(
            core::ptr::null_mut(),
            release as *mut (),
            Acquire,
            Relaxed,
        );
        if claimed.is_err() {
            return false;
        }
        // ORDERING: the exchange below publishes these.
        entry.data.store(data, Relaxed);
        let mut newest = self.newest.load(Relaxed);
        loop {
            entry.older.store(newest, Relaxed);
            // ORDERING: Release publishes the entry, and what the driver has made ready before; pairs with
            // the Acquire of `pop`.
            match self
                .newest
                .compare_exchange(newest, action, AcqRel, Relaxed)
            {
                Ok(_) => return true,
                Err(other) => newest = other,
            }
        }
    }

    /// Takes the newest action, and returns what it does. The driver may free it from here on.
    ///
    /// # Safety
    ///
    /// Nobody else takes at the same time (V2).
    pub(crate) unsafe fn pop(&self) -> Option<(devm_release, *mut c_void)> {
        loop {
            // ORDERING: Acquire pairs with the Release of `push`.
            let newest = self.newest.load(Acquire);
            // SAFETY: V2: it stays in place until it is taken, and only the caller takes.
            let entry = unsafe { newest.as_ref() }?;
            // ORDERING: read after the load above, and written before it was published.
            let older = entry.older.load(Relaxed);
            // ORDERING: AcqRel: a newer one, if that is there now, is taken first.
            if self
                .newest
                .compare_exchange(newest, older, AcqRel, Relaxed)
                .is_err()
            {
                continue;
            }
            // ORDERING: as above.
            let data = entry.data.load(Relaxed);
            // ORDERING: Release: whoever adds it again does so after these reads.
            let release = entry.release.swap(core::ptr::null_mut(), AcqRel);
            // SAFETY: V1: `push` has put a function of this type there.
            let release = unsafe { core::mem::transmute::<*mut (), devm_release>(release) };
            return Some((release, data));
        }
    }
}

// The C headers assert the same: include/linux/devm-helpers.h.
const_assert_eq!(size_of::<devm_list>(), 8);
const_assert_eq!(size_of::<devm_action>(), 24);
