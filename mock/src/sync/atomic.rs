//! Atomics.

use core::fmt;
use core::sync::atomic;

use crate::sync::{Ordering, access, written};

macro_rules! atomic {
    ($(#[$doc:meta])* $name:ident $(<$t:ident>)?, $core:ty, $value:ty) => {
        $(#[$doc])*
        #[repr(transparent)]
        pub struct $name $(<$t>)? ($core);

        impl $(<$t>)? fmt::Debug for $name $(<$t>)? {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }

        impl $(<$t>)? $name $(<$t>)? {
            /// An atomic with its first value.
            pub const fn new(value: $value) -> Self {
                Self(<$core>::new(value))
            }

            /// Reads the value.
            #[inline]
            pub fn load(&self, order: Ordering) -> $value {
                access(self, "an atomic load");
                self.0.load(order)
            }

            /// Writes the value.
            #[inline]
            pub fn store(&self, value: $value, order: Ordering) {
                access(self, "an atomic store");
                let before = if cfg!(feature = "sim") { self.0.load(Ordering::Relaxed) } else { value };
                self.0.store(value, order);
                written(self, before, || value);
            }

            /// Writes the value and returns the one before.
            #[inline]
            pub fn swap(&self, value: $value, order: Ordering) -> $value {
                access(self, "an atomic swap");
                let before = self.0.swap(value, order);
                written(self, before, || value);
                before
            }

            /// Writes `new` if the value is `current`; returns the value before either way.
            ///
            /// # Errors
            /// The value, if it is not `current`.
            #[inline]
            pub fn compare_exchange(
                &self,
                current: $value,
                new: $value,
                success: Ordering,
                failure: Ordering,
            ) -> Result<$value, $value> {
                access(self, "an atomic compare-exchange");
                let result = self.0.compare_exchange(current, new, success, failure);
                if let Ok(before) = result {
                    written(self, before, || new);
                }
                result
            }

            /// As [`Self::compare_exchange`], but it may fail without a reason; in a simulated world it
            /// sometimes does.
            ///
            /// # Errors
            /// The value, if it was not written.
            #[inline]
            pub fn compare_exchange_weak(
                &self,
                current: $value,
                new: $value,
                success: Ordering,
                failure: Ordering,
            ) -> Result<$value, $value> {
                access(self, "an atomic compare-exchange");
                if crate::sync::fails_spuriously() {
                    return Err(self.0.load(failure));
                }
                let result = self.0.compare_exchange(current, new, success, failure);
                if let Ok(before) = result {
                    written(self, before, || new);
                }
                result
            }

            /// Applies `f` until its result is written, or until it returns `None`.
            ///
            /// # Errors
            /// The value for which `f` returned `None`.
            #[inline]
            pub fn fetch_update(
                &self,
                set_order: Ordering,
                fetch_order: Ordering,
                mut f: impl FnMut($value) -> Option<$value>,
            ) -> Result<$value, $value> {
                let mut before = self.load(fetch_order);
                while let Some(next) = f(before) {
                    match self.compare_exchange_weak(before, next, set_order, fetch_order) {
                        Ok(value) => return Ok(value),
                        Err(value) => before = value,
                    }
                }
                Err(before)
            }

            /// The value, which nobody else can reach.
            pub fn get_mut(&mut self) -> &mut $value {
                self.0.get_mut()
            }

            /// The value.
            pub const fn into_inner(self) -> $value {
                self.0.into_inner()
            }

            /// The address of the value.
            pub const fn as_ptr(&self) -> *mut $value {
                self.0.as_ptr()
            }
        }
    };
}

macro_rules! fetch {
    ($name:ident, $value:ty: $($(#[$doc:meta])* $op:ident),*) => {
        impl Default for $name {
            fn default() -> Self {
                Self::new(<$value>::default())
            }
        }

        impl $name {
            $(
                $(#[$doc])*
                #[inline]
                pub fn $op(&self, value: $value, order: Ordering) -> $value {
                    access(self, concat!("an atomic ", stringify!($op)));
                    let before = self.0.$op(value, order);
                    written(self, before, || self.0.load(Ordering::Relaxed));
                    before
                }
            )*
        }
    };
}

macro_rules! bits {
    ($name:ident, $value:ty) => {
        fetch!($name, $value:
            /// Ands the value and returns the one before.
            fetch_and,
            /// Ors the value and returns the one before.
            fetch_or,
            /// Exclusive-ors the value and returns the one before.
            fetch_xor
        );
    };
}

macro_rules! integer {
    ($(#[$doc:meta])* $name:ident, $core:ty, $value:ty) => {
        atomic!($(#[$doc])* $name, $core, $value);
        bits!($name, $value);

        impl $name {
            /// Adds to the value and returns the one before.
            #[inline]
            pub fn fetch_add(&self, value: $value, order: Ordering) -> $value {
                access(self, "an atomic fetch_add");
                let before = self.0.fetch_add(value, order);
                written(self, before, || self.0.load(Ordering::Relaxed));
                before
            }

            /// Subtracts from the value and returns the one before.
            #[inline]
            pub fn fetch_sub(&self, value: $value, order: Ordering) -> $value {
                access(self, "an atomic fetch_sub");
                let before = self.0.fetch_sub(value, order);
                written(self, before, || self.0.load(Ordering::Relaxed));
                before
            }

            /// Writes the larger of the two values and returns the one before.
            #[inline]
            pub fn fetch_max(&self, value: $value, order: Ordering) -> $value {
                access(self, "an atomic fetch_max");
                let before = self.0.fetch_max(value, order);
                written(self, before, || self.0.load(Ordering::Relaxed));
                before
            }
        }
    };
}

atomic!(
    /// An atomic `bool`.
    AtomicBool, atomic::AtomicBool, bool
);
bits!(AtomicBool, bool);
integer!(
    /// An atomic `i32`.
    AtomicI32, atomic::AtomicI32, i32
);
integer!(
    /// An atomic `u32`.
    AtomicU32, atomic::AtomicU32, u32
);
integer!(
    /// An atomic `u64`.
    AtomicU64, atomic::AtomicU64, u64
);
integer!(
    /// An atomic `usize`.
    AtomicUsize, atomic::AtomicUsize, usize
);
atomic!(
    /// An atomic pointer.
    AtomicPtr<T>, atomic::AtomicPtr<T>, *mut T
);

impl<T> Default for AtomicPtr<T> {
    fn default() -> Self {
        Self::new(core::ptr::null_mut())
    }
}
