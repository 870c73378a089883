//! Misuse that Linux warns about, said by name.
//!
//! Each diagnostic has a stable code. It is printed once per occurrence, on one line, with the
//! item, its function and what to do; it never changes memory that the driver relies on.

use super::backend::Backend;
use super::item::work_struct;
use super::queue::Queue;
use crate::sync::Ordering;

/// A misuse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Diagnostic {
    /// Queueing an item that no init call has prepared.
    QueueUninitialised,
    /// Queueing from outside to a queue that is being drained or destroyed.
    QueueDraining,
    /// Queueing before attach or after detach.
    NotAttached,
    /// Queueing on a null queue.
    NullQueue,
    /// Cancelling or flushing an item that no init call has prepared.
    WaitUninitialised,
    /// A call that waits, at DISPATCH_LEVEL or above.
    WaitAtDispatch,
    /// Waiting for the work, tasklet or queue that the caller is running for.
    WaitForOneself,
    /// A work is disabled 65 535 times.
    DisableOverflow,
    /// `tasklet_enable` without a `tasklet_disable`.
    EnableUnderflow,
    /// `enable_work` without a `disable_work`.
    EnableWorkUnderflow,
    /// `alloc_workqueue` above PASSIVE_LEVEL.
    MakeAtDispatch,
    /// A delayed work was still armed for a queue that is destroyed.
    ArmedAtEnd,
    /// A tasklet was still scheduled and disabled at detach.
    DisabledAtEnd,
    /// `max_active` outside 1 ..= 512.
    MaxActive,
    /// A queue made by `alloc_workqueue` was still there at detach.
    QueueAtEnd,
    /// Queueing for a CPU that is not active.
    NoSuchCpu,
    /// `workqueue_set_max_active` of an ordered queue.
    MaxActiveOfOrdered,
    /// `Attachment::thaw` without `Attachment::freeze`.
    ThawUnderflow,
    /// The function of an item changed the IRQL.
    LevelChanged,
    /// The function of a work changed its thread's affinity or priority.
    ThreadChanged,
    /// A work of a `WQ_MEM_RECLAIM` queue waits for one of a queue without it.
    FlushDependency,
    /// A work that is not pending has something written over its link.
    LinkOverwritten,
    /// An item on a stack was still pending when its frame was to end.
    PendingOnStack,
    /// Flags, or flags and a `max_active`, that exclude each other.
    ImpossibleFlags,
    /// Flags that mean nothing.
    UnknownFlags,
    /// A queue's name that is longer than what is kept.
    NameTooLong,
    /// `destroy_workqueue` of a system queue.
    DestroySystemQueue,
    /// `WQ_PERCPU` and `WQ_UNBOUND` at once.
    PerCpuAndUnbound,
    /// A `devm_action` is added to a list while it is on one.
    ReleasedTwice,
}

