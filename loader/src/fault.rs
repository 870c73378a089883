//! Faults of the driver: what would be a bug check of an exception in NT ends the process with a report.

use std::cell::UnsafeCell;
use std::ffi::c_int;
use std::fmt::Write as _;
use std::mem::MaybeUninit;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::map::{self, Mapped};
use crate::{FAULT, emulate, frames};

/// Bytes of the stack that the handler runs on.
const STACK: usize = 256 << 10;

/// What was installed for a signal before.
static BEFORE: OnceLock<libc::sigaction> = OnceLock::new();

/// Set by the first fault, which is the one that is reported.
static REPORTING: AtomicBool = AtomicBool::new(false);

/// Text in a fixed buffer, which needs no memory and little stack.
struct Text {
    bytes: UnsafeCell<([u8; 4096], usize)>,
}

// SAFETY: only the context that has set `REPORTING` writes, and it ends the process.
unsafe impl Sync for Text {}

static TEXT: Text = Text {
    bytes: UnsafeCell::new(([0; 4096], 0)),
};

impl std::fmt::Write for &Text {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        // SAFETY: there is one writer, as said above.
        let (bytes, length) = unsafe { &mut *self.bytes.get() };
        let room = (bytes.len() - *length).min(text.len());
        bytes[*length..*length + room].copy_from_slice(&text.as_bytes()[..room]);
        *length += room;
        Ok(())
    }
}

impl Text {
    fn print(&self) {
        // SAFETY: as above; the buffer is written up to its length.
        unsafe {
            let (bytes, length) = &*self.bytes.get();
            libc::write(2, bytes.as_ptr().cast(), *length);
        }
    }
}

/// Installs the handlers over those of the world, which is entered. `seconds`: how long the run may take.
pub(crate) fn install(seconds: u32) {
    frames::prepare();
    emulate::prepare();
    // SAFETY: the memory is leaked, so the stack is there as long as the thread.
    unsafe {
        let stack = libc::stack_t {
            ss_sp: Box::leak(vec![0_u8; STACK].into_boxed_slice())
                .as_mut_ptr()
                .cast(),
            ss_flags: 0,
            ss_size: STACK,
        };
        libc::sigaltstack(&raw const stack, std::ptr::null_mut());
    }
    for signal in [
        libc::SIGSEGV,
        libc::SIGBUS,
        libc::SIGILL,
        libc::SIGTRAP,
        libc::SIGFPE,
        libc::SIGALRM,
    ] {
        // SAFETY: a zeroed `sigaction` is a valid one to fill in, and the handler has the signature of SA_SIGINFO.
        let before = unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            let handler: extern "C" fn(c_int, *mut libc::siginfo_t, *mut libc::c_void) = on_signal;
            action.sa_sigaction = handler as libc::sighandler_t;
            action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK | libc::SA_NODEFER;
            let mut before = MaybeUninit::<libc::sigaction>::uninit();
            libc::sigaction(signal, &raw const action, before.as_mut_ptr());
            before.assume_init()
        };
        if signal == libc::SIGSEGV {
            BEFORE.get_or_init(|| before);
        }
    }
    // SAFETY: no condition.
    unsafe { libc::alarm(seconds) };
}

extern "C" fn on_signal(signal: c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    if is_emulated(signal, info, context) || signal == libc::SIGTRAP && at_breakpoint(context) {
        return;
    }
    if REPORTING.swap(true, Ordering::Relaxed) {
        // SAFETY: ending the process at once is what a bug check does.
        unsafe { libc::_exit(FAULT) };
    }
    // SAFETY: the kernel passes valid structures.
    let (info_now, registers) = unsafe {
        (
            &*info,
            &(*context.cast::<libc::ucontext_t>()).uc_mcontext.gregs,
        )
    };
    let register = |index: c_int| registers[index as usize] as usize;
    let fault = Fault {
        signal,
        address: page_of(signal, info_now),
        writes: register(libc::REG_ERR) & 2 != 0,
        at: register(libc::REG_RIP),
        stack: register(libc::REG_RSP),
    };
    fault.report();
    TEXT.print();
    if signal == libc::SIGSEGV {
        ask_the_pool(signal, info, context);
    }
    // SAFETY: as above.
    unsafe { libc::_exit(FAULT) }
}

/// Whether the instruction is one that is done for the driver.
fn is_emulated(signal: c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) -> bool {
    // SAFETY: the kernel passes valid structures, and takes the registers back from the second.
    let (info, registers) = unsafe {
        (
            &*info,
            &mut (*context.cast::<libc::ucontext_t>()).uc_mcontext.gregs,
        )
    };
    let at = registers[libc::REG_RIP as usize] as usize;
    let Some(image) = map::LOADED.get().filter(|image| image.is_code(at)) else {
        return false;
    };
    let address = page_of(signal, info);
    let answers = match signal {
        libc::SIGILL => image.is_pause(at),
        libc::SIGSEGV => emulate::answers(at, address),
        _ => false,
    };
    if answers {
        // SAFETY: the fault is in the driver's code, and answered.
        unsafe { emulate::redirect(registers, address.unwrap_or(0)) };
    }
    answers
}

