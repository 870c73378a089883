//! Closures as works.

use alloc::boxed::Box;
use core::alloc::Layout;
use core::pin::Pin;

use super::delayed_work::DelayedWork;
use super::work::WorkItem;
use super::workqueue::WorkqueueRef;
use crate::engine::backend::{Backend, Irql};
use crate::kmdf::Kmdf;

/// A closure and the work that runs it, in one allocation. A delay of zero uses no timer, so the one form
/// serves both calls.
struct Spawned<F> {
    work: DelayedWork<Self>,
    closure: F,
}

crate::impl_has_delayed_work! {
    impl{F: FnOnce() + Send + 'static} HasDelayedWork<Self> for Spawned<F> { self.work }
}

impl<F: FnOnce() + Send + 'static> WorkItem for Spawned<F> {
    type Pointer = Pin<Box<Self>>;
    fn run(this: Pin<Box<Self>>) {
        // SAFETY: as in `into_closure`.
        let spawned: Box<Self> = unsafe { Pin::into_inner_unchecked(this) };
        // The closure leaves the box, and the box stays until it has ended: at the same address another
        // closure of this type would pass for a second instance of this one (B-59).
        (spawned.closure)();
    }
}

trait IntoClosure<F> {
    /// Frees the work, which is not pending, and keeps the closure.
    fn into_closure(self) -> F;
}

impl<F> IntoClosure<F> for Pin<Box<Spawned<F>>> {
    fn into_closure(self) -> F {
        // SAFETY: only the work is pinned in its place, and it is not pending any more, so that nothing
        // knows it; nobody has ever seen the closure pinned.
        let spawned = unsafe { Self::into_inner_unchecked(self) };
        spawned.closure
    }
}

/// A box, or the value back if there is no memory: `Box::new` would end the machine.
fn try_box<T>(value: T) -> Result<Box<T>, T> {
    const { assert!(size_of::<T>() > 0, "the allocator takes no empty layout") };
    // SAFETY: the layout is not empty.
    let memory = unsafe { alloc::alloc::alloc(Layout::new::<T>()) }.cast::<T>();
    if memory.is_null() {
        return Err(value);
    }
    // SAFETY: fresh memory of this layout.
    unsafe { memory.write(value) };
    // SAFETY: from the global allocator, with this layout, and nobody else has it.
    Ok(unsafe { Box::from_raw(memory) })
}

impl WorkqueueRef {
    /// Runs `closure` once on this queue, at PASSIVE_LEVEL; it may block. Nobody can cancel it: dropping or
    /// draining the queue waits for it.
    ///
    /// ```
    /// # use bottomhalf::{Config, Host, WorkReentrance, Workqueue, attach};
    /// # use kmdf_mock::world::{Driver, Gate, Sim};
    /// # Sim::new(1).run(|| {
    /// # let driver = Driver::load();
    /// # let host = Host::Driver(driver.handle().cast());
    /// # let attached = unsafe { attach(host, &Config::new(WorkReentrance::NonReentrant)) }.unwrap();
    /// let done = Gate::new();
    /// let opens = done.clone();
    /// assert!(Workqueue::system().try_spawn(move || opens.open()).is_ok());
    /// done.wait();
    /// # attached.detach();
    /// # driver.unload();
    /// # }).unwrap();
    /// ```
    ///
    /// # Errors
    ///
    /// Hands `closure` back if there is no memory, the queue is being drained or destroyed (BH02), nothing
    /// is attached (BH03), or the IRQL is above DISPATCH_LEVEL, where nothing can be allocated.
    ///
    /// IRQL: <= DISPATCH. Does not block. Allocates. Linux: `INIT_WORK` and `queue_work` of an allocation
    /// that frees itself.
    pub fn try_spawn<F: FnOnce() + Send + 'static>(&self, closure: F) -> Result<(), F> {
        self.try_spawn_delayed(closure, 0)
    }

    /// As [`Self::try_spawn`], after at least `delay` whole jiffies. IRQL: <= DISPATCH. Linux:
    /// `queue_delayed_work`.
    ///
    /// # Errors
    ///
    /// As [`Self::try_spawn`].
    pub fn try_spawn_delayed<F: FnOnce() + Send + 'static>(
        &self,
        closure: F,
        delay: u64,
    ) -> Result<(), F> {
        if Kmdf::irql() > Irql::DISPATCH {
            return Err(closure);
        }
        let work = DelayedWork::new();
        let spawned = try_box(Spawned { work, closure }).map_err(|spawned| spawned.closure)?;
        self.enqueue_delayed(Box::into_pin(spawned), delay)
            .map_err(IntoClosure::into_closure)
    }
}
