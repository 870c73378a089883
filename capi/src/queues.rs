//! Workqueues, the driver's and those that every image has.

use core::ffi::{CStr, c_char};

use bottomhalf::c_face::null_argument;
use bottomhalf::linux::{self, workqueue_struct};

forward! {
    workqueue_set_max_active(wq: *mut workqueue_struct, max_active: i32);
    workqueue_congested(cpu: i32, wq: *mut workqueue_struct) -> bool;
    flush_scheduled_work();
}

forward! {
    system_wq() -> *mut workqueue_struct;
    system_percpu_wq() -> *mut workqueue_struct;
    system_highpri_wq() -> *mut workqueue_struct;
    system_long_wq() -> *mut workqueue_struct;
    system_unbound_wq() -> *mut workqueue_struct;
    system_dfl_wq() -> *mut workqueue_struct;
    system_dfl_long_wq() -> *mut workqueue_struct;
    system_freezable_wq() -> *mut workqueue_struct;
    system_power_efficient_wq() -> *mut workqueue_struct;
    system_freezable_power_efficient_wq() -> *mut workqueue_struct;
    system_bh_wq() -> *mut workqueue_struct;
    system_bh_highpri_wq() -> *mut workqueue_struct;
}

/// Exports the calls that wait for a queue. A null queue is reported (BH34).
macro_rules! wait {
    ($($name:ident($wq:ident: $type:ty);)*) => {$(
        #[doc = concat!("[`linux::", stringify!($name), "`] for C.")]
        ///
        /// # Safety
        ///
        /// As there, or `wq` is null.
        #[unsafe(export_name = concat!("bottomhalf_", stringify!($name)))]
        pub unsafe extern "C" fn $name($wq: $type) {
            if $wq.is_null() {
                return null_argument(stringify!($name));
            }
            // SAFETY: by the caller's word.
            unsafe { linux::$name($wq) }
        }
    )*};
}
wait! {
    flush_workqueue(wq: *mut workqueue_struct);
    drain_workqueue(wq: *mut workqueue_struct);
    destroy_workqueue(wq: *mut workqueue_struct);
}

/// Exports the calls that make a queue. A null name is reported (BH34), and no queue is made.
macro_rules! make {
    ($($name:ident($($argument:ident: $type:ty),*);)*) => {$(
        #[doc = concat!("[`linux::", stringify!($name), "`] for C; the header has formatted the name.")]
        ///
        /// # Safety
        ///
        /// `name` is null or ends with a zero.
        #[unsafe(export_name = concat!("bottomhalf_", stringify!($name)))]
        pub unsafe extern "C" fn $name(name: *const c_char, $($argument: $type),*) -> *mut workqueue_struct {
            if name.is_null() {
                null_argument(stringify!($name));
                return core::ptr::null_mut();
            }
            // SAFETY: by the caller's word.
            linux::$name(unsafe { CStr::from_ptr(name) }, $($argument),*)
        }
    )*};
}
make! {
    alloc_workqueue(flags: u32, max_active: i32);
    alloc_ordered_workqueue(flags: u32);
    create_workqueue();
    create_singlethread_workqueue();
    create_freezable_workqueue();
}
