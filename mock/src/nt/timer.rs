//! Timers (T-11 to T-34): a queue by expiry time, served on ticks.

use crate::abi::{BOOLEAN, PVOID};
use crate::nt::check::{call, ceiling, done};
use crate::nt::state::NtState;
use crate::nt::workers;
use crate::world::state::World;
use crate::world::{fail, pool};

/// The callback of an EX_TIMER; runs at DISPATCH_LEVEL.
pub type PEXT_CALLBACK = Option<unsafe extern "C" fn(Timer: PEX_TIMER, Context: PVOID)>;

/// An EX_TIMER; opaque to drivers.
#[derive(Debug)]
#[repr(C)]
pub struct EX_TIMER {
    magic: u64,
    number: u64,
    callback: PEXT_CALLBACK,
    context: PVOID,
    high_resolution: bool,
    /// The key of its entry in the queue, while it has one.
    armed: Option<(u64, u64)>,
    /// In 100 ns; 0 for a one-shot.
    period: u64,
    /// When a periodic timer is due next, before it is rounded to a tick.
    due: u64,
    /// Expiries that have left the queue and have not run to their end.
    expiries: u32,
    deleted: bool,
}

/// What `ExAllocateTimer` returns.
pub type PEX_TIMER = *mut EX_TIMER;

/// `EX_TIMER_HIGH_RESOLUTION`.
pub const EX_TIMER_HIGH_RESOLUTION: u32 = 4;

const MAGIC: u64 = 0x5245_4D49_545F_5845;
/// How late a high-resolution timer can be (T-31), in 100 ns.
const HIGH_RESOLUTION_LATE: u32 = 10_000;
/// The system time when a world boots: 2026-01-01 in 100 ns since 1601.
const BOOT_TIME: i64 = 134_116_992_000_000_000;

/// An armed timer. Ordered by time, then by the order of arming.
#[derive(Debug, Clone, Copy)]
struct Entry {
    key: (u64, u64),
    cpu: u32,
    timer: PEX_TIMER,
}

// SAFETY: the pointer is a key; a timer in the queue is not freed, and every access is made under the lock
// of the world.
unsafe impl Send for Entry {}

/// An expiry on its way to the callback.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Expired {
    pub(crate) sequence: u64,
    timer: PEX_TIMER,
}

// SAFETY: as for `Entry`; `expiries` keeps the timer allocated.
unsafe impl Send for Expired {}

/// The armed timers of a world.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    /// Latest first, so that the next to expire is at the end.
    queue: Vec<Entry>,
    order: u64,
    allocated: u64,
}

impl Timers {
    /// When the next timer expires.
    pub(crate) fn next(&self) -> Option<u64> {
        self.queue.last().map(|entry| entry.key.0)
    }

    /// How many timers are armed.
    pub(crate) fn armed(&self) -> usize {
        self.queue.len()
    }

    fn insert(&mut self, entry: Entry) {
        let place = self.queue.partition_point(|other| other.key > entry.key);
        self.queue.insert(place, entry);
    }

    fn remove(&mut self, key: (u64, u64)) {
        let place = self.queue.partition_point(|other| other.key > key);
        assert!(
            self.queue[place].key == key,
            "kmdf-mock: an armed timer is not in the queue"
        );
        self.queue.remove(place);
    }
}

/// Allocates a timer. Null on failure.
///
/// # Safety
/// The callback may be called with `CallbackContext` until the timer is deleted.
pub unsafe extern "C" fn ExAllocateTimer(
    Callback: PEXT_CALLBACK,
    CallbackContext: PVOID,
    Attributes: u32,
) -> PEX_TIMER {
    let w = call();
    ceiling(w, "ExAllocateTimer", 2, "DV(0xC4,0x20003)");
    if w.allocation_fails() {
        return core::ptr::null_mut();
    }
    let number = w.nt.with(|nt| {
        nt.timers.allocated += 1;
        nt.timers.allocated
    });
    let fresh = EX_TIMER {
        magic: MAGIC,
        number,
        callback: Callback,
        context: CallbackContext,
        high_resolution: Attributes & EX_TIMER_HIGH_RESOLUTION != 0,
        armed: None,
        period: 0,
        due: 0,
        expiries: 0,
        deleted: false,
    };
    pool::alloc_value(w, fresh, "EX_TIMER")
}

