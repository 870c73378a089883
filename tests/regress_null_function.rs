//! Items that were made ready without a function, as C can: `INIT_WORK(&work, NULL)`. Linux calls the null
//! pointer; a driver that sets `func` before it queues does right.

mod support;

use bottomhalf::linux::*;
use kmdf_mock::world;
use kmdf_mock::{sim_assert, sim_assert_eq};
use support::{reports, rows, sleep_jiffies};

/// Where the function of a work is: the last of its 32 bytes.
fn func(work: *mut work_struct) -> *mut Option<work_func_t> {
    work.wrapping_byte_add(24).cast()
}

unsafe extern "C" fn nothing(_: *mut work_struct) {}

/// A delayed work that is initialised and has no function.
fn without_function() -> *mut delayed_work {
    let dwork = world::pool::alloc(DECLARE_DELAYED_WORK(nothing));
    // SAFETY: inside the work, which nobody else uses.
    unsafe { func(dwork.cast()).write(None) };
    dwork
}

/// WORK-9: every call that queues refuses it, and says BH01; none calls the null pointer, and none hangs.
#[test]
fn a_work_without_a_function_is_refused() {
    rows(|rig| {
        rig.expect(&["BH01"]);
        let dwork = without_function();
        let work: *mut work_struct = dwork.cast();
        let wq = system_wq();
        // SAFETY: valid memory, alive until the free below.
        let queued = unsafe {
            [
                schedule_work(work),
                queue_work_on(0, wq, work),
                schedule_delayed_work(dwork, 0),
                schedule_delayed_work(dwork, 3),
                mod_delayed_work(wq, dwork, 0),
                mod_delayed_work(wq, dwork, 3),
            ]
        };
        sim_assert_eq!(queued, [false; 6]);
        // SAFETY: as above.
        let enabled = unsafe {
            disable_work(work);
            enable_and_queue_work(wq, work)
        };
        sim_assert_eq!(enabled, true);
        sleep_jiffies(10);
        let said = reports();
        sim_assert_eq!(said.iter().filter(|code| *code == "BH01").count(), 7);
        // SAFETY: as above.
        let waited = unsafe { work_pending(work) || flush_delayed_work(dwork) };
        sim_assert_eq!(waited, false);
        // SAFETY: as above.
        sim_assert_eq!(unsafe { cancel_delayed_work_sync(dwork) }, false);
        // SAFETY: idle.
        unsafe { world::pool::free(dwork) };
    });
}

/// As in Linux it is an item like another once its function is set.
#[test]
fn a_function_that_is_set_later_is_called() {
    rows(|_| {
        let dwork = without_function();
        let work: *mut work_struct = dwork.cast();
        // SAFETY: inside the work, which nobody else uses.
        unsafe { func(work).write(Some(nothing)) };
        // SAFETY: initialised, alive until the free below.
        sim_assert!(unsafe { schedule_work(work) });
        // SAFETY: as above.
        unsafe { flush_work(work) };
        // SAFETY: idle.
        unsafe { world::pool::free(dwork) };
    });
}
