//! Tasklets, as `linux/interrupt.h` has them.
//!
//! A tasklet is a function that runs soon, at DISPATCH_LEVEL, on the CPU that scheduled it, and
//! never on two CPUs at once. All tasklets share one WDFDPC per CPU.
//!
//! Properties: once scheduled it runs at least once after that; scheduled again before it has
//! started it runs once; scheduled while it runs it runs again, on the CPU that scheduled it, after
//! the first run has ended; it is serialised only against itself; high-priority ones of a CPU run
//! before the others.

use crate::engine::diagnostic::{Diagnostic, report};
pub use crate::engine::item::{tasklet_callback, tasklet_func, tasklet_struct};
use crate::engine::tasklet::{RUN, SCHED, forget_parked, kind, refuse};
use crate::engine::tasklet_wait::trylock;
use crate::kmdf::{Kmdf, enter_accepting, visit};
use crate::sync::Ordering::{Relaxed, SeqCst};
use crate::sync::{AtomicI32, AtomicPtr, AtomicU32};

/// Bit of [`tasklet_struct::state`]: scheduled, or claimed by a `tasklet_kill`.
pub const TASKLET_STATE_SCHED: u64 = SCHED;
/// Bit of [`tasklet_struct::state`]: the function is running.
pub const TASKLET_STATE_RUN: u64 = RUN;

const fn declared(callback: tasklet_callback, count: i32) -> tasklet_struct {
    tasklet_struct {
        count: AtomicI32::new(count),
        link: AtomicU32::new(kind::CALLBACK),
        func: AtomicPtr::new(callback as *mut ()),
        ..tasklet_struct::new()
    }
}

/// A tasklet that is ready to be scheduled, for statics and fields. Linux: `DECLARE_TASKLET`.
///
/// IRQL: any. Does not block.
#[must_use]
pub const fn DECLARE_TASKLET(callback: tasklet_callback) -> tasklet_struct {
    declared(callback, 0)
}

/// A tasklet that is disabled once, for statics and fields. Linux: `DECLARE_TASKLET_DISABLED`.
///
/// IRQL: any. Does not block.
#[must_use]
pub const fn DECLARE_TASKLET_DISABLED(callback: tasklet_callback) -> tasklet_struct {
    declared(callback, 1)
}

/// Makes `t` ready, with a callback that gets the tasklet. Plain writes; nothing can fail.
/// Linux: `tasklet_setup`.
///
/// IRQL: any. Does not block.
///
/// # Safety
///
/// `t` is valid, and neither scheduled nor running.
pub unsafe fn tasklet_setup(t: *mut tasklet_struct, callback: tasklet_callback) {
    // SAFETY: valid and unused, by the caller's word; the bytes may be anything before.
    unsafe { t.write(declared(callback, 0)) };
}

/// Makes `t` ready, with a function that gets `data`. Linux: `tasklet_init`.
///
/// IRQL: any. Does not block.
///
/// # Safety
///
/// `t` is valid, and neither scheduled nor running.
pub unsafe fn tasklet_init(t: *mut tasklet_struct, func: tasklet_func, data: usize) {
    let tasklet = tasklet_struct {
        func: AtomicPtr::new(func as *mut ()),
        data: crate::sync::AtomicUsize::new(data),
        ..tasklet_struct::new()
    };
    // SAFETY: as in `tasklet_setup`.
    unsafe { t.write(tasklet) };
}

/// Makes `t` run soon on this CPU, after its high-priority tasklets. Linux: `tasklet_schedule`.
///
/// A tasklet that is scheduled already stays where it is; its run sees the stores made before this
/// call (row T27). A disabled one stays scheduled until it is enabled (row T07).
///
/// IRQL: any. Does not block. KMDF: at most one `WdfDpcEnqueue`.
///
/// # Safety
///
/// `t` is initialised and stays in place until it is killed.
pub unsafe fn tasklet_schedule(t: *mut tasklet_struct) {
    // SAFETY: by the caller's word.
    unsafe { schedule(t, false, "tasklet_schedule") };
}

