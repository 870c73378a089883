//! The DPC of a CPU: runs its tasklets, and makes the calls that interrupts could not make.
//!
//! # Invariants
//!
//! - **P1** While `kicked` is set the CPU's DPC is queued or running, and its drain will look at
//!   the lists again before it clears the flag, under the lists' lock. So a push kicks only if it
//!   is not.
//! - **P2** A drain publishes the tasklet that it follows in `running`, from before it sets RUN
//!   until it has touched it for the last time (T4).

use super::backend::Backend;
use super::item::{tasklet_callback, tasklet_func, tasklet_struct};
use super::locked::{Locked, Raised};
use super::runtime::{PerCpu, Runtime};
use super::tasklet::{RUN, SCHED, kind, release_hook};
use super::wait::Deferred;
use crate::sync::Ordering::{Relaxed, SeqCst};

/// Rounds of one drain. After that the DPC queues itself again, so that other DPCs of the CPU get
/// their turn (D-21).
const ROUNDS: u32 = 10;

/// A FIFO of tasklets through their `next`.
pub(crate) struct Fifo {
    head: *mut tasklet_struct,
    tail: *mut tasklet_struct,
}

// SAFETY: the tasklets on the list are `Sync`, and the list is behind a lock.
unsafe impl Send for Fifo {}

impl Fifo {
    pub(crate) const fn new() -> Self {
        Self {
            head: core::ptr::null_mut(),
            tail: core::ptr::null_mut(),
        }
    }

    fn push(&mut self, tasklet: &tasklet_struct) {
        let this = core::ptr::from_ref(tasklet).cast_mut();
        // ORDERING: the list's lock orders the links.
        tasklet.next.store(core::ptr::null_mut(), Relaxed);
        if self.tail.is_null() {
            self.head = this;
        } else {
            // SAFETY: T2: a linked tasklet has SCHED set, so its driver keeps it in place.
            unsafe { &*self.tail }.next.store(this, Relaxed);
        }
        self.tail = this;
    }

    fn pop(&mut self) -> Option<*mut tasklet_struct> {
        if self.head.is_null() {
            return None;
        }
        let first = self.head;
        // SAFETY: as in `push`.
        self.head = unsafe { &*first }.next.load(Relaxed);
        if self.head.is_null() {
            self.tail = core::ptr::null_mut();
        }
        Some(first)
    }

    fn is_empty(&self) -> bool {
        self.head.is_null()
    }
}

/// What a CPU has to do, under its lock.
pub(crate) struct CpuLists<B: Backend> {
    hi: Fifo,
    normal: Fifo,
    deferred: Deferred<B>,
    /// P1.
    kicked: bool,
}

impl<B: Backend> CpuLists<B> {
    pub(crate) const fn new() -> Self {
        Self {
            hi: Fifo::new(),
            normal: Fifo::new(),
            deferred: Deferred::new(),
            kicked: false,
        }
    }
}

// SAFETY: everything in it is reached under the lock only, and names memory that any CPU may use.
unsafe impl<B: Backend> Send for CpuLists<B> {}

/// What a run leaves behind.
struct Ran {
    /// The hook of a typed tasklet.
    release: Option<tasklet_callback>,
    /// Somebody had SCHED when the run ended.
    scheduled: bool,
}

/// The work of one round.
struct Round<B: Backend> {
    hi: Fifo,
    normal: Fifo,
    deferred: Deferred<B>,
}

impl<B: Backend> Runtime<B> {
    /// Puts a tasklet, whose SCHED is the caller's, on a list of `cpu`.
    pub(crate) fn link_tasklet(
        &self,
        tasklet: &tasklet_struct,
        cpu: u32,
        hi: bool,
        raised: &Raised<B>,
    ) {
        self.push(cpu, raised, |lists| {
            if hi {
                lists.hi.push(tasklet)
            } else {
                lists.normal.push(tasklet)
            }
        });
    }

    /// Leaves calls to this CPU's DPC: the caller came from above DISPATCH.
    pub(crate) fn defer_to_dpc(&self, deferred: Deferred<B>, raised: &Raised<B>) {
        self.defer_to(B::cpu(), deferred, raised);
    }

    /// Leaves calls to the DPC of `cpu`.
    pub(crate) fn defer_to(&self, cpu: u32, deferred: Deferred<B>, raised: &Raised<B>) {
        self.push(self.slot_of(cpu), raised, |lists| {
            lists.deferred.append(deferred)
        });
    }

    fn push(&self, cpu: u32, raised: &Raised<B>, add: impl FnOnce(&mut CpuLists<B>)) {
        let kick = {
            let mut lists = self.per_cpu(cpu).lists.lock(raised);
            add(&mut lists);
            !core::mem::replace(&mut lists.kicked, true)
        };
        if kick {
            // Still raised: the item is linked and its DPC queued before anybody on this CPU can
            // look.
            self.backend.dpc_enqueue(cpu);
        }
    }

