//! Worlds: making one, running code in it, and what a test does inside.

pub(crate) mod config;
pub(crate) mod counters;
pub(crate) mod failure;
mod harness;
mod interrupt;
pub(crate) mod panics;
pub mod pool;
mod run;
mod seeds;
pub(crate) mod state;
mod thread;
pub(crate) mod trace;
pub(crate) mod watch;

pub use config::{Preemption, Verifier};
pub use counters::Counters;
#[doc(hidden)]
pub use failure::assertion_failed;
pub use failure::{Failure, Program, describe_program, fail};
pub use harness::*;
pub use interrupt::Interrupt;
pub use run::{Live, Sim, Traced};
pub use seeds::seeds;
pub use thread::{Gate, Thread, spawn};
pub use watch::{Place, Write, accesses, place, unwatch, watch};

pub use crate::wdf::{Driver, DriverEntry, IoStatus, IoTarget, ioctl};
pub(crate) use state::{World, in_sim, try_current};
