//! The ABI: types, constants and table indices of the NT and KMDF subset, written once.
//!
//! The names, the spelling and the shapes are those that `wdk-sys` 0.5.2 generates with bindgen for
//! x64, KMDF 1.33 and the Windows 10 headers, so that code written against this file compiles against
//! the real crate. Sizes, offsets and indices are pinned by `mock/layout.tsv` (see `tests/abi.rs`).
//! `wdk-macros` reads `functions.rs` itself to find the prototype of a WDF function, therefore every
//! `PFN_…` alias there spells its parameters out and the file has no macros.
//!
//! Two files are no part of `wdk-sys`, and the stand-in of `cross/` leaves them out: `wdf_status.rs` and
//! `inspect.rs`.
//!
//! Integer types are Rust's fixed-width ones rather than `c_ulong` and `c_long`: the same types on
//! Windows, and right on a host where `c_long` has 64 bits.

#![allow(
    missing_debug_implementations,
    missing_docs,
    non_camel_case_types,
    non_snake_case,
    non_upper_case_globals,
    reason = "the names are those of the Windows headers, whose documentation is Microsoft's"
)]

mod constants;
mod functions;
mod inspect;
mod io;
mod processor;
mod types;
mod wdf_status;

pub use constants::*;
pub use functions::*;
pub use io::*;
pub use processor::*;
pub use types::*;
pub use wdf_status::*;
