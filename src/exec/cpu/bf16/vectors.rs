//! The vectors of AVX512_BF16, for processors without tiles (AMD since Zen 4, Intel's Cooper Lake).
//!
//! VDPBF16PS multiplies 16 pairs and adds both products to 16 sums. Of a tile of B it takes a pair of rows, 16 columns;
//! of a tile of A it repeats one pair 16 times: the tiles' layouts serve it as they are.
//!
//! Its bits differ from the tile unit's, which adds up even and odd products apart and a tile at a time; here all
//! products of a sum are one chain ([`VectorModel`](super::model::VectorModel)).

use half::bf16;

use super::block::{BLOCK, MicroKernel, Window};

/// Proof that this processor has AVX512_BF16.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Vectors(());

impl Vectors {
    /// The instructions, or none if the processor or the system lacks them.
    pub fn get() -> Option<Self> {
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512bf16") {
            return Some(Self(()));
        }
        None
    }
}

impl MicroKernel for Vectors {
    #[cfg(target_arch = "x86_64")]
    fn multiply(&self, a: [&[bf16]; 2], b: [&[bf16]; 2], start: &[f32; BLOCK], c: Window<'_>) {
        // SAFETY: `get` has found the instructions, else there were no `Vectors`.
        unsafe { x86::multiply(a, b, start, c) }
    }

    #[cfg(not(target_arch = "x86_64"))]
    fn multiply(&self, _: [&[bf16]; 2], _: [&[bf16]; 2], _: &[f32; BLOCK], _: Window<'_>) {
        unreachable!("AVX512_BF16 is never found here")
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    use half::bf16;

    use super::super::block::{BLOCK, STEP, TILE, TILE_SIZE, Window, steps};

    /// Rows of C at a time. Times two bands they are 16 sums, which hide a product's latency and leave half the
    /// registers for B and for pairs of A.
    const ROWS: usize = 8;

    #[target_feature(enable = "avx512f,avx512bf16")]
    pub fn multiply(a: [&[bf16]; 2], b: [&[bf16]; 2], start: &[f32; BLOCK], mut c: Window<'_>) {
        let steps = steps(a, b);
        for top in (0..BLOCK).step_by(ROWS) {
            let mut sums = [halves(start); ROWS];
            for step in 0..steps {
                let a = &a[top / TILE][step * TILE_SIZE + top % TILE * STEP..][..ROWS * STEP];
                let b = b.map(|band| &band[step * TILE_SIZE..][..TILE_SIZE]);
                for pair in 0..STEP / 2 {
                    // SAFETY: 16 pairs of rows of 16 columns are a tile: `pair` is one of them.
                    let b =
                        b.map(|tile| unsafe { _mm512_loadu_si512(tile.as_ptr().add(pair * STEP).cast()) });
                    for (row, sums) in sums.iter_mut().enumerate() {
                        // SAFETY: `a` is 8 rows of 16 pairs.
                        let a =
                            unsafe { a.as_ptr().cast::<i32>().add(row * STEP / 2 + pair).read_unaligned() };
                        let a = _mm512_set1_epi32(a);
                        for (sum, b) in sums.iter_mut().zip(b) {
                            *sum = _mm512_dpbf16_ps(*sum, pairs(a), pairs(b));
                        }
                    }
                }
            }
            for (row, sums) in sums.into_iter().enumerate() {
                let row = c.row_mut(top + row).as_mut_ptr();
                // SAFETY: a row of the window is 32 elements: two vectors.
                unsafe {
                    _mm512_storeu_ps(row, sums[0]);
                    _mm512_storeu_ps(row.add(TILE), sums[1]);
                }
            }
        }
    }

    #[inline]
    #[target_feature(enable = "avx512f")]
    fn halves(row: &[f32; BLOCK]) -> [__m512; 2] {
        // SAFETY: 32 elements are two vectors.
        unsafe { [_mm512_loadu_ps(row.as_ptr()), _mm512_loadu_ps(row.as_ptr().add(TILE))] }
    }

    #[inline]
    fn pairs(bits: __m512i) -> __m512bh {
        // SAFETY: both types are 64 bytes of which any pattern is a value.
        unsafe { std::mem::transmute(bits) }
    }
}
