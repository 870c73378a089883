//! Cancel and disable: who has the owner afterwards.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

use bottomhalf::Workqueue;
use kmdf_mock::world;
use kmdf_mock::{sim_assert, sim_assert_eq};

use super::support::{rows, still_waits, wait_until};
use super::{device, request};

/// TYPED-3, W35, W08: a cancel that does not wait hands back the owner of a queued work; a running one goes on,
/// and there is nothing to hand back.
#[test]
fn a_cancel_without_waiting_hands_the_owner_back() {
    rows(|_| {
        let (device, freed) = device();
        let queue = Workqueue::ordered(c"cancel").build().unwrap();
        sim_assert!(queue.enqueue::<_, 0>(Arc::clone(&device)).is_ok());
        wait_until({
            let device = Arc::clone(&device);
            move || device.resets.load(SeqCst) == 1
        });
        sim_assert!(device.reset.cancel().is_none(), "it only runs");
        sim_assert!(queue.enqueue::<_, 0>(Arc::clone(&device)).is_ok());
        sim_assert!(device.reset.is_pending());
        let owner = world::at_dispatch(|| device.reset.cancel());
        sim_assert!(owner.is_some_and(|owner| Arc::ptr_eq(&owner, &device)));
        sim_assert!(!device.reset.is_pending());
        device.gate.open();
        drop(queue);
        sim_assert_eq!(device.resets.load(SeqCst), 1);
        sim_assert_eq!(Arc::strong_count(&device), 1);
        drop(device);
        sim_assert_eq!(freed.load(SeqCst), 1);
    });
}

/// TYPED-1, TYPED-7, W37: a disabled work refuses and hands the owner back, as often as it was disabled; a
/// disable of a queued one hands its owner back.
#[test]
fn a_disabled_work_refuses_until_it_is_enabled_as_often() {
    rows(|_| {
        let (device, _) = device();
        device.gate.open();
        let (blocker, _) = self::device();
        let queue = Workqueue::ordered(c"disable").build().unwrap();
        sim_assert!(queue.enqueue::<_, 0>(Arc::clone(&blocker)).is_ok());
        sim_assert!(queue.enqueue::<_, 0>(Arc::clone(&device)).is_ok());
        sim_assert!(device.reset.disable().is_some(), "it was queued");
        sim_assert!(device.reset.disable().is_none(), "it was idle");
        sim_assert!(queue.enqueue::<_, 0>(Arc::clone(&device)).is_err());
        sim_assert!(!device.reset.enable(), "once more");
        sim_assert!(queue.enqueue::<_, 0>(Arc::clone(&device)).is_err());
        sim_assert!(device.reset.enable());
        sim_assert!(queue.enqueue::<_, 0>(Arc::clone(&device)).is_ok());
        blocker.gate.open();
        drop(queue);
        sim_assert_eq!(device.resets.load(SeqCst), 1);
        sim_assert_eq!(Arc::strong_count(&device), 1);
    });
}

/// TYPED-7, W38: a disable that waits returns when the function has ended.
#[test]
fn a_disable_sync_waits_for_the_running_instance() {
    rows(|_| {
        let (device, _) = device();
        let queue = Workqueue::bound(c"disable").build().unwrap();
        sim_assert!(queue.enqueue::<_, 0>(Arc::clone(&device)).is_ok());
        wait_until({
            let device = Arc::clone(&device);
            move || device.resets.load(SeqCst) == 1
        });
        let disabler = world::spawn("disabler", None, {
            let device = Arc::clone(&device);
            move || sim_assert!(device.reset.disable_sync().is_none(), "it only ran")
        });
        still_waits(&disabler);
        device.gate.open();
        disabler.join();
        sim_assert_eq!(Arc::strong_count(&device), 1, "the run is over");
        sim_assert!(device.reset.enable());
    });
}

