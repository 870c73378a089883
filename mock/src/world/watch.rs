//! Watching words of memory: what a debugger calls a data breakpoint.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::engine::{Big, ThreadId};
use crate::world::state::{World, current};

/// Where a context runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// A number for the thread; in an interrupt or a DPC that of the interrupted one (N-26).
    pub thread: ThreadId,
    /// The CPU.
    pub cpu: u32,
    /// Its IRQL.
    pub irql: u8,
    /// A DPC routine is under way on this CPU: the context is in it, or in an interrupt of it.
    pub in_dpc: bool,
}

/// One write of a watched word; values as they are in memory, in the low bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Write {
    /// The value before.
    pub before: u64,
    /// The value now, which may be the same.
    pub after: u64,
    /// Who wrote it.
    pub place: Place,
}

type Observer = Arc<dyn Fn(&Write) + Send + Sync>;

/// The watched words of a world.
#[derive(Default)]
pub(crate) struct Watches {
    /// Accesses through `sync` so far.
    accesses: AtomicU64,
    any: AtomicBool,
    list: Big<Vec<(usize, Observer)>>,
}

impl fmt::Debug for Watches {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watches").finish_non_exhaustive()
    }
}

/// Where the caller runs. No preemption point.
///
/// # Panics
/// Outside a world.
pub fn place() -> Place {
    place_in(current())
}

fn place_in(w: &World) -> Place {
    let cpu = w.engine.cpu();
    Place {
        thread: w.engine.thread(),
        cpu,
        irql: w.engine.irql(),
        in_dpc: w.nt.with(|nt| nt.cpus[cpu as usize].running.is_some()),
    }
}

/// Calls `observer` after every write through [`crate::sync`] of the atomic at `address`, in a simulated
/// world with the feature `sim`. The observer reaches no preemption point. A write of the same value, as
/// by a refused compare-exchange that succeeds, counts; one that fails does not.
///
/// # Panics
/// Outside a world.
pub fn watch<T>(address: *const T, observer: impl Fn(&Write) + Send + Sync + 'static) {
    let w = current();
    w.watches
        .list
        .with(|list| list.push((address.addr(), Arc::new(observer))));
    w.watches.any.store(true, Ordering::Relaxed);
}

/// Ends every [`watch`] of `address`, before its memory is used for something else.
///
/// # Panics
/// Outside a world.
pub fn unwatch<T>(address: *const T) {
    let watches = &current().watches;
    let gone = watches.list.with(|list| {
        let (gone, kept) = list
            .drain(..)
            .partition::<Vec<_>, _>(|(watched, _)| *watched == address.addr());
        *list = kept;
        gone
    });
    // What an observer owns is dropped here, outside of the lock.
    drop(gone);
}

/// Reads and writes of atomics through [`crate::sync`] so far, of the whole world; zero without the feature
/// `sim`. What a call costs, where callbacks that it causes cannot run meanwhile.
///
/// # Panics
/// Outside a world.
pub fn accesses() -> u64 {
    current().watches.accesses.load(Ordering::Relaxed)
}

impl Watches {
    /// Counts one access, on the only OS thread of a simulated world.
    #[inline]
    pub(crate) fn count_access(&self) {
        let accesses = self.accesses.load(Ordering::Relaxed);
        self.accesses.store(accesses + 1, Ordering::Relaxed);
    }
}

/// The atomic at `address` has been written.
#[inline]
pub(crate) fn written(w: &World, address: usize, before: u64, after: u64) {
    if w.watches.any.load(Ordering::Relaxed) {
        tell(w, address, before, after);
    }
}

fn tell(w: &World, address: usize, before: u64, after: u64) {
    let observer = w.watches.list.with(|list| {
        list.iter()
            .find(|(watched, _)| *watched == address)
            .map(|(_, observer)| Arc::clone(observer))
    });
    if let Some(observer) = observer {
        let place = place_in(w);
        observer(&Write {
            before,
            after,
            place,
        });
    }
}
