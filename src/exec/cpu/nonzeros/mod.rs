//! The elements of a matrix that are not zero, so that products can leave out the others.
//!
//! Images are mostly background, and ReLU leaves most of a hidden layer at zero; a product that meets only what
//! is not zero has a third of the work, or less. The matrix is cut into blocks of [`SIDE`] rows and columns, and
//! each lists its elements row by row, for products A B, and, where asked for, column by column, for products Aᵀ B. Blocks do
//! not depend on one another, so threads fill them side by side.
//!
//! A block of few zeros lists these too: it is full. All its lists then name the same rows of the other operand, which a
//! product loads once for several of them.

mod fill;

use std::ops::Range;

use super::pieces::Pieces;
use super::{scratch, team};
use crate::float::Float;
pub(super) use fill::SIDE;
use fill::{Ends, Filling, ListMut, NUMBERS};

/// Some elements of a row or a column of a block, and where they stand in it.
#[derive(Clone, Copy)]
pub(super) struct List<'a, T> {
    pub indices: &'a [u8],
    pub values: &'a [T],
}

/// Which products are to be made of a matrix A, and so how its elements are listed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Lists {
    /// A B alone: row by row.
    ByRow,
    /// Aᵀ B, too: also column by column, in twice the memory.
    Both,
}

/// A matrix whose elements are listed, and how: what decides how much room the lists need.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ListSize {
    /// Of the matrix.
    pub rows: usize,
    /// Of the matrix.
    pub columns: usize,
    /// How its elements are listed.
    pub lists: Lists,
}

/// What is not zero in a matrix.
pub struct Nonzeros<T> {
    size: ListSize,
    /// Block by block, row by row of blocks: room for each block's elements by row, then, if asked for, by column.
    values: Vec<T>,
    /// Beside the values: where they stand in their row or column.
    indices: Vec<u8>,
    /// Of each block.
    ends: Vec<Ends>,
}

/// What is not zero in a block.
#[derive(Clone, Copy)]
pub(super) struct Block<'a, T> {
    by_row: List<'a, T>,
    by_column: List<'a, T>,
    ends: &'a Ends,
}

impl Lists {
    /// Entries for an element.
    fn entries(self) -> usize {
        match self {
            Self::ByRow => 1,
            Self::Both => 2,
        }
    }
}

impl ListSize {
    fn blocks(self) -> usize {
        self.rows.div_ceil(SIDE) * self.columns.div_ceil(SIDE)
    }

    fn entries(self) -> usize {
        self.rows * self.columns * self.lists.entries()
    }

    /// The bytes that are set aside.
    pub fn bytes<T>(self) -> usize {
        self.entries() * (size_of::<T>() + 1) + self.blocks() * size_of::<Ends>()
    }
}

impl<T: Float> Nonzeros<T> {
    /// Those of a matrix of zeros.
    pub fn new(size: ListSize) -> Self {
        // Memory that is zero from the start costs nothing before it is written, and little of it is.
        let (values, indices) = (bytemuck::zeroed_vec(size.entries()), bytemuck::zeroed_vec(size.entries()));
        Self { size, values, indices, ends: bytemuck::zeroed_vec(size.blocks()) }
    }

    /// The bytes that it holds.
    pub fn allocated(&self) -> usize {
        size_of_val(&self.values[..]) + self.indices.len() + size_of_val(&self.ends[..])
    }

    /// The elements that [`Self::fill_beside`] takes on each thread, for the while.
    pub fn scratch(rows: usize, columns: usize) -> usize {
        dense_rows(columns).min(rows) * columns
    }

    /// (rows, columns).
    pub fn extents(&self) -> (usize, usize) {
        (self.size.rows, self.size.columns)
    }

    /// How many elements are not zero.
    ///
    /// All those of full blocks count.
    pub fn count(&self) -> usize {
        self.ends.iter().map(|ends| usize::from(ends.rows[SIDE - 1])).sum()
    }

    /// Takes up a matrix, row-major.
    ///
    /// # Panics
    /// When it has other extents.
    pub fn fill(&mut self, matrix: &[T]) {
        let ListSize { rows, columns, .. } = self.size;
        assert_eq!(matrix.len(), rows * columns, "a matrix of {rows} rows and {columns} columns");
        let across = columns.div_ceil(SIDE);
        let blocks = Blocks::of(self);
        team::for_each(rows.div_ceil(SIDE) * across, |number| {
            let (first_row, first_column) = (number / across * SIDE, number % across * SIDE);
            let row_of = |row| &matrix[(first_row + row) * columns..][..columns];
            let width = SIDE.min(columns - first_column);
            // SAFETY: each task has a block of its own, and the blocks are borrowed until all are done.
            let mut block = unsafe { blocks.block(number / across, number % across) };
            let row = |row: usize| &row_of(row)[first_column..][..width];
            block.fill(0..SIDE.min(rows - first_row), row);
            block.finish(Some(row));
        });
    }

