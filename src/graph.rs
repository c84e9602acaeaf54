//! The program as data: nodes, the edges between them, and their shapes.
//!
//! A graph is a list of nodes in evaluation order: an input always stands before its user, so the
//! identifiers are a topological order and no pass over a graph recurses. Differentiation, planning,
//! printing and drawing all read this one list.
//!
//! What a node *does* is the type parameter `Op`. This module cannot look into it, and so cannot
//! know any operation's rules; those live in [`crate::ops`].

use std::collections::BTreeMap;
use std::fmt;
use std::ops::{Deref, Index};

/// A node's place in its graph; smaller identifiers are evaluated earlier.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct NodeId(u32);

impl NodeId {
    /// The node that is evaluated first.
    pub(crate) const FIRST: Self = Self(0);

    /// The position in evaluation order, from 0.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// The extent of a value along each axis, row-major; a scalar has no axes.
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct Shape(Vec<usize>);

impl Shape {
    /// The shape of a single number.
    pub fn scalar() -> Self {
        Self(Vec::new())
    }

    /// The number of elements: the product of the extents, 1 for a scalar.
    pub fn size(&self) -> usize {
        self.0.iter().product()
    }

    /// The shape seen as rows of its last axis: (product of the leading extents, last extent).
    pub fn rows_and_columns(&self) -> (usize, usize) {
        match self.0.split_last() {
            Some((&columns, leading)) => (leading.iter().product(), columns),
            None => (1, 1),
        }
    }
}

impl Deref for Shape {
    type Target = [usize];
    fn deref(&self) -> &[usize] {
        &self.0
    }
}

impl From<Vec<usize>> for Shape {
    fn from(extents: Vec<usize>) -> Self {
        Self(extents)
    }
}

impl From<&[usize]> for Shape {
    fn from(extents: &[usize]) -> Self {
        Self(extents.to_vec())
    }
}

impl<const RANK: usize> From<[usize; RANK]> for Shape {
    fn from(extents: [usize; RANK]) -> Self {
        Self(extents.to_vec())
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl fmt::Debug for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// One step of a program: an operation applied to earlier nodes.
#[derive(Clone, PartialEq, Debug)]
pub struct Node<Op> {
    /// What is computed.
    pub op: Op,
    /// The operands in order. The same node may stand here twice, as in `x * x`: each is an edge.
    pub inputs: Vec<NodeId>,
    /// The shape of the result.
    pub shape: Shape,
}

/// Nodes in evaluation order, some of them named.
#[derive(Clone, PartialEq, Debug)]
pub struct Dag<Op> {
    nodes: Vec<Node<Op>>,
    names: BTreeMap<NodeId, String>,
}

impl<Op> Default for Dag<Op> {
    fn default() -> Self {
        Self { nodes: Vec::new(), names: BTreeMap::new() }
    }
}

impl<Op> Dag<Op> {
    /// Appends a node and returns its identifier.
    ///
    /// # Panics
    /// When an input is not a node of this graph, or the graph would pass 2³² nodes: the list would
    /// no longer be in evaluation order. [`crate::ops::Builder`] never does either.
    pub fn push(&mut self, node: Node<Op>) -> NodeId {
        assert!(
            node.inputs.iter().all(|input| input.index() < self.nodes.len()),
            "an operand must be a node that stands earlier in the same graph"
        );
        assert!(self.nodes.len() < u32::MAX as usize, "a graph holds fewer than 2^32 nodes");
        self.nodes.push(node);
        NodeId(self.nodes.len() as u32 - 1)
    }

    /// The number of nodes.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether the graph has no nodes.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// All identifiers in evaluation order.
    pub fn ids(&self) -> impl DoubleEndedIterator<Item = NodeId> + ExactSizeIterator + use<Op> {
        (0..self.nodes.len() as u32).map(NodeId)
    }

    /// All nodes in evaluation order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (NodeId, &Node<Op>)> {
        self.ids().zip(&self.nodes)
    }

    /// Gives a node a name for people to read.
    pub fn set_name(&mut self, id: NodeId, name: impl Into<String>) {
        self.names.insert(id, name.into());
    }

    /// The name a node was given, if any.
    pub fn name(&self, id: NodeId) -> Option<&str> {
        self.names.get(&id).map(String::as_str)
    }

    /// Marks the nodes that the given ones need, themselves included: `needed[id.index()]`.
    pub fn ancestors(&self, of: &[NodeId]) -> Vec<bool> {
        let mut needed = vec![false; self.len()];
        for id in of {
            needed[id.index()] = true;
        }
        for (id, node) in self.iter().rev() {
            if needed[id.index()] {
                for input in &node.inputs {
                    needed[input.index()] = true;
                }
            }
        }
        needed
    }

    /// Marks the nodes that depend on the given ones, themselves included: `reached[id.index()]`.
    pub fn descendants(&self, of: &[NodeId]) -> Vec<bool> {
        let mut reached = vec![false; self.len()];
        for id in of {
            reached[id.index()] = true;
        }
        for (id, node) in self.iter() {
            reached[id.index()] |= node.inputs.iter().any(|input| reached[input.index()]);
        }
        reached
    }
}

impl<Op> Index<NodeId> for Dag<Op> {
    type Output = Node<Op>;
    fn index(&self, id: NodeId) -> &Node<Op> {
        &self.nodes[id.index()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(inputs: &[NodeId]) -> Node<&'static str> {
        Node { op: "op", inputs: inputs.to_vec(), shape: Shape::scalar() }
    }

    #[test]
    fn ancestors_and_descendants_follow_every_edge_of_a_diamond() {
        let mut graph = Dag::default();
        let x = graph.push(node(&[]));
        let unused = graph.push(node(&[]));
        let left = graph.push(node(&[x]));
        let right = graph.push(node(&[x, x]));
        let join = graph.push(node(&[left, right]));
        let beyond = graph.push(node(&[join, unused]));
        let marked = |marks: Vec<bool>| graph.ids().filter(|id| marks[id.index()]).collect::<Vec<_>>();
        assert_eq!(marked(graph.ancestors(&[join])), [x, left, right, join]);
        assert_eq!(marked(graph.descendants(&[left])), [left, join, beyond]);
    }

    #[test]
    #[should_panic(expected = "stands earlier")]
    fn a_node_cannot_use_a_later_one() {
        let mut graph = Dag::default();
        let x = graph.push(node(&[]));
        let y = graph.push(node(&[x]));
        let mut other = Dag::default();
        other.push(node(&[y]));
    }

    #[test]
    fn a_scalar_has_one_element_and_one_row() {
        assert_eq!(Shape::scalar().size(), 1);
        assert_eq!(Shape::scalar().rows_and_columns(), (1, 1));
        assert_eq!(Shape::from([2, 3, 5]).rows_and_columns(), (6, 5));
        assert_eq!(Shape::from([2, 3]).to_string(), "[2, 3]");
    }
}
