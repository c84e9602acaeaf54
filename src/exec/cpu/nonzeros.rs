//! The elements of a matrix that are not zero, so that products can leave out the others.
//!
//! Images are mostly background, and ReLU leaves most of a hidden layer at zero; a product that meets only what
//! is not zero has a third of the work, or less. The matrix is cut into blocks of [`SIDE`] rows and columns, and
//! each lists its elements twice: row by row, for products A B, and column by column, for products Aᵀ B. Blocks do
//! not depend on one another, so threads fill them side by side.

use super::team::{Pieces, for_each_piece};
use super::{scratch, team, vectorized};
use crate::float::Float;

/// Rows and columns of a block: so many rows of the other operand, of a panel's width, fit the first-level cache.
pub(super) const SIDE: usize = 64;

/// An element and where it stands in its row or column of a block.
#[derive(Clone, Copy)]
pub(super) struct Entry<T> {
    pub index: u32,
    pub value: T,
}

/// What is not zero in a block.
pub(super) struct Block<T> {
    by_row: [Entry<T>; SIDE * SIDE],
    by_column: [Entry<T>; SIDE * SIDE],
    /// Where each row's elements end, and each column's.
    row_ends: [u16; SIDE],
    column_ends: [u16; SIDE],
}

// SAFETY: all fields are numbers, for which zero bytes are a value.
unsafe impl<T: Float> bytemuck::Zeroable for Block<T> {}

/// What is not zero in a matrix.
pub struct Nonzeros<T> {
    rows: usize,
    columns: usize,
    /// Row by row of blocks.
    blocks: Vec<Block<T>>,
}

impl<T: Float> Nonzeros<T> {
    /// Those of a matrix of zeros (rows, columns).
    pub fn new(rows: usize, columns: usize) -> Self {
        let count = rows.div_ceil(SIDE) * columns.div_ceil(SIDE);
        // Memory that is zero from the start costs nothing before it is written, and little of it is.
        Self { rows, columns, blocks: bytemuck::zeroed_vec(count) }
    }

    /// (rows, columns).
    pub fn extents(&self) -> (usize, usize) {
        (self.rows, self.columns)
    }

    /// The bytes that are set aside for it.
    pub fn bytes(&self) -> usize {
        size_of_val(&self.blocks[..])
    }

    /// How many elements are not zero.
    pub fn count(&self) -> usize {
        self.blocks.iter().map(|block| usize::from(block.row_ends[SIDE - 1])).sum()
    }

    /// Takes up a matrix, row-major.
    ///
    /// # Panics
    /// When it has other extents.
    pub fn fill(&mut self, matrix: &[T]) {
        let Self { rows, columns, .. } = *self;
        assert_eq!(matrix.len(), rows * columns, "a matrix of {rows} rows and {columns} columns");
        let across = columns.div_ceil(SIDE);
        for_each_piece(&mut self.blocks, 1, |number, block| {
            let (first_row, first_column) = (number / across * SIDE, number % across * SIDE);
            let row_of = |row| &matrix[(first_row + row) * columns..][..columns];
            let width = SIDE.min(columns - first_column);
            block[0].fill(SIDE.min(rows - first_row), |row| &row_of(row)[first_column..][..width]);
        });
    }

    /// Takes up a matrix whose rows are written by `write(row, out)`, 64 rows in a task.
    pub fn fill_by_rows(&mut self, write: impl Fn(usize, &mut [T]) + Sync) {
        self.by_bands(write, |count, task| team::for_each(count, task));
    }

    /// As [`Self::fill_by_rows`], beside some other work of this thread's team.
    pub fn fill_beside<R>(&mut self, write: impl Fn(usize, &mut [T]) + Sync, work: impl FnOnce() -> R) -> R {
        self.by_bands(write, |count, task| team::beside(count, task, work))
    }

    /// `carry_out` is told how many tasks there are, and how each is done.
    fn by_bands<R>(
        &mut self,
        write: impl Fn(usize, &mut [T]) + Sync,
        carry_out: impl FnOnce(usize, &(dyn Fn(usize) + Sync)) -> R,
    ) -> R {
        let Self { rows, columns, .. } = *self;
        let bands = Pieces::of(&mut self.blocks, columns.div_ceil(SIDE));
        let count = if columns == 0 { 0 } else { rows.div_ceil(SIDE) };
        carry_out(count, &|band| {
            let first_row = band * SIDE;
            let count = SIDE.min(rows - first_row);
            // SAFETY: each task is done once, and the blocks are borrowed until all are.
            let blocks = unsafe { bands.piece(band) };
            scratch::with(count * columns, |dense: &mut [T]| {
                for (row, out) in dense.chunks_exact_mut(columns).enumerate() {
                    write(first_row + row, out);
                }
                for (number, block) in blocks.iter_mut().enumerate() {
                    let first_column = number * SIDE;
                    let width = SIDE.min(columns - first_column);
                    block.fill(count, |row| &dense[row * columns + first_column..][..width]);
                }
            });
        })
    }

    /// The block in a band of rows and a band of columns.
    #[inline(always)]
    pub(super) fn block(&self, band: usize, column_band: usize) -> &Block<T> {
        &self.blocks[band * self.columns.div_ceil(SIDE) + column_band]
    }
}

