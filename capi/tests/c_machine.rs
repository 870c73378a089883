//! `kmdf_mock_run` and what C code calls in it, by their C symbols; and NT's calls by theirs.

use core::ffi::{CStr, c_char, c_int, c_void};
use core::ptr::{null, null_mut};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use bottomhalf_c::host::machine::kmdf_mock_machine;
use kmdf_mock::{KEVENT, WDFDEVICE, WDFDRIVER};

type Body = Option<unsafe extern "C" fn(driver: WDFDRIVER, context: *mut c_void)>;
type Function = Option<unsafe extern "C" fn(context: *mut c_void)>;

unsafe extern "C" {
    fn kmdf_mock_run(machine: *const kmdf_mock_machine, body: Body, context: *mut c_void) -> c_int;
    fn kmdf_mock_spawn(
        name: *const c_char,
        cpu: i32,
        function: Function,
        context: *mut c_void,
    ) -> *mut c_void;
    fn kmdf_mock_join(thread: *mut c_void);
    fn kmdf_mock_is_finished(thread: *const c_void) -> bool;
    fn kmdf_mock_is_blocked(thread: *const c_void) -> bool;
    fn kmdf_mock_interrupt(cpu: u32, function: Function, context: *mut c_void);
    fn kmdf_mock_add_device() -> WDFDEVICE;
    fn kmdf_mock_remove_device(device: WDFDEVICE);
    fn kmdf_mock_settle();
    fn kmdf_mock_pause();
    fn kmdf_mock_sleep_100ns(time: u64);
    fn kmdf_mock_burn_100ns(time: u64);
    fn kmdf_mock_now_100ns() -> u64;
    fn kmdf_mock_current_cpu() -> u32;
    fn kmdf_mock_current_irql() -> u8;
    fn kmdf_mock_is_sim() -> bool;
    fn kmdf_mock_seed() -> u64;
    fn kmdf_mock_choose(n: u32) -> u32;
    fn kmdf_mock_reports(buffer: *mut c_char, size: usize) -> usize;
    fn kmdf_mock_log(buffer: *mut c_char, size: usize) -> usize;
    fn kmdf_mock_debug_print(line: *const c_char);
    fn kmdf_mock_assert(condition: bool, text: *const c_char);
    fn bottomhalf_schedule_work(work: *mut c_void) -> bool;
    fn KeInitializeEvent(event: *mut KEVENT, kind: i32, state: u8);
    fn KeSetEvent(event: *mut KEVENT, increment: i32, wait: u8) -> i32;
    fn KeWaitForSingleObject(
        object: *mut c_void,
        reason: i32,
        mode: i8,
        alertable: u8,
        timeout: *mut i64,
    ) -> i32;
    fn KfRaiseIrql(irql: u8) -> u8;
    fn KeLowerIrql(irql: u8);
    fn KeQueryActiveProcessorCountEx(group: u16) -> u32;
}

/// A machine of defaults.
fn machine(seed: u64) -> kmdf_mock_machine {
    // SAFETY: integers, flags and an optional function are valid when all their bytes are zero.
    kmdf_mock_machine {
        seed,
        ..unsafe { core::mem::zeroed() }
    }
}

fn run(machine: &kmdf_mock_machine, body: Body, context: *mut c_void) -> c_int {
    // SAFETY: the machine is valid, and the bodies here can take their contexts.
    unsafe { kmdf_mock_run(machine, body, context) }
}

/// What [`threads_and_interrupts`] shares.
struct Shared {
    ran: AtomicU32,
    irql: AtomicU32,
    cpu: AtomicU32,
    /// Stays for good; reached through NT's calls only.
    event: *mut KEVENT,
}

impl Default for Shared {
    fn default() -> Self {
        Self {
            ran: AtomicU32::new(0),
            irql: AtomicU32::new(0),
            cpu: AtomicU32::new(0),
            event: Box::into_raw(Box::default()),
        }
    }
}

unsafe fn shared<'a>(context: *mut c_void) -> &'a Shared {
    // SAFETY: the context of these tests is a `Shared` that outlives the run.
    unsafe { &*context.cast::<Shared>() }
}

unsafe extern "C" fn opens(context: *mut c_void) {
    // SAFETY: as in `shared`; called in a run.
    unsafe {
        let shared = shared(context);
        shared
            .irql
            .store(kmdf_mock_current_irql().into(), Ordering::Relaxed);
        shared.cpu.store(kmdf_mock_current_cpu(), Ordering::Relaxed);
        shared.ran.fetch_add(1, Ordering::Relaxed);
    }
}

