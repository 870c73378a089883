//! Works, as `linux/workqueue.h` has them.
//!
//! A work is a function that runs later at PASSIVE_LEVEL and may block. Queueing it makes it
//! *pending*, once: one queueing means one run, unless it is cancelled. It stops being pending just
//! before its function is called; from then on the memory is the driver's again, and the function
//! may free it or queue it again.
//!
//! Whether a work that is queued while it runs may run in parallel with itself is the driver's
//! choice: [`WorkReentrance`](crate::WorkReentrance).

use crate::engine::diagnostic::Report;
use crate::engine::item::ANY_CPU;
pub use crate::engine::item::{work_func_t, work_struct};
use crate::engine::word::State;
use crate::engine::work::{disable_unattached, refuse};
use crate::kmdf::{Kmdf, System, Target, enter, enter_to_target, visit};
use crate::sync::Ordering::Relaxed;
use crate::sync::{AtomicPtr, AtomicU64};
use crate::workqueue::workqueue_struct;

/// A work that is ready to be queued, for statics and fields. Linux: `DECLARE_WORK`.
///
/// IRQL: any. Does not block.
#[must_use]
pub const fn DECLARE_WORK(func: work_func_t) -> work_struct {
    work_struct {
        data: AtomicU64::new(State::Idle { depth: 0 }.word()),
        func: AtomicPtr::new(func as *mut ()),
        ..work_struct::new()
    }
}

/// Makes `work` ready. Plain writes; nothing can fail or allocate. Linux: `INIT_WORK`.
///
/// IRQL: any. Does not block.
///
/// # Safety
///
/// `work` is valid and not pending. It may be running: the new function counts for the next
/// queueing.
pub unsafe fn INIT_WORK(work: *mut work_struct, func: work_func_t) {
    // SAFETY: valid and on no list, by the caller's word; the bytes may be anything before.
    unsafe { work.write(DECLARE_WORK(func)) };
}

/// Queues `work` on `wq`. Linux: `queue_work`.
///
/// Returns `true` if this call made it pending, `false` if it was pending already (on any queue, or
/// its timer is armed), is being cancelled with a `_sync` call, or nothing is attached. In either
/// case the run that follows sees the stores made before the call.
///
/// IRQL: any. Does not block. KMDF: at most one `WdfWorkItemEnqueue`, from an interrupt one
/// `WdfDpcEnqueue`.
///
/// # Safety
///
/// `work` is initialised and stays in place while it is pending; `wq` is a live queue or null.
pub unsafe fn queue_work(wq: *mut workqueue_struct, work: *mut work_struct) -> bool {
    // SAFETY: by the caller's word.
    unsafe { queue_to(Target::Kept(wq.cast()), work) }
}

/// [`queue_work`] on whatever queue.
///
/// # Safety
///
/// As for [`queue_work`], for a queue that the caller keeps.
pub(crate) unsafe fn queue_to(target: Target, work: *mut work_struct) -> bool {
    // SAFETY: by the caller's word.
    unsafe { queue_on(target, None, work) }
}

/// [`queue_to`] for a CPU, or none.
///
/// # Safety
///
/// As for [`queue_to`].
unsafe fn queue_on(target: Target, cpu: Option<u32>, work: *mut work_struct) -> bool {
    // SAFETY: I1: all of it is atomic, and the driver keeps it.
    let work = unsafe { &*work };
    // SAFETY: by the caller's word.
    !refuse(work) && unsafe { queue_idle(target, cpu, work) }
}

/// Queues a work that was not found pending. A function of its own, so that a refusal needs no frame.
///
/// # Safety
///
/// As for [`queue_on`].
#[inline(never)]
unsafe fn queue_idle(target: Target, cpu: Option<u32>, work: &work_struct) -> bool {
    let (item, func) = identity(work);
    // SAFETY: by the caller's word.
    let entered = unsafe { enter_to_target(target, "queue_work", item, func) };
    entered.is_some_and(|(runtime, queue, raised)| runtime.queue_work(queue, work, cpu, raised))
}

/// Queues `work` on [`system_wq`](crate::system_queues::system_wq). Linux: `schedule_work`.
///
/// IRQL: any. Does not block. Returns and KMDF calls as for [`queue_work`].
///
/// # Safety
///
/// `work` is initialised and stays in place while it is pending.
pub unsafe fn schedule_work(work: *mut work_struct) -> bool {
    // SAFETY: by the caller's word.
    unsafe { queue_to(Target::System(System::PerCpu), work) }
}

/// The CPU of the calls named `_on`: none, wherever the caller is. Linux: `WORK_CPU_UNBOUND`, which is
/// `NR_CPUS`; this is its greatest value.
pub const WORK_CPU_UNBOUND: i32 = ANY_CPU;

