//! Typed tasklets.

use alloc::sync::Arc;
use core::marker::{PhantomData, PhantomPinned};
use core::mem::ManuallyDrop;

use super::owner::{container, expose};
use crate::engine::tasklet::kind;
use crate::sync::{AtomicPtr, AtomicU32, AtomicUsize, Ordering};
use crate::tasklet::{schedule, tasklet_disable, tasklet_enable, tasklet_kill, tasklet_struct};

/// What a tasklet does. `ID` tells apart several tasklets of one type.
pub trait TaskletItem<const ID: u64 = 0>: Sized + Send + Sync + 'static {
    /// Runs once per accepted schedule, at DISPATCH_LEVEL; it must not block. The reference that
    /// was held is dropped after it, at DISPATCH_LEVEL too.
    fn run(this: &Arc<Self>);
}

/// A type with a [`Tasklet`] inside. Implemented by [`impl_has_tasklet!`](crate::impl_has_tasklet).
///
/// # Safety
///
/// `OFFSET` is the offset of the tasklet in `Self`, and `tasklet_of` points to it.
pub unsafe trait HasTasklet<T, const ID: u64 = 0> {
    /// Where the tasklet is.
    const OFFSET: usize;
    /// The tasklet of a container.
    fn tasklet_of(this: *const Self) -> *const Tasklet<T, ID>;
}

/// A tasklet inside a `T`. Linux: `struct tasklet_struct`, 40 bytes.
#[repr(transparent)]
pub struct Tasklet<T, const ID: u64 = 0> {
    item: tasklet_struct,
    _pinned: PhantomPinned,
    _container: PhantomData<fn(T)>,
}

impl<T, const ID: u64> core::fmt::Debug for Tasklet<T, ID> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Tasklet<{ID}>({:?})", self.item)
    }
}

impl<T: TaskletItem<ID> + HasTasklet<T, ID>, const ID: u64> Default for Tasklet<T, ID> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: TaskletItem<ID> + HasTasklet<T, ID>, const ID: u64> Tasklet<T, ID> {
    /// A tasklet that is ready to be scheduled.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            item: tasklet_struct {
                link: AtomicU32::new(kind::TYPED),
                func: AtomicPtr::new(run::<T, ID> as *mut ()),
                data: AtomicUsize::new(0),
                ..tasklet_struct::new()
            },
            _pinned: PhantomPinned,
            _container: PhantomData,
        }
    }

    const fn raw(&self) -> *mut tasklet_struct {
        core::ptr::from_ref(self).cast_mut().cast()
    }

    /// Makes it run soon on this CPU. `owner` is held until the run is over.
    ///
    /// # Errors
    ///
    /// Hands `owner` back if the tasklet is scheduled already, nothing is attached, or it is not
    /// the owner of this tasklet.
    ///
    /// IRQL: any; but mind where the reference may be dropped. Linux: `tasklet_schedule`.
    pub fn schedule(&self, owner: Arc<T>) -> Result<(), Arc<T>> {
        self.schedule_at(owner, false)
    }

    /// As [`Self::schedule`], before the CPU's normal tasklets. Linux: `tasklet_hi_schedule`.
    ///
    /// # Errors
    ///
    /// As [`Self::schedule`].
    pub fn hi_schedule(&self, owner: Arc<T>) -> Result<(), Arc<T>> {
        self.schedule_at(owner, true)
    }

    fn schedule_at(&self, owner: Arc<T>, hi: bool) -> Result<(), Arc<T>> {
        if !core::ptr::eq(T::tasklet_of(Arc::as_ptr(&owner)), self) {
            return Err(owner);
        }
        // ORDERING: every schedule stores the same value, and the schedule publishes it to the run.
        self.item.data.store(
            (release::<T, ID> as *const ()).expose_provenance(),
            Ordering::Relaxed,
        );
        let raw = expose(owner);
        // SAFETY: initialised by `new`; the owner just given up keeps it until the run is over.
        if unsafe { schedule(self.raw(), hi, "Tasklet::schedule") } {
            Ok(())
        } else {
            // SAFETY: refused: nobody else will take it back.
            Err(unsafe { Arc::from_raw(raw) })
        }
    }

    /// Disables once more and waits until it does not run. IRQL: = PASSIVE. Blocks.
    /// Linux: `tasklet_disable`.
    pub fn disable(&self) {
        // SAFETY: a shared reference to the item is alive.
        unsafe { tasklet_disable(self.raw()) };
    }

    /// Takes one disable back. IRQL: any. Linux: `tasklet_enable`.
    pub fn enable(&self) {
        // SAFETY: as above.
        unsafe { tasklet_enable(self.raw()) };
    }

    /// Waits until it has run, if it is scheduled, and does not run any more. IRQL: = PASSIVE.
    /// Blocks.
    /// Linux: `tasklet_kill`.
    pub fn kill(&self) {
        // SAFETY: as above.
        unsafe { tasklet_kill(self.raw()) };
    }
}

/// What the engine calls.
unsafe extern "C" fn run<T: TaskletItem<ID> + HasTasklet<T, ID>, const ID: u64>(
    tasklet: *mut tasklet_struct,
) {
    // SAFETY: the owner that the schedule gave up is held until `release`.
    let owner = unsafe { Arc::from_raw(container::<T>(tasklet.addr(), T::OFFSET)) };
    T::run(&ManuallyDrop::new(owner));
}

/// What the engine calls when it is done with the tasklet.
unsafe extern "C" fn release<T: TaskletItem<ID> + HasTasklet<T, ID>, const ID: u64>(
    tasklet: *mut tasklet_struct,
) {
    // SAFETY: one accepted schedule gave up one owner, and each run is released once.
    drop(unsafe { Arc::from_raw(container::<T>(tasklet.addr(), T::OFFSET)) });
}
