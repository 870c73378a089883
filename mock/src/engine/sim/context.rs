//! Contexts of the simulation: coroutines, and the stacks they run on.

use std::panic::{AssertUnwindSafe, catch_unwind};

use corosensei::stack::{Stack, StackPointer};
use corosensei::{Coroutine, CoroutineResult, Yielder};

use crate::engine::{Entry, ThreadId};
use crate::world::failure::record;
use crate::world::panics;
use crate::world::state::{World, current};

/// The stack of a context: part of the address space of its world, so that it is at the same address in
/// every process.
#[derive(Debug)]
pub(super) struct FixedStack {
    limit: StackPointer,
    base: StackPointer,
}

// SAFETY: the arena of the world has made the range accessible, except for its lowest page, and gives it to no other
// context. It outlives the contexts of the world.
unsafe impl Stack for FixedStack {
    fn base(&self) -> StackPointer {
        self.base
    }

    fn limit(&self) -> StackPointer {
        self.limit
    }
}

impl FixedStack {
    fn of(w: &World, id: ThreadId) -> Self {
        let (limit, base) = w.arena.with(|arena| arena.stack(id));
        let pointer = |address| StackPointer::new(address).expect("a stack is not at address 0");
        Self {
            limit: pointer(limit),
            base: pointer(base),
        }
    }
}

/// Why a context gave the OS thread back to the scheduler.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Why {
    /// It can go on at once.
    Preempted,
    /// It can go on, but not on this CPU.
    Moved,
    /// It uses its CPU for the time in `Context::burn`.
    Burning,
    /// It waits for `wake`, a time, or for the world to settle.
    Blocked,
    /// An idle thread has nothing to do.
    Idle,
    /// It never runs again.
    Over,
}

/// Where a thread is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    Ready,
    Running,
    Blocked,
    Settling,
    Over,
}

pub(super) type Coro = Coroutine<(), Why, (), FixedStack>;

/// A thread as the scheduler sees it.
pub(super) struct Context {
    pub(super) phase: Phase,
    /// What the coroutine will run; gone once it runs.
    pub(super) entry: Option<Entry>,
    /// Boxed: it may not move while it runs, and the table of contexts grows meanwhile.
    pub(super) coro: Option<Box<Coro>>,
    pub(super) yielder: *const Yielder<(), Why>,
    /// The IRQL to continue at (0 or 1) while it is on no CPU.
    pub(super) irql: u8,
    pub(super) affinity: u64,
    /// A wake that came while it did not block.
    pub(super) woken: bool,
    /// CPU time that it still has to use before it goes on, as of the moment when it was last put on a CPU.
    pub(super) burn: Option<u64>,
    /// When its last turn on a CPU was used up, while it has not waited since; else 0.
    pub(super) turn_ended: u64,
    /// The thread's priority, if the world schedules by priorities; else the same for all.
    pub(super) priority: i32,
}

impl Context {
    /// A context that has not begun.
    pub(super) fn new(entry: Entry, affinity: u64) -> Self {
        Self {
            phase: Phase::Ready,
            entry: Some(entry),
            coro: None,
            yielder: std::ptr::null(),
            irql: 0,
            affinity,
            woken: false,
            burn: None,
            turn_ended: 0,
            priority: 0,
        }
    }

    /// The coroutine to resume, made on first use.
    pub(super) fn coroutine(
        &mut self,
        w: &World,
        id: ThreadId,
        publish: fn(ThreadId, &Yielder<(), Why>),
    ) -> *mut Coro {
        if let Some(entry) = self.entry.take() {
            let stack = FixedStack::of(w, id);
            self.coro = Some(Box::new(Coroutine::with_stack(
                stack,
                move |yielder, ()| {
                    publish(id, yielder);
                    guard(entry);
                },
            )));
        }
        &raw mut **self
            .coro
            .as_mut()
            .expect("a context has an entry or a coroutine")
    }

    /// Ends the use of the stack. A context that has not run to its end is forgotten: its frames are never
    /// unwound, because some of them are `extern "C"` callbacks of the driver.
    pub(super) fn forget(&mut self) {
        self.phase = Phase::Over;
        self.entry = None;
        let Some(mut coro) = self.coro.take() else {
            return;
        };
        if !coro.done() {
            // SAFETY: the frames of the coroutine are leaked, not reused: nothing that outlives the world
            // points into them, as the world ends with its contexts.
            unsafe { coro.force_reset() };
        }
    }
}

/// Runs a context; a panic ends the run as a failure.
fn guard(entry: Entry) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(entry)) {
        let w = current();
        record(w, "PANIC", panics::message(&*payload), Vec::new());
    }
}

/// Resumes a coroutine until it gives the OS thread back.
///
/// # Safety
/// `coro` is the pointer of [`Context::coroutine`], its context is not forgotten, and the coroutine is
/// neither running nor done.
pub(super) unsafe fn resume(coro: *mut Coro) -> Why {
    // SAFETY: as the caller's.
    match unsafe { (*coro).resume(()) } {
        CoroutineResult::Yield(why) => why,
        CoroutineResult::Return(()) => Why::Over,
    }
}
