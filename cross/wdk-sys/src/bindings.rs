//! The ABI of `kmdf-mock`, file by file: `wdf_status.rs` and `inspect.rs` are left out, since `wdk-sys`
//! lacks what they add.

#![allow(
    missing_debug_implementations,
    missing_docs,
    non_camel_case_types,
    non_snake_case,
    non_upper_case_globals,
    reason = "the names are those of the Windows headers, whose documentation is Microsoft's"
)]

#[path = "../../../mock/src/abi/constants.rs"]
mod constants;
#[path = "../../../mock/src/abi/functions.rs"]
mod functions;
#[path = "../../../mock/src/abi/io.rs"]
mod io;
#[path = "../../../mock/src/abi/processor.rs"]
mod processor;
#[path = "../../../mock/src/abi/types.rs"]
mod types;

pub use constants::*;
pub use functions::*;
pub use io::*;
pub use processor::*;
pub use types::*;

unsafe extern "C" {
    /// The table of a KMDF 1.33 driver, by the name that WDF's import library gives it.
    #[link_name = "WdfFunctions_01033"]
    pub static mut WdfFunctions: *const WDFFUNC;
    pub static mut WdfDriverGlobals: PWDF_DRIVER_GLOBALS;
    pub static mut WdfFunctionCount: ULONG;
}
