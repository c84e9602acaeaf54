//! Programs that this one starts, and folders that are for them: neither outlives it, also where a signal ends it at once.
//!
//! All that are there are known in one place, so that whoever ends the program ends them ([`end_all`]). A program is in a group of
//! processes of its own, which it shares with what it starts itself, so that all of these can be ended with it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tempfile::TempDir;

/// What is there.
static THERE: Mutex<There> = Mutex::new(There { groups: Vec::new(), folders: Vec::new() });

struct There {
    /// Processes of which each leads a group.
    groups: Vec<u32>,
    folders: Vec<PathBuf>,
}

fn there() -> MutexGuard<'static, There> {
    THERE.lock().unwrap_or_else(PoisonError::into_inner) // a list is whole at any time
}

/// Ends all programs that were started, and removes all folders that were made for them.
pub fn end_all() {
    let there = there();
    there.groups.iter().for_each(|&group| end_group(group));
    for folder in &there.folders {
        // What is being ended may still write into it.
        let removed = || fs::remove_dir_all(folder).is_ok() || !folder.exists();
        let _ =
            (0..50).any(|_| removed() || (std::thread::sleep(std::time::Duration::from_millis(10)), false).1);
    }
}

fn end_group(leader: u32) {
    #[cfg(unix)]
    {
        use rustix::process::{Pid, Signal, kill_process_group};
        // If it fails, it has ended.
        let _ = i32::try_from(leader)
            .ok()
            .and_then(Pid::from_raw)
            .map(|group| kill_process_group(group, Signal::KILL));
    }
    #[cfg(not(unix))]
    let _ = leader;
}

/// A program that was started: it is ended when this is dropped.
#[derive(Debug)]
pub struct Started {
    child: Child,
}

impl Started {
    /// Starts a program.
    ///
    /// # Errors
    /// When the system cannot.
    pub fn new(command: &mut Command) -> io::Result<Self> {
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(command, 0);
        let mut there = there(); // so that it is known as soon as it is there
        let child = command.spawn()?;
        there.groups.push(child.id());
        Ok(Self { child })
    }

    /// What it reads and what it writes, where these are pipes.
    pub fn pipes(&mut self) -> (Option<ChildStdin>, Option<ChildStdout>) {
        (self.child.stdin.take(), self.child.stdout.take())
    }

    /// How it ended, if it has.
    ///
    /// # Errors
    /// When the system does not know.
    pub fn try_wait(&mut self) -> io::Result<Option<ExitStatus>> {
        self.child.try_wait()
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// When the system does not know.
    pub fn wait(&mut self) -> io::Result<ExitStatus> {
        self.child.wait()
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        let id = self.child.id();
        // A group is ended before its leader is waited for: until then its number is nobody else's.
        if matches!(self.child.try_wait(), Ok(None)) {
            end_group(id);
            let _ = self.child.kill(); // where there are no groups
        }
        let _ = self.child.wait(); // without the list, which whoever ends the program needs
        there().groups.retain(|&other| other != id);
    }
}

/// A folder for a program: it is removed when this is dropped.
#[derive(Debug)]
pub struct Folder {
    folder: TempDir,
}

impl Folder {
    /// A folder among the system's temporary ones.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn temporary() -> io::Result<Self> {
        tempfile::tempdir().map(Self::known)
    }

    /// A folder in this one whose name begins so.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn within(outer: &Path, name: &str) -> io::Result<Self> {
        tempfile::Builder::new().prefix(name).tempdir_in(outer).map(Self::known)
    }

    fn known(folder: TempDir) -> Self {
        // From anywhere: a program may change the folder that it works in.
        there().folders.push(std::path::absolute(folder.path()).unwrap_or_else(|_| folder.path().into()));
        Self { folder }
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let path = std::path::absolute(self.path()).unwrap_or_else(|_| self.path().into());
        there().folders.retain(|other| *other != path);
    }
}
