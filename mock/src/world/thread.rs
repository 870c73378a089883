//! Threads and gates for test code.

use std::cell::UnsafeCell;
use std::sync::Arc;

use crate::abi::{_EVENT_TYPE, _KWAIT_REASON, _MODE, KEVENT, KPROCESSOR_MODE, PVOID};
use crate::engine::ThreadId;
use crate::nt;
use crate::nt::state::Kind;
use crate::world::state::current;

/// A system thread of test code.
#[derive(Debug)]
pub struct Thread {
    id: ThreadId,
}

/// Starts a system thread at PASSIVE_LEVEL, bound to `cpu` if one is given.
///
/// # Panics
/// Outside a world.
pub fn spawn(name: &str, cpu: Option<u32>, f: impl FnOnce() + Send + 'static) -> Thread {
    let w = current();
    w.engine.preempt(w);
    let id = nt::thread::create(w, name.to_owned(), Kind::Harness, cpu, Box::new(f));
    w.engine.preempt(w);
    Thread { id }
}

impl Thread {
    /// Waits until the thread has ended.
    pub fn join(self) {
        let w = current();
        let object: PVOID = nt::thread::object_of(w, self.id).cast();
        wait(object);
    }

    /// Whether the thread has ended.
    pub fn is_finished(&self) -> bool {
        let w = current();
        w.engine.preempt(w);
        w.nt.with(|nt| nt.threads[self.id].finished)
    }

    /// Whether the thread waits for an object now.
    pub fn is_blocked(&self) -> bool {
        let w = current();
        w.engine.preempt(w);
        w.nt.with(|nt| {
            let thread = &nt.threads[self.id];
            thread.waiting.is_some() && thread.wait_status.is_none()
        })
    }
}

/// A notification event that test code shares: closed at first, open for good once opened.
#[derive(Debug, Clone)]
pub struct Gate {
    event: Arc<Event>,
}

struct Event(UnsafeCell<KEVENT>);

impl std::fmt::Debug for Event {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("KEVENT")
    }
}

// SAFETY: the event is reached only through NT's calls, which serialise every access.
unsafe impl Send for Event {}
// SAFETY: as above.
unsafe impl Sync for Event {}

impl Gate {
    /// A closed gate.
    #[expect(
        clippy::new_without_default,
        reason = "a gate belongs to the world it is made in"
    )]
    pub fn new() -> Self {
        let event = Arc::new(Event(UnsafeCell::new(KEVENT::default())));
        // SAFETY: the event is inside its `Arc`, which does not move.
        unsafe { nt::KeInitializeEvent(event.0.get(), _EVENT_TYPE::NotificationEvent, 0) };
        Self { event }
    }

    /// Opens the gate.
    pub fn open(&self) {
        // SAFETY: the event is initialised and lives in the `Arc`.
        unsafe { nt::KeSetEvent(self.event.0.get(), 0, 0) };
    }

    /// Waits until the gate is open.
    pub fn wait(&self) {
        wait(self.event.0.get().cast());
    }

    /// Whether the gate is open.
    pub fn is_open(&self) -> bool {
        // SAFETY: as in `open`.
        unsafe { nt::KeReadStateEvent(self.event.0.get()) != 0 }
    }
}

fn wait(object: PVOID) {
    // SAFETY: the callers pass a dispatcher object that they keep alive during the wait.
    unsafe {
        nt::KeWaitForSingleObject(
            object,
            _KWAIT_REASON::Executive,
            _MODE::KernelMode as KPROCESSOR_MODE,
            0,
            std::ptr::null_mut(),
        );
    }
}
