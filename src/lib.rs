#![doc = include_str!("../README.md")]
//!
//! # Where things are
//!
//! | module | layer | what |
//! |---|---|---|
//! | [`tasklet`], [`interrupt`], [`work`], [`on_cpu`], [`delayed_work`], [`workqueue`], [`system_queues`], [`init`], [`execute`], [`devm`], [`jiffies`]; [`linux`] for all | API | Linux's names and returns |
//! | `typed`: `Tasklet`, `Work`, `DelayedWork`, `Workqueue` | API | the typed face, feature `alloc` |
//! | `c_face` | API | what `bottomhalf-c` (`capi/`) adds for calls that only C can make |
//! | `engine` | policy | state words, queues, flush, cancel, timers |
//! | `kmdf` | backend | WDFDPC, WDFWORKITEM, WDFTIMER; the only place that names `wdk_sys` |
//! | `sync` | bottom | atomics and the bare lock |
#![no_std]
#![expect(
    non_camel_case_types,
    non_snake_case,
    reason = "the public names are Linux's"
)]

#[cfg(feature = "alloc")]
extern crate alloc;
#[cfg(any(test, feature = "mock"))]
extern crate std;

mod attach;
#[doc(hidden)]
pub mod c_face;
pub mod delayed_work;
pub mod devm;
#[cfg_attr(
    not(any(feature = "mock", all(feature = "kmdf", any(windows, wdk_standin)))),
    allow(dead_code, reason = "nothing can be attached without a provider")
)]
mod engine;
pub mod execute;
pub mod init;
pub mod interrupt;
pub mod jiffies;
mod kmdf;
pub mod linux;
pub mod on_cpu;
mod sync;
pub mod system_queues;
pub mod tasklet;
#[cfg(feature = "alloc")]
pub mod typed;
pub mod work;
pub mod workqueue;

pub use crate::attach::{Attachment, attach, counters};
pub use crate::engine::backend::Status;
pub use crate::engine::runtime::Counters;
pub use crate::kmdf::{Config, Host, WorkReentrance};
#[cfg(feature = "alloc")]
pub use crate::typed::{
    Bh, Bound, Builder, DelayedWork, HasDelayedWork, HasMaxActive, HasTasklet, HasWork, InThreads,
    Ordered, Owner, QueueKind, Tasklet, TaskletItem, Unbound, Work, WorkItem, Workqueue,
    WorkqueueRef,
};
