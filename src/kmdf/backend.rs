//! [`Backend`] over NT and WDF calls.

use core::ffi::c_void;
use core::fmt;

use super::objects::{self, Cpus};
use super::wdk_sys::ntddk::{
    ExAllocatePool2, ExFreePoolWithTag, KeGetCurrentIrql, KeGetCurrentProcessorNumberEx,
    KeInitializeEvent, KeLowerIrql, KeQueryActiveProcessorCountEx, KeQueryTimeIncrement,
    KeSetEvent, KeShouldYieldProcessor, KeWaitForSingleObject, KfRaiseIrql,
};
use super::wdk_sys::{
    _EVENT_TYPE, _KWAIT_REASON, _MODE, ALL_PROCESSOR_GROUPS, DISPATCH_LEVEL, GROUP_AFFINITY,
    HIGH_LEVEL, KEVENT, PKTHREAD, POOL_FLAG_NON_PAGED, WDFDPC, WDFTIMER, WDFWORKITEM,
    call_unsafe_wdf_function_binding,
};
use super::{clock, nt, threads};
use crate::engine::backend::{Backend, Irql, Status, TimerLevel};

/// Pool tag of everything allocated here: `BotH`.
const TAG: u32 = u32::from_le_bytes(*b"BotH");

/// The runtime's WDF objects.
#[derive(Debug)]
pub(crate) struct Kmdf {
    /// What the objects hang on: a control device of ours, or the device of the host.
    pub(super) parent: *mut c_void,
    /// Whether `parent` is ours to delete.
    pub(super) owns_parent: bool,
    /// One per CPU, in memory of its own.
    pub(super) dpcs: Cpus<WDFDPC>,
    /// One for each [`TimerLevel`].
    pub(super) timers: [WDFTIMER; 2],
}

// SAFETY: WDF handles may be used on any thread; they are written before the runtime is shared.
unsafe impl Sync for Kmdf {}

// SAFETY: raising the IRQL pins the thread to its CPU, KEVENT is a notification event, and pool
// memory is zeroed and 16-byte aligned (N-31).
unsafe impl Backend for Kmdf {
    type WorkItem = WDFWORKITEM;
    type Event = KEVENT;
    type Thread = PKTHREAD;
    type Affinity = GROUP_AFFINITY;

    #[inline]
    fn raise_to_high() -> Irql {
        // SAFETY: HIGH_LEVEL is never below the current level (N-7).
        Irql(unsafe { KfRaiseIrql(HIGH_LEVEL as u8) })
    }

    fn raise_to_dispatch() -> Irql {
        // SAFETY: the engine is at DISPATCH_LEVEL or below (N-7).
        Irql(unsafe { KfRaiseIrql(DISPATCH_LEVEL as u8) })
    }

    #[inline]
    fn lower(to: Irql) {
        // SAFETY: the engine lowers only to a level that it raised from, or to one in between
        // (N-8).
        unsafe { KeLowerIrql(to.0) };
    }

    fn irql() -> Irql {
        // SAFETY: no condition.
        Irql(unsafe { KeGetCurrentIrql() })
    }

    #[inline]
    fn cpu() -> u32 {
        // SAFETY: null asks for the system-wide index only (N-21).
        unsafe { KeGetCurrentProcessorNumberEx(core::ptr::null_mut()) }
    }

    fn active_cpus() -> u32 {
        // SAFETY: no condition.
        unsafe { KeQueryActiveProcessorCountEx(ALL_PROCESSOR_GROUPS as u16) }
    }

    fn thread() -> usize {
        // SAFETY: no condition.
        unsafe { nt::KeGetCurrentThread() }.addr()
    }

    fn now_100ns() -> u64 {
        clock::now_100ns()
    }

    fn tick_100ns() -> u64 {
        if clock::precise().is_some() {
            return 1;
        }
        // SAFETY: no condition.
        u64::from(unsafe { KeQueryTimeIncrement() })
    }

    fn should_yield() -> bool {
        // SAFETY: no condition.
        unsafe { KeShouldYieldProcessor() != 0 }
    }

