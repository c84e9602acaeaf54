//! How a run of a comparison went, by us or by PyTorch: from training, or read back from its folder.

use std::path::Path;

use super::plan::PLAN;
use crate::runs::Learning;
use crate::runs::files::{Checkpoint, read_options};
use crate::runs::log::Metrics;
use crate::runs::seal::{Fate, fate_of};
use crate::runs::{Divergence, Record, Row, RunFolder};
use crate::train::options::{Decides, decides};
use crate::train::{Options, TrainError};

/// A run's course to its end.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Course {
    /// The epochs that were finished.
    pub rows: Vec<Row>,
    /// Why there are no more, unless they are all.
    pub diverged: Option<Divergence>,
    /// Whether they led anywhere, where that is known: of PyTorch's it is not.
    pub learning: Option<Learning>,
}

impl Course {
    /// Whether the run in this folder has come to its end, or to a checkpoint to go on from.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn has_begun(folder: &Path, options: &Options) -> Result<bool, TrainError> {
        Ok(Self::read(folder, options)?.is_some() || Checkpoint::is_in(folder)?)
    }

    /// The options in the folder of a run, if it has begun.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn recorded(folder: &RunFolder) -> Result<Option<Options>, TrainError> {
        match folder.holds("config.toml")? {
            true => read_options(&folder.file("config.toml")).map(Some),
            false => Ok(None), // it was cut off before it began
        }
    }

    /// The course of the run in this folder, if that came to its end; a run that was cut off has none yet.
    ///
    /// # Errors
    /// When the folder is another run's, or a file in it is damaged.
    pub fn read(folder: &Path, options: &Options) -> Result<Option<Self>, TrainError> {
        if !folder.join("config.toml").exists() {
            return Ok(None); // it was cut off before it began
        }
        let record = Record::read(folder)?;
        if let Some(problem) = other_options(&record.options, options) {
            return Err(TrainError::Content { path: folder.join("config.toml"), problem });
        }
        let is_finished = record.is_whole() && record.summary.is_some();
        if !is_finished && record.diverged.is_none() {
            return Ok(None);
        }
        for name in ["metrics.csv", "summary.json"] {
            if is_finished && fate_of(folder, name) == Some(Fate::Changed) {
                let problem = "has changed since the run wrote it, as its SHA-256 tells: put back the file that the run \
                               wrote, or remove its folder to train it anew";
                return Err(TrainError::Content { path: folder.join(name), problem: problem.into() });
            }
        }
        let rows = Metrics::read(&folder.join("metrics.csv"))?;
        if is_finished && rows.len() != options.epochs {
            let problem = format!(
                "holds {} whole rows of a run of {} epochs that is complete: restore the file, or remove its folder to \
                 train it anew",
                rows.len(),
                options.epochs
            );
            return Err(TrainError::Content { path: folder.join("metrics.csv"), problem });
        }
        let learning = record.summary.and_then(|summary| summary.learning);
        Ok(Some(Self { rows, diverged: record.diverged, learning }))
    }

    /// What to say of a run with these options that led nowhere, if it did.
    pub fn warning(&self, options: &Options) -> Option<String> {
        self.learning?.said(self.rows.last()?, options)
    }

    /// The share of test images classified correctly at the end; nothing for a run that diverged.
    pub(super) fn test_accuracy(&self) -> Option<f64> {
        self.rows.last().filter(|_| self.diverged.is_none()).map(|row| row.test_accuracy)
    }
}

/// In what the options of a run are not those of the plan, if they are not. What decides no result may differ, and the
/// device: a comparison may go on on another.
fn other_options(found: &Options, planned: &Options) -> Option<String> {
    let (found, planned) = (found.by_name(), planned.by_name());
    let name = found
        .keys()
        .chain(planned.keys())
        .filter(|name| decides(name) == Decides::Result)
        .find(|name| found.get(*name) != planned.get(*name))?;
    let said = |value: Option<&serde_json::Value>| value.map_or("nothing".into(), |value| value.to_string());
    let (found, planned) = (said(found.get(name)), said(planned.get(name)));
    Some(format!(
        "says {found} for {name}, where {PLAN} plans {planned}: put back the file that belongs here, or remove the run's \
         folder to train it anew"
    ))
}
