//! Typed workqueues.

use core::ffi::CStr;
use core::ops::Deref;

use super::builder::{Bh, Bound, Builder, Ordered, Unbound};
use super::delayed_work::{DelayedWork, HasDelayedWork};
use super::owner::{Owner, expose};
use super::work::{HasWork, Work, WorkItem};
use crate::delayed_work::{modify, queue_delayed_to};
use crate::engine::delayed::Modified;
use crate::kmdf::{Queue, Runtime, System, Target, generation, resolve, system_name, visit};
use crate::work::queue_to;
use crate::workqueue::workqueue_struct;

/// A queue of this driver. Dropping it runs everything that is pending on it, works that are armed for it
/// included (BH10), and frees it. Linux: `destroy_workqueue`. IRQL of the drop: = PASSIVE. Blocks.
///
/// It cannot be dropped by one of its own works (BH07) or at DISPATCH_LEVEL (BH06): then the queue stays
/// until the last detach. So a work whose container owns the queue must not hold the last reference:
/// cancel or flush it before the container goes, or keep the queue elsewhere.
///
/// If it is still there at the last detach it is destroyed then (BH13). The handle refuses from
/// then on, also when the image is attached again.
///
/// ```
/// # use std::pin::Pin;
/// # use bottomhalf::{Config, Host, Work, WorkItem, WorkReentrance, Workqueue, attach};
/// # use kmdf_mock::world::{Driver, Sim};
/// struct Request {
///     work: Work<Request>,
///     number: u32,
/// }
/// bottomhalf::impl_has_work! { impl HasWork<Self> for Request { self.work } }
///
/// impl WorkItem for Request {
///     type Pointer = Pin<Box<Self>>;
///     fn run(this: Pin<Box<Self>>) {
///         println!("request {}", this.number); // and frees it
///     }
/// }
///
/// # Sim::new(1).run(|| {
/// # let driver = Driver::load();
/// # let host = Host::Driver(driver.handle().cast());
/// # let attached = unsafe { attach(host, &Config::new(WorkReentrance::NonReentrant)) }.unwrap();
/// let queue = Workqueue::ordered(c"requests").mem_reclaim().build()?;
/// for number in 0..3 {
///     assert!(queue.enqueue(Box::pin(Request { work: Work::new(), number })).is_ok());
/// }
/// drop(queue); // all three have run
/// # attached.detach();
/// # driver.unload();
/// # Ok::<(), bottomhalf::Status>(())
/// # }).unwrap().unwrap();
/// ```
#[derive(Debug)]
pub struct Workqueue(WorkqueueRef);

/// A queue, whoever owns it: what a [`Workqueue`] dereferences to, or one that every image has.
#[derive(Debug)]
pub struct WorkqueueRef {
    /// By generation, for a queue that was made: later runtimes do not know it. A system queue is looked up
    /// each time.
    target: Target,
}

// SAFETY: a workqueue is used from any thread.
unsafe impl Send for WorkqueueRef {}
// SAFETY: as above.
unsafe impl Sync for WorkqueueRef {}

impl Workqueue {
    /// The handle of a queue that was made in this generation.
    pub(super) const fn made(queue: *mut workqueue_struct, generation: u64) -> Self {
        let target = Target::Made(queue.cast(), generation);
        Self(WorkqueueRef { target })
    }

