//! What is wrong with an option.

use std::path::{self, PathBuf};

/// An option whose value makes no sense.
#[derive(Debug, thiserror::Error)]
#[error("{option} {}: {}", refused.value, refused.rule)]
pub struct OptionError {
    option: String,
    refused: Refused,
}

/// A value that makes no sense, and why, whatever option it is of.
#[derive(Debug)]
pub(super) struct Refused {
    value: String,
    rule: String,
    /// Whether the option makes sense and what it names cannot be used.
    of_file: bool,
}

impl OptionError {
    pub(in crate::train) fn new(option: &str, value: impl ToString, rule: impl Into<String>) -> Self {
        Self { option: option.into(), refused: Refused::new(value, rule) }
    }

    /// Of the option of this name, without its hyphens.
    pub(super) fn of(name: &str, refused: Refused) -> Self {
        Self { option: format!("--{name}"), refused }
    }

    /// Whether it is a file that is at fault, not what was asked.
    pub fn is_of_file(&self) -> bool {
        self.refused.of_file
    }
}

impl Refused {
    pub fn new(value: impl ToString, rule: impl Into<String>) -> Self {
        Self { value: value.to_string(), rule: rule.into(), of_file: false }
    }

    /// A file that cannot be used.
    pub fn file(path: &path::Path, rule: impl Into<String>) -> Self {
        Self { of_file: true, ..Self::new(path.display(), rule) }
    }
}

/// A whole path, so that a run goes on from wherever it is called; `instead` says what to do about none.
pub(super) fn whole_path(path: PathBuf, instead: &str) -> Result<PathBuf, Refused> {
    let refused = |rule: String| Refused::new(path.display(), rule);
    if path.as_os_str().is_empty() {
        return Err(refused(format!("is empty: {instead}")));
    }
    let whole = path::absolute(&path).map_err(|error| refused(format!("has no whole path: {error}")))?;
    match whole.to_str() {
        Some(_) => Ok(whole),
        None => Err(refused(
            "is no UTF-8, so config.toml cannot hold it: rename it, or name it by a symbolic link".into(),
        )),
    }
}
