//! The driver, built like a network driver of Linux.
//!
//! | Linux would say | here | level |
//! |---|---|---|
//! | interrupt handler: mask, `tasklet_schedule`, `schedule_work` | [`Nic::interrupt`] | DIRQL |
//! | tasklet: clean the ring within a budget, `queue_work` | `TaskletItem::run` | DISPATCH |
//! | work on an ordered queue of its own: flows and checksums | `WorkItem<ACCOUNT>` | PASSIVE |
//! | work: link change | `WorkItem<LINK>` | PASSIVE |
//! | delayed work that re-arms itself: watchdog | `WorkItem<WATCHDOG>` | PASSIVE |
//! | delayed work that `mod_delayed_work` pushes off: moderation | `WorkItem<MODERATE>` | PASSIVE |
//! | statistics, translated line by line | [`crate::stats`] | PASSIVE |
//!
//! Who schedules whom decides the order of [`Adapter::remove`]: the interrupt schedules the tasklet and
//! the link work; the link work the watchdog; the watchdog itself and the tasklet; the tasklet itself, the
//! accounting work and the moderation; the accounting work itself and the tasklet.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bottomhalf::linux::msecs_to_jiffies;
use bottomhalf::{
    DelayedWork, Status, Tasklet, TaskletItem, Work, WorkItem, Workqueue, impl_has_delayed_work,
    impl_has_tasklet, impl_has_work,
};
use indicatif::ProgressBar;
use kmdf_mock::sync::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use kmdf_mock::world::{self, Gate, Thread};

use crate::backlog::Backlog;
use crate::capture::Capture;
use crate::device::{Device, RING, cause};
use crate::ledger::Ledger;
use crate::stats::{nic_stats, nic_stats_close, nic_stats_open, nic_stats_stalled};
use crate::tally::Tallies;

/// Numbers of the works.
const ACCOUNT: u64 = 0;
const LINK: u64 = 1;
const WATCHDOG: u64 = 2;
const MODERATE: u64 = 3;

/// Frames that one run of the tasklet takes off the ring, at most.
const BUDGET: usize = 32;
/// Frames that may wait for the accounting work.
const BACKLOG: usize = 512;
/// Frames that one run of the accounting work accounts for, at most.
const BATCH: usize = 128;
/// The watchdog looks so often.
const WATCHDOG_MS: u32 = 20;
/// Without traffic for so long, interrupts are prompt again.
const QUIET_MS: u32 = 4;
/// Frames per interrupt under load.
const MODERATION: u32 = 16;

/// The driver's state for one card.
pub(crate) struct Nic {
    clean: Tasklet<Nic>,
    account: Work<Nic, ACCOUNT>,
    link: Work<Nic, LINK>,
    watchdog: DelayedWork<Nic, WATCHDOG>,
    moderate: DelayedWork<Nic, MODERATE>,
    /// The accounting work's own queue.
    queue: Workqueue,
    stats: Arc<nic_stats>,
    device: Arc<Device>,
    capture: Arc<Capture>,
    /// The next descriptor to look at. The tasklet's alone.
    next: AtomicUsize,
    backlog: Backlog,
    /// The tasklet has stopped for want of room, and the accounting work is to schedule it.
    throttled: AtomicBool,
    /// Remove has begun: nothing schedules the tasklet or re-arms the watchdog any more.
    closing: AtomicBool,
    /// Never held across a call of the shim or an access to the card.
    ledger: Mutex<Ledger>,
    /// Frames that the card had received when the watchdog last looked.
    watched: AtomicU64,
    tallies: Arc<Tallies>,
    observer: Observer,
}

impl_has_tasklet! { impl HasTasklet<Nic> for Nic { self.clean } }
impl_has_work! { impl HasWork<Nic, ACCOUNT> for Nic { self.account } }
impl_has_work! { impl HasWork<Nic, LINK> for Nic { self.link } }
impl_has_delayed_work! { impl HasDelayedWork<Nic, WATCHDOG> for Nic { self.watchdog } }
impl_has_delayed_work! { impl HasDelayedWork<Nic, MODERATE> for Nic { self.moderate } }

/// Who wants to know how far the accounting is.
#[derive(Debug)]
pub(crate) struct Observer {
    /// Shows the progress.
    pub(crate) bar: ProgressBar,
    /// Opened when all frames are accounted for.
    pub(crate) all: Gate,
}

/// What is left of the driver when it is removed.
#[derive(Debug)]
pub(crate) struct Removed {
    /// What was accounted for.
    pub(crate) ledger: Ledger,
    /// Frames that were in the ring or in the backlog.
    pub(crate) dropped: u64,
    /// Kept until nothing can run any more, so that a late run is counted and not a crash.
    pub(crate) stats: Arc<nic_stats>,
    /// Something still holds a reference to the driver, so its queue still exists.
    pub(crate) held: bool,
}

// ---------------------------------------------------------------- probe and remove

/// The driver bound to a card.
pub(crate) struct Adapter {
    nic: Arc<Nic>,
}

