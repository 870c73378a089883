//! Misuse that Linux warns about, said by name.
//!
//! Each diagnostic has a stable code. It is printed once per occurrence, on one line, with the
//! item, its function and what to do; it never changes memory that the driver relies on.

use super::backend::Backend;
use super::item::work_struct;
use super::queue::Queue;
use crate::sync::Ordering;

/// The table of diagnostics: the misuse, its code, and what the driver's author is told: what is wrong,
/// what happens now, and what to do.
macro_rules! diagnostics {
    ($($(#[$what:meta])* $name:ident = $code:literal, $advice:literal;)*) => {
        /// A misuse.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Diagnostic { $($(#[$what])* $name,)* }

        impl Diagnostic {
            /// The stable code.
            pub(crate) const fn code(self) -> &'static str {
                match self { $(Self::$name => $code,)* }
            }

            /// What is wrong and what to do.
            pub(crate) const fn advice(self) -> &'static str {
                match self { $(Self::$name => $advice,)* }
            }
        }
    };
}

diagnostics! {
    /// Queueing an item that no init call has prepared.
    QueueUninitialised = "BH01",
        "the item was never initialised; it is not queued. Call INIT_WORK, INIT_DELAYED_WORK or \
         tasklet_setup first";
    /// Queueing from outside to a queue that is being drained or destroyed.
    QueueDraining = "BH02",
        "the queue is being drained or destroyed; only its own works may queue to it now. It is \
         not queued. Stop the producers before destroy_workqueue";
    /// Queueing before attach or after detach.
    NotAttached = "BH03",
        "bottomhalf is not attached; nothing is queued. Attach in EvtDriverDeviceAdd, and stop \
         the producers before the last detach";
    /// Queueing on a null queue.
    NullQueue = "BH04",
        "the workqueue is NULL; nothing is queued. Check what alloc_workqueue returned";
    /// Cancelling, flushing or disabling an item that no init call has prepared.
    WaitUninitialised = "BH05",
        "the item was never initialised, so there is nothing to wait for. Initialise it before \
         the first path that may cancel it";
    /// A call that waits, at DISPATCH_LEVEL or above.
    WaitAtDispatch = "BH06",
        "the call waits, and the IRQL is DISPATCH_LEVEL or above; it does not wait. Call it at \
         PASSIVE_LEVEL, without a spin lock";
    /// Waiting for the end of the caller's own run.
    WaitForOneself = "BH07",
        "it would wait for the end of the caller: its own function, a work of that queue, or \
         one that runs before it. Linux deadlocks on it; it does not wait. Use the call that \
         does not wait";
    /// A work is disabled 65 535 times.
    DisableOverflow = "BH08",
        "the work is disabled 65535 times; it is not disabled once more. Pair every \
         disable_work with enable_work";
    /// `tasklet_enable` without a `tasklet_disable`.
    EnableUnderflow = "BH09",
        "the tasklet is enabled more often than it was disabled. Pair every tasklet_enable with \
         a tasklet_disable";
    /// A delayed work was still armed for a queue that is destroyed.
    ArmedAtEnd = "BH10",
        "the delayed work was armed for a queue that is destroyed; it runs once, now. Call \
         cancel_delayed_work_sync first";
    /// A tasklet was still scheduled and disabled at detach.
    DisabledAtEnd = "BH11",
        "the tasklet is scheduled and disabled at detach; it will not run. Enable it and call \
         tasklet_kill first";
    /// `max_active` outside 1 ..= 512.
    MaxActive = "BH12",
        "max_active is outside 1 to 512 and is clamped. Pass a number in that range, or 0 to \
         alloc_workqueue for the default";
    /// A queue made by `alloc_workqueue` was still there at detach.
    QueueAtEnd = "BH13",
        "the workqueue is not destroyed at detach; it is destroyed now. Call destroy_workqueue \
         first";
    /// `enable_work` without a `disable_work`.
    EnableWorkUnderflow = "BH14",
        "the work is enabled more often than it was disabled; it stays enabled. Pair every \
         enable_work with a disable_work";
    /// `alloc_workqueue` above APC_LEVEL.
    MakeAtDispatch = "BH15",
        "a workqueue can only be made at PASSIVE_LEVEL; none is made. Make it in \
         EvtDriverDeviceAdd or EvtDevicePrepareHardware";
    /// Spinning for a tasklet that runs under the caller.
    SpinOnOwnCpu = "BH16",
        "the tasklet runs on this CPU, under the caller, and would never end while the caller \
         spins for it; it does not wait. Use tasklet_disable_nosync here";
    /// `local_bh_enable` without `local_bh_disable`, or either above DISPATCH_LEVEL.
    BottomHalvesUnbalanced = "BH17",
        "bottom halves are not off by local_bh_disable on this CPU, or the IRQL is above \
         DISPATCH_LEVEL; nothing is done. Pair the two, in the order of the locks, and outside \
         of interrupts";
    /// Queueing for a CPU that is not active.
    NoSuchCpu = "BH18",
        "the CPU asked for is not active; the work runs on some other one. Ask for one below \
         KeQueryActiveProcessorCountEx, or for WORK_CPU_UNBOUND";
    /// `workqueue_set_max_active` of an ordered or bottom-half queue.
    MaxActiveOfOrdered = "BH19",
        "the workqueue is ordered or WQ_BH, so its max_active stays as it is. Make it with \
         alloc_workqueue and without WQ_BH if its works may overlap";
    /// An item on a stack was still pending when its frame was to end.
    PendingOnStack = "BH20",
        "the item is on a stack frame that ends, and is still pending; it is cancelled. Flush \
         or cancel it before destroy_work_on_stack or destroy_delayed_work_on_stack";
    /// Flags, or flags and a `max_active`, that exclude each other.
    ImpossibleFlags = "BH21",
        "WQ_BH goes with WQ_HIGHPRI and WQ_PERCPU only, and with a max_active of 0; no queue is \
         made. Drop the other flags, or WQ_BH if its works may block";
    /// Flags that mean nothing.
    UnknownFlags = "BH22",
        "some flags are none of the WQ_ constants; they are ignored. Pass WQ_ constants only, \
         and no internal ones";
    /// A queue's name that is longer than what is kept.
    NameTooLong = "BH23",
        "the name is longer than 31 bytes; the rest is cut off. Pass a shorter one, or tell the \
         queues apart in its first 31 bytes";
    /// `destroy_workqueue` of a system queue.
    DestroySystemQueue = "BH24",
        "the workqueue is one of the system's, which detach destroys; it is not destroyed. \
         Cancel or flush the driver's own works instead";
    /// `WQ_PERCPU` and `WQ_UNBOUND` at once.
    PerCpuAndUnbound = "BH25",
        "WQ_PERCPU and WQ_UNBOUND exclude each other; the queue is unbound. Pass one of them";
    /// A `devm_action` is added to a list while it is on one.
    ReleasedTwice = "BH26",
        "the devm_action is on a list already; it is not added again. Zero it before its first \
         use, and use one for each item";
    /// A work of a `WQ_MEM_RECLAIM` queue waits for a queue that is none.
    FlushDependency = "BH27",
        "a work of a WQ_MEM_RECLAIM queue flushes a queue, or a work on one, that has no \
         WQ_MEM_RECLAIM and so may never get on when memory is short; it waits all the same. \
         Give both queues the flag, or neither";
    /// A function returns at another IRQL than it was called at, or with bottom halves off.
    LevelChanged = "BH28",
        "the function returned at another IRQL, or with bottom halves off; both are as before \
         the call now. Release every spin lock, and lower what was raised, before it returns";
    /// A tasklet is not in the state that the call relies on.
    StateLost = "BH29",
        "the tasklet is not scheduled or locked, as it was before. Do not initialise it before \
         tasklet_kill has returned, and unlock only after a tasklet_trylock";
    /// `Attachment::thaw` without `Attachment::freeze`.
    ThawUnderflow = "BH30",
        "the attach is thawed more often than it was frozen; nothing is done. Pair every thaw \
         with a freeze of the same attach";
    /// The function of a work changed its thread's affinity or priority.
    ThreadChanged = "BH31",
        "the function has changed the affinity of its thread, or made its priority a real-time \
         one, and not taken it back; it is taken back now. The thread is NT's: revert both before \
         the function returns";
    /// A work that is not pending has something written over its link.
    LinkOverwritten = "BH32",
        "the work is not pending, but its link is not empty: something was written over it. It is \
         queued. Do not copy or clear a work that has been initialised";
    /// A queue's rescuer has not come for 30 s.
    Lockup = "BH33",
        "no work of the queue has started for 30 s: NT's pool has no thread for it, and its rescuer \
         is busy with a work that does not end. Find the work that blocks; WQ_MEM_RECLAIM gives \
         the queue a rescuer of its own";
    /// From C: a function, a name or a structure that a call needs is null.
    NullArgument = "BH34",
        "a function, name or structure that the call needs is NULL; nothing is done. Pass one, and \
         check what the call returned";
    /// From C: the driver was compiled with other headers, or for another KMDF, than the library.
    ConfigMismatch = "BH35",
        "the driver and the library do not fit each other; it is not attached. Compile both with the \
         same HZ, KMDF minor version and headers, and fill the config with bottomhalf_config_init";
    /// From C: an attachment that is not attached is used, or one that is is attached again.
    WrongAttachment = "BH36",
        "the attachment is not attached (never, not any more, or it is a copy), or it is and is to be \
         attached again; nothing is done. Detach each attachment once, where it was attached";
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
    ///
    /// Inlined, so that what is passed on are values: a report whose address is taken cannot stay in registers,
    /// nor can the [`Raised`](super::locked::Raised) that it is in.
    #[inline(always)]
    pub(crate) fn print<B: Backend>(self) {
        report::<B>(self.diagnostic, self.call, self.item, self.func);
    }
}

/// Prints a diagnostic about the item at `address` whose function is at `func`. IRQL: <= the highest
/// device's.
#[cold]
#[inline(never)]
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

/// Prints that a `max_active` is clamped.
#[cold]
pub(crate) fn report_max_active<B: Backend>(call: &str, name: &[u8], asked: i32) {
    let diagnostic = Diagnostic::MaxActive;
    B::print(format_args!(
        "bottomhalf {} {call}(workqueue \"{}\"): {} (max_active {asked})",
        diagnostic.code(),
        name.escape_ascii(),
        diagnostic.advice()
    ));
}

/// Prints that the driver's `what` is not the library's.
#[cold]
pub(crate) fn report_mismatch<B: Backend>(call: &str, what: &str, drivers: u32, librarys: u32) {
    let diagnostic = Diagnostic::ConfigMismatch;
    B::print(format_args!(
        "bottomhalf {} {call}({what}: the driver has {drivers}, the library {librarys}): {}",
        diagnostic.code(),
        diagnostic.advice()
    ));
}
