//! A simulator of the NT and KMDF calls that deferred work stands on, under the names of `wdk-sys`.

#![cfg_attr(not(test), warn(clippy::dbg_macro))]

pub mod abi;
pub use abi::*;

mod engine;
pub mod image;
mod nt;
pub mod sync;
pub mod wdf;
pub mod world;

/// The NT calls, under the names and with the signatures of `wdk_sys::ntddk`.
pub mod ntddk {
    pub use crate::nt::*;
}
