//! The plan of a graph: a list of instructions, and a place in one arena for every value.
//!
//! Shapes are known, so everything is decided here: which nodes are computed at all, which are fused
//! into one pass over memory ([`super::fuse`]), which share memory ([`super::place`]). Fusion happens
//! after differentiation, so derivative rules stay one line each and still run as fused kernels.

use std::ops::Range;

use super::fuse;
use super::instruction::Instruction;
use super::place::{Resident, sequence};
use crate::graph::{NodeId, Shape};
use crate::ops::Graph;

/// A graph made ready to run.
#[derive(Clone, Debug)]
pub struct Plan {
    pub(super) graph: Graph,
    pub(super) instructions: Vec<Instruction>,
    pub(super) places: Vec<Option<Range<usize>>>,
    pub(super) arena: usize,
}

impl Plan {
    /// Plans the computation of `outputs`.
    ///
    /// Residents lie where the caller says, in the arena's first `reserved` elements; everything else
    /// is placed behind. Inputs and outputs keep their place to themselves; other values share memory
    /// with those that live at other times. Nodes that no output needs are left out.
    pub fn new(graph: &Graph, outputs: &[NodeId], residents: &[Resident], reserved: usize) -> Self {
        let instructions = fuse::instructions(graph, outputs);
        let (places, arena) = sequence::places(graph, &instructions, outputs, residents, reserved);
        Self { graph: graph.clone(), instructions, places, arena }
    }

    /// The number of elements the arena must have.
    pub fn arena(&self) -> usize {
        self.arena
    }

    /// The instructions in the order in which they run.
    pub fn instructions(&self) -> &[Instruction] {
        &self.instructions
    }

    /// Where a node's values lie: of use for inputs, and for outputs after a run.
    ///
    /// # Panics
    /// When the node is neither an input nor the output of an instruction.
    pub fn place(&self, node: NodeId) -> Range<usize> {
        match &self.places[node.index()] {
            Some(place) => place.clone(),
            None => panic!("node {} has no memory of its own in this plan", node.index()),
        }
    }

    /// The shape of a node's values.
    pub fn shape(&self, node: NodeId) -> &Shape {
        &self.graph[node].shape
    }
}