    unsafe fn thread_start(
        entry: unsafe extern "C" fn(*mut c_void),
        context: *mut c_void,
    ) -> Result<PKTHREAD, Status> {
        // SAFETY: by the caller's word.
        unsafe { threads::start(entry, context) }
    }

    unsafe fn thread_join(thread: PKTHREAD) {
        // SAFETY: by the caller's word.
        unsafe { threads::join(thread) };
    }

    fn thread_exit() {
        threads::exit();
    }

    fn pin(cpu: u32) -> GROUP_AFFINITY {
        threads::pin(cpu)
    }

    fn unpin(before: GROUP_AFFINITY) {
        threads::unpin(before);
    }

    fn set_priority(priority: i32) -> i32 {
        threads::set_priority(priority)
    }

    fn priority() -> i32 {
        threads::priority()
    }

    fn unpin_all() -> bool {
        threads::unpin_all(Self::cpu())
    }

    fn allocate(size: usize) -> *mut u8 {
        // SAFETY: the engine allocates at DISPATCH at most (N-31).
        unsafe { ExAllocatePool2(POOL_FLAG_NON_PAGED, size as _, TAG) }.cast()
    }

    unsafe fn free(memory: *mut u8) {
        // SAFETY: by the caller's word it came from `allocate`, which used the tag.
        unsafe { ExFreePoolWithTag(memory.cast(), TAG) };
    }

    unsafe fn event_init(event: *mut KEVENT) {
        // SAFETY: by the caller's word the event is valid and stays in place.
        unsafe { KeInitializeEvent(event, _EVENT_TYPE::NotificationEvent, 0) };
    }

    unsafe fn event_set(event: *mut KEVENT) {
        // SAFETY: initialised, and the engine is at DISPATCH at most; no wait follows.
        unsafe { KeSetEvent(event, 0, 0) };
    }

    unsafe fn event_wait(event: *mut KEVENT) {
        // SAFETY: initialised; the engine has checked that the IRQL allows waiting (N-2).
        // KernelMode, since the event lies on the kernel stack.
        let _status = unsafe {
            KeWaitForSingleObject(
                event.cast(),
                _KWAIT_REASON::Executive,
                _MODE::KernelMode as i8,
                0,
                core::ptr::null_mut(),
            )
        };
    }

    fn dpc_enqueue(&self, cpu: u32) {
        let dpc = self.dpcs.get(cpu);
        // SAFETY: the DPC lives until detach deletes it, after a grace period (G1). FALSE means
        // that it is queued already, which is as good.
        let _queued = unsafe { call_unsafe_wdf_function_binding!(WdfDpcEnqueue, dpc) };
    }

    fn timer_start(&self, level: TimerLevel, due_100ns: u64) {
        let timer = self.timers[level as usize];
        let due = nt::relative_100ns(due_100ns);
        // SAFETY: the timer lives until detach deletes it. Nobody stops it before, so the start is
        // not dropped (T-14).
        let _was_armed = unsafe { call_unsafe_wdf_function_binding!(WdfTimerStart, timer, due) };
    }

    fn work_item_create(&self, context: *mut ()) -> Result<WDFWORKITEM, Status> {
        objects::create_work_item(self.parent, context)
    }

    fn work_item_enqueue(&self, item: WDFWORKITEM) {
        // SAFETY: Q4: the queue, and its work item, stay until a grace period after this kick.
        unsafe { call_unsafe_wdf_function_binding!(WdfWorkItemEnqueue, item) };
    }

    fn work_item_delete(&self, item: WDFWORKITEM) {
        objects::delete(item.cast());
    }

    #[cfg(feature = "mock")]
    fn print(line: fmt::Arguments<'_>) {
        kmdf_mock::world::debug_print(&std::format!("{line}"));
    }

    #[cfg(not(feature = "mock"))]
    fn print(line: fmt::Arguments<'_>) {
        super::wdk_sys::println!("{}", line);
    }
}
