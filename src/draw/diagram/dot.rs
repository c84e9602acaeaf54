//! The graph as source for Graphviz.

use std::fmt::Write as _;

use super::graph::Diagram;
use super::style::ground;

pub(super) fn write(diagram: &Diagram) -> String {
    let title: Vec<&str> =
        std::iter::once(diagram.title.as_str()).chain(diagram.subtitle.as_deref()).collect();
    let mut out = String::from("digraph {\n    rankdir=LR;\n    labelloc=t;\n");
    out.push_str("    node [shape=box, style=\"rounded,filled\"];\n");
    // writing to a String cannot fail
    let _ = writeln!(out, "    label={};", quoted(&title));
    for (i, node) in diagram.nodes.iter().enumerate() {
        let ground = ground(node.kind).light();
        let first = node.first_line();
        let mut lines = vec![first.as_str(), &node.value, &node.adjoint];
        lines.retain(|line| !line.is_empty());
        let _ = writeln!(out, "    n{i} [label={}, fillcolor=\"{ground}\"];", quoted(&lines));
    }
    for edge in diagram.graph().edges {
        let _ = writeln!(out, "    n{} -> n{} [label={}];", edge.from, edge.to, quoted(&[&edge.label]));
    }
    out.push_str("}\n");
    out
}

/// A string of the language. In it, a backslash escapes a quote, and in labels also itself.
fn quoted(lines: &[&str]) -> String {
    let escape = |line: &&str| {
        let line = line.replace('\\', "\\\\").replace('"', "\\\"");
        line.replace(['\n', '\r', '\0'], " ")
    };
    let lines: Vec<String> = lines.iter().map(escape).collect();
    format!("\"{}\"", lines.join("\\n"))
}
