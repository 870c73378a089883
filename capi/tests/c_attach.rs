//! Attach, detach, freeze and counters by their C symbols.

#[path = "c/mod.rs"]
mod c;

use core::ptr::null_mut;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use bottomhalf_c::attach::{
    KMDF_MINOR, SELF_REENTRANT, bottomhalf_attachment, bottomhalf_config, bottomhalf_counters,
};
use c::*;
use kmdf_mock::world::{self, Driver};
use kmdf_mock::{sim_assert, sim_assert_eq};

const STATUS_SUCCESS: i32 = 0;
const STATUS_INVALID_PARAMETER: i32 = 0xC000_000D_u32.cast_signed();
const STATUS_INVALID_DEVICE_REQUEST: i32 = 0xC000_0010_u32.cast_signed();
const STATUS_REVISION_MISMATCH: i32 = 0xC000_0059_u32.cast_signed();

/// Attaches with a changed config, and returns the status.
fn status_with(driver: &Driver, change: fn(&mut bottomhalf_config)) -> i32 {
    let mut config = config();
    change(&mut config);
    // SAFETY: the driver is loaded, the memory stays, and the config is as large as the library's, whatever it
    // says.
    unsafe { bottomhalf_attach_driver(driver.handle(), &config, attachment()) }
}

/// CAPI-1, CAPI-4: an attach on a driver and one on a device attach, works run, and a second attach counts.
#[test]
fn attaches_on_a_driver_and_on_a_device() {
    with_driver(&[], |driver| {
        let first = attached(driver.handle());
        let second = attached(driver.handle());
        // SAFETY: attached above; both stay in place.
        unsafe { bottomhalf_detach(first) };
        run_one_work();
        // SAFETY: as above.
        unsafe { bottomhalf_detach(second) };

        let device = driver.add_device();
        let third = attachment();
        // SAFETY: the device lives until it is removed, after the detach.
        unsafe {
            sim_assert_eq!(
                bottomhalf_attach_device(device.cast(), &config(), third),
                STATUS_SUCCESS
            );
        }
        run_one_work();
        // SAFETY: as above.
        unsafe { bottomhalf_detach(third) };
        driver.remove_device(device);
    });
}

fn run_one_work() {
    let (work, before) = (
        Item::leaked(),
        RUNS.with(|runs| runs.load(Ordering::Relaxed)),
    );
    // SAFETY: the item stays for good.
    unsafe {
        bottomhalf_INIT_WORK(work, Some(count));
        sim_assert!(bottomhalf_schedule_work(work));
        bottomhalf_flush_work(work);
    }
    sim_assert_eq!(RUNS.with(|runs| runs.load(Ordering::Relaxed)), before + 1);
}

thread_local! {
    /// Runs of [`count`] on this OS thread, on which the whole of a simulated machine runs.
    static RUNS: AtomicU32 = const { AtomicU32::new(0) };
}

unsafe extern "C" fn count(_item: *mut core::ffi::c_void) {
    RUNS.with(|runs| runs.fetch_add(1, Ordering::Relaxed));
}

/// CAPI-2, BH35: a config of another size, HZ, KMDF minor or rule is refused, and what differs is said with
/// both values.
#[test]
fn a_config_that_does_not_fit_is_refused_by_name() {
    with_driver(&["BH35", "BH35", "BH35", "BH35", "BH35"], |driver| {
        sim_assert_eq!(
            status_with(driver, |c| c.size += 8),
            STATUS_REVISION_MISMATCH
        );
        sim_assert_eq!(
            status_with(driver, |c| c.hz = 100),
            STATUS_REVISION_MISMATCH
        );
        sim_assert_eq!(
            status_with(driver, |c| c.kmdf_minor -= 1),
            STATUS_REVISION_MISMATCH
        );
        sim_assert_eq!(
            status_with(driver, |c| c.reentrance = 0),
            STATUS_INVALID_PARAMETER
        );
        sim_assert_eq!(
            status_with(driver, |c| c.reentrance = 3),
            STATUS_INVALID_PARAMETER
        );
        let log = world::debug_log().join("\n");
        let size = size_of::<bottomhalf_config>();
        for said in [
            format!(
                "sizeof(struct bottomhalf_config): the driver has {}, the library {size}",
                size + 8
            ),
            format!(
                "HZ: the driver has 100, the library {}",
                bottomhalf::linux::HZ
            ),
            format!(
                "KMDF 1.x: the driver has {}, the library {KMDF_MINOR}",
                KMDF_MINOR - 1
            ),
        ] {
            sim_assert!(log.contains(&said), "{said} is not in {log}");
        }
    });
}

/// CAPI-2: nothing is left of an attach that was refused: a good one follows.
#[test]
fn after_a_refused_config_a_good_one_attaches() {
    with_driver(&["BH35"], |driver| {
        status_with(driver, |c| c.kmdf_minor = 99);
        let place = attached(driver.handle());
        // SAFETY: attached above.
        unsafe { bottomhalf_detach(place) };
    });
}

