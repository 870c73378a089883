//! Atomics, cells and a spin lock with a preemption point before every access.
//!
//! The types have the layout of `core`'s and their constructors are `const`. With the feature `sim`, inside
//! a simulated world, every access first lets the scheduler switch and then checks that the memory has not
//! been freed. Without the feature, or outside such a world, they are `core`'s.

mod atomic;
mod cell;
mod spin;

pub use atomic::{AtomicBool, AtomicI32, AtomicPtr, AtomicU32, AtomicU64, AtomicUsize};
pub use cell::UnsafeCell;
pub use core::sync::atomic::{Ordering, fence};
pub use spin::SpinLock;

use crate::world::{pool, try_current, watch};

/// A preemption point. Outside a simulated world it does nothing.
#[inline]
pub fn preempt() {
    if let Some(w) = try_current()
        && w.sim
    {
        w.engine.preempt(w);
    }
}

/// What every access does first.
#[inline]
fn access<T: ?Sized>(target: *const T, what: &str) {
    if cfg!(feature = "sim")
        && let Some(w) = try_current()
        && w.sim
    {
        w.watches.count_access();
        w.engine.preempt(w);
        pool::touch(w, target.cast::<u8>().addr(), what);
    }
}

/// A value of an atomic, as a watch shows it.
trait Word: Copy {
    fn bits(self) -> u64;
}

macro_rules! word {
    ($($t:ty: $bits:expr;)*) => { $(
        impl Word for $t {
            fn bits(self) -> u64 {
                let bits: fn($t) -> u64 = $bits;
                bits(self)
            }
        }
    )* };
}

word! {
    bool: u64::from;
    u32: u64::from;
    u64: |value| value;
    i32: |value| u64::from(value.cast_unsigned());
    usize: |value| value as u64;
}

impl<T> Word for *mut T {
    fn bits(self) -> u64 {
        self.addr() as u64
    }
}

/// What every write does last: tells whoever watches the word.
#[inline]
fn written<T: ?Sized, V: Word>(target: *const T, before: V, after: impl FnOnce() -> V) {
    if cfg!(feature = "sim")
        && let Some(w) = try_current()
        && w.sim
    {
        watch::written(w, target.cast::<u8>().addr(), before.bits(), after().bits());
    }
}

/// Whether a weak compare-exchange fails without a reason now.
#[inline]
fn fails_spuriously() -> bool {
    cfg!(feature = "sim")
        && try_current().is_some_and(|w| w.sim && w.engine.choose(SPURIOUS_ONE_IN) == 0)
}

/// One weak compare-exchange in so many fails without a reason.
const SPURIOUS_ONE_IN: u32 = 64;
