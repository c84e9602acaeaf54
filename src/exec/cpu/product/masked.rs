//! Products of which only some elements are needed: adjoints of what ReLU let through.
//!
//! C = A Bᵀ is computed where a matrix of C's extents, what ReLU left, is not zero; elsewhere it stays zero, but in full
//! blocks. An element is then a dot product of two rows that lie in memory: no row of the other operand is a sum's
//! neighbour, so the registers go along the summands, and B, which everybody else would have to transpose, is read as it lies.
//!
//! A dot product runs over a panel's summands in [`LANES`] chains, one for each summand's number modulo that; the chains are added up
//! in halves, and panel after panel to the sum. The order is the same whatever the vectors.

use std::array::from_fn;
use std::ops::Range;

use pulp::{Simd, WithSimd};

use super::tile::Second;
use crate::exec::cpu::nonzeros::{Block, List, Nonzeros, SIDE};
use crate::exec::cpu::panels::PANEL;
use crate::float::Float;
use crate::graph::Shape;
use crate::ops::{MatMul, Tensor};

/// The chains of a dot product.
const LANES: usize = 16;

/// Whether the products of some shape can be computed so: if `b` is a second operand's shape.
pub(in crate::exec::cpu) fn can_mask(matmul: MatMul, b: &Shape) -> bool {
    !matmul.transpose_a && matmul.transpose_b && b[1] > 0 && b[1].is_multiple_of(LANES)
}

/// The tile of these rows and columns: adds to `sums`, whose rows are `stride` apart.
pub(super) fn add<T: Float>(
    only: &Nonzeros<T>,
    a: Tensor<'_, T>,
    b: Second<'_, T>,
    (rows, columns): (&Range<usize>, &Range<usize>),
    sums: &mut [T],
    stride: usize,
) {
    let k = a.shape[1];
    for summands in (0..k).step_by(PANEL).map(|first| first..k.min(first + PANEL)) {
        for column_band in columns.start / SIDE..columns.end.div_ceil(SIDE) {
            let first_column = column_band * SIDE;
            let (first, apart) = b.layout.rectangle(first_column, &summands);
            for (i, sums) in sums.chunks_mut(SIDE * stride).enumerate() {
                let band = rows.start / SIDE + i;
                pulp::Arch::new().dispatch(AddDots {
                    only: only.block(band, column_band),
                    a: &a.data[band * SIDE * k + summands.start..],
                    a_apart: k,
                    b: &b.data[first..],
                    b_apart: apart,
                    summands: summands.len(),
                    sums: &mut sums[first_column - columns.start..],
                    stride,
                });
            }
        }
    }
}

/// Adds, for each row and each column that a block lists in it, the dot product of that row of A and that row of B.
struct AddDots<'a, T> {
    only: Block<'a, T>,
    a: &'a [T],
    a_apart: usize,
    b: &'a [T],
    b_apart: usize,
    summands: usize,
    sums: &'a mut [T],
    stride: usize,
}

impl<T: Float> WithSimd for AddDots<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        // So many registers hold the chains of a dot product.
        match LANES * size_of::<T>() / size_of::<T::Lanes<S>>() {
            0 | 1 => self.add::<S, 1>(simd),
            2 => self.add::<S, 2>(simd),
            4 => self.add::<S, 4>(simd),
            8 => self.add::<S, 8>(simd),
            _ => self.add::<S, LANES>(simd),
        }
    }
}

/// Numbers for each chain of a full panel.
const LINKS: usize = PANEL / LANES;

impl<T: Float> AddDots<'_, T> {
    #[inline(always)]
    fn add<S: Simd, const REGISTERS: usize>(self, simd: S) {
        let Self { only, a, a_apart, b, b_apart, summands, sums, stride } = self;
        for (row, List { indices, .. }) in only.rows().enumerate() {
            if indices.is_empty() {
                continue;
            }
            let (a, _) = a[row * a_apart..][..summands].as_chunks::<LANES>();
            let sums = &mut sums[row * stride..];
            let of_b = |index: usize| b[index * b_apart..][..summands].as_chunks::<LANES>().0;
            match a.first_chunk::<LINKS>() {
                // A full panel's row of A stays in registers.
                Some(a) => {
                    let a = a.each_ref().map(load::<S, T, REGISTERS>);
                    for index in indices.iter().copied().map(usize::from) {
                        let Some(b) = of_b(index).first_chunk::<LINKS>() else { break }; // never: B's rows are as long
                        let mut chains = [T::zero().splat(simd); REGISTERS];
                        for link in 0..LINKS {
                            add_link::<S, T, REGISTERS>(simd, &a[link], &b[link], &mut chains);
                        }
                        sums[index] += total::<S, T, REGISTERS>(simd, chains);
                    }
                }
                None => {
                    for index in indices.iter().copied().map(usize::from) {
                        let mut chains = [T::zero().splat(simd); REGISTERS];
                        for (a, b) in a.iter().zip(of_b(index)) {
                            add_link::<S, T, REGISTERS>(simd, &load::<S, T, REGISTERS>(a), b, &mut chains);
                        }
                        sums[index] += total::<S, T, REGISTERS>(simd, chains);
                    }
                }
            }
        }
    }
}

