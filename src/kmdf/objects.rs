//! Making the WDF objects. AutomaticSerialization is FALSE in every one of them (S-1, S-15): the
//! engine serialises, so nothing depends on the execution level or the scope of the driver's
//! devices.

use core::ptr::NonNull;

use super::image::image;
use super::nt::{attributes, size_of_ulong};
use super::wdk_sys::ntddk::{
    KeGetProcessorNumberFromIndex, KeSetImportanceDpc, KeSetTargetProcessorDpcEx,
};
use super::wdk_sys::{
    _KDPC_IMPORTANCE, _WDF_EXECUTION_LEVEL, BOOLEAN, PFN_WDF_TIMER, PROCESSOR_NUMBER,
    WDF_DPC_CONFIG, WDF_OBJECT_CONTEXT_TYPE_INFO, WDF_TIMER_CONFIG, WDF_WORKITEM_CONFIG, WDFDPC,
    WDFOBJECT, WDFTIMER, WDFWORKITEM, call_unsafe_wdf_function_binding,
};
use super::{Kmdf, Runtime};
use crate::engine::backend::{Backend, Status, TimerLevel};

const FALSE: BOOLEAN = 0;

/// The context of each of our objects.
#[repr(C)]
struct Context {
    /// The runtime or the queue that the callback is for.
    owner: *const (),
    /// The CPU of a DPC.
    cpu: u32,
}

/// A context type's identity is its address (O-2), so this is a static that points to itself.
#[repr(transparent)]
struct ContextType(WDF_OBJECT_CONTEXT_TYPE_INFO);
// SAFETY: it is never written.
unsafe impl Sync for ContextType {}

static CONTEXT_TYPE: ContextType = ContextType(WDF_OBJECT_CONTEXT_TYPE_INFO {
    Size: size_of_ulong::<WDF_OBJECT_CONTEXT_TYPE_INFO>(),
    ContextName: c"bottomhalf".as_ptr().cast_mut().cast(),
    ContextSize: size_of::<Context>(),
    UniqueType: &raw const CONTEXT_TYPE.0,
    EvtDriverGetUniqueContextType: None,
});

/// Turns an NTSTATUS into a result.
pub(super) fn check(status: i32) -> Result<(), Status> {
    if status >= 0 {
        Ok(())
    } else {
        Err(Status(status))
    }
}

/// The context of an object that was made here.
///
/// # Safety
///
/// `object` is one of ours and its memory is there: inside its callback, or before it is deleted.
unsafe fn context<'a>(object: WDFOBJECT) -> &'a mut Context {
    // SAFETY: by the caller's word the handle is valid.
    let context = unsafe {
        call_unsafe_wdf_function_binding!(
            WdfObjectGetTypedContextWorker,
            object,
            &raw const CONTEXT_TYPE.0
        )
    };
    // SAFETY: created with this context type, zero-filled, 16-byte aligned, and as alive as the
    // object.
    unsafe { &mut *context.cast::<Context>() }
}

/// One value per CPU, in pool memory.
#[derive(Debug)]
pub(crate) struct Cpus<T> {
    values: NonNull<T>,
    count: u32,
}

impl<T: Copy> Cpus<T> {
    /// Room for `count` values, zeroed.
    pub(super) fn allocate(count: u32) -> Result<Self, Status> {
        let memory = Kmdf::allocate(count as usize * size_of::<T>());
        let values = NonNull::new(memory.cast()).ok_or(Status::INSUFFICIENT_RESOURCES)?;
        Ok(Self { values, count })
    }

    /// The value of `cpu`; a CPU beyond the array (H-36) has the first one's.
    pub(super) fn get(&self, cpu: u32) -> T {
        let index = if cpu < self.count { cpu } else { 0 };
        // SAFETY: within the array, which has at least one element, all initialised.
        unsafe { self.values.add(index as usize).read() }
    }

    /// All values.
    pub(super) fn iter(&self) -> impl Iterator<Item = T> {
        (0..self.count).map(|cpu| self.get(cpu))
    }

    fn set(&mut self, cpu: u32, value: T) {
        // SAFETY: the callers stay below `count`.
        unsafe { self.values.add(cpu as usize).write(value) };
    }

