//! IO_WORKITEMs (W-27, W-32, N-33).

use crate::abi::{PDEVICE_OBJECT, PVOID};
use crate::nt::check::{call, ceiling, done};
use crate::nt::workers;
use crate::world::state::World;
use crate::world::{fail, pool};

/// Which queue: 0 critical, 1 delayed, 2 hyper-critical.
pub type WORK_QUEUE_TYPE = i32;

/// The routine of an IO_WORKITEM.
pub type PIO_WORKITEM_ROUTINE =
    Option<unsafe extern "C" fn(DeviceObject: PDEVICE_OBJECT, Context: PVOID)>;

/// An IO_WORKITEM; opaque to drivers.
#[derive(Debug)]
#[repr(C)]
pub struct IO_WORKITEM {
    magic: u64,
    number: u64,
    device: PDEVICE_OBJECT,
    queued: bool,
    routine: PIO_WORKITEM_ROUTINE,
    context: PVOID,
}

/// What `IoAllocateWorkItem` returns.
pub type PIO_WORKITEM = *mut IO_WORKITEM;

const MAGIC: u64 = 0x4D45_5449_4B52_4F57;

/// Allocates a work item for a device. Null on failure.
///
/// # Safety
/// The item is freed with [`IoFreeWorkItem`].
pub unsafe extern "C" fn IoAllocateWorkItem(DeviceObject: PDEVICE_OBJECT) -> PIO_WORKITEM {
    let w = call();
    ceiling(w, "IoAllocateWorkItem", 2, "DV(0xC4,0x20003)");
    if w.allocation_fails() {
        return core::ptr::null_mut();
    }
    let number = w.nt.with(|nt| {
        nt.work_items += 1;
        nt.work_items
    });
    let fresh = IO_WORKITEM {
        magic: MAGIC,
        number,
        device: DeviceObject,
        queued: false,
        routine: None,
        context: core::ptr::null_mut(),
    };
    pool::alloc_value(w, fresh, "IO_WORKITEM")
}

/// Queues a work item. Queueing it twice is `WORKER_INVALID(0xE4,1)` (W-32).
///
/// # Safety
/// `IoWorkItem` is allocated and stays so until its routine has begun; the routine may be called with
/// `Context`.
pub unsafe extern "C" fn IoQueueWorkItem(
    IoWorkItem: PIO_WORKITEM,
    WorkerRoutine: PIO_WORKITEM_ROUTINE,
    QueueType: WORK_QUEUE_TYPE,
    Context: PVOID,
) {
    let w = call();
    ceiling(w, "IoQueueWorkItem", 2, "DV(0xC4,0x20003)");
    check(w, IoWorkItem, "IoQueueWorkItem");
    let pool = QueueType.clamp(0, 2) as usize;
    let twice = w.nt.with(|nt| {
        // SAFETY: `check` found an allocated item; the lock of the world serialises every access.
        let item = unsafe { &mut *IoWorkItem };
        if item.queued {
            return true;
        }
        item.queued = true;
        item.routine = WorkerRoutine;
        item.context = Context;
        workers::push(&mut nt.work, pool, IoWorkItem);
        false
    });
    if twice {
        fail(
            "WORKER_INVALID(0xE4,1)",
            "a work item is queued while it is queued".to_owned(),
        );
    }
    w.trace_event("IoQueueWorkItem", 0, 0);
    workers::wake(w, pool);
    done(w);
}

/// Frees a work item; legal inside its own routine. A queued one is `WORKER_INVALID(0xE4,0)`.
///
/// # Safety
/// `IoWorkItem` is allocated and nobody uses it any more.
pub unsafe extern "C" fn IoFreeWorkItem(IoWorkItem: PIO_WORKITEM) {
    let w = call();
    check(w, IoWorkItem, "IoFreeWorkItem");
    // SAFETY: `check` found an allocated item.
    if w.nt.with(|_| unsafe { (*IoWorkItem).queued }) {
        fail(
            "WORKER_INVALID(0xE4,0)",
            "a queued work item is freed".to_owned(),
        );
    }
    // SAFETY: the caller promises that nobody uses the item any more.
    unsafe { (*IoWorkItem).magic = 0 };
    pool::free_bytes(w, IoWorkItem.cast());
}

fn check(w: &World, item: PIO_WORKITEM, what: &str) {
    pool::touch(w, item.addr(), what);
    // SAFETY: the caller promises an allocated item.
    if unsafe { (*item).magic } != MAGIC {
        fail("WORKER_INVALID(0xE4,2)", format!("{what} on no work item"));
    }
}

/// Runs an item on the calling worker thread.
pub(crate) fn run(w: &World, item: PIO_WORKITEM) {
    // The item is not queued any more once its routine begins, and may be freed by it.
    let (routine, device, context, number) = w.nt.with(|_| {
        // SAFETY: a queued item stays allocated until its routine begins.
        let item = unsafe { &mut *item };
        item.queued = false;
        (item.routine, item.device, item.context, item.number)
    });
    w.count(|counters| counters.work_routines += 1);
    w.trace_event("work routine begins", number, 0);
    w.engine.preempt(w);
    if let Some(routine) = routine {
        // SAFETY: the arguments are those of the item's own queueing.
        unsafe { routine(device, context) };
    }
    w.trace_event("work routine ends", number, 0);
}
