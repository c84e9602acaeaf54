//! Where a run's objective stopped being finite.

use serde::{Deserialize, Serialize};

use crate::document::number::exact;

/// The end of a run whose learning rate was too large for it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Divergence {
    /// The step, from 1 over the whole run, whose loss was not finite, or after whose update the network's
    /// loss on images to evaluate was not.
    pub step: u64,
    /// What held an infinite number or NaN: `the parameter 0.weight`, `the output of layer 2`, `the loss`.
    pub place: String,
    /// The learning rate at that step.
    pub learning_rate: f64,
}

/// `at step 2, where the parameter 0.weight holds an infinite number or NaN (learning rate 100)`.
impl std::fmt::Display for Divergence {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { step, place, learning_rate } = self;
        let rate = exact(*learning_rate);
        write!(f, "at step {step}, where {place} holds an infinite number or NaN (learning rate {rate})")
    }
}
