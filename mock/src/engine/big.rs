//! The one lock of a world's state.

use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};

/// State of a world behind a lock that the simulation never finds taken.
///
/// In the simulation every context runs on one OS thread, so a lock that is taken when [`Big::with`] is
/// called is a bug of the simulator: somebody switched contexts inside the closure.
#[derive(Debug, Default)]
pub(crate) struct Big<T> {
    value: Mutex<T>,
}

impl<T> Big<T> {
    /// State with its first value.
    pub(crate) const fn new(value: T) -> Self {
        Self {
            value: Mutex::new(value),
        }
    }

    /// Runs `f` on the state. `f` must not reach a preemption point, nor call a driver.
    pub(crate) fn with<R>(&self, f: impl FnOnce(&mut T) -> R) -> R {
        f(&mut self.lock())
    }

    fn lock(&self) -> MutexGuard<'_, T> {
        match self.value.try_lock() {
            Ok(guard) => guard,
            Err(TryLockError::Poisoned(guard)) => guard.into_inner(),
            Err(TryLockError::WouldBlock) => {
                assert!(
                    !crate::world::in_sim(),
                    "kmdf-mock: a context was switched while it held the state of its world"
                );
                self.value.lock().unwrap_or_else(PoisonError::into_inner)
            }
        }
    }
}
