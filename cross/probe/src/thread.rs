//! Threads, waits, time and IRQL.

use core::ptr::null_mut;

use wdk_sys::{
    _EVENT_TYPE, _KWAIT_REASON, _MODE, ALL_PROCESSOR_GROUPS, DISPATCH_LEVEL, GROUP_AFFINITY,
    HANDLE, KEVENT, KIRQL, KPROCESSOR_MODE, LARGE_INTEGER, NT_SUCCESS, NTSTATUS, OBJ_KERNEL_HANDLE,
    OBJECT_ATTRIBUTES, PKSTART_ROUTINE, POOL_FLAG_NON_PAGED, PROCESSOR_NUMBER, PVOID, SIZE_T,
    STATUS_INSUFFICIENT_RESOURCES, STATUS_TIMEOUT, THREAD_ALL_ACCESS, ntddk,
};

const KERNEL: KPROCESSOR_MODE = _MODE::KernelMode as KPROCESSOR_MODE;

/// A thread with the event that ends it; allocated, because an event may not move.
#[derive(Clone, Copy)]
pub struct Stop {
    event: *mut KEVENT,
    thread: PVOID,
}

impl core::fmt::Debug for Stop {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Stop")
            .field("thread", &self.thread)
            .finish_non_exhaustive()
    }
}

/// Starts a system thread on `routine` and keeps a reference to it (N-32).
///
/// # Errors
/// The status of the thread's creation, or STATUS_INSUFFICIENT_RESOURCES.
///
/// # Safety
/// The caller runs at PASSIVE_LEVEL, and [`Stop::join`] comes before the image is unloaded.
pub unsafe fn start(routine: PKSTART_ROUTINE, priority: i32) -> Result<Stop, NTSTATUS> {
    let mut handle: HANDLE = null_mut();
    let mut thread: PVOID = null_mut();
    let mut attributes = OBJECT_ATTRIBUTES {
        Length: size_of::<OBJECT_ATTRIBUTES>() as u32,
        Attributes: OBJ_KERNEL_HANDLE,
        ..Default::default()
    };
    // SAFETY: the caller vouches for the level; the event stays where it is until `join` frees it, and
    // the handle is closed once, after the reference is taken.
    unsafe {
        let event = ntddk::ExAllocatePool2(
            POOL_FLAG_NON_PAGED,
            size_of::<KEVENT>() as SIZE_T,
            crate::TAG,
        )
        .cast::<KEVENT>();
        if event.is_null() {
            return Err(STATUS_INSUFFICIENT_RESOURCES);
        }
        ntddk::KeInitializeEvent(event, _EVENT_TYPE::NotificationEvent, 0);
        let status = ntddk::PsCreateSystemThread(
            &mut handle,
            THREAD_ALL_ACCESS,
            &mut attributes,
            null_mut(),
            null_mut(),
            routine,
            event.cast(),
        );
        if !NT_SUCCESS(status) {
            ntddk::ExFreePoolWithTag(event.cast(), crate::TAG);
            return Err(status);
        }
        // A kernel handle that was just made refers to its thread: this cannot fail.
        let status = ntddk::ObReferenceObjectByHandle(
            handle,
            THREAD_ALL_ACCESS,
            null_mut(),
            KERNEL,
            &mut thread,
            null_mut(),
        );
        debug_assert!(NT_SUCCESS(status));
        let _closed = ntddk::ZwClose(handle);
        ntddk::KeSetPriorityThread(thread.cast(), priority);
        Ok(Stop { event, thread })
    }
}

impl Stop {
    /// Tells the thread to end, waits until it has, and frees the event.
    ///
    /// # Safety
    /// The caller runs at PASSIVE_LEVEL and is not the thread itself.
    pub unsafe fn join(self) {
        // SAFETY: event and thread object are alive until the two last calls.
        unsafe {
            ntddk::KeSetEvent(self.event, 0, 0);
            wait(self.thread, None);
            ntddk::ObfDereferenceObject(self.thread);
            ntddk::ExFreePool(self.event.cast());
        }
    }
}

