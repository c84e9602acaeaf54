//! Scripts that this crate brings and a Python with PyTorch runs: how they are started, and what kept one from its end.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::{fs, io};

use crate::children::{Folder, Started};

/// The exit status of our scripts where Python has no PyTorch.
const NO_TORCH: i32 = 3;

/// Why PyTorch said nothing that can be used.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the messages say what the fields hold")]
pub enum TorchError {
    #[error("no temporary folder for PyTorch could be made: {0}")]
    Folder(io::Error),

    #[error("cannot write {} ({source}): check the free space", path.display())]
    File { path: PathBuf, source: io::Error },

    #[error(
        "cannot start {}: {source}; name a Python that has PyTorch: --check-torch PYTHON", python.display()
    )]
    Start { python: PathBuf, source: io::Error },

    #[error(
        "{} has no PyTorch ({said}): install it with {} -m pip install torch, or name a Python that has it: \
         --check-torch PYTHON",
        python.display(), python.display()
    )]
    Missing { python: PathBuf, said: String },

    #[error("PyTorch's script failed under {} ({status}): {said}", python.display())]
    Failed { python: PathBuf, status: ExitStatus, said: String },

    #[error("{}: {source}", python.display())]
    Lost { python: PathBuf, source: io::Error },

    #[error("PyTorch's script under {} wrote no results: {problem}", python.display())]
    Silent { python: PathBuf, problem: String },

    #[error("PyTorch's results: {0}")]
    Results(String),
}

/// A program as it was named, so that it is the same from everywhere: a path is meant from the current folder, a name alone
/// from the search path.
pub fn from_here(program: &Path) -> PathBuf {
    match program.components().count() {
        ..=1 => program.into(),
        _ => std::path::absolute(program).unwrap_or(program.into()),
    }
}

/// A Python, and an empty folder for it to run in, where no file is taken for a module of Python's.
pub(crate) struct Python<'p> {
    /// As it was named.
    named: &'p Path,
    folder: Folder,
}

impl<'p> Python<'p> {
    /// The Python of this name or path.
    pub fn new(named: &'p Path) -> Result<Self, TorchError> {
        Ok(Self { named, folder: Folder::temporary().map_err(TorchError::Folder)? })
    }

    /// A file in the folder.
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The command that runs a script there, without input or output. What it says of errors is kept for [`Self::ended`].
    pub fn command(&self, script: &str) -> Result<Command, TorchError> {
        let said = self.file("said");
        let stderr = fs::File::create(&said).map_err(|source| TorchError::File { path: said, source })?;
        let mut command = Command::new(from_here(self.named));
        command.arg("-c").arg(script).current_dir(self.folder.path());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(stderr);
        Ok(command)
    }

    /// Starts such a command.
    pub fn start(&self, command: &mut Command) -> Result<Started, TorchError> {
        Started::new(command).map_err(|source| TorchError::Start { python: self.named.into(), source })
    }

    /// That it was lost sight of.
    pub fn lost(&self, source: io::Error) -> TorchError {
        TorchError::Lost { python: self.named.into(), source }
    }

    /// That it ended well without saying what it was asked.
    pub fn silent(&self, problem: impl Into<String>) -> TorchError {
        TorchError::Silent { python: self.named.into(), problem: problem.into() }
    }

    /// Nothing, if the script came to its end.
    pub fn ended(&self, status: ExitStatus) -> Result<(), TorchError> {
        let python = self.named.into();
        match status.code() {
            Some(0) => Ok(()),
            Some(NO_TORCH) => Err(TorchError::Missing { python, said: self.last_line() }),
            _ => Err(TorchError::Failed { python, status, said: self.last_line() }),
        }
    }

    /// What it said last on its standard error.
    fn last_line(&self) -> String {
        let said = fs::read(self.file("said")).unwrap_or_default();
        let said = String::from_utf8_lossy(&said);
        said.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("nothing was said").into()
    }
}
