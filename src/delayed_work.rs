//! Delayed works, as `linux/workqueue.h` has them.
//!
//! A delayed work is a work that is queued after a number of jiffies. It is pending from when it is
//! armed. A delay of zero uses no timer at all: the work is queued at once. All delayed works share
//! one passive-level WDFTIMER.

use crate::engine::delayed::Modified;
pub use crate::engine::item::delayed_work;
use crate::engine::work::refuse;
use crate::kmdf::{Queue, Raised, Runtime, System, Target, enter_to_target, visit};
use crate::work::{DECLARE_WORK, identity, wanted, work_func_t, work_pending, work_struct};
use crate::workqueue::workqueue_struct;

/// A delayed work that is ready to be queued, for statics and fields. Linux:
/// `DECLARE_DELAYED_WORK`.
///
/// IRQL: any. Does not block.
#[must_use]
pub const fn DECLARE_DELAYED_WORK(func: work_func_t) -> delayed_work {
    delayed_work {
        work: DECLARE_WORK(func),
        ..delayed_work::new()
    }
}

/// Makes `dwork` ready. Plain writes; nothing can fail or allocate. Linux: `INIT_DELAYED_WORK`.
///
/// IRQL: any. Does not block.
///
/// # Safety
///
/// `dwork` is valid and not pending.
pub unsafe fn INIT_DELAYED_WORK(dwork: *mut delayed_work, func: work_func_t) {
    // SAFETY: valid and in no list or tree, by the caller's word.
    unsafe { dwork.write(DECLARE_DELAYED_WORK(func)) };
}

/// The delayed work that `work` is the member of. Linux: `to_delayed_work`.
///
/// IRQL: any. Does not block.
#[must_use]
pub const fn to_delayed_work(work: *mut work_struct) -> *mut delayed_work {
    // `work` is the first member.
    work.cast()
}

/// Queues `dwork` on `wq` after `delay` jiffies. Linux: `queue_delayed_work`.
///
/// Returns `true` if this call made it pending, `false` if it was pending already (armed or
/// queued), is being cancelled with a `_sync` call, `wq` is being destroyed (BH02), or nothing is
/// attached; an armed timer is left as it is. It runs after at least `delay` whole jiffies; a delay
/// of zero is [`queue_work`](crate::work::queue_work).
///
/// IRQL: any. Does not block. KMDF: at most one `WdfTimerStart`, from an interrupt one
/// `WdfDpcEnqueue`.
///
/// # Safety
///
/// `dwork` is initialised and stays in place while it is pending; `wq` is a live queue or null, and
/// is not destroyed while the timer is armed (BH10).
pub unsafe fn queue_delayed_work(
    wq: *mut workqueue_struct,
    dwork: *mut delayed_work,
    delay: u64,
) -> bool {
    // SAFETY: by the caller's word.
    unsafe { queue_delayed_to(Target::Kept(wq.cast()), dwork, delay) }
}

/// [`queue_delayed_work`] on whatever queue.
///
/// # Safety
///
/// As for [`queue_delayed_work`], for a queue that the caller keeps.
pub(crate) unsafe fn queue_delayed_to(
    target: Target,
    dwork: *const delayed_work,
    delay: u64,
) -> bool {
    // SAFETY: by the caller's word.
    unsafe { queue_delayed_at(target, None, dwork, delay) }
}

/// [`queue_delayed_to`] for a CPU, or none.
///
/// # Safety
///
/// As for [`queue_delayed_to`].
unsafe fn queue_delayed_at(
    target: Target,
    cpu: Option<u32>,
    dwork: *const delayed_work,
    delay: u64,
) -> bool {
    // SAFETY: I1: all of it is atomic, and the driver keeps it.
    let dwork = unsafe { &*dwork };
    // SAFETY: by the caller's word.
    !refuse(&dwork.work) && unsafe { arm_idle(target, cpu, dwork, delay) }
}

/// Arms a work that was not found pending. A function of its own, so that a refusal needs no frame.
///
/// # Safety
///
/// As for [`queue_delayed_at`].
#[inline(never)]
unsafe fn arm_idle(target: Target, cpu: Option<u32>, dwork: &delayed_work, delay: u64) -> bool {
    // SAFETY: by the caller's word.
    let queued = unsafe {
        with_queue(
            target,
            dwork,
            "queue_delayed_work",
            |runtime, queue, raised| runtime.queue_delayed(queue, dwork, delay, cpu, raised),
        )
    };
    queued == Some(true)
}