/// Waits for an event or a thread; false if `timeout`, in hundreds of nanoseconds, runs out first.
///
/// # Safety
/// `object` is alive until the wait ends, and the caller may wait here (N-2).
pub unsafe fn wait(object: PVOID, timeout: Option<u32>) -> bool {
    let mut due = LARGE_INTEGER {
        QuadPart: -i64::from(timeout.unwrap_or(0)),
    };
    let due = if timeout.is_some() {
        &raw mut due
    } else {
        null_mut()
    };
    // SAFETY: the caller vouches for the object and the level, and `due` outlives the wait.
    unsafe {
        ntddk::KeEnterCriticalRegion();
        let status = ntddk::KeWaitForSingleObject(object, _KWAIT_REASON::Executive, KERNEL, 0, due);
        ntddk::KeLeaveCriticalRegion();
        status != STATUS_TIMEOUT
    }
}

/// Runs `body` at `level` or above: the counterpart of an interrupt-safe lock without the lock.
pub fn raised<R>(level: KIRQL, body: impl FnOnce() -> R) -> R {
    // SAFETY: raising and lowering are paired, and `body` may not unwind in a driver.
    unsafe {
        let old = ntddk::KfRaiseIrql(level.max(ntddk::KeGetCurrentIrql()));
        let result = body();
        ntddk::KeLowerIrql(old);
        result
    }
}

/// The index of the processor that runs this, and how many there can ever be.
#[must_use]
pub fn current_processor() -> (u32, u32) {
    // SAFETY: a null pointer asks for the index alone; both calls are legal at any level.
    unsafe {
        (
            ntddk::KeGetCurrentProcessorNumberEx(null_mut()),
            ntddk::KeQueryMaximumProcessorCountEx(ALL_PROCESSOR_GROUPS as u16),
        )
    }
}

/// Moves the current thread to `processor` until [`unpin`] gets the result.
///
/// # Safety
/// The caller runs at PASSIVE_LEVEL in a system thread.
pub unsafe fn pin(processor: u32) -> Option<GROUP_AFFINITY> {
    let mut number = PROCESSOR_NUMBER::default();
    let mut previous = GROUP_AFFINITY::default();
    // SAFETY: the structures outlive the calls; the caller vouches for the level.
    unsafe {
        if !NT_SUCCESS(ntddk::KeGetProcessorNumberFromIndex(processor, &mut number)) {
            return None;
        }
        let mut affinity = GROUP_AFFINITY {
            Mask: 1 << number.Number,
            Group: number.Group,
            ..Default::default()
        };
        ntddk::KeSetSystemGroupAffinityThread(&mut affinity, &mut previous);
    }
    Some(previous)
}

/// Undoes [`pin`].
///
/// # Safety
/// The thread that called `pin` passes its result on.
pub unsafe fn unpin(mut previous: GROUP_AFFINITY) {
    // SAFETY: the caller passes what KeSetSystemGroupAffinityThread has written.
    unsafe { ntddk::KeRevertToUserGroupAffinityThread(&mut previous) }
}

/// Runs `body` on `processor` at DISPATCH_LEVEL, unless there is no such processor.
///
/// # Safety
/// As [`pin`].
pub unsafe fn run_on<R>(processor: u32, body: impl FnOnce() -> R) -> Option<R> {
    // SAFETY: the caller vouches for the level, and `pin` and `unpin` are paired.
    unsafe {
        let previous = pin(processor)?;
        let result = raised(DISPATCH_LEVEL as KIRQL, body);
        unpin(previous);
        Some(result)
    }
}

/// Milliseconds since the start, without the time the machine slept, and the length of a tick.
#[must_use]
pub fn milliseconds() -> (u64, u32) {
    // SAFETY: all three calls are legal at any level, and the time stamp outlives its call.
    unsafe {
        let mut stamp = 0;
        let _with_sleep = ntddk::KeQueryInterruptTimePrecise(&mut stamp);
        (
            ntddk::KeQueryUnbiasedInterruptTime() / 10_000,
            ntddk::KeQueryTimeIncrement(),
        )
    }
}