/// Adds the product of a number each to the chains.
#[inline(always)]
fn add_link<S: Simd, T: Float, const REGISTERS: usize>(
    simd: S,
    a: &[T::Lanes<S>; REGISTERS],
    b: &[T; LANES],
    chains: &mut [T::Lanes<S>; REGISTERS],
) {
    let b = load::<S, T, REGISTERS>(b);
    for register in 0..REGISTERS {
        chains[register] = T::multiply_add(simd, a[register], b[register], chains[register]);
    }
}

/// The numbers as so many registers, wherever they lie.
#[inline(always)]
fn load<S: Simd, T: Float, const REGISTERS: usize>(numbers: &[T; LANES]) -> [T::Lanes<S>; REGISTERS] {
    let bytes: &[u8] = bytemuck::cast_slice(numbers);
    let length = bytes.len() / REGISTERS;
    from_fn(|register| bytemuck::pod_read_unaligned(&bytes[register * length..][..length]))
}

/// The sum of the chains, in halves: of the registers, then of the last one's lanes.
#[inline(always)]
fn total<S: Simd, T: Float, const REGISTERS: usize>(simd: S, mut chains: [T::Lanes<S>; REGISTERS]) -> T {
    let (one, mut half) = (T::one().splat(simd), REGISTERS / 2);
    while half > 0 {
        for register in 0..half {
            chains[register] = T::multiply_add(simd, one, chains[register], chains[register + half]);
        }
        half /= 2;
    }
    T::reduce_sum(simd, chains[0])
}

#[cfg(all(test, target_arch = "x86_64"))]
mod tests {
    use pulp::x86::{V3, V4};

    use super::*;
    use crate::exec::cpu::nonzeros::{ListSize, Lists};

    fn number(i: usize) -> f32 {
        (i * 7919 % 1009) as f32 / 1009.0 - 0.5
    }

    /// The elements of 20 rows and 50 columns, whose rows are dot products of so many summands, as an instruction set computes them.
    fn elements(summands: usize, add: impl FnOnce(AddDots<'_, f32>)) -> (Vec<f32>, Vec<f32>) {
        let (rows, columns) = (20, 50);
        let mask: Vec<f32> = (0..rows * columns).map(|i| (number(i) - 0.2).max(0.0)).collect();
        let mut only = Nonzeros::new(ListSize { rows, columns, lists: Lists::ByRow });
        only.fill(&mask);
        let [a, b] =
            [rows, columns].map(|rows| (0..rows * summands).map(|i| number(i + rows)).collect::<Vec<f32>>());
        let mut sums = vec![0.0; rows * columns];
        add(AddDots {
            only: only.block(0, 0),
            a: &a,
            a_apart: summands,
            b: &b,
            b_apart: summands,
            summands,
            sums: &mut sums,
            stride: columns,
        });
        let expected = (0..rows * columns).map(|i| {
            let [a, b] = [(&a, i / columns), (&b, i % columns)]
                .map(|(matrix, row)| &matrix[row * summands..][..summands]);
            let dot: f64 = a.iter().zip(b).map(|(&x, &y)| f64::from(x) * f64::from(y)).sum();
            if mask[i] == 0.0 { 0.0 } else { dot as f32 }
        });
        (sums, expected.collect())
    }

    #[test]
    fn avx2_and_avx512_give_the_same_bits_and_dot_products() {
        for summands in [16, 48, PANEL] {
            let (Some(avx2), Some(avx512)) = (V3::try_new(), V4::try_new()) else {
                return eprintln!("skipped: this processor has not both");
            };
            let (narrow, expected) = elements(summands, |work| Simd::vectorize(avx2, work));
            let (wide, _) = elements(summands, |work| Simd::vectorize(avx512, work));
            assert!(narrow.iter().zip(&wide).all(|(a, b)| a.to_bits() == b.to_bits()), "{summands}");
            assert!(narrow.iter().zip(&expected).all(|(a, b)| (a - b).abs() <= 1e-5), "{summands}");
            assert!(expected.iter().any(|&x| x.abs() > 0.1));
        }
    }
}
