//! What a reader must know beside the numbers: which of them left float64's range on the way, and which do not exist
//! though nobody asked for them.

use std::collections::HashSet;

use super::domain::Explain;
use super::range::Cause;
use super::steps::Edge;
use crate::document::number::exact;
use crate::graph::NodeId;

/// The most numbers of a trace that are named; the others are counted.
const MOST: usize = 6;

/// Numbers that left the range of float64, each at the place where that began.
#[derive(Default)]
pub(super) struct Losses {
    notes: Vec<String>,
    more: usize,
    seen: HashSet<NodeId>,
}

impl Losses {
    fn add(&mut self, origin: NodeId, note: impl FnOnce() -> String) {
        if self.seen.insert(origin) {
            match self.notes.len() < MOST {
                true => self.notes.push(note()),
                false => self.more += 1,
            }
        }
    }

    /// Operations of the formula whose results underflow.
    pub fn values(&mut self, explain: &Explain<'_>) {
        for id in explain.formula.graph().ids() {
            if explain.survey.left(explain.values, id) == Some(Cause::Underflow(id)) {
                self.add(id, || {
                    let remedy = explain.remedy(id);
                    format!("{}: what follows from it may be wrong; {remedy}", explain.underflow(id))
                });
            }
        }
    }

    /// A derivative that is shown, `node`, under its name. What the formula's own values have lost is told already.
    pub fn derivative(&mut self, explain: &Explain<'_>, node: NodeId, name: impl FnOnce() -> String) {
        let is_of_formula = |id: NodeId| id.index() < explain.formula.graph().len();
        let number = explain.value(node);
        match explain.survey.left(explain.values, node) {
            Some(Cause::Underflow(origin)) if !is_of_formula(origin) => self.add(origin, || {
                format!("{} underflows to {}: it is too small for float64", name(), exact(number))
            }),
            Some(Cause::Overflow(origin)) if number.is_finite() => self.add(origin, || {
                format!("{} is {}, but a number on the way to it overflows", name(), exact(number))
            }),
            _ => {}
        }
    }

    /// The partial of an edge, and what flows back along it.
    pub fn edge(&mut self, explain: &Explain<'_>, edge: &Edge) {
        let name = |node| explain.names.short(node, &|id| explain.value(id));
        let partial = || format!("the partial of {} by {}", name(edge.from), name(edge.to));
        if explain.value(edge.partial).is_finite() || !explain.value(edge.amount).is_finite() {
            self.derivative(explain, edge.partial, partial);
        } else {
            let why = explain.partial(edge);
            self.add(edge.partial, || format!("{why} (what flows back is computed without it)"));
        }
        let amount = || format!("what flows back from {} to {}", name(edge.from), name(edge.to));
        self.derivative(explain, edge.amount, amount);
    }

    pub fn into_notes(mut self) -> Vec<String> {
        if self.more > 0 {
            self.notes.push(format!("{} more numbers underflow or overflow", self.more));
        }
        self.notes
    }
}

/// That derivatives nobody asked for do not exist: by these inputs, because of this edge.
pub(super) fn unasked(explain: &Explain<'_>, inputs: &[&str], edge: Option<&Edge>) -> Option<String> {
    let (first, more) = (inputs.first()?, inputs.len() - 1);
    let more = if more > 0 { format!(" (and {more} more)") } else { String::new() };
    let why = edge.map_or(String::new(), |edge| format!(": {}", explain.partial(edge)));
    Some(format!("the derivative by {first}{more} was not asked for and has no value here{why}"))
}
