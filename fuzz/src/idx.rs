//! The four IDX files of a data set: raw, as gzip, and packed as the program embeds them.
//!
//! The first byte says which of the four the rest stands for, and whether it is compressed first: mutations of a gzip stream
//! hardly ever get past its checksum. The other three are good files of three and two images of 2×2 pixels.

use std::io::Write;

use cotangent::data::{Dataset, FilesInMemory, Normalisation};
use cotangent::errors::with_causes;
use flate2::Compression;
use flate2::write::GzEncoder;

/// The bit of the first byte that asks for compression; the two below it choose the file.
const COMPRESSED: u8 = 4;

/// Reads a data set of which one file is `data`.
pub fn run(data: &[u8]) {
    let Some((&mode, file)) = data.split_first() else { return };
    let compressed;
    let file = match mode & COMPRESSED {
        0 => file,
        _ => {
            compressed = gzip(file);
            &compressed[..]
        }
    };
    let [train_images, test_images] = [3, 2].map(images);
    let [train_labels, test_labels] = [3, 2].map(labels);
    let mut files = FilesInMemory {
        train_images: &train_images,
        train_labels: &train_labels,
        test_images: &test_images,
        test_labels: &test_labels,
    };
    match mode & 3 {
        0 => files.train_images = file,
        1 => files.train_labels = file,
        2 => files.test_images = file,
        _ => files.test_labels = file,
    }
    match Dataset::from_memory(files) {
        Ok(Dataset { train, test, classes }) => {
            for split in [&train, &test] {
                assert!(!split.is_empty());
                assert_eq!(split.images.len(), split.len() * split.pixels());
                assert!(split.labels.iter().all(|&label| usize::from(label) < classes));
            }
            assert_eq!(train.pixels(), test.pixels());
            let Normalisation { mean, std } = Normalisation::of(&train);
            assert!(mean.is_finite() && std > 0.0, "mean {mean}, deviation {std}");
        }
        Err(error) => assert!(!with_causes(&error).is_empty()),
    }
}

/// So many images of 2×2 pixels.
fn images(count: u8) -> Vec<u8> {
    let header = [[0, 0, 8, 3], [0, 0, 0, count], [0, 0, 0, 2], [0, 0, 0, 2]];
    header.into_iter().flatten().chain(0..4 * count).collect()
}

/// As many labels.
fn labels(count: u8) -> Vec<u8> {
    let header = [[0, 0, 8, 1], [0, 0, 0, count]];
    header.into_iter().flatten().chain((0..count).map(|image| image % 2)).collect()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    let written = encoder.write_all(bytes).and_then(|()| encoder.finish());
    written.expect("memory takes what is written")
}
