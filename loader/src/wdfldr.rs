//! WDFLDR.SYS: a driver asks for the framework, and leaves it.

use std::sync::atomic::{AtomicBool, Ordering};

use kmdf_mock::*;

use crate::convert::Entry;
use crate::wdf;

/// The major version of KMDF.
const MAJOR: u32 = 1;
/// The minor version of the mock's KMDF.
const MINOR: u32 = 33;
/// `STATUS_REVISION_MISMATCH`.
const STATUS_REVISION_MISMATCH: NTSTATUS = 0xC000_0059_u32 as i32;

/// `WDF_BIND_INFO` on x64 (facts/nt.md, BIND-12).
#[repr(C)]
#[derive(Debug, Clone, Copy)]
struct BindInfo {
    size: ULONG,
    component: *const u16,
    major: ULONG,
    minor: ULONG,
    build: ULONG,
    functions: ULONG,
    /// Where the driver keeps the address of its function table.
    table: *mut *const usize,
    module: PVOID,
}

const _: () = assert!(size_of::<BindInfo>() == 48);

/// What WDFLDR.SYS exports here.
pub(crate) static CALLS: &[(&str, Entry)] = &[
    ("WdfVersionBind", Entry(bind as *const ())),
    ("WdfVersionUnbind", Entry(unbind as *const ())),
];

static BOUND: AtomicBool = AtomicBool::new(false);

/// Whether the driver has bound itself to the framework and not left it.
pub(crate) fn is_bound() -> bool {
    BOUND.load(Ordering::Relaxed)
}

/// Ends the run because the entry stub of the driver is not KMDF's.
fn misused(call: &str, what: &str) -> ! {
    world::fail("SIM_BAD_BIND", format!("{call}: {what}"))
}

/// Whether the zero-terminated text at `text` is `expected`.
///
/// # Safety
/// `text` ends with a zero.
unsafe fn is_text(text: *const u16, expected: &str) -> bool {
    let mut place = text;
    let units = expected.encode_utf16().chain([0]);
    for unit in units {
        // SAFETY: every unit before was equal and no zero, so there is one more.
        if unsafe { place.read() } != unit {
            return false;
        }
        place = place.wrapping_add(1);
    }
    true
}

/// Reads and checks what the driver says about itself.
///
/// # Safety
/// `info` is NULL or as long as its first member says.
unsafe fn read(info: *const BindInfo, call: &str) -> BindInfo {
    if info.is_null() {
        misused(call, "the WDF_BIND_INFO is NULL");
    }
    // SAFETY: the size is in front of every version of the structure.
    let size = unsafe { info.cast::<u32>().read() };
    if size as usize != size_of::<BindInfo>() {
        misused(call, &format!("WDF_BIND_INFO has {size} bytes, not 48"));
    }
    // SAFETY: the size was just checked.
    let info = unsafe { info.read() };
    // SAFETY: the name of the component is a literal of the driver.
    if info.component.is_null() || !unsafe { is_text(info.component, "KmdfLibrary") } {
        misused(call, "the component is not KmdfLibrary");
    }
    info
}

/// `WdfVersionBind`.
unsafe extern "win64" fn bind(
    object: PDRIVER_OBJECT,
    path: PCUNICODE_STRING,
    info: *const BindInfo,
    globals: *mut PWDF_DRIVER_GLOBALS,
) -> NTSTATUS {
    const CALL: &str = "WdfVersionBind";
    // SAFETY: by the driver's word.
    let info = unsafe { read(info, CALL) };
    if object.is_null() || path.is_null() || globals.is_null() || info.table.is_null() {
        misused(CALL, "an argument is NULL");
    }
    if info.major != MAJOR || info.minor > MINOR {
        return STATUS_REVISION_MISMATCH;
    }
    let table = wdf::table();
    if info.functions as usize > table.len()
        || (info.minor == MINOR && (info.functions as usize) != table.len())
    {
        misused(
            CALL,
            &format!(
                "{} functions, but KMDF {MAJOR}.{MINOR} has {}",
                info.functions,
                table.len()
            ),
        );
    }
    if BOUND.swap(true, Ordering::Relaxed) {
        misused(CALL, "the driver is bound already");
    }
    // SAFETY: both are variables of the driver, by its word.
    unsafe {
        info.table.write(table.as_ptr());
        globals.write(kmdf_mock::wdf::driver_globals());
    }
    STATUS_SUCCESS
}

/// `WdfVersionUnbind`.
unsafe extern "win64" fn unbind(
    path: PCUNICODE_STRING,
    info: *const BindInfo,
    globals: PWDF_DRIVER_GLOBALS,
) -> NTSTATUS {
    const CALL: &str = "WdfVersionUnbind";
    // SAFETY: by the driver's word.
    unsafe { read(info, CALL) };
    if path.is_null() || globals != kmdf_mock::wdf::driver_globals() {
        misused(
            CALL,
            "the path is NULL, or the globals are not the driver's",
        );
    }
    if !BOUND.swap(false, Ordering::Relaxed) {
        misused(CALL, "the driver is not bound");
    }
    STATUS_SUCCESS
}
