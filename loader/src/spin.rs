//! Busy waits of the driver on the simulation.
//!
//! Contexts of a simulated machine take turns at calls. A driver that waits for another CPU without a call, in a
//! loop around the processor's `pause`, would never let that CPU run. So every `pause` in the driver's code is
//! replaced by an instruction that faults, and the handler makes a preemption point of it. On the live engine
//! CPUs run by themselves, and the code stays as it is.

use iced_x86::{Code, Decoder, DecoderOptions};

use crate::pe::{Access, Image};

/// `ud2`, which is as long as `pause`.
const REPLACEMENT: [u8; 2] = [0x0F, 0x0B];
/// `pause`.
const PAUSE: [u8; 2] = [0xF3, 0x90];

/// Replaces every `pause` in `memory`, the image as it is going to be mapped. Returns their places in order.
pub(crate) fn replace(image: &Image, memory: &mut [u8]) -> Vec<usize> {
    let mut places = Vec::new();
    for section in &image.sections {
        if section.access != Access::Execute {
            continue;
        }
        let code = &memory[section.rva..section.rva + section.size];
        let found: Vec<usize> =
            Decoder::with_ip(64, code, section.rva as u64, DecoderOptions::NONE)
                .iter()
                .filter(|instruction| instruction.code() == Code::Pause)
                .map(|instruction| instruction.ip() as usize)
                .collect();
        for &place in &found {
            // A prefix in front of it makes the instruction longer, which compilers do not write.
            if memory[place..place + 2] == PAUSE {
                memory[place..place + 2].copy_from_slice(&REPLACEMENT);
                places.push(place);
            }
        }
    }
    places
}

/// Makes a preemption point where the fault of a replaced `pause` was, which `registers` describe.
///
/// # Safety
/// They are those of a fault in code of the driver, and go back to the processor when the handler returns.
pub(crate) unsafe fn redirect(registers: &mut [libc::greg_t; 23]) {
    let next = registers[libc::REG_RIP as usize] + PAUSE.len() as i64;
    let stack = registers[libc::REG_RSP as usize] - 8;
    // SAFETY: Microsoft's x64 convention keeps nothing below the stack pointer, so that a call can be put there.
    unsafe { (stack as *mut i64).write(next) };
    registers[libc::REG_RSP as usize] = stack;
    registers[libc::REG_RIP as usize] = point as *const () as i64;
}

/// One round of a busy wait.
extern "C" fn round() {
    kmdf_mock::sync::preempt();
}

/// Calls [`round`] and changes no register: the driver does not know of the call.
#[unsafe(naked)]
unsafe extern "C" fn point() {
    std::arch::naked_asm!(
        "pushfq",
        "push rax",
        "push rcx",
        "push rdx",
        "push rsi",
        "push rdi",
        "push r8",
        "push r9",
        "push r10",
        "push r11",
        "push rbp",
        "mov rbp, rsp",
        "sub rsp, 512",
        "and rsp, -64",
        "fxsave64 [rsp]",
        "cld",
        "call {round}",
        "fxrstor64 [rsp]",
        "mov rsp, rbp",
        "pop rbp",
        "pop r11",
        "pop r10",
        "pop r9",
        "pop r8",
        "pop rdi",
        "pop rsi",
        "pop rdx",
        "pop rcx",
        "pop rax",
        "popfq",
        "ret",
        round = sym round,
    )
}
