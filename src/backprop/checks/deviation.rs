//! The random directions in which they are looked for.

use crate::backprop::chain::Variable;
use crate::random::{self, Purpose};

/// Above this part of the size that errors are relative to, rounding hides so much that a comparison would say nothing.
pub(super) const HIDDEN: f64 = 1e-5;

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
