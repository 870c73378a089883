//! What the engine needs from a kernel.

use core::ffi::c_void;
use core::fmt;

/// An IRQL, ordered. Only `PASSIVE`, `APC` and `DISPATCH` have names here; the levels above differ
/// by architecture and are "above DISPATCH" to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Irql(pub(crate) u8);

impl Irql {
    pub(crate) const PASSIVE: Self = Self(0);
    pub(crate) const APC: Self = Self(1);
    pub(crate) const DISPATCH: Self = Self(2);
}

/// An NTSTATUS, as a creation call returned it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Status(pub i32);

impl Status {
    /// `STATUS_INVALID_PARAMETER`: an argument is out of its range or null.
    pub const INVALID_PARAMETER: Self = Self(0xC000_000D_u32.cast_signed());
    /// `STATUS_INVALID_DEVICE_REQUEST`: not in this state, for example a second attach elsewhere.
    pub const INVALID_DEVICE_REQUEST: Self = Self(0xC000_0010_u32.cast_signed());
    /// `STATUS_INSUFFICIENT_RESOURCES`: the kernel is out of memory.
    pub const INSUFFICIENT_RESOURCES: Self = Self(0xC000_009A_u32.cast_signed());
    /// `STATUS_NOT_SUPPORTED`: the crate was built without a KMDF to run on.
    pub const NOT_SUPPORTED: Self = Self(0xC000_00BB_u32.cast_signed());

    const fn name(self) -> Option<&'static str> {
        match self {
            Self::INVALID_PARAMETER => Some("STATUS_INVALID_PARAMETER"),
            Self::INVALID_DEVICE_REQUEST => Some("STATUS_INVALID_DEVICE_REQUEST"),
            Self::INSUFFICIENT_RESOURCES => Some("STATUS_INSUFFICIENT_RESOURCES"),
            Self::NOT_SUPPORTED => Some("STATUS_NOT_SUPPORTED"),
            _ => None,
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => write!(f, "{name} (0x{:08X})", self.0),
            None => write!(f, "NTSTATUS 0x{:08X}", self.0),
        }
    }
}

impl fmt::Debug for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl core::error::Error for Status {}

/// The level at which a timer calls back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TimerLevel {
    /// PASSIVE_LEVEL: from NT's worker pool (T-27).
    Passive,
    /// DISPATCH_LEVEL: from a DPC.
    Dispatch,
}

impl TimerLevel {
    pub(crate) const ALL: [Self; 2] = [Self::Passive, Self::Dispatch];
}

