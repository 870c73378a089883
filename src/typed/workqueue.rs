//! Typed workqueues.

use core::ffi::CStr;
use core::marker::PhantomData;
use core::ops::Deref;

use super::delayed_work::{DelayedWork, HasDelayedWork};
use super::owner::{Owner, expose};
use super::work::{HasWork, Work, WorkItem};
use crate::delayed_work::{modify, queue_delayed_to};
use crate::engine::backend::Status;
use crate::engine::delayed::Modified;
use crate::kmdf::{System, Target, generation, resolve, visit};
use crate::system_queues::system_wq;
use crate::work::queue_to;
use crate::workqueue::{
    WQ_CPU_INTENSIVE, WQ_FREEZABLE, WQ_HIGHPRI, WQ_MEM_RECLAIM, WQ_UNBOUND,
    alloc_ordered_workqueue, alloc_workqueue, workqueue_struct,
};

/// A queue of this driver. Dropping it runs everything that is pending on it, and frees it.
///
/// It cannot be dropped by one of its own works (BH07) or at DISPATCH_LEVEL (BH06): then the queue stays
/// until the last detach. So a work whose container owns the queue must not hold the last reference:
/// cancel or flush it before the container goes, or keep the queue elsewhere.
///
/// If it is still there at the last detach it is destroyed then (BH13). The handle refuses from
/// then on, also when the image is attached again.
#[derive(Debug)]
pub struct Workqueue(WorkqueueRef);

/// A queue, whoever owns it.
#[derive(Debug)]
pub struct WorkqueueRef {
    /// Null for the system queue, which is looked up each time.
    queue: *mut workqueue_struct,
    /// Of the runtime that it was made in: later ones do not know the queue.
    generation: u64,
}

// SAFETY: a workqueue is used from any thread.
unsafe impl Send for WorkqueueRef {}
// SAFETY: as above.
unsafe impl Sync for WorkqueueRef {}

/// Kind of a queue: `max_active` counts per queueing CPU.
#[derive(Debug)]
pub enum Bound {}
/// Kind of a queue: one FIFO for all CPUs.
#[derive(Debug)]
pub enum Unbound {}
/// Kind of a queue: one work at a time, in order. It has no `max_active`.
#[derive(Debug)]
pub enum Ordered {}

/// A queue to be made. What a kind of queue cannot have, its builder cannot say.
#[derive(Debug)]
#[must_use = "nothing is made before `build`"]
pub struct Builder<'a, Kind> {
    name: &'a CStr,
    flags: u32,
    max_active: i32,
    _kind: PhantomData<Kind>,
}

impl<'a, Kind> Builder<'a, Kind> {
    const fn new(name: &'a CStr, flags: u32) -> Self {
        Self {
            name,
            flags,
            max_active: 0,
            _kind: PhantomData,
        }
    }

    /// Guaranteed to make progress when memory is short. Linux: `WQ_MEM_RECLAIM`.
    pub const fn mem_reclaim(mut self) -> Self {
        self.flags |= WQ_MEM_RECLAIM;
        self
    }

    /// Frozen by suspend. Linux: `WQ_FREEZABLE`.
    pub const fn freezable(mut self) -> Self {
        self.flags |= WQ_FREEZABLE;
        self
    }

    /// At high priority. Linux: `WQ_HIGHPRI`.
    pub const fn highpri(mut self) -> Self {
        self.flags |= WQ_HIGHPRI;
        self
    }
}

impl Builder<'_, Bound> {
    /// Works that use the CPU for long. Linux: `WQ_CPU_INTENSIVE`.
    pub const fn cpu_intensive(mut self) -> Self {
        self.flags |= WQ_CPU_INTENSIVE;
        self
    }

    /// How many works of one CPU may run at once; 0 means 256.
    pub const fn max_active(mut self, max_active: i32) -> Self {
        self.max_active = max_active;
        self
    }

    /// Makes the queue. IRQL: = PASSIVE.
    ///
    /// # Errors
    ///
    /// `STATUS_INSUFFICIENT_RESOURCES` if the kernel is out of memory or nothing is attached.
    pub fn build(self) -> Result<Workqueue, Status> {
        made(|| alloc_workqueue(self.name, self.flags, self.max_active))
    }
}

impl Builder<'_, Unbound> {
    /// How many works may run at once; 0 means 256.
    pub const fn max_active(mut self, max_active: i32) -> Self {
        self.max_active = max_active;
        self
    }

    /// Makes the queue. IRQL: = PASSIVE.
    ///
    /// # Errors
    ///
    /// `STATUS_INSUFFICIENT_RESOURCES` if the kernel is out of memory or nothing is attached.
    pub fn build(self) -> Result<Workqueue, Status> {
        made(|| alloc_workqueue(self.name, self.flags, self.max_active))
    }
}

impl Builder<'_, Ordered> {
    /// Makes the queue. IRQL: = PASSIVE.
    ///
    /// # Errors
    ///
    /// `STATUS_INSUFFICIENT_RESOURCES` if the kernel is out of memory or nothing is attached.
    pub fn build(self) -> Result<Workqueue, Status> {
        made(|| alloc_ordered_workqueue(self.name, self.flags))
    }
}

