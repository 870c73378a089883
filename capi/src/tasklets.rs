//! Tasklets.

use bottomhalf::linux::{self, tasklet_callback, tasklet_func, tasklet_struct};

use crate::given::answer_null;

forward! {
    tasklet_schedule(t: *mut tasklet_struct);
    tasklet_hi_schedule(t: *mut tasklet_struct);
    tasklet_disable(t: *mut tasklet_struct);
    tasklet_disable_nosync(t: *mut tasklet_struct);
    tasklet_disable_in_atomic(t: *mut tasklet_struct);
    tasklet_trylock(t: *mut tasklet_struct) -> bool;
    tasklet_unlock(t: *mut tasklet_struct);
    tasklet_unlock_wait(t: *mut tasklet_struct);
    tasklet_unlock_spin_wait(t: *mut tasklet_struct);
    tasklet_enable(t: *mut tasklet_struct);
    tasklet_kill(t: *mut tasklet_struct);
}

/// [`linux::tasklet_setup`] for C. With a null callback the tasklet is as zeroed memory: scheduling it is
/// refused and reported (BH01).
///
/// # Safety
///
/// As there.
#[unsafe(export_name = "bottomhalf_tasklet_setup")]
pub unsafe extern "C" fn tasklet_setup(t: *mut tasklet_struct, callback: Option<tasklet_callback>) {
    answer_null!("tasklet_setup", t);
    match callback {
        // SAFETY: by the caller's word.
        Some(callback) => unsafe { linux::tasklet_setup(t, callback) },
        // SAFETY: as above.
        None => unsafe { t.write(tasklet_struct::new()) },
    }
}

/// [`linux::tasklet_init`] for C. A null function is answered as by [`tasklet_setup`].
///
/// # Safety
///
/// As there.
#[unsafe(export_name = "bottomhalf_tasklet_init")]
pub unsafe extern "C" fn tasklet_init(
    t: *mut tasklet_struct,
    func: Option<tasklet_func>,
    data: usize,
) {
    answer_null!("tasklet_init", t);
    match func {
        // SAFETY: by the caller's word.
        Some(func) => unsafe { linux::tasklet_init(t, func, data) },
        // SAFETY: as above.
        None => unsafe { t.write(tasklet_struct::new()) },
    }
}