impl Adapter {
    /// Binds the driver to `device` and turns it on. IRQL: = PASSIVE.
    pub(crate) fn probe(
        device: Arc<Device>,
        capture: Arc<Capture>,
        tallies: Arc<Tallies>,
        observer: Observer,
    ) -> Result<Self, Status> {
        let nic = Arc::new(Nic {
            clean: Tasklet::new(),
            account: Work::new(),
            link: Work::new(),
            watchdog: DelayedWork::new(),
            moderate: DelayedWork::new(),
            queue: Workqueue::ordered(c"nic").mem_reclaim().build()?,
            stats: Arc::new(nic_stats::new(Arc::clone(&device), Arc::clone(&tallies))),
            device,
            capture,
            next: AtomicUsize::new(0),
            backlog: Backlog::new(BACKLOG),
            throttled: AtomicBool::new(false),
            closing: AtomicBool::new(false),
            ledger: Mutex::default(),
            watched: AtomicU64::new(0),
            tallies,
            observer,
        });
        let weak = Arc::downgrade(&nic);
        nic.device.connect(move || {
            // Remove waits until this routine is over before it gives its reference away.
            if let Some(nic) = weak.upgrade() {
                nic.interrupt();
            }
        });
        // SAFETY: the statistics are in an `Arc` that remove hands on after it has closed them.
        unsafe { nic_stats_open(&nic.stats) };
        nic.watch_after(0);
        nic.device.start();
        Ok(Self { nic })
    }

    /// Takes the driver off the card. Afterwards nothing of the driver runs or is queued.
    ///
    /// `wire` is the thread that the card runs in; it ends when the card is off. A `careless` removal
    /// forgets the watchdog: the negative control of everything that is checked afterwards.
    ///
    /// IRQL: = PASSIVE.
    pub(crate) fn remove(self, wire: Thread, careless: bool) -> Removed {
        let nic = self.nic;
        // The card first: from here on it writes no descriptor, and interrupts no more. The service
        // routine schedules the tasklet, the link work and the stall work.
        nic.device.stop();
        wire.join();
        while !nic.device.is_quiet() {
            world::sleep_100ns(100);
        }
        nic.silence(careless);
        let dropped = nic.drop_frames();
        let stats = Arc::clone(&nic.stats);
        // Every reference that a queue held has come back, so this one is the last. The driver's state
        // takes the queue along, which waits for whatever is on it: `destroy_workqueue`.
        let (ledger, held) = match Arc::try_unwrap(nic) {
            Ok(nic) => {
                drop(nic.queue);
                (nic.ledger.into_inner(), false)
            }
            Err(nic) => (Ok(nic.lock_ledger().clone()), true),
        };
        Removed {
            ledger: ledger.unwrap_or_else(PoisonError::into_inner),
            dropped,
            stats,
            held,
        }
    }
}

impl Nic {
    /// Ends everything that the driver has deferred. The service routine is over.
    fn silence(&self, careless: bool) {
        let tallies = &self.tallies;
        self.closing.store(!careless, Ordering::SeqCst);
        // SAFETY: opened by `probe`, and nobody reports a stall any more.
        unsafe { nic_stats_close(&self.stats) };
        let link = self.link.cancel_sync();
        tallies.link.cancelled(link.is_some());
        if !careless {
            let watchdog = self.watchdog.cancel_sync();
            tallies.watchdog.cancelled(watchdog.is_some());
        }
        // A run of the accounting work that is under way may have missed `closing` and schedule the
        // tasklet; one that begins after this line may not. Then the tasklet, the last of whose runs may
        // queue the accounting work and push the moderation off once more.
        let account = self.account.cancel_sync();
        tallies.account.cancelled(account.is_some());
        self.clean.kill();
        let account = self.account.cancel_sync();
        tallies.account.cancelled(account.is_some());
        let moderate = self.moderate.cancel_sync();
        tallies.moderate.cancelled(moderate.is_some());
    }

    fn lock_ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Frees the buffers of all frames that were not delivered, and counts them.
    fn drop_frames(&self) -> u64 {
        let in_ring = (0..RING)
            .filter(|&slot| self.device.take(slot).is_some())
            .count();
        let in_backlog = std::iter::from_fn(|| self.backlog.pop()).count();
        (in_ring + in_backlog) as u64
    }

    fn is_closing(&self) -> bool {
        self.closing.load(Ordering::SeqCst)
    }

    // ------------------------------------------------------------ scheduling, counted

    fn schedule_clean(self: &Arc<Self>) {
        self.tallies
            .clean
            .queued(self.clean.schedule(Arc::clone(self)).is_ok());
    }

    fn queue_account(self: &Arc<Self>) {
        let queued = self.queue.enqueue::<_, ACCOUNT>(Arc::clone(self));
        self.tallies.account.queued(queued.is_ok());
    }

    /// Looks after the card in `delay_ms` from now, whatever was planned.
    fn watch_after(self: &Arc<Self>, delay_ms: u32) {
        let delay = msecs_to_jiffies(delay_ms);
        let spare = Workqueue::system().modify_delayed::<_, WATCHDOG>(Arc::clone(self), delay);
        self.tallies.watchdog.queued(spare.is_none());
    }

