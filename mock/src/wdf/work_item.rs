//! WDFWORKITEM: one NT work item that may be queued again as soon as it starts (facts W-1 to W-26).
//!
//! # Invariants
//!
//! - **W1** `enqueued` is set by the enqueue that queues the NT work item and cleared as the first
//!   thing of the run, before the callback (W-7, W-11). Hence the overlap of W-12.
//! - **W2** The completion event is cleared with `enqueued` set, and set only when nothing runs and
//!   nothing is queued (W-14, W-15).
//! - **W3** `thread` is one slot without a lock. With two instances it names the wrong one or none,
//!   and whoever waits for its own instance then waits for ever (W-17).

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use super::attributes::{self, Allow};
use super::callback_lock::{self, CallbackLock};
use super::hooks::{self, IoWorkItem};
use super::object::{Body, Kind, Object};
use super::primitives::{FxEvent, FxLock};
use super::verifier::{self, Break};
use super::{registry, wdf};
use crate::abi::*;

/// W-20: how long a waiter waits before it prints a line and waits again.
const WAIT_ROUND: Duration = Duration::from_secs(60);
/// The rounds after which the mock calls it by name instead of printing for ever.
const WAIT_ROUNDS: u32 = 3;

/// What a WDFWORKITEM adds to an object.
#[derive(Debug)]
pub(super) struct WorkItemBody {
    callback: PFN_WDF_WORKITEM,
    serialization: OnceLock<Arc<CallbackLock>>,
    item: OnceLock<IoWorkItem>,
    lock: FxLock,
    completed: FxEvent,
    /// `m_WorkItemThread` of W-17: zero, or the thread that last entered a callback.
    thread: AtomicUsize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    enqueued: bool,
    running_down: bool,
    /// The threads inside the handler; the framework keeps only their number.
    running: Vec<usize>,
    /// Runs so far, to tell a livelock from a deadlock.
    runs: u64,
    parent: Option<Arc<Object>>,
}

