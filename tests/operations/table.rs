//! The table of operations: each with shapes, values, and what it computes, in plain code.

use cotangent::graph::Shape;
use cotangent::ops::{Binary, Draw, Op, Unary, Var};
use cotangent::random::{Philox, Purpose};

use crate::support::*;

/// What the values of an operand are.
#[derive(Clone, Copy)]
pub enum Values {
    Between(f64, f64),
    /// ±0.1 to ±2: not near a kink at zero.
    AwayFromZero,
    /// Class numbers, which have no derivative.
    Labels(usize),
}

pub type Build = Box<dyn for<'g> Fn(&[Var<'g>]) -> Var<'g>>;
pub type Plain = Box<dyn Fn(&[Vec<f64>]) -> Vec<Exact>>;

/// One element of a result.
pub struct Exact {
    pub value: f64,
    /// The sum of the absolute values of what is added up: what rounding errors are relative to.
    pub magnitude: f64,
}

impl From<f64> for Exact {
    fn from(value: f64) -> Self {
        Self { value, magnitude: value.abs() }
    }
}

impl FromIterator<f64> for Exact {
    fn from_iter<I: IntoIterator<Item = f64>>(terms: I) -> Self {
        terms.into_iter().fold(Self { value: 0.0, magnitude: 0.0 }, |sum, term| Self {
            value: sum.value + term,
            magnitude: sum.magnitude + term.abs(),
        })
    }
}

/// An operation on operands of certain shapes.
pub struct Case {
    pub name: String,
    pub operands: Vec<(Shape, Values)>,
    pub build: Build,
    /// The result, computed without any code of the engine.
    pub plain: Plain,
    /// How many roundings an element of the result passes: the length of its sum, and a few.
    pub roundings: usize,
    /// Whether it has a derivative (not zero everywhere).
    pub smooth: bool,
}

impl Case {
    fn new(
        name: impl std::fmt::Display,
        operands: &[(&[usize], Values)],
        build: impl for<'g> Fn(&[Var<'g>]) -> Var<'g> + 'static,
        plain: impl Fn(&[Vec<f64>]) -> Vec<Exact> + 'static,
    ) -> Self {
        let shapes: Vec<&[usize]> = operands.iter().map(|(shape, _)| *shape).collect();
        Self {
            name: format!("{name} of {shapes:?}"),
            operands: operands.iter().map(|&(extents, values)| (shape(extents), values)).collect(),
            build: Box::new(build),
            plain: Box::new(plain),
            roundings: 8,
            smooth: true,
        }
    }

    fn summing(self, terms: usize) -> Self {
        Self { roundings: self.roundings + terms, ..self }
    }

    fn not_smooth(self) -> Self {
        Self { smooth: false, ..self }
    }
}

const ANY: Values = Values::Between(-2.0, 2.0);

/// Nothing, one, less and more than a vector register, more than a stretch of the interpreter (256).
const SHAPES: [&[usize]; 12] =
    [&[], &[1], &[0], &[3], &[17], &[129], &[300], &[2, 3], &[3, 300], &[2, 1, 3], &[2, 0, 3], &[1, 1, 1]];

pub fn table() -> Vec<Case> {
    [unary(), binary(), reductions(), layouts(), products(), classification(), dropout()]
        .into_iter()
        .flatten()
        .collect()
}

