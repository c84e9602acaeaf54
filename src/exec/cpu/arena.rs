//! One block of memory for all values of a plan, lent out in disjoint pieces.

use std::ops::{Index, IndexMut, Range};

use crate::float::Float;

/// The memory that plans run in. Plans that share residents share an arena.
#[derive(Debug)]
pub struct Arena<T> {
    /// The arena begins where a cache line does.
    memory: Vec<T>,
    start: usize,
    size: usize,
}

/// Bytes of a cache line.
const LINE: usize = 64;

impl<T: Float> Arena<T> {
    /// An arena of so many elements, all NaN: what is read before it is written shows.
    pub fn new(size: usize) -> Self {
        let line = LINE / size_of::<T>();
        let memory = vec![T::nan(); size + line];
        let start = memory.as_ptr().align_offset(LINE).min(line);
        Self { memory, start, size }
    }

    /// The number of elements.
    pub fn len(&self) -> usize {
        self.size
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.size == 0
    }

    /// Lends one place for writing, and all others for reading.
    pub(super) fn split(&mut self, place: Range<usize>) -> (Rest<'_, T>, &mut [T]) {
        let (rest, output, _) = self.split_two(place.clone(), place.end..place.end);
        (rest, output)
    }

    /// Lends two disjoint places for writing, and all others for reading.
    pub(super) fn split_two(
        &mut self,
        first: Range<usize>,
        second: Range<usize>,
    ) -> (Rest<'_, T>, &mut [T], &mut [T]) {
        let swapped = second.start < first.start;
        let (low, high) = if swapped { (second, first) } else { (first, second) };
        let (before, rest) = self.elements_mut().split_at_mut(low.start);
        let (low_place, rest) = rest.split_at_mut(low.len());
        let (between, rest) = rest.split_at_mut(high.start - low.end);
        let (high_place, after) = rest.split_at_mut(high.len());
        let rest = Rest { parts: [(0, before), (low.end, between), (high.end, after)] };
        if swapped { (rest, high_place, low_place) } else { (rest, low_place, high_place) }
    }

    /// The elements below and above a boundary, both for writing: say parameters and gradients.
    pub fn split_at_mut(&mut self, boundary: usize) -> (&mut [T], &mut [T]) {
        self.elements_mut().split_at_mut(boundary)
    }
}

impl<T> Arena<T> {
    fn elements(&self) -> &[T] {
        &self.memory[self.start..self.start + self.size]
    }

    fn elements_mut(&mut self) -> &mut [T] {
        &mut self.memory[self.start..self.start + self.size]
    }
}

impl<T> Index<Range<usize>> for Arena<T> {
    type Output = [T];
    fn index(&self, place: Range<usize>) -> &[T] {
        &self.elements()[place]
    }
}

impl<T> IndexMut<Range<usize>> for Arena<T> {
    fn index_mut(&mut self, place: Range<usize>) -> &mut [T] {
        &mut self.elements_mut()[place]
    }
}

/// What is left for reading while places are lent for writing: each part with its offset.
pub(super) struct Rest<'a, T> {
    parts: [(usize, &'a [T]); 3],
}

impl<'a, T> Rest<'a, T> {
    /// # Panics
    /// When the place is lent for writing: an instruction would read what it writes.
    pub fn get(&self, place: Range<usize>) -> &'a [T] {
        for (offset, part) in self.parts {
            if place.start >= offset && place.end <= offset + part.len() {
                return &part[place.start - offset..place.end - offset];
            }
        }
        panic!("elements {place:?} are being written")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_lent_for_writing_and_the_rest_for_reading() {
        let mut arena = Arena::<f64>::new(10);
        arena[0..10].copy_from_slice(&[0., 1., 2., 3., 4., 5., 6., 7., 8., 9.]);
        let (rest, six, two) = arena.split_two(6..8, 2..3);
        assert_eq!((&*six, &*two), (&[6., 7.][..], &[2.][..]));
        assert_eq!(rest.get(0..2), [0., 1.]);
        assert_eq!(rest.get(3..6), [3., 4., 5.]);
        assert_eq!(rest.get(8..10), [8., 9.]);
    }

    #[test]
    #[should_panic(expected = "being written")]
    fn what_is_being_written_cannot_be_read() {
        let mut arena = Arena::<f64>::new(4);
        let (rest, _) = arena.split(1..3);
        rest.get(2..4);
    }
}
