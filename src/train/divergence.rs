//! Where a run's objective stopped being finite, kept in its folder: so the run is known to have ended, and why.

use serde::{Deserialize, Serialize};

use super::{RunFolder, TrainError, files};

/// The file's name in a run folder; there is none unless the run diverged.
pub const DIVERGED: &str = "diverged.json";

/// The end of a run whose learning rate was too large for it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Divergence {
    /// The step, from 1 over the whole run, whose loss was not finite or whose update left a network of such loss.
    pub step: u64,
    /// What held an infinite number or NaN: `the parameter 0.weight`, `the output of layer 2`, `the loss`.
    pub place: String,
    /// The learning rate at that step.
    pub learning_rate: f64,
}

impl Divergence {
    /// What the error says of one, if that is what it says.
    pub fn of(error: &TrainError) -> Option<Self> {
        match error {
            TrainError::NotFinite { step, place, learning_rate } => {
                Some(Self { step: *step, place: place.clone(), learning_rate: *learning_rate })
            }
            _ => None,
        }
    }

    /// Writes it into the run's folder.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, folder: &RunFolder) -> Result<(), TrainError> {
        let text = serde_json::to_string_pretty(self).map_err(|error| TrainError::Content {
            path: folder.file(DIVERGED),
            problem: error.to_string(),
        })?;
        folder.write(DIVERGED, format!("{text}\n").as_bytes())
    }

    /// That of the run in this folder; nothing, if it did not diverge.
    ///
    /// # Errors
    /// When the file is there and cannot be read.
    pub fn read(folder: &std::path::Path) -> Result<Option<Self>, TrainError> {
        let path = folder.join(DIVERGED);
        if !path.exists() {
            return Ok(None);
        }
        let divergence = serde_json::from_slice(&files::read(&path)?);
        divergence.map(Some).map_err(|error| TrainError::Content { path, problem: error.to_string() })
    }
}

/// `at step 2, where the parameter 0.weight holds an infinite number or NaN (learning rate 100.0)`.
impl std::fmt::Display for Divergence {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { step, place, learning_rate } = self;
        write!(
            f,
            "at step {step}, where {place} holds an infinite number or NaN (learning rate {learning_rate:?})"
        )
    }
}