fn unary() -> Vec<Case> {
    let plain = |operation: Unary, x: f64| match operation {
        Unary::Neg => 0.0 - x,
        Unary::Exp => std::f64::consts::E.powf(x),
        Unary::Ln => x.log2() * std::f64::consts::LN_2,
        Unary::Sin => x.sin(),
        Unary::Cos => x.cos(),
        Unary::Tan => x.sin() / x.cos(),
        Unary::Sqrt => x.powf(0.5),
        Unary::Log10 => x.log2() / std::f64::consts::LOG2_10,
        Unary::Asin => x.atan2((1.0 - x * x).sqrt()),
        Unary::Acos => (1.0 - x * x).sqrt().atan2(x),
        Unary::Atan => x.atan2(1.0),
        Unary::Sinh => (x.exp_m1() - (-x).exp_m1()) / 2.0,
        Unary::Cosh => (x.exp() + (-x).exp()) / 2.0,
        Unary::Sign => x / x.abs(),
        Unary::Tanh => (x.exp() - (-x).exp()) / (x.exp() + (-x).exp()),
        Unary::Sigmoid => 1.0 / (1.0 + (-x).exp()),
        Unary::Relu => f64::max(x, 0.0),
        Unary::Step => f64::from(u8::from(x > 0.0)),
        Unary::Abs => f64::max(x, -x),
        Unary::Log2 => x.ln() / std::f64::consts::LN_2,
        Unary::Log1p => (1.0 + x).ln(),
        Unary::Expm1 => 2.0 * (x / 2.0).exp() * (x / 2.0).sinh(),
        Unary::Cbrt => x.signum() * x.abs().powf(1.0 / 3.0),
        Unary::Softplus => (1.0 + x.exp()).ln(),
        Unary::Asinh => x.signum() * (x.abs() + (x * x + 1.0).sqrt()).ln(),
        Unary::Acosh => (x + (x * x - 1.0).sqrt()).ln(),
        Unary::Atanh => (x.ln_1p() - (-x).ln_1p()) / 2.0,
        Unary::Sec => x.tan() / x.sin(),
        Unary::Csc => 1.0 / (x - std::f64::consts::FRAC_PI_2).cos(),
        Unary::Cot => x.cos() / x.sin(),
        Unary::Erf => error_function(x),
        Unary::Gaussian => (-x.powi(2)).exp(),
        Unary::CbrtSlope => x.powi(2).powf(-1.0 / 3.0) / 3.0,
        Unary::SigmoidSlope => 1.0 / (2.0 + x.exp() + (-x).exp()),
        Unary::Sech2 => x.cosh().powi(-2),
        Unary::OneMinusSquare => (1.0 - x) * (1.0 + x),
    };
    let values = |operation| match operation {
        Unary::Ln | Unary::Log10 | Unary::Log2 | Unary::Sqrt => Values::Between(0.3, 3.0),
        Unary::Log1p => Values::Between(0.5, 3.0),
        Unary::Acosh => Values::Between(1.5, 3.0),
        Unary::Tan | Unary::Sec | Unary::Erf => Values::Between(-1.0, 1.0),
        Unary::Csc | Unary::Cot => Values::Between(0.5, 2.5),
        Unary::Asin | Unary::Acos | Unary::Atanh | Unary::OneMinusSquare => Values::Between(-0.8, 0.8),
        Unary::Relu
        | Unary::Step
        | Unary::Sign
        | Unary::Abs
        | Unary::Tanh
        | Unary::Cbrt
        | Unary::CbrtSlope
        | Unary::Asinh => Values::AwayFromZero,
        _ => ANY,
    };
    let case = |operation: Unary, shape: &[usize]| {
        let case = Case::new(
            format!("{operation:?}"),
            &[(shape, values(operation))],
            move |x| x[0].builder().apply(Op::Unary(operation), x),
            move |x| x[0].iter().map(|&x| plain(operation, x).into()).collect(),
        );
        if matches!(operation, Unary::Step | Unary::Sign) { case.not_smooth() } else { case }
    };
    Unary::ALL.iter().flat_map(|&operation| SHAPES.map(|shape| case(operation, shape))).collect()
}

