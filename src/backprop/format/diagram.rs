//! The chain as a drawing: each node with its definition and the rule of its gradient, each edge with a shape.

use super::Findings;
use crate::backprop::MatrixNotation;
use crate::document::number::rounded;
use crate::draw::{Diagram, DiagramEdge, DiagramKind, DiagramLegend, DiagramNode};

/// The computational graph for a drawing in characters, whose edges carry no labels: the shapes stand with the nodes.
pub fn diagram_in_characters(results: &Findings<'_>, digits: usize) -> Diagram {
    let mut diagram = diagram(results, digits);
    for (node, variable) in diagram.nodes.iter_mut().zip(&results.found.variables) {
        node.value = variable.value.extents();
    }
    diagram
}

/// The computational graph.
pub fn diagram(results: &Findings<'_>, digits: usize) -> Diagram {
    let found = results.found;
    let last = found.variables.len().saturating_sub(1);
    let nodes = found.variables.iter().enumerate().map(|(position, variable)| {
        let definition = found.definition(variable).unwrap_or_default();
        DiagramNode {
            name: variable.name.clone(),
            definition: match position == last {
                true => format!("{definition} = {}", rounded(found.value(), digits)),
                false => definition,
            },
            value: String::new(),
            adjoint: found.rule(variable).unwrap_or_default(),
            kind: match position {
                _ if position == last => DiagramKind::Output,
                _ if variable.is_input => DiagramKind::Input,
                _ => DiagramKind::Inner,
            },
        }
    });
    let edges = found.variables.iter().enumerate().flat_map(|(to, variable)| {
        let edge = move |from: usize| DiagramEdge { from, to, label: found.variables[from].value.extents() };
        found.operands(variable).into_iter().map(edge)
    });
    Diagram {
        title: format!("z = {}", found.formula(MatrixNotation::Text)),
        subtitle: Some(results.origin.into()),
        nodes: nodes.collect(),
        edges: edges.collect(),
        legend: DiagramLegend { adjoint: "gradient", edges: "shape" },
    }
}
