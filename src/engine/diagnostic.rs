//! Misuse that Linux warns about, said by name.
//!
//! Each diagnostic has a stable code. It is printed once per occurrence, on one line, with the
//! item, its function and what to do; it never changes memory that the driver relies on.

use super::advice;
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
    /// Spinning for a tasklet on the CPU that runs it.
    SpinOnOwnCpu,
    /// SCHED or RUN of a tasklet is not set where it has to be.
    StateLost,
    /// `local_bh_enable` without a `local_bh_disable`, or one of the two in an interrupt.
    BottomHalvesUnbalanced,
    /// The function of a tasklet or of a bottom-half work changed the IRQL.
    LevelChanged,
    /// Queueing for a CPU that is not active.
    NoSuchCpu,
    /// `workqueue_set_max_active` of an ordered queue.
    MaxActiveOfOrdered,
    /// `Attachment::thaw` without `Attachment::freeze`.
    ThawUnderflow,
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
    /// A work of a `WQ_MEM_RECLAIM` queue waits for a queue that is none.
    FlushDependency,
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
            Self::SpinOnOwnCpu => "BH16",
            Self::StateLost => "BH28",
            Self::BottomHalvesUnbalanced => "BH17",
            Self::LevelChanged => "BH27",
            Self::NoSuchCpu => "BH18",
            Self::MaxActiveOfOrdered => "BH19",
            Self::PendingOnStack => "BH20",
            Self::ImpossibleFlags => "BH21",
            Self::UnknownFlags => "BH22",
            Self::NameTooLong => "BH23",
            Self::DestroySystemQueue => "BH24",
            Self::PerCpuAndUnbound => "BH25",
            Self::ReleasedTwice => "BH26",
            Self::FlushDependency => "BH29",
            Self::ThawUnderflow => "BH30",
        }
    }

    /// What is wrong and what to do.
    pub(crate) const fn advice(self) -> &'static str {
        match self {
            Self::QueueUninitialised => advice::QUEUE_UNINITIALISED,
            Self::QueueDraining => advice::QUEUE_DRAINING,
            Self::NotAttached => advice::NOT_ATTACHED,
            Self::NullQueue => advice::NULL_QUEUE,
            Self::WaitUninitialised => advice::WAIT_UNINITIALISED,
            Self::WaitAtDispatch => advice::WAIT_AT_DISPATCH,
            Self::WaitForOneself => advice::WAIT_FOR_ONESELF,
            Self::DisableOverflow => advice::DISABLE_OVERFLOW,
            Self::EnableUnderflow => advice::ENABLE_UNDERFLOW,
            Self::ArmedAtEnd => advice::ARMED_AT_END,
            Self::DisabledAtEnd => advice::DISABLED_AT_END,
            Self::MaxActive => advice::MAX_ACTIVE,
            Self::EnableWorkUnderflow => advice::ENABLE_WORK_UNDERFLOW,
            Self::MakeAtDispatch => advice::MAKE_AT_DISPATCH,
            Self::MaxActiveOfOrdered => advice::MAX_ACTIVE_OF_ORDERED,
            Self::ThawUnderflow => advice::THAW_UNDERFLOW,
            Self::NoSuchCpu => advice::NO_SUCH_CPU,
            Self::QueueAtEnd => advice::QUEUE_AT_END,
            Self::PendingOnStack => advice::PENDING_ON_STACK,
            Self::ImpossibleFlags => advice::IMPOSSIBLE_FLAGS,
            Self::UnknownFlags => advice::UNKNOWN_FLAGS,
            Self::NameTooLong => advice::NAME_TOO_LONG,
            Self::DestroySystemQueue => advice::DESTROY_SYSTEM_QUEUE,
            Self::PerCpuAndUnbound => advice::PER_CPU_AND_UNBOUND,
            Self::ReleasedTwice => advice::RELEASED_TWICE,
            Self::FlushDependency => advice::FLUSH_DEPENDENCY,
            Self::SpinOnOwnCpu => advice::SPIN_ON_OWN_CPU,
            Self::BottomHalvesUnbalanced => advice::BOTTOM_HALVES_UNBALANCED,
            Self::LevelChanged => advice::LEVEL_CHANGED,
            Self::StateLost => advice::STATE_LOST,
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
