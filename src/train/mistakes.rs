//! The test images that a trained network gets most wrong.
//!
//! The loss of an image is −ln of the probability that the network gives to the true class: of the
//! images that are misclassified, the worst are those of largest loss, where it was surest of another.

use super::engine::cpu::Evaluator;
use super::engine::not_finite_parameter;
use super::figures::network;
use super::files::{MODEL, TrainedModel, read_model};
use super::{Record, TrainError};
use crate::data::{Dataset, Gather};
use crate::draw::{DrawError, grayscale_png};

/// A test image that is classified as what it is not.
#[derive(Clone, PartialEq, Debug)]
pub struct Mistake {
    /// Its number among the test images, from 0.
    pub index: usize,
    /// The class that it is labelled with.
    pub label: usize,
    /// The class that the network takes for the likeliest.
    pub predicted: usize,
    /// The probability that the network gives to the label, 0 to 1.
    pub probability: f32,
    /// −ln of it (nats).
    pub loss: f64,
    /// (rows, columns) row-major; 0 is background.
    pub pixels: Vec<u8>,
    /// Height in pixels.
    pub rows: usize,
    /// Width in pixels.
    pub columns: usize,
}

impl Mistake {
    /// The image as a PNG of its own size, bright on a black ground as in the data.
    ///
    /// # Errors
    /// When the pixels are not as many as rows and columns say.
    pub fn png(&self) -> Result<Vec<u8>, DrawError> {
        grayscale_png(self.columns, self.rows, &self.pixels)
    }
}

/// The `count` misclassified test images of largest loss, the largest first: fewer, where fewer are
/// misclassified. Runs on the rayon pool that the caller is in.
///
/// # Errors
/// When the run's `model.safetensors` cannot be read, is not the network that its options make for these
/// images, or yields no finite loss.
pub fn worst(record: &Record, data: &Dataset, count: usize) -> Result<Vec<Mistake>, TrainError> {
    let path = record.path.join(MODEL);
    let TrainedModel { model, parameters, normalisation } = read_model(&path)?;
    let expected = record.options.model(data.test.pixels(), data.classes);
    if (&model.widths, model.activation) != (&expected.widths, expected.activation) {
        let problem = format!(
            "is a network {}, where options and images make it {}: name the data that the run was trained on, \
             and put back the config.toml or the model that belongs here",
            network(&model),
            network(&expected)
        );
        return Err(TrainError::Content { path, problem });
    }
    let test = &data.test;
    let mut evaluator = Evaluator::new(&model, test.len())?;
    let mut missed = Vec::new();
    let sums =
        evaluator.run(&parameters, &Gather::new(test, normalisation, None), |index, predicted, loss| {
            if predicted != usize::from(test.labels[index]) {
                missed.push((index, predicted, loss));
            }
        });
    if !sums.loss.is_finite() {
        let place = not_finite_parameter(&model, &parameters).unwrap_or_else(|| "the loss".into());
        let problem = format!("{place} holds an infinite number or NaN: train the network anew");
        return Err(TrainError::Content { path, problem });
    }
    missed.sort_by(|(.., a), (.., b)| b.total_cmp(a));
    missed.truncate(count);
    let mistake = |(index, predicted, loss): (usize, usize, f32)| Mistake {
        index,
        label: usize::from(test.labels[index]),
        predicted,
        probability: (-loss).exp(),
        loss: f64::from(loss),
        pixels: test.image(index).to_vec(),
        rows: test.rows,
        columns: test.columns,
    };
    Ok(missed.into_iter().map(mistake).collect())
}
