//! What the checks found, and the verdicts on it.

use crate::backprop::problem::largest;
use crate::backprop::verdict::together;

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

/// Central differences of one variable.
#[derive(Clone, Copy, Debug, Default)]
pub struct Differences {
    /// The errors of those that were compared.
    pub deviation: Deviation,
    /// Entries, or random directions, that were compared.
    pub compared: usize,
    /// Those that were not, as they stand at a kink, or as rounding hides them.
    pub not_compared: usize,
    /// Whether random directions were compared, not entries.
    pub in_directions: bool,
}

/// What was found of one variable's gradient.
#[derive(Clone, Debug)]
pub struct Found {
    /// The variable, by position in [`Backprop::variables`](crate::backprop::Backprop::variables).
    pub variable: usize,
    /// The largest |⟨X.g, Ẋ⟩ − ż| over the directions; nothing where the time did not suffice, or where
    /// rounding hides it.
    pub forward_mode: Option<Deviation>,
    /// What central differences say.
    pub differences: Differences,
}

impl Found {
    /// Whether both ways agree with reverse mode; nothing where one could tell nothing.
    pub fn agrees(&self) -> Option<bool> {
        match (self.forward_mode?.within_rounding, self.differences.compared) {
            (false, _) => Some(false),
            (true, 0) => None,
            (true, _) => Some(self.differences.deviation.within_rounding),
        }
    }
}

/// What was found of all gradients.
#[derive(Clone, Debug, Default)]
pub struct GradientChecks {
    /// One entry for each variable with a gradient, in their order.
    pub found: Vec<Found>,
}

impl GradientChecks {
    /// The largest errors: of forward mode, and of central differences; nothing of what compared nothing.
    pub fn largest(&self) -> (Option<f64>, Option<f64>) {
        let of = |deviations: Vec<Deviation>| {
            (!deviations.is_empty()).then(|| largest(deviations.iter().map(|deviation| deviation.error)))
        };
        let forward = self.found.iter().filter_map(|found| found.forward_mode);
        let compared = self.found.iter().map(|found| found.differences).filter(|of| of.compared > 0);
        (of(forward.collect()), of(compared.map(|differences| differences.deviation).collect()))
    }

    /// Whether all agree: nothing if that could not be told of one.
    pub fn agree(&self) -> Option<bool> {
        together(self.found.iter().map(Found::agrees))
    }
}
