//! WDFTIMER: an NT timer, and for passive timers a private work item behind it (facts T-1 to T-28).
//!
//! # Invariants
//!
//! - **T1** A start decides under the lock and arms after it (T-13, T-14). A waiting stop that
//!   marks itself in between does not see the start until it has cancelled: the hole of T-20.
//! - **T2** `thread` is one slot without a lock, like that of a work item (T-17, W-17).
//! - **T3** A fire of a passive timer is lost when an earlier one is still queued, and overlaps one
//!   that is already running (T-24).

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use super::attributes::{self, Allow};
use super::callback_lock::{self, CallbackLock};
use super::hooks::{self, ExTimer};
use super::object::{Body, Kind, Object};
use super::primitives::FxLock;
use super::registry;
use super::system_work_item::SystemWorkItem;
use super::verifier::{self, Break};
use crate::abi::*;

/// Size of `WDF_TIMER_CONFIG` in KMDF 1.7: no tolerable delay, no resolution (T-1).
const CONFIG_V1_7: usize = 24;
/// Size of `WDF_TIMER_CONFIG` in KMDF 1.11: no resolution (T-1).
const CONFIG_V1_11: usize = 32;
/// The largest `LONG`.
const MAXLONG: u32 = 0x7FFF_FFFF;

/// What a WDFTIMER adds to an object.
#[derive(Debug)]
pub(super) struct TimerBody {
    callback: PFN_WDF_TIMER,
    period_ms: u32,
    serialization: OnceLock<Arc<CallbackLock>>,
    timer: OnceLock<ExTimer>,
    lock: FxLock,
    /// `m_CallbackThread` of T-17.
    thread: AtomicUsize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    running_down: bool,
    /// The thread in a waiting stop, zero if none (T-14, T-21).
    stop_thread: usize,
    stop_again: bool,
    start_aborted: bool,
    /// The passive half; gone after the dispose.
    work_item: Option<Arc<SystemWorkItem>>,
    parent: Option<Arc<Object>>,
}

impl TimerBody {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn passive(&self) -> Option<Arc<SystemWorkItem>> {
        self.state().work_item.clone()
    }
}

/// The configuration, whichever version of the structure the driver was built with.
#[derive(Debug, Clone, Copy)]
struct Config {
    callback: PFN_WDF_TIMER,
    period_ms: u32,
    serialize: bool,
    tolerable_delay_ms: u32,
    high_resolution: bool,
}

/// Creates a timer under a parent that has a device above it (T-1 to T-9).
///
/// IRQL: <= DISPATCH.
///
/// # Safety
/// - `config` and `attributes` are NULL or point to structures as long as their `Size` says.
/// - `timer` is NULL or writable.
#[must_use]
pub unsafe extern "C" fn WdfTimerCreate(
    globals: PWDF_DRIVER_GLOBALS,
    config: PWDF_TIMER_CONFIG,
    attributes: PWDF_OBJECT_ATTRIBUTES,
    timer: *mut WDFTIMER,
) -> NTSTATUS {
    super::enter(globals, "WdfTimerCreate", DISPATCH_LEVEL);
    // SAFETY: passed on to the caller.
    match unsafe { create(config, attributes, timer) } {
        Ok(handle) => {
            // SAFETY: `create` checked that the pointer is not NULL.
            unsafe { timer.write(handle.cast()) };
            STATUS_SUCCESS
        }
        Err(status) => status,
    }
}

