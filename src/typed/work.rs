//! Typed works.

use core::marker::{PhantomData, PhantomPinned};

use super::owner::{Owner, take_back};
use crate::work::{
    DECLARE_WORK, cancel_work, cancel_work_sync, disable_work, disable_work_sync, enable_work,
    flush_work, work_pending, work_struct,
};

/// What a [`Work`] or a [`DelayedWork`](crate::DelayedWork) does. `ID` tells apart several items of one
/// type.
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no function for this work",
    label = "the trait `WorkItem` is missing, or has another number or another `Pointer`",
    note = "`impl WorkItem<ID> for {Self}` says which pointer the queue holds, and what runs"
)]
pub trait WorkItem<const ID: u64 = 0>: Sized {
    /// How the queue holds the item's container: `Arc<Self>` or `Pin<Box<Self>>`.
    type Pointer: Owner<Target = Self>;

    /// Runs once per accepted queueing, at PASSIVE_LEVEL, in a thread of the system; it may block.
    ///
    /// `this` is the reference that the queue held. Dropping it frees the container, if it was the last,
    /// and that is fine. With an `Arc`, and with [`SelfReentrant`](crate::WorkReentrance), the function
    /// may run in parallel with itself.
    fn run(this: Self::Pointer);
}

/// A type with a [`Work`] inside. Implemented by [`impl_has_work!`](crate::impl_has_work).
///
/// # Safety
///
/// `OFFSET` is the offset of the work in `Self`, and `work_of` points to it, aligned.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not say which field is this work",
    label = "no `Work` of this number is known in `{Self}`",
    note = "`impl_has_work! {{ impl HasWork<Self, ID> for {Self} {{ self.field }} }}` says it"
)]
pub unsafe trait HasWork<T, const ID: u64 = 0> {
    /// Where the work is.
    const OFFSET: usize;
    /// The work of a container.
    fn work_of(this: *const Self) -> *const Work<T, ID>;
}

/// A work inside a `T`: [`WorkItem::run`] is called later, at PASSIVE_LEVEL. Linux: `struct
/// work_struct`, 32 bytes.
///
/// It is queued by its owner: [`WorkqueueRef::enqueue`](crate::WorkqueueRef::enqueue). While it is
/// pending the queue holds a reference to the container, so the container is not freed. Who cancels or
/// disables it gets that reference back. A work in a box has no caller who could cancel it: the queue
/// holds all there is.
///
/// ```
/// use std::sync::Arc;
/// use bottomhalf::{Config, Host, Work, WorkItem, WorkReentrance, Workqueue, attach};
/// use kmdf_mock::world::{Driver, Gate, Sim};
///
/// struct Adapter {
///     reset: Work<Adapter>,
///     done: Gate,
/// }
/// bottomhalf::impl_has_work! { impl HasWork<Self> for Adapter { self.reset } }
///
/// impl WorkItem for Adapter {
///     type Pointer = Arc<Self>;
///     fn run(this: Arc<Self>) {
///         this.done.open();
///     }
/// }
///
/// Sim::new(1).run(|| {
///     let driver = Driver::load();
///     let host = Host::Driver(driver.handle().cast());
///     let attached = unsafe { attach(host, &Config::new(WorkReentrance::NonReentrant)) }.unwrap();
///
///     let adapter = Arc::new(Adapter { reset: Work::new(), done: Gate::new() });
///     assert!(Workqueue::system().enqueue(Arc::clone(&adapter)).is_ok());
///     adapter.done.wait(); // until it has run
///     assert!(adapter.reset.cancel_sync().is_none()); // nothing to hand back
///
///     attached.detach();
///     driver.unload();
/// }).unwrap();
/// ```
#[repr(transparent)]
pub struct Work<T, const ID: u64 = 0> {
    item: work_struct,
    _pinned: PhantomPinned,
    /// Invariant: `run` is that of this very `T`, and a sub- or supertype has functions of its own.
    _container: PhantomData<fn(T) -> T>,
}

impl<T, const ID: u64> core::fmt::Debug for Work<T, ID> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Work<{ID}>({:?})", self.item)
    }
}

