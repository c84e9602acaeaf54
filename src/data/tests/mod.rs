//! Reading and checking the four files, from folders and from memory, whole and broken.

mod gzip;
mod names;
mod packed;
mod types;

use std::fs;
use std::io::{self, Read, Write};
use std::path::Path;

use flate2::{Compression, write::GzEncoder};
use tempfile::TempDir;

use super::*;

/// An image file with `count` images of `rows` x `columns` in its header, whatever `bytes` holds.
fn images(count: u32, rows: u32, columns: u32, bytes: &[u8]) -> Vec<u8> {
    let header = [0x803, count, rows, columns].map(u32::to_be_bytes);
    [header.as_flattened(), bytes].concat()
}

/// A label file that holds as many labels as its header says.
fn labels(bytes: &[u8]) -> Vec<u8> {
    let header = [0x801, bytes.len() as u32].map(u32::to_be_bytes);
    [header.as_flattened(), bytes].concat()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// The contents of four files that belong together: 3 training and 2 test images of 2 x 3 pixels.
fn four_files() -> [Vec<u8>; 4] {
    [
        images(3, 2, 3, &(1..=18).collect::<Vec<_>>()),
        labels(&[0, 2, 1]),
        images(2, 2, 3, &(101..=112).collect::<Vec<_>>()),
        labels(&[2, 0]),
    ]
}

fn from_memory(files: &[Vec<u8>; 4]) -> Result<Dataset, DataError> {
    let [train_images, train_labels, test_images, test_labels] = files;
    Dataset::from_memory(FilesInMemory { train_images, train_labels, test_images, test_labels })
}

/// Reads four good files of which number `which` is replaced by `content`.
fn with_file(which: usize, content: Vec<u8>) -> Result<Dataset, DataError> {
    let mut files = four_files();
    files[which] = content;
    from_memory(&files)
}

/// Asserts that an error message holds all of `parts`.
#[track_caller]
fn assert_says(error: &DataError, parts: &[&str]) {
    let message = error.to_string();
    for part in parts {
        assert!(message.contains(part), "{message:?} lacks {part:?}");
    }
}

/// A new folder, removed with the value, and what writes a file there.
fn folder() -> (TempDir, impl Fn(&str, &[u8])) {
    let folder = TempDir::new().unwrap();
    let path = folder.path().to_owned();
    (folder, move |name, content| fs::write(path.join(name), content).unwrap())
}

#[test]
fn raw_files_are_read_whole() {
    let data = from_memory(&four_files()).unwrap();
    assert_eq!((data.train.len(), data.train.rows, data.train.columns), (3, 2, 3));
    assert_eq!(data.train.images, (1..=18).collect::<Vec<_>>());
    assert_eq!(data.train.labels, [0, 2, 1]);
    assert_eq!(data.train.image(1), [7, 8, 9, 10, 11, 12]);
    assert_eq!(data.test.images, (101..=112).collect::<Vec<_>>());
    assert_eq!(data.test.labels, [2, 0]);
    assert_eq!(data.classes, 3);
}

#[test]
fn gzip_files_give_the_same_as_raw_ones() {
    let packed = four_files().map(|file| gzip(&file));
    assert_eq!(from_memory(&packed).unwrap(), from_memory(&four_files()).unwrap());
}

#[test]
fn files_larger_than_one_step_of_memory_are_read_whole() {
    let bytes: Vec<u8> = (0..1_000_003_u32).map(|i| (i.wrapping_mul(i) >> 7) as u8).collect();
    for file in [images(1, 1, 1_000_003, &bytes), gzip(&images(1, 1, 1_000_003, &bytes))] {
        let images = idx::read_images(IdxSource::in_memory("big", &file).unwrap()).unwrap();
        assert!(images.bytes == bytes);
    }
    // Compresses far better than what is reserved for, so the memory must grow.
    let zeros = gzip(&images(3, 1000, 1000, &vec![0; 3_000_000]));
    let images = idx::read_images(IdxSource::in_memory("zeros", &zeros).unwrap()).unwrap();
    assert!(images.bytes == vec![0; 3_000_000]);
}

#[test]
fn a_folder_may_mix_raw_and_gzip_files() {
    let (folder, write) = folder();
    let [train_images, train_labels, test_images, test_labels] = four_files();
    write(FILE_NAMES[0], &train_images);
    write(&format!("{}.gz", FILE_NAMES[1]), &gzip(&train_labels));
    // Content decides, whatever the name says.
    write(FILE_NAMES[2], &gzip(&test_images));
    write(&format!("{}.gz", FILE_NAMES[3]), &test_labels);
    assert_eq!(Dataset::from_folder(folder.path()).unwrap(), from_memory(&four_files()).unwrap());
}

#[test]
fn the_raw_file_is_preferred_to_the_compressed_one() {
    let (folder, write) = folder();
    for (name, content) in FILE_NAMES.iter().zip(four_files()) {
        write(name, &content);
        write(&format!("{name}.gz"), b"not looked at");
    }
    assert!(Dataset::from_folder(folder.path()).is_ok());
}

#[test]
fn missing_folder_is_named_with_the_files_it_should_hold() {
    let error = Dataset::from_folder(Path::new("/no/such/folder")).unwrap_err();
    assert!(matches!(error, DataError::FolderMissing { .. }));
    assert_says(
        &error,
        &["/no/such/folder does not exist", "train-images-idx3-ubyte", "t10k-labels-idx1-ubyte"],
    );
}

#[test]
fn unreadable_file_is_named_and_keeps_the_cause() {
    let (folder, write) = folder();
    for (name, content) in FILE_NAMES.iter().zip(four_files()).skip(1) {
        write(name, &content);
    }
    // A folder can be opened but not read, by anyone, on every Unix; elsewhere it cannot be opened.
    fs::create_dir(folder.path().join(FILE_NAMES[0])).unwrap();
    let error = Dataset::from_folder(folder.path()).unwrap_err();
    assert!(matches!(error, DataError::Unreadable { .. }), "{error:?}");
    assert_says(&error, &["cannot read", FILE_NAMES[0]]);
    assert!(std::error::Error::source(&error).is_some());
}

#[test]
fn wrong_magic_shows_both_numbers_and_what_the_file_looks_like() {
    let cases: [(usize, Vec<u8>, &[&str]); 9] = [
        (0, labels(&[1; 20]), &["of images", "0x00000801, expected 0x00000803", "label file", "swapped"]),
        (
            1,
            images(1, 1, 1, &[1]),
            &["of labels", "0x00000803, expected 0x00000801", "image file", "swapped"],
        ),
        (0, [&[0, 0, 8, 2], [1; 40].as_slice()].concat(), &["0x00000802", "without a shape"]),
        (0, [&[0, 0, 0x0d, 4], [1; 40].as_slice()].concat(), &["0x00000d04", "shades of gray"]),
        (0, [&[0, 0, 0x0a, 3], [1; 40].as_slice()].concat(), &["0x00000a03"]),
        (1, b"PK\x03\x04 an archive".to_vec(), &["train-labels", "zip archive"]),
        (0, gzip(&gzip(&four_files()[0])), &["0x1f8b08", "compressed twice"]),
        (2, b"<!DOCTYPE html>".to_vec(), &["t10k-images", "web page"]),
        (3, b"what is this".to_vec(), &["t10k-labels", "0x77686174"]),
    ];
    for (which, content, parts) in cases {
        let error = with_file(which, content).unwrap_err();
        assert!(matches!(error, DataError::WrongMagic { .. }), "{error:?}");
        assert_says(&error, parts);
    }
}

#[test]
fn truncated_header_counts_the_bytes() {
    for (which, length, counts) in
        [(0, 0, "0 bytes of 16"), (0, 15, "15 bytes of 16"), (1, 6, "6 bytes of 8")]
    {
        let error = with_file(which, four_files()[which][..length].to_vec()).unwrap_err();
        assert!(matches!(error, DataError::TruncatedHeader { .. }), "{error:?}");
        assert_says(&error, &[FILE_NAMES[which], counts]);
    }
}

#[test]
fn truncated_body_names_the_missing_bytes() {
    let whole = &four_files()[0];
    for cut in [whole[..29].to_vec(), gzip(&whole[..29])] {
        let error = with_file(0, cut).unwrap_err();
        assert!(matches!(error, DataError::TruncatedBody { .. }), "{error:?}");
        let parts = [
            FILE_NAMES[0],
            "promises 18 bytes",
            "3 images x 2 rows x 3 columns",
            "13 are there",
            "5 are missing",
        ];
        assert_says(&error, &parts);
    }
}

#[test]
fn trailing_bytes_are_refused() {
    let longer = [four_files()[3].as_slice(), &[0]].concat();
    for file in [longer.clone(), gzip(&longer)] {
        let error = with_file(3, file).unwrap_err();
        assert!(matches!(error, DataError::TrailingBytes { .. }), "{error:?}");
        assert_says(&error, &[FILE_NAMES[3], "follow the 2", "2 labels"]);
    }
}

#[test]
fn a_header_of_2_to_the_60_bytes_reserves_nothing_like_it() {
    for file in
        [images(1 << 30, 1 << 15, 1 << 15, &[7; 5]), gzip(&images(1 << 30, 1 << 15, 1 << 15, &[7; 5]))]
    {
        let error = with_file(0, file).unwrap_err();
        assert!(
            matches!(error, DataError::TruncatedBody { found: 5, expected, .. } if expected == 1 << 60),
            "{error:?}"
        );
    }
}

#[test]
fn a_header_beyond_64_bits_does_not_overflow() {
    let error = with_file(0, images(u32::MAX, u32::MAX, u32::MAX, &[])).unwrap_err();
    assert!(matches!(error, DataError::ImpossibleSize { .. }), "{error:?}");
    assert_says(&error, &[FILE_NAMES[0], "4294967295 images x 4294967295 rows"]);
}

/// A stream that never ends and says how much was read of it.
struct Endless<'a>(&'a mut u64);

