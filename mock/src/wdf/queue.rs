//! WDFQUEUE: which request the driver is shown when (facts IO-1 to IO-11).
//!
//! # Invariants
//!
//! - **U1** A request is in `waiting` until it is presented and in `owned` from then until it is
//!   completed. Both change with the queue's lock held.
//! - **U2** Requests are presented by the dispatch loop alone, in the thread that brought one, completed one
//!   or serves the private work item; the loop does not nest (IO-8).
//! - **U3** Who disposes the queue or waits for a purge is told by the loop, when neither list has
//!   anything and no other thread is in the loop (IO-10).

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use super::hooks::{self, Verifier};
use super::object::{Body, Kind, Object};
use super::primitives::{FxEvent, FxLock};
use super::system_work_item::SystemWorkItem;
use super::verifier::{self, Break};
use super::{registry, request};
use crate::abi::*;

/// IO-10: how long a waiter waits before it prints a line and waits again.
const WAIT_ROUND: Duration = Duration::from_secs(60);
/// The rounds after which the mock calls it by name instead of printing for ever.
const WAIT_ROUNDS: u32 = 3;

/// What a WDFQUEUE adds to an object.
#[derive(Debug)]
pub(super) struct QueueBody {
    pub(super) dispatch: WDF_IO_QUEUE_DISPATCH_TYPE,
    /// The most requests that the driver is shown at a time.
    pub(super) presented: u32,
    pub(super) device_control: PFN_WDF_IO_QUEUE_IO_DEVICE_CONTROL,
    pub(super) default: PFN_WDF_IO_QUEUE_IO_DEFAULT,
    /// Callbacks at PASSIVE only.
    pub(super) passive: bool,
    pub(super) item: OnceLock<Arc<SystemWorkItem>>,
    lock: FxLock,
    state: Mutex<State>,
    purged: FxEvent,
    finished: FxEvent,
}

#[derive(Debug)]
struct State {
    accepts: bool,
    waiting: VecDeque<Arc<Object>>,
    owned: Vec<Arc<Object>>,
    /// Threads in the dispatch loop.
    dispatching: u32,
    purge_waited_for: bool,
    disposing: bool,
    deleted: bool,
    item_queued: bool,
    again: bool,
}

/// What the dispatch loop does next.
enum Step {
    Present(Arc<Object>),
    Purged,
    Finished,
    Done,
}

impl QueueBody {
    /// A queue that accepts requests; [`QueueBody::init`] makes its events usable.
    pub(super) fn new(config: &WDF_IO_QUEUE_CONFIG, presented: u32, passive: bool) -> Self {
        Self {
            dispatch: config.DispatchType,
            presented,
            device_control: config.EvtIoDeviceControl,
            default: config.EvtIoDefault,
            passive,
            item: OnceLock::new(),
            lock: FxLock::new(),
            state: Mutex::new(State {
                accepts: true,
                waiting: VecDeque::new(),
                owned: Vec::new(),
                dispatching: 0,
                purge_waited_for: false,
                disposing: false,
                deleted: false,
                item_queued: false,
                again: false,
            }),
            purged: FxEvent::uninit(),
            finished: FxEvent::uninit(),
        }
    }

