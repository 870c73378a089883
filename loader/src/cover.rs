//! Which instructions of the driver have run.
//!
//! Each instruction of the image begins with a breakpoint, which its first run takes away: an instruction costs one
//! fault however often it runs.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};

use iced_x86::{Decoder, DecoderOptions};

use crate::frames;
use crate::pe::{Access, Image};

/// `int3`, which compilers put between functions too.
const BREAKPOINT: u8 = 0xCC;

/// An instruction with a breakpoint on it.
#[derive(Debug)]
struct Place {
    rva: usize,
    byte: u8,
    ran: AtomicBool,
}

/// The instructions of an image, in the order of their addresses.
#[derive(Debug)]
pub(crate) struct Cover {
    places: Vec<Place>,
}

impl Cover {
    /// Puts breakpoints into `memory`, the image as it is going to be mapped.
    pub(crate) fn new(image: &Image, memory: &mut [u8]) -> Self {
        let mut places = Vec::new();
        for section in &image.sections {
            if section.access != Access::Execute {
                continue;
            }
            let code = &mut memory[section.rva..section.rva + section.size];
            let begins: Vec<usize> = Decoder::with_ip(64, code, 0, DecoderOptions::NONE)
                .iter()
                .filter(|instruction| !instruction.is_invalid())
                .map(|instruction| instruction.ip() as usize)
                .filter(|at| code[*at] != BREAKPOINT)
                .collect();
            for at in begins {
                places.push(Place {
                    rva: section.rva + at,
                    byte: std::mem::replace(&mut code[at], BREAKPOINT),
                    ran: AtomicBool::new(false),
                });
            }
        }
        Self { places }
    }

    /// Whether a breakpoint of ours was at `rva` of the image at `base`; it is taken away then.
    pub(crate) fn takes(&self, base: usize, rva: usize) -> bool {
        let Ok(index) = self.places.binary_search_by_key(&rva, |place| place.rva) else {
            return false;
        };
        let place = &self.places[index];
        place.ran.store(true, Ordering::Relaxed);
        frames::write(base + rva, place.byte)
    }

    /// A line for each instruction: its RVA, and 1 if it has run, else 0.
    pub(crate) fn lines(&self) -> String {
        let mut text = String::new();
        for place in &self.places {
            let ran = u8::from(place.ran.load(Ordering::Relaxed));
            let _ = writeln!(text, "{:#x} {ran}", place.rva);
        }
        text
    }
}
