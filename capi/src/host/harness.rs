//! What C code calls in a run of `kmdf_mock_run`: threads, interrupts, time, and what was said.

use core::ffi::{CStr, c_char, c_void};
use std::borrow::ToOwned as _;
use std::boxed::Box;
use std::string::String;

use kmdf_mock::world::{self, Interrupt, Thread};

/// A function of C's that a thread or an interrupt calls.
pub type Function = unsafe extern "C" fn(context: *mut c_void);

/// A function and what it is called with.
#[derive(Clone, Copy)]
struct Call(Function, *mut c_void);

// SAFETY: the address is only passed on; what C does with it on several threads is C's to serialise.
unsafe impl Send for Call {}
// SAFETY: as above.
unsafe impl Sync for Call {}

impl Call {
    fn make(&self) {
        // SAFETY: whoever gave the function has promised that it can take this context.
        unsafe { (self.0)(self.1) };
    }
}

/// `struct kmdf_mock_thread`.
#[derive(Debug)]
pub struct kmdf_mock_thread(Thread);

/// The text at `text`, or `otherwise` if it is null.
///
/// # Safety
///
/// `text` is null or ends with a zero.
unsafe fn text_of(text: *const c_char, otherwise: &str) -> String {
    if text.is_null() {
        return otherwise.to_owned();
    }
    // SAFETY: by the caller's word.
    unsafe { CStr::from_ptr(text) }
        .to_string_lossy()
        .into_owned()
}

/// Ends the run because the harness was called wrongly.
fn misused(message: &str) -> ! {
    world::fail("SIM_MISUSE", message.to_owned())
}

/// How many CPUs are active.
fn active_cpus() -> u32 {
    // SAFETY: no condition but a run.
    unsafe {
        kmdf_mock::ntddk::KeQueryActiveProcessorCountEx(kmdf_mock::ALL_PROCESSOR_GROUPS as u16)
    }
}

/// [`world::spawn`], bound to `cpu` unless that is negative.
///
/// # Safety
///
/// In a run. `name` is null or ends with a zero; `function` can take `context` on another thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kmdf_mock_spawn(
    name: *const c_char,
    cpu: i32,
    function: Option<Function>,
    context: *mut c_void,
) -> *mut kmdf_mock_thread {
    let Some(function) = function else {
        misused("kmdf_mock_spawn: the function is NULL");
    };
    let bound = u32::try_from(cpu).ok();
    if bound.is_some_and(|cpu| cpu >= active_cpus()) {
        misused("kmdf_mock_spawn: there is no such CPU");
    }
    // SAFETY: by the caller's word.
    let name = unsafe { text_of(name, "thread") };
    let call = Call(function, context);
    let thread = world::spawn(&name, bound, move || {
        let call = call;
        call.make();
    });
    Box::into_raw(Box::new(kmdf_mock_thread(thread)))
}

/// [`Thread::join`], which is the last use of the thread.
///
/// # Safety
///
/// In a run, at PASSIVE_LEVEL. `thread` came from [`kmdf_mock_spawn`], and is not used again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kmdf_mock_join(thread: *mut kmdf_mock_thread) {
    if thread.is_null() {
        misused("kmdf_mock_join: the thread is NULL");
    }
    // SAFETY: by the caller's word the box that `kmdf_mock_spawn` has given away.
    let thread = unsafe { Box::from_raw(thread) };
    thread.0.join();
}

/// [`Thread::is_finished`].
///
/// # Safety
///
/// In a run. `thread` came from [`kmdf_mock_spawn`], and was not joined.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kmdf_mock_is_finished(thread: *const kmdf_mock_thread) -> bool {
    // SAFETY: by the caller's word.
    unsafe { &*thread }.0.is_finished()
}

/// [`Thread::is_blocked`].
///
/// # Safety
///
/// As for [`kmdf_mock_is_finished`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kmdf_mock_is_blocked(thread: *const kmdf_mock_thread) -> bool {
    // SAFETY: by the caller's word.
    unsafe { &*thread }.0.is_blocked()
}

/// The IRQL of the interrupts that C raises.
const DEVICE_IRQL: u8 = 7;

