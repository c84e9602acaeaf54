//! What a diagram shows, and the part of it that can be drawn.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::draw::text;

/// A directed acyclic graph as it is drawn: every text is final, nothing is computed here.
///
/// Edges that name no node or close a circle are left out. Two edges between the same nodes, as in
/// x·x, are two edges.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Diagram {
    /// What the graph computes, in bold.
    pub title: String,
    /// The setting, below the title.
    pub subtitle: Option<String>,
    /// The nodes; `lifelines` keeps their order, the others prefer it.
    pub nodes: Vec<DiagramNode>,
    /// The edges, each from an operand to the operation that uses it.
    pub edges: Vec<DiagramEdge>,
    /// What the caption calls things.
    pub legend: DiagramLegend,
}

/// The words of a diagram's caption.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DiagramLegend {
    /// What the nodes' adjoints are called.
    pub adjoint: &'static str,
    /// What the edges' labels are.
    pub edges: &'static str,
}

impl Default for DiagramLegend {
    fn default() -> Self {
        Self { adjoint: "adjoint", edges: "local partial derivative" }
    }
}

/// A variable of the formula.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DiagramNode {
    /// The name: `v3`.
    pub name: String,
    /// How it is computed: `v1 · v2`, or `x1` for an input.
    pub definition: String,
    /// Its value: `0.9093`. May be empty.
    pub value: String,
    /// Its adjoint: `v̄3 = 0.5000`. May be empty.
    pub adjoint: String,
    /// Its part in the formula.
    pub kind: DiagramKind,
}

/// The part of a node in the formula; decides its ground.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum DiagramKind {
    /// Given from outside.
    Input,
    /// Computed on the way.
    #[default]
    Inner,
    /// The result.
    Output,
}

/// An operand of an operation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DiagramEdge {
    /// The operand: an index into the nodes.
    pub from: usize,
    /// The operation that uses it: an index into the nodes.
    pub to: usize,
    /// What stands on it, such as the local partial derivative: `0.9093`. May be empty.
    pub label: String,
}

impl Diagram {
    /// The part of the graph that can be drawn.
    pub(super) fn graph(&self) -> DiagramGraph<'_> {
        let n = self.nodes.len();
        let edges = self.edges.iter().filter(|e| e.from < n && e.to < n && e.from != e.to);
        let mut users = vec![Vec::new(); n];
        let mut waiting_for = vec![0; n];
        for edge in edges.clone() {
            users[edge.from].push(edge.to);
            waiting_for[edge.to] += 1;
        }
        // Kahn's algorithm (1962), of several ready nodes the first. In a circle none is ever ready:
        // then the first that is left goes ahead, and the edges to it that come too late are no edges
        let mut ready: BinaryHeap<_> = (0..n).filter(|&v| waiting_for[v] == 0).map(Reverse).collect();
        let mut position = vec![None; n];
        let mut order = Vec::with_capacity(n);
        let mut first_left = 0;
        while order.len() < n {
            let next = ready.pop().map_or(first_left, |Reverse(v)| v);
            if position[next].is_some() {
                first_left += usize::from(next == first_left);
                continue;
            }
            position[next] = Some(order.len());
            order.push(next);
            for &user in &users[next] {
                waiting_for[user] -= 1;
                if waiting_for[user] == 0 {
                    ready.push(Reverse(user));
                }
            }
        }
        DiagramGraph { edges: edges.filter(|e| position[e.from] < position[e.to]).collect(), order }
    }
}

impl DiagramNode {
    /// `v3 = v1 · v2`, or the name alone.
    pub(super) fn first_line(&self) -> String {
        if self.definition.is_empty() {
            self.name.clone()
        } else {
            format!("{} = {}", self.name, self.definition)
        }
    }
}

/// Makes a text fit into some room.
type Cut<'a> = &'a dyn Fn(&str, f64) -> String;

/// For each node its name and, if it has a definition, " = " with that, cut where they are too long for `room` of the
/// `widths` of both: `cut` does that. Names of different nodes stay different, and so do definitions.
pub(super) fn first_lines(
    nodes: &[DiagramNode],
    room: f64,
    widths: [&dyn Fn(&str) -> f64; 2],
    cut: [Cut<'_>; 2],
) -> Vec<[String; 2]> {
    let names: Vec<(&str, f64)> = nodes.iter().map(|node| (&node.name[..], room / 2.0)).collect();
    let names = text::cut_apart(&names, cut[0]);
    let equals = widths[1](EQUALS);
    let definitions: Vec<(&str, f64)> = nodes
        .iter()
        .zip(&names)
        .map(|(node, name)| (&node.definition[..], (room - widths[0](name) - equals).max(room / 4.0)))
        .collect();
    let definitions = text::cut_apart(&definitions, cut[1]);
    let definitions = definitions.into_iter().map(|definition| match definition.is_empty() {
        true => definition,
        false => format!("{EQUALS}{definition}"),
    });
    names.into_iter().zip(definitions).map(<[String; 2]>::from).collect()
}

/// Between a name and its definition.
const EQUALS: &str = " = ";

/// The nodes with operands before users, and the edges that agree with that.
pub(super) struct DiagramGraph<'a> {
    pub order: Vec<usize>,
    pub edges: Vec<&'a DiagramEdge>,
}