/// As [`tasklet_schedule`], before the CPU's normal tasklets. Linux: `tasklet_hi_schedule`.
///
/// IRQL: any. Does not block. KMDF: at most one `WdfDpcEnqueue`.
///
/// # Safety
///
/// As for [`tasklet_schedule`].
pub unsafe fn tasklet_hi_schedule(t: *mut tasklet_struct) {
    // SAFETY: by the caller's word.
    unsafe { schedule(t, true, "tasklet_hi_schedule") };
}

/// Schedules; `false` if it was scheduled already or nothing is attached.
///
/// # Safety
///
/// As for [`tasklet_schedule`].
#[inline(always)]
pub(crate) unsafe fn schedule(t: *const tasklet_struct, hi: bool, call: &str) -> bool {
    // SAFETY: I1: all of it is atomic, and the driver keeps it.
    let tasklet = unsafe { &*t };
    !refuse(tasklet) && schedule_idle(tasklet, hi, call)
}

/// Schedules a tasklet that was not found scheduled.
#[inline(always)]
fn schedule_idle(tasklet: &tasklet_struct, hi: bool, call: &str) -> bool {
    // ORDERING: the check for zeroed memory.
    if tasklet.func.load(Relaxed).is_null() {
        refused(Diagnostic::QueueUninitialised, tasklet, call);
        return false;
    }
    let Some((runtime, raised)) = enter_accepting() else {
        refused(Diagnostic::NotAttached, tasklet, call);
        return false;
    };
    runtime.tasklet_schedule(tasklet, hi, raised)
}

/// Says what is wrong with a call on a tasklet.
#[cold]
fn refused(why: Diagnostic, tasklet: &tasklet_struct, call: &str) {
    // ORDERING: a hint for a message.
    let func = tasklet.func.load(Relaxed).addr();
    report::<Kmdf>(why, call, core::ptr::from_ref(tasklet).addr(), func);
}

/// Disables `t` once more and waits until it does not run; a scheduled one stays scheduled.
/// Linux: `tasklet_disable`.
///
/// IRQL: = PASSIVE. Blocks while the tasklet runs. At DISPATCH_LEVEL it disables, does not wait,
/// and says so (BH06).
///
/// # Safety
///
/// `t` is initialised and stays valid during the call.
pub unsafe fn tasklet_disable(t: *mut tasklet_struct) {
    // SAFETY: by the caller's word.
    let tasklet = unsafe { &*t };
    match visit() {
        Some(runtime) => runtime.tasklet_disable(tasklet),
        // ORDERING: nothing runs without a runtime.
        None => {
            tasklet.count.fetch_add(1, SeqCst);
        }
    }
}

/// Disables `t` once more and does not wait; a run that has begun goes on.
/// Linux: `tasklet_disable_nosync`.
///
/// IRQL: any, also from the tasklet itself. Does not block.
///
/// # Safety
///
/// `t` is initialised and stays valid during the call.
pub unsafe fn tasklet_disable_nosync(t: *mut tasklet_struct) {
    // SAFETY: by the caller's word.
    let tasklet = unsafe { &*t };
    match crate::kmdf::enter() {
        Some((runtime, raised)) => runtime.tasklet_disable_nosync(tasklet, &raised),
        // ORDERING: nothing runs without a runtime.
        None => {
            tasklet.count.fetch_add(1, SeqCst);
        }
    }
}

/// Disables `t` once more and spins until it does not run. For callers that may not sleep.
/// Linux: `tasklet_disable_in_atomic`.
///
/// IRQL: any. Spins while the tasklet runs on another CPU. From the tasklet itself, and on the CPU
/// whose run the caller has interrupted, the run cannot end: it disables, does not wait, and says
/// so (BH16).
///
/// # Safety
///
/// `t` is initialised and stays valid during the call.
pub unsafe fn tasklet_disable_in_atomic(t: *mut tasklet_struct) {
    // SAFETY: by the caller's word.
    let tasklet = unsafe { &*t };
    match visit() {
        Some(runtime) => runtime.tasklet_disable_in_atomic(tasklet),
        // ORDERING: nothing runs without a runtime.
        None => {
            tasklet.count.fetch_add(1, SeqCst);
        }
    }
}

/// Keeps `t` from running, if it does not run and nobody else keeps it from it: true, and the
/// caller owes a [`tasklet_unlock`]. What is scheduled meanwhile runs after that.
/// Linux: `tasklet_trylock`.
///
/// IRQL: any. Does not block.
///
/// # Safety
///
/// `t` is initialised and stays valid until the unlock.
#[must_use = "true means that the tasklet is locked"]
pub unsafe fn tasklet_trylock(t: *mut tasklet_struct) -> bool {
    // SAFETY: by the caller's word.
    trylock(unsafe { &*t })
}

