//! The files of a run folder that are written and read as a whole: configuration, model, checkpoint.

mod configuration;
mod tensors;

use std::path::Path;

pub use configuration::{About, read_configuration, read_configuration_with_about, write_configuration};
pub(super) use tensors::model_in;
pub use tensors::{CHECKPOINT, Checkpoint, MODEL, TrainedModel, read_model, write_model};

use super::TrainError;

/// The content of a file.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, TrainError> {
    std::fs::read(path).map_err(|source| TrainError::File { action: "read", path: path.into(), source })
}
