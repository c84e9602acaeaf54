//! Packing: float32 matrices into tiles of bfloat16, rounded to nearest even as `bf16::from_f32` does.
//!
//! A tile is 16 lines of 16 pairs along k. In A's tile a line is a row, in B's it is a pair of rows of k, so the
//! tile of a transposed matrix is the other operand's tile with lines and pairs exchanged. Two ways to read the source
//! (`along` its rows, `across` two of them) and one transposition of 16×16 words make all four packers.
//!
//! The rounding is integer arithmetic, which the compiler vectorizes: the same bits on every processor.
//! VCVTNEPS2BF16 would be one instruction for six, but flushes subnormal numbers.

use std::ops::Range;

use half::bf16;

use super::block::{STEP, TILE, TILE_SIZE};

/// Pairs along k in a line of a tile, and lines in a tile.
const PAIRS: usize = STEP / 2;

/// A tile as words: each a pair along k, the first in the low half.
type Words = [[u32; PAIRS]; TILE];

/// A row-major matrix of float32, `stride` elements from row to row.
#[derive(Clone, Copy)]
struct Rows<'a> {
    data: &'a [f32],
    stride: usize,
    rows: usize,
    columns: usize,
}

impl<'a> Rows<'a> {
    fn row(&self, row: usize) -> &'a [f32] {
        &self.data[row * self.stride..][..self.columns]
    }
}

/// An operand as it lies in memory, and which it is of a product A (m×k) · B (k×n).
#[derive(Clone, Copy)]
pub(in crate::exec::cpu) struct Operand<'a> {
    matrix: Rows<'a>,
    reading: Reading,
    /// Whether memory holds its transpose.
    transposed: bool,
}

impl<'a> Operand<'a> {
    /// A, or the matrix (rows, columns) whose transpose it is.
    pub fn first(data: &'a [f32], extents: (usize, usize), transposed: bool) -> Self {
        Self::new(data, extents, transposed, if transposed { Reading::Across } else { Reading::Along })
    }

    /// B, or the matrix (rows, columns) whose transpose it is.
    pub fn second(data: &'a [f32], extents: (usize, usize), transposed: bool) -> Self {
        Self::new(data, extents, transposed, if transposed { Reading::Along } else { Reading::Across })
    }

    fn new(data: &'a [f32], (rows, columns): (usize, usize), transposed: bool, reading: Reading) -> Self {
        assert_eq!(data.len(), rows * columns, "elements of a matrix of {rows} rows and {columns} columns");
        Self { matrix: Rows { data, stride: columns, rows, columns }, reading, transposed }
    }

    /// Its bands: of 16 rows of A, or of 16 columns of B, the last padded.
    pub fn bands(&self) -> usize {
        let Rows { rows, columns, .. } = self.matrix;
        if self.reading == Reading::Along { rows } else { columns }.div_ceil(TILE)
    }

    /// Packs some of the bands, one behind the other, each tile after tile along k.
    ///
    /// `out` should begin with a cache line: else each row of a tile is in two, and products take twice as long.
    ///
    /// # Panics
    /// When `out` is not as long as they are.
    pub fn pack(&self, bands: Range<usize>, out: &mut [bf16]) {
        let Rows { data, stride, rows, columns } = self.matrix;
        let extent = if self.reading == Reading::Along { rows } else { columns };
        let along = (bands.start * TILE).min(extent)..(bands.end * TILE).min(extent);
        let part = match self.reading {
            Reading::Along => Rows { data: &data[along.start * stride..], rows: along.len(), stride, columns },
            Reading::Across => {
                let data = data.get(along.start..).unwrap_or_default(); // none of no rows
                Rows { data, columns: along.len(), stride, rows }
            }
        };
        pack(part, self.reading, self.transposed, out);
    }
}

/// Elements of a packed band.
pub(in crate::exec::cpu) fn band_size(k: usize) -> usize {
    k.div_ceil(STEP) * TILE_SIZE
}

