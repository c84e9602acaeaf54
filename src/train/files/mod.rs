//! The files of a run folder that are written and read as a whole: configuration, model, checkpoint.

mod configuration;
mod tensors;

use std::path::Path;

pub use configuration::{About, read_configuration, read_configuration_with_about, write_configuration};
pub(super) use tensors::model_in;
pub use tensors::{CHECKPOINT, Checkpoint, MODEL, TrainedModel, read_model, write_model};

use serde::de::DeserializeOwned;

use super::TrainError;

/// The content of a file.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, TrainError> {
    std::fs::read(path).map_err(|source| TrainError::File { action: "read", path: path.into(), source })
}

/// What a file of JSON holds.
pub(super) fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T, TrainError> {
    let content = serde_json::from_slice(&read(path)?);
    content.map_err(|error| TrainError::Content { path: path.into(), problem: error.to_string() })
}
