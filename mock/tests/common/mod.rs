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
unsafe impl Send for Dpc {}
// SAFETY: as above.
unsafe impl Sync for Dpc {}

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
