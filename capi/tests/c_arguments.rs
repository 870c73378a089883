//! Arguments that C can pass and Rust cannot, and numbers that are wrong.

#[path = "c/mod.rs"]
mod c;

use core::ffi::c_void;
use core::ptr::{null, null_mut};

use c::*;
use kmdf_mock::world;
use kmdf_mock::{sim_assert, sim_assert_eq};

const EINVAL: i32 = 22;
const ENODEV: i64 = 19;

unsafe extern "C" fn nothing(_item: *mut c_void) {}
unsafe extern "C" fn seven(_arg: *mut c_void) -> i64 {
    7
}

/// CAPI-7: an item whose function is null is as zeroed memory: queueing it is refused and reported (BH01), and
/// an init with a function makes it usable.
#[test]
fn an_item_without_a_function_is_not_queued() {
    with_attached(&["BH01"; 4], || {
        let items = [
            Item::leaked(),
            Item::leaked(),
            Item::leaked(),
            Item::leaked(),
        ];
        // SAFETY: the items stay for good.
        unsafe {
            bottomhalf_INIT_WORK(items[0], None);
            sim_assert!(!bottomhalf_schedule_work(items[0]));
            bottomhalf_INIT_DELAYED_WORK(items[1], None);
            sim_assert!(!bottomhalf_schedule_delayed_work(items[1], 5));
            bottomhalf_tasklet_setup(items[2], None);
            bottomhalf_tasklet_schedule(items[2]);
            bottomhalf_tasklet_init(items[3], None, 1);
            bottomhalf_tasklet_schedule(items[3]);
            bottomhalf_INIT_WORK(items[0], Some(nothing));
            sim_assert!(bottomhalf_schedule_work(items[0]));
            bottomhalf_flush_work(items[0]);
            bottomhalf_tasklet_setup(items[2], Some(nothing));
            bottomhalf_tasklet_schedule(items[2]);
            bottomhalf_tasklet_kill(items[2]);
        }
    });
}

/// CAPI-7, BH34: a null function that is to be called is refused with `-EINVAL`.
#[test]
fn a_null_function_is_refused() {
    with_attached(&["BH34"; 7], || {
        let (item, device, action) = (Item::leaked(), Item::leaked(), Item::leaked());
        // SAFETY: the memory stays for good.
        unsafe {
            sim_assert_eq!(bottomhalf_execute_in_process_context(None, item), -EINVAL);
            sim_assert_eq!(
                bottomhalf_work_on_cpu(0, None, null_mut()),
                i64::from(-EINVAL)
            );
            sim_assert_eq!(
                bottomhalf_work_on_cpu_safe(0, None, null_mut()),
                i64::from(-EINVAL)
            );
            sim_assert_eq!(bottomhalf_schedule_on_each_cpu(None), -EINVAL);
            sim_assert_eq!(
                bottomhalf_devm_add_action(device, action, None, null_mut()),
                -EINVAL
            );
            sim_assert_eq!(
                bottomhalf_devm_work_autocancel(device, action, item, None),
                -EINVAL
            );
            sim_assert_eq!(
                bottomhalf_devm_delayed_work_autocancel(device, action, item, None),
                -EINVAL
            );
            bottomhalf_devm_release_all(device);
        }
    });
}

/// CAPI-7, BH34: no queue is made without a name; a worker is described by nothing.
#[test]
fn a_null_name_makes_no_queue() {
    with_attached(&["BH34"; 5], || {
        // SAFETY: null is what is asked about.
        unsafe {
            sim_assert!(bottomhalf_alloc_workqueue(null(), 0, 0).is_null());
            sim_assert!(bottomhalf_alloc_ordered_workqueue(null(), 0).is_null());
            sim_assert!(bottomhalf_create_workqueue(null()).is_null());
            sim_assert!(bottomhalf_create_singlethread_workqueue(null()).is_null());
            sim_assert!(bottomhalf_create_freezable_workqueue(null()).is_null());
            bottomhalf_set_worker_desc(null());
            bottomhalf_set_worker_desc(c"polls".as_ptr());
        }
    });
}

/// CAPI-7: names go through as bytes: an empty one, one that is no UTF-8, one that is too long (BH23).
#[test]
fn names_are_bytes() {
    with_attached(&["BH23"], || {
        let long = [b'n'; 40].map(|byte| byte as core::ffi::c_char);
        let mut ended = [0; 41];
        ended[..40].copy_from_slice(&long);
        // SAFETY: each name ends with a zero.
        unsafe {
            for name in [c"".as_ptr(), c"\xff\xfe".as_ptr(), ended.as_ptr()] {
                let wq = bottomhalf_alloc_workqueue(name, 0, 1);
                sim_assert!(!wq.is_null());
                bottomhalf_destroy_workqueue(wq);
            }
        }
    });
}

/// CAPI-7: numbers of CPUs that there are not, negative ones included, are answered (BH18, `-ENODEV`), and so
/// is any number where it only spreads times.
#[test]
fn cpus_that_there_are_not() {
    with_attached(&["BH18"; 6], || {
        let (work, dwork) = (Item::leaked(), Item::leaked());
        // SAFETY: the items stay for good.
        unsafe {
            bottomhalf_INIT_WORK(work, Some(nothing));
            bottomhalf_INIT_DELAYED_WORK(dwork, Some(nothing));
            let wq = bottomhalf_system_wq();
            for cpu in [-1, 4, i32::MAX] {
                sim_assert!(bottomhalf_queue_work_on(cpu, wq, work));
                bottomhalf_flush_work(work);
                sim_assert!(bottomhalf_queue_delayed_work_on(cpu, wq, dwork, 1));
                bottomhalf_flush_delayed_work(dwork);
                sim_assert_eq!(
                    bottomhalf_work_on_cpu(cpu, Some(seven), null_mut()),
                    -ENODEV
                );
                sim_assert!(!bottomhalf_workqueue_congested(cpu, wq));
                bottomhalf___round_jiffies(1000, cpu.cast_unsigned());
                bottomhalf___round_jiffies_up_relative(1000, cpu.cast_unsigned());
            }
            sim_assert_eq!(bottomhalf_work_on_cpu(3, Some(seven), null_mut()), 7);
            sim_assert!(!bottomhalf_workqueue_congested(i32::MIN, wq));
        }
    });
}

/// CAPI-7, CAPI-12: null queues are refused where they are queued to (BH04) and where they are waited for (BH34).
#[test]
fn null_queues_are_refused() {
    with_attached(&["BH04", "BH34", "BH34"], || {
        let work = Item::leaked();
        // SAFETY: the item stays for good.
        unsafe {
            bottomhalf_INIT_WORK(work, Some(nothing));
            sim_assert!(!bottomhalf_queue_work(null_mut(), work));
            bottomhalf_flush_workqueue(null_mut());
            bottomhalf_destroy_workqueue(null_mut());
            sim_assert!(!bottomhalf_workqueue_congested(0, null_mut()));
        }
        world::settle();
    });
}