impl Read for Endless<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        *self.0 += buffer.len() as u64;
        buffer.fill(0);
        Ok(buffer.len())
    }
}

#[test]
fn reading_stops_soon_after_the_promised_bytes() {
    let header = images(1, 2, 2, &[]);
    let mut read = 0;
    let stream = io::BufReader::with_capacity(16, header.as_slice().chain(Endless(&mut read)));
    let error = idx::read_images(IdxSource::over("endless".to_owned(), stream, 20).unwrap()).unwrap_err();
    assert!(matches!(error, DataError::TrailingBytes { expected: 4, .. }), "{error:?}");
    assert!(read <= 32, "{read} bytes were read for 5");
}

#[test]
fn a_dimension_of_zero_is_empty() {
    let cases = [
        (0, images(0, 2, 3, &[]), "0 images x 2 rows x 3 columns"),
        (0, images(3, 0, 3, &[]), "3 images x 0 rows x 3 columns"),
        (2, images(3, 2, 0, &[]), "3 images x 2 rows x 0 columns"),
        (1, labels(&[]), "0 labels"),
    ];
    for (which, file, dimensions) in cases {
        let error = with_file(which, file).unwrap_err();
        assert!(matches!(error, DataError::Empty { .. }), "{error:?}");
        assert_says(&error, &[FILE_NAMES[which], dimensions]);
    }
}

