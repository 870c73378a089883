//! What the tests of the WDF layer share: handles that may cross threads, callbacks that are
//! closures.

#![allow(dead_code, reason = "each test binary uses its part")]
#![allow(missing_docs, unreachable_pub, reason = "a module of tests")]

use std::ffi::c_void;
use std::ptr::null_mut;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};

use kmdf_mock::call_unsafe_wdf_function_binding as unsafe_wdf;
use kmdf_mock::world::{self, Driver, Failure, Sim, Verifier};
use kmdf_mock::*;

/// The seeds of a test that looks at many schedules.
pub const SEEDS: std::ops::Range<u64> = 0..60;

type Callback = Box<dyn Fn(usize) + Send + Sync>;

/// The context of every object made here.
#[repr(C)]
pub struct Context {
    callback: *mut Callback,
    cleanup: *mut Callback,
    destroy: *mut Callback,
}

#[repr(transparent)]
pub struct TypeInfo(pub WDF_OBJECT_CONTEXT_TYPE_INFO);
// SAFETY: the structure is read only.
unsafe impl Sync for TypeInfo {}

pub static CONTEXT: TypeInfo = TypeInfo(WDF_OBJECT_CONTEXT_TYPE_INFO {
    Size: size_of::<WDF_OBJECT_CONTEXT_TYPE_INFO>() as u32,
    ContextName: c"Context".as_ptr().cast_mut(),
    ContextSize: size_of::<Context>(),
    UniqueType: &raw const CONTEXT.0,
    EvtDriverGetUniqueContextType: None,
});

/// `WDF_OBJECT_ATTRIBUTES_INIT` and a parent.
pub fn attributes(parent: usize) -> WDF_OBJECT_ATTRIBUTES {
    WDF_OBJECT_ATTRIBUTES {
        Size: size_of::<WDF_OBJECT_ATTRIBUTES>() as u32,
        ExecutionLevel: _WDF_EXECUTION_LEVEL::WdfExecutionLevelInheritFromParent,
        SynchronizationScope: _WDF_SYNCHRONIZATION_SCOPE::WdfSynchronizationScopeInheritFromParent,
        ParentObject: parent as WDFOBJECT,
        ..Default::default()
    }
}

pub fn dpc_config() -> WDF_DPC_CONFIG {
    WDF_DPC_CONFIG {
        Size: size_of::<WDF_DPC_CONFIG>() as u32,
        EvtDpcFunc: Some(on_dpc),
        AutomaticSerialization: 0,
    }
}

pub fn work_item_config() -> WDF_WORKITEM_CONFIG {
    WDF_WORKITEM_CONFIG {
        Size: size_of::<WDF_WORKITEM_CONFIG>() as u32,
        EvtWorkItemFunc: Some(on_work_item),
        AutomaticSerialization: 0,
    }
}

pub fn timer_config() -> WDF_TIMER_CONFIG {
    WDF_TIMER_CONFIG {
        Size: size_of::<WDF_TIMER_CONFIG>() as u32,
        EvtTimerFunc: Some(on_timer),
        ..Default::default()
    }
}

pub fn context_of(handle: usize) -> *mut Context {
    // SAFETY: any handle may be passed; a bad one fails the world.
    unsafe {
        unsafe_wdf!(
            WdfObjectGetTypedContextWorker,
            handle as WDFOBJECT,
            &raw const CONTEXT.0
        )
        .cast()
    }
}

fn call(handle: usize, which: impl Fn(&Context) -> *mut Callback) {
    let context = context_of(handle);
    if context.is_null() {
        return;
    }
    // SAFETY: the context is alive during every callback, and its boxes live until the destroy
    // callback.
    let callback = unsafe { which(&*context).as_ref() };
    if let Some(callback) = callback {
        callback(handle);
    }
}

pub unsafe extern "C" fn on_dpc(dpc: WDFDPC) {
    call(dpc as usize, |context| context.callback);
}

pub unsafe extern "C" fn on_work_item(item: WDFWORKITEM) {
    call(item as usize, |context| context.callback);
}

pub unsafe extern "C" fn on_timer(timer: WDFTIMER) {
    call(timer as usize, |context| context.callback);
}

pub unsafe extern "C" fn on_cleanup(object: WDFOBJECT) {
    call(object as usize, |context| context.cleanup);
}

