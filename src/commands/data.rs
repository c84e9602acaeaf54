//! The data of a run: the folder that was named, or the MNIST that this binary carries.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use cotangent::data::{DataError, Dataset, GzipFiles};

macro_rules! embedded {
    ($file:literal) => {
        include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/data/mnist/", $file, ".gz"))
    };
}

static MNIST: GzipFiles<'static> = GzipFiles {
    train_images: embedded!("train-images-idx3-ubyte"),
    train_labels: embedded!("train-labels-idx1-ubyte"),
    test_images: embedded!("t10k-images-idx3-ubyte"),
    test_labels: embedded!("t10k-labels-idx1-ubyte"),
};

/// Loads the data; how pixels were scaled or rounded is said on standard error, unless only errors are wanted.
pub fn load(folder: Option<&Path>, quiet: bool) -> Result<Arc<Dataset>, DataError> {
    let (data, notes) = match folder {
        Some(folder) => Dataset::from_folder_with_notes(folder)?,
        None => (Dataset::from_gzip(MNIST)?, Vec::new()),
    };
    for note in notes.iter().filter(|_| !quiet) {
        let _ = writeln!(std::io::stderr(), "note: {note}"); // with stderr gone, nobody reads it
    }
    Ok(Arc::new(data))
}