/// [`queue_delayed_work`] on [`system_wq`](crate::system_queues::system_wq). Linux: `schedule_delayed_work`.
///
/// IRQL: any. Does not block. Returns and KMDF calls as for [`queue_delayed_work`].
///
/// # Safety
///
/// As for [`queue_delayed_work`].
pub unsafe fn schedule_delayed_work(dwork: *mut delayed_work, delay: u64) -> bool {
    // SAFETY: by the caller's word.
    unsafe { queue_delayed_to(Target::System(System::PerCpu), dwork, delay) }
}

/// [`queue_delayed_work`] for `cpu`: when the delay is over, it is queued as by
/// [`queue_work_on`](crate::work::queue_work_on). Linux: `queue_delayed_work_on`.
///
/// [`WORK_CPU_UNBOUND`](crate::work::WORK_CPU_UNBOUND) asks for nothing; a CPU that is not active when
/// it is armed is reported (BH18).
///
/// IRQL: any. Does not block. Returns and KMDF calls as for [`queue_delayed_work`].
///
/// # Safety
///
/// As for [`queue_delayed_work`].
pub unsafe fn queue_delayed_work_on(
    cpu: i32,
    wq: *mut workqueue_struct,
    dwork: *mut delayed_work,
    delay: u64,
) -> bool {
    // SAFETY: by the caller's word.
    unsafe { queue_delayed_at(Target::Kept(wq.cast()), wanted(cpu), dwork, delay) }
}

/// [`queue_delayed_work_on`] on [`system_wq`](crate::system_queues::system_wq). Linux:
/// `schedule_delayed_work_on`.
///
/// IRQL: any. Does not block. Returns and KMDF calls as for [`queue_delayed_work_on`].
///
/// # Safety
///
/// As for [`queue_delayed_work`].
pub unsafe fn schedule_delayed_work_on(cpu: i32, dwork: *mut delayed_work, delay: u64) -> bool {
    // SAFETY: by the caller's word.
    unsafe { queue_delayed_at(Target::System(System::PerCpu), wanted(cpu), dwork, delay) }
}

/// [`mod_delayed_work`] for `cpu`, as [`queue_delayed_work_on`] takes it. Linux: `mod_delayed_work_on`.
///
/// IRQL: any. Does not block. Returns and KMDF calls as for [`mod_delayed_work`].
///
/// # Safety
///
/// As for [`queue_delayed_work`].
pub unsafe fn mod_delayed_work_on(
    cpu: i32,
    wq: *mut workqueue_struct,
    dwork: *mut delayed_work,
    delay: u64,
) -> bool {
    // SAFETY: by the caller's word.
    let modified = unsafe { modify_at(Target::Kept(wq.cast()), wanted(cpu), dwork, delay) };
    matches!(modified, Modified::Again | Modified::Dropped)
}

/// Makes `dwork` due on `wq` after `delay` jiffies from now, whatever it was doing: an armed timer
/// is set anew, a queued work is taken off its queue. Linux: `mod_delayed_work`.
///
/// Returns `true` if it was pending, `false` if it was not and is now, or if it is being cancelled
/// with a `_sync` call, in which case nothing happens (6.10 and later).
///
/// IRQL: any. Does not block. KMDF: as [`queue_delayed_work`].
///
/// # Safety
///
/// As for [`queue_delayed_work`].
pub unsafe fn mod_delayed_work(
    wq: *mut workqueue_struct,
    dwork: *mut delayed_work,
    delay: u64,
) -> bool {
    // SAFETY: by the caller's word.
    let modified = unsafe { modify(Target::Kept(wq.cast()), dwork, delay) };
    matches!(modified, Modified::Again | Modified::Dropped)
}

/// [`mod_delayed_work`], with all that it can say.
///
/// # Safety
///
/// As for [`mod_delayed_work`].
pub(crate) unsafe fn modify(target: Target, dwork: *const delayed_work, delay: u64) -> Modified {
    // SAFETY: by the caller's word.
    unsafe { modify_at(target, None, dwork, delay) }
}

/// [`modify`] for a CPU, or none.
///
/// # Safety
///
/// As for [`modify`].
unsafe fn modify_at(
    target: Target,
    cpu: Option<u32>,
    dwork: *const delayed_work,
    delay: u64,
) -> Modified {
    // SAFETY: I1: all of it is atomic, and the driver keeps it.
    let dwork = unsafe { &*dwork };
    // SAFETY: by the caller's word.
    let modified = unsafe {
        with_queue(
            target,
            dwork,
            "mod_delayed_work",
            |runtime, queue, raised| runtime.modify_delayed(queue, dwork, delay, cpu, raised),
        )
    };
    modified.unwrap_or(Modified::Refused)
}

