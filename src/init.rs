//! The other ways of making items ready: on a stack, deferrable, and in the old forms; and Linux's
//! `container_of`.

use crate::delayed_work::{DECLARE_DELAYED_WORK, INIT_DELAYED_WORK, delayed_work};
use crate::engine::diagnostic::{Diagnostic, Report};
use crate::kmdf::Kmdf;
use crate::sync::Ordering::Relaxed;
use crate::sync::{AtomicI32, AtomicPtr, AtomicUsize};
use crate::tasklet::{tasklet_func, tasklet_struct};
use crate::work::{DECLARE_WORK, INIT_WORK, cancel_sync, work_func_t, work_pending, work_struct};

/// Makes a work on a stack ready. Linux: `INIT_WORK_ONSTACK`.
///
/// Before its frame ends, flush or cancel it, and then call [`destroy_work_on_stack`].
///
/// IRQL: any. Does not block.
///
/// # Safety
///
/// `work` is valid and not pending.
pub unsafe fn INIT_WORK_ONSTACK(work: *mut work_struct, func: work_func_t) {
    // SAFETY: by the caller's word.
    unsafe { INIT_WORK(work, func) };
}

/// Says that the frame of `work` ends. Linux: `destroy_work_on_stack`.
///
/// A work that is still pending would be run from a frame that is gone: it is cancelled, a running
/// instance is waited for, and that is reported (BH20). One that only runs is left alone, for its function
/// may be past its last use of the frame: a driver that waits for a completion, and not with
/// [`flush_work`](crate::work::flush_work), does right.
///
/// IRQL: <= DISPATCH. Blocks only where it reports, and not at DISPATCH_LEVEL (BH06).
///
/// # Safety
///
/// `work` is valid.
pub unsafe fn destroy_work_on_stack(work: *mut work_struct) {
    // SAFETY: by the caller's word.
    unsafe { end_on_stack(work, "destroy_work_on_stack") };
}

/// Makes a delayed work on a stack ready. Linux: `INIT_DELAYED_WORK_ONSTACK`.
///
/// Before its frame ends, flush or cancel it, and then call [`destroy_delayed_work_on_stack`].
///
/// IRQL: any. Does not block.
///
/// # Safety
///
/// `dwork` is valid and not pending.
pub unsafe fn INIT_DELAYED_WORK_ONSTACK(dwork: *mut delayed_work, func: work_func_t) {
    // SAFETY: by the caller's word.
    unsafe { INIT_DELAYED_WORK(dwork, func) };
}

/// Says that the frame of `dwork` ends, as [`destroy_work_on_stack`] does; an armed one is pending.
/// Linux: `destroy_delayed_work_on_stack`.
///
/// IRQL: <= DISPATCH. Blocks only where it reports (BH20), and not at DISPATCH_LEVEL (BH06).
///
/// # Safety
///
/// `dwork` is valid.
pub unsafe fn destroy_delayed_work_on_stack(dwork: *mut delayed_work) {
    // SAFETY: by the caller's word; `work` is the first member.
    unsafe { end_on_stack(dwork.cast(), "destroy_delayed_work_on_stack") };
}

/// Takes a pending item back, and says so.
///
/// # Safety
///
/// `work` is valid.
unsafe fn end_on_stack(work: *mut work_struct, call: &'static str) {
    // SAFETY: by the caller's word.
    if unsafe { work_pending(work) } {
        // SAFETY: as above.
        Report::of(Diagnostic::PendingOnStack, unsafe { &*work }, call).print::<Kmdf>();
        // SAFETY: as above.
        unsafe { cancel_sync(work, call) };
    }
}

/// A delayed work, for statics and fields, whose timer need not wake an idle CPU. KMDF could be told so for
/// a timer; all delayed works share one, so this is [`DECLARE_DELAYED_WORK`]. Linux:
/// `DECLARE_DEFERRABLE_WORK`.
///
/// IRQL: any. Does not block.
#[must_use]
pub const fn DECLARE_DEFERRABLE_WORK(func: work_func_t) -> delayed_work {
    DECLARE_DELAYED_WORK(func)
}

