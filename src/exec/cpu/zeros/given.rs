//! A graph as it is given to be written anew.

use crate::graph::{Node, NodeId};
use crate::ops::{Graph, Layout, Op, Store};

/// A graph as it is given.
pub(super) struct Given<'a> {
    pub graph: &'a Graph,
    pub inputs: &'a [NodeId],
    pub outputs: &'a [NodeId],
    pub stores: &'a [Store],
    /// The outputs and what is stored.
    pub wanted: Vec<NodeId>,
    /// Whether these, or the caller, need the node.
    pub needed: Vec<bool>,
}

impl<'a> Given<'a> {
    /// The nodes that are needed.
    pub fn nodes(&self) -> impl DoubleEndedIterator<Item = (NodeId, &'a Node<Op>)> {
        self.graph.iter().filter(|(id, _)| self.needed[id.index()])
    }

    /// What a node is a matrix's transpose of, however often, and whether the number of times is odd; or the node itself.
    pub fn behind(&self, mut id: NodeId) -> (NodeId, bool) {
        let mut transposed = false;
        while let Op::Layout(Layout::Transpose { permutation }) = &self.graph[id].op
            && permutation[..] == [1, 0]
        {
            id = self.graph[id].inputs[0];
            transposed = !transposed;
        }
        (id, transposed)
    }
}
