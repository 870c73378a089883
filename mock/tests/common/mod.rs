//! What the tests of this crate share.
#![allow(
    dead_code,
    unreachable_pub,
    reason = "every test binary uses a part of it"
)]

use std::cell::UnsafeCell;
use std::ffi::c_void;
use std::ptr;
use std::sync::Arc;

use kmdf_mock::world::{self, Sim};
use kmdf_mock::{KDPC, PROCESSOR_NUMBER, ntddk};

/// Runs `f` in a default world for every seed.
pub fn run(seeds: std::ops::Range<u64>, f: impl Fn(u64) + Clone + Send + 'static) {
    world::seeds(seeds, move |seed| {
        let f = f.clone();
        Sim::new(seed).run(move || f(seed)).unwrap();
    });
}

struct Inner {
    raw: UnsafeCell<KDPC>,
    routine: Box<dyn Fn() + Send + Sync>,
}

/// A KDPC that runs a closure.
#[derive(Clone)]
pub struct Dpc(Arc<Inner>);

// SAFETY: the KDPC is reached only through NT's calls, which serialise every access.
unsafe impl Send for Inner {}
// SAFETY: as above.
unsafe impl Sync for Inner {}

unsafe extern "C" fn routine(_: *mut KDPC, context: *mut c_void, _: *mut c_void, _: *mut c_void) {
    // SAFETY: the context is the `Inner` that `Dpc::new` passed; a test keeps it until the world ends.
    let inner = unsafe { &*context.cast::<Inner>() };
    (inner.routine)();
}

impl Dpc {
    pub fn new(f: impl Fn() + Send + Sync + 'static) -> Self {
        // SAFETY: a KDPC may be all zeroes until it is initialised.
        let raw = UnsafeCell::new(unsafe { std::mem::zeroed() });
        let dpc = Self(Arc::new(Inner {
            raw,
            routine: Box::new(f),
        }));
        let context = ptr::from_ref(&*dpc.0).cast_mut().cast();
        // SAFETY: the KDPC lives in the `Arc`, which does not move.
        unsafe { ntddk::KeInitializeDpc(dpc.raw(), Some(routine), context) };
        dpc
    }

    pub fn raw(&self) -> *mut KDPC {
        self.0.raw.get()
    }

    pub fn insert(&self) -> bool {
        // SAFETY: the KDPC is initialised and lives in the `Arc`.
        unsafe { ntddk::KeInsertQueueDpc(self.raw(), ptr::null_mut(), ptr::null_mut()) != 0 }
    }

    pub fn remove(&self) -> bool {
        // SAFETY: as above.
        unsafe { ntddk::KeRemoveQueueDpc(self.raw()) != 0 }
    }

    pub fn set_importance(&self, importance: i32) {
        // SAFETY: as above.
        unsafe { ntddk::KeSetImportanceDpc(self.raw(), importance) };
    }

    pub fn set_target(&self, cpu: u32) {
        let mut number = PROCESSOR_NUMBER::default();
        // SAFETY: as above; the number is valid for the calls.
        unsafe {
            ntddk::KeGetProcessorNumberFromIndex(cpu, &raw mut number);
            ntddk::KeSetTargetProcessorDpcEx(self.raw(), &raw mut number);
        }
    }
}

/// A KSPIN_LOCK.
pub struct Lock(UnsafeCell<u64>);

// SAFETY: the lock word is reached only through NT's calls.
unsafe impl Sync for Lock {}

impl Lock {
    pub fn new() -> Self {
        Self(UnsafeCell::new(0))
    }

    pub fn raw(&self) -> *mut u64 {
        self.0.get()
    }

    pub fn with<R>(&self, f: impl FnOnce() -> R) -> R {
        // SAFETY: the lock word lives as long as `self`; the release takes back what the acquisition gave.
        unsafe {
            let irql = ntddk::KeAcquireSpinLockRaiseToDpc(self.raw());
            let result = f();
            ntddk::KeReleaseSpinLock(self.raw(), irql);
            result
        }
    }
}

/// A KEVENT.
pub struct Event(Box<UnsafeCell<kmdf_mock::KEVENT>>);

// SAFETY: the event is reached only through NT's calls, which serialise every access.
unsafe impl Send for Event {}
// SAFETY: as above.
unsafe impl Sync for Event {}

impl Event {
    pub fn notification() -> Self {
        Self::new(kmdf_mock::_EVENT_TYPE::NotificationEvent)
    }

    pub fn synchronization() -> Self {
        Self::new(kmdf_mock::_EVENT_TYPE::SynchronizationEvent)
    }

    fn new(kind: i32) -> Self {
        let event = Self(Box::default());
        // SAFETY: the event lives in the box, which does not move.
        unsafe { ntddk::KeInitializeEvent(event.0.get(), kind, 0) };
        event
    }

    pub fn set(&self) -> i32 {
        // SAFETY: the event is initialised and lives in the box.
        unsafe { ntddk::KeSetEvent(self.0.get(), 0, 0) }
    }

    pub fn clear(&self) {
        // SAFETY: as above.
        unsafe { ntddk::KeClearEvent(self.0.get()) };
    }

    pub fn state(&self) -> i32 {
        // SAFETY: as above.
        unsafe { ntddk::KeReadStateEvent(self.0.get()) }
    }

    pub fn wait(&self, timeout: Option<i64>) -> i32 {
        wait_for(self.0.get().cast(), timeout)
    }
}

