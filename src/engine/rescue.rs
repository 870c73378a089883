//! Rescuers: threads of ours that serve a queue when NT's pool brings it no worker.
//!
//! NT adds a worker thread to its pool only after about a second in which no work item ended (W-30),
//! and never beyond a bound. A work that waits for another work, which Linux allows, can use the pool
//! up (H-32). So while a queue is kicked it is *looked after*, from the DPC of the dispatch-level
//! timer: if two looks see the same kick, its worker has not come for at least [`INTERVAL_100NS`],
//! and a rescuer is called. The runtime has one rescuer; a queue with [`flag::MEM_RECLAIM`] has one
//! of its own, so that it gets on whatever the other queues do.
//!
//! # Invariants
//!
//! - **S1** While a queue is kicked a look is due, or somebody is about to make one due, or its rescuer has
//!   been called: who kicks asks for a look after the kick, and a look that finds such a queue asks for the
//!   next one or calls the rescuer. That the queue has no startable work just now ends nothing: the next one
//!   makes no kick.
//! - **S2** A queue whose `rescue` is [`Rescue::Called`] is on one rescuer's list, or the rescuer has taken
//!   it from there; it counts as busy, and is not freed before the rescuer has entered it. It is taken off
//!   the list when its worker comes after all, and when it becomes empty: the rescuer may be busy for long,
//!   with a work that waits for this queue.
//! - **S3** Once a rescuer has been called for a kick, the queue is *starved* until that kick's worker
//!   comes: whoever leaves a startable work behind calls the rescuer at once.
//! - **S4** A look that calls a rescuer, or finds one called, makes another due for when the queue has
//!   waited for it for [`LOCKUP_100NS`].

use core::ffi::c_void;
use core::pin::pin;

use intrusive_collections::{LinkedList, LinkedListLink, UnsafeRef, intrusive_adapter};

use super::backend::{Backend, Irql, Status, TimerLevel};
use super::claim::{Entrance, Worker};
use super::diagnostic::{Diagnostic, report_queue};
use super::locked::{Locked, Raised};
use super::placement::HIGH;
use super::queue::{Queue, QueueState, flag};
use super::runtime::Runtime;
use super::timers::NEVER;
use super::wait::{Deferred, Waiter, Waiters};
use crate::sync::Ordering::{Relaxed, SeqCst};
use crate::sync::UnsafeCell;

/// Time between two looks at a kicked queue. Linux calls a rescuer after as long.
const INTERVAL_100NS: u64 = 100_000;

/// How long a queue whose rescuer is called may wait for it before that is said. Linux's watchdog of
/// workqueues says it after as long.
const LOCKUP_100NS: u64 = 300_000_000;

intrusive_adapter!(
    /// Links a queue on a rescuer's list.
    pub(crate) RescueAdapter<B> = UnsafeRef<Queue<B>>: Queue<B> { rescue_link => LinkedListLink } where B: Backend
);

/// How a kicked queue fares, under its lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rescue {
    /// No look has seen this kick.
    NotSeen,
    /// One look has seen this kick.
    Seen,
    /// The rescuer is called, and has not come (S2).
    Called,
    /// It has come, or is not needed any more; the kick's own worker has not come (S3).
    Starved,
}

/// A rescuer.
pub(crate) struct Rescuer<B: Backend> {
    state: Locked<RescuerState<B>>,
    runtime: UnsafeCell<*const Runtime<B>>,
    thread: UnsafeCell<Option<B::Thread>>,
}

/// What the rescuer's lock guards. It is the innermost: a queue's lock may be held.
struct RescuerState<B: Backend> {
    wanted: LinkedList<RescueAdapter<B>>,
    /// The rescuer, if it has nothing to do.
    waiting: Waiters<B>,
    ends: bool,
}

// SAFETY: the cells are written before the rescuer's thread is started and after it has ended, by
// whoever owns the rescuer; in between only read.
unsafe impl<B: Backend> Sync for Rescuer<B> {}
// SAFETY: the links name queues that any thread may use.
unsafe impl<B: Backend> Send for RescuerState<B> {}

