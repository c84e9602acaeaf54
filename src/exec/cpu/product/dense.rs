//! Products by the crate `gemm`.

use std::ops::Range;

use gemm::Parallelism;

use super::tile::{Matrix, Product, Target, Tile};
use crate::exec::cpu::scratch;
use crate::exec::cpu::team::for_each;
use crate::float::Float;
use crate::ops::{Extents, Tensor};

/// Multiplications per tile below which a product is not cut further: about 10 µs of one core.
const TILE_WORK: usize = 1 << 19;

/// The most tiles: what a few cores can share without each packing the operands anew too often.
const MAX_TILES: usize = 8;

/// Tiles begin at multiples of this: whole register tiles of the product, whole cache lines.
const GRAIN: usize = 16;

pub(super) fn run<T: Float>(
    product: &Product<'_, T>,
    a: Tensor<'_, T>,
    target: &Target<'_, Matrix<'_, T>, T>,
) {
    let Product { matmul, b, .. } = *product;
    let extents = matmul.extents(a.shape, b.shape);
    let Extents { m, n, k } = extents;
    assert!(a.data.len() == m * k && b.data.len() == k * n, "operands of {extents:?}");
    if m * n == 0 {
        return;
    }
    let tiles = Tiling::of(extents);
    for_each(tiles.count(), |index| {
        let (rows, columns) = tiles.tile(index);
        match target {
            Target::Memory(matrix, epilogue) => {
                // SAFETY: the tiles of a tiling do not overlap.
                let mut tile = unsafe { matrix.tile(n, rows, columns) };
                multiply(product, a, &mut tile);
                epilogue(&mut tile);
            }
            Target::Others(..) => scratch::with(rows.len() * columns.len(), |memory| {
                let mut tile = Tile::new(memory, columns.len(), rows, columns);
                multiply(product, a, &mut tile);
                // SAFETY: likewise.
                unsafe { target.put(n, tile) };
            }),
        }
    });
}

/// The elements of scratch that a thread takes for a product that goes nowhere, where tiles have memory of
/// their own; the crate `gemm` takes some more, which its cache sizes bound.
pub(super) fn scratch(extents: Extents) -> usize {
    let Extents { m, n, .. } = extents;
    let tiles = Tiling::of(extents);
    if tiles.by_rows { tiles.length.min(m) * n } else { m * tiles.length.min(n) }
}

/// Writes the tile's part of the product.
fn multiply<T: Float>(product: &Product<'_, T>, a: Tensor<'_, T>, tile: &mut Tile<'_, T>) {
    let Product { matmul, b, start, .. } = *product;
    let Extents { m, n, k } = matmul.extents(a.shape, b.shape);
    let (rows, columns) = (tile.rows(), tile.columns());
    if let Some(start) = start {
        for row in rows.clone() {
            tile.row_mut(row).copy_from_slice(&start[columns.clone()]);
        }
    }
    // Strides from row to row and from column to column, transposes taken.
    let (a_row, a_column) = if matmul.transpose_a { (1, m) } else { (k, 1) };
    let (b_row, b_column) = if matmul.transpose_b { (1, k) } else { (n, 1) };
    // SAFETY: the lengths of A and B were checked, so every element that these extents and strides
    // reach lies inside them; the tile's rows and columns are its own memory, which is written
    // before it is read if `read_dst` (its sums start from it).
    unsafe {
        gemm::gemm(
            rows.len(),
            columns.len(),
            k,
            tile.first,
            1,
            tile.stride as isize,
            start.is_some(),
            a.data.as_ptr().add(rows.start * a_row),
            a_column as isize,
            a_row as isize,
            b.data.as_ptr().add(columns.start * b_column),
            b_column as isize,
            b_row as isize,
            T::one(),
            T::one(),
            false,
            false,
            false,
            Parallelism::None,
        );
    }
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
