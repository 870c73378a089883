//! Threads of the live engine.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::sync::atomic::Ordering;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Instant;

use corosensei::stack::DefaultStack;
use corosensei::{Coroutine, Yielder};

use crate::engine::live::{AFFINITY, CPU, ID, Live};
use crate::engine::{Engine as _, Entry, ThreadId};
use crate::nt::state::Kind;
use crate::world::failure::record;
use crate::world::panics;
use crate::world::state::{World, current, enter};

/// Bytes of stack of a thread.
const STACK_SIZE: usize = 1 << 20;

/// Where a thread sleeps.
#[derive(Debug, Default)]
pub(super) struct Parker {
    woken: Mutex<bool>,
    changed: Condvar,
}

impl Parker {
    pub(super) fn wake(&self) {
        *self.woken.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.changed.notify_all();
    }

    pub(super) fn park(&self, until: Option<Instant>) {
        let mut woken = self.woken.lock().unwrap_or_else(PoisonError::into_inner);
        while !*woken {
            match until {
                None => {
                    woken = self
                        .changed
                        .wait(woken)
                        .unwrap_or_else(PoisonError::into_inner)
                }
                Some(until) => {
                    let left = until.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        return;
                    }
                    woken = self
                        .changed
                        .wait_timeout(woken, left)
                        .unwrap_or_else(PoisonError::into_inner)
                        .0;
                }
            }
        }
        *woken = false;
    }
}

thread_local! {
    static YIELDER: Cell<*const Yielder<(), ()>> = const { Cell::new(ptr::null()) };
}

/// Ends the calling thread without unwinding: some of its frames are `extern "C"` callbacks of the driver.
///
/// A thread runs as a coroutine of its OS thread for the sake of this: its frames are left behind with the
/// stack, and the OS thread goes on to its end.
pub(super) fn leave_for_good() -> ! {
    let yielder = YIELDER.get();
    assert!(
        !yielder.is_null(),
        "kmdf-mock: the calling thread is no thread of a world"
    );
    loop {
        // SAFETY: the yielder lives on the stack of this thread's coroutine, which runs now.
        unsafe { (*yielder).suspend(()) };
    }
}

impl Live {
    /// Runs a thread of the world on a new OS thread.
    pub(super) fn start_thread(&self, w: &World, id: ThreadId, entry: Entry) {
        let (name, affinity) =
            w.nt.with(|nt| (nt.threads[id].name.clone(), nt.threads[id].affinity));
        let w = current();
        let allowed: Vec<u32> = (0..64).filter(|cpu| affinity & (1 << cpu) != 0).collect();
        let cpu = allowed[id % allowed.len()];
        self.alive.fetch_add(1, Ordering::SeqCst);
        let body = move || {
            let guard = enter(w);
            ID.set(id);
            CPU.set(cpu);
            AFFINITY.set(affinity);
            run(w, entry);
            drop(guard);
            let live = w.engine.as_live().expect("this world is live");
            live.alive.fetch_sub(1, Ordering::SeqCst);
        };
        std::thread::Builder::new()
            .name(name)
            .spawn(body)
            .expect("kmdf-mock: the operating system has no more threads");
    }

    /// Runs a thread that serves the machine itself: an idle thread to NT.
    pub(super) fn start_service_thread(
        &self,
        w: &'static World,
        name: &str,
        cpu: u32,
        f: impl FnOnce(&Live) + Send + 'static,
    ) {
        let id =
            w.nt.with(|nt| nt.add_thread(w, name.to_owned(), Kind::Idle, 1 << cpu));
        let entry: Entry = Box::new(move || f(w.engine.as_live().expect("this world is live")));
        self.start(w, id, entry);
    }
}

/// Runs a thread to its end, or until [`leave_for_good`].
fn run(w: &'static World, entry: Entry) {
    let stack = DefaultStack::new(STACK_SIZE).expect("kmdf-mock: no memory for another stack");
    let mut coroutine: Coroutine<(), (), (), _> =
        Coroutine::with_stack(stack, move |yielder, ()| {
            YIELDER.set(yielder);
            if let Err(payload) = catch_unwind(AssertUnwindSafe(entry)) {
                record(w, "PANIC", panics::message(&*payload), Vec::new());
                w.engine.stop(w);
            }
        });
    coroutine.resume(());
    if !coroutine.done() {
        // SAFETY: the thread has left for good: its frames are leaked with nothing that points into them, as
        // `PsTerminateSystemThread` demands.
        unsafe { coroutine.force_reset() };
    }
}