fn made(make: impl FnOnce() -> *mut workqueue_struct) -> Result<Workqueue, Status> {
    // Before the queue is made: should the runtime go between the two, the handle refuses.
    let generation = generation();
    let queue = make();
    if queue.is_null() {
        return Err(Status::INSUFFICIENT_RESOURCES);
    }
    Ok(Workqueue(WorkqueueRef { queue, generation }))
}

impl Workqueue {
    /// A queue whose `max_active` counts per queueing CPU. Linux: `alloc_workqueue`.
    pub const fn bound(name: &CStr) -> Builder<'_, Bound> {
        Builder::new(name, 0)
    }

    /// A queue with one FIFO for all CPUs. Linux: `alloc_workqueue` with `WQ_UNBOUND`.
    pub const fn unbound(name: &CStr) -> Builder<'_, Unbound> {
        Builder::new(name, WQ_UNBOUND)
    }

    /// A queue that runs one work at a time, in order. Linux: `alloc_ordered_workqueue`.
    pub const fn ordered(name: &CStr) -> Builder<'_, Ordered> {
        Builder::new(name, WQ_UNBOUND)
    }

    /// The queue of `schedule_work`. It refuses while nothing is attached. Linux: `system_wq`.
    #[must_use]
    pub const fn system() -> WorkqueueRef {
        WorkqueueRef {
            queue: core::ptr::null_mut(),
            generation: 0,
        }
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
        // A visitor keeps the runtime, so the generation stays; and in its own generation a queue
        // is looked up before it is touched.
        if let Some(runtime) = visit()
            && self.0.generation == generation()
        {
            runtime.destroy_queue(self.0.queue.cast());
        }
    }
}

impl WorkqueueRef {
    fn target(&self) -> Target {
        if self.queue.is_null() {
            Target::System(System::PerCpu)
        } else {
            Target::Made(self.queue.cast(), self.generation)
        }
    }

    /// Queues the work number `ID` of `owner`'s target. The queue holds `owner` until the work
    /// runs.
    ///
    /// # Errors
    ///
    /// Hands `owner` back if the work is pending already, is being cancelled, the queue is being
    /// destroyed, or nothing is attached.
    ///
    /// IRQL: any; but mind where the reference may be dropped. Linux: `queue_work`.
    pub fn enqueue<P, const ID: u64>(&self, owner: P) -> Result<(), P>
    where
        P: Owner,
        P::Target: WorkItem<ID, Pointer = P> + HasWork<P::Target, ID>,
    {
        let container = expose(owner);
        let work = Work::raw(P::Target::work_of(container));
        // SAFETY: initialised by `Work::new`; the owner just given up keeps it while it is pending.
        if unsafe { queue_to(self.target(), work) } {
            return Ok(());
        }
        // SAFETY: refused: nobody else will take it back.
        Err(unsafe { P::from_raw(container) })
    }

    /// Queues the delayed work number `ID` of `owner`'s target after `delay` jiffies, or at once if
    /// that is zero. `owner` is held until it runs.
    ///
    /// # Errors
    ///
    /// Hands `owner` back as [`Self::enqueue`] does. An armed timer is left as it is.
    ///
    /// IRQL: any; but mind where the reference may be dropped. Linux: `queue_delayed_work`.
    pub fn enqueue_delayed<P, const ID: u64>(&self, owner: P, delay: u64) -> Result<(), P>
    where
        P: Owner,
        P::Target: WorkItem<ID, Pointer = P> + HasDelayedWork<P::Target, ID>,
    {
        let container = expose(owner);
        let dwork = DelayedWork::raw(P::Target::delayed_work_of(container));
        // SAFETY: as in `enqueue`. A queue of ours that is destroyed runs what is armed for it.
        if unsafe { queue_delayed_to(self.target(), dwork, delay) } {
            return Ok(());
        }
        // SAFETY: refused: nobody else will take it back.
        Err(unsafe { P::from_raw(container) })
    }

    /// Makes the delayed work number `ID` of `owner`'s target due after `delay` jiffies from now,
    /// whatever it was doing. Returns `owner` if it is not needed: the work was pending and has an
    /// owner already, or it is being cancelled and nothing happens.
    ///
    /// IRQL: any; but mind where the reference may be dropped. Linux: `mod_delayed_work`.
    pub fn modify_delayed<P, const ID: u64>(&self, owner: P, delay: u64) -> Option<P>
    where
        P: Owner,
        P::Target: WorkItem<ID, Pointer = P> + HasDelayedWork<P::Target, ID>,
    {
        let container = expose(owner);
        let dwork = DelayedWork::raw(P::Target::delayed_work_of(container));
        // SAFETY: as in `enqueue_delayed`.
        let modified = unsafe { modify(self.target(), dwork, delay) };
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

    /// Waits until every work that is queued now has run. IRQL: = PASSIVE. Blocks.
    /// Linux: `flush_workqueue`.
    pub fn flush(&self) {
        // As in `drop`.
        if let Some(runtime) = visit() {
            let queue = if self.queue.is_null() {
                system_wq()
            } else if self.generation == generation() {
                self.queue
            } else {
                return;
            };
            runtime.flush_queue(resolve(queue.cast()), "flush_workqueue");
        }
    }
}
