//! Pool memory (N-31): special pool, always.

use crate::abi::{POOL_FLAG_NON_PAGED, POOL_FLAG_UNINITIALIZED, POOL_FLAGS, PVOID, SIZE_T, ULONG};
use crate::nt::check::{call, ceiling};
use crate::world::{fail, pool};

/// Allocates pool: zeroed unless `POOL_FLAG_UNINITIALIZED`, 16-byte aligned, null on failure.
/// `DV(0xC4,0x2)` above DISPATCH_LEVEL.
///
/// # Safety
/// The block is freed once, with [`ExFreePool`] or [`ExFreePoolWithTag`].
pub unsafe extern "C" fn ExAllocatePool2(
    Flags: POOL_FLAGS,
    NumberOfBytes: SIZE_T,
    Tag: ULONG,
) -> PVOID {
    let w = call();
    let max = if Flags & POOL_FLAG_NON_PAGED == 0 {
        1
    } else {
        2
    };
    ceiling(w, "ExAllocatePool2", max, "DV(0xC4,0x2)");
    if Tag == 0 || NumberOfBytes == 0 || w.allocation_fails() {
        return core::ptr::null_mut();
    }
    let fill = if Flags & POOL_FLAG_UNINITIALIZED == 0 {
        0
    } else {
        0xA5
    };
    w.count(|counters| {
        counters.pool_allocations += 1;
        counters.pool_bytes += NumberOfBytes;
    });
    pool::alloc_bytes(w, NumberOfBytes as usize, 16, fill, pool::Name::Tag(Tag)).cast()
}

/// Frees a pool block.
///
/// # Safety
/// `P` came from [`ExAllocatePool2`] and nobody uses it any more.
pub unsafe extern "C" fn ExFreePool(P: PVOID) {
    // SAFETY: as the caller's; a tag of zero matches every block.
    unsafe { ExFreePoolWithTag(P, 0) };
}

/// Frees a pool block that was allocated with `Tag`. A wrong tag is `BAD_POOL_CALLER(0xC2,0xA)`.
///
/// # Safety
/// `P` came from [`ExAllocatePool2`] and nobody uses it any more.
pub unsafe extern "C" fn ExFreePoolWithTag(P: PVOID, Tag: ULONG) {
    let w = call();
    ceiling(w, "ExFreePoolWithTag", 2, "DV(0xC4,0x11)");
    if let pool::Name::Tag(tag) = pool::name_at(w, P.addr())
        && Tag != 0
        && tag != Tag
    {
        fail(
            "BAD_POOL_CALLER(0xC2,0xA)",
            format!("a block with tag {tag:#x} is freed with {Tag:#x}"),
        );
    }
    w.count(|counters| counters.pool_frees += 1);
    pool::free_bytes(w, P.cast());
}
