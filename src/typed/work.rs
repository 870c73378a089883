//! Typed works.

use core::marker::{PhantomData, PhantomPinned};

use super::owner::{Owner, container};
use crate::work::{DECLARE_WORK, cancel_work_sync, flush_work, work_pending, work_struct};

/// What a work does. `ID` tells apart several works of one type.
pub trait WorkItem<const ID: u64 = 0>: Sized {
    /// How the queue holds the item's container: `Arc<Self>` or `Pin<Box<Self>>`.
    type Pointer: Owner<Target = Self>;

    /// Runs once per accepted queueing, at PASSIVE_LEVEL; it may block. The reference that the
    /// queue held comes back here: dropping it frees the container, if it was the last, and that is
    /// fine.
    fn run(this: Self::Pointer);
}

/// A type with a [`Work`] inside. Implemented by [`impl_has_work!`](crate::impl_has_work).
///
/// # Safety
///
/// `OFFSET` is the offset of the work in `Self`, and `work_of` points to it.
pub unsafe trait HasWork<T, const ID: u64 = 0> {
    /// Where the work is.
    const OFFSET: usize;
    /// The work of a container.
    fn work_of(this: *const Self) -> *const Work<T, ID>;
}

/// A work inside a `T`. Linux: `struct work_struct`, 32 bytes.
#[repr(transparent)]
pub struct Work<T, const ID: u64 = 0> {
    item: work_struct,
    _pinned: PhantomPinned,
    _container: PhantomData<fn(T)>,
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
    /// A work that is ready to be queued.
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

    /// Whether it is pending. A hint. IRQL: any.
    #[must_use]
    pub fn is_pending(&self) -> bool {
        // SAFETY: a shared reference to the item is alive.
        unsafe { work_pending(Self::raw(self)) }
    }

    /// Cancels, keeps others from queueing meanwhile, and waits until it does not run. Returns the
    /// reference that the queue held, if the work was pending. IRQL: = PASSIVE. Blocks.
    /// Linux: `cancel_work_sync`.
    pub fn cancel_sync(&self) -> Option<T::Pointer> {
        // SAFETY: as above. The work was initialised by `new`.
        let pending = unsafe { cancel_work_sync(Self::raw(self)) };
        // SAFETY: a pending work holds one owner, given up in `enqueue`; the cancel made it ours.
        pending.then(|| unsafe {
            take_back::<T::Pointer>(core::ptr::from_ref(self).addr(), T::OFFSET)
        })
    }

    /// Waits until the queued instance and the running ones have ended; whether it waited.
    /// IRQL: = PASSIVE. Blocks. Linux: `flush_work`.
    pub fn flush(&self) -> bool {
        // SAFETY: as above.
        unsafe { flush_work(Self::raw(self)) }
    }
}

/// Takes back the owner of the container of the item at `address`.
///
/// # Safety
///
/// The item was pending with an owner given up by `expose`, and is the caller's now.
pub(super) unsafe fn take_back<P: Owner>(address: usize, offset: usize) -> P {
    // SAFETY: by the caller's word the container's address is one that was given up, once.
    unsafe { P::from_raw(container(address, offset)) }
}

/// What the engine calls.
unsafe extern "C" fn run<T: WorkItem<ID> + HasWork<T, ID>, const ID: u64>(work: *mut work_struct) {
    // SAFETY: one accepted queueing gave up one owner, and it runs once.
    let owner = unsafe { take_back::<T::Pointer>(work.addr(), T::OFFSET) };
    T::run(owner);
}
