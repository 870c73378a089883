//! Works, delayed works, and what a device takes back.

use core::ffi::{CStr, c_char, c_void};

use bottomhalf::c_face::null_argument;
use bottomhalf::linux::{
    self, delayed_work, devm_action, devm_list, devm_release, execute_work, work_func_t,
    work_on_cpu_t, work_struct, workqueue_struct,
};

use crate::EINVAL;
use crate::given::{Given as _, answer_null};

forward! {
    queue_work(wq: *mut workqueue_struct, work: *mut work_struct) -> bool;
    schedule_work(work: *mut work_struct) -> bool;
    queue_work_on(cpu: i32, wq: *mut workqueue_struct, work: *mut work_struct) -> bool;
    schedule_work_on(cpu: i32, work: *mut work_struct) -> bool;
    cancel_work(work: *mut work_struct) -> bool;
    cancel_work_sync(work: *mut work_struct) -> bool;
    flush_work(work: *mut work_struct) -> bool;
    work_pending(work: *const work_struct) -> bool;
    work_busy(work: *const work_struct) -> u32;
    work_data_bits(work: *const work_struct) -> u64;
    current_work() -> *mut work_struct;
    disable_work(work: *mut work_struct) -> bool;
    disable_work_sync(work: *mut work_struct) -> bool;
    enable_work(work: *mut work_struct) -> bool;
    enable_and_queue_work(wq: *mut workqueue_struct, work: *mut work_struct) -> bool;
    destroy_work_on_stack(work: *mut work_struct);
}

forward! {
    queue_delayed_work(wq: *mut workqueue_struct, dwork: *mut delayed_work, delay: u64) -> bool;
    schedule_delayed_work(dwork: *mut delayed_work, delay: u64) -> bool;
    queue_delayed_work_on(cpu: i32, wq: *mut workqueue_struct, dwork: *mut delayed_work, delay: u64) -> bool;
    schedule_delayed_work_on(cpu: i32, dwork: *mut delayed_work, delay: u64) -> bool;
    mod_delayed_work(wq: *mut workqueue_struct, dwork: *mut delayed_work, delay: u64) -> bool;
    mod_delayed_work_on(cpu: i32, wq: *mut workqueue_struct, dwork: *mut delayed_work, delay: u64) -> bool;
    cancel_delayed_work(dwork: *mut delayed_work) -> bool;
    cancel_delayed_work_sync(dwork: *mut delayed_work) -> bool;
    flush_delayed_work(dwork: *mut delayed_work) -> bool;
    delayed_work_pending(dwork: *const delayed_work) -> bool;
    disable_delayed_work(dwork: *mut delayed_work) -> bool;
    disable_delayed_work_sync(dwork: *mut delayed_work) -> bool;
    enable_delayed_work(dwork: *mut delayed_work) -> bool;
    destroy_delayed_work_on_stack(dwork: *mut delayed_work);
}

forward! {
    current_is_workqueue_rescuer() -> bool;
    devm_release_all(device: *mut devm_list);
}

/// Exports the calls that make an item ready. With a null function the item is as zeroed memory: queueing
/// it is refused and reported (BH01).
macro_rules! init {
    ($($name:ident($item:ident);)*) => {$(
        #[doc = concat!("[`linux::", stringify!($name), "`] for C.")]
        ///
        /// # Safety
        ///
        /// As there.
        #[unsafe(export_name = concat!("bottomhalf_", stringify!($name)))]
        pub unsafe extern "C" fn $name(item: *mut $item, func: Option<work_func_t>) {
            answer_null!(stringify!($name), item);
            match func {
                // SAFETY: by the caller's word.
                Some(func) => unsafe { linux::$name(item, func) },
                // SAFETY: as above.
                None => unsafe { item.write($item::new()) },
            }
        }
    )*};
}
init! {
    INIT_WORK(work_struct);
    INIT_WORK_ONSTACK(work_struct);
    INIT_DELAYED_WORK(delayed_work);
    INIT_DELAYED_WORK_ONSTACK(delayed_work);
    INIT_DEFERRABLE_WORK(delayed_work);
    INIT_DEFERRABLE_WORK_ONSTACK(delayed_work);
}

/// [`linux::execute_in_process_context`] for C. A null function or item is reported (BH34), and answered
/// with `-EINVAL`.
///
/// # Safety
///
/// As there.
#[unsafe(export_name = "bottomhalf_execute_in_process_context")]
pub unsafe extern "C" fn execute_in_process_context(
    func: Option<work_func_t>,
    ew: *mut execute_work,
) -> i32 {
    let Some(func) = func.filter(|_| !ew.is_missing()) else {
        null_argument("execute_in_process_context");
        return -EINVAL;
    };
    // SAFETY: by the caller's word.
    unsafe { linux::execute_in_process_context(func, ew) }
}

