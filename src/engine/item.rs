//! The items that live in the driver's own memory, with Linux's names, sizes and offsets.
//!
//! # Invariants
//!
//! - **I1** Every byte that the engine may touch while a driver holds a reference is an atomic or
//!   inside a cell, so a shared reference to an item is sound whatever the engine does to it.
//! - **I2** After an item's function has started, the engine keeps the address of a work as a
//!   number and never follows it; a tasklet it follows until the run has ended (see
//!   [`super::drain`]).
//!
//! Field guards: `A` atomic word, `Q` lock of the queue that the word names, `T` lock of the
//! deadline tree, `O` only the owner of the claim (PENDING or SCHED), `I` set at init.

use core::fmt;
use core::mem::offset_of;

use intrusive_collections::{LinkedListLink, RBTreeLink};
use static_assertions::{assert_impl_all, const_assert_eq};

use super::word::{State, was_bh};
use crate::sync::{AtomicI32, AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, Ordering};

/// Function of a work or delayed work, called at PASSIVE_LEVEL with the item's address.
pub type work_func_t = unsafe extern "C" fn(work: *mut work_struct);
/// Callback of a tasklet made by `tasklet_setup`, called at DISPATCH_LEVEL.
pub type tasklet_callback = unsafe extern "C" fn(tasklet: *mut tasklet_struct);
/// Function of a tasklet made by `tasklet_init`, called at DISPATCH_LEVEL with its data.
pub type tasklet_func = unsafe extern "C" fn(data: usize);

/// Linux's `struct tasklet_struct`: 40 bytes, at home in the driver's memory.
///
/// A zeroed one is not initialised; `tasklet_setup` or `tasklet_init` makes it usable. It must not
/// move or be freed while it is scheduled or running: call `tasklet_kill` first.
#[repr(C)]
pub struct tasklet_struct {
    /// Next on the CPU's list. `O`
    pub(crate) next: AtomicPtr<tasklet_struct>,
    /// Linux's `SCHED` (bit 0) and `RUN` (bit 1). `A`
    pub(crate) state: AtomicU64,
    /// How often it is disabled. `A`
    pub(crate) count: AtomicI32,
    /// Byte 0: the kind of callback (`use_callback` of Linux), `I`. Above: parked, priority and
    /// CPU, see [`super::tasklet`]. `A`
    pub(crate) link: AtomicU32,
    /// The callback or function. `I`
    pub(crate) func: AtomicPtr<()>,
    /// Argument of the function; release hook of a typed tasklet. `I`
    pub(crate) data: AtomicUsize,
}

/// Linux's `struct work_struct`: 32 bytes, at home in the driver's memory.
///
/// A zeroed one is not initialised. It must not move while it is pending; it may be freed inside
/// its own function.
#[repr(C)]
pub struct work_struct {
    /// See [`super::word`]. `A`
    pub(crate) data: AtomicU64,
    /// Link on a sub-queue, `Q`; while armed, on its queue's list of armed works, `T`.
    pub(crate) entry: LinkedListLink,
    /// The function; null in zeroed memory. `I`
    pub(crate) func: AtomicPtr<()>,
}

/// Linux's `struct delayed_work`: 88 bytes, at home in the driver's memory.
#[repr(C)]
pub struct delayed_work {
    /// The work that is queued when the delay is over.
    pub work: work_struct,
    /// Its place in time.
    pub(crate) timer: Timer,
    /// The queue that the work goes to when the delay is over. `O`
    pub(crate) wq: AtomicPtr<()>,
    /// The CPU asked for, or [`ANY_CPU`]. `O`
    pub(crate) cpu: AtomicI32,
    /// Which deadline tree the node is in, or zero. `T`
    pub(crate) flags: AtomicU32,
}

/// The `timer` member of a [`delayed_work`]: 40 bytes.
#[repr(C)]
pub(crate) struct Timer {
    /// Node in the deadline tree. `T`
    pub(crate) node: RBTreeLink,
    /// In jiffies, as drivers read it. `O`
    pub(crate) expires: AtomicU64,
    /// When the work is due, in 100 ns of the backend's clock. `O`
    pub(crate) deadline: AtomicU64,
}

/// [`delayed_work::cpu`]: none. More than any CPU's index, as Linux has it.
pub(crate) const ANY_CPU: i32 = 8192;

// SAFETY: I1: the links are touched only under the lock that guards them; all else is atomic.
unsafe impl Sync for work_struct {}
// SAFETY: as for `work_struct`.
unsafe impl Sync for delayed_work {}

