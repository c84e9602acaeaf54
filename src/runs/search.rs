//! Which runs stand at the paths that somebody names.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use super::folder::{WHAT_TO_NAME, check_is_folder, unreadable};
use super::record::Record;
use crate::runs::files::{CHECKPOINT, FINISHED, MODEL, PREVIOUS};
use crate::train::TrainError;

/// The runs at these paths, in order: each is a run folder, a folder of run folders such as `compare` writes, or one
/// of both, such as `runs`; runs in a folder are taken by name. A run that is met twice counts once.
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

/// The folders at a path that hold files of a run, or of a comparison, which comes first.
///
/// # Errors
/// When there is none.
pub fn folders(path: &Path) -> Result<Vec<PathBuf>, TrainError> {
    let mut folders = runs(path)?;
    let compares = |folder: &Path| folder.join("compare.toml").exists();
    let mut outer: Vec<PathBuf> =
        folders.iter().filter_map(|folder| Some(folder.parent()?.to_owned())).collect();
    outer.dedup();
    outer.retain(|outer| outer.starts_with(path) && compares(outer));
    folders.splice(0..0, outer);
    Ok(folders)
}

/// The run folder that this is, or those in it and in its folders.
fn runs(path: &Path) -> Result<Vec<PathBuf>, TrainError> {
    check_is_folder(path)?;
    if is_run(path)? {
        return Ok(vec![path.into()]);
    }
    let entries = entries(path)?;
    let mut found = Vec::new();
    for folder in entries.iter().filter(|entry| entry.is_dir()) {
        if is_run(folder)? {
            found.push(folder.clone());
            continue;
        }
        for inner in self::entries(folder)? {
            if inner.is_dir() && is_run(&inner)? {
                found.push(inner);
            }
        }
    }
    match found.is_empty() {
        false => Ok(found),
        true => Err(TrainError::Content {
            path: path.into(),
            problem: format!("{}; {WHAT_TO_NAME}", holds_no_run(&entries)),
        }),
    }
}

/// What is in a folder, by name.
fn entries(path: &Path) -> Result<Vec<PathBuf>, TrainError> {
    let failed = |source| unreadable(path, source);
    let mut paths = Vec::new();
    for entry in path.read_dir().map_err(failed)? {
        paths.push(entry.map_err(failed)?.path());
    }
    paths.sort();
    Ok(paths)
}

/// That a folder holds no run, and what it holds instead.
fn holds_no_run(entries: &[PathBuf]) -> String {
    const NAMED: usize = 4;
    let name = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() { name + "/" } else { name }
    };
    let names: Vec<String> = entries.iter().take(NAMED).map(name).collect();
    match (entries.len(), entries.len().saturating_sub(NAMED)) {
        (0, _) => "is empty".into(),
        (_, 0) => format!("holds no run, nor do its folders, but {}", names.join(", ")),
        (_, more) => format!("holds no run, nor do its folders, but {} and {more} more", names.join(", ")),
    }
}

/// Whether a run began in this folder.
fn is_run(path: &Path) -> Result<bool, TrainError> {
    for name in
        ["config.toml", "metrics.csv", "summary.json", "confusion.csv", MODEL, CHECKPOINT, PREVIOUS, FINISHED]
    {
        if path.join(name).try_exists().map_err(|source| unreadable(path, source))? {
            return Ok(true);
        }
    }
    Ok(false)
}