/// Where the source's k lies.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Reading {
    /// Along its rows: a tile is of 16 rows, 32 columns.
    Along,
    /// Across them: a tile is of 32 rows, 16 columns.
    Across,
}

fn pack(source: Rows<'_>, reading: Reading, transposed: bool, out: &mut [bf16]) {
    let (extent, k) = match reading {
        Reading::Along => (source.rows, source.columns),
        Reading::Across => (source.columns, source.rows),
    };
    assert_eq!(out.len(), extent.div_ceil(TILE) * band_size(k), "a packed operand of {extent} by {k}");
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512vl")
    {
        // SAFETY: the features were just found.
        unsafe { avx512::pack(source, reading, transposed, out) };
        return;
    }
    portable(source, reading, transposed, out);
}

fn portable(source: Rows<'_>, reading: Reading, transposed: bool, out: &mut [bf16]) {
    each_tile(source, reading, out, |words| {
        if transposed {
            transpose(words);
        }
    });
}

/// Reads tile after tile, in the source's order, and puts it in its place when `finish` has changed it.
#[inline(always)]
fn each_tile(source: Rows<'_>, reading: Reading, out: &mut [bf16], finish: impl Fn(&mut Words)) {
    let steps = match reading {
        Reading::Along => source.columns.div_ceil(STEP),
        Reading::Across => source.rows.div_ceil(STEP),
    };
    let (tile_rows, tile_columns) = match reading {
        Reading::Along => (TILE, STEP),
        Reading::Across => (STEP, TILE),
    };
    let mut words = [[0; PAIRS]; TILE];
    for (i, row) in (0..source.rows).step_by(tile_rows).enumerate() {
        for (j, column) in (0..source.columns).step_by(tile_columns).enumerate() {
            let (band, step) = if reading == Reading::Along { (i, j) } else { (j, i) };
            let whole = row + tile_rows <= source.rows && column + tile_columns <= source.columns;
            match reading {
                Reading::Along if whole => along(|line| &source.row(row + line)[column..], &mut words),
                Reading::Across if whole => across(|line| &source.row(row + line)[column..], &mut words),
                Reading::Along => {
                    let padded = padded::<TILE, STEP>(source, row, column);
                    along(|line| &padded[line], &mut words);
                }
                Reading::Across => {
                    let padded = padded::<STEP, TILE>(source, row, column);
                    across(|line| &padded[line], &mut words);
                }
            }
            finish(&mut words);
            put(&words, &mut out[(band * steps + step) * TILE_SIZE..][..TILE_SIZE]);
        }
    }
}

/// A line is 32 elements of a row.
#[inline(always)]
fn along<'a>(row: impl Fn(usize) -> &'a [f32], words: &mut Words) {
    for (line, words) in words.iter_mut().enumerate() {
        let row = &row(line)[..STEP];
        for (pair, word) in words.iter_mut().enumerate() {
            *word = word_of(row[2 * pair], row[2 * pair + 1]);
        }
    }
}

/// A line is 16 elements each of two rows.
#[inline(always)]
fn across<'a>(row: impl Fn(usize) -> &'a [f32], words: &mut Words) {
    for (line, words) in words.iter_mut().enumerate() {
        let (first, second) = (&row(2 * line)[..TILE], &row(2 * line + 1)[..TILE]);
        for (pair, word) in words.iter_mut().enumerate() {
            *word = word_of(first[pair], second[pair]);
        }
    }
}

/// A tile's part of the source at its edge, with zeros beyond.
fn padded<const ROWS: usize, const COLUMNS: usize>(
    source: Rows<'_>,
    row: usize,
    column: usize,
) -> [[f32; COLUMNS]; ROWS] {
    let mut padded = [[0.0; COLUMNS]; ROWS];
    let columns = (source.columns - column).min(COLUMNS);
    for (padded, row) in padded.iter_mut().zip(row..source.rows) {
        padded[..columns].copy_from_slice(&source.row(row)[column..][..columns]);
    }
    padded
}

