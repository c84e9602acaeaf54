//! Nodes of a graph as expressions to read: `v1 · v2`, `v̇1 · cos(v1)`.
//!
//! Tangent rules and partials are not written down anywhere a second time: they are read off the nodes that the operations'
//! own derivative rules have appended to the graph.

use super::names::Names;
use super::trace::{Summand, Trace, TraceRow};
use crate::graph::NodeId;
use crate::ops::{Binary, Leaf, Op, Rule, Unary};

/// What a notation prints.
#[derive(Clone, Debug, PartialEq)]
pub enum Expression {
    /// A node's value, by the node's number.
    Primal(i64),
    /// A node's tangent.
    Tangent(i64),
    /// A node's adjoint.
    Adjoint(i64),
    /// A name of the user's.
    Name(String),
    /// A number.
    Number(f64),
    /// -x
    Negate(Box<Expression>),
    /// An operation written between its operands: `+ - * / ^`.
    Infix(Binary, Box<Expression>, Box<Expression>),
    /// A function of one operand or two.
    Call(&'static str, Vec<Expression>),
}

use Expression::{Call, Infix, Name, Negate, Number, Primal, Tangent};

/// Constant expressions of more nodes are shown as their number.
const LARGEST_CONSTANT: usize = 5;

/// What nodes are called where an expression is read off.
struct Symbols<'t> {
    trace: &'t Trace,
    names: Vec<(NodeId, Expression)>,
    /// Whether factors of 1 and sums with what is negated are written as one does by hand.
    tidy: bool,
}

impl Trace {
    /// What its nodes are called, beside the inputs.
    pub fn names(&self) -> Names {
        Names::beside(self.point.iter().map(|(name, _)| &name[..]))
    }

    /// What a row's value is computed from: the operation and its operands, or the input's name.
    pub fn definition(&self, row: &TraceRow) -> Expression {
        match self.input_name(row) {
            Some(name) => Name(name.into()),
            None => {
                let names = self.operands(row, |operand| Primal(operand.number));
                Symbols { trace: self, names, tidy: false }.operation(row.node)
            }
        }
    }

    /// What a row's tangent is computed from; nothing for an input.
    pub fn tangent_rule(&self, row: &TraceRow) -> Option<Expression> {
        if self.input_name(row).is_some() {
            return None;
        }
        let Some(tangent) = row.tangent else { return Some(Number(0.0)) };
        // A value before a tangent: where x is its own tangent's node, nothing else is at hand.
        let mut names = self.operands(row, |operand| Primal(operand.number));
        names.push((row.node, Primal(row.number)));
        for &node in &self.graph[row.node].inputs {
            if let Some(operand) = self.row_of(node)
                && let Some(tangent) = operand.tangent
            {
                names.push((tangent, Tangent(operand.number)));
            }
        }
        Some(Symbols { trace: self, names, tidy: true }.expression(tangent))
    }

    /// The local partial that a contribution multiplies with.
    pub fn partial(&self, part: &Summand) -> Expression {
        let from = &self.rows[part.from];
        let mut names = self.operands(from, |operand| Primal(operand.number));
        names.push((from.node, Primal(from.number)));
        Symbols { trace: self, names, tidy: true }.expression(part.partial_node)
    }

    /// The whole formula, if it has no more nodes than that when nothing is shared.
    pub fn whole(&self, most: usize) -> Option<Expression> {
        let output = self.rows.last()?.node;
        let mut sizes: Vec<usize> = Vec::with_capacity(output.index() + 1);
        for id in self.graph.ids().take(output.index() + 1) {
            let operands = self.graph[id].inputs.iter().map(|input| sizes[input.index()]);
            sizes.push(operands.fold(1, usize::saturating_add));
        }
        if sizes[output.index()] > most {
            return None;
        }
        let inputs = self.rows.iter().take(self.point.len()).zip(&self.point);
        let names = inputs.map(|(row, (name, _))| (row.node, Name(name.clone()))).collect();
        Some(Symbols { trace: self, names, tidy: false }.expression(output))
    }

