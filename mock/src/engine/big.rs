//! The one lock of a world's state.

use std::cell::{Cell, UnsafeCell};
use std::fmt;
use std::sync::{Mutex, PoisonError};

/// State of a world behind a lock that the simulation never finds taken.
///
/// In the simulation every context runs on one OS thread, so a lock that is taken when [`Big::with`] is
/// called is a bug of the simulator: somebody switched contexts inside the closure. There the lock is a flag
/// without atomics, since it is taken at nearly every preemption point.
#[derive(Default)]
pub(crate) struct Big<T> {
    lock: Mutex<()>,
    busy: Cell<bool>,
    value: UnsafeCell<T>,
}

// SAFETY: the value moves with the lock, and may be sent.
unsafe impl<T: Send> Send for Big<T> {}
// SAFETY: `with` gives out one reference at a time: in a simulated world because one OS thread alone reaches the
// state and `busy` excludes that it does so twice; elsewhere because of `lock`. A world is one or the other.
unsafe impl<T: Send> Sync for Big<T> {}

impl<T> fmt::Debug for Big<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Big")
    }
}

/// Marks the state as free again, whatever ends the closure.
struct Busy<'a>(&'a Cell<bool>);

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.0.set(false);
    }
}

impl<T> Big<T> {
    /// State with its first value.
    pub(crate) const fn new(value: T) -> Self {
        Self {
            lock: Mutex::new(()),
            busy: Cell::new(false),
            value: UnsafeCell::new(value),
        }
    }

    /// Runs `f` on the state. `f` must not reach a preemption point, nor call a driver.
    #[inline]
    pub(crate) fn with<R>(&self, f: impl FnOnce(&mut T) -> R) -> R {
        let _guard = if crate::world::in_sim() {
            None
        } else {
            Some(self.lock.lock().unwrap_or_else(PoisonError::into_inner))
        };
        assert!(
            !self.busy.replace(true),
            "kmdf-mock: a context was switched while it held the state of its world"
        );
        let _busy = Busy(&self.busy);
        // SAFETY: see the implementation of `Sync`: this is the only reference.
        f(unsafe { &mut *self.value.get() })
    }
}