pub unsafe extern "C" fn on_destroy(object: WDFOBJECT) {
    call(object as usize, |context| context.destroy);
    let context = context_of(object as usize);
    // SAFETY: the boxes are dropped once, here; no other callback follows.
    unsafe {
        for slot in [(*context).callback, (*context).cleanup, (*context).destroy] {
            if !slot.is_null() {
                drop(Box::from_raw(slot));
            }
        }
        context.write(Context {
            callback: null_mut(),
            cleanup: null_mut(),
            destroy: null_mut(),
        });
    }
}

/// Attributes with the context and callbacks that carry closures.
pub fn with_context(mut attributes: WDF_OBJECT_ATTRIBUTES) -> WDF_OBJECT_ATTRIBUTES {
    attributes.ContextTypeInfo = &raw const CONTEXT.0;
    attributes.EvtCleanupCallback = Some(on_cleanup);
    attributes.EvtDestroyCallback = Some(on_destroy);
    attributes
}

fn set(slot: impl Fn(&mut Context) -> &mut *mut Callback, handle: usize, callback: Callback) {
    // SAFETY: the object was just made by this test and has the context.
    let slot = unsafe { slot(&mut *context_of(handle)) };
    assert!(slot.is_null(), "a callback is set once");
    *slot = Box::into_raw(Box::new(callback));
}

macro_rules! object {
    ($name:ident, $handle:ident) => {
        /// A handle that may cross threads.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct $name(pub usize);

        impl $name {
            pub fn raw(self) -> $handle {
                self.0 as $handle
            }

            /// Runs `f` as the object's callback.
            pub fn on_run(self, f: impl Fn($name) + Send + Sync + 'static) -> Self {
                let f = move |handle| f($name(handle));
                set(|context| &mut context.callback, self.0, Box::new(f));
                self
            }

            pub fn on_cleanup(self, f: impl Fn() + Send + Sync + 'static) -> Self {
                set(
                    |context| &mut context.cleanup,
                    self.0,
                    Box::new(move |_| f()),
                );
                self
            }

            pub fn on_destroy(self, f: impl Fn() + Send + Sync + 'static) -> Self {
                set(
                    |context| &mut context.destroy,
                    self.0,
                    Box::new(move |_| f()),
                );
                self
            }

            pub fn delete(self) {
                // SAFETY: any handle may be passed; a bad one fails the world.
                unsafe { unsafe_wdf!(WdfObjectDelete, self.0 as WDFOBJECT) }
            }

            pub fn reference(self) {
                // SAFETY: as above.
                unsafe {
                    unsafe_wdf!(
                        WdfObjectReferenceActual,
                        self.0 as WDFOBJECT,
                        null_mut(),
                        0,
                        null_mut()
                    )
                }
            }

            pub fn dereference(self) {
                // SAFETY: as above.
                unsafe {
                    unsafe_wdf!(
                        WdfObjectDereferenceActual,
                        self.0 as WDFOBJECT,
                        null_mut(),
                        0,
                        null_mut()
                    )
                }
            }
        }
    };
}

object!(Dpc, WDFDPC);
object!(WorkItem, WDFWORKITEM);
object!(Timer, WDFTIMER);
object!(Device, WDFDEVICE);
object!(General, WDFOBJECT);

/// Creates a DPC and returns the status with the handle.
pub fn try_dpc(
    mut config: WDF_DPC_CONFIG,
    mut attributes: WDF_OBJECT_ATTRIBUTES,
) -> Result<Dpc, NTSTATUS> {
    let mut handle = null_mut();
    // SAFETY: all pointers are good for the call.
    let status = unsafe {
        unsafe_wdf!(
            WdfDpcCreate,
            &raw mut config,
            &raw mut attributes,
            &raw mut handle
        )
    };
    if status < 0 {
        Err(status)
    } else {
        Ok(Dpc(handle as usize))
    }
}

pub fn try_work_item(
    mut config: WDF_WORKITEM_CONFIG,
    mut attributes: WDF_OBJECT_ATTRIBUTES,
) -> Result<WorkItem, NTSTATUS> {
    let mut handle = null_mut();
    // SAFETY: all pointers are good for the call.
    let status = unsafe {
        unsafe_wdf!(
            WdfWorkItemCreate,
            &raw mut config,
            &raw mut attributes,
            &raw mut handle
        )
    };
    if status < 0 {
        Err(status)
    } else {
        Ok(WorkItem(handle as usize))
    }
}

