//! `kernels/hopper/tile.cu`.

use cotangent::exec::cuda::{RowsApart, TileForm, TileOperand};
use half::bf16;

use super::super::support::{chain, pairwise_on_hopper};
use super::{length, spread};
use crate::support::Random;

/// Around a tile, and steps along k that turn the ring once, not at all, and twice.
const M: [usize; 4] = [1, 64, 100, 130];
const N: [usize; 4] = [1, 32, 63, 80];
const K: [usize; 5] = [1, 16, 65, 128, 300];

/// An operand: `extent` of m or n, along k or across it.
fn operand(extent: usize, k: usize, along: bool, unit: usize, apart: usize) -> RowsApart {
    let (rows, columns) = if along { (extent, k) } else { (k, extent) };
    RowsApart { rows, columns, stride: (columns.div_ceil(unit) + apart) * unit }
}

/// C against A B, both in float64, element by element: A (m, k) and B (n, k) or, where they lie across k, (k, m) and
/// (k, n). Tensor cores drop what lies below a sum's last bit, so the error of each addition is up to that.
fn compare(
    found: &[f32],
    [m, n, k]: [usize; 3],
    a: impl Fn(usize, usize) -> f64,
    b: impl Fn(usize, usize) -> f64,
) -> Result<(), String> {
    for row in 0..m {
        for column in 0..n {
            let products = || (0..k).map(|l| a(row, l) * b(column, l));
            let (sum, size) = (products().sum::<f64>(), products().map(f64::abs).sum::<f64>());
            let (found, tolerance) =
                (f64::from(found[row * n + column]), k as f64 * f64::from(f32::EPSILON) * size);
            let is_close = (found - sum).abs() <= tolerance; // no NaN is
            if !is_close {
                return Err(format!(
                    "C[{row}, {column}] of {m} x {n}, k {k}, is {found}, not {sum} ± {tolerance:e}"
                ));
            }
        }
    }
    Ok(())
}

/// Element (i, l) of an operand in memory.
fn element<T: Copy + Into<f64>>(
    memory: &[T],
    stride: usize,
    along: bool,
) -> impl Fn(usize, usize) -> f64 + use<'_, T> {
    move |i, l| memory[if along { i * stride + l } else { l * stride + i }].into()
}

pub fn check_bf16_tiles() -> Result<(), String> {
    const FORMS: [TileForm; 4] = [TileForm::Along, TileForm::Pair, TileForm::Across, TileForm::Registers];
    let factors = [("form", FORMS.len()), ("m", M.len()), ("n", N.len()), ("k", K.len()), ("apart", 2)];
    pairwise_on_hopper(&factors, |run, hopper, pick| {
        let (form, sizes) = (FORMS[pick[0]], [M[pick[1]], N[pick[2]], K[pick[3]]]);
        let ([m, n, k], along) = (sizes, form != TileForm::Across);
        let of = |extent| operand(extent, k, along, 8, pick[4]);
        let mut random = run.random();
        let mut values = |matrix| spread(matrix, bf16::NAN, |_, _| bf16::from_f64(random.between(-1.0, 1.0)));
        let (a, b) = (values(of(m)), values(of(n)));
        let (on_device, b_on_device) = (run.upload(&a, 0)?, run.upload(&b, 8)?);
        let mut c = run.poisoned(m * n, 1)?;
        let (a_operand, b_operand) = (
            TileOperand { memory: &on_device.view(), stride: of(m).stride },
            TileOperand { memory: &b_on_device.view(), stride: of(n).stride },
        );
        hopper
            .tile
            .bf16(run.stream(), form, sizes, a_operand, b_operand, &mut c.view_mut())
            .map_err(|error| chain(&error))?;
        let [a, b] = [(&a, m), (&b, n)].map(|(memory, extent)| element(memory, of(extent).stride, along));
        compare(&run.download(&c)?, sizes, a, b).map_err(|problem| format!("{form:?}: {problem}"))
    })
}

/// What tensor cores see of a float32: all but the lowest 13 bits.
fn tf32(x: f32) -> f32 {
    f32::from_bits(x.to_bits() & !0x1fff)
}

pub fn check_tf32_tiles() -> Result<(), String> {
    let factors = [("m", M.len()), ("n", N.len()), ("k", K.len()), ("apart", 2)];
    pairwise_on_hopper(&factors, |run, hopper, pick| {
        let sizes = [M[pick[0]], N[pick[1]], K[pick[2]]];
        let [m, n, k] = sizes;
        let of = |extent| operand(extent, k, true, 4, pick[3]);
        let mut random = run.random();
        let mut values = |matrix| spread(matrix, f32::NAN, |_, _| tf32(random.between(-1.0, 1.0) as f32));
        let (a, b) = (values(of(m)), values(of(n)));
        // The bits that do not count differ on the device.
        let mut noise = run.random();
        let mut noisy = |values: &[f32]| -> Vec<f32> {
            values.iter().map(|x| f32::from_bits(x.to_bits() | noise.below(1 << 13) as u32)).collect()
        };
        let (a_on_device, b_on_device) = (run.upload(&noisy(&a), 0)?, run.upload(&noisy(&b), 4)?);
        let mut c = run.poisoned(m * n, 1)?;
        let (a_operand, b_operand) = (
            TileOperand { memory: &a_on_device.view(), stride: of(m).stride },
            TileOperand { memory: &b_on_device.view(), stride: of(n).stride },
        );
        hopper
            .tile
            .tf32(run.stream(), sizes, a_operand, b_operand, &mut c.view_mut())
            .map_err(|error| chain(&error))?;
        let [a, b] = [(&a, m), (&b, n)].map(|(memory, extent)| element(memory, of(extent).stride, true));
        compare(&run.download(&c)?, sizes, a, b)
    })
}

#[test]
fn tiles_of_bf16_products_are_those_of_the_cpu() {
    check_bf16_tiles().unwrap();
}

#[test]
fn tiles_of_tf32_products_are_those_of_the_cpu() {
    check_tf32_tiles().unwrap();
}

/// A warpgroup's layouts mixed up give wrong sums only where the numbers differ: that they do is the tests' affair.
#[test]
fn operands_of_a_test_differ_from_row_to_row() {
    let mut random = Random::new(0);
    let matrix = operand(64, 64, true, 8, 0);
    let a = spread(matrix, 0.0, |_, _| random.between(-1.0, 1.0));
    assert_eq!(length(matrix), 64 * 64);
    let rows: Vec<&[f64]> = a.chunks(64).collect();
    assert!(rows.iter().enumerate().all(|(i, row)| !rows[..i].contains(row)));
}