unsafe extern "C" fn waits(context: *mut c_void) {
    // SAFETY: as above; the event is initialised.
    unsafe {
        let shared = shared(context);
        KeWaitForSingleObject(shared.event.cast(), 0, 0, 0, null_mut());
        shared.ran.fetch_add(1, Ordering::Relaxed);
    }
}

unsafe extern "C" fn threads_and_interrupts(driver: WDFDRIVER, context: *mut c_void) {
    // SAFETY: as above.
    unsafe {
        let shared = shared(context);
        kmdf_mock_assert(!driver.is_null(), c"there is a driver".as_ptr());
        KeInitializeEvent(shared.event, 0, 0);
        let thread = kmdf_mock_spawn(c"waits".as_ptr(), 1, Some(waits), context);
        kmdf_mock_settle();
        kmdf_mock_assert(kmdf_mock_is_blocked(thread), c"it waits".as_ptr());
        kmdf_mock_assert(!kmdf_mock_is_finished(thread), c"it goes on".as_ptr());
        KeSetEvent(shared.event, 0, 0);
        kmdf_mock_join(thread);
        kmdf_mock_assert(shared.ran.load(Ordering::Relaxed) == 1, c"it ran".as_ptr());

        kmdf_mock_interrupt(2, Some(opens), context);
        while shared.ran.load(Ordering::Relaxed) == 1 {
            kmdf_mock_pause();
        }
        kmdf_mock_assert(
            shared.irql.load(Ordering::Relaxed) == 7,
            c"at DIRQL".as_ptr(),
        );
        kmdf_mock_assert(
            shared.cpu.load(Ordering::Relaxed) == 2,
            c"on CPU 2".as_ptr(),
        );

        let before = kmdf_mock_now_100ns();
        kmdf_mock_sleep_100ns(50_000);
        kmdf_mock_burn_100ns(1_000);
        kmdf_mock_assert(
            kmdf_mock_now_100ns() - before >= 51_000,
            c"time passes".as_ptr(),
        );
        let old = KfRaiseIrql(2);
        kmdf_mock_assert(kmdf_mock_current_irql() == 2, c"raised".as_ptr());
        KeLowerIrql(old);
        kmdf_mock_assert(KeQueryActiveProcessorCountEx(0xFFFF) == 3, c"CPUs".as_ptr());
        kmdf_mock_assert(kmdf_mock_choose(1) == 0, c"no choice".as_ptr());

        let device = kmdf_mock_add_device();
        kmdf_mock_assert(!device.is_null(), c"a device".as_ptr());
        kmdf_mock_remove_device(device);
    }
}

/// CAPI-10: a body runs with a driver on either engine, with threads, interrupts, devices and time.
#[test]
fn threads_and_interrupts_on_both_engines() {
    for engine in [0, 1] {
        for seed in 0..if engine == 0 { 20 } else { 1 } {
            let shared = Shared::default();
            let machine = kmdf_mock_machine {
                engine,
                cpus: 3,
                ..machine(seed)
            };
            let context = (&raw const shared).cast_mut().cast();
            assert_eq!(run(&machine, Some(threads_and_interrupts), context), 0);
            assert_eq!(shared.ran.into_inner(), 2);
        }
    }
}

/// The seed and the engine that a run has seen.
static SEEN: AtomicU64 = AtomicU64::new(0);

unsafe extern "C" fn looks(_driver: WDFDRIVER, _context: *mut c_void) {
    // SAFETY: in a run.
    unsafe {
        kmdf_mock_assert(
            kmdf_mock_is_sim(),
            c"the default is the simulation".as_ptr(),
        );
        SEEN.store(kmdf_mock_seed(), Ordering::Relaxed);
    }
}

/// CAPI-10: the members of the machine take effect, and a null machine is one of defaults.
#[test]
fn the_machine_is_as_described() {
    let described = kmdf_mock_machine {
        cpus: 2,
        max_cpus: 4,
        workers: 5,
        tick_100ns: 40_000,
        preemption: 4,
        verifier: 2,
        step_limit: 1_000_000,
        timers_on_time: true,
        by_priority: true,
        points_take_no_time: true,
        non_pnp: true,
        ..machine(4711)
    };
    assert_eq!(run(&described, Some(looks), null_mut()), 0);
    if std::env::var_os("KMDF_MOCK_SEED").is_none() {
        assert_eq!(SEEN.load(Ordering::Relaxed), 4711);
    }
    // SAFETY: null is a machine of defaults.
    assert_eq!(unsafe { kmdf_mock_run(null(), Some(looks), null_mut()) }, 0);
}

unsafe extern "C" fn fails(_driver: WDFDRIVER, _context: *mut c_void) {
    // SAFETY: in a run.
    unsafe { kmdf_mock_assert(false, c"planted".as_ptr()) };
}

