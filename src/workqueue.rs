//! Workqueues, as `linux/workqueue.h` has them.
//!
//! A queue runs the works that are queued on it, at PASSIVE_LEVEL on worker threads of NT. The queues that
//! every driver has are in [`system_queues`](crate::system_queues).

use core::ffi::CStr;

use crate::engine::backend::{Backend, Irql};
use crate::engine::diagnostic::{Diagnostic, report, report_making};
use crate::engine::queue::{NAME_MAX, flag};
use crate::engine::workqueue::{MAX_ACTIVE_DEFAULT, MAX_ACTIVE_LIMIT};
use crate::kmdf::{Kmdf, Queue, Runtime, enter, is_system_name, resolve, visit};
use crate::work::wanted;

/// Works run as tasklets do, at DISPATCH_LEVEL on the CPU that queues, in order. Only [`WQ_HIGHPRI`] and
/// [`WQ_PERCPU`] may be added, and `max_active` is 0; else no queue is made (BH21). Linux: since 6.9.
pub const WQ_BH: u32 = flag::BH;
/// Not bound to the CPU that queues: works of one queue share one FIFO and start on any CPU.
pub const WQ_UNBOUND: u32 = flag::UNBOUND;
/// Stands still between [`Attachment::freeze`](crate::Attachment::freeze) and
/// [`thaw`](crate::Attachment::thaw).
pub const WQ_FREEZABLE: u32 = flag::FREEZABLE;
/// Makes progress when NT has no worker thread to give: it has a rescuer thread of its own.
pub const WQ_MEM_RECLAIM: u32 = flag::MEM_RECLAIM;
/// Works run at high priority: a worker's thread has priority 15 meanwhile.
pub const WQ_HIGHPRI: u32 = flag::HIGHPRI;
/// Works use the CPU for long. KMDF shows nobody who is runnable, so there is no concurrency management
/// that a work could be taken out of: it changes nothing.
pub const WQ_CPU_INTENSIVE: u32 = flag::CPU_INTENSIVE;
/// The queue is in sysfs. There is no sysfs: it changes nothing.
pub const WQ_SYSFS: u32 = flag::SYSFS;
/// Unbound if the machine is to save power. Linux has a boot option for it, off by default; here there is
/// none, and the queue is bound.
pub const WQ_POWER_EFFICIENT: u32 = flag::POWER_EFFICIENT;
/// Works run on the CPU that they are queued on, whatever [`Config::pin_bound`](crate::Config::pin_bound)
/// says; with [`WQ_UNBOUND`] that wins (BH25). Linux since 6.17, where it says no more than that
/// `WQ_UNBOUND` is not meant.
pub const WQ_PERCPU: u32 = flag::PERCPU;
/// Works of this queue never overlap themselves, even if the image is attached with
/// [`SelfReentrant`](crate::WorkReentrance::SelfReentrant). Not a flag of Linux since 3.7, where it is
/// the rule for all.
pub const WQ_NON_REENTRANT: u32 = flag::NON_REENTRANT;

/// What a driver may ask for.
const KNOWN: u32 = WQ_BH
    | WQ_UNBOUND
    | WQ_FREEZABLE
    | WQ_MEM_RECLAIM
    | WQ_HIGHPRI
    | WQ_CPU_INTENSIVE
    | WQ_SYSFS
    | WQ_POWER_EFFICIENT
    | WQ_PERCPU
    | WQ_NON_REENTRANT;

/// What goes with [`WQ_BH`].
const WITH_BH: u32 = WQ_BH | WQ_HIGHPRI | WQ_PERCPU | WQ_NON_REENTRANT;

/// Highest `max_active`. Linux: `WQ_MAX_ACTIVE`, with the figure of 6.12.
pub const WQ_MAX_ACTIVE: i32 = MAX_ACTIVE_LIMIT as i32;
/// Highest `max_active` of an unbound queue. Linux: `WQ_UNBOUND_MAX_ACTIVE`.
pub const WQ_UNBOUND_MAX_ACTIVE: i32 = WQ_MAX_ACTIVE;
/// `max_active` if 0 is asked for. Linux: `WQ_DFL_ACTIVE`.
pub const WQ_DFL_ACTIVE: i32 = MAX_ACTIVE_DEFAULT as i32;

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
/// [`WQ_UNBOUND`]. 0 means [`WQ_DFL_ACTIVE`]; values outside 1 to [`WQ_MAX_ACTIVE`] are clamped and
/// reported (BH12). The name, for messages, is kept up to 31 bytes; a longer one is reported (BH23), and so
/// are flags that are none of the `WQ_` constants (BH22), which are ignored.
///
/// Returns null if the kernel is out of memory, nothing is attached (BH03), the IRQL is too high (BH15), or
/// the flags exclude each other (BH21).
///
/// IRQL: = PASSIVE. KMDF: one `WdfWorkItemCreate`, and with [`WQ_MEM_RECLAIM`] one `PsCreateSystemThread`;
/// apart from `schedule_on_each_cpu` the only kind of call after attach that allocates.
#[must_use]
pub fn alloc_workqueue(name: &CStr, flags: u32, max_active: i32) -> *mut workqueue_struct {
    make("alloc_workqueue", name, flags, 0, max_active)
}