fn binary() -> Vec<Case> {
    /// Pairs of shapes with the shape that they broadcast to.
    const PAIRS: [[&[usize]; 3]; 16] = [
        [&[], &[], &[]],
        [&[0], &[0], &[0]],
        [&[3], &[3], &[3]],
        [&[300], &[300], &[300]],
        [&[5, 129], &[5, 129], &[5, 129]],
        [&[2, 1, 3], &[2, 1, 3], &[2, 1, 3]],
        [&[], &[300], &[300]],
        [&[2, 3], &[], &[2, 3]],
        [&[2, 3], &[3], &[2, 3]],
        [&[1], &[2, 3], &[2, 3]],
        [&[3, 300], &[3, 1], &[3, 300]],
        [&[4, 1], &[5], &[4, 5]],
        [&[2, 3, 4], &[3, 1], &[2, 3, 4]],
        [&[2, 3, 4], &[2, 1, 4], &[2, 3, 4]],
        [&[4, 1, 3], &[2, 1], &[4, 2, 3]],
        [&[0, 3], &[1, 3], &[0, 3]],
    ];
    let plain = |operation: Binary, a: f64, b: f64| match operation {
        Binary::Add => [a, b].into_iter().collect(),
        Binary::Sub => [a, -b].into_iter().collect(),
        Binary::Mul => (a * b).into(),
        Binary::Div => (a * b.powi(-1)).into(),
        Binary::Pow => (b * a.ln()).exp().into(),
        Binary::Max => f64::max(a, b).into(),
        Binary::Min => f64::min(a, b).into(),
        Binary::Above => (0.5 + 0.5 * (a - b).signum()).into(),
        Binary::Hypot => (a * a + b * b).sqrt().into(),
        Binary::Atan2 => (2.0 * (a / ((a * a + b * b).sqrt() + b)).atan()).into(),
        Binary::Direction => (a / (a * a + b * b).sqrt()).into(),
        Binary::Inversion => (b / (a * a + b * b)).into(),
        Binary::PowerBelow => (a.powf(b) / a).into(),
        Binary::PowerBelow2 => (a.powf(b) / (a * a)).into(),
        Binary::PowerLog => (a.powf(b) * a.ln()).into(),
        Binary::XLogY => (a * b.ln()).into(),
    };
    let values = |operation| match operation {
        Binary::Div => [ANY, Values::AwayFromZero],
        Binary::Pow | Binary::PowerBelow | Binary::PowerBelow2 | Binary::PowerLog => {
            [Values::Between(0.5, 2.0), ANY]
        }
        Binary::XLogY => [ANY, Values::Between(0.5, 2.0)],
        Binary::Hypot | Binary::Direction | Binary::Inversion => [Values::AwayFromZero, ANY],
        Binary::Atan2 => [Values::AwayFromZero, Values::Between(0.1, 2.0)],
        // Never equal, and a kink on either side.
        Binary::Max | Binary::Min | Binary::Above => [Values::AwayFromZero, Values::Between(-0.05, 0.05)],
        _ => [ANY, ANY],
    };
    let case = |operation: Binary, [a, b, result]: [&'static [usize]; 3]| {
        let [values_a, values_b] = values(operation);
        let case = Case::new(
            format!("{operation:?}"),
            &[(a, values_a), (b, values_b)],
            move |x| match operation {
                Binary::Add => x[0] + x[1],
                Binary::Sub => x[0] - x[1],
                Binary::Mul => x[0] * x[1],
                Binary::Div => x[0] / x[1],
                Binary::Pow => x[0].pow(x[1]),
                Binary::Max => x[0].max(x[1]),
                Binary::Min => x[0].min(x[1]),
                Binary::Above => x[0].above(x[1]),
                Binary::Hypot => x[0].hypot(x[1]),
                Binary::Atan2 => x[0].atan2(x[1]),
                Binary::Direction => x[0].direction(x[1]),
                Binary::Inversion => x[0].inversion(x[1]),
                Binary::PowerBelow => x[0].power_below(x[1]),
                Binary::PowerBelow2 => x[0].power_below2(x[1]),
                Binary::PowerLog => x[0].power_log(x[1]),
                Binary::XLogY => x[0].xlogy(x[1]),
            },
            move |x| {
                // NumPy's rule: aligned at the last axis, an extent of 1 is repeated.
                let read = |values: &[f64], shape: &[usize], index: &[usize]| {
                    let own = &index[index.len() - shape.len()..];
                    let own: Vec<usize> =
                        own.iter().zip(shape).map(|(&i, &n)| if n == 1 { 0 } else { i }).collect();
                    values[offset(shape, &own)]
                };
                let at = |index: &Vec<usize>| plain(operation, read(&x[0], a, index), read(&x[1], b, index));
                indices(result).iter().map(at).collect()
            },
        );
        if operation == Binary::Above { case.not_smooth() } else { case }
    };
    Binary::ALL.iter().flat_map(|&operation| PAIRS.map(|pair| case(operation, pair))).collect()
}

/// erf by its power series (Abramowitz and Stegun, 7.1.6), whose terms have one sign.
fn error_function(x: f64) -> f64 {
    let (mut term, mut sum) = (x, 0.0);
    for n in 1..100 {
        sum += term;
        term *= 2.0 * x * x / f64::from(2 * n + 1);
    }
    std::f64::consts::FRAC_2_SQRT_PI * (-x * x).exp() * sum
}

