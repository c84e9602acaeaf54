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
    /// The file, if there is to be one: it can be written, and there is none of its name, or it may be replaced.
    pub fn wanted(option: &'static str, path: Option<PathBuf>, force: bool) -> Result<Option<Self>, Failure> {
        path.map(|path| Self { option, path }.checked(force)).transpose()
    }

    fn checked(mut self, force: bool) -> Result<Self, Failure> {
        let Self { option, path } = &self;
        let named = quoted(path);
        match path.symlink_metadata() {
            Err(_) => {}
            Ok(_) if !force => {
                return Err(Failure::usage(format!(
                    "{option}: {named} exists already and is left as it is: name another, or replace it with --force"
                )));
            }
            Ok(about) if about.is_symlink() => {
                // What the link names is replaced, not the link.
                self.path = path.canonicalize().map_err(|error| self.failed(&error))?;
            }
            Ok(about) if !about.is_file() => {
                return Err(Failure::usage(format!(
                    "{option}: {named} is no file and is left as it is: name another"
                )));
            }
            Ok(_) => {}
        }
        // Whether the folder takes files is known only by making one.
        self.beside().map_err(|error| self.failed(&error))?;
        Ok(self)
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
