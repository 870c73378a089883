//! The handler of accesses to freed memory.

use std::ffi::c_int;
use std::fmt::Write as _;
use std::mem::MaybeUninit;
use std::sync::{Once, OnceLock};

use crate::world::pool::FREED;
use crate::world::state::{World, try_current};

/// A fault so near to the stack pointer is an overflow of the stack.
const NEAR_STACK: usize = 1 << 16;

/// The exit status of a process whose driver touched freed memory.
const STATUS: c_int = 112;

static BEFORE: OnceLock<libc::sigaction> = OnceLock::new();

/// Installs the handler, once per process. The standard library gives every thread of its own an
/// alternate stack, which the handler needs: the fault can be on a coroutine's stack.
pub(crate) fn install() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // SAFETY: a zeroed `sigaction` is a valid one to fill in.
        let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
        let handler: extern "C" fn(c_int, *mut libc::siginfo_t, *mut libc::c_void) = on_fault;
        action.sa_sigaction = handler as libc::sighandler_t;
        action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK | libc::SA_NODEFER;
        let mut before = MaybeUninit::<libc::sigaction>::uninit();
        // SAFETY: both structures are valid; the handler has the signature that SA_SIGINFO asks for.
        let before = unsafe {
            libc::sigaction(libc::SIGSEGV, &raw const action, before.as_mut_ptr());
            before.assume_init()
        };
        BEFORE.get_or_init(|| before);
    });
}

extern "C" fn on_fault(signal: c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: the kernel passes a valid structure, and SIGSEGV has an address.
    let address = unsafe { (*info).si_addr() }.addr();
    if let Some(w) = try_current() {
        // SAFETY: the kernel passes the registers of the faulting context.
        let registers = unsafe { &(*context.cast::<libc::ucontext_t>()).uc_mcontext.gregs };
        report(w, address, registers[libc::REG_RSP as usize] as usize);
    }
    pass_on(signal, info, context);
}

/// Reports an access to tracked memory and ends the process; returns if the address is none of ours.
///
/// The fault is an access of the driver, made outside the allocator and outside the state of the world, so
/// taking the lock of the arena and formatting into a buffer of its own are safe here.
fn report(w: &World, address: usize, stack_pointer: usize) {
    let ours = w.marks.covers(address);
    let mut text = Text {
        bytes: [0; 1024],
        len: 0,
    };
    let _ = writeln!(text, "{}", w.replay);
    if !ours {
        let _ = writeln!(text, "an access to {address:#x} faults");
        if stack_pointer.abs_diff(address) < NEAR_STACK {
            let _ = writeln!(text, "the stack of a context is used up");
        }
        text.print();
        return;
    }
    let mut freed = false;
    w.arena.with(|arena| match arena.block_at(address) {
        Some(place) if arena.blocks[place].freed => {
            freed = true;
            let block = &arena.blocks[place];
            let offset = address.wrapping_sub(block.start) as isize;
            let _ = writeln!(
                text,
                "{FREED}: a plain access to offset {offset} of {} ({} bytes), freed",
                block.name, block.size
            );
        }
        Some(_) | None => {
            let _ = writeln!(
                text,
                "DRIVER_PAGE_FAULT_BEYOND_END_OF_ALLOCATION(0xD6): a plain access next to a pool block"
            );
        }
    });
    let _ = writeln!(
        text,
        "on CPU {} at IRQL {}",
        w.engine.cpu(),
        w.engine.irql()
    );
    text.print();
    // SAFETY: ending the process at once is what a bug check does.
    unsafe { libc::_exit(STATUS) }
}

/// Hands the signal to whoever handled it before.
fn pass_on(signal: c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    let Some(before) = BEFORE.get() else {
        // SAFETY: aborting is always possible.
        unsafe { libc::abort() }
    };
    if before.sa_sigaction == libc::SIG_DFL || before.sa_sigaction == libc::SIG_IGN {
        // SAFETY: restoring the former action; the access faults again and ends the process.
        unsafe { libc::sigaction(signal, before, std::ptr::null_mut()) };
        return;
    }
    // SAFETY: the former handler was installed with SA_SIGINFO, as the standard library's is.
    let handler: extern "C" fn(c_int, *mut libc::siginfo_t, *mut libc::c_void) =
        unsafe { std::mem::transmute(before.sa_sigaction) };
    handler(signal, info, context);
}

/// Text in a fixed buffer.
struct Text {
    bytes: [u8; 1024],
    len: usize,
}

impl Text {
    fn print(&self) {
        // SAFETY: the buffer is initialised up to `len`.
        unsafe { libc::write(2, self.bytes.as_ptr().cast(), self.len) };
    }
}

impl std::fmt::Write for Text {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        let room = (self.bytes.len() - self.len).min(text.len());
        self.bytes[self.len..self.len + room].copy_from_slice(&text.as_bytes()[..room]);
        self.len += room;
        Ok(())
    }
}
