//! The elementwise operations: every row of the tables of operations, against the same row in float64.

use cotangent::exec::cuda::{Broadcast, DeviceOperand};
use cotangent::ops::{Binary, Unary};

use super::support::{Buffer, RAGGED, Run, pairwise};
use crate::support::Random;

/// Numbers where operations have edges: zeros, kinks, the ends of exp, numbers below the normal ones, the
/// largest, no number.
const EDGES: [f32; 26] = [
    0.0,
    -0.0,
    1.0,
    -1.0,
    0.5,
    2.0,
    -2.0,
    3.0,
    std::f32::consts::PI,
    std::f32::consts::FRAC_PI_2,
    1e-30,
    -1e-30,
    1e30,
    -1e30,
    1e-42,
    -1e-42,
    f32::MIN_POSITIVE,
    f32::MAX,
    f32::MIN,
    88.7,
    89.0,
    -88.0,
    -104.0,
    f32::INFINITY,
    f32::NEG_INFINITY,
    f32::NAN,
];

/// The largest errors in units in the last place: CUDA C++ Programming Guide, "Mathematical functions",
/// table of standard functions in single precision, of all its editions the largest; 0 is the nearest number.
pub(super) fn unary_ulps(operation: Unary) -> f64 {
    match operation {
        Unary::Neg | Unary::Sqrt | Unary::Relu | Unary::Step | Unary::Sign | Unary::Abs => 0.0,
        Unary::Ln | Unary::Log2 | Unary::Log1p | Unary::Expm1 | Unary::Cbrt => 1.0,
        Unary::Log10 | Unary::Acos | Unary::Atan | Unary::Erf => 2.0,
        Unary::Asin | Unary::Cosh | Unary::Atanh => 3.0,
        Unary::Sinh | Unary::Asinh | Unary::Acosh => 4.0,
        Unary::Sec | Unary::Csc => 3.0, // of cos or sin, and a quotient
        Unary::Cot => 5.0,
        Unary::Softplus => 4.0,                    // of exp, log1p and a sum
        Unary::OneMinusSquare => 0.5, // rounded once; so is float64's, before it is rounded to float32
        Unary::Gaussian => 4.0,       // of exp and what x² loses
        Unary::CbrtSlope => 3.0,      // of cbrt and two quotients
        Unary::Sech2 | Unary::SigmoidSlope => 5.0, // of exp, a square and a quotient
        Unary::Exp | Unary::Sin | Unary::Cos | Unary::Tanh => 2.0,
        Unary::Tan => 4.0,
        Unary::Sigmoid => 4.0, // of exp, a sum and a quotient
    }
}

pub(super) fn binary_ulps(operation: Binary) -> f64 {
    match operation {
        Binary::Add | Binary::Sub | Binary::Mul | Binary::Div | Binary::Max | Binary::Min | Binary::Above => {
            0.0
        }
        Binary::Hypot | Binary::Atan2 => 3.0,
        Binary::Direction | Binary::Inversion => 5.0, // of hypot or two squares, a quotient and a scale
        Binary::XLogY => 3.0,
        Binary::Pow => 8.0,
        Binary::PowerBelow => 9.0, // of pow and a quotient; so with the next two
        Binary::PowerBelow2 => 11.0,
        Binary::PowerLog => 20.0,
    }
}

/// Whether a float32 result is within so many units in the last place of the exact one. NaN must be NaN,
/// what overflows infinite, and a zero have its sign.
fn is_close(found: f32, exact: f64, ulps: f64) -> bool {
    let nearest = exact as f32;
    if exact.is_nan() {
        return found.is_nan();
    }
    if ulps == 0.0 || nearest.is_infinite() || exact == 0.0 {
        return found.to_bits() == nearest.to_bits();
    }
    let unit = (f64::from(nearest.abs()).max(f64::from(f32::MIN_POSITIVE)).log2().floor() - 23.0).exp2();
    (f64::from(found) - exact).abs() <= (ulps + 0.5) * unit
}

/// Edges and ordinary numbers in turn, at random.
pub(super) fn numbers(random: &mut Random, count: usize) -> Vec<f32> {
    let number = |_| match random.below(2) {
        0 => EDGES[random.below(EDGES.len())],
        _ => random.between(-10.0, 10.0) as f32,
    };
    (0..count).map(number).collect()
}

pub(super) fn wide(values: &[f32]) -> Vec<f64> {
    values.iter().map(|&x| x.into()).collect()
}

/// All elements of `found` against `exact`; `describe` gives an element's operands.
pub(super) fn compare(
    what: &str,
    found: &[f32],
    exact: &[f64],
    ulps: f64,
    describe: impl Fn(usize) -> String,
) -> Result<(), String> {
    if found.len() != exact.len() {
        return Err(format!("{what}: {} elements, not {}", found.len(), exact.len()));
    }
    for (i, (&found, &exact)) in found.iter().zip(exact).enumerate() {
        if !is_close(found, exact, ulps) {
            let operands = describe(i);
            return Err(format!("{what}: element {i} is {found:e}, not {exact:e}, for {operands}"));
        }
    }
    Ok(())
}

