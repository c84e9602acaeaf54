//! Matrix products: every transpose on ragged sizes, alone and with work fused into each tile,
//! against a plain triple loop in float64.

use cotangent::exec::instruction::Work;
use cotangent::exec::{Plan, Wanted};
use cotangent::ops::{Builder, MatMul, Op};

use crate::support::*;

/// One less and one more than whole registers and whole tiles.
const RAGGED: [usize; 7] = [1, 3, 16, 31, 33, 127, 129];

/// Extents (m, n, k) whose products are cut into two to four tiles, by rows and by columns; the last
/// tile is ragged.
const TILED: [[usize; 3]; 4] = [[300, 200, 257], [61, 701, 211], [515, 130, 129], [257, 256, 300]];

#[derive(Clone, Copy, PartialEq)]
enum Epilogue {
    None,
    /// relu(C + bias) · mask: a bias per column and a full matrix.
    BiasReluMask,
    /// (C · C − C) / scale, with a number per row: the product is used more than once.
    PerRow,
}

#[test]
fn products_of_every_transpose_agree_with_the_plain_triple_loop_on_ragged_sizes() {
    for m in RAGGED {
        for n in RAGGED {
            for k in RAGGED {
                for matmul in cases() {
                    check(matmul, [m, n, k], Epilogue::None);
                }
            }
        }
    }
}

#[test]
fn work_fused_into_a_product_reads_the_row_and_column_of_its_element() {
    for extents in [[1, 1, 1], [3, 300, 2], [31, 33, 129], [127, 17, 3], [300, 3, 3], [2, 3, 0]] {
        for matmul in cases() {
            check(matmul, extents, Epilogue::BiasReluMask);
            check(matmul, extents, Epilogue::PerRow);
        }
    }
}

#[test]
fn products_cut_into_tiles_agree_with_the_plain_triple_loop() {
    for extents in TILED {
        for matmul in cases() {
            for epilogue in [Epilogue::None, Epilogue::BiasReluMask, Epilogue::PerRow] {
                check(matmul, extents, epilogue);
            }
        }
    }
}

/// Blocks of 64 rows and columns, panels of 128 columns: whole, begun, and one more.
const BLOCKS: [[usize; 3]; 6] =
    [[1, 32, 1], [64, 128, 64], [65, 129, 63], [130, 40, 200], [257, 1100, 65], [3, 300, 1]];

#[test]
fn products_that_leave_out_zeros_agree_with_the_plain_triple_loop() {
    for extents in BLOCKS {
        for matmul in cases() {
            for epilogue in [Epilogue::None, Epilogue::BiasReluMask, Epilogue::PerRow] {
                check_of(matmul, extents, epilogue, Operand::Rectified);
            }
        }
    }
}

#[test]
fn what_is_not_a_number_is_no_zero() {
    let builder = Builder::new();
    let (a, b) = (builder.input("a", [2, 3]), builder.input("b", [3, 40]));
    let function = builder.finish([a, b], a.relu().matmul(b)).unwrap();
    for executor in executors() {
        let found = executor.call(&function, [&[1.0, f64::NAN, -1.0, 2.0, 0.0, 3.0], &[1.0; 120]]);
        assert!(found[..40].iter().all(|x| x.is_nan()), "{}", executor.name);
        assert_eq!(found[40..], [5.0; 40], "{}", executor.name);
    }
}

fn cases() -> [MatMul; 4] {
    [(false, false), (false, true), (true, false), (true, true)]
        .map(|(transpose_a, transpose_b)| MatMul { transpose_a, transpose_b })
}

#[derive(Clone, Copy, PartialEq)]
enum Operand {
    Plain,
    /// relu(A): half of it is zero, and is left out.
    Rectified,
}

fn check(matmul: MatMul, extents: [usize; 3], epilogue: Epilogue) {
    check_of(matmul, extents, epilogue, Operand::Plain);
}

fn check_of(matmul: MatMul, [m, n, k]: [usize; 3], epilogue: Epilogue, operand: Operand) {
    let mut random = Random::new((m * 1_000_000 + n * 1000 + k) as u64);
    let builder = Builder::new();
    let a = builder.input("a", if matmul.transpose_a { [k, m] } else { [m, k] });
    let b = builder.input("b", if matmul.transpose_b { [n, k] } else { [k, n] });
    let bias = builder.input("bias", [n]);
    let scale = builder.input("scale", [m, 1]);
    let mask = builder.input("mask", [m, n]);
    let first = if operand == Operand::Rectified { a.relu() } else { a };
    let product = builder.apply(Op::MatMul(matmul), &[first, b]);
    let result = match epilogue {
        Epilogue::None => product,
        Epilogue::BiasReluMask => (product + bias).relu() * mask,
        Epilogue::PerRow => (product * product - product) / scale,
    };
    let function = builder.finish([a, b, bias, mask, scale], result).unwrap();
    let [a, b, bias, mask] = [a, b, bias, mask].map(|x| random.values(x.shape().size(), -1.0, 1.0));
    let scale = random.values(m, 0.5, 2.0);
    let plan = Plan::new(&function.graph, Wanted::outputs(&[function.outputs]));
    // A number per row is a reshape of its column first.
    let [.., last] = plan.instructions() else { panic!("no instruction") };
    let fused = matches!(&last.work, Work::Product { epilogue, .. } if epilogue.is_some());
    assert_eq!(fused, epilogue != Epilogue::None, "{:?}", last.work);

    let Work::Product { matmul: planned, operands, .. } = last.work else { panic!("{:?}", last.work) };
    let leaves_out = plan.zeros_left_out(planned, operands).is_some();
    assert_eq!(leaves_out, operand == Operand::Rectified && n >= 32);

    let rectified: Vec<f64> = a.iter().map(|&x| x.max(0.0)).collect();
    let first = if operand == Operand::Rectified { &rectified } else { &a };
    let mut expected = Vec::with_capacity(m * n);
    let mut largest = Vec::with_capacity(m * n);
    for i in 0..m {
        for j in 0..n {
            let (mut sum, mut magnitude) = (0.0, 0.0);
            for l in 0..k {
                let a = first[if matmul.transpose_a { l * m + i } else { i * k + l }];
                let b = b[if matmul.transpose_b { j * k + l } else { l * n + j }];
                sum += a * b;
                magnitude += (a * b).abs();
            }
            let (value, slope) = match epilogue {
                Epilogue::None => (sum, 1.0),
                Epilogue::BiasReluMask => (f64::max(sum + bias[j], 0.0) * mask[i * n + j], 1.0),
                Epilogue::PerRow => ((sum * sum - sum) / scale[i], (2.0 * sum.abs() + 1.0) / scale[i]),
            };
            expected.push(value);
            largest.push((1.0 + magnitude) * (1.0 + slope));
        }
    }
    for executor in executors() {
        let found = executor.call(&function, [&a, &b, &bias, &mask, &scale]);
        assert_eq!(found.len(), expected.len());
        for (position, (found, expected)) in found.iter().zip(&expected).enumerate() {
            let tolerance = (8 + k) as f64 * executor.epsilon * largest[position];
            assert!(
                (found - expected).abs() <= tolerance,
                "{matmul:?}, m, n, k = {m}, {n}, {k} on {}: element {position} is {found}, not {expected}",
                executor.name
            );
        }
    }
}
