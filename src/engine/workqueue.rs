//! Making, flushing and destroying queues.

use core::pin::{Pin, pin};
use core::ptr::NonNull;

use intrusive_collections::UnsafeRef;

use super::backend::{Backend, Irql};
use super::diagnostic::{Diagnostic, report, report_max_active, report_queue};
use super::locked::Raised;
use super::queue::{Queue, QueueState, flag};
use super::runtime::Runtime;
use super::wait::{Deferred, Waiter};
use super::word::SUB_QUEUE_ALIGN;
use crate::sync::Ordering::Relaxed;

/// `max_active` if the caller gives zero, as in Linux.
pub(crate) const MAX_ACTIVE_DEFAULT: u32 = 256;
/// Highest `max_active`, as in Linux.
pub(crate) const MAX_ACTIVE_LIMIT: u32 = 512;

/// Room for the pointer that `free` needs, and to align a queue.
const SPARE: usize = SUB_QUEUE_ALIGN + size_of::<*mut u8>();

impl<B: Backend> Runtime<B> {
    /// Makes a queue as the [`flag`]s say; null if the kernel is out of memory or the runtime ends. IRQL: = PASSIVE.
    pub(crate) fn create_queue(
        &self,
        name: &[u8],
        flags: u32,
        max_active: i32,
    ) -> Option<&Queue<B>> {
        if self.is_closing() {
            report::<B>(Diagnostic::NotAttached, "alloc_workqueue", 0, 0);
            return None;
        }
        let in_drains = flags & flag::BH != 0;
        let max_active = match max_active {
            // One at a time on each CPU, since a drain is; a work that is held counts as active and
            // keeps nobody back (H1).
            _ if in_drains => u32::MAX,
            0 => MAX_ACTIVE_DEFAULT,
            asked => clamp_max_active::<B>(asked, "alloc_workqueue", name),
        };
        let subs = if flags & (flag::UNBOUND | flag::ORDERED) == 0 {
            self.all_cpus().len() as u32
        } else {
            1
        };
        let memory = NonNull::new(B::allocate(Queue::<B>::size(subs) + SPARE))?;
        let after_pointer = memory.as_ptr().wrapping_add(size_of::<*mut u8>());
        let place = after_pointer.wrapping_add(after_pointer.align_offset(SUB_QUEUE_ALIGN));
        // SAFETY: there is room for a pointer before the aligned place.
        unsafe { place.cast::<*mut u8>().sub(1).write(memory.as_ptr()) };
        let pins = self.pin_bound || flags & flag::PERCPU != 0;
        // SAFETY: the size asked for leaves `Queue::size` bytes from there.
        unsafe { Queue::<B>::place(place, name, flags, pins, subs, max_active) };
        // SAFETY: just written; freed only by `destroy_queue`.
        let queue = unsafe { &*place.cast::<Queue<B>>() };
        place.expose_provenance();
        if !in_drains {
            let Ok(item) = self.backend.work_item_create(place.cast()) else {
                // SAFETY: nobody knows the queue yet.
                unsafe { B::free(memory.as_ptr()) };
                return None;
            };
            queue.set_work_item(item);
        }
        if queue.start_rescuer(self).is_err() {
            // Only a queue with a work item has one.
            self.backend.work_item_delete(queue.work_item());
            // SAFETY: nobody knows the queue yet.
            unsafe { B::free(memory.as_ptr()) };
            return None;
        }
        let raised = Raised::<B>::new();
        let mut queues = self.queues.lock(&raised);
        self.freeze_new(queue, &raised);
        // SAFETY: the queue stays linked until `destroy_queue` unlinks it.
        queues.push_back(unsafe { UnsafeRef::from_raw(core::ptr::from_ref(queue)) });
        drop(queues);
        Some(queue)
    }

