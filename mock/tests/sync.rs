//! `sync`: preemption points, freed-memory checks, layouts.

mod common;

use std::sync::Arc;

use common::run;
use kmdf_mock::sync::{
    AtomicBool, AtomicI32, AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, Ordering, SpinLock,
    UnsafeCell,
};
use kmdf_mock::world::{self, Sim};
use kmdf_mock::{sim_assert, sim_assert_eq};

/// The types have the size and alignment of `core`'s.
#[test]
fn layouts_are_those_of_core() {
    assert_eq!((size_of::<AtomicBool>(), align_of::<AtomicBool>()), (1, 1));
    assert_eq!((size_of::<AtomicI32>(), align_of::<AtomicI32>()), (4, 4));
    assert_eq!((size_of::<AtomicU32>(), align_of::<AtomicU32>()), (4, 4));
    assert_eq!((size_of::<AtomicU64>(), align_of::<AtomicU64>()), (8, 8));
    assert_eq!(
        (size_of::<AtomicUsize>(), align_of::<AtomicUsize>()),
        (8, 8)
    );
    assert_eq!(
        (size_of::<AtomicPtr<u8>>(), align_of::<AtomicPtr<u8>>()),
        (8, 8)
    );
    assert_eq!(
        (size_of::<UnsafeCell<u16>>(), align_of::<UnsafeCell<u16>>()),
        (2, 2)
    );
    assert_eq!(size_of::<SpinLock>(), 1);
}

/// Outside a world everything works as `core`'s does.
#[test]
fn outside_a_world_the_types_are_cores() {
    let mut value = AtomicU32::new(5);
    assert_eq!(value.fetch_add(3, Ordering::SeqCst), 5);
    assert_eq!(value.fetch_and(12, Ordering::SeqCst), 8);
    assert_eq!(value.fetch_or(3, Ordering::SeqCst), 8);
    assert_eq!(value.fetch_xor(1, Ordering::SeqCst), 11);
    assert_eq!(value.fetch_sub(1, Ordering::SeqCst), 10);
    assert_eq!(value.swap(1, Ordering::SeqCst), 9);
    assert_eq!(
        value.compare_exchange(2, 7, Ordering::SeqCst, Ordering::SeqCst),
        Err(1)
    );
    assert_eq!(
        value.compare_exchange(1, 7, Ordering::SeqCst, Ordering::SeqCst),
        Ok(1)
    );
    let doubled = value.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |v| Some(v * 2));
    assert_eq!((doubled, *value.get_mut()), (Ok(7), 14));
    assert_eq!(
        value.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |_| None),
        Err(14)
    );
    assert_eq!(value.into_inner(), 14);
    let cell = UnsafeCell::new(1);
    // SAFETY: the cell is not shared.
    cell.with_mut(|p| unsafe { *p += 1 });
    // SAFETY: as above.
    assert_eq!(cell.with(|p| unsafe { *p }), 2);
    let lock = SpinLock::new();
    lock.lock();
    assert!(!lock.try_lock());
    lock.unlock();
    assert!(lock.try_lock());
}

/// A load and a store are two preemption points: an increment made of them loses updates; a `fetch_add` does
/// not.
#[test]
fn an_increment_of_two_accesses_loses_updates() {
    let lost = Arc::new(std::sync::atomic::AtomicU32::new(0));
    let seen = Arc::clone(&lost);
    run(0..50, move |_| {
        let (torn, whole) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
        let threads: Vec<_> = (0..2)
            .map(|n| {
                let (torn, whole) = (Arc::clone(&torn), Arc::clone(&whole));
                world::spawn("adder", Some(n), move || {
                    for _ in 0..10 {
                        torn.store(torn.load(Ordering::SeqCst) + 1, Ordering::SeqCst);
                        whole.fetch_add(1, Ordering::SeqCst);
                    }
                })
            })
            .collect();
        threads.into_iter().for_each(world::Thread::join);
        sim_assert_eq!(whole.load(Ordering::SeqCst), 20);
        seen.fetch_add(
            u32::from(torn.load(Ordering::SeqCst) < 20),
            Ordering::SeqCst,
        );
    });
    let lost = lost.load(std::sync::atomic::Ordering::SeqCst);
    assert!(lost >= 10, "{lost} of 50 seeds lose an update");
}

/// A weak compare-exchange fails without a reason now and then, a strong one never.
#[test]
fn a_weak_compare_exchange_fails_spuriously() {
    let failures: u32 = Sim::new(1)
        .run(|| {
            let value = AtomicU64::new(0);
            let mut failures = 0;
            for n in 0..1000 {
                sim_assert!(
                    value
                        .compare_exchange(n, n, Ordering::SeqCst, Ordering::SeqCst)
                        .is_ok()
                );
                while value
                    .compare_exchange_weak(n, n + 1, Ordering::SeqCst, Ordering::SeqCst)
                    .is_err()
                {
                    failures += 1;
                }
            }
            failures
        })
        .unwrap();
    assert!((2..60).contains(&failures), "{failures} of 1000");
}

