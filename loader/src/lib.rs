//! Loads a KMDF driver image, byte for byte what Windows would load, and runs it on `kmdf-mock`.
//!
//! The image is mapped and protected as NT does it; its imports and its WDF function table lead to the calls of
//! `kmdf-mock`, and its callbacks are called from there, each through code that changes the calling convention.
//! One process runs one image: see [`run`].

mod convert;
mod cover;
mod emulate;
mod fault;
mod frames;
mod harness;
mod import;
pub mod map;
mod nt;
pub mod pe;
mod print;
mod rtl;
mod run;
mod spin;
mod thunk;
mod wdf;
mod wdfldr;

pub use run::{Engine, Machine, Options, run};

/// The exit status of a run that went well.
pub const GOOD: i32 = 0;
/// The exit status of a run in which a request to the driver failed.
pub const REQUEST: i32 = 1;
/// The exit status of a command line that cannot be understood, and of a file that cannot be read.
pub const USAGE: i32 = 2;
/// The exit status of a bug check.
pub const BUG_CHECK: i32 = 111;
/// The exit status of a fault in the driver.
pub const FAULT: i32 = 112;
/// The exit status of an image that is not loaded.
pub const REFUSED: i32 = 113;
