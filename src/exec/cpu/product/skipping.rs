//! Products that leave out the zeros of their first operand.
//!
//! C is cut into tiles of a few bands of rows. For each band of [`SIDE`] summands and each [`PANEL`] columns of the tile, that
//! part of B is copied into a panel whose rows lie one behind the other: as rows of B they might be a power of two
//! apart and push each other out of the cache. Then each row of the tile adds up those rows of the panel for which A
//! has an element, in registers. Every element's sum runs in the order of its summands, whatever the tiles and the
//! vectors.

use std::ops::Range;

use pulp::{Simd, WithSimd};

use super::tile::{Matrix, Product, Target, Tile};
use crate::exec::cpu::nonzeros::{Block, Entry, Nonzeros, SIDE};
use crate::exec::cpu::scratch;
use crate::exec::cpu::team::for_each;
use crate::exec::cpu::vectorized::vectorized;
use crate::float::Float;
use crate::graph::Shape;

/// Columns of a panel: eight registers of AVX-512 in float32.
const PANEL: usize = 128;

/// Rows lie a multiple of this many elements apart: whole registers, whole cache lines.
const GRAIN: usize = 16;

/// The rows and columns of a tile. A tile of A B has few columns, so that there are tiles for several threads even if
/// the batch is small. One of Aᵀ B, a gradient, has many: parameters and state are then updated in long stretches, which
/// the processor fetches ahead.
const TILE: [usize; 2] = [2 * SIDE, PANEL];
const TILE_TRANSPOSED: [usize; 2] = [2 * SIDE, 8 * PANEL];

pub(super) fn run<T: Float>(
    product: &Product<'_, T>,
    a: &Nonzeros<T>,
    target: &Target<'_, Matrix<'_, T>, T>,
) {
    let transposed = product.matmul.transpose_a;
    let (m, k) = match (transposed, a.extents()) {
        (false, (rows, columns)) => (rows, columns),
        (true, (rows, columns)) => (columns, rows),
    };
    let b = SecondOperand {
        data: product.b.data,
        shape: product.b.shape,
        transposed: product.matmul.transpose_b,
    };
    let n = b.columns();
    assert!(b.data.len() == k * n, "operands of ({m}, {k}) and ({k}, {n})");
    let [height, width] = tile(transposed);
    let across = n.div_ceil(width);
    for_each(m.div_ceil(height) * across, |number| {
        let (rows, columns) = (piece(number / across, height, m), piece(number % across, width, n));
        let stride = columns.len().next_multiple_of(GRAIN);
        scratch::with(scratch_of(rows.len(), columns.len()), |memory| {
            let (panel, sums) = memory.split_at_mut(SIDE * PANEL);
            begin(sums, stride, product.start.map(|start| &start[columns.clone()]));
            for first in (0..columns.len()).step_by(PANEL) {
                let of_panel = columns.start + first..columns.end.min(columns.start + first + PANEL);
                let panel_stride = of_panel.len().next_multiple_of(GRAIN);
                for band in 0..k.div_ceil(SIDE) {
                    b.copy(piece(band, SIDE, k), of_panel.clone(), panel, panel_stride);
                    for (i, sums) in sums.chunks_mut(SIDE * stride).enumerate() {
                        let row_band = rows.start / SIDE + i;
                        let block =
                            if transposed { a.block(band, row_band) } else { a.block(row_band, band) };
                        let work = AddRows { block, transposed, panel, panel_stride, sums, stride, first };
                        pulp::Arch::new().dispatch(work);
                    }
                }
            }
            // SAFETY: the tiles do not overlap: each has its own rows or its own columns.
            unsafe { target.put(n, Tile::new(sums, stride, rows, columns)) };
        });
    });
}

/// The most rows and columns of a tile.
fn tile(transposed: bool) -> [usize; 2] {
    if transposed { TILE_TRANSPOSED } else { TILE }
}

/// The elements that a tile of so many rows and columns takes while it is computed: a panel, and its sums.
fn scratch_of(rows: usize, columns: usize) -> usize {
    SIDE * PANEL + rows * columns.next_multiple_of(GRAIN)
}

