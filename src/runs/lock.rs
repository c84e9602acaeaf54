//! That one process alone writes into a folder.
//!
//! The lock is the system's, on an open file: a process that has ended, however that came, holds none, and a file that is left
//! means nothing. Linux passes such locks on to the servers of NFS, so they hold between machines. Where a file system
//! has none, nothing keeps others away, and that is said.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::process;
use std::thread::sleep;
use std::time::Duration;

use time::OffsetDateTime;

use crate::files::{check_is_file, opening};

/// The file's name in a folder.
pub(super) const LOCK: &str = ".lock";

/// More than a holder says of itself.
const SAID: u64 = 1000;

/// So often, with such pauses, it is looked whether it has said so: it does at once.
const LOOKS: usize = 50;
const PAUSE: Duration = Duration::from_millis(4);

/// A folder that is this process's to write into, until this is dropped.
#[derive(Debug)]
pub(super) struct Lock {
    path: PathBuf,
    _file: File,
}

/// What came of asking for a lock.
pub(super) enum Asked {
    /// It is ours.
    Held(Lock),
    /// It is another's, who says this of itself.
    Taken(String),
    /// The file system has no locks.
    Unknown,
}

impl Lock {
    /// Asks for that of a folder.
    ///
    /// # Errors
    /// When the file cannot be made or opened.
    pub fn of(folder: &Path) -> io::Result<Asked> {
        let path = folder.join(LOCK);
        loop {
            if let Ok(about) = path.symlink_metadata() {
                check_is_file(&about)?; // no link either: it could lead to a file elsewhere, which would be written
            }
            let mut options = OpenOptions::new();
            options.read(true).write(true).create(true).truncate(false);
            let mut file = opening(&mut options).open(&path)?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Ok(Asked::Taken(holder(&mut file))),
                Err(TryLockError::Error(error)) if has_no_locks(&error) => return Ok(Asked::Unknown),
                Err(TryLockError::Error(error)) => return Err(error),
            }
            // Who held it before may have removed the file after we opened it: then others lock another of this name.
            if is_same(&file, &path) {
                file.set_len(0)?;
                file.write_all(said_of_us().as_bytes())?;
                return Ok(Asked::Held(Self { path, _file: file }));
            }
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path); // while it is still ours; one that is left means nothing
    }
}

fn has_no_locks(error: &io::Error) -> bool {
    const ENOLCK: i32 = 37; // Linux: as a client of NFS whose server has no locks
    error.kind() == ErrorKind::Unsupported
        || cfg!(target_os = "linux") && error.raw_os_error() == Some(ENOLCK)
}

fn is_same(file: &File, path: &Path) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        let place = |about: fs::Metadata| (about.dev(), about.ino());
        let (ours, named) = (file.metadata().map(place), path.symlink_metadata().map(place));
        matches!((ours, named), (Ok(ours), Ok(named)) if ours == named)
    }
    #[cfg(not(unix))]
    {
        let _ = (file, path);
        true // a file that is open cannot be removed there
    }
}

/// `process 4711 on ada since 2026-11-27 15:38:10 UTC`.
fn said_of_us() -> String {
    let now = OffsetDateTime::now_utc();
    let (hour, minute, second) = now.to_hms();
    let (date, id) = (now.date(), process::id());
    format!("process {id}{} since {date} {hour:02}:{minute:02}:{second:02} UTC\n", on_host())
}

fn on_host() -> String {
    #[cfg(unix)]
    {
        format!(" on {}", rustix::system::uname().nodename().to_string_lossy())
    }
    #[cfg(not(unix))]
    {
        String::new()
    }
}

/// What the holder says of itself, once it has got that far.
fn holder(file: &mut File) -> String {
    for _ in 0..LOOKS {
        let mut said = String::new();
        let read = file.rewind().and_then(|()| file.take(SAID).read_to_string(&mut said));
        if read.is_ok() && said.starts_with("process ") && said.ends_with('\n') {
            return said.trim().into();
        }
        sleep(PAUSE);
    }
    "another process".into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_has_one_writer_and_who_that_is_is_said() {
        let folder = tempfile::tempdir().unwrap();
        let Asked::Held(lock) = Lock::of(folder.path()).unwrap() else { panic!("it is free") };
        let Asked::Taken(holder) = Lock::of(folder.path()).unwrap() else { panic!("it is held") };
        assert!(holder.starts_with(&format!("process {} on ", process::id())), "{holder}");
        drop(lock);
        assert_eq!(folder.path().read_dir().unwrap().count(), 0);
        fs::write(folder.path().join(LOCK), "process 1 since long ago").unwrap();
        assert!(matches!(Lock::of(folder.path()).unwrap(), Asked::Held(_)), "a file alone holds nothing");
    }

    #[cfg(unix)]
    #[test]
    fn a_lock_that_is_a_link_is_refused_and_what_it_leads_to_stays() {
        let folder = tempfile::tempdir().unwrap();
        let outside = folder.path().join("outside");
        fs::write(&outside, "old").unwrap();
        std::os::unix::fs::symlink(&outside, folder.path().join(LOCK)).unwrap();
        assert!(Lock::of(folder.path()).is_err());
        assert_eq!(fs::read(&outside).unwrap(), b"old");
    }
}
