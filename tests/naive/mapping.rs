//! The naive mapping: one WDF object per Linux object, and KMDF's own cancel, flush and stop.
//!
//! | Linux | KMDF |
//! |---|---|
//! | `tasklet_struct` | a WDFDPC |
//! | `tasklet_schedule`, `tasklet_kill` | `WdfDpcEnqueue`, `WdfDpcCancel(TRUE)` |
//! | `work_struct` | a WDFWORKITEM |
//! | `queue_work` | `WdfWorkItemEnqueue` |
//! | `flush_work`, `cancel_work_sync` | `WdfWorkItemFlush`; there is no cancel |
//! | `delayed_work` | a passive-level WDFTIMER |
//! | `queue_delayed_work`, `mod_delayed_work` | `WdfTimerStart` |
//! | `cancel_delayed_work`, `cancel_delayed_work_sync` | `WdfTimerStop(FALSE)`, `WdfTimerStop(TRUE)` |
//!
//! This is what a porter writes who knows the KMDF reference well and has not met the hazards H-1 to H-44.
//! Every object is made with AutomaticSerialization FALSE and the timer's level is explicit, every status
//! is looked at, every call is made as its reference page asks. It is the negative control of the project:
//! in a driver that keeps away from the hazards it works, and the simulator convicts it of the others.
//!
//! The code names what `wdk-sys` names, so that a driver could be built from it.

use core::ptr::null_mut;

use kmdf_mock as wdk_sys;
use kmdf_mock::image::Static;
use kmdf_mock::sync::{AtomicI32, AtomicPtr, AtomicU32, Ordering::SeqCst};
use kmdf_mock::world::debug_print;
use wdk_sys::{
    _WDF_EXECUTION_LEVEL, _WDF_SYNCHRONIZATION_SCOPE, BOOLEAN, NTSTATUS, ULONG, WDF_DPC_CONFIG,
    WDF_OBJECT_ATTRIBUTES, WDF_OBJECT_CONTEXT_TYPE_INFO, WDF_TIMER_CONFIG, WDF_WORKITEM_CONFIG,
    WDFDEVICE, WDFDEVICE__, WDFDPC, WDFOBJECT, WDFTIMER, WDFWORKITEM,
    call_unsafe_wdf_function_binding,
};

const FALSE: BOOLEAN = 0;
const TRUE: BOOLEAN = 1;
/// HZ = 250.
const JIFFY_100NS: i64 = 40_000;

/// The callback of a tasklet.
pub type tasklet_callback = unsafe extern "C" fn(*mut tasklet_struct);
/// The function of a work.
pub type work_func_t = unsafe extern "C" fn(*mut work_struct);

/// A tasklet: a WDFDPC and what it calls.
#[repr(C)]
pub struct tasklet_struct {
    callback: Option<tasklet_callback>,
    dpc: WDFDPC,
    /// How often it is disabled.
    count: AtomicI32,
}

/// A work: a WDFWORKITEM and what it calls.
#[repr(C)]
pub struct work_struct {
    func: Option<work_func_t>,
    item: WDFWORKITEM,
    /// Runs that are under way, for the result of a flush.
    running: AtomicU32,
}

/// A delayed work: a WDFTIMER that calls the work's function.
#[repr(C)]
pub struct delayed_work {
    /// The work, so that the function gets what it expects.
    pub work: work_struct,
    timer: WDFTIMER,
}

/// A `workqueue_struct *`. NT has one pool of worker threads, so there is nothing to point to.
pub type Wq = *mut ();

/// The driver's device, parent of every object: INIT_WORK and its like are not told which one to use.
static DEVICE: Static<AtomicPtr<WDFDEVICE__>> = Static::new(|| AtomicPtr::new(null_mut()));

/// Says under which device the objects are made. KMDF deletes them with it.
pub fn set_device(device: WDFDEVICE) {
    DEVICE.get().store(device, SeqCst);
}

/// The context of each object: the Linux object that it stands for.
#[repr(transparent)]
struct ContextType(WDF_OBJECT_CONTEXT_TYPE_INFO);
// SAFETY: it is never written.
unsafe impl Sync for ContextType {}

