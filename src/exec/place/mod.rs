//! Memory by liveness: a value's place is given on when nobody reads it any more.
//!
//! When that is depends on the order which an executor follows: [`sequence`] is for one instruction after
//! another, [`branches`] for tasks of which some run side by side.

pub(super) mod branches;
pub(super) mod sequence;

use crate::graph::NodeId;

/// A node whose place the caller decides: parameters and gradients that stay from step to step, and
/// that several plans share.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Resident {
    /// An input, or an output.
    pub node: NodeId,
    /// Where its elements begin in the arena.
    pub offset: usize,
}
