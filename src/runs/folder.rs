//! A run's folder: made once, never written over; files appear in it whole or not at all.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;
use time::OffsetDateTime;

use crate::train::TrainError;

/// A folder that belongs to this run.
#[derive(Clone, Debug)]
pub struct RunFolder {
    path: PathBuf,
}

impl RunFolder {
    /// Makes the folder `out`, or, if none is given, `runs/<UTC time>-<what>`.
    ///
    /// # Errors
    /// When something of that name exists, or the folder cannot be made.
    pub fn create(out: Option<&Path>, what: &str) -> Result<Self, TrainError> {
        if let Some(path) = out {
            return Self::make(path);
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
            Ok(()) => Ok(Self { path: path.into() }),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Err(TrainError::Exists(path.into())),
            Err(error) => Err(failed(error)),
        }
    }

    /// The folder of an earlier run, to go on with it.
    ///
    /// # Errors
    /// When there is no such folder, or no run began in it.
    pub fn open(path: &Path) -> Result<Self, TrainError> {
        Self::with(path, "config.toml", "run")
    }

    /// The folder of a `what`, which holds this file.
    ///
    /// # Errors
    /// When there is no such folder, or it does not hold the file.
    pub(crate) fn with(path: &Path, file: &str, what: &str) -> Result<Self, TrainError> {
        let folder = Self { path: path.into() };
        let problem = match path.is_dir() {
            true if folder.file(file).exists() => return Ok(folder),
            true => {
                format!("is no {what} folder, as it holds no {file}; name the folder that a {what} wrote")
            }
            false => format!("there is no such {what} folder; name the folder that a {what} wrote"),
        };
        Err(TrainError::Content { path: path.into(), problem })
    }

    /// A folder of its own inside this one, or the one of that name which is there.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn inner_or_new(&self, name: &str) -> Result<Self, TrainError> {
        match Self::make(&self.path.join(name)) {
            Err(TrainError::Exists(path)) if path.is_dir() => Ok(Self { path }),
            made => made,
        }
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
        let path = self.file(name);
        let beside = self.file(&format!(".{name}.part"));
        let written = File::create(&beside)
            .and_then(|mut file| file.write_all(content).and_then(|()| file.sync_all()))
            .and_then(|()| fs::rename(&beside, &path));
        written.map_err(|source| {
            let _ = fs::remove_file(&beside); // it may be what fills the disk
            TrainError::File { action: "write", path, source }
        })
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
        match fs::remove_file(self.file(name)) {
            Err(source) if source.kind() != ErrorKind::NotFound => {
                Err(TrainError::File { action: "remove", path: self.file(name), source })
            }
            _ => Ok(()),
        }
    }
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
        let folder = RunFolder { path: outer.path().into() };
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