/// What the engine needs from a kernel. `kmdf::Kmdf` provides it over WDF objects; tests of the
/// engine bring scripted ones.
///
/// - **B1** Nothing here calls back into the engine before it returns, except that lowering the
///   IRQL lets interrupts and DPCs run, as on hardware.
/// - **B2** A callback that has started is awaited by the matching `_delete`.
/// - **B3** Ceilings are the callee's; the engine keeps them and the simulator convicts it if not.
///
/// # Safety
///
/// `raise` pins the caller to its CPU until the matching `lower`, events do what NT notification
/// events do, and memory from `allocate` is zeroed, 16-byte aligned and stays until `free`.
pub(crate) unsafe trait Backend: Sized + Sync + 'static {
    /// A deferred callback at PASSIVE_LEVEL that may overlap itself. NT: `WDFWORKITEM`.
    type WorkItem: Copy;
    /// A notification event, at rest in its final place. NT: `KEVENT`.
    type Event: Default;
    /// A thread of ours, referenced until it is joined. NT: a thread object.
    type Thread: Copy;
    /// Where a pinned thread may run again afterwards. NT: `GROUP_AFFINITY`.
    type Affinity;

    /// Raises to HIGH_LEVEL and returns the level left. IRQL: any. NT: `KfRaiseIrql`.
    fn raise_to_high() -> Irql;
    /// Raises to DISPATCH_LEVEL and returns the level left. IRQL: <= DISPATCH. NT: `KfRaiseIrql`.
    fn raise_to_dispatch() -> Irql;
    /// Lowers to a level returned earlier, or to DISPATCH in between. IRQL: any. NT: `KeLowerIrql`.
    fn lower(to: Irql);
    /// The current level. IRQL: any. NT: `KeGetCurrentIrql`.
    fn irql() -> Irql;
    /// Index of the current CPU. IRQL: >= DISPATCH to stay true. NT:
    /// `KeGetCurrentProcessorNumberEx`.
    fn cpu() -> u32;
    /// How many CPUs are active now; their indices are below it. It only grows (N-23, H-36). IRQL:
    /// any.
    /// NT: `KeQueryActiveProcessorCountEx`.
    fn active_cpus() -> u32;
    /// Identity of the current thread. IRQL: <= APC to mean its caller (N-26). NT:
    /// `KeGetCurrentThread`.
    fn thread() -> usize;
    /// 100 ns units, as of the last tick; they stop while the machine sleeps. IRQL: any.
    /// NT: `KeQueryUnbiasedInterruptTime`, or `KeQueryInterruptTimePrecise` if the driver wants it.
    fn now_100ns() -> u64;
    /// The longest that a tick takes, and so how far `now_100ns` may be behind. IRQL: any.
    /// NT: `KeQueryTimeIncrement`.
    fn tick_100ns() -> u64;

    /// Whether this CPU has been at DISPATCH_LEVEL for so long that a DPC should end soon (D-25).
    /// IRQL: = DISPATCH. NT: `KeShouldYieldProcessor`.
    fn should_yield() -> bool;

    /// Ends the current thread, which `thread_start` made. IRQL: = PASSIVE. NT:
    /// `PsTerminateSystemThread`.
    fn thread_exit();
    /// Starts a thread that calls `entry` with `context` at PASSIVE_LEVEL. IRQL: = PASSIVE. NT:
    /// `PsCreateSystemThread`.
    ///
    /// # Safety
    ///
    /// `entry` may be called with `context` on another thread, and the thread is joined before the
    /// driver's image goes (N-32).
    unsafe fn thread_start(
        entry: unsafe extern "C" fn(*mut c_void),
        context: *mut c_void,
    ) -> Result<Self::Thread, Status>;
    /// Waits until the thread has ended, and gives its reference back. Once for each thread.
    /// IRQL: = PASSIVE. NT: `KeWaitForSingleObject` on the thread object, `ObDereferenceObject`.
    ///
    /// # Safety
    ///
    /// `thread` came from `thread_start`, was not joined, and is not the caller.
    unsafe fn thread_join(thread: Self::Thread);
    /// Moves the current thread to `cpu`, which is active, and keeps it there. IRQL: <= APC. NT:
    /// `KeSetSystemGroupAffinityThread`.
    fn pin(cpu: u32) -> Self::Affinity;
    /// Lets the current thread run where it could before `pin`. IRQL: <= APC. NT:
    /// `KeRevertToUserGroupAffinityThread`.
    fn unpin(before: Self::Affinity);
    /// Sets the priority of the current thread and returns the one before. IRQL: <= APC. NT:
    /// `KeSetPriorityThread`.
    fn set_priority(priority: i32) -> i32;

    /// The priority of the current thread. IRQL: = PASSIVE. NT: `KeQueryPriorityThread`.
    fn priority() -> i32;
    /// Lets the current thread run where it could before every `pin`, and before what others have done to
    /// the like; whether there was anything to take back. IRQL: <= APC. NT:
    /// `KeSetSystemGroupAffinityThread`, `KeRevertToUserGroupAffinityThread`.
    fn unpin_all() -> bool;

    /// Zeroed memory or null. IRQL: <= DISPATCH. NT: `ExAllocatePool2`.
    fn allocate(size: usize) -> *mut u8;
    /// Gives memory back. IRQL: <= DISPATCH. NT: `ExFreePoolWithTag`.
    ///
    /// # Safety
    ///
    /// `memory` came from `allocate` and nobody uses it any more.
    unsafe fn free(memory: *mut u8);

    /// Makes `event` ready and not signalled, in the place where it stays. NT: `KeInitializeEvent`.
    ///
    /// # Safety
    ///
    /// `event` is valid and does not move until the last `event_wait` returned.
    unsafe fn event_init(event: *mut Self::Event);
    /// Signals. IRQL: <= DISPATCH. NT: `KeSetEvent`.
    ///
    /// # Safety
    ///
    /// `event` was initialised, and its waiter keeps it until the wait ended.
    unsafe fn event_set(event: *mut Self::Event);
    /// Blocks until signalled. IRQL: <= APC. NT: `KeWaitForSingleObject`.
    ///
    /// # Safety
    ///
    /// `event` was initialised.
    unsafe fn event_wait(event: *mut Self::Event);

    /// Queues the DPC of `cpu`. IRQL: any. NT: `WdfDpcEnqueue`.
    fn dpc_enqueue(&self, cpu: u32);
    /// Arms the timer of `level` for `due_100ns` from now, at least 1. IRQL: <= DISPATCH. NT:
    /// `WdfTimerStart`.
    fn timer_start(&self, level: TimerLevel, due_100ns: u64);

    /// Makes a work item that calls `Runtime::work_item_callback` with `context`.
    /// IRQL: = PASSIVE. NT: `WdfWorkItemCreate`.
    fn work_item_create(&self, context: *mut ()) -> Result<Self::WorkItem, Status>;
    /// Asks for one more callback; ignored while one is asked for and not started (W-8).
    /// IRQL: <= DISPATCH. NT: `WdfWorkItemEnqueue`.
    fn work_item_enqueue(&self, item: Self::WorkItem);
    /// Waits out callbacks and deletes. IRQL: = PASSIVE. NT: `WdfObjectDelete`.
    fn work_item_delete(&self, item: Self::WorkItem);

    /// Prints one line for the driver's author. IRQL: any. NT: `DbgPrint`.
    fn print(line: fmt::Arguments<'_>);
}
