//! Tracked memory: every block on pages of its own, and freed blocks stay out of reach.
//!
//! A block ends at the end of its last page, and the page after it is never accessible. Freed pages stay
//! mapped without any access until the world ends: a plain access to freed memory faults, and the handler
//! names the block and exits the process with status 112. Accesses through [`crate::sync`] and NT's calls are
//! checked before they are made, and fail the run instead.

use std::cell::RefCell;
use std::mem::ManuallyDrop;
use std::ops::Range;
use std::sync::OnceLock;

use crate::world::fail;
use crate::world::state::{World, current};

mod fault;

pub(crate) use fault::install as install_fault_handler;

/// The failure of an access to freed memory.
pub(crate) const FREED: &str = "PAGE_FAULT_IN_FREED_SPECIAL_POOL(0xD5)";

/// Address space of one arena: the first of these that the system gives. Under an instruction counter, or a
/// limit on address space, it does not give the first.
const ARENAS: [usize; 2] = [64 << 30, 1 << 30];
const PAGE: usize = 4096;
/// Freed blocks of a world whose memory is kept until the world ends, which is quicker than giving it back.
const KEPT_FREES: u64 = 10_000;
/// First blocks of a world whose pages the next world of the OS thread uses again.
const KEPT_BLOCKS: usize = 256;

/// What a block is called in a report.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Name {
    /// A pool tag.
    Tag(u32),
    /// A type or another fixed text.
    Text(&'static str),
}

impl std::fmt::Display for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Tag(tag) => write!(f, "pool block {}", tag.to_le_bytes().escape_ascii()),
            Self::Text(text) => f.write_str(text),
        }
    }
}

/// One block; blocks are kept in the order of their addresses.
#[derive(Debug)]
struct Block {
    start: usize,
    size: usize,
    pages: Range<usize>,
    name: Name,
    freed: bool,
}

/// Pages that a former world of this OS thread has left behind.
#[derive(Debug)]
struct Left {
    bytes: usize,
    accessible: bool,
}

/// The memory of one world.
///
/// Worlds of one test allocate much the same blocks. So the pages of the first ones stay as they are from one
/// world to the next, and are used again for the block of the same number and size: most blocks then cost a
/// system call less, and no page fault.
#[derive(Debug)]
pub(crate) struct Arena {
    base: usize,
    used: usize,
    blocks: Vec<Block>,
    frees: u64,
    left: Vec<Left>,
}

thread_local! {
    /// Address space that this OS thread keeps for its next world.
    static SPARE: RefCell<Vec<(usize, Vec<Left>)>> = const { RefCell::new(Vec::new()) };
}

impl Arena {
    /// An arena without blocks.
    pub(crate) fn take() -> Self {
        let spare = SPARE.with_borrow_mut(Vec::pop);
        let (base, left) = spare.unwrap_or_else(|| (reserve(), Vec::new()));
        Self {
            base,
            used: 0,
            blocks: Vec::new(),
            frees: 0,
            left,
        }
    }

    /// Ends the arena and keeps its address space, and its first pages, for another world.
    pub(crate) fn give_back(&mut self) {
        let mut left = std::mem::take(&mut self.left);
        let kept = self.blocks.len().min(KEPT_BLOCKS);
        left.splice(
            ..kept.min(left.len()),
            self.blocks[..kept].iter().map(|block| Left {
                bytes: block.pages.len(),
                accessible: !block.freed,
            }),
        );
        if let Some(first) = self.blocks.get(kept) {
            hide(first.pages.start, self.base + self.used - first.pages.start);
        }
        SPARE.with_borrow_mut(|spare| spare.push((self.base, left)));
    }