/// Makes a delayed work ready whose timer need not wake an idle CPU; here it is an [`INIT_DELAYED_WORK`].
/// Linux: `INIT_DEFERRABLE_WORK`.
///
/// IRQL: any. Does not block.
///
/// # Safety
///
/// `dwork` is valid and not pending.
pub unsafe fn INIT_DEFERRABLE_WORK(dwork: *mut delayed_work, func: work_func_t) {
    // SAFETY: by the caller's word.
    unsafe { INIT_DELAYED_WORK(dwork, func) };
}

/// [`INIT_DEFERRABLE_WORK`] on a stack; ends with [`destroy_delayed_work_on_stack`]. Linux:
/// `INIT_DEFERRABLE_WORK_ONSTACK`.
///
/// IRQL: any. Does not block.
///
/// # Safety
///
/// `dwork` is valid and not pending.
pub unsafe fn INIT_DEFERRABLE_WORK_ONSTACK(dwork: *mut delayed_work, func: work_func_t) {
    // SAFETY: by the caller's word.
    unsafe { INIT_DELAYED_WORK(dwork, func) };
}

/// [`DECLARE_WORK`], for code that names the initialiser. Linux: `__WORK_INITIALIZER`.
///
/// IRQL: any. Does not block.
#[must_use]
pub const fn __WORK_INITIALIZER(func: work_func_t) -> work_struct {
    DECLARE_WORK(func)
}

/// [`DECLARE_DELAYED_WORK`], for code that names the initialiser. Linux: `__DELAYED_WORK_INITIALIZER`.
///
/// IRQL: any. Does not block.
#[must_use]
pub const fn __DELAYED_WORK_INITIALIZER(func: work_func_t) -> delayed_work {
    DECLARE_DELAYED_WORK(func)
}

const fn declared_old(func: tasklet_func, count: i32) -> tasklet_struct {
    tasklet_struct {
        count: AtomicI32::new(count),
        func: AtomicPtr::new(func as *mut ()),
        data: AtomicUsize::new(0),
        ..tasklet_struct::new()
    }
}

/// A tasklet of the old form, for statics and fields: its function gets its data, which is zero until
/// [`tasklet_struct::set_data`]. Linux: `DECLARE_TASKLET_OLD`.
///
/// IRQL: any. Does not block.
#[must_use]
pub const fn DECLARE_TASKLET_OLD(func: tasklet_func) -> tasklet_struct {
    declared_old(func, 0)
}

/// [`DECLARE_TASKLET_OLD`], disabled once. Linux: `DECLARE_TASKLET_DISABLED_OLD`.
///
/// IRQL: any. Does not block.
#[must_use]
pub const fn DECLARE_TASKLET_DISABLED_OLD(func: tasklet_func) -> tasklet_struct {
    declared_old(func, 1)
}

impl tasklet_struct {
    /// Sets what the function of a tasklet of the old form gets from its next run on: a plain
    /// store to the field. Linux: `tasklet_struct.data`.
    ///
    /// IRQL: any. Does not block.
    ///
    /// # Safety
    ///
    /// The tasklet was made by `tasklet_init` or one of the `_OLD` forms, and its function can take
    /// `data`.
    pub unsafe fn set_data(&self, data: usize) {
        // ORDERING: a plain store, as in Linux; scheduling the tasklet publishes it.
        self.data.store(data, Relaxed);
    }
}

impl work_struct {
    /// The function; `None` in zeroed memory, which is how drivers ask whether an item was initialised. A
    /// delayed work's is its `work`'s. Linux: `work_struct.func`.
    ///
    /// IRQL: any. Does not block.
    #[must_use]
    pub fn func(&self) -> Option<work_func_t> {
        let func = self.function();
        // SAFETY: null, or a `work_func_t` that an init call has stored; a function pointer is as large.
        unsafe { core::mem::transmute::<*mut (), Option<work_func_t>>(func) }
    }
}

/// Number of the bit of [`work_data_bits`] that says pending. Linux: `WORK_STRUCT_PENDING_BIT`.
pub const WORK_STRUCT_PENDING_BIT: u32 = 0;
/// The bit of [`work_data_bits`] that says pending. Linux: `WORK_STRUCT_PENDING`.
pub const WORK_STRUCT_PENDING: u64 = 1 << WORK_STRUCT_PENDING_BIT;

