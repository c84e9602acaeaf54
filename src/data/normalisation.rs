//! Bringing bytes to mean zero and standard deviation one, the scale that initial weights assume.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::Split;
use super::threads::for_each;

/// The input of the network is `(byte / 255 - mean) / std`, with one mean and one standard deviation
/// for all pixels, as PyTorch's MNIST example has it.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct Normalisation {
    /// Mean of byte / 255 over all pixels of all images, 0 to 1.
    pub mean: f64,
    /// Standard deviation of byte / 255 (dividing by n, not n − 1), more than 0.
    pub std: f64,
}

impl Normalisation {
    /// Mean and standard deviation of `split`, exact up to the last rounding because they come from
    /// integer sums, which threads add up in any order: n² var = n Σx² − (Σx)². MNIST's training images give 0.1307 and 0.3081.
    ///
    /// Where all pixels are equal, or there are none, `std` is 1, so that nothing is divided by zero.
    pub fn of(split: &Split) -> Self {
        let (sum, squares) = (AtomicU64::new(0), AtomicU64::new(0));
        for_each(split.images.chunks(1 << 20), |images| {
            for chunk in images.chunks(1 << 15) {
                let (mut sum_of_chunk, mut squares_of_chunk) = (0, 0);
                for &byte in chunk {
                    // 2^15 · 255² < 2^31, so 32-bit sums of chunks suffice, which vectorise better.
                    let byte = i32::from(byte);
                    sum_of_chunk += byte;
                    squares_of_chunk += byte * byte;
                }
                sum.fetch_add(sum_of_chunk as u64, Relaxed);
                squares.fetch_add(squares_of_chunk as u64, Relaxed);
            }
        });
        let (sum, squares) = (sum.into_inner(), squares.into_inner());
        let n = split.images.len() as f64;
        let spread = split.images.len() as u128 * u128::from(squares) - u128::from(sum) * u128::from(sum);
        if spread == 0 {
            let mean = if split.images.is_empty() { 0.0 } else { sum as f64 / n / 255.0 };
            return Self { mean, std: 1.0 };
        }
        Self { mean: sum as f64 / n / 255.0, std: (spread as f64).sqrt() / n / 255.0 }
    }

    /// (scale, shift) with `byte · scale + shift` the normalised value: 1 / (255 std) and −mean / std.
    pub fn scale_and_shift(&self) -> (f64, f64) {
        (1.0 / (255.0 * self.std), -self.mean / self.std)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(images: Vec<u8>) -> Split {
        Split { labels: vec![0; images.len()], images, rows: 1, columns: 1 }
    }

    #[test]
    fn black_and_white_have_mean_and_deviation_one_half() {
        assert_eq!(Normalisation::of(&split(vec![0, 255, 255, 0])), Normalisation { mean: 0.5, std: 0.5 });
    }

    #[test]
    fn sums_are_exact_over_many_white_pixels() {
        let mut images = vec![255; 3 << 16];
        images.extend(vec![0; 1 << 16]);
        let found = Normalisation::of(&split(images));
        assert_eq!(found.mean, 0.75);
        assert!((found.std - 0.1875_f64.sqrt()).abs() < 1e-16, "{found:?}");
    }

    #[test]
    fn constant_images_have_deviation_one_instead_of_zero() {
        assert_eq!(Normalisation::of(&split(vec![51; 7])), Normalisation { mean: 0.2, std: 1.0 });
        assert_eq!(Normalisation::of(&split(vec![])), Normalisation { mean: 0.0, std: 1.0 });
    }

    #[test]
    fn scale_and_shift_apply_the_definition() {
        let normalisation = Normalisation { mean: 0.25, std: 0.5 };
        let (scale, shift) = normalisation.scale_and_shift();
        for byte in [0.0, 1.0, 128.0, 255.0] {
            let expected: f64 = (byte / 255.0 - 0.25) / 0.5;
            assert!((byte * scale + shift - expected).abs() < 1e-15);
        }
    }
}