    /// Makes the pages of the next block accessible. True: they are fresh and zeroed.
    fn open(&mut self, first: usize, bytes: usize) -> bool {
        let number = self.blocks.len();
        match self.left.get(number) {
            Some(left) if left.bytes == bytes => {
                if !left.accessible {
                    protect(first, bytes, libc::PROT_READ | libc::PROT_WRITE);
                }
                false
            }
            Some(_) => {
                let rest: usize = self
                    .left
                    .drain(number..)
                    .map(|left| left.bytes + PAGE)
                    .sum();
                hide(first, rest);
                protect(first, bytes, libc::PROT_READ | libc::PROT_WRITE);
                true
            }
            None => {
                protect(first, bytes, libc::PROT_READ | libc::PROT_WRITE);
                true
            }
        }
    }

    /// The address range that blocks are in.
    pub(crate) fn range(&self) -> (usize, usize) {
        (self.base, arena())
    }

    /// The block on whose pages `address` is.
    fn block_at(&self, address: usize) -> Option<usize> {
        let place = self
            .blocks
            .partition_point(|block| block.pages.end <= address);
        (place < self.blocks.len() && self.blocks[place].pages.contains(&address)).then_some(place)
    }

    fn alloc(&mut self, size: usize, align: usize, fill: u8, name: Name) -> *mut u8 {
        assert!(align <= PAGE, "tracked memory is aligned to a page at most");
        let size = size.max(1);
        let bytes = size.next_multiple_of(PAGE);
        let first = self.base + self.used;
        assert!(
            self.used + bytes + PAGE <= arena(),
            "kmdf-mock: the tracked memory of a world is used up"
        );
        self.used += bytes + PAGE;
        let zeroed = self.open(first, bytes);
        let start = (first + bytes - size) / align * align;
        let pointer: *mut u8 = std::ptr::with_exposed_provenance_mut(start);
        if fill != 0 || !zeroed {
            // SAFETY: the block was made accessible above and nobody else knows it yet.
            unsafe { pointer.write_bytes(fill, size) };
        }
        self.blocks.push(Block {
            start,
            size,
            pages: first..first + bytes,
            name,
            freed: false,
        });
        pointer
    }
}

/// Address space of each arena of this process.
fn arena() -> usize {
    static SIZE: OnceLock<usize> = OnceLock::new();
    *SIZE.get_or_init(|| {
        let given = ARENAS.into_iter().find(|size| {
            let base = map(*size);
            let given = base != libc::MAP_FAILED;
            if given {
                // SAFETY: the mapping was just made, and nobody knows it.
                unsafe { libc::munmap(base, *size) };
            }
            given
        });
        given.expect("kmdf-mock: no address space for tracked memory")
    })
}

fn reserve() -> usize {
    let base = map(arena());
    assert!(
        base != libc::MAP_FAILED,
        "kmdf-mock: no address space for tracked memory"
    );
    base.expose_provenance()
}

/// Maps inaccessible memory of this size anywhere.
fn map(size: usize) -> *mut libc::c_void {
    // SAFETY: an anonymous mapping at an address of the kernel's choice touches no memory of ours.
    unsafe {
        libc::mmap(
            std::ptr::null_mut(),
            size,
            libc::PROT_NONE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE,
            -1,
            0,
        )
    }
}

/// Changes how a range can be accessed.
fn protect(start: usize, bytes: usize, access: libc::c_int) {
    // SAFETY: the range lies inside one reservation of `reserve` and belongs to one block of the world.
    let done =
        unsafe { libc::mprotect(std::ptr::with_exposed_provenance_mut(start), bytes, access) };
    assert!(
        done == 0,
        "kmdf-mock: too many tracked blocks are alive at once"
    );
}

/// Gives the memory of a range back and makes it inaccessible.
fn hide(start: usize, bytes: usize) {
    if bytes == 0 {
        return;
    }
    // SAFETY: the range lies inside one reservation of `reserve`, and the world does not use it any more.
    let hidden = unsafe {
        libc::mmap(
            std::ptr::with_exposed_provenance_mut(start),
            bytes,
            libc::PROT_NONE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE | libc::MAP_FIXED,
            -1,
            0,
        )
    };
    assert!(
        hidden != libc::MAP_FAILED,
        "kmdf-mock: tracked memory cannot be hidden"
    );
}

