//! What can be wrong with the data, each with the file, the values found and what to do next.

use std::io::{self, ErrorKind};
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
    #[error("{} is not a folder; {hint}", .folder.display())]
    NotAFolder { folder: PathBuf, hint: String },

    /// Of no data set all four files are there.
    #[error("the data folder {} lacks {what}; {hint}", .folder.display())]
    FilesMissing { folder: PathBuf, what: String, hint: String },

    /// Which files are meant cannot be known.
    #[error(
        "the data folder {} holds {what}: {names}; put the four files that belong together into a folder of their own",
        .folder.display()
    )]
    Ambiguous { folder: PathBuf, what: String, names: String },

    /// The operating system refuses to open or read it.
    #[error("cannot read {file}; {}", remedy(.source))]
    Unreadable {
        file: String,
        #[source]
        source: io::Error,
    },

    /// The operating system gives no second thread.
    #[error(
        "cannot start a thread to read the data; raise the limit on processes (ulimit -u) or on memory (ulimit -v)"
    )]
    NoThread {
        #[source]
        source: io::Error,
    },

    /// The gzip stream ends before its end mark.
    #[error(
        "{file} is a gzip file cut short: it ends after {unpacked} unpacked bytes, before the checksum and length that \
         close it; copy or download it again"
    )]
    TruncatedGzip { file: String, unpacked: u64 },

    /// Something else than gzip follows the end of the gzip stream.
    #[error(
        "{file}: after the end of the gzip stream come {} not gzip; remove what follows it (gzip -dc unpacks what is \
         before and warns), or download the file again",
        if *.bytes == 1 { "1 byte that is".into() } else { format!("{} bytes that are", .bytes) }
    )]
    BehindGzip { file: String, bytes: u64 },

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

    /// The memory does not suffice for what the header promises.
    #[error("there is not enough memory for {file} ({dimensions}); give fewer or smaller images")]
    Memory { file: String, dimensions: String },

    /// A pixel of a number type that has no meaning as a byte.
    #[error(
        "{file}: image {index} (counted from 0) has a pixel of {value} ({element}), but pixels are whole numbers from 0 to \
         255, or, in float and double, from 0 to 1; bring them there"
    )]
    NoPixel { file: String, index: usize, value: f64, element: &'static str },

    /// Pixels that are all but 0.
    #[error(
        "{file}: every pixel rounds to 0, though some are more ({element}): IDX numbers stand with their first byte \
         first (big-endian); write them so, from 0 to 1 or from 0 to 255"
    )]
    AllBlack { file: String, element: &'static str },

    /// Images in one file go to 1 and in another to 255.
    #[error(
        "the pixels of {train_file} go from {train}, those of {test_file} from {test}; bring both to the same range"
    )]
    ScalesDisagree { train_file: String, train: &'static str, test_file: String, test: &'static str },

    /// A label that is no class number.
    #[error(
        "{file}: label {index} (counted from 0) is {value}, but classes are whole numbers from 0 to 255; number them so"
    )]
    NoClass { file: String, index: usize, value: f64 },

    /// A label file of two dimensions that is not QMNIST's.
    #[error(
        "{file} has {columns} columns of {element}; labels are one class number an image, or eight columns of int, the \
         class first, as in QMNIST: write the class numbers alone"
    )]
    LabelColumns { file: String, columns: u32, element: &'static str },

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

/// What to do about a file that cannot be opened or read.
fn remedy(source: &io::Error) -> &'static str {
    match source.kind() {
        ErrorKind::PermissionDenied => "give yourself permission to read it",
        ErrorKind::InvalidInput => "put a file in its place",
        _ => "check the disk that it is on",
    }
}
