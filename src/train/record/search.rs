//! Which runs stand at the paths that somebody names.

use std::collections::HashSet;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::Record;
use crate::train::TrainError;
use crate::train::files::{CHECKPOINT, MODEL};

const WHAT_TO_NAME: &str = "name the folder that mnist or compare wrote";

/// The runs at these paths, in order: each is a run folder, or a folder of run folders such as `compare`
/// writes, which are taken by name. A run that is met twice counts once.
///
/// # Errors
/// When a path is no such folder, or a run in it cannot be read at all.
pub fn records(paths: &[PathBuf]) -> Result<Vec<Record>, TrainError> {
    let (mut met, mut records) = (HashSet::new(), Vec::new());
    for path in paths {
        for run in runs(path)? {
            let place = run.canonicalize().map_err(|source| unreadable(&run, source))?;
            if met.insert(place) {
                records.push(Record::read(&run)?);
            }
        }
    }
    Ok(records)
}

/// The run folder that this is, or those in it.
fn runs(path: &Path) -> Result<Vec<PathBuf>, TrainError> {
    check_is_folder(path)?;
    if is_run(path)? {
        return Ok(vec![path.into()]);
    }
    let mut inner = Vec::new();
    for entry in path.read_dir().map_err(|source| unreadable(path, source))? {
        let entry = entry.map_err(|source| unreadable(path, source))?.path();
        if entry.is_dir() && is_run(&entry)? {
            inner.push(entry);
        }
    }
    if inner.is_empty() {
        return Err(TrainError::Content {
            path: path.into(),
            problem: format!("holds no run; {WHAT_TO_NAME}"),
        });
    }
    inner.sort();
    Ok(inner)
}

/// Whether a run began in this folder.
fn is_run(path: &Path) -> Result<bool, TrainError> {
    for name in ["config.toml", "metrics.csv", "summary.json", "confusion.csv", MODEL, CHECKPOINT] {
        if path.join(name).try_exists().map_err(|source| unreadable(path, source))? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Nothing, if it is a folder.
pub(super) fn check_is_folder(path: &Path) -> Result<(), TrainError> {
    let problem = match path.metadata() {
        Ok(about) if about.is_dir() => return Ok(()),
        Ok(_) => format!("is no folder; {WHAT_TO_NAME}"),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            format!("there is no such folder; {WHAT_TO_NAME}")
        }
        Err(source) => return Err(unreadable(path, source)),
    };
    Err(TrainError::Content { path: path.into(), problem })
}

fn unreadable(path: &Path, source: std::io::Error) -> TrainError {
    TrainError::File { action: "read the folder", path: path.into(), source }
}