/// Arms a timer: `DueTime` negative is relative, otherwise absolute (T-11). TRUE: it was armed and its due
/// time is replaced (T-12). A high-resolution timer takes no absolute time (T-15).
///
/// # Safety
/// `Timer` is allocated.
pub unsafe extern "C" fn ExSetTimer(
    Timer: PEX_TIMER,
    DueTime: i64,
    Period: i64,
    Parameters: PVOID,
) -> BOOLEAN {
    let w = call();
    let _ = Parameters;
    ceiling(w, "ExSetTimer", 2, "DV(0xC4,0x20003)");
    check(w, Timer, "ExSetTimer");
    // SAFETY: `check` found an allocated timer.
    let high_resolution = unsafe { (*Timer).high_resolution };
    if high_resolution && DueTime >= 0 {
        fail(
            "INVALID_PARAMETER(ExSetTimer)",
            format!("a high-resolution timer is set to the absolute time {DueTime} (T-15)"),
        );
    }
    let due = if high_resolution {
        w.engine.now() + DueTime.unsigned_abs() + u64::from(w.engine.choose(HIGH_RESOLUTION_LATE))
    } else {
        expiry_tick(w, DueTime)
    };
    let cpu = w.engine.cpu();
    let was_armed = w.nt.with(|nt| {
        // SAFETY: as above; the lock of the world serialises every access.
        let timer = unsafe { &mut *Timer };
        let before = timer.armed.take();
        if let Some(key) = before {
            nt.timers.remove(key);
        }
        timer.period = Period.max(0) as u64;
        timer.due = due;
        arm(nt, Timer, due, cpu);
        before.is_some()
    });
    w.trace_event("ExSetTimer", due, u64::from(was_armed));
    w.engine.alarm(w, due);
    done(w);
    BOOLEAN::from(was_armed)
}

/// Takes a timer out of the queue. TRUE: it was armed (T-34). An expiry that has left the queue runs.
///
/// # Safety
/// `Timer` is allocated.
pub unsafe extern "C" fn ExCancelTimer(Timer: PEX_TIMER, Parameters: PVOID) -> BOOLEAN {
    let w = call();
    let _ = Parameters;
    ceiling(w, "ExCancelTimer", 2, "DV(0xC4,0x20003)");
    check(w, Timer, "ExCancelTimer");
    let cancelled = cancel(w, Timer);
    w.trace_event("ExCancelTimer", u64::from(cancelled), 0);
    done(w);
    BOOLEAN::from(cancelled)
}

/// Deletes a timer: with `Cancel` an armed one is cancelled first (TRUE: it was armed). The memory goes when
/// no expiry is on its way any more.
///
/// # Safety
/// `Timer` is allocated and not used after the call.
pub unsafe extern "C" fn ExDeleteTimer(
    Timer: PEX_TIMER,
    Cancel: BOOLEAN,
    Wait: BOOLEAN,
    Parameters: PVOID,
) -> BOOLEAN {
    let w = call();
    let _ = Parameters;
    ceiling(
        w,
        "ExDeleteTimer",
        if Wait != 0 { 1 } else { 2 },
        "DV(0xC4,0x20003)",
    );
    check(w, Timer, "ExDeleteTimer");
    let cancelled = Cancel != 0 && cancel(w, Timer);
    if Wait != 0 {
        // SAFETY: a flush is the wait for expiries that have left the queue (D-30).
        unsafe { crate::nt::KeFlushQueuedDpcs() };
    }
    let free = w.nt.with(|_| {
        // SAFETY: `check` found an allocated timer; the lock of the world serialises every access.
        let timer = unsafe { &mut *Timer };
        timer.deleted = true;
        timer.expiries == 0 && timer.armed.is_none()
    });
    if free {
        release(w, Timer);
    }
    done(w);
    BOOLEAN::from(cancelled)
}

fn release(w: &World, timer: PEX_TIMER) {
    // SAFETY: the timer is deleted and nothing refers to it.
    unsafe { (*timer).magic = 0 };
    pool::free_bytes(w, timer.cast());
}

fn cancel(w: &World, timer: PEX_TIMER) -> bool {
    w.nt.with(|nt| {
        // SAFETY: the caller checked the timer; the lock of the world serialises every access.
        match unsafe { (*timer).armed.take() } {
            Some(key) => {
                nt.timers.remove(key);
                true
            }
            None => false,
        }
    })
}

fn arm(nt: &mut NtState, timer: PEX_TIMER, due: u64, cpu: u32) {
    nt.timers.order += 1;
    let key = (due, nt.timers.order);
    nt.timers.insert(Entry { key, cpu, timer });
    // SAFETY: the caller holds the lock of the world and an allocated timer.
    unsafe { (*timer).armed = Some(key) };
}

fn check(w: &World, timer: PEX_TIMER, what: &str) {
    pool::touch(w, timer.addr(), what);
    // SAFETY: the caller promises an allocated timer.
    if unsafe { (*timer).magic } != MAGIC {
        fail(
            "TIMER_OR_DPC_INVALID(0xC7,0)",
            format!("{what} on no timer"),
        );
    }
}

