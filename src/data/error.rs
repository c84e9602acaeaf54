//! What can be wrong with the data, each with the file, the values found and what to do next.

use std::io;
use std::path::PathBuf;

/// Why the data cannot be used. `file` is the path of a file or the name of an embedded one.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the messages say what the fields hold")]
pub enum DataError {
    /// The folder given does not exist.
    #[error(
        "the data folder {} does not exist; name a folder that holds {}",
        .folder.display(), super::FILE_NAMES.join(", ")
    )]
    FolderMissing { folder: PathBuf },

    /// The path given leads to something else than a folder.
    #[error(
        "{} is not a folder; name the folder that holds {}",
        .folder.display(), super::FILE_NAMES.join(", ")
    )]
    NotAFolder { folder: PathBuf },

    /// Neither the raw nor the compressed file exists.
    #[error("the data folder {} holds neither {name} nor {name}.gz; put one of them there", .folder.display())]
    FileMissing { folder: PathBuf, name: &'static str },

    /// The operating system refuses to open or read it.
    #[error("cannot read {file}; check its permissions and the disk")]
    Unreadable {
        file: String,
        #[source]
        source: io::Error,
    },

    /// The operating system gives no second thread.
    #[error("cannot start a thread to read the data; raise the limit on processes (ulimit -u)")]
    NoThread {
        #[source]
        source: io::Error,
    },

    /// The gzip stream ends before its end mark.
    #[error(
        "{file} is a gzip file cut short: it ends after {unpacked} unpacked bytes, before its checksum; \
         copy or download it again"
    )]
    TruncatedGzip { file: String, unpacked: u64 },

    /// The gzip stream is damaged: bad header, bad codes or a wrong checksum.
    #[error(
        "{file} is a damaged gzip file (noticed after {unpacked} unpacked bytes); copy or download it again"
    )]
    CorruptGzip {
        file: String,
        unpacked: u64,
        #[source]
        source: io::Error,
    },

    /// The file ends inside its header.
    #[error("{file} ends inside its IDX header: {found} bytes of {expected}; copy or download it again")]
    TruncatedHeader { file: String, found: u64, expected: u64 },

    /// The first four bytes are not those of an IDX file of this kind.
    #[error(
        "{file} is not an IDX file of {kind}: it begins with {found:#010x}, expected {expected:#010x}; {hint}"
    )]
    WrongMagic { file: String, kind: &'static str, found: u32, expected: u32, hint: &'static str },

    /// The header promises no data at all.
    #[error(
        "{file} is empty: its header says {dimensions}; give a file with at least one element in each dimension"
    )]
    Empty { file: String, dimensions: String },

    /// The header promises more bytes than this machine can address.
    #[error(
        "{file} cannot be that large: its header says {dimensions}; the file is damaged, copy or download it again"
    )]
    ImpossibleSize { file: String, dimensions: String },

    /// The file ends before the bytes its header promises.
    #[error(
        "{file} is cut short: its header promises {expected} bytes after it ({dimensions}), {found} are there, \
         {} are missing; copy or download it again",
        .expected - .found
    )]
    TruncatedBody { file: String, dimensions: String, found: u64, expected: u64 },

    /// The file goes on after the bytes its header promises.
    #[error(
        "{file} is too long: bytes follow the {expected} that its header promises ({dimensions}); \
         header or file is damaged, copy or download it again"
    )]
    TrailingBytes { file: String, dimensions: String, expected: u64 },

    /// An image without a label or a label without an image.
    #[error(
        "{images_file} holds {images} images but {labels_file} holds {labels} labels; give two files that belong together"
    )]
    CountsDisagree { images_file: String, images: usize, labels_file: String, labels: usize },

    /// Training and test images have different sizes.
    #[error(
        "the images of {train_file} are {}x{} pixels, those of {test_file} {}x{} (rows x columns); \
         give training and test images of one size",
        .train.0, .train.1, .test.0, .test.1
    )]
    ImageSizesDisagree { train_file: String, train: (usize, usize), test_file: String, test: (usize, usize) },

    /// A test label of a class that no training label has, so that no network could output it.
    #[error(
        "{file}: label {index} (counted from 0) is {label}, but the largest training label makes {classes} classes \
         (0 to {}); give labels of the same classes",
        .classes - 1
    )]
    LabelOutOfRange { file: String, index: usize, label: u8, classes: usize },

    /// Nothing would be left to train on.
    #[error(
        "cannot hold out {count} of {available} training images for validation: none would be left to train on; \
         hold out fewer than {available}"
    )]
    HoldOutTooLarge { count: usize, available: usize },
}