/// Has `function(context)` called at DIRQL on `cpu`: at once if that is the caller's and its IRQL is below,
/// else when that CPU comes to it. Does not wait.
///
/// # Safety
///
/// In a run. `function` can take `context` on that CPU.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kmdf_mock_interrupt(
    cpu: u32,
    function: Option<Function>,
    context: *mut c_void,
) {
    let Some(function) = function else {
        misused("kmdf_mock_interrupt: the function is NULL");
    };
    if cpu >= active_cpus() {
        misused("kmdf_mock_interrupt: there is no such CPU");
    }
    let call = Call(function, context);
    let line = Interrupt::connect("interrupt", DEVICE_IRQL, move || {
        let call = &call;
        call.make();
    });
    line.raise(cpu);
}

/// Exports functions of [`world`] that take and return numbers.
macro_rules! plain {
    ($($exported:ident = $name:ident($($argument:ident: $type:ty),*) $(-> $result:ty)?;)*) => {$(
        #[doc = concat!("[`world::", stringify!($name), "`] for C, in a run.")]
        #[unsafe(no_mangle)]
        pub extern "C" fn $exported($($argument: $type),*) $(-> $result)? {
            world::$name($($argument),*)
        }
    )*};
}
plain! {
    kmdf_mock_settle = settle();
    kmdf_mock_sleep_100ns = sleep_100ns(time: u64);
    kmdf_mock_burn_100ns = burn_100ns(time: u64);
    kmdf_mock_now_100ns = now_100ns() -> u64;
    kmdf_mock_current_cpu = current_cpu() -> u32;
    kmdf_mock_current_irql = current_irql() -> u8;
    kmdf_mock_add_cpu = add_cpu() -> u32;
    kmdf_mock_choose = choose(n: u32) -> u32;
    kmdf_mock_is_sim = is_sim() -> bool;
}

/// A round of a loop that polls: a preemption point, or on a live machine the OS thread gives its time away.
#[unsafe(no_mangle)]
pub extern "C" fn kmdf_mock_pause() {
    if world::is_sim() {
        kmdf_mock::sync::preempt();
    } else {
        std::thread::yield_now();
    }
}

/// The seed of the run; 0 on a live machine.
#[unsafe(no_mangle)]
pub extern "C" fn kmdf_mock_seed() -> u64 {
    world::seed().unwrap_or(0)
}

/// [`world::debug_print`]: a line that `DbgPrint` would show. Outside of a run it goes to standard error.
///
/// # Safety
///
/// `line` is null or ends with a zero.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kmdf_mock_debug_print(line: *const c_char) {
    // SAFETY: by the caller's word.
    world::debug_print(&unsafe { text_of(line, "(null)") });
}

/// Writes `text` to the buffer of C's, cut off to its size and ended with a zero. Returns the bytes of the
/// whole text.
///
/// # Safety
///
/// `buffer` is null, or has room for `size` bytes.
unsafe fn give(text: &str, buffer: *mut c_char, size: usize) -> usize {
    if !buffer.is_null() && size > 0 {
        let length = text.len().min(size - 1);
        // SAFETY: by the caller's word there is room for the text and its zero.
        unsafe {
            core::ptr::copy_nonoverlapping(text.as_ptr(), buffer.cast(), length);
            buffer.add(length).write(0);
        }
    }
    text.len()
}

/// The codes of the diagnostics so far, in order, with a space between them: `BH01 BH06`. Returns how many
/// bytes that are; what does not fit into the buffer is cut off.
///
/// # Safety
///
/// In a run. `buffer` is null, or has room for `size` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kmdf_mock_reports(buffer: *mut c_char, size: usize) -> usize {
    let log = world::debug_log();
    let codes: std::vec::Vec<&str> = log
        .iter()
        .filter_map(|line| line.strip_prefix("bottomhalf ")?.split(' ').next())
        .collect();
    // SAFETY: by the caller's word.
    unsafe { give(&codes.join(" "), buffer, size) }
}

/// The lines that were printed so far, each with its end of line. Returns and cuts off as
/// [`kmdf_mock_reports`] does.
///
/// # Safety
///
/// As for [`kmdf_mock_reports`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kmdf_mock_log(buffer: *mut c_char, size: usize) -> usize {
    let mut text = world::debug_log().join("\n");
    if !text.is_empty() {
        text.push('\n');
    }
    // SAFETY: by the caller's word.
    unsafe { give(&text, buffer, size) }
}

/// Ends the run with a failure that says `text`, unless `condition` holds.
///
/// # Safety
///
/// In a run. `text` is null or ends with a zero.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kmdf_mock_assert(condition: bool, text: *const c_char) {
    if !condition {
        // SAFETY: by the caller's word.
        world::fail("ASSERT", unsafe {
            text_of(text, "a condition does not hold")
        });
    }
}
