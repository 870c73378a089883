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
