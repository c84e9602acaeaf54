//! What a product is of, and the tiles of what it makes.

use std::marker::PhantomData;
use std::ops::Range;

use crate::exec::cpu::nonzeros::Nonzeros;
use crate::exec::cpu::panels::Layout;
use crate::exec::instruction::MOST_RESULTS;
use crate::float::Float;
use crate::ops::{Extents, MatMul, Tensor};

/// A product to be computed.
pub(in crate::exec::cpu) struct Product<'a, T> {
    pub matmul: MatMul,
    pub a: First<'a, T>,
    pub b: Second<'a, T>,
    /// What each row's sums start from.
    pub start: Option<&'a [T]>,
    /// Where elements of C are needed alone, where these are: then A is dense, and sums start from zero.
    pub only: Option<&'a Nonzeros<T>>,
}

/// The first operand.
pub(in crate::exec::cpu) enum First<'a, T> {
    Dense(Tensor<'a, T>),
    Nonzeros(&'a Nonzeros<T>),
}

/// The second operand.
#[derive(Clone, Copy)]
pub(in crate::exec::cpu) struct Second<'a, T> {
    pub data: &'a [T],
    /// Of the matrix as it lies in memory.
    pub layout: Layout,
    /// Whether it is the transpose of what lies in memory.
    pub transposed: bool,
}

impl<T: Float> Product<'_, T> {
    /// # Panics
    /// When the operands do not fit.
    pub(super) fn extents(&self) -> Extents {
        let Self { matmul, a, b, .. } = self;
        let (rows, columns) = match a {
            First::Dense(a) => a.shape.rows_and_columns(),
            First::Nonzeros(a) => a.extents(),
        };
        let (m, k) = if matmul.transpose_a { (columns, rows) } else { (rows, columns) };
        let Layout { rows, columns, .. } = b.layout;
        let (summands, n) = if b.transposed { (columns, rows) } else { (rows, columns) };
        assert!(summands == k && b.data.len() == k * n, "operands of ({m}, {k}) and ({summands}, {n})");
        Extents { m, n, k }
    }

    /// Whether panels of the second operand are copied, or rows read from far apart, and not only perhaps the last.
    pub(super) fn copies(&self) -> bool {
        self.b.transposed || !self.b.layout.in_panels
    }
}

/// Where C goes, tile by tile: `finish` reads a tile and writes the same tile of matrices of C's size, which may lie in
/// panels.
#[derive(Clone, Copy)]
pub(in crate::exec::cpu) struct Target<'a, Memory, T> {
    pub matrices: [Option<Memory>; MOST_RESULTS],
    pub in_panels: bool,
    pub finish: &'a Finish<'a, T>,
}

/// Reads a tile of C and writes the same tiles of other matrices.
pub(in crate::exec::cpu) type Finish<'a, T> = dyn Fn(Tile<'_, T>, Tiles<'_, T>) + Sync + 'a;

/// The same tile of several matrices.
pub(in crate::exec::cpu) type Tiles<'a, T> = [Option<Tile<'a, T>>; MOST_RESULTS];

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
    layout: Layout,
    owner: PhantomData<&'a mut [T]>,
}

// SAFETY: threads take disjoint tiles of it only: that is what `Matrix::tile` asks of its callers.
unsafe impl<T: Send> Sync for Matrix<'_, T> {}

impl<'a, T> Matrix<'a, T> {
    pub(super) fn new(memory: &'a mut [T], layout: Layout) -> Self {
        assert_eq!(memory.len(), layout.rows * layout.columns, "elements of a matrix of {layout:?}");
        Self { memory: memory.as_mut_ptr(), layout, owner: PhantomData }
    }

    /// A tile of the matrix.
    ///
    /// # Safety
    /// No two tiles that live at the same time may overlap.
    unsafe fn tile(&self, rows: Range<usize>, columns: Range<usize>) -> Tile<'_, T> {
        assert!(rows.start < rows.end && rows.end <= self.layout.rows, "rows {rows:?} of {:?}", self.layout);
        let (first, stride) = self.layout.rectangle(rows.start, &columns);
        // SAFETY: the rows are the matrix's, as was just checked, and the columns are by `rectangle`, so the first element
        // is within the memory.
        let first = unsafe { self.memory.add(first) };
        Tile { first, stride, rows, columns, owner: PhantomData }
    }
}

impl<'a, Memory, T> Target<'a, Memory, T> {
    /// The same with other memory, made of each.
    pub(super) fn map<Other>(self, other: impl Fn(Memory) -> Other) -> Target<'a, Other, T> {
        let Self { matrices, in_panels, finish } = self;
        let matrices = matrices.map(|memory| memory.map(&other));
        Target { matrices, in_panels, finish }
    }
}

impl<T: Float> Target<'_, Matrix<'_, T>, T> {
    /// Finishes a tile that stands in memory of its own.
    ///
    /// # Safety
    /// As of [`Matrix::tile`].
    pub(super) unsafe fn finish(&self, tile: Tile<'_, T>) {
        let (rows, columns) = (tile.rows(), tile.columns());
        // SAFETY: the caller's tiles do not overlap, so neither do these.
        let part = unsafe { |matrix| Matrix::tile(matrix, rows.clone(), columns.clone()) };
        (self.finish)(tile, self.matrices.each_ref().map(|matrix| matrix.as_ref().map(part)));
    }
}
