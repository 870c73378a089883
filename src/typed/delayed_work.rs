//! Typed delayed works.

use core::marker::{PhantomData, PhantomPinned};

use super::owner::take_back;
use super::work::WorkItem;
use crate::delayed_work::{
    DECLARE_DELAYED_WORK, cancel_delayed_work, cancel_delayed_work_sync, delayed_work,
    delayed_work_pending, disable_delayed_work, disable_delayed_work_sync, enable_delayed_work,
    flush_delayed_work,
};
use crate::work::work_struct;

/// A type with a [`DelayedWork`] inside. Implemented by
/// [`impl_has_delayed_work!`](crate::impl_has_delayed_work).
///
/// # Safety
///
/// `OFFSET` is the offset of the delayed work in `Self`, and `delayed_work_of` points to it, aligned.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not say which field is this delayed work",
    label = "no `DelayedWork` of this number is known in `{Self}`",
    note = "`impl_has_delayed_work! {{ impl HasDelayedWork<Self, ID> for {Self} {{ self.field }} }}` says it"
)]
pub unsafe trait HasDelayedWork<T, const ID: u64 = 0> {
    /// Where the delayed work is.
    const OFFSET: usize;
    /// The delayed work of a container.
    fn delayed_work_of(this: *const Self) -> *const DelayedWork<T, ID>;
}

/// A delayed work inside a `T`: [`WorkItem::run`] is called after a number of jiffies, at
/// PASSIVE_LEVEL. Linux: `struct delayed_work`, 88 bytes.
///
/// It is armed by its owner: [`WorkqueueRef::enqueue_delayed`](crate::WorkqueueRef::enqueue_delayed),
/// or [`modify_delayed`](crate::WorkqueueRef::modify_delayed). While it is armed or queued the queue
/// holds a reference to the container. A queue that is dropped while works are armed for it runs them
/// once, at once (BH10), so it is not used after it is gone, as in Linux.
///
/// ```
/// # use std::sync::Arc;
/// # use std::sync::atomic::{AtomicU32, Ordering};
/// # use bottomhalf::{Config, DelayedWork, Host, WorkItem, WorkReentrance, Workqueue, attach};
/// # use kmdf_mock::world::{self, Driver, Sim};
/// struct Watchdog {
///     tick: DelayedWork<Watchdog>,
///     barks: AtomicU32,
/// }
/// bottomhalf::impl_has_delayed_work! { impl HasDelayedWork<Self> for Watchdog { self.tick } }
///
/// impl WorkItem for Watchdog {
///     type Pointer = Arc<Self>;
///     fn run(this: Arc<Self>) {
///         this.barks.fetch_add(1, Ordering::SeqCst);
///         // Again in ten jiffies; refused, and dropped, once it is being cancelled.
///         let _ = Workqueue::system().enqueue_delayed(this, 10);
///     }
/// }
///
/// # Sim::new(1).run(|| {
/// # let driver = Driver::load();
/// # let host = Host::Driver(driver.handle().cast());
/// # let attached = unsafe { attach(host, &Config::new(WorkReentrance::NonReentrant)) }.unwrap();
/// let dog = Arc::new(Watchdog { tick: DelayedWork::new(), barks: AtomicU32::new(0) });
/// assert!(Workqueue::system().enqueue_delayed(Arc::clone(&dog), 10).is_ok());
/// world::sleep_100ns(10_000_000); // a second: 250 jiffies
/// assert!(dog.tick.cancel_sync().is_some()); // it was armed again
/// assert!(dog.barks.load(Ordering::SeqCst) > 10);
/// # attached.detach();
/// # driver.unload();
/// # }).unwrap();
/// ```
#[repr(transparent)]
pub struct DelayedWork<T, const ID: u64 = 0> {
    item: delayed_work,
    _pinned: PhantomPinned,
    /// Invariant, as in `Work`.
    _container: PhantomData<fn(T) -> T>,
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
    /// A delayed work that is ready to be armed. Nothing can fail. IRQL: any. Linux:
    /// `INIT_DELAYED_WORK`.
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

