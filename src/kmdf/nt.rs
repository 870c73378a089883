//! What `wdk-sys` lacks: functions that are inline or macros in the headers, and so are not
//! generated.
//!
//! | here | in the headers | fact |
//! |---|---|---|
//! | [`KeGetCurrentThread`] | inline read of `gs:[0x188]`; ntoskrnl exports it too | N-26 |
//! | [`relative_100ns`] | `WDF_REL_TIMEOUT_IN_…` | N-38, T-11 |
//! | [`attributes`] | `WDF_OBJECT_ATTRIBUTES_INIT` | N-38, S-12 |

use super::wdk_sys::ntddk::{KeQueryInterruptTimePrecise, KeQueryUnbiasedInterruptTime};
use super::wdk_sys::{
    _WDF_EXECUTION_LEVEL, _WDF_SYNCHRONIZATION_SCOPE, LONGLONG, ULONG, WDF_OBJECT_ATTRIBUTES,
    WDFOBJECT,
};

#[cfg(feature = "mock")]
pub(super) use kmdf_mock::ntddk::KeGetCurrentThread;

#[cfg(not(feature = "mock"))]
#[cfg_attr(windows, link(name = "ntoskrnl"))]
unsafe extern "C" {
    /// The current thread's object. NT: wdm.h, exported by ntoskrnl.
    pub(super) fn KeGetCurrentThread() -> super::wdk_sys::PKTHREAD;
}

/// Interrupt time without sleep in 100 ns, as of the last tick. IRQL: any (N-27).
pub(super) fn ticked_100ns() -> u64 {
    // SAFETY: no condition.
    unsafe { KeQueryUnbiasedInterruptTime() }
}

/// Interrupt time with sleep in 100 ns, to the microsecond. IRQL: any (N-27, T-33).
pub(super) fn precise_100ns() -> u64 {
    let mut counter = 0;
    // SAFETY: a place for the performance counter, which nobody asks for.
    unsafe { KeQueryInterruptTimePrecise(&mut counter) }
}

/// A relative due time: negative, in 100 ns, and never zero, which would be an absolute time
/// (T-15).
pub(super) fn relative_100ns(due_100ns: u64) -> LONGLONG {
    -LONGLONG::try_from(due_100ns.max(1)).unwrap_or(LONGLONG::MAX)
}

/// The size of `T`, as WDF structures carry it.
pub(super) const fn size_of_ulong<T>() -> ULONG {
    size_of::<T>() as ULONG
}

/// Attributes as `WDF_OBJECT_ATTRIBUTES_INIT` makes them, with a parent. Zeroed ones are refused
/// (S-12).
pub(super) fn attributes(parent: WDFOBJECT) -> WDF_OBJECT_ATTRIBUTES {
    WDF_OBJECT_ATTRIBUTES {
        Size: size_of_ulong::<WDF_OBJECT_ATTRIBUTES>(),
        ExecutionLevel: _WDF_EXECUTION_LEVEL::WdfExecutionLevelInheritFromParent,
        SynchronizationScope: _WDF_SYNCHRONIZATION_SCOPE::WdfSynchronizationScopeInheritFromParent,
        ParentObject: parent,
        ..WDF_OBJECT_ATTRIBUTES::default()
    }
}
