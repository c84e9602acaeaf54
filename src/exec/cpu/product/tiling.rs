//! How the result of a product is cut into tiles, each of which one thread computes, finishes and puts away.

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

/// As many tiles as there should be at least, for as many threads; fewer where B is copied, so that it is copied less often.
pub(super) const TILES: usize = 8;
const TILES_COPYING: usize = 4;

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
    pub fn of(Extents { m, n, .. }: Extents, copies: bool) -> Self {
        let across = n.div_ceil(PANEL);
        let least = if copies { TILES_COPYING } else { TILES };
        let mut height = MOST_ROWS;
        while height > SIDE && m.div_ceil(height) * across < least {
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

    /// Has `add` compute each tile's sums, from what each row starts from on, and puts the tile away. A tile gets so much
    /// more scratch.
    pub fn for_each_tile<T: Float>(
        self,
        start: Option<&[T]>,
        more: usize,
        target: Target<'_, &mut [T], T>,
        add: impl Fn(Sums<'_, T>, &mut [T]) + Sync,
    ) {
        let Self { m, n, grain, .. } = self;
        let target =
            target.map(|memory, in_panels| Matrix::new(memory, Layout { rows: m, columns: n, in_panels }));
        for_each(if m * n == 0 { 0 } else { self.count() }, |number| {
            let (rows, columns) = self.tile(number);
            scratch::with(more + self.sums(), |memory| {
                let (more, sums) = memory.split_at_mut(more);
                let stride = columns.len().next_multiple_of(grain[1]);
                let sums = &mut sums[..rows.len().next_multiple_of(grain[0]) * stride];
                let start = start.map(|start| &start[columns.clone()]);
                add(Sums { memory: sums, stride, rows: rows.clone(), columns: columns.clone(), start }, more);
                // SAFETY: the tiles do not overlap: each has its own rows or its own columns.
                unsafe { target.put(Tile::new(sums, stride, rows, columns)) };
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