#[test]
fn image_and_label_counts_that_disagree_name_both_files() {
    let error = with_file(1, labels(&[0, 1])).unwrap_err();
    assert!(matches!(error, DataError::CountsDisagree { .. }), "{error:?}");
    assert_says(&error, &["train-images", "holds 3 images", "train-labels", "holds 2 labels"]);

    let error = with_file(3, labels(&[0, 1, 2])).unwrap_err();
    assert_says(&error, &["t10k-images", "holds 2 images", "t10k-labels", "holds 3 labels"]);
}

#[test]
fn train_and_test_images_of_different_sizes_are_refused() {
    let error = with_file(2, images(2, 3, 2, &[1; 12])).unwrap_err();
    assert!(matches!(error, DataError::ImageSizesDisagree { .. }), "{error:?}");
    assert_says(&error, &["train-images", "2x3 pixels", "t10k-images", "3x2"]);
}

#[test]
fn a_test_label_without_training_images_is_named_with_its_index() {
    let error = with_file(3, labels(&[2, 3])).unwrap_err();
    assert!(matches!(error, DataError::LabelOutOfRange { index: 1, label: 3, classes: 3, .. }), "{error:?}");
    assert_says(&error, &["t10k-labels", "label 1", "is 3", "3 classes (0 to 2)"]);
}

#[test]
fn label_255_makes_256_classes() {
    assert_eq!(with_file(1, labels(&[0, 255, 1])).unwrap().classes, 256);
}

#[test]
fn mnist_has_its_known_size_mean_and_deviation() {
    let data = Dataset::from_folder(&Path::new(env!("CARGO_MANIFEST_DIR")).join("data/mnist")).unwrap();
    assert_eq!((data.train.len(), data.test.len(), data.classes), (60_000, 10_000, 10));
    assert_eq!((data.train.rows, data.train.columns), (28, 28));
    assert_eq!(data.train.labels[..5], [5, 0, 4, 1, 9]);
    assert_eq!(data.test.labels[..5], [7, 2, 1, 0, 4]);
    let Normalisation { mean, std } = Normalisation::of(&data.train);
    assert_eq!(format!("{mean:.4} {std:.4}"), "0.1307 0.3081");
}