/// T-3 and T-5, check by check.
unsafe fn create(
    config: PWDF_TIMER_CONFIG,
    attributes: PWDF_OBJECT_ATTRIBUTES,
    timer: *mut WDFTIMER,
) -> Result<WDFOBJECT, NTSTATUS> {
    // SAFETY: the caller's promise about `attributes`.
    let (attributes, parent) = unsafe { attributes::with_parent(attributes) }?;
    registry::not_null(config, "WdfTimerCreate: Config");
    registry::not_null(timer, "WdfTimerCreate: Timer");
    // SAFETY: the caller's promise about `config`.
    let config = unsafe { read_config(config) }?;
    if config.period_ms > MAXLONG {
        return Err(STATUS_INVALID_PARAMETER);
    }
    if config.high_resolution && config.tolerable_delay_ms > 0 {
        return Err(STATUS_INVALID_PARAMETER);
    }
    attributes::validate(&attributes, Allow::EXECUTION_LEVEL)?;
    let passive = attributes.ExecutionLevel == _WDF_EXECUTION_LEVEL::WdfExecutionLevelPassive;
    if config.period_ms > 0 && passive {
        return Err(STATUS_NOT_SUPPORTED);
    }
    let body = Body::Timer(TimerBody {
        callback: config.callback,
        period_ms: config.period_ms,
        serialization: OnceLock::new(),
        timer: OnceLock::new(),
        lock: FxLock::new(),
        thread: AtomicUsize::new(0),
        state: Mutex::default(),
    });
    let object = Object::allocate(Kind::Timer, Some(&attributes), body)
        .ok_or(STATUS_INSUFFICIENT_RESOURCES)?;
    let result = initialize(&object, &config, &attributes, &parent);
    if result.is_err() {
        object.delete_from_failed_create();
    }
    result
}

/// Reads one of the three sizes that a 1.33 framework takes (T-1, T-2).
///
/// # Safety
/// - `config` points to a structure as long as its `Size` says.
unsafe fn read_config(config: PWDF_TIMER_CONFIG) -> Result<Config, NTSTATUS> {
    // SAFETY: the caller promises that at least the `Size` field is readable.
    let size = unsafe { (&raw const (*config).Size).read() } as usize;
    if size != CONFIG_V1_7 && size != CONFIG_V1_11 && size != size_of::<WDF_TIMER_CONFIG>() {
        return Err(STATUS_INFO_LENGTH_MISMATCH);
    }
    // SAFETY: these four fields are in every version of the structure.
    let (callback, period_ms, serialize) = unsafe {
        (
            (&raw const (*config).EvtTimerFunc).read(),
            (&raw const (*config).Period).read(),
            (&raw const (*config).AutomaticSerialization).read() != 0,
        )
    };
    let mut read = Config {
        callback,
        period_ms,
        serialize,
        tolerable_delay_ms: 0,
        high_resolution: false,
    };
    if size > CONFIG_V1_7 {
        // SAFETY: versions after 1.7 have this field.
        read.tolerable_delay_ms = unsafe { (&raw const (*config).TolerableDelay).read() };
    }
    if size > CONFIG_V1_11 {
        // SAFETY: versions after 1.11 have this field.
        read.high_resolution = unsafe { (&raw const (*config).UseHighResolutionTimer).read() } != 0;
    }
    Ok(read)
}

/// T-6, step by step.
fn initialize(
    object: &Arc<Object>,
    config: &Config,
    attributes: &WDF_OBJECT_ATTRIBUTES,
    parent: &Arc<Object>,
) -> Result<WDFOBJECT, NTSTATUS> {
    // Dropped by the dispose. The framework takes it after the next step, which would leave the
    // count one short if that step fails (T-10, inferred only): not imitated.
    object.add_ref();
    let body = body_of(object);
    let high_resolution = config.high_resolution && config.tolerable_delay_ms == 0;
    let timer =
        ExTimer::allocate(object.handle(), high_resolution).ok_or(STATUS_INSUFFICIENT_RESOURCES)?;
    let _ = body.timer.set(timer);
    let device = parent.device().ok_or(STATUS_INVALID_DEVICE_REQUEST)?;
    object.set_device(&device);
    // T-7: only the timer's own attributes count, never the level of the parent.
    let passive = attributes.ExecutionLevel == _WDF_EXECUTION_LEVEL::WdfExecutionLevelPassive;
    if let Some(lock) = callback_lock::effective(parent, config.serialize, passive)? {
        let _ = body.serialization.set(lock);
    }
    if passive {
        let owner: Arc<str> = format!("passive {}", object.name()).into();
        let item = SystemWorkItem::create(&owner).ok_or(STATUS_INSUFFICIENT_RESOURCES)?;
        body.state().work_item = Some(item);
    }
    parent.add_ref();
    body.state().parent = Some(Arc::clone(parent));
    let handle = object.commit(Some(attributes), Some(parent))?;
    hooks::count(|counters| counters.objects_timer += 1);
    Ok(handle)
}

