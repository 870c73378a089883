//! Raise first, then lock: the counterpart of `spin_lock_irqsave`.
//!
//! # Invariants
//!
//! - **L1** A [`Raised`] value exists only while its CPU is at HIGH_LEVEL: no interrupt, DPC or
//!   other thread runs there, and the caller cannot migrate.
//! - **L2** The content of a [`Locked`] is reached only through a [`Guard`], which needs a
//!   `Raised`: the holder is never interrupted, so a waiter on another CPU waits for a bounded few
//!   lines.
//! - **L3** While a guard is held nothing is called down into the backend and nothing allocates.
//! - **L4** Nothing is printed at HIGH_LEVEL, which is above what `DbgPrint` allows: a diagnostic is
//!   left in the `Raised` and said when the level is the caller's again.

use core::cell::Cell;
use core::marker::PhantomData;
use core::ops::{Deref, DerefMut};

use super::backend::{Backend, Irql};
use super::diagnostic::Report;
use crate::sync::{SpinLock, UnsafeCell};

/// Proof that this CPU is at HIGH_LEVEL (L1). Dropping it restores the caller's IRQL.
#[derive(Debug)]
pub(crate) struct Raised<B: Backend> {
    from: Irql,
    /// What is to be said once the level is the caller's again (L4).
    report: Cell<Option<Report>>,
    /// Neither `Send` nor `Sync`: the proof is about this CPU.
    _cpu: PhantomData<*mut B>,
}

impl<B: Backend> Raised<B> {
    /// Raises. IRQL: any.
    #[inline]
    pub(crate) fn new() -> Self {
        Self {
            from: B::raise_to_high(),
            report: Cell::new(None),
            _cpu: PhantomData,
        }
    }

    /// The level that the caller came from.
    pub(crate) fn from(&self) -> Irql {
        self.from
    }

    /// Lowers only as far as DISPATCH for `f`, where kicks and wakes are legal, then restores.
    /// The caller came from DISPATCH or below.
    pub(crate) fn finish_at_dispatch(self, f: impl FnOnce()) {
        let (from, report) = (self.from, self.report.take());
        core::mem::forget(self);
        B::lower(Irql::DISPATCH);
        f();
        if from < Irql::DISPATCH {
            B::lower(from);
        }
        if let Some(report) = report {
            report.print::<B>();
        }
    }

    /// Lowers only as far as DISPATCH, and leaves the CPU there. The caller came from DISPATCH or
    /// below.
    pub(crate) fn stay_at_dispatch(self) {
        core::mem::forget(self);
        B::lower(Irql::DISPATCH);
    }

    /// Leaves `report` for the end of the section.
    #[inline(always)]
    pub(crate) fn say(&self, report: Report) {
        self.report.set(Some(report));
    }
}

impl<B: Backend> Drop for Raised<B> {
    #[inline(always)]
    fn drop(&mut self) {
        B::lower(self.from);
        if let Some(report) = self.report.take() {
            report.print::<B>();
        }
    }
}

/// A value behind a spin lock that can only be taken at HIGH_LEVEL (L2).
#[derive(Debug)]
pub(crate) struct Locked<T> {
    lock: SpinLock,
    value: UnsafeCell<T>,
}

// SAFETY: L2: the value is reached by one guard at a time; whoever shares the lock may send it.
unsafe impl<T: Send> Sync for Locked<T> {}
// SAFETY: moving the lock moves the value, which is `Send`.
unsafe impl<T: Send> Send for Locked<T> {}

impl<T> Locked<T> {
    pub(crate) const fn new(value: T) -> Self {
        Self {
            lock: SpinLock::new(),
            value: UnsafeCell::new(value),
        }
    }

    /// Takes the lock on this CPU, which is at HIGH_LEVEL while `_raised` lives.
    #[inline]
    pub(crate) fn lock<'a, B: Backend>(&'a self, _raised: &'a Raised<B>) -> Guard<'a, T> {
        self.lock.lock();
        Guard {
            locked: self,
            _cpu: PhantomData,
        }
    }
}

/// Exclusive access to the content of a [`Locked`].
#[derive(Debug)]
pub(crate) struct Guard<'a, T> {
    locked: &'a Locked<T>,
    _cpu: PhantomData<*mut ()>,
}

impl<T> Deref for Guard<'_, T> {
    type Target = T;
    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: L2: this guard holds the lock until it drops, so nobody writes meanwhile.
        self.locked.value.with_mut(|value| unsafe { &*value })
    }
}

impl<T> DerefMut for Guard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: L2: this guard holds the lock until it drops, and it is borrowed uniquely.
        self.locked.value.with_mut(|value| unsafe { &mut *value })
    }
}

impl<T> Drop for Guard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        self.locked.lock.unlock();
    }
}
