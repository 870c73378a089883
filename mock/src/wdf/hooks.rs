//! What the framework needs of the world around it, in safe functions.

use core::ffi::c_void;
use std::fmt;

use crate::abi::*;
use crate::ntddk::{self, PEX_TIMER, PIO_WORKITEM};
use crate::world;
pub(super) use crate::world::Verifier;
use crate::world::counters::Counters;
use crate::world::pool;
use crate::world::state::current;

/// The tag of the framework's pool blocks.
const TAG: ULONG = u32::from_le_bytes(*b"FxDr");
/// `DelayedWorkQueue`: the only one the framework uses (W-27).
const DELAYED_WORK_QUEUE: i32 = 1;
/// `EX_TIMER_HIGH_RESOLUTION`.
const HIGH_RESOLUTION: ULONG = 4;

/// A preemption point.
pub(super) fn preempt() {
    let w = current();
    w.engine.preempt(w);
}

/// O-10: a verified framework gives the CPU away before it takes a lock at PASSIVE. The lock call
/// has a preemption point of its own, so one more is all there is to it.
pub(super) fn yield_before_lock() {
    if verifier() != Verifier::Off && u32::from(irql()) == PASSIVE_LEVEL {
        preempt();
    }
}

/// Ends the run with a name.
pub(super) fn fail(code: &str, message: String) -> ! {
    world::fail(code, message)
}

/// A line of the framework's debug output.
pub(super) fn debug_print(line: &str) {
    world::debug_print(line);
}

/// The mode of the world's verifier.
pub(super) fn verifier() -> Verifier {
    current().config.verifier
}

/// Counts a verifier break.
pub(super) fn count_break(name: &str) {
    current().add_break(name);
}

/// A strict world does not survive a call above its ceiling (V-8).
pub(super) fn irql_violation(call: &str, ceiling: u32) -> ! {
    fail(
        &format!("KMDF_IRQL({call})"),
        format!("{call} called at IRQL {}; its ceiling is {ceiling}", irql()),
    )
}

/// Changes the world's counters.
pub(super) fn count(f: impl FnOnce(&mut Counters)) {
    current().count(f);
}

/// The IRQL of this CPU.
pub(super) fn irql() -> KIRQL {
    current().engine.irql()
}

/// The identity of the current thread; in a DPC that of the interrupted one (N-26). Never zero.
pub(super) fn current_thread() -> usize {
    current().engine.thread() + 1
}

/// The name of a thread for reports.
pub(super) fn thread_name(thread: usize) -> String {
    let name = current().nt.with(|nt| {
        nt.threads
            .get(thread.wrapping_sub(1))
            .map(|thread| thread.name.clone())
    });
    name.unwrap_or_else(|| format!("thread {thread}"))
}

/// Puts a list into an order that the seed picks.
pub(super) fn shuffle<T>(list: &mut [T]) {
    for last in (1..list.len()).rev() {
        let other = world::choose(last as u32 + 1) as usize;
        list.swap(last, other);
    }
}

/// Waits with a note for deadlock reports.
pub(super) fn waiting_for<R>(what: &str, f: impl FnOnce() -> R) -> R {
    crate::nt::wait::waiting_for(what, f)
}

/// Pool memory, zeroed and tracked; `None` when the pool says no.
pub(super) fn allocate(size: usize) -> Option<*mut u8> {
    // SAFETY: the block is freed once, by `free`.
    let block = unsafe { ntddk::ExAllocatePool2(POOL_FLAG_NON_PAGED, size as SIZE_T, TAG) };
    if block.is_null() {
        None
    } else {
        Some(block.cast())
    }
}

/// Gives pool memory back; an access from now on is a failure.
pub(super) fn free(block: *mut u8) {
    // SAFETY: the block came from `allocate`, and its owner frees it once.
    unsafe { ntddk::ExFreePoolWithTag(block.cast(), TAG) };
}

/// A buffer of the I/O manager, no allocation of the driver: filled with what happens to lie there;
/// zero for no bytes.
pub(super) fn system_buffer(size: usize) -> usize {
    if size == 0 {
        return 0;
    }
    let name = pool::Name::Text("the buffer of an IOCTL");
    pool::alloc_bytes(current(), size, 16, 0xA5, name) as usize
}

/// Gives a buffer of [`system_buffer`] back; an access from now on is a failure.
pub(super) fn free_system_buffer(address: usize) {
    pool::free_bytes(current(), address as *mut u8);
}

/// A call of the harness that waits: only below DISPATCH.
pub(super) fn check_wait(name: &str) {
    crate::nt::wait::check_irql(current(), name, None);
}

/// `KeFlushQueuedDpcs`.
pub(super) fn flush_queued_dpcs() {
    // SAFETY: the call has no requirement beyond its IRQL, which it checks.
    unsafe { ntddk::KeFlushQueuedDpcs() };
}

/// Runs a callback of the driver and checks that it comes back at the IRQL at which it was called:
/// in a system worker that is `0xE1`, elsewhere `0xC8` (W-16, D-32).
pub(super) fn callback(object: &str, name: &str, f: impl FnOnce()) {
    preempt();
    let before = irql();
    f();
    let after = irql();
    if after != before {
        let code = if u32::from(before) < DISPATCH_LEVEL && u32::from(after) >= DISPATCH_LEVEL {
            "WORKER_THREAD_RETURNED_AT_BAD_IRQL(0xE1)"
        } else {
            "IRQL_UNEXPECTED_VALUE(0xC8)"
        };
        fail(
            code,
            format!("{name} of {object} was called at IRQL {before} and returned at {after}"),
        );
    }
    preempt();
}

