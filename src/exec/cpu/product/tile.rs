//! What a product is of, and the tiles of what it makes.

use std::marker::PhantomData;
use std::ops::Range;

use crate::exec::cpu::nonzeros::Nonzeros;
use crate::exec::instruction::MOST_RESULTS;
use crate::float::Float;
use crate::ops::{MatMul, Tensor};

/// A product to be computed.
pub(in crate::exec::cpu) struct Product<'a, T> {
    pub matmul: MatMul,
    pub a: First<'a, T>,
    pub b: Tensor<'a, T>,
    /// What each row's sums start from.
    pub start: Option<&'a [T]>,
}

/// The first operand.
pub(in crate::exec::cpu) enum First<'a, T> {
    Dense(Tensor<'a, T>),
    Nonzeros(&'a Nonzeros<T>),
}

/// Where C goes, tile by tile.
#[derive(Clone, Copy)]
pub(in crate::exec::cpu) enum Target<'a, Memory, T> {
    /// Into memory of its size, when the epilogue has changed it in place.
    Memory(Memory, &'a Change<'a, T>),
    /// Nowhere: the epilogue reads it, and changes the same tiles of other matrices of its size.
    Others([Option<Memory>; MOST_RESULTS], &'a Consume<'a, T>),
}

/// Changes a tile in place.
pub(in crate::exec::cpu) type Change<'a, T> = dyn Fn(&mut Tile<'_, T>) + Sync + 'a;

/// Reads a tile and changes the same tiles of other matrices.
pub(in crate::exec::cpu) type Consume<'a, T> =
    dyn Fn(Tile<'_, T>, [Option<Tile<'_, T>>; MOST_RESULTS]) + Sync + 'a;

/// A rectangle of C that one thread owns.
pub(in crate::exec::cpu) struct Tile<'a, T> {
    /// The element in the first row and column.
    pub(super) first: *mut T,
    /// From row to row.
    pub(super) stride: usize,
    rows: Range<usize>,
    columns: Range<usize>,
    owner: PhantomData<&'a mut [T]>,
}

impl<'a, T> Tile<'a, T> {
    /// The rectangle that stands in memory row by row, `stride` elements apart.
    pub(super) fn new(memory: &'a mut [T], stride: usize, rows: Range<usize>, columns: Range<usize>) -> Self {
        assert!(memory.len() >= rows.len() * stride && stride >= columns.len());
        Self { first: memory.as_mut_ptr(), stride, rows, columns, owner: PhantomData }
    }

    pub fn rows(&self) -> Range<usize> {
        self.rows.clone()
    }

    pub fn columns(&self) -> Range<usize> {
        self.columns.clone()
    }

    /// The tile's part of a row of C.
    pub fn row_mut(&mut self, row: usize) -> &mut [T] {
        assert!(self.rows.contains(&row), "row {row} of a tile of rows {:?}", self.rows);
        // SAFETY: the row and the columns are the tile's own: inside the memory that was borrowed for as
        // long as the tile lives, and no other tile has them.
        unsafe {
            let start = self.first.add((row - self.rows.start) * self.stride);
            std::slice::from_raw_parts_mut(start, self.columns.len())
        }
    }

    /// All rows, one after another.
    pub fn into_rows(self) -> impl Iterator<Item = &'a mut [T]> {
        let Self { first, stride, rows, columns, .. } = self;
        // SAFETY: as in `row_mut`; the tile is gone, and each of its rows is given out once.
        (0..rows.len())
            .map(move |row| unsafe { std::slice::from_raw_parts_mut(first.add(row * stride), columns.len()) })
    }
}

/// Memory of C's size, of which several threads take disjoint tiles.
pub(super) struct Matrix<'a, T> {
    memory: *mut T,
    length: usize,
    owner: PhantomData<&'a mut [T]>,
}

// SAFETY: threads take disjoint tiles of it only: that is what `Matrix::tile` asks of its callers.
unsafe impl<T: Send> Sync for Matrix<'_, T> {}

impl<'a, T> Matrix<'a, T> {
    pub(super) fn new(memory: &'a mut [T]) -> Self {
        Self { memory: memory.as_mut_ptr(), length: memory.len(), owner: PhantomData }
    }

    /// A tile of the matrix, whose rows are of `n` elements.
    ///
    /// # Safety
    /// No two tiles that live at the same time may overlap.
    pub(super) unsafe fn tile(&self, n: usize, rows: Range<usize>, columns: Range<usize>) -> Tile<'_, T> {
        assert!(rows.end * n <= self.length && columns.end <= n && rows.start <= rows.end);
        // SAFETY: the element is within the memory, as was just checked; or the tile is empty.
        let first = unsafe { self.memory.add((rows.start * n + columns.start).min(self.length)) };
        Tile { first, stride: n, rows, columns, owner: PhantomData }
    }
}

impl<T: Float> Target<'_, Matrix<'_, T>, T> {
    /// Finishes a tile that stands in memory of its own, and puts it away.
    ///
    /// # Safety
    /// As of [`Matrix::tile`].
    pub(super) unsafe fn put(&self, n: usize, mut tile: Tile<'_, T>) {
        let (rows, columns) = (tile.rows(), tile.columns());
        // SAFETY: the caller's tiles do not overlap, so neither do these.
        let part = unsafe { |matrix| Matrix::tile(matrix, n, rows.clone(), columns.clone()) };
        match self {
            Self::Memory(matrix, epilogue) => {
                epilogue(&mut tile);
                for (out, row) in part(matrix).into_rows().zip(tile.into_rows()) {
                    out.copy_from_slice(row);
                }
            }
            Self::Others(others, epilogue) => {
                epilogue(tile, others.each_ref().map(|other| other.as_ref().map(part)));
            }
        }
    }
}
