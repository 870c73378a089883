//! A lock without a guard: raising the IRQL takes it, lowering gives it back.

use std::sync::atomic::{AtomicU32, Ordering};

const FREE: u32 = 0;
const TAKEN: u32 = 1;
/// Taken, and somebody may sleep for it.
const CONTENDED: u32 = 2;
/// Rounds to spin before sleeping.
const ROUNDS: u32 = 100;

/// A mutual exclusion lock on one word.
#[derive(Debug, Default)]
pub(super) struct RawLock {
    state: AtomicU32,
}

impl RawLock {
    pub(super) fn try_lock(&self) -> bool {
        self.state
            .compare_exchange(FREE, TAKEN, Ordering::Acquire, Ordering::Relaxed)
            .is_ok()
    }

    pub(super) fn lock(&self) {
        for _ in 0..ROUNDS {
            if self.try_lock() {
                return;
            }
            std::hint::spin_loop();
        }
        while self.state.swap(CONTENDED, Ordering::Acquire) != FREE {
            self.futex(libc::FUTEX_WAIT, CONTENDED);
        }
    }

    pub(super) fn unlock(&self) {
        if self.state.swap(FREE, Ordering::Release) == CONTENDED {
            self.futex(libc::FUTEX_WAKE, 1);
        }
    }

    fn futex(&self, operation: i32, value: u32) {
        // SAFETY: the word is valid for the whole call, which borrows `self`; a null timeout is allowed.
        unsafe {
            libc::syscall(
                libc::SYS_futex,
                self.state.as_ptr(),
                operation | libc::FUTEX_PRIVATE_FLAG,
                value,
                std::ptr::null::<libc::timespec>(),
            );
        }
    }
}
