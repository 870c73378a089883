//! Instructions that only a kernel can execute, or that mean something else in one.
//!
//! Inline functions of the WDK's C headers read and write the IRQL in CR8, read the processor block through `gs`,
//! and read `KUSER_SHARED_DATA`. Each of them faults here. The handler puts a call of [`point`] in place of the
//! instruction: it does what is asked for outside of the handler, where the mock can be called.

use iced_x86::{Code, Decoder, DecoderOptions, Instruction, Register};
use kmdf_mock::{PROCESSOR_NUMBER, ntddk, world};

use crate::frames;

/// Where every process has `KUSER_SHARED_DATA`.
const SHARED_DATA: usize = 0xFFFF_F780_0000_0000;
/// Bytes of it.
const SHARED_SIZE: usize = 4096;
/// `gs:[0x184]`: the number of the processor.
const NUMBER: usize = 0x184;
/// `gs:[0x188]`: the current thread.
const THREAD: usize = 0x188;
/// `KUSER_SHARED_DATA::InterruptTime`: low half, high half, and the high half again.
const INTERRUPT_TIME: usize = 8;
/// Most bytes of an instruction.
const LONGEST: usize = 15;

/// What an instruction asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    /// A `pause` that was replaced.
    Pause,
    /// `mov register, cr8`.
    ReadIrql(usize),
    /// `mov cr8, register`.
    WriteIrql(usize),
    /// `mov register, memory`: the register, and bytes to read.
    Read(usize, usize),
}

/// General registers in the order of their numbers, 64 and 32 bits.
const WIDE: [Register; 16] = [
    Register::RAX,
    Register::RCX,
    Register::RDX,
    Register::RBX,
    Register::RSP,
    Register::RBP,
    Register::RSI,
    Register::RDI,
    Register::R8,
    Register::R9,
    Register::R10,
    Register::R11,
    Register::R12,
    Register::R13,
    Register::R14,
    Register::R15,
];
const NARROW: [Register; 16] = [
    Register::EAX,
    Register::ECX,
    Register::EDX,
    Register::EBX,
    Register::ESP,
    Register::EBP,
    Register::ESI,
    Register::EDI,
    Register::R8D,
    Register::R9D,
    Register::R10D,
    Register::R11D,
    Register::R12D,
    Register::R13D,
    Register::R14D,
    Register::R15D,
];

/// The number of a general register, but for the stack pointer.
fn number(register: Register) -> Option<usize> {
    let is = |other: &Register| *other == register;
    let found = WIDE
        .iter()
        .position(is)
        .or_else(|| NARROW.iter().position(is));
    found.filter(|number| WIDE[*number] != Register::RSP)
}

/// The instruction at `at`, and what it asks for.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the processor has thousands of instructions"
)]
fn asked(at: usize) -> Option<(Instruction, Asked)> {
    let mut code = [0; LONGEST];
    // The last instruction of a section has less behind it.
    let length = (1..=LONGEST)
        .rev()
        .find(|length| frames::read(at, &mut code[..*length]))?;
    let mut decoder = Decoder::with_ip(64, &code[..length], at as u64, DecoderOptions::NONE);
    let instruction = decoder.decode();
    let asked = match instruction.code() {
        Code::Ud2 => Asked::Pause,
        Code::Mov_r64_cr if instruction.op1_register() == Register::CR8 => {
            Asked::ReadIrql(number(instruction.op0_register())?)
        }
        Code::Mov_cr_r64 if instruction.op0_register() == Register::CR8 => {
            Asked::WriteIrql(number(instruction.op1_register())?)
        }
        Code::Mov_r64_rm64 | Code::Mov_RAX_moffs64 => {
            Asked::Read(number(instruction.op0_register())?, 8)
        }
        Code::Mov_r32_rm32 | Code::Mov_EAX_moffs32 => {
            Asked::Read(number(instruction.op0_register())?, 4)
        }
        Code::Movzx_r32_rm8 => Asked::Read(number(instruction.op0_register())?, 1),
        _ => return None,
    };
    Some((instruction, asked))
}

/// Makes what the decoder would make on its first use, which is no time for it.
pub(crate) fn prepare() {
    asked(prepare as *const () as usize);
}

/// Whether a fault at `at` in the driver's code, by an access to `address` if there was one, is answered here.
pub(crate) fn answers(at: usize, address: Option<usize>) -> bool {
    match (asked(at), address) {
        (Some((_, Asked::ReadIrql(_) | Asked::WriteIrql(_))), None) => true,
        (Some((instruction, Asked::Read(_, bytes))), Some(address)) => {
            (SHARED_DATA..SHARED_DATA + SHARED_SIZE - bytes + 1).contains(&address)
                || instruction.segment_prefix() == Register::GS
                    && matches!(address, NUMBER | THREAD)
        }
        (Some(_) | None, _) => false,
    }
}

