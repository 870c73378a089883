//! The three NT primitives the framework builds on, wrapped so that the rest of it is safe code.
//!
//! The framework keeps its data in ordinary mutexes that are never held across a call down; the NT
//! lock around them is what blocks, raises IRQL and opens the windows of facts W-7, W-11, T-14.

use std::cell::UnsafeCell;
use std::fmt;
use std::time::Duration;

use super::hooks;
use crate::abi::*;
use crate::ntddk;

/// A `KSPIN_LOCK` of the framework's own.
pub(super) struct FxLock {
    raw: UnsafeCell<KSPIN_LOCK>,
}

// SAFETY: the word is touched only by the spin lock functions, which are made for sharing.
unsafe impl Sync for FxLock {}

impl fmt::Debug for FxLock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FxLock")
    }
}

impl FxLock {
    pub(super) const fn new() -> Self {
        Self {
            raw: UnsafeCell::new(0),
        }
    }

    /// Takes the lock and returns the IRQL to go back to. A verified framework yields first (O-10).
    pub(super) fn acquire(&self) -> KIRQL {
        hooks::yield_before_lock();
        // SAFETY: the lock word lives as long as `self` and starts as zero, which is valid (N-10).
        unsafe { ntddk::KeAcquireSpinLockRaiseToDpc(self.raw.get()) }
    }

    /// Gives the lock back; everything that waited for this IRQL or this lock may run here.
    pub(super) fn release(&self, irql: KIRQL) {
        // SAFETY: the caller is the holder and hands back what `acquire` returned.
        unsafe { ntddk::KeReleaseSpinLock(self.raw.get(), irql) }
    }
}

/// A `KEVENT` of the framework's own.
pub(super) struct FxEvent {
    raw: UnsafeCell<KEVENT>,
}

// SAFETY: the event is touched only by the event functions, which are made for sharing.
unsafe impl Sync for FxEvent {}
// SAFETY: the event may be used, and lies still, on any thread.
unsafe impl Send for FxEvent {}

impl fmt::Debug for FxEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FxEvent")
    }
}

impl FxEvent {
    /// An event that [`FxEvent::init`] makes usable once it lies where it stays (N-1).
    pub(super) const fn uninit() -> Self {
        let header = _DISPATCHER_HEADER {
            Lock: 0,
            SignalState: 0,
            WaitListHead: LIST_ENTRY {
                Flink: core::ptr::null_mut(),
                Blink: core::ptr::null_mut(),
            },
        };
        Self {
            raw: UnsafeCell::new(KEVENT { Header: header }),
        }
    }

    pub(super) fn init(&self, kind: EVENT_TYPE, signalled: bool) {
        // SAFETY: nobody else knows the event yet and it does not move afterwards.
        unsafe { ntddk::KeInitializeEvent(self.raw.get(), kind, signalled.into()) }
    }

    pub(super) fn set(&self) {
        // SAFETY: `init` was called when the owner was made.
        unsafe { ntddk::KeSetEvent(self.raw.get(), 0, 0) };
    }

    pub(super) fn clear(&self) {
        // SAFETY: `init` was called when the owner was made.
        unsafe { ntddk::KeClearEvent(self.raw.get()) };
    }

    /// Waits inside a critical region, at most `timeout` if given. False means that it timed out.
    pub(super) fn wait(&self, what: &str, timeout: Option<Duration>) -> bool {
        let mut due = LARGE_INTEGER { QuadPart: 0 };
        let pointer = match timeout {
            None => std::ptr::null_mut(),
            Some(limit) => {
                due.QuadPart = -((limit.as_nanos() / 100) as i64);
                &raw mut due
            }
        };
        let status = hooks::waiting_for(what, || {
            // SAFETY: the event outlives the wait because the caller holds its owner, and the
            // timeout lies on this stack until the call returns.
            unsafe {
                ntddk::KeEnterCriticalRegion();
                let status = ntddk::KeWaitForSingleObject(
                    self.raw.get().cast(),
                    _KWAIT_REASON::Executive,
                    _MODE::KernelMode as KPROCESSOR_MODE,
                    0,
                    pointer,
                );
                ntddk::KeLeaveCriticalRegion();
                status
            }
        });
        status != STATUS_TIMEOUT
    }
}
