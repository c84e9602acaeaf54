//! One block of memory for all values of a plan, lent out in disjoint pieces.

use std::ops::{Index, IndexMut, Range};

use crate::exec::instruction::MOST_RESULTS;
use crate::float::Float;

/// The memory that plans run in. Plans that share residents share an arena.
#[derive(Debug)]
pub struct Arena<T> {
    /// The arena begins where a cache line does.
    memory: Vec<T>,
    start: usize,
    size: usize,
}

/// The most places that are lent for writing at once: the results of a program, and memory to work in.
const MAX_LENT: usize = MOST_RESULTS + 1;

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

    /// Lends disjoint places for writing, and all others for reading.
    ///
    /// # Panics
    /// When places overlap.
    pub(super) fn lend<const N: usize>(&mut self, places: [Range<usize>; N]) -> (Rest<'_, T>, [&mut [T]; N]) {
        let mut order: [usize; N] = std::array::from_fn(|place| place);
        order.sort_unstable_by_key(|&place| (places[place].start, places[place].end));
        let mut lent: [&mut [T]; N] = std::array::from_fn(|_| Default::default());
        let mut parts: [(usize, &[T]); MAX_LENT + 1] = [(0, &[]); MAX_LENT + 1];
        let (mut offset, mut rest) = (0, self.elements_mut());
        for (part, &number) in parts.iter_mut().zip(&order) {
            let place = &places[number];
            let (before, from) = rest.split_at_mut(place.start - offset);
            let (taken, after) = from.split_at_mut(place.len());
            *part = (offset, before);
            lent[number] = taken;
            (offset, rest) = (place.end, after);
        }
        parts[N] = (offset, rest);
        (Rest { parts }, lent)
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
    parts: [(usize, &'a [T]); MAX_LENT + 1],
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
        let (rest, [six, two]) = arena.lend([6..8, 2..3]);
        assert_eq!((&*six, &*two), (&[6., 7.][..], &[2.][..]));
        assert_eq!(rest.get(0..2), [0., 1.]);
        assert_eq!(rest.get(3..6), [3., 4., 5.]);
        assert_eq!(rest.get(8..10), [8., 9.]);
    }

    #[test]
    #[should_panic(expected = "being written")]
    fn what_is_being_written_cannot_be_read() {
        let mut arena = Arena::<f64>::new(4);
        let (rest, _) = arena.lend([1..3, 0..0]);
        rest.get(2..4);
    }
}
