//! KMDF: the one implementation of [`Backend`], over WDFDPC, WDFWORKITEM and WDFTIMER.
//!
//! # Layer
//!
//! The only folder that names `wdk_sys`. It is written against that crate's *names*, and three
//! providers have them: `wdk-sys` in a driver, `kmdf-mock` on a host, and a stand-in that
//! type-checks this code against the genuine macro. What runs on the simulator is what ships.
//!
//! | file | what |
//! |---|---|
//! | [`image`] | what a driver image has: the attached runtime, and the way in |
//! | [`system`] | the queues that every image has, and their names |
//! | `backend` | [`Backend`] over NT and WDF calls |
//! | `objects` | making the WDF objects; contexts; callbacks |
//! | `threads` | threads of ours; where and how urgently the current one runs |
//! | `attach` | attach and detach, hosts |
//! | `clock` | by ticks or precisely |
//! | `wdk_sys` | what the provider gives |
//! | `nt` | what `wdk-sys` lacks |
//!
//! Built without a provider the crate still compiles: attach fails with `STATUS_NOT_SUPPORTED`.

#[cfg(any(feature = "mock", all(feature = "kmdf", any(windows, wdk_standin))))]
mod attach;
#[cfg(any(feature = "mock", all(feature = "kmdf", any(windows, wdk_standin))))]
mod backend;
#[cfg(any(feature = "mock", all(feature = "kmdf", any(windows, wdk_standin))))]
mod clock;
#[cfg(any(feature = "mock", all(feature = "kmdf", any(windows, wdk_standin))))]
mod nt;
#[cfg(any(feature = "mock", all(feature = "kmdf", any(windows, wdk_standin))))]
mod objects;
#[cfg(any(feature = "mock", all(feature = "kmdf", any(windows, wdk_standin))))]
mod threads;
#[cfg(any(feature = "mock", all(feature = "kmdf", any(windows, wdk_standin))))]
mod wdk_sys;
#[cfg(any(feature = "mock", all(feature = "kmdf", any(windows, wdk_standin))))]
pub(crate) use self::attach::{attach, detach};
#[cfg(any(feature = "mock", all(feature = "kmdf", any(windows, wdk_standin))))]
pub(crate) use self::backend::Kmdf;

#[cfg(not(any(feature = "mock", all(feature = "kmdf", any(windows, wdk_standin)))))]
mod absent;
#[cfg(not(any(feature = "mock", all(feature = "kmdf", any(windows, wdk_standin)))))]
pub(crate) use self::absent::{Kmdf, attach, detach};

#[cfg_attr(
    not(any(feature = "mock", all(feature = "kmdf", any(windows, wdk_standin)))),
    allow(dead_code, reason = "nothing can be attached without a provider")
)]
mod image;
#[cfg(feature = "alloc")]
pub(crate) use self::image::generation;
pub(crate) use self::image::{Target, enter, enter_accepting, enter_to_target, visit};
#[cfg_attr(
    not(any(feature = "mock", all(feature = "kmdf", any(windows, wdk_standin)))),
    allow(dead_code, reason = "nothing can be attached without a provider")
)]
mod system;
pub(crate) use self::system::{System, is_system_name, resolve, system_name};

use core::ffi::c_void;

/// The engine over KMDF.
pub(crate) type Runtime = crate::engine::runtime::Runtime<Kmdf>;
/// A workqueue over KMDF.
pub(crate) type Queue = crate::engine::queue::Queue<Kmdf>;
/// A raised section over KMDF.
pub(crate) type Raised = crate::engine::locked::Raised<Kmdf>;

/// Where the runtime's WDF objects live, which decides how long they may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Host {
    /// On a control device that bottomhalf makes on this WDFDRIVER and shares between all attaches
    /// of the image; it goes with the last detach. The choice for drivers with several devices: no
    /// device's removal takes the runtime from the others.
    Driver(*mut c_void),
    /// On this WDFDEVICE. For images that cannot own a control device. A second attach must name
    /// the same device.
    Device(*mut c_void),
}

/// Whether a work may run in parallel with itself. There is no default: drivers written after 2012
/// rely on [`Self::NonReentrant`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WorkReentrance {
    /// A work that is queued again while it runs may run in parallel with itself, up to
    /// `max_active`: Linux's rule before 3.7, and that of a raw WDFWORKITEM. Ordered queues never
    /// overlap.
    SelfReentrant,
    /// Never two instances of the same work and function at once, on any queue: Linux since 3.7. (One in
    /// a thread and one on a `WQ_BH` queue may run at once: neither could wait for the other.)
    NonReentrant,
}

/// How to attach.
#[derive(Clone, Debug)]
pub struct Config {
    pub(crate) reentrance: WorkReentrance,
    pub(crate) pin_bound: bool,
    pub(crate) high_resolution: bool,
}

impl Config {
    /// With this rule for works.
    #[must_use]
    pub const fn new(reentrance: WorkReentrance) -> Self {
        Self {
            reentrance,
            pin_bound: false,
            high_resolution: false,
        }
    }

    /// Whether delayed works are timed by high-resolution timers and a clock that does not wait for
    /// ticks. By default a delay ends up to two ticks late, and a tick is 15.625 ms unless somebody
    /// has asked for a shorter one (T-29, T-30). With this it ends less than a jiffy and about a
    /// millisecond late (T-31), plus the time until NT's pool has a thread, of which no timer frees a
    /// passive-level function (T-27).
    ///
    /// It costs power, for the machine's clock ticks faster while a delayed work is armed. And
    /// `jiffies` goes on while the machine sleeps, so what was armed before is due when it wakes:
    /// NT's precise clock does not leave sleep out.
    ///
    /// The first attach of an image decides.
    #[must_use]
    pub const fn high_resolution(mut self, high_resolution: bool) -> Self {
        self.high_resolution = high_resolution;
        self
    }

    /// Whether every work of a bound workqueue runs on the CPU that it was queued on, as in Linux. By
    /// default only those of `queue_work_on` and of `WQ_PERCPU` queues do: the thread of a worker
    /// moves for it, once for each batch, and only a driver with per-CPU data can tell.
    ///
    /// The first attach of an image decides.
    #[must_use]
    pub const fn pin_bound(mut self, pin_bound: bool) -> Self {
        self.pin_bound = pin_bound;
        self
    }
}