/// Makes a workqueue that runs its works one at a time, in the order in which they were queued, on
/// whatever CPU. The other flags count as for [`alloc_workqueue`]. Linux: `alloc_ordered_workqueue`.
///
/// Returns what [`alloc_workqueue`] does; with [`WQ_BH`] or [`WQ_PERCPU`] as with [`WQ_UNBOUND`] and those.
///
/// IRQL: = PASSIVE. KMDF: one `WdfWorkItemCreate`.
#[must_use]
pub fn alloc_ordered_workqueue(name: &CStr, flags: u32) -> *mut workqueue_struct {
    make("alloc_ordered_workqueue", name, flags, ORDERED, 1)
}

/// Makes a bound queue with a `max_active` of 1: one work at a time **per CPU**, so two that are queued on
/// two CPUs run at once (row Q18). Linux: `create_workqueue`, with [`WQ_MEM_RECLAIM`].
///
/// Returns what [`alloc_workqueue`] does.
///
/// IRQL: = PASSIVE. KMDF: one `WdfWorkItemCreate`, one `PsCreateSystemThread`.
#[must_use]
pub fn create_workqueue(name: &CStr) -> *mut workqueue_struct {
    make("create_workqueue", name, 0, LEGACY, 1)
}

/// Makes a queue that runs its works one at a time, in order. Linux: `create_singlethread_workqueue`,
/// with [`WQ_MEM_RECLAIM`]. The thread need not be the same from work to work.
///
/// Returns what [`alloc_workqueue`] does.
///
/// IRQL: = PASSIVE. KMDF: one `WdfWorkItemCreate`, one `PsCreateSystemThread`.
#[must_use]
pub fn create_singlethread_workqueue(name: &CStr) -> *mut workqueue_struct {
    let how = LEGACY | ORDERED;
    make("create_singlethread_workqueue", name, 0, how, 1)
}

/// Makes an unbound queue with a `max_active` of 1 that stands still while the driver is frozen. Linux:
/// `create_freezable_workqueue`, with [`WQ_MEM_RECLAIM`].
///
/// Returns what [`alloc_workqueue`] does.
///
/// IRQL: = PASSIVE. KMDF: one `WdfWorkItemCreate`, one `PsCreateSystemThread`.
#[must_use]
pub fn create_freezable_workqueue(name: &CStr) -> *mut workqueue_struct {
    let how = LEGACY | WQ_FREEZABLE | WQ_UNBOUND;
    make("create_freezable_workqueue", name, 0, how, 1)
}

const ORDERED: u32 = flag::ORDERED | WQ_UNBOUND;
const LEGACY: u32 = flag::LEGACY | WQ_MEM_RECLAIM;

/// Makes a queue with the driver's `flags` and what the call itself adds to them.
fn make(
    call: &'static str,
    name: &CStr,
    flags: u32,
    added: u32,
    max_active: i32,
) -> *mut workqueue_struct {
    if Kmdf::irql() > Irql::APC {
        report::<Kmdf>(Diagnostic::MakeAtDispatch, call, 0, 0);
        return core::ptr::null_mut();
    }
    let Some(runtime) = visit() else {
        report::<Kmdf>(Diagnostic::NotAttached, call, 0, 0);
        return core::ptr::null_mut();
    };
    let name = name.to_bytes();
    checked(call, name, flags, added, max_active)
        .and_then(|flags| runtime.create_queue(name, flags, max_active))
        .map_or(core::ptr::null_mut(), |queue| {
            core::ptr::from_ref(queue).cast_mut().cast()
        })
}

/// The flags that a queue gets, or none if there is no such queue. What is wrong is said.
fn checked(call: &str, name: &[u8], flags: u32, added: u32, max_active: i32) -> Option<u32> {
    let say = |what| report_making::<Kmdf>(what, call, name, flags);
    if name.len() > NAME_MAX {
        say(Diagnostic::NameTooLong);
    }
    if flags & !KNOWN != 0 {
        say(Diagnostic::UnknownFlags);
    }
    let flags = flags & KNOWN | added;
    if flags & WQ_BH != 0 && (flags & !WITH_BH != 0 || max_active != 0) {
        say(Diagnostic::ImpossibleFlags);
        return None;
    }
    if flags & (WQ_PERCPU | WQ_UNBOUND) == WQ_PERCPU | WQ_UNBOUND {
        say(Diagnostic::PerCpuAndUnbound);
        return Some(flags & !WQ_PERCPU);
    }
    Some(flags)
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
/// One of the [`system_queues`](crate::system_queues) is left as it is, and that is said (BH24).
///
/// IRQL: = PASSIVE. Blocks. KMDF: one `WdfObjectDelete`.
///
/// # Safety
///
/// `wq` is null, or came from [`alloc_workqueue`] or one of the other calls that make one, nobody queues to
/// it from outside any more, and it is not used after the call.
pub unsafe fn destroy_workqueue(wq: *mut workqueue_struct) {
    if is_system_name(wq.cast()) {
        report::<Kmdf>(
            Diagnostic::DestroySystemQueue,
            "destroy_workqueue",
            wq.addr(),
            0,
        );
    } else if let Some(runtime) = visit() {
        runtime.destroy_queue(wq.cast::<Queue>());
    }
}

/// Lets `max_active` works of `wq` run at once from now on: per queueing CPU, or in all with
/// [`WQ_UNBOUND`]. If that is more than before, works that were held back start at once; if it is less,
/// those that run go on. Linux: `workqueue_set_max_active`.
///
/// Values outside 1 to 512 are clamped and reported (BH12). An ordered or [`WQ_BH`] queue is left as it is
/// (BH19).
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