    /// Takes up a matrix whose rows are written by `write(row, out)`, 64 rows in a task, beside some other work of this
    /// thread's team.
    pub fn fill_beside<R>(&mut self, write: impl Fn(usize, &mut [T]) + Sync, work: impl FnOnce() -> R) -> R {
        let ListSize { rows, columns, .. } = self.size;
        let blocks = Blocks::of(self);
        let count = if columns == 0 { 0 } else { rows.div_ceil(SIDE) };
        let at_once = dense_rows(columns);
        let task = |band: usize| {
            let first_row = band * SIDE;
            let count = SIDE.min(rows - first_row);
            scratch::with(at_once.min(count) * columns, |dense: &mut [T]| {
                for first in (0..count).step_by(at_once) {
                    let filled = first..count.min(first + at_once);
                    for (row, out) in filled.clone().zip(dense.chunks_exact_mut(columns)) {
                        write(first_row + row, out);
                    }
                    for number in 0..columns.div_ceil(SIDE) {
                        let first_column = number * SIDE;
                        let width = SIDE.min(columns - first_column);
                        // SAFETY: each task has a band of its own, and the blocks are borrowed until all are done.
                        let mut block = unsafe { blocks.block(band, number) };
                        let dense_row = |row| &dense[(row - first) * columns + first_column..][..width];
                        block.fill(filled.clone(), dense_row);
                        if filled.end == count {
                            block.finish((filled.start == 0).then_some(dense_row));
                        }
                    }
                }
            });
        };
        team::beside(count, &task, work)
    }

    /// The block in a band of rows and a band of columns.
    #[inline(always)]
    pub(super) fn block(&self, band: usize, column_band: usize) -> Block<'_, T> {
        let Place { number, entries, by_row, .. } = Place::of(self.size, band, column_band);
        let all = List { indices: &self.indices[entries.clone()], values: &self.values[entries] };
        let (by_row, by_column) = all.split_at(by_row);
        Block { by_row, by_column, ends: &self.ends[number] }
    }
}

/// Rows that are written out before they are listed: as many as stay in the second-level cache, a band at most. Images of
/// a million pixels would take 256 MB on each thread, were it always a band.
fn dense_rows(columns: usize) -> usize {
    const ELEMENTS: usize = 1 << 16;
    (ELEMENTS / columns.max(1)).clamp(1, SIDE)
}

/// Where a block stands.
struct Place {
    /// Its number among the blocks.
    number: usize,
    width: usize,
    entries: Range<usize>,
    /// How many of the entries are its elements by row.
    by_row: usize,
}

impl Place {
    #[inline(always)]
    fn of(ListSize { rows, columns, lists }: ListSize, band: usize, column_band: usize) -> Self {
        let (first_row, first_column) = (band * SIDE, column_band * SIDE);
        let (height, width) = (SIDE.min(rows - first_row), SIDE.min(columns - first_column));
        let start = (first_row * columns + height * first_column) * lists.entries();
        let by_row = height * width;
        let number = band * columns.div_ceil(SIDE) + column_band;
        Self { number, width, entries: start..start + by_row * lists.entries(), by_row }
    }
}

/// The blocks of a matrix, of which several threads fill different ones.
struct Blocks<T> {
    size: ListSize,
    values: Pieces<T>,
    indices: Pieces<u8>,
    ends: Pieces<Ends>,
}

impl<T: Float> Blocks<T> {
    fn of(matrix: &mut Nonzeros<T>) -> Self {
        let Nonzeros { size, values, indices, ends } = matrix;
        let (values, indices) = (Pieces::of(values, 1), Pieces::of(indices, 1));
        Self { size: *size, values, indices, ends: Pieces::of(ends, 1) }
    }

    /// # Safety
    /// The matrix is still borrowed, and nobody else has this block.
    unsafe fn block(&self, band: usize, column_band: usize) -> Filling<'_, T> {
        let Place { number, width, entries, by_row } = Place::of(self.size, band, column_band);
        // SAFETY: the caller has the block to itself, and no two blocks share entries or ends.
        let (values, indices, ends) = unsafe {
            (
                self.values.part(entries.clone()),
                self.indices.part(entries),
                self.ends.part(number..number + 1),
            )
        };
        let (by_row, by_column) = ListMut { indices, values }.split_at(by_row);
        Filling { width, by_row, by_column, ends: &mut ends[0] }
    }
}

impl<'a, T: Copy> List<'a, T> {
    #[inline(always)]
    fn part(self, part: Range<usize>) -> Self {
        Self { indices: &self.indices[part.clone()], values: &self.values[part] }
    }

    #[inline(always)]
    fn split_at(self, position: usize) -> (Self, Self) {
        (self.part(0..position), self.part(position..self.values.len()))
    }
}

impl<'a, T: Float> Block<'a, T> {
    /// Whether its lists hold zeros too, and so name all rows of the other operand.
    #[inline(always)]
    pub fn is_full(self) -> bool {
        self.ends.is_full
    }

