//! An image in memory: placed, relocated, bound and protected.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::cover::Cover;
use crate::pe::{Access, Image, PAGE, Refused, Section};
use crate::spin;

/// What is done to an image when it is mapped.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Placing {
    /// It may not be where it was linked for.
    pub elsewhere: bool,
    /// Its busy waits are preemption points.
    pub preemptible: bool,
    /// It is written down which of its instructions run.
    pub covered: bool,
}

/// A range of the image, by its use.
#[derive(Debug, Clone)]
struct Part {
    name: String,
    rva: usize,
    size: usize,
    access: Access,
    discardable: bool,
}

impl Part {
    fn of(section: &Section) -> Self {
        Self {
            name: section.name.clone(),
            rva: section.rva,
            size: section.size.next_multiple_of(PAGE),
            access: section.access,
            discardable: section.discardable,
        }
    }
}

/// An image that was mapped. It stays where it is until the process ends.
#[derive(Debug)]
pub struct Mapped {
    base: usize,
    size: usize,
    entry: usize,
    parts: Vec<Part>,
    pauses: Vec<usize>,
    cover: Option<Cover>,
    gone: AtomicBool,
}

/// Changes what the pages at `address` may be used for.
fn protect(address: usize, size: usize, protection: i32) {
    // SAFETY: the callers pass pages of an image that they have mapped, and which nothing of Rust's points to.
    let result = unsafe { libc::mprotect(address as *mut _, size, protection) };
    assert_eq!(result, 0, "mprotect of an own mapping does not fail");
}

/// Pages for an image: at its preferred address, unless `elsewhere` is wanted or it is taken.
fn reserve(image: &Image, elsewhere: bool) -> Result<usize, Refused> {
    let wanted = image.preferred as usize;
    let map = |address: usize, flags: i32| {
        // SAFETY: a new private mapping, which replaces no other one.
        let pages = unsafe {
            libc::mmap(
                address as *mut _,
                image.size,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | flags,
                -1,
                0,
            )
        };
        (pages != libc::MAP_FAILED).then_some(pages as usize)
    };
    if !elsewhere
        && wanted != 0
        && let Some(base) = map(wanted, libc::MAP_FIXED_NOREPLACE)
    {
        return Ok(base);
    }
    map(0, 0).ok_or_else(|| Refused(format!("no memory for {} bytes", image.size)))
}

impl Mapped {
    /// Maps an image, moves it to where it is, and writes the addresses of its imports, which are in their order.
    ///
    /// # Errors
    /// No memory, or an image that cannot be elsewhere than where it was linked for.
    pub fn new(
        image: &Image,
        file: &[u8],
        placing: Placing,
        imports: &[usize],
    ) -> Result<Self, Refused> {
        let mut memory = image.layout(file);
        let base = reserve(image, placing.elsewhere)?;
        let moved = (base as u64).wrapping_sub(image.preferred);
        if moved != 0 && image.relocations.is_empty() {
            return Err(Refused(
                "the image has no relocations, and its preferred address is not free".to_owned(),
            ));
        }
        let mut word = |rva: usize, change: &dyn Fn(u64) -> u64| {
            let place: &mut [u8; 8] = (&mut memory[rva..rva + 8])
                .try_into()
                .expect("eight bytes are eight bytes");
            *place = change(u64::from_le_bytes(*place)).to_le_bytes();
        };
        for &rva in &image.relocations {
            word(rva, &|address| address.wrapping_add(moved));
        }
        for (import, &address) in image.imports.iter().zip(imports) {
            word(import.slot, &|_| address as u64);
        }
        let pauses = if placing.preemptible {
            spin::replace(image, &mut memory)
        } else {
            Vec::new()
        };
        let cover = placing.covered.then(|| Cover::new(image, &mut memory));
        // SAFETY: the mapping is new, as long as the image, and writable.
        unsafe { std::ptr::copy_nonoverlapping(memory.as_ptr(), base as *mut u8, image.size) };
        let mapped = Self {
            base,
            size: image.size,
            entry: base + image.entry,
            parts: image.sections.iter().map(Part::of).collect(),
            pauses,
            cover,
            gone: AtomicBool::new(false),
        };
        mapped.protect_all();
        Ok(mapped)
    }

    /// Everything read-only, then each section as it says.
    fn protect_all(&self) {
        protect(self.base, self.size, libc::PROT_READ);
        for part in &self.parts {
            let protection = match part.access {
                Access::Read => libc::PROT_READ,
                Access::Execute => libc::PROT_READ | libc::PROT_EXEC,
                Access::Write => libc::PROT_READ | libc::PROT_WRITE,
            };
            protect(self.base + part.rva, part.size, protection);
        }
    }

    /// Where the image begins.
    pub fn base(&self) -> usize {
        self.base
    }

    /// Bytes of the image.
    pub fn size(&self) -> usize {
        self.size
    }

    /// The address of the entry point.
    pub fn entry(&self) -> usize {
        self.entry
    }

    /// How far into the image `address` is, if it is inside.
    pub fn rva(&self, address: usize) -> Option<usize> {
        let rva = address.wrapping_sub(self.base);
        (rva < self.size).then_some(rva)
    }

    /// Whether `address` is in code of the image that can be executed now.
    pub fn is_code(&self, address: usize) -> bool {
        self.rva(address).is_some_and(|rva| {
            !self.gone.load(Ordering::Relaxed)
                && self.parts.iter().any(|part| {
                    part.access == Access::Execute
                        && (part.rva..part.rva + part.size).contains(&rva)
                })
        })
    }

    /// Whether there was a `pause` at `address`, which faults now.
    pub(crate) fn is_pause(&self, address: usize) -> bool {
        self.rva(address)
            .is_some_and(|rva| self.pauses.binary_search(&rva).is_ok())
    }

    /// Whether a breakpoint was at `address`, which is taken away then.
    pub(crate) fn takes_breakpoint(&self, address: usize) -> bool {
        match (&self.cover, self.rva(address)) {
            (Some(cover), Some(rva)) => cover.takes(self.base, rva),
            (Some(_), None) | (None, _) => false,
        }
    }

    /// A line for each instruction, if it is written down which of them run: its RVA, and 1 if it has run, else 0.
    pub fn coverage(&self) -> Option<String> {
        self.cover.as_ref().map(Cover::lines)
    }

    /// The section of an RVA.
    pub fn section(&self, rva: usize) -> Option<&str> {
        let part = self
            .parts
            .iter()
            .find(|part| (part.rva..part.rva + part.size).contains(&rva))?;
        Some(&part.name)
    }

    /// Whether the image was unloaded.
    pub fn is_gone(&self) -> bool {
        self.gone.load(Ordering::Relaxed)
    }

    /// Drops the sections that NT drops when the entry point has returned.
    pub fn discard(&self) {
        for part in self.parts.iter().filter(|part| part.discardable) {
            protect(self.base + part.rva, part.size, libc::PROT_NONE);
        }
    }

    /// Takes the image away: whoever comes back to it faults. Its addresses are given to nothing else.
    pub fn unload(&self) {
        self.gone.store(true, Ordering::Relaxed);
        protect(self.base, self.size, libc::PROT_NONE);
    }
}

/// The image of this process.
pub(crate) static LOADED: OnceLock<Mapped> = OnceLock::new();
