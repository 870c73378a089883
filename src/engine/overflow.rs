//! The thread of a CPU that takes its tasklets over when there are too many for the DPC: the
//! ksoftirqd of this world (H-15, D-25).
//!
//! Attach makes one for each active CPU, tied to it. It has the priority that a system thread is
//! made with, a normal one: like a ksoftirqd, which has nice 0, it competes with the other threads
//! of the CPU instead of keeping them out. It runs each tasklet at DISPATCH_LEVEL and lowers the
//! level between two, where interrupts, DPCs and other threads come in.
//!
//! # Invariants
//!
//! - **O1** While the keeper is `Serving` the tasklets on the CPU's lists are the thread's: it looks
//!   at the lists again before it stops serving, under their lock, and the DPC leaves them alone.
//! - **O2** The DPC hands over only to a thread that has been started and has not decided to end.
//!   One that is awake looks at the keeper before it sleeps or ends; one that sleeps is woken.
//! - **O3** The deferred calls stay the DPC's, also while the thread serves: they include the wakes
//!   that end grace periods (G1), and may not wait for a thread.
//! - **O4** [`Runtime::end_keepers`] returns when every thread has ended. From then on the DPCs
//!   serve alone.

use core::ffi::c_void;
use core::pin::pin;

use intrusive_collections::UnsafeRef;

use super::backend::{Backend, Status};
use super::locked::Raised;
use super::round::Turn;
use super::runtime::{PerCpu, Runtime};
use super::wait::{Deferred, Waiter, Waiters};
use crate::sync::Ordering::{Acquire, Release};

/// What the thread of a CPU does.
enum Keeping<B: Backend> {
    /// There is none.
    Absent,
    /// It looks again before it sleeps.
    Awake,
    /// It waits to be woken.
    Asleep(UnsafeRef<Waiter<B>>),
    /// The tasklets are its own (O1).
    Serving,
}

/// The thread of a CPU, under the lock of the CPU's lists.
pub(crate) struct Keeper<B: Backend> {
    keeping: Keeping<B>,
    thread: Option<B::Thread>,
    /// It is to end once nothing is left to serve.
    ending: bool,
}

/// What the thread does next.
enum Rest {
    Serve,
    Sleep,
    End,
}

impl<B: Backend> Keeper<B> {
    pub(crate) const fn new() -> Self {
        Self {
            keeping: Keeping::Absent,
            thread: None,
            ending: false,
        }
    }

    /// Whether the tasklets are the thread's.
    pub(crate) fn serves(&self) -> bool {
        matches!(self.keeping, Keeping::Serving)
    }

    /// Hands the tasklets to the thread; `false` if there is none (O2).
    pub(crate) fn hand_over(&mut self, woken: &mut Waiters<B>) -> bool {
        if matches!(self.keeping, Keeping::Absent) {
            return false;
        }
        self.rouse(woken);
        self.keeping = Keeping::Serving;
        true
    }

    /// Wakes the thread if it sleeps.
    fn rouse(&mut self, woken: &mut Waiters<B>) {
        match core::mem::replace(&mut self.keeping, Keeping::Awake) {
            Keeping::Asleep(waiter) => woken.push_back(waiter),
            before @ (Keeping::Absent | Keeping::Awake | Keeping::Serving) => self.keeping = before,
        }
    }

    /// Decides what the thread does when it has nothing to serve; asleep, it waits with `waiter`.
    fn rest(&mut self, waiter: UnsafeRef<Waiter<B>>) -> Rest {
        if self.serves() {
            Rest::Serve
        } else if self.ending {
            self.keeping = Keeping::Absent;
            Rest::End
        } else {
            self.keeping = Keeping::Asleep(waiter);
            Rest::Sleep
        }
    }
}

