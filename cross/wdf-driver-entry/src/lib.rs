//! What a KMDF driver gets from WdfDriverEntry.lib: the entry point of its image, which binds the driver to
//! the framework, calls DriverEntry, and leaves the framework when the driver is unloaded; and the
//! variables through which every WDF call goes (BIND-11, BIND-12, BIND-14).
//!
//! `ci/sys.sh` makes the static library of that name out of it, for drivers in Rust and in C.

#![no_std]
#![allow(
    non_upper_case_globals,
    reason = "the names are those of the framework's library"
)]

use core::cell::UnsafeCell;
use core::ptr::{null, null_mut};

use wdk_sys::{
    _WDFFUNCENUM, DRIVER_OBJECT, NT_SUCCESS, NTSTATUS, PCUNICODE_STRING, PDRIVER_OBJECT,
    PDRIVER_UNLOAD, PUNICODE_STRING, PVOID, PWDF_DRIVER_GLOBALS, ULONG, UNICODE_STRING, WDFFUNC,
};

/// A variable of the image. It is written while the image has one thread, at load and at unload.
#[repr(transparent)]
struct Variable<T>(UnsafeCell<T>);
// SAFETY: whoever writes it is alone, and who reads it comes after.
unsafe impl<T> Sync for Variable<T> {}

impl<T> Variable<T> {
    const fn new(value: T) -> Self {
        Self(UnsafeCell::new(value))
    }
}

#[unsafe(no_mangle)]
static WdfFunctions_01033: Variable<*const WDFFUNC> = Variable::new(null());
#[unsafe(no_mangle)]
static WdfDriverGlobals: Variable<PWDF_DRIVER_GLOBALS> = Variable::new(null_mut());
#[unsafe(no_mangle)]
static WdfFunctionCount: Variable<ULONG> = Variable::new(FUNCTIONS);
/// The mark that a compiler asks for where a program computes with fractions.
#[unsafe(no_mangle)]
static _fltused: i32 = 0;

const FUNCTIONS: ULONG = _WDFFUNCENUM::WdfFunctionTableNumEntries as ULONG;

/// `WDF_BIND_INFO`: what the driver was compiled for, and where the framework puts the table.
#[repr(C)]
struct BindInfo {
    size: ULONG,
    component: *const u16,
    major: ULONG,
    minor: ULONG,
    build: ULONG,
    functions: ULONG,
    table: *const Variable<*const WDFFUNC>,
    module: PVOID,
}
const _: () = assert!(size_of::<BindInfo>() == 48);

static COMPONENT: [u16; 12] = utf16(b"KmdfLibrary\0");
static BIND_INFO: Variable<BindInfo> = Variable::new(BindInfo {
    size: size_of::<BindInfo>() as ULONG,
    component: COMPONENT.as_ptr(),
    major: 1,
    minor: 33,
    build: 0,
    functions: FUNCTIONS,
    table: &raw const WdfFunctions_01033,
    module: null_mut(),
});

/// How many characters of the registry path are kept for the unload, which comes without it.
const PATH: usize = 260;
static PATH_BUFFER: Variable<[u16; PATH]> = Variable::new([0; PATH]);
static PATH_COPY: Variable<UNICODE_STRING> = Variable::new(UNICODE_STRING {
    Length: 0,
    MaximumLength: 0,
    Buffer: null_mut(),
});
/// What the framework has put into the driver object.
static FRAMEWORKS_UNLOAD: Variable<PDRIVER_UNLOAD> = Variable::new(None);

const fn utf16<const N: usize>(ascii: &[u8; N]) -> [u16; N] {
    let mut units = [0; N];
    let mut index = 0;
    while index < N {
        units[index] = ascii[index] as u16;
        index += 1;
    }
    units
}

unsafe extern "C" {
    /// The driver's own.
    fn DriverEntry(driver: PDRIVER_OBJECT, path: PUNICODE_STRING) -> NTSTATUS;
}

// They are ntoskrnl's and WDFLDR's; whoever links the driver names the import libraries.
unsafe extern "C" {
    fn RtlCopyUnicodeString(to: PUNICODE_STRING, from: PCUNICODE_STRING);
    fn WdfVersionBind(
        driver: PDRIVER_OBJECT,
        path: PUNICODE_STRING,
        info: *mut BindInfo,
        globals: *mut PWDF_DRIVER_GLOBALS,
    ) -> NTSTATUS;
    fn WdfVersionUnbind(
        path: PUNICODE_STRING,
        info: *mut BindInfo,
        globals: PWDF_DRIVER_GLOBALS,
    ) -> NTSTATUS;
}

/// The entry point of the image.
///
/// # Safety
/// Called once, by the system, at PASSIVE_LEVEL.
#[unsafe(no_mangle)]
unsafe extern "C" fn FxDriverEntry(driver: &mut DRIVER_OBJECT, path: PUNICODE_STRING) -> NTSTATUS {
    // SAFETY: nothing else of this image runs yet, so its variables are ours.
    unsafe {
        let copy = PATH_COPY.0.get();
        *copy = UNICODE_STRING {
            Length: 0,
            MaximumLength: (PATH * size_of::<u16>()) as u16,
            Buffer: PATH_BUFFER.0.get().cast(),
        };
        RtlCopyUnicodeString(copy, path);
        let bound = WdfVersionBind(driver, copy, BIND_INFO.0.get(), WdfDriverGlobals.0.get());
        if !NT_SUCCESS(bound) {
            return bound;
        }
        let status = DriverEntry(driver, path);
        if !NT_SUCCESS(status) {
            unbind();
            return status;
        }
        *FRAMEWORKS_UNLOAD.0.get() = driver.DriverUnload;
        driver.DriverUnload = Some(unload);
        status
    }
}

/// The framework's unload, which calls EvtDriverUnload; then the driver leaves the framework.
unsafe extern "C" fn unload(driver: PDRIVER_OBJECT) {
    // SAFETY: the last call into this image; DriverEntry wrote the variable.
    unsafe {
        if let Some(unload) = *FRAMEWORKS_UNLOAD.0.get() {
            unload(driver);
        }
        unbind();
    }
}

/// Leaves the framework.
///
/// # Safety
/// The driver is bound to it.
unsafe fn unbind() {
    // SAFETY: by the caller's word; what it failed with changes nothing any more.
    unsafe {
        let _status = WdfVersionUnbind(
            PATH_COPY.0.get(),
            BIND_INFO.0.get(),
            *WdfDriverGlobals.0.get(),
        );
    }
}

/// A static library has one of its own. Nothing here panics.
#[cfg(windows)]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}
