//! A framework and a kernel that write down how they are called and do next to nothing else.
//!
//! The prototypes are spelled out here a second time, from Microsoft's documentation (N-43),
//! and the places in the function table come from `layout.tsv`: neither is taken from the ABI that the
//! test is about.

use std::cell::RefCell;
use std::sync::Once;
use std::sync::atomic::AtomicU64;

use wdk_sys::{
    PFN_WDFCONTROLDEVICEINITALLOCATE, PFN_WDFCONTROLFINISHINITIALIZING, PFN_WDFDEVICECREATE,
    PFN_WDFDEVICEINITASSIGNNAME, PFN_WDFDEVICEINITFREE, PFN_WDFDPCCANCEL, PFN_WDFDPCCREATE,
    PFN_WDFDPCENQUEUE, PFN_WDFDPCGETPARENTOBJECT, PFN_WDFDPCWDMGETDPC, PFN_WDFDRIVERCREATE,
    PFN_WDFOBJECTCREATE, PFN_WDFOBJECTDELETE, PFN_WDFOBJECTDEREFERENCEACTUAL,
    PFN_WDFOBJECTGETTYPEDCONTEXTWORKER, PFN_WDFOBJECTREFERENCEACTUAL, PFN_WDFTIMERCREATE,
    PFN_WDFTIMERGETPARENTOBJECT, PFN_WDFTIMERSTART, PFN_WDFTIMERSTOP, PFN_WDFWORKITEMCREATE,
    PFN_WDFWORKITEMENQUEUE, PFN_WDFWORKITEMFLUSH, PFN_WDFWORKITEMGETPARENTOBJECT, *,
};

/// One call, with its arguments as the words they are passed in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Call {
    pub(crate) name: &'static str,
    pub(crate) words: Vec<u64>,
}

thread_local! {
    static CALLS: RefCell<Vec<Call>> = const { RefCell::new(Vec::new()) };
    static PRINTED: RefCell<String> = const { RefCell::new(String::new()) };
}

/// The calls that this thread has made since it last asked.
pub(crate) fn calls() -> Vec<Call> {
    CALLS.take()
}

/// What this thread has printed to the debugger since it last asked.
pub(crate) fn printed() -> String {
    PRINTED.take()
}

fn record(name: &'static str, words: &[u64]) {
    CALLS.with_borrow_mut(|calls| {
        calls.push(Call {
            name,
            words: words.to_vec(),
        })
    });
}

/// Appends to the last call what it found behind a pointer.
fn found(word: impl Word) {
    CALLS.with_borrow_mut(|calls| {
        calls
            .last_mut()
            .expect("a call is recorded before it looks around")
            .words
            .push(word.word());
    });
}

/// Memory that every pointer of a test leads to, so that a callee may read and write it.
static SCRATCH: [AtomicU64; 256] = [const { AtomicU64::new(0) }; 256];

/// The `n`-th place of the scratch memory.
pub(crate) fn place<T>(n: usize) -> *mut T {
    (&raw const SCRATCH[16 * n]).cast_mut().cast()
}

/// The globals that the framework has given the driver.
pub(crate) fn globals() -> PWDF_DRIVER_GLOBALS {
    place(15)
}

/// A type that a function of the table takes.
pub(crate) trait Word: Copy {
    /// The value as the word it is passed in.
    fn word(self) -> u64;
    /// A value that tells the `n`-th argument from all others.
    fn nth(n: usize) -> Self;
}

impl<T> Word for *mut T {
    fn word(self) -> u64 {
        self as u64
    }
    fn nth(n: usize) -> Self {
        place(n)
    }
}

impl<T> Word for *const T {
    fn word(self) -> u64 {
        self as u64
    }
    fn nth(n: usize) -> Self {
        place::<T>(n)
    }
}

macro_rules! integer_words {
    ($($integer:ty)*) => {$(
        impl Word for $integer {
            fn word(self) -> u64 {
                self as u64
            }
            fn nth(n: usize) -> Self {
                -<i8>::try_from(n).expect("few arguments") as $integer
            }
        }
    )*};
}
integer_words! { u8 i8 u16 u32 i32 u64 i64 }

impl Word for PKSTART_ROUTINE {
    fn word(self) -> u64 {
        self.map_or(0, |routine| routine as usize as u64)
    }
    fn nth(_: usize) -> Self {
        None
    }
}

unsafe extern "C" fn unexpected() {
    record("a place of the table that no function of the ABI has", &[]);
}

/// Where `layout.tsv` says that `name` stands in the function table, or how long the table is.
pub(crate) fn figure(name: &str) -> usize {
    include_str!("../../../../mock/layout.tsv")
        .lines()
        .find_map(|row| {
            row.strip_prefix(&format!("value\t_WDFFUNCENUM::{name}\t"))?
                .parse()
                .ok()
        })
        .unwrap_or_else(|| panic!("layout.tsv has no row for {name}"))
}

