//! Making a queue: what a kind of queue cannot have, its builder cannot say.

use core::ffi::CStr;
use core::marker::PhantomData;

use super::workqueue::Workqueue;
use crate::engine::backend::{Backend, Irql, Status};
use crate::kmdf::{Kmdf, generation, visit};
use crate::workqueue::{
    WQ_BH, WQ_CPU_INTENSIVE, WQ_FREEZABLE, WQ_HIGHPRI, WQ_MEM_RECLAIM, WQ_NON_REENTRANT, WQ_PERCPU,
    WQ_UNBOUND, alloc_ordered_workqueue, alloc_workqueue, workqueue_struct,
};

/// Kind of a queue: `max_active` counts per queueing CPU.
#[derive(Debug)]
pub enum Bound {}
/// Kind of a queue: one FIFO for all CPUs.
#[derive(Debug)]
pub enum Unbound {}
/// Kind of a queue: one work at a time, in order, on any CPU. It has no `max_active`.
#[derive(Debug)]
pub enum Ordered {}
/// Kind of a queue: works run at DISPATCH_LEVEL on the CPU that queues, as tasklets do, one at a time on
/// each CPU. They must not block, and the queue has no `max_active`.
#[derive(Debug)]
pub enum Bh {}

mod sealed {
    use super::{CStr, workqueue_struct};

    /// What a kind adds to the call that makes the queue.
    pub trait Make {
        fn make(name: &CStr, flags: u32, max_active: i32) -> *mut workqueue_struct;
    }
}
use sealed::Make;

/// A kind of queue: [`Bound`], [`Unbound`], [`Ordered`], [`Bh`].
pub trait QueueKind: Make {}

/// A kind of queue whose works run in threads, so that they may block: it can be frozen, and can be
/// promised a thread when memory is short.
#[diagnostic::on_unimplemented(
    message = "works of a queue of the kind `{Self}` have no thread",
    note = "`mem_reclaim` and `freezable` are about threads"
)]
pub trait InThreads: QueueKind {}

/// A kind of queue that may run several works at once.
#[diagnostic::on_unimplemented(
    message = "a queue of the kind `{Self}` has no `max_active`",
    note = "`Workqueue::bound` and `Workqueue::unbound` make queues that have one"
)]
pub trait HasMaxActive: InThreads {}

impl Make for Bound {
    fn make(name: &CStr, flags: u32, max_active: i32) -> *mut workqueue_struct {
        alloc_workqueue(name, flags, max_active)
    }
}
impl Make for Unbound {
    fn make(name: &CStr, flags: u32, max_active: i32) -> *mut workqueue_struct {
        alloc_workqueue(name, flags | WQ_UNBOUND, max_active)
    }
}
impl Make for Ordered {
    fn make(name: &CStr, flags: u32, _: i32) -> *mut workqueue_struct {
        alloc_ordered_workqueue(name, flags)
    }
}
impl Make for Bh {
    fn make(name: &CStr, flags: u32, _: i32) -> *mut workqueue_struct {
        alloc_workqueue(name, flags | WQ_BH, 0)
    }
}
impl QueueKind for Bound {}
impl QueueKind for Unbound {}
impl QueueKind for Ordered {}
impl QueueKind for Bh {}
impl InThreads for Bound {}
impl InThreads for Unbound {}
impl InThreads for Ordered {}
impl HasMaxActive for Bound {}
impl HasMaxActive for Unbound {}

/// A queue to be made, from [`Workqueue::bound`], [`Workqueue::unbound`], [`Workqueue::ordered`] or
/// [`Workqueue::bh`].
#[derive(Debug)]
#[must_use = "nothing is made before `build`"]
pub struct Builder<'a, Kind> {
    name: &'a CStr,
    flags: u32,
    max_active: i32,
    _kind: PhantomData<Kind>,
}

impl<'a, Kind> Builder<'a, Kind> {
    pub(super) const fn new(name: &'a CStr) -> Self {
        Self {
            name,
            flags: 0,
            max_active: 0,
            _kind: PhantomData,
        }
    }
}

impl<Kind: QueueKind> Builder<'_, Kind> {
    /// At high priority. IRQL: any. Linux: `WQ_HIGHPRI`.
    pub const fn highpri(mut self) -> Self {
        self.flags |= WQ_HIGHPRI;
        self
    }

    /// Makes the queue.
    ///
    /// # Errors
    ///
    /// `STATUS_INSUFFICIENT_RESOURCES` if the kernel is out of memory;
    /// `STATUS_INVALID_DEVICE_REQUEST` if nothing is attached (BH03), or above APC_LEVEL (BH15).
    ///
    /// IRQL: = PASSIVE. Does not block. KMDF: one `WdfWorkItemCreate`, none for [`Bh`]. Linux: `alloc_workqueue`,
    /// `alloc_ordered_workqueue`.
    pub fn build(self) -> Result<Workqueue, Status> {
        // Before the queue is made: should the runtime go between the two, the handle refuses.
        let generation = generation();
        let queue = Kind::make(self.name, self.flags, self.max_active);
        if !queue.is_null() {
            Ok(Workqueue::made(queue, generation))
        } else if Kmdf::irql() > Irql::APC || visit().is_none() {
            Err(Status::INVALID_DEVICE_REQUEST)
        } else {
            Err(Status::INSUFFICIENT_RESOURCES)
        }
    }
}

impl<Kind: InThreads> Builder<'_, Kind> {
    /// Guaranteed to make progress when memory is short. IRQL: any. Linux: `WQ_MEM_RECLAIM`.
    pub const fn mem_reclaim(mut self) -> Self {
        self.flags |= WQ_MEM_RECLAIM;
        self
    }

    /// Frozen by suspend. IRQL: any. Linux: `WQ_FREEZABLE`.
    pub const fn freezable(mut self) -> Self {
        self.flags |= WQ_FREEZABLE;
        self
    }
}

impl<Kind: HasMaxActive> Builder<'_, Kind> {
    /// How many works may run at once: per queueing CPU on a bound queue, in all on an unbound one. 0
    /// means 256; more than 512 is clamped to that (BH12). IRQL: any. Linux: `max_active` of
    /// `alloc_workqueue`.
    pub const fn max_active(mut self, max_active: u16) -> Self {
        self.max_active = max_active as i32;
        self
    }

    /// A work never overlaps itself on this queue, also if the image is attached with
    /// [`SelfReentrant`](crate::WorkReentrance::SelfReentrant). IRQL: any. Linux: `WQ_NON_REENTRANT`, before
    /// 3.7.
    pub const fn non_reentrant(mut self) -> Self {
        self.flags |= WQ_NON_REENTRANT;
        self
    }
}

impl Builder<'_, Bound> {
    /// Works run on the CPU that they are queued on, whatever
    /// [`Config::pin_bound`](crate::Config::pin_bound) says. IRQL: any. Linux: `WQ_PERCPU`.
    pub const fn percpu(mut self) -> Self {
        self.flags |= WQ_PERCPU;
        self
    }

    /// Works that use the CPU for long. IRQL: any. Linux: `WQ_CPU_INTENSIVE`.
    pub const fn cpu_intensive(mut self) -> Self {
        self.flags |= WQ_CPU_INTENSIVE;
        self
    }
}
