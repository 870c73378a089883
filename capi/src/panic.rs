//! A panic in a driver: a bug check. The library has no path on which it panics unless memory safety or its
//! own invariants are lost already, so there is nothing to go on with.

use core::panic::PanicInfo;

use wdk_sys::ULONG_PTR;
use wdk_sys::ntddk::KeBugCheckEx;

#[cfg(not(panic = "abort"))]
compile_error!(
    "build the library for drivers with panic = \"abort\": cargo build --profile driver \
     -p bottomhalf-c --no-default-features --features kmdf"
);

/// `BOTTOMHALF_BUG_CHECK_PANIC`: the code of the bug check. Its parameters are the address and the length of
/// the name of the source file, which is in the driver's image, the line, and the column.
const BUG_CHECK_PANIC: u32 = 0x4248_0001;

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    let (file, line, column) = match info.location() {
        Some(place) => (place.file(), place.line(), place.column()),
        None => ("", 0, 0),
    };
    // SAFETY: any IRQL, and no condition. The name is a static of the image.
    unsafe {
        KeBugCheckEx(
            BUG_CHECK_PANIC,
            file.as_ptr().addr() as ULONG_PTR,
            file.len() as ULONG_PTR,
            ULONG_PTR::from(line),
            ULONG_PTR::from(column),
        )
    }
}
