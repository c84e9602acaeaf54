//! Images and their labels: reading them, holding some out, and making mini-batches.
//!
//! The images stay bytes (47 MB for MNIST instead of 188 MB as floats) and become normalised numbers
//! batch by batch, on whichever device trains. Everything random here is keyed by the seed, so that
//! epoch 7 of seed 3 is the same however one came there.
//!
//! - [`Dataset`]: training and test images from four IDX files, checked against each other;
//! - [`Normalisation`]: mean and standard deviation of the training images;
//! - [`shuffled`], [`batches`], [`Gather`]: order, cut and fill the mini-batches of an epoch;
//! - [`Shifts`]: images moved by a pixel or so, against overfitting.

mod batches;
mod digest;
mod elements;
mod error;
mod files;
mod gzip;
mod hold_out;
mod idx;
mod names;
mod normalisation;
mod packed;
mod shifts;
mod split;
#[cfg(test)]
mod tests;
mod threads;
mod unpack;

use std::path::Path;
use std::sync::Arc;
use std::thread;

use idx::{IdxSource, Images, Labels};

pub use batches::{Gather, batches, shuffled};
pub use digest::DataDigest;
pub use error::DataError;
pub use names::FILE_NAMES;
pub use normalisation::Normalisation;
pub use shifts::Shifts;
pub use split::Split;

/// Training and test images of one size, with labels below `classes`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dataset {
    /// What the network learns from.
    pub train: Arc<Split>,
    /// What it is judged by; chooses nothing.
    pub test: Arc<Split>,
    /// Largest training label + 1.
    pub classes: usize,
}

/// The content of the four IDX files, such as a program embeds: gzip, raw, or packed as `build.rs` does it. The content decides.
#[derive(Clone, Copy, Debug)]
pub struct FilesInMemory<'a> {
    /// `train-images-idx3-ubyte`.
    pub train_images: &'a [u8],
    /// `train-labels-idx1-ubyte`.
    pub train_labels: &'a [u8],
    /// `t10k-images-idx3-ubyte`.
    pub test_images: &'a [u8],
    /// `t10k-labels-idx1-ubyte`.
    pub test_labels: &'a [u8],
}

impl Dataset {
    /// Reads the four files of the data set in `folder`: the [`FILE_NAMES`], with a dot or a dash before `idx`, with `test` or
    /// `t10k`, and perhaps with the set's name in front, as in `emnist-letters-train-images-idx3-ubyte.gz`; each raw or
    /// with `.gz` (where both exist, the one without).
    ///
    /// Elements may be of any type of IDX. Pixels are whole numbers from 0 to 255, or, in float and double, from 0 to 1,
    /// which are taken as 0 to 255; classes are whole numbers from 0 to 255, in a column of their own or, as in QMNIST, the
    /// first of eight.
    ///
    /// # Errors
    /// Any [`DataError`] except `HoldOutTooLarge`; of several faults the one in the first of the
    /// four files, missing files before damaged ones.
    pub fn from_folder(folder: &Path) -> Result<Self, DataError> {
        Self::from_folder_with_notes(folder).map(|(data, _)| data)
    }

    /// As [`from_folder`](Self::from_folder), with a line for each file whose pixels were scaled or rounded to bytes.
    ///
    /// # Errors
    /// As [`from_folder`](Self::from_folder).
    pub fn from_folder_with_notes(folder: &Path) -> Result<(Self, Vec<String>), DataError> {
        let [train_images, train_labels, test_images, test_labels] =
            files::find(folder)?.map(|path| IdxSource::open(&path));
        Self::read([train_images?, train_labels?, test_images?, test_labels?])
    }

    /// Reads the four files from memory.
    ///
    /// # Errors
    /// As [`from_folder`](Self::from_folder), less those of the file system.
    pub fn from_memory(files: FilesInMemory<'_>) -> Result<Self, DataError> {
        let [images, labels, test_images, test_labels] =
            FILE_NAMES.map(|name| format!("the embedded {name}"));
        Self::read([
            IdxSource::in_memory(&images, files.train_images)?,
            IdxSource::in_memory(&labels, files.train_labels)?,
            IdxSource::in_memory(&test_images, files.test_images)?,
            IdxSource::in_memory(&test_labels, files.test_labels)?,
        ])
        .map(|(data, _)| data)
    }

    /// By what it is known again.
    pub fn digest(&self) -> DataDigest {
        DataDigest::of(&self.train, &self.test)
    }

    /// Unpacks on two threads: the training images take longer than the rest together.
    fn read(
        [train_images, train_labels, test_images, test_labels]: [IdxSource<'_>; 4],
    ) -> Result<(Self, Vec<String>), DataError> {
        let (train_images, rest) = thread::scope(|scope| {
            let read_rest = || {
                (idx::read_labels(train_labels), idx::read_images(test_images), idx::read_labels(test_labels))
            };
            let rest = thread::Builder::new().spawn_scoped(scope, read_rest);
            let rest = rest.map_err(|source| DataError::NoThread { source })?;
            let train_images = idx::read_images(train_images);
            Ok((train_images, rest.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))))
        })?;
        let (train_labels, test_images, test_labels) = rest;
        Self::assemble(train_images?, train_labels?, test_images?, test_labels?)
    }

    /// Checks the four files against each other.
    fn assemble(
        train_images: Images,
        train_labels: Labels,
        test_images: Images,
        test_labels: Labels,
    ) -> Result<(Self, Vec<String>), DataError> {
        for (images, labels) in [(&train_images, &train_labels), (&test_images, &test_labels)] {
            if images.count != labels.bytes.len() {
                return Err(DataError::CountsDisagree {
                    images_file: images.file.clone(),
                    images: images.count,
                    labels_file: labels.file.clone(),
                    labels: labels.bytes.len(),
                });
            }
        }
        let size = |images: &Images| (images.rows, images.columns);
        if size(&train_images) != size(&test_images) {
            return Err(DataError::ImageSizesDisagree {
                train: size(&train_images),
                train_file: train_images.file,
                test: size(&test_images),
                test_file: test_images.file,
            });
        }
        if !train_images.scale.agrees_with(&test_images.scale) {
            return Err(DataError::ScalesDisagree {
                train: train_images.scale.range(),
                train_file: train_images.file,
                test: test_images.scale.range(),
                test_file: test_images.file,
            });
        }
        let note = |images: &Images| Some(format!("{}: {}", images.file, images.scale.note()?));
        let notes = [&train_images, &test_images].into_iter().filter_map(note).collect();
        let classes =
            train_labels.bytes.iter().fold(0, |classes, &label| classes.max(usize::from(label) + 1));
        if let Some(index) = test_labels.bytes.iter().position(|&label| usize::from(label) >= classes) {
            let label = test_labels.bytes[index];
            return Err(DataError::LabelOutOfRange { file: test_labels.file, index, label, classes });
        }
        let split = |images: Images, labels: Labels| Split {
            images: images.bytes,
            labels: labels.bytes,
            rows: images.rows,
            columns: images.columns,
        };
        let train = Arc::new(split(train_images, train_labels));
        let test = Arc::new(split(test_images, test_labels));
        Ok((Self { train, test, classes }, notes))
    }
}