fn reductions() -> Vec<Case> {
    const LONG: [&[usize]; 9] =
        [&[4], &[300], &[2, 3], &[129, 3], &[3, 300], &[2, 3, 4], &[1, 17, 2], &[0, 3], &[2, 0, 3]];
    let mut cases = Vec::new();
    for long in LONG {
        for axes in sets_of_axes(long) {
            let short = without(long, &axes);
            let count: usize = axes.iter().map(|&axis| long[axis]).product();
            let sums = |axes: Vec<usize>, short: Vec<usize>| {
                move |x: &[Vec<f64>], factor: f64| -> Vec<Exact> {
                    let mut terms = vec![Vec::new(); short.iter().product()];
                    for (index, x) in indices(long).iter().zip(&x[0]) {
                        terms[offset(&short, &without(index, &axes))].push(factor * x);
                    }
                    terms.into_iter().map(Exact::from_iter).collect()
                }
            };
            let (these, plain) = (axes.clone(), sums(axes.clone(), short.clone()));
            cases.push(
                Case::new(
                    format!("sum over {axes:?}"),
                    &[(long, ANY)],
                    move |x| x[0].sum_axes(&these),
                    move |x| plain(x, 1.0),
                )
                .summing(count),
            );
            if count > 0 {
                let (these, plain) = (axes.clone(), sums(axes.clone(), short.clone()));
                cases.push(
                    Case::new(
                        format!("mean over {axes:?}"),
                        &[(long, ANY)],
                        move |x| if these.len() == long.len() { x[0].mean() } else { x[0].mean_axes(&these) },
                        move |x| plain(x, 1.0 / count as f64),
                    )
                    .summing(count),
                );
            }
            let (these, from) = (axes.clone(), short.clone());
            cases.push(Case::new(
                format!("broadcast along {axes:?} to {long:?}"),
                &[(&short, ANY)],
                {
                    let axes = axes.clone();
                    move |x| x[0].broadcast_along(&axes, long)
                },
                move |x| {
                    let source = |index: &Vec<usize>| x[0][offset(&from, &without(index, &these))].into();
                    indices(long).iter().map(source).collect()
                },
            ));
        }
    }
    cases
}

fn layouts() -> Vec<Case> {
    const RESHAPES: [[&[usize]; 2]; 6] = [
        [&[2, 3], &[6]],
        [&[6], &[3, 2]],
        [&[], &[1, 1]],
        [&[1], &[]],
        [&[0, 3], &[0]],
        [&[2, 150], &[3, 5, 20]],
    ];
    const TRANSPOSES: [(&[usize], &[usize]); 10] = [
        (&[], &[]),
        (&[3], &[0]),
        (&[3, 17], &[1, 0]),
        (&[0, 2], &[1, 0]),
        (&[2, 3, 4], &[0, 2, 1]),
        (&[2, 3, 4], &[1, 0, 2]),
        (&[2, 3, 4], &[1, 2, 0]),
        (&[2, 3, 4], &[2, 0, 1]),
        (&[2, 3, 4], &[2, 1, 0]),
        (&[2, 3, 4], &[0, 1, 2]),
    ];
    let reshape = |[from, to]: [&'static [usize]; 2]| {
        Case::new(
            format!("reshape to {to:?}"),
            &[(from, ANY)],
            move |x| x[0].reshape(to),
            |x| x[0].iter().map(|&x| x.into()).collect(),
        )
    };
    let transpose = |(from, permutation): (&'static [usize], &'static [usize])| {
        let to: Vec<usize> = permutation.iter().map(|&axis| from[axis]).collect();
        Case::new(
            format!("transpose by {permutation:?}"),
            &[(from, ANY)],
            move |x| x[0].transpose(permutation),
            move |x| {
                let source = |index: &Vec<usize>| {
                    let mut source = vec![0; index.len()];
                    for (&axis, &i) in permutation.iter().zip(index) {
                        source[axis] = i;
                    }
                    x[0][offset(from, &source)].into()
                };
                indices(&to).iter().map(source).collect()
            },
        )
    };
    RESHAPES.map(reshape).into_iter().chain(TRANSPOSES.map(transpose)).collect()
}

fn products() -> Vec<Case> {
    const EXTENTS: [[usize; 3]; 11] = [
        [1, 1, 1],
        [2, 3, 4],
        [17, 3, 129],
        [33, 31, 17],
        [3, 0, 2],
        [0, 3, 2],
        [0, 0, 3],
        [1, 1, 0],
        [3, 1, 0],
        [2, 3, 0],
        [0, 0, 0],
    ];
    let mut cases = Vec::new();
    for [m, n, k] in EXTENTS {
        for (name, ta, tb) in [
            ("matmul", false, false),
            ("matmul_nt", false, true),
            ("matmul_tn", true, false),
            ("matmul_tt", true, true),
        ] {
            let a = if ta { [k, m] } else { [m, k] };
            let b = if tb { [n, k] } else { [k, n] };
            cases.push(
                Case::new(
                    name,
                    &[(&a, ANY), (&b, ANY)],
                    move |x| match (ta, tb) {
                        (false, false) => x[0].matmul(x[1]),
                        (false, true) => x[0].matmul_nt(x[1]),
                        (true, false) => x[0].matmul_tn(x[1]),
                        (true, true) => x[0].matmul_tt(x[1]),
                    },
                    move |x| {
                        let a = |i, l| x[0][if ta { offset(&a, &[l, i]) } else { offset(&a, &[i, l]) }];
                        let b = |l, j| x[1][if tb { offset(&b, &[j, l]) } else { offset(&b, &[l, j]) }];
                        let element = |i: &Vec<usize>| (0..k).map(|l| a(i[0], l) * b(l, i[1])).collect();
                        indices(&[m, n]).iter().map(element).collect()
                    },
                )
                .summing(k),
            );
        }
    }
    cases
}

