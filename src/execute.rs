//! Calling a function that may block from anywhere, and what a worker can say about itself, as
//! `linux/workqueue.h` has them.

use core::ffi::CStr;

use crate::engine::backend::{Backend, Irql};
use crate::kmdf::{Kmdf, visit};
use crate::work::{INIT_WORK, schedule_work, work_func_t, work_struct};

/// Room for [`execute_in_process_context`]. Linux: `struct execute_work`.
#[repr(C)]
#[derive(Debug, Default)]
pub struct execute_work {
    /// The work that the function is called for.
    pub work: work_struct,
}

// The C headers assert the same: include/bottomhalf/items.h.
static_assertions::const_assert_eq!(size_of::<execute_work>(), 32);

/// Calls `func` where it may block: now if the caller may, else as a work of
/// [`system_wq`](crate::system_queues::system_wq). Linux: `execute_in_process_context`.
///
/// Returns 0 if it was called, 1 if it was scheduled. If nothing is attached it cannot be scheduled, and
/// that is reported (BH03); as in Linux the answer is 1 all the same.
///
/// IRQL: any; above APC_LEVEL it schedules. Blocks if `func` does. KMDF: as
/// [`schedule_work`].
///
/// # Safety
///
/// `ew` is valid, not pending, and stays in place until `func` is called, with the address of `ew`'s work,
/// which `func` can take.
pub unsafe fn execute_in_process_context(func: work_func_t, ew: *mut execute_work) -> i32 {
    // SAFETY: by the caller's word.
    let work = unsafe { &raw mut (*ew).work };
    if Kmdf::irql() <= Irql::APC {
        // SAFETY: by the caller's word; as in Linux the work is not initialised, `func` knows its place.
        unsafe { func(work) };
        return 0;
    }
    // SAFETY: by the caller's word.
    unsafe {
        INIT_WORK(work, func);
        schedule_work(work);
    }
    1
}

/// Describes what the calling worker does, for Linux's dumps of stuck tasks. NT has no place that shows
/// it, so it is accepted, from anybody, and changes nothing. Linux: `set_worker_desc`.
///
/// IRQL: any. Does not block.
pub fn set_worker_desc(description: &CStr) {
    let _ = description;
}

/// Whether the caller is a work that runs on a rescuer's thread: NT's pool has had no thread for its queue in
/// time, so memory may be short. A driver that can do with less does so then. Linux:
/// `current_is_workqueue_rescuer`.
///
/// IRQL: any. Does not block. Above APC_LEVEL a thread means nothing (N-26), and the answer is no.
#[must_use]
pub fn current_is_workqueue_rescuer() -> bool {
    visit().is_some_and(|runtime| runtime.is_rescued())
}
