//! The two micro-kernels in plain Rust, bit by bit: which sums are taken in which order, and what becomes of numbers
//! below the normal ones.
//!
//! Both units round to nearest even and ignore MXCSR. They read subnormal numbers as zero and flush results to zero that
//! are below the normal numbers after rounding; the sign stays. Only which NaN comes out is not modelled.
//!
//! Source: Intel 64 and IA-32 Architectures Software Developer's Manual, volume 2, TDPBF16PS and VDPBF16PS; the rest was
//! measured on an Emerald Rapids Xeon (family 6, model 207).

use half::bf16;

use super::block::{BLOCK, MicroKernel, STEP, TILE, TILE_SIZE, Window, steps};

/// The tile unit's sums: for each tile along k, even and odd products each in a chain of their own from zero; then
/// even + odd; then that is added to C.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct TileModel;

/// The sums of VDPBF16PS: one chain over all of k, in each pair the odd product before the even one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct VectorModel;

impl MicroKernel for TileModel {
    fn multiply(&self, a: [&[bf16]; 2], b: [&[bf16]; 2], start: &[f32; BLOCK], c: Window<'_>) {
        each(a, b, start, c, |sum, a, b| {
            let pairs = a.iter().zip(b);
            let [even, odd] = pairs.fold([0.0; 2], |[even, odd], (a, b)| {
                [multiply_add(a[0], b[0], even), multiply_add(a[1], b[1], odd)]
            });
            add(sum, add(even, odd))
        });
    }
}

impl MicroKernel for VectorModel {
    fn multiply(&self, a: [&[bf16]; 2], b: [&[bf16]; 2], start: &[f32; BLOCK], c: Window<'_>) {
        each(a, b, start, c, |sum, a, b| {
            let pairs = a.iter().zip(b);
            pairs.fold(flush(sum), |sum, (a, b)| multiply_add(a[0], b[0], multiply_add(a[1], b[1], sum)))
        });
    }
}

/// The pairs along k of one row of a tile of A, or of one column of a tile of B.
type Pairs = [[f32; 2]; STEP / 2];

/// Has `accumulate` add to each sum of the block the products of each step along k.
fn each(
    a: [&[bf16]; 2],
    b: [&[bf16]; 2],
    start: &[f32; BLOCK],
    mut c: Window<'_>,
    accumulate: impl Fn(f32, &Pairs, &Pairs) -> f32,
) {
    let steps = steps(a, b);
    for row in 0..BLOCK {
        for column in 0..BLOCK {
            let mut sum = start[column];
            let (a, b) = (a[row / TILE], b[column / TILE]);
            for step in 0..steps {
                let (a, b) = (&a[step * TILE_SIZE..][..TILE_SIZE], &b[step * TILE_SIZE..][..TILE_SIZE]);
                let a = std::array::from_fn(|pair| two(&a[row % TILE * STEP + 2 * pair..]));
                let b = std::array::from_fn(|pair| two(&b[pair * 2 * TILE + column % TILE * 2..]));
                sum = accumulate(sum, &a, &b);
            }
            c.row_mut(row)[column] = sum;
        }
    }
}

fn two(elements: &[bf16]) -> [f32; 2] {
    [elements[0].to_f32(), elements[1].to_f32()]
}

/// A subnormal number as the units read it: zero, with its sign.
pub(super) fn flush(x: f32) -> f32 {
    if x.is_subnormal() { 0.0_f32.copysign(x) } else { x }
}

/// The sum of two numbers that are no longer subnormal. It is a multiple of 2^-149, so one below the normal numbers
/// is exact, and is flushed.
fn add(x: f32, y: f32) -> f32 {
    flush(flush(x) + flush(y))
}

/// `x * y + z`, rounded once.
fn multiply_add(x: f32, y: f32, z: f32) -> f32 {
    /// Above half of the last place of 24 bits below the least normal number: what rounds up to it is not tiny. (Rounded as a
    /// subnormal number, to a place of twice the size, more would.)
    const LEAST: f64 = f64::from_bits((1023 - 126) << 52) - f64::from_bits((1023 - 151) << 52);
    let (x, y) = (flush(x), flush(y));
    // Near the least normal number this is exact: the product has 16 bits, and the sum's last place is near enough.
    let sum = f64::from(x) * f64::from(y) + f64::from(z);
    if sum.abs() < LEAST { 0.0_f32.copysign(sum as f32) } else { x.mul_add(y, z) }
}
