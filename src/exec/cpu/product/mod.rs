//! Matrix products, cut into tiles by shape, each computed, finished and put away by one thread.
//!
//! A product is [`dense`], or, where the first operand is known to have many zeros, made by [`skipping`] them. Either
//! way a tile's sums start from zero or from a row (a bias), the epilogue is applied while the tile is in cache, and
//! then it goes where the product is wanted: into memory, or, if it is a gradient, straight into the update of its
//! parameter.

mod dense;
mod skipping;

use std::marker::PhantomData;
use std::ops::Range;

use super::nonzeros::Nonzeros;
use crate::exec::vectorized;
use crate::float::Float;
use crate::ops::{Extents, MatMul, Tensor};
use crate::optim::{Optimizer, Piece, Step};

/// A product to be computed.
pub(super) struct Product<'a, T> {
    pub matmul: MatMul,
    pub a: First<'a, T>,
    pub b: Tensor<'a, T>,
    /// What each row's sums start from.
    pub start: Option<&'a [T]>,
}

/// The first operand.
pub(super) enum First<'a, T> {
    Dense(Tensor<'a, T>),
    Nonzeros(&'a Nonzeros<T>),
}

/// The most elements of scratch that a thread takes for a product: one that leaves out zeros, or one that goes into an
/// update.
pub(super) fn scratch(matmul: MatMul, extents: Extents, leaves_out_zeros: bool, updates: bool) -> usize {
    match (leaves_out_zeros, updates) {
        (true, _) => skipping::scratch(matmul.transpose_a, extents.m, extents.n),
        (false, true) => dense::scratch(extents),
        (false, false) => 0,
    }
}

/// Where C goes.
pub(super) enum Target<'a, T> {
    /// Into memory of its size.
    Memory(&'a mut [T]),
    /// Into the update of a parameter whose gradient it is.
    Update(Updated<'a, T>),
}

/// A parameter that is updated, all of it.
pub(super) struct Updated<'a, T> {
    pub optimizer: Optimizer,
    pub step: Step,
    pub parameters: &'a mut [T],
    pub first: &'a mut [T],
    /// Empty where the optimizer keeps one number of state.
    pub second: &'a mut [T],
}

/// Computes the product; `epilogue` changes each tile in place before it goes to the target.
pub(super) fn run<T: Float>(
    product: &Product<'_, T>,
    target: Target<'_, T>,
    epilogue: impl Fn(&mut Tile<'_, T>) + Sync,
) {
    match product.a {
        First::Dense(a) => dense::run(product, a, &Shared::of(target), epilogue),
        First::Nonzeros(a) => skipping::run(product, a, &Shared::of(target), epilogue),
    }
}

/// A rectangle of C that one thread owns.
pub(super) struct Tile<'a, T> {
    /// The element in the first row and column.
    first: *mut T,
    /// From row to row.
    stride: usize,
    rows: Range<usize>,
    columns: Range<usize>,
    owner: PhantomData<&'a mut [T]>,
}

impl<'a, T> Tile<'a, T> {
    /// The rectangle that stands in memory row by row, `stride` elements apart.
    fn new(memory: &'a mut [T], stride: usize, rows: Range<usize>, columns: Range<usize>) -> Self {
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
    fn into_rows(self) -> impl Iterator<Item = &'a mut [T]> {
        let Self { first, stride, rows, columns, .. } = self;
        // SAFETY: as in `row_mut`; the tile is gone, and each of its rows is given out once.
        (0..rows.len())
            .map(move |row| unsafe { std::slice::from_raw_parts_mut(first.add(row * stride), columns.len()) })
    }
}

/// A target that several threads write to, each its own tiles.
enum Shared<'a, T> {
    Memory(Matrix<'a, T>),
    Update {
        optimizer: Optimizer,
        step: Step,
        parameters: Matrix<'a, T>,
        first: Matrix<'a, T>,
        second: Option<Matrix<'a, T>>,
    },
}

/// Memory of C's size, of which several threads take disjoint tiles.
struct Matrix<'a, T> {
    memory: *mut T,
    length: usize,
    owner: PhantomData<&'a mut [T]>,
}

// SAFETY: threads take disjoint tiles of it only: that is what `Matrix::tile` asks of its callers.
unsafe impl<T: Send> Sync for Matrix<'_, T> {}

impl<'a, T> Matrix<'a, T> {
    fn new(memory: &'a mut [T]) -> Self {
        Self { memory: memory.as_mut_ptr(), length: memory.len(), owner: PhantomData }
    }

    /// A tile of the matrix, whose rows are of `n` elements.
    ///
    /// # Safety
    /// No two tiles that live at the same time may overlap.
    unsafe fn tile(&self, n: usize, rows: Range<usize>, columns: Range<usize>) -> Tile<'_, T> {
        assert!(rows.end * n <= self.length && columns.end <= n && rows.start <= rows.end);
        // SAFETY: the element is within the memory, as was just checked; or the tile is empty.
        let first = unsafe { self.memory.add((rows.start * n + columns.start).min(self.length)) };
        Tile { first, stride: n, rows, columns, owner: PhantomData }
    }
}

impl<'a, T: Float> Shared<'a, T> {
    fn of(target: Target<'a, T>) -> Self {
        match target {
            Target::Memory(memory) => Self::Memory(Matrix::new(memory)),
            Target::Update(Updated { optimizer, step, parameters, first, second }) => Self::Update {
                optimizer,
                step,
                parameters: Matrix::new(parameters),
                first: Matrix::new(first),
                second: (!second.is_empty()).then(|| Matrix::new(second)),
            },
        }
    }

    /// Puts away a finished tile that stands in memory of its own.
    ///
    /// # Safety
    /// As of [`Matrix::tile`].
    unsafe fn put(&self, n: usize, tile: Tile<'_, T>) {
        let (rows, columns) = (tile.rows(), tile.columns());
        // SAFETY: the caller's tiles do not overlap, so neither do these.
        let part = unsafe { |matrix| Matrix::tile(matrix, n, rows.clone(), columns.clone()) };
        match self {
            Self::Memory(matrix) => {
                for (out, row) in part(matrix).into_rows().zip(tile.into_rows()) {
                    out.copy_from_slice(row);
                }
            }
            Self::Update { optimizer, step, parameters, first, second } => {
                let mut second = second.as_ref().map(|matrix| part(matrix).into_rows());
                let rows = part(parameters).into_rows().zip(tile.into_rows()).zip(part(first).into_rows());
                let pieces = rows.map(|((parameters, gradients), first)| {
                    let second = second.as_mut().and_then(Iterator::next).unwrap_or_default();
                    Piece { parameters, gradients, first, second }
                });
                vectorized(
                    #[inline(always)]
                    || optimizer.update(*step, pieces),
                );
            }
        }
    }
}
