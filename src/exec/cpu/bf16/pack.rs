//! Packing: float32 matrices into tiles of bfloat16, rounded to nearest even; subnormal numbers become zero, as which the units
//! would read them.
//!
//! A tile is 16 lines of 16 pairs along k. In A's tile a line is a row, in B's it is a pair of rows of k, so the
//! tile of a transposed matrix is the other operand's tile with lines and pairs exchanged. Two ways to read the source
//! (`along` its rows, `across` two of them) and one transposition of 16×16 words make all four packers.
//!
//! Source: Intel 64 and IA-32 Architectures Software Developer's Manual, volume 2, VCVTNE2PS2BF16.

use std::array::from_fn;
use std::ops::Range;

use half::bf16;

use super::block::{STEP, TILE, TILE_SIZE};
use super::model::flush;

/// Pairs along k in a line of a tile, and lines in a tile.
const PAIRS: usize = STEP / 2;

/// A tile as words: each a pair along k, the first in the low half.
type Words = [[u32; PAIRS]; TILE];

/// A tile's place among others.
type Tile = [bf16; TILE_SIZE];

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
            Reading::Along => {
                Rows { data: &data[along.start * stride..], rows: along.len(), stride, columns }
            }
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
        && is_x86_feature_detected!("avx512bf16")
    {
        // SAFETY: the features were just found.
        unsafe { avx512::pack(source, reading, transposed, out) };
        return;
    }
    portable(source, reading, transposed, out);
}

fn portable(source: Rows<'_>, reading: Reading, transposed: bool, out: &mut [bf16]) {
    each_tile(source, reading, out, |part, tile| {
        let mut words: Words = match reading {
            Reading::Along => from_fn(|line| {
                let row = part.row(line);
                from_fn(|pair| word_of(row[2 * pair], row[2 * pair + 1]))
            }),
            Reading::Across => from_fn(|line| {
                let (first, second) = (part.row(2 * line), part.row(2 * line + 1));
                from_fn(|pair| word_of(first[pair], second[pair]))
            }),
        };
        if transposed {
            words = from_fn(|line| from_fn(|pair| words[pair][line]));
        }
        for (pair, word) in tile.as_chunks_mut().0.iter_mut().zip(words.as_flattened()) {
            *pair = [*word as u16, (word >> 16) as u16].map(bf16::from_bits);
        }
    });
}

/// Calls `pack` for each tile's part of the source, in the source's order, with the tile's place. Beyond the source's edge there
/// are zeros.
#[inline(always)]
fn each_tile(source: Rows<'_>, reading: Reading, out: &mut [bf16], pack: impl Fn(Rows<'_>, &mut Tile)) {
    let (steps, rows, columns) = match reading {
        Reading::Along => (source.columns.div_ceil(STEP), TILE, STEP),
        Reading::Across => (source.rows.div_ceil(STEP), STEP, TILE),
    };
    let tiles = out.as_chunks_mut().0;
    for (i, row) in (0..source.rows).step_by(rows).enumerate() {
        for (j, column) in (0..source.columns).step_by(columns).enumerate() {
            let (band, step) = if reading == Reading::Along { (i, j) } else { (j, i) };
            let tile = &mut tiles[band * steps + step];
            if row + rows <= source.rows && column + columns <= source.columns {
                let data = &source.data[row * source.stride + column..];
                pack(Rows { data, stride: source.stride, rows, columns }, tile);
            } else {
                let data = &padded(source, [row, column], columns);
                pack(Rows { data, stride: columns, rows, columns }, tile);
            }
        }
    }
}

/// A tile's part of the source at its edge, of so many columns, with zeros beyond.
fn padded(source: Rows<'_>, [row, column]: [usize; 2], columns: usize) -> [f32; TILE_SIZE] {
    let mut padded = [0.0; TILE_SIZE];
    let there = (source.columns - column).min(columns);
    for (padded, row) in padded.chunks_exact_mut(columns).zip(row..source.rows) {
        padded[..there].copy_from_slice(&source.row(row)[column..][..there]);
    }
    padded
}