/// KeWaitForSingleObject.
pub fn wait_for(object: *mut c_void, timeout: Option<i64>) -> i32 {
    let mut time = kmdf_mock::LARGE_INTEGER {
        QuadPart: timeout.unwrap_or(0),
    };
    let pointer = if timeout.is_some() {
        &raw mut time
    } else {
        ptr::null_mut()
    };
    // SAFETY: the callers pass a dispatcher object that outlives the wait; the time lives on this stack.
    unsafe { ntddk::KeWaitForSingleObject(object, 0, 0, 0, pointer) }
}

/// PsCreateSystemThread: the referenced object of a new thread, whose handle is closed.
pub fn system_thread(
    routine: unsafe extern "C" fn(*mut c_void),
    context: *mut c_void,
) -> *mut c_void {
    let (mut handle, mut object) = (ptr::null_mut(), ptr::null_mut());
    let null: *mut c_void = ptr::null_mut();
    // SAFETY: every pointer is valid for its call; the routine may be called with the context.
    let created = unsafe {
        ntddk::PsCreateSystemThread(
            &raw mut handle,
            kmdf_mock::THREAD_ALL_ACCESS,
            null.cast(),
            null,
            null.cast(),
            Some(routine),
            context,
        )
    };
    assert_eq!(created, 0);
    // SAFETY: the handle is open; the object is writable.
    unsafe {
        let status = ntddk::ObReferenceObjectByHandle(
            handle,
            0,
            ptr::null_mut(),
            0,
            &raw mut object,
            null.cast(),
        );
        assert_eq!(status, 0);
        assert_eq!(ntddk::ZwClose(handle), 0);
    }
    object
}

struct WorkItemInner {
    raw: kmdf_mock::ntddk::PIO_WORKITEM,
    routine: Box<dyn Fn() + Send + Sync>,
}

/// An IO_WORKITEM that runs a closure.
pub struct WorkItem(Box<WorkItemInner>);

// SAFETY: the item is reached only through NT's calls, which serialise every access.
unsafe impl Send for WorkItem {}
// SAFETY: as above.
unsafe impl Sync for WorkItem {}

unsafe extern "C" fn work_routine(_: kmdf_mock::PDEVICE_OBJECT, context: *mut c_void) {
    // SAFETY: the context is the inner part of a `WorkItem` that the test keeps until the world ends.
    let inner = unsafe { &*context.cast::<WorkItemInner>() };
    (inner.routine)();
}

impl WorkItem {
    pub fn new(f: impl Fn() + Send + Sync + 'static) -> Self {
        // SAFETY: the simulation does not look at the device.
        let raw = unsafe { ntddk::IoAllocateWorkItem(ptr::null_mut()) };
        Self(Box::new(WorkItemInner {
            raw,
            routine: Box::new(f),
        }))
    }

    pub fn queue(&self) {
        let context = ptr::from_ref(&*self.0).cast_mut().cast();
        // SAFETY: the item is allocated, the context lives in the box.
        unsafe { ntddk::IoQueueWorkItem(self.0.raw, Some(work_routine), 1, context) };
    }

    pub fn free(&self) {
        // SAFETY: the tests call this once.
        unsafe { ntddk::IoFreeWorkItem(self.0.raw) };
    }
}

struct TimerInner {
    raw: std::cell::Cell<ntddk::PEX_TIMER>,
    routine: Box<dyn Fn() + Send + Sync>,
}

/// An EX_TIMER that runs a closure.
pub struct Timer(Box<TimerInner>);

// SAFETY: the timer is reached only through NT's calls; the cell is written once, before it is shared.
unsafe impl Send for Timer {}
// SAFETY: as above.
unsafe impl Sync for Timer {}

unsafe extern "C" fn timer_routine(_: ntddk::PEX_TIMER, context: *mut c_void) {
    // SAFETY: the context is the inner part of a `Timer` that the test keeps until the world ends.
    let inner = unsafe { &*context.cast::<TimerInner>() };
    (inner.routine)();
}

impl Timer {
    pub fn new(f: impl Fn() + Send + Sync + 'static) -> Self {
        Self::with(0, f)
    }

    pub fn high_resolution(f: impl Fn() + Send + Sync + 'static) -> Self {
        Self::with(ntddk::EX_TIMER_HIGH_RESOLUTION, f)
    }

    fn with(attributes: u32, f: impl Fn() + Send + Sync + 'static) -> Self {
        let raw = std::cell::Cell::new(ptr::null_mut());
        let timer = Self(Box::new(TimerInner {
            raw,
            routine: Box::new(f),
        }));
        let context = ptr::from_ref(&*timer.0).cast_mut().cast();
        // SAFETY: the context lives in the box.
        timer
            .0
            .raw
            .set(unsafe { ntddk::ExAllocateTimer(Some(timer_routine), context, attributes) });
        timer
    }

    pub fn set(&self, due: i64) -> bool {
        self.set_periodic(due, 0)
    }

    pub fn set_periodic(&self, due: i64, period: i64) -> bool {
        // SAFETY: the timer is allocated.
        unsafe { ntddk::ExSetTimer(self.0.raw.get(), due, period, ptr::null_mut()) != 0 }
    }

    pub fn cancel(&self) -> bool {
        // SAFETY: as above.
        unsafe { ntddk::ExCancelTimer(self.0.raw.get(), ptr::null_mut()) != 0 }
    }

    pub fn delete(&self) -> bool {
        // SAFETY: as above; the tests call this once.
        unsafe { ntddk::ExDeleteTimer(self.0.raw.get(), 1, 0, ptr::null_mut()) != 0 }
    }
}
