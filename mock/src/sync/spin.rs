//! A raw spin lock.

use core::{hint, ptr};

use crate::sync::{AtomicBool, Ordering};
use crate::world::try_current;

/// Rounds of a real spin before the OS thread gives its time away.
const ROUNDS: u32 = 64;

/// A spin lock without a value. It does not change the IRQL: whoever shares it with an interrupt raises
/// first.
#[derive(Debug, Default)]
#[repr(transparent)]
pub struct SpinLock(AtomicBool);

impl SpinLock {
    /// A free lock.
    pub const fn new() -> Self {
        Self(AtomicBool::new(false))
    }

    /// Takes the lock.
    pub fn lock(&self) {
        let mut rounds = 0;
        while !self.try_lock() {
            match try_current() {
                Some(w) => w.engine.spin(w, ptr::from_ref(self).addr()),
                None if rounds < ROUNDS => hint::spin_loop(),
                None => std::thread::yield_now(),
            }
            rounds += 1;
        }
    }

    /// Takes the lock if it is free.
    pub fn try_lock(&self) -> bool {
        self.0
            .compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed)
            .is_ok()
    }

    /// Frees the lock.
    ///
    /// # Panics
    /// In builds with debug assertions, if it is free.
    pub fn unlock(&self) {
        let held = self.0.swap(false, Ordering::Release);
        debug_assert!(held, "a spin lock is unlocked that nobody holds");
        if let Some(w) = try_current() {
            w.engine.unlocked(w, ptr::from_ref(self).addr());
        }
    }
}
