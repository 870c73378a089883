//! No provider: the crate compiles, for documentation and type checks, and attach fails.

use core::ffi::c_void;
use core::fmt;

use super::{Config, Host};
use crate::engine::backend::{Backend, Irql, Status, TimerLevel};

/// A backend that nothing can be attached to.
#[derive(Debug)]
pub(crate) enum Kmdf {}

/// Fails with `STATUS_NOT_SUPPORTED`.
///
/// # Safety
///
/// None.
pub(crate) unsafe fn attach(_host: Host, config: &Config) -> Result<(), Status> {
    let _unused = config.reentrance;
    Err(Status::NOT_SUPPORTED)
}

/// Nothing is attached.
pub(crate) fn detach() -> bool {
    true
}

// SAFETY: without a runtime no call below is made but `raise_to_high`, `lower` and `print`, which
// have nothing to do.
unsafe impl Backend for Kmdf {
    type WorkItem = core::convert::Infallible;
    type Event = ();
    type Thread = core::convert::Infallible;
    type Affinity = ();

    fn raise_to_high() -> Irql {
        Irql(0)
    }
    fn raise_to_dispatch() -> Irql {
        Irql(0)
    }
    fn lower(_to: Irql) {}
    fn irql() -> Irql {
        Irql(0)
    }
    fn cpu() -> u32 {
        0
    }
    fn active_cpus() -> u32 {
        0
    }
    fn thread() -> usize {
        0
    }
    fn now_100ns() -> u64 {
        0
    }
    fn tick_100ns() -> u64 {
        0
    }
    fn should_yield() -> bool {
        false
    }
    unsafe fn thread_start(
        _entry: unsafe extern "C" fn(*mut c_void),
        _context: *mut c_void,
    ) -> Result<Self::Thread, Status> {
        Err(Status::NOT_SUPPORTED)
    }
    unsafe fn thread_join(thread: Self::Thread) {
        match thread {}
    }
    fn thread_exit() {}
    fn pin(_cpu: u32) {}
    fn unpin(_before: ()) {}
    fn set_priority(_priority: i32) -> i32 {
        0
    }
    fn priority() -> i32 {
        0
    }
    fn unpin_all() -> bool {
        false
    }
    fn allocate(_size: usize) -> *mut u8 {
        core::ptr::null_mut()
    }
    unsafe fn free(_memory: *mut u8) {}
    unsafe fn event_init(_event: *mut ()) {}
    unsafe fn event_set(_event: *mut ()) {}
    unsafe fn event_wait(_event: *mut ()) {}
    fn dpc_enqueue(&self, _cpu: u32) {
        match *self {}
    }
    fn timer_start(&self, _level: TimerLevel, _due_100ns: u64) {
        match *self {}
    }
    fn work_item_create(&self, _context: *mut ()) -> Result<Self::WorkItem, Status> {
        match *self {}
    }
    fn work_item_enqueue(&self, _item: Self::WorkItem) {
        match *self {}
    }
    fn work_item_delete(&self, _item: Self::WorkItem) {
        match *self {}
    }
    fn print(_line: fmt::Arguments<'_>) {}
}
