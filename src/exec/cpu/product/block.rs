//! What a block of A adds to the sums of a tile: rows of a panel, times the block's elements.

use std::ops::Range;

use pulp::{Simd, WithSimd};

use crate::exec::cpu::nonzeros::{Block, List};
use crate::float::Float;

/// The factors of a block's rows of C.
pub(super) enum Factors<'a, T> {
    /// A row of C for each row of a block.
    ByRow(Block<'a, T>),
    /// A row of C for each column of a block.
    ByColumn(Block<'a, T>),
    /// All, zeros too.
    Dense(Dense<'a, T>),
}

/// A rectangle of a matrix A, or of its transpose.
pub(super) struct Dense<'a, T> {
    pub values: &'a [T],
    /// From row to row of the matrix in memory.
    pub width: usize,
    pub transposed: bool,
    /// Of C, and so of A, or columns of the matrix if it is transposed.
    pub rows: Range<usize>,
    pub summands: Range<usize>,
}

/// Adds to each row of `sums` the rows of the panel that the factors of that row name, times the factors.
pub(super) struct AddBlock<'a, T> {
    pub factors: Factors<'a, T>,
    pub panel: &'a [T],
    pub sums: &'a mut [T],
    /// From row to row of the panel, and of the sums.
    pub stride: usize,
}

impl<T: Float> WithSimd for AddBlock<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { factors, panel, sums, stride } = self;
        let width = stride * size_of::<T>() / size_of::<T::Lanes<S>>();
        let (panel, sums) = (bytemuck::cast_slice(panel), bytemuck::cast_slice_mut(sums));
        match factors {
            Factors::ByRow(block) if !block.is_full() => {
                add_lists::<S, T, _>(simd, || block.rows(), panel, sums, width)
            }
            Factors::ByColumn(block) if !block.is_full() => {
                add_lists::<S, T, _>(simd, || block.columns(), panel, sums, width)
            }
            Factors::ByRow(block) => add_rows(simd, Dense::of(block, false), panel, sums, width),
            Factors::ByColumn(block) => {
                add_rows(simd, Transposed(Dense::of(block, true)), panel, sums, width)
            }
            Factors::Dense(dense) if dense.transposed => {
                add_rows(simd, Transposed(dense), panel, sums, width)
            }
            Factors::Dense(dense) => add_rows(simd, dense, panel, sums, width),
        }
    }
}

/// Adds what each row's list names. The rows of sums and panel have `width` registers.
#[inline(always)]
fn add_lists<'a, S: Simd, T: Float, Lists: Iterator<Item = List<'a, T>>>(
    simd: S,
    lists: impl Fn() -> Lists,
    panel: &[T::Lanes<S>],
    sums: &mut [T::Lanes<S>],
    width: usize,
) {
    let mut done = 0;
    while done < width {
        let panel = &panel[done..];
        let lists = lists().zip(sums.chunks_exact_mut(width).map(|row| &mut row[done..]));
        // As many registers at once as are left, but for a power of two.
        done += match width - done {
            8.. => add_listed::<S, T, 8>(simd, lists, panel, width),
            4.. => add_listed::<S, T, 4>(simd, lists, panel, width),
            2.. => add_listed::<S, T, 2>(simd, lists, panel, width),
            _ => add_listed::<S, T, 1>(simd, lists, panel, width),
        };
    }
}

/// The same for the first registers of each row. Returns how many these are.
#[inline(always)]
fn add_listed<'a, 's, S: Simd, T: Float, const REGISTERS: usize>(
    simd: S,
    lists: impl Iterator<Item = (List<'a, T>, &'s mut [T::Lanes<S>])>,
    panel: &[T::Lanes<S>],
    width: usize,
) -> usize {
    for (list, sums) in lists {
        if list.values.is_empty() {
            continue;
        }
        let Some(sums) = sums.first_chunk_mut::<REGISTERS>() else { break }; // never: a row has so many
        let mut registers = *sums;
        for (&index, &value) in list.indices.iter().zip(list.values) {
            let value = value.splat(simd);
            let row = &panel[usize::from(index) * width..][..REGISTERS];
            // By number: iterators over registers are not always inlined, and then they cost.
            for (register, sum) in registers.iter_mut().enumerate() {
                *sum = T::multiply_add(simd, value, row[register], *sum);
            }
        }
        *sums = registers;
    }
    REGISTERS
}

/// Factors of which none is left out.
trait All<T> {
    /// Whether a summand's factors lie one behind the other: then three rows at once of eight registers each are faster than
    /// four of four.
    const ARE_NEIGHBOURS: bool;