static CONTEXT_TYPE: ContextType = ContextType(WDF_OBJECT_CONTEXT_TYPE_INFO {
    Size: size::<WDF_OBJECT_CONTEXT_TYPE_INFO>(),
    ContextName: c"naive".as_ptr().cast_mut().cast(),
    ContextSize: size_of::<*mut ()>(),
    UniqueType: &raw const CONTEXT_TYPE.0,
    EvtDriverGetUniqueContextType: None,
});

const fn size<T>() -> ULONG {
    size_of::<T>() as ULONG
}

fn attributes() -> WDF_OBJECT_ATTRIBUTES {
    WDF_OBJECT_ATTRIBUTES {
        Size: size::<WDF_OBJECT_ATTRIBUTES>(),
        ExecutionLevel: _WDF_EXECUTION_LEVEL::WdfExecutionLevelInheritFromParent,
        SynchronizationScope: _WDF_SYNCHRONIZATION_SCOPE::WdfSynchronizationScopeInheritFromParent,
        ParentObject: DEVICE.get().load(SeqCst).cast(),
        ContextTypeInfo: &raw const CONTEXT_TYPE.0,
        ..Default::default()
    }
}

/// The slot in which an object keeps its Linux object.
///
/// # Safety
/// `object` is one of ours, and its memory is there.
unsafe fn context<T>(object: WDFOBJECT) -> *mut *mut T {
    // SAFETY: a live handle of ours, by the caller's word, made with this context type.
    unsafe {
        call_unsafe_wdf_function_binding!(
            WdfObjectGetTypedContextWorker,
            object,
            &raw const CONTEXT_TYPE.0
        )
    }
    .cast()
}

/// Looks at the status of a creation and fills the new object's context in. The Linux calls that create
/// return nothing, so a failure is printed, and the handle is null: then the item is never scheduled.
fn created<T>(what: &str, status: NTSTATUS, object: WDFOBJECT, owner: *mut T) -> WDFOBJECT {
    if status < 0 {
        debug_print(&format!("{what} failed: {status:#010x}"));
        return null_mut();
    }
    // SAFETY: the object is new, so only we know it.
    unsafe { *context(object) = owner };
    object
}

/// Linux: `tasklet_setup`.
///
/// # Safety
/// `t` is valid and not in use.
pub unsafe fn tasklet_setup(t: *mut tasklet_struct, callback: tasklet_callback) {
    let mut config = WDF_DPC_CONFIG {
        Size: size::<WDF_DPC_CONFIG>(),
        EvtDpcFunc: Some(evt_dpc),
        AutomaticSerialization: FALSE,
    };
    let (mut attributes, mut dpc) = (attributes(), null_mut());
    // SAFETY: the structures are complete and live across the call.
    let status = unsafe {
        call_unsafe_wdf_function_binding!(WdfDpcCreate, &mut config, &mut attributes, &mut dpc)
    };
    let tasklet = tasklet_struct {
        callback: Some(callback),
        dpc: created("WdfDpcCreate", status, dpc.cast(), t).cast(),
        count: AtomicI32::new(0),
    };
    // SAFETY: valid and unused, by the caller's word.
    unsafe { t.write(tasklet) };
}

unsafe extern "C" fn evt_dpc(dpc: WDFDPC) {
    // SAFETY: in the object's callback; a tasklet outlives its runs.
    let tasklet = unsafe { &**context::<tasklet_struct>(dpc.cast()) };
    if tasklet.count.load(SeqCst) != 0 {
        // A disabled tasklet stays scheduled. Linux puts it back on its list here, too.
        // SAFETY: a live handle.
        let _ = unsafe { call_unsafe_wdf_function_binding!(WdfDpcEnqueue, dpc) };
        return;
    }
    if let Some(callback) = tasklet.callback {
        // SAFETY: the driver's own callback, with its own tasklet.
        unsafe { callback(core::ptr::from_ref(tasklet).cast_mut()) };
    }
}

/// Linux: `tasklet_schedule`. Legal at any IRQL, as there.
///
/// # Safety
/// `t` is set up and stays in place until it is killed.
pub unsafe fn tasklet_schedule(t: *mut tasklet_struct) {
    // SAFETY: by the caller's word.
    let dpc = unsafe { (*t).dpc };
    if !dpc.is_null() {
        // SAFETY: a live handle: the device keeps it.
        let _ = unsafe { call_unsafe_wdf_function_binding!(WdfDpcEnqueue, dpc) };
    }
}

