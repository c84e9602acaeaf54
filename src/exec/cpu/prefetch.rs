//! Memory that is asked for before it is needed.
//!
//! Processors see by themselves where a stream of reads goes on, but not where the next one begins: at a batch's next image,
//! say.

/// Bytes of a cache line.
const LINE: usize = 64;

/// Asks for `count` elements from an address on to be brought into the second-level cache. Costs an instruction a line, and changes
/// nothing: the address may be any, and whoever owns the memory may write it meanwhile.
#[inline(always)]
pub(super) fn prefetch<T>(first: *const T, count: usize) {
    #[cfg(target_arch = "x86_64")]
    for offset in (0..count * size_of::<T>()).step_by(LINE) {
        use std::arch::x86_64::{_MM_HINT_T1, _mm_prefetch};
        // SAFETY: a prefetch reads nothing that the program sees, and never faults.
        unsafe { _mm_prefetch::<_MM_HINT_T1>(first.cast::<i8>().wrapping_add(offset)) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (first, count, LINE);
}
