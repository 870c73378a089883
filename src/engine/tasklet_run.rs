//! One run of a tasklet, from the list to its end.

use super::backend::Backend;
use super::diagnostic::Diagnostic;
use super::item::{tasklet_callback, tasklet_func, tasklet_struct};
use super::locked::Raised;
use super::runtime::Runtime;
use super::softirq::NO_ITEM;
use super::tasklet::{RUN, SCHED, kind, release_hook, report};
use super::wait::Deferred;
use crate::sync::Ordering::{Relaxed, SeqCst};

impl<B: Backend> Runtime<B> {
    /// Runs a tasklet that has been taken off the list of `cpu`, or parks it. IRQL: = DISPATCH, on
    /// that CPU (P3).
    pub(super) fn run_tasklet(&self, tasklet: *mut tasklet_struct, cpu: u32) {
        // SAFETY: T2 and T4: SCHED is ours until `begin_tasklet`, which publishes that we follow the
        // address; it stays so until `end_tasklet`.
        let item = unsafe { &*tasklet };
        if !self.begin_tasklet(item, cpu) {
            return;
        }
        let release = call(item);
        // ORDERING: a hint for a message.
        let func = item.func.load(Relaxed).addr();
        self.restore_level(self.per_cpu(cpu), tasklet.addr(), func);
        let next = if release.is_some() { NO_ITEM } else { 0 };
        let (raised, scheduled) = self.end_of_function(item, cpu, next);
        let Some(release) = release else {
            self.end_tasklet(tasklet.addr(), cpu, scheduled, raised);
            return;
        };
        drop(raised);
        // Before a killer can return: after `tasklet_kill` the engine holds no reference.
        // SAFETY: the typed face stored this function, and holds the item until it is called. It may
        // free the tasklet: from here on the address is a number.
        unsafe { release(tasklet) };
        self.restore_level(self.per_cpu(cpu), tasklet.addr(), func);
        self.end_tasklet(tasklet.addr(), cpu, scheduled, Raised::new());
    }

    /// Takes RUN and gives SCHED up, so that the function can be called; `false` if the tasklet is
    /// parked instead. No interrupt of this CPU sees it half begun.
    fn begin_tasklet(&self, tasklet: &tasklet_struct, cpu: u32) -> bool {
        let address = core::ptr::from_ref(tasklet).addr();
        let per_cpu = self.per_cpu(cpu);
        let raised = Raised::new();
        // ORDERING: SeqCst: P2, before RUN.
        per_cpu.running.store(address, SeqCst);
        if !take_run(tasklet) {
            self.park(tasklet, cpu, &raised);
            self.end_tasklet(address, cpu, true, raised);
            return false;
        }
        // ORDERING: SeqCst: a full barrier between this and the function (linux.md 1.5).
        let owned = self.tasklet_waits.hand_to_killer(address, &raised)
            || tasklet.state.fetch_and(!SCHED, SeqCst) & SCHED != 0;
        if !owned {
            // Somebody has initialised it anew since it was scheduled. Linux does not call it either.
            raised.say(report(Diagnostic::StateLost, tasklet, "tasklet_setup"));
            self.count_cancelled(&raised);
            let scheduled = self.give_run_back(tasklet, &raised);
            self.end_tasklet(address, cpu, scheduled, raised);
            return false;
        }
        self.count_run(&raised);
        per_cpu.serving.store(address, SeqCst);
        true
    }

    /// The function has returned: gives RUN back. `next` is what this CPU serves after it. Returns
    /// whether somebody has SCHED.
    fn end_of_function(
        &self,
        tasklet: &tasklet_struct,
        cpu: u32,
        next: usize,
    ) -> (Raised<B>, bool) {
        let raised = Raised::new();
        // ORDERING: SeqCst: before RUN, so that whoever sees RUN with this address on its CPU is on
        // top of the run.
        self.per_cpu(cpu).serving.store(next, SeqCst);
        let scheduled = self.give_run_back(tasklet, &raised);
        (raised, scheduled)
    }

    /// Clears RUN; what was scheduled during the run goes on its list. Returns whether somebody has
    /// SCHED.
    fn give_run_back(&self, tasklet: &tasklet_struct, raised: &Raised<B>) -> bool {
        // ORDERING: SeqCst: Release for the waiters, and T3.
        let scheduled = tasklet.state.fetch_and(!RUN, SeqCst) & SCHED != 0;
        if scheduled {
            self.unpark_if_runnable(tasklet, raised);
        }
        scheduled
    }

    /// The drain of `cpu` does not follow the tasklet any more, which may be gone after this.
    fn end_tasklet(&self, address: usize, cpu: u32, scheduled: bool, raised: Raised<B>) {
        // ORDERING: SeqCst: the last touch is over; a waiter that counts itself after this sees it.
        let per_cpu = self.per_cpu(cpu);
        per_cpu.running.store(0, SeqCst);
        per_cpu.serving.store(0, SeqCst);
        let mut deferred = Deferred::new();
        self.tasklet_waits
            .wake(address, !scheduled, &raised, &mut deferred);
        deferred.deliver(self, raised);
    }
}

/// Sets RUN, unless it is set or the tasklet is disabled (T1).
fn take_run(tasklet: &tasklet_struct) -> bool {
    // ORDERING: SeqCst: T1 and T3.
    if tasklet.state.fetch_or(RUN, SeqCst) & RUN != 0 {
        return false;
    }
    if tasklet.count.load(SeqCst) != 0 {
        tasklet.state.fetch_and(!RUN, SeqCst);
        return false;
    }
    true
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
