//! Typed tasklets.

use alloc::sync::Arc;
use core::marker::{PhantomData, PhantomPinned};
use core::mem::ManuallyDrop;

use super::owner::{container, expose};
use crate::engine::tasklet::kind;
use crate::sync::{AtomicI32, AtomicPtr, AtomicU32, AtomicUsize, Ordering};
use crate::tasklet::{
    TASKLET_STATE_SCHED, schedule, tasklet_disable, tasklet_disable_nosync, tasklet_enable,
    tasklet_kill, tasklet_struct,
};

/// What a [`Tasklet`] does. `ID` tells apart several tasklets of one type.
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no function for this tasklet",
    label = "the trait `TaskletItem` is missing, or has another number",
    note = "`impl TaskletItem<ID> for {Self}` says what runs"
)]
pub trait TaskletItem<const ID: u64 = 0>: Sized + Send + Sync + 'static {
    /// Runs once per accepted schedule, at DISPATCH_LEVEL, never on two CPUs at once; it must not block.
    ///
    /// The reference that was held is dropped after it, at DISPATCH_LEVEL too: if it is the last one, the
    /// container's `Drop` runs there. A driver whose `Drop` may block keeps a reference of its own until
    /// after [`Tasklet::kill`].
    fn run(this: &Arc<Self>);
}

/// A type with a [`Tasklet`] inside. Implemented by [`impl_has_tasklet!`](crate::impl_has_tasklet).
///
/// # Safety
///
/// `OFFSET` is the offset of the tasklet in `Self`, and `tasklet_of` points to it, aligned.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not say which field is this tasklet",
    label = "no `Tasklet` of this number is known in `{Self}`",
    note = "`impl_has_tasklet! {{ impl HasTasklet<Self, ID> for {Self} {{ self.field }} }}` says it"
)]
pub unsafe trait HasTasklet<T, const ID: u64 = 0> {
    /// Where the tasklet is.
    const OFFSET: usize;
    /// The tasklet of a container.
    fn tasklet_of(this: *const Self) -> *const Tasklet<T, ID>;
}

/// A tasklet inside a `T`: [`TaskletItem::run`] is called soon, at DISPATCH_LEVEL. Linux: `struct
/// tasklet_struct`, 40 bytes.
///
/// ```
/// # use std::sync::Arc;
/// # use std::sync::atomic::{AtomicU32, Ordering};
/// # use bottomhalf::{Config, Host, Tasklet, TaskletItem, WorkReentrance, attach};
/// # use kmdf_mock::world::{self, Driver, Sim};
/// struct Ring {
///     clean: Tasklet<Ring>,
///     cleaned: AtomicU32,
/// }
/// bottomhalf::impl_has_tasklet! { impl HasTasklet<Self> for Ring { self.clean } }
///
/// impl TaskletItem for Ring {
///     fn run(this: &Arc<Self>) {
///         this.cleaned.fetch_add(1, Ordering::Relaxed);
///     }
/// }
///
/// # Sim::new(1).run(|| {
/// # let driver = Driver::load();
/// # let host = Host::Driver(driver.handle().cast());
/// # let attached = unsafe { attach(host, &Config::new(WorkReentrance::NonReentrant)) }.unwrap();
/// let ring = Arc::new(Ring { clean: Tasklet::new(), cleaned: AtomicU32::new(0) });
/// assert!(ring.clean.schedule(Arc::clone(&ring)).is_ok());
/// ring.clean.kill(); // a scheduled one runs first
/// assert_eq!(ring.cleaned.load(Ordering::Relaxed), 1);
/// assert_eq!(Arc::strong_count(&ring), 1);
/// # attached.detach();
/// # driver.unload();
/// # }).unwrap();
/// ```
#[repr(transparent)]
pub struct Tasklet<T, const ID: u64 = 0> {
    item: tasklet_struct,
    _pinned: PhantomPinned,
    /// Invariant, as in `Work`.
    _container: PhantomData<fn(T) -> T>,
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
    /// A tasklet that is ready to be scheduled. Nothing can fail. IRQL: any. Linux: `tasklet_setup`.
    #[must_use]
    pub const fn new() -> Self {
        Self::with_count(0)
    }

    /// A tasklet that is disabled once: what is scheduled runs when [`Self::enable`] is called. IRQL:
    /// any. Linux: `DECLARE_TASKLET_DISABLED`.
    #[must_use]
    pub const fn new_disabled() -> Self {
        Self::with_count(1)
    }

    const fn with_count(count: i32) -> Self {
        Self {
            item: tasklet_struct {
                count: AtomicI32::new(count),
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

    /// Whether it is scheduled and has not begun to run. A hint: it may have changed. IRQL: any. Does not
    /// block. Linux: bit `TASKLET_STATE_SCHED` of `state`.
    #[must_use]
    pub fn is_scheduled(&self) -> bool {
        self.item.state() & TASKLET_STATE_SCHED != 0
    }

    /// Makes it run soon on this CPU, after its high-priority tasklets. `owner` is held until the run is
    /// over, and dropped at DISPATCH_LEVEL. A disabled one stays scheduled until it is enabled.
    ///
    /// # Errors
    ///
    /// Hands `owner` back if the tasklet is scheduled already or being killed, nothing is attached (BH03),
    /// or this is not a tasklet of `owner`'s target.
    ///
    /// IRQL: any; but drop what comes back where the container's `Drop` may run. Does not block. Linux:
    /// `tasklet_schedule`.
    pub fn schedule(&self, owner: Arc<T>) -> Result<(), Arc<T>> {
        self.schedule_at(owner, false)
    }

    /// As [`Self::schedule`], before the CPU's normal tasklets. IRQL: any. Linux: `tasklet_hi_schedule`.
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

    /// Disables once more and waits until it does not run; a scheduled one stays scheduled, with its
    /// owner.
    ///
    /// IRQL: = PASSIVE. Blocks while it runs. At DISPATCH_LEVEL it disables and does not wait (BH06).
    /// Linux: `tasklet_disable`.
    pub fn disable(&self) {
        // SAFETY: a shared reference to the item is alive.
        unsafe { tasklet_disable(self.raw()) };
    }

    /// Disables once more and does not wait: a run that has begun goes on.
    ///
    /// IRQL: any, also from the tasklet itself. Does not block. Linux: `tasklet_disable_nosync`.
    pub fn disable_nosync(&self) {
        // SAFETY: as above.
        unsafe { tasklet_disable_nosync(self.raw()) };
    }

    /// Takes one disable back; at zero a tasklet that was scheduled meanwhile runs. One enable too many is
    /// reported (BH09).
    ///
    /// IRQL: any. Does not block. Linux: `tasklet_enable`.
    pub fn enable(&self) {
        // SAFETY: as above.
        unsafe { tasklet_enable(self.raw()) };
    }

    /// Waits until it has run, if it is scheduled, and does not run any more; a disabled one has to be
    /// enabled for that. Schedules meanwhile are refused. The reference that was held is dropped when this
    /// returns.
    ///
    /// IRQL: = PASSIVE. Blocks. At DISPATCH_LEVEL it does nothing (BH06). Linux: `tasklet_kill`.
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
