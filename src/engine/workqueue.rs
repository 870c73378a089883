//! Making, flushing and destroying queues.

use core::pin::pin;
use core::ptr::NonNull;

use intrusive_collections::UnsafeRef;

use super::backend::{Backend, Irql};
use super::diagnostic::{Diagnostic, report, report_queue};
use super::locked::Raised;
use super::queue::Queue;
use super::runtime::Runtime;
use super::wait::Waiter;
use super::word::SUB_QUEUE_ALIGN;
use crate::sync::Ordering::Relaxed;

/// `max_active` if the caller gives zero, as in Linux.
pub(crate) const MAX_ACTIVE_DEFAULT: u32 = 256;
/// Highest `max_active`, as in Linux.
pub(crate) const MAX_ACTIVE_LIMIT: u32 = 512;

/// Room for the pointer that `free` needs, and to align a queue.
const SPARE: usize = SUB_QUEUE_ALIGN + size_of::<*mut u8>();

impl<B: Backend> Runtime<B> {
    /// Makes a queue; null if the kernel is out of memory or the runtime ends. IRQL: = PASSIVE.
    pub(crate) fn create_queue(
        &self,
        name: &[u8],
        per_cpu: bool,
        max_active: i32,
    ) -> Option<&Queue<B>> {
        if self.is_closing() {
            report::<B>(Diagnostic::NotAttached, "alloc_workqueue", 0, 0);
            return None;
        }
        let max_active = clamp_max_active::<B>(max_active);
        let subs = if per_cpu {
            self.all_cpus().len() as u32
        } else {
            1
        };
        let memory = NonNull::new(B::allocate(Queue::<B>::size(subs) + SPARE))?;
        let after_pointer = memory.as_ptr().wrapping_add(size_of::<*mut u8>());
        let place = after_pointer.wrapping_add(after_pointer.align_offset(SUB_QUEUE_ALIGN));
        // SAFETY: there is room for a pointer before the aligned place.
        unsafe { place.cast::<*mut u8>().sub(1).write(memory.as_ptr()) };
        // SAFETY: the size asked for leaves `Queue::size` bytes from there.
        unsafe { Queue::<B>::place(place, name, subs, max_active) };
        // SAFETY: just written; freed only by `destroy_queue`.
        let queue = unsafe { &*place.cast::<Queue<B>>() };
        place.expose_provenance();
        let Ok(item) = self.backend.work_item_create(place.cast()) else {
            // SAFETY: nobody knows the queue yet.
            unsafe { B::free(memory.as_ptr()) };
            return None;
        };
        queue.set_work_item(item);
        let raised = Raised::<B>::new();
        // SAFETY: the queue stays linked until `destroy_queue` unlinks it.
        self.queues
            .lock(&raised)
            .push_back(unsafe { UnsafeRef::from_raw(core::ptr::from_ref(queue)) });
        Some(queue)
    }

    /// Waits for the works that are queued or running now. IRQL: <= APC.
    pub(crate) fn flush_queue(&self, queue: &Queue<B>, call: &'static str) {
        if !self.queue_may_wait(queue, call) {
            return;
        }
        let waiter = pin!(Waiter::<B>::new(0));
        let waiter = waiter.into_ref();
        waiter.prepare();
        let waits = {
            let raised = Raised::<B>::new();
            queue.state.lock(&raised).colours.flush(waiter)
        };
        if waits {
            waiter.wait();
        }
    }

    /// Runs what is pending, chained requeues included, and deletes the queue. IRQL: = PASSIVE.
    pub(crate) fn destroy_queue(&self, queue: &Queue<B>) {
        if !self.queue_may_wait(queue, "destroy_workqueue") {
            return;
        }
        {
            let raised = Raised::<B>::new();
            queue.state.lock(&raised).draining += 1;
            // ORDERING: the grace period below orders it: who has not seen it has armed before
            // that.
            queue.ending.store(true, Relaxed);
        }
        loop {
            // ORDERING: the grace period orders it: whoever counts up before, is seen after.
            if queue.armed.load(Relaxed) > 0 {
                self.expire_armed(Some(queue));
            }
            self.wait_until_idle(queue);
            self.synchronize();
            let raised = Raised::<B>::new();
            // In this order: a delayed work counts in `armed` until it is linked, so one that is on
            // its way is seen by the one look or by the other.
            if queue.armed.load(Relaxed) == 0 && queue.state.lock(&raised).is_idle() {
                break;
            }
        }
        {
            let raised = Raised::<B>::new();
            let mut queues = self.queues.lock(&raised);
            // SAFETY: `create_queue` has linked it, and a queue is destroyed once.
            unsafe { queues.cursor_mut_from_ptr(core::ptr::from_ref(queue)) }.remove();
        }
        // B2: waits for the callbacks of kicks that found nothing to do.
        self.backend.work_item_delete(queue.work_item());
        // Q4: a callback's last kick may still be in a list; and no raised section knows it after
        // this.
        self.synchronize();
        let place = core::ptr::from_ref(queue).cast_mut().cast::<*mut u8>();
        // SAFETY: `create_queue` has put the pointer there.
        let memory = unsafe { place.sub(1).read() };
        // SAFETY: Q4 holds: this was the last use.
        unsafe { B::free(memory) };
    }

