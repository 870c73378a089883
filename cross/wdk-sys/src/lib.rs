//! A stand-in for `wdk-sys` 0.5.2 that needs no WDK: the names and signatures that this project's KMDF
//! backend uses, as bindgen writes them for x64 and KMDF 1.33, and nothing that the real crate lacks.
//!
//! Types, constants and table indices are the ABI of `kmdf-mock`. The macro that calls a WDF function
//! is the genuine one of `wdk-macros`. What a driver writes against this crate it can write against
//! the real one:
//!
//! ```
//! use wdk_sys::{NTSTATUS, WDFDPC, call_unsafe_wdf_function_binding, ntddk};
//! unsafe fn enqueue(dpc: WDFDPC) -> bool {
//!     unsafe { call_unsafe_wdf_function_binding!(WdfDpcEnqueue, dpc) != 0 }
//! }
//! unsafe fn interrupted_thread() -> wdk_sys::HANDLE {
//!     unsafe { ntddk::PsGetCurrentThreadId() }
//! }
//! const FAILED: NTSTATUS = wdk_sys::STATUS_INSUFFICIENT_RESOURCES;
//! # fn main() {}
//! ```
//!
//! A handle of another type, a call without its argument, a function that the headers define inline
//! and a status code that they spell as a cast are refused here as they are there:
//!
//! ```compile_fail,E0308
//! use wdk_sys::{WDFTIMER, call_unsafe_wdf_function_binding};
//! unsafe fn enqueue(timer: WDFTIMER) -> bool {
//!     unsafe { call_unsafe_wdf_function_binding!(WdfDpcEnqueue, timer) != 0 }
//! }
//! # fn main() {}
//! ```
//! ```compile_fail,E0061
//! use wdk_sys::call_unsafe_wdf_function_binding;
//! unsafe fn enqueue() -> bool {
//!     unsafe { call_unsafe_wdf_function_binding!(WdfDpcEnqueue) != 0 }
//! }
//! # fn main() {}
//! ```
//! ```compile_fail,E0425
//! use wdk_sys::ntddk;
//! unsafe fn interrupted_thread() -> wdk_sys::PKTHREAD {
//!     unsafe { ntddk::KeGetCurrentThread() }
//! }
//! # fn main() {}
//! ```
//! ```compile_fail,E0425
//! use wdk_sys::NTSTATUS;
//! const FAILED: NTSTATUS = wdk_sys::STATUS_WDF_PARENT_NOT_SPECIFIED;
//! # fn main() {}
//! ```
//! ```compile_fail,E0616
//! fn importance(dpc: &wdk_sys::KDPC) -> u8 {
//!     dpc.Importance
//! }
//! # fn main() {}
//! ```

#![no_std]

#[doc(hidden)]
pub use wdk_macros as __proc_macros;

mod bindings;
pub mod ntddk;

pub use bindings::*;

/// What `wdk-macros` calls besides the function table.
pub mod wdf {
    #[doc(hidden)]
    pub mod __private {
        /// The number of entries of the function table that the framework has given the driver.
        #[must_use]
        pub fn get_wdf_function_count() -> usize {
            // SAFETY: the framework writes the count before DriverEntry and never again, and the
            // static lives as long as the driver's image.
            (unsafe { crate::WdfFunctionCount }) as usize
        }
    }
}

include!(concat!(
    env!("OUT_DIR"),
    "/call_unsafe_wdf_function_binding.rs"
));

/// Whether `nt_status` is a success or an informational code.
#[must_use]
#[allow(
    non_snake_case,
    reason = "the macro of the Windows headers has this name"
)]
pub const fn NT_SUCCESS(nt_status: NTSTATUS) -> bool {
    nt_status >= 0
}

/// Asserts, in a debug build, that the caller runs below DISPATCH_LEVEL.
#[macro_export]
macro_rules! PAGED_CODE {
    () => {
        debug_assert!(unsafe { $crate::ntddk::KeGetCurrentIrql() <= $crate::APC_LEVEL as u8 });
    };
}