    /// The input's name, if the row is one.
    pub fn input_name(&self, row: &TraceRow) -> Option<&str> {
        let position = usize::try_from(row.number + self.point.len() as i64 - 1).ok()?;
        self.point.get(position).map(|(name, _)| &name[..])
    }

    fn operands(&self, row: &TraceRow, name: impl Fn(&TraceRow) -> Expression) -> Vec<(NodeId, Expression)> {
        let operands = self.graph[row.node].inputs.iter();
        operands.filter_map(|&node| Some((node, name(self.row_of(node)?)))).collect()
    }

    /// The rows that a row's operation reads, by position, in the order of its operands.
    pub(super) fn operand_positions(&self, position: usize) -> Vec<usize> {
        let operands = self.graph[self.rows[position].node].inputs.iter();
        let place = |row: &TraceRow| usize::try_from(row.number + self.point.len() as i64 - 1).ok();
        operands.filter_map(|&node| place(self.row_of(node)?)).collect()
    }

    fn row_of(&self, node: NodeId) -> Option<&TraceRow> {
        self.rows.get(*self.places.get(node.index())?)
    }
}

impl Symbols<'_> {
    fn expression(&self, node: NodeId) -> Expression {
        if let Some((_, name)) = self.names.iter().find(|(other, _)| *other == node) {
            return name.clone();
        }
        if let Some(Some(value)) = self.trace.constants.get(node.index())
            && self.is_large(node)
        {
            return Number(*value);
        }
        self.operation(node)
    }

    fn operation(&self, node: NodeId) -> Expression {
        let node = &self.trace.graph[node];
        let operands = node.inputs.iter().map(|&input| self.expression(input)).collect();
        let expression = Expression::of(&node.op, operands);
        if self.tidy { expression.tidied() } else { expression }
    }

    /// Whether a constant expression has too many nodes to be shown.
    fn is_large(&self, node: NodeId) -> bool {
        let (mut open, mut count) = (vec![node], 0);
        while let Some(node) = open.pop() {
            count += 1;
            if count > LARGEST_CONSTANT {
                return true;
            }
            open.extend(&self.trace.graph[node].inputs);
        }
        false
    }
}

impl Expression {
    /// An operation on these operands.
    pub(super) fn of(op: &Op, operands: Vec<Expression>) -> Self {
        let mut operands = operands.into_iter();
        match (op, operands.next(), operands.next()) {
            (Op::Leaf(Leaf::Constant(value)), ..) => constant(value.get()),
            (Op::Unary(Unary::Neg), Some(x), _) => Negate(Box::new(x)),
            (Op::Binary(op), Some(a), Some(b)) if is_infix(*op) => Infix(*op, Box::new(a), Box::new(b)),
            (Op::Unary(op), Some(x), _) => x.put_into(*op),
            (Op::Binary(op), Some(a), Some(b)) => Self::of_both(*op, a, b),
            (op, a, b) => Call(op.name(), a.into_iter().chain(b).collect()),
        }
    }

    /// A function of one operand; those that only derivative rules are made of as the formulas that they stand for.
    fn put_into(self, function: Unary) -> Self {
        match function {
            Unary::Gaussian => Call("exp", vec![Negate(Box::new(self.squared()))]),
            Unary::CbrtSlope => {
                let square = Call("cbrt", vec![self]).squared();
                infix(Binary::Div, Number(1.0), infix(Binary::Mul, Number(3.0), square))
            }
            Unary::SigmoidSlope => {
                let side = |x| Call("sigmoid", vec![x]);
                infix(Binary::Mul, side(self.clone()), side(Negate(Box::new(self))))
            }
            Unary::Sech2 => infix(Binary::Div, Number(1.0), Call("cosh", vec![self]).squared()),
            Unary::OneMinusSquare => infix(Binary::Sub, Number(1.0), self.squared()),
            _ => Call(function.name(), vec![self]),
        }
    }