/// Defines the functions of the framework, puts them into a table, and calls each by its name.
macro_rules! framework {
    ($($name:ident: $pfn:ident($($argument:ident: $type:ty),*) $(-> $result:ty)? $body:block)*) => {
        /// Fills the table and hands it to the driver, once for all tests.
        pub(crate) fn install() {
            static INSTALL: Once = Once::new();
            INSTALL.call_once(|| {
                let mut table: Vec<WDFFUNC> =
                    vec![Some(unexpected); figure("WdfFunctionTableNumEntries")];
                $({
                    unsafe extern "C" fn function(
                        globals: PWDF_DRIVER_GLOBALS, $($argument: $type),*
                    ) $(-> $result)? {
                        record(stringify!($name), &[globals.word(), $($argument.word()),*]);
                        $body
                    }
                    let function: $pfn = Some(function);
                    let place = figure(concat!(stringify!($name), "TableIndex"));
                    // SAFETY: both are pointers to functions; the macro casts back before it calls.
                    let function = unsafe { std::mem::transmute::<$pfn, WDFFUNC>(function) };
                    table[place] = function;
                })*
                // SAFETY: no test reads the three before `install` returns, and nobody writes them again.
                unsafe {
                    WdfFunctionCount = ULONG::try_from(table.len()).expect("a short table");
                    WdfFunctions_01033 = table.leak().as_ptr();
                    WdfDriverGlobals = globals();
                }
            });
        }

        /// Calls every function through the macro of `wdk-macros`; what is called, what should be.
        pub(crate) fn call_each() -> Vec<(Vec<Call>, Call)> {
            vec![$({
                let mut words = vec![globals().word()];
                $(
                    let $argument = <$type as Word>::nth(words.len());
                    words.push($argument.word());
                )*
                // SAFETY: the table is full, and the arguments are places of the scratch memory.
                unsafe {
                    let _result = wdk_sys::call_unsafe_wdf_function_binding!(
                        $name $(, $argument)*
                    );
                }
                let mut calls = calls();
                for call in &mut calls {
                    call.words.truncate(words.len());
                }
                (calls, Call { name: stringify!($name), words })
            }),*]
        }
    };
}

/// The table, under the name that WDF's import library gives it.
// The name is free: no other object of this program defines it.
#[unsafe(no_mangle)]
static mut WdfFunctions_01033: *const WDFFUNC = std::ptr::null();
// The name is free: no other object of this program defines it.
#[unsafe(no_mangle)]
static mut WdfFunctionCount: ULONG = 0;
// The name is free: no other object of this program defines it.
#[unsafe(no_mangle)]
static mut WdfDriverGlobals: PWDF_DRIVER_GLOBALS = std::ptr::null_mut();

