//! Tasklets: schedule, disable, enable, kill.
//!
//! `state` and `count` are Linux's, bit for bit, because drivers look at them. What Linux does by
//! putting a tasklet back on the list again and again, while it runs elsewhere or is disabled, is
//! done here by *parking* it: its drain takes it off the list and marks it, and whoever makes it
//! runnable puts it back on the list of the CPU that scheduled it (rows T04, T07; H-18, D-21).
//!
//! # Invariants
//!
//! - **T1** RUN has one owner: the drain that runs the tasklet, or who has locked it by
//!   `tasklet_trylock`. The drain calls the function only while RUN is its own, so a tasklet never
//!   runs on two CPUs at once (H-14), nor while it is locked.
//! - **T2** SCHED has one owner: the list link, or the parking mark, or the drain that has taken it
//!   off the list, or a killer. It is cleared as the run begins, so that a schedule during the run
//!   counts.
//! - **T3** A parked tasklet has SCHED set and is on no list. The mark is taken away once, by
//!   whoever then links it, or, while nothing is attached, ends the schedule; SCHED is theirs from
//!   there. Every writer that may make it runnable (RUN cleared by the drain or by an unlock, count
//!   back to zero, the mark set) looks at the other two afterwards; all of these are SeqCst, so one
//!   of them
//!   sees it.
//! - **T4** The engine follows a tasklet's address only while SCHED or RUN is its own, or while a
//!   CPU publishes the address in `running` or `touching`. `tasklet_kill` returns only when all of
//!   these are over, so memory may be freed after it.
//!
//! The `link` word: bits 0..8 the kind of callback, bit 8 parked, bit 9 high priority, bits 16..32
//! the CPU whose list it goes to.

use super::backend::{Backend, Irql};
use super::diagnostic::{Diagnostic, Report};
use super::item::{tasklet_callback, tasklet_struct};
use super::locked::Raised;
use super::runtime::Runtime;
use super::wait::Deferred;
use crate::sync::Ordering::{Acquire, Relaxed, SeqCst};
use crate::sync::relax;

/// Linux's TASKLET_STATE_SCHED: scheduled, or claimed by a killer.
pub(crate) const SCHED: u64 = 1;
/// Linux's TASKLET_STATE_RUN: the function is running.
pub(crate) const RUN: u64 = 2;

/// Kinds of callback in the low byte of `link`; 0 and 1 are Linux's `use_callback`.
pub(crate) mod kind {
    /// `func(data)`.
    pub(crate) const FUNC: u32 = 0;
    /// `func(tasklet)`.
    pub(crate) const CALLBACK: u32 = 1;
    /// `func(tasklet)`, and `data(tasklet)` once the engine is done with it.
    pub(crate) const TYPED: u32 = 2;
    pub(crate) const MASK: u32 = 0xFF;
}

pub(crate) const PARKED: u32 = 1 << 8;
const HI: u32 = 1 << 9;
const CPU_SHIFT: u32 = 16;

/// The CPU whose list the tasklet goes to, and whether it is the hi list.
pub(crate) fn destination(link: u32) -> (u32, bool) {
    (link >> CPU_SHIFT, link & HI != 0)
}

/// What [`destination`] reads.
fn placed(cpu: u32, hi: bool) -> u32 {
    cpu << CPU_SHIFT | if hi { HI } else { 0 }
}

/// Marks a tasklet as parked, for the list that it goes to when it is linked again.
fn mark_parked(tasklet: &tasklet_struct, cpu: u32, hi: bool) {
    let value = placed(cpu, hi) | PARKED;
    // ORDERING: SeqCst: T3.
    let _ = tasklet
        .link
        .fetch_update(SeqCst, SeqCst, |link| Some(link & kind::MASK | value));
}

impl<B: Backend> Runtime<B> {
    /// Schedules `tasklet` on this CPU; `false` if it is scheduled already. IRQL: any.
    #[inline(always)]
    pub(crate) fn tasklet_schedule(
        &self,
        tasklet: &tasklet_struct,
        hi: bool,
        raised: Raised<B>,
    ) -> bool {
        // ORDERING: SeqCst: a full barrier whether it wins or is refused (linux.md 1.5): the run
        // that follows sees the caller's stores.
        if tasklet.state.fetch_or(SCHED, SeqCst) & SCHED != 0 {
            return false;
        }
        // T2: SCHED is ours from here to the link, and this CPU is at HIGH_LEVEL meanwhile.
        let per_cpu = self.per_cpu(B::cpu());
        let kind = tasklet.link.load(Relaxed) & kind::MASK;
        // ORDERING: published by the lists' lock. Nobody else marks a tasklet whose SCHED is ours (T3); at
        // most an enable takes away a mark that is not there.
        tasklet
            .link
            .store(kind | placed(per_cpu.index, hi), Relaxed);
        per_cpu.count_accepted();
        self.link_on(tasklet, per_cpu, hi, &raised);
        true
    }