impl<B: Backend> Runtime<B> {
    /// Makes the thread of each active CPU. On failure some of them are there; `end_keepers` ends
    /// them. The runtime does not move any more. IRQL: = PASSIVE.
    pub(crate) fn start_keepers(&self) -> Result<(), Status> {
        let active = B::active_cpus() as usize;
        for per_cpu in self.all_cpus().iter().take(active) {
            // ORDERING: published by the start of the thread.
            per_cpu
                .runtime
                .store(core::ptr::from_ref(self).cast_mut(), Release);
            self.with_keeper(per_cpu, |keeper| keeper.keeping = Keeping::Awake);
            let context = core::ptr::from_ref(per_cpu).cast_mut().cast();
            // SAFETY: `end_keepers` waits for it, and the runtime and its array stay until then.
            let started = unsafe { B::thread_start(overflow_thread::<B>, context) };
            self.with_keeper(per_cpu, |keeper| match &started {
                Ok(thread) => keeper.thread = Some(*thread),
                Err(_) => keeper.keeping = Keeping::Absent,
            });
            started?;
        }
        Ok(())
    }

    /// Ends the threads, each when it has nothing left to serve, and waits for it. IRQL: = PASSIVE.
    pub(crate) fn end_keepers(&self) {
        for per_cpu in self.all_cpus() {
            let raised = Raised::new();
            let mut deferred = Deferred::new();
            let thread = {
                let mut lists = per_cpu.lists.lock(&raised);
                lists.keeper.ending = true;
                lists.keeper.rouse(&mut deferred.woken);
                lists.keeper.thread.take()
            };
            deferred.deliver(self, raised);
            if let Some(thread) = thread {
                // SAFETY: `start_keepers` put it there, and it is taken once; no thread of ours
                // detaches.
                unsafe { B::thread_join(thread) };
            }
        }
    }

    fn with_keeper<R>(&self, per_cpu: &PerCpu<B>, f: impl FnOnce(&mut Keeper<B>) -> R) -> R {
        let raised = Raised::<B>::new();
        f(&mut per_cpu.lists.lock(&raised).keeper)
    }

    /// The life of the thread of a CPU. IRQL: = PASSIVE.
    fn keep(&self, per_cpu: &PerCpu<B>) {
        let before = B::pin(per_cpu.index);
        loop {
            while self.serve_one(per_cpu) {}
            let waiter = pin!(Waiter::<B>::new(0));
            let waiter = waiter.into_ref();
            waiter.prepare();
            match self.with_keeper(per_cpu, |keeper| keeper.rest(waiter.handle())) {
                Rest::Serve => {}
                Rest::Sleep => waiter.wait(),
                Rest::End => break,
            }
        }
        B::unpin(before);
    }

    /// Runs the item whose turn it is; `false` if the thread has nothing to serve.
    fn serve_one(&self, per_cpu: &PerCpu<B>) -> bool {
        // P3: at DISPATCH_LEVEL on the CPU that the thread is tied to: neither its DPC nor another
        // drain runs there before the level is lowered.
        let level = B::raise_to_dispatch();
        let turn = next_to_serve(per_cpu);
        let served = turn.is_some();
        if let Some(sub) = turn.and_then(|turn| self.run(turn, per_cpu.index)) {
            per_cpu.lists.lock(&Raised::<B>::new()).put_back(sub);
        }
        B::lower(level);
        served
    }
}

/// The item whose turn it is; if there is none the thread stops serving (O1).
fn next_to_serve<B: Backend>(per_cpu: &PerCpu<B>) -> Option<Turn<B>> {
    let raised = Raised::<B>::new();
    let mut lists = per_cpu.lists.lock(&raised);
    if !lists.keeper.serves() {
        return None;
    }
    let turn = lists.pop();
    if turn.is_none() {
        lists.keeper.keeping = Keeping::Awake;
    }
    turn
}

/// What the thread of a CPU calls.
unsafe extern "C" fn overflow_thread<B: Backend>(context: *mut c_void) {
    // SAFETY: `start_keepers` passed a slot of the array, which stays until the thread is joined.
    let per_cpu = unsafe { &*context.cast_const().cast::<PerCpu<B>>() };
    // ORDERING: Acquire pairs with `start_keepers`.
    let runtime = per_cpu.runtime.load(Acquire);
    // SAFETY: `start_keepers` stored it; it stays until the thread is joined.
    unsafe { &*runtime }.keep(per_cpu);
    B::thread_exit();
}