impl Diagnostic {
    /// The stable code.
    pub(crate) const fn code(self) -> &'static str {
        match self {
            Self::QueueUninitialised => "BH01",
            Self::QueueDraining => "BH02",
            Self::NotAttached => "BH03",
            Self::NullQueue => "BH04",
            Self::WaitUninitialised => "BH05",
            Self::WaitAtDispatch => "BH06",
            Self::WaitForOneself => "BH07",
            Self::DisableOverflow => "BH08",
            Self::EnableUnderflow => "BH09",
            Self::ArmedAtEnd => "BH10",
            Self::DisabledAtEnd => "BH11",
            Self::MaxActive => "BH12",
            Self::QueueAtEnd => "BH13",
            Self::EnableWorkUnderflow => "BH14",
            Self::MakeAtDispatch => "BH15",
            Self::NoSuchCpu => "BH18",
            Self::MaxActiveOfOrdered => "BH19",
            Self::ThawUnderflow => "BH30",
            Self::LevelChanged => "BH27",
            Self::ThreadChanged => "BH29",
            Self::FlushDependency => "BH31",
            Self::LinkOverwritten => "BH32",
            Self::PendingOnStack => "BH20",
            Self::ImpossibleFlags => "BH21",
            Self::UnknownFlags => "BH22",
            Self::NameTooLong => "BH23",
            Self::DestroySystemQueue => "BH24",
            Self::PerCpuAndUnbound => "BH25",
            Self::ReleasedTwice => "BH26",
        }
    }

    /// What is wrong and what to do.
    pub(crate) const fn advice(self) -> &'static str {
        match self {
            Self::QueueUninitialised => {
                "the item was never initialised; it is not queued. Call INIT_WORK, \
                 INIT_DELAYED_WORK or tasklet_setup first"
            }
            Self::QueueDraining => {
                "the queue is being drained or destroyed; only its own works may queue to it now. \
                 It is not queued. Stop the producers before destroy_workqueue"
            }
            Self::NotAttached => {
                "bottomhalf is not attached; nothing is queued. Attach in EvtDriverDeviceAdd, and \
                 stop the producers before the last detach"
            }
            Self::NullQueue => {
                "the workqueue is NULL; nothing is queued. Check what alloc_workqueue returned"
            }
            Self::WaitUninitialised => {
                "the item was never initialised, so there is nothing to wait for. Initialise it \
                 before the first path that may cancel it"
            }
            Self::WaitAtDispatch => {
                "the call waits, and the IRQL is DISPATCH_LEVEL or above; it does not wait. Call it \
                 at PASSIVE_LEVEL, without a spin lock"
            }
            Self::WaitForOneself => {
                "it would wait for the end of the caller: its own function, a work of that queue, or one \
                 that runs before it. Linux deadlocks on it; it does not wait. Use the call that does not \
                 wait"
            }
            Self::DisableOverflow => {
                "the work is disabled 65535 times; it is not disabled once more. Pair every \
                 disable_work with enable_work"
            }
            Self::EnableUnderflow => {
                "the tasklet is enabled more often than it was disabled. Pair every tasklet_enable \
                 with a tasklet_disable"
            }
            Self::ArmedAtEnd => {
                "the delayed work was armed for a queue that is destroyed; it runs once, now. Call \
                 cancel_delayed_work_sync first"
            }
            Self::DisabledAtEnd => {
                "the tasklet is scheduled and disabled at detach; it will not run. Enable it and \
                 call tasklet_kill first"
            }
            Self::MaxActive => "max_active is outside 1 to 512 and is clamped",
            Self::EnableWorkUnderflow => {
                "the work is enabled more often than it was disabled; it stays enabled. Pair every \
                 enable_work with a disable_work"
            }
            Self::MakeAtDispatch => {
                "a workqueue can only be made at PASSIVE_LEVEL; none is made. Make it in \
                 EvtDriverDeviceAdd or EvtDevicePrepareHardware"
            }
            Self::MaxActiveOfOrdered => {
                "the workqueue is ordered, so its max_active stays 1. Make it with alloc_workqueue if its \
                 works may overlap"
            }
            Self::LevelChanged => {
                "the function returned at another IRQL, or with bottom halves off; both are as before the \
                 call now. Release every lock that it takes"
            }
            Self::ThreadChanged => {
                "the function has changed the affinity of its thread, or made its priority a real-time one, \
                 and not taken it back; it is taken back now. The thread is NT's: revert both before the \
                 function returns"
            }
            Self::FlushDependency => {
                "a work of a WQ_MEM_RECLAIM queue waits for a queue without that flag, which may make no \
                 progress while memory is short; it waits. Make that queue with WQ_MEM_RECLAIM too"
            }
            Self::LinkOverwritten => {
                "the work is not pending, but its link is not empty: something was written over it. It is \
                 queued. Do not copy or clear a work that has been initialised"
            }
            Self::ThawUnderflow => {
                "the attach is thawed more often than it was frozen; nothing is done. Pair every thaw with \
                 a freeze of the same attach"
            }
            Self::NoSuchCpu => {
                "the CPU asked for is not active; the work runs on some other one. Ask for one below \
                 KeQueryActiveProcessorCountEx, or for WORK_CPU_UNBOUND"
            }
            Self::QueueAtEnd => {
                "the workqueue is not destroyed at detach; it is destroyed now. Call \
                 destroy_workqueue first"
            }
            Self::PendingOnStack => {
                "the item is on a stack frame that ends, and is still pending; it is cancelled. Flush \
                 or cancel it before destroy_work_on_stack or destroy_delayed_work_on_stack"
            }
            Self::ImpossibleFlags => {
                "WQ_BH goes with WQ_HIGHPRI and WQ_PERCPU only, and with a max_active of 0; no queue is \
                 made. Drop the other flags, or WQ_BH if its works may block"
            }
            Self::UnknownFlags => {
                "some flags are none of the WQ_ constants; they are ignored. Pass WQ_ constants only, \
                 and no internal ones"
            }
            Self::NameTooLong => "the name is longer than 31 bytes; the rest is cut off",
            Self::DestroySystemQueue => {
                "the workqueue is one of the system's, which detach destroys; it is not destroyed. \
                 Cancel or flush the driver's own works instead"
            }
            Self::PerCpuAndUnbound => {
                "WQ_PERCPU and WQ_UNBOUND exclude each other; the queue is unbound. Pass one of them"
            }
            Self::ReleasedTwice => {
                "the devm_action is on a list already; it is not added again. Zero it before its first \
                 use, and use one for each item"
            }
        }
    }
}