    /// Parks a tasklet that was taken off the list of `cpu` and cannot run now.
    pub(crate) fn park(&self, tasklet: &tasklet_struct, cpu: u32, raised: &Raised<B>) {
        // ORDERING: a hint; the owner of SCHED wrote it, and that is us.
        let (_, hi) = destination(tasklet.link.load(Relaxed));
        // ORDERING: on no list, so the link is free to say who has counted it; the mark publishes it.
        tasklet.next.store(self.counted_by(), Relaxed);
        mark_parked(tasklet, cpu, hi);
        // T3: look again after the mark.
        self.unpark_if_runnable(tasklet, raised);
    }

    /// Links a parked tasklet again if nothing keeps it from running (T3).
    pub(crate) fn unpark_if_runnable(&self, tasklet: &tasklet_struct, raised: &Raised<B>) {
        // ORDERING: SeqCst throughout: T3.
        if tasklet.state.load(SeqCst) & RUN != 0 || tasklet.count.load(SeqCst) != 0 {
            return;
        }
        let link = tasklet.link.fetch_and(!PARKED, SeqCst);
        if link & PARKED != 0 {
            // ORDERING: the mark published it. A detach leaves what is disabled (BH11), and its counts
            // went with it: this runtime accepts the tasklet anew (G4).
            if tasklet.next.load(Relaxed) != self.counted_by() {
                self.count_accepted(raised);
            }
            let (cpu, hi) = destination(link);
            self.link_tasklet(tasklet, cpu, hi, raised);
        }
    }

    /// What a parked tasklet says in `next` if this runtime has counted it. No address: it is not
    /// followed.
    fn counted_by(&self) -> *mut tasklet_struct {
        core::ptr::without_provenance_mut(self.generation as usize)
    }

    /// Disables once more; does not wait. IRQL: any.
    pub(crate) fn tasklet_disable_nosync(&self, tasklet: &tasklet_struct, raised: &Raised<B>) {
        self.change_count(tasklet, 1, raised);
    }

    /// Adds to the count of `tasklet`. Whoever brings it to zero makes the tasklet runnable: an
    /// enable, or a disable that follows one enable too many.
    fn change_count(&self, tasklet: &tasklet_struct, change: i32, raised: &Raised<B>) {
        self.touch(tasklet, raised, || {
            // ORDERING: SeqCst: T3; and a run looks at the count after it has set RUN, as
            // `tasklet_disable` looks at RUN after this.
            let before = tasklet.count.fetch_add(change, SeqCst);
            if change < 0 && before <= 0 {
                raised.say(report(
                    Diagnostic::EnableUnderflow,
                    tasklet,
                    "tasklet_enable",
                ));
            }
            if before.wrapping_add(change) == 0 {
                self.unpark_if_runnable(tasklet, raised);
            }
        });
    }

    /// Publishes that this CPU follows the tasklet's address during `f` (T4).
    pub(crate) fn touch(&self, tasklet: &tasklet_struct, _raised: &Raised<B>, f: impl FnOnce()) {
        let touching = &self.per_cpu(B::cpu()).touching;
        // ORDERING: SeqCst: a killer that sees what `f` has done to the tasklet also sees this.
        touching.store(core::ptr::from_ref(tasklet).addr(), SeqCst);
        f();
        touching.store(0, SeqCst);
    }

    /// Disables once more and waits until it does not run. IRQL: <= APC, else it does not wait.
    pub(crate) fn tasklet_disable(&self, tasklet: &tasklet_struct) {
        self.tasklet_disable_nosync(tasklet, &Raised::new());
        if self.tasklet_may_wait(tasklet, "tasklet_disable") {
            self.wait_until_not_running(tasklet);
        }
    }