    /// The callback of the DPC of `cpu`. IRQL: = DISPATCH, on that CPU.
    pub(crate) fn dpc_callback(&self, cpu: u32) {
        let per_cpu = self.per_cpu(cpu);
        // ORDERING: a counter; nothing is read on the strength of it.
        per_cpu.dpc_callbacks.fetch_add(1, Relaxed);
        for _ in 0..ROUNDS {
            let Some(mut round) = take_round::<B>(&per_cpu.lists) else {
                return;
            };
            round.deferred.perform(self);
            while let Some(tasklet) = round.hi.pop() {
                self.run_tasklet(tasklet, cpu, per_cpu);
            }
            while let Some(tasklet) = round.normal.pop() {
                self.run_tasklet(tasklet, cpu, per_cpu);
            }
        }
        // P1: `kicked` stays set, for this.
        self.backend.dpc_enqueue(cpu);
    }

    /// Runs a tasklet that has been taken off the list of `cpu`, or parks it.
    fn run_tasklet(&self, tasklet: *mut tasklet_struct, cpu: u32, per_cpu: &PerCpu<B>) {
        let address = tasklet.addr();
        // ORDERING: SeqCst: P2, before RUN.
        per_cpu.running.store(address, SeqCst);
        // SAFETY: T2 and T4: SCHED is ours, and `running` says that we follow the address.
        let item = unsafe { &*tasklet };
        let ran = self.try_run(item, cpu);
        let free = ran.as_ref().is_some_and(|ran| !ran.scheduled);
        if let Some(release) = ran.and_then(|ran| ran.release) {
            // Before a killer can return: after `tasklet_kill` the engine holds no reference.
            // SAFETY: the typed face stored this function, and holds the item until it is called.
            // It may free the tasklet: from here on the address is a number.
            unsafe { release(tasklet) };
        }
        // ORDERING: SeqCst: the last touch is over; a waiter that counts itself after this sees it.
        per_cpu.running.store(0, SeqCst);
        let raised = Raised::new();
        let mut deferred = Deferred::new();
        self.tasklet_waits
            .wake(address, free, &raised, &mut deferred);
        deferred.deliver(self, raised);
    }

    /// Runs the tasklet; `None` if it is parked instead.
    fn try_run(&self, tasklet: &tasklet_struct, cpu: u32) -> Option<Ran> {
        // ORDERING: SeqCst: T1 and T3.
        if tasklet.state.fetch_or(RUN, SeqCst) & RUN != 0 {
            self.park(tasklet, cpu, &Raised::new());
            return None;
        }
        if tasklet.count.load(SeqCst) != 0 {
            tasklet.state.fetch_and(!RUN, SeqCst);
            self.park(tasklet, cpu, &Raised::new());
            return None;
        }
        {
            let raised = Raised::new();
            self.count_run(&raised);
            if !self
                .tasklet_waits
                .hand_to_killer(core::ptr::from_ref(tasklet).addr(), &raised)
            {
                // ORDERING: SeqCst: a full barrier between this and the function (linux.md 1.5).
                tasklet.state.fetch_and(!SCHED, SeqCst);
            }
        }
        let release = call(tasklet);
        // ORDERING: SeqCst: Release for the waiters, and T3.
        let scheduled = tasklet.state.fetch_and(!RUN, SeqCst) & SCHED != 0;
        if scheduled {
            self.unpark_if_runnable(tasklet, &Raised::new());
        }
        Some(Ran { release, scheduled })
    }
}

/// Everything that is on the lists; if nothing is, the drain is over (P1).
fn take_round<B: Backend>(lists: &Locked<CpuLists<B>>) -> Option<Round<B>> {
    let raised = Raised::<B>::new();
    let mut lists = lists.lock(&raised);
    let round = Round {
        hi: core::mem::replace(&mut lists.hi, Fifo::new()),
        normal: core::mem::replace(&mut lists.normal, Fifo::new()),
        deferred: core::mem::replace(&mut lists.deferred, Deferred::new()),
    };
    let empty = round.hi.is_empty() && round.normal.is_empty() && round.deferred.is_empty();
    lists.kicked = !empty;
    (!empty).then_some(round)
}

/// Calls the function; returns the release hook of a typed tasklet.
fn call(tasklet: &tasklet_struct) -> Option<tasklet_callback> {
    let this = core::ptr::from_ref(tasklet).cast_mut();
    // ORDERING: written at init, published by the schedule that made this run.
    let (func, data) = (tasklet.func.load(Relaxed), tasklet.data.load(Relaxed));
    match tasklet.link.load(Relaxed) & kind::MASK {
        kind::FUNC => {
            // SAFETY: `tasklet_init` stored a `tasklet_func`.
            let function = unsafe { core::mem::transmute::<*mut (), tasklet_func>(func) };
            // SAFETY: the driver's own function, with the data that it gave.
            unsafe { function(data) };
            None
        }
        _ => {
            // SAFETY: init stored a `tasklet_callback` there for the other kinds.
            let callback = unsafe { core::mem::transmute::<*mut (), tasklet_callback>(func) };
            // SAFETY: the driver's own callback or the typed face's, with its own tasklet.
            unsafe { callback(this) };
            release_hook(tasklet)
        }
    }
}
