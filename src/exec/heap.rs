//! One heap for all threads, which gives back what is freed; and whether the system has more.
//!
//! glibc reserves 64 MB of addresses for each thread that asks for memory, whatever it takes of them. Under a limit on a
//! process's memory (`ulimit -v`) that leaves a run without memory that nothing uses, and whether a thread still gets such a
//! heap depends on the order in which threads start: the same run works under one limit and aborts under a larger one. It
//! also raises the size from which memory goes straight back to the system each time that a large piece is freed, so that
//! what a second run may take depends on the first. With both settled, what is asked for before a run is what the run gets.
//!
//! Costs no speed: steps take no memory at all (`tests/allocations.rs`), and what takes some beside them is few threads.

use std::hint::black_box;

/// From so many bytes on memory comes straight from the system, and goes straight back: glibc's own first value.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const LARGE: i32 = 128 << 10;

/// Makes all threads share one heap, and what is large go back to the system when it is freed. Does nothing where the
/// C library is not glibc. Called before the first thread starts, as a heap that is there stays.
pub fn share_one() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        // Of glibc's malloc.h.
        const M_MMAP_THRESHOLD: i32 = -3;
        const M_ARENA_MAX: i32 = -8;
        unsafe extern "C" {
            fn mallopt(parameter: i32, value: i32) -> i32;
        }
        // SAFETY: mallopt is part of every glibc, takes two ints, and only sets numbers that later requests are answered by.
        // A value that it does not take leaves all as it was, which is no error here.
        unsafe {
            mallopt(M_ARENA_MAX, 1);
            mallopt(M_MMAP_THRESHOLD, LARGE);
        }
    }
}

/// Whether the system gives so many bytes at once. They are asked for and given back, which uses nothing up.
pub fn has(bytes: usize) -> bool {
    let mut asked = Vec::<u8>::new();
    let given = asked.try_reserve_exact(bytes).is_ok();
    drop(black_box(asked)); // memory that nobody uses is not asked for, unless the compiler cannot tell
    given
}

#[cfg(test)]
mod tests {
    #[test]
    fn there_is_a_megabyte_and_no_exabyte() {
        assert!(super::has(1 << 20));
        assert!(!super::has(1 << 60) && !super::has(usize::MAX));
    }
}
