//! What is right, in float64, and what well-known mistakes compute instead.
//!
//! Each tolerance follows from the longest error that rounding can make: each of a sum's additions rounds once, relative
//! to the sum of the terms' sizes. In bfloat16 each operand of a product is rounded as well.

use cotangent::random::{Purpose, chacha, uniform};
use serde::{Deserialize, Serialize};

use super::signature::{Operation, Role};

/// What the operands of products are rounded to.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Precision {
    Float32,
    Bfloat16,
}

/// One rounding of float32.
const ROUNDING: f64 = 1.0 / (1 << 24) as f64;
/// One rounding to bfloat16, by truncation at worst.
const COARSE: f64 = 1.0 / (1 << 7) as f64;

/// An element of the result, and how far from it is still right.
#[derive(Clone, Copy, Debug)]
pub struct Expected {
    pub value: f64,
    pub tolerance: f64,
}

/// The inputs for a shape: the same in every run.
pub fn inputs(operation: Operation, sizes: &[usize]) -> Vec<Vec<f32>> {
    let arrays = operation.parameters().iter().filter_map(|(_, role)| match role {
        Role::Input([rows, columns]) => Some(rows.of(sizes) * columns.of(sizes)),
        _ => None,
    });
    let mut inputs: Vec<Vec<f32>> = arrays
        .enumerate()
        .map(|(index, length)| {
            let mut random = chacha(1, Purpose::Weights, index as u64);
            (0..length).map(|_| uniform(&mut random) * 2.0 - 1.0).map(|x| (4.0 * x) as f32).collect()
        })
        .collect();
    // A sum of positive odd multiples of 1/16 is exact in any order, so that no tolerance hides an element that is missing.
    if operation == Operation::Reduce {
        inputs[0].iter_mut().for_each(|x| *x = (2.0 * (8.0 * x.abs()).floor() + 1.0) / 16.0);
    }
    // The last row of a softmax is one that overflows unless its maximum is subtracted.
    if operation == Operation::Softmax && sizes[0] > 1 {
        let columns = sizes[1];
        inputs[0].iter_mut().rev().take(columns).for_each(|x| *x += 200.0);
    }
    inputs
}

/// The result, row-major.
pub fn reference(
    operation: Operation,
    precision: Precision,
    sizes: &[usize],
    inputs: &[Vec<f32>],
) -> Vec<Expected> {
    let coarse = if precision == Precision::Bfloat16 { COARSE } else { 0.0 };
    let rounded = |value: f64, size: f64, length: usize| Expected {
        value,
        tolerance: size * ((length + 8) as f64 * ROUNDING + coarse) + f64::from(f32::MIN_POSITIVE),
    };
    match operation {
        Operation::Gemm => {
            let (values, sizes_of_sums) = (
                product(sizes, inputs, Terms::default()),
                product(sizes, inputs, Terms { absolute: true, ..Terms::default() }),
            );
            values
                .into_iter()
                .zip(sizes_of_sums)
                .map(|(value, size)| rounded(value, size, sizes[2]))
                .collect()
        }
        Operation::Softmax => inputs[0]
            .chunks(sizes[1])
            .flat_map(|row| {
                let maximum = row.iter().fold(f64::NEG_INFINITY, |most, &x| most.max(x.into()));
                let powers: Vec<f64> = row.iter().map(|&x| (f64::from(x) - maximum).exp()).collect();
                let sum: f64 = powers.iter().sum();
                // The difference in the exponent is rounded too, and a fast exponential errs by that much again.
                let exponents = (4.0 * (8.0 + maximum.abs().max(16.0))) as usize;
                powers.into_iter().map(move |power| rounded(power / sum, power / sum, row.len() + exponents))
            })
            .collect(),
        Operation::Reduce => {
            let sum = |of: fn(f64) -> f64| inputs[0].iter().map(|&x| of(x.into())).sum();
            vec![rounded(sum(|x| x), sum(f64::abs), 0)]
        }
        Operation::Transpose => transposed(&inputs[0], sizes)
            .into_iter()
            .map(|value| Expected { value, tolerance: coarse * value.abs() })
            .collect(),
    }
}

/// Which terms a product adds.
#[derive(Clone, Copy, Default)]
struct Terms {
    absolute: bool,
    /// Of the `k` terms, those from the first on, and so many left out at the end.
    first: usize,
    left_out: usize,
    transposed: [bool; 2],
}

fn product(sizes: &[usize], inputs: &[Vec<f32>], terms: Terms) -> Vec<f64> {
    let &[m, n, k] = sizes else { return Vec::new() };
    let at = |index: usize, row: usize, column: usize, rows: usize, columns: usize| {
        let place = if terms.transposed[index] { column * rows + row } else { row * columns + column };
        f64::from(inputs[index][place])
    };
    let element = |i, j| {
        let products = (terms.first..k - terms.left_out).map(|l| at(0, i, l, m, k) * at(1, l, j, k, n));
        products.map(|x: f64| if terms.absolute { x.abs() } else { x }).sum()
    };
    (0..m).flat_map(|i| (0..n).map(move |j| (i, j))).map(|(i, j)| element(i, j)).collect()
}

fn transposed(x: &[f32], sizes: &[usize]) -> Vec<f64> {
    let &[rows, columns] = sizes else { return Vec::new() };
    (0..columns).flat_map(|c| (0..rows).map(move |r| f64::from(x[r * columns + c]))).collect()
}

