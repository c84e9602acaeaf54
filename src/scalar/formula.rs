//! A formula: its text, its graph, and what belongs to what in them.

use std::ops::Range;

use super::error::TextError;
use super::names::Names;
use crate::graph::NodeId;
use crate::ops::Graph;

/// A formula as a graph of scalars, in which common subexpressions are one node.
#[derive(Clone, Debug)]
pub struct Formula {
    pub(super) text: String,
    pub(super) graph: Graph,
    pub(super) output: NodeId,
    pub(super) variables: Vec<(String, NodeId)>,
    pub(super) names: Names,
    /// Where a node's first occurrence stands in the text, by node.
    pub(super) places: Vec<Range<usize>>,
}

impl Formula {
    /// The text as it was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// One node for each variable, constant and operation; every node is a scalar.
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// The node that is the formula's value.
    pub fn output(&self) -> NodeId {
        self.output
    }

    /// The variables in order of their first occurrence, with their nodes.
    pub fn variables(&self) -> &[(String, NodeId)] {
        &self.variables
    }

    /// What its nodes are called, beside the variables.
    pub fn names(&self) -> &Names {
        &self.names
    }

    /// A mistake at the place of a node of this formula.
    pub(super) fn error_at(&self, node: NodeId, problem: String) -> TextError {
        let place = self.places.get(node.index()).cloned().unwrap_or(0..self.text.len());
        TextError::new(&self.text, place, problem)
    }
}
