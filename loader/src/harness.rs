//! kmdf_mock.sys: what a test driver asks of the machine it is in. No driver for Windows imports from it.

use std::ffi::{CStr, c_char, c_void};
use std::sync::OnceLock;

use kmdf_mock::world::{self, Interrupt, Thread};

use crate::convert::{self, Entry};

/// Under the names of `kmdf_mock.h`.
pub(crate) static CALLS: &[(&str, Entry)] = &[
    ("kmdf_mock_spawn", Entry(spawn as *const ())),
    ("kmdf_mock_join", Entry(join as *const ())),
    ("kmdf_mock_is_finished", Entry(is_finished as *const ())),
    ("kmdf_mock_is_blocked", Entry(is_blocked as *const ())),
    ("kmdf_mock_interrupt", Entry(interrupt as *const ())),
    ("kmdf_mock_settle", Entry(settle as *const ())),
    ("kmdf_mock_sleep_100ns", Entry(sleep_100ns as *const ())),
    ("kmdf_mock_burn_100ns", Entry(burn_100ns as *const ())),
    ("kmdf_mock_now_100ns", Entry(now_100ns as *const ())),
    ("kmdf_mock_current_cpu", Entry(current_cpu as *const ())),
    ("kmdf_mock_current_irql", Entry(current_irql as *const ())),
    ("kmdf_mock_add_cpu", Entry(add_cpu as *const ())),
    ("kmdf_mock_choose", Entry(choose as *const ())),
    ("kmdf_mock_is_sim", Entry(is_sim as *const ())),
    ("kmdf_mock_pause", Entry(pause as *const ())),
    ("kmdf_mock_seed", Entry(seed as *const ())),
    ("kmdf_mock_debug_print", Entry(debug_print as *const ())),
    ("kmdf_mock_reports", Entry(reports as *const ())),
    ("kmdf_mock_log", Entry(log as *const ())),
    ("kmdf_mock_assert", Entry(assert as *const ())),
    ("kmdf_mock_argument", Entry(argument as *const ())),
    ("kmdf_mock_answer", Entry(answer as *const ())),
];

/// What the command line has for the driver.
static ARGUMENT: OnceLock<String> = OnceLock::new();

/// Keeps what `kmdf_mock_argument` is going to say. A process runs one driver.
pub(crate) fn set_argument(text: &str) {
    ARGUMENT.get_or_init(|| text.to_owned());
}

/// The IRQL of the interrupts that a driver raises.
const DEVICE_IRQL: u8 = 7;

/// A function of the driver's for the host, and its argument.
#[derive(Clone, Copy)]
struct Call {
    function: unsafe extern "C" fn(*mut c_void),
    context: *mut c_void,
}

// SAFETY: the address is only passed on; what the driver does with it on several threads is its to serialise.
unsafe impl Send for Call {}
// SAFETY: as above.
unsafe impl Sync for Call {}

impl Call {
    /// # Safety
    /// `function` can take `context`.
    unsafe fn new(function: *const c_void, context: *mut c_void, call: &str) -> Self {
        if function.is_null() {
            world::fail("SIM_MISUSE", format!("{call}: the function is NULL"));
        }
        let address = convert::function(function as usize);
        // SAFETY: the thunk of a function that takes one address, by the caller's word.
        let function =
            unsafe { std::mem::transmute::<usize, unsafe extern "C" fn(*mut c_void)>(address) };
        Self { function, context }
    }

    fn make(&self) {
        // SAFETY: whoever gave the function has promised that it can take this context.
        unsafe { (self.function)(self.context) };
    }
}

/// The text at `text`.
///
/// # Safety
/// It is NULL or ends with a zero.
unsafe fn text_of(text: *const c_char, otherwise: &str) -> String {
    if text.is_null() {
        return otherwise.to_owned();
    }
    // SAFETY: by the caller's word.
    unsafe { CStr::from_ptr(text) }
        .to_string_lossy()
        .into_owned()
}

unsafe extern "win64" fn spawn(
    name: *const c_char,
    cpu: i32,
    function: *const c_void,
    context: *mut c_void,
) -> *mut Thread {
    // SAFETY: by the driver's word.
    let (call, name) = unsafe {
        (
            Call::new(function, context, "kmdf_mock_spawn"),
            text_of(name, "thread"),
        )
    };
    let thread = world::spawn(&name, u32::try_from(cpu).ok(), move || {
        let call = call;
        call.make();
    });
    Box::into_raw(Box::new(thread))
}