/// The interrupt time that a due time means, counted from `from` if it is relative.
pub(crate) fn interrupt_time_of(w: &World, due: i64, from: u64) -> u64 {
    let _ = w;
    if due < 0 {
        from.saturating_add(due.unsigned_abs())
    } else {
        due.saturating_sub(BOOT_TIME).max(0) as u64
    }
}

/// The first tick at or after an interrupt time.
pub(crate) fn tick_at_or_after(w: &World, time: u64) -> u64 {
    time.div_ceil(u64::from(w.config.tick))
        .saturating_mul(u64::from(w.config.tick))
}

/// The tick on which a standard timer expires. A relative time counts from the *last* tick, therefore it can
/// be up to a tick early for the caller; and the expiry can be a tick late, as long as the timer is not later
/// than a tick after what was asked (T-30).
fn expiry_tick(w: &World, due: i64) -> u64 {
    let tick = u64::from(w.config.tick);
    let now = w.engine.now();
    if due >= 0 {
        return tick_at_or_after(w, interrupt_time_of(w, due, now))
            .max(w.engine.last_tick() + tick);
    }
    let asked = due.unsigned_abs();
    let first = tick_at_or_after(w, w.engine.last_tick().saturating_add(asked));
    let late_is_possible = first + tick <= now.saturating_add(asked).saturating_add(tick);
    if late_is_possible && w.config.late_timers && w.sim && w.engine.choose(4) == 0 {
        first + tick
    } else {
        first
    }
}

/// The tick on which a wait with a timeout ends: never early.
pub(crate) fn wait_until(w: &World, timeout: i64) -> u64 {
    tick_at_or_after(w, interrupt_time_of(w, timeout, w.engine.now()))
}

/// The clock interrupt: moves every timer that is due to the CPU that will run it, and asks the CPUs whose
/// queues have waited for a tick to drain them (D-23). The worker pools are looked at too (W-30).
pub(crate) fn clock(w: &World, now: u64, tick: bool) {
    let drains = w.nt.with(|nt| {
        let mut drains = 0_u64;
        while nt.timers.next().is_some_and(|due| due <= now) {
            let Some(entry) = nt.timers.queue.pop() else {
                break;
            };
            expire(w, nt, entry, now, &mut drains);
        }
        if tick {
            for cpu in 0..nt.active {
                if !nt.cpus[cpu as usize].dpcs.is_empty() {
                    drains |= 1 << cpu;
                }
            }
        }
        drains
    });
    for cpu in (0..64).filter(|cpu| drains & (1 << cpu) != 0) {
        w.engine.request_drain(w, cpu);
    }
    workers::clock(w, now);
}

fn expire(w: &World, nt: &mut NtState, entry: Entry, now: u64, drains: &mut u64) {
    // The CPU that armed the timer, mostly (D-33).
    let cpu = if w.engine.choose(4) == 0 {
        w.engine.choose(nt.active)
    } else {
        entry.cpu
    };
    let sequence = nt.next_sequence();
    // SAFETY: an armed timer is allocated; the lock of the world is held.
    let timer = unsafe { &mut *entry.timer };
    timer.armed = None;
    timer.expiries += 1;
    if let Some(passed) = now.saturating_sub(timer.due).checked_div(timer.period) {
        // Counted from the last due time, so that nothing drifts; at most one expiry per tick (T-28).
        timer.due += (passed + 1) * timer.period;
        let due = if timer.high_resolution {
            timer.due
        } else {
            tick_at_or_after(w, timer.due)
        };
        arm(nt, entry.timer, due, entry.cpu);
    }
    nt.cpus[cpu as usize].expired.push_back(Expired {
        sequence,
        timer: entry.timer,
    });
    *drains |= 1 << cpu;
}

/// Runs the callback of an expiry at DISPATCH_LEVEL.
pub(crate) fn run_expired(w: &World, expired: Expired) {
    w.count(|counters| counters.timer_expiries += 1);
    let (callback, context, number) = w.nt.with(|_| {
        // SAFETY: `expiries` keeps the timer allocated; the lock of the world is held.
        let timer = unsafe { &*expired.timer };
        (timer.callback, timer.context, timer.number)
    });
    w.trace_event("timer expires", number, expired.sequence);
    if let Some(callback) = callback {
        // SAFETY: the arguments are those that the driver allocated the timer with.
        unsafe { callback(expired.timer, context) };
    }
    let free = w.nt.with(|_| {
        // SAFETY: as above.
        let timer = unsafe { &mut *expired.timer };
        timer.expiries -= 1;
        timer.deleted && timer.expiries == 0 && timer.armed.is_none()
    });
    if free {
        release(w, expired.timer);
    }
}
