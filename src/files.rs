//! Files read whole and replaced whole, whatever stands in their place.
//!
//! A folder may come from somebody else, out of an archive say, and may hold anything under the names that are looked for:
//! a pipe that never ends, a device that does something when it is opened, a link to a file elsewhere, a file larger than
//! the memory. So a file is read only where it is one, and only up to a size; and one is written under a name of its own
//! that nothing stands at, then put in its place, which replaces a link and never what it leads to.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

/// What a text may hold at most: options, a summary.
pub const TEXT: u64 = 1 << 20;

/// What a table of numbers may hold at most: over a million epochs.
pub const TABLE: u64 = 256 << 20;

/// What tensors may hold at most: what this machine has of memory.
pub fn tensors() -> u64 {
    #[cfg(target_os = "linux")]
    {
        let about = rustix::system::sysinfo();
        (about.totalram as u64).saturating_mul(u64::from(about.mem_unit.max(1)))
    }
    #[cfg(not(target_os = "linux"))]
    {
        1 << 40 // more than a network takes that such a machine trains
    }
}

/// A file, open to be read, and its size.
///
/// # Errors
/// When there is none, it is a folder, a pipe or a device, or it cannot be opened.
pub fn open(path: &Path) -> io::Result<(File, u64)> {
    check_is_file(&path.metadata()?)?; // first, as opening a device or a pipe may do something by itself
    let file = opening(OpenOptions::new().read(true)).open(path)?;
    let about = file.metadata()?;
    check_is_file(&about)?;
    Ok((file, about.len()))
}

/// The content of a file, which is one and has at most so many bytes.
///
/// # Errors
/// As [`open`], and when it has more bytes, they do not fit the memory, or it cannot be read.
pub fn read(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let (file, size) = open(path)?;
    check_size(size, most)?;
    read_from(file, size, most)
}

/// The content of whatever somebody names, which may be a pipe: up to so many bytes.
///
/// # Errors
/// As [`read`], but that it need not be a file.
pub fn read_named(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    read_from(File::open(path)?, 0, most)
}

/// The size is asked for before anything is read, so that a lack of memory is an error.
fn read_from(file: File, size: u64, most: u64) -> io::Result<Vec<u8>> {
    let too_large =
        |_| io::Error::new(ErrorKind::OutOfMemory, format!("has {size} bytes, which do not fit the memory"));
    let mut bytes = Vec::new();
    let room = usize::try_from(size).unwrap_or(usize::MAX).saturating_add(1); // for the end to be seen
    bytes.try_reserve_exact(room).map_err(too_large)?;
    file.take(most + 1).read_to_end(&mut bytes)?; // it may have grown since
    check_size(bytes.len() as u64, most)?;
    Ok(bytes)
}

fn check_size(bytes: u64, most: u64) -> io::Result<()> {
    match bytes <= most {
        true => Ok(()),
        false => Err(io::Error::new(
            ErrorKind::FileTooLarge,
            format!("has more than {most} bytes, which no such file has"),
        )),
    }
}