pub fn try_timer(
    mut config: WDF_TIMER_CONFIG,
    mut attributes: WDF_OBJECT_ATTRIBUTES,
) -> Result<Timer, NTSTATUS> {
    let mut handle = null_mut();
    // SAFETY: all pointers are good for the call.
    let status = unsafe {
        unsafe_wdf!(
            WdfTimerCreate,
            &raw mut config,
            &raw mut attributes,
            &raw mut handle
        )
    };
    if status < 0 {
        Err(status)
    } else {
        Ok(Timer(handle as usize))
    }
}

pub fn try_general(mut attributes: WDF_OBJECT_ATTRIBUTES) -> Result<General, NTSTATUS> {
    let mut handle: WDFOBJECT = null_mut();
    // SAFETY: all pointers are good for the call.
    let status = unsafe { unsafe_wdf!(WdfObjectCreate, &raw mut attributes, &raw mut handle) };
    if status < 0 {
        Err(status)
    } else {
        Ok(General(handle as usize))
    }
}

/// A DPC under `parent` with a context; its callback is set with `on_run`.
pub fn dpc(parent: usize) -> Dpc {
    try_dpc(dpc_config(), with_context(attributes(parent))).expect("a DPC can be made here")
}

pub fn work_item(parent: usize) -> WorkItem {
    try_work_item(work_item_config(), with_context(attributes(parent)))
        .expect("a work item can be made here")
}

pub fn timer(parent: usize) -> Timer {
    try_timer(timer_config(), with_context(attributes(parent))).expect("a timer can be made here")
}

pub fn passive_timer(parent: usize) -> Timer {
    let mut attributes = with_context(attributes(parent));
    attributes.ExecutionLevel = _WDF_EXECUTION_LEVEL::WdfExecutionLevelPassive;
    try_timer(timer_config(), attributes).expect("a passive timer can be made here")
}

pub fn general(parent: usize) -> General {
    try_general(with_context(attributes(parent))).expect("an object can be made here")
}

impl Dpc {
    pub fn enqueue(self) -> bool {
        // SAFETY: any handle may be passed; a bad one fails the world.
        unsafe { unsafe_wdf!(WdfDpcEnqueue, self.raw()) != 0 }
    }

    pub fn cancel(self, wait: bool) -> bool {
        // SAFETY: as above.
        unsafe { unsafe_wdf!(WdfDpcCancel, self.raw(), wait.into()) != 0 }
    }

    pub fn kdpc(self) -> PKDPC {
        // SAFETY: as above.
        unsafe { unsafe_wdf!(WdfDpcWdmGetDpc, self.raw()) }
    }

    /// Runs on `cpu` from the next enqueue on, at once even from another CPU (D-23, D-24).
    pub fn target(self, cpu: u32) -> Self {
        let mut number = PROCESSOR_NUMBER {
            Group: 0,
            Number: cpu as u8,
            Reserved: 0,
        };
        // SAFETY: the KDPC is alive with its object, and the number is good for the call.
        unsafe {
            let status = ntddk::KeSetTargetProcessorDpcEx(self.kdpc(), &raw mut number);
            assert_eq!(status, STATUS_SUCCESS, "the CPU exists");
        }
        self.urgent()
    }

    /// Asks for an interrupt on whatever CPU it is queued to (D-23).
    pub fn urgent(self) -> Self {
        // SAFETY: the KDPC is alive with its object.
        unsafe {
            ntddk::KeSetImportanceDpc(self.kdpc(), _KDPC_IMPORTANCE::MediumHighImportance);
        }
        self
    }
}

impl WorkItem {
    pub fn enqueue(self) {
        // SAFETY: any handle may be passed; a bad one fails the world.
        unsafe { unsafe_wdf!(WdfWorkItemEnqueue, self.raw()) }
    }

    pub fn flush(self) {
        // SAFETY: as above.
        unsafe { unsafe_wdf!(WdfWorkItemFlush, self.raw()) }
    }
}