/// A diagnostic about an item. The addresses are numbers: the item may be gone when it is printed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Report {
    pub(crate) diagnostic: Diagnostic,
    pub(crate) call: &'static str,
    pub(crate) item: usize,
    pub(crate) func: usize,
}

impl Report {
    /// About `work`, which the caller knows to be alive.
    #[cold]
    pub(crate) fn of(diagnostic: Diagnostic, work: &work_struct, call: &'static str) -> Self {
        // ORDERING: a hint for a message.
        let func = work.func.load(Ordering::Relaxed).addr();
        let item = core::ptr::from_ref(work).addr();
        Self {
            diagnostic,
            call,
            item,
            func,
        }
    }

    /// Prints it. IRQL: <= the highest device's (`DbgPrint`).
    #[cold]
    pub(crate) fn print<B: Backend>(self) {
        report::<B>(self.diagnostic, self.call, self.item, self.func);
    }
}

/// Prints a diagnostic about the item at `address` whose function is at `func`. IRQL: <= the highest
/// device's.
pub(crate) fn report<B: Backend>(diagnostic: Diagnostic, call: &str, address: usize, func: usize) {
    B::print(format_args!(
        "bottomhalf {} {call}(item {address:#x}, function {func:#x}): {}",
        diagnostic.code(),
        diagnostic.advice()
    ));
}

/// Prints a diagnostic about a queue.
#[cold]
pub(crate) fn report_queue<B: Backend>(diagnostic: Diagnostic, call: &str, queue: &Queue<B>) {
    B::print(format_args!(
        "bottomhalf {} {call}(workqueue \"{}\"): {}",
        diagnostic.code(),
        queue.name().escape_ascii(),
        diagnostic.advice()
    ));
}

/// Prints a diagnostic about a queue that is to be made.
#[cold]
pub(crate) fn report_making<B: Backend>(
    diagnostic: Diagnostic,
    call: &str,
    name: &[u8],
    flags: u32,
) {
    B::print(format_args!(
        "bottomhalf {} {call}(workqueue \"{}\"): {} (flags {flags:#x})",
        diagnostic.code(),
        name.escape_ascii(),
        diagnostic.advice()
    ));
}
