//! Typed delayed works.

use core::marker::{PhantomData, PhantomPinned};

use super::work::{WorkItem, take_back};
use crate::delayed_work::{
    DECLARE_DELAYED_WORK, cancel_delayed_work, cancel_delayed_work_sync, delayed_work,
    delayed_work_pending, flush_delayed_work,
};
use crate::work::work_struct;

/// A type with a [`DelayedWork`] inside. Implemented by
/// [`impl_has_delayed_work!`](crate::impl_has_delayed_work).
///
/// # Safety
///
/// `OFFSET` is the offset of the delayed work in `Self`, and `delayed_work_of` points to it.
pub unsafe trait HasDelayedWork<T, const ID: u64 = 0> {
    /// Where the delayed work is.
    const OFFSET: usize;
    /// The delayed work of a container.
    fn delayed_work_of(this: *const Self) -> *const DelayedWork<T, ID>;
}

/// A delayed work inside a `T`. Linux: `struct delayed_work`, 88 bytes.
#[repr(transparent)]
pub struct DelayedWork<T, const ID: u64 = 0> {
    item: delayed_work,
    _pinned: PhantomPinned,
    _container: PhantomData<fn(T)>,
}

impl<T, const ID: u64> core::fmt::Debug for DelayedWork<T, ID> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "DelayedWork<{ID}>({:?})", self.item)
    }
}

impl<T: WorkItem<ID> + HasDelayedWork<T, ID>, const ID: u64> Default for DelayedWork<T, ID> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: WorkItem<ID> + HasDelayedWork<T, ID>, const ID: u64> DelayedWork<T, ID> {
    /// A delayed work that is ready to be queued.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            item: DECLARE_DELAYED_WORK(run::<T, ID>),
            _pinned: PhantomPinned,
            _container: PhantomData,
        }
    }

    /// The Linux item.
    pub(super) const fn raw(this: *const Self) -> *mut delayed_work {
        this.cast_mut().cast()
    }

    /// Whether it is armed or queued. A hint. IRQL: any.
    #[must_use]
    pub fn is_pending(&self) -> bool {
        // SAFETY: a shared reference to the item is alive.
        unsafe { delayed_work_pending(Self::raw(self)) }
    }

    /// Cancels and does not wait. Returns the reference that was held, if it was pending. IRQL:
    /// any; but mind where the reference may be dropped. Linux: `cancel_delayed_work`.
    pub fn cancel(&self) -> Option<T::Pointer> {
        // SAFETY: as above.
        let pending = unsafe { cancel_delayed_work(Self::raw(self)) };
        self.owner_if(pending)
    }

    /// Cancels, keeps others from queueing meanwhile, and waits until it does not run, also if it
    /// re-arms itself. Returns the reference that was held, if it was pending. IRQL: = PASSIVE.
    /// Blocks.
    /// Linux: `cancel_delayed_work_sync`.
    pub fn cancel_sync(&self) -> Option<T::Pointer> {
        // SAFETY: as above.
        let pending = unsafe { cancel_delayed_work_sync(Self::raw(self)) };
        self.owner_if(pending)
    }

    /// Queues it now if it is armed, and waits until it has run; whether it waited. IRQL: =
    /// PASSIVE. Blocks. Linux: `flush_delayed_work`.
    pub fn flush(&self) -> bool {
        // SAFETY: as above.
        unsafe { flush_delayed_work(Self::raw(self)) }
    }

    fn owner_if(&self, pending: bool) -> Option<T::Pointer> {
        // SAFETY: a pending item holds one owner, given up when it was queued; the cancel made it
        // ours.
        pending.then(|| unsafe {
            take_back::<T::Pointer>(core::ptr::from_ref(self).addr(), T::OFFSET)
        })
    }
}

/// What the engine calls.
unsafe extern "C" fn run<T: WorkItem<ID> + HasDelayedWork<T, ID>, const ID: u64>(
    work: *mut work_struct,
) {
    // SAFETY: one accepted queueing gave up one owner, and it runs once; `work` is the first
    // member.
    let owner = unsafe { take_back::<T::Pointer>(work.addr(), T::OFFSET) };
    T::run(owner);
}
