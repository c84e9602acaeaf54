//! The data of a run: the folder that was named, or the MNIST that this binary carries.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use cotangent::data::{DataError, Dataset, FilesInMemory};
use cotangent::errors::printable;

/// Images as the build packed them, which are soon unpacked.
macro_rules! images {
    ($file:literal) => {
        include_bytes!(concat!(env!("OUT_DIR"), "/", $file, ".packed"))
    };
}

macro_rules! labels {
    ($file:literal) => {
        include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/data/mnist/", $file, ".gz"))
    };
}

static MNIST: FilesInMemory<'static> = FilesInMemory {
    train_images: images!("train-images-idx3-ubyte"),
    train_labels: labels!("train-labels-idx1-ubyte"),
    test_images: images!("t10k-images-idx3-ubyte"),
    test_labels: labels!("t10k-labels-idx1-ubyte"),
};

/// Loads the data; how pixels were scaled or rounded is said on standard error, unless only errors are wanted.
pub fn load(folder: Option<&Path>, quiet: bool) -> Result<Arc<Dataset>, DataError> {
    let (data, notes) = match folder {
        Some(folder) => Dataset::from_folder_with_notes(folder)?,
        None => (Dataset::from_memory(MNIST)?, Vec::new()),
    };
    for note in notes.iter().filter(|_| !quiet) {
        let _ = writeln!(std::io::stderr(), "note: {}", printable(note)); // with stderr gone, nobody reads it
    }
    Ok(Arc::new(data))
}