/// CAPI-3, BH34: a null driver, config, attachment or place for counters is answered.
#[test]
fn null_pointers_are_answered() {
    with_driver(&["BH34"; 7], |driver| {
        // SAFETY: null is what is asked about; everything else is as in `attached`.
        unsafe {
            let status = bottomhalf_attach_driver(null_mut(), &config(), attachment());
            sim_assert_eq!(status, STATUS_INVALID_PARAMETER);
            let status = bottomhalf_attach_driver(driver.handle(), core::ptr::null(), attachment());
            sim_assert_eq!(status, STATUS_INVALID_PARAMETER);
            let status = bottomhalf_attach_driver(driver.handle(), &config(), null_mut());
            sim_assert_eq!(status, STATUS_INVALID_PARAMETER);
            bottomhalf_detach(null_mut());
            bottomhalf_freeze(null_mut());
            bottomhalf_thaw(null_mut());
            bottomhalf_get_counters(null_mut());
        }
    });
}

/// CAPI-3, BH36: detach, freeze and thaw of zeroed memory, of a detached attachment and of a copy are refused; so
/// is an attach on one that is attached.
#[test]
fn an_attachment_is_attached_and_detached_once() {
    with_driver(&["BH36"; 6], |driver| {
        let zeroed = attachment();
        // SAFETY: memory of the driver.
        unsafe {
            bottomhalf_detach(zeroed);
            bottomhalf_freeze(zeroed);
            bottomhalf_thaw(zeroed);
        }
        let place = attached(driver.handle());
        let copy = attachment();
        // SAFETY: both are memory of the driver, of the same size.
        unsafe {
            place
                .cast::<u8>()
                .copy_to_nonoverlapping(copy.cast(), size_of::<bottomhalf_attachment>());
            bottomhalf_detach(copy);
            let status = bottomhalf_attach_driver(driver.handle(), &config(), place);
            sim_assert_eq!(status, STATUS_INVALID_DEVICE_REQUEST);
            run_one_work();
            bottomhalf_detach(place);
            bottomhalf_detach(place);
        }
        sim_assert!(reports().len() == 6);
        // The memory can be attached again.
        let mut rule = config();
        rule.reentrance = SELF_REENTRANT;
        // SAFETY: as above.
        unsafe {
            sim_assert_eq!(
                bottomhalf_attach_driver(driver.handle(), &rule, place),
                STATUS_SUCCESS
            );
            bottomhalf_detach(place);
        }
    });
}

/// What [`detaches`] gives its answer to, and what it detaches.
static PLACE: AtomicUsize = AtomicUsize::new(0);

unsafe extern "C" fn detaches(_item: *mut core::ffi::c_void) {
    let place = core::ptr::with_exposed_provenance_mut(PLACE.load(Ordering::Relaxed));
    // SAFETY: the attachment stays for good.
    unsafe { bottomhalf_detach(place) };
}

/// CAPI-4, BH06, BH07: a detach at DISPATCH_LEVEL, and the last one from a work, is refused; the attachment can be
/// detached after that.
#[test]
fn a_refused_detach_can_be_made_again() {
    with_driver(&["BH06", "BH07"], |driver| {
        let (place, work) = (attached(driver.handle()), Item::leaked());
        // SAFETY: attached above.
        world::at_dispatch(|| unsafe { bottomhalf_detach(place) });
        PLACE.store(place.expose_provenance(), Ordering::Relaxed);
        // SAFETY: the item stays for good.
        unsafe {
            bottomhalf_INIT_WORK(work, Some(detaches));
            bottomhalf_schedule_work(work);
            bottomhalf_flush_work(work);
        }
        run_one_work();
        // SAFETY: attached above.
        unsafe { bottomhalf_detach(place) };
    });
}

/// An attachment that several threads are given.
#[derive(Clone, Copy)]
struct Shared(*mut bottomhalf_attachment);

// SAFETY: the library is what keeps the threads apart; the memory stays for good.
unsafe impl Send for Shared {}

/// CAPI-3, BH36: of two attaches at once that are given the same attachment one is refused, and the image is
/// attached once.
#[test]
fn of_two_attaches_at_once_one_is_refused() {
    with_driver(&["BH36"], |driver| {
        let (place, handle) = (Shared(attachment()), driver.handle().expose_provenance());
        let threads = [1, 2].map(|cpu| {
            world::spawn("attaches", Some(cpu), move || {
                let place = place;
                let driver = core::ptr::with_exposed_provenance_mut(handle);
                // SAFETY: the driver is loaded, and the memory stays.
                let status = unsafe { bottomhalf_attach_driver(driver, &config(), place.0) };
                sim_assert!(status == STATUS_SUCCESS || status == STATUS_INVALID_DEVICE_REQUEST);
            })
        });
        for thread in threads {
            thread.join();
        }
        run_one_work();
        // SAFETY: one of them has attached.
        unsafe { bottomhalf_detach(place.0) };
    });
}

