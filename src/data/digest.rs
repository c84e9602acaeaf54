//! By what a data set is known again.

use serde::{Deserialize, Serialize};

use super::split::Split;
use crate::digest::sha256;

/// The SHA-256 of all that a network sees of a data set, part by part.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs, reason = "the names say it")]
pub struct DataDigest {
    pub training_images: String,
    pub training_labels: String,
    pub test_images: String,
    pub test_labels: String,
}

impl DataDigest {
    /// Of these images and labels.
    pub(super) fn of(train: &Split, test: &Split) -> Self {
        // The same bytes are other images in another shape.
        let images = |split: &Split| {
            let size = [split.rows, split.columns].map(|extent| (extent as u64).to_le_bytes());
            sha256([size.as_flattened(), &split.images])
        };
        let labels = |split: &Split| sha256([&split.labels[..]]);
        Self {
            training_images: images(train),
            training_labels: labels(train),
            test_images: images(test),
            test_labels: labels(test),
        }
    }

    /// The parts that are others in `other`: `training images`.
    pub fn differences(&self, other: &Self) -> Vec<&'static str> {
        let parts = [
            ("training images", &self.training_images, &other.training_images),
            ("training labels", &self.training_labels, &other.training_labels),
            ("test images", &self.test_images, &other.test_images),
            ("test labels", &self.test_labels, &other.test_labels),
        ];
        parts.into_iter().filter(|(_, ours, theirs)| ours != theirs).map(|(name, ..)| name).collect()
    }
}
