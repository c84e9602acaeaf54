//! Files read whole.

use std::path::Path;

use serde::de::DeserializeOwned;

use crate::files;
use crate::train::TrainError;

/// The content of a file of at most so many bytes.
pub(crate) fn read(path: &Path, most: u64) -> Result<Vec<u8>, TrainError> {
    files::read(path, most).map_err(|source| TrainError::File { action: "read", path: path.into(), source })
}

/// What a file of JSON holds.
pub(crate) fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T, TrainError> {
    let content = serde_json::from_slice(&read(path, files::TEXT)?);
    content.map_err(|error| TrainError::Content { path: path.into(), problem: error.to_string() })
}