    /// The second half of the making, once the queue lies where it stays.
    pub(super) fn init(&self) {
        self.purged.init(_EVENT_TYPE::NotificationEvent, false);
        self.finished.init(_EVENT_TYPE::NotificationEvent, false);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the driver may be shown one more request.
    fn has_room(&self, owned: usize) -> bool {
        match self.dispatch {
            _WDF_IO_QUEUE_DISPATCH_TYPE::WdfIoQueueDispatchSequential => owned == 0,
            _WDF_IO_QUEUE_DISPATCH_TYPE::WdfIoQueueDispatchParallel => {
                owned < self.presented as usize
            }
            _ => false,
        }
    }

    /// One turn of the loop of IO-8, with the lock held.
    fn next_step(&self, new: &mut Option<Arc<Object>>) -> Step {
        let mut state = self.state();
        let empty = state.waiting.is_empty() && state.owned.is_empty() && new.is_none();
        let alone = state.dispatching == 1;
        if state.purge_waited_for && empty && alone {
            state.purge_waited_for = false;
            return Step::Purged;
        }
        if state.disposing && empty && alone {
            state.deleted = true;
            return Step::Finished;
        }
        state.waiting.extend(new.take());
        if !self.has_room(state.owned.len()) {
            return Step::Done;
        }
        match state.waiting.pop_front() {
            Some(request) => {
                state.owned.push(Arc::clone(&request));
                Step::Present(request)
            }
            None => Step::Done,
        }
    }
}

/// The queue's part of an object.
pub(super) fn body_of(object: &Object) -> &QueueBody {
    match &object.body {
        Body::Queue(body) => body,
        Body::Driver(_)
        | Body::Device(_)
        | Body::General
        | Body::Dpc(_)
        | Body::WorkItem(_)
        | Body::Timer(_)
        | Body::Request(_) => unreachable!("{object:?} is not a WDFQUEUE"),
    }
}

/// The device that a queue was created for.
///
/// IRQL: <= DISPATCH.
///
/// # Safety
/// - `queue` may be any value: a bad one is a bug check.
#[must_use]
pub unsafe extern "C" fn WdfIoQueueGetDevice(
    globals: PWDF_DRIVER_GLOBALS,
    queue: WDFQUEUE,
) -> WDFDEVICE {
    super::enter(globals, "WdfIoQueueGetDevice", DISPATCH_LEVEL);
    let object = registry::of_kind(queue, Kind::Queue, "WdfIoQueueGetDevice");
    object
        .device()
        .map_or(std::ptr::null_mut(), |device| device.handle().cast())
}

/// A request arrives (IO-7): it is shown to the driver here and now if there is room for it.
pub(super) fn add(queue: &Arc<Object>, request: Arc<Object>) {
    let body = body_of(queue);
    let irql = body.lock.acquire();
    if body.state().accepts {
        dispatch(queue, body, irql, Some(request));
    } else {
        body.lock.release(irql);
        request::complete(&request, STATUS_INVALID_DEVICE_STATE, "WDFQUEUE");
    }
}

/// The driver is done with a request. Another one is presented here, unless a thread is in the
/// loop already, which then does it (IO-8).
pub(super) fn request_completed(queue: &Arc<Object>, request: &Arc<Object>) {
    let body = body_of(queue);
    let irql = body.lock.acquire();
    let mut state = body.state();
    state.owned.retain(|other| !Arc::ptr_eq(other, request));
    let busy = state.dispatching > 0;
    drop(state);
    if busy {
        body.lock.release(irql);
    } else {
        dispatch(queue, body, irql, None);
    }
}

/// The loop of IO-8. Entered with the lock held, returns with it released.
fn dispatch(queue: &Arc<Object>, body: &QueueBody, irql: KIRQL, mut new: Option<Arc<Object>>) {
    let mut state = body.state();
    if state.deleted {
        drop(state);
        body.lock.release(irql);
        return;
    }
    if body.passive && u32::from(irql) > PASSIVE_LEVEL {
        state.again = true;
        state.waiting.extend(new);
        let enqueue = !std::mem::replace(&mut state.item_queued, true);
        drop(state);
        if enqueue {
            defer(queue, body);
        }
        body.lock.release(irql);
        return;
    }
    state.dispatching += 1;
    drop(state);
    loop {
        match body.next_step(&mut new) {
            Step::Present(request) => {
                body.lock.release(irql);
                present(queue, body, &request);
            }
            Step::Purged => {
                body.lock.release(irql);
                body.purged.set();
            }
            Step::Finished => {
                body.lock.release(irql);
                body.finished.set();
                return;
            }
            Step::Done => break,
        }
        body.lock.acquire();
    }
    body.state().dispatching -= 1;
    body.lock.release(irql);
}

/// IO-9: a thread above PASSIVE leaves the loop of a passive queue to the private work item.
fn defer(queue: &Arc<Object>, body: &QueueBody) -> bool {
    let this = Arc::clone(queue);
    body.item
        .get()
        .is_some_and(|item| item.try_to_enqueue(Box::new(move || deferred(&this))))
}

fn deferred(queue: &Arc<Object>) {
    let body = body_of(queue);
    let irql = body.lock.acquire();
    body.state().again = false;
    dispatch(queue, body, irql, None);
    let irql = body.lock.acquire();
    let state = body.state();
    let again = !state.deleted && state.again;
    drop(state);
    if !(again && defer(queue, body)) {
        let mut state = body.state();
        state.again = false;
        state.item_queued = false;
    }
    body.lock.release(irql);
}

/// Shows a request to the driver.
fn present(queue: &Arc<Object>, body: &QueueBody, request: &Arc<Object>) {
    let irp = request::irp_of(request);
    request::present(request, queue);
    let verified = hooks::verifier() != Verifier::Off;
    if verified {
        request.add_ref();
    }
    let handles: (WDFQUEUE, WDFREQUEST) = (queue.handle().cast(), request.handle().cast());
    if let Some(callback) = body.device_control {
        let (output, input, code) = (irp.output_length(), irp.input_length(), irp.code());
        hooks::callback(queue.name(), "EvtIoDeviceControl", || {
            // SAFETY: the driver gave this function for this queue, which waits for the request
            // before it goes; the request is alive until the driver completes it.
            unsafe { callback(handles.0, handles.1, output, input, code) }
        });
    } else if let Some(callback) = body.default {
        hooks::callback(queue.name(), "EvtIoDefault", || {
            // SAFETY: as above.
            unsafe { callback(handles.0, handles.1) }
        });
    } else {
        request::complete(request, STATUS_INVALID_DEVICE_REQUEST, "WDFQUEUE");
    }
    if verified {
        request.release();
    }
}

/// Takes nothing more and cancels what the driver has not been shown (IO-10).
fn purge(queue: &Arc<Object>, body: &QueueBody, waited_for: bool) {
    let irql = body.lock.acquire();
    let mut state = body.state();
    state.accepts = false;
    state.purge_waited_for |= waited_for && !state.deleted;
    drop(state);
    body.lock.release(irql);
    loop {
        let irql = body.lock.acquire();
        let next = body.state().waiting.pop_front();
        body.lock.release(irql);
        match next {
            Some(request) => request::complete(&request, STATUS_CANCELLED, "WDFQUEUE"),
            None => break,
        }
    }
    let irql = body.lock.acquire();
    dispatch(queue, body, irql, None);
}

/// PnP removal: purges and waits until the driver has completed what it owns (IO-11).
pub(super) fn purge_and_wait(queue: &Arc<Object>) {
    let body = body_of(queue);
    purge(queue, body, true);
    if !body.state().deleted {
        wait_for(queue, body, &body.purged);
    }
}

/// The queue's part of dispose: after it no request and no callback is left (IO-10).
pub(super) fn dispose(queue: &Arc<Object>, body: &QueueBody) -> bool {
    if !queue.is_committed() {
        return true;
    }
    purge(queue, body, false);
    let irql = body.lock.acquire();
    body.state().disposing = true;
    dispatch(queue, body, irql, None);
    wait_for(queue, body, &body.finished);
    true
}

/// The end of the memory.
pub(super) fn destroy(body: &QueueBody) {
    if let Some(item) = body.item.get() {
        item.run_down();
        item.free();
    }
}

/// IO-10: the wait that may last for ever, ended with a name after some rounds.
fn wait_for(queue: &Arc<Object>, body: &QueueBody, event: &FxEvent) {
    let what = format!("the requests of {}", queue.name());
    for round in 1.. {
        if event.wait(&what, Some(WAIT_ROUND)) {
            return;
        }
        let names: Vec<_> = body
            .state()
            .owned
            .iter()
            .map(|request| request.name().to_string())
            .collect();
        let names = names.join(", ");
        verifier::record(
            Break::QueueWaitTimedOut,
            &format!("{} waits for {names}", queue.name()),
        );
        if round >= WAIT_ROUNDS {
            let waiter = hooks::thread_name(hooks::current_thread());
            hooks::fail(
                &format!("SIM_DEADLOCK({waiter} waits for {})", queue.name()),
                format!("the driver does not complete {names}"),
            );
        }
    }
}