    /// Waits for the works that are queued or running now. IRQL: <= APC.
    ///
    /// `queue` may be gone: detach destroys what is left.
    pub(crate) fn flush_queue(&self, queue: *const Queue<B>, call: &'static str) {
        let waiter = pin!(Waiter::<B>::new(0));
        let waiter = waiter.into_ref();
        waiter.prepare();
        let this = |other: &Queue<B>| core::ptr::eq(other, queue);
        self.check_dependency(queue, call);
        let waits = self.if_may_wait(this, call, |_, state| state.colours.flush(waiter));
        if waits == Some(true) && !self.wait_for_queue(queue, waiter) {
            // SAFETY: the driver keeps a queue that it flushes, and one of its works is the caller.
            report_queue(Diagnostic::WaitForOneself, call, unsafe { &*queue });
        }
    }

    /// Waits with `waiter`, which is linked on `queue`; `false` if it would wait for the end of the
    /// caller's own run. The queue may be gone since.
    pub(super) fn wait_for_queue(&self, queue: *const Queue<B>, waiter: Pin<&Waiter<B>>) -> bool {
        let raised = Raised::new();
        let mut deferred = Deferred::new();
        self.refuse_own_wait(queue, &raised, &mut deferred);
        deferred.deliver(self, raised);
        waiter.wait_unless_refused()
    }

    /// Runs what is pending, chained requeues included, and deletes the queue. IRQL: = PASSIVE.
    ///
    /// `queue` may be gone, or somebody else may be ending it: then nothing happens.
    pub(crate) fn destroy_queue(&self, queue: *const Queue<B>) {
        let this = |other: &Queue<B>| core::ptr::eq(other, queue);
        self.check_dependency(queue, "destroy_workqueue");
        if let Some(queue) = self.claim_end(this)
            && !self.end_queues(&[queue])
        {
            report_queue(Diagnostic::WaitForOneself, "destroy_workqueue", queue);
        }
    }

    /// Runs what is pending, and what the queue's own works queue meanwhile, until it is empty; others
    /// are refused (BH02). IRQL: <= APC.
    ///
    /// `queue` may be gone, as for [`Self::flush_queue`], also when the wait is over.
    pub(crate) fn drain_queue(&self, queue: *const Queue<B>, call: &'static str) {
        let waiter = pin!(Waiter::<B>::new(0));
        let waiter = waiter.into_ref();
        waiter.prepare();
        let this = |other: &Queue<B>| core::ptr::eq(other, queue);
        self.check_dependency(queue, call);
        let found = self.if_may_wait(this, call, |_, state| {
            state.draining += 1;
            state.wait_for_idle(waiter)
        });
        let Some(waits) = found else {
            return;
        };
        if waits && !self.wait_for_queue(queue, waiter) {
            // SAFETY: the driver keeps a queue that it drains, and detach waits for the caller's run.
            report_queue(Diagnostic::WaitForOneself, call, unsafe { &*queue });
        }
        let raised = Raised::<B>::new();
        let queues = self.queues.lock(&raised);
        // A detach that has destroyed it since makes no queue in its place.
        if let Some(queue) = queues.iter().find(|other| this(other)) {
            queue.state.lock(&raised).draining -= 1;
        }
    }

    /// Lets so many works of each sub-queue run at once from now on. If that is more, works that were
    /// held back start at once; if it is less, those that run go on. An ordered queue is left as it is.
    /// IRQL: <= DISPATCH.
    pub(crate) fn set_max_active(&self, queue: &Queue<B>, asked: i32) {
        let call = "workqueue_set_max_active";
        if queue.is(flag::ORDERED | flag::BH) {
            report_queue(Diagnostic::MaxActiveOfOrdered, call, queue);
            return;
        }
        let limit = clamp_max_active::<B>(asked, call, queue.name());
        let raised = Raised::new();
        let mut deferred = Deferred::new();
        {
            let mut state = queue.state.lock(&raised);
            for sub in queue.sub_queues() {
                sub.update(&mut state, |inner| inner.max_active = limit);
            }
            queue.keep_kicked(&mut state, &raised, &mut deferred);
        }
        deferred.deliver(self, raised);
    }

