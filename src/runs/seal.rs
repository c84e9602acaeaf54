//! `SHA256SUMS`: the digests of what a run left, by which its files are known to be as they were written.
//!
//! It is written last, in the form that `sha256sum --check` reads.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::Path;

use super::RunFolder;
use super::files::{CHECKPOINT, FINISHED, PREVIOUS};
use super::folder::unreadable;
use super::reading::read;
use crate::digest::{DIGITS, sha256};
use crate::files;
use crate::train::TrainError;

/// The file's name in a run folder.
pub const SEAL: &str = "SHA256SUMS";

/// Files that prove themselves.
const APART: [&str; 4] = [SEAL, CHECKPOINT, PREVIOUS, FINISHED];

/// What runs and comparisons write. What else is in a folder is somebody else's.
const SEALED: [&str; 19] = [
    "accuracy.png",
    "accuracy.svg",
    "compare-pytorch.csv",
    "compare.csv",
    "compare.json",
    "compare.png",
    "compare.svg",
    "compare.toml",
    "config.toml",
    "confusion.csv",
    "confusion.png",
    "confusion.svg",
    "metrics.csv",
    "model.safetensors",
    "objective.png",
    "objective.svg",
    "pytorch.csv",
    "pytorch.json",
    "summary.json",
];

/// What became of a file since the run left it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Fate {
    /// It is as it was.
    Same,
    /// It is another, or cannot be read any more.
    Changed,
    /// It is gone.
    Missing,
    /// It is one that runs write, and what it was is not known any more.
    Unsealed,
    /// Runs write none of this name.
    Foreign,
}

/// Writes the digests of the files that a run or a comparison wrote into a folder.
///
/// # Errors
/// When one cannot be read, or the digests cannot be written.
pub fn seal(folder: &RunFolder) -> Result<(), TrainError> {
    let mut text = String::new();
    for name in names(folder.path())?.iter().filter(|name| SEALED.contains(&&name[..])) {
        let digest = sha256([&read(&folder.file(name), files::tensors())?[..]]);
        text += &format!("{digest}  {name}\n");
    }
    folder.write(SEAL, text.as_bytes())
}

/// What became of each file of a folder, by its name; nothing, where there is no seal, as in a folder of a run that is not
/// finished.
///
/// # Errors
/// When the folder or the seal cannot be read.
pub fn fates(folder: &Path) -> Result<Option<BTreeMap<String, Fate>>, TrainError> {
    let Some(sealed) = sealed(folder)? else { return Ok(None) };
    let unsealed = |name: &str| if SEALED.contains(&name) { Fate::Unsealed } else { Fate::Foreign };
    let names = names(folder)?.into_iter();
    let mut fates: BTreeMap<String, Fate> = names.map(|name| (name.clone(), unsealed(&name))).collect();
    for (name, digest) in sealed {
        let fate = fate(&folder.join(&name), &digest);
        fates.insert(name, fate);
    }
    Ok(Some(fates))
}

/// What became of one file of a folder; nothing, where no seal says what it was.
pub(crate) fn fate_of(folder: &Path, name: &str) -> Option<Fate> {
    let digest = sealed(folder).ok()??.remove(name)?;
    Some(fate(&folder.join(name), &digest))
}

fn fate(path: &Path, digest: &str) -> Fate {
    match files::read(path, files::tensors()) {
        Ok(bytes) if sha256([&bytes[..]]) == digest => Fate::Same,
        Err(error) if error.kind() == ErrorKind::NotFound => Fate::Missing,
        _ => Fate::Changed,
    }
}

/// The digests in a folder's seal, by name.
fn sealed(folder: &Path) -> Result<Option<BTreeMap<String, String>>, TrainError> {
    let path = folder.join(SEAL);
    let there = files::exists(&path);
    if !there.map_err(|source| TrainError::File { action: "read", path: path.clone(), source })? {
        return Ok(None);
    }
    let bytes = read(&path, files::TEXT)?;
    let text = String::from_utf8_lossy(&bytes);
    let entry = |line: &str| {
        let (digest, name) = line.split_once("  ")?;
        // A name alone: what lies elsewhere is no file of the run.
        let is_name = !name.is_empty() && !name.contains(['/', '\\']) && name != ".." && name != ".";
        let is_digest = digest.len() == DIGITS && digest.bytes().all(|byte| byte.is_ascii_hexdigit());
        (is_name && is_digest).then(|| (name.to_owned(), digest.to_owned()))
    };
    let entries: Option<BTreeMap<String, String>> = text.lines().map(entry).collect();
    match entries.filter(|entries| !entries.is_empty()) {
        Some(entries) => Ok(Some(entries)),
        None => Err(TrainError::Content {
            path,
            problem: "is damaged: it holds lines that are no SHA-256 and name of a file".into(),
        }),
    }
}

/// The names of the files in a folder, but for hidden ones and those that are not sealed.
fn names(folder: &Path) -> Result<Vec<String>, TrainError> {
    let failed = |source| unreadable(folder, source);
    let mut names = Vec::new();
    for entry in folder.read_dir().map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let is_folder = entry.file_type().map_err(failed)?.is_dir();
        if !is_folder && !name.starts_with('.') && !APART.contains(&&name[..]) {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}