unsafe extern "C" fn leaves_a_thread_waiting(_driver: WDFDRIVER, context: *mut c_void) {
    // SAFETY: as in `threads_and_interrupts`.
    unsafe {
        KeInitializeEvent(shared(context).event, 0, 0);
        kmdf_mock_join(kmdf_mock_spawn(null(), -1, Some(waits), context));
    }
}

unsafe extern "C" fn interrupts_no_cpu(_driver: WDFDRIVER, context: *mut c_void) {
    // SAFETY: in a run.
    unsafe { kmdf_mock_interrupt(4, Some(opens), context) };
}

unsafe extern "C" fn spawns_on_no_cpu(_driver: WDFDRIVER, context: *mut c_void) {
    // SAFETY: in a run.
    unsafe { kmdf_mock_spawn(null(), 4, Some(opens), context) };
}

unsafe extern "C" fn calls_nothing(_driver: WDFDRIVER, _context: *mut c_void) {
    // SAFETY: in a run.
    unsafe { kmdf_mock_spawn(null(), 0, None, null_mut()) };
}

/// CAPI-10: a harness that is called wrongly ends the run, and not the process.
#[test]
fn misuse_of_the_harness_fails_the_run() {
    for body in [interrupts_no_cpu, spawns_on_no_cpu, calls_nothing] {
        let shared = Shared::default();
        let context = (&raw const shared).cast_mut().cast();
        assert_eq!(run(&machine(1), Some(body), context), 1);
        assert_eq!(shared.ran.into_inner(), 0);
    }
    let many = kmdf_mock_machine {
        cpus: 65,
        ..machine(1)
    };
    assert_eq!(run(&many, Some(looks), null_mut()), 1);
}

/// CAPI-10: a run that fails returns 1, for whatever reason; the next one is not affected.
#[test]
fn a_failed_run_returns_one() {
    let shared = Shared::default();
    let context = (&raw const shared).cast_mut().cast();
    assert_eq!(run(&machine(1), Some(fails), null_mut()), 1);
    assert_eq!(run(&machine(1), Some(leaves_a_thread_waiting), context), 1);
    assert_eq!(run(&machine(1), None, null_mut()), 1);
    let no_engine = kmdf_mock_machine {
        engine: 2,
        ..machine(1)
    };
    assert_eq!(run(&no_engine, Some(looks), null_mut()), 1);
    assert_eq!(run(&machine(1), Some(looks), null_mut()), 0);
}

unsafe extern "C" fn is_heard(_driver: WDFDRIVER, _context: *mut c_void) {
    let mut work = [0_u64; 4];
    let mut text = [0x7F_i8; 16];
    // SAFETY: in a run; the buffers are as large as is said.
    unsafe {
        kmdf_mock_assert(
            kmdf_mock_reports(null_mut(), 0) == 0,
            c"nothing yet".as_ptr(),
        );
        kmdf_mock_assert(
            kmdf_mock_log(text.as_mut_ptr(), 16) == 0,
            c"nothing yet".as_ptr(),
        );
        kmdf_mock_assert(text[0] == 0, c"an empty text".as_ptr());
        // Nothing is attached.
        bottomhalf_schedule_work(work.as_mut_ptr().cast());
        kmdf_mock_debug_print(c"hello".as_ptr());
        kmdf_mock_debug_print(null());
        bottomhalf_schedule_work(work.as_mut_ptr().cast());
        let length = kmdf_mock_reports(text.as_mut_ptr(), 16);
        let whole = CStr::from_ptr(text.as_ptr()).to_bytes();
        kmdf_mock_assert(length == 9 && whole == b"BH03 BH03", c"the codes".as_ptr());
        let length = kmdf_mock_reports(text.as_mut_ptr(), 5);
        let whole = CStr::from_ptr(text.as_ptr()).to_bytes();
        kmdf_mock_assert(length == 9 && whole == b"BH03", c"cut off".as_ptr());
        let mut log = vec![0; kmdf_mock_log(null_mut(), 0) + 1];
        kmdf_mock_log(log.as_mut_ptr(), log.len());
        let log = CStr::from_ptr(log.as_ptr()).to_string_lossy().into_owned();
        kmdf_mock_assert(log.lines().count() == 4, c"four lines".as_ptr());
        kmdf_mock_assert(log.contains("\nhello\n(null)\n"), c"between them".as_ptr());
    }
}

/// CAPI-10: diagnostics are read by their codes, and whole; a buffer that is too small is not overrun.
#[test]
fn diagnostics_are_read() {
    assert_eq!(run(&machine(3), Some(is_heard), null_mut()), 0);
}