    /// Gives the memory back.
    pub(super) fn free(&self) {
        // SAFETY: from `allocate`; the owner does not use the array after this.
        unsafe { Kmdf::free(self.values.as_ptr().cast()) };
    }
}

/// Makes the DPC of every CPU under `parent`, for the runtime at `owner`. On failure the DPCs that
/// were made are in `dpcs`, the others are null.
pub(super) fn create_dpcs(
    dpcs: &mut Cpus<WDFDPC>,
    parent: WDFOBJECT,
    owner: *const (),
) -> Result<(), Status> {
    for cpu in 0..dpcs.count {
        let dpc = create_dpc(parent, owner, cpu)?;
        dpcs.set(cpu, dpc);
        target(dpc, cpu)?;
    }
    Ok(())
}

fn create_dpc(parent: WDFOBJECT, owner: *const (), cpu: u32) -> Result<WDFDPC, Status> {
    let mut config = WDF_DPC_CONFIG {
        Size: size_of_ulong::<WDF_DPC_CONFIG>(),
        EvtDpcFunc: Some(evt_dpc),
        AutomaticSerialization: FALSE,
    };
    let mut attributes = attributes(parent);
    attributes.ContextTypeInfo = &raw const CONTEXT_TYPE.0;
    let mut dpc: WDFDPC = core::ptr::null_mut();
    // SAFETY: the structures are complete and live across the call; we are at PASSIVE_LEVEL.
    check(unsafe {
        call_unsafe_wdf_function_binding!(WdfDpcCreate, &mut config, &mut attributes, &mut dpc)
    })?;
    // SAFETY: just made.
    *unsafe { context(dpc.cast()) } = Context { owner, cpu };
    Ok(dpc)
}

/// Ties a DPC to a CPU. MediumHigh, since Medium to another CPU waits for a tick (D-23); both are
/// set before the first insert, after which they would not count (D-24). A CPU that is not active
/// yet may refuse: nothing is queued for it before it is.
fn target(dpc: WDFDPC, cpu: u32) -> Result<(), Status> {
    let mut number = PROCESSOR_NUMBER::default();
    // SAFETY: an index below the maximum count, and a place for the answer.
    check(unsafe { KeGetProcessorNumberFromIndex(cpu, &mut number) })?;
    // SAFETY: a valid handle; the KDPC lives as long as the object (D-24).
    let kdpc = unsafe { call_unsafe_wdf_function_binding!(WdfDpcWdmGetDpc, dpc) };
    // SAFETY: the KDPC is not queued yet.
    let targeted = check(unsafe { KeSetTargetProcessorDpcEx(kdpc, &mut number) });
    if cpu < Kmdf::active_cpus() {
        targeted?;
    }
    // SAFETY: as above.
    unsafe { KeSetImportanceDpc(kdpc, _KDPC_IMPORTANCE::MediumHighImportance) };
    Ok(())
}

/// Makes the timer of each level for the runtime at `owner`. On failure those that were made are in
/// `timers`, the others are null.
pub(super) fn create_timers(
    timers: &mut [WDFTIMER; 2],
    high_resolution: bool,
    parent: WDFOBJECT,
    owner: *const (),
) -> Result<(), Status> {
    for level in TimerLevel::ALL {
        timers[level as usize] = create_timer(level, high_resolution, parent, owner)?;
    }
    Ok(())
}