/// Linux: `tasklet_kill`. The reference page says that the call waits until the DPC is cancelled or over.
///
/// # Safety
/// `t` is set up; IRQL = PASSIVE.
pub unsafe fn tasklet_kill(t: *mut tasklet_struct) {
    // SAFETY: by the caller's word.
    let dpc = unsafe { (*t).dpc };
    if !dpc.is_null() {
        // SAFETY: a live handle.
        let _ = unsafe { call_unsafe_wdf_function_binding!(WdfDpcCancel, dpc, TRUE) };
    }
}

/// Linux: `tasklet_disable`. A callback that runs has been seen to end when this returns.
///
/// # Safety
/// `t` is set up; IRQL = PASSIVE.
pub unsafe fn tasklet_disable(t: *mut tasklet_struct) {
    // SAFETY: by the caller's word.
    unsafe { (*t).count.fetch_add(1, SeqCst) };
    // SAFETY: IRQL = PASSIVE, by the caller's word.
    unsafe { wdk_sys::ntddk::KeFlushQueuedDpcs() };
}

/// Linux: `tasklet_enable`.
///
/// # Safety
/// `t` is set up and was disabled.
pub unsafe fn tasklet_enable(t: *mut tasklet_struct) {
    // SAFETY: by the caller's word.
    unsafe { (*t).count.fetch_sub(1, SeqCst) };
}

/// Linux: `system_wq`. There is one pool, and it needs no name.
pub fn system_wq() -> Wq {
    null_mut()
}

/// Linux: `INIT_WORK`.
///
/// # Safety
/// `work` is valid and not in use.
pub unsafe fn INIT_WORK(work: *mut work_struct, func: work_func_t) {
    let mut config = WDF_WORKITEM_CONFIG {
        Size: size::<WDF_WORKITEM_CONFIG>(),
        EvtWorkItemFunc: Some(evt_work_item),
        AutomaticSerialization: FALSE,
    };
    let (mut attributes, mut item) = (attributes(), null_mut());
    // SAFETY: the structures are complete and live across the call.
    let status = unsafe {
        call_unsafe_wdf_function_binding!(
            WdfWorkItemCreate,
            &mut config,
            &mut attributes,
            &mut item
        )
    };
    let fresh = work_struct {
        func: Some(func),
        item: created("WdfWorkItemCreate", status, item.cast(), work).cast(),
        running: AtomicU32::new(0),
    };
    // SAFETY: valid and unused, by the caller's word.
    unsafe { work.write(fresh) };
}

unsafe extern "C" fn evt_work_item(item: WDFWORKITEM) {
    // SAFETY: in the object's callback.
    let work = unsafe { *context::<work_struct>(item.cast()) };
    // SAFETY: the work was queued, so the driver keeps it.
    unsafe { (*work).running.fetch_add(1, SeqCst) };
    // SAFETY: as above.
    if let Some(func) = unsafe { (*work).func } {
        // SAFETY: the driver's own function, with its own work.
        unsafe { func(work) };
    }
    // SAFETY: the work was ours to run, and the run is not over yet. That is the porter's belief: H-3.
    unsafe { (*work).running.fetch_sub(1, SeqCst) };
}

/// Linux: `queue_work`. `WdfWorkItemEnqueue` says nothing about whether the item was queued already; it
/// coalesces, so that the work runs after this call either way, which is what the caller asks about.
///
/// # Safety
/// `work` is initialised and stays in place while it is pending.
pub unsafe fn queue_work(_wq: Wq, work: *mut work_struct) -> bool {
    // SAFETY: by the caller's word.
    let item = unsafe { (*work).item };
    if item.is_null() {
        return false;
    }
    // SAFETY: a live handle.
    unsafe { call_unsafe_wdf_function_binding!(WdfWorkItemEnqueue, item) };
    true
}

/// Linux: `flush_work`.
///
/// # Safety
/// `work` is initialised; IRQL = PASSIVE.
pub unsafe fn flush_work(work: *mut work_struct) -> bool {
    // SAFETY: by the caller's word.
    let (item, running) = unsafe { ((*work).item, (*work).running.load(SeqCst)) };
    if !item.is_null() {
        // SAFETY: a live handle.
        unsafe { call_unsafe_wdf_function_binding!(WdfWorkItemFlush, item) };
    }
    running != 0
}

