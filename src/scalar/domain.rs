//! Where a formula or a derivative has no finite value, and where a derivative is a convention.

use super::error::TextError;
use super::expression::Expression;
use super::format::Notation;
use super::parse::Formula;
use super::trace::Row;
use crate::document::number::exact;
use crate::graph::NodeId;
use crate::ops::{Binary, Leaf, Op, Rule, Unary};

/// What has no finite value.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "each message says what it is")]
pub enum DomainError {
    #[error("{0}")]
    Value(TextError),
    #[error("{0}")]
    Partial(TextError),
    #[error("{0}")]
    Derivative(TextError),
    #[error(
        "the second derivative of {of} by {by} and {and} has no finite value at this point; leave --hessian out, or move the point"
    )]
    Second { of: String, by: String, and: String },
}

/// The numbers for which an operation has a value.
fn domain(op: &Op) -> &'static str {
    match op {
        Op::Unary(Unary::Ln | Unary::Log10 | Unary::Log2) => ": its operand must be larger than 0",
        Op::Unary(Unary::Log1p) => ": its operand must be larger than -1",
        Op::Unary(Unary::Acosh) => ": its operand must be 1 or larger",
        Op::Unary(Unary::Atanh) => ": its operand must be between -1 and 1",
        Op::Unary(Unary::Csc | Unary::Cot) => ": its operand must not be 0",
        Op::Unary(Unary::Sqrt) => ": its operand must be 0 or larger",
        Op::Unary(Unary::Asin | Unary::Acos) => ": its operand must be from -1 to 1",
        Op::Binary(Binary::Div) => ": its divisor must not be 0",
        Op::Binary(Binary::Pow) => ": a negative base needs a whole exponent, a base of 0 a positive one",
        _ => "",
    }
}

/// A number that is not finite, in words.
fn kind(value: f64) -> &'static str {
    if value.is_nan() { "is not defined" } else { "is infinite" }
}

/// The operation as it stands in the formula's list of nodes: `ln(v2)` with what its operands are.
fn described(
    formula: &Formula,
    node: NodeId,
    name: &dyn Fn(NodeId) -> Option<String>,
    value: &dyn Fn(NodeId) -> f64,
) -> (String, String) {
    let node = &formula.graph()[node];
    let operand = |id: &NodeId| name(*id).map_or_else(|| Expression::Number(value(*id)), Expression::Name);
    let operation = Notation::Plain
        .with(formula.names())
        .write(&Expression::of(&node.op, node.inputs.iter().map(operand).collect()));
    let mut known: Vec<String> = Vec::new();
    for operand in &node.inputs {
        if let Some(name) = name(*operand) {
            let entry = format!("{name} = {}", exact(value(*operand)));
            if !known.contains(&entry) {
                known.push(entry);
            }
        }
    }
    let at = if known.is_empty() { String::new() } else { format!(" at {}", known.join(", ")) };
    (operation, at)
}

/// The numbers of rows while they are not made yet: inputs by name, operations by counting.
fn names(formula: &Formula) -> Vec<Option<String>> {
    let graph = formula.graph();
    let inputs: Vec<NodeId> = formula.variables().iter().map(|(_, node)| *node).collect();
    let active = graph.descendants(&inputs);
    let mut count = 0;
    graph
        .iter()
        .map(|(id, node)| match &node.op {
            Op::Leaf(Leaf::Input(_)) => graph.name(id).map(super::error::shortened),
            _ if active[id.index()] => {
                count += 1;
                Some(formula.names().row(count))
            }
            _ => None,
        })
        .collect()
}

/// That every node of the formula has a finite value.
pub(super) fn check_value(formula: &Formula, value: impl Fn(NodeId) -> f64) -> Result<(), DomainError> {
    let Some(node) = formula.graph().ids().find(|&id| !value(id).is_finite()) else { return Ok(()) };
    let (names, found) = (names(formula), value(node));
    let (operation, at) = described(formula, node, &|id| names[id.index()].clone(), &value);
    let name = names[node.index()].as_ref().map_or(String::new(), |name| format!("{name} = "));
    let op = &formula.graph()[node].op;
    let pole = matches!(op, Op::Binary(Binary::Div) | Op::Unary(Unary::Ln | Unary::Log10 | Unary::Log2))
        || matches!(op, Op::Unary(Unary::Log1p | Unary::Atanh | Unary::Csc | Unary::Cot));
    let zero_base = matches!(op, Op::Binary(Binary::Pow)) && value(formula.graph()[node].inputs[0]) == 0.0;
    let divided_by_zero =
        matches!(op, Op::Binary(Binary::Div)) && value(formula.graph()[node].inputs[1]) == 0.0;
    let problem = if found.is_nan() || divided_by_zero || zero_base || (pole && !matches!(op, Op::Binary(_)))
    {
        format!("{name}{operation} {}{at}{}", kind(found), domain(op))
    } else {
        format!("{name}{operation} overflows{at}: the result is larger than float64 holds")
    };
    Err(DomainError::Value(formula.error_at(node, problem)))
}