/// Pool blocks that are allocated now.
pub(super) fn pool_blocks() -> u64 {
    let counters = world::counters();
    counters.pool_allocations - counters.pool_frees
}

type Job = Box<dyn FnOnce() + Send>;

/// An NT work item that the framework owns for an object's life (W-4).
pub(super) struct IoWorkItem {
    raw: PIO_WORKITEM,
}

// SAFETY: the pointer is only handed to the work item functions, which may be called from anywhere.
unsafe impl Send for IoWorkItem {}
// SAFETY: as above.
unsafe impl Sync for IoWorkItem {}

impl fmt::Debug for IoWorkItem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IoWorkItem")
    }
}

impl IoWorkItem {
    /// A work item; `None` when there is no memory.
    pub(super) fn allocate() -> Option<Self> {
        // SAFETY: the item is freed once, by `free`.
        let raw = unsafe { ntddk::IoAllocateWorkItem(std::ptr::null_mut()) };
        if raw.is_null() {
            None
        } else {
            Some(Self { raw })
        }
    }

    /// Queues `job` to the delayed queue.
    pub(super) fn queue(&self, job: Job) {
        let context: *mut Job = Box::into_raw(Box::new(job));
        // SAFETY: the item is not queued: its owner's `enqueued` flag says so. The box is taken
        // back by the routine, which runs once per call.
        unsafe {
            ntddk::IoQueueWorkItem(
                self.raw,
                Some(run_job),
                DELAYED_WORK_QUEUE,
                context.cast::<c_void>(),
            );
        }
    }

    /// Gives the item back; it may be its own callback that does so (N-33).
    pub(super) fn free(&self) {
        // SAFETY: the owner frees the item once, after its last run has started.
        unsafe { ntddk::IoFreeWorkItem(self.raw) };
    }
}

unsafe extern "C" fn run_job(_device: PDEVICE_OBJECT, context: PVOID) {
    // SAFETY: `IoWorkItem::queue` made this box and handed it to exactly this call.
    let job = unsafe { Box::from_raw(context.cast::<Job>()) };
    job();
}

/// An NT timer that the framework owns for an object's life.
pub(super) struct ExTimer {
    raw: PEX_TIMER,
}

// SAFETY: the pointer is only handed to the timer functions, which may be called from anywhere.
unsafe impl Send for ExTimer {}
// SAFETY: as above.
unsafe impl Sync for ExTimer {}

impl fmt::Debug for ExTimer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ExTimer")
    }
}

impl ExTimer {
    /// A timer whose expiry calls [`super::timer::fire`] with `context`; `None` when there is no
    /// memory.
    pub(super) fn allocate(context: WDFOBJECT, high_resolution: bool) -> Option<Self> {
        let attributes = if high_resolution { HIGH_RESOLUTION } else { 0 };
        // SAFETY: the callback takes any context: it looks the address up before it uses it.
        let raw = unsafe { ntddk::ExAllocateTimer(Some(expired), context, attributes) };
        if raw.is_null() {
            None
        } else {
            Some(Self { raw })
        }
    }

    /// Arms the timer; true if it was armed.
    pub(super) fn set(&self, due_time: LONGLONG, period_ms: u32) -> bool {
        let period = i64::from(period_ms) * 10_000;
        // SAFETY: the timer is allocated until `delete`, which comes when its owner is destroyed.
        unsafe { ntddk::ExSetTimer(self.raw, due_time, period, std::ptr::null_mut()) != 0 }
    }

    /// Disarms the timer; true if it was armed.
    pub(super) fn cancel(&self) -> bool {
        // SAFETY: as in `set`.
        unsafe { ntddk::ExCancelTimer(self.raw, std::ptr::null_mut()) != 0 }
    }

    /// Cancels and deletes the timer without waiting (T-34).
    pub(super) fn delete(&self) {
        // SAFETY: the owner deletes the timer once, when it is destroyed itself.
        unsafe { ntddk::ExDeleteTimer(self.raw, 1, 0, std::ptr::null_mut()) };
    }
}

unsafe extern "C" fn expired(_timer: PEX_TIMER, context: PVOID) {
    super::timer::fire(context as usize);
}

/// What still belongs to the driver in the machine: queued DPCs, armed timers, work items, threads.
pub(super) fn pending_of_image() -> Vec<String> {
    let w = current();
    w.nt.with(|nt| {
        let mut found = Vec::new();
        let dpcs: usize = nt
            .cpus
            .iter()
            .map(|cpu| cpu.dpcs.len() + cpu.expired.len())
            .sum();
        if dpcs > 0 {
            found.push(format!("{dpcs} queued DPCs or timer expiries"));
        }
        if nt.timers.armed() > 0 {
            found.push(format!("{} armed timers", nt.timers.armed()));
        }
        if nt.work.waiting() > 0 {
            found.push(format!("{} queued work items", nt.work.waiting()));
        }
        if nt.change.len() > 0 {
            found.push(format!("{} processor change callbacks", nt.change.len()));
        }
        for thread in nt
            .threads
            .iter()
            .filter(|thread| is_live_driver_thread(thread))
        {
            found.push(format!("{} still runs", thread.name));
        }
        found
    })
}

fn is_live_driver_thread(thread: &crate::nt::state::Thread) -> bool {
    thread.kind == crate::nt::state::Kind::Driver && !thread.finished
}

/// D-27: convicts a KDPC that is queued when its memory goes, under its owner's name.
pub(super) fn check_dpc_not_queued(dpc: PKDPC, name: &str) {
    let start = dpc as usize;
    crate::nt::dpc::check_freed(current(), start..start + size_of::<KDPC>(), name);
}
