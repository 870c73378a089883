//! Memory that is shared under rules of its owner's.

use core::cell;
use core::fmt;

use crate::sync::access;

/// `core`'s `UnsafeCell` whose accesses are preemption points.
#[repr(transparent)]
pub struct UnsafeCell<T: ?Sized>(cell::UnsafeCell<T>);

impl<T: ?Sized> fmt::Debug for UnsafeCell<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UnsafeCell")
    }
}

impl<T: Default> Default for UnsafeCell<T> {
    fn default() -> Self {
        Self::new(T::default())
    }
}

impl<T> UnsafeCell<T> {
    /// A cell with its first value.
    pub const fn new(value: T) -> Self {
        Self(cell::UnsafeCell::new(value))
    }

    /// The value.
    pub fn into_inner(self) -> T {
        self.0.into_inner()
    }
}

impl<T: ?Sized> UnsafeCell<T> {
    /// Runs `f` on a pointer for reading. Dereferencing it is the caller's unsafe code.
    #[inline]
    pub fn with<R>(&self, f: impl FnOnce(*const T) -> R) -> R {
        access(self, "a read of an UnsafeCell");
        f(self.0.get())
    }

    /// Runs `f` on a pointer for writing. Dereferencing it is the caller's unsafe code.
    #[inline]
    pub fn with_mut<R>(&self, f: impl FnOnce(*mut T) -> R) -> R {
        access(self, "a write of an UnsafeCell");
        f(self.0.get())
    }

    /// The value, which nobody else can reach.
    pub const fn get_mut(&mut self) -> &mut T {
        self.0.get_mut()
    }
}
