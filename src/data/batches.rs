//! Mini-batches: in which order, of which images, and filled how.
//!
//! An epoch is a permutation of the training images ([`shuffled`]), cut into ranges ([`batches`]);
//! [`Gather`] turns the images of a range into normalised numbers. It works image by image, and what
//! it writes depends on (step, position, index) alone, so images may be filled by any number of
//! threads.

use std::ops::Range;

use super::shifts::{convert_all, shifted};
use super::{Normalisation, Shifts, Split};
use crate::float::Float;
use crate::random::{Purpose, chacha, permutation};

/// Overwrites `order` with the order of the images in `epoch` (counted as you like) under `seed`.
///
/// # Panics
/// If there are more images than a `u32` can number; an IDX file cannot hold them.
pub fn shuffled(seed: u64, epoch: u64, order: &mut [u32]) {
    permutation(&mut chacha(seed, Purpose::Permutation, epoch), order);
}

/// The ranges that cut `count` images into batches of `batch_size`; the last one is smaller where it
/// must be, never dropped: 60000 = 468 · 128 + 96.
///
/// # Panics
/// If `batch_size` is zero.
pub fn batches(count: usize, batch_size: usize) -> impl ExactSizeIterator<Item = Range<usize>> + Clone {
    assert!(batch_size > 0, "a batch needs at least one image");
    (0..count.div_ceil(batch_size)).map(move |batch| {
        let start = batch * batch_size; // below `count`
        start..start + batch_size.min(count - start)
    })
}

/// Fills mini-batches with the normalised, perhaps shifted, images of a split.
#[derive(Clone, Copy, Debug)]
pub struct Gather<'a> {
    split: &'a Split,
    scale: f64,
    shift: f64,
    augment: Option<Shifts>,
}

impl<'a> Gather<'a> {
    /// Gathers from `split`, whose images must have at least one pixel.
    pub fn new(split: &'a Split, normalisation: Normalisation, augment: Option<Shifts>) -> Self {
        let (scale, shift) = normalisation.scale_and_shift();
        Self { split, scale, shift, augment }
    }

    /// The same images less their background, so that most values are zero.
    pub fn deviations(self) -> Self {
        Self { shift: 0.0, ..self }
    }

    /// The normalised value of background, byte 0.
    pub fn background(&self) -> f64 {
        self.shift
    }