impl<T: WorkItem<ID> + HasWork<T, ID>, const ID: u64> Default for Work<T, ID> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: WorkItem<ID> + HasWork<T, ID>, const ID: u64> Work<T, ID> {
    /// A work that is ready to be queued. Nothing can fail. IRQL: any. Linux: `INIT_WORK`.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            item: DECLARE_WORK(run::<T, ID>),
            _pinned: PhantomPinned,
            _container: PhantomData,
        }
    }

    /// The Linux item.
    pub(super) const fn raw(this: *const Self) -> *mut work_struct {
        this.cast_mut().cast()
    }

    /// Whether it is queued. A hint: it may have changed. IRQL: any. Does not block. Linux:
    /// `work_pending`.
    #[must_use]
    pub fn is_pending(&self) -> bool {
        // SAFETY: a shared reference to the item is alive.
        unsafe { work_pending(Self::raw(self)) }
    }

    /// Cancels and does not wait; an instance that runs goes on.
    ///
    /// Returns the reference that the queue held if the work was queued, `None` if it was idle or only
    /// running.
    ///
    /// IRQL: any; but drop the reference where the container's `Drop` may run. Does not block. Linux:
    /// `cancel_work`.
    pub fn cancel(&self) -> Option<T::Pointer> {
        // SAFETY: a shared reference to the item is alive during the call.
        let pending = unsafe { cancel_work(Self::raw(self)) };
        self.owner_if(pending)
    }

    /// Cancels, keeps others from queueing meanwhile, and waits until it does not run.
    ///
    /// Returns the reference that the queue held if the work was queued when the call began, `None` if it
    /// was idle or only running. Whoever queues it later must be stopped first.
    ///
    /// IRQL: = PASSIVE. Blocks. From its own function (BH07), or at DISPATCH_LEVEL (BH06), it cancels and
    /// does not wait. Linux: `cancel_work_sync`.
    pub fn cancel_sync(&self) -> Option<T::Pointer> {
        // SAFETY: as in `cancel`.
        let pending = unsafe { cancel_work_sync(Self::raw(self)) };
        self.owner_if(pending)
    }

    /// Waits until the instance that is queued, if any, and those that run have ended. Returns whether it
    /// waited.
    ///
    /// IRQL: = PASSIVE. Blocks. From its own function (BH07), or at DISPATCH_LEVEL (BH06), it returns
    /// `false` at once. Linux: `flush_work`.
    pub fn flush(&self) -> bool {
        // SAFETY: as in `cancel`.
        unsafe { flush_work(Self::raw(self)) }
    }

    /// Disables once more, so that queueing is refused and hands the owner back, and cancels; does not
    /// wait.
    ///
    /// Returns as [`Self::cancel`]. Up to 65 535 times at once; one more does nothing (BH08). It also counts
    /// while nothing is attached.
    ///
    /// IRQL: any; as for [`Self::cancel`]. Does not block. Linux: `disable_work`.
    pub fn disable(&self) -> Option<T::Pointer> {
        // SAFETY: as in `cancel`; initialised by `new`.
        let pending = unsafe { disable_work(Self::raw(self)) };
        self.owner_if(pending)
    }

    /// As [`Self::disable`], and waits until it does not run.
    ///
    /// IRQL: = PASSIVE. Blocks; otherwise as [`Self::cancel_sync`]. Linux: `disable_work_sync`.
    pub fn disable_sync(&self) -> Option<T::Pointer> {
        // SAFETY: as in `disable`.
        let pending = unsafe { disable_work_sync(Self::raw(self)) };
        self.owner_if(pending)
    }

    /// Takes one disable back; does not queue. Returns whether the work can be queued again. One enable
    /// too many is reported (BH14) and returns `true`.
    ///
    /// IRQL: any. Does not block. Linux: `enable_work`.
    pub fn enable(&self) -> bool {
        // SAFETY: as in `disable`.
        unsafe { enable_work(Self::raw(self)) }
    }

    fn owner_if(&self, pending: bool) -> Option<T::Pointer> {
        // SAFETY: a pending work holds one owner, given up in `enqueue`; the cancel made it ours.
        pending.then(|| unsafe { take_back(core::ptr::from_ref(self).addr(), T::OFFSET) })
    }
}

/// What the engine calls.
unsafe extern "C" fn run<T: WorkItem<ID> + HasWork<T, ID>, const ID: u64>(work: *mut work_struct) {
    // SAFETY: one accepted queueing gave up one owner, and it runs once.
    let owner = unsafe { take_back::<T::Pointer>(work.addr(), T::OFFSET) };
    T::run(owner);
}
