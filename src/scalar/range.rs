//! Where a computation leaves float64's range: what overflows, what underflows, and which later numbers stem from it.
//!
//! An infinite number is not always a pole, nor is a 0 always exact: 1/x at 1e-320 overflows, and x·x at 1e-200 underflows
//! to 0, so that sqrt(x·x) has an infinite derivative where |x| has none. This goes over the nodes in evaluation order and
//! keeps, for each number that is 0, subnormal or not finite, the node at which the range was left.

use std::ops::Range;

use crate::exec::Interpreter;
use crate::graph::NodeId;
use crate::ops::{Binary, Graph, Op, Unary};

/// Why a number is not finite, or is smaller than it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    /// The operation has no value for its operands.
    Undefined,
    /// A pole: the operation is infinite for its operands.
    Infinite,
    /// The result of finite operands is larger than float64 holds, at this node.
    Overflow(NodeId),
    /// The result of operands that are not 0 is too small for float64, at this node.
    Underflow(NodeId),
}

/// For each node of a graph where its number left the range, if it did.
pub(super) struct Survey {
    origins: Vec<Option<NodeId>>,
}

impl Survey {
    pub fn new(graph: &Graph) -> Self {
        Self { origins: vec![None; graph.len()] }
    }

    /// Looks at these nodes of the evaluation order; those before them have been looked at.
    pub fn look(&mut self, graph: &Graph, values: &Interpreter<'_, f64>, nodes: Range<usize>) {
        for id in graph.ids().take(nodes.end).skip(nodes.start) {
            let result = values.get(id)[0];
            self.origins[id.index()] = match is_ordinary(result) {
                true => None,
                false => self.origin(graph, values, id, result),
            };
        }
    }

    fn origin(
        &self,
        graph: &Graph,
        values: &Interpreter<'_, f64>,
        id: NodeId,
        result: f64,
    ) -> Option<NodeId> {
        let node = &graph[id];
        let operands: Vec<f64> = node.inputs.iter().map(|&input| values.get(input)[0]).collect();
        // What an operand brings along, if it is one of these.
        let brought = |is_such: &dyn Fn(f64) -> bool| {
            let such = node.inputs.iter().zip(&operands).filter(|(_, x)| is_such(**x));
            such.filter_map(|(input, _)| self.origins[input.index()]).next()
        };
        match () {
            () if operands.iter().any(|x| !x.is_finite()) => brought(&|x| !x.is_finite()),
            () if !result.is_finite() => {
                brought(&|x| x == 0.0).or_else(|| is_overflow(&node.op, &operands, result).then_some(id))
            }
            () if is_underflow(&node.op, &operands, result) => Some(id),
            () => brought(&|x| !is_ordinary(x)),
        }
    }

    /// Where a node's number left the range; nothing where it did not.
    pub fn left(&self, values: &Interpreter<'_, f64>, node: NodeId) -> Option<Cause> {
        let origin = self.origins[node.index()]?;
        let is_finite = values.get(origin)[0].is_finite();
        Some(if is_finite { Cause::Underflow(origin) } else { Cause::Overflow(origin) })
    }

    /// Why a node's number is not finite.
    pub fn cause(&self, values: &Interpreter<'_, f64>, node: NodeId) -> Cause {
        let own = || if values.get(node)[0].is_nan() { Cause::Undefined } else { Cause::Infinite };
        self.left(values, node).unwrap_or_else(own)
    }
}

/// Whether a number is in the range where float64 holds all digits.
fn is_ordinary(x: f64) -> bool {
    x.is_normal()
}

/// Whether an infinite result of finite operands is no pole of the operation. Each operation is named, so that a new one has
/// to be thought of.
fn is_overflow(op: &Op, operands: &[f64], result: f64) -> bool {
    use {Binary as B, Unary as U};
    if !result.is_infinite() {
        return false;
    }
    match (op, operands) {
        (Op::Unary(function), &[x]) => match function {
            U::Neg | U::Exp | U::Expm1 | U::Sinh | U::Cosh | U::Softplus | U::OneMinusSquare => true,
            // Their poles are at 0, 1 or -1.
            U::Ln | U::Log10 | U::Log2 | U::Log1p | U::Atanh | U::Csc | U::Cot | U::CbrtSlope => {
                x != 0.0 && x.abs() != 1.0
            }
            // No number of float64 is a pole of these.
            U::Tan | U::Sec => true,
            U::Sin
            | U::Cos
            | U::Sqrt
            | U::Asin
            | U::Acos
            | U::Atan
            | U::Tanh
            | U::Sigmoid
            | U::Relu
            | U::Step
            | U::Sign
            | U::Abs
            | U::Cbrt
            | U::Asinh
            | U::Acosh
            | U::Erf
            | U::Gaussian
            | U::SigmoidSlope
            | U::Sech2 => false, // bounded, or smaller than its operand
        },
        (Op::Binary(function), &[a, b]) => match function {
            B::Add | B::Sub | B::Mul | B::Hypot => true,
            B::Div | B::XLogY => b != 0.0,
            B::Pow | B::PowerBelow | B::PowerBelow2 | B::PowerLog => a != 0.0,
            B::Inversion => a != 0.0 || b != 0.0,
            B::Max | B::Min | B::Above | B::Atan2 | B::Direction => false,
        },
        _ => false, // formulas have no others
    }
}