framework! {
    WdfControlDeviceInitAllocate: PFN_WDFCONTROLDEVICEINITALLOCATE(
        driver: WDFDRIVER, sddl: *const UNICODE_STRING
    ) -> PWDFDEVICE_INIT {
        // SAFETY: a string of the caller, or scratch memory.
        found(unsafe { (*sddl).Length });
        place(14)
    }
    WdfControlFinishInitializing: PFN_WDFCONTROLFINISHINITIALIZING(device: WDFDEVICE) {}
    WdfDeviceInitFree: PFN_WDFDEVICEINITFREE(init: PWDFDEVICE_INIT) {}
    WdfDeviceInitAssignName: PFN_WDFDEVICEINITASSIGNNAME(
        init: PWDFDEVICE_INIT, name: PCUNICODE_STRING
    ) -> NTSTATUS { STATUS_SUCCESS }
    WdfDeviceCreate: PFN_WDFDEVICECREATE(
        init: *mut PWDFDEVICE_INIT, attributes: PWDF_OBJECT_ATTRIBUTES, device: *mut WDFDEVICE
    ) -> NTSTATUS {
        // SAFETY: variables of the caller, or scratch memory.
        unsafe {
            found((*attributes).Size);
            let info = (*attributes).ContextTypeInfo;
            found(info.as_ref().is_some_and(|known| known.UniqueType == info));
            *init = std::ptr::null_mut();
            *device = place(13);
        }
        STATUS_SUCCESS
    }
    WdfDriverCreate: PFN_WDFDRIVERCREATE(
        object: PDRIVER_OBJECT, path: PCUNICODE_STRING, attributes: PWDF_OBJECT_ATTRIBUTES,
        config: PWDF_DRIVER_CONFIG, driver: *mut WDFDRIVER
    ) -> NTSTATUS {
        // SAFETY: variables of the caller, or scratch memory.
        unsafe {
            found((*config).Size);
            found((*config).DriverInitFlags);
            *driver = place(12);
        }
        STATUS_SUCCESS
    }
    WdfDpcCreate: PFN_WDFDPCCREATE(
        config: PWDF_DPC_CONFIG, attributes: PWDF_OBJECT_ATTRIBUTES, dpc: *mut WDFDPC
    ) -> NTSTATUS {
        // SAFETY: variables of the caller, or scratch memory.
        unsafe {
            found((*config).Size);
            found((*attributes).Size);
            found((*attributes).ParentObject);
            *dpc = place(11);
        }
        STATUS_SUCCESS
    }
    WdfDpcEnqueue: PFN_WDFDPCENQUEUE(dpc: WDFDPC) -> BOOLEAN { 1 }
    WdfDpcCancel: PFN_WDFDPCCANCEL(dpc: WDFDPC, wait: BOOLEAN) -> BOOLEAN { 0 }
    WdfDpcGetParentObject: PFN_WDFDPCGETPARENTOBJECT(dpc: WDFDPC) -> WDFOBJECT { place(13) }
    WdfDpcWdmGetDpc: PFN_WDFDPCWDMGETDPC(dpc: WDFDPC) -> PKDPC { place(8) }
    WdfObjectGetTypedContextWorker: PFN_WDFOBJECTGETTYPEDCONTEXTWORKER(
        handle: WDFOBJECT, info: PCWDF_OBJECT_CONTEXT_TYPE_INFO
    ) -> PVOID { place(7) }
    WdfObjectReferenceActual: PFN_WDFOBJECTREFERENCEACTUAL(
        handle: WDFOBJECT, tag: PVOID, line: LONG, file: PCCH
    ) {}
    WdfObjectDereferenceActual: PFN_WDFOBJECTDEREFERENCEACTUAL(
        handle: WDFOBJECT, tag: PVOID, line: LONG, file: PCCH
    ) {}
    WdfObjectCreate: PFN_WDFOBJECTCREATE(
        attributes: PWDF_OBJECT_ATTRIBUTES, object: *mut WDFOBJECT
    ) -> NTSTATUS { STATUS_SUCCESS }
    WdfObjectDelete: PFN_WDFOBJECTDELETE(object: WDFOBJECT) {}
    WdfTimerCreate: PFN_WDFTIMERCREATE(
        config: PWDF_TIMER_CONFIG, attributes: PWDF_OBJECT_ATTRIBUTES, timer: *mut WDFTIMER
    ) -> NTSTATUS {
        // SAFETY: variables of the caller, or scratch memory.
        unsafe {
            found((*config).Size);
            found((*attributes).ExecutionLevel);
            *timer = place(10);
        }
        STATUS_SUCCESS
    }
    WdfTimerStart: PFN_WDFTIMERSTART(timer: WDFTIMER, due: LONGLONG) -> BOOLEAN { 0 }
    WdfTimerStop: PFN_WDFTIMERSTOP(timer: WDFTIMER, wait: BOOLEAN) -> BOOLEAN { 1 }
    WdfTimerGetParentObject: PFN_WDFTIMERGETPARENTOBJECT(timer: WDFTIMER) -> WDFOBJECT { place(13) }
    WdfWorkItemCreate: PFN_WDFWORKITEMCREATE(
        config: PWDF_WORKITEM_CONFIG, attributes: PWDF_OBJECT_ATTRIBUTES, item: *mut WDFWORKITEM
    ) -> NTSTATUS {
        // SAFETY: variables of the caller, or scratch memory.
        unsafe {
            found((*config).Size);
            *item = place(9);
        }
        STATUS_SUCCESS
    }
    WdfWorkItemEnqueue: PFN_WDFWORKITEMENQUEUE(item: WDFWORKITEM) {}
    WdfWorkItemGetParentObject: PFN_WDFWORKITEMGETPARENTOBJECT(
        item: WDFWORKITEM
    ) -> WDFOBJECT { place(13) }
    WdfWorkItemFlush: PFN_WDFWORKITEMFLUSH(item: WDFWORKITEM) {}
}

impl Word for bool {
    fn word(self) -> u64 {
        self.into()
    }
    fn nth(n: usize) -> Self {
        n % 2 == 1
    }
}

/// Defines functions of the kernel under the names that the linker looks for.
macro_rules! kernel {
    ($($name:ident($($argument:ident: $type:ty),*) $(-> $result:ty)? $body:block)*) => {$(
        // The name is free: no other object of this program defines it.
        #[unsafe(no_mangle)]
        unsafe extern "C" fn $name($($argument: $type),*) $(-> $result)? {
            record(stringify!($name), &[$($argument.word()),*]);
            $body
        }
    )*};
}

