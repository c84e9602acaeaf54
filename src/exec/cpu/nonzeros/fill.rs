//! Listing what is not zero in a block.

use std::ops::Range;

use crate::exec::cpu::vectorized::vectorized;
use crate::float::Float;

/// Rows and columns of a block: so many rows of the other operand, of a panel's width, fit the first-level cache.
pub const SIDE: usize = 64;

/// Where the lists of a block end: each row's elements, and each column's.
#[derive(Clone, Copy, bytemuck::Zeroable)]
pub(super) struct Ends {
    pub rows: [u16; SIDE],
    pub columns: [u16; SIDE],
    pub is_full: bool,
}

/// The part of a block from which on it is full. Walking through a list costs twice as much an element as several full ones
/// together.
const FULL: f64 = 0.5;

/// Where the elements of a full row stand.
pub(super) static NUMBERS: [u8; SIDE] = {
    let mut numbers = [0; SIDE];
    let mut number = 0;
    while number < SIDE {
        numbers[number] = number as u8;
        number += 1;
    }
    numbers
};

/// Room for elements and where they stand.
pub(super) struct ListMut<'a, T> {
    pub indices: &'a mut [u8],
    pub values: &'a mut [T],
}

impl<T> ListMut<'_, T> {
    pub fn split_at(self, position: usize) -> (Self, Self) {
        let (indices, more_indices) = self.indices.split_at_mut(position);
        let (values, more_values) = self.values.split_at_mut(position);
        (Self { indices, values }, Self { indices: more_indices, values: more_values })
    }
}

/// A block that is being filled.
pub(super) struct Filling<'a, T> {
    pub width: usize,
    pub by_row: ListMut<'a, T>,
    /// Empty where columns are not listed.
    pub by_column: ListMut<'a, T>,
    pub ends: &'a mut Ends,
}

impl<T: Float> Filling<'_, T> {
    /// Takes up some rows of at most [`SIDE`] elements; those before them are there already.
    pub fn fill<'a>(&mut self, rows: Range<usize>, row: impl Fn(usize) -> &'a [T])
    where
        T: 'a,
    {
        // Until the block is finished, the columns' ends are counts.
        if rows.start == 0 {
            self.ends.columns = [0; SIDE];
        }
        let mut end = rows.start.checked_sub(1).map_or(0, |before| usize::from(self.ends.rows[before]));
        for number in rows.clone() {
            end += pack(row(number), &mut self.by_row, end, &mut self.ends.columns);
            self.ends.rows[number] = end as u16;
        }
        self.ends.rows[rows.end..].fill(end as u16);
    }

    /// When all rows are there: takes up the block once more if it is full, or lists the columns. Without `row`, all at once, no block
    /// is full.
    pub fn finish<'a>(&mut self, row: Option<impl Fn(usize) -> &'a [T]>)
    where
        T: 'a,
    {
        let (count, size) = (usize::from(self.ends.rows[SIDE - 1]), self.by_row.values.len());
        let row = row.filter(|_| count > 0 && count as f64 >= FULL * size as f64);
        self.ends.is_full = row.is_some();
        if let Some(row) = row {
            let height = size / self.width;
            for (number, out) in self.by_row.values.chunks_exact_mut(self.width).enumerate() {
                out.copy_from_slice(row(number));
            }
            self.ends.rows = std::array::from_fn(|row| ((row + 1).min(height) * self.width) as u16);
        } else if !self.by_column.values.is_empty() {
            self.list_columns();
        }
    }

    fn list_columns(&mut self) {
        let mut sum = 0;
        for end in &mut self.ends.columns {
            sum += *end;
            *end = sum;
        }
        let Self { by_row, by_column, ends, .. } = self;
        let mut next = [0; SIDE];
        next[1..].copy_from_slice(&ends.columns[..SIDE - 1]);
        let mut start = 0;
        for (row, &end) in ends.rows.iter().enumerate() {
            let list = start..usize::from(end);
            for (&column, &value) in by_row.indices[list.clone()].iter().zip(&by_row.values[list]) {
                let place = &mut next[usize::from(column) % SIDE];
                by_column.indices[usize::from(*place)] = row as u8;
                by_column.values[usize::from(*place)] = value;
                *place += 1;
            }
            start = usize::from(end);
        }
    }
}

/// Appends what is not zero in a row to a list that has `end` elements, and counts it. Returns how many it is.
fn pack<T: Float>(row: &[T], list: &mut ListMut<'_, T>, end: usize, counts: &mut [u16; SIDE]) -> usize {
    let (indices, values) = (&mut list.indices[end..], &mut list.values[end..]);
    #[cfg(target_arch = "x86_64")]
    if let Some(avx512) = avx512::Avx512::of::<T>() {
        return avx512.pack(bytemuck::cast_slice(row), indices, bytemuck::cast_slice_mut(values), counts);
    }
    let mut left = vectorized(
        #[inline(always)]
        || bits_of_nonzeros(row),
    );
    let count = left.count_ones() as usize;
    for (index, value) in indices[..count].iter_mut().zip(&mut values[..count]) {
        let column = left.trailing_zeros() as usize;
        (*index, *value) = (column as u8, row[column]);
        counts[column] += 1;
        left &= left - 1;
    }
    count
}

