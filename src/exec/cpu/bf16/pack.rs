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

use bytemuck::{Pod, Zeroable};
use half::bf16;

use super::block::{STEP, TILE, TILE_SIZE};
use super::model::flush;
use crate::exec::cpu::pieces::Pieces;
use crate::exec::cpu::scratch;
use crate::exec::cpu::team::beside;

/// Pairs along k in a line of a tile, and lines in a tile.
const PAIRS: usize = STEP / 2;

/// A tile as words: each a pair along k, the first in the low half.
type Words = [[u32; PAIRS]; TILE];

/// A tile's place among others.
type Tile = [bf16];

/// A row-major matrix of float32, `stride` elements from row to row.
#[derive(Clone, Copy, Debug)]
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
#[derive(Clone, Copy, Debug)]
pub(in crate::exec::cpu) struct Operand<'a> {
    matrix: Rows<'a>,
    way: Way,
}

impl<'a> Operand<'a> {
    /// A matrix (rows, columns), or its transpose.
    pub fn new(data: &'a [f32], (rows, columns): (usize, usize), way: Way) -> Self {
        assert_eq!(data.len(), rows * columns, "elements of a matrix of {rows} rows and {columns} columns");
        let matrix = Rows { data, stride: columns, rows, columns };
        Self { matrix, way }
    }

    /// Its bands: of 16 rows of A, or of 16 columns of B, the last padded.
    pub fn bands(&self) -> usize {
        let [bands, _] = self.way.tiles(self.matrix.rows, self.matrix.columns);
        bands
    }

    /// Packs some of the bands, one behind the other, each tile after tile along k.
    ///
    /// `out` should begin with a cache line: else each row of a tile is in two, and products take twice as long.
    ///
    /// # Panics
    /// When `out` is not as long as they are.
    pub fn pack(&self, bands: Range<usize>, out: &mut [bf16]) {
        let Rows { data, stride, rows, columns } = self.matrix;
        let reading = self.way.reading();
        let extent = if reading == Reading::Along { rows } else { columns };
        let along = (bands.start * TILE).min(extent)..(bands.end * TILE).min(extent);
        let part = match reading {
            Reading::Along => {
                Rows { data: &data[along.start * stride..], rows: along.len(), stride, columns }
            }
            Reading::Across => {
                let data = data.get(along.start..).unwrap_or_default(); // none of no rows
                Rows { data, columns: along.len(), stride, rows }
            }
        };
        let [count, steps] = self.way.tiles(part.rows, part.columns);
        assert_eq!(out.len(), count * steps * TILE_SIZE, "bands {bands:?} of {self:?}");
        let tiles = Pieces::of(out, TILE_SIZE);
        // SAFETY: all of `out` is lent for this.
        let places = unsafe { Places::new(&tiles, steps, 0, 0) };
        pack(part, self.way, places);
    }
}

/// A way in which a product reads an operand: as its first, and as its transpose.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::exec::cpu) struct Way {
    pub is_first: bool,
    pub transposed: bool,
}

/// As many as there are.
const WAYS: usize = 4;

impl Way {
    fn reading(self) -> Reading {
        if self.is_first == self.transposed { Reading::Across } else { Reading::Along }
    }

    /// Bands, and tiles in a band, of a matrix that is read so.
    fn tiles(self, rows: usize, columns: usize) -> [usize; 2] {
        match self.reading() {
            Reading::Along => [rows.div_ceil(TILE), columns.div_ceil(STEP)],
            Reading::Across => [columns.div_ceil(TILE), rows.div_ceil(STEP)],
        }
    }
}

/// A matrix that is nowhere but packed, once for each way in which products read it.
pub(in crate::exec::cpu) struct Packed {
    rows: usize,
    columns: usize,
    copies: Vec<(Way, Vec<Line>)>,
}

/// A line of a tile, and of the cache.
#[derive(Clone, Copy, Zeroable, Pod)]
#[repr(C, align(64))]
struct Line([u16; STEP]);

impl Packed {
    /// A matrix of zeros.
    pub fn new(rows: usize, columns: usize, ways: &[Way]) -> Self {
        let lines =
            |way: Way| vec![Line::zeroed(); way.tiles(rows, columns).iter().product::<usize>() * TILE];
        Self { rows, columns, copies: ways.iter().map(|&way| (way, lines(way))).collect() }
    }

    /// The bytes that one takes.
    pub fn bytes(rows: usize, columns: usize, ways: &[Way]) -> usize {
        let tiles = |way: &Way| way.tiles(rows, columns).iter().product::<usize>();
        ways.iter().map(tiles).sum::<usize>() * TILE_SIZE * size_of::<bf16>()
    }

    /// The elements that [`Self::fill_beside`] takes on each thread, for the while.
    pub fn scratch(rows: usize, columns: usize) -> usize {
        STEP.min(rows) * columns
    }

    /// Takes up the matrix, whose rows are written by `write(row, out)`, 32 in a task, beside some other work of this thread's team.
    pub fn fill_beside<R>(
        &mut self,
        write: impl Fn(usize, &mut [f32]) + Sync,
        work: impl FnOnce() -> R,
    ) -> R {
        let Self { rows, columns, .. } = *self;
        let tiles = |lines: &mut Vec<Line>| Pieces::of(bytemuck::cast_slice_mut(lines), TILE_SIZE);
        let mut copies: [Option<(Way, Pieces<bf16>)>; WAYS] = Default::default();
        for (copy, (way, lines)) in copies.iter_mut().zip(&mut self.copies) {
            *copy = Some((*way, tiles(lines)));
        }
        let task = |number: usize| {
            let first = number * STEP;
            let count = STEP.min(rows - first);
            scratch::with(count * columns, |data: &mut [f32]| {
                for (row, out) in data.chunks_exact_mut(columns).enumerate() {
                    write(first + row, out);
                }
                let part = Rows { data, stride: columns, rows: count, columns };
                for (way, tiles) in copies.iter().flatten() {
                    let [_, steps] = way.tiles(rows, columns);
                    let (band, step) = match way.reading() {
                        Reading::Along => (first / TILE, 0),
                        Reading::Across => (0, number),
                    };
                    // SAFETY: bands, or steps, of 32 rows are this task's alone, and the memory is borrowed until all are done.
                    let places = unsafe { Places::new(tiles, steps, band, step) };
                    pack(part, *way, places);
                }
            });
        };
        beside(if columns == 0 { 0 } else { rows.div_ceil(STEP) }, &task, work)
    }

