//! Files read whole.

use std::path::Path;

use serde::de::DeserializeOwned;

use crate::train::TrainError;

/// The content of a file.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, TrainError> {
    std::fs::read(path).map_err(|source| TrainError::File { action: "read", path: path.into(), source })
}

/// What a file of JSON holds.
pub(crate) fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T, TrainError> {
    let content = serde_json::from_slice(&read(path)?);
    content.map_err(|error| TrainError::Content { path: path.into(), problem: error.to_string() })
}
