//! Graphs for the tests.

use super::order::Random;
use super::{Diagram, DiagramEdge, DiagramKind, DiagramNode};

/// A graph of given nodes (name, definition) and edges, with values and adjoints.
fn diagram(nodes: &[(&str, &str)], edges: &[(usize, usize)]) -> Diagram {
    let uses = |i: usize| edges.iter().any(|edge| edge.1 == i);
    let is_used = |i: usize| edges.iter().any(|edge| edge.0 == i);
    let node = |(i, (name, definition)): (usize, &(&str, &str))| DiagramNode {
        name: (*name).to_owned(),
        definition: (*definition).to_owned(),
        value: format!("{:.4}", 0.9093 * (i + 1) as f64),
        adjoint: format!("v\u{304}{} = {:.4}", &name[1..], 0.5 - 0.31 * i as f64),
        kind: match (uses(i), is_used(i)) {
            (false, _) => DiagramKind::Input,
            (true, true) => DiagramKind::Inner,
            (true, false) => DiagramKind::Output,
        },
    };
    let edge = |(i, &(from, to)): (usize, &(usize, usize))| DiagramEdge {
        from,
        to,
        label: format!("{:.4}", 1.3711 * i as f64 - 2.0),
    };
    Diagram {
        title: "A formula".to_owned(),
        subtitle: Some("with values and adjoints".to_owned()),
        nodes: nodes.iter().enumerate().map(node).collect(),
        edges: edges.iter().enumerate().map(edge).collect(),
        ..Diagram::default()
    }
}

/// (x1·x2·sin(x3) + exp(x1·x2)) / x3, after Baydin et al. (2018) and Griewank and Walther (2008).
pub(super) fn textbook() -> Diagram {
    let nodes = [
        ("v-2", "x1"),
        ("v-1", "x2"),
        ("v0", "x3"),
        ("v1", "v-2 · v-1"),
        ("v2", "sin v0"),
        ("v3", "v1 · v2"),
        ("v4", "exp v1"),
        ("v5", "v3 + v4"),
        ("v6", "v5 / v0"),
    ];
    let edges = [(0, 3), (1, 3), (2, 4), (3, 5), (4, 5), (3, 6), (5, 7), (6, 7), (7, 8), (2, 8)];
    diagram(&nodes, &edges)
}

/// x·x: two edges between the same nodes.
pub(super) fn square() -> Diagram {
    diagram(&[("v0", "x"), ("v1", "v0 · v0")], &[(0, 1), (0, 1)])
}

/// One node, no edge.
pub(super) fn single() -> Diagram {
    diagram(&[("v0", "x")], &[])
}

/// Some inputs, then operations of one or two operands each; among the operands the recent are
/// likely, as in formulas, and both may be the same.
pub(super) fn random(random: &mut Random, inputs: usize, operations: usize) -> Diagram {
    let mut nodes: Vec<(String, String)> = Vec::new();
    let mut edges = Vec::new();
    for i in 0..inputs + operations {
        let name = format!("v{i}");
        if i < inputs {
            nodes.push((name, format!("x{i}")));
            continue;
        }
        let mut operand = || {
            let reach = if random.below(3) == 0 { i } else { i.min(4) };
            i - 1 - random.below(reach)
        };
        let (a, b) = (operand(), operand());
        edges.push((a, i));
        if random.below(3) > 0 {
            edges.push((b, i));
            nodes.push((name, format!("v{a} · v{b}")));
        } else {
            nodes.push((name, format!("sin v{a}")));
        }
    }
    let nodes: Vec<(&str, &str)> = nodes.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
    diagram(&nodes, &edges)
}