    /// The elements of a full block's rows, one row after another, and how many a row has.
    #[inline(always)]
    pub fn all_rows(self) -> (&'a [T], usize) {
        let [row, .., all] = self.ends.rows;
        (&self.by_row.values[..usize::from(all)], usize::from(row))
    }

    /// The elements of each row, by column.
    #[inline(always)]
    pub fn rows(self) -> impl Iterator<Item = List<'a, T>> {
        let is_full = self.is_full();
        stretches(self.by_row, &self.ends.rows).map(move |list| match is_full {
            true => List { indices: &NUMBERS[..list.values.len()], ..list },
            false => list,
        })
    }

    /// The elements of each column, by row: not of a full block, nor of a matrix that is listed [by row](Lists::ByRow) alone.
    #[inline(always)]
    pub fn columns(self) -> impl Iterator<Item = List<'a, T>> {
        stretches(self.by_column, &self.ends.columns)
    }
}

#[inline(always)]
fn stretches<'a, T: Copy>(list: List<'a, T>, ends: &'a [u16]) -> impl Iterator<Item = List<'a, T>> {
    let mut start = 0;
    ends.iter().map(move |&end| {
        let stretch = list.part(start..usize::from(end));
        start = usize::from(end);
        stretch
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Zeros of both signs, and NaN among the others.
    fn matrix(rows: usize, columns: usize) -> Vec<f32> {
        let value = |i: usize| match i * 7919 % 11 {
            0..5 => 0.0,
            5 => -0.0,
            6 => f32::NAN,
            other => other as f32 - i as f32,
        };
        (0..rows * columns).map(value).collect()
    }

    /// The matrix again, NaN as 0.5, from the lists by row and from those by column.
    fn back(nonzeros: &Nonzeros<f32>) -> [Vec<f32>; 2] {
        let (rows, columns) = nonzeros.extents();
        let mut found = [vec![0.0; rows * columns], vec![0.0; rows * columns]];
        for (band, across) in
            (0..rows.div_ceil(SIDE)).flat_map(|r| (0..columns.div_ceil(SIDE)).map(move |c| (r, c)))
        {
            let block = nonzeros.block(band, across);
            let mut put = |of: usize, row: usize, column: usize, value: f32| {
                let place = (band * SIDE + row) * columns + across * SIDE + column;
                found[of][place] = if value.is_nan() { 0.5 } else { value };
            };
            for (row, List { indices, values }) in block.rows().enumerate() {
                assert!(indices.is_sorted_by(|a, b| a < b));
                indices.iter().zip(values).for_each(|(&column, &value)| put(0, row, column.into(), value));
            }
            if block.is_full() {
                for (row, List { indices, values }) in block.rows().enumerate() {
                    indices
                        .iter()
                        .zip(values)
                        .for_each(|(&column, &value)| put(1, row, column.into(), value));
                }
                continue;
            }
            for (column, List { indices, values }) in block.columns().enumerate() {
                assert!(indices.is_sorted_by(|a, b| a < b));
                indices.iter().zip(values).for_each(|(&row, &value)| put(1, row.into(), column, value));
            }
        }
        found
    }

    #[test]
    fn rows_and_columns_hold_what_is_not_zero_and_nothing_else() {
        for (rows, columns) in [(1, 1), (3, 64), (64, 65), (65, 130), (200, 7), (0, 5), (5, 0)] {
            let matrix = matrix(rows, columns);
            let expected: Vec<f32> = matrix.iter().map(|&x| if x.is_nan() { 0.5 } else { x }).collect();
            let mut nonzeros = Nonzeros::new(ListSize { rows, columns, lists: Lists::Both });
            nonzeros.fill(&vec![1.0; rows * columns]); // whatever stood there before
            nonzeros.fill(&matrix);
            assert_eq!(back(&nonzeros), [expected.clone(), expected.clone()], "{rows} x {columns}");
            nonzeros.fill(&vec![1.0; rows * columns]);
            nonzeros.fill_beside(|row, out| out.copy_from_slice(&matrix[row * columns..][..columns]), || ());
            assert_eq!(back(&nonzeros), [expected.clone(), expected], "{rows} x {columns}");
        }
    }

    #[test]
    fn blocks_of_few_zeros_are_full_of_their_elements_where_they_stand() {
        let mut nonzeros = Nonzeros::new(ListSize { rows: 70, columns: 100, lists: Lists::Both });
        let matrix: Vec<f32> = (0..7000).map(|i| if i % 3 == 0 { 0.0 } else { i as f32 }).collect();
        nonzeros.fill(&matrix);
        assert!(nonzeros.block(0, 0).is_full() && nonzeros.block(1, 1).is_full());
        assert_eq!(back(&nonzeros), [matrix.clone(), matrix]);
        assert_eq!(nonzeros.count(), 7000);
    }
}