/// A local partial that has no finite value.
pub(super) fn partial(
    formula: &Formula,
    from: NodeId,
    to: NodeId,
    partial: f64,
    number: impl Fn(NodeId) -> Option<i64>,
    value: impl Fn(NodeId) -> f64,
) -> DomainError {
    let name = |id: NodeId| number(id).map(|number| formula.names().row(number));
    let (operation, at) = described(formula, from, &name, &value);
    let [of, by] = [from, to].map(|id| name(id).unwrap_or_default());
    let hint = match formula.graph()[from].op {
        Op::Binary(Binary::Pow) if formula.graph()[from].inputs[1] == to => {
            "; if the exponent does not vary, write it as a number, and move the point off 0 if the base is 0"
        }
        _ => "; move the point",
    };
    let problem = format!("the derivative of {of} = {operation} by {by} {}{at}{hint}", kind(partial));
    DomainError::Partial(formula.error_at(from, problem))
}

/// That every adjoint and tangent is finite, where all partials on the way back are.
pub(super) fn check_derivatives(
    formula: &Formula,
    rows: &[Row],
    number: impl Fn(NodeId) -> Option<i64>,
    value: impl Fn(NodeId) -> f64,
) -> Result<(), DomainError> {
    let name = |id: NodeId| number(id).map(|number| formula.names().row(number));
    let error = |row: &Row, what: &str, why: &str| {
        let (operation, at) = described(formula, row.node, &name, &value);
        let of = name(row.node).unwrap_or_default();
        let definition = if row.number > 0 { format!(" = {operation}") } else { String::new() };
        let problem = format!("the {what} of {of}{definition} is not finite{at}: {why}");
        DomainError::Derivative(formula.error_at(row.node, problem))
    };
    for row in rows.iter().rev() {
        if !row.adjoint.is_finite() || row.contributions.iter().any(|part| !part.amount.is_finite()) {
            return Err(error(
                row,
                "adjoint",
                "a product of partials is larger than float64 holds; scale the formula",
            ));
        }
    }
    match rows.iter().find(|row| row.tangents.iter().any(|tangent| !tangent.is_finite())) {
        // The first: its operands' tangents are finite.
        Some(row) => Err(error(
            row,
            "tangent",
            "its derivative is not finite there, or the direction is too large; move the point, or scale the direction",
        )),
        None => Ok(()),
    }
}

/// A line for each operation that has no derivative at the point: which value was used.
pub(super) fn kinks(
    formula: &Formula,
    rows: &[Row],
    at: impl Fn(NodeId) -> (Option<i64>, f64),
) -> Vec<String> {
    let mut notes = Vec::new();
    for row in rows.iter().filter(|row| row.number > 0) {
        let node = &formula.graph()[row.node];
        let of = formula.names().row(row.number);
        let text = |id: NodeId| match at(id) {
            (Some(number), _) => formula.names().row(number),
            (None, value) => exact(value),
        };
        match (&node.op, &node.inputs[..]) {
            (Op::Unary(unary @ (Unary::Relu | Unary::Abs | Unary::Step | Unary::Sign)), &[x])
                if at(x).1 == 0.0 =>
            {
                let what = if matches!(unary, Unary::Relu | Unary::Abs) { "kink" } else { "jump" };
                let name = node.op.name();
                notes.push(format!(
                    "{of} = {name}({}) is at its {what}, 0: the derivative used there is 0",
                    text(x)
                ));
            }
            (Op::Binary(Binary::Max | Binary::Min), &[a, b]) if at(a).1 == at(b).1 => {
                let (name, a, b) = (node.op.name(), text(a), text(b));
                notes.push(format!(
                    "{of} = {name}({a}, {b}) is at its kink, {a} = {b}: the derivative used is 1/2 for each"
                ));
            }
            (Op::Binary(Binary::Above), &[a, b]) if at(a).1 == at(b).1 => {
                let (a, b) = (text(a), text(b));
                notes.push(format!(
                    "{of} = above({a}, {b}) is at its jump, {a} = {b}: the derivative used there is 0"
                ));
            }
            _ => {}
        }
    }
    notes
}