fn unary(run: &Run, operation: Unary, x: &[f32], offsets: [usize; 2]) -> Result<(), String> {
    let what = format!("{operation:?} of {} elements, offsets {offsets:?}", x.len());
    let on_device = run.upload(x, offsets[0])?;
    let mut y = run.poisoned(x.len(), offsets[1])?;
    run.kernels()
        .elementwise
        .unary(run.stream(), operation, &on_device.view(), &mut y.view_mut())
        .map_err(|error| format!("{what}: {error}"))?;
    let mut exact = vec![0.0; x.len()];
    operation.map(&wide(x), &mut exact);
    compare(&what, &run.download(&y)?, &exact, unary_ulps(operation), |i| format!("{:e}", x[i]))
}

pub fn check_unary() -> Result<(), String> {
    let factors =
        [("operation", Unary::ALL.len()), ("length", RAGGED.len()), ("offset of x", 2), ("offset of y", 2)];
    pairwise(&factors, |run, pick| {
        let mut random = run.random();
        let mut x = numbers(&mut random, RAGGED[pick[1]]);
        if x.len() >= EDGES.len() {
            x[..EDGES.len()].copy_from_slice(&EDGES);
        }
        unary(run, Unary::ALL[pick[0]], &x, [pick[2], pick[3]])
    })
}

/// Enough elements that threads take a second vector and that there is more than one block.
pub fn check_unary_of_many() -> Result<(), String> {
    pairwise(&[("offset", 2)], |run, pick| {
        let length = if pick[0] == 0 { 1024 * 256 * 4 + 4099 } else { 5000 };
        let x: Vec<f32> = (0..length).map(|i| i as f32).collect();
        unary(run, Unary::Neg, &x, [pick[0]; 2])
    })
}

/// An operand repeated to (rows, columns).
pub(super) fn repeat(values: &[f32], broadcast: Broadcast, [rows, columns]: [usize; 2]) -> Vec<f32> {
    let element = |i: usize| match broadcast {
        Broadcast::Full => values[i],
        Broadcast::PerColumn => values[i % columns],
        Broadcast::PerRow => values[i / columns],
        Broadcast::Scalar => values[0],
    };
    (0..rows * columns).map(element).collect()
}

pub fn check_binary() -> Result<(), String> {
    const ROWS: [usize; 5] = [1, 2, 5, 33, 129];
    const COLUMNS: [usize; 8] = [1, 2, 3, 4, 31, 33, 128, 300];
    let factors = [
        ("operation", Binary::ALL.len()),
        ("rows", ROWS.len()),
        ("columns", COLUMNS.len()),
        ("a repeated", Broadcast::ALL.len()),
        ("b repeated", Broadcast::ALL.len()),
        ("offset of a", 2),
        ("offset of b", 2),
        ("offset of y", 2),
    ];
    pairwise(&factors, |run, pick| {
        let operation = Binary::ALL[pick[0]];
        let extents = [ROWS[pick[1]], COLUMNS[pick[2]]];
        let broadcasts = [Broadcast::ALL[pick[3]], Broadcast::ALL[pick[4]]];
        let what = format!("{operation:?} to {extents:?} of {broadcasts:?}, offsets {:?}", &pick[5..]);

        let mut random = run.random();
        let a = numbers(&mut random, broadcasts[0].length(extents));
        let b = numbers(&mut random, broadcasts[1].length(extents));
        let on_device: [Buffer<f32>; 2] = [run.upload(&a, pick[5])?, run.upload(&b, pick[6])?];
        let views = [on_device[0].view(), on_device[1].view()];
        let operand = |k: usize| DeviceOperand { view: &views[k], broadcast: broadcasts[k] };
        let mut y = run.poisoned(extents[0] * extents[1], pick[7])?;
        run.kernels()
            .elementwise
            .binary(run.stream(), operation, extents, operand(0), operand(1), &mut y.view_mut())
            .map_err(|error| format!("{what}: {error}"))?;

        let (a, b) = (repeat(&a, broadcasts[0], extents), repeat(&b, broadcasts[1], extents));
        let mut exact = vec![0.0; a.len()];
        operation.map(&wide(&a), &wide(&b), &mut exact);
        let ulps = binary_ulps(operation);
        compare(&what, &run.download(&y)?, &exact, ulps, |i| format!("{:e} and {:e}", a[i], b[i]))
    })
}

/// Every pair of edges, in every operation.
pub fn check_binary_at_edges() -> Result<(), String> {
    pairwise(&[("operation", Binary::ALL.len())], |run, pick| {
        let operation = Binary::ALL[pick[0]];
        let extents = [EDGES.len(); 2];
        let edges = run.upload(&EDGES, 0)?;
        let mut y = run.poisoned(EDGES.len() * EDGES.len(), 0)?;
        let view = edges.view();
        let a = DeviceOperand { view: &view, broadcast: Broadcast::PerRow };
        let b = DeviceOperand { view: &view, broadcast: Broadcast::PerColumn };
        run.kernels()
            .elementwise
            .binary(run.stream(), operation, extents, a, b, &mut y.view_mut())
            .map_err(|error| error.to_string())?;
        let [a, b] = [a.broadcast, b.broadcast].map(|broadcast| repeat(&EDGES, broadcast, extents));
        let mut exact = vec![0.0; a.len()];
        operation.map(&wide(&a), &wide(&b), &mut exact);
        let what = format!("{operation:?} at edges");
        let ulps = binary_ulps(operation);
        compare(&what, &run.download(&y)?, &exact, ulps, |i| format!("{:e} and {:e}", a[i], b[i]))
    })
}