/// TYPED-2, TYPED-7, D27: an armed delayed work is disarmed by a disable, which hands its owner back; nothing
/// arms it until it is enabled.
#[test]
fn a_disabled_delayed_work_is_not_armed() {
    rows(|_| {
        let (device, _) = device();
        let queue = Workqueue::unbound(c"disable").build().unwrap();
        sim_assert!(
            queue
                .enqueue_delayed::<_, 1>(Arc::clone(&device), 2)
                .is_ok()
        );
        sim_assert!(device.watchdog.is_pending());
        sim_assert!(device.watchdog.disable().is_some());
        sim_assert!(
            queue
                .enqueue_delayed::<_, 1>(Arc::clone(&device), 2)
                .is_err()
        );
        sim_assert!(
            queue
                .modify_delayed::<_, 1>(Arc::clone(&device), 2)
                .is_some(),
            "nothing happened"
        );
        sim_assert!(!device.watchdog.is_pending());
        sim_assert!(device.watchdog.disable_sync().is_none());
        sim_assert!(!device.watchdog.enable());
        sim_assert!(device.watchdog.enable());
        sim_assert!(
            queue
                .enqueue_delayed::<_, 1>(Arc::clone(&device), 2)
                .is_ok()
        );
        // Whether it waited is another question: the run may have been faster.
        let _waited = device.watchdog.flush();
        sim_assert_eq!(device.barks.load(SeqCst), 1);
        sim_assert!(
            queue
                .enqueue_delayed::<_, 1>(Arc::clone(&device), 2000)
                .is_ok()
        );
        sim_assert!(world::at_dispatch(|| device.watchdog.cancel()).is_some());
        sim_assert_eq!(Arc::strong_count(&device), 1);
    });
}

/// TYPED-1, TYPED-7: a box can be refused, for its work may be disabled before it is queued: it comes back whole.
#[test]
fn a_disabled_box_comes_back() {
    rows(|_| {
        let done = Arc::new(AtomicU32::new(0));
        let boxed = request(&done);
        sim_assert!(boxed.work.disable().is_none());
        let Err(boxed) = Workqueue::system().enqueue(boxed) else {
            kmdf_mock::world::fail("TEST", "a disabled work was queued".to_owned());
        };
        sim_assert_eq!(done.load(SeqCst), 0);
        sim_assert!(boxed.work.enable());
        sim_assert!(Workqueue::system().enqueue(boxed).is_ok());
        Workqueue::system().flush();
        sim_assert_eq!(done.load(SeqCst), 1);
        sim_assert_eq!(Arc::strong_count(&done), 1);
    });
}

/// W10: the function cannot queue its own work again while it is being cancelled: the owner comes back, and is
/// dropped.
#[test]
fn a_work_that_queues_itself_is_cancelled() {
    rows(|_| {
        let (device, _) = device();
        let queue = Workqueue::system();
        sim_assert!(queue.enqueue::<_, 0>(Arc::clone(&device)).is_ok());
        let again = world::spawn("again", None, {
            let device = Arc::clone(&device);
            move || {
                while device.resets.load(SeqCst) < 5 {
                    let _refused = Workqueue::system().enqueue::<_, 0>(Arc::clone(&device));
                    world::sleep_100ns(10);
                }
            }
        });
        device.gate.open();
        again.join();
        drop(device.reset.cancel_sync());
        let runs = device.resets.load(SeqCst);
        world::settle();
        sim_assert_eq!(device.resets.load(SeqCst), runs);
        sim_assert_eq!(Arc::strong_count(&device), 1);
    });
}

/// TYPED-15: a flush waits for the run and hands nothing over: the queue's owner went with the run.
#[test]
fn a_flush_waits_and_hands_nothing_over() {
    rows(|_| {
        let (device, _) = device();
        let queue = Workqueue::unbound(c"flush").build().unwrap();
        sim_assert!(!device.reset.is_pending() && !device.reset.flush());
        sim_assert!(!device.watchdog.is_pending() && !device.watchdog.flush());
        sim_assert!(queue.enqueue::<_, 0>(Arc::clone(&device)).is_ok());
        sim_assert!(
            queue
                .enqueue_delayed::<_, 1>(Arc::clone(&device), 50_000)
                .is_ok()
        );
        let flusher = world::spawn("flusher", None, {
            let device = Arc::clone(&device);
            move || sim_assert!(device.reset.flush())
        });
        still_waits(&flusher);
        // Whether it waited is another question: the run may have been faster.
        let _waited = device.watchdog.flush();
        sim_assert_eq!(device.barks.load(SeqCst), 1);
        device.gate.open();
        flusher.join();
        sim_assert_eq!(Arc::strong_count(&device), 1);
    });
}
