//! Memory for a moment: each thread keeps one piece, which begins where a cache line does and grows to what was
//! asked for most.

use std::cell::RefCell;

use bytemuck::{Pod, Zeroable};

#[derive(Clone, Copy, Zeroable, Pod)]
#[repr(C, align(64))]
struct Line([u8; 64]);

/// Lends so many numbers to `work`. What stands in them is whatever the last work left.
pub(super) fn with<T: Pod, R>(count: usize, work: impl FnOnce(&mut [T]) -> R) -> R {
    thread_local! {
        static MEMORY: RefCell<Vec<Line>> = const { RefCell::new(Vec::new()) };
    }
    // Taken out meanwhile, so that work within the work gets memory of its own.
    let mut memory = MEMORY.take();
    let lines = (count * size_of::<T>()).div_ceil(size_of::<Line>());
    if memory.len() < lines {
        memory.resize(lines, Line::zeroed());
    }
    let result = work(&mut bytemuck::cast_slice_mut(&mut memory[..lines])[..count]);
    MEMORY.set(memory);
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_within_work_has_memory_of_its_own() {
        with(5, |outer: &mut [f64]| {
            outer.fill(1.0);
            with(100, |inner: &mut [f32]| inner.fill(2.0));
            assert_eq!(outer, [1.0; 5]);
            assert_eq!(outer.as_ptr().align_offset(64), 0);
        });
    }
}