/// The most elements of scratch that a thread takes for a product (m, n).
pub(super) fn scratch(transposed: bool, m: usize, n: usize) -> usize {
    let [height, width] = tile(transposed);
    scratch_of(height.min(m), width.min(n))
}

/// The piece of this number when 0..end is cut into pieces of a length.
fn piece(number: usize, length: usize, end: usize) -> Range<usize> {
    number * length..((number + 1) * length).min(end)
}

/// Each row of sums starts from `start`, or from zero; what is beyond it, up to the stride, is zero.
fn begin<T: Float>(sums: &mut [T], stride: usize, start: Option<&[T]>) {
    sums.fill(T::zero());
    if let Some(start) = start {
        sums.chunks_exact_mut(stride).for_each(|row| row[..start.len()].copy_from_slice(start));
    }
}

/// B, which may stand transposed.
struct SecondOperand<'a, T> {
    data: &'a [T],
    shape: &'a Shape,
    transposed: bool,
}

impl<T: Float> SecondOperand<'_, T> {
    fn columns(&self) -> usize {
        self.shape[if self.transposed { 0 } else { 1 }]
    }

    /// Copies a rectangle into a panel; what is beyond the columns, up to the stride, is zero.
    fn copy(&self, rows: Range<usize>, columns: Range<usize>, panel: &mut [T], stride: usize) {
        let width = self.shape[1];
        if self.transposed {
            vectorized(
                #[inline(always)]
                || {
                    // A few rows of the panel at a time, whose cache lines are written to from every column.
                    for (i, first) in rows.clone().step_by(GRAIN).enumerate() {
                        let stretch = first..rows.end.min(first + GRAIN);
                        let panel = &mut panel[i * GRAIN * stride..];
                        for (j, column) in columns.clone().enumerate() {
                            let values = &self.data[column * width..][stretch.clone()];
                            for (out, &x) in panel[j..].iter_mut().step_by(stride).zip(values) {
                                *out = x;
                            }
                        }
                    }
                },
            );
        } else {
            for (row, out) in rows.clone().zip(panel.chunks_exact_mut(stride)) {
                out[..columns.len()].copy_from_slice(&self.data[row * width..][columns.clone()]);
            }
        }
        if columns.len() < stride {
            for out in panel.chunks_exact_mut(stride).take(rows.len()) {
                out[columns.len()..].fill(T::zero());
            }
        }
    }
}

/// To each row of `sums`, from its column `first` on: the rows of the panel that the block's elements in that row
/// (column, if `transposed`) name, times the elements.
struct AddRows<'a, T> {
    block: Block<'a, T>,
    transposed: bool,
    panel: &'a [T],
    panel_stride: usize,
    sums: &'a mut [T],
    stride: usize,
    first: usize,
}

impl<T: Float> WithSimd for AddRows<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { block, transposed, panel, panel_stride, sums, stride, first } = self;
        let lanes = size_of::<T::Lanes<S>>() / size_of::<T>();
        let panel = Rows { registers: bytemuck::cast_slice(panel), width: panel_stride / lanes };
        let sums = bytemuck::cast_slice_mut(sums);
        let (width, first) = (stride / lanes, first / lanes);
        match transposed {
            false => add_lists::<S, T, _>(simd, || block.rows(), panel, sums, width, first),
            true => add_lists::<S, T, _>(simd, || block.columns(), panel, sums, width, first),
        }
    }
}

/// Rows of so many registers each.
#[derive(Clone, Copy)]
struct Rows<'a, Lanes> {
    registers: &'a [Lanes],
    width: usize,
}