impl<B: Backend> Rescuer<B> {
    pub(crate) fn new() -> Self {
        Self {
            state: Locked::new(RescuerState {
                wanted: LinkedList::new(RescueAdapter::NEW),
                waiting: Waiters::default(),
                ends: false,
            }),
            runtime: UnsafeCell::new(core::ptr::null()),
            thread: UnsafeCell::new(None),
        }
    }

    /// Starts the thread. IRQL: = PASSIVE.
    ///
    /// # Safety
    ///
    /// The rescuer is in its final place and [`Self::end`] is called before it or the runtime goes.
    pub(crate) unsafe fn start(&self, runtime: &Runtime<B>) -> Result<(), Status> {
        // SAFETY: the thread is not started yet, so nobody reads the cell.
        self.runtime
            .with_mut(|cell| unsafe { *cell = core::ptr::from_ref(runtime) });
        let context = core::ptr::from_ref(self).cast_mut().cast();
        // SAFETY: `entry` takes a rescuer; by the caller's word it stays until `end` has joined.
        let thread = unsafe { B::thread_start(Self::entry, context) }?;
        // SAFETY: only the owner reads this cell.
        self.thread.with_mut(|cell| unsafe { *cell = Some(thread) });
        Ok(())
    }

    /// Ends the thread, if it was started. No queue is on its list any more. IRQL: = PASSIVE.
    pub(crate) fn end(&self, runtime: &Runtime<B>) {
        // SAFETY: only the owner touches this cell, and that is the caller.
        let Some(thread) = self.thread.with_mut(|cell| unsafe { (*cell).take() }) else {
            return;
        };
        let raised = Raised::new();
        let mut deferred = Deferred::new();
        {
            let mut state = self.state.lock(&raised);
            state.ends = true;
            deferred.woken.back_mut().splice_after(state.waiting.take());
        }
        deferred.deliver(runtime, raised);
        // SAFETY: `start` made it, it is joined once, and it is not the caller: a rescuer ends
        // neither its own queue nor the runtime (BH07).
        unsafe { B::thread_join(thread) };
    }

    /// Puts `queue`, whose `rescue` the caller has just made `Called`, on the list (S2).
    pub(super) fn call(&self, queue: &Queue<B>, raised: &Raised<B>, deferred: &mut Deferred<B>) {
        let mut state = self.state.lock(raised);
        // SAFETY: S2: the queue stays until the rescuer has taken it off.
        state
            .wanted
            .push_back(unsafe { UnsafeRef::from_raw(core::ptr::from_ref(queue)) });
        deferred.woken.back_mut().splice_after(state.waiting.take());
    }

    /// Takes `queue`, whose `rescue` is `Called`, off the list; `false` if the rescuer has done so, and comes.
    fn dismiss(&self, queue: &Queue<B>, raised: &Raised<B>) -> bool {
        let mut state = self.state.lock(raised);
        let listed = queue.rescue_link.is_linked();
        if listed {
            // SAFETY: S2: it is linked, and this is the only list that it is ever on.
            unsafe { state.wanted.cursor_mut_from_ptr(queue) }.remove();
        }
        listed
    }

    /// The rescuer's thread.
    unsafe extern "C" fn entry(context: *mut c_void) {
        // SAFETY: `start` gave it; the rescuer stays until this thread has ended.
        let this = unsafe { &*context.cast_const().cast::<Self>() };
        // SAFETY: written before this thread was started; the runtime stays as the rescuer does.
        let runtime = this.runtime.with_mut(|cell| unsafe { &**cell });
        // Memory may depend on it.
        B::set_priority(HIGH);
        while let Some(queue) = this.next() {
            // SAFETY: S2: it is busy until this thread has entered it, and a worker inside keeps it.
            runtime.rescue(unsafe { &*queue });
        }
        B::thread_exit();
    }

