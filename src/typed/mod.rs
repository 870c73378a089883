//! The typed face: pinned items that carry their owner with them.
//!
//! Queueing hands a reference to the item's container over to the queue; running hands it back, by
//! value, to [`WorkItem::run`]. A refused queueing hands it back at once, and so does a cancel.
//! There is no `unsafe` in a driver that uses it, once it has attached, and no way to free an item
//! that is pending. The shape is that of Rust for Linux.
//!
//! | | container's owner | queued by | runs at |
//! |---|---|---|---|
//! | [`Tasklet`] | `Arc<T>` | [`Tasklet::schedule`] | DISPATCH_LEVEL |
//! | [`Work`] | `Arc<T>`, `Pin<Box<T>>` | [`WorkqueueRef::enqueue`] | PASSIVE_LEVEL |
//! | [`DelayedWork`] | `Arc<T>`, `Pin<Box<T>>` | [`WorkqueueRef::enqueue_delayed`], [`modify_delayed`](WorkqueueRef::modify_delayed) | PASSIVE_LEVEL |
//! | a closure | | [`WorkqueueRef::try_spawn`], [`try_spawn_delayed`](WorkqueueRef::try_spawn_delayed) | PASSIVE_LEVEL |
//!
//! Three things are still the driver's to do: a container whose works queue each other has to be told to
//! stop, or it keeps itself alive; a container that drops its own [`Workqueue`] must not do that from a
//! work of that queue; and the last reference that a [`Tasklet`] held is dropped at DISPATCH_LEVEL. None
//! of them is a matter of memory safety: each is reported, or a leak.

mod builder;
mod delayed_work;
mod owner;
mod spawn;
mod tasklet;
mod work;
mod workqueue;

pub use self::builder::{Bh, Bound, Builder, HasMaxActive, InThreads, Ordered, QueueKind, Unbound};
pub use self::delayed_work::{DelayedWork, HasDelayedWork};
pub use self::owner::Owner;
pub use self::tasklet::{HasTasklet, Tasklet, TaskletItem};
pub use self::work::{HasWork, Work, WorkItem};
pub use self::workqueue::{Workqueue, WorkqueueRef};

/// Implements one of the `Has…` traits. The field is checked by its type, and by `offset_of!`, which follows
/// no pointer. That it is aligned is the compiler's word: an atomic cannot be in a packed type (E0588).
#[doc(hidden)]
#[macro_export]
macro_rules! __impl_has {
    (
        $trait:ident, $item:ident, $of:ident, {$($generics:tt)*}, $named:ty, $id:tt, $container:ty,
        $($field:tt)+
    ) => {
        // SAFETY: `of` projects to the field, whose type the signature checks, and `OFFSET` is that
        // field's offset.
        unsafe impl<$($generics)*> $crate::$trait<$container, { $id }> for $container {
            const OFFSET: usize = ::core::mem::offset_of!($container, $($field)+);
            fn $of(this: *const Self) -> *const $crate::$item<$container, { $id }> {
                // The type in the angle brackets is the container.
                let _: *const $named = this;
                // SAFETY: a projection that reads nothing, within a container that is there.
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
/// impl_has_work! { impl HasWork<Self> for Port { self.up } }
/// impl_has_work! { impl HasWork<Self, 1> for Port { self.down } }
/// # impl WorkItem for Port { type Pointer = std::sync::Arc<Port>; fn run(_: Self::Pointer) {} }
/// # impl WorkItem<1> for Port { type Pointer = std::sync::Arc<Port>; fn run(_: Self::Pointer) {} }
/// ```
///
/// A generic container names its parameters in braces:
///
/// ```
/// # use bottomhalf::{Work, WorkItem, impl_has_work};
/// struct Queue<T> { work: Work<Queue<T>>, item: T }
/// impl_has_work! { impl{T: Send + 'static} HasWork<Self> for Queue<T> { self.work } }
/// # impl<T: Send + 'static> WorkItem for Queue<T> {
/// #     type Pointer = std::pin::Pin<Box<Queue<T>>>;
/// #     fn run(_: Self::Pointer) {}
/// # }
/// # let _ = Queue { work: Work::new(), item: 7 };
/// ```
#[macro_export]
macro_rules! impl_has_work {
    (impl $({$($generics:tt)*})? HasWork<$named:ty> for $container:ty { self.$($field:tt)+ }) => {
        $crate::__impl_has!(
            HasWork, Work, work_of, {$($($generics)*)?}, $named, 0, $container, $($field)+
        );
    };
    (impl $({$($generics:tt)*})? HasWork<$named:ty, $id:tt> for $container:ty { self.$($field:tt)+ }) => {
        $crate::__impl_has!(
            HasWork, Work, work_of, {$($($generics)*)?}, $named, $id, $container, $($field)+
        );
    };
}

/// Says which field of a type is its [`DelayedWork`] number `ID` (0 if not given). As
/// [`impl_has_work!`](crate::impl_has_work).
#[macro_export]
macro_rules! impl_has_delayed_work {
    (impl $({$($generics:tt)*})? HasDelayedWork<$named:ty> for $container:ty { self.$($field:tt)+ }) => {
        $crate::__impl_has!(
            HasDelayedWork, DelayedWork, delayed_work_of, {$($($generics)*)?}, $named, 0, $container,
            $($field)+
        );
    };
    (impl $({$($generics:tt)*})? HasDelayedWork<$named:ty, $id:tt> for $container:ty { self.$($field:tt)+ }) => {
        $crate::__impl_has!(
            HasDelayedWork, DelayedWork, delayed_work_of, {$($($generics)*)?}, $named, $id, $container,
            $($field)+
        );
    };
}

/// Says which field of a type is its [`Tasklet`] number `ID` (0 if not given). As
/// [`impl_has_work!`](crate::impl_has_work).
#[macro_export]
macro_rules! impl_has_tasklet {
    (impl $({$($generics:tt)*})? HasTasklet<$named:ty> for $container:ty { self.$($field:tt)+ }) => {
        $crate::__impl_has!(
            HasTasklet, Tasklet, tasklet_of, {$($($generics)*)?}, $named, 0, $container, $($field)+
        );
    };
    (impl $({$($generics:tt)*})? HasTasklet<$named:ty, $id:tt> for $container:ty { self.$($field:tt)+ }) => {
        $crate::__impl_has!(
            HasTasklet, Tasklet, tasklet_of, {$($($generics)*)?}, $named, $id, $container, $($field)+
        );
    };
}
