//! What the files of a data folder are called.

/// The four files of a data folder: training images and labels, test images and labels, by MNIST's names. Each may
/// also carry the ending `.gz`; other usual names are found, too.
pub const FILE_NAMES: [&str; 4] = [
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
];
