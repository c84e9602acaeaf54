//! Transposed copies of rectangles, 16×16 elements at a time in registers where there is AVX-512.

use std::ops::Range;

use super::vectorized::vectorized;
use crate::float::Float;

/// Rows and columns of a square.
const SIDE: usize = 16;

/// Some rows and columns of a matrix.
#[derive(Clone)]
pub(super) struct Rectangle<'a, T> {
    pub data: &'a [T],
    /// From row to row of the matrix.
    pub apart: usize,
    pub rows: Range<usize>,
    pub columns: Range<usize>,
}

impl<'a, T> Rectangle<'a, T> {
    /// A whole matrix.
    pub fn of(data: &'a [T], [rows, columns]: [usize; 2]) -> Self {
        Self { data, apart: columns, rows: 0..rows, columns: 0..columns }
    }
}

/// Copies a rectangle transposed: to rows that are `stride` apart.
pub(super) fn transpose<T: Float>(from: Rectangle<'_, T>, out: &mut [T], stride: usize) {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx512f")
        && let (Some(data), Some(out)) = (T::as_float32(from.data), T::as_float32_mut(out))
    {
        let Rectangle { apart, rows, columns, .. } = from;
        // SAFETY: the feature was just found.
        return unsafe { avx512::transpose(Rectangle { data, apart, rows, columns }, out, stride) };
    }
    element_by_element(from, out, stride);
}

/// The same on any processor.
fn element_by_element<T: Float>(from: Rectangle<'_, T>, out: &mut [T], stride: usize) {
    let Rectangle { data, apart, rows, columns } = from;
    vectorized(
        #[inline(always)]
        || {
            // A few rows of the result at a time, whose cache lines are written to from every row.
            for (i, first) in columns.clone().step_by(SIDE).enumerate() {
                let stretch = first..columns.end.min(first + SIDE);
                let out = &mut out[i * SIDE * stride..];
                for (j, row) in rows.clone().enumerate() {
                    let values = &data[row * apart..][stretch.clone()];
                    for (out, &x) in out[j..].iter_mut().step_by(stride).zip(values) {
                        *out = x;
                    }
                }
            }
        },
    );
}

#[cfg(target_arch = "x86_64")]
pub(super) mod avx512 {
    use super::{Rectangle, SIDE, element_by_element};
    use std::arch::x86_64::*;

    #[target_feature(enable = "avx512f")]
    pub(super) fn transpose(from: Rectangle<'_, f32>, out: &mut [f32], stride: usize) {
        let Rectangle { data, apart, rows, columns } = from;
        for (i, row) in rows.clone().step_by(SIDE).enumerate() {
            for (j, column) in columns.clone().step_by(SIDE).enumerate() {
                let out = &mut out[j * SIDE * stride + i * SIDE..];
                if row + SIDE <= rows.end && column + SIDE <= columns.end {
                    let line = |line| {
                        let line = &data[(row + line) * apart + column..][..SIDE];
                        // SAFETY: 16 elements are a vector.
                        unsafe { _mm512_loadu_si512(line.as_ptr().cast()) }
                    };
                    let lines = exchanged(std::array::from_fn(line));
                    for (line, out) in lines.into_iter().zip(out.chunks_mut(stride)) {
                        // SAFETY: likewise.
                        unsafe { _mm512_storeu_si512(out[..SIDE].as_mut_ptr().cast(), line) };
                    }
                } else {
                    let (rows, columns) =
                        (row..rows.end.min(row + SIDE), column..columns.end.min(column + SIDE));
                    element_by_element(Rectangle { data, apart, rows, columns }, out, stride);
                }
            }
        }
    }

    /// 16 lines of 16 words transposed: lines and words change places bit by bit of their numbers, between two lines that
    /// differ in one bit the halves of the words that differ in it.
    #[inline]
    #[target_feature(enable = "avx512f")]
    pub fn exchanged(mut lines: [__m512i; SIDE]) -> [__m512i; SIDE] {
        exchange::<1>(&mut lines);
        exchange::<2>(&mut lines);
        exchange::<4>(&mut lines);
        exchange::<8>(&mut lines);
        lines
    }

    #[inline]
    #[target_feature(enable = "avx512f")]
    fn exchange<const BIT: usize>(lines: &mut [__m512i; SIDE]) {
        // SAFETY: 16 words are one vector.
        let [low, high] = const { &chosen(BIT) }
            .each_ref()
            .map(|words| unsafe { _mm512_loadu_si512(words.as_ptr().cast()) });
        for pair in 0..SIDE / 2 {
            // The numbers without the bit, counted: the compiler unrolls this loop, and keeps the lines in registers.
            let line = pair / BIT * 2 * BIT + pair % BIT;
            let (first, second) = (lines[line], lines[line | BIT]);
            lines[line] = _mm512_permutex2var_epi32(first, low, second);
            lines[line | BIT] = _mm512_permutex2var_epi32(first, high, second);
        }
    }

    /// Which of the 32 words of two lines each of them gets; those of the second are numbered from 16.
    const fn chosen(bit: usize) -> [[i32; SIDE]; 2] {
        let mut chosen = [[0; SIDE]; 2];
        let mut word = 0;
        while word < SIDE {
            let from = if word & bit == 0 { word } else { SIDE + word - bit };
            chosen[0][word] = from as i32;
            chosen[1][word] = (from + bit) as i32;
            word += 1;
        }
        chosen
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rectangle_comes_out_transposed_and_nothing_else_is_touched() {
        for (rows, columns) in [(3..35, 5..21), (0..16, 0..16), (2..40, 1..51), (4..5, 0..60), (0..33, 7..7)]
        {
            let (apart, stride) = (61, 43);
            let data: Vec<f32> = (0..60 * apart).map(|i| i as f32).collect();
            let mut out = vec![-1.0; 60 * stride];
            let from = Rectangle { data: &data[..], apart, rows: rows.clone(), columns: columns.clone() };
            transpose(from, &mut out, stride);
            for (i, &found) in out.iter().enumerate() {
                let (row, column) = (i / stride, i % stride);
                let is_inside = row < columns.len() && column < rows.len();
                let expected = (rows.start + column) * apart + columns.start + row;
                assert_eq!(found, if is_inside { expected as f32 } else { -1.0 }, "{rows:?}, {columns:?}");
            }
            let wide: Vec<f64> = data.iter().map(|&x| x.into()).collect();
            let mut plain = vec![-1.0; out.len()];
            transpose(Rectangle { data: &wide[..], apart, rows, columns }, &mut plain, stride);
            assert!(out.iter().zip(plain).all(|(&x, y)| f64::from(x) == y));
        }
    }
}
