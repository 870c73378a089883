//! Atomics, cells and the bare lock: one provider, chosen here and nowhere else.
//!
//! # Layer
//!
//! The bottom of the crate, beside the backend. Nothing above names `core::sync::atomic`,
//! `UnsafeCell` or `spin`, so that a simulator or a model checker can stand in for them.
//!
//! Every provider exports the same names: the atomics, [`Ordering`], [`UnsafeCell`] with access by
//! closure, and [`SpinLock`], which only [`crate::engine::locked::Locked`] takes, since a lock that
//! does not raise the IRQL first deadlocks against a DPC of its own CPU.

#[cfg(not(feature = "sim"))]
mod native;
#[cfg(not(feature = "sim"))]
pub(crate) use native::*;

#[cfg(feature = "sim")]
pub(crate) use kmdf_mock::sync::{
    AtomicBool, AtomicI32, AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, Ordering, SpinLock,
    UnsafeCell,
};

/// Tells the processor, or the simulator, that this is a bounded wait for another CPU.
#[inline]
pub(crate) fn relax() {
    #[cfg(feature = "sim")]
    kmdf_mock::sync::preempt();
    core::hint::spin_loop();
}
