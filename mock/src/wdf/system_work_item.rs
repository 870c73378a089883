//! The framework's private work item: behind passive timers and dispose lists (W-33, W-34).
//!
//! The same scheme as a WDFWORKITEM, with two differences: enqueueing says whether it did, and the
//! rundown waits for outstanding runs by a count, without asking who is calling.

use std::fmt;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::hooks::IoWorkItem;
use super::primitives::{FxEvent, FxLock};
use super::verifier::{self, Break};
use crate::abi::*;

type Callback = Box<dyn FnOnce() + Send>;

#[derive(Default)]
struct State {
    enqueued: bool,
    running_down: bool,
    running: u32,
    callback: Option<Callback>,
}

/// A private work item.
pub(super) struct SystemWorkItem {
    owner: Arc<str>,
    lock: FxLock,
    completed: FxEvent,
    removed: FxEvent,
    outstanding: AtomicI32,
    item: IoWorkItem,
    state: Mutex<State>,
}

impl fmt::Debug for SystemWorkItem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "work item of {}", self.owner)
    }
}

impl SystemWorkItem {
    /// A private work item of `owner`; `None` when there is no memory.
    pub(super) fn create(owner: &Arc<str>) -> Option<Arc<Self>> {
        let item = IoWorkItem::allocate()?;
        let this = Arc::new(Self {
            owner: Arc::clone(owner),
            lock: FxLock::new(),
            completed: FxEvent::uninit(),
            removed: FxEvent::uninit(),
            outstanding: AtomicI32::new(1),
            item,
            state: Mutex::default(),
        });
        this.completed.init(_EVENT_TYPE::NotificationEvent, true);
        this.removed.init(_EVENT_TYPE::SynchronizationEvent, false);
        Some(this)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues `callback`; false, and the callback is lost, when an earlier one is still queued or
    /// the item is running down. One that is merely running is no reason to refuse (W-33).
    pub(super) fn try_to_enqueue(self: &Arc<Self>, callback: Callback) -> bool {
        let irql = self.lock.acquire();
        let mut state = self.state();
        let refused = state.enqueued || state.running_down;
        let broken = !state.enqueued && state.running_down;
        if !refused {
            state.enqueued = true;
            state.callback = Some(callback);
        }
        drop(state);
        if !refused {
            self.completed.clear();
            self.outstanding.fetch_add(1, Ordering::AcqRel);
        }
        self.lock.release(irql);
        if broken {
            verifier::record(Break::WorkItemEnqueueRunningDown, &self.owner);
        }
        if refused {
            return false;
        }
        let this = Arc::clone(self);
        self.item.queue(Box::new(move || this.run()));
        true
    }

    fn run(&self) {
        let irql = self.lock.acquire();
        let mut state = self.state();
        state.enqueued = false;
        state.running += 1;
        let callback = state.callback.take();
        drop(state);
        self.lock.release(irql);
        if let Some(callback) = callback {
            callback();
        }
        let irql = self.lock.acquire();
        let mut state = self.state();
        state.running -= 1;
        let idle = state.running == 0 && !state.enqueued;
        drop(state);
        if idle {
            self.completed.set();
        }
        self.lock.release(irql);
        self.release_outstanding();
    }

    fn release_outstanding(&self) {
        if self.outstanding.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.removed.set();
        }
    }

    /// Waits, without a limit, until nothing is queued or running.
    pub(super) fn wait_for_exit(&self) {
        self.completed.wait(
            &format!("the queued and running callbacks of {}", self.owner),
            None,
        );
    }

    /// Refuses everything from now on and waits for what is outstanding, the caller's own run
    /// included: here a passive timer that deletes itself stays for ever (T-22, W-34).
    pub(super) fn run_down(&self) {
        let irql = self.lock.acquire();
        self.state().running_down = true;
        self.lock.release(irql);
        self.release_outstanding();
        self.removed.wait(
            &format!("the outstanding callbacks of {}", self.owner),
            None,
        );
    }

    /// Gives the NT work item back.
    pub(super) fn free(&self) {
        self.item.free();
    }
}