    /// Whether works of `cpu`, or of this one, wait on `queue` for others to end. A hint.
    /// IRQL: any.
    pub(crate) fn is_congested(queue: &Queue<B>, cpu: Option<u32>, raised: &Raised<B>) -> bool {
        let cpu = if queue.subs > 1 {
            cpu.unwrap_or_else(B::cpu)
        } else {
            0
        };
        let state = queue.state.lock(raised);
        let sub = queue.sub_queues().get(cpu as usize);
        sub.is_some_and(|sub| sub.congested(&state))
    }

    /// Makes the caller the one that ends the first queue that is `wanted`.
    fn claim_end(&self, wanted: impl Fn(&Queue<B>) -> bool) -> Option<&Queue<B>> {
        let claimed = self.if_may_wait(wanted, "destroy_workqueue", |queue, state| {
            // ORDERING: under the queue's lock; and a grace period orders it: who has not seen it
            // has armed before that.
            let first = !queue.ending.swap(true, Relaxed);
            state.draining += u32::from(first);
            first.then_some(core::ptr::from_ref(queue))
        });
        // SAFETY: Q4: whoever has set `ending` alone frees the queue.
        claimed.flatten().map(|queue| unsafe { &*queue })
    }

    /// Calls `f`, under the locks, for the first queue on the list that is `wanted`, if the caller
    /// may wait for it: not at DISPATCH, and not from one of its works (row Q25).
    fn if_may_wait<R>(
        &self,
        wanted: impl Fn(&Queue<B>) -> bool,
        call: &'static str,
        f: impl FnOnce(&Queue<B>, &mut QueueState<B>) -> R,
    ) -> Option<R> {
        let (low, thread) = (B::irql() <= Irql::APC, B::thread());
        let (refusal, queue) = {
            let raised = Raised::<B>::new();
            let queues = self.queues.lock(&raised);
            let queue = queues.iter().find(|queue| wanted(queue))?;
            let mut state = queue.state.lock(&raised);
            let refusal = if !low {
                Diagnostic::WaitAtDispatch
            } else if state.is_worker(thread) {
                Diagnostic::WaitForOneself
            } else {
                return Some(f(queue, &mut state));
            };
            (refusal, core::ptr::from_ref(queue))
        };
        // SAFETY: Q4: the caller is inside the queue, or at DISPATCH since it was on the list.
        report_queue(refusal, call, unsafe { &*queue });
        None
    }

    /// Ends the queues that [`Self::claim_end`] has given to the caller; null ones are passed over. One
    /// grace period serves all of them. `false` if that would have to wait for the end of the caller's own
    /// run, and then they are as before.
    fn end_queues(&self, ended: &[*const Queue<B>]) -> bool {
        // SAFETY: Q4: whoever has claimed their ends frees them, below.
        let queues = || ended.iter().filter_map(|queue| unsafe { queue.as_ref() });
        queues().for_each(|queue| self.thaw_queue(queue));
        loop {
            for queue in queues() {
                // ORDERING: the grace period orders it: whoever counts up before, is seen after.
                if queue.armed.load(Relaxed) > 0 {
                    self.expire_armed(queue);
                }
                if !self.wait_until_idle(queue) {
                    queues().for_each(|queue| self.keep_queue(queue));
                    return false;
                }
            }
            self.synchronize();
            let raised = Raised::<B>::new();
            // In this order: a delayed work counts in `armed` until it is linked, so one that is on
            // its way is seen by the one look or by the other.
            let over = |queue: &Queue<B>| {
                queue.armed.load(Relaxed) == 0 && queue.state.lock(&raised).is_idle()
            };
            if queues().all(over) {
                break;
            }
        }
        {
            let raised = Raised::<B>::new();
            let mut list = self.queues.lock(&raised);
            for queue in queues() {
                // SAFETY: `create_queue` has linked it, and a queue is destroyed once.
                unsafe { list.cursor_mut_from_ptr(core::ptr::from_ref(queue)) }.remove();
            }
        }
        for queue in queues() {
            // S2: an idle queue is on no rescuer's list, and nobody looks after it any more.
            queue.end_rescuer(self);
            // B2: waits for the callbacks of kicks that found nothing to do.
            if !queue.is(flag::BH) {
                self.backend.work_item_delete(queue.work_item());
            }
        }
        // Q4: a callback's last kick may still be in a list; and no raised section knows it after
        // this.
        self.synchronize();
        for queue in queues() {
            let place = core::ptr::from_ref(queue).cast_mut().cast::<*mut u8>();
            // SAFETY: `create_queue` has put the pointer there.
            let memory = unsafe { place.sub(1).read() };
            // SAFETY: Q4 holds: this was the last use.
            unsafe { B::free(memory) };
        }
        true
    }