    /// A function of two operands, likewise.
    fn of_both(function: Binary, a: Self, b: Self) -> Self {
        let lowered = |a, b, n| infix(Binary::Pow, a, infix(Binary::Sub, b, Number(n)));
        let ln = |x| Call("ln", vec![x]);
        match function {
            Binary::Direction => infix(Binary::Div, a.clone(), Call("hypot", vec![a, b])),
            Binary::Inversion => infix(Binary::Div, b.clone(), infix(Binary::Add, a.squared(), b.squared())),
            Binary::PowerBelow => lowered(a, b, 1.0),
            Binary::PowerBelow2 => lowered(a, b, 2.0),
            Binary::PowerLog => infix(Binary::Mul, infix(Binary::Pow, a.clone(), b), ln(a)),
            Binary::XLogY => infix(Binary::Mul, a, ln(b)),
            _ => Call(function.name(), vec![a, b]),
        }
    }

    fn squared(self) -> Self {
        if self == Number(1.0) { self } else { infix(Binary::Pow, self, Number(2.0)) }
    }

    /// A product with 1, and a sum with what is negated, as one writes them by hand.
    fn tidied(self) -> Self {
        let Infix(op, a, b) = self else { return self };
        match (op, *a, *b) {
            (Binary::Mul, Number(1.0), b) => b,
            (Binary::Mul, Infix(Binary::Div, one, divisor), b) if *one == Number(1.0) => {
                Infix(Binary::Div, Box::new(b), divisor)
            }
            (Binary::Add, a, Negate(b)) => Infix(Binary::Sub, Box::new(a), b),
            (op, a, b) => Infix(op, Box::new(a), Box::new(b)),
        }
    }
}

fn infix(op: Binary, a: Expression, b: Expression) -> Expression {
    Infix(op, Box::new(a), Box::new(b))
}

fn is_infix(op: Binary) -> bool {
    matches!(op, Binary::Add | Binary::Sub | Binary::Mul | Binary::Div | Binary::Pow)
}

/// A number, by its name if it has one.
fn constant(value: f64) -> Expression {
    for (logarithm, of) in [(std::f64::consts::LN_10, 10.0), (std::f64::consts::LN_2, 2.0)] {
        if value == logarithm {
            return Call("ln", vec![Number(of)]); // of log10's and log2's derivatives
        }
    }
    if value == std::f64::consts::FRAC_2_SQRT_PI {
        let root = Call("sqrt", vec![Name("pi".into())]);
        return infix(Binary::Div, Number(2.0), root); // of erf's
    }
    match super::functions::CONSTANTS.iter().find(|(_, constant)| *constant == value) {
        Some((name, _)) => Name((*name).into()),
        None => Number(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_only_rules_are_made_of_is_shown_as_the_formula_that_it_stands_for() {
        let operand = |name: &str| Name(name.into());
        let is_function = |name: &str| super::super::functions().any(|function| function == name);
        for &unary in Unary::ALL.iter().filter(|unary| !Unary::FUNCTIONS.contains(unary)) {
            let shown = Expression::of(&Op::Unary(unary), vec![operand("x")]);
            assert!(!matches!(shown, Call(name, _) if name == unary.name()), "{shown:?}");
            assert!(!is_function(unary.name()), "{unary:?}");
        }
        for &binary in Binary::ALL.iter().filter(|binary| !Binary::FUNCTIONS.contains(binary)) {
            let shown = Expression::of(&Op::Binary(binary), vec![operand("x"), operand("y")]);
            assert!(!matches!(shown, Call(name, _) if name == binary.name()), "{shown:?}");
            assert!(!is_function(binary.name()), "{binary:?}");
        }
        assert!(is_function("sigmoid") && is_function("hypot"));
    }
}