impl WorkItemBody {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Creates a work item under a parent that has a device above it (W-1 to W-4).
///
/// IRQL: <= DISPATCH.
///
/// # Safety
/// - `config` and `attributes` are NULL or point to structures as long as their `Size` says.
/// - `work_item` is NULL or writable.
#[must_use]
pub unsafe extern "C" fn WdfWorkItemCreate(
    globals: PWDF_DRIVER_GLOBALS,
    config: PWDF_WORKITEM_CONFIG,
    attributes: PWDF_OBJECT_ATTRIBUTES,
    work_item: *mut WDFWORKITEM,
) -> NTSTATUS {
    super::enter(globals, "WdfWorkItemCreate", DISPATCH_LEVEL);
    // SAFETY: passed on to the caller.
    match unsafe { create(config, attributes, work_item) } {
        Ok(handle) => {
            // SAFETY: `create` checked that the pointer is not NULL.
            unsafe { work_item.write(handle.cast()) };
            STATUS_SUCCESS
        }
        Err(status) => status,
    }
}

/// W-2, check by check.
unsafe fn create(
    config: PWDF_WORKITEM_CONFIG,
    attributes: PWDF_OBJECT_ATTRIBUTES,
    work_item: *mut WDFWORKITEM,
) -> Result<WDFOBJECT, NTSTATUS> {
    // SAFETY: the caller's promise about `attributes`.
    let (attributes, parent) = unsafe { attributes::with_parent(attributes) }?;
    registry::not_null(config, "WdfWorkItemCreate: Config");
    registry::not_null(work_item, "WdfWorkItemCreate: WorkItem");
    // SAFETY: the caller's promise about `config`.
    if unsafe { (*config).Size } as usize != size_of::<WDF_WORKITEM_CONFIG>() {
        return Err(STATUS_INFO_LENGTH_MISMATCH);
    }
    // SAFETY: the size was just checked.
    let config = unsafe { config.read() };
    if config.EvtWorkItemFunc.is_none() {
        return Err(STATUS_INVALID_PARAMETER);
    }
    attributes::validate(&attributes, Allow::NEITHER)?;
    let body = Body::WorkItem(WorkItemBody {
        callback: config.EvtWorkItemFunc,
        serialization: OnceLock::new(),
        item: OnceLock::new(),
        lock: FxLock::new(),
        completed: FxEvent::uninit(),
        thread: AtomicUsize::new(0),
        state: Mutex::default(),
    });
    let object = Object::allocate(Kind::WorkItem, Some(&attributes), body)
        .ok_or(STATUS_INSUFFICIENT_RESOURCES)?;
    body_of(&object)
        .completed
        .init(_EVENT_TYPE::NotificationEvent, true);
    let result = initialize(&object, &config, &attributes, &parent);
    if result.is_err() {
        object.delete_from_failed_create();
    }
    result
}

fn initialize(
    object: &Arc<Object>,
    config: &WDF_WORKITEM_CONFIG,
    attributes: &WDF_OBJECT_ATTRIBUTES,
    parent: &Arc<Object>,
) -> Result<WDFOBJECT, NTSTATUS> {
    // Dropped by the dispose, after the wait.
    object.add_ref();
    let device = parent.device().ok_or(STATUS_INVALID_DEVICE_REQUEST)?;
    object.set_device(&device);
    let lock = callback_lock::effective(parent, config.AutomaticSerialization != 0, true)?;
    let item = IoWorkItem::allocate().ok_or(STATUS_INSUFFICIENT_RESOURCES)?;
    let body = body_of(object);
    let _ = body.item.set(item);
    if let Some(lock) = lock {
        let _ = body.serialization.set(lock);
    }
    parent.add_ref();
    body.state().parent = Some(Arc::clone(parent));
    let handle = object.commit(Some(attributes), Some(parent))?;
    hooks::count(|counters| counters.objects_work_item += 1);
    Ok(handle)
}

fn body_of(object: &Object) -> &WorkItemBody {
    match &object.body {
        Body::WorkItem(body) => body,
        Body::Driver(_)
        | Body::Device(_)
        | Body::General
        | Body::Dpc(_)
        | Body::Timer(_)
        | Body::Queue(_)
        | Body::Request(_) => unreachable!("{object:?} is not a WDFWORKITEM"),
    }
}

/// Queues the work item unless it is queued already or running down; either way the caller is told
/// nothing (W-6 to W-9).
///
/// IRQL: <= DISPATCH.
///
/// # Safety
/// - `work_item` may be any value: a bad one is a bug check.
pub unsafe extern "C" fn WdfWorkItemEnqueue(globals: PWDF_DRIVER_GLOBALS, work_item: WDFWORKITEM) {
    super::enter(globals, "WdfWorkItemEnqueue", DISPATCH_LEVEL);
    let object = registry::of_kind(work_item, Kind::WorkItem, "WdfWorkItemEnqueue");
    hooks::count(|counters| counters.work_item_enqueues += 1);
    let body = body_of(&object);
    let irql = body.lock.acquire();
    let mut state = body.state();
    let dropped = !state.enqueued && state.running_down;
    let enqueue = !state.enqueued && !state.running_down;
    state.enqueued |= enqueue;
    drop(state);
    if enqueue {
        body.completed.clear();
        object.add_ref();
        wdf().add_ref();
    }
    body.lock.release(irql);
    if dropped {
        verifier::record(Break::WorkItemEnqueueRunningDown, object.name());
    }
    if let (true, Some(item)) = (enqueue, body.item.get()) {
        // Between the unlock and this call the item counts as queued and is not: a second enqueue
        // is coalesced with a run that has yet to be asked for.
        let run = Arc::clone(&object);
        item.queue(Box::new(move || thunk(&run)));
    }
}

/// What the NT work item calls, in a system worker at PASSIVE.
fn thunk(object: &Arc<Object>) {
    let body = body_of(object);
    let me = hooks::current_thread();
    body.thread.store(me, Ordering::Relaxed);
    hooks::preempt();
    handler(object, body, me);
    hooks::preempt();
    body.thread.store(0, Ordering::Relaxed);
    hooks::preempt();
    object.release();
    wdf().release();
}

fn handler(object: &Arc<Object>, body: &WorkItemBody, me: usize) {
    let irql = body.lock.acquire();
    let mut state = body.state();
    state.enqueued = false;
    state.running.push(me);
    state.runs += 1;
    drop(state);
    body.lock.release(irql);

    let serialization = body.serialization.get().map(Arc::clone);
    let held = serialization
        .as_ref()
        .map(|lock| lock.acquire(object.name()));
    if let Some(callback) = body.callback {
        hooks::count(|counters| counters.work_item_callbacks += 1);
        hooks::callback(object.name(), "EvtWorkItemFunc", || {
            // SAFETY: the driver gave this function for this object; the reference taken by the
            // enqueue keeps the memory until the thunk drops it (W-26).
            unsafe { callback(object.handle().cast()) }
        });
    }
    if let (Some(lock), Some(held)) = (serialization, held) {
        lock.release(held);
    }

    let irql = body.lock.acquire();
    let mut state = body.state();
    if let Some(place) = state.running.iter().position(|thread| *thread == me) {
        state.running.remove(place);
    }
    let idle = state.running.is_empty() && !state.enqueued;
    drop(state);
    if idle {
        body.completed.set();
    }
    body.lock.release(irql);
}

/// The parent that the work item was created with.
///
/// IRQL: <= DISPATCH.
///
/// # Safety
/// - `work_item` may be any value: a bad one is a bug check.
#[must_use]
pub unsafe extern "C" fn WdfWorkItemGetParentObject(
    globals: PWDF_DRIVER_GLOBALS,
    work_item: WDFWORKITEM,
) -> WDFOBJECT {
    super::enter(globals, "WdfWorkItemGetParentObject", DISPATCH_LEVEL);
    let object = registry::of_kind(work_item, Kind::WorkItem, "WdfWorkItemGetParentObject");
    let parent = body_of(&object).state().parent.clone();
    parent.map_or(std::ptr::null_mut(), |parent| parent.handle())
}

/// Waits until the item is neither queued nor running, unless the slot of W-17 says that the caller
/// is its callback (W-18 to W-20).
///
/// IRQL: = PASSIVE.
///
/// # Safety
/// - `work_item` may be any value: a bad one is a bug check.
pub unsafe extern "C" fn WdfWorkItemFlush(globals: PWDF_DRIVER_GLOBALS, work_item: WDFWORKITEM) {
    super::enter(globals, "WdfWorkItemFlush", PASSIVE_LEVEL);
    let object = registry::of_kind(work_item, Kind::WorkItem, "WdfWorkItemFlush");
    hooks::count(|counters| counters.work_item_flushes += 1);
    if !verifier::may_wait("WdfWorkItemFlush", object.name()) {
        return;
    }
    let body = body_of(&object);
    if body.thread.load(Ordering::Relaxed) == hooks::current_thread() {
        verifier::record(Break::WorkItemFlushOwnCallback, object.name());
        return;
    }
    wait_until_idle(&object, body);
}

/// W-19, W-20: the wait that may last for ever, ended with a name after some rounds.
fn wait_until_idle(object: &Arc<Object>, body: &WorkItemBody) {
    let what = format!("{} idle", object.name());
    let mut runs_before = body.state().runs;
    for round in 1.. {
        if body.completed.wait(&what, Some(WAIT_ROUND)) {
            return;
        }
        hooks::debug_print(&format!(
            "{} is waiting on {}",
            hooks::thread_name(hooks::current_thread()),
            object.name()
        ));
        let state = body.state();
        let (runs, running) = (state.runs, state.running.clone());
        drop(state);
        if round >= WAIT_ROUNDS {
            report_endless_wait(object, runs != runs_before, &running);
        }
        runs_before = runs;
    }
}

fn report_endless_wait(object: &Object, progress: bool, running: &[usize]) -> ! {
    let me = hooks::current_thread();
    let waiter = hooks::thread_name(me);
    if progress {
        let message = format!(
            "{waiter} waits for {} to be idle, which is never",
            object.name()
        );
        hooks::fail(
            &format!("SIM_LIVELOCK(flush of {})", object.name()),
            message,
        );
    }
    let names: Vec<_> = running
        .iter()
        .map(|thread| hooks::thread_name(*thread))
        .collect();
    let own = if running.contains(&me) {
        ", its own callback among them"
    } else {
        ""
    };
    hooks::fail(
        &format!("SIM_DEADLOCK({waiter} waits for {})", object.name()),
        format!(
            "{} is running in [{}]{own}",
            object.name(),
            names.join(", ")
        ),
    )
}

/// W-22, W-24: refuses new runs, waits for the pending ones to have run, and lets go.
pub(super) fn dispose(object: &Arc<Object>, body: &WorkItemBody) -> bool {
    let irql = body.lock.acquire();
    body.state().running_down = true;
    body.lock.release(irql);
    if body.thread.load(Ordering::Relaxed) != hooks::current_thread() {
        wait_until_idle(object, body);
    }
    let parent = body.state().parent.take();
    if let Some(parent) = parent {
        parent.release();
    }
    object.release();
    true
}

/// The end of the memory.
pub(super) fn destroy(object: &Arc<Object>, body: &WorkItemBody) {
    let mut state = body.state();
    let running_down = state.running_down;
    let parent = state.parent.take();
    drop(state);
    if !running_down {
        verifier::record(Break::DestroyedWithoutDelete, object.name());
    }
    if let Some(parent) = parent {
        parent.release();
    }
    if let Some(item) = body.item.get() {
        item.free();
    }
}