    /// Disables once more and spins until it does not run. IRQL: any.
    pub(crate) fn tasklet_disable_in_atomic(&self, tasklet: &tasklet_struct) {
        self.tasklet_disable_nosync(tasklet, &Raised::new());
        self.tasklet_spin_wait(tasklet, "tasklet_disable_in_atomic");
    }

    /// Takes one disable back. IRQL: any.
    pub(crate) fn tasklet_enable(&self, tasklet: &tasklet_struct, raised: Raised<B>) {
        self.change_count(tasklet, -1, &raised);
    }

    /// Waits until `tasklet` has run if it is scheduled and does not run any more; it cannot be
    /// scheduled meanwhile. IRQL: <= APC, else it does nothing.
    pub(crate) fn tasklet_kill(&self, tasklet: &tasklet_struct) {
        if !self.tasklet_may_wait(tasklet, "tasklet_kill") {
            return;
        }
        self.claim_sched(tasklet);
        self.wait_until_not_running(tasklet);
        let address = core::ptr::from_ref(tasklet).addr();
        // Bounded: another CPU is inside `touch`, at HIGH_LEVEL.
        while self.is_touched(address) {
            relax();
        }
        let raised = Raised::new();
        let mut deferred = Deferred::new();
        // ORDERING: SeqCst: the next killer, or schedule, comes after this one in full.
        if tasklet.state.fetch_and(!SCHED, SeqCst) & SCHED == 0 {
            raised.say(report(Diagnostic::StateLost, tasklet, "tasklet_kill"));
        }
        self.tasklet_waits
            .wake(address, true, &raised, &mut deferred);
        deferred.deliver(self, raised);
    }

    fn tasklet_may_wait(&self, tasklet: &tasklet_struct, call: &'static str) -> bool {
        let low = B::irql() <= Irql::APC;
        if !low {
            report(Diagnostic::WaitAtDispatch, tasklet, call).print::<B>();
        }
        low
    }
}

/// Ends the schedule of a tasklet that a detach has left parked (BH11), for a caller that has found
/// nothing attached: nobody will run it. A typed one's owner is released.
pub(crate) fn forget_parked(tasklet: &tasklet_struct) {
    // ORDERING: SeqCst: T3. The mark is all that is trusted: an attach may be under way, and what is
    // scheduled from then on is on a list.
    if tasklet.link.fetch_and(!PARKED, SeqCst) & PARKED == 0 {
        return;
    }
    let release = release_hook(tasklet);
    // SCHED is ours. ORDERING: SeqCst: whoever schedules next comes after this in full.
    tasklet.state.fetch_and(!SCHED, SeqCst);
    if let Some(release) = release {
        // SAFETY: the schedule that has just ended gave up one owner, which nothing else releases. The
        // caller of the typed face has another one: it holds a reference to the tasklet.
        unsafe { release(core::ptr::from_ref(tasklet).cast_mut()) };
    }
}

/// The function that releases the owner of a typed tasklet.
pub(crate) fn release_hook(tasklet: &tasklet_struct) -> Option<tasklet_callback> {
    // ORDERING: written at init, or before the schedule; published by the schedule.
    if tasklet.link.load(Relaxed) & kind::MASK != kind::TYPED {
        return None;
    }
    let data = core::ptr::with_exposed_provenance_mut::<()>(tasklet.data.load(Relaxed));
    // SAFETY: the typed face stored a `tasklet_callback` there before it scheduled the tasklet.
    Some(unsafe { core::mem::transmute::<*mut (), tasklet_callback>(data) })
}

/// A diagnostic about `tasklet`.
#[cold]
pub(crate) fn report(
    diagnostic: Diagnostic,
    tasklet: &tasklet_struct,
    call: &'static str,
) -> Report {
    // ORDERING: a hint for a message.
    let func = tasklet.func.load(Relaxed).addr();
    let item = core::ptr::from_ref(tasklet).addr();
    Report {
        diagnostic,
        call,
        item,
        func,
    }
}

/// The refusal of a schedule that needs no raise: SCHED is set, and stays. `true` if it applied.
#[inline]
pub(crate) fn refuse(tasklet: &tasklet_struct) -> bool {
    let state = tasklet.state.load(Acquire);
    // ORDERING: a refused schedule still writes: SeqCst, as in `Runtime::tasklet_schedule`.
    state & SCHED != 0
        && tasklet
            .state
            .compare_exchange(state, state, SeqCst, Relaxed)
            .is_ok()
}