impl Timer {
    /// Starts the timer `ms` from now.
    pub fn start_ms(self, ms: i64) -> bool {
        self.start(-ms * 10_000)
    }

    pub fn start(self, due_time: i64) -> bool {
        // SAFETY: any handle may be passed; a bad one fails the world.
        unsafe { unsafe_wdf!(WdfTimerStart, self.raw(), due_time) != 0 }
    }

    pub fn stop(self, wait: bool) -> bool {
        // SAFETY: as above.
        unsafe { unsafe_wdf!(WdfTimerStop, self.raw(), wait.into()) != 0 }
    }
}

/// A loaded driver with one device.
pub struct Setup {
    pub driver: Driver,
    pub device: Device,
}

impl Setup {
    pub fn new() -> Self {
        let driver = Driver::load();
        let device = Device(driver.add_device() as usize);
        Self { driver, device }
    }

    pub fn dpc(&self) -> Dpc {
        dpc(self.device.0)
    }

    pub fn work_item(&self) -> WorkItem {
        work_item(self.device.0)
    }

    pub fn timer(&self) -> Timer {
        timer(self.device.0)
    }

    pub fn passive_timer(&self) -> Timer {
        passive_timer(self.device.0)
    }

    /// Removes the device and unloads the driver: every world that ends well ends so.
    pub fn finish(self) {
        self.driver.remove_device(self.device.raw());
        self.driver.unload();
    }
}

/// A counter that callbacks share.
pub fn counter() -> Arc<AtomicU32> {
    Arc::default()
}

pub fn flag() -> Arc<AtomicBool> {
    Arc::default()
}

/// Counts who is inside, and remembers the most at once.
#[derive(Default)]
pub struct Inside {
    now: AtomicU32,
    most: AtomicU32,
    total: AtomicU32,
}

impl Inside {
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    pub fn during(&self, f: impl FnOnce()) {
        let now = self.now.fetch_add(1, SeqCst) + 1;
        self.most.fetch_max(now, SeqCst);
        self.total.fetch_add(1, SeqCst);
        f();
        self.now.fetch_sub(1, SeqCst);
    }

    pub fn now(&self) -> u32 {
        self.now.load(SeqCst)
    }

    pub fn most(&self) -> u32 {
        self.most.load(SeqCst)
    }

    pub fn total(&self) -> u32 {
        self.total.load(SeqCst)
    }
}

/// Spins, at any IRQL, until `done`.
pub fn spin_until(done: impl Fn() -> bool) {
    while !done() {
        // SAFETY: the call has no requirement.
        unsafe { ntddk::KeStallExecutionProcessor(1) };
    }
}

/// Passes a little time on this CPU, so that others come in between.
pub fn linger() {
    for _ in 0..4 {
        kmdf_mock::sync::preempt();
    }
}

/// The code a world fails with; panics if it does not fail.
pub fn code_of<R: std::fmt::Debug>(result: Result<R, Failure>) -> String {
    match result {
        Ok(value) => panic!("the world ended well, with {value:?}"),
        Err(failure) => failure.code().to_owned(),
    }
}

/// A strict world.
pub fn strict(seed: u64) -> Sim {
    Sim::new(seed).verifier(Verifier::Strict)
}

/// How often a break was counted.
pub fn breaks(name: &str) -> u32 {
    world::breaks()
        .iter()
        .find(|(other, _)| other == name)
        .map_or(0, |(_, count)| *count)
}

/// Runs `f` in a strict world per seed; every one has to end well.
pub fn for_seeds(f: impl Fn() + Send + Sync + Copy + 'static) {
    world::seeds(SEEDS, |seed| {
        if let Err(failure) = strict(seed).run(f) {
            panic!("{failure}");
        }
    });
}

/// Runs `f` per seed and returns how many worlds said yes.
pub fn count_seeds(f: impl Fn() -> bool + Send + Sync + Copy + 'static) -> u32 {
    let mut found = 0;
    for seed in SEEDS {
        match strict(seed).run(f) {
            Ok(true) => found += 1,
            Ok(false) => {}
            Err(failure) => panic!("{failure}"),
        }
    }
    found
}

/// A pointer that may cross threads.
#[derive(Clone, Copy)]
pub struct Raw(pub *mut c_void);
// SAFETY: only an address.
unsafe impl Send for Raw {}
