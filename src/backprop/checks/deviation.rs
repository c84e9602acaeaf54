//! Errors, what they are relative to, and the random directions in which they are looked for.

use crate::backprop::Variable;
use crate::backprop::problem::largest;
use crate::random::{self, Purpose};

/// The error that rounding explains, relative to the absolute values of what is added up.
pub(super) const TOLERANCE: f64 = 1e-12;

/// Products and their sums that are smaller lose digits to underflow: their rounding is no longer relative to them.
pub(super) const TINY: f64 = 1e-280;

/// How far apart two ways of computing something are.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Deviation {
    /// The largest error, relative to the absolute values of the gradient's entries, or to a thousandth of what these
    /// are sums of, if that is more.
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

/// What errors are relative to: a gradient's size, or a thousandth of what it is a sum of.
pub(super) fn size_of(gradient: f64, scale: f64) -> f64 {
    gradient.max(1e-3 * scale)
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