    /// The bytes that it takes.
    #[cfg(test)]
    pub fn allocated(&self) -> usize {
        self.copies.iter().map(|(_, lines)| size_of_val(&lines[..])).sum()
    }

    /// All bands, as they are read in one of its ways.
    ///
    /// # Panics
    /// When it is in none.
    pub fn bands(&self, way: Way) -> &[bf16] {
        match self.copies.iter().find(|(other, _)| *other == way) {
            Some((_, lines)) => bytemuck::cast_slice(lines),
            None => panic!(
                "a matrix packed in the ways {:?}",
                self.copies.iter().map(|(way, _)| way).collect::<Vec<_>>()
            ),
        }
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

/// Where the tiles of a packed matrix go that are of some of its rows.
#[derive(Clone, Copy)]
struct Places<'a> {
    tiles: &'a Pieces<bf16>,
    /// From band to band.
    steps: usize,
    first_band: usize,
    first_step: usize,
}

impl<'a> Places<'a> {
    /// # Safety
    /// The tiles from these on are nobody else's for as long as this is used.
    unsafe fn new(tiles: &'a Pieces<bf16>, steps: usize, first_band: usize, first_step: usize) -> Self {
        Self { tiles, steps, first_band, first_step }
    }

    /// # Safety
    /// No reference to this tile is in use.
    #[expect(clippy::mut_from_ref, reason = "see the safety section")]
    unsafe fn tile(&self, band: usize, step: usize) -> &mut Tile {
        let number = (self.first_band + band) * self.steps + self.first_step + step;
        // SAFETY: the tile is the caller's, as `new` says.
        unsafe { self.tiles.piece(number) }
    }
}

fn pack(source: Rows<'_>, way: Way, places: Places<'_>) {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512bf16")
    {
        // SAFETY: the features were just found.
        unsafe { avx512::pack(source, way, places) };
        return;
    }
    portable(source, way, places);
}

fn portable(source: Rows<'_>, way: Way, places: Places<'_>) {
    let reading = way.reading();
    each_tile(source, reading, places, |part, tile| {
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
        if way.transposed {
            words = from_fn(|line| from_fn(|pair| words[pair][line]));
        }
        for (pair, word) in tile.as_chunks_mut().0.iter_mut().zip(words.as_flattened()) {
            *pair = [*word as u16, (word >> 16) as u16].map(bf16::from_bits);
        }
    });
}

/// Calls `pack` for each tile's part of the source, in the source's order, with the tile's place by its band and step. Beyond the
/// source's edge there are zeros.
#[inline(always)]
fn each_tile(source: Rows<'_>, reading: Reading, places: Places<'_>, pack: impl Fn(Rows<'_>, &mut Tile)) {
    let (rows, columns) = match reading {
        Reading::Along => (TILE, STEP),
        Reading::Across => (STEP, TILE),
    };
    for (i, row) in (0..source.rows).step_by(rows).enumerate() {
        for (j, column) in (0..source.columns).step_by(columns).enumerate() {
            let (band, step) = if reading == Reading::Along { (i, j) } else { (j, i) };
            // SAFETY: one tile after another is packed.
            let tile = unsafe { places.tile(band, step) };
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

    use super::{Places, Reading, Rows, STEP, TILE, Tile, Way, each_tile};
    use crate::exec::cpu::transpose::avx512::exchanged;

    #[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
    pub fn pack(source: Rows<'_>, way: Way, places: Places<'_>) {
        // Each its own, so that none asks tile by tile.
        match (way.reading(), way.transposed) {
            (Reading::Along, false) => each_tile(source, Reading::Along, places, |part, tile| {
                put(from_fn(|line| along(part, line)), tile)
            }),
            (Reading::Across, false) => each_tile(source, Reading::Across, places, |part, tile| {
                put(from_fn(|line| across(part, line)), tile)
            }),
            (Reading::Along, true) => each_tile(source, Reading::Along, places, |part, tile| {
                put(exchanged(from_fn(|line| along(part, line))), tile)
            }),
            (Reading::Across, true) => each_tile(source, Reading::Across, places, |part, tile| {
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
        for (line, out) in lines.into_iter().zip(tile.chunks_exact_mut(STEP)) {
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
        for (is_first, transposed) in [(true, false), (true, true), (false, false), (false, true)] {
            let way = Way { is_first, transposed };
            let [bands, steps] = way.tiles(rows, columns);
            let mut out = [(); 2].map(|()| vec![bf16::NAN; bands * steps * TILE_SIZE]);
            for (out, pack) in out.iter_mut().zip([pack, portable]) {
                // SAFETY: all of `out` is lent for this.
                unsafe { pack(source, way, Places::new(&Pieces::of(out, TILE_SIZE), steps, 0, 0)) };
            }
            let [chosen, portable] = out.map(|out| out.iter().map(|x| x.to_bits()).collect::<Vec<_>>());
            assert!(chosen == portable, "{way:?}");
        }
    }
}