/// [`linux::set_worker_desc`] for C; the header has formatted the description. Null describes nothing.
///
/// # Safety
///
/// `description` is null or ends with a zero.
#[unsafe(export_name = "bottomhalf_set_worker_desc")]
pub unsafe extern "C" fn set_worker_desc(description: *const c_char) {
    if !description.is_null() {
        // SAFETY: by the caller's word.
        linux::set_worker_desc(unsafe { CStr::from_ptr(description) });
    }
}

/// [`linux::work_on_cpu`] for C. A null function is reported (BH34), and answered with `-EINVAL`.
///
/// # Safety
///
/// As there.
#[unsafe(export_name = "bottomhalf_work_on_cpu")]
pub unsafe extern "C" fn work_on_cpu(
    cpu: i32,
    func: Option<work_on_cpu_t>,
    arg: *mut c_void,
) -> i64 {
    let Some(func) = func else {
        null_argument("work_on_cpu");
        return i64::from(-EINVAL);
    };
    // SAFETY: by the caller's word.
    unsafe { linux::work_on_cpu(cpu, func, arg) }
}

/// [`linux::work_on_cpu_safe`] for C. A null function is answered as by [`work_on_cpu`].
///
/// # Safety
///
/// As there.
#[unsafe(export_name = "bottomhalf_work_on_cpu_safe")]
pub unsafe extern "C" fn work_on_cpu_safe(
    cpu: i32,
    func: Option<work_on_cpu_t>,
    arg: *mut c_void,
) -> i64 {
    // SAFETY: by the caller's word.
    unsafe { work_on_cpu(cpu, func, arg) }
}

/// [`linux::schedule_on_each_cpu`] for C. A null function is reported (BH34), and answered with `-EINVAL`.
///
/// # Safety
///
/// As there.
#[unsafe(export_name = "bottomhalf_schedule_on_each_cpu")]
pub unsafe extern "C" fn schedule_on_each_cpu(func: Option<work_func_t>) -> i32 {
    let Some(func) = func else {
        null_argument("schedule_on_each_cpu");
        return -EINVAL;
    };
    // SAFETY: by the caller's word.
    unsafe { linux::schedule_on_each_cpu(func) }
}

/// [`linux::devm_add_action`] for C. A null action is reported (BH34), and answered with `-EINVAL`.
///
/// # Safety
///
/// As there.
#[unsafe(export_name = "bottomhalf_devm_add_action")]
pub unsafe extern "C" fn devm_add_action(
    device: *mut devm_list,
    action: *mut devm_action,
    release: Option<devm_release>,
    data: *mut c_void,
) -> i32 {
    let Some(release) = release.filter(|_| !(device.is_missing() || action.is_missing())) else {
        null_argument("devm_add_action");
        return -EINVAL;
    };
    // SAFETY: by the caller's word.
    unsafe { linux::devm_add_action(device, action, release, data) }
}

/// [`linux::devm_work_autocancel`] for C. A null function is reported (BH34), and answered with `-EINVAL`.
///
/// # Safety
///
/// As there.
#[unsafe(export_name = "bottomhalf_devm_work_autocancel")]
pub unsafe extern "C" fn devm_work_autocancel(
    device: *mut devm_list,
    action: *mut devm_action,
    work: *mut work_struct,
    func: Option<work_func_t>,
) -> i32 {
    let Some(func) =
        func.filter(|_| !(device.is_missing() || action.is_missing() || work.is_missing()))
    else {
        null_argument("devm_work_autocancel");
        return -EINVAL;
    };
    // SAFETY: by the caller's word.
    unsafe { linux::devm_work_autocancel(device, action, work, func) }
}

/// [`linux::devm_delayed_work_autocancel`] for C. A null function is answered as by
/// [`devm_work_autocancel`].
///
/// # Safety
///
/// As there.
#[unsafe(export_name = "bottomhalf_devm_delayed_work_autocancel")]
pub unsafe extern "C" fn devm_delayed_work_autocancel(
    device: *mut devm_list,
    action: *mut devm_action,
    dwork: *mut delayed_work,
    func: Option<work_func_t>,
) -> i32 {
    let Some(func) =
        func.filter(|_| !(device.is_missing() || action.is_missing() || dwork.is_missing()))
    else {
        null_argument("devm_delayed_work_autocancel");
        return -EINVAL;
    };
    // SAFETY: by the caller's word.
    unsafe { linux::devm_delayed_work_autocancel(device, action, dwork, func) }
}
