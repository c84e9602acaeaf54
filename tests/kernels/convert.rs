//! Conversions to bfloat16 and back, bit by bit.

use half::bf16;

use super::support::{RAGGED, Run, chain, pairwise};

/// Float32 numbers at which rounding to bfloat16 can go wrong, as bits: zeros, ones and their halfway
/// neighbours to even and odd, infinities, NaNs whose payload the upper half does not show, the largest
/// that stay finite and the smallest that do not, subnormals.
const EDGES: [u32; 28] = [
    0x0000_0000,
    0x8000_0000,
    0x3F80_0000,
    0x3F80_7FFF,
    0x3F80_8000,
    0x3F80_8001,
    0x3F81_7FFF,
    0x3F81_8000,
    0x3F81_8001,
    0xBF81_8000,
    0x7F80_0000,
    0xFF80_0000,
    0x7FC0_0000,
    0x7F80_0001,
    0xFF80_7FFF,
    0x7FFF_FFFF,
    0x7F7F_7FFF,
    0x7F7F_8000,
    0xFF7F_FFFF,
    0x0000_0001,
    0x0000_7FFF,
    0x0000_8000,
    0x0000_8001,
    0x0001_8000,
    0x007F_8000,
    0x007F_FFFF,
    0x0080_0000,
    0x8000_8001,
];

const OFFSETS: usize = 3;

fn lengths() -> Vec<usize> {
    RAGGED.into_iter().chain([EDGES.len(), 1025, 2048]).collect()
}

fn to_bf16(run: &Run, x: &[f32], offsets: [usize; 2]) -> Result<Vec<bf16>, String> {
    let from = run.upload(x, offsets[0])?;
    let mut to = run.poisoned::<bf16>(x.len(), offsets[1])?;
    let convert = &run.kernels().convert;
    convert.f32_to_bf16(run.stream(), &from.view(), &mut to.view_mut()).map_err(|error| chain(&error))?;
    run.download(&to)
}

fn to_f32(run: &Run, y: &[bf16], offsets: [usize; 2]) -> Result<Vec<f32>, String> {
    let from = run.upload(y, offsets[0])?;
    let mut to = run.poisoned::<f32>(y.len(), offsets[1])?;
    let convert = &run.kernels().convert;
    convert.bf16_to_f32(run.stream(), &from.view(), &mut to.view_mut()).map_err(|error| chain(&error))?;
    run.download(&to)
}

pub fn check_to_bf16() -> Result<(), String> {
    let lengths = lengths();
    pairwise(&[("n", lengths.len()), ("offset of x", OFFSETS), ("offset of y", OFFSETS)], |run, pick| {
        let mut random = run.random();
        let mut x: Vec<f32> = EDGES.iter().map(|&bits| f32::from_bits(bits)).collect();
        // Any bits at all, half of them a hair from halfway.
        x.extend((x.len()..lengths[pick[0]]).map(|_| {
            let [high, any] = [random.below(1 << 16) as u32, random.below(1 << 16) as u32];
            f32::from_bits(high << 16 | random.pick(&[0x7FFF, 0x8000, 0x8001, any, any, any]))
        }));
        let start = random.below(EDGES.len());
        x.rotate_left(start);
        x.truncate(lengths[pick[0]]);
        let found = to_bf16(run, &x, [pick[1], pick[2]])?;
        for (i, (found, &x)) in found.into_iter().zip(&x).enumerate() {
            let expected = bf16::from_f32(x);
            if found.to_bits() != expected.to_bits() && !(found.is_nan() && x.is_nan()) {
                let bits = x.to_bits();
                return Err(format!(
                    "{i} of {}: {bits:08x} became {found:x?}, not {expected:x?}",
                    lengths[pick[0]]
                ));
            }
        }
        Ok(())
    })
}

pub fn check_to_f32() -> Result<(), String> {
    let lengths = lengths();
    pairwise(&[("n", lengths.len()), ("offset of y", OFFSETS), ("offset of x", OFFSETS)], |run, pick| {
        let mut random = run.random();
        let y: Vec<bf16> =
            (0..lengths[pick[0]]).map(|_| bf16::from_bits(random.below(1 << 16) as u16)).collect();
        expect_exact(&y, &to_f32(run, &y, [pick[1], pick[2]])?)
    })
}

fn expect_exact(y: &[bf16], found: &[f32]) -> Result<(), String> {
    for (i, (&y, &found)) in y.iter().zip(found).enumerate() {
        let expected = f32::from_bits(u32::from(y.to_bits()) << 16);
        if found.to_bits() != expected.to_bits() && !(found.is_nan() && y.is_nan()) {
            return Err(format!("{i}: {:04x} became {:08x}", y.to_bits(), found.to_bits()));
        }
    }
    Ok(())
}

#[test]
fn float32_is_rounded_to_the_nearest_bfloat16_ties_to_even() {
    check_to_bf16().unwrap();
}

#[test]
fn bfloat16_becomes_float32_exactly() {
    check_to_f32().unwrap();
    pairwise(&[], |run, _| {
        let all: Vec<bf16> = (0..=u16::MAX).map(bf16::from_bits).collect();
        expect_exact(&all, &to_f32(run, &all, [0, 0])?)
    })
    .unwrap();
}

#[test]
fn conversions_of_nothing_are_no_launch_and_of_two_lengths_are_refused() {
    pairwise(&[], |run, _| {
        assert!(to_bf16(run, &[], [0, 0])?.is_empty() && to_f32(run, &[], [0, 0])?.is_empty());
        let (x, mut y) = (run.poisoned::<f32>(3, 0)?, run.poisoned::<bf16>(4, 0)?);
        let refused = run.kernels().convert.f32_to_bf16(run.stream(), &x.view(), &mut y.view_mut());
        let expected = "kernel convert_f32_to_bf16: y holds 4 elements, and the sizes ask for 3";
        assert_eq!(chain(&refused.unwrap_err()), expected);
        let (mut x, y) = (x, y);
        let refused = run.kernels().convert.bf16_to_f32(run.stream(), &y.view(), &mut x.view_mut());
        let expected = "kernel convert_bf16_to_f32: x holds 3 elements, and the sizes ask for 4";
        assert_eq!(chain(&refused.unwrap_err()), expected);
        Ok(())
    })
    .unwrap();
}
