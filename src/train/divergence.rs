//! Where a run's objective stopped being finite, kept in its folder: so the run is known to have ended, and why.

use serde::{Deserialize, Serialize};

use super::{RunFolder, TrainError, files};
use crate::document::number::exact;

/// The file's name in a run folder; there is none unless the run diverged.
pub(super) const DIVERGED: &str = "diverged.json";

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

impl Divergence {
    /// Writes it into the run's folder.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, folder: &RunFolder) -> Result<(), TrainError> {
        folder.write_json(DIVERGED, self)
    }

    /// That of the run in this folder; nothing, if it did not diverge.
    ///
    /// # Errors
    /// When the file is there and cannot be read.
    pub fn read(folder: &std::path::Path) -> Result<Option<Self>, TrainError> {
        let path = folder.join(DIVERGED);
        match path.exists() {
            true => files::read_json(&path).map(Some),
            false => Ok(None),
        }
    }
}

/// `at step 2, where the parameter 0.weight holds an infinite number or NaN (learning rate 100)`.
impl std::fmt::Display for Divergence {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { step, place, learning_rate } = self;
        let rate = exact(*learning_rate);
        write!(f, "at step {step}, where {place} holds an infinite number or NaN (learning rate {rate})")
    }
}