/// CAPI-3, BH36: while an attachment is being detached it is none, neither to freeze nor to attach.
#[test]
fn an_attachment_that_is_being_detached_is_none() {
    with_driver(&["BH36"; 3], |driver| {
        let (place, work) = (Shared(attached(driver.handle())), Item::leaked());
        HELD.with(|held| held.store(1, Ordering::Relaxed));
        // SAFETY: the item stays for good; attached above.
        unsafe {
            bottomhalf_INIT_WORK(work, Some(waits));
            sim_assert!(bottomhalf_schedule_work(work));
        }
        let other = world::spawn("detaches", None, move || {
            let place = place;
            // SAFETY: attached above.
            unsafe { bottomhalf_detach(place.0) };
        });
        world::settle();
        // SAFETY: memory of the driver.
        unsafe {
            bottomhalf_freeze(place.0);
            let status = bottomhalf_attach_driver(driver.handle(), &config(), place.0);
            sim_assert_eq!(status, STATUS_INVALID_DEVICE_REQUEST);
            bottomhalf_detach(place.0);
        }
        HELD.with(|held| held.store(0, Ordering::Relaxed));
        other.join();
        // SAFETY: as above: it is detached.
        unsafe {
            let status = bottomhalf_attach_driver(driver.handle(), &config(), place.0);
            sim_assert_eq!(status, STATUS_SUCCESS);
            bottomhalf_detach(place.0);
        }
    });
}

thread_local! {
    /// Whether [`waits`] has to wait, on this OS thread as [`RUNS`].
    static HELD: AtomicU32 = const { AtomicU32::new(0) };
}

unsafe extern "C" fn waits(_item: *mut core::ffi::c_void) {
    while HELD.with(|held| held.load(Ordering::Relaxed)) != 0 {
        world::sleep_100ns(40_000);
    }
}

/// CAPI-1: a second attach with another rule is refused with the status of Rust's attach.
#[test]
fn another_rule_is_refused() {
    with_driver(&[], |driver| {
        let place = attached(driver.handle());
        let status = status_with(driver, |c| c.reentrance = SELF_REENTRANT);
        sim_assert_eq!(status, STATUS_INVALID_DEVICE_REQUEST);
        // SAFETY: attached above.
        unsafe { bottomhalf_detach(place) };
    });
}

/// CAPI-5: freeze holds the works of a freezable queue, thaw lets them run; one thaw too many is BH30.
#[test]
fn freeze_and_thaw_by_attachment() {
    with_driver(&["BH30"], |driver| {
        let (place, work) = (attached(driver.handle()), Item::leaked());
        // SAFETY: attached above; the item stays for good.
        unsafe {
            let wq = bottomhalf_create_freezable_workqueue(c"frozen".as_ptr());
            bottomhalf_INIT_WORK(work, Some(count));
            bottomhalf_freeze(place);
            sim_assert!(bottomhalf_queue_work(wq, work));
            world::settle();
            sim_assert!(bottomhalf_work_pending(work));
            bottomhalf_thaw(place);
            bottomhalf_flush_work(work);
            sim_assert!(!bottomhalf_work_pending(work));
            bottomhalf_thaw(place);
            bottomhalf_destroy_workqueue(wq);
            bottomhalf_detach(place);
        }
    });
}

/// CAPI-6: the counters are those of the runtime, and zero when nothing is attached.
#[test]
fn counters_are_those_of_the_runtime() {
    with_driver(&[], |driver| {
        let place = attached(driver.handle());
        let mut counters = bottomhalf_counters::default();
        for _ in 0..3 {
            run_one_work();
        }
        // SAFETY: a place to write to.
        unsafe { bottomhalf_get_counters(&mut counters) };
        sim_assert_eq!((counters.accepted, counters.run), (3, 3));
        sim_assert_eq!((counters.cancelled, counters.pending), (0, 0));
        sim_assert!(counters.work_item_callbacks > 0);
        // SAFETY: attached above.
        unsafe { bottomhalf_detach(place) };
        counters.run = 77;
        // SAFETY: a place to write to.
        unsafe { bottomhalf_get_counters(&mut counters) };
        sim_assert_eq!(counters, bottomhalf_counters::default());
    });
}

/// CAPI-8: the library names the KMDF minor version that it is built for by a symbol.
#[test]
fn the_minor_version_is_a_symbol() {
    // SAFETY: no condition. That it is there is what is tested: without it the test does not link.
    unsafe { bottomhalf_is_built_for_kmdf() };
    assert_eq!(KMDF_MINOR.to_string(), env!("BOTTOMHALF_KMDF_MINOR"));
}
