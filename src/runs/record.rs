//! A run as its folder tells it, whether it was finished, interrupted, or damaged since.
//!
//! Each file of a run folder is read by itself, as far as it can be used; what is missing or left out is
//! said in the record's notes, so that whoever shows the run can show them too. Only who the run *is*, its
//! optimizer and seed, must be known.

#[cfg(test)]
mod tests;

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::figures::{read_confusion, setting_of};
use super::files::{About, CHECKPOINT, Checkpoint, DIVERGED, MODEL, Origin, read_configuration_with_about};
use super::folder::check_is_folder;
use super::log::{LeftOut, Metrics, Readable};
use super::seal::{Fate, SEAL, fates};
use super::{Divergence, Row, Summary};
use crate::exec::Confusion;
use crate::train::learning::smaller_rate;
use crate::train::{Choices, OptimizerName, Options, TrainError};

/// A run read from its folder.
#[derive(Clone, PartialEq, Debug)]
pub struct Record {
    /// The folder.
    pub path: PathBuf,
    /// The options as they held.
    pub options: Options,
    /// The setting, as figures state it.
    pub setting: String,
    /// What they led to, where it is known.
    pub about: About,
    /// The epochs, from the first, without a gap.
    pub rows: Vec<Row>,
    /// What `summary.json` says, unless epochs followed it.
    pub summary: Option<Summary>,
    /// Where the objective stopped being finite, if it did: such a run has no result.
    pub diverged: Option<Divergence>,
    /// The test images by true and predicted class.
    pub confusion: Option<Confusion>,
    /// What is missing or left out: a sentence each, without its full stop.
    pub notes: Vec<String>,
    /// Whether the options are those of `config.toml`; where there is none, defaults stand for what is not known.
    pub configured: bool,
}

impl Record {
    /// Reads the folder of a run.
    ///
    /// # Errors
    /// When there is no such folder, or it holds neither a configuration nor a summary that can be read.
    pub fn read(path: &Path) -> Result<Self, TrainError> {
        check_is_folder(path)?;
        let mut notes = changed(path);
        let summary = Summary::load(&path.join("summary.json"));
        let (options, about, configured) = options(path, summary.as_ref().ok(), &mut notes)?;
        let (rows, left_out) = rows(&path.join("metrics.csv"), &mut notes);
        if configured {
            notes.extend(other_than_kept(path, &options, &rows));
        }
        let diverged = diverged(path, rows.len(), &options, &mut notes);
        let summary = match &diverged {
            Some(_) => None, // it is of an interruption before
            None => up_to_date(summary, &options, &rows, &mut notes),
        };
        let done = summary.as_ref().map_or(0, |summary| summary.epochs).max(rows.len());
        match left_out {
            None if done == 0 && diverged.is_none() => {
                notes.push("metrics.csv holds no row: no epoch was finished".into())
            }
            None if rows.len() < done => {
                notes.push(format!("metrics.csv holds {} of the {done} epochs of summary.json", rows.len()));
            }
            _ => {}
        }
        let is_damaged = matches!(left_out, Some(LeftOut::Damaged(_)));
        match &summary {
            Some(summary) if summary.interrupted => {
                notes.push(format!("the run was interrupted after {done} of {} epochs", options.epochs));
            }
            None if !is_damaged && diverged.is_none() && done < options.epochs => {
                notes.push(format!("the run stopped or goes on after {done} of {} epochs", options.epochs));
            }
            _ => {}
        }
        if let (Some(summary), Some(last)) = (&summary, rows.last()) {
            notes.extend(summary.learning.and_then(|learning| learning.said(last, &options)));
        }
        let confusion = match &diverged {
            Some(_) => None,
            None => read_confusion(&path.join("confusion.csv"))
                .inspect_err(|error| {
                    notes.push(format!("confusion.csv {}: there is no confusion matrix", fault(error)));
                })
                .ok(),
        };
        if diverged.is_none() && !path.join(MODEL).exists() {
            notes.push(format!("{MODEL} is missing: what the network gets wrong cannot be shown"));
        }
        let network = about.network.clone().unwrap_or_else(|| {
            format!("hidden layers {}, {}", options.hidden, options.activation.name()) // of unknown images
        });
        Ok(Self {
            path: path.into(),
            setting: setting_of(&network, &options),
            options,
            about,
            rows,
            summary,
            diverged,
            confusion,
            notes,
            configured,
        })
    }

