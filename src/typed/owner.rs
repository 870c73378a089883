//! Pointers that a queue can hold: [`Arc`] and [`Pin<Box>`].

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::pin::Pin;

/// A pointer that owns its target, wholly or in part, and keeps it in place: `Arc<T>` or `Pin<Box<T>>`.
///
/// A queue holds it for as long as an item in the target is pending, and hands it to the function. That
/// may be in any thread at any later time, so it borrows nothing and may be sent: `Arc<T>` needs a `T`
/// that is `Send` and `Sync`, for others may use it meanwhile; a box needs a `T` that is `Send`.
///
/// # Safety
///
/// `into_raw` gives a pointer to the whole target that stays valid, and its target unmoved, until
/// `from_raw` takes it back; also if other owners of the same target come and go meanwhile.
#[diagnostic::on_unimplemented(
    message = "a queue cannot hold `{Self}`",
    label = "neither an `Arc<T>` nor a `Pin<Box<T>>` that may go to another thread",
    note = "`Arc<T>` needs `T: Send + Sync + 'static`, `Pin<Box<T>>` needs `T: Send + 'static`"
)]
pub unsafe trait Owner: Sized + Send + 'static {
    /// What it points to.
    type Target;
    /// Gives the ownership up.
    fn into_raw(self) -> *const Self::Target;
    /// Takes the ownership back.
    ///
    /// # Safety
    ///
    /// `raw` came from `into_raw`, and this is the only time it is taken back.
    unsafe fn from_raw(raw: *const Self::Target) -> Self;
}

// SAFETY: an `Arc`'s target stays where it is while a reference exists, and a raw one counts.
unsafe impl<T: Send + Sync + 'static> Owner for Arc<T> {
    type Target = T;
    fn into_raw(self) -> *const T {
        Self::into_raw(self)
    }
    unsafe fn from_raw(raw: *const T) -> Self {
        // SAFETY: by the caller's word.
        unsafe { Self::from_raw(raw) }
    }
}

// SAFETY: a pinned box's target stays where it is until the box is dropped, and a raw one is not.
unsafe impl<T: Send + 'static> Owner for Pin<Box<T>> {
    type Target = T;
    fn into_raw(self) -> *const T {
        // SAFETY: the target is not moved: only its address leaves, and comes back in `from_raw`.
        Box::into_raw(unsafe { Self::into_inner_unchecked(self) })
    }
    unsafe fn from_raw(raw: *const T) -> Self {
        // SAFETY: by the caller's word it came from `Box::into_raw`.
        let target = unsafe { Box::from_raw(raw.cast_mut()) };
        // SAFETY: it was pinned before it became a raw pointer, and has not moved since.
        unsafe { Self::new_unchecked(target) }
    }
}

/// Gives an owner up, so that its address can travel through an item in the container.
pub(super) fn expose<P: Owner>(owner: P) -> *const P::Target {
    let raw = owner.into_raw();
    // The item comes back as a pointer to a field; the container is found through this.
    raw.expose_provenance();
    raw
}

/// The container of the item at `address`, `offset` bytes into it, as [`expose`] gave it up.
pub(super) fn container<T>(address: usize, offset: usize) -> *const T {
    core::ptr::with_exposed_provenance(address - offset)
}

/// Takes back the owner of the container of the item at `address`.
///
/// # Safety
///
/// The item was pending with an owner given up by [`expose`], and is the caller's now.
pub(super) unsafe fn take_back<P: Owner>(address: usize, offset: usize) -> P {
    // SAFETY: by the caller's word the container's address is one that was given up, once.
    unsafe { P::from_raw(container(address, offset)) }
}
