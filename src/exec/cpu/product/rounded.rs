//! Products of operands rounded to bfloat16: both are packed, then each tile is computed block by block.

use std::any::TypeId;
use std::ops::Range;

use half::bf16;

use super::{First, Product, Sums, TILES, Target, Tiling};
use crate::exec::cpu::bf16::{BLOCK, Bf16Unit, Operand, TILE, Window, band_size};
use crate::exec::cpu::team::{TASK, for_each_piece};
use crate::float::Float;
use crate::ops::Extents;

/// Columns of the widest tile: its sums, and the parameters that they move, are long stretches of memory.
const WIDEST: usize = 1024;

/// Elements of B that tiles below one another read: 1 MiB, half of the second-level cache, so that they are still there for the
/// next of them.
const PART: usize = 1 << 19;

/// How C is cut: tiles of whole blocks, as wide as leaves enough of them. A tile is a block high: more were not faster.
pub(super) fn tiling(Extents { m, n, k }: Extents) -> Tiling {
    let mut width = WIDEST;
    while width > 2 * BLOCK && (m.div_ceil(BLOCK) * n.div_ceil(width) < TILES || width * k > PART) {
        width /= 2;
    }
    Tiling { m, n, height: BLOCK, width, grain: [BLOCK; 2] }
}

/// The elements of float32 that the packed operands of a product take.
pub(in crate::exec::cpu) fn workspace(Extents { m, n, k }: Extents) -> usize {
    (m.div_ceil(TILE) + n.div_ceil(TILE)) * band_size(k) * size_of::<bf16>() / size_of::<f32>()
}

/// Computes the product, as a unit does. The memory is [`workspace`].
///
/// # Panics
/// When the numbers are not float32, or an operand is given as what is not zero in it, or in panels.
pub(super) fn run<T: Float>(
    product: &Product<'_, T>,
    unit: Bf16Unit,
    memory: &mut [T],
    target: Target<'_, &mut [T], T>,
) {
    let Product { matmul, a: First::Dense(a), b, start, only: None } = product else {
        panic!("products in bfloat16 are of all elements");
    };
    assert!(!b.layout.in_panels, "products in bfloat16 are of matrices in rows");
    let extents = product.extents();
    let first = Operand::first(float32(a.data), a.shape.rows_and_columns(), matmul.transpose_a);
    let second = Operand::second(float32(b.data), (b.layout.rows, b.layout.columns), b.transposed);
    let packed: &mut [bf16] = bytemuck::cast_slice_mut(float32_mut(memory));
    let packed = &mut packed[..(first.bands() + second.bands()) * band_size(extents.k)];
    pack([first, second], extents.k, packed);
    let (a, b) = packed.split_at(first.bands() * band_size(extents.k));
    let band = |bands, number: usize| bands_of(bands, number, extents.k);
    tiling(extents).for_each_tile(*start, 0, target, |sums, _| {
        let Sums { memory, stride, rows, columns, start } = sums;
        let (sums, start) = (float32_mut(memory), start.map(float32));
        let mut row_of_starts = [0.0; WIDEST];
        if let Some(start) = start {
            row_of_starts[..start.len()].copy_from_slice(start);
        }
        let starts = row_of_starts.as_chunks::<BLOCK>().0;
        unit.with(|kernel| {
            for row in (0..rows.len()).step_by(BLOCK) {
                let a = pair(rows.start + row, extents.m).map(|number| band(a, number));
                for (column, start) in (0..columns.len()).step_by(BLOCK).zip(starts) {
                    let b = pair(columns.start + column, extents.n).map(|number| band(b, number));
                    let block = Window::new(&mut sums[row * stride + column..], stride);
                    kernel.multiply(a, b, start, block);
                }
            }
        });
    });
}

/// Packs both operands, one behind the other, some bands in a task.
fn pack([first, second]: [Operand<'_>; 2], k: usize, packed: &mut [bf16]) {
    let size = band_size(k);
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

/// A band of a packed operand.
fn bands_of(bands: &[bf16], number: usize, k: usize) -> &[bf16] {
    let size = band_size(k);
    &bands[number * size..][..size]
}

/// The numbers of the two bands from a row of A, or a column of B, on. Where the second is beyond the edge it is the first again:
/// what comes of it is thrown away.
fn pair(first: usize, extent: usize) -> [usize; 2] {
    let second = if first + TILE < extent { first + TILE } else { first };
    [first / TILE, second / TILE]
}

fn float32<T: Float>(numbers: &[T]) -> &[f32] {
    assert_float32::<T>();
    bytemuck::cast_slice(numbers)
}

fn float32_mut<T: Float>(numbers: &mut [T]) -> &mut [f32] {
    assert_float32::<T>();
    bytemuck::cast_slice_mut(numbers)
}

fn assert_float32<T: Float>() {
    assert!(TypeId::of::<T>() == TypeId::of::<f32>(), "products in bfloat16 are of float32");
}
