// SPDX-License-Identifier: MIT OR Apache-2.0
//! The memory of large tables, in huge pages where the kernel gives them.
//!
//! A table that is read at random costs, beside the miss of the cache, one of the address translation:
//! with pages of 4 KiB the page tables of a million connections do not fit the cache either. Most
//! systems give transparent huge pages only to those who ask (`madvise`), and the system's allocator
//! does not.

use nix::libc;
use std::alloc::{GlobalAlloc, Layout, System};
use std::ptr;

/// A huge page of x86-64 and of most arm64 systems, in bytes.
const HUGE: usize = 2 << 20;

/// The system's allocator, but for blocks of 2 MiB and more: they are mappings of their own that ask
/// for huge pages. Such a block is zero, and its pages are taken as they are touched.
///
/// For `#[global_allocator]`.
#[derive(Clone, Copy, Debug, Default)]
pub struct HugeAlloc;

fn is_huge(layout: Layout) -> bool {
    layout.size() >= HUGE && layout.align() <= HUGE
}

/// Returns the bytes that a block of `size` maps: whole huge pages. `None` if there is no such number.
fn mapped(size: usize) -> Option<usize> {
    size.checked_next_multiple_of(HUGE)
}

/// Maps a block of at least `size` bytes at a multiple of [`HUGE`]; null if there is no memory.
fn map(size: usize) -> *mut u8 {
    let Some((len, whole)) = mapped(size).and_then(|len| Some((len, len.checked_add(HUGE)?)))
    else {
        return ptr::null_mut();
    };
    let (access, kind) =
        (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
    // SAFETY: a new mapping, of no file, wherever the kernel likes.
    let start = unsafe { libc::mmap(ptr::null_mut(), whole, access, kind, -1, 0) };
    if start == libc::MAP_FAILED {
        return ptr::null_mut();
    }
    let start: *mut u8 = start.cast();
    let before = start.align_offset(HUGE);
    // What is before and behind the aligned part goes back.
    let block = start.wrapping_add(before);
    // SAFETY: this is the mapping's begin, and nobody has a pointer to it yet.
    unsafe { unmap(start, before) };
    // SAFETY: this is the mapping's end, and nobody has a pointer to it yet.
    unsafe { unmap(block.wrapping_add(len), HUGE - before) };
    // SAFETY: `block..block + len` is of this mapping; the advice changes none of its contents. A
    // kernel without huge pages refuses, and that is fine.
    unsafe { libc::madvise(block.cast(), len, libc::MADV_HUGEPAGE) };
    block
}

/// Gives a part of a mapping back.
///
/// # Safety
/// It is whole pages of a mapping of `map`, or none, and nobody uses them any more.
unsafe fn unmap(start: *mut u8, len: usize) {
    if len > 0 {
        // SAFETY: the caller's promise.
        unsafe { libc::munmap(start.cast(), len) };
    }
}

// SAFETY: blocks are either the system allocator's, or mappings of their own of at least the size and
// alignment that were asked for; which of them follows from the layout alone, so `dealloc` and
// `realloc`, which get the layout that a block was made with, give it back where it came from.
// Nothing unwinds.
unsafe impl GlobalAlloc for HugeAlloc {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if is_huge(layout) {
            return map(layout.size());
        }
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if is_huge(layout) {
            // New mappings are zero.
            return map(layout.size());
        }
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        if is_huge(layout) {
            // The size was a good one when the block was made.
            // SAFETY: it is the whole of a mapping, and the caller uses it no more.
            return unsafe { unmap(block, mapped(layout.size()).unwrap_or(0)) };
        }
        // SAFETY: a block of this layout came from the system's allocator.
        unsafe { System.dealloc(block, layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller's promise: `size` is not 0 and does not overflow with this alignment.
        let new = unsafe { Layout::from_size_align_unchecked(size, layout.align()) };
        if !is_huge(layout) && !is_huge(new) {
            // SAFETY: the block came from the system's allocator, and the caller's promise is passed on.
            return unsafe { System.realloc(block, layout, size) };
        }
        // SAFETY: the caller's promise.
        let moved = unsafe { self.alloc(new) };
        if !moved.is_null() {
            // SAFETY: both blocks have as many bytes, and the new one is apart from the old.
            unsafe { ptr::copy_nonoverlapping(block, moved, layout.size().min(size)) };
            // SAFETY: the block is of this layout, and nobody uses it any more.
            unsafe { self.dealloc(block, layout) };
        }
        moved
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_blocks_are_zero_aligned_and_keep_what_they_have_as_they_grow_and_shrink() {
        let sizes = [100, HUGE - 1, HUGE, HUGE + 1, 9 * HUGE + 4097, HUGE, 100];
        let first = Layout::from_size_align(sizes[0], 64).unwrap();
        // SAFETY: the layout has a size.
        let mut block = unsafe { HugeAlloc.alloc_zeroed(first) };
        let mut layout = first;
        for size in sizes {
            // SAFETY: the block is of this layout.
            block = unsafe { HugeAlloc.realloc(block, layout, size) };
            layout = Layout::from_size_align(size, 64).unwrap();
            assert!(!block.is_null());
            assert_eq!(block.align_offset(if size >= HUGE { HUGE } else { 64 }), 0);
            // SAFETY: the block has so many bytes, and all of them were written or zero.
            let bytes = unsafe { std::slice::from_raw_parts_mut(block, size) };
            assert!(bytes.iter().take(99).all(|byte| *byte == bytes[0]));
            let next = bytes[0].wrapping_add(1);
            bytes[..99].fill(next);
            bytes[size - 1] = 0xff;
        }
        // SAFETY: the block is of this layout.
        unsafe { HugeAlloc.dealloc(block, layout) };
        let layout = Layout::from_size_align(3 * HUGE, 4096).unwrap();
        // SAFETY: the layout has a size.
        let block = unsafe { HugeAlloc.alloc_zeroed(layout) };
        // SAFETY: the block has so many bytes.
        let bytes = unsafe { std::slice::from_raw_parts(block, 3 * HUGE) };
        assert!(bytes.iter().all(|byte| *byte == 0));
        // SAFETY: the block is of this layout.
        unsafe { HugeAlloc.dealloc(block, layout) };
    }

    #[test]
    fn what_cannot_be_had_is_null() {
        let layout = Layout::from_size_align((usize::MAX >> 1) - HUGE, 64).unwrap();
        // SAFETY: the layout has a size.
        assert!(unsafe { HugeAlloc.alloc(layout) }.is_null());
    }
}
