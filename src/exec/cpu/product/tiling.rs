//! How the result of a product is cut into tiles, each of which one thread computes and finishes.

use std::ops::Range;

use super::tile::{Matrix, Target, Tile};
use crate::exec::cpu::nonzeros::SIDE;
use crate::exec::cpu::panels::{Layout, PANEL};
use crate::exec::cpu::scratch;
use crate::exec::cpu::team::for_each;
use crate::float::Float;
use crate::ops::Extents;

/// Rows lie a multiple of this many elements apart: whole registers, whole cache lines.
const GRAIN: usize = 16;

/// The most rows of a tile: B is copied anew for each, and its sums stay in the second-level cache.
const MOST_ROWS: usize = 4 * SIDE;

/// As many tiles as there should be at least; fewer where B is copied, so that it is copied less often.
const TILES: usize = 8;
const TILES_COPYING: usize = 4;

/// As many as there should be at least for each thread, so that they end at about the same time.
const TILES_A_THREAD: usize = 2;

/// As many tiles as there should be at least for so many threads. No sum depends on how C is cut, so this may.
pub(super) fn least_tiles(copies: bool, threads: usize) -> usize {
    (if copies { TILES_COPYING } else { TILES }).max(TILES_A_THREAD * threads)
}

/// How C is cut.
#[derive(Clone, Copy)]
pub(super) struct Tiling {
    pub m: usize,
    pub n: usize,
    pub height: usize,
    pub width: usize,
    /// Rows and columns in memory are multiples of these.
    pub grain: [usize; 2],
}

impl Tiling {
    /// Into tiles as high as leaves enough of them.
    pub fn of(Extents { m, n, .. }: Extents, copies: bool, threads: usize) -> Self {
        let across = n.div_ceil(PANEL);
        let mut height = MOST_ROWS;
        while height > SIDE && m.div_ceil(height) * across < least_tiles(copies, threads) {
            height /= 2;
        }
        Self { m, n, height, width: PANEL, grain: [1, GRAIN] }
    }

    fn count(self) -> usize {
        self.m.div_ceil(self.height) * self.n.div_ceil(self.width)
    }

    /// The rows and the columns of a tile: those of the same columns follow one another, as they read the same part of B.
    fn tile(self, number: usize) -> (Range<usize>, Range<usize>) {
        let down = self.m.div_ceil(self.height);
        (piece(number % down, self.height, self.m), piece(number / down, self.width, self.n))
    }

    /// The elements that the sums of a tile take.
    pub fn sums(self) -> usize {
        self.height.min(self.m).next_multiple_of(self.grain[0])
            * self.n.min(self.width).next_multiple_of(self.grain[1])
    }

    /// Has `add` compute each tile's sums, from what each row starts from on, and has the tile finished. A tile gets so much
    /// more scratch.
    pub fn for_each_tile<T: Float>(
        self,
        start: Option<&[T]>,
        more: usize,
        target: Target<'_, &mut [T], T>,
        add: impl Fn(Sums<'_, T>, &mut [T]) + Sync,
    ) {
        let Self { m, n, grain, .. } = self;
        let layout = Layout { rows: m, columns: n, in_panels: target.in_panels };
        let target = target.map(|memory| Matrix::new(memory, layout));
        for_each(if m * n == 0 { 0 } else { self.count() }, |number| {
            let (rows, columns) = self.tile(number);
            scratch::with(more + self.sums(), |memory| {
                let (more, sums) = memory.split_at_mut(more);
                let stride = columns.len().next_multiple_of(grain[1]);
                let sums = &mut sums[..rows.len().next_multiple_of(grain[0]) * stride];
                let start = start.map(|start| &start[columns.clone()]);
                add(Sums { memory: sums, stride, rows: rows.clone(), columns: columns.clone(), start }, more);
                // SAFETY: the tiles do not overlap: each has its own rows or its own columns.
                unsafe { target.finish(Tile::new(sums, stride, rows, columns)) };
            });
        });
    }
}

/// The sums of a tile, to be computed.
pub(super) struct Sums<'a, T> {
    pub memory: &'a mut [T],
    /// From row to row.
    pub stride: usize,
    pub rows: Range<usize>,
    pub columns: Range<usize>,
    /// What each row's start from, if not from zero.
    pub start: Option<&'a [T]>,
}

/// The piece of this number when 0..end is cut into pieces of a length.
pub(super) fn piece(number: usize, length: usize, end: usize) -> Range<usize> {
    number * length..((number + 1) * length).min(end)
}

#[cfg(test)]
mod tests {
    use super::super::rounded;
    use super::*;

    /// How often faster so many threads are than one at products that are cut so, if a tile costs what it multiplies and nothing
    /// else costs anything.
    fn times_faster(products: &[Extents], threads: usize, tiling: impl Fn(Extents) -> Tiling) -> f64 {
        let (mut one, mut longest) = (0, 0);
        for &extents in products {
            let tiling = tiling(extents);
            let mut shares = vec![0; threads];
            // Whoever is done takes the next.
            for number in 0..tiling.count() {
                let (rows, columns) = tiling.tile(number);
                if let Some(least) = shares.iter_mut().min() {
                    *least += rows.len() * columns.len() * extents.k;
                }
            }
            one += shares.iter().sum::<usize>();
            longest += shares.into_iter().max().unwrap_or(0);
        }
        one as f64 / longest as f64
    }

    #[test]
    fn four_threads_and_more_have_tiles_enough_of_the_default_networks_products() {
        let extents = |[m, n, k]: [usize; 3]| Extents { m, n, k };
        let of_batch = |batch| {
            [
                [batch, 512, 784],
                [batch, 256, 512],
                [batch, 10, 256],
                [batch, 256, 10],
                [batch, 512, 256],
                [784, 512, batch],
                [512, 256, batch],
                [256, 10, batch],
            ]
            .map(extents)
        };
        for (batch, threads, [float32, bf16]) in [
            (128, 2, [1.95, 1.95]),
            (128, 4, [3.8, 3.9]),
            (128, 8, [6.5, 7.4]),
            (128, 16, [8.4, 13.0]),
            (1024, 16, [13.0, 14.0]),
        ] {
            let products = of_batch(batch);
            let found = times_faster(&products, threads, |extents| Tiling::of(extents, false, threads));
            assert!(found >= float32, "{threads} threads, batch {batch}, float32: {found}");
            let found = times_faster(&products, threads, |extents| rounded::tiling(extents, threads));
            assert!(found >= bf16, "{threads} threads, batch {batch}, bfloat16: {found}");
        }
    }
}
