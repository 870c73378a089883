//! The rest of ntoskrnl.exe that drivers import: texts, memory, and what the headers of the WDK call.

use std::ffi::c_void;
use std::sync::Mutex;

use kmdf_mock::*;

use crate::convert::Entry;
use crate::print::{self, Arguments};

/// Under their names.
pub(crate) static CALLS: &[(&str, Entry)] = &[
    ("DbgPrint", Entry(dbg_print as *const ())),
    ("DbgPrintEx", Entry(dbg_print_ex as *const ())),
    ("_vsnprintf", Entry(vsnprintf as *const ())),
    (
        "PsGetCurrentThreadId",
        Entry(current_thread_id as *const ()),
    ),
    ("PsGetCurrentThread", Entry(current_thread_id as *const ())),
    (
        "RtlInitUnicodeString",
        Entry(init_unicode_string as *const ()),
    ),
    (
        "RtlCopyUnicodeString",
        Entry(copy_unicode_string as *const ()),
    ),
    ("memcpy", Entry(move_memory as *const ())),
    ("memmove", Entry(move_memory as *const ())),
    ("memset", Entry(set_memory as *const ())),
    ("memcmp", Entry(compare_memory as *const ())),
    ("strlen", Entry(length as *const ())),
    ("strcmp", Entry(compare as *const ())),
    ("__chkstk", Entry(check_stack as *const ())),
];

/// What was printed and has no line end yet.
static BEGUN: Mutex<Vec<u8>> = Mutex::new(Vec::new());

/// Shows text, a line at a time, and keeps it with the world as its debugger's log.
fn show(text: &[u8]) {
    let mut lines = Vec::new();
    {
        let mut begun = BEGUN
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        begun.extend_from_slice(text);
        while let Some(end) = begun.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = begun.drain(..=end).collect();
            lines.push(String::from_utf8_lossy(line.trim_ascii_end()).into_owned());
        }
    }
    for line in lines {
        eprintln!("{line}");
        world::debug_print(&line);
    }
}

/// Most arguments of one call. Further ones are none of the caller's frame.
const SLOTS: usize = 16;

/// `DbgPrint`. A function with so many arguments finds those of a variadic call where they are.
unsafe extern "win64" fn dbg_print(
    format: *const u8,
    a: u64,
    b: u64,
    c: u64,
    d: u64,
    e: u64,
    f: u64,
    g: u64,
    h: u64,
    i: u64,
    j: u64,
    k: u64,
    l: u64,
    m: u64,
    n: u64,
    o: u64,
    p: u64,
) -> NTSTATUS {
    let slots: [u64; SLOTS] = [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p];
    // SAFETY: by the driver's word: a format, and no more arguments than there are slots.
    let text = unsafe { print::format(format, &mut Arguments::new(slots.as_ptr())) };
    show(&text);
    STATUS_SUCCESS
}

/// `DbgPrintEx`, whatever the component and the level.
unsafe extern "win64" fn dbg_print_ex(
    _component: ULONG,
    _level: ULONG,
    format: *const u8,
    a: u64,
    b: u64,
    c: u64,
    d: u64,
    e: u64,
    f: u64,
    g: u64,
    h: u64,
    i: u64,
    j: u64,
    k: u64,
    l: u64,
    m: u64,
    n: u64,
    o: u64,
    p: u64,
) -> NTSTATUS {
    let slots: [u64; SLOTS] = [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p];
    // SAFETY: as in `dbg_print`.
    let text = unsafe { print::format(format, &mut Arguments::new(slots.as_ptr())) };
    show(&text);
    STATUS_SUCCESS
}

/// `_vsnprintf`: no zero and -1 if the text does not fit.
unsafe extern "win64" fn vsnprintf(
    buffer: *mut u8,
    count: usize,
    format: *const u8,
    arguments: *const u64,
) -> i32 {
    // SAFETY: by the driver's word.
    let text = unsafe { print::format(format, &mut Arguments::new(arguments)) };
    let length = text.len().min(count);
    // SAFETY: the buffer has `count` bytes.
    unsafe { std::ptr::copy_nonoverlapping(text.as_ptr(), buffer, length) };
    if text.len() > count {
        return -1;
    }
    if text.len() < count {
        // SAFETY: as above.
        unsafe { buffer.add(length).write(0) };
    }
    text.len() as i32
}

