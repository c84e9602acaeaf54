//! Matrix products, cut into tiles by shape, each computed, finished and put away by one thread.
//!
//! C is cut into tiles of some bands of [`SIDE`] rows and of one panel's columns. For each band of [`SIDE`] summands a panel
//! of B's rows is taken up ([`second`]), and each row of the tile adds up those rows of the panel for which A has an
//! element, in registers ([`block`]): all where A is dense, few where its zeros are left out. A tile's sums start
//! from zero or from a row (a bias), and while it is in cache the epilogue changes it, or, if it is a gradient, moves the
//! parameter whose gradient it is.
//!
//! Every element's sum is a chain of multiply-adds in the order of its summands, whatever the tiles, the vectors and the zeros:
//! so all of these choices are free, and change no bit but the sign of a zero. Products of which only some elements are needed
//! ([`masked`]) have an order of their own.

mod block;
mod masked;
mod rounded;
mod second;
mod tile;

pub(super) use masked::can_mask;
pub(super) use rounded::{Factor, Rounded, workspace};
pub(super) use tile::{Consume, First, Product, Second, Target, Tile};

use std::ops::Range;

use super::bf16::Bf16Unit;
use super::nonzeros::SIDE;
use super::panels::{Layout, PANEL};
use super::scratch;
use super::team::for_each;
use crate::float::Float;
use crate::ops::Extents;
use block::{AddBlock, Dense, Factors};
use tile::Matrix;

/// Rows lie a multiple of this many elements apart: whole registers, whole cache lines.
const GRAIN: usize = 16;

/// The most rows of a tile: B is copied anew for each, and its sums stay in the second-level cache.
const MOST_ROWS: usize = 4 * SIDE;

/// As many tiles as there should be at least, for as many threads; fewer where B is copied, so that it is copied less often.
const TILES: usize = 8;
const TILES_COPYING: usize = 4;

/// How C is cut.
#[derive(Clone, Copy)]
struct Tiling {
    m: usize,
    n: usize,
    height: usize,
    width: usize,
    /// Rows and columns in memory are multiples of these.
    grain: [usize; 2],
}

impl Tiling {
    /// Into tiles as high as leaves enough of them.
    fn of(Extents { m, n, .. }: Extents, copies: bool) -> Self {
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
    fn sums(self) -> usize {
        self.height.min(self.m).next_multiple_of(self.grain[0])
            * self.n.min(self.width).next_multiple_of(self.grain[1])
    }

    /// Has `add` compute each tile's sums, from what each row starts from on, and puts the tile away. A tile gets so much
    /// more scratch.
    fn for_each_tile<T: Float>(
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
struct Sums<'a, T> {
    memory: &'a mut [T],
    /// From row to row.
    stride: usize,
    rows: Range<usize>,
    columns: Range<usize>,
    /// What each row's start from, if not from zero.
    start: Option<&'a [T]>,
}

/// Elements of a panel in scratch.
const PANEL_SIZE: usize = SIDE * PANEL;

/// The most elements of scratch that a thread takes for a product.
pub(super) fn scratch(extents: Extents, unit: Option<Bf16Unit>) -> usize {
    match unit {
        Some(_) => rounded::tiling(extents).sums(),
        None => PANEL_SIZE + Tiling::of(extents, true).sums(),
    }
}

/// Computes the product.
pub(super) fn run<T: Float>(product: &Product<'_, T>, target: Target<'_, &mut [T], T>) {
    let tiling = Tiling::of(product.extents(), product.copies());
    tiling.for_each_tile(product.start, PANEL_SIZE, target, |sums, panel| {
        let Sums { memory: sums, stride, rows, columns, start } = sums;
        begin(sums, stride, start);
        match (product.only, &product.a) {
            (Some(only), First::Dense(a)) => {
                masked::add(only, *a, product.b, (&rows, &columns), sums, stride);
            }
            _ => add_bands(product, (&rows, &columns), panel, sums, stride),
        }
    });
}

/// Adds all of a tile's products to its sums, band by band of summands.
fn add_bands<T: Float>(
    product: &Product<'_, T>,
    (rows, columns): (&Range<usize>, &Range<usize>),
    panel: &mut [T],
    sums: &mut [T],
    stride: usize,
) {
    let Extents { m, k, .. } = product.extents();
    let transposed = product.matmul.transpose_a;
    for band in 0..k.div_ceil(SIDE) {
        let summands = piece(band, SIDE, k);
        let panel = product.b.panel(summands.clone(), columns.clone(), panel, stride);
        for (i, sums) in sums.chunks_mut(SIDE * stride).enumerate() {
            let row_band = rows.start / SIDE + i;
            let factors = match product.a {
                First::Nonzeros(a) if transposed => Factors::ByColumn(a.block(band, row_band)),
                First::Nonzeros(a) => Factors::ByRow(a.block(row_band, band)),
                First::Dense(a) => {
                    let (rows, summands) = (piece(row_band, SIDE, m), summands.clone());
                    Factors::Dense(Dense { values: a.data, width: a.shape[1], transposed, rows, summands })
                }
            };
            pulp::Arch::new().dispatch(AddBlock { factors, panel, sums, stride });
        }
    }
}

/// The piece of this number when 0..end is cut into pieces of a length.
fn piece(number: usize, length: usize, end: usize) -> Range<usize> {
    number * length..((number + 1) * length).min(end)
}

/// Each row of sums starts from `start`, or from zero; what is beyond it, up to the stride, is zero.
fn begin<T: Float>(sums: &mut [T], stride: usize, start: Option<&[T]>) {
    match start {
        None => sums.fill(T::zero()),
        Some(start) => {
            for row in sums.chunks_exact_mut(stride) {
                let (row, beyond) = row.split_at_mut(start.len());
                row.copy_from_slice(start);
                beyond.fill(T::zero());
            }
        }
    }
}