/// What known mistakes make, with what to say of them.
pub fn mistakes(operation: Operation, sizes: &[usize], inputs: &[Vec<f32>]) -> Vec<(String, Vec<f64>)> {
    let mut known: Vec<(String, Vec<f64>)> = Vec::new();
    let mut add = |what: &str, values: Vec<f64>| known.push((what.into(), values));
    match operation {
        Operation::Gemm => {
            let &[m, n, k] = sizes else { return known };
            let right = product(sizes, inputs, Terms::default());
            let mut by_columns = vec![0.0; m * n];
            (0..m).for_each(|i| (0..n).for_each(|j| by_columns[j * m + i] = right[i * n + j]));
            add("what you have there is C transposed: element (i, j) of C is c[i * n + j]", by_columns);
            let of = |terms| product(sizes, inputs, terms);
            let default = Terms::default();
            add(
                "A is read as if it were transposed: element (i, l) of A is a[i * k + l]",
                of(Terms { transposed: [true, false], ..default }),
            );
            add(
                "B is read as if it were transposed: element (l, j) of B is b[l * n + j]",
                of(Terms { transposed: [false, true], ..default }),
            );
            for left_out in 1..k.min(64) {
                let terms = Terms { left_out, ..default };
                let what = match left_out {
                    1 => "the last of the k terms is missing from each sum".to_owned(),
                    _ => format!("the last {left_out} of the {k} terms are missing from each sum"),
                };
                add(&what, of(terms));
            }
            add("the first of the k terms is missing from each sum", of(Terms { first: 1, ..default }));
            add("C is still zero", vec![0.0; m * n]);
        }
        Operation::Softmax => {
            let columns = sizes[1];
            let shifted = |row: &[f32]| -> Vec<f64> {
                let maximum = row.iter().fold(f64::NEG_INFINITY, |most, &x| most.max(x.into()));
                row.iter().map(|&x| (f64::from(x) - maximum).exp()).collect()
            };
            let rows = || inputs[0].chunks(columns);
            add(
                "these are exp(x - maximum), not yet divided by the row's sum",
                rows().flat_map(shifted).collect(),
            );
            let total: f64 = rows().flat_map(shifted).sum();
            add(
                "the rows are divided by the sum over all of x, not over the row",
                rows().flat_map(shifted).map(|x| x / total).collect(),
            );
            add("y is x itself", inputs[0].iter().map(|&x| x.into()).collect());
        }
        Operation::Reduce => {
            let mut sum = 0.0;
            for (count, &x) in inputs[0].iter().enumerate() {
                add(&format!("this is the sum of the first {count} of {} elements", sizes[0]), vec![sum]);
                sum += f64::from(x);
            }
            add("this is the mean, not the sum", vec![sum / sizes[0] as f64]);
            let left: f64 = inputs[0].iter().skip(1).map(|&x| f64::from(x)).sum();
            add("x[0] is missing from the sum", vec![left]);
        }
        Operation::Transpose => {
            let &[rows, columns] = sizes else { return known };
            let x = &inputs[0];
            add("y is x itself: nothing is transposed", x.iter().map(|&x| x.into()).collect());
            if rows != columns {
                let mut strides = vec![f64::NAN; x.len()];
                for r in 0..rows {
                    for c in 0..columns {
                        if let Some(place) = strides.get_mut(c * columns + r) {
                            *place = x[r * columns + c].into();
                        }
                    }
                }
                add(
                    "y is written with rows of `columns` elements, and has rows of `rows`: y[c * rows + r]",
                    strides,
                );
            }
        }
    }
    known
}

#[test]
fn tolerances_hold_roundings_and_no_more() {
    let sizes = [9, 7, 33];
    let inputs = inputs(Operation::Gemm, &sizes);
    let rounded: Vec<Vec<f32>> =
        inputs.iter().map(|x| x.iter().map(|&x| half::bf16::from_f32(x).to_f32()).collect()).collect();
    let within = |precision, values: &[f64]| {
        let expected = reference(Operation::Gemm, precision, &sizes, &inputs);
        expected
            .iter()
            .zip(values)
            .all(|(expected, value)| (value - expected.value).abs() <= expected.tolerance)
    };
    let coarse = product(&sizes, &rounded, Terms::default());
    assert!(within(Precision::Bfloat16, &coarse) && !within(Precision::Float32, &coarse));
    for (what, values) in mistakes(Operation::Gemm, &sizes, &inputs) {
        assert!(!within(Precision::Float32, &values) && !within(Precision::Bfloat16, &values), "{what}");
    }
}

#[test]
fn no_mistake_is_within_the_tolerance_of_the_right_result() {
    for operation in [Operation::Softmax, Operation::Reduce, Operation::Transpose] {
        for sizes in operation.shapes().iter().filter(|sizes| sizes.iter().product::<usize>() > 1) {
            let inputs = inputs(operation, sizes);
            let expected = reference(operation, Precision::Float32, sizes, &inputs);
            for (what, values) in mistakes(operation, sizes, &inputs) {
                let near = expected
                    .iter()
                    .zip(&values)
                    .all(|(expected, value)| (value - expected.value).abs() <= expected.tolerance);
                assert!(!near, "{operation:?} {sizes:?}: {what}");
            }
        }
    }
}
