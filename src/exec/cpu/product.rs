//! Matrix products by the crate `gemm`, cut into tiles by shape, each tile on one thread.

use std::marker::PhantomData;
use std::ops::Range;

use gemm::Parallelism;
use rayon::prelude::*;

use crate::float::Float;
use crate::ops::{Extents, MatMul, Tensor};

/// Multiplications per tile below which a product is not cut further: about 100 µs of one core.
const TILE_WORK: usize = 4 << 20;

/// The most tiles: what a few cores can share without each packing the operands anew too often.
const MAX_TILES: usize = 8;

/// Tiles begin at multiples of this: whole register tiles of the product, whole cache lines.
const GRAIN: usize = 16;

/// A rectangle of C that one thread owns.
pub(super) struct Tile<'a, T> {
    c: *mut T,
    stride: usize,
    rows: Range<usize>,
    columns: Range<usize>,
    owner: PhantomData<&'a mut [T]>,
}

impl<T> Tile<'_, T> {
    pub fn rows(&self) -> Range<usize> {
        self.rows.clone()
    }

    pub fn columns(&self) -> Range<usize> {
        self.columns.clone()
    }

    /// The tile's part of a row of C.
    pub fn row_mut(&mut self, row: usize) -> &mut [T] {
        assert!(self.rows.contains(&row), "row {row} of a tile of rows {:?}", self.rows);
        // SAFETY: `c` is the start of C, borrowed for as long as the tile lives; the row and the
        // columns are the tile's own, inside C, and no other tile has them.
        unsafe {
            let start = self.c.add(row * self.stride + self.columns.start);
            std::slice::from_raw_parts_mut(start, self.columns.len())
        }
    }
}

/// C (m, n) = A · B, transposes taken, then `epilogue` on each tile while it is in cache.
pub(super) fn run<T: Float>(
    matmul: MatMul,
    a: Tensor<'_, T>,
    b: Tensor<'_, T>,
    c: &mut [T],
    epilogue: impl Fn(Tile<'_, T>) + Sync,
) {
    let extents = matmul.extents(a.shape, b.shape);
    let Extents { m, n, k } = extents;
    assert!(a.data.len() == m * k && b.data.len() == k * n && c.len() == m * n, "operands of {extents:?}");
    if c.is_empty() {
        return;
    }
    let shared = Shared(c.as_mut_ptr());
    let tiles = Tiling::of(extents);
    (0..tiles.count()).into_par_iter().for_each(|index| {
        let (rows, columns) = tiles.tile(index);
        let Shared(c) = shared.get();
        // Strides from row to row and from column to column, transposes taken.
        let (a_row, a_column) = if matmul.transpose_a { (1, m) } else { (k, 1) };
        let (b_row, b_column) = if matmul.transpose_b { (1, k) } else { (n, 1) };
        // SAFETY: the lengths were checked above, so every element that these extents and strides
        // reach lies inside A, B and C; tiles do not overlap, so this thread alone writes its
        // elements of C, and nothing reads C (`read_dst` is false).
        unsafe {
            gemm::gemm(
                rows.len(),
                columns.len(),
                k,
                c.add(rows.start * n + columns.start),
                1,
                n as isize,
                false,
                a.data.as_ptr().add(rows.start * a_row),
                a_column as isize,
                a_row as isize,
                b.data.as_ptr().add(columns.start * b_column),
                b_column as isize,
                b_row as isize,
                T::zero(),
                T::one(),
                false,
                false,
                false,
                Parallelism::None,
            );
        }
        epilogue(Tile { c, stride: n, rows, columns, owner: PhantomData });
    });
}

/// How C is cut: along its longer side, into at most [`MAX_TILES`] pieces.
struct Tiling {
    extents: Extents,
    by_rows: bool,
    length: usize,
}

impl Tiling {
    fn of(extents: Extents) -> Self {
        let Extents { m, n, k } = extents;
        let tiles = (m * n * k / TILE_WORK).clamp(1, MAX_TILES);
        let by_rows = m >= n;
        let side = if by_rows { m } else { n };
        Self { extents, by_rows, length: side.div_ceil(tiles).next_multiple_of(GRAIN) }
    }

    fn count(&self) -> usize {
        let side = if self.by_rows { self.extents.m } else { self.extents.n };
        side.div_ceil(self.length)
    }

    fn tile(&self, index: usize) -> (Range<usize>, Range<usize>) {
        let Extents { m, n, .. } = self.extents;
        let piece = |side: usize| index * self.length..((index + 1) * self.length).min(side);
        if self.by_rows { (piece(m), 0..n) } else { (0..m, piece(n)) }
    }
}

/// The start of C, handed to several threads.
#[derive(Clone, Copy)]
struct Shared<T>(*mut T);

impl<T> Shared<T> {
    fn get(&self) -> Shared<T> {
        Shared(self.0)
    }
}

// SAFETY: the threads write through the pointer to disjoint tiles only.
unsafe impl<T: Send> Sync for Shared<T> {}