    /// Rows of sums, and summands.
    fn extents(&self) -> (usize, usize);

    /// The factors of some rows from the `first` on: for each summand one of each row.
    fn of_rows<const ROWS: usize>(&self, first: usize) -> impl Fn(usize) -> [T; ROWS];
}

impl<'a, T: Float> Dense<'a, T> {
    /// All of a full block.
    #[inline(always)]
    fn of(block: Block<'a, T>, transposed: bool) -> Self {
        let (values, width) = block.all_rows();
        let (rows, columns) = (0..values.len() / width.max(1), 0..width);
        let (rows, summands) = if transposed { (columns, rows) } else { (rows, columns) };
        Self { values, width, transposed, rows, summands }
    }
}

impl<T: Float> All<T> for Dense<'_, T> {
    const ARE_NEIGHBOURS: bool = false;

    #[inline(always)]
    fn extents(&self) -> (usize, usize) {
        (self.rows.len(), self.summands.len())
    }

    #[inline(always)]
    fn of_rows<const ROWS: usize>(&self, first: usize) -> impl Fn(usize) -> [T; ROWS] {
        let first = (self.rows.start + first) * self.width + self.summands.start;
        // By number, as above; so all are seen to be equally long.
        let mut rows = [&self.values[..0]; ROWS];
        for (row, factors) in rows.iter_mut().enumerate() {
            *factors = &self.values[first + row * self.width..][..self.summands.len()];
        }
        move |summand| {
            let mut factors = [T::zero(); ROWS];
            for row in 0..ROWS {
                factors[row] = rows[row][summand];
            }
            factors
        }
    }
}

/// The same of a transposed matrix: its rows are the summands'.
struct Transposed<'a, T>(Dense<'a, T>);

impl<T: Float> All<T> for Transposed<'_, T> {
    const ARE_NEIGHBOURS: bool = true;

    #[inline(always)]
    fn extents(&self) -> (usize, usize) {
        self.0.extents()
    }

    #[inline(always)]
    fn of_rows<const ROWS: usize>(&self, first: usize) -> impl Fn(usize) -> [T; ROWS] {
        let Dense { values, width, rows, summands, .. } = &self.0;
        let values = &values[summands.start * width + rows.start + first..];
        move |summand| {
            let mut factors = [T::zero(); ROWS];
            factors.copy_from_slice(&values[summand * width..][..ROWS]);
            factors
        }
    }
}

/// Adds all rows of the panel to each row of sums, times the factors: to several rows of sums at once, so that a register of the
/// panel is loaded once for all of them.
#[inline(always)]
fn add_rows<S: Simd, T: Float, F: All<T>>(
    simd: S,
    factors: F,
    panel: &[T::Lanes<S>],
    sums: &mut [T::Lanes<S>],
    width: usize,
) {
    let mut done = 0;
    while done < width {
        let (factors, sums, panel) = (&factors, &mut sums[done..], Strip { panel, width, first: done });
        // Sums, and some for the panel and for factors, fill the registers that there are; but rather the rows of a block
        // are a multiple of those at once, as what is left over goes row by row.
        done += if S::REGISTER_COUNT >= 32 {
            match width - done {
                8.. if F::ARE_NEIGHBOURS => add_strip::<S, T, 3, 8>(simd, factors, panel, sums),
                4.. => add_strip::<S, T, 4, 4>(simd, factors, panel, sums),
                2.. => add_strip::<S, T, 8, 2>(simd, factors, panel, sums),
                _ => add_strip::<S, T, 16, 1>(simd, factors, panel, sums),
            }
        } else {
            match width - done {
                4.. => add_strip::<S, T, 2, 4>(simd, factors, panel, sums),
                2.. => add_strip::<S, T, 4, 2>(simd, factors, panel, sums),
                _ => add_strip::<S, T, 8, 1>(simd, factors, panel, sums),
            }
        };
    }
}

/// The same for the first registers of each row, `ROWS` rows at once, and those that are left one by one. Returns how many registers
/// these are.
#[inline(always)]
fn add_strip<S: Simd, T: Float, const ROWS: usize, const REGISTERS: usize>(
    simd: S,
    factors: &impl All<T>,
    panel: Strip<'_, T::Lanes<S>>,
    sums: &mut [T::Lanes<S>],
) -> usize {
    let (rows, summands) = factors.extents();
    let together = rows / ROWS * ROWS;
    for first in (0..together).step_by(ROWS) {
        let sums = &mut sums[first * panel.width..];
        add_some::<S, T, ROWS, REGISTERS>(simd, factors.of_rows(first), summands, panel, sums);
    }
    for first in together..rows {
        let sums = &mut sums[first * panel.width..];
        add_some::<S, T, 1, REGISTERS>(simd, factors.of_rows(first), summands, panel, sums);
    }
    REGISTERS
}