/// The `data` word of `work` now, whose bit [`WORK_STRUCT_PENDING_BIT`] is Linux's; the others are not. A
/// hint. Linux: `work_data_bits`, which is a pointer to the word: here nobody else may write it.
///
/// IRQL: any. Does not block.
///
/// # Safety
///
/// `work` is valid.
#[must_use]
pub unsafe fn work_data_bits(work: *const work_struct) -> u64 {
    // SAFETY: by the caller's word.
    unsafe { &*work }.load().0
}

/// The `$Container` that `$pointer` points to the member `$field` of, with the pointer's constness. That
/// the member has the pointer's type is checked by the compiler. Linux: `container_of`.
///
/// IRQL: any. Does not block.
///
/// ```
/// use bottomhalf::linux::*;
///
/// struct Device {
///     opened: u32,
///     poll: delayed_work,
/// }
/// let device = Device { opened: 7, poll: delayed_work::new() };
/// let work = &raw const device.poll.work;
/// let found = container_of!(work, Device, poll.work);
/// assert_eq!(unsafe { (*found).opened }, 7);
/// ```
///
/// ```compile_fail,E0308
/// # use bottomhalf::linux::*;
/// # struct Device {
/// #     opened: u32,
/// #     poll: delayed_work,
/// # }
/// # let device = Device { opened: 7, poll: delayed_work::new() };
/// let work = &raw const device.poll.work;
/// let found = container_of!(work, Device, poll); // the work is not the member, but a part of it
/// ```
#[macro_export]
macro_rules! container_of {
    ($pointer:expr, $Container:ty, $($field:tt)+) => {{
        let field = $pointer;
        let container = field
            .wrapping_byte_sub(::core::mem::offset_of!($Container, $($field)+))
            .cast::<$Container>();
        let _the_member_has_this_type = || {
            // SAFETY: never called; it gives the member's type to the compiler.
            let member = unsafe { &raw const (*container).$($field)+ };
            let pointer: *const _ = field;
            [pointer, member]
        };
        container
    }};
}

/// In a work's function: the `$Container` whose member `$field` the work is. For a delayed work the member
/// is `field.work`. Linux: `from_work`, whose first argument has the type.
///
/// IRQL: any. Does not block.
///
/// ```
/// use bottomhalf::linux::*;
///
/// struct Device {
///     resets: u32,
///     reset: work_struct,
/// }
/// unsafe extern "C" fn reset(work: *mut work_struct) {
///     let device = from_work!(Device, work, reset);
///     unsafe { (*device).resets += 1 };
/// }
/// let mut device = Device { resets: 0, reset: DECLARE_WORK(reset) };
/// unsafe { reset(&raw mut device.reset) };
/// assert_eq!(device.resets, 1);
/// ```
#[macro_export]
macro_rules! from_work {
    ($Container:ty, $work:expr, $($field:tt)+) => {{
        let work: *mut $crate::linux::work_struct = $work;
        $crate::container_of!(work, $Container, $($field)+)
    }};
}

/// In a tasklet's callback: the `$Container` whose member `$field` the tasklet is. Linux: `from_tasklet`,
/// whose first argument has the type.
///
/// IRQL: any. Does not block.
///
/// ```
/// use bottomhalf::linux::*;
///
/// struct Ring {
///     cleaned: u32,
///     clean: tasklet_struct,
/// }
/// unsafe extern "C" fn clean(tasklet: *mut tasklet_struct) {
///     let ring = from_tasklet!(Ring, tasklet, clean);
///     unsafe { (*ring).cleaned += 1 };
/// }
/// let mut ring = Ring { cleaned: 0, clean: DECLARE_TASKLET(clean) };
/// unsafe { clean(&raw mut ring.clean) };
/// assert_eq!(ring.cleaned, 1);
/// ```
#[macro_export]
macro_rules! from_tasklet {
    ($Container:ty, $tasklet:expr, $($field:tt)+) => {{
        let tasklet: *mut $crate::linux::tasklet_struct = $tasklet;
        $crate::container_of!(tasklet, $Container, $($field)+)
    }};
}