    /// Waits for a queue; null at the end.
    fn next(&self) -> Option<*const Queue<B>> {
        loop {
            let waiter = pin!(Waiter::<B>::new(0));
            let waiter = waiter.into_ref();
            waiter.prepare();
            {
                let raised = Raised::<B>::new();
                let mut state = self.state.lock(&raised);
                if let Some(queue) = state.wanted.pop_front() {
                    return Some(UnsafeRef::into_raw(queue));
                }
                if state.ends {
                    return None;
                }
                state.waiting.push_back(waiter.handle());
            }
            waiter.wait();
        }
    }
}

impl<B: Backend> Queue<B> {
    /// Gives the queue its rescuer, before it is shared: one of its own if it is MEM_RECLAIM.
    /// IRQL: = PASSIVE.
    pub(super) fn start_rescuer(&self, runtime: &Runtime<B>) -> Result<(), Status> {
        let own = self.is(flag::MEM_RECLAIM);
        let rescuer = if own {
            &self.own_rescuer
        } else {
            &runtime.rescuer
        };
        // SAFETY: the queue is not shared yet, so nobody reads the cell.
        self.rescuer
            .with_mut(|slot| unsafe { *slot = core::ptr::from_ref(rescuer) });
        if own {
            // SAFETY: the queue is in its place, and `end_queue` ends the rescuer before it goes.
            unsafe { rescuer.start(runtime) }?;
        }
        Ok(())
    }

    /// Ends the rescuer, if it is the queue's own. IRQL: = PASSIVE.
    pub(super) fn end_rescuer(&self, runtime: &Runtime<B>) {
        self.own_rescuer.end(runtime);
    }

    /// The rescuer is not needed any more: if it has been called and has not taken the queue yet, it does not
    /// come (S2).
    pub(super) fn dismiss_rescuer(&self, state: &mut QueueState<B>, raised: &Raised<B>) {
        if state.rescue == Rescue::Called && self.rescuer().dismiss(self, raised) {
            state.rescue = state.without_rescuer();
        }
    }

    /// Who comes if NT's pool brings no worker.
    pub(super) fn rescuer(&self) -> &Rescuer<B> {
        // SAFETY: written before the queue was shared. The queue's own goes with it, and the
        // runtime's goes after all queues.
        self.rescuer.with_mut(|slot| unsafe { &**slot })
    }
}

/// What a look at a queue asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted {
    /// Nothing.
    Nothing,
    /// The next look (S1).
    Look,
    /// The rescuer: the caller owes the call.
    Rescuer,
    /// A look at that time, at the latest: the rescuer is called, and may not come.
    LookAt(u64),
    /// That the rescuer has not come for [`LOCKUP_100NS`] is to be said, which the caller notes.
    Report,
}

impl<B: Backend> QueueState<B> {
    /// How the queue fares once its rescuer has come, or does not come.
    pub(super) fn without_rescuer(&mut self) -> Rescue {
        self.called_since = None;
        self.locked_up = false;
        if self.kicked {
            Rescue::Starved
        } else {
            Rescue::NotSeen
        }
    }

    /// A look at the queue.
    fn look(&mut self, now_100ns: u64) -> Wanted {
        if self.rescue == Rescue::Called {
            return self.watch(now_100ns);
        }
        if !self.kicked {
            return Wanted::Nothing;
        }
        match self.rescue {
            Rescue::NotSeen | Rescue::Seen if !self.may_start() => Wanted::Look,
            Rescue::NotSeen => {
                self.rescue = Rescue::Seen;
                Wanted::Look
            }
            Rescue::Seen => {
                self.rescue = Rescue::Called;
                Wanted::Rescuer
            }
            Rescue::Called | Rescue::Starved => Wanted::Nothing,
        }
    }

    /// A look at a queue whose rescuer is called.
    fn watch(&mut self, now_100ns: u64) -> Wanted {
        let since = *self.called_since.get_or_insert(now_100ns);
        let end = since.saturating_add(LOCKUP_100NS);
        if now_100ns < end {
            Wanted::LookAt(end)
        } else if self.locked_up {
            Wanted::Nothing
        } else {
            Wanted::Report
        }
    }
}

