//! Processors: numbers, counts, affinity (N-21 to N-24).

use crate::abi::{
    ALL_PROCESSOR_GROUPS, NTSTATUS, PGROUP_AFFINITY, PPROCESSOR_NUMBER, PROCESSOR_NUMBER,
    STATUS_INVALID_PARAMETER, STATUS_SUCCESS, ULONG, USHORT,
};
use crate::nt::check::{call, ceiling, done};
use crate::world::fail;
use crate::world::state::World;

/// The index of the current CPU, and its group and number if `ProcNumber` is not null.
///
/// # Safety
/// `ProcNumber` is null or valid for a write.
pub unsafe extern "C" fn KeGetCurrentProcessorNumberEx(ProcNumber: PPROCESSOR_NUMBER) -> ULONG {
    let w = call();
    let cpu = w.engine.cpu();
    if !ProcNumber.is_null() {
        // SAFETY: the caller promises a valid pointer.
        unsafe { ProcNumber.write(number_of(cpu)) };
    }
    done(w);
    cpu
}

/// How many CPUs the machine can ever have.
///
/// # Safety
/// None beyond being called in a world.
pub unsafe extern "C" fn KeQueryMaximumProcessorCountEx(GroupNumber: USHORT) -> ULONG {
    let w = call();
    if in_group(GroupNumber) {
        w.config.max_cpus
    } else {
        0
    }
}

/// How many CPUs the machine has now.
///
/// # Safety
/// None beyond being called in a world.
pub unsafe extern "C" fn KeQueryActiveProcessorCountEx(GroupNumber: USHORT) -> ULONG {
    let w = call();
    if in_group(GroupNumber) {
        w.nt.with(|nt| nt.active)
    } else {
        0
    }
}

/// Group and number of the CPU with the index `ProcIndex` (N-24).
///
/// # Safety
/// `ProcNumber` is valid for a write.
pub unsafe extern "C" fn KeGetProcessorNumberFromIndex(
    ProcIndex: ULONG,
    ProcNumber: PPROCESSOR_NUMBER,
) -> NTSTATUS {
    if ProcIndex >= call().config.max_cpus {
        return STATUS_INVALID_PARAMETER;
    }
    // SAFETY: the caller promises a valid pointer.
    unsafe { ProcNumber.write(number_of(ProcIndex)) };
    STATUS_SUCCESS
}

/// Binds the current thread to the CPUs of `Affinity`; `PreviousAffinity` takes what
/// [`KeRevertToUserGroupAffinityThread`] wants back. At IRQL ≤ APC_LEVEL the thread moves before the call
/// returns, at DISPATCH_LEVEL when the IRQL is lowered.
///
/// # Safety
/// `Affinity` is readable, `PreviousAffinity` null or writable.
pub unsafe extern "C" fn KeSetSystemGroupAffinityThread(
    Affinity: PGROUP_AFFINITY,
    PreviousAffinity: PGROUP_AFFINITY,
) {
    let w = call();
    // SAFETY: the caller promises a readable structure.
    let wanted = unsafe { *Affinity };
    ceiling(w, "KeSetSystemGroupAffinityThread", 2, BAD_IRQL);
    let thread = w.engine.thread();
    let before = w.nt.with(|nt| {
        let mask = wanted.Mask & nt.all_cpus();
        if wanted.Group != 0 || mask == 0 {
            return None;
        }
        let thread = &mut nt.threads[thread];
        let before = if thread.user_affinity.is_some() {
            thread.affinity
        } else {
            0
        };
        thread.user_affinity.get_or_insert(thread.affinity);
        thread.affinity = mask;
        Some(before)
    });
    let Some(before) = before else {
        fail(
            "DV(0xC4,0xD1)",
            format!("affinity {:#x} names no active CPU", wanted.Mask),
        );
    };
    if !PreviousAffinity.is_null() {
        let previous = crate::abi::GROUP_AFFINITY {
            Mask: before,
            ..Default::default()
        };
        // SAFETY: the caller promises a writable structure.
        unsafe { PreviousAffinity.write(previous) };
    }
    w.engine.move_to_affinity(w);
    done(w);
}

/// Gives the current thread back the affinity that [`KeSetSystemGroupAffinityThread`] reported; a mask of
/// zero is the thread's own.
///
/// # Safety
/// `PreviousAffinity` is readable.
pub unsafe extern "C" fn KeRevertToUserGroupAffinityThread(PreviousAffinity: PGROUP_AFFINITY) {
    let w = call();
    // SAFETY: the caller promises a readable structure.
    let mask = unsafe { (*PreviousAffinity).Mask };
    ceiling(w, "KeRevertToUserGroupAffinityThread", 2, BAD_IRQL);
    let thread = w.engine.thread();
    w.nt.with(|nt| {
        let thread = &mut nt.threads[thread];
        if mask == 0 {
            if let Some(own) = thread.user_affinity.take() {
                thread.affinity = own;
            }
        } else {
            thread.affinity = mask;
        }
    });
    w.engine.move_to_affinity(w);
    done(w);
}

/// The verifier's code for a call above its IRQL.
const BAD_IRQL: &str = "DV(0xC4,0x20003)";

/// Group and number of a CPU: every simulated CPU is in group 0.
pub(crate) fn number_of(cpu: u32) -> PROCESSOR_NUMBER {
    PROCESSOR_NUMBER {
        Group: 0,
        Number: cpu as u8,
        Reserved: 0,
    }
}

/// The index of an active or possible CPU.
pub(crate) fn index_of(w: &World, number: PROCESSOR_NUMBER) -> Option<u32> {
    let index = u32::from(number.Number);
    (number.Group == 0 && index < w.config.max_cpus).then_some(index)
}

fn in_group(group: USHORT) -> bool {
    group == 0 || u32::from(group) == ALL_PROCESSOR_GROUPS
}