    /// The bytes of image `index`, for whoever wants them in cache before [`image`](Self::image) reads them.
    ///
    /// # Panics
    /// If `index` is not an image of the split.
    pub fn bytes(&self, index: u32) -> &'a [u8] {
        self.split.image(index as usize)
    }

    /// Writes image `index` to `out` (pixels) as it appears at `position` of the batch of `step`.
    ///
    /// `step` counts over the whole run; it and `position` matter only where images are shifted.
    /// The value is `byte · scale + shift` with [`Normalisation::scale_and_shift`] rounded to `T`;
    /// background is byte 0. Allocates nothing.
    ///
    /// # Panics
    /// If `index` is not an image of the split, or `out` has another length than an image.
    #[inline(always)]
    pub fn image<T: Float>(&self, step: u64, position: usize, index: u32, out: &mut [T]) {
        let image = self.split.image(index as usize);
        assert_eq!(out.len(), image.len(), "an image of {} pixels into {} values", image.len(), out.len());
        let (scale, shift) = (T::of(self.scale), T::of(self.shift));
        // Rounded after each: a fused multiply-add would be a library call on processors without it,
        // and its rounding would differ from theirs.
        let convert = |byte| T::of_byte(byte) * scale + shift;
        match &self.augment {
            None => convert_all(image, convert, out),
            Some(shifts) => {
                let offset = shifts.offset(step, position as u64);
                shifted(image, self.split.columns, offset, convert(0), convert, out);
            }
        }
    }

    /// The class of image `index`, as a number.
    ///
    /// # Panics
    /// If `index` is not an image of the split.
    #[inline(always)]
    pub fn label<T: Float>(&self, index: u32) -> T {
        T::of_byte(self.split.labels[index as usize])
    }

    /// Fills the batch of `step` with the images `indices`: `images` (batch, pixels) row-major,
    /// `labels` (batch) class numbers. Allocates nothing.
    ///
    /// # Panics
    /// If the lengths disagree, or an index is not an image of the split.
    #[inline(always)]
    pub fn batch<T: Float>(&self, step: u64, indices: &[u32], images: &mut [T], labels: &mut [T]) {
        let (batch, pixels) = (indices.len(), self.split.pixels());
        assert_eq!(images.len(), batch * pixels, "{batch} images of {pixels} pixels");
        assert_eq!(labels.len(), batch, "{batch} labels");
        for (position, (image, &index)) in images.chunks_exact_mut(pixels).zip(indices).enumerate() {
            self.image(step, position, index, image);
        }
        for (label, &index) in labels.iter_mut().zip(indices) {
            *label = self.label(index);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Eleven images of 3 x 4 pixels, all bytes different from zero and from one another.
    fn split() -> Split {
        Split { images: (1..=132).collect(), labels: (0..11).map(|i| 10 - i).collect(), rows: 3, columns: 4 }
    }

    /// Leaves the bytes as they are, so that expected values can be written down.
    const IDENTITY: Normalisation = Normalisation { mean: 0.0, std: 1.0 / 255.0 };

    #[test]
    fn sixty_thousand_images_make_468_full_batches_and_one_of_96() {
        let ranges: Vec<_> = batches(60_000, 128).collect();
        assert_eq!(ranges.len(), 469);
        assert!(ranges[..468].iter().all(|range| range.len() == 128));
        assert_eq!(ranges[468], 59_904..60_000);
    }

    #[test]
    fn batches_cover_every_image_once_and_in_order() {
        for (count, size) in [(0, 5), (1, 5), (5, 5), (6, 5), (7, 1), (3, usize::MAX)] {
            assert!(batches(count, size).flatten().eq(0..count), "{count} by {size}");
            assert_eq!(batches(count, size).len(), count.div_ceil(size));
        }
    }

    #[test]
    #[should_panic(expected = "at least one image")]
    fn a_batch_size_of_zero_is_refused() {
        let _ = batches(10, 0);
    }

    #[test]
    fn each_epoch_and_seed_has_its_own_order() {
        let order = |seed, epoch| {
            let mut order = [0; 20];
            shuffled(seed, epoch, &mut order);
            order
        };
        assert_eq!(order(1, 2), order(1, 2));
        assert_ne!(order(1, 2), order(1, 3));
        assert_ne!(order(1, 2), order(2, 2));
    }

    #[test]
    fn a_batch_holds_the_images_and_labels_asked_for() {
        let split = split();
        let (mut images, mut labels) = ([0.0_f64; 24], [0.0; 2]);
        Gather::new(&split, IDENTITY, None).batch(0, &[10, 3], &mut images, &mut labels);
        let expected: Vec<f64> = (121..=132).chain(37..=48).map(f64::from).collect();
        assert_eq!(images.to_vec(), expected);
        assert_eq!(labels, [0.0, 7.0]);
    }

    #[test]
    fn pixels_are_normalised_in_both_precisions() {
        let split = Split { images: (0..=255).collect(), labels: vec![0], rows: 16, columns: 16 };
        let normalisation = Normalisation { mean: 0.1307, std: 0.3081 };
        let gather = Gather::new(&split, normalisation, None);
        let (mut single, mut double) = ([0.0_f32; 256], [0.0_f64; 256]);
        gather.batch(0, &[0], &mut single, &mut [0.0]);
        gather.batch(0, &[0], &mut double, &mut [0.0]);
        for byte in 0..256 {
            let exact = (byte as f64 / 255.0 - 0.1307) / 0.3081;
            // Three roundings of values of at most 3.3.
            assert!((double[byte] - exact).abs() <= 4.0 * f64::EPSILON, "{byte}");
            assert!((f64::from(single[byte]) - exact).abs() <= 4.0 * f64::from(f32::EPSILON), "{byte}");
        }
    }

    #[test]
    fn shifted_images_move_by_the_offset_of_their_step_and_position() {
        let split = split();
        let shifts = Shifts::new(8, 1);
        let gather = Gather::new(&split, IDENTITY, Some(shifts));
        let indices = [4; 30];
        let (mut images, mut labels) = (vec![0.0_f64; 30 * 12], [0.0; 30]);
        gather.batch(6, &indices, &mut images, &mut labels);
        for (position, image) in images.chunks(12).enumerate() {
            let (down, right) = shifts.offset(6, position as u64);
            for (pixel, &value) in image.iter().enumerate() {
                let (row, column) = (pixel as i32 / 4 - down, pixel as i32 % 4 - right);
                let inside = (0..3).contains(&row) && (0..4).contains(&column);
                let expected = if inside { f64::from(48 + 1 + row * 4 + column) } else { 0.0 };
                assert_eq!(value, expected, "position {position}, pixel {pixel}");
            }
        }
    }

    #[test]
    fn uncovered_pixels_are_normalised_background() {
        let split = Split { images: vec![255], labels: vec![0], rows: 1, columns: 1 };
        let normalisation = Normalisation { mean: 0.5, std: 0.25 };
        let gather = Gather::new(&split, normalisation, Some(Shifts::new(1, 3)));
        let mut values = [0.0_f32; 64];
        gather.batch(0, &[0; 64], &mut values, &mut [0.0; 64]);
        assert!(
            values.contains(&-2.0) && values.iter().all(|&value| value == -2.0 || value == 2.0),
            "{values:?}"
        );
    }
}
