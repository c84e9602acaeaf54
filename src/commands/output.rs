//! Files that a command writes: nothing is replaced unasked, nothing is left half written, and what cannot be written
//! is found before the work.

use std::io::Write;
use std::path::{Path, PathBuf};

use super::Failure;
use super::console::quoted;

/// A file that an option asked for.
pub struct Output {
    option: &'static str,
    path: PathBuf,
}

impl Output {
    /// The file, which can be written, and of whose name there is none, or which may be replaced.
    pub fn wanted(option: &'static str, path: PathBuf, force: bool) -> Result<Self, Failure> {
        let named = quoted(&path);
        let refused = |problem: &str| Failure::usage(format!("{option}: {named} {problem}"));
        if path.as_os_str().to_string_lossy().ends_with(std::path::MAIN_SEPARATOR) {
            return Err(refused("is the name of a folder: name a file"));
        }
        let mut output = Self { option, path };
        if let Ok(about) = output.path.symlink_metadata() {
            if !force {
                return Err(refused(
                    "exists already and is left as it is: name another, or replace it with --force",
                ));
            }
            if about.is_symlink() {
                // What the link names is replaced, not the link.
                output.path = output
                    .path
                    .canonicalize()
                    .map_err(|_| refused("is a link that leads nowhere: name another"))?;
            }
            if !output.path.is_file() {
                return Err(refused("is no file and is left as it is: name another"));
            }
        }
        // Whether the folder takes files is known only by making one.
        output.beside().map_err(|error| output.failed(&error))?;
        Ok(output)
    }

    /// That it is another file than `other`, if that is to be.
    pub fn apart_from(self, other: Option<&Self>) -> Result<Self, Failure> {
        let place = |path: &Path| path.canonicalize().or_else(|_| std::path::absolute(path)).ok();
        match other.filter(|other| place(&other.path) == place(&self.path)) {
            Some(other) => Err(Failure::usage(format!(
                "{} and {} would both write {}: name two files",
                other.option,
                self.option,
                quoted(&self.path)
            ))),
            None => Ok(self),
        }
    }

    /// Where it is written.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes it: first beside, so that a file of that name is whole at any time.
    pub fn write(&self, bytes: &[u8]) -> Result<(), Failure> {
        let written = self.beside().and_then(|mut beside| {
            beside.write_all(bytes)?;
            beside.persist(&self.path).map_err(|error| error.error)?;
            Ok(())
        });
        written.map_err(|error| self.failed(&error))
    }

    /// A file in the same folder, which is made if there is none.
    fn beside(&self) -> std::io::Result<tempfile::NamedTempFile> {
        let folder =
            self.path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        std::fs::create_dir_all(folder)?;
        let mut builder = tempfile::Builder::new();
        #[cfg(unix)]
        {
            // Those of any new file, less the umask, and not those of a secret one.
            use std::os::unix::fs::PermissionsExt;
            builder.permissions(std::fs::Permissions::from_mode(0o666));
        }
        builder.tempfile_in(folder)
    }

    fn failed(&self, error: &std::io::Error) -> Failure {
        Failure::work(format!(
            "{}: cannot write {} ({error}): check the folder, the free space and the permission",
            self.option,
            self.path.display()
        ))
    }
}
