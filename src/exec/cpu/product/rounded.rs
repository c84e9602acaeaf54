//! Products of operands rounded to bfloat16: both are packed, then each tile is computed block by block.

use std::ops::Range;

use half::bf16;

use super::tile::Target;
use super::tiling::{Sums, Tiling, least_tiles};
use crate::exec::cpu::bf16::{BLOCK, Bf16Unit, Operand, TILE, Way, Window, band_size};
use crate::exec::cpu::pieces::for_each_piece;
use crate::exec::cpu::team::{TASK, threads};
use crate::float::Float;
use crate::ops::{Extents, Tensor};

/// Columns of the widest tile: its sums, and the parameters that they move, are long stretches of memory.
const WIDEST: usize = 1024;

/// Elements of B that tiles below one another read: 1 MiB, half of the second-level cache, so that they are still there for the
/// next of them.
const PART: usize = 1 << 19;

/// How C is cut: tiles of whole blocks, as wide as leaves enough of them. A tile is a block high: more were not faster.
pub(super) fn tiling(Extents { m, n, k }: Extents, threads: usize) -> Tiling {
    let least = least_tiles(false, threads);
    let mut width = WIDEST;
    while width > 2 * BLOCK && (m.div_ceil(BLOCK) * n.div_ceil(width) < least || width * k > PART) {
        width /= 2;
    }
    Tiling { m, n, height: BLOCK, width, grain: [BLOCK; 2] }
}

/// The elements of float32 that the operands of a product take when they are packed; `are` says which come so.
pub(in crate::exec::cpu) fn workspace(Extents { m, n, k }: Extents, are: [bool; 2]) -> usize {
    let bands = |(extent, is_packed): (usize, bool)| if is_packed { 0 } else { extent.div_ceil(TILE) };
    let bands: usize = [m, n].into_iter().zip(are).map(bands).sum();
    bands * band_size(k) * size_of::<bf16>() / size_of::<f32>()
}

/// A product of operands rounded to bfloat16.
pub(in crate::exec::cpu) struct Rounded<'a, T> {
    pub unit: Bf16Unit,
    pub extents: Extents,
    pub operands: [Factor<'a>; 2],
    /// What each row's sums start from.
    pub start: Option<&'a [T]>,
}

/// An operand.
pub(in crate::exec::cpu) enum Factor<'a> {
    /// All its bands.
    Packed(&'a [bf16]),
    /// To be packed.
    Matrix(Operand<'a>),
}

impl<'a> Factor<'a> {
    /// A matrix of float32, in the way that a product reads it.
    ///
    /// # Panics
    /// When the numbers are not float32.
    pub fn new<T: Float>(matrix: Tensor<'a, T>, way: Way) -> Self {
        Self::Matrix(Operand::new(float32(matrix.data), matrix.shape.rows_and_columns(), way))
    }

    /// The bands that are to be packed.
    fn bands(&self) -> usize {
        match self {
            Self::Packed(_) => 0,
            Self::Matrix(operand) => operand.bands(),
        }
    }

    /// All bands, when those that were to be are packed.
    fn all<'p>(&'p self, packed: &'p [bf16]) -> &'p [bf16] {
        match *self {
            Self::Packed(bands) => bands,
            Self::Matrix(_) => packed,
        }
    }

    fn pack(&self, bands: Range<usize>, out: &mut [bf16]) {
        if let Self::Matrix(operand) = self {
            operand.pack(bands, out);
        }
    }
}

impl<T: Float> Rounded<'_, T> {
    /// Computes the product, as the unit does. The memory is [`workspace`].
    pub fn run(&self, memory: &mut [T], target: Target<'_, &mut [T], T>) {
        let Self { unit, extents, operands: [first, second], start } = self;
        let size = band_size(extents.k);
        let packed: &mut [bf16] = bytemuck::cast_slice_mut(float32_mut(memory));
        let packed = &mut packed[..(first.bands() + second.bands()) * size];
        pack([first, second], size, packed);
        let (of_first, of_second) = packed.split_at(first.bands() * size);
        let (a, b) = (first.all(of_first), second.all(of_second));
        tiling(*extents, threads()).for_each_tile(*start, 0, target, |sums, _| {
            let Sums { memory, stride, rows, columns, start } = sums;
            let (sums, start) = (float32_mut(memory), start.map(float32));
            let mut row_of_starts = [0.0; WIDEST];
            if let Some(start) = start {
                row_of_starts[..start.len()].copy_from_slice(start);
            }
            let starts = row_of_starts.as_chunks::<BLOCK>().0;
            unit.with(|kernel| {
                for row in (0..rows.len()).step_by(BLOCK) {
                    let a = pair(rows.start + row, extents.m).map(|number| &a[number * size..][..size]);
                    for (column, start) in (0..columns.len()).step_by(BLOCK).zip(starts) {
                        let b =
                            pair(columns.start + column, extents.n).map(|number| &b[number * size..][..size]);
                        let block = Window::new(&mut sums[row * stride + column..], stride);
                        kernel.multiply(a, b, start, block);
                    }
                }
            });
        });
    }
}

/// Packs what is to be packed of both operands, one behind the other, some bands of this size in a task.
fn pack([first, second]: [&Factor<'_>; 2], size: usize, packed: &mut [bf16]) {
    if size == 0 {
        return;
    }
    let at_once = (2 * TASK / size).max(1);
    for_each_piece(packed, at_once * size, |task, piece| {
        let bands = task * at_once..task * at_once + piece.len() / size;
        let of_first = bands.start.min(first.bands())..bands.end.min(first.bands());
        let of_second: Range<usize> =
            bands.start.max(first.bands()) - first.bands()..bands.end.max(first.bands()) - first.bands();
        let (a, b) = piece.split_at_mut(of_first.len() * size);
        first.pack(of_first, a);
        second.pack(of_second, b);
    });
}

/// The numbers of the two bands from a row of A, or a column of B, on. Where the second is beyond the edge it is the first again:
/// what comes of it is thrown away.
fn pair(first: usize, extent: usize) -> [usize; 2] {
    let second = if first + TILE < extent { first + TILE } else { first };
    [first / TILE, second / TILE]
}

fn float32<T: Float>(numbers: &[T]) -> &[f32] {
    T::as_float32(numbers).unwrap_or_else(|| panic!("{OTHERS}"))
}

fn float32_mut<T: Float>(numbers: &mut [T]) -> &mut [f32] {
    T::as_float32_mut(numbers).unwrap_or_else(|| panic!("{OTHERS}"))
}

const OTHERS: &str = "products in bfloat16 are of float32";