fn word_of(first: f32, second: f32) -> u32 {
    let [first, second] = [first, second].map(|x| bf16::from_f32(flush(x)).to_bits());
    u32::from(first) | u32::from(second) << 16
}

#[cfg(target_arch = "x86_64")]
mod avx512 {
    use std::arch::x86_64::*;
    use std::array::from_fn;
    use std::mem::transmute;

    use half::bf16;

    use super::{Reading, Rows, STEP, TILE, Tile, each_tile};
    use crate::exec::cpu::transpose::avx512::exchanged;

    #[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
    pub fn pack(source: Rows<'_>, reading: Reading, transposed: bool, out: &mut [bf16]) {
        // Each its own, so that none asks tile by tile.
        match (reading, transposed) {
            (Reading::Along, false) => each_tile(source, Reading::Along, out, |part, tile| {
                put(from_fn(|line| along(part, line)), tile)
            }),
            (Reading::Across, false) => each_tile(source, Reading::Across, out, |part, tile| {
                put(from_fn(|line| across(part, line)), tile)
            }),
            (Reading::Along, true) => each_tile(source, Reading::Along, out, |part, tile| {
                put(exchanged(from_fn(|line| along(part, line))), tile)
            }),
            (Reading::Across, true) => each_tile(source, Reading::Across, out, |part, tile| {
                put(exchanged(from_fn(|line| across(part, line))), tile)
            }),
        }
    }

    /// 32 elements of a row.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bf16")]
    fn along(part: Rows<'_>, line: usize) -> __m512i {
        let row = part.row(line)[..STEP].as_ptr();
        // SAFETY: 32 elements are two vectors.
        unsafe { rounded(_mm512_loadu_ps(row), _mm512_loadu_ps(row.add(TILE))) }
    }

    /// 16 elements each of two rows.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
    fn across(part: Rows<'_>, line: usize) -> __m512i {
        let rows = [part.row(2 * line), part.row(2 * line + 1)].map(|row| row[..TILE].as_ptr());
        // SAFETY: 16 elements are a vector.
        let [first, second] = rows.map(|row| unsafe { _mm512_loadu_ps(row) });
        let alternate: [u16; STEP] = from_fn(|i| (i / 2 + i % 2 * TILE) as u16);
        // SAFETY: both types are 64 bytes of which any pattern is a value.
        _mm512_permutexvar_epi16(
            unsafe { transmute::<[u16; STEP], __m512i>(alternate) },
            rounded(first, second),
        )
    }

    /// The elements of two vectors, one after the other.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bf16")]
    fn rounded(first: __m512, second: __m512) -> __m512i {
        // SAFETY: both types are 64 bytes of which any pattern is a value.
        unsafe { transmute::<__m512bh, __m512i>(_mm512_cvtne2ps_pbh(second, first)) }
    }

    #[inline]
    #[target_feature(enable = "avx512f")]
    fn put(lines: [__m512i; TILE], tile: &mut Tile) {
        for (line, out) in lines.into_iter().zip(tile.as_chunks_mut::<STEP>().0) {
            // SAFETY: a line of the tile is a vector.
            unsafe { _mm512_storeu_si512(out.as_mut_ptr().cast(), line) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_pack_the_same_bits_as_the_portable_code() {
        let (rows, columns) = (71, 85);
        let data: Vec<f32> =
            (0..rows * columns).map(|i| f32::from_bits((i as u32).wrapping_mul(0x9e37_79b9))).collect();
        let source = Rows { data: &data, stride: columns, rows, columns };
        for (reading, extent, k) in [(Reading::Along, rows, columns), (Reading::Across, columns, rows)] {
            for transposed in [false, true] {
                let mut out = [(); 2].map(|()| vec![bf16::NAN; extent.div_ceil(TILE) * band_size(k)]);
                pack(source, reading, transposed, &mut out[0]);
                portable(source, reading, transposed, &mut out[1]);
                let [chosen, portable] = out.map(|out| out.iter().map(|x| x.to_bits()).collect::<Vec<_>>());
                assert!(chosen == portable, "{reading:?}, transposed: {transposed}");
            }
        }
    }
}
