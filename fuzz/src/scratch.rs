//! A folder for files that the library reads by their path.
//!
//! One a thread: to make a folder for each input takes longer than most targets do. It lies where the system puts temporary
//! files; `scripts/fuzz` says that this is memory.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A folder, and what lies in it.
pub struct Scratch {
    folder: tempfile::TempDir,
    files: BTreeMap<&'static str, Vec<u8>>,
}

impl Default for Scratch {
    fn default() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        Self { folder, files: BTreeMap::new() }
    }
}

impl Scratch {
    /// The folder.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The path of a file with this content, which is written only if it is another than before.
    pub fn file(&mut self, name: &'static str, content: &[u8]) -> PathBuf {
        let path = self.folder.path().join(name);
        if self.files.get(name).is_none_or(|before| before != content) {
            std::fs::write(&path, content).expect("a small file can be written");
            self.files.insert(name, content.to_vec());
        }
        path
    }

    /// The same folder without this file.
    pub fn without(&mut self, name: &'static str) {
        if self.files.remove(name).is_some() {
            std::fs::remove_file(self.folder.path().join(name)).expect("the file is there");
        }
    }
}
