//! The driver's own count of what it asked of the shim and what came of it.
//!
//! It is kept apart from the shim's counters, so that each can convict the other: per item,
//! everything accepted is run or cancelled once the driver is removed, and nothing runs after that.

use kmdf_mock::sync::{AtomicBool, AtomicU32, AtomicU64, Ordering};

/// The counts of every item of the driver, and of its interrupt.
#[derive(Debug, Default)]
pub(crate) struct Tallies {
    /// The service routine; nothing makes it pending but the card.
    pub(crate) interrupt: Tally,
    pub(crate) clean: Tally,
    pub(crate) account: Tally,
    pub(crate) link: Tally,
    pub(crate) watchdog: Tally,
    pub(crate) moderate: Tally,
    pub(crate) refresh: Tally,
    pub(crate) stall: Tally,
}

impl Tallies {
    /// All items of the shim, with their names.
    pub(crate) fn items(&self) -> [(&'static str, &Tally); 7] {
        [
            ("clean", &self.clean),
            ("account", &self.account),
            ("link", &self.link),
            ("watchdog", &self.watchdog),
            ("moderate", &self.moderate),
            ("refresh", &self.refresh),
            ("stall", &self.stall),
        ]
    }

    /// From now on a run of anything is late.
    pub(crate) fn removed(&self) {
        self.interrupt.removed();
        self.items().iter().for_each(|(_, tally)| tally.removed());
    }
}

/// The count of one tasklet or work.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// Times it was made pending.
    accepted: AtomicU64,
    /// Times its function ran.
    run: AtomicU64,
    /// Times a cancel took it back.
    cancelled: AtomicU64,
    /// Instances that run now.
    inside: AtomicU32,
    /// Runs that were under way at the same time as another. Zero for tasklets and ordered queues.
    overlaps: AtomicU64,
    /// The driver is gone.
    removed: AtomicBool,
    /// Runs that began after that.
    late: AtomicU64,
}

/// The numbers of a [`Tally`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Count {
    /// Times made pending.
    pub(crate) accepted: u64,
    /// Times run.
    pub(crate) run: u64,
    /// Times taken back.
    pub(crate) cancelled: u64,
    /// Runs under way.
    pub(crate) inside: u64,
    /// Runs that overlapped another.
    pub(crate) overlaps: u64,
    /// Runs after the removal.
    pub(crate) late: u64,
}

impl Tally {
    /// The shim took the item, or refused it because it was pending already.
    pub(crate) fn queued(&self, accepted: bool) {
        if accepted {
            self.accepted.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// A cancel took the item back, or found it not pending.
    pub(crate) fn cancelled(&self, was_pending: bool) {
        if was_pending {
            self.cancelled.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Counts a run, until the guard is dropped.
    pub(crate) fn enter(&self) -> Inside<'_> {
        self.run.fetch_add(1, Ordering::Relaxed);
        if self.inside.fetch_add(1, Ordering::SeqCst) > 0 {
            self.overlaps.fetch_add(1, Ordering::Relaxed);
        }
        if self.removed.load(Ordering::SeqCst) {
            self.late.fetch_add(1, Ordering::Relaxed);
        }
        Inside(self)
    }

    /// From now on a run is late.
    fn removed(&self) {
        self.removed.store(true, Ordering::SeqCst);
    }

    /// The numbers now.
    pub(crate) fn count(&self) -> Count {
        Count {
            accepted: self.accepted.load(Ordering::SeqCst),
            run: self.run.load(Ordering::SeqCst),
            cancelled: self.cancelled.load(Ordering::SeqCst),
            inside: u64::from(self.inside.load(Ordering::SeqCst)),
            overlaps: self.overlaps.load(Ordering::SeqCst),
            late: self.late.load(Ordering::SeqCst),
        }
    }
}

/// A run that is under way.
#[derive(Debug)]
pub(crate) struct Inside<'a>(&'a Tally);

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        self.0.inside.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overlapping_and_late_runs_are_counted() {
        let tally = Tally::default();
        tally.queued(true);
        tally.queued(false);
        tally.cancelled(false);
        drop(tally.enter());
        assert_eq!(
            tally.count(),
            Count {
                accepted: 1,
                run: 1,
                ..Count::default()
            }
        );
        let first = tally.enter();
        let second = tally.enter();
        assert_eq!((tally.count().overlaps, tally.count().inside), (1, 2));
        drop((first, second));
        tally.removed();
        drop(tally.enter());
        assert_eq!((tally.count().late, tally.count().inside), (1, 0));
    }
}