/// The rows of `sums` have `width` registers, those of the panel are added to them from the `first` on.
#[inline(always)]
fn add_lists<'a, S: Simd, T: Float, Lists: Iterator<Item = &'a [Entry<T>]>>(
    simd: S,
    lists: impl Fn() -> Lists,
    panel: Rows<'_, T::Lanes<S>>,
    sums: &mut [T::Lanes<S>],
    width: usize,
    first: usize,
) {
    let mut done = 0;
    while done < panel.width {
        let sums = sums.chunks_exact_mut(width).map(|row| &mut row[first + done..]);
        // As many registers at once as are left, but for a power of two.
        done += match panel.width - done {
            8.. => add_strip::<S, T, 8>(simd, lists().zip(sums), panel, done),
            4.. => add_strip::<S, T, 4>(simd, lists().zip(sums), panel, done),
            2.. => add_strip::<S, T, 2>(simd, lists().zip(sums), panel, done),
            _ => add_strip::<S, T, 1>(simd, lists().zip(sums), panel, done),
        };
    }
}

/// To the first registers of each row of sums, from the panel's register `from` on. Returns how many these are.
#[inline(always)]
fn add_strip<'a, 's, S: Simd, T: Float, const REGISTERS: usize>(
    simd: S,
    lists: impl Iterator<Item = (&'a [Entry<T>], &'s mut [T::Lanes<S>])>,
    panel: Rows<'_, T::Lanes<S>>,
    from: usize,
) -> usize {
    for (list, sums) in lists {
        let Some(sums) = sums.first_chunk_mut::<REGISTERS>() else { break }; // never: a row has so many
        let mut registers = *sums;
        for entry in list {
            let value = entry.value.splat(simd);
            let row = &panel.registers[entry.index as usize * panel.width + from..][..REGISTERS];
            // By number: iterators over registers are not always inlined, and then they cost.
            for (register, sum) in registers.iter_mut().enumerate() {
                *sum = T::multiply_add(simd, value, row[register], *sum);
            }
        }
        *sums = registers;
    }
    REGISTERS
}

#[cfg(all(test, target_arch = "x86_64"))]
mod tests {
    use pulp::x86::{V3, V4};

    use super::*;
    use crate::exec::cpu::nonzeros::{ListSize, Lists};

    /// Sums of a block's lists over random numbers, as the instruction set computes them.
    fn sums(transposed: bool, work_on: impl FnOnce(AddRows<'_, f32>)) -> Vec<u32> {
        let number = |i: usize| (i * 7919 % 1009) as f32 / 1009.0 - 0.5;
        let matrix: Vec<f32> = (0..SIDE * SIDE).map(|i| number(i).max(0.0)).collect();
        let mut nonzeros = Nonzeros::new(ListSize { rows: SIDE, columns: SIDE, lists: Lists::Both });
        nonzeros.fill(&matrix);
        // A panel of 208 columns into sums of 240, from the 16th on: strips of eight registers and of fewer.
        let (panel_stride, stride, first) = (208, 240, 16);
        let panel: Vec<f32> = (0..SIDE * panel_stride).map(|i| number(i + 1)).collect();
        let mut sums: Vec<f32> = (0..SIDE * stride).map(|i| number(i + 2)).collect();
        let block = nonzeros.block(0, 0);
        let sums_of_block = &mut sums[..];
        work_on(AddRows {
            block,
            transposed,
            panel: &panel,
            panel_stride,
            sums: sums_of_block,
            stride,
            first,
        });
        sums.iter().map(|x| x.to_bits()).collect()
    }

    #[test]
    fn avx2_and_avx512_give_the_same_bits() {
        let (Some(avx2), Some(avx512)) = (V3::try_new(), V4::try_new()) else {
            return eprintln!("skipped: this processor has not both");
        };
        for transposed in [false, true] {
            let narrow = sums(transposed, |work| avx2.vectorize(Narrow(avx2, work)));
            let wide = sums(transposed, |work| avx512.vectorize(Wide(avx512, work)));
            assert!(narrow == wide);
            assert!(narrow != sums(transposed, |_| {}), "nothing was added");
        }
    }

    struct Narrow<'a>(V3, AddRows<'a, f32>);
    struct Wide<'a>(V4, AddRows<'a, f32>);

    impl pulp::NullaryFnOnce for Narrow<'_> {
        type Output = ();
        fn call(self) {
            self.1.with_simd(self.0);
        }
    }

    impl pulp::NullaryFnOnce for Wide<'_> {
        type Output = ();
        fn call(self) {
            self.1.with_simd(self.0);
        }
    }
}