/// The address of a fault of a page. Another fault of protection has none.
fn page_of(signal: c_int, info: &libc::siginfo_t) -> Option<usize> {
    let is_page = signal == libc::SIGSEGV && info.si_code > 0 && info.si_code != libc::SI_KERNEL;
    // SAFETY: SIGSEGV has an address.
    is_page.then(|| unsafe { info.si_addr() }.addr())
}

/// Whether the fault is that of a breakpoint of ours. The instruction runs again then.
fn at_breakpoint(context: *mut libc::c_void) -> bool {
    // SAFETY: as in `is_emulated`.
    let registers = unsafe { &mut (*context.cast::<libc::ucontext_t>()).uc_mcontext.gregs };
    // The processor is behind the breakpoint, which is one byte.
    let at = registers[libc::REG_RIP as usize] - 1;
    let answers = map::LOADED
        .get()
        .is_some_and(|image| image.takes_breakpoint(at as usize));
    if answers {
        registers[libc::REG_RIP as usize] = at;
    }
    answers
}

/// Lets the world's handler say whose memory it was.
fn ask_the_pool(signal: c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    let Some(before) = BEFORE.get() else { return };
    if before.sa_sigaction == libc::SIG_DFL || before.sa_sigaction == libc::SIG_IGN {
        return;
    }
    // SAFETY: the handlers of the world and of the standard library were installed with SA_SIGINFO.
    let handler: extern "C" fn(c_int, *mut libc::siginfo_t, *mut libc::c_void) =
        unsafe { std::mem::transmute(before.sa_sigaction) };
    handler(signal, info, context);
}

/// A fault, as the processor describes it.
struct Fault {
    signal: c_int,
    address: Option<usize>,
    writes: bool,
    at: usize,
    stack: usize,
}

impl Fault {
    fn report(&self) {
        let mut text = &TEXT;
        let mut code = [0; 8];
        let image = map::LOADED.get();
        let readable = frames::read(self.at, &mut code);
        let _ = writeln!(text, "kmdf-loader: {}", self.name(image, &code));
        let _ = write!(text, "  at ");
        place(image, self.at);
        if readable {
            let _ = write!(text, ", instruction");
            for byte in code {
                let _ = write!(text, " {byte:02x}");
            }
        }
        if let Some(address) = self.address {
            let _ = write!(
                text,
                "\n  {} ",
                if self.writes { "writing" } else { "reading" }
            );
            place(image, address);
        }
        let _ = writeln!(text);
        let (found, count) = frames::search(self.stack);
        for rva in &found[..count] {
            let _ = writeln!(text, "  called from driver+{rva:#x}");
        }
    }

    /// NT's name.
    fn name(&self, image: Option<&Mapped>, code: &[u8; 8]) -> &'static str {
        let inside = |address: usize| image.is_some_and(|image| image.rva(address).is_some());
        let gone = image.is_some_and(Mapped::is_gone);
        match (self.signal, self.address) {
            (libc::SIGALRM, _) => "the run takes longer than its limit; it is here now",
            (libc::SIGSEGV, Some(address)) if gone && inside(address) => {
                "DRIVER_UNLOADED_WITHOUT_CANCELLING_PENDING_OPERATIONS(0xCE)"
            }
            (libc::SIGSEGV, Some(address)) if inside(address) && self.writes => {
                "ATTEMPTED_WRITE_TO_READONLY_MEMORY(0xBE)"
            }
            (libc::SIGSEGV, Some(address)) if address == self.at => {
                "ATTEMPTED_EXECUTE_OF_NOEXECUTE_MEMORY(0xFC)"
            }
            (libc::SIGSEGV, Some(_)) => "PAGE_FAULT_IN_NONPAGED_AREA(0x50)",
            (libc::SIGSEGV, None) if code.starts_with(&[0xCD, 0x29]) => {
                "KERNEL_SECURITY_CHECK_FAILURE(0x139)"
            }
            (libc::SIGILL, _) => "KMODE_EXCEPTION_NOT_HANDLED(0x1E,0xC000001D)",
            (libc::SIGTRAP, _) => "KMODE_EXCEPTION_NOT_HANDLED(0x1E,0x80000003)",
            (libc::SIGFPE, _) => "KMODE_EXCEPTION_NOT_HANDLED(0x1E,0xC0000094)",
            (_, _) => "KMODE_EXCEPTION_NOT_HANDLED(0x1E,0xC0000005)",
        }
    }
}

/// Writes an address the way a report names it.
fn place(image: Option<&Mapped>, address: usize) {
    let mut text = &TEXT;
    let _ = match image.and_then(|image| Some((image, image.rva(address)?))) {
        Some((image, rva)) => {
            let section = image.section(rva).unwrap_or("headers");
            write!(text, "driver+{rva:#x} ({section})")
        }
        None => write!(text, "{address:#x}"),
    };
}
