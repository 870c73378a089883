//! A stand-in for `wdk-alloc` 0.4.2: the memory of `alloc` is that of the non-paged pool.

#![no_std]

use core::alloc::{GlobalAlloc, Layout};

use wdk_sys::POOL_FLAG_NON_PAGED;
use wdk_sys::ntddk::{ExAllocatePool2, ExFreePool};

/// The pool tag.
const TAG: u32 = u32::from_le_bytes(*b"rust");

/// The allocator that a driver names with `#[global_allocator]`.
#[derive(Debug)]
pub struct WdkAllocator;

// SAFETY: blocks of the pool do not overlap, stay where they are until they are freed, and are 16-byte
// aligned, which is as much as a driver asks for.
unsafe impl GlobalAlloc for WdkAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the layout is not empty, by the caller's word.
        unsafe { ExAllocatePool2(POOL_FLAG_NON_PAGED, layout.size() as u64, TAG) }.cast()
    }

    unsafe fn dealloc(&self, block: *mut u8, _layout: Layout) {
        // SAFETY: a block of `alloc`, which is freed once, by the caller's word.
        unsafe { ExFreePool(block.cast()) };
    }
}
