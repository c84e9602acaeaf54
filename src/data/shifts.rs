//! Moving training images by a pixel or so: the cheapest way to more training data.
//!
//! The offsets come from Philox, keyed by the seed and counted by (step, position in the batch), so
//! a CUDA kernel that gathers the same batch moves each image the same way.

use crate::random::{Philox, Purpose};

/// Moves each image by an independent, uniformly drawn offset of −pixels to +pixels rows and as many
/// columns. Uncovered pixels are background (byte 0).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shifts {
    philox: Philox,
    pixels: u16,
}

impl Shifts {
    /// Offsets of at most `pixels` in each direction, drawn with `seed`.
    pub fn new(seed: u64, pixels: u16) -> Self {
        Self { philox: Philox::new(seed, Purpose::Shifts, 0), pixels }
    }

    /// The largest offset, in pixels.
    pub const fn pixels(&self) -> u16 {
        self.pixels
    }

    /// The Philox key, for a kernel that draws the same offsets.
    pub const fn key(&self) -> [u32; 2] {
        self.philox.key()
    }

    /// How many (rows down, columns right) the image at `position` of the batch of `step` moves.
    ///
    /// Word 0 of Philox block `position` of `step` gives the rows, word 1 the columns; a word becomes
    /// an offset as `(word · (2 pixels + 1)) >> 32` (in CUDA: `__umulhi`) less `pixels`, uniform but
    /// for a bias below (2 pixels + 1) / 2^32.
    #[inline(always)]
    pub fn offset(&self, step: u64, position: u64) -> (i32, i32) {
        let choices = 2 * u64::from(self.pixels) + 1;
        let [rows, columns, _, _] = self
            .philox
            .block(step, position)
            .map(|word| ((u64::from(word) * choices) >> 32) as i32 - i32::from(self.pixels));
        (rows, columns)
    }
}

/// Writes `convert(byte)` of `image` (rows, columns), moved `down` rows and `right` columns, to `out`
/// of the same size; `background` where nothing of the image is.
#[inline(always)]
pub(super) fn shifted<T: Copy>(
    image: &[u8],
    columns: usize,
    (down, right): (i32, i32),
    background: T,
    convert: impl Fn(u8) -> T,
    out: &mut [T],
) {
    let pixels = image.len();
    let rows = pixels / columns;
    if down.unsigned_abs() as usize >= rows || right.unsigned_abs() as usize >= columns {
        return out.fill(background);
    }
    // As flat arrays the image moves by one distance, which keeps the loop long enough to vectorise;
    // what wraps around at the end of a row lands in columns that are overwritten afterwards.
    let distance = down as isize * columns as isize + right as isize;
    let moved = distance.unsigned_abs();
    if distance >= 0 {
        out[..moved].fill(background);
        convert_all(&image[..pixels - moved], &convert, &mut out[moved..]);
    } else {
        convert_all(&image[moved..], &convert, &mut out[..pixels - moved]);
        out[pixels - moved..].fill(background);
    }
    let margin = right.unsigned_abs() as usize;
    let uncovered = if right >= 0 { 0..margin } else { columns - margin..columns };
    if margin > 0 {
        for row in out.chunks_exact_mut(columns) {
            row[uncovered.clone()].fill(background);
        }
    }
}

/// `out[i] = convert(image[i])`.
#[inline(always)]
pub(super) fn convert_all<T>(image: &[u8], convert: impl Fn(u8) -> T, out: &mut [T]) {
    for (value, &byte) in out.iter_mut().zip(image) {
        *value = convert(byte);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IMAGE: [u8; 12] = [
        1, 2, 3, 4, //
        5, 6, 7, 8, //
        9, 10, 11, 12,
    ];

    fn moved(offset: (i32, i32)) -> [u8; 12] {
        let mut out = [99; 12];
        shifted(&IMAGE, 4, offset, 0, |byte| byte, &mut out);
        out
    }

    #[test]
    fn an_image_moves_down_and_right_by_positive_offsets() {
        assert_eq!(moved((0, 0)), IMAGE);
        assert_eq!(moved((1, 0)), [0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8]);
        assert_eq!(moved((0, 1)), [0, 1, 2, 3, 0, 5, 6, 7, 0, 9, 10, 11]);
        assert_eq!(moved((1, 1)), [0, 0, 0, 0, 0, 1, 2, 3, 0, 5, 6, 7]);
    }

    #[test]
    fn an_image_moves_up_and_left_by_negative_offsets() {
        assert_eq!(moved((-1, 0)), [5, 6, 7, 8, 9, 10, 11, 12, 0, 0, 0, 0]);
        assert_eq!(moved((0, -1)), [2, 3, 4, 0, 6, 7, 8, 0, 10, 11, 12, 0]);
        assert_eq!(moved((-1, -1)), [6, 7, 8, 0, 10, 11, 12, 0, 0, 0, 0, 0]);
        assert_eq!(moved((1, -1)), [0, 0, 0, 0, 2, 3, 4, 0, 6, 7, 8, 0]);
    }

    #[test]
    fn every_offset_agrees_with_the_definition_pixel_by_pixel() {
        for (down, right) in (-4..=4).flat_map(|down| (-5..=5).map(move |right| (down, right))) {
            let expected: [u8; 12] = std::array::from_fn(|pixel| {
                let (row, column) = (pixel as i32 / 4 - down, pixel as i32 % 4 - right);
                let inside = (0..3).contains(&row) && (0..4).contains(&column);
                if inside { IMAGE[(row * 4 + column) as usize] } else { 0 }
            });
            assert_eq!(moved((down, right)), expected, "offset {down}, {right}");
        }
    }

    #[test]
    fn offsets_are_the_documented_words_of_philox() {
        let philox = Philox::new(4, Purpose::Shifts, 0);
        let shifts = Shifts::new(4, 1);
        assert_eq!(shifts.key(), philox.key());
        let third = |word: u32| match f64::from(word) / 2_f64.powi(32) * 3.0 {
            x if x < 1.0 => -1,
            x if x < 2.0 => 0,
            _ => 1,
        };
        for position in 0..100 {
            let mut words = [0; 2];
            philox.fill(17, 4 * position, &mut words);
            assert_eq!(shifts.offset(17, position), (third(words[0]), third(words[1])));
        }
    }

    #[test]
    fn the_nine_offsets_of_one_pixel_are_equally_likely() {
        let shifts = Shifts::new(0, 1);
        let mut seen = [[0_u32; 3]; 3];
        for step in 0..90 {
            for position in 0..100 {
                let (down, right) = shifts.offset(step, position);
                seen[(down + 1) as usize][(right + 1) as usize] += 1;
            }
        }
        // Chi-squared with 8 degrees of freedom: above 26.1 with probability 0.001.
        let chi_squared: f64 =
            seen.as_flattened().iter().map(|&n| (f64::from(n) - 1000.0).powi(2) / 1000.0).sum();
        assert!(chi_squared < 26.1, "{seen:?}");
    }

    #[test]
    fn no_pixels_mean_no_motion_and_many_stay_in_range() {
        assert!((0..50).all(|position| Shifts::new(1, 0).offset(0, position) == (0, 0)));
        let range = -i32::from(u16::MAX)..=i32::from(u16::MAX);
        let far = Shifts::new(1, u16::MAX);
        assert!(
            (0..50)
                .map(|position| far.offset(0, position))
                .all(|(d, r)| range.contains(&d) && range.contains(&r))
        );
    }
}