    /// A queue whose `max_active` counts per queueing CPU. IRQL: any. Linux:
    /// `alloc_workqueue`.
    pub const fn bound(name: &CStr) -> Builder<'_, Bound> {
        Builder::new(name)
    }

    /// A queue with one FIFO for all CPUs. IRQL: any. Linux: `alloc_workqueue` with
    /// `WQ_UNBOUND`.
    pub const fn unbound(name: &CStr) -> Builder<'_, Unbound> {
        Builder::new(name)
    }

    /// A queue that runs one work at a time, in order. IRQL: any. Linux:
    /// `alloc_ordered_workqueue`.
    pub const fn ordered(name: &CStr) -> Builder<'_, Ordered> {
        Builder::new(name)
    }

    /// A queue whose works run as tasklets do, at DISPATCH_LEVEL on the CPU that queues: its functions, and
    /// what drops there, must not block. IRQL: any. Linux: `alloc_workqueue` with `WQ_BH`.
    pub const fn bh(name: &CStr) -> Builder<'_, Bh> {
        Builder::new(name)
    }

    /// The queue of `schedule_work`: bound, the default `max_active`. Like all system queues it refuses while
    /// nothing is attached. IRQL: any. Linux:
    /// `system_wq`, `system_percpu_wq`.
    #[must_use]
    pub const fn system() -> WorkqueueRef {
        WorkqueueRef::system(System::PerCpu)
    }

    /// A bound queue at high priority. IRQL: any. Linux:
    /// `system_highpri_wq`.
    #[must_use]
    pub const fn system_highpri() -> WorkqueueRef {
        WorkqueueRef::system(System::Highpri)
    }

    /// A queue whose works run at DISPATCH_LEVEL, see [`Self::bh`]. IRQL: any. Linux: `system_bh_wq`.
    #[must_use]
    pub const fn system_bh() -> WorkqueueRef {
        WorkqueueRef::system(System::BottomHalf)
    }

    /// As [`Self::system_bh`], at high priority. IRQL: any. Linux: `system_bh_highpri_wq`.
    #[must_use]
    pub const fn system_bh_highpri() -> WorkqueueRef {
        WorkqueueRef::system(System::BottomHalfHighpri)
    }

    /// A bound queue for works that take long. IRQL: any. Linux:
    /// `system_long_wq`.
    #[must_use]
    pub const fn system_long() -> WorkqueueRef {
        WorkqueueRef::system(System::Long)
    }

    /// A queue with one FIFO for all CPUs. IRQL: any. Linux:
    /// `system_unbound_wq`, `system_dfl_wq`.
    #[must_use]
    pub const fn system_unbound() -> WorkqueueRef {
        WorkqueueRef::system(System::Unbound)
    }

    /// As [`Self::system_unbound`], for works that take long. IRQL: any. Linux:
    /// `system_dfl_long_wq`.
    #[must_use]
    pub const fn system_dfl_long() -> WorkqueueRef {
        WorkqueueRef::system(System::UnboundLong)
    }

    /// A bound queue that is frozen while the device sleeps. IRQL: any. Linux:
    /// `system_freezable_wq`.
    #[must_use]
    pub const fn system_freezable() -> WorkqueueRef {
        WorkqueueRef::system(System::Freezable)
    }

    /// A queue for works that need no CPU of their own. IRQL: any. Linux:
    /// `system_power_efficient_wq`.
    #[must_use]
    pub const fn system_power_efficient() -> WorkqueueRef {
        WorkqueueRef::system(System::PowerEfficient)
    }

    /// As [`Self::system_power_efficient`], frozen while the device sleeps. IRQL: any. Linux:
    /// `system_freezable_power_efficient_wq`.
    #[must_use]
    pub const fn system_freezable_power_efficient() -> WorkqueueRef {
        WorkqueueRef::system(System::FreezablePowerEfficient)
    }

    /// Runs what is pending and what the queue's own works queue meanwhile, until it is empty. Others are
    /// refused meanwhile (BH02). Works that are only armed are not waited for.
    ///
    /// IRQL: = PASSIVE. Blocks. From one of its works (BH07), or at DISPATCH_LEVEL (BH06), it returns at
    /// once. Linux: `drain_workqueue`.
    pub fn drain(&self) {
        self.visited(|runtime, queue| runtime.drain_queue(queue, "drain_workqueue"));
    }
}

impl Deref for Workqueue {
    type Target = WorkqueueRef;
    fn deref(&self) -> &WorkqueueRef {
        &self.0
    }
}

impl Drop for Workqueue {
    fn drop(&mut self) {
        self.visited(Runtime::destroy_queue);
    }
}

impl WorkqueueRef {
    const fn system(which: System) -> Self {
        let target = Target::System(which);
        Self { target }
    }

