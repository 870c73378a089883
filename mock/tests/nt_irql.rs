//! IRQL: facts N-6 to N-14, N-41, N-42, V-2 and the ceilings of V-8 for NT calls.

mod common;

use std::cell::UnsafeCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use common::{Dpc, Lock, run};
use kmdf_mock::world::{self, Sim, Verifier};
use kmdf_mock::{KEVENT, ntddk, sim_assert, sim_assert_eq};

fn failure(f: impl FnOnce() + Send + 'static) -> String {
    Sim::new(11).run(f).unwrap_err().code().to_owned()
}

/// N-7, N-8: raising returns the IRQL before, lowering restores it, levels nest.
#[test]
fn raising_and_lowering_nest() {
    run(0..20, |_| {
        sim_assert_eq!(world::current_irql(), 0);
        // SAFETY: the levels are restored in the opposite order.
        unsafe {
            let passive = ntddk::KfRaiseIrql(2);
            let dispatch = ntddk::KfRaiseIrql(15);
            sim_assert_eq!((passive, dispatch, ntddk::KeGetCurrentIrql()), (0, 2, 15));
            ntddk::KeLowerIrql(dispatch);
            ntddk::KeLowerIrql(passive);
        }
        sim_assert_eq!(world::current_irql(), 0);
    });
}

/// N-7: raising to a lower IRQL is 0xC4/0x30; N-8: lowering to a higher one is 0xC4/0x31.
#[test]
fn raise_and_lower_are_not_mixed_up() {
    // SAFETY: the tests are about breaking the rule.
    let raise = failure(|| unsafe {
        ntddk::KfRaiseIrql(5);
        ntddk::KfRaiseIrql(2);
    });
    assert_eq!(raise, "DV(0xC4,0x30)");
    // SAFETY: as above.
    let lower = failure(|| unsafe { ntddk::KeLowerIrql(2) });
    assert_eq!(lower, "DV(0xC4,0x31)");
}

/// N-41: at DISPATCH_LEVEL a thread keeps its CPU; below it may move (B-23).
#[test]
fn a_thread_at_dispatch_keeps_its_cpu() {
    let moved = Arc::new(AtomicU32::new(0));
    let seen = Arc::clone(&moved);
    run(0..50, move |_| {
        let wander = || {
            let first = world::current_cpu();
            for _ in 0..50 {
                kmdf_mock::sync::preempt();
            }
            first != world::current_cpu()
        };
        let other = world::spawn("other", None, move || {
            wander();
        });
        sim_assert!(!world::at_dispatch(wander));
        seen.fetch_add(u32::from(wander()), Ordering::SeqCst);
        other.join();
    });
    assert!(
        moved.load(Ordering::SeqCst) > 0,
        "no seed moves a thread at PASSIVE_LEVEL"
    );
}

/// V-8 and row 0xC4/0x80: KeSetEvent above DISPATCH_LEVEL fails a strict world, is a counted break with the
/// verifier, and passes without one.
#[test]
fn a_ceiling_has_three_answers() {
    let above = || {
        let event = UnsafeCell::new(KEVENT::default());
        // SAFETY: the event outlives its use on this stack.
        unsafe { ntddk::KeInitializeEvent(event.get(), 0, 0) };
        // SAFETY: as above; the IRQL is the point of the test.
        world::at_irql(5, || unsafe { ntddk::KeSetEvent(event.get(), 0, 0) });
        world::breaks()
    };
    let code = |verifier| Sim::new(5).verifier(verifier).run(above);
    assert_eq!(code(Verifier::Strict).unwrap_err().code(), "DV(0xC4,0x80)");
    assert_eq!(
        code(Verifier::On).unwrap(),
        [("DV(0xC4,0x80)".to_owned(), 1)]
    );
    assert_eq!(code(Verifier::Off).unwrap(), []);
}

/// N-2: a wait in a DPC is 0xB8; at DISPATCH_LEVEL in a thread it is 0xC4/0x3B. Whatever the verifier.
#[test]
fn waiting_at_dispatch_is_convicted() {
    for verifier in [Verifier::Off, Verifier::On, Verifier::Strict] {
        let in_dpc = Sim::new(1).verifier(verifier).run(|| {
            let gate = world::Gate::new();
            Dpc::new(move || gate.wait()).insert();
            world::settle();
        });
        assert_eq!(
            in_dpc.unwrap_err().code(),
            "ATTEMPTED_SWITCH_FROM_DPC(0xB8)"
        );
        let raised = Sim::new(1).verifier(verifier).run(|| {
            let gate = world::Gate::new();
            world::at_dispatch(|| gate.wait());
        });
        assert_eq!(raised.unwrap_err().code(), "DV(0xC4,0x3B)");
    }
}

/// N-11, N-12: a spin lock excludes the other CPUs, and holds off DPCs of its own.
#[test]
fn a_spin_lock_excludes() {
    run(0..50, |_| {
        let lock = Arc::new(Lock::new());
        let inside = Arc::new(AtomicU32::new(0));
        let threads: Vec<_> = (0..4)
            .map(|n| {
                let (lock, inside) = (Arc::clone(&lock), Arc::clone(&inside));
                world::spawn(&format!("taker {n}"), Some(n), move || {
                    for _ in 0..5 {
                        lock.with(|| {
                            sim_assert_eq!(world::current_irql(), 2);
                            sim_assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0);
                            kmdf_mock::sync::preempt();
                            inside.fetch_sub(1, Ordering::SeqCst);
                        });
                    }
                })
            })
            .collect();
        threads.into_iter().for_each(world::Thread::join);
    });
}

/// N-14 and the 0xC4 rows of facts §9.2: recursion 0x1000, release at PASSIVE 0x32, AtDpcLevel below
/// DISPATCH 0x40, acquisition above DISPATCH 0x42, release without owning 0x1007.
#[test]
fn spin_lock_misuse_is_convicted() {
    let recursion = failure(|| {
        let lock = Lock::new();
        lock.with(|| lock.with(|| ()));
    });
    assert_eq!(recursion, "DV(0xC4,0x1000)");
    // SAFETY: the lock outlives its use; the calls are wrong on purpose.
    let passive = failure(|| unsafe { ntddk::KeReleaseSpinLock(Lock::new().raw(), 0) });
    assert_eq!(passive, "DV(0xC4,0x32)");
    // SAFETY: as above.
    let below = failure(|| unsafe { ntddk::KeAcquireSpinLockAtDpcLevel(Lock::new().raw()) });
    assert_eq!(below, "DV(0xC4,0x40)");
    let above = failure(|| world::at_irql(5, || Lock::new().with(|| ())));
    assert_eq!(above, "DV(0xC4,0x42)");
    let unowned = failure(|| {
        world::at_dispatch(|| {
            // SAFETY: the lock outlives the call, which is wrong on purpose.
            unsafe { ntddk::KeReleaseSpinLock(Lock::new().raw(), 0) }
        })
    });
    assert_eq!(unowned, "DV(0xC4,0x1007)");
}

/// N-31 and row 0xC4/0x02: no allocation above DISPATCH_LEVEL.
#[test]
fn pool_is_not_allocated_above_dispatch() {
    let code = failure(|| {
        world::at_irql(3, || {
            // SAFETY: the block is never used.
            let block = unsafe { ntddk::ExAllocatePool2(0x40, 8, 1) };
            assert!(block.is_null());
        })
    });
    assert_eq!(code, "DV(0xC4,0x2)");
}