/// Whether digits were lost because the result is smaller than the smallest number that has them all. Functions that are
/// about as small as their operand where that is small, such as the sine, lose none.
fn is_underflow(op: &Op, operands: &[f64], result: f64) -> bool {
    use {Binary as B, Unary as U};
    // Exact for results that are subnormal: one operand is made larger, and the result by as much.
    const SCALE: f64 = f64::from_bits((1023 + 600) << 52); // 2^600
    let is_rounded = |scaled: f64| result == 0.0 || scaled != result * SCALE;
    match (op, operands) {
        (Op::Unary(function), _) => match function {
            U::Exp | U::Sigmoid | U::Softplus | U::Gaussian | U::SigmoidSlope | U::Sech2 => true,
            U::Neg
            | U::Ln
            | U::Log10
            | U::Sin
            | U::Cos
            | U::Tan
            | U::Sqrt
            | U::Asin
            | U::Acos
            | U::Atan
            | U::Sinh
            | U::Cosh
            | U::Tanh
            | U::Relu
            | U::Step
            | U::Sign
            | U::Abs
            | U::Log2
            | U::Log1p
            | U::Expm1
            | U::Cbrt
            | U::Asinh
            | U::Acosh
            | U::Atanh
            | U::Sec
            | U::Csc
            | U::Cot
            | U::Erf
            | U::CbrtSlope
            | U::OneMinusSquare => false,
        },
        (Op::Binary(function), &[a, b]) => match function {
            B::Mul => {
                let (small, large) = if a.abs() < b.abs() { (a, b) } else { (b, a) };
                small != 0.0 && is_rounded(small * SCALE * large)
            }
            B::Div => a != 0.0 && is_rounded(a * SCALE / b),
            B::Pow | B::PowerBelow | B::PowerBelow2 | B::Atan2 | B::Direction => a != 0.0,
            B::PowerLog => a != 0.0 && a != 1.0,
            B::Inversion => b != 0.0,
            B::XLogY => a != 0.0 && b != 1.0,
            B::Add | B::Sub | B::Max | B::Min | B::Above | B::Hypot => false, // exact where they are small
        },
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::Draw;
    use crate::scalar::parse;

    /// What became of the value of a formula of x.
    fn left(formula: &str, x: f64) -> Option<(bool, usize)> {
        let formula = parse(formula).unwrap();
        let graph = formula.graph();
        let mut values = Interpreter::<f64>::new(graph);
        values.set(formula.variables()[0].1, &[x]);
        values.run(0..graph.len(), Draw::default());
        let mut survey = Survey::new(graph);
        survey.look(graph, &values, 0..graph.len());
        match survey.left(&values, formula.output())? {
            Cause::Overflow(node) => Some((true, node.index())),
            Cause::Underflow(node) => Some((false, node.index())),
            Cause::Undefined | Cause::Infinite => None,
        }
    }

    #[test]
    fn poles_and_exact_zeros_are_within_the_range() {
        for (formula, x) in [
            ("1/x", 0.0),
            ("ln(x)", 0.0),
            ("x^-1", 0.0),
            ("x-x", 3.0),
            ("relu(x)", -1.0),
            ("0*x", 1e-300),
            ("x*x + 1", 1e-200),
            ("x/2", f64::MIN_POSITIVE),
            ("x*2^-20", 1e-300),
            ("sin(x)", 1e-310),
            ("step(x)", -1e-310),
            ("ln(x)", 1.0),
            ("x^0.5", -1.0),
        ] {
            assert_eq!(left(formula, x), None, "{formula} at {x}");
        }
    }

    #[test]
    fn under_and_overflow_are_found_where_they_begin() {
        for (formula, x, overflow, node) in [
            ("x*x", 1e-200, false, 1),
            ("x*x", 1.1e-160, false, 1),
            ("x^2", 1e-200, false, 2),
            ("x*x*x", 1e-200, false, 1),
            ("sqrt(x*x + x*x)", 1e-200, false, 1),
            ("1/(x*x)", 1e-200, false, 2),
            ("ln(x*x)", 1e-200, false, 1),
            ("(x*x)/(x*x)", 1e-200, false, 1),
            ("exp(x)", -800.0, false, 1),
            ("sigmoid(x)", -800.0, false, 1),
            ("x/1e200", 1e-200, false, 2),
            ("x*x", 1e200, true, 1),
            ("x+x", 1e308, true, 1),
            ("exp(x)", 800.0, true, 1),
            ("cosh(x)", 800.0, true, 1),
            ("x^-1", 1e-310, true, 3),
            ("sqrt(x*x)", 1e200, true, 1),
        ] {
            assert_eq!(left(formula, x), Some((overflow, node)), "{formula} at {x}");
        }
        assert!(matches!(left("1/x", 1e-310), Some((true, _))));
    }
}
