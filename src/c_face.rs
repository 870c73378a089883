//! What `bottomhalf-c` says about calls that Rust's types rule out and C's do not. For that package
//! alone: no part of the interface.

use core::fmt;

use crate::attach::Attachment;
use crate::engine::backend::Backend;
use crate::engine::diagnostic::{Diagnostic, report, report_mismatch};
use crate::kmdf::Kmdf;

/// `call` was given a null function, name or structure (BH34).
pub fn null_argument(call: &str) {
    report::<Kmdf>(Diagnostic::NullArgument, call, 0, 0);
}

/// The driver's `config` does not fit this library: what differs, the driver's value and the library's
/// (BH35).
pub fn config_mismatch(call: &str, what: &str, drivers: u32, librarys: u32) {
    report_mismatch::<Kmdf>(call, what, drivers, librarys);
}

/// `call` was given an attachment, at `address`, that is not attached, or one that is (BH36).
pub fn wrong_attachment(call: &str, address: usize) {
    report::<Kmdf>(Diagnostic::WrongAttachment, call, address, 0);
}

/// Prints a line where the diagnostics go.
pub fn print(line: fmt::Arguments<'_>) {
    Kmdf::print(line);
}

/// Ends the attach of `attachment`, which is then not dropped any more; false if that is refused, which is
/// said: it is attached as before.
pub fn detach(attachment: &mut core::mem::ManuallyDrop<Attachment>) -> bool {
    attachment.end()
}