/// Finds queue and runtime for a call that arms; `None`, and said so, if one is missing.
///
/// # Safety
///
/// A queue that the caller keeps is alive, or null.
unsafe fn with_queue<R>(
    target: Target,
    dwork: &delayed_work,
    call: &str,
    arm: impl FnOnce(&Runtime, &Queue, Raised) -> R,
) -> Option<R> {
    let (item, func) = identity(&dwork.work);
    // SAFETY: by the caller's word.
    let (runtime, queue, raised) = unsafe { enter_to_target(target, call, item, func)? };
    Some(arm(runtime, queue, raised))
}

/// Cancels `dwork` and does not wait. Linux: `cancel_delayed_work`.
///
/// Returns `true` if it was pending (armed or queued), `false` if it was not; a running instance
/// goes on.
///
/// IRQL: any. Does not block.
///
/// # Safety
///
/// `dwork` is valid.
pub unsafe fn cancel_delayed_work(dwork: *mut delayed_work) -> bool {
    // SAFETY: by the caller's word; `work` is the first member.
    unsafe { crate::work::cancel(dwork.cast()) }
}

/// Cancels `dwork`, keeps it from being queued meanwhile, and waits until it does not run, also if
/// it re-arms itself. Linux: `cancel_delayed_work_sync`.
///
/// Returns `true` if it was pending when the call began.
///
/// IRQL: = PASSIVE. Blocks while an instance runs; otherwise as
/// [`cancel_work_sync`](crate::work::cancel_work_sync).
///
/// # Safety
///
/// `dwork` is valid, and stays so during the call.
pub unsafe fn cancel_delayed_work_sync(dwork: *mut delayed_work) -> bool {
    // SAFETY: by the caller's word; `work` is the first member.
    unsafe { crate::work::cancel_sync(dwork.cast(), "cancel_delayed_work_sync") }
}

/// Queues `dwork` now if its timer is armed, and waits until it has run. Linux:
/// `flush_delayed_work`.
///
/// Returns `true` if it waited. The work may be over before the call looks, so `false` does not
/// mean that it has not run.
///
/// IRQL: = PASSIVE. Blocks; otherwise as [`flush_work`](crate::work::flush_work).
///
/// # Safety
///
/// `dwork` is valid when the call begins.
pub unsafe fn flush_delayed_work(dwork: *mut delayed_work) -> bool {
    // SAFETY: by the caller's word.
    let dwork = unsafe { &*dwork };
    visit().is_some_and(|runtime| runtime.flush_delayed(dwork))
}

/// Whether `dwork` is armed or queued. A hint. Linux: `delayed_work_pending`.
///
/// IRQL: any. Does not block.
///
/// # Safety
///
/// `dwork` is valid.
#[must_use]
pub unsafe fn delayed_work_pending(dwork: *const delayed_work) -> bool {
    // SAFETY: by the caller's word; `work` is the first member.
    unsafe { work_pending(dwork.cast()) }
}

/// Disables `dwork` once more, and cancels it, armed or queued; does not wait.
/// Linux: `disable_delayed_work`, since 6.10. Returns as [`disable_work`](crate::work::disable_work) does.
///
/// IRQL: any. Does not block.
///
/// # Safety
///
/// `dwork` is initialised and valid.
pub unsafe fn disable_delayed_work(dwork: *mut delayed_work) -> bool {
    // SAFETY: by the caller's word; `work` is the first member.
    unsafe { crate::work::disable_work(dwork.cast()) }
}

/// As [`disable_delayed_work`], and waits until it does not run. Linux: `disable_delayed_work_sync`,
/// since 6.10. Returns as [`disable_work_sync`](crate::work::disable_work_sync) does.
///
/// IRQL: = PASSIVE. Blocks while an instance runs; otherwise as
/// [`cancel_work_sync`](crate::work::cancel_work_sync).
///
/// # Safety
///
/// `dwork` is initialised, and valid during the call.
pub unsafe fn disable_delayed_work_sync(dwork: *mut delayed_work) -> bool {
    // SAFETY: by the caller's word; `work` is the first member.
    unsafe { crate::work::disable_work_sync(dwork.cast()) }
}

/// Takes one disable back; does not arm. Linux: `enable_delayed_work`, since 6.10. Returns as
/// [`enable_work`](crate::work::enable_work) does.
///
/// IRQL: any. Does not block.
///
/// # Safety
///
/// `dwork` is initialised and valid.
pub unsafe fn enable_delayed_work(dwork: *mut delayed_work) -> bool {
    // SAFETY: by the caller's word; `work` is the first member.
    unsafe { crate::work::enable_work(dwork.cast()) }
}