fn classification() -> Vec<Case> {
    const SOFTMAXES: [&[usize]; 7] = [&[3], &[2, 5], &[2, 3, 4], &[1, 1], &[0, 4], &[3, 300], &[2, 17]];
    const LABELLED: [[usize; 2]; 6] = [[1, 1], [3, 4], [0, 2], [17, 10], [2, 300], [5, 2]];
    fn softmax(row: &[f64]) -> Vec<f64> {
        let sum: f64 = row.iter().map(|z| z.exp()).sum();
        row.iter().map(|z| z.exp() / sum).collect()
    }
    let mut cases = Vec::new();
    for shape in SOFTMAXES {
        let classes = shape[shape.len() - 1];
        cases.push(
            Case::new(
                "softmax",
                &[(shape, ANY)],
                |x| x[0].softmax(),
                move |x| x[0].chunks(classes).flat_map(softmax).map(Exact::from).collect(),
            )
            .summing(classes),
        );
    }
    for [rows, classes] in LABELLED {
        let (logits, labels) = ([rows, classes], [rows]);
        cases.push(
            Case::new(
                "softmax_cross_entropy",
                &[(&logits, ANY), (&labels, Values::Labels(classes))],
                |x| x[0].softmax_cross_entropy(x[1]),
                move |x| {
                    let rows = x[0].chunks(classes).zip(&x[1]);
                    // ln Σ eᶻ and z[label] are subtracted: each is of the size of a logit.
                    let loss = |(row, &label): (&[f64], &f64)| Exact {
                        value: -softmax(row)[label as usize].ln(),
                        magnitude: 4.0 + (classes as f64).ln(),
                    };
                    rows.map(loss).collect()
                },
            )
            .summing(classes),
        );
        cases.push(
            Case::new(
                format!("one_hot ({classes} classes)"),
                &[(&labels, Values::Labels(classes))],
                move |x| x[0].one_hot(classes),
                move |x| {
                    let element =
                        |index: &Vec<usize>| f64::from(u8::from(x[0][index[0]] == index[1] as f64)).into();
                    indices(&[rows, classes]).iter().map(element).collect()
                },
            )
            .not_smooth(),
        );
    }
    cases
}

pub const DRAW: Draw = Draw { seed: 11, step: 5 };

fn dropout() -> Vec<Case> {
    let case = |(p, shape): (f64, &'static [usize])| {
        Case::new(
            format!("dropout with p = {p}"),
            &[(shape, ANY)],
            move |x| x[0].dropout(p, 3),
            move |x| {
                let mut words = vec![0; x[0].len()];
                Philox::new(DRAW.seed, Purpose::Dropout, 3).fill(DRAW.step, 0, &mut words);
                let factor =
                    |word: u32| if f64::from(word) / 2f64.powi(32) < p { 0.0 } else { 1.0 / (1.0 - p) };
                x[0].iter().zip(words).map(|(x, word)| (x * factor(word)).into()).collect()
            },
        )
    };
    let shapes: [&[usize]; 5] = [&[], &[0], &[40], &[3, 300], &[2, 3, 5]];
    shapes.into_iter().flat_map(|shape| [0.0, 0.25, 0.9].map(|p| case((p, shape)))).collect()
}

/// The values of one operand: a vector that float32 holds exactly.
pub fn draw_values(random: &mut Random, (shape, values): &(Shape, Values)) -> Vec<f64> {
    let mut draw = || match *values {
        Values::Between(low, high) => random.between(low, high),
        Values::AwayFromZero => random.between(0.1, 2.0) * random.pick(&[-1.0, 1.0]),
        Values::Labels(classes) => random.below(classes) as f64,
    };
    (0..shape.size()).map(|_| draw()).collect()
}
