//! Where an operation has a kink or a jump, and on which side of it a point stands.

use std::cmp::Ordering;

use super::formula::Formula;
use super::trace::{Trace, TraceRow};
use crate::document::number::exact;
use crate::graph::NodeId;
use crate::ops::{Binary, Op, Rule, Unary};

/// What an operation has where its operands pass some place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The slope jumps.
    Kink,
    /// The value itself jumps.
    Jump,
    /// atan2's jump, where its first operand passes 0 and its second is negative.
    Seam,
    /// The value is infinite where the divisor passes 0.
    Pole,
    /// So is a tangent's, once in each π.
    Poles,
    /// A sine or cosine, whose waves only steps of less than half of one see.
    Waves,
}

/// An operation of the formula that changes its rule where one operand passes the other, or passes 0.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kink {
    /// The operation's row, by position.
    pub row: usize,
    pub operand: NodeId,
    /// What the operand is compared with, or what decides for a seam; nothing for 0.
    pub other: Option<NodeId>,
    pub kind: Kind,
}

impl Kink {
    /// The kink of this row's operation, if it has one.
    pub fn of(formula: &Formula, position: usize, row: &TraceRow) -> Option<Self> {
        let node = &formula.graph()[row.node];
        let kink = |operand, other, kind| Some(Self { row: position, operand, other, kind });
        match (&node.op, &node.inputs[..]) {
            (Op::Unary(Unary::Relu | Unary::Abs), &[x]) => kink(x, None, Kind::Kink),
            (Op::Unary(Unary::Step | Unary::Sign), &[x]) => kink(x, None, Kind::Jump),
            (Op::Binary(Binary::Max | Binary::Min), &[a, b]) => kink(a, Some(b), Kind::Kink),
            (Op::Binary(Binary::Above), &[a, b]) => kink(a, Some(b), Kind::Jump),
            (Op::Binary(Binary::Atan2), &[a, b]) => kink(a, Some(b), Kind::Seam),
            (Op::Binary(Binary::Div), &[_, b]) => kink(b, None, Kind::Pole),
            (Op::Unary(Unary::Tan), &[x]) => kink(x, None, Kind::Poles),
            (Op::Unary(Unary::Sin | Unary::Cos), &[x]) => kink(x, None, Kind::Waves),
            _ => None,
        }
    }

    /// What is compared.
    pub fn operands(&self) -> impl Iterator<Item = NodeId> {
        std::iter::once(self.operand).chain(self.other)
    }

    /// On which side the operand is: equal at the kink itself.
    pub fn side(&self, value: impl Fn(NodeId) -> f64) -> Option<Ordering> {
        let operand = value(self.operand);
        match (self.kind, self.other) {
            (Kind::Seam, Some(other)) if operand == 0.0 && value(other) >= 0.0 => Some(Ordering::Greater),
            (Kind::Seam, _) => operand.partial_cmp(&0.0),
            (Kind::Poles | Kind::Waves, _) => Some(Ordering::Greater), // no number is at one
            (_, other) => operand.partial_cmp(&other.map_or(0.0, value)),
        }
    }

    /// Whether the kink lies between the point and another, or at one of them.
    pub fn lies_between(&self, point: impl Fn(NodeId) -> f64, end: impl Fn(NodeId) -> f64) -> bool {
        match (self.kind, self.other) {
            (Kind::Seam, Some(other)) => {
                let may_meet = point(other).min(end(other)) < 0.0;
                may_meet && point(self.operand).partial_cmp(&0.0) != end(self.operand).partial_cmp(&0.0)
            }
            (Kind::Poles | Kind::Waves, _) => {
                let (point, end) = (point(self.operand), end(self.operand));
                let period = |x: f64| (x / std::f64::consts::PI + 0.5).floor();
                let is_far = (end - point).abs() > std::f64::consts::PI;
                is_far || self.kind == Kind::Poles && period(point) != period(end)
            }
            _ => self.side(point) != self.side(end),
        }
    }

    /// What it is called.
    pub fn what(&self) -> &'static str {
        match self.kind {
            Kind::Kink => "kink",
            Kind::Jump | Kind::Seam => "jump",
            Kind::Pole | Kind::Poles => "pole",
            Kind::Waves => "wave",
        }
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

/// How far each row's value may be off: its own rounding, and its operands' by the partials.
pub(super) fn errors(trace: &Trace) -> Vec<f64> {
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
    errors
}

/// The kinks of a formula, with the side that the point is on.
pub(super) fn at_point(
    formula: &Formula,
    trace: &Trace,
    at_point: &[f64],
    errors: &[f64],
) -> Vec<(Kink, Side)> {
    let at = |node: NodeId| at_point[node.index()];
    let kinks = trace.rows.iter().enumerate().filter_map(|(position, row)| Kink::of(formula, position, row));
    let kinks: Vec<Kink> = kinks.collect();
    let error = |node: NodeId| {
        trace.places.get(node.index()).and_then(|&row| errors.get(row)).copied().unwrap_or(0.0)
    };
    let side = |kink: &Kink| {
        let operand = at(kink.operand);
        let (distance, error) = match (kink.kind, kink.other) {
            (Kind::Seam, Some(other)) if at(other) > 0.0 => (f64::INFINITY, 0.0),
            (Kind::Seam, _) => (operand.abs(), error(kink.operand)),
            (Kind::Waves, _) => (f64::INFINITY, 0.0),
            (Kind::Poles, _) => (operand.tan().abs().recip(), error(kink.operand)),
            (_, other) => ((operand - other.map_or(0.0, at)).abs(), kink.operands().map(error).sum()),
        };
        let is_doubtful = error > 0.0 && distance <= error && kink.other != Some(kink.operand);
        if is_doubtful { Side::Doubtful } else { Side::Of(kink.side(at).unwrap_or(Ordering::Equal)) }
    };
    kinks.into_iter().map(|kink| (kink, side(&kink))).collect()
}

/// A line for each operation that has no derivative at the point: which value was used.
pub(super) fn notes(
    formula: &Formula,
    rows: &[TraceRow],
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
        let used = match (kink.other, kink.kind) {
            (Some(_), Kind::Kink) => "the derivative used is 1/2 for each",
            _ => "the derivative used there is 0",
        };
        let operation = formula.graph()[row.node].op.name();
        let number = formula.names().row(row.number);
        format!("{number} = {operation}({operands}) is at {}: {used}", kink.place(name))
    };
    // A pole has no value, and on both sides of a seam the derivative is the same.
    let kinks = kinks.filter(|kink| matches!(kink.kind, Kind::Kink | Kind::Jump));
    kinks.filter(|kink| kink.side(|id| at(id).1) == Some(Ordering::Equal)).map(note).collect()
}
