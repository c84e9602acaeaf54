//! Holding training images out for validation: what may choose a learning rate or an epoch, so that
//! the test set need not.

use std::sync::Arc;

use super::{DataError, Dataset, Split};
use crate::random::{Purpose, chacha, permutation};

impl Dataset {
    /// Takes `count` training images out, drawn with `seed` regardless of their class, to make
    /// choices by; returns the rest and them, both in their original order. `classes` stays.
    ///
    /// # Errors
    /// [`DataError::HoldOutTooLarge`] if no training image would be left.
    pub fn hold_out(mut self, count: usize, seed: u64) -> Result<(Self, Split), DataError> {
        let available = self.train.len();
        if count >= available {
            return Err(DataError::HoldOutTooLarge { count, available });
        }
        let mut order = vec![0; available];
        permutation(&mut chacha(seed, Purpose::Validation, 0), &mut order);
        let mut held_out = vec![false; available];
        for &index in &order[..count] {
            held_out[index as usize] = true;
        }

        let Split { mut images, mut labels, rows, columns } = Arc::unwrap_or_clone(self.train);
        let pixels = rows * columns;
        let mut validation =
            Split { images: Vec::with_capacity(count * pixels), labels: Vec::new(), rows, columns };
        let mut kept = 0;
        for (index, &out) in held_out.iter().enumerate() {
            let image = index * pixels..(index + 1) * pixels;
            if out {
                validation.images.extend_from_slice(&images[image]);
                validation.labels.push(labels[index]);
            } else {
                // Moved down in place: a second copy of all images would double the memory.
                images.copy_within(image, kept * pixels);
                labels[kept] = labels[index];
                kept += 1;
            }
        }
        images.truncate(kept * pixels);
        labels.truncate(kept);
        self.train = Arc::new(Split { images, labels, rows, columns });
        Ok((self, validation))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `count` training images of two pixels; image i is [i, i + 100] and its label i.
    fn numbered(count: u8) -> Dataset {
        let split = |count| Split {
            images: (0..count).flat_map(|i| [i, i + 100]).collect(),
            labels: (0..count).collect(),
            rows: 1,
            columns: 2,
        };
        Dataset { train: split(count).into(), test: split(2).into(), classes: count.into() }
    }

    #[test]
    fn hold_out_splits_the_training_images_in_two_and_keeps_their_order() {
        let (data, validation) = numbered(50).hold_out(20, 1).unwrap();
        assert_eq!((data.train.len(), validation.len(), data.classes), (30, 20, 50));
        for split in [&*data.train, &validation] {
            assert!(split.labels.is_sorted());
            assert_eq!(split.images.len(), split.len() * 2);
            for (i, &label) in split.labels.iter().enumerate() {
                assert_eq!(split.image(i), [label, label + 100]);
            }
        }
        let mut all = [&data.train.labels[..], &validation.labels].concat();
        all.sort_unstable();
        assert_eq!(all, (0..50).collect::<Vec<_>>());
        assert_eq!(data.test, numbered(50).test);
    }

    #[test]
    fn hold_out_draws_by_its_seed() {
        let drawn = |seed| numbered(50).hold_out(20, seed).unwrap().1.labels;
        assert_eq!(drawn(1), drawn(1));
        assert_ne!(drawn(1), drawn(2));
        assert_ne!(drawn(1), (0..20).collect::<Vec<_>>());
    }

    #[test]
    fn hold_out_leaves_at_least_one_image_to_train_on() {
        assert_eq!(numbered(5).hold_out(0, 1).unwrap().0, numbered(5));
        assert_eq!(numbered(5).hold_out(4, 1).unwrap().0.train.len(), 1);
        let error = numbered(5).hold_out(5, 1).unwrap_err();
        assert!(matches!(error, DataError::HoldOutTooLarge { count: 5, available: 5 }));
        let message = error.to_string();
        assert!(message.contains("5 of 5 training images") && message.contains("fewer than 5"), "{message}");
    }
}
