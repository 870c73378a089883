//! `KeBugCheckEx`.

use crate::abi::{ULONG, ULONG_PTR};
use crate::world::fail;

/// Stops the machine: the run fails with NT's name of the code.
///
/// # Safety
/// None beyond being called in a world.
pub unsafe extern "C" fn KeBugCheckEx(
    BugCheckCode: ULONG,
    BugCheckParameter1: ULONG_PTR,
    BugCheckParameter2: ULONG_PTR,
    BugCheckParameter3: ULONG_PTR,
    BugCheckParameter4: ULONG_PTR,
) -> ! {
    let code = name(BugCheckCode, BugCheckParameter1);
    let message = format!(
        "KeBugCheckEx({BugCheckCode:#x}, {BugCheckParameter1:#x}, {BugCheckParameter2:#x}, \
         {BugCheckParameter3:#x}, {BugCheckParameter4:#x})"
    );
    fail(&code, message)
}

fn name(code: u32, p1: u64) -> String {
    match code {
        0x0A => format!("IRQL_NOT_LESS_OR_EQUAL(0xA,{p1:#X})"),
        0xB8 => "ATTEMPTED_SWITCH_FROM_DPC(0xB8)".to_owned(),
        0xC4 => format!("DV(0xC4,{p1:#X})"),
        0xC7 => format!("TIMER_OR_DPC_INVALID(0xC7,{p1})"),
        0xCE => "DRIVER_UNLOADED_PENDING(0xCE)".to_owned(),
        0xE2 => "MANUALLY_INITIATED_CRASH(0xE2)".to_owned(),
        0x10D => format!("WDF_VIOLATION(0x10D,{p1})"),
        0x133 => format!("DPC_WATCHDOG(0x133,{p1})"),
        other => format!("BUGCHECK({other:#X},{p1:#X})"),
    }
}
