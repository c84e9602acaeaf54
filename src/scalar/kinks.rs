//! Where an operation has a kink or a jump, and on which side of it a point stands.

use std::cmp::Ordering;

use super::formula::Formula;
use super::trace::{Row, Trace};
use crate::document::number::exact;
use crate::graph::NodeId;
use crate::ops::{Binary, Op, Rule, Unary};

/// An operation of the formula that changes its rule where one operand passes the other, or passes 0.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kink {
    /// The operation's row, by position.
    pub row: usize,
    pub operand: NodeId,
    /// What the operand is compared with; nothing for 0.
    pub other: Option<NodeId>,
    /// Whether the value itself jumps.
    pub is_jump: bool,
}

impl Kink {
    /// The kink of this row's operation, if it has one.
    pub fn of(formula: &Formula, position: usize, row: &Row) -> Option<Self> {
        let node = &formula.graph()[row.node];
        let kink = |operand, other, is_jump| Some(Self { row: position, operand, other, is_jump });
        match (&node.op, &node.inputs[..]) {
            (Op::Unary(Unary::Relu | Unary::Abs), &[x]) => kink(x, None, false),
            (Op::Unary(Unary::Step | Unary::Sign), &[x]) => kink(x, None, true),
            (Op::Binary(Binary::Max | Binary::Min), &[a, b]) => kink(a, Some(b), false),
            (Op::Binary(Binary::Above), &[a, b]) => kink(a, Some(b), true),
            _ => None,
        }
    }

    /// What is compared.
    pub fn operands(&self) -> impl Iterator<Item = NodeId> {
        std::iter::once(self.operand).chain(self.other)
    }

    /// On which side the operand is: equal at the kink itself.
    pub fn side(&self, value: impl Fn(NodeId) -> f64) -> Option<Ordering> {
        value(self.operand).partial_cmp(&self.other.map_or(0.0, value))
    }

    /// What it is called.
    pub fn what(&self) -> &'static str {
        if self.is_jump { "jump" } else { "kink" }
    }

    /// Where the kink is, in words: `its kink, v0 = v1`.
    fn place(&self, name: impl Fn(NodeId) -> String) -> String {
        let what = self.what();
        match self.other {
            Some(other) => format!("its {what}, {} = {}", name(self.operand), name(other)),
            None => format!("its {what}, 0"),
        }
    }
}

/// Where a kink's operand is at the point.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Side {
    Of(Ordering),
    /// So near the kink that rounding decides.
    Doubtful,
}

/// The kinks of a formula, with the side that the point is on.
pub(super) fn at_point(formula: &Formula, trace: &Trace, at_point: &[f64]) -> Vec<(Kink, Side)> {
    let at = |node: NodeId| at_point[node.index()];
    let kinks = trace.rows.iter().enumerate().filter_map(|(position, row)| Kink::of(formula, position, row));
    let kinks: Vec<Kink> = kinks.collect();
    if kinks.is_empty() {
        return Vec::new();
    }
    // How far a row's value may be off: its own rounding, and its operands' by the partials.
    let mut errors: Vec<f64> = trace
        .rows
        .iter()
        .map(|row| if row.number > 0 { f64::EPSILON / 2.0 * row.value.abs() } else { 0.0 })
        .collect();
    let mut edges: Vec<(usize, usize, f64)> = Vec::new();
    for (to, row) in trace.rows.iter().enumerate() {
        edges.extend(row.contributions.iter().map(|part| (part.from, to, part.partial.abs())));
    }
    edges.sort_by_key(|&(from, ..)| from);
    for (from, to, partial) in edges {
        if errors[to] > 0.0 {
            errors[from] += partial * errors[to];
        }
    }
    let error = |node: NodeId| {
        trace.places.get(node.index()).and_then(|&row| errors.get(row)).copied().unwrap_or(0.0)
    };
    let side = |kink: &Kink| {
        let distance = (at(kink.operand) - kink.other.map_or(0.0, at)).abs();
        let error: f64 = kink.operands().map(error).sum();
        let is_doubtful = error > 0.0 && distance <= error && kink.other != Some(kink.operand);
        if is_doubtful { Side::Doubtful } else { Side::Of(kink.side(at).unwrap_or(Ordering::Equal)) }
    };
    kinks.into_iter().map(|kink| (kink, side(&kink))).collect()
}

/// A line for each operation that has no derivative at the point: which value was used.
pub(super) fn notes(
    formula: &Formula,
    rows: &[Row],
    at: impl Fn(NodeId) -> (Option<i64>, f64),
) -> Vec<String> {
    let name = |id: NodeId| match at(id) {
        (Some(number), _) => formula.names().row(number),
        (None, value) => exact(value),
    };
    let kinks = rows.iter().enumerate().filter_map(|(position, row)| Kink::of(formula, position, row));
    let note = |kink: Kink| {
        let row = &rows[kink.row];
        let operands = formula.graph()[row.node].inputs.iter().map(|&id| name(id));
        let operands = operands.collect::<Vec<String>>().join(", ");
        let used = match (kink.other, kink.is_jump) {
            (Some(_), false) => "the derivative used is 1/2 for each",
            _ => "the derivative used there is 0",
        };
        let operation = formula.graph()[row.node].op.name();
        let number = formula.names().row(row.number);
        format!("{number} = {operation}({operands}) is at {}: {used}", kink.place(name))
    };
    kinks.filter(|kink| kink.side(|id| at(id).1) == Some(Ordering::Equal)).map(note).collect()
}
