//! The same derivatives by other ways: central differences, and forward against reverse mode.

use super::checks::{Checks, InnerProduct};
use super::differences::Curve;
use super::formula::Formula;
use super::trace::Trace;
use crate::graph::NodeId;

/// The most operations to spend on differences: about a second.
const MOST_OPERATIONS: usize = 60_000_000;

/// Central differences of a trace, and its inner product: `along` is ẋ, and `forward` what forward mode made of it.
pub(super) fn verify(
    formula: &Formula,
    inputs: &[NodeId],
    trace: &Trace,
    along: &[f64],
    forward: f64,
) -> Checks {
    let gradient: Vec<f64> = trace.gradient().map(|(_, g)| g).collect();
    let terms = gradient.iter().zip(along).filter(|(_, tangent)| **tangent != 0.0).map(|(g, t)| g * t);
    let (reverse, magnitude) = terms.fold((0.0, 0.0), |(sum, size), term| (sum + term, size + term.abs()));
    let inner_product = InnerProduct { forward, reverse, magnitude };

    let mut curve = Curve::new(formula, inputs, trace);
    let evaluations = inputs.len().saturating_mul(Curve::EVALUATIONS);
    let differences = if evaluations.saturating_mul(formula.graph().len()) <= MOST_OPERATIONS {
        let exists = gradient.iter().enumerate().filter(|(_, reverse)| reverse.is_finite());
        exists.map(|(input, &reverse)| curve.along_input(input, reverse)).collect()
    } else {
        vec![curve.along(along, reverse)]
    };
    Checks { differences, inner_product }
}
