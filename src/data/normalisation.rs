//! Bringing bytes to mean zero and standard deviation one, the scale that initial weights assume.

use super::Split;

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
    /// integer sums: n² var = n Σx² − (Σx)². MNIST's training images give 0.1307 and 0.3081.
    ///
    /// Where all pixels are equal, or there are none, `std` is 1, so that nothing is divided by zero.
    pub fn of(split: &Split) -> Self {
        let (mut sum, mut squares) = (0_u64, 0_u64);
        // 2^16 · 255² < 2^32, so 32-bit partial sums suffice, which vectorise better.
        for chunk in split.images.chunks(1 << 16) {
            sum += u64::from(chunk.iter().map(|&x| u32::from(x)).sum::<u32>());
            squares += u64::from(chunk.iter().map(|&x| u32::from(x) * u32::from(x)).sum::<u32>());
        }
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