/// A tracked block that holds `value`.
///
/// # Panics
/// Outside a world.
pub fn alloc<T>(value: T) -> *mut T {
    alloc_value(current(), value, std::any::type_name::<T>())
}

/// Drops the value and frees its block.
///
/// # Safety
/// `pointer` came from [`alloc`] in this world, and nobody uses the value any more.
pub unsafe fn free<T>(pointer: *mut T) {
    let w = current();
    touch(w, pointer.addr(), "world::pool::free");
    // SAFETY: the caller promises that the value is alive and unused.
    unsafe { pointer.drop_in_place() };
    free_bytes(w, pointer.cast());
}

/// Whether `pointer` lies in a block of this world that has been freed.
pub fn is_freed<T>(pointer: *const T) -> bool {
    freed_name(current(), pointer.addr()).is_some()
}

pub(crate) fn alloc_value<T>(w: &World, value: T, name: &'static str) -> *mut T {
    let pointer: *mut T =
        alloc_bytes(w, size_of::<T>(), align_of::<T>(), 0, Name::Text(name)).cast();
    let value = ManuallyDrop::new(value);
    // SAFETY: the block is fresh, large enough and aligned; the original is not dropped.
    unsafe { std::ptr::copy_nonoverlapping(&raw const *value, pointer, 1) };
    pointer
}

/// A tracked block; `fill` 0 means zeroed.
pub(crate) fn alloc_bytes(w: &World, size: usize, align: usize, fill: u8, name: Name) -> *mut u8 {
    w.arena.with(|arena| arena.alloc(size, align, fill, name))
}

/// Frees a tracked block. A pointer that is none, or was freed before, fails the run.
pub(crate) fn free_bytes(w: &World, pointer: *mut u8) {
    let address = pointer.addr();
    let found = w.arena.with(|arena| {
        let block = &arena.blocks[arena.block_at(address)?];
        (block.start == address).then_some((block.start, block.size, block.name, block.freed))
    });
    let Some((start, size, name, freed)) = found else {
        fail(
            "BAD_POOL_CALLER(0xC2,7)",
            "memory is freed that is no pool block".to_owned(),
        );
    };
    if freed {
        fail("BAD_POOL_CALLER(0xC2,7)", format!("{name} is freed twice"));
    }
    let name = name.to_string();
    crate::nt::dpc::check_freed(w, start..start + size, &name);
    crate::nt::wait::check_freed(w, start..start + size, &name);
    w.arena.with(|arena| {
        let place = arena
            .block_at(address)
            .expect("the block was there a moment ago");
        let block = &mut arena.blocks[place];
        block.freed = true;
        let (start, bytes) = (block.pages.start, block.pages.len());
        arena.frees += 1;
        if arena.frees <= KEPT_FREES {
            protect(start, bytes, libc::PROT_NONE);
        } else {
            hide(start, bytes);
        }
    });
    w.trace_event("pool free", 0, 0);
}

/// The name of the block at `address`.
pub(crate) fn name_at(w: &World, address: usize) -> Name {
    let name = w.arena.with(|arena| {
        arena
            .block_at(address)
            .map(|place| arena.blocks[place].name)
    });
    name.unwrap_or(Name::Text("memory outside the pool"))
}

/// The name of the freed block that `address` is in.
fn freed_name(w: &World, address: usize) -> Option<Name> {
    w.arena.with(|arena| {
        let block = &arena.blocks[arena.block_at(address)?];
        block.freed.then_some(block.name)
    })
}

/// Fails the run if `address` lies in freed memory: `what` touches it.
#[inline]
pub(crate) fn touch(w: &World, address: usize, what: &str) {
    let (base, len) = w.arena_range;
    if address.wrapping_sub(base) < len {
        touch_slow(w, address, what);
    }
}

#[cold]
fn touch_slow(w: &World, address: usize, what: &str) {
    if let Some(name) = freed_name(w, address) {
        fail(FREED, format!("{what} touches {name} after it was freed"));
    }
}