    /// Waits until the queue is empty and no worker is inside; whether it had to wait.
    pub(crate) fn wait_until_idle(&self, queue: &Queue<B>) -> bool {
        let waiter = pin!(Waiter::<B>::new(0));
        let waiter = waiter.into_ref();
        waiter.prepare();
        let waits = {
            let raised = Raised::<B>::new();
            let mut state = queue.state.lock(&raised);
            let waits = !state.is_idle();
            if waits {
                state.idle_waiters.push_back(waiter.handle());
            }
            waits
        };
        if waits {
            waiter.wait();
        }
        waits
    }

    /// For detach: waits until every queue is idle; whether one was not.
    pub(crate) fn wait_until_queues_are_idle(&self) -> bool {
        let mut waited = false;
        let mut next = self.queue_after(None);
        while let Some(queue) = next {
            waited |= self.wait_until_idle(queue);
            next = self.queue_after(Some(queue));
        }
        waited
    }

    /// For detach: destroys every queue, reporting all but `own`.
    pub(crate) fn destroy_queues(&self, own: Option<&Queue<B>>) {
        while let Some(queue) = self.queue_after(None) {
            if !own.is_some_and(|own| core::ptr::eq(own, queue)) {
                report_queue(Diagnostic::QueueAtEnd, "detach", queue);
            }
            self.destroy_queue(queue);
        }
    }

    /// Whether `thread` serves a queue now, and so has a work under way. IRQL: <= APC.
    pub(crate) fn is_worker(&self, thread: usize) -> bool {
        let raised = Raised::<B>::new();
        let queues = self.queues.lock(&raised);
        queues
            .iter()
            .any(|queue| queue.state.lock(&raised).is_worker(thread))
    }

    fn queue_after(&self, queue: Option<&Queue<B>>) -> Option<&Queue<B>> {
        let raised = Raised::<B>::new();
        let queues = self.queues.lock(&raised);
        let mut cursor = match queue {
            // SAFETY: only detach walks the list, and nobody else destroys queues by then.
            Some(queue) => unsafe { queues.cursor_from_ptr(core::ptr::from_ref(queue)) },
            None => queues.cursor(),
        };
        cursor.move_next();
        let next = cursor.get().map(core::ptr::from_ref);
        // SAFETY: a queue on the list lives until `destroy_queue`, which detach alone calls by
        // then.
        next.map(|queue| unsafe { &*queue })
    }

    /// Whether the caller may wait for `queue`: not at DISPATCH, and not from one of its works (row
    /// Q25).
    fn queue_may_wait(&self, queue: &Queue<B>, call: &'static str) -> bool {
        if B::irql() > Irql::APC {
            report_queue(Diagnostic::WaitAtDispatch, call, queue);
            return false;
        }
        let thread = B::thread();
        let raised = Raised::<B>::new();
        let own = queue.state.lock(&raised).is_worker(thread);
        drop(raised);
        if own {
            report_queue(Diagnostic::WaitForOneself, call, queue);
        }
        !own
    }
}

fn clamp_max_active<B: Backend>(asked: i32) -> u32 {
    if asked == 0 {
        return MAX_ACTIVE_DEFAULT;
    }
    let clamped = asked.clamp(1, MAX_ACTIVE_LIMIT as i32);
    if clamped != asked {
        report::<B>(Diagnostic::MaxActive, "alloc_workqueue", asked as usize, 0);
    }
    clamped.unsigned_abs()
}
