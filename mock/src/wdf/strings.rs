//! `UNICODE_STRING`s that drivers pass.

use crate::abi::*;

/// The text of a string; `None` if the structure contradicts itself.
///
/// # Safety
/// - `string` points to a `UNICODE_STRING` whose buffer is as long as its lengths say.
pub(super) unsafe fn read(string: PCUNICODE_STRING) -> Option<String> {
    // SAFETY: the caller promises a readable structure.
    let UNICODE_STRING {
        Length,
        MaximumLength,
        Buffer,
    } = unsafe { string.read() };
    if Length % 2 != 0 || Length > MaximumLength || (Length != 0 && Buffer.is_null()) {
        return None;
    }
    if Length == 0 {
        return Some(String::new());
    }
    // SAFETY: the caller promises that the buffer holds `Length` bytes.
    let units = unsafe { std::slice::from_raw_parts(Buffer, usize::from(Length / 2)) };
    Some(String::from_utf16_lossy(units))
}
