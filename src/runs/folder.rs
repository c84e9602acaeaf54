//! A run's folder: made once, never written over, and written by one process at a time; files appear in it whole or not at
//! all.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;
use time::OffsetDateTime;

use super::lock::{Asked, LOCK, Lock};
use crate::files;
use crate::train::TrainError;

/// A folder that this process alone writes into, until the last of its clones is dropped.
#[derive(Clone, Debug)]
pub struct RunFolder {
    path: PathBuf,
    /// None where the file system has no locks.
    lock: Option<Arc<Lock>>,
}

/// What is written first, without which nothing has begun: a run's options, a comparison's plan.
const BEGINNINGS: [&str; 2] = ["config.toml", "compare.toml"];

impl RunFolder {
    /// Makes the folder `out`, or, if none is given, `runs/<UTC time>-<what>`. The former is taken as it is where it is empty but
    /// for what a process leaves that was ended before it wrote the first file.
    ///
    /// # Errors
    /// When something else of that name exists, another process writes there, or the folder cannot be made.
    pub fn create(out: Option<&Path>, what: &str) -> Result<Self, TrainError> {
        if let Some(path) = out {
            return match Self::make(path) {
                // A kill may have come before the first file was there. Whether it is so is known under the lock.
                Err(TrainError::Exists(_)) if nothing_began(path) => {
                    let folder = Self::locked(path)?;
                    if nothing_began(path) { Ok(folder) } else { Err(TrainError::Exists(path.into())) }
                }
                made => made,
            };
        }
        let now = OffsetDateTime::now_utc();
        let (hour, minute, second) = now.to_hms();
        let time = format!("{}T{hour:02}-{minute:02}-{second:02}Z", now.date());
        let first = PathBuf::from(format!("runs/{time}-{what}"));
        // Another run may have begun in this second.
        let others = (2..100).map(|n| PathBuf::from(format!("runs/{time}-{what}-{n}")));
        let mut result = Self::make(&first);
        for path in others {
            if !matches!(result, Err(TrainError::Exists(_))) {
                break;
            }
            result = Self::make(&path);
        }
        result
    }

    fn make(path: &Path) -> Result<Self, TrainError> {
        let failed = |source| TrainError::File { action: "make the folder", path: path.into(), source };
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(failed)?;
        }
        match fs::create_dir(path) {
            Ok(()) => {
                files::sync_folder_of(path).map_err(failed)?;
                Self::locked(path)
            }
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Err(TrainError::Exists(path.into())),
            Err(error) => Err(failed(error)),
        }
    }

    /// A folder that is there, as this process's.
    fn locked(path: &Path) -> Result<Self, TrainError> {
        let failed = |source| TrainError::File { action: "write into the folder", path: path.into(), source };
        let lock = match Lock::of(path).map_err(failed)? {
            Asked::Held(lock) => Some(Arc::new(lock)),
            Asked::Taken(holder) => return Err(TrainError::InUse { path: path.into(), holder }),
            Asked::Unknown => None,
        };
        Ok(Self { path: path.into(), lock })
    }

    /// The folder of an earlier run, to go on with it.
    ///
    /// # Errors
    /// When there is no such folder, no run began in it, it cannot be read, or another process writes there.
    pub fn open(path: &Path) -> Result<Self, TrainError> {
        Self::with(path, "config.toml", "run")
    }

    /// The folder of a `what`, which holds this file.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub(crate) fn with(path: &Path, file: &str, what: &str) -> Result<Self, TrainError> {
        let content = |problem| TrainError::Content { path: path.into(), problem };
        let missing =
            || content(format!("there is no such {what} folder; name the folder that a {what} wrote"));
        match path.metadata() {
            Ok(about) if about.is_dir() => {}
            Ok(_) => return Err(content(format!("is no folder; name the folder that a {what} wrote"))),
            Err(error) if error.kind() == ErrorKind::NotFound => return Err(missing()),
            Err(source) => return Err(unreadable(path, source)),
        }
        match files::exists(&path.join(file)) {
            Ok(true) => Self::locked(path),
            Ok(false) if nothing_began(path) => Err(content(format!(
                "holds no {file}: the {what} was ended before it began, and nothing is lost; begin it again with --out {}",
                path.display()
            ))),
            Ok(false) => Err(content(format!(
                "is no {what} folder, as it holds no {file}; name the folder that a {what} wrote"
            ))),
            Err(source) => Err(unreadable(path, source)),
        }
    }

    /// A folder of its own inside this one, or the one of that name which is there.
    ///
    /// # Errors
    /// When it cannot be made, another process writes there, or it is a link, which could lead anywhere.
    pub fn inner_or_new(&self, name: &str) -> Result<Self, TrainError> {
        let path = self.path.join(name);
        match path.symlink_metadata() {
            Ok(about) if about.is_dir() => Self::locked(&path),
            _ => Self::make(&path),
        }
    }

    /// What keeps nobody from writing here beside us, where that is so.
    pub fn unguarded(&self) -> Option<String> {
        let note = || {
            format!(
                "the file system of {} has no locks: see to it that no other process writes there",
                self.path.display()
            )
        };
        self.lock.is_none().then(note)
    }

    /// The folder's path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The path of a file in it.
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Writes a file: first under another name, then, when all is on the disk, under its own.
    ///
    /// # Errors
    /// When it cannot be written; an earlier file of that name is then still whole.
    pub fn write(&self, name: &str, content: &[u8]) -> Result<(), TrainError> {
        self.write_and_keep(name, content).map(drop)
    }

    /// As [`Self::write`], and keeps the file open for more.
    ///
    /// # Errors
    /// As [`Self::write`].
    pub(super) fn write_and_keep(&self, name: &str, content: &[u8]) -> Result<File, TrainError> {
        let path = self.file(name);
        files::replace(&path, content).map_err(|source| TrainError::File { action: "write", path, source })
    }

    /// As [`Self::write`], and gives the file that had the name another.
    ///
    /// # Errors
    /// As [`Self::write`]; one of both is whole at any time.
    pub(super) fn write_keeping(&self, name: &str, content: &[u8], before: &str) -> Result<(), TrainError> {
        let path = self.file(name);
        let written = files::replace_keeping(&path, content, &self.file(before));
        written.map(drop).map_err(|source| TrainError::File { action: "write", path, source })
    }

    /// Whether there is a file of that name.
    ///
    /// # Errors
    /// When that cannot be found out.
    pub fn holds(&self, name: &str) -> Result<bool, TrainError> {
        let path = self.file(name);
        files::exists(&path).map_err(|source| TrainError::File { action: "read", path, source })
    }

    /// Gives a file another name, in the place of what had that.
    ///
    /// # Errors
    /// When the system refuses.
    pub(crate) fn rename(&self, from: &str, to: &str) -> Result<(), TrainError> {
        let (from, path) = (self.file(from), self.file(to));
        files::rename(&from, &path).map_err(|source| TrainError::File { action: "write", path, source })
    }

    /// Writes a file of JSON, as [`Self::write`] does.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write_json(&self, name: &str, content: &impl Serialize) -> Result<(), TrainError> {
        let text = serde_json::to_string_pretty(content)
            .map_err(|error| TrainError::Content { path: self.file(name), problem: error.to_string() })?;
        self.write(name, format!("{text}\n").as_bytes())
    }

    /// Removes a file, if it is there.
    ///
    /// # Errors
    /// When it is there and cannot be removed.
    pub fn remove(&self, name: &str) -> Result<(), TrainError> {
        let path = self.file(name);
        files::remove(&path).map_err(|source| TrainError::File { action: "remove", path, source })
    }
}

