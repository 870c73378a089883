//! What a driver image has once: the runtime, and the way into it.

use super::system::{System, SystemQueues, resolve};
use super::{Kmdf, Raised, Runtime};
use crate::engine::diagnostic::{Diagnostic, report};
use crate::engine::locked::Locked;
use crate::engine::wait::Waiters;
use crate::sync::Ordering::SeqCst;
use crate::sync::{AtomicPtr, AtomicU64};

/// The statics of this crate. A simulated machine has its own set, as a driver image has.
pub(crate) struct Image {
    /// The attached runtime, or null. Read raised (G1).
    pub(super) runtime: AtomicPtr<Runtime>,
    /// The queues behind the names `system_…_wq`.
    pub(super) system: SystemQueues,
    /// Attach and detach, one at a time.
    pub(super) attached: Locked<Attached>,
    /// See `clock`. Zero while time is told by ticks.
    pub(super) clock: AtomicU64,
    /// Number of the runtime that is attached or was last. It changes only while none is.
    pub(super) generation: AtomicU64,
}

/// The queue that a call names.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Target {
    /// One of the image's own, looked up once raised: it may go and come between two calls.
    System(System),
    /// One that the driver keeps during the call, or null.
    Kept(*mut super::Queue),
    /// One that was made in this generation. A detach may have destroyed it since.
    #[cfg(feature = "alloc")]
    Made(*mut super::Queue, u64),
}

/// Who is attached.
pub(super) struct Attached {
    pub(super) count: u32,
    /// Somebody is attaching or detaching; others wait.
    pub(super) busy: bool,
    pub(super) waiters: Waiters<Kmdf>,
}

impl Image {
    const fn new() -> Self {
        Self {
            runtime: AtomicPtr::new(core::ptr::null_mut()),
            system: SystemQueues::new(),
            attached: Locked::new(Attached {
                count: 0,
                busy: false,
                waiters: Waiters::new(crate::engine::wait::WaiterAdapter::NEW),
            }),
            clock: AtomicU64::new(0),
            generation: AtomicU64::new(0),
        }
    }
}

/// The image's statics.
#[cfg(feature = "mock")]
#[inline(never)]
pub(crate) fn image() -> &'static Image {
    static IMAGE: kmdf_mock::image::Static<Image> = kmdf_mock::image::Static::new(Image::new);
    IMAGE.get()
}

/// The image's statics.
#[cfg(not(feature = "mock"))]
#[inline]
pub(crate) fn image() -> &'static Image {
    static IMAGE: Image = Image::new();
    &IMAGE
}

/// Raises and finds the runtime. Nothing but `raised` keeps it from being freed (G1).
#[inline(always)]
pub(crate) fn enter() -> Option<(&'static Runtime, Raised)> {
    let raised = Raised::new();
    // ORDERING: SeqCst: pairs with the publication in attach, and with the grace period of detach.
    let runtime = image().runtime.load(SeqCst);
    // SAFETY: G1: detach frees it only after a grace period that this raised section holds up.
    let runtime = unsafe { runtime.as_ref() }?;
    Some((runtime, raised))
}

/// As [`enter`] for a call that makes an item pending: only while the runtime accepts (G3).
#[inline(always)]
pub(crate) fn enter_accepting() -> Option<(&'static Runtime, Raised)> {
    let (runtime, raised) = enter()?;
    if runtime.is_closing() {
        return None;
    }
    Some((runtime, raised))
}

/// As [`enter_accepting`], and says so if it is refused.
#[inline(always)]
fn enter_to_queue(call: &str, item: usize, func: usize) -> Option<(&'static Runtime, Raised)> {
    let entered = enter_accepting();
    if entered.is_none() {
        report::<Kmdf>(Diagnostic::NotAttached, call, item, func);
    }
    entered
}

/// As [`enter_to_queue`], with the queue that `target` names.
///
/// # Safety
///
/// A `Kept` queue is alive during the call, or null.
#[inline(always)]
pub(crate) unsafe fn enter_to_target(
    target: Target,
    call: &str,
    item: usize,
    func: usize,
) -> Option<(&'static Runtime, &'static super::Queue, Raised)> {
    let (runtime, raised) = enter_to_queue(call, item, func)?;
    // ORDERING: SeqCst pairs with the publication in attach, as in [`enter`].
    let queue = match target {
        Target::System(which) => image().system.get(which),
        Target::Kept(queue) => resolve(queue),
        #[cfg(feature = "alloc")]
        Target::Made(queue, generation) if generation == self::generation() => queue,
        #[cfg(feature = "alloc")]
        Target::Made(..) => core::ptr::null_mut(),
    };
    // SAFETY: the runtime is not closing, and stays so as long as this section is raised (G1, G3):
    // no queue of this generation has been destroyed by a detach. Its owner destroys it only when
    // no call names it any more.
    let Some(queue) = (unsafe { queue.as_ref() }) else {
        drop(raised);
        let kept = matches!(target, Target::Kept(_));
        let what = if kept {
            Diagnostic::NullQueue
        } else {
            Diagnostic::NotAttached
        };
        report::<Kmdf>(what, call, item, func);
        return None;
    };
    Some((runtime, queue, raised))
}

/// The number of the runtime that is attached, for a caller that keeps it from going.
#[cfg(feature = "alloc")]
pub(crate) fn generation() -> u64 {
    // ORDERING: SeqCst: a new runtime is published after this has changed.
    image().generation.load(SeqCst)
}

/// A caller inside a blocking call: the runtime stays until it has left (G2).
#[derive(Debug)]
pub(crate) struct Visit(&'static Runtime);

/// Enters for a call that blocks.
pub(crate) fn visit() -> Option<Visit> {
    let (runtime, raised) = enter()?;
    runtime.visit(&raised);
    Some(Visit(runtime))
}

impl core::ops::Deref for Visit {
    type Target = Runtime;
    fn deref(&self) -> &Runtime {
        self.0
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        self.0.depart();
    }
}

impl core::fmt::Debug for Runtime {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Runtime")
            .field("counters", &self.counters())
            .finish_non_exhaustive()
    }
}
