//! A stand-in for `wdk-panic` 0.5.0: a panic is a bug check, with the place as its parameters.

#![no_std]

use core::panic::PanicInfo;

/// The code of the bug check, as the crate of this name has it.
const RUST_PANIC: u32 = u32::from_be_bytes(*b"RPNC");

#[cfg_attr(not(test), panic_handler)]
#[cfg_attr(test, allow(dead_code, reason = "tests have the handler of std"))]
fn panic(info: &PanicInfo<'_>) -> ! {
    let (file, line, column) = info
        .location()
        .map_or(("", 0, 0), |at| (at.file(), at.line(), at.column()));
    // SAFETY: legal at any IRQL; does not return.
    unsafe {
        wdk_sys::ntddk::KeBugCheckEx(
            RUST_PANIC,
            file.as_ptr() as u64,
            file.len() as u64,
            u64::from(line),
            u64::from(column),
        )
    }
}
