//! The trace as a drawing: nodes with value and adjoint, edges with their local partials.

use super::notation::Notation;
use crate::document::number::rounded;
use crate::draw::{Diagram, DiagramEdge, DiagramKind, DiagramNode};
use crate::scalar::Trace;

/// The whole expression is the title up to so many nodes.
const LARGEST_TITLE: usize = 40;

/// The computational graph of the formula: a node a row, an edge for each operand that is one.
pub fn diagram(trace: &Trace, notation: Notation, digits: usize) -> Diagram {
    let last = trace.rows.len().saturating_sub(1);
    let number = |x: f64| if x.is_finite() { rounded(x, digits) } else { notation.none().into() };
    let names = trace.names();
    let script = notation.with(&names);
    let value = script.value();
    let nodes = trace.rows.iter().enumerate().map(|(i, row)| DiagramNode {
        name: script.primal(row.number),
        definition: script.write(&trace.definition(row)),
        value: number(row.value),
        adjoint: format!("{} = {}", script.adjoint(row.number), number(row.adjoint)),
        kind: match i {
            _ if i == last => DiagramKind::Output,
            _ if i < trace.point.len() => DiagramKind::Input,
            _ => DiagramKind::Inner,
        },
    });
    // An operand's contributions begin with those of the last rows, a row's with its first operand.
    let mut used = vec![0; trace.rows.len()];
    let mut edges = Vec::new();
    for to in (trace.point.len()..trace.rows.len()).rev() {
        for from in trace.operand_positions(to) {
            let part = trace.rows[from].contributions.get(used[from]).filter(|part| part.from == to);
            used[from] += usize::from(part.is_some());
            // Without a contribution nothing flows back.
            let label = number(part.map_or(0.0, |part| part.partial));
            edges.push(DiagramEdge { from, to, label });
        }
    }
    edges.sort_by_key(|edge| edge.to);
    let point: Vec<String> =
        trace.point.iter().map(|(name, x)| format!("{} = {}", script.name(name), number(*x))).collect();
    let title = trace.whole(LARGEST_TITLE).map(|whole| format!("{value} = {}", script.write(&whole)));
    let operations = trace.costs.value;
    Diagram {
        title: title.unwrap_or_else(|| format!("a formula of {operations} operations")),
        subtitle: Some(match point.len() {
            0 => format!("{value} = {}", number(trace.value())),
            1..=8 => format!("{value} = {} at {}", number(trace.value()), point.join(", ")),
            many => format!("{value} = {} at a point of {many} inputs", number(trace.value())),
        }),
        nodes: nodes.collect(),
        edges,
        ..Diagram::default()
    }
}
