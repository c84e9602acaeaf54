//! Layers, the first step of the layout: which node stands in which column.
//!
//! A node's layer is the length of the longest path to it, so every edge leads to the right. An edge
//! over more than one layer gets a dummy, a node that is only a bend, in each layer between: from
//! then on edges join neighbouring layers and can be ordered and placed like nodes.

use super::graph::DiagramGraph;
use super::order;

/// Nodes and dummies in their layers, each layer from top to bottom.
pub(super) struct Layers {
    /// Items of each layer: a number below the number of nodes is that node, others are dummies.
    pub layers: Vec<Vec<usize>>,
    /// For each edge its source, its dummies and its target.
    pub paths: Vec<Vec<usize>>,
    /// The number of nodes and dummies.
    pub items: usize,
}

impl Layers {
    /// The layers of a graph, ordered for few crossings.
    pub fn of(graph: &DiagramGraph) -> Layers {
        let mut given = Layers::in_given_order(graph);
        given.layers = order::with_few_crossings(given.layers, &given.paths, given.items);
        given
    }

    /// The layers with nodes as they come.
    pub fn in_given_order(graph: &DiagramGraph) -> Layers {
        let nodes = graph.order.len();
        let layer_of = longest_paths(graph);
        let count = layer_of.iter().max().map_or(0, |last| last + 1);
        let mut layers = vec![Vec::new(); count];
        for node in 0..nodes {
            layers[layer_of[node]].push(node);
        }
        let mut items = nodes;
        let mut paths = Vec::with_capacity(graph.edges.len());
        for edge in &graph.edges {
            let mut path = vec![edge.from];
            for layer in &mut layers[layer_of[edge.from] + 1..layer_of[edge.to]] {
                layer.push(items);
                path.push(items);
                items += 1;
            }
            path.push(edge.to);
            paths.push(path);
        }
        Layers { layers, paths, items }
    }

    /// The layer of each item.
    pub fn layer_of(&self) -> Vec<usize> {
        index(&self.layers, self.items, |layer, _| layer)
    }

    /// The place of each item in its layer, from the top.
    pub fn place_of(&self) -> Vec<usize> {
        index(&self.layers, self.items, |_, place| place)
    }
}

/// What `f(layer, place)` says of each item.
pub(super) fn index(layers: &[Vec<usize>], items: usize, f: impl Fn(usize, usize) -> usize) -> Vec<usize> {
    let mut of = vec![0; items];
    for (layer, members) in layers.iter().enumerate() {
        for (place, &item) in members.iter().enumerate() {
            of[item] = f(layer, place);
        }
    }
    of
}

/// For each node the number of edges on the longest path to it.
fn longest_paths(graph: &DiagramGraph) -> Vec<usize> {
    let mut users = vec![Vec::new(); graph.order.len()];
    for edge in &graph.edges {
        users[edge.from].push(edge.to);
    }
    let mut length = vec![0; graph.order.len()];
    for &node in &graph.order {
        for &user in &users[node] {
            length[user] = length[user].max(length[node] + 1);
        }
    }
    length
}