/// The CPU that a call named `_on` asks for.
pub(crate) fn wanted(cpu: i32) -> Option<u32> {
    (cpu != WORK_CPU_UNBOUND).then_some(cpu.cast_unsigned())
}

/// [`queue_work`] for `cpu`: on a bound queue the function runs there. Linux: `queue_work_on`.
///
/// [`WORK_CPU_UNBOUND`] asks for nothing: that is `queue_work`. A CPU that is not active is reported
/// (BH18), and the work runs elsewhere. A work that is queued while it runs, and may not overlap
/// itself, runs where it runs now (row W03). A queue with [`WQ_UNBOUND`](crate::workqueue::WQ_UNBOUND),
/// or an ordered one, takes the CPU for a hint and runs the work anywhere.
///
/// IRQL: any. Does not block. Returns and KMDF calls as for [`queue_work`]; the worker moves its thread
/// (`KeSetSystemGroupAffinityThread`).
///
/// # Safety
///
/// As for [`queue_work`].
pub unsafe fn queue_work_on(cpu: i32, wq: *mut workqueue_struct, work: *mut work_struct) -> bool {
    // SAFETY: by the caller's word.
    unsafe { queue_on(Target::Kept(wq.cast()), wanted(cpu), work) }
}

/// [`queue_work_on`] on [`system_wq`](crate::system_queues::system_wq). Linux: `schedule_work_on`.
///
/// IRQL: any. Does not block. Returns and KMDF calls as for [`queue_work_on`].
///
/// # Safety
///
/// As for [`schedule_work`].
pub unsafe fn schedule_work_on(cpu: i32, work: *mut work_struct) -> bool {
    // SAFETY: by the caller's word.
    unsafe { queue_on(Target::System(System::PerCpu), wanted(cpu), work) }
}

/// Cancels `work`, keeps it from being queued meanwhile, and waits until it does not run.
/// Linux: `cancel_work_sync`, with the rules of 6.10 and later.
///
/// Returns `true` if it was pending when the call began, `false` if it was idle or only running.
/// The caller must itself stop whoever queues it later.
///
/// IRQL: = PASSIVE. Blocks while an instance runs. From the work's own function (BH07), or at
/// DISPATCH_LEVEL (BH06), it cancels, does not wait, and says so. A delayed work that is armed is
/// cancelled at once (Linux waits for the timer: row D23).
///
/// # Safety
///
/// `work` is valid, and stays so during the call.
pub unsafe fn cancel_work_sync(work: *mut work_struct) -> bool {
    // SAFETY: by the caller's word.
    unsafe { cancel_sync(work, "cancel_work_sync") }
}

/// [`cancel_work_sync`] under the name `call`.
///
/// # Safety
///
/// As for [`cancel_work_sync`].
pub(crate) unsafe fn cancel_sync(work: *const work_struct, call: &'static str) -> bool {
    // SAFETY: by the caller's word.
    let work = unsafe { &*work };
    visit().is_some_and(|runtime| runtime.cancel_sync(work, call))
}

/// Waits until the instance of `work` that is queued, if any, and those that run, have ended.
/// Linux: `flush_work`.
///
/// Returns `true` if it waited, `false` if there was nothing to wait for. A delayed work that is
/// only armed is nothing to wait for (row D17).
///
/// IRQL: = PASSIVE. Blocks. From the work's own function (BH07), or at DISPATCH_LEVEL (BH06), it
/// returns `false` at once and says so.
///
/// # Safety
///
/// `work` is valid when the call begins. It may be freed by its own function meanwhile.
pub unsafe fn flush_work(work: *mut work_struct) -> bool {
    // SAFETY: by the caller's word; the engine keeps only the address once it waits.
    let work = unsafe { &*work };
    visit().is_some_and(|runtime| runtime.flush_work(work, "flush_work"))
}

/// Whether `work` is pending. A hint: it may have changed. Linux: `work_pending`.
///
/// IRQL: any. Does not block.
///
/// # Safety
///
/// `work` is valid.
#[must_use]
pub unsafe fn work_pending(work: *const work_struct) -> bool {
    // SAFETY: by the caller's word.
    unsafe { &*work }.load().1.is_pending()
}

/// Cancels without waiting; for the delayed form.
///
/// # Safety
///
/// `work` is valid.
pub(crate) unsafe fn cancel(work: *const work_struct) -> bool {
    // SAFETY: by the caller's word.
    let work = unsafe { &*work };
    enter().is_some_and(|(runtime, raised)| runtime.cancel(work, raised))
}

/// Address and function, for messages.
pub(crate) fn identity(work: &work_struct) -> (usize, usize) {
    // ORDERING: a hint for a message.
    (
        core::ptr::from_ref(work).addr(),
        work.func.load(Relaxed).addr(),
    )
}