/// Linux: `cancel_work_sync`. A WDFWORKITEM cannot be cancelled; once it has been flushed it is as idle as
/// a cancelled one.
///
/// # Safety
/// As for [`flush_work`].
pub unsafe fn cancel_work_sync(work: *mut work_struct) -> bool {
    // SAFETY: by the caller's word.
    unsafe { flush_work(work) }
}

/// Linux: `INIT_DELAYED_WORK`.
///
/// # Safety
/// `dwork` is valid and not in use.
pub unsafe fn INIT_DELAYED_WORK(dwork: *mut delayed_work, func: work_func_t) {
    let mut config = WDF_TIMER_CONFIG {
        Size: size::<WDF_TIMER_CONFIG>(),
        EvtTimerFunc: Some(evt_timer),
        AutomaticSerialization: FALSE,
        ..Default::default()
    };
    let (mut attributes, mut timer) = (attributes(), null_mut());
    attributes.ExecutionLevel = _WDF_EXECUTION_LEVEL::WdfExecutionLevelPassive;
    // SAFETY: the structures are complete and live across the call.
    let status = unsafe {
        call_unsafe_wdf_function_binding!(WdfTimerCreate, &mut config, &mut attributes, &mut timer)
    };
    timer = created("WdfTimerCreate", status, timer.cast(), dwork).cast();
    // SAFETY: valid and unused, by the caller's word.
    unsafe { (&raw mut (*dwork).timer).write(timer) };
    // SAFETY: `work` is a part of `dwork`.
    unsafe { INIT_WORK(&raw mut (*dwork).work, func) };
}

unsafe extern "C" fn evt_timer(timer: WDFTIMER) {
    // SAFETY: in the object's callback.
    let dwork = unsafe { *context::<delayed_work>(timer.cast()) };
    // SAFETY: the delayed work was armed, so the driver keeps it.
    if let Some(func) = unsafe { (*dwork).work.func } {
        // SAFETY: the driver's own function, with its own work.
        unsafe { func(&raw mut (*dwork).work) };
    }
    // SAFETY: as in `evt_work_item`, and as wrong: H-3.
    let func = unsafe { (*dwork).work.func };
    debug_print(&format!("<- delayed work, function {func:?}"));
}

/// Linux: `queue_delayed_work`. `WdfTimerStart` says whether the timer was armed.
///
/// # Safety
/// `dwork` is initialised and stays in place while it is pending.
pub unsafe fn queue_delayed_work(_wq: Wq, dwork: *mut delayed_work, delay: u64) -> bool {
    // SAFETY: by the caller's word.
    !unsafe { start(dwork, delay) }
}

/// Linux: `mod_delayed_work`.
///
/// # Safety
/// As for [`queue_delayed_work`].
pub unsafe fn mod_delayed_work(_wq: Wq, dwork: *mut delayed_work, delay: u64) -> bool {
    // SAFETY: by the caller's word.
    unsafe { start(dwork, delay) }
}

/// Arms the timer; `true` if it was armed.
unsafe fn start(dwork: *mut delayed_work, delay: u64) -> bool {
    // SAFETY: by the caller's word.
    let timer = unsafe { (*dwork).timer };
    let due = -(delay.cast_signed().saturating_mul(JIFFY_100NS));
    // SAFETY: a live handle, if there is one.
    !timer.is_null() && unsafe { call_unsafe_wdf_function_binding!(WdfTimerStart, timer, due) } != 0
}

/// Linux: `cancel_delayed_work`.
///
/// # Safety
/// `dwork` is initialised.
pub unsafe fn cancel_delayed_work(dwork: *mut delayed_work) -> bool {
    // SAFETY: by the caller's word.
    unsafe { stop(dwork, FALSE) }
}

/// Linux: `cancel_delayed_work_sync`.
///
/// # Safety
/// `dwork` is initialised; IRQL = PASSIVE.
pub unsafe fn cancel_delayed_work_sync(dwork: *mut delayed_work) -> bool {
    // SAFETY: by the caller's word.
    unsafe { stop(dwork, TRUE) }
}

/// Disarms the timer; `true` if it was armed.
unsafe fn stop(dwork: *mut delayed_work, wait: BOOLEAN) -> bool {
    // SAFETY: by the caller's word.
    let timer = unsafe { (*dwork).timer };
    // SAFETY: a live handle, if there is one.
    !timer.is_null() && unsafe { call_unsafe_wdf_function_binding!(WdfTimerStop, timer, wait) } != 0
}
