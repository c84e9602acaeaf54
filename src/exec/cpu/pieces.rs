//! Memory in pieces, each of which one task of a team takes.

use std::ops::Range;

use super::team::{beside, for_each};

/// As [`beside`], for pieces of `size` elements, the last perhaps smaller: each gets its number and itself.
pub(super) fn pieces_beside<T: Send, R>(
    data: &mut [T],
    size: usize,
    task: impl Fn(usize, &mut [T]) + Sync,
    work: impl FnOnce() -> R,
) -> R {
    let pieces = Pieces::of(data, size);
    // SAFETY: each task has a piece of its own, and the slice is borrowed until all are done.
    beside(pieces.count(), &|number| task(number, unsafe { pieces.piece(number) }), work)
}

/// As [`for_each`], for pieces of `size` elements, the last perhaps smaller: each gets its number and itself.
pub(super) fn for_each_piece<T: Send>(data: &mut [T], size: usize, task: impl Fn(usize, &mut [T]) + Sync) {
    for_each_piece_of([data], size, |number, [piece]| task(number, piece));
}

/// As [`for_each_piece`], for the pieces of several slices side by side, as many as the first has; those of shorter slices
/// are smaller, or empty.
pub(super) fn for_each_piece_of<T: Send, const N: usize>(
    data: [&mut [T]; N],
    size: usize,
    task: impl Fn(usize, [&mut [T]; N]) + Sync,
) {
    let pieces = data.map(|data| Pieces::of(data, size));
    for_each(pieces.first().map_or(0, Pieces::count), |number| {
        // SAFETY: each task has a number, and so pieces, of its own; the slices are borrowed until all are done.
        task(number, pieces.each_ref().map(|pieces| unsafe { pieces.piece(number) }));
    });
}

/// As [`for_each_piece`], for the pieces of two slices side by side; those of the second end where it does.
pub(super) fn for_each_pair<A: Send, B: Send>(
    first: &mut [A],
    size: usize,
    second: &mut [B],
    second_size: usize,
    task: impl Fn(usize, &mut [A], &mut [B]) + Sync,
) {
    let (first, second) = (Pieces::of(first, size), Pieces::of(second, second_size));
    for_each(first.count(), |number| {
        // SAFETY: every number comes once, so no two pieces overlap.
        let (first, second) = unsafe { (first.piece(number), second.piece(number)) };
        task(number, first, second);
    });
}

/// A slice in pieces, of which several threads take different ones.
pub(super) struct Pieces<T> {
    data: *mut T,
    length: usize,
    size: usize,
}

// SAFETY: threads take disjoint pieces of it: that is what `piece` asks of its callers.
unsafe impl<T: Send> Sync for Pieces<T> {}

impl<T> Pieces<T> {
    pub fn of(data: &mut [T], size: usize) -> Self {
        Self { data: data.as_mut_ptr(), length: data.len(), size }
    }

    fn count(&self) -> usize {
        self.length.div_ceil(self.size.max(1))
    }

    /// # Safety
    /// The slice is still borrowed, and nobody else has this piece.
    #[expect(clippy::mut_from_ref, reason = "see the safety section")]
    pub unsafe fn piece(&self, number: usize) -> &mut [T] {
        let start = (number * self.size).min(self.length);
        let end = (start + self.size).min(self.length);
        // SAFETY: as the caller says.
        unsafe { self.part(start..end) }
    }

    /// Any part of the slice.
    ///
    /// # Safety
    /// The slice is still borrowed, and nobody else has any of this part.
    ///
    /// # Panics
    /// When the part reaches beyond the slice.
    #[expect(clippy::mut_from_ref, reason = "see the safety section")]
    pub unsafe fn part(&self, part: Range<usize>) -> &mut [T] {
        assert!(part.start <= part.end && part.end <= self.length, "elements {part:?} of {}", self.length);
        // SAFETY: within the slice.
        unsafe { std::slice::from_raw_parts_mut(self.data.add(part.start), part.len()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_cover_the_slices_side_by_side() {
        let (mut a, mut b) = (vec![0; 10], vec![0; 4]);
        for_each_pair(&mut a, 3, &mut b, 1, |number, a, b| {
            a.fill(number + 1);
            b.fill(a.len());
        });
        assert_eq!((a, b), (vec![1, 1, 1, 2, 2, 2, 3, 3, 3, 4], vec![3, 3, 3, 1]));
        for_each_piece(&mut [0; 0], 4, |_, _| panic!("there is no piece"));
    }
}
