//! Spin locks (N-10 to N-14).

use core::sync::atomic::{AtomicU64, Ordering};

use crate::abi::{KIRQL, PKSPIN_LOCK};
use crate::nt::check::{call, ceiling, done};
use crate::world::state::World;
use crate::world::{fail, pool};

/// Initialises a spin lock.
///
/// # Safety
/// `SpinLock` is valid for a write and not yet shared.
pub unsafe extern "C" fn KeInitializeSpinLock(SpinLock: PKSPIN_LOCK) {
    let w = call();
    pool::touch(w, SpinLock.addr(), "KeInitializeSpinLock");
    // SAFETY: the caller promises valid memory that nobody else uses yet.
    unsafe { SpinLock.write(0) };
    w.engine.unlocked(w, SpinLock.addr());
}

/// Raises to DISPATCH_LEVEL, takes the lock, returns the IRQL before. `DV(0xC4,0x42)` above
/// DISPATCH_LEVEL; without a verifier it then *lowers* the IRQL, as the real one does (N-14).
///
/// # Safety
/// `SpinLock` is an initialised spin lock that this CPU does not hold.
pub unsafe extern "C" fn KeAcquireSpinLockRaiseToDpc(SpinLock: PKSPIN_LOCK) -> KIRQL {
    let w = call();
    ceiling(w, "KeAcquireSpinLockRaiseToDpc", 2, "DV(0xC4,0x42)");
    let old = w.engine.irql();
    w.engine.set_irql(w, 2);
    acquire(w, SpinLock);
    old
}

/// Releases the lock and lowers the IRQL. `DV(0xC4,0x32)` when not at DISPATCH_LEVEL.
///
/// # Safety
/// This CPU holds the lock, `NewIrql` is what the acquisition returned.
pub unsafe extern "C" fn KeReleaseSpinLock(SpinLock: PKSPIN_LOCK, NewIrql: KIRQL) {
    let w = call();
    if w.engine.irql() != 2 {
        fail(
            "DV(0xC4,0x32)",
            format!("KeReleaseSpinLock at IRQL {}", w.engine.irql()),
        );
    }
    release(w, SpinLock);
    if NewIrql > 2 {
        fail(
            "DV(0xC4,0x31)",
            format!("KeReleaseSpinLock to IRQL {NewIrql}"),
        );
    }
    w.engine.set_irql(w, NewIrql);
    done(w);
}

/// Takes the lock at DISPATCH_LEVEL. `DV(0xC4,0x40)` below it.
///
/// # Safety
/// `SpinLock` is an initialised spin lock that this CPU does not hold.
pub unsafe extern "C" fn KeAcquireSpinLockAtDpcLevel(SpinLock: PKSPIN_LOCK) {
    let w = call();
    if w.engine.irql() < 2 {
        fail(
            "DV(0xC4,0x40)",
            format!("KeAcquireSpinLockAtDpcLevel at IRQL {}", w.engine.irql()),
        );
    }
    acquire(w, SpinLock);
}

/// Releases a lock that [`KeAcquireSpinLockAtDpcLevel`] took. `DV(0xC4,0x41)` below DISPATCH_LEVEL.
///
/// # Safety
/// This CPU holds the lock.
pub unsafe extern "C" fn KeReleaseSpinLockFromDpcLevel(SpinLock: PKSPIN_LOCK) {
    let w = call();
    if w.engine.irql() < 2 {
        fail(
            "DV(0xC4,0x41)",
            format!("KeReleaseSpinLockFromDpcLevel at IRQL {}", w.engine.irql()),
        );
    }
    release(w, SpinLock);
    done(w);
}

/// The lock word: 0, or one more than the CPU that holds it.
fn word<'a>(w: &World, lock: PKSPIN_LOCK) -> &'a AtomicU64 {
    pool::touch(w, lock.addr(), "a spin lock call");
    // SAFETY: the caller promises an initialised spin lock: eight aligned bytes that stay in place while
    // the call runs and are only changed by these calls.
    unsafe { AtomicU64::from_ptr(lock) }
}

fn acquire(w: &World, lock: PKSPIN_LOCK) {
    let me = u64::from(w.engine.cpu()) + 1;
    let word = word(w, lock);
    loop {
        match word.compare_exchange(0, me, Ordering::Acquire, Ordering::Relaxed) {
            Ok(_) => break,
            Err(owner) if owner == me => fail(
                "DV(0xC4,0x1000)",
                "a spin lock is acquired on the CPU that holds it".to_owned(),
            ),
            Err(_) => w.engine.spin(w, lock.addr()),
        }
    }
    done(w);
}

fn release(w: &World, lock: PKSPIN_LOCK) {
    let me = u64::from(w.engine.cpu()) + 1;
    if word(w, lock)
        .compare_exchange(me, 0, Ordering::Release, Ordering::Relaxed)
        .is_err()
    {
        fail(
            "DV(0xC4,0x1007)",
            "a spin lock is released by a CPU that does not hold it".to_owned(),
        );
    }
    w.engine.unlocked(w, lock.addr());
}
