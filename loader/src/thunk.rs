//! Code that is made at run time: the ways between the driver's calling convention and the host's.
//!
//! The driver's functions take Microsoft's x64 convention, and `kmdf-mock` calls with System V's. Every page of
//! code is written once, then made executable, and never written again.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use crate::pe::PAGE;

/// Puts code on new pages that can be executed. Returns where it begins. It stays for good.
fn place(code: &[u8]) -> usize {
    let size = code.len().next_multiple_of(PAGE);
    // SAFETY: a new private mapping; it is written before anybody knows of it, and then only executed.
    unsafe {
        let pages = libc::mmap(
            std::ptr::null_mut(),
            size,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
            -1,
            0,
        );
        assert_ne!(pages, libc::MAP_FAILED, "no memory for a page of code");
        std::ptr::copy_nonoverlapping(code.as_ptr(), pages.cast(), code.len());
        let result = libc::mprotect(pages, size, libc::PROT_READ | libc::PROT_EXEC);
        assert_eq!(result, 0, "the host lets no page of code be made");
        pages as usize
    }
}

/// Code that takes up to six integer arguments in System V's registers and passes them on to `target` in
/// Microsoft's: four in registers, with room for them on the stack, and the rest above that room.
fn to_driver(target: usize) -> Vec<u8> {
    let mut code = vec![
        0x55, // push rbp
        0x48, 0x89, 0xE5, // mov rbp, rsp
        0x48, 0x83, 0xEC, 0x30, // sub rsp, 0x30
        0x4C, 0x89, 0x44, 0x24, 0x20, // mov [rsp + 0x20], r8
        0x4C, 0x89, 0x4C, 0x24, 0x28, // mov [rsp + 0x28], r9
        0x49, 0x89, 0xC9, // mov r9, rcx
        0x49, 0x89, 0xD0, // mov r8, rdx
        0x48, 0x89, 0xF2, // mov rdx, rsi
        0x48, 0x89, 0xF9, // mov rcx, rdi
        0x48, 0xB8, // mov rax, target
    ];
    code.extend_from_slice(&target.to_le_bytes());
    code.extend_from_slice(&[
        0xFF, 0xD0, // call rax
        0xC9, // leave
        0xC3, // ret
    ]);
    code
}

/// Bytes from one of [`stubs`] to the next.
const STUB: usize = 32;

/// `count` functions for the driver; the n-th passes n to `target` as its only argument.
pub(crate) fn stubs(count: u32, target: extern "win64" fn(u32) -> !) -> impl Fn(u32) -> usize {
    let mut code = Vec::new();
    for number in 0..count {
        let begin = code.len();
        code.push(0xB9); // mov ecx, number
        code.extend_from_slice(&number.to_le_bytes());
        code.extend_from_slice(&[0x48, 0xB8]); // mov rax, target
        code.extend_from_slice(&(target as usize).to_le_bytes());
        code.extend_from_slice(&[0xFF, 0xE0]); // jmp rax
        code.resize(begin + STUB, 0xCC);
    }
    let first = place(if code.is_empty() { &[0xCC] } else { &code });
    move |number| {
        assert!(number < count, "there is no stub {number}");
        first + number as usize * STUB
    }
}

static MADE: Mutex<Option<HashMap<usize, usize>>> = Mutex::new(None);

/// A function of System V's convention that calls `target`, a function of the driver. One for each target.
pub(crate) fn callback(target: usize) -> usize {
    let mut made = MADE.lock().unwrap_or_else(PoisonError::into_inner);
    *made
        .get_or_insert_default()
        .entry(target)
        .or_insert_with(|| place(&to_driver(target)))
}

#[cfg(test)]
mod tests {
    use super::*;

    extern "win64" fn six(a: u64, b: u64, c: u64, d: u64, e: u64, f: u64) -> u64 {
        a + b * 10 + c * 100 + d * 1_000 + e * 10_000 + f * 100_000
    }

    extern "win64" fn none() {}

    #[test]
    fn six_arguments_arrive_in_their_order() {
        let thunk = callback(six as *const () as usize);
        // SAFETY: the code takes six integers and returns one.
        let call: extern "C" fn(u64, u64, u64, u64, u64, u64) -> u64 =
            unsafe { std::mem::transmute(thunk) };
        assert_eq!(call(1, 2, 3, 4, 5, 6), 654_321);
    }

    #[test]
    fn a_pointer_has_one_thunk() {
        let first = callback(six as *const () as usize);
        assert_eq!(callback(six as *const () as usize), first);
        assert_ne!(callback(none as *const () as usize), first);
    }
}