kernel! {
    ExAllocatePool2(flags: POOL_FLAGS, bytes: SIZE_T, tag: ULONG) -> PVOID { place(6) }
    ExFreePool(memory: PVOID) {}
    ExFreePoolWithTag(memory: PVOID, tag: ULONG) {}
    KeEnterCriticalRegion() {}
    KeFlushQueuedDpcs() {}
    KeGetCurrentIrql() -> KIRQL { 0 }
    KeGetCurrentProcessorNumberEx(number: PPROCESSOR_NUMBER) -> ULONG { 3 }
    KeGetProcessorNumberFromIndex(index: ULONG, number: PPROCESSOR_NUMBER) -> NTSTATUS {
        if index >= 128 {
            return STATUS_INVALID_PARAMETER;
        }
        // SAFETY: a variable of the caller.
        unsafe {
            (*number).Group = (index / 64) as USHORT;
            (*number).Number = (index % 64) as UCHAR;
        }
        STATUS_SUCCESS
    }
    KeInitializeEvent(event: PRKEVENT, kind: EVENT_TYPE, state: BOOLEAN) {}
    KeLeaveCriticalRegion() {}
    KeLowerIrql(level: KIRQL) {}
    KeQueryInterruptTimePrecise(stamp: PULONG64) -> ULONG64 { 0 }
    KeQueryMaximumProcessorCountEx(group: USHORT) -> ULONG { 4 }
    KeQueryTimeIncrement() -> ULONG { 156_250 }
    KeQueryUnbiasedInterruptTime() -> ULONGLONG { 70_000 }
    KeRevertToUserGroupAffinityThread(previous: PGROUP_AFFINITY) {
        // SAFETY: a variable of the caller.
        found(unsafe { (*previous).Mask });
    }
    KeSetEvent(event: PRKEVENT, increment: KPRIORITY, wait: BOOLEAN) -> LONG { 0 }
    KeSetImportanceDpc(dpc: PRKDPC, importance: KDPC_IMPORTANCE) {}
    KeSetPriorityThread(thread: PKTHREAD, priority: KPRIORITY) -> KPRIORITY { 8 }
    KeSetSystemGroupAffinityThread(affinity: PGROUP_AFFINITY, previous: PGROUP_AFFINITY) {
        // SAFETY: variables of the caller.
        unsafe {
            found((*affinity).Mask);
            found((*affinity).Group);
            (*previous).Mask = 0xF;
        }
    }
    KeSetTargetProcessorDpcEx(dpc: PKDPC, number: PPROCESSOR_NUMBER) -> NTSTATUS {
        // SAFETY: a variable of the caller.
        unsafe {
            found((*number).Group);
            found((*number).Number);
        }
        STATUS_SUCCESS
    }
    KeWaitForSingleObject(
        object: PVOID, reason: KWAIT_REASON, mode: KPROCESSOR_MODE, alertable: BOOLEAN,
        timeout: PLARGE_INTEGER
    ) -> NTSTATUS {
        // SAFETY: a variable of the caller.
        if let Some(timeout) = unsafe { timeout.as_ref() } {
            // SAFETY: every bit pattern of the union is an integer.
            found(unsafe { timeout.QuadPart });
            return STATUS_TIMEOUT;
        }
        STATUS_SUCCESS
    }
    KfRaiseIrql(level: KIRQL) -> KIRQL { 0 }
    ObReferenceObjectByHandle(
        handle: HANDLE, access: ACCESS_MASK, kind: POBJECT_TYPE, mode: KPROCESSOR_MODE,
        object: *mut PVOID, information: POBJECT_HANDLE_INFORMATION
    ) -> NTSTATUS {
        // SAFETY: a variable of the caller.
        unsafe { *object = place(4) };
        STATUS_SUCCESS
    }
    ObfDereferenceObject(object: PVOID) -> LONG_PTR { 0 }
    PsCreateSystemThread(
        handle: PHANDLE, access: ULONG, attributes: POBJECT_ATTRIBUTES, process: HANDLE,
        client: PCLIENT_ID, routine: PKSTART_ROUTINE, context: PVOID
    ) -> NTSTATUS {
        // SAFETY: variables of the caller.
        unsafe {
            found((*attributes).Length);
            *handle = place(5);
        }
        STATUS_SUCCESS
    }
    ZwClose(handle: HANDLE) -> NTSTATUS { STATUS_SUCCESS }
}

/// `DbgPrint` for the one format that `wdk` uses, a text and nothing else.
// The name is free: no other object of this program defines it.
#[unsafe(no_mangle)]
unsafe extern "C" fn DbgPrint(format: LPCSTR, text: LPCSTR) -> ULONG {
    // SAFETY: `wdk` passes two pointers to bytes that end in zero.
    let (format, text) = unsafe {
        (
            std::ffi::CStr::from_ptr(format.cast()),
            std::ffi::CStr::from_ptr(text.cast()),
        )
    };
    assert_eq!(format, c"%s");
    PRINTED.with_borrow_mut(|printed| printed.push_str(&text.to_string_lossy()));
    0
}
