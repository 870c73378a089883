//! Every name of the provider that this folder uses, in one import.
//!
//! In a driver without wdk metadata `wdk-sys` is all but empty, and nothing that could be asked says so
//! beforehand: it has no build output for others, and an import cannot be conditional on a name. With
//! one import there is one error, and the first line that it shows says what to do.

macro_rules! import {
    ($($provider:tt)*) => {
        pub(super) use {$($provider)*::{
            ntddk, // The driver lacks [package.metadata.wdk.driver-model]: see bottomhalf's README.
            call_unsafe_wdf_function_binding,
            _EVENT_TYPE, _KDPC_IMPORTANCE, _KWAIT_REASON, _MODE, _WDF_EXECUTION_LEVEL,
            _WDF_SYNCHRONIZATION_SCOPE, ALL_PROCESSOR_GROUPS, BOOLEAN, DISPATCH_LEVEL, GROUP_AFFINITY,
            HANDLE, HIGH_LEVEL, KEVENT, LONGLONG, OBJ_KERNEL_HANDLE, OBJECT_ATTRIBUTES, PFN_WDF_TIMER,
            PKTHREAD, POOL_FLAG_NON_PAGED, PROCESSOR_NUMBER, PVOID, PWDFDEVICE_INIT, STATUS_SUCCESS,
            THREAD_ALL_ACCESS, ULONG, UNICODE_STRING, WDF_DPC_CONFIG, WDF_OBJECT_ATTRIBUTES,
            WDF_OBJECT_CONTEXT_TYPE_INFO, WDF_TIMER_CONFIG, WDF_WORKITEM_CONFIG, WDFDEVICE, WDFDPC,
            WDFDRIVER, WDFOBJECT, WDFTIMER, WDFWORKITEM,
        }};
    };
}

#[cfg(feature = "mock")]
import!(::kmdf_mock);
#[cfg(not(feature = "mock"))]
import!(::wdk::println, ::wdk_sys);
