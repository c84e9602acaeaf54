//! Matrix products, cut into tiles by shape, each computed and finished by one thread.
//!
//! C is cut into tiles of some bands of [`SIDE`] rows and of one panel's columns. For each band of [`SIDE`] summands a panel
//! of B's rows is taken up ([`second`]), and each row of the tile adds up those rows of the panel for which A has an
//! element, in registers ([`block`]): all where A is dense, few where its zeros are left out. A tile's sums start
//! from zero or from a row (a bias), and while it is in cache it is finished: the epilogue makes the result of it, or, if it
//! is a gradient, moves the parameter whose gradient it is.
//!
//! Every element's sum is a chain of multiply-adds in the order of its summands, whatever the tiles, the vectors and the zeros:
//! so all of these choices are free, and change no bit but the sign of a zero. Products of which only some elements are needed
//! ([`masked`]) have an order of their own, and so have those of operands rounded to bfloat16 ([`rounded`]).

mod block;
mod masked;
mod rounded;
mod second;
mod tile;
mod tiling;

pub(super) use masked::can_mask;
pub(super) use rounded::{Factor, Rounded, workspace};
pub(super) use tile::{Finish, First, Product, Second, Target, Tile, Tiles};

use std::ops::Range;

use super::bf16::Bf16Unit;
use super::nonzeros::SIDE;
use super::panels::PANEL;
use super::team::threads;
use crate::float::Float;
use crate::ops::Extents;
use block::{AddBlock, Dense, Factors};
use tiling::{Sums, Tiling, piece};

/// Elements of a panel in scratch.
const PANEL_SIZE: usize = SIDE * PANEL;

/// The most elements of scratch that a thread takes for a product: one thread has the largest tiles.
pub(super) fn scratch(extents: Extents, unit: Option<Bf16Unit>) -> usize {
    match unit {
        Some(_) => rounded::tiling(extents, 1).sums(),
        None => PANEL_SIZE + Tiling::of(extents, true, 1).sums(),
    }
}

/// Computes the product.
pub(super) fn run<T: Float>(product: &Product<'_, T>, target: Target<'_, &mut [T], T>) {
    let tiling = Tiling::of(product.extents(), product.copies(), threads());
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
