//! The test images that a trained network gets most wrong.
//!
//! The loss of an image is −ln of the probability that the network gives to the true class: of the
//! images that are misclassified, the worst are those of largest loss, where it was surest of another.

use super::Record;
use super::files::{MODEL, TrainedModel, read_model};
use crate::data::Dataset;
use crate::draw::{DrawError, grayscale_png};
use crate::exec::Examples;
use crate::nn::Model;
use crate::train::TrainError;
use crate::train::engine::{not_finite_parameter, predictions};

/// A test image that is classified as what it is not.
#[derive(Clone, PartialEq, Debug)]
pub struct Mistake {
    /// Its number among the test images, from 0.
    pub index: usize,
    /// The class that it is labelled with.
    pub label: usize,
    /// The class that the network takes for the likeliest.
    pub predicted: usize,
    /// The probability that the network gives to the label, 0 to 1: e to the minus `loss`.
    pub probability: f64,
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

/// How far the accuracy of the same network on the same images may be from what another device or number format found.
const SAME: f64 = 0.005;

/// The `count` misclassified test images of largest loss, the largest first: fewer, where fewer are
/// misclassified. Runs on all processors.
///
/// # Errors
/// When the run's `model.safetensors` cannot be read, is not the network that its options make for these
/// images, or yields no finite loss.
pub fn worst(record: &Record, data: &Dataset, count: usize) -> Result<Vec<Mistake>, TrainError> {
    let path = record.path.join(MODEL);
    let TrainedModel { model, parameters, normalisation } = read_model(&path)?;
    let expected = record.options.model(data.test.pixels(), data.classes);
    if !model.is_like(&expected) {
        let problem = format!(
            "is a network {}, where options and images make it {}: name the data that the run was trained on, \
             and put back the config.toml or the model that belongs here",
            model.describe(),
            expected.describe()
        );
        return Err(TrainError::Content { path, problem });
    }
    let test = &data.test;
    let mut missed = Vec::new();
    let examples = Examples { split: test.clone(), normalisation, shifts: None };
    let mut is_finite = true;
    predictions(&model, &parameters, examples, |index, predicted, loss| {
        is_finite &= loss.is_finite();
        if predicted != usize::from(test.labels[index]) {
            missed.push((index, predicted, loss));
        }
    })?;
    if !is_finite {
        let place = not_finite_parameter(&model, &parameters).unwrap_or_else(|| "the loss".into());
        let problem = format!("{place} holds an infinite number or NaN: train the network anew");
        return Err(TrainError::Content { path, problem });
    }
    let accuracy = 1.0 - missed.len() as f64 / test.len() as f64;
    if let Some(recorded) = record.test_accuracy().filter(|recorded| (recorded - accuracy).abs() > SAME) {
        let problem = format!(
            "classifies {:.2}% of these test images correctly, and the run found {:.2}%: the data are not those that \
             it was trained on; name them with --data",
            100.0 * accuracy,
            100.0 * recorded
        );
        return Err(TrainError::Content { path, problem });
    }
    missed.sort_by(|(.., a), (.., b)| b.total_cmp(a));
    missed.truncate(count);
    let mistake = |(index, predicted, loss): (usize, usize, f32)| Mistake {
        index,
        label: usize::from(test.labels[index]),
        predicted,
        probability: (-f64::from(loss)).exp(),
        loss: f64::from(loss),
        pixels: test.image(index).to_vec(),
        rows: test.rows,
        columns: test.columns,
    };
    Ok(missed.into_iter().map(mistake).collect())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::data::{Gather, Normalisation, Split};
    use crate::nn;
    use crate::random::{Purpose, below, chacha};
    use crate::runs::files::write_model;
    use crate::runs::{Row, RunFolder};
    use crate::train::{Choice, Choices, Monitor, OptimizerName, Setup};

    struct Unwatched;

    impl Monitor for Unwatched {
        fn epoch_begins(&mut self, _: usize, _: usize, _: usize) {}
        fn step_done(&mut self, _: usize) {}
        fn epoch_done(&mut self, _: &Row) {}
        fn stop(&self) -> bool {
            false
        }
    }

    /// Images of 3 x 4 pixels with a bright row for their class, and noise over it that hides some.
    fn split(seed: u64, count: usize) -> Arc<Split> {
        let mut rng = chacha(seed, Purpose::Weights, 0);
        let labels: Vec<u8> = (0..count).map(|_| below(&mut rng, 3) as u8).collect();
        let pixel = |label: u8, pixel: usize| if pixel / 4 == usize::from(label) { 60 } else { 0 };
        let images = labels.iter().flat_map(|&label| (0..12).map(move |i| pixel(label, i)));
        let images = images.map(|bright| bright + below(&mut rng, 190) as u8).collect();
        Arc::new(Split { images, labels, rows: 3, columns: 4 })
    }

    /// A trained run, and its data: of 700 test images, more than the evaluation takes at once.
    fn trained(folder: &tempfile::TempDir) -> (Record, Arc<Dataset>) {
        let data = Arc::new(Dataset { train: split(1, 300), test: split(2, 700), classes: 3 });
        let choices = Choices {
            hidden: Some("6".parse().unwrap()),
            batch_size: Some(50),
            epochs: Some(3),
            device: Some("cpu".into()),
            threads: Some(1),
            ..Choices::default()
        };
        let options = choices.resolve(OptimizerName::Adam).unwrap();
        let choice = Choice::of(&options).unwrap();
        let path = folder.path().join("run");
        let run = Setup::new(options, data.clone(), &choice).unwrap();
        run.begin(RunFolder::create(Some(&path), "").unwrap()).unwrap().train(&mut Unwatched).unwrap();
        (Record::read(&path).unwrap(), data)
    }

    #[test]
    fn the_worst_are_the_misclassified_images_of_least_probability_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let (record, data) = trained(&folder);
        assert_eq!(record.notes, [""; 0]);
        let all = worst(&record, &data, usize::MAX).unwrap();
        let confusion = record.confusion.as_ref().unwrap();
        let missed: u64 = (0..9).filter(|i| i / 3 != i % 3).map(|i| confusion[i / 3][i % 3]).sum();
        assert!(missed > 20 && all.len() as u64 == missed, "{} of {missed}", all.len());
        assert!(all.is_sorted_by(|a, b| a.loss >= b.loss));
        assert!(all.iter().any(|mistake| mistake.index >= 500));
        assert_eq!(worst(&record, &data, 5).unwrap(), all[..5]);
        assert_eq!(worst(&record, &data, 0).unwrap(), []);

        // Each once more, alone and in double precision.
        let TrainedModel { model, parameters, normalisation } = read_model(&record.path.join(MODEL)).unwrap();
        let parameters: Vec<f64> = parameters.into_iter().map(f64::from).collect();
        let layers = model.function(1, false).unwrap();
        for mistake in &all {
            let (mut image, mut label) = ([0.0; 12], [0.0]);
            let gather = Gather::new(&data.test, normalisation, None);
            gather.batch(0, &[mistake.index as u32], &mut image, &mut label);
            let logits = layers.call((&image, nn::split(&model, &parameters))).unwrap().pop().unwrap();
            let total: f64 = logits.iter().map(|x| x.exp()).sum();
            let probability = logits[mistake.label].exp() / total;
            assert!((mistake.probability - probability).abs() < 1e-5, "{mistake:?} {probability}");
            assert!((mistake.loss + probability.ln()).abs() < 1e-5, "{mistake:?} {probability}");
            assert!(logits.iter().all(|&x| x <= logits[mistake.predicted]), "{mistake:?} {logits:?}");
            assert_eq!(label[0], mistake.label as f64);
            assert_ne!(mistake.label, mistake.predicted);
            assert_eq!(mistake.pixels, data.test.image(mistake.index));
        }
    }