impl tasklet_struct {
    /// Zeroed memory: not initialised yet.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            next: AtomicPtr::new(core::ptr::null_mut()),
            state: AtomicU64::new(0),
            count: AtomicI32::new(0),
            link: AtomicU32::new(0),
            func: AtomicPtr::new(core::ptr::null_mut()),
            data: AtomicUsize::new(0),
        }
    }

    /// The state word: bit 0 SCHED, bit 1 RUN. A hint: it may have changed when it is read.
    #[must_use]
    pub fn state(&self) -> u64 {
        // ORDERING: Acquire pairs with the run's last write, so that SCHED and RUN both clear means
        // that the effects of the last run are visible.
        self.state.load(Ordering::Acquire)
    }

    /// How often it is disabled. A hint.
    #[must_use]
    pub fn count(&self) -> i32 {
        // ORDERING: a hint; nothing is read on the strength of it.
        self.count.load(Ordering::Relaxed)
    }
}

impl work_struct {
    /// Zeroed memory: not initialised yet.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            data: AtomicU64::new(0),
            entry: LinkedListLink::new(),
            func: AtomicPtr::new(core::ptr::null_mut()),
        }
    }

    /// Whether it was on a `WQ_BH` queue last. It is idle or armed.
    pub(crate) fn was_in_drain(&self) -> bool {
        was_bh(self.load().0)
    }

    /// Ends the transit of the work, which the caller owns: it is idle, and disabled `depth` times.
    pub(crate) fn end_transit(&self, depth: u16) {
        let idle = State::Idle { depth }.word_from(self.load().0);
        // ORDERING: Release, for whoever queues it next.
        self.data.swap(idle, Ordering::AcqRel);
    }

    /// The state now.
    pub(crate) fn load(&self) -> (u64, State) {
        // ORDERING: Acquire pairs with the Release of whoever wrote the word, so that a place read
        // from it is a place that has been made.
        let word = self.data.load(Ordering::Acquire);
        (word, State::of(word))
    }

    /// The function. With the address it says which work this is (R3).
    pub(crate) fn function(&self) -> *mut () {
        // ORDERING: written at init; the queueing that made an instance pending published it.
        self.func.load(Ordering::Relaxed)
    }
}

impl delayed_work {
    /// Zeroed memory: not initialised yet.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            work: work_struct::new(),
            timer: Timer {
                node: RBTreeLink::new(),
                expires: AtomicU64::new(0),
                deadline: AtomicU64::new(0),
            },
            wq: AtomicPtr::new(core::ptr::null_mut()),
            cpu: AtomicI32::new(0),
            flags: AtomicU32::new(0),
        }
    }

    /// `timer.expires` of Linux: the jiffy that the delay ends with, valid while it is pending.
    #[must_use]
    pub fn expires(&self) -> u64 {
        // ORDERING: a hint, as in Linux.
        self.timer.expires.load(Ordering::Relaxed)
    }
}

macro_rules! item {
    ($($name:ident)*) => { $(
        impl Default for $name {
            fn default() -> Self {
                Self::new()
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({:p})"), self)
            }
        }
        assert_impl_all!($name: Send, Sync);
    )* };
}
item!(tasklet_struct work_struct delayed_work);

// The C headers assert the same, on every ABI: include/bottomhalf/items.h.
const_assert_eq!(size_of::<tasklet_struct>(), 40);
const_assert_eq!(offset_of!(tasklet_struct, next), 0);
const_assert_eq!(offset_of!(tasklet_struct, state), 8);
const_assert_eq!(offset_of!(tasklet_struct, count), 16);
const_assert_eq!(offset_of!(tasklet_struct, link), 20);
const_assert_eq!(offset_of!(tasklet_struct, func), 24);
const_assert_eq!(offset_of!(tasklet_struct, data), 32);
const_assert_eq!(size_of::<work_struct>(), 32);
const_assert_eq!(offset_of!(work_struct, data), 0);
// What the static initialisers of C write there.
const_assert_eq!(State::Idle { depth: 0 }.word(), 8);
const_assert_eq!(offset_of!(work_struct, entry), 8);
const_assert_eq!(offset_of!(work_struct, func), 24);
const_assert_eq!(size_of::<delayed_work>(), 88);
const_assert_eq!(offset_of!(delayed_work, work), 0);
const_assert_eq!(offset_of!(delayed_work, timer), 32);
const_assert_eq!(offset_of!(delayed_work, wq), 72);
const_assert_eq!(offset_of!(delayed_work, cpu), 80);
const_assert_eq!(offset_of!(delayed_work, flags), 84);
const_assert_eq!(size_of::<Timer>(), 40);
const_assert_eq!(offset_of!(Timer, expires), 24);
const_assert_eq!(offset_of!(Timer, deadline), 32);
