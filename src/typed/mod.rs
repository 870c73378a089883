//! The typed face: pinned items that carry their owner with them.
//!
//! Queueing hands a reference to the item's container over to the queue; running hands it back, by
//! value, to [`WorkItem::run`]. A refused queueing hands it back at once, and so does a cancel.
//! There is no `unsafe` in a driver that uses it, and no way to free an item that is pending. The
//! shape is that of Rust for Linux.
//!
//! ```
//! use std::sync::Arc;
//! use bottomhalf::{Work, WorkItem, impl_has_work};
//!
//! struct Adapter {
//!     reset: Work<Adapter>,
//! }
//! impl_has_work! { impl HasWork<Adapter> for Adapter { self.reset } }
//!
//! impl WorkItem for Adapter {
//!     type Pointer = Arc<Adapter>;
//!     fn run(_this: Arc<Adapter>) { /* at PASSIVE_LEVEL; may block */ }
//! }
//!
//! let adapter = Arc::new(Adapter { reset: Work::new() });
//! // Nothing is attached in this example, so the queue hands the reference back.
//! assert!(bottomhalf::Workqueue::system().enqueue::<_, 0>(adapter).is_err());
//! ```

mod delayed_work;
mod owner;
mod tasklet;
mod work;
mod workqueue;

pub use self::delayed_work::{DelayedWork, HasDelayedWork};
pub use self::owner::Owner;
pub use self::tasklet::{HasTasklet, Tasklet, TaskletItem};
pub use self::work::{HasWork, Work, WorkItem};
pub use self::workqueue::{Bound, Builder, Ordered, Unbound, Workqueue, WorkqueueRef};

/// Implements one of the `Has…` traits; the field is checked by its type.
#[doc(hidden)]
#[macro_export]
macro_rules! __impl_has {
    ($trait:ident, $item:ident, $of:ident, $container:ty, $id:tt, $($field:tt)+) => {
        // SAFETY: `of` projects to the field, whose type the signature checks, and `OFFSET` is that
        // field's offset.
        unsafe impl $crate::$trait<$container, { $id }> for $container {
            const OFFSET: usize = ::core::mem::offset_of!($container, $($field)+);
            fn $of(this: *const Self) -> *const $crate::$item<$container, { $id }> {
                // SAFETY: a projection that reads nothing.
                unsafe { &raw const (*this).$($field)+ }
            }
        }
    };
}

/// Says which field of a type is its [`Work`] number `ID` (0 if not given).
///
/// ```
/// # use bottomhalf::{Work, WorkItem, impl_has_work};
/// struct Port { up: Work<Port>, down: Work<Port, 1> }
/// impl_has_work! { impl HasWork<Port> for Port { self.up } }
/// impl_has_work! { impl HasWork<Port, 1> for Port { self.down } }
/// # impl WorkItem for Port { type Pointer = std::sync::Arc<Port>; fn run(_: Self::Pointer) {} }
/// # impl WorkItem<1> for Port { type Pointer = std::sync::Arc<Port>; fn run(_: Self::Pointer) {} }
/// ```
#[macro_export]
macro_rules! impl_has_work {
    (impl HasWork<$container:ty> for $same:ty { self.$($field:tt)+ }) => {
        $crate::__impl_has!(HasWork, Work, work_of, $container, 0, $($field)+);
    };
    (impl HasWork<$container:ty, $id:tt> for $same:ty { self.$($field:tt)+ }) => {
        $crate::__impl_has!(HasWork, Work, work_of, $container, $id, $($field)+);
    };
}

/// Says which field of a type is its [`DelayedWork`] number `ID` (0 if not given).
#[macro_export]
macro_rules! impl_has_delayed_work {
    (impl HasDelayedWork<$container:ty> for $same:ty { self.$($field:tt)+ }) => {
        $crate::__impl_has!(HasDelayedWork, DelayedWork, delayed_work_of, $container, 0, $($field)+);
    };
    (impl HasDelayedWork<$container:ty, $id:tt> for $same:ty { self.$($field:tt)+ }) => {
        $crate::__impl_has!(HasDelayedWork, DelayedWork, delayed_work_of, $container, $id, $($field)+);
    };
}

/// Says which field of a type is its [`Tasklet`] number `ID` (0 if not given).
#[macro_export]
macro_rules! impl_has_tasklet {
    (impl HasTasklet<$container:ty> for $same:ty { self.$($field:tt)+ }) => {
        $crate::__impl_has!(HasTasklet, Tasklet, tasklet_of, $container, 0, $($field)+);
    };
    (impl HasTasklet<$container:ty, $id:tt> for $same:ty { self.$($field:tt)+ }) => {
        $crate::__impl_has!(HasTasklet, Tasklet, tasklet_of, $container, $id, $($field)+);
    };
}
