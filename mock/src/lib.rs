//! A simulator of the NT and KMDF calls that deferred work stands on, under the names of `wdk-sys`.

pub mod abi;
pub use abi::*;
