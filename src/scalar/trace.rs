//! The trace of a formula: what forward and reverse mode do, node by node, with every number. `tracing.rs` makes it.
//!
//! Source of the notation: Griewank and Walther, Evaluating Derivatives (2008), chapters 2 and 3; Baydin et al.,
//! Automatic Differentiation in Machine Learning: a Survey (2018), tables 2 and 3.

use super::checks::Checks;
use crate::graph::NodeId;
use crate::ops::Graph;

/// A node as the traces list it: an input or an operation that depends on one; constants stand inline.
#[derive(Clone, Debug)]
pub struct TraceRow {
    /// Its place in [`Trace::graph`].
    pub node: NodeId,
    /// Its number: the inputs of three are -2, -1, 0, operations count from 1.
    pub number: i64,
    /// Its value.
    pub value: f64,
    /// Its tangent in each direction of [`Trace::directions`].
    pub tangents: Vec<f64>,
    /// The node that computes the tangent, if any can flow here.
    pub tangent: Option<NodeId>,
    /// Its adjoint: the derivative of the output by it. Not finite where that does not exist, and was not asked for.
    pub adjoint: f64,
    /// What the adjoint is the sum of, in the order in which reverse mode adds it.
    pub contributions: Vec<Summand>,
}

/// A summand of an adjoint.
#[derive(Clone, Debug)]
pub struct Summand {
    /// The row that it comes from, by position in [`Trace::rows`].
    pub from: usize,
    /// The local partial: the derivative of that row's value by this one's. Not finite where it does not exist, and was
    /// not asked for; and where it overflows, but the amount does not.
    pub partial: f64,
    /// The node that computes the partial.
    pub partial_node: NodeId,
    /// What is added: the adjoint of `from` times the partial.
    pub amount: f64,
}

/// A direction of forward mode.
#[derive(Clone, Debug)]
pub struct Direction {
    /// The tangents of the inputs, in their order.
    pub tangents: Vec<f64>,
}

/// Operations (nodes that are not leaves) of the graphs that compute them.
#[derive(Clone, Copy, Debug)]
pub struct Costs {
    /// The formula alone.
    pub value: usize,
    /// What reverse mode adds for the whole gradient.
    pub reverse: usize,
    /// What forward mode adds for one direction.
    pub forward: usize,
}

/// Everything about a formula at a point.
#[derive(Clone, Debug)]
pub struct Trace {
    /// The formula as it was written.
    pub expression: String,
    /// The inputs with their values; inputs are the first rows.
    pub point: Vec<(String, f64)>,
    /// Inputs, then operations in evaluation order; the output's row is the last.
    pub rows: Vec<TraceRow>,
    /// The directions of forward mode; none where the forward trace is left out.
    pub directions: Vec<Direction>,
    /// Why the forward trace is left out: there are too many inputs for a sweep each.
    pub forward_omitted: Option<String>,
    /// The matrix of second derivatives, if it was asked for; not a number where one does not exist, and was not.
    pub hessian: Option<Vec<Vec<f64>>>,
    /// Derivatives found in other ways.
    pub checks: Checks,
    /// Numbers of operations.
    pub costs: Costs,
    /// What a reader must know, such as the derivative used at a kink, or a number that underflows.
    pub notes: Vec<String>,
    /// The formula, its partials, adjoints and tangents.
    pub graph: Graph,
    /// Whether the directions are one for each input, or would be if the forward trace were not left out.
    pub(super) each: bool,
    /// The rows of the formula's nodes, by position in `rows`; no position for constants.
    pub(super) places: Vec<usize>,
    /// The values of all nodes of the graph that are constants of the formula, by node.
    pub(super) constants: Vec<Option<f64>>,
}

impl Trace {
    /// Whether all numbers are, those that nobody asked for included.
    pub(super) fn is_finite(&self) -> bool {
        let hessian = self.hessian.iter().flatten().flatten();
        let adjoints = self.rows.iter().map(|row| row.adjoint).chain(hessian.copied());
        adjoints.chain(self.rows.iter().flat_map(|row| row.tangents.iter().copied())).all(f64::is_finite)
    }

    /// The formula's value: the last row's.
    pub fn value(&self) -> f64 {
        self.rows.last().map_or(f64::NAN, |row| row.value)
    }

    /// Whether forward mode goes over the formula once for each input, which alone moves.
    pub fn sweeps_each_input(&self) -> bool {
        self.each
    }

    /// The derivatives by all inputs, from one reverse sweep; not finite where one does not exist, and was not asked for.
    pub fn gradient(&self) -> impl Iterator<Item = (&str, f64)> {
        self.point.iter().zip(&self.rows).map(|((name, _), row)| (&name[..], row.adjoint))
    }
}
