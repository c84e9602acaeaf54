//! The data of a run: the folder that was named, or the MNIST that this binary carries.

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

pub fn load(folder: Option<&Path>) -> Result<Arc<Dataset>, DataError> {
    let data = match folder {
        Some(folder) => Dataset::from_folder(folder),
        None => Dataset::from_gzip(MNIST),
    };
    data.map(Arc::new)
}