    // ------------------------------------------------------------ DIRQL

    /// The interrupt service routine.
    fn interrupt(self: &Arc<Self>) {
        let _inside = self.tallies.interrupt.enter();
        let causes = self.device.acknowledge();
        if causes & cause::RECEIVED != 0 {
            // Masked until the tasklet has found the ring empty.
            self.device.disable(cause::RECEIVED);
            self.schedule_clean();
        }
        if causes & cause::LINK != 0 {
            let queued = Workqueue::system().enqueue::<_, LINK>(Arc::clone(self));
            self.tallies.link.queued(queued.is_ok());
        }
        if causes & cause::STALLED != 0 {
            // SAFETY: open from before the card was turned on until after it is off.
            unsafe { nic_stats_stalled(&self.stats) };
        }
    }

    // ------------------------------------------------------------ DISPATCH_LEVEL

    /// Moves frames from the ring to the backlog; returns how many, and whether the ring is empty.
    fn clean_ring(&self) -> (usize, bool) {
        let mut next = self.next.load(Ordering::Relaxed);
        let mut cleaned = 0;
        let mut empty = false;
        while cleaned < BUDGET && self.backlog.has_room() {
            let Some(frame) = self.device.take(next % RING) else {
                empty = true;
                break;
            };
            self.backlog.push(frame);
            next += 1;
            cleaned += 1;
        }
        self.next.store(next, Ordering::Relaxed);
        (cleaned, empty)
    }

    /// The ring is empty: lets the card interrupt again, unless a frame has arrived meanwhile.
    fn unmask(self: &Arc<Self>) {
        self.device.enable(cause::RECEIVED);
        if self
            .device
            .has_frame(self.next.load(Ordering::Relaxed) % RING)
        {
            self.schedule_clean();
        }
    }

    /// The backlog is full: the accounting work schedules the tasklet when there is room, unless it
    /// has made some already and did not see the wish.
    fn throttle(self: &Arc<Self>) {
        self.throttled.store(true, Ordering::SeqCst);
        if self.backlog.has_room() && self.throttled.swap(false, Ordering::SeqCst) {
            self.schedule_clean();
        }
    }

    /// Under load, interrupts come in batches; `QUIET_MS` after the last frame they are prompt again.
    fn moderate(self: &Arc<Self>) {
        self.device.moderate(MODERATION);
        let delay = msecs_to_jiffies(QUIET_MS);
        let spare = Workqueue::system().modify_delayed::<_, MODERATE>(Arc::clone(self), delay);
        self.tallies.moderate.queued(spare.is_none());
    }

    // ------------------------------------------------------------ PASSIVE_LEVEL

    /// Accounts for a batch of frames; returns how many.
    fn account_batch(&self) -> u64 {
        let batch: Vec<u32> = std::iter::from_fn(|| self.backlog.pop())
            .take(BATCH)
            .collect();
        let mut ledger = self.lock_ledger();
        for &frame in &batch {
            ledger.account(self.capture.frame(frame as usize));
        }
        if ledger.total.packets == self.capture.len() as u64 && !batch.is_empty() {
            drop(ledger);
            self.observer.all.open();
        }
        batch.len() as u64
    }
}

impl TaskletItem for Nic {
    fn run(this: &Arc<Self>) {
        let _inside = this.tallies.clean.enter();
        let (cleaned, empty) = this.clean_ring();
        if cleaned > 0 {
            this.queue_account();
            this.moderate();
        }
        if empty {
            this.unmask();
        } else if cleaned == BUDGET {
            this.schedule_clean();
        } else {
            this.throttle();
        }
    }
}

impl WorkItem<ACCOUNT> for Nic {
    type Pointer = Arc<Self>;
    fn run(this: Arc<Self>) {
        let _inside = this.tallies.account.enter();
        if this.is_closing() {
            return;
        }
        let accounted = this.account_batch();
        this.observer.bar.inc(accounted);
        if this.backlog.len() > 0 {
            this.queue_account();
        }
        if this.throttled.swap(false, Ordering::SeqCst) {
            this.schedule_clean();
        }
    }
}

impl WorkItem<LINK> for Nic {
    type Pointer = Arc<Self>;
    fn run(this: Arc<Self>) {
        let _inside = this.tallies.link.enter();
        // A change of the link is worth a look at once.
        if this.device.link() && !this.is_closing() {
            this.watch_after(0);
        }
    }
}

impl WorkItem<WATCHDOG> for Nic {
    type Pointer = Arc<Self>;
    fn run(this: Arc<Self>) {
        let _inside = this.tallies.watchdog.enter();
        if this.is_closing() {
            return;
        }
        let received = this.device.received();
        let progress = received != this.watched.swap(received, Ordering::SeqCst);
        if this.device.link() && !progress && this.backlog.len() > 0 {
            this.schedule_clean();
        }
        this.watch_after(WATCHDOG_MS);
    }
}

impl WorkItem<MODERATE> for Nic {
    type Pointer = Arc<Self>;
    fn run(this: Arc<Self>) {
        let _inside = this.tallies.moderate.enter();
        this.device.moderate(1);
    }
}
