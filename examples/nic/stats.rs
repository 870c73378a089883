//! The statistics module, as a translation line by line leaves it: Linux's names, `extern "C"` functions,
//! `container_of`, and no allocation.
//!
//! In Linux it would read:
//!
//! ```c
//! static void nic_stats_refresh(struct work_struct *work)
//! {
//!         struct delayed_work *dwork = to_delayed_work(work);
//!         struct nic_stats *stats = container_of(dwork, struct nic_stats, refresh);
//!         …
//!         schedule_delayed_work(dwork, msecs_to_jiffies(NIC_STATS_MS));
//! }
//! ```

#![expect(
    non_camel_case_types,
    reason = "the names are those of the Linux driver"
)]

use core::mem::offset_of;
use std::sync::Arc;

use bottomhalf::linux::{
    INIT_DELAYED_WORK, INIT_WORK, cancel_delayed_work_sync, cancel_work_sync, delayed_work,
    msecs_to_jiffies, schedule_delayed_work, schedule_work, to_delayed_work, work_struct,
};
use kmdf_mock::sync::{AtomicBool, AtomicU64, Ordering};

use crate::device::Device;
use crate::tally::Tallies;

/// The card's counters are 32 bits wide in life, and have to be read before they wrap.
const NIC_STATS_MS: u32 = 40;

/// The driver's copy of the card's counters, and the works that keep it.
#[derive(Debug)]
pub(crate) struct nic_stats {
    /// Reads the counters, again and again; the first time with delay 0.
    refresh: delayed_work,
    /// The ring was full: scheduled from the interrupt.
    stall: work_struct,
    device: Arc<Device>,
    closing: AtomicBool,
    /// Frames and stalls, as of the last refresh.
    frames: AtomicU64,
    stalls: AtomicU64,
    tallies: Arc<Tallies>,
}

impl nic_stats {
    /// Not open yet: the items are initialised in place, by [`nic_stats_open`].
    pub(crate) fn new(device: Arc<Device>, tallies: Arc<Tallies>) -> Self {
        Self {
            refresh: delayed_work::new(),
            stall: work_struct::new(),
            device,
            closing: AtomicBool::new(false),
            frames: AtomicU64::new(0),
            stalls: AtomicU64::new(0),
            tallies,
        }
    }

    /// `&stats->refresh`
    fn refresh(&self) -> *mut delayed_work {
        let stats = core::ptr::from_ref(self).cast_mut();
        stats
            .wrapping_byte_add(offset_of!(nic_stats, refresh))
            .cast()
    }

    /// `&stats->stall`
    fn stall(&self) -> *mut work_struct {
        let stats = core::ptr::from_ref(self).cast_mut();
        stats.wrapping_byte_add(offset_of!(nic_stats, stall)).cast()
    }

    /// Frames that the card had received when it was last read.
    pub(crate) fn frames(&self) -> u64 {
        self.frames.load(Ordering::Relaxed)
    }

    /// How often its ring had been full.
    pub(crate) fn stalls(&self) -> u64 {
        self.stalls.load(Ordering::Relaxed)
    }

    fn read_counters(&self) {
        self.frames.store(self.device.received(), Ordering::Relaxed);
        self.stalls.store(self.device.stalls(), Ordering::Relaxed);
    }
}

/// Starts the refreshing, with a first read at once.
///
/// # Safety
///
/// `stats` stays in place until [`nic_stats_close`] has returned. Call it once.
pub(crate) unsafe fn nic_stats_open(stats: &nic_stats) {
    // SAFETY: the items are new, and the caller keeps them in place.
    unsafe {
        INIT_DELAYED_WORK(stats.refresh(), nic_stats_refresh);
        INIT_WORK(stats.stall(), nic_stats_stall);
        stats
            .tallies
            .refresh
            .queued(schedule_delayed_work(stats.refresh(), 0));
    }
}

/// The ring is full. IRQL: any; the service routine calls it.
///
/// # Safety
///
/// `stats` is open.
pub(crate) unsafe fn nic_stats_stalled(stats: &nic_stats) {
    // SAFETY: initialised by `nic_stats_open`, and in place until `nic_stats_close` has returned.
    stats
        .tallies
        .stall
        .queued(unsafe { schedule_work(stats.stall()) });
}

/// Stops both works and waits for them, then reads the counters a last time. IRQL: = PASSIVE.
///
/// # Safety
///
/// `stats` is open, and nobody calls [`nic_stats_stalled`] any more.
pub(crate) unsafe fn nic_stats_close(stats: &nic_stats) {
    stats.closing.store(true, Ordering::SeqCst);
    // SAFETY: initialised by `nic_stats_open`, and in place until this returns.
    unsafe {
        stats
            .tallies
            .refresh
            .cancelled(cancel_delayed_work_sync(stats.refresh()));
        stats
            .tallies
            .stall
            .cancelled(cancel_work_sync(stats.stall()));
    }
    stats.read_counters();
}

/// `container_of(dwork, struct nic_stats, refresh)`, and re-arms itself.
unsafe extern "C" fn nic_stats_refresh(work: *mut work_struct) {
    // SAFETY: only `refresh` has this function, it is a field of a `nic_stats`, and that one stays in
    // place until `nic_stats_close` has waited for this run.
    let (dwork, stats) = unsafe {
        let dwork = to_delayed_work(work);
        (
            dwork,
            &*dwork
                .byte_sub(offset_of!(nic_stats, refresh))
                .cast::<nic_stats>(),
        )
    };
    let _inside = stats.tallies.refresh.enter();
    stats.read_counters();
    if !stats.closing.load(Ordering::SeqCst) {
        // SAFETY: as above; `nic_stats_close` cancels what this arms.
        let armed = unsafe { schedule_delayed_work(dwork, msecs_to_jiffies(NIC_STATS_MS)) };
        stats.tallies.refresh.queued(armed);
    }
}

/// `container_of(work, struct nic_stats, stall)`: counts at PASSIVE what the interrupt has seen.
unsafe extern "C" fn nic_stats_stall(work: *mut work_struct) {
    // SAFETY: only `stall` has this function, it is a field of a `nic_stats`, and that one stays in
    // place until `nic_stats_close` has waited for this run.
    let stats = unsafe {
        &*work
            .byte_sub(offset_of!(nic_stats, stall))
            .cast_const()
            .cast::<nic_stats>()
    };
    let _inside = stats.tallies.stall.enter();
    stats.read_counters();
}