    /// Queues the work number `ID` of `owner`'s target; with one work in the type, `ID` is inferred. The
    /// queue holds `owner` until the work runs.
    ///
    /// # Errors
    ///
    /// Hands `owner` back if the work is pending already, is disabled or being cancelled, the queue is being
    /// drained or destroyed (BH02), or nothing is attached (BH03). A box that comes back was disabled, or
    /// the queue was: nobody else can have queued it.
    ///
    /// IRQL: any; but drop what comes back where the container's `Drop` may run. Does not block. Linux:
    /// `queue_work`.
    pub fn enqueue<P, const ID: u64>(&self, owner: P) -> Result<(), P>
    where
        P: Owner,
        P::Target: WorkItem<ID, Pointer = P> + HasWork<P::Target, ID>,
    {
        let container = expose(owner);
        let work = Work::raw(P::Target::work_of(container));
        // SAFETY: initialised by `Work::new`; the owner just given up keeps it while it is pending.
        if unsafe { queue_to(self.target, work) } {
            return Ok(());
        }
        // SAFETY: refused: nobody else will take it back.
        Err(unsafe { P::from_raw(container) })
    }

    /// Queues the delayed work number `ID` of `owner`'s target after at least `delay` whole jiffies
    /// ([`HZ`](crate::linux::HZ) a second), or at once if that is zero. The queue holds `owner` until it
    /// runs.
    ///
    /// # Errors
    ///
    /// Hands `owner` back as [`Self::enqueue`] does. An armed timer is left as it is.
    ///
    /// IRQL: any; but drop what comes back where the container's `Drop` may run. Does not block. Linux:
    /// `queue_delayed_work`.
    pub fn enqueue_delayed<P, const ID: u64>(&self, owner: P, delay: u64) -> Result<(), P>
    where
        P: Owner,
        P::Target: WorkItem<ID, Pointer = P> + HasDelayedWork<P::Target, ID>,
    {
        let container = expose(owner);
        let dwork = DelayedWork::raw(P::Target::delayed_work_of(container));
        // SAFETY: as in `enqueue`. A queue of ours that is destroyed runs what is armed for it.
        if unsafe { queue_delayed_to(self.target, dwork, delay) } {
            return Ok(());
        }
        // SAFETY: refused: nobody else will take it back.
        Err(unsafe { P::from_raw(container) })
    }

    /// Makes the delayed work number `ID` of `owner`'s target due after `delay` jiffies from now, whatever
    /// it was doing: an armed timer is set anew, a queued work is taken off its queue.
    ///
    /// Returns `None` if the work was idle or only running: the queue holds `owner` now. Returns `owner` if
    /// it is not needed: the work was pending and has an owner already; or nothing happened, for it is
    /// disabled or being cancelled, or nothing is attached. A queue that is being drained or destroyed
    /// takes nothing: then a work that was pending is not any more, and the owner that it had is dropped.
    ///
    /// IRQL: any; but drop what comes back where the container's `Drop` may run. Does not block. Linux:
    /// `mod_delayed_work`.
    pub fn modify_delayed<P, const ID: u64>(&self, owner: P, delay: u64) -> Option<P>
    where
        P: Owner,
        P::Target: WorkItem<ID, Pointer = P> + HasDelayedWork<P::Target, ID>,
    {
        let container = expose(owner);
        let dwork = DelayedWork::raw(P::Target::delayed_work_of(container));
        // SAFETY: as in `enqueue_delayed`.
        let modified = unsafe { modify(self.target, dwork, delay) };
        if modified == Modified::Fresh {
            return None;
        }
        if modified == Modified::Dropped {
            // SAFETY: the queue refused a work that was pending: its owner is nobody's now.
            drop(unsafe { P::from_raw(container) });
        }
        // SAFETY: the owner just given up is not needed.
        Some(unsafe { P::from_raw(container) })
    }

    /// Waits until every work that is queued now has run; not for later ones, nor for those that are only
    /// armed.
    ///
    /// IRQL: = PASSIVE. Blocks. From one of its works (BH07), or at DISPATCH_LEVEL (BH06), it returns at
    /// once. Linux: `flush_workqueue`.
    pub fn flush(&self) {
        self.visited(|runtime, queue| runtime.flush_queue(queue, "flush_workqueue"));
    }

    /// Calls `f` with the queue, unless its runtime is gone.
    fn visited(&self, f: impl FnOnce(&Runtime, *const Queue)) {
        // A visitor keeps the runtime, so the generation stays; and in its own generation a queue is looked
        // up before it is touched.
        let Some(runtime) = visit() else {
            return;
        };
        match self.target {
            Target::System(which) => f(&runtime, resolve(system_name(which))),
            Target::Made(queue, made_in) if made_in == generation() => f(&runtime, queue),
            Target::Made(..) | Target::Kept(_) => {}
        }
    }
}