/// Bit i says whether element i is other than zero: NaN is.
#[inline(always)]
fn bits_of_nonzeros<T: Float>(values: &[T]) -> u64 {
    let mut flags = [0_u8; SIDE];
    for (flag, &value) in flags.iter_mut().zip(values) {
        *flag = u8::from(value != T::zero());
    }
    // Eight flags at a time: the product brings flag i to bit 56 + i, and no two terms meet in a bit.
    let words = flags.as_chunks::<8>().0;
    words
        .iter()
        .rev()
        .fold(0, |bits, &word| bits << 8 | u64::from_le_bytes(word).wrapping_mul(0x0102_0408_1020_4080) >> 56)
}

/// The same by instructions that pack what a mask selects, 16 numbers at once, however many they are.
#[cfg(target_arch = "x86_64")]
mod avx512 {
    use std::any::TypeId;
    use std::arch::x86_64::*;

    use super::{NUMBERS, SIDE};

    /// The processor has the instructions.
    pub struct Avx512(());

    const LANES: usize = 16;

    impl Avx512 {
        /// For lists of float32 alone.
        pub fn of<T: 'static>() -> Option<Self> {
            let has = || {
                is_x86_feature_detected!("avx512bw")
                    && is_x86_feature_detected!("avx512vbmi2")
                    && is_x86_feature_detected!("popcnt")
            };
            (TypeId::of::<T>() == TypeId::of::<f32>() && has()).then_some(Self(()))
        }

        pub fn pack(
            self,
            row: &[f32],
            indices: &mut [u8],
            values: &mut [f32],
            counts: &mut [u16; SIDE],
        ) -> usize {
            // SAFETY: `of` has asked the processor.
            unsafe { pack(row, indices, values, counts) }
        }
    }

    /// As `super::pack`.
    #[target_feature(enable = "avx512f,avx512bw,avx512vbmi2,popcnt")]
    fn pack(row: &[f32], indices: &mut [u8], values: &mut [f32], counts: &mut [u16; SIDE]) -> usize {
        assert!(row.len() <= SIDE, "a row of a block");
        let (mut bits, mut end) = (0_u64, 0);
        for (number, part) in row.chunks(LANES).enumerate() {
            // SAFETY: the mask lets through as many elements as the part has, and then as many as there is room for.
            unsafe {
                let numbers = _mm512_maskz_loadu_ps(first(part.len()) as u16, part.as_ptr());
                let not_zero = _mm512_cmp_ps_mask::<_CMP_NEQ_UQ>(numbers, _mm512_setzero_ps());
                let count = not_zero.count_ones() as usize;
                let out = &mut values[end..end + count];
                let packed = _mm512_maskz_compress_ps(not_zero, numbers);
                _mm512_mask_storeu_ps(out.as_mut_ptr(), first(count) as u16, packed);
                bits |= u64::from(not_zero) << (number * LANES);
                end += count;
            }
        }
        let out = &mut indices[..end];
        // SAFETY: 64 bytes and twice 32 words are read, as many bytes written as there is room for.
        unsafe {
            let packed = _mm512_maskz_compress_epi8(bits, _mm512_loadu_epi8(NUMBERS.as_ptr().cast()));
            _mm512_mask_storeu_epi8(out.as_mut_ptr().cast(), first(end), packed);
            for half in 0..2 {
                let counts = counts[half * SIDE / 2..].as_mut_ptr().cast();
                let ones = _mm512_maskz_set1_epi16((bits >> (half * SIDE / 2)) as u32, 1);
                _mm512_storeu_epi16(counts, _mm512_add_epi16(_mm512_loadu_epi16(counts), ones));
            }
        }
        end
    }

    /// A mask of the first few lanes.
    fn first(count: usize) -> u64 {
        if count == 0 { 0 } else { u64::MAX >> (64 - count) }
    }

    #[cfg(test)]
    mod tests {
        use super::*;
        use crate::exec::cpu::nonzeros::fill::bits_of_nonzeros;

        #[test]
        fn packs_what_the_portable_code_packs() {
            let Some(_) = Avx512::of::<f32>() else { return eprintln!("skipped: no AVX-512 VBMI2 here") };
            for width in [0, 1, 15, 16, 17, 40, 63, 64] {
                for every in [1, 2, 3, 7, 1000] {
                    let special = [-0.0, f32::NAN, f32::INFINITY, 1e-45];
                    let number = |i: usize| {
                        if i.is_multiple_of(every) { i as f32 - 5.0 } else { special[i % 4] }
                    };
                    let row: Vec<f32> = (0..width).map(number).collect();
                    let (mut indices, mut values, mut counts) = ([99; SIDE], [9.0; SIDE], [3; SIDE]);
                    let count = Avx512(()).pack(&row, &mut indices, &mut values, &mut counts);
                    let expected: Vec<usize> = (0..width).filter(|&i| row[i] != 0.0).collect();
                    assert_eq!(
                        indices[..count].iter().map(|&i| usize::from(i)).collect::<Vec<_>>(),
                        expected
                    );
                    assert!(expected.iter().zip(&values).all(|(&i, x)| row[i].to_bits() == x.to_bits()));
                    assert!(
                        indices[count..].iter().all(|&i| i == 99)
                            && values[count..].iter().all(|&x| x == 9.0)
                    );
                    let bits = bits_of_nonzeros(&row);
                    assert!((0..SIDE).all(|i| counts[i] == 3 + (bits >> i & 1) as u16));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bit_is_its_elements() {
        for i in 0..SIDE {
            let mut values = [0.0; SIDE];
            values[i] = -1.0;
            assert_eq!(bits_of_nonzeros(&values), 1 << i);
            assert_eq!(bits_of_nonzeros(&values[..i]), 0);
        }
        assert_eq!(bits_of_nonzeros(&[1.0; SIDE]), u64::MAX);
    }
}