    #[test]
    fn a_mistake_is_drawn_at_its_own_size() {
        let (rows, columns) = (2, 3);
        let mistake = Mistake {
            index: 0,
            label: 1,
            predicted: 2,
            probability: 0.1,
            loss: 2.3,
            pixels: vec![0, 50, 100, 150, 200, 250],
            rows,
            columns,
        };
        assert_eq!(mistake.png().unwrap(), grayscale_png(3, 2, &mistake.pixels).unwrap());
        assert!(Mistake { rows: 3, ..mistake }.png().is_err());
    }

    #[test]
    fn a_model_that_is_missing_of_other_images_or_ruined_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let (record, data) = trained(&folder);
        let refused = |record: &Record, data: &Dataset| worst(record, data, 1).unwrap_err().to_string();
        let fewer = Dataset { classes: 4, ..(*data).clone() };
        let error = refused(&record, &fewer);
        assert!(
            error.contains("is a network 12-6-3, relu, where options and images make it 12-6-4, relu"),
            "{error}"
        );

        let run = RunFolder::open(&record.path).unwrap();
        let model = record.options.model(12, 3);
        let mut parameters = model.initial_parameters(0);
        parameters[72] = f32::NAN; // the first bias
        write_model(&run, &model, &parameters, Normalisation { mean: 0.0, std: 1.0 }).unwrap();
        let error = refused(&record, &data);
        assert!(error.contains("the parameter 0.bias holds an infinite number or NaN"), "{error}");

        run.remove(MODEL).unwrap();
        assert!(refused(&record, &data).starts_with("could not read"));
    }
}