#[inline(always)]
fn word_of(first: f32, second: f32) -> u32 {
    round(first) >> 16 | round(second) & 0xffff_0000
}

/// `x` as bfloat16 in the upper half; the lower is of no use.
#[inline(always)]
fn round(x: f32) -> u32 {
    let bits = x.to_bits();
    // Half of the last place that stays, less one if that place is even: a tie carries into odd ones only.
    let rounded = bits.wrapping_add(0x7fff + (bits >> 16 & 1));
    // A NaN must not be carried into infinity; it is made quiet, and keeps what payload fits.
    if x.is_nan() { bits | 0x0040_0000 } else { rounded }
}

#[inline(always)]
fn put(words: &Words, out: &mut [bf16]) {
    for (out, word) in out.chunks_exact_mut(2).zip(words.as_flattened()) {
        out[0] = bf16::from_bits(*word as u16);
        out[1] = bf16::from_bits((*word >> 16) as u16);
    }
}

fn transpose(words: &mut Words) {
    *words = std::array::from_fn(|line| std::array::from_fn(|pair| words[pair][line]));
}

#[cfg(target_arch = "x86_64")]
mod avx512 {
    use std::arch::x86_64::*;

    use half::bf16;

    use super::{Reading, Rows, TILE, Words, each_tile};

    /// The same code, which the compiler vectorizes for these features; only the transposition it would not find.
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    pub fn pack(source: Rows<'_>, reading: Reading, transposed: bool, out: &mut [bf16]) {
        match (reading, transposed) {
            (Reading::Along, false) => each_tile(source, Reading::Along, out, |_| {}),
            (Reading::Across, false) => each_tile(source, Reading::Across, out, |_| {}),
            (Reading::Along, true) => each_tile(source, Reading::Along, out, |words| transpose(words)),
            (Reading::Across, true) => each_tile(source, Reading::Across, out, |words| transpose(words)),
        }
    }

    /// Exchanges lines and pairs bit by bit of their numbers: between two lines that differ in one bit, the
    /// halves of the pairs that differ in it.
    #[inline]
    #[target_feature(enable = "avx512f")]
    fn transpose(words: &mut Words) {
        // SAFETY: a line is 64 bytes: one vector.
        let mut lines = words.each_ref().map(|line| unsafe { _mm512_loadu_si512(line.as_ptr().cast()) });
        exchange::<1>(&mut lines);
        exchange::<2>(&mut lines);
        exchange::<4>(&mut lines);
        exchange::<8>(&mut lines);
        for (line, words) in lines.into_iter().zip(words) {
            // SAFETY: likewise.
            unsafe { _mm512_storeu_si512(words.as_mut_ptr().cast(), line) };
        }
    }

    #[inline]
    #[target_feature(enable = "avx512f")]
    fn exchange<const BIT: usize>(lines: &mut [__m512i; TILE]) {
        // SAFETY: 16 words are one vector.
        let [low, high] = const { &chosen(BIT) }
            .each_ref()
            .map(|words| unsafe { _mm512_loadu_si512(words.as_ptr().cast()) });
        for pair in 0..TILE / 2 {
            // The numbers without the bit, counted: the compiler unrolls this loop, and keeps the lines in registers.
            let line = pair / BIT * 2 * BIT + pair % BIT;
            let (first, second) = (lines[line], lines[line | BIT]);
            lines[line] = _mm512_permutex2var_epi32(first, low, second);
            lines[line | BIT] = _mm512_permutex2var_epi32(first, high, second);
        }
    }

    /// Which of the 32 words of two lines each of them gets; those of the second are numbered from 16.
    const fn chosen(bit: usize) -> [[i32; TILE]; 2] {
        let mut chosen = [[0; TILE]; 2];
        let mut pair = 0;
        while pair < TILE {
            let word = if pair & bit == 0 { pair } else { TILE + pair - bit };
            chosen[0][pair] = word as i32;
            chosen[1][pair] = (word + bit) as i32;
            pair += 1;
        }
        chosen
    }
}