/// Whether there is a file, or a link to one; whatever else stands there is none of ours.
///
/// # Errors
/// When that cannot be found out, for lack of permission say.
pub fn exists(path: &Path) -> io::Result<bool> {
    match path.symlink_metadata() {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Puts a file in the place of that name: first whole under another, and on the disk, then under its own. Returns it, open
/// for more.
///
/// # Errors
/// When it cannot be written; a file that was there is then still whole.
pub fn replace(path: &Path, content: &[u8]) -> io::Result<File> {
    put(path, content, None)
}

/// As [`replace`], and gives the file that had the name this one: at any time one of both is there and whole.
///
/// # Errors
/// As [`replace`].
pub fn replace_keeping(path: &Path, content: &[u8], before: &Path) -> io::Result<File> {
    put(path, content, Some(before))
}

fn put(path: &Path, content: &[u8], before: Option<&Path>) -> io::Result<File> {
    let beside = beside(path);
    remove(&beside)?; // left by a process that was ended, or a link that somebody put there
    let written = OpenOptions::new().write(true).create_new(true).open(&beside).and_then(|mut file| {
        file.write_all(content)?;
        file.sync_all()?;
        if let Some(before) = before.filter(|_| path.symlink_metadata().is_ok()) {
            fs::rename(path, before)?;
        }
        fs::rename(&beside, path)?;
        Ok(file)
    });
    let file = written.inspect_err(|_| {
        let _ = fs::remove_file(&beside); // it may be what fills the disk
    })?;
    sync_folder_of(path)?;
    Ok(file)
}

/// Gives a file another name, in the place of what had that.
///
/// # Errors
/// When the system refuses.
pub fn rename(from: &Path, to: &Path) -> io::Result<()> {
    fs::rename(from, to)?;
    sync_folder_of(to)
}

/// Removes a file, if it is there.
///
/// # Errors
/// When it is there and cannot be removed.
pub fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// The name under which a file is written before it has its own.
pub fn beside(path: &Path) -> PathBuf {
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(".part");
    path.with_file_name(name)
}

/// Makes names that changed in the folder of this path outlast a loss of power.
///
/// # Errors
/// What the disk reports; not where a file system has no such thing.
pub fn sync_folder_of(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if !cfg!(unix) {
        return Ok(()); // a folder cannot be opened as a file
    }
    match File::open(folder).and_then(|folder| folder.sync_all()) {
        // Some file systems across a network know no syncing of folders, and a folder may be written and not read.
        Err(error) if matches!(error.kind(), ErrorKind::InvalidInput | ErrorKind::Unsupported) => Ok(()),
        Err(error) if error.kind() == ErrorKind::PermissionDenied => Ok(()),
        synced => synced,
    }
}

/// Without waiting for the other end of a pipe that took a file's place.
pub(crate) fn opening(options: &mut OpenOptions) -> &mut OpenOptions {
    #[cfg(unix)]
    {
        use rustix::fs::OFlags;
        use std::os::unix::fs::OpenOptionsExt;
        options.custom_flags((OFlags::NONBLOCK | OFlags::NOCTTY).bits() as i32);
    }
    options
}

pub(crate) fn check_is_file(about: &Metadata) -> io::Result<()> {
    match about.is_file() {
        true => Ok(()),
        false => Err(io::Error::new(ErrorKind::InvalidInput, format!("is no file but {}", kind(about)))),
    }
}

/// What stands in a file's place.
fn kind(about: &Metadata) -> &'static str {
    if about.is_dir() {
        return "a folder";
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt;
        let kind = about.file_type();
        if kind.is_fifo() {
            return "a pipe";
        }
        if kind.is_socket() {
            return "a socket";
        }
    }
    "a device"
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn what_is_no_file_is_named_at_once_and_what_is_too_large_is_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let pipe = std::process::Command::new("mkfifo").arg(path("pipe")).status();
        assert!(pipe.unwrap().success());
        let _socket = std::os::unix::net::UnixListener::bind(path("socket")).unwrap();
        fs::create_dir(path("folder")).unwrap();
        symlink("/dev/zero", path("device")).unwrap();
        for (name, what) in
            [("pipe", "a pipe"), ("socket", "a socket"), ("folder", "a folder"), ("device", "a device")]
        {
            let error = read(&path(name), TEXT).unwrap_err().to_string();
            assert_eq!(error, format!("is no file but {what}"));
        }
        File::create(path("sparse")).unwrap().set_len(TEXT + 1).unwrap();
        let error = read(&path("sparse"), TEXT).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::FileTooLarge);
        fs::write(path("whole"), "text").unwrap();
        assert_eq!(read(&path("whole"), 4).unwrap(), b"text");
        assert!(read(&path("whole"), 3).is_err() && read_named(&path("whole"), 3).is_err());
    }

    #[test]
    fn what_a_file_replaces_is_kept_under_another_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        for (content, before) in [("1", None), ("2", Some("1")), ("3", Some("2"))] {
            replace_keeping(&path("file"), content.as_bytes(), &path("before")).unwrap();
            assert_eq!(fs::read_to_string(path("file")).unwrap(), content);
            assert_eq!(fs::read_to_string(path("before")).ok().as_deref(), before);
        }
        fs::create_dir(path(".file.part")).unwrap(); // nothing can be written there
        assert!(replace_keeping(&path("file"), b"4", &path("before")).is_err());
        assert_eq!(fs::read_to_string(path("file")).unwrap(), "3");
    }

    #[test]
    fn a_link_is_replaced_and_what_it_leads_to_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::write(path("outside"), "old").unwrap();
        symlink(path("outside"), path("file")).unwrap();
        symlink(path("outside"), path(".file.part")).unwrap();
        let mut file = replace(&path("file"), b"new").unwrap();
        file.write_all(b", more").unwrap();
        assert_eq!(fs::read(path("outside")).unwrap(), b"old");
        assert_eq!(fs::read(path("file")).unwrap(), b"new, more");
        assert!(!exists(&path(".file.part")).unwrap());
    }
}