fn body_of(object: &Object) -> &TimerBody {
    match &object.body {
        Body::Timer(body) => body,
        Body::Driver(_)
        | Body::Device(_)
        | Body::General
        | Body::Dpc(_)
        | Body::WorkItem(_)
        | Body::Queue(_)
        | Body::Request(_) => unreachable!("{object:?} is not a WDFTIMER"),
    }
}

/// Arms or re-arms the timer: TRUE if it was armed already (T-11 to T-16).
///
/// IRQL: <= DISPATCH.
///
/// # Safety
/// - `timer` may be any value: a bad one is a bug check.
#[must_use]
pub unsafe extern "C" fn WdfTimerStart(
    globals: PWDF_DRIVER_GLOBALS,
    timer: WDFTIMER,
    due_time: LONGLONG,
) -> BOOLEAN {
    super::enter(globals, "WdfTimerStart", DISPATCH_LEVEL);
    let object = registry::of_kind(timer, Kind::Timer, "WdfTimerStart");
    hooks::count(|counters| counters.timer_starts += 1);
    let body = body_of(&object);
    let irql = body.lock.acquire();
    let mut state = body.state();
    let running_down = state.running_down;
    let stopping = state.stop_thread != 0;
    if !running_down && stopping {
        state.start_aborted = true;
    }
    drop(state);
    body.lock.release(irql);
    if running_down {
        verifier::record(Break::TimerStartRunningDown, object.name());
        return 0;
    }
    if stopping {
        hooks::debug_print(&format!(
            "{} is being stopped: start ignored",
            object.name()
        ));
        return 0;
    }

    // The callback may run, and delete the object, before the arming below returns (T-16).
    object.add_ref();
    hooks::preempt();
    let was_armed = body
        .timer
        .get()
        .is_some_and(|timer| timer.set(due_time, body.period_ms));
    let irql = body.lock.acquire();
    let mut state = body.state();
    if state.stop_thread != 0 {
        state.stop_again = true;
    }
    drop(state);
    body.lock.release(irql);
    object.release();
    was_armed.into()
}

/// Disarms the timer: TRUE if it was armed. With `wait`, also waits for a callback that is queued
/// or running, unless the slot of T-17 says that the caller is that callback (T-17 to T-21).
///
/// IRQL: <= DISPATCH; = PASSIVE with `wait`.
///
/// # Safety
/// - `timer` may be any value: a bad one is a bug check.
#[must_use]
pub unsafe extern "C" fn WdfTimerStop(
    globals: PWDF_DRIVER_GLOBALS,
    timer: WDFTIMER,
    wait: BOOLEAN,
) -> BOOLEAN {
    super::enter(
        globals,
        "WdfTimerStop",
        if wait != 0 {
            PASSIVE_LEVEL
        } else {
            DISPATCH_LEVEL
        },
    );
    let object = registry::of_kind(timer, Kind::Timer, "WdfTimerStop");
    hooks::count(|counters| counters.timer_stops += 1);
    let body = body_of(&object);
    if wait == 0 {
        return cancel(body).into();
    }
    if !verifier::may_wait("WdfTimerStop", object.name()) {
        return 0;
    }
    stop_and_wait(&object, body).into()
}

fn cancel(body: &TimerBody) -> bool {
    hooks::preempt();
    body.timer.get().is_some_and(ExTimer::cancel)
}

fn stop_and_wait(object: &Arc<Object>, body: &TimerBody) -> bool {
    let me = hooks::current_thread();
    if body.thread.load(Ordering::Relaxed) == me {
        verifier::record(Break::TimerStopOwnCallback, object.name());
        return false;
    }
    let mut irql = body.lock.acquire();
    let mut state = body.state();
    let concurrent = state.stop_thread != 0;
    state.start_aborted = false;
    state.stop_thread = me;
    drop(state);
    if concurrent {
        verifier::record(Break::TimerStopConcurrent, object.name());
    }
    let mut cancelled;
    loop {
        body.state().stop_again = false;
        body.lock.release(irql);
        cancelled = cancel(body);
        hooks::flush_queued_dpcs();
        if let Some(item) = body.passive() {
            item.wait_for_exit();
        }
        irql = body.lock.acquire();
        // T-20: a start that slipped in after a cancel that succeeded is not looked at.
        if cancelled || !body.state().stop_again {
            break;
        }
    }
    let mut state = body.state();
    // T-21: with two stops at once, the first to get here clears what the other relies on.
    state.stop_thread = 0;
    state.stop_again = false;
    let aborted = std::mem::take(&mut state.start_aborted);
    drop(state);
    body.lock.release(irql);
    cancelled || aborted
}