/// `PsGetCurrentThreadId`: a number that no other live thread has. The thread's object is one.
unsafe extern "win64" fn current_thread_id() -> HANDLE {
    // SAFETY: in a world.
    unsafe { ntddk::KeGetCurrentThread() }.cast()
}

/// `RtlInitUnicodeString`.
unsafe extern "win64" fn init_unicode_string(string: PUNICODE_STRING, text: PCWSTR) {
    let mut units: u16 = 0;
    if !text.is_null() {
        // SAFETY: the text ends with a zero.
        while unsafe { text.add(usize::from(units)).read() } != 0 {
            units += 1;
        }
    }
    let made = UNICODE_STRING {
        Length: units * 2,
        MaximumLength: if text.is_null() { 0 } else { units * 2 + 2 },
        Buffer: text.cast_mut(),
    };
    // SAFETY: the driver's variable.
    unsafe { string.write(made) };
}

/// `RtlCopyUnicodeString`: as much as there is room for.
unsafe extern "win64" fn copy_unicode_string(to: PUNICODE_STRING, from: PCUNICODE_STRING) {
    // SAFETY: the driver's strings; the source may be NULL, which is an empty one.
    unsafe {
        if from.is_null() {
            (*to).Length = 0;
            return;
        }
        let bytes = (*from).Length.min((*to).MaximumLength);
        std::ptr::copy(
            (*from).Buffer.cast::<u8>(),
            (*to).Buffer.cast::<u8>(),
            bytes.into(),
        );
        (*to).Length = bytes;
        if bytes + 2 <= (*to).MaximumLength {
            (*to).Buffer.add(usize::from(bytes / 2)).write(0);
        }
    }
}

unsafe extern "win64" fn move_memory(
    to: *mut c_void,
    from: *const c_void,
    bytes: usize,
) -> *mut c_void {
    // SAFETY: by the driver's word.
    unsafe { std::ptr::copy(from.cast::<u8>(), to.cast::<u8>(), bytes) };
    to
}

unsafe extern "win64" fn set_memory(to: *mut c_void, byte: i32, bytes: usize) -> *mut c_void {
    // SAFETY: by the driver's word.
    unsafe { std::ptr::write_bytes(to.cast::<u8>(), byte as u8, bytes) };
    to
}

unsafe extern "win64" fn compare_memory(one: *const u8, other: *const u8, bytes: usize) -> i32 {
    // SAFETY: by the driver's word.
    let (one, other) = unsafe {
        (
            std::slice::from_raw_parts(one, bytes),
            std::slice::from_raw_parts(other, bytes),
        )
    };
    one.cmp(other) as i32
}

unsafe extern "win64" fn length(text: *const i8) -> usize {
    // SAFETY: by the driver's word the text ends with a zero.
    unsafe { std::ffi::CStr::from_ptr(text) }.count_bytes()
}

unsafe extern "win64" fn compare(one: *const i8, other: *const i8) -> i32 {
    // SAFETY: by the driver's word both end with a zero.
    let (one, other) = unsafe {
        (
            std::ffi::CStr::from_ptr(one),
            std::ffi::CStr::from_ptr(other),
        )
    };
    one.to_bytes().cmp(other.to_bytes()) as i32
}

/// `__chkstk`: touches each page of a frame of `rax` bytes, from above, and changes no register.
#[unsafe(naked)]
unsafe extern "win64" fn check_stack() {
    std::arch::naked_asm!(
        "push rcx",
        "push rax",
        "lea rcx, [rsp + 24]",
        "2:",
        "cmp rax, 4096",
        "jb 3f",
        "sub rcx, 4096",
        "test [rcx], rcx",
        "sub rax, 4096",
        "jmp 2b",
        "3:",
        "sub rcx, rax",
        "test [rcx], rcx",
        "pop rax",
        "pop rcx",
        "ret",
    )
}
