//! Tracked memory: every block on pages of its own, and freed blocks stay out of reach.
//!
//! A block ends at the end of its last page, and the page after it is never accessible. Freed pages stay
//! mapped without any access until the world ends: a plain access to freed memory faults, and the handler
//! names the block and exits the process with status 112. Accesses through [`crate::sync`] and NT's calls are
//! checked before they are made, and fail the run instead.

use std::cell::RefCell;
use std::mem::ManuallyDrop;
use std::ops::Range;
use std::sync::atomic::{AtomicU8, Ordering};

use crate::world::fail;
use crate::world::state::{World, current};

mod fault;
mod space;

use space::{PAGE, Space, hide, protect};

pub(crate) use fault::install as install_fault_handler;

/// The failure of an access to freed memory.
pub(crate) const FREED: &str = "PAGE_FAULT_IN_FREED_SPECIAL_POOL(0xD5)";

/// Freed blocks of a world whose memory is kept until the world ends, which is quicker than giving it back.
const KEPT_FREES: u64 = 10_000;
/// What a freed block that is not hidden is filled with: no pointer, and no small number.
const FREED_FILL: u8 = 0xDD;
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
    /// Its pages are not accessible any more.
    hidden: bool,
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
    /// Always there while the arena is in use.
    space: Option<Space>,
    base: usize,
    used: usize,
    blocks: Vec<Block>,
    frees: u64,
    left: Vec<Left>,
}

thread_local! {
    /// Address space that this OS thread keeps for its next world.
    static SPARE: RefCell<Vec<(Space, Vec<Left>)>> = const { RefCell::new(Vec::new()) };
}

/// What a touch of memory looks at: no lock, and one byte.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Marks {
    base: usize,
    bytes: usize,
    /// For each page of the pool whether it is one of a freed block.
    freed: *const AtomicU8,
}

impl Marks {
    /// Whether `address` lies in the pool.
    #[inline]
    pub(crate) const fn covers(&self, address: usize) -> bool {
        address.wrapping_sub(self.base) < self.bytes
    }

    #[inline]
    fn of(&self, address: usize) -> &AtomicU8 {
        // SAFETY: the caller's address lies in the pool, which has a mark for each of its pages, for as long as
        // the world lives.
        unsafe { &*self.freed.add(address.wrapping_sub(self.base) / PAGE) }
    }

    #[inline]
    fn is_freed(&self, address: usize) -> bool {
        self.covers(address) && self.of(address).load(Ordering::Relaxed) != 0
    }

    fn set(&self, pages: &Range<usize>, freed: bool) {
        for page in pages.clone().step_by(PAGE) {
            self.of(page).store(u8::from(freed), Ordering::Relaxed);
        }
    }
}

impl Arena {
    /// An arena without blocks.
    pub(crate) fn take() -> Self {
        let spare = SPARE.with_borrow_mut(Vec::pop);
        let (space, left) = spare.unwrap_or_else(|| (Space::reserve(), Vec::new()));
        Self {
            base: space.base,
            space: Some(space),
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
                accessible: !block.hidden,
            }),
        );
        if let Some(first) = self.blocks.get(kept) {
            hide(first.pages.start, self.base + self.used - first.pages.start);
        }
        let marks = self.marks();
        for block in self.blocks.iter().filter(|block| block.freed) {
            marks.set(&block.pages, false);
        }
        let Some(mut space) = self.space.take() else {
            return;
        };
        space.end_stacks();
        // A thread that is about to end keeps nothing.
        let _ = SPARE.try_with(|spare| spare.borrow_mut().push((space, left)));
    }

    fn space(&mut self) -> &mut Space {
        self.space
            .as_mut()
            .expect("an arena in use has its address space")
    }

    /// The stack of a context: its lowest and its highest address. The lowest page is not accessible.
    pub(crate) fn stack(&mut self, context: usize) -> (usize, usize) {
        self.space().stack(context)
    }

    /// Where to see whether memory is freed.
    pub(crate) fn marks(&mut self) -> Marks {
        let space = self.space();
        Marks {
            base: space.base,
            bytes: space.pool_bytes(),
            freed: space.marks(),
        }
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
            self.used + bytes + PAGE <= self.space().pool_bytes(),
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
            hidden: false,
        });
        pointer
    }
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
        let pages = block.pages.clone();
        let (start, bytes) = (pages.start, pages.len());
        w.marks.set(&pages, true);
        if !w.config.special_pool {
            block.hidden = false;
            let pointer: *mut u8 = std::ptr::with_exposed_provenance_mut(block.start);
            // SAFETY: the block is accessible, and nobody uses it any more: this caller frees it.
            unsafe { pointer.write_bytes(FREED_FILL, block.size) };
            return;
        }
        block.hidden = true;
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
    if w.marks.is_freed(address) {
        touch_freed(w, address, what);
    }
}

#[cold]
fn touch_freed(w: &World, address: usize, what: &str) {
    if let Some(name) = freed_name(w, address) {
        fail(FREED, format!("{what} touches {name} after it was freed"));
    }
}