/// Some registers of each row of a panel.
#[derive(Clone, Copy)]
struct Strip<'a, Lanes> {
    panel: &'a [Lanes],
    /// Registers of a row.
    width: usize,
    first: usize,
}

#[inline(always)]
fn add_some<S: Simd, T: Float, const ROWS: usize, const REGISTERS: usize>(
    simd: S,
    factors: impl Fn(usize) -> [T; ROWS],
    summands: usize,
    Strip { panel, width, first }: Strip<'_, T::Lanes<S>>,
    sums: &mut [T::Lanes<S>],
) {
    let mut registers = [[T::zero().splat(simd); REGISTERS]; ROWS];
    for (row, registers) in registers.iter_mut().enumerate() {
        registers.copy_from_slice(&sums[row * width..][..REGISTERS]);
    }
    for (summand, panel) in panel.chunks_exact(width).take(summands).enumerate() {
        let panel = &panel[first..][..REGISTERS];
        // By number, as above: `map` and `from_fn` over many are calls.
        let factors = factors(summand);
        let mut splats = [T::zero().splat(simd); ROWS];
        for row in 0..ROWS {
            splats[row] = factors[row].splat(simd);
        }
        for register in 0..REGISTERS {
            for row in 0..ROWS {
                registers[row][register] =
                    T::multiply_add(simd, splats[row], panel[register], registers[row][register]);
            }
        }
    }
    for (row, registers) in registers.iter().enumerate() {
        sums[row * width..][..REGISTERS].copy_from_slice(registers);
    }
}

#[cfg(all(test, target_arch = "x86_64"))]
mod tests {
    use pulp::x86::{V3, V4};

    use super::*;
    use crate::exec::cpu::nonzeros::{ListSize, Lists, Nonzeros, SIDE};

    fn number(i: usize) -> f32 {
        (i * 7919 % 1009) as f32 / 1009.0 - 0.5
    }

    /// A matrix of which about so many elements are zero.
    fn matrix(zeros: f32) -> Vec<f32> {
        (0..SIDE * SIDE).map(|i| if number(i) + 0.5 < zeros { 0.0 } else { number(i + 3) }).collect()
    }

    /// Sums of a matrix's or its transpose's rows over random numbers, as an instruction set computes them.
    fn sums(factors: Factors<'_, f32>, add: impl FnOnce(AddBlock<'_, f32>)) -> Vec<u32> {
        // As wide as asks for strips of eight registers and of fewer.
        let stride = 240;
        let panel: Vec<f32> = (0..SIDE * stride).map(|i| number(i + 1)).collect();
        let mut sums: Vec<f32> = (0..SIDE * stride).map(|i| number(i + 2)).collect();
        add(AddBlock { factors, panel: &panel, sums: &mut sums, stride });
        sums.iter().map(|x| x.to_bits()).collect()
    }

    #[test]
    fn avx2_and_avx512_dense_full_and_listed_give_the_same_bits() {
        let (Some(avx2), Some(avx512)) = (V3::try_new(), V4::try_new()) else {
            return eprintln!("skipped: this processor has not both");
        };
        for (zeros, transposed) in [(0.7, false), (0.7, true), (0.2, false), (0.2, true)] {
            let matrix = matrix(zeros);
            let mut nonzeros = Nonzeros::new(ListSize { rows: SIDE, columns: SIDE, lists: Lists::Both });
            nonzeros.fill(&matrix);
            let block = nonzeros.block(0, 0);
            assert_eq!(block.is_full(), zeros < 0.5);
            let of_block = || if transposed { Factors::ByColumn(block) } else { Factors::ByRow(block) };
            let (rows, summands) = (0..SIDE, 0..SIDE);
            let dense = || {
                let (rows, summands) = (rows.clone(), summands.clone());
                Factors::Dense(Dense { values: &matrix, width: SIDE, transposed, rows, summands })
            };
            let narrow = |work: AddBlock<'_, f32>| Simd::vectorize(avx2, work);
            let wide = |work: AddBlock<'_, f32>| Simd::vectorize(avx512, work);
            let expected = sums(of_block(), narrow);
            assert!(expected == sums(of_block(), wide), "{zeros} {transposed}: listed");
            assert!(expected == sums(dense(), narrow), "{zeros} {transposed}: dense, AVX2");
            assert!(expected == sums(dense(), wide), "{zeros} {transposed}: dense, AVX-512");
            assert!(expected != sums(dense(), |_| {}), "nothing was added");
        }
    }
}
