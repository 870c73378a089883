//! Closures as works.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

use bottomhalf::Workqueue;
use kmdf_mock::world;
use kmdf_mock::{sim_assert, sim_assert_eq};

use super::support::rows;

/// What no closure has that there is memory for: an alignment that nothing else in this process asks for, the
/// report of a failing test least of all.
#[repr(align(512))]
struct Wide([u8; 9_001]);

/// Memory that is short for [`Wide`].
struct Short;

// SAFETY: the system's, or null, which says that there is no memory.
unsafe impl GlobalAlloc for Short {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if layout.align() >= align_of::<Wide>() {
            return core::ptr::null_mut();
        }
        // SAFETY: by the caller's word.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: by the caller's word.
        unsafe { System.dealloc(memory, layout) };
    }
}

#[global_allocator]
static MEMORY: Short = Short;

/// TYPED-9: a closure runs once, at PASSIVE_LEVEL, gets what it owns by value, and is freed.
#[test]
fn a_closure_runs_once_and_is_freed() {
    rows(|_| {
        let done = Arc::new(AtomicU32::new(0));
        for round in 0..10 {
            let owned = Arc::clone(&done);
            let spawned = Workqueue::system().try_spawn(move || {
                sim_assert_eq!(world::current_irql(), 0);
                owned.fetch_add(round, SeqCst);
                drop(owned);
            });
            sim_assert!(spawned.is_ok());
        }
        Workqueue::system().flush();
        sim_assert_eq!(done.load(SeqCst), 45);
        sim_assert_eq!(Arc::strong_count(&done), 1);
    });
}

/// TYPED-9, D01: never before the delay is over.
#[test]
fn a_delayed_closure_runs_when_its_delay_is_over() {
    rows(|_| {
        let began = world::now_100ns();
        let ended = Arc::new(AtomicU32::new(0));
        let stamp = Arc::clone(&ended);
        let spawned = Workqueue::system().try_spawn_delayed(
            move || stamp.store((world::now_100ns() - began) as u32, SeqCst),
            3,
        );
        sim_assert!(spawned.is_ok());
        super::support::sleep_jiffies(10);
        sim_assert!(ended.load(SeqCst) >= 120_000);
        sim_assert_eq!(Arc::strong_count(&ended), 1);
    });
}

/// TYPED-9: without memory the closure comes back, and can be called where it is.
#[test]
fn a_closure_comes_back_if_there_is_no_memory() {
    rows(|_| {
        let done = Arc::new(AtomicU32::new(0));
        let owned = Arc::clone(&done);
        let payload = Wide([1; 9_001]);
        let spawned = Workqueue::system().try_spawn(move || {
            let all = &payload;
            owned.fetch_add(u32::from(all.0[4_500]), SeqCst);
        });
        let Err(closure) = spawned else {
            world::fail("TEST", "there was memory".to_owned());
        };
        world::settle();
        sim_assert_eq!(done.load(SeqCst), 0);
        closure();
        sim_assert_eq!(done.load(SeqCst), 1);
        sim_assert_eq!(Arc::strong_count(&done), 1);
    });
}

/// TYPED-9: above DISPATCH_LEVEL nothing is allocated: the closure comes back. At DISPATCH_LEVEL it is queued.
#[test]
fn a_closure_comes_back_above_dispatch() {
    rows(|_| {
        let done = Arc::new(AtomicU32::new(0));
        let closure = {
            let done = Arc::clone(&done);
            move || {
                done.fetch_add(1, SeqCst);
            }
        };
        let back = world::at_irql(7, || Workqueue::system().try_spawn(closure));
        let Err(closure) = back else {
            world::fail("TEST", "an interrupt allocated".to_owned());
        };
        sim_assert!(world::at_dispatch(|| Workqueue::system().try_spawn(closure)).is_ok());
        Workqueue::system().flush();
        sim_assert_eq!(done.load(SeqCst), 1);
        sim_assert_eq!(Arc::strong_count(&done), 1);
    });
}

/// TYPED-9: after detach the closure comes back, with all that it owns (BH03).
#[test]
fn a_closure_comes_back_after_detach() {
    rows(|rig| {
        rig.expect(&["BH03"]);
        rig.detach();
        let done = Arc::new(AtomicU32::new(0));
        let owned = Arc::clone(&done);
        let back = Workqueue::system().try_spawn(move || drop(owned));
        sim_assert!(back.is_err());
        sim_assert_eq!(Arc::strong_count(&done), 2, "it is in the closure");
        drop(back);
        sim_assert_eq!(Arc::strong_count(&done), 1);
    });
}
