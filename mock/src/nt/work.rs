//! System worker threads and IO_WORKITEMs (W-27 to W-32, N-33).

use std::collections::VecDeque;

use crate::abi::{KPRIORITY, PDEVICE_OBJECT, PVOID};
use crate::engine::ThreadId;
use crate::nt::check::{call, ceiling, done};
use crate::nt::state::{Kind, Waiting};
use crate::nt::thread;
use crate::world::state::{World, current};
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

/// What the threads of the critical, the delayed and the hyper-critical queue run at (W-29).
const PRIORITIES: [KPRIORITY; 3] = [13, 12, 15];

/// An item in a worker queue.
#[derive(Clone, Copy)]
struct Queued(PIO_WORKITEM);

// SAFETY: the pointer is a key; whoever queues the item keeps it until its routine has begun, and every
// access is made under the lock of the world.
unsafe impl Send for Queued {}

/// The queues and the threads that serve them.
pub(crate) struct WorkQueues {
    limit: u32,
    threads: u32,
    idle: Vec<ThreadId>,
    queues: [VecDeque<Queued>; 3],
    allocated: u64,
}

impl WorkQueues {
    /// Queues served by at most `limit` threads.
    pub(crate) fn new(limit: u32) -> Self {
        assert!(limit > 0, "there is at least one system worker thread");
        Self {
            limit,
            threads: 0,
            idle: Vec::new(),
            queues: Default::default(),
            allocated: 0,
        }
    }

    /// Items that wait for a worker thread.
    pub(crate) fn waiting(&self) -> usize {
        self.queues.iter().map(VecDeque::len).sum()
    }

    /// Worker threads, and those of them that have no item.
    pub(crate) fn threads(&self) -> (u32, usize) {
        (self.threads, self.idle.len())
    }

    /// The next item, and the priority of the threads that serve its queue.
    fn take(&mut self) -> Option<(PIO_WORKITEM, KPRIORITY)> {
        [2, 0, 1].into_iter().find_map(|queue| {
            let item = self.queues[queue].pop_front()?;
            Some((item.0, PRIORITIES[queue]))
        })
    }
}

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
        nt.work.allocated += 1;
        nt.work.allocated
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
    let twice = w.nt.with(|nt| {
        // SAFETY: `check` found an allocated item; the lock of the world serialises every access.
        let item = unsafe { &mut *IoWorkItem };
        if item.queued {
            return true;
        }
        item.queued = true;
        item.routine = WorkerRoutine;
        item.context = Context;
        nt.work.queues[QueueType.clamp(0, 2) as usize].push_back(Queued(IoWorkItem));
        false
    });
    if twice {
        fail(
            "WORKER_INVALID(0xE4,1)",
            "a work item is queued while it is queued".to_owned(),
        );
    }
    w.trace_event("IoQueueWorkItem", 0, 0);
    wake_worker(w);
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

/// Wakes an idle worker thread, or makes one more if the pool may grow.
fn wake_worker(w: &World) {
    let grow = w.nt.with(|nt| {
        let idle = &mut nt.work.idle;
        if !idle.is_empty() {
            let place = w.engine.choose(idle.len() as u32) as usize;
            let thread = idle.swap_remove(place);
            w.engine.wake(w, thread);
            return None;
        }
        (nt.work.threads < nt.work.limit).then(|| {
            nt.work.threads += 1;
            nt.work.threads - 1
        })
    });
    if let Some(number) = grow {
        thread::create(
            w,
            format!("worker {number}"),
            Kind::Worker,
            None,
            Box::new(worker),
        );
    }
}

/// A system worker thread: takes items in the order in which they were queued (W-28).
fn worker() {
    let w = current();
    let me = w.engine.thread();
    loop {
        w.engine.preempt(w);
        let item = w.nt.with(|nt| {
            let item = nt.work.take();
            nt.threads[me].waiting = item.is_none().then_some(Waiting::Work);
            if item.is_none() && !nt.work.idle.contains(&me) {
                nt.work.idle.push(me);
            }
            item
        });
        match item {
            Some((item, priority)) => run(w, me, item, priority),
            None if w.engine.is_stopping() => return,
            None => w.engine.block(w, None),
        }
    }
}

fn run(w: &World, me: ThreadId, item: PIO_WORKITEM, priority: KPRIORITY) {
    // The item is not queued any more once its routine begins, and may be freed by it.
    let (routine, device, context, number) = w.nt.with(|nt| {
        nt.work.idle.retain(|&thread| thread != me);
        nt.threads[me].priority = priority;
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
    check_return(w, me, priority);
}

/// What a worker routine may not leave behind (W-16): the thread is the system's again.
fn check_return(w: &World, me: ThreadId, priority: KPRIORITY) {
    let irql = w.engine.irql();
    if irql >= 2 {
        fail(
            "WORKER_THREAD_RETURNED_AT_BAD_IRQL(0xE1)",
            format!("a worker routine returned at IRQL {irql}"),
        );
    }
    let (critical, bound, left_at) = w.nt.with(|nt| {
        let thread = &nt.threads[me];
        let bound = thread.user_affinity.is_some();
        (thread.critical, bound, thread.priority)
    });
    if irql != 0 {
        fail(
            "IRQL_UNEXPECTED_VALUE(0xC8)",
            "a worker routine returned at APC_LEVEL".to_owned(),
        );
    }
    if critical != 0 {
        fail(
            "APC_INDEX_MISMATCH(0x1)",
            "a worker routine returned in a critical region".to_owned(),
        );
    }
    if bound {
        fail(
            "SIM_AFFINITY_LEAK",
            "a worker routine returned with its thread bound to CPUs".to_owned(),
        );
    }
    if left_at != priority {
        fail(
            "SIM_PRIORITY_LEAK",
            format!("a worker routine returned its thread at priority {left_at}, not {priority}"),
        );
    }
}
