//! The end of a run that diverged, kept in its folder: so the run is known to have ended, and why.

use std::path::Path;

use crate::runs::divergence::Divergence;
use crate::runs::folder::RunFolder;
use crate::runs::reading::read_json;
use crate::train::TrainError;

/// The file's name in a run folder; there is none unless the run diverged.
pub(crate) const DIVERGED: &str = "diverged.json";

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
    pub fn read(folder: &Path) -> Result<Option<Self>, TrainError> {
        let path = folder.join(DIVERGED);
        match path.exists() {
            true => read_json(&path).map(Some),
            false => Ok(None),
        }
    }
}