    /// The share of test images classified correctly at the end: of the summary, or else of the last row; nothing for a
    /// run that diverged.
    pub fn test_accuracy(&self) -> Option<f64> {
        if self.diverged.is_some() {
            return None;
        }
        let of_summary = self.summary.as_ref().map(|summary| summary.test_accuracy);
        of_summary.or_else(|| Some(self.rows.last()?.test_accuracy))
    }

    /// Whether the run came to its last epoch.
    pub fn is_whole(&self) -> bool {
        match &self.summary {
            Some(summary) => !summary.interrupted && summary.epochs >= self.options.epochs,
            None => self.rows.len() >= self.options.epochs,
        }
    }
}

/// Which files are not as the run left them, where it came to its end.
fn changed(path: &Path) -> Vec<String> {
    const READ: [&str; 5] = ["config.toml", "metrics.csv", "summary.json", "confusion.csv", MODEL];
    let of = |(name, fate): (String, Fate)| match fate {
        Fate::Changed => Some(format!("{name} has changed since the run wrote it, as {SEAL} tells")),
        Fate::Unsealed => {
            Some(format!("{name} may have changed since the run wrote it, as it is not in {SEAL}"))
        }
        Fate::Missing if !READ.contains(&&name[..]) => Some(format!("{name} is missing, as {SEAL} tells")),
        Fate::Same | Fate::Missing | Fate::Foreign => None, // what is read is missed where it is read
    };
    match fates(path) {
        Ok(fates) => fates.into_iter().flatten().filter_map(of).collect(),
        Err(error) => vec![format!("{SEAL} {}: whether files have changed is unknown", fault(&error))],
    }
}

/// What of options and log is not as its checkpoint says, of a run that has not come to its end.
fn other_than_kept(path: &Path, options: &Options, rows: &[Row]) -> Option<String> {
    let kept = Checkpoint::load(&path.join(CHECKPOINT)).ok()?;
    let origin = Origin::new(options, kept.origin.data.clone());
    let same = kept.check_origin(&origin, kept.parameters.len(), kept.state.len());
    let error = same.and_then(|()| kept.rows(rows.to_vec())).err()?;
    let TrainError::Content { path, problem } = error else { return None };
    Some(format!("{} {problem}", path.file_name()?.display()))
}

/// The options of `config.toml`, what it says about the run, and true; or the options so far as the summary tells them.
fn options(
    path: &Path,
    summary: Option<&Summary>,
    notes: &mut Vec<String>,
) -> Result<(Options, About, bool), TrainError> {
    let error = match configured(&path.join("config.toml")) {
        Ok((options, about)) => return Ok((options, about, true)),
        Err(error) => error,
    };
    let (options, known) = summary.and_then(summarized).ok_or_else(|| unknown(path, &error))?;
    notes.push(format!(
        "config.toml {}: {known} are those of summary.json, and the other options are taken to be the defaults",
        fault(&error)
    ));
    Ok((options, About::default(), false))
}

/// The options of a `config.toml`, and what it says about the run.
fn configured(path: &Path) -> Result<(Options, About), TrainError> {
    let (opt, choices, about) = read_configuration_with_about(path)?;
    let opt =
        opt.ok_or_else(|| TrainError::Content { path: path.into(), problem: "names no optimizer".into() })?;
    Ok((choices.resolve(opt)?, about))
}