/// What `point` has saved, and the place it goes back to.
#[repr(C)]
#[derive(Debug)]
struct Frame {
    registers: [u64; 16],
    flags: u64,
    address: usize,
    at: usize,
}

/// Puts a call of [`point`] in place of the instruction that faulted.
///
/// # Safety
/// The registers are those of a fault in the driver's code that is answered here, and go back to the processor when
/// the handler returns.
pub(crate) unsafe fn redirect(registers: &mut [libc::greg_t; 23], address: usize) {
    let at = registers[libc::REG_RIP as usize];
    let stack = registers[libc::REG_RSP as usize] - 16;
    // SAFETY: Microsoft's x64 convention keeps nothing below the stack pointer, so that a call can be put there.
    unsafe {
        (stack as *mut i64).write(address as i64);
        (stack as *mut i64).add(1).write(at);
    }
    registers[libc::REG_RSP as usize] = stack;
    registers[libc::REG_RIP as usize] = point as *const () as i64;
}

/// Does what the instruction asks for, and goes on behind it.
unsafe extern "C" fn answer(frame: &mut Frame) {
    let Some((instruction, asked)) = asked(frame.at) else {
        unreachable!("the handler has looked at the instruction");
    };
    match asked {
        Asked::Pause => kmdf_mock::sync::preempt(),
        Asked::ReadIrql(register) => {
            // SAFETY: in a world.
            frame.registers[register] = unsafe { ntddk::KeGetCurrentIrql() }.into();
        }
        Asked::WriteIrql(register) => set_irql(frame.registers[register] as u8),
        Asked::Read(register, bytes) => {
            let value = match frame.address.checked_sub(SHARED_DATA) {
                Some(offset) => shared(offset),
                None => block(frame.address),
            };
            let mask = u64::MAX >> (64 - 8 * bytes);
            frame.registers[register] = value & mask;
        }
    }
    frame.at += instruction.len();
}

/// A write of CR8 raises the IRQL or lowers it.
fn set_irql(irql: u8) {
    // SAFETY: in a world; the driver does with the level what it likes, and is told what it may not.
    unsafe {
        if irql >= world::current_irql() {
            ntddk::KfRaiseIrql(irql);
        } else {
            ntddk::KeLowerIrql(irql);
        }
    }
}

/// A member of `KUSER_SHARED_DATA`: the interrupt time, and zero for what the mock has not.
fn shared(offset: usize) -> u64 {
    // SAFETY: in a world.
    let time = unsafe { ntddk::KeQueryUnbiasedInterruptTime() };
    match offset {
        INTERRUPT_TIME => time,
        _ if offset == INTERRUPT_TIME + 4 || offset == INTERRUPT_TIME + 8 => time >> 32,
        _ => 0,
    }
}

/// A member of the processor block.
fn block(offset: usize) -> u64 {
    let mut number = PROCESSOR_NUMBER::default();
    // SAFETY: in a world, and the structure is valid for the call.
    unsafe {
        if offset == THREAD {
            ntddk::KeGetCurrentThread() as u64
        } else {
            u64::from(ntddk::KeGetCurrentProcessorNumberEx(&raw mut number))
        }
    }
}

/// Calls [`answer`] with everything that the driver has in registers, and takes it back from there.
#[unsafe(naked)]
unsafe extern "C" fn point() {
    std::arch::naked_asm!(
        "pushfq",
        "push r15",
        "push r14",
        "push r13",
        "push r12",
        "push r11",
        "push r10",
        "push r9",
        "push r8",
        "push rdi",
        "push rsi",
        "push rbp",
        "push rsp",
        "push rbx",
        "push rdx",
        "push rcx",
        "push rax",
        "mov rdi, rsp",
        "mov rbp, rsp",
        "sub rsp, 512",
        "and rsp, -64",
        "fxsave64 [rsp]",
        "cld",
        "call {answer}",
        "fxrstor64 [rsp]",
        "mov rsp, rbp",
        "pop rax",
        "pop rcx",
        "pop rdx",
        "pop rbx",
        "lea rsp, [rsp + 8]",
        "pop rbp",
        "pop rsi",
        "pop rdi",
        "pop r8",
        "pop r9",
        "pop r10",
        "pop r11",
        "pop r12",
        "pop r13",
        "pop r14",
        "pop r15",
        "popfq",
        "lea rsp, [rsp + 8]",
        "ret",
        answer = sym answer,
    )
}
