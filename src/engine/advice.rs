//! What each diagnostic tells the driver's author: what is wrong, what happens now, and what to do.

pub(super) const QUEUE_UNINITIALISED: &str = "\
    the item was never initialised; it is not queued. Call INIT_WORK, INIT_DELAYED_WORK or \
    tasklet_setup first";
pub(super) const QUEUE_DRAINING: &str = "\
    the queue is being drained or destroyed; only its own works may queue to it now. It is not \
    queued. Stop the producers before destroy_workqueue";
pub(super) const NOT_ATTACHED: &str = "\
    bottomhalf is not attached; nothing is queued. Attach in EvtDriverDeviceAdd, and stop the \
    producers before the last detach";
pub(super) const NULL_QUEUE: &str = "\
    the workqueue is NULL; nothing is queued. Check what alloc_workqueue returned";
pub(super) const WAIT_UNINITIALISED: &str = "\
    the item was never initialised, so there is nothing to wait for. Initialise it before the first \
    path that may cancel it";
pub(super) const WAIT_AT_DISPATCH: &str = "\
    the call waits, and the IRQL is DISPATCH_LEVEL or above; it does not wait. Call it at \
    PASSIVE_LEVEL, without a spin lock";
pub(super) const WAIT_FOR_ONESELF: &str = "\
    it would wait for the end of the caller: its own function, a work of that queue, or one that runs \
    before it. Linux deadlocks on it; it does not wait. Use the call that does not wait";
pub(super) const DISABLE_OVERFLOW: &str = "\
    the work is disabled 65535 times; it is not disabled once more. Pair every disable_work with \
    enable_work";
pub(super) const ENABLE_UNDERFLOW: &str = "\
    the tasklet is enabled more often than it was disabled. Pair every tasklet_enable with a \
    tasklet_disable";
pub(super) const ARMED_AT_END: &str = "\
    the delayed work was armed for a queue that is destroyed; it runs once, now. Call \
    cancel_delayed_work_sync first";
pub(super) const DISABLED_AT_END: &str = "\
    the tasklet is scheduled and disabled at detach; it will not run. Enable it and call \
    tasklet_kill first";
pub(super) const MAX_ACTIVE: &str = "\
    max_active is outside 1 to 512 and is clamped";
pub(super) const ENABLE_WORK_UNDERFLOW: &str = "\
    the work is enabled more often than it was disabled; it stays enabled. Pair every enable_work \
    with a disable_work";
pub(super) const MAKE_AT_DISPATCH: &str = "\
    a workqueue can only be made at PASSIVE_LEVEL; none is made. Make it in EvtDriverDeviceAdd or \
    EvtDevicePrepareHardware";
pub(super) const MAX_ACTIVE_OF_ORDERED: &str = "\
    the workqueue is ordered, so its max_active stays 1. Make it with alloc_workqueue if its works \
    may overlap";
pub(super) const THAW_UNDERFLOW: &str = "\
    the attach is thawed more often than it was frozen; nothing is done. Pair every thaw with a \
    freeze of the same attach";
pub(super) const NO_SUCH_CPU: &str = "\
    the CPU asked for is not active; the work runs on some other one. Ask for one below \
    KeQueryActiveProcessorCountEx, or for WORK_CPU_UNBOUND";
pub(super) const QUEUE_AT_END: &str = "\
    the workqueue is not destroyed at detach; it is destroyed now. Call destroy_workqueue first";
pub(super) const PENDING_ON_STACK: &str = "\
    the item is on a stack frame that ends, and is still pending; it is cancelled. Flush or cancel \
    it before destroy_work_on_stack or destroy_delayed_work_on_stack";
pub(super) const IMPOSSIBLE_FLAGS: &str = "\
    WQ_BH goes with WQ_HIGHPRI and WQ_PERCPU only, and with a max_active of 0; no queue is made. \
    Drop the other flags, or WQ_BH if its works may block";
pub(super) const UNKNOWN_FLAGS: &str = "\
    some flags are none of the WQ_ constants; they are ignored. Pass WQ_ constants only, and no \
    internal ones";
pub(super) const NAME_TOO_LONG: &str = "\
    the name is longer than 31 bytes; the rest is cut off";
pub(super) const DESTROY_SYSTEM_QUEUE: &str = "\
    the workqueue is one of the system's, which detach destroys; it is not destroyed. Cancel or \
    flush the driver's own works instead";
pub(super) const PER_CPU_AND_UNBOUND: &str = "\
    WQ_PERCPU and WQ_UNBOUND exclude each other; the queue is unbound. Pass one of them";
pub(super) const RELEASED_TWICE: &str = "\
    the devm_action is on a list already; it is not added again. Zero it before its first use, and \
    use one for each item";
pub(super) const FLUSH_DEPENDENCY: &str = "\
    a work of a WQ_MEM_RECLAIM queue flushes a queue, or a work on one, that has no WQ_MEM_RECLAIM \
    and so may never get on when memory is short; it waits all the same. Give both queues the flag, \
    or neither";
pub(super) const SPIN_ON_OWN_CPU: &str = "\
    the tasklet runs on this CPU, under the caller, and would never end while the caller spins for it; \
    it does not wait. Use tasklet_disable_nosync here";
pub(super) const BOTTOM_HALVES_UNBALANCED: &str = "\
    bottom halves are not off by local_bh_disable on this CPU, or the IRQL is above DISPATCH_LEVEL; \
    nothing is done. Pair the two, in the order of the locks, and outside of interrupts";
pub(super) const LEVEL_CHANGED: &str = "\
    the function returned at another IRQL, or with bottom halves off; both are as before the call now. \
    Release every lock that it takes";
pub(super) const STATE_LOST: &str = "\
    the tasklet is not scheduled or locked, as it was before. Do not initialise it before tasklet_kill \
    has returned, and unlock only after a tasklet_trylock";