    /// Whether it is armed or queued. A hint: it may have changed. IRQL: any. Does not block. Linux:
    /// `delayed_work_pending`.
    #[must_use]
    pub fn is_pending(&self) -> bool {
        // SAFETY: a shared reference to the item is alive.
        unsafe { delayed_work_pending(Self::raw(self)) }
    }

    /// Cancels, armed or queued, and does not wait; an instance that runs goes on.
    ///
    /// Returns the reference that the queue held if the work was armed or queued, `None` if it was idle
    /// or only running.
    ///
    /// IRQL: any; but drop the reference where the container's `Drop` may run. Does not block. Linux:
    /// `cancel_delayed_work`.
    pub fn cancel(&self) -> Option<T::Pointer> {
        // SAFETY: a shared reference to the item is alive during the call.
        let pending = unsafe { cancel_delayed_work(Self::raw(self)) };
        self.owner_if(pending)
    }

    /// Cancels, keeps others from arming and queueing meanwhile, and waits until it does not run, also if
    /// it arms itself again.
    ///
    /// Returns the reference that the queue held if the work was armed or queued when the call began,
    /// `None` if it was idle or only running.
    ///
    /// IRQL: = PASSIVE. Blocks. From its own function (BH07), or at DISPATCH_LEVEL (BH06), it cancels and
    /// does not wait. Linux: `cancel_delayed_work_sync`.
    pub fn cancel_sync(&self) -> Option<T::Pointer> {
        // SAFETY: as in `cancel`.
        let pending = unsafe { cancel_delayed_work_sync(Self::raw(self)) };
        self.owner_if(pending)
    }

    /// Queues it now if it is armed, and waits until it has run. Returns whether it waited.
    ///
    /// IRQL: = PASSIVE. Blocks. From its own function (BH07), or at DISPATCH_LEVEL (BH06), it returns
    /// `false` at once. Linux: `flush_delayed_work`.
    pub fn flush(&self) -> bool {
        // SAFETY: as in `cancel`.
        unsafe { flush_delayed_work(Self::raw(self)) }
    }

    /// Disables once more, so that arming and queueing are refused and hand the owner back, and cancels;
    /// does not wait.
    ///
    /// Returns as [`Self::cancel`]. Up to 65 535 times at once; one more does nothing (BH08). It also counts
    /// while nothing is attached.
    ///
    /// IRQL: any; as for [`Self::cancel`]. Does not block. Linux: `disable_delayed_work`.
    pub fn disable(&self) -> Option<T::Pointer> {
        // SAFETY: as in `cancel`; initialised by `new`.
        let pending = unsafe { disable_delayed_work(Self::raw(self)) };
        self.owner_if(pending)
    }

    /// As [`Self::disable`], and waits until it does not run.
    ///
    /// IRQL: = PASSIVE. Blocks; otherwise as [`Self::cancel_sync`]. Linux:
    /// `disable_delayed_work_sync`.
    pub fn disable_sync(&self) -> Option<T::Pointer> {
        // SAFETY: as in `disable`.
        let pending = unsafe { disable_delayed_work_sync(Self::raw(self)) };
        self.owner_if(pending)
    }

    /// Takes one disable back; arms nothing. Returns whether the work can be armed and queued again. One
    /// enable too many is reported (BH14) and returns `true`.
    ///
    /// IRQL: any. Does not block. Linux: `enable_delayed_work`.
    pub fn enable(&self) -> bool {
        // SAFETY: as in `disable`.
        unsafe { enable_delayed_work(Self::raw(self)) }
    }

    fn owner_if(&self, pending: bool) -> Option<T::Pointer> {
        // SAFETY: a pending item holds one owner, given up when it was queued; the cancel made it
        // ours.
        pending.then(|| unsafe { take_back(core::ptr::from_ref(self).addr(), T::OFFSET) })
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
