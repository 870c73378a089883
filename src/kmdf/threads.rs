//! Threads: making them, waiting for their end, and where and how urgently the current one runs.

use core::ffi::c_void;

use super::nt;
use super::objects::check;
use super::wdk_sys::ntddk::{
    KeGetProcessorNumberFromIndex, KeQueryPriorityThread, KeRevertToUserGroupAffinityThread,
    KeSetPriorityThread, KeSetSystemGroupAffinityThread, KeWaitForSingleObject,
    ObReferenceObjectByHandle, ObfDereferenceObject, PsCreateSystemThread, PsTerminateSystemThread,
    ZwClose,
};
use super::wdk_sys::{
    _KWAIT_REASON, _MODE, GROUP_AFFINITY, HANDLE, OBJ_KERNEL_HANDLE, OBJECT_ATTRIBUTES, PKTHREAD,
    PROCESSOR_NUMBER, PVOID, STATUS_SUCCESS, THREAD_ALL_ACCESS,
};
use crate::engine::backend::Status;

/// Starts a thread and keeps a reference to its object: the handle would not do, since it is closed
/// here and the thread outlives this frame (N-32).
///
/// # Safety
///
/// As `Backend::thread_start`.
pub(super) unsafe fn start(
    entry: unsafe extern "C" fn(*mut c_void),
    context: *mut c_void,
) -> Result<PKTHREAD, Status> {
    let mut handle: HANDLE = core::ptr::null_mut();
    // A kernel handle: the caller may be in the context of a process whose own code could close it.
    let mut attributes = OBJECT_ATTRIBUTES {
        Length: nt::size_of_ulong::<OBJECT_ATTRIBUTES>(),
        Attributes: OBJ_KERNEL_HANDLE,
        ..OBJECT_ATTRIBUTES::default()
    };
    // SAFETY: the handle is writable; by the caller's word the routine may be called. No process
    // means the system process.
    check(unsafe {
        PsCreateSystemThread(
            &mut handle,
            THREAD_ALL_ACCESS,
            &mut attributes,
            core::ptr::null_mut(),
            core::ptr::null_mut(),
            Some(entry),
            context,
        )
    })?;
    let mut object: PVOID = core::ptr::null_mut();
    // SAFETY: a handle of our own to a thread; without a type the handle's object is taken as it is.
    let referenced = check(unsafe {
        ObReferenceObjectByHandle(
            handle,
            THREAD_ALL_ACCESS,
            core::ptr::null_mut(),
            _MODE::KernelMode as i8,
            &mut object,
            core::ptr::null_mut(),
        )
    });
    debug_assert!(
        referenced.is_ok(),
        "a fresh kernel handle can be referenced"
    );
    // SAFETY: the handle is ours and is closed once.
    let _closed = unsafe { ZwClose(handle) };
    Ok(object.cast())
}

/// Ends the current thread, which [`start`] has made.
pub(super) fn exit() {
    // SAFETY: the engine calls it last, on a thread of its own, with nothing held.
    let _status = unsafe { PsTerminateSystemThread(STATUS_SUCCESS) };
}

/// Waits until `thread` has ended and gives the reference back.
///
/// # Safety
///
/// As `Backend::thread_join`.
pub(super) unsafe fn join(thread: PKTHREAD) {
    // SAFETY: by the caller's word we hold a reference, so the object is there.
    let _status = unsafe {
        KeWaitForSingleObject(
            thread.cast(),
            _KWAIT_REASON::Executive,
            _MODE::KernelMode as i8,
            0,
            core::ptr::null_mut(),
        )
    };
    // SAFETY: the reference that `start` took, given back once.
    unsafe { ObfDereferenceObject(thread.cast()) };
}

/// Moves the current thread to `cpu` until [`unpin`].
pub(super) fn pin(cpu: u32) -> GROUP_AFFINITY {
    let mut number = PROCESSOR_NUMBER::default();
    // SAFETY: a place for the answer. The index is that of an active CPU, so it has a number (N-24).
    let _status = unsafe { KeGetProcessorNumberFromIndex(cpu, &mut number) };
    let mut wanted = GROUP_AFFINITY {
        Mask: 1 << number.Number,
        Group: number.Group,
        ..GROUP_AFFINITY::default()
    };
    let mut before = GROUP_AFFINITY::default();
    // SAFETY: both structures live across the call; the reserved fields are zero.
    unsafe { KeSetSystemGroupAffinityThread(&mut wanted, &mut before) };
    before
}

/// Takes a [`pin`] back.
pub(super) fn unpin(mut before: GROUP_AFFINITY) {
    // SAFETY: what `KeSetSystemGroupAffinityThread` returned on this thread.
    unsafe { KeRevertToUserGroupAffinityThread(&mut before) };
}

/// Takes back every [`pin`] and whatever is like it; whether there was anything. NT has no call that only asks.
pub(super) fn unpin_all(here: u32) -> bool {
    let before = pin(here);
    // Without a mask it is the thread's own.
    unpin(GROUP_AFFINITY::default());
    before.Mask != 0
}

/// The priority of the current thread.
pub(super) fn priority() -> i32 {
    // SAFETY: the current thread is alive.
    unsafe { KeQueryPriorityThread(nt::KeGetCurrentThread()) }
}

/// Sets the priority of the current thread and returns the one before.
pub(super) fn set_priority(priority: i32) -> i32 {
    // SAFETY: the current thread is alive.
    unsafe { KeSetPriorityThread(nt::KeGetCurrentThread(), priority) }
}
