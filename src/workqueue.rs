//! Workqueues, as `linux/workqueue.h` has them.

use core::ffi::CStr;

use crate::engine::backend::{Backend, Irql};
use crate::engine::diagnostic::{Diagnostic, report};
use crate::engine::queue::flag;
use crate::kmdf::{Kmdf, Queue, Runtime, enter, image, resolve, system_name, visit};
use crate::sync::Ordering::SeqCst;
use crate::work::wanted;

/// Not bound to the CPU that queues: works of one queue share one FIFO and start on any CPU.
pub const WQ_UNBOUND: u32 = flag::UNBOUND;
/// Stands still between [`Attachment::freeze`](crate::Attachment::freeze) and
/// [`thaw`](crate::Attachment::thaw).
pub const WQ_FREEZABLE: u32 = flag::FREEZABLE;
/// Guaranteed to make progress when memory is short.
pub const WQ_MEM_RECLAIM: u32 = 1 << 3;
/// Works run at high priority.
pub const WQ_HIGHPRI: u32 = flag::HIGHPRI;
/// Works may use the CPU for long. KMDF has no concurrency management, so it changes nothing.
pub const WQ_CPU_INTENSIVE: u32 = 1 << 5;
/// Works run on the CPU that they are queued on, whatever [`Config::pin_bound`](crate::Config::pin_bound)
/// says. Linux since 6.17, where it says no more than that `WQ_UNBOUND` is not meant.
pub const WQ_PERCPU: u32 = flag::PERCPU;
/// Works of this queue never overlap themselves, even if the image is attached with
/// [`SelfReentrant`](crate::WorkReentrance::SelfReentrant). Not a flag of Linux since 3.7, where it is
/// the rule for all.
pub const WQ_NON_REENTRANT: u32 = flag::NON_REENTRANT;

/// A workqueue. Opaque; made by [`alloc_workqueue`].
#[repr(C)]
#[derive(Debug)]
pub struct workqueue_struct {
    _opaque: [u8; 0],
    _shared: core::marker::PhantomData<*mut ()>,
}

/// Makes a workqueue. Linux: `alloc_workqueue`.
///
/// `max_active` is how many of its works may run at once: per queueing CPU, or in all with
/// [`WQ_UNBOUND`]. 0 means 256; values outside 1 to 512 are clamped and reported (BH12). The name
/// is kept up to 31 bytes.
///
/// Returns null if the kernel is out of memory, nothing is attached, or the IRQL is too high (BH15).
///
/// IRQL: = PASSIVE. KMDF: one `WdfWorkItemCreate`; the only call after attach that allocates.
#[must_use]
pub fn alloc_workqueue(name: &CStr, flags: u32, max_active: i32) -> *mut workqueue_struct {
    make(name, flags, max_active)
}

/// Makes a workqueue that runs its works one at a time, in the order in which they were queued, on
/// whatever CPU. Linux: `alloc_ordered_workqueue`.
///
/// Returns and IRQL as for [`alloc_workqueue`].
#[must_use]
pub fn alloc_ordered_workqueue(name: &CStr, flags: u32) -> *mut workqueue_struct {
    make(name, flags | flag::ORDERED, 1)
}

fn make(name: &CStr, flags: u32, max_active: i32) -> *mut workqueue_struct {
    if Kmdf::irql() > Irql::APC {
        report::<Kmdf>(Diagnostic::MakeAtDispatch, "alloc_workqueue", 0, 0);
        return core::ptr::null_mut();
    }
    let Some(runtime) = visit() else {
        report::<Kmdf>(Diagnostic::NotAttached, "alloc_workqueue", 0, 0);
        return core::ptr::null_mut();
    };
    let queue = runtime.create_queue(name.to_bytes(), flags, max_active);
    queue.map_or(core::ptr::null_mut(), |queue| {
        core::ptr::from_ref(queue).cast_mut().cast()
    })
}

/// Waits until every work that is queued on `wq` now has run; those queued later are not waited
/// for, nor delayed works that are only armed. Linux: `flush_workqueue`.
///
/// IRQL: = PASSIVE. Blocks. From a work of that queue (BH07), or at DISPATCH_LEVEL (BH06), it
/// returns at once and says so.
///
/// # Safety
///
/// `wq` is a live queue and stays so during the call.
pub unsafe fn flush_workqueue(wq: *mut workqueue_struct) {
    if let Some(runtime) = visit() {
        runtime.flush_queue(resolve(wq.cast()), "flush_workqueue");
    }
}