impl<B: Backend> Runtime<B> {
    /// After a kick: makes a look due, if none is. IRQL: = DISPATCH.
    pub(super) fn ask_for_look(&self) {
        // ORDERING: SeqCst: S1: the kick's lock was released before this, and a look begins with a
        // store to this word and takes that lock after it. So either the look sees the kick, or
        // this sees that no look is due.
        if self.look_is_due.load(SeqCst) {
            return;
        }
        let at = B::now_100ns().saturating_add(INTERVAL_100NS);
        self.look_at(at, true, &Raised::new());
        self.program_timer(TimerLevel::Dispatch);
    }

    /// Makes a look due at a time, or earlier; `soon` if a kick may rely on it.
    fn look_at(&self, at: u64, soon: bool, raised: &Raised<B>) {
        let mut timers = self.timers_of(TimerLevel::Dispatch).lock(raised);
        timers.look_at = timers.look_at.min(at);
        if soon {
            // ORDERING: SeqCst: as in `ask_for_look`.
            self.look_is_due.store(true, SeqCst);
        }
    }

    /// Looks at every queue, if it is time. IRQL: = DISPATCH, from the timer, which is armed again
    /// after this.
    pub(super) fn look_after_queues(&self) {
        let raised = Raised::<B>::new();
        let now = B::now_100ns();
        {
            let mut timers = self.timers_of(TimerLevel::Dispatch).lock(&raised);
            if timers.look_at > now {
                return;
            }
            timers.look_at = NEVER;
            // ORDERING: SeqCst: as in `ask_for_look`.
            self.look_is_due.store(false, SeqCst);
        }
        let mut deferred = Deferred::new();
        let (mut soon, mut at, mut locked_up) = (false, NEVER, None);
        {
            let queues = self.queues.lock(&raised);
            for queue in queues.iter() {
                let mut state = queue.state.lock(&raised);
                match state.look(now) {
                    Wanted::Nothing => {}
                    Wanted::Look => soon = true,
                    Wanted::Rescuer => {
                        state.called_since = Some(now);
                        at = at.min(now.saturating_add(LOCKUP_100NS));
                        queue.rescuer().call(queue, &raised, &mut deferred);
                    }
                    Wanted::LookAt(time) => at = at.min(time),
                    Wanted::Report if locked_up.is_none() => {
                        state.locked_up = true;
                        locked_up = Some(core::ptr::from_ref(queue));
                    }
                    // One at a time: the next look says this one.
                    Wanted::Report => at = at.min(now.saturating_add(INTERVAL_100NS)),
                }
            }
        }
        if soon {
            at = at.min(now.saturating_add(INTERVAL_100NS));
        }
        if at < NEVER {
            self.look_at(at, soon, &raised);
        }
        deferred.deliver(self, raised);
        if let Some(queue) = locked_up {
            // SAFETY: Q4: this DPC has been at DISPATCH since the queue was on the list, so no grace
            // period has passed.
            report_queue(Diagnostic::Lockup, "watchdog", unsafe { &*queue });
        }
    }

    /// Whether the caller runs on a rescuer's thread. IRQL: any; above APC the answer is no (N-26).
    pub(crate) fn is_rescued(&self) -> bool {
        if B::irql() > Irql::APC {
            return false;
        }
        let thread = B::thread();
        self.any_queue(|_, state| state.is_rescuer(thread))
    }

    /// Serves `queue` on a rescuer's thread.
    fn rescue(&self, queue: &Queue<B>) {
        // ORDERING: a counter; nothing is read on the strength of it.
        self.rescues.fetch_add(1, Relaxed);
        let worker = pin!(Worker::rescuer(B::thread()));
        queue.enter(worker.as_ref(), Entrance::Rescue, &Raised::new());
        self.work(queue, worker.as_ref());
    }
}