/// Bit of [`work_busy`]: pending.
pub const WORK_BUSY_PENDING: u32 = 1;
/// Bit of [`work_busy`]: an instance runs.
pub const WORK_BUSY_RUNNING: u32 = 2;

/// Cancels `work` and does not wait. Linux: `cancel_work`.
///
/// Returns `true` if it was pending, `false` if it was idle or only running; a running instance goes
/// on. An item that was never initialised is reported (BH05).
///
/// IRQL: any. Does not block.
///
/// # Safety
///
/// `work` is valid.
pub unsafe fn cancel_work(work: *mut work_struct) -> bool {
    // SAFETY: by the caller's word.
    unsafe { cancel(work) }
}

/// Whether `work` is pending ([`WORK_BUSY_PENDING`]) or running ([`WORK_BUSY_RUNNING`]). A hint: it may
/// have changed. Linux: `work_busy`.
///
/// IRQL: any. Does not block.
///
/// # Safety
///
/// `work` is valid.
#[must_use]
pub unsafe fn work_busy(work: *const work_struct) -> u32 {
    // SAFETY: by the caller's word.
    let work = unsafe { &*work };
    let running = enter().is_some_and(|(runtime, raised)| runtime.is_work_running(work, &raised));
    let pending = work.load().1.is_pending();
    (u32::from(pending) * WORK_BUSY_PENDING) | (u32::from(running) * WORK_BUSY_RUNNING)
}

/// The work that the caller is the function of, or null; null in a work of a `WQ_BH` queue too, which no worker
/// thread runs. Linux: `current_work`.
///
/// IRQL: <= APC; above, a thread means nothing (N-26), and the answer is null. Does not block.
#[must_use]
pub fn current_work() -> *mut work_struct {
    let address = visit().map_or(0, |runtime| runtime.current_work());
    core::ptr::with_exposed_provenance_mut(address)
}

/// Disables `work` once more, so that queueing it is refused, and cancels it; does not wait.
/// Linux: `disable_work`, since 6.10.
///
/// Returns `true` if it was pending. 65 535 disables are possible; one more is reported (BH08).
///
/// IRQL: any. Does not block.
///
/// # Safety
///
/// `work` is initialised and valid.
pub unsafe fn disable_work(work: *mut work_struct) -> bool {
    // SAFETY: by the caller's word.
    let work = unsafe { &*work };
    disable(work, || {
        enter().map(|(runtime, raised)| runtime.disable(work, raised).pending)
    })
}

/// Disables with `attached`, or, if that finds nothing attached, by the work alone: nothing is pending then.
fn disable(work: &work_struct, attached: impl Fn() -> Option<bool>) -> bool {
    loop {
        if let Some(pending) = attached() {
            return pending;
        }
        match disable_unattached(work) {
            Some(Ok(())) => return false,
            Some(Err(diagnostic)) => {
                Report::of(diagnostic, work, "disable_work").print::<Kmdf>();
                return false;
            }
            // An attach has come between.
            None => {}
        }
    }
}

/// As [`disable_work`], and waits until it does not run. Linux: `disable_work_sync`, since 6.10.
///
/// Returns `true` if it was pending.
///
/// IRQL: = PASSIVE. Blocks; otherwise as [`cancel_work_sync`].
///
/// # Safety
///
/// `work` is initialised, and valid during the call.
pub unsafe fn disable_work_sync(work: *mut work_struct) -> bool {
    // SAFETY: by the caller's word.
    let work = unsafe { &*work };
    disable(work, || {
        visit().map(|runtime| runtime.disable_sync(work, "disable_work_sync"))
    })
}

/// Takes one [`disable_work`] back; does not queue. Linux: `enable_work`, since 6.10.
///
/// Returns `true` if the work can be queued again. An enable without a disable is reported (BH14) and
/// returns `true`.
///
/// IRQL: any. Does not block.
///
/// # Safety
///
/// `work` is initialised and valid.
pub unsafe fn enable_work(work: *mut work_struct) -> bool {
    // SAFETY: by the caller's word.
    let work = unsafe { &*work };
    crate::engine::work::enable_work::<Kmdf>(work)
}

/// [`enable_work`], and [`queue_work`] if it can be queued again. Linux: `enable_and_queue_work`, since
/// 6.10.
///
/// Returns `true` if it can be queued again; it is pending then, by this call or by another one that came between.
///
/// IRQL: any. Does not block.
///
/// # Safety
///
/// As for [`queue_work`].
pub unsafe fn enable_and_queue_work(wq: *mut workqueue_struct, work: *mut work_struct) -> bool {
    // SAFETY: by the caller's word.
    let enabled = unsafe { enable_work(work) };
    if enabled {
        // SAFETY: by the caller's word.
        unsafe { queue_work(wq, work) };
    }
    enabled
}
