//! Errors, what they are relative to, and the random directions in which they are looked for.

use crate::backprop::Variable;
use crate::backprop::problem::largest;
use crate::random::{self, Purpose};

/// Above this part of the size that errors are relative to, rounding hides so much that a comparison would say nothing.
pub(super) const HIDDEN: f64 = 1e-5;

/// How far apart two ways of computing something are.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Deviation {
    /// The largest error, relative to the size of the gradient.
    pub error: f64,
    /// Whether no error is more than rounding explains.
    pub within_rounding: bool,
}

impl Deviation {
    /// Nothing is apart yet.
    pub(super) const NONE: Self = Self { error: 0.0, within_rounding: true };

    /// Takes an error in, that is to be no more than `tolerance`. Written so that NaN is more than anything.
    pub(super) fn add(&mut self, error: f64, tolerance: f64, size: f64) {
        self.within_rounding &= error <= tolerance;
        self.error = largest([self.error, if error == 0.0 { 0.0 } else { error / size }]);
    }
}

/// Entries of a direction, for the variable at this position.
pub(super) fn direction(position: usize, which: u64, length: usize) -> Vec<f64> {
    let mut rng = random::chacha(which, Purpose::Directions, position as u64);
    (0..length).map(|_| random::standard_normal(&mut rng)).collect()
}

/// ⟨a, b⟩
pub(super) fn inner_product(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// Σ|aᵢ bᵢ|
pub(super) fn size_of_product(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a * b).abs()).sum()
}

/// The entries of a variable's gradient.
pub(super) fn gradient(variable: &Variable) -> &[f64] {
    variable.gradient.as_ref().map_or(&[], |gradient| &gradient.values)
}