    /// Takes [`Self::claim_end`] back.
    fn keep_queue(&self, queue: &Queue<B>) {
        let raised = Raised::<B>::new();
        let _list = self.queues.lock(&raised);
        // ORDERING: as in `claim_end`.
        queue.ending.store(false, Relaxed);
        queue.state.lock(&raised).draining -= 1;
        self.freeze_new(queue, &raised);
    }

    /// Waits until the queue is empty and no worker is inside; `false` if that would be to wait for the
    /// end of the caller's own run.
    fn wait_until_idle(&self, queue: &Queue<B>) -> bool {
        let waiter = pin!(Waiter::<B>::new(0));
        let waiter = waiter.into_ref();
        waiter.prepare();
        let waits = {
            let raised = Raised::<B>::new();
            queue.state.lock(&raised).wait_for_idle(waiter)
        };
        !waits || self.wait_for_queue(queue, waiter)
    }

    /// For detach: waits until every queue is idle; whether one was not. Works may make and destroy
    /// queues meanwhile, so no queue is remembered over a wait.
    pub(crate) fn wait_until_queues_are_idle(&self) -> bool {
        let mut waited = false;
        loop {
            let waiter = pin!(Waiter::<B>::new(0));
            let waiter = waiter.into_ref();
            waiter.prepare();
            let waits = {
                let raised = Raised::<B>::new();
                let queues = self.queues.lock(&raised);
                queues.iter().any(|queue| {
                    let mut state = queue.state.lock(&raised);
                    let busy = !state.is_idle();
                    if busy {
                        state.idle_waiters.push_back(waiter.handle());
                    }
                    busy
                })
            };
            if !waits {
                return waited;
            }
            waiter.wait();
            waited = true;
        }
    }

    /// For detach: destroys every queue, first the image's `own`, and reports the others.
    pub(crate) fn destroy_queues(&self, own: &mut [*const Queue<B>]) {
        for queue in own.iter_mut() {
            let wanted = *queue;
            let claimed = self.claim_end(|queue| core::ptr::eq(queue, wanted));
            *queue = claimed.map_or(core::ptr::null(), core::ptr::from_ref);
        }
        self.end_queues(own);
        loop {
            // ORDERING: a hint; `claim_end` decides.
            if let Some(queue) = self.claim_end(|queue| !queue.ending.load(Relaxed)) {
                report_queue(Diagnostic::QueueAtEnd, "detach", queue);
                self.end_queues(&[queue]);
            } else if self.has_queues() {
                // Somebody who came in before is ending what is left.
                self.wait_for_visitors();
            } else {
                return;
            }
        }
    }

    fn has_queues(&self) -> bool {
        let raised = Raised::<B>::new();
        let queues = self.queues.lock(&raised);
        !queues.is_empty()
    }

    /// Whether `thread` serves a queue now, and so has a work under way. IRQL: <= APC.
    pub(crate) fn is_worker(&self, thread: usize) -> bool {
        self.any_queue(|_, state| state.is_worker(thread))
    }

    /// Whether `f` holds for a queue, under its lock.
    pub(super) fn any_queue(&self, f: impl Fn(&Queue<B>, &QueueState<B>) -> bool) -> bool {
        let raised = Raised::<B>::new();
        let queues = self.queues.lock(&raised);
        queues
            .iter()
            .any(|queue| f(queue, &queue.state.lock(&raised)))
    }
}

fn clamp_max_active<B: Backend>(asked: i32, call: &str, name: &[u8]) -> u32 {
    let clamped = asked.clamp(1, MAX_ACTIVE_LIMIT as i32);
    if clamped != asked {
        report_max_active::<B>(call, name, asked);
    }
    clamped.unsigned_abs()
}