/// The options so far as a summary tells them, and which it tells.
fn summarized(summary: &Summary) -> Option<(Options, &'static str)> {
    let opt = OptimizerName::ALL.into_iter().find(|opt| opt.name() == summary.optimizer)?;
    let (epochs, known) = match summary.interrupted {
        true => (None, "optimizer and seed"),
        false => (Some(summary.epochs), "optimizer, seed and epochs"),
    };
    let choices = Choices { seed: Some(summary.seed), epochs, ..Choices::default() };
    Some((choices.resolve(opt).ok()?, known))
}

/// The rows, and what is left out after them; where there is no file, all is.
fn rows(path: &Path, notes: &mut Vec<String>) -> (Vec<Row>, Option<LeftOut>) {
    let Readable { rows, left_out } = match Metrics::read_as_far_as_whole(path) {
        Ok(readable) => readable,
        Err(error) => {
            let fault = fault(&error);
            notes.push(format!("metrics.csv {fault}: there is no course of the epochs"));
            return (Vec::new(), Some(LeftOut::Damaged(fault)));
        }
    };
    match &left_out {
        Some(LeftOut::CutOff) => notes.push("metrics.csv: the last row was cut off and is left out".into()),
        Some(LeftOut::Damaged(problem)) => notes.push(format!(
            "metrics.csv is damaged ({problem}): only what stands before is kept, {} of its epochs",
            rows.len()
        )),
        None => {}
    }
    (rows, left_out)
}

/// Where the run diverged, if it did.
fn diverged(path: &Path, epochs: usize, options: &Options, notes: &mut Vec<String>) -> Option<Divergence> {
    match Divergence::read(path) {
        Ok(diverged) => diverged.inspect(|divergence| {
            notes.push(format!(
                "the run diverged after {epochs} of {} epochs, {divergence}: try a smaller --lr, such as {}",
                options.epochs,
                smaller_rate(options)
            ));
        }),
        Err(error) => {
            notes.push(format!("{DIVERGED} {}: why the run ended is unknown", fault(&error)));
            None
        }
    }
}

/// The summary, unless the run has gone on since: then one of an earlier interruption is still there.
fn up_to_date(
    summary: Result<Summary, TrainError>,
    options: &Options,
    rows: &[Row],
    notes: &mut Vec<String>,
) -> Option<Summary> {
    let problem = match summary {
        Ok(summary) if (&summary.optimizer[..], summary.seed) != (options.opt.name(), options.seed) => {
            format!("summary.json is another run's, of {} with seed {}", summary.optimizer, summary.seed)
        }
        Ok(summary) if summary.epochs >= rows.len() => return Some(summary),
        Ok(Summary { epochs, .. }) => format!(
            "summary.json, confusion.csv and {MODEL} were written after {epochs} of the {} epochs in metrics.csv",
            rows.len()
        ),
        Err(error) => format!("summary.json {}", fault(&error)),
    };
    notes.push(match rows {
        [] => format!("{problem}: there is no test accuracy"),
        _ => format!("{problem}: the test accuracy is that of the last row of metrics.csv"),
    });
    None
}

/// What is wrong with a file, as the rest of a sentence that begins with its name.
fn fault(error: &TrainError) -> String {
    match error {
        TrainError::File { source, .. } if source.kind() == ErrorKind::NotFound => "is missing".into(),
        TrainError::File { source, .. } => format!("cannot be read ({source})"),
        TrainError::Content { problem, .. } => format!("is damaged ({problem})"),
        other => format!("is damaged ({other})"),
    }
}

/// A folder that tells neither optimizer nor seed.
fn unknown(path: &Path, error: &TrainError) -> TrainError {
    let problem = format!(
        "is no run folder that can be read: config.toml {}, and no summary.json tells optimizer and seed. A \
         run folder holds config.toml, metrics.csv, summary.json, confusion.csv and {MODEL}",
        fault(error)
    );
    TrainError::Content { path: path.into(), problem }
}