unsafe extern "win64" fn join(thread: *mut Thread) {
    // SAFETY: by the driver's word the box that `spawn` has given away, which it uses no more.
    unsafe { Box::from_raw(thread) }.join();
}

unsafe extern "win64" fn is_finished(thread: *const Thread) -> bool {
    // SAFETY: by the driver's word `spawn` gave it, and it was not joined.
    unsafe { &*thread }.is_finished()
}

unsafe extern "win64" fn is_blocked(thread: *const Thread) -> bool {
    // SAFETY: as above.
    unsafe { &*thread }.is_blocked()
}

unsafe extern "win64" fn interrupt(cpu: u32, function: *const c_void, context: *mut c_void) {
    // SAFETY: by the driver's word.
    let call = unsafe { Call::new(function, context, "kmdf_mock_interrupt") };
    let line = Interrupt::connect("interrupt", DEVICE_IRQL, move || {
        let call = &call;
        call.make();
    });
    line.raise(cpu);
}

extern "win64" fn settle() {
    world::settle();
}

extern "win64" fn sleep_100ns(time: u64) {
    world::sleep_100ns(time);
}

extern "win64" fn burn_100ns(time: u64) {
    world::burn_100ns(time);
}

extern "win64" fn now_100ns() -> u64 {
    world::now_100ns()
}

extern "win64" fn current_cpu() -> u32 {
    world::current_cpu()
}

extern "win64" fn current_irql() -> u8 {
    world::current_irql()
}

extern "win64" fn add_cpu() -> u32 {
    world::add_cpu()
}

extern "win64" fn choose(n: u32) -> u32 {
    world::choose(n)
}

extern "win64" fn is_sim() -> bool {
    world::is_sim()
}

extern "win64" fn pause() {
    if world::is_sim() {
        kmdf_mock::sync::preempt();
    } else {
        std::thread::yield_now();
    }
}

extern "win64" fn seed() -> u64 {
    world::seed().unwrap_or(0)
}

unsafe extern "win64" fn debug_print(line: *const c_char) {
    // SAFETY: by the driver's word.
    let line = unsafe { text_of(line, "") };
    eprintln!("{line}");
    world::debug_print(&line);
}

/// Writes `text` to the driver's buffer, cut off to its size and ended with a zero. Returns the bytes of all of it.
///
/// # Safety
/// `buffer` is NULL, or has room for `size` bytes.
unsafe fn give(text: &str, buffer: *mut u8, size: usize) -> usize {
    if !buffer.is_null() && size > 0 {
        let length = text.len().min(size - 1);
        // SAFETY: by the caller's word there is room for the text and its zero.
        unsafe {
            std::ptr::copy_nonoverlapping(text.as_ptr(), buffer, length);
            buffer.add(length).write(0);
        }
    }
    text.len()
}

unsafe extern "win64" fn reports(buffer: *mut u8, size: usize) -> usize {
    let log = world::debug_log();
    let code = |line: &String| {
        Some(
            line.strip_prefix("bottomhalf ")?
                .split(' ')
                .next()?
                .to_owned(),
        )
    };
    let codes: Vec<String> = log.iter().filter_map(code).collect();
    // SAFETY: by the driver's word.
    unsafe { give(&codes.join(" "), buffer, size) }
}

unsafe extern "win64" fn log(buffer: *mut u8, size: usize) -> usize {
    let text: String = world::debug_log()
        .iter()
        .map(|line| format!("{line}\n"))
        .collect();
    // SAFETY: by the driver's word.
    unsafe { give(&text, buffer, size) }
}

/// What `--argument` of the command line says.
unsafe extern "win64" fn argument(buffer: *mut u8, size: usize) -> usize {
    let text = ARGUMENT.get().map_or("", String::as_str);
    // SAFETY: by the driver's word.
    unsafe { give(text, buffer, size) }
}

/// A line to standard output.
unsafe extern "win64" fn answer(line: *const c_char) {
    // SAFETY: by the driver's word.
    println!("{}", unsafe { text_of(line, "") });
}

unsafe extern "win64" fn assert(condition: bool, text: *const c_char) {
    if !condition {
        // SAFETY: by the driver's word.
        let text = unsafe { text_of(text, "an assertion does not hold") };
        world::fail("ASSERT", text);
    }
}
