//! A stand-in for `wdk` 0.5.0: printing to the kernel debugger.

#![no_std]

use core::fmt::{self, Write};

pub use wdk_sys::NT_SUCCESS as nt_success;
pub use wdk_sys::PAGED_CODE as paged_code;

/// What one call of `DbgPrint` takes, the final zero byte included.
const CHUNK: usize = 512;

struct Debugger {
    chunk: [u8; CHUNK],
    used: usize,
}

impl Debugger {
    fn flush(&mut self) {
        if self.used > 0 {
            self.chunk[self.used] = 0;
            // SAFETY: `%s` takes one pointer to bytes that end in zero; `chunk` is such and outlives
            // the call.
            unsafe {
                wdk_sys::ntddk::DbgPrint(c"%s".as_ptr().cast(), self.chunk.as_ptr());
            }
            self.used = 0;
        }
    }
}

impl Write for Debugger {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            if self.used == CHUNK - 1 {
                self.flush();
            }
            self.chunk[self.used] = byte;
            self.used += 1;
        }
        Ok(())
    }
}

#[doc(hidden)]
pub fn _print(arguments: fmt::Arguments<'_>) {
    let mut debugger = Debugger {
        chunk: [0; CHUNK],
        used: 0,
    };
    // A failure comes from a `Display` of the caller; what was written until then is still shown.
    let _ = debugger.write_fmt(arguments);
    debugger.flush();
}

/// Prints to the debugger.
#[macro_export]
macro_rules! print {
    ($($argument:tt)*) => {
        $crate::_print(format_args!($($argument)*))
    };
}

/// Prints to the debugger, with a newline.
#[macro_export]
macro_rules! println {
    () => {
        $crate::print!("\n")
    };
    ($($argument:tt)*) => {
        $crate::print!("{}\n", format_args!($($argument)*))
    };
}