/// Gives back what [`tasklet_trylock`] took; what was scheduled meanwhile runs, on the CPU that
/// scheduled it. Linux: `tasklet_unlock`.
///
/// IRQL: any. Does not block. A tasklet that is not locked is reported (BH29).
///
/// # Safety
///
/// `t` is initialised and valid, and the caller, or who it acts for, has locked it.
pub unsafe fn tasklet_unlock(t: *mut tasklet_struct) {
    // SAFETY: by the caller's word.
    let tasklet = unsafe { &*t };
    match crate::kmdf::enter() {
        Some((runtime, raised)) => runtime.tasklet_unlock(tasklet, raised),
        // ORDERING: as in `tasklet_enable`.
        None => {
            if tasklet.state.fetch_and(!RUN, SeqCst) & RUN == 0 {
                refused(Diagnostic::StateLost, tasklet, "tasklet_unlock");
            }
            if tasklet.count.load(SeqCst) == 0 {
                forget_parked(tasklet);
            }
        }
    }
}

/// Waits until `t` neither runs nor is locked; it may begin again at once.
/// Linux: `tasklet_unlock_wait`.
///
/// IRQL: = PASSIVE. Blocks. At DISPATCH_LEVEL it does not wait, and says so (BH06).
///
/// # Safety
///
/// `t` is initialised and stays valid during the call.
pub unsafe fn tasklet_unlock_wait(t: *mut tasklet_struct) {
    if let Some(runtime) = visit() {
        // SAFETY: by the caller's word.
        runtime.tasklet_unlock_wait(unsafe { &*t }, "tasklet_unlock_wait");
    }
}

/// As [`tasklet_unlock_wait`], spinning. Linux: `tasklet_unlock_spin_wait`.
///
/// IRQL: any. Spins. Where the run is under the caller it does not wait, and says so (BH16).
///
/// # Safety
///
/// `t` is initialised and stays valid during the call.
pub unsafe fn tasklet_unlock_spin_wait(t: *mut tasklet_struct) {
    if let Some(runtime) = visit() {
        // SAFETY: by the caller's word.
        runtime.tasklet_spin_wait(unsafe { &*t }, "tasklet_unlock_spin_wait");
    }
}

/// Takes one disable back. At zero a tasklet that was scheduled meanwhile runs, on the CPU that
/// scheduled it. Linux: `tasklet_enable`.
///
/// IRQL: any. Does not block. One enable too many is reported (BH09).
///
/// # Safety
///
/// `t` is initialised and stays valid during the call.
pub unsafe fn tasklet_enable(t: *mut tasklet_struct) {
    // SAFETY: by the caller's word.
    let tasklet = unsafe { &*t };
    match crate::kmdf::enter() {
        Some((runtime, raised)) => runtime.tasklet_enable(tasklet, raised),
        // ORDERING: nothing runs without a runtime. What a detach has left scheduled could run now, and
        // never will.
        None => match tasklet.count.fetch_sub(1, SeqCst) {
            1 => forget_parked(tasklet),
            count if count <= 0 => refused(Diagnostic::EnableUnderflow, tasklet, "tasklet_enable"),
            _ => {}
        },
    }
}

/// Waits until `t` is over: if it is scheduled it runs first, if it is scheduled and disabled the
/// call waits until it is enabled and has run. Schedules during the call are lost, also the
/// tasklet's own; after it the tasklet can be freed or scheduled again. Linux: `tasklet_kill`.
///
/// IRQL: = PASSIVE. Blocks. At DISPATCH_LEVEL it does nothing and says so (BH06).
///
/// # Safety
///
/// `t` is initialised and stays valid during the call.
pub unsafe fn tasklet_kill(t: *mut tasklet_struct) {
    // SAFETY: by the caller's word.
    let tasklet = unsafe { &*t };
    match visit() {
        Some(runtime) => runtime.tasklet_kill(tasklet),
        // Nothing runs without a runtime: whatever was scheduled is not any more.
        None => forget_parked(tasklet),
    }
}
