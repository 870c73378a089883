//! Address space: where the memory of a world lies, the same in every process.
//!
//! Code under test may decide by addresses (a hash of an item's address picks a shard, say). For a seed to replay
//! in another process, the blocks and the stacks of a world lie at addresses that follow from the test's name
//! alone: one of a thousand places, picked by the name of the OS thread, which the test harness names after the
//! test. If two names pick the same place, one of them gets the next.

use std::sync::atomic::AtomicU8;

/// How a place is divided: pool first, then stacks, then a mark for each page of the pool.
#[derive(Debug)]
struct Layout {
    pool: usize,
    stacks: usize,
    all: usize,
}

/// The usual layout.
const LARGE: Layout = Layout {
    pool: 24 << 30,
    stacks: 4 << 30,
    all: 32 << 30,
};
/// For who gets no more, as under an instruction counter or a limit on address space.
const SMALL: Layout = Layout {
    pool: 640 << 20,
    stacks: 256 << 20,
    all: 1 << 30,
};
/// The first place, and how many there are. Nothing else lies there unless a tool has put it there.
const FIRST: usize = 0x1000_0000_0000;
const PLACES: usize = 1_024;
pub(super) const PAGE: usize = 4096;

/// Bytes of stack of a context. Interrupts and DPCs nest on it, and so does a panic's backtrace.
const STACK_SIZE: usize = 256 * 1024;
/// Stacks whose memory is kept from one world to the next.
const KEPT_STACKS: usize = 64;

/// Reserved address space of one world at a time.
#[derive(Debug)]
pub(super) struct Space {
    pub(super) base: usize,
    layout: &'static Layout,
    /// Stacks that are accessible.
    stacks: usize,
}

impl Space {
    /// Reserves the place of the current OS thread, or the next free one.
    pub(super) fn reserve() -> Self {
        let wanted = place_of(std::thread::current().name().unwrap_or_default());
        let fixed = (0..PLACES).find_map(|n| {
            let at = FIRST + (wanted + n) % PLACES * LARGE.all;
            map(at, LARGE.all)
        });
        let (base, layout) = fixed
            .or_else(|| map(0, LARGE.all))
            .map(|base| (base, &LARGE))
            .or_else(|| map(0, SMALL.all).map(|base| (base, &SMALL)))
            .expect("kmdf-mock: no address space for tracked memory");
        let space = Self {
            base,
            layout,
            stacks: 0,
        };
        let access = libc::PROT_READ | libc::PROT_WRITE;
        protect(space.first_mark(), layout.pool / PAGE, access);
        space
    }

    fn first_stack(&self) -> usize {
        self.base + self.layout.pool
    }

    fn first_mark(&self) -> usize {
        self.first_stack() + self.layout.stacks
    }

    /// Bytes of pool, from `base` on.
    pub(super) const fn pool_bytes(&self) -> usize {
        self.layout.pool
    }

    /// A byte for each page of the pool.
    pub(super) fn marks(&self) -> *const AtomicU8 {
        std::ptr::with_exposed_provenance(self.first_mark())
    }

    /// The stack of a context: its lowest and its highest address. The lowest page is never accessible.
    pub(super) fn stack(&mut self, context: usize) -> (usize, usize) {
        let first = self.first_stack();
        let limit = |n| first + n * STACK_SIZE;
        let base = limit(context + 1);
        assert!(
            base <= self.first_mark(),
            "kmdf-mock: no address space for another stack"
        );
        let access = libc::PROT_READ | libc::PROT_WRITE;
        for n in self.stacks..=context {
            protect(limit(n) + PAGE, STACK_SIZE - PAGE, access);
        }
        self.stacks = self.stacks.max(context + 1);
        (limit(context), base)
    }

    /// Ends the use of all stacks, and gives most of the memory of very many back.
    pub(super) fn end_stacks(&mut self) {
        if self.stacks > KEPT_STACKS {
            let first = self.first_stack() + KEPT_STACKS * STACK_SIZE;
            hide(first, (self.stacks - KEPT_STACKS) * STACK_SIZE);
            self.stacks = KEPT_STACKS;
        }
    }
}

impl Drop for Space {
    fn drop(&mut self) {
        // SAFETY: the range is the reservation, and no world uses it any more.
        unsafe {
            libc::munmap(
                std::ptr::with_exposed_provenance_mut(self.base),
                self.layout.all,
            )
        };
    }
}

/// The place of a name.
fn place_of(name: &str) -> usize {
    let hash = name.bytes().fold(0xCBF2_9CE4_8422_2325, |hash: u64, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3)
    });
    (hash >> 32) as usize % PLACES
}

/// Reserves so many bytes at exactly this address; at 0 the kernel picks one.
fn map(at: usize, bytes: usize) -> Option<usize> {
    let fixed = if at == 0 {
        0
    } else {
        libc::MAP_FIXED_NOREPLACE
    };
    // SAFETY: an anonymous mapping that replaces no other touches no memory of ours.
    let base = unsafe {
        libc::mmap(
            std::ptr::without_provenance_mut(at),
            bytes,
            libc::PROT_NONE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE | fixed,
            -1,
            0,
        )
    };
    if base == libc::MAP_FAILED {
        return None;
    }
    let base = base.expose_provenance();
    if at != 0 && base != at {
        // A kernel that does not know the flag takes the address as a hint.
        // SAFETY: the mapping was made above and nobody knows it.
        unsafe { libc::munmap(std::ptr::with_exposed_provenance_mut(base), bytes) };
        return None;
    }
    Some(base)
}

/// Changes how a range can be accessed.
pub(super) fn protect(start: usize, bytes: usize, access: libc::c_int) {
    // SAFETY: the range lies inside one reservation and belongs to one block or stack of the world.
    let done =
        unsafe { libc::mprotect(std::ptr::with_exposed_provenance_mut(start), bytes, access) };
    assert!(
        done == 0,
        "kmdf-mock: too many tracked blocks are alive at once"
    );
}

/// Gives the memory of a range back and makes it inaccessible.
pub(super) fn hide(start: usize, bytes: usize) {
    if bytes == 0 {
        return;
    }
    // SAFETY: the range lies inside one reservation, and the world does not use it any more.
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