pub fn check_relu_backward() -> Result<(), String> {
    let factors = [("length", RAGGED.len()), ("offset of dy", 2), ("offset of y", 2), ("offset of dx", 2)];
    pairwise(&factors, |run, pick| {
        let what = format!("relu's adjoint, {} elements, offsets {:?}", RAGGED[pick[0]], &pick[1..]);
        let mut random = run.random();
        let dy = numbers(&mut random, RAGGED[pick[0]]);
        let y = numbers(&mut random, RAGGED[pick[0]]);
        let on_device: [Buffer<f32>; 2] = [run.upload(&dy, pick[1])?, run.upload(&y, pick[2])?];
        let mut dx = run.poisoned(dy.len(), pick[3])?;
        run.kernels()
            .elementwise
            .relu_backward(run.stream(), &on_device[0].view(), &on_device[1].view(), &mut dx.view_mut())
            .map_err(|error| format!("{what}: {error}"))?;
        let (mut step, mut exact) = (vec![0.0; y.len()], vec![0.0; y.len()]);
        Unary::Step.map(&wide(&y), &mut step);
        Binary::Mul.map(&wide(&dy), &step, &mut exact);
        compare(&what, &run.download(&dx)?, &exact, 0.0, |i| format!("dy {:e}, y {:e}", dy[i], y[i]))
    })
}

#[test]
fn unary_operations_agree_with_float64() {
    check_unary().unwrap();
}

#[test]
fn unary_operations_take_every_element_of_many() {
    check_unary_of_many().unwrap();
}

#[test]
fn binary_operations_agree_with_float64_however_their_operands_are_repeated() {
    check_binary().unwrap();
}

#[test]
fn binary_operations_agree_with_float64_at_every_pair_of_edges() {
    check_binary_at_edges().unwrap();
}

#[test]
fn relu_backward_is_the_adjoint_times_the_step() {
    check_relu_backward().unwrap();
}

#[test]
fn elementwise_work_on_nothing_launches_nothing() {
    let result = pairwise(&[], |run, _| {
        let kernels = &run.kernels().elementwise;
        let (x, one): (Buffer<f32>, Buffer<f32>) = (run.upload(&[], 0)?, run.upload(&[1.0], 0)?);
        let (mut y, stream) = (run.poisoned(0, 0)?, run.stream());
        let (empty, scalar) = (x.view(), one.view());
        kernels.unary(stream, Unary::Exp, &empty, &mut y.view_mut()).map_err(|error| error.to_string())?;
        let a = DeviceOperand { view: &empty, broadcast: Broadcast::Full };
        let b = DeviceOperand { view: &scalar, broadcast: Broadcast::Scalar };
        kernels
            .binary(stream, Binary::Add, [0, 3], a, b, &mut y.view_mut())
            .map_err(|error| error.to_string())?;
        kernels
            .relu_backward(stream, &empty, &empty, &mut y.view_mut())
            .map_err(|error| error.to_string())?;
        run.download(&y).map(drop)
    });
    result.unwrap();
}

#[test]
fn elementwise_operands_that_do_not_fit_are_refused_with_the_kernel_and_both_sizes() {
    let result = pairwise(&[], |run, _| {
        let kernels = &run.kernels().elementwise;
        let (x, stream) = (run.upload(&[1.0_f32; 6], 0)?, run.stream());
        let mut y = run.poisoned(5, 0)?;
        let view = x.view();
        let error = kernels.unary(stream, Unary::Exp, &view, &mut y.view_mut()).unwrap_err().to_string();
        assert_eq!(error, "kernel unary_exp: y holds 5 elements, and the sizes ask for 6");
        let operand = |broadcast| DeviceOperand { view: &view, broadcast };
        let mut refused = |extents, a, b| {
            let refused =
                kernels.binary(stream, Binary::Mul, extents, operand(a), operand(b), &mut y.view_mut());
            refused.unwrap_err().to_string()
        };
        assert_eq!(
            refused([2, 3], Broadcast::Full, Broadcast::PerColumn),
            "kernel binary_mul: b holds 6 elements, and the sizes ask for 3"
        );
        assert_eq!(
            refused([1, 5], Broadcast::PerRow, Broadcast::Scalar),
            "kernel binary_mul: a holds 6 elements, and the sizes ask for 1"
        );
        assert!(
            refused([usize::MAX, 3], Broadcast::Scalar, Broadcast::Scalar)
                .contains("more elements than can be counted")
        );
        Ok(())
    });
    result.unwrap();
}
