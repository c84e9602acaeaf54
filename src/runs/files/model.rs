//! `model.safetensors`: a network as a run left it.

use std::collections::BTreeMap;
use std::path::Path;

use safetensors::tensor::TensorView;
use safetensors::{SafeTensorError, SafeTensors};

use super::sealed::{self, floats};
use crate::data::Normalisation;
use crate::files;
use crate::nn::{self, Model, Parameter, Sequential};
use crate::runs::RunFolder;
use crate::runs::reading::read;
use crate::train::TrainError;

/// The trained model's name in a run folder.
pub const MODEL: &str = "model.safetensors";

/// Writes `model.safetensors` in PyTorch's layout and naming.
///
/// # Errors
/// When it cannot be written.
pub fn write_model(
    folder: &RunFolder,
    model: &dyn Model,
    parameters: &[f32],
    normalisation: Normalisation,
) -> Result<(), TrainError> {
    let tensors = model.parameters().into_iter().map(|parameter| {
        let values = &parameters[parameter.range()];
        (parameter.name, parameter.shape.to_vec(), values)
    });
    let metadata = [
        ("format", "pt".into()),
        ("mean", normalisation.mean.to_string()),
        ("std", normalisation.std.to_string()),
    ];
    let metadata = metadata.into_iter().chain(model.metadata());
    folder.write(MODEL, &sealed::serialized(&folder.file(MODEL), tensors, metadata)?)
}

/// A network as a run left it.
#[derive(Clone, Debug)]
pub struct TrainedModel {
    /// The architecture; without dropout, which the file does not tell.
    pub model: Sequential,
    /// The flat parameters.
    pub parameters: Vec<f32>,
    /// What made bytes numbers in training.
    pub normalisation: Normalisation,
}

/// Reads a `model.safetensors`.
///
/// # Errors
/// When it cannot be read, or does not hold weights and biases that go together, and what else
/// [`write_model`] writes.
pub fn read_model(path: &Path) -> Result<TrainedModel, TrainError> {
    model_in(path, &read(path, files::tensors())?)
}

/// The model in the content of a file; the path is for messages.
pub(crate) fn model_in(path: &Path, bytes: &[u8]) -> Result<TrainedModel, TrainError> {
    let failed = |problem: String| TrainError::Content {
        path: path.into(),
        problem: format!("{problem}; name a {MODEL} as a run writes it"),
    };
    let damaged = |error: SafeTensorError| failed(format!("is damaged ({error})"));
    let tensors = SafeTensors::deserialize(bytes).map_err(damaged)?;
    let (_, header) = SafeTensors::read_metadata(bytes).map_err(damaged)?;
    sealed::check(bytes, header.metadata().as_ref()).map_err(|problem| TrainError::Content {
        path: path.into(),
        problem: format!("{problem}: put back the file that the run wrote, or train the network anew"),
    })?;
    let about = |key: &str| {
        let value = header.metadata().as_ref().and_then(|metadata| metadata.get(key));
        value.ok_or_else(|| format!("lacks {key} in its metadata"))
    };
    let number = |key: &str| {
        let value = about(key).map_err(failed)?;
        let number = value.parse::<f64>().ok().filter(|x| x.is_finite());
        number.ok_or_else(|| failed(format!("has {value:?} for the number {key} in its metadata")))
    };
    let normalisation = Normalisation { mean: number("mean")?, std: number("std")? };
    if normalisation.std <= 0.0 {
        return Err(failed(format!(
            "has the standard deviation {}, which is not positive",
            normalisation.std
        )));
    }
    let views: BTreeMap<String, TensorView<'_>> = tensors.tensors().into_iter().collect();
    let shapes = views.iter().map(|(name, view)| (&name[..], view.shape()));
    let model = nn::saved(shapes, about).map_err(failed)?;
    let mut parameters = Vec::new();
    for Parameter { name, shape, .. } in model.parameters() {
        let view = views.get(&name).ok_or_else(|| failed(format!("lacks the tensor {name}")))?;
        let values = floats(view, &shape);
        let values = values.map_err(|found| {
            failed(format!("has {name} as {found}, where its other tensors ask for F32 {:?}", shape.to_vec()))
        })?;
        parameters.extend(values);
    }
    let (found, layers) = (views.len(), model.outputs().len());
    if found != model.parameters().len() {
        return Err(failed(format!(
            "has {found} tensors, which are no weights and biases of {layers} layers"
        )));
    }
    Ok(TrainedModel { model, parameters, normalisation })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::Activation;

    const WIDTHS: [usize; 3] = [3, 4, 2];

    fn written(folder: &Path) -> (RunFolder, Sequential, Vec<f32>, Normalisation) {
        let folder = RunFolder::create(Some(&folder.join("run")), "").unwrap();
        let model = nn::perceptron(&WIDTHS, Activation::Tanh, 0.0);
        let (parameters, normalisation) =
            (model.initial_parameters(1), Normalisation { mean: 0.1, std: 0.3 });
        write_model(&folder, &model, &parameters, normalisation).unwrap();
        (folder, model, parameters, normalisation)
    }

    #[test]
    fn a_model_is_read_back_as_it_was_written() {
        let outer = tempfile::tempdir().unwrap();
        let (folder, model, parameters, normalisation) = written(outer.path());
        let read = read_model(&folder.file(MODEL)).unwrap();
        assert_eq!(read.model.describe(), model.describe());
        assert_eq!(read.model.parameters(), model.parameters());
        assert_eq!((read.parameters, read.normalisation), (parameters, normalisation));
    }

    #[test]
    fn a_model_that_does_not_hold_together_is_refused_with_what_is_wrong() {
        let outer = tempfile::tempdir().unwrap();
        let (folder, ..) = written(outer.path());
        let path = folder.file(MODEL);
        let whole = std::fs::read(&path).unwrap();
        // Of the same length, so that header and offsets stay whole.
        for (from, to, problem) in [
            ("tanh", "cosh", "unknown activation \"cosh\""),
            ("\"activation", "\"aktivation", "lacks activation"),
            ("0.weight", "9.weight", "lacks the tensor 0.weight"),
            ("2.bias", "4.bias", "lacks the tensor 2.bias"),
            ("[4,3]", "[3,4]", "has 0.bias as F32 [4], where its other tensors ask for F32 [3]"),
            ("[4,3]", "[12] ", "has 0.weight of shape [12], which is no matrix"),
            ("\"std\":\"0.3\"", "\"std\":\"0.0\"", "which is not positive"),
            ("\"mean\":\"0.1\"", "\"mean\":\"NaN\"", "has \"NaN\" for the number mean"),
        ] {
            let mut changed = whole.clone();
            let place = whole.windows(from.len()).position(|bytes| bytes == from.as_bytes()).unwrap();
            changed[place..][..from.len()].copy_from_slice(&to.as_bytes()[..from.len()]);
            std::fs::write(&path, &changed).unwrap();
            let error = read_model(&path).unwrap_err().to_string();
            assert!(error.contains("has changed since it was written"), "{error}");
            sealed::seal(&mut changed); // by whoever meant it
            std::fs::write(&path, changed).unwrap();
            let error = read_model(&path).unwrap_err().to_string();
            assert!(error.contains(problem) && error.contains("run/model.safetensors: "), "{error}");
        }
        for damaged in [&whole[..whole.len() - 1], &whole[..5], b""] {
            std::fs::write(&path, damaged).unwrap();
            let error = read_model(&path).unwrap_err().to_string();
            assert!(error.contains("is damaged"), "{error}");
        }
    }
}