/// Makes a timer: its level said explicitly (T-7), one-shot.
fn create_timer(
    level: TimerLevel,
    high_resolution: bool,
    parent: WDFOBJECT,
    owner: *const (),
) -> Result<WDFTIMER, Status> {
    let (callback, execution_level): (PFN_WDF_TIMER, _) = match level {
        TimerLevel::Passive => (
            Some(evt_passive_timer),
            _WDF_EXECUTION_LEVEL::WdfExecutionLevelPassive,
        ),
        TimerLevel::Dispatch => (
            Some(evt_dispatch_timer),
            _WDF_EXECUTION_LEVEL::WdfExecutionLevelDispatch,
        ),
    };
    let mut config = WDF_TIMER_CONFIG {
        Size: size_of_ulong::<WDF_TIMER_CONFIG>(),
        EvtTimerFunc: callback,
        Period: 0,
        UseHighResolutionTimer: BOOLEAN::from(high_resolution),
        AutomaticSerialization: FALSE,
        ..WDF_TIMER_CONFIG::default()
    };
    let mut attributes = attributes(parent);
    attributes.ContextTypeInfo = &raw const CONTEXT_TYPE.0;
    attributes.ExecutionLevel = execution_level;
    let mut timer: WDFTIMER = core::ptr::null_mut();
    // SAFETY: as in `create_dpc`.
    check(unsafe {
        call_unsafe_wdf_function_binding!(WdfTimerCreate, &mut config, &mut attributes, &mut timer)
    })?;
    // SAFETY: just made.
    *unsafe { context(timer.cast()) } = Context { owner, cpu: 0 };
    Ok(timer)
}

/// Makes the work item of the queue at `owner`.
pub(super) fn create_work_item(parent: WDFOBJECT, owner: *mut ()) -> Result<WDFWORKITEM, Status> {
    let mut config = WDF_WORKITEM_CONFIG {
        Size: size_of_ulong::<WDF_WORKITEM_CONFIG>(),
        EvtWorkItemFunc: Some(evt_work_item),
        AutomaticSerialization: FALSE,
    };
    let mut attributes = attributes(parent);
    attributes.ContextTypeInfo = &raw const CONTEXT_TYPE.0;
    let mut item: WDFWORKITEM = core::ptr::null_mut();
    // SAFETY: as in `create_dpc`.
    check(unsafe {
        call_unsafe_wdf_function_binding!(
            WdfWorkItemCreate,
            &mut config,
            &mut attributes,
            &mut item
        )
    })?;
    // SAFETY: just made.
    *unsafe { context(item.cast()) } = Context { owner, cpu: 0 };
    Ok(item)
}

/// Deletes an object of ours and waits for its callbacks. IRQL: = PASSIVE.
pub(super) fn delete(object: WDFOBJECT) {
    // SAFETY: the handle is ours and is deleted once; nothing enqueues it any more.
    unsafe { call_unsafe_wdf_function_binding!(WdfObjectDelete, object) };
}

unsafe extern "C" fn evt_dpc(dpc: WDFDPC) {
    // SAFETY: called for an object of ours that is alive during its callback.
    let context = unsafe { context(dpc.cast()) };
    // SAFETY: B2: detach deletes the DPC, and so waits for this callback, before it frees the
    // runtime.
    let runtime = unsafe { &*context.owner.cast::<Runtime>() };
    runtime.dpc_callback(context.cpu);
}

unsafe extern "C" fn evt_passive_timer(timer: WDFTIMER) {
    // SAFETY: as in `evt_dpc`.
    let context = unsafe { context(timer.cast()) };
    // SAFETY: as in `evt_dpc`.
    let runtime = unsafe { &*context.owner.cast::<Runtime>() };
    runtime.passive_timer_callback();
}

unsafe extern "C" fn evt_dispatch_timer(timer: WDFTIMER) {
    // SAFETY: as in `evt_dpc`.
    let context = unsafe { context(timer.cast()) };
    // SAFETY: as in `evt_dpc`.
    let runtime = unsafe { &*context.owner.cast::<Runtime>() };
    runtime.dispatch_timer_callback();
}

unsafe extern "C" fn evt_work_item(item: WDFWORKITEM) {
    // SAFETY: as in `evt_dpc`; the W-26 handle and its context last for the whole callback.
    let context = unsafe { context(item.cast()) };
    let queue = context.owner;
    // SAFETY: every queue is destroyed, and its work item deleted, before the runtime is
    // unpublished: while this callback runs the runtime stays.
    // ORDERING: SeqCst pairs with the publication in attach.
    let runtime = unsafe { &*image().runtime.load(crate::sync::Ordering::SeqCst) };
    // SAFETY: the context is the queue that the work item was made for.
    unsafe { runtime.work_item_callback(queue) };
}