/// The parent that the timer was created with.
///
/// IRQL: <= DISPATCH.
///
/// # Safety
/// - `timer` may be any value: a bad one is a bug check.
#[must_use]
pub unsafe extern "C" fn WdfTimerGetParentObject(
    globals: PWDF_DRIVER_GLOBALS,
    timer: WDFTIMER,
) -> WDFOBJECT {
    super::enter(globals, "WdfTimerGetParentObject", DISPATCH_LEVEL);
    let object = registry::of_kind(timer, Kind::Timer, "WdfTimerGetParentObject");
    let parent = body_of(&object).state().parent.clone();
    parent.map_or(std::ptr::null_mut(), |parent| parent.handle())
}

/// Expiry, at DISPATCH (T-24).
pub(super) fn fire(address: usize) {
    let Some(object) = super::wdf().registry.find(address) else {
        let what = super::wdf().registry.epitaph(address);
        hooks::fail(
            "TIMER_OR_DPC_INVALID(0xC7,0)",
            format!("a timer expired in {what}"),
        );
    };
    let body = body_of(&object);
    match body.passive() {
        None => handler(&object, body),
        Some(item) => {
            hooks::preempt();
            let run = Arc::clone(&object);
            item.try_to_enqueue(Box::new(move || handler(&run, body_of(&run))));
        }
    }
}

fn handler(object: &Arc<Object>, body: &TimerBody) {
    let Some(callback) = body.callback else {
        return;
    };
    body.thread
        .store(hooks::current_thread(), Ordering::Relaxed);
    hooks::preempt();
    let serialization = body.serialization.get().map(Arc::clone);
    let held = serialization
        .as_ref()
        .map(|lock| lock.acquire(object.name()));
    hooks::count(|counters| counters.timer_callbacks += 1);
    hooks::callback(object.name(), "EvtTimerFunc", || {
        // SAFETY: the driver gave this function for this object; the dispose stops the timer and
        // waits before the memory goes, and `is_destroyed` below convicts what slips through.
        unsafe { callback(object.handle().cast()) }
    });
    if let (Some(lock), Some(held)) = (serialization, held) {
        lock.release(held);
    }
    if object.is_destroyed() {
        hooks::fail(
            "PAGE_FAULT_IN_FREED_SPECIAL_POOL(0xD5)",
            format!("{} was destroyed while its callback ran", object.name()),
        );
    }
    hooks::preempt();
    body.thread.store(0, Ordering::Relaxed);
}

/// T-22, T-23: cancels, waits, and takes the passive half down.
pub(super) fn dispose(object: &Arc<Object>, body: &TimerBody) -> bool {
    let irql = body.lock.acquire();
    body.state().running_down = true;
    body.lock.release(irql);
    if body.thread.load(Ordering::Relaxed) == hooks::current_thread() {
        verifier::record(Break::TimerDeleteOwnCallback, object.name());
    }
    let _ = stop_and_wait(object, body);
    let item = body.passive();
    if let Some(item) = item {
        item.run_down();
        body.state().work_item = None;
        item.free();
    }
    let parent = body.state().parent.take();
    if let Some(parent) = parent {
        parent.release();
    }
    object.release();
    true
}

/// The end of the memory: the NT timer is cancelled and deleted without waiting (T-34).
pub(super) fn destroy(object: &Arc<Object>, body: &TimerBody) {
    if body.state().parent.is_some() {
        verifier::record(Break::DestroyedWithoutDelete, object.name());
    }
    if let Some(timer) = body.timer.get() {
        timer.delete();
    }
}