/// An access to freed memory is convicted before it is made: by atomics, by cells, by NT's calls.
#[test]
fn an_access_to_freed_memory_is_convicted() {
    let convicted = |f: fn(*mut (AtomicU32, UnsafeCell<u32>))| {
        let failure = Sim::new(1)
            .run(move || {
                let block = world::pool::alloc((AtomicU32::new(1), UnsafeCell::new(2)));
                // SAFETY: the block is alive; that it is used afterwards is the point.
                unsafe { world::pool::free(block) };
                sim_assert!(world::pool::is_freed(block));
                f(block);
            })
            .unwrap_err();
        assert_eq!(failure.code(), "PAGE_FAULT_IN_FREED_SPECIAL_POOL(0xD5)");
        failure.message().to_owned()
    };
    let atomic = convicted(|block| {
        // SAFETY: the access is convicted before it is made.
        unsafe { (*block).0.store(3, Ordering::SeqCst) }
    });
    assert!(atomic.starts_with("an atomic store touches ("), "{atomic}");
    // SAFETY: as above.
    let cell = convicted(|block| unsafe { (*block).1.with_mut(|_| ()) });
    assert!(
        cell.starts_with("a write of an UnsafeCell touches ("),
        "{cell}"
    );
}

/// Each world has its own value of an image's static; outside there is one for the process.
#[test]
fn a_world_has_its_own_statics() {
    static COUNT: kmdf_mock::image::Static<AtomicU32> =
        kmdf_mock::image::Static::new(|| AtomicU32::new(10));
    for _ in 0..3 {
        let last = Sim::new(1).run(|| {
            COUNT.get().fetch_add(1, Ordering::SeqCst);
            COUNT.get().fetch_add(1, Ordering::SeqCst)
        });
        assert_eq!(last.unwrap(), 11);
    }
    COUNT.get().fetch_add(5, Ordering::SeqCst);
    assert_eq!(COUNT.get().load(Ordering::SeqCst), 15);
}

/// A watch sees every write, refused ones not, with values and place; and nothing after its end.
#[test]
fn a_watch_sees_every_write() {
    run(0..4, |_| {
        let word = Arc::new(AtomicU32::new(1));
        let other = AtomicU32::new(0);
        let seen = Arc::new(std::sync::Mutex::new(Vec::new()));
        let log = Arc::clone(&seen);
        world::watch(Arc::as_ptr(&word), move |write| {
            log.lock().unwrap().push((write.before, write.after));
            sim_assert_eq!(write.place, world::place());
        });
        word.store(2, Ordering::SeqCst);
        other.store(9, Ordering::SeqCst);
        word.load(Ordering::SeqCst);
        word.swap(3, Ordering::SeqCst);
        word.fetch_or(4, Ordering::SeqCst);
        word.fetch_add(1, Ordering::SeqCst);
        let exchange =
            |from, to| word.compare_exchange(from, to, Ordering::SeqCst, Ordering::SeqCst);
        assert_eq!((exchange(5, 6), exchange(8, 8)), (Err(8), Ok(8)));
        word.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |value| Some(value - 1))
            .unwrap();
        world::unwatch(Arc::as_ptr(&word));
        word.store(0, Ordering::SeqCst);
        let writes = [(1, 2), (2, 3), (3, 7), (7, 8), (8, 8), (8, 7)];
        sim_assert_eq!(*seen.lock().unwrap(), writes);
    });
}

/// The place tells a DPC from the thread that it interrupts.
#[test]
fn a_place_tells_a_dpc_from_its_thread() {
    run(0..4, |_| {
        let outside = world::place();
        sim_assert_eq!((outside.irql, outside.in_dpc), (0, false));
        world::at_dispatch(|| sim_assert_eq!(world::place().in_dpc, false));
        let inside = Arc::new(std::sync::Mutex::new(None));
        let told = Arc::clone(&inside);
        let dpc = common::Dpc::new(move || *told.lock().unwrap() = Some(world::place()));
        dpc.insert();
        world::settle();
        let inside = inside.lock().unwrap().unwrap();
        sim_assert_eq!((inside.irql, inside.in_dpc), (2, true));
    });
}

/// Each access counts once, on whatever atomic.
#[test]
fn accesses_are_counted() {
    run(0..4, |_| {
        let word = AtomicU64::new(0);
        let before = world::accesses();
        word.load(Ordering::SeqCst);
        word.store(1, Ordering::SeqCst);
        let lock = SpinLock::new();
        lock.lock();
        lock.unlock();
        sim_assert_eq!(world::accesses() - before, 4);
    });
}
