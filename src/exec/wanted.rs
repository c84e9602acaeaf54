//! What an executor is asked to compute of a graph, whatever it computes on.

use crate::graph::NodeId;
use crate::ops::Store;

/// What a plan is made for.
#[derive(Clone, Copy, Default, Debug)]
pub struct Wanted<'a> {
    /// The nodes whose values are wanted.
    pub outputs: &'a [NodeId],
    /// What replaces the values of inputs, in their places.
    pub stores: &'a [Store],
    /// Nodes that lie where the caller says, in the arena's first `reserved` elements.
    pub residents: &'a [Resident],
    /// The elements of the arena that are the caller's.
    pub reserved: usize,
}

impl<'a> Wanted<'a> {
    /// These outputs alone.
    pub fn outputs(outputs: &'a [NodeId]) -> Self {
        Self { outputs, ..Self::default() }
    }
}

/// A node whose place the caller decides: parameters and state that stay from step to step, and that several plans share.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Resident {
    /// An input, or an output.
    pub node: NodeId,
    /// Where its elements begin in the arena.
    pub offset: usize,
}