/// Runs what is pending on `wq` and what its own works queue meanwhile, until it is empty. Others that
/// queue to it are refused meanwhile (BH02). Delayed works that are only armed are not waited for.
/// Linux: `drain_workqueue`.
///
/// IRQL: = PASSIVE. Blocks. From a work of that queue (BH07), or at DISPATCH_LEVEL (BH06), it returns
/// at once and says so.
///
/// # Safety
///
/// `wq` is a live queue and stays so during the call.
pub unsafe fn drain_workqueue(wq: *mut workqueue_struct) {
    if let Some(runtime) = visit() {
        runtime.drain_queue(resolve(wq.cast()), "drain_workqueue");
    }
}

/// Runs what is pending on `wq`, what its own works queue meanwhile included, and frees it. Delayed
/// works that are still armed for it run once, at once, and are reported (BH10); in Linux they are
/// a use after free. What would be armed for it from then on is refused (BH02), so one that arms
/// itself comes to an end. Linux: `destroy_workqueue`.
///
/// IRQL: = PASSIVE. Blocks. KMDF: one `WdfObjectDelete`.
///
/// # Safety
///
/// `wq` is null, or came from [`alloc_workqueue`] or [`alloc_ordered_workqueue`], nobody queues to
/// it from outside any more, and it is not used after the call.
pub unsafe fn destroy_workqueue(wq: *mut workqueue_struct) {
    if let Some(runtime) = visit() {
        runtime.destroy_queue(wq.cast::<Queue>());
    }
}

/// Lets `max_active` works of `wq` run at once from now on: per queueing CPU, or in all with
/// [`WQ_UNBOUND`]. If that is more than before, works that were held back start at once; if it is less,
/// those that run go on. Linux: `workqueue_set_max_active`.
///
/// Values outside 1 to 512 are clamped and reported (BH12). An ordered queue is left as it is (BH19).
///
/// IRQL: <= DISPATCH. Does not block. KMDF: at most one `WdfWorkItemEnqueue`.
///
/// # Safety
///
/// `wq` is a live queue or null, and stays so during the call.
pub unsafe fn workqueue_set_max_active(wq: *mut workqueue_struct, max_active: i32) {
    let call = "workqueue_set_max_active";
    let Some(runtime) = visit() else {
        report::<Kmdf>(Diagnostic::NotAttached, call, 0, 0);
        return;
    };
    // SAFETY: alive or null, by the caller's word.
    match unsafe { resolve(wq.cast()).as_ref() } {
        Some(queue) => runtime.set_max_active(queue, max_active),
        None => report::<Kmdf>(Diagnostic::NullQueue, call, 0, 0),
    }
}

/// Whether works that `cpu` has queued on `wq` wait for others of that CPU to end, by `max_active`. A
/// hint: it may have changed. [`WORK_CPU_UNBOUND`](crate::work::WORK_CPU_UNBOUND) asks for the CPU of
/// the caller; an unbound or ordered queue has one answer for all. Linux: `workqueue_congested`.
///
/// IRQL: any. Does not block.
///
/// # Safety
///
/// `wq` is a live queue or null, and stays so during the call.
#[must_use]
pub unsafe fn workqueue_congested(cpu: i32, wq: *mut workqueue_struct) -> bool {
    enter().is_some_and(|(_, raised)| {
        // SAFETY: alive or null, by the caller's word; raised, so `system_wq` is resolved safely.
        let queue = unsafe { resolve(wq.cast()).as_ref() };
        queue.is_some_and(|queue| Runtime::is_congested(queue, wanted(cpu), &raised))
    })
}

/// The queue that `schedule_work` uses; null before attach and after detach. A driver may keep the
/// pointer: it is a name, so after another attach it means the queue of that one. Linux:
/// `system_wq`.
///
/// IRQL: any.
#[must_use]
pub fn system_wq() -> *mut workqueue_struct {
    // ORDERING: SeqCst: pairs with the publication in attach.
    if image().system_wq.load(SeqCst).is_null() {
        return core::ptr::null_mut();
    }
    system_name().cast()
}
