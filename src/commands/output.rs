//! Files that a command writes: nothing is replaced unasked, and none is left half written.

use std::io::Write;
use std::path::{Path, PathBuf};

use super::Failure;
use super::console::quoted;

/// Nothing that exists is replaced unasked.
pub fn refuse_existing<'p>(mut paths: impl Iterator<Item = &'p PathBuf>) -> Result<(), Failure> {
    match paths.find(|path| path.exists()) {
        Some(path) => Err(Failure::usage(format!(
            "{} exists already and is left as it is: name another, or replace it with --force",
            quoted(path)
        ))),
        None => Ok(()),
    }
}

/// Writes a file that an option asked for, its folder too if there is none: first beside it, so that a file of that
/// name is whole at any time.
pub fn write(option: &str, path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let written = std::fs::create_dir_all(folder).and_then(|()| {
        let mut beside = tempfile::Builder::new().permissions(permissions()).tempfile_in(folder)?;
        beside.write_all(bytes)?;
        beside.persist(path).map_err(|error| error.error)?;
        Ok(())
    });
    written.map_err(|error| {
        Failure::work(format!(
            "{option}: cannot write {}: {error}; check the folder, the free space and the permission",
            path.display()
        ))
    })
}

/// Those of any new file, and not of a secret one.
#[cfg(unix)]
fn permissions() -> std::fs::Permissions {
    use std::os::unix::fs::PermissionsExt;
    std::fs::Permissions::from_mode(0o666) // less the umask
}
