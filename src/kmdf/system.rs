//! The queues that every image has: Linux's `system_…_wq`, made by attach.
//!
//! Drivers know a system queue by a *name*: an address in the image's table, which is no queue's and
//! lasts as long as the image. It is looked up in each call, so a driver may keep it over a detach and
//! the next attach.

use super::image::image;
use super::{Queue, Runtime};
use crate::engine::queue::flag;
use crate::sync::AtomicPtr;
use crate::sync::Ordering::SeqCst;

/// One of the system queues. The newer names of Linux for the same queue have no entry of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum System {
    /// `system_wq`, `system_percpu_wq`.
    PerCpu,
    /// `system_highpri_wq`.
    Highpri,
    /// `system_long_wq`.
    Long,
    /// `system_unbound_wq`, `system_dfl_wq`.
    Unbound,
    /// `system_dfl_long_wq`.
    UnboundLong,
    /// `system_freezable_wq`.
    Freezable,
    /// `system_power_efficient_wq`.
    PowerEfficient,
    /// `system_freezable_power_efficient_wq`.
    FreezablePowerEfficient,
    /// `system_bh_wq`.
    BottomHalf,
    /// `system_bh_highpri_wq`.
    BottomHalfHighpri,
}

/// How many there are.
pub(crate) const COUNT: usize = 10;

impl System {
    const ALL: [Self; COUNT] = [
        Self::PerCpu,
        Self::Highpri,
        Self::Long,
        Self::Unbound,
        Self::UnboundLong,
        Self::Freezable,
        Self::PowerEfficient,
        Self::FreezablePowerEfficient,
        Self::BottomHalf,
        Self::BottomHalfHighpri,
    ];

    /// The name for messages, as Linux has it, and the flags.
    const fn shape(self) -> (&'static [u8], u32) {
        match self {
            Self::PerCpu => (b"events", 0),
            Self::Highpri => (b"events_highpri", flag::HIGHPRI),
            Self::Long => (b"events_long", 0),
            Self::Unbound => (b"events_unbound", flag::UNBOUND),
            Self::UnboundLong => (b"events_dfl_long", flag::UNBOUND),
            Self::Freezable => (b"events_freezable", flag::FREEZABLE),
            Self::PowerEfficient => (b"events_power_efficient", flag::POWER_EFFICIENT),
            Self::FreezablePowerEfficient => (
                b"events_freezable_pwr_efficient",
                flag::FREEZABLE | flag::POWER_EFFICIENT,
            ),
            Self::BottomHalf => (b"events_bh", flag::BH),
            Self::BottomHalfHighpri => (b"events_bh_highpri", flag::BH | flag::HIGHPRI),
        }
    }

    /// `max_active` of all of them: the default.
    const MAX_ACTIVE: i32 = 0;
}

/// The system queues of the attached runtime, each null before attach and after detach.
#[derive(Debug)]
pub(super) struct SystemQueues([AtomicPtr<Queue>; COUNT]);

impl SystemQueues {
    pub(super) const fn new() -> Self {
        Self([const { AtomicPtr::new(core::ptr::null_mut()) }; COUNT])
    }

    /// Makes them all; `None` if one could not be made. Those that were made are published.
    pub(super) fn create(&self, runtime: &Runtime) -> Option<()> {
        for which in System::ALL {
            let (name, flags) = which.shape();
            let queue = runtime.create_queue(name, flags, System::MAX_ACTIVE)?;
            // ORDERING: SeqCst: who reads it does so raised, and after it has found the runtime.
            self.0[which as usize].store(core::ptr::from_ref(queue).cast_mut(), SeqCst);
        }
        Some(())
    }

    /// Takes them from the callers. Who has looked one up before may still use it (G1, G2).
    pub(super) fn unpublish(&self) -> [*const Queue; COUNT] {
        // ORDERING: SeqCst: detach waits for raised sections and visitors after it.
        System::ALL.map(|which| {
            self.0[which as usize]
                .swap(core::ptr::null_mut(), SeqCst)
                .cast_const()
        })
    }

    /// The queue itself, or null.
    pub(super) fn get(&self, which: System) -> *mut Queue {
        // ORDERING: SeqCst: pairs with `create` and `unpublish`.
        self.0[which as usize].load(SeqCst)
    }

    /// The entry that `name` is the address of.
    fn entry(&self, name: *mut Queue) -> Option<&AtomicPtr<Queue>> {
        let offset = name.addr().wrapping_sub(self.0.as_ptr().addr());
        self.0.get(offset / size_of::<AtomicPtr<Queue>>())
    }
}

/// What drivers call a system queue by, or null while nothing is attached.
pub(crate) fn system_name(which: System) -> *mut Queue {
    let image = image();
    if image.system.get(which).is_null() {
        return core::ptr::null_mut();
    }
    core::ptr::from_ref(&image.system.0[which as usize])
        .cast_mut()
        .cast()
}

/// Whether `queue` is the name of a system queue.
pub(crate) fn is_system_name(queue: *mut Queue) -> bool {
    image().system.entry(queue).is_some()
}

/// The queue that a driver's pointer names, not followed. A system queue is looked up in each call: who
/// has read its name before a detach would find a queue that is freed.
///
/// The caller has been raised since it found the runtime accepting, or is visiting it (G1, G2).
pub(crate) fn resolve(queue: *mut Queue) -> *mut Queue {
    match image().system.entry(queue) {
        // ORDERING: SeqCst: detach makes it null, and then waits for raised sections and visitors.
        Some(entry) => entry.load(SeqCst),
        None => queue,
    }
}