/// Whether there is nothing in a folder but what a process leaves that was ended before it wrote its first file.
fn nothing_began(path: &Path) -> bool {
    let is_left = |entry: io::Result<fs::DirEntry>| {
        let name = entry.map(|entry| entry.file_name()).unwrap_or_default();
        name == LOCK || BEGINNINGS.iter().any(|first| files::beside(Path::new(first)) == Path::new(&name))
    };
    let is_folder = path.symlink_metadata().is_ok_and(|about| about.is_dir());
    is_folder && path.read_dir().is_ok_and(|mut entries| entries.all(is_left))
}

pub(super) const WHAT_TO_NAME: &str = "name the folder that mnist or compare wrote";

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

pub(super) fn unreadable(path: &Path, source: std::io::Error) -> TrainError {
    TrainError::File { action: "read the folder", path: path.into(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_exists_is_refused_and_left_alone() {
        let outer = tempfile::tempdir().unwrap();
        let path = outer.path().join("deep/run");
        let folder = RunFolder::create(Some(&path), "mnist-adam").unwrap();
        folder.write("config.toml", b"kept").unwrap();
        let error = RunFolder::create(Some(&path), "mnist-adam").unwrap_err().to_string();
        assert!(error.contains("exists already"), "{error}");
        assert_eq!(fs::read(folder.file("config.toml")).unwrap(), b"kept");
    }

    #[test]
    fn a_file_that_cannot_be_written_leaves_the_old_one_whole() {
        let outer = tempfile::tempdir().unwrap();
        let folder = RunFolder { path: outer.path().into(), lock: None };
        folder.write("model", b"old").unwrap();
        fs::create_dir(folder.file(".model.part")).unwrap(); // nothing can be written there
        assert!(folder.write("model", b"new").is_err());
        assert_eq!(fs::read(folder.file("model")).unwrap(), b"old");
    }

    #[test]
    fn a_folder_below_a_file_cannot_be_made() {
        let outer = tempfile::tempdir().unwrap();
        fs::write(outer.path().join("file"), b"").unwrap();
        let error = RunFolder::create(Some(&outer.path().join("file/run")), "x").unwrap_err();
        assert!(error.to_string().starts_with("could not make the folder"), "{error}");
    }
}
