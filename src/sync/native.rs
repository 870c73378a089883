//! The provider of a real driver: core's atomics and the `spin` crate.
#![allow(
    clippy::disallowed_types,
    reason = "this is the one place where the real types are named"
)]

pub(crate) use core::sync::atomic::{
    AtomicBool, AtomicI32, AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, Ordering,
};

/// A cell whose content is reached by closure, the shape that model checkers need.
#[derive(Debug, Default)]
#[repr(transparent)]
pub(crate) struct UnsafeCell<T>(core::cell::UnsafeCell<T>);

impl<T> UnsafeCell<T> {
    pub(crate) const fn new(value: T) -> Self {
        Self(core::cell::UnsafeCell::new(value))
    }

    /// Calls `f` with a pointer to the content, for writing.
    #[inline]
    pub(crate) fn with_mut<R>(&self, f: impl FnOnce(*mut T) -> R) -> R {
        f(self.0.get())
    }
}

/// The bare spin lock. It neither raises the IRQL nor guards a value.
#[derive(Debug)]
pub(crate) struct SpinLock(spin::mutex::SpinMutex<()>);

impl SpinLock {
    pub(crate) const fn new() -> Self {
        Self(spin::mutex::SpinMutex::new(()))
    }

    /// Spins until the lock is this CPU's.
    #[inline]
    pub(crate) fn lock(&self) {
        core::mem::forget(self.0.lock());
    }

    /// Gives the lock back. Only its holder calls this.
    #[inline]
    pub(crate) fn unlock(&self) {
        // SAFETY: the caller is the holder whose guard `lock` has forgotten, so the lock is held
        // and nobody else unlocks it.
        unsafe { self.0.force_unlock() }
    }
}