impl<T: Float> Block<T> {
    /// Takes up so many rows of at most [`SIDE`] elements.
    fn fill<'a>(&mut self, rows: usize, row: impl Fn(usize) -> &'a [T]) {
        vectorized(
            #[inline(always)]
            || self.fill_rows(rows, row),
        );
        self.fill_columns();
    }

    #[inline(always)]
    fn fill_rows<'a>(&mut self, rows: usize, row: impl Fn(usize) -> &'a [T]) {
        let (mut end, mut counts) = (0, [0; SIDE]);
        for number in 0..rows {
            let values = row(number);
            let mut left = bits_of_nonzeros(values);
            while left != 0 {
                let column = left.trailing_zeros() as usize;
                self.by_row[end] = Entry { index: column as u32, value: values[column] };
                counts[column] += 1;
                end += 1;
                left &= left - 1;
            }
            self.row_ends[number] = end as u16;
        }
        self.row_ends[rows..].fill(end as u16);
        let mut sum = 0;
        for (end, count) in self.column_ends.iter_mut().zip(counts) {
            sum += count;
            *end = sum;
        }
    }

    fn fill_columns(&mut self) {
        let mut next = [0; SIDE];
        next[1..].copy_from_slice(&self.column_ends[..SIDE - 1]);
        let mut start = 0;
        for (row, &end) in self.row_ends.iter().enumerate() {
            for entry in &self.by_row[start..usize::from(end)] {
                let place = &mut next[entry.index as usize % SIDE];
                self.by_column[usize::from(*place)] = Entry { index: row as u32, value: entry.value };
                *place += 1;
            }
            start = usize::from(end);
        }
    }

    /// The elements of each row, by column.
    #[inline(always)]
    pub fn rows(&self) -> impl Iterator<Item = &[Entry<T>]> {
        stretches(&self.by_row, &self.row_ends)
    }

    /// The elements of each column, by row.
    #[inline(always)]
    pub fn columns(&self) -> impl Iterator<Item = &[Entry<T>]> {
        stretches(&self.by_column, &self.column_ends)
    }
}

#[inline(always)]
fn stretches<'a, T>(entries: &'a [Entry<T>], ends: &'a [u16]) -> impl Iterator<Item = &'a [Entry<T>]> {
    let mut start = 0;
    ends.iter().map(move |&end| {
        let stretch = &entries[start..usize::from(end)];
        start = usize::from(end);
        stretch
    })
}

/// Bit i says whether element i is other than zero: NaN is.
#[inline(always)]
fn bits_of_nonzeros<T: Float>(values: &[T]) -> u64 {
    let mut flags = [0_u8; SIDE];
    for (flag, &value) in flags.iter_mut().zip(values) {
        *flag = u8::from(value != T::zero());
    }
    // Eight flags at a time: the product brings flag i to bit 56 + i, and no two terms meet in a bit.
    let words = flags.as_chunks::<8>().0;
    words
        .iter()
        .rev()
        .fold(0, |bits, &word| bits << 8 | u64::from_le_bytes(word).wrapping_mul(0x0102_0408_1020_4080) >> 56)
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
            for (row, entries) in block.rows().enumerate() {
                assert!(entries.is_sorted_by(|a, b| a.index < b.index));
                entries.iter().for_each(|entry| put(0, row, entry.index as usize, entry.value));
            }
            for (column, entries) in block.columns().enumerate() {
                assert!(entries.is_sorted_by(|a, b| a.index < b.index));
                entries.iter().for_each(|entry| put(1, entry.index as usize, column, entry.value));
            }
        }
        found
    }

    #[test]
    fn rows_and_columns_hold_what_is_not_zero_and_nothing_else() {
        for (rows, columns) in [(1, 1), (3, 64), (64, 65), (65, 130), (200, 7), (0, 5), (5, 0)] {
            let matrix = matrix(rows, columns);
            let expected: Vec<f32> = matrix.iter().map(|&x| if x.is_nan() { 0.5 } else { x }).collect();
            let mut nonzeros = Nonzeros::new(rows, columns);
            nonzeros.fill(&vec![1.0; rows * columns]); // whatever stood there before
            nonzeros.fill(&matrix);
            assert_eq!(back(&nonzeros), [expected.clone(), expected.clone()], "{rows} x {columns}");
            nonzeros.fill(&vec![1.0; rows * columns]);
            nonzeros.fill_by_rows(|row, out| out.copy_from_slice(&matrix[row * columns..][..columns]));
            assert_eq!(back(&nonzeros), [expected.clone(), expected], "{rows} x {columns}");
        }
    }

    #[test]
    fn every_bit_is_its_elements() {
        for i in 0..SIDE {
            let mut values = [0.0; SIDE];
            values[i] = -1.0;
            assert_eq!(bits_of_nonzeros(&values), 1 << i);
            assert_eq!(bits_of_nonzeros(&values[..i]), 0);
        }
        assert_eq!(bits_of_nonzeros(&[1.0; SIDE]), u64::MAX);
    }
}
