//! `model.safetensors` and `checkpoint.safetensors`: the numbers of a network.

use std::collections::BTreeMap;
use std::path::Path;

use bytemuck::cast_slice;
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensorError, SafeTensors};

use crate::data::Normalisation;
use crate::nn::{self, Model, Parameter, Sequential};
use crate::runs::RunFolder;
use crate::runs::reading::read;
use crate::tensors;
use crate::train::TrainError;
use crate::train::engine::Snapshot;

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
    write_tensors(folder, MODEL, tensors, metadata.into_iter().chain(model.metadata()))
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
    model_in(path, &read(path)?)
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

/// A tensor's numbers, if they are float32 and of this shape; otherwise what it is.
fn floats(view: &TensorView<'_>, shape: &[usize]) -> Result<Vec<f32>, String> {
    if view.dtype() != Dtype::F32 || view.shape() != shape {
        return Err(format!("{:?} {:?}", view.dtype(), view.shape()));
    }
    // The file's bytes need not be aligned for f32.
    Ok(view.data().chunks_exact(4).map(bytemuck::pod_read_unaligned).collect())
}

/// The checkpoint's name in a run folder.
pub const CHECKPOINT: &str = "checkpoint.safetensors";

/// Where a run stands at the end of an epoch: all it needs to go on as if never interrupted.
pub struct Checkpoint {
    /// Epochs done.
    pub epoch: usize,
    /// Updates done.
    pub step: u64,
    /// The flat parameters.
    pub parameters: Vec<f32>,
    /// The optimizer's state.
    pub state: Vec<f32>,
}

impl Checkpoint {
    /// Writes `checkpoint.safetensors`.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(folder: &RunFolder, network: Snapshot<'_>, epoch: usize) -> Result<(), TrainError> {
        let tensors = [("parameters", network.parameters), ("state", network.state)]
            .map(|(name, values)| (name.to_string(), vec![values.len()], values));
        let metadata = [("epoch", epoch.to_string()), ("step", network.step.to_string())];
        write_tensors(folder, CHECKPOINT, tensors, metadata)
    }

    /// Reads the checkpoint of a folder; nothing where there is none.
    ///
    /// # Errors
    /// When it cannot be read, or does not hold what this network and optimizer need.
    pub fn read(folder: &RunFolder, parameters: usize, state: usize) -> Result<Option<Self>, TrainError> {
        let path = folder.file(CHECKPOINT);
        if !path.exists() {
            return Ok(None);
        }
        let failed = |problem: String| TrainError::Content { path: path.clone(), problem };
        let bytes = read(&path)?;
        let unreadable = |error: SafeTensorError| {
            failed(format!("is damaged ({error}): remove it to begin the run anew with --resume"))
        };
        let tensors = SafeTensors::deserialize(&bytes).map_err(unreadable)?;
        let (_, header) = SafeTensors::read_metadata(&bytes).map_err(unreadable)?;
        let number = |key: &str| {
            let value =
                header.metadata().as_ref().and_then(|metadata| metadata.get(key)?.parse::<u64>().ok());
            value.ok_or_else(|| {
                failed(format!("lacks the number {key}: remove it to begin the run anew with --resume"))
            })
        };
        let values = |name: &str, length: usize| {
            let view = tensors.tensor(name).map_err(unreadable)?;
            floats(&view, &[length]).map_err(|found| {
                failed(format!(
                    "is another network's or optimizer's: {name} is {found}, and config.toml makes it \
                     F32 [{length}]; put back the config.toml or the checkpoint that belongs here"
                ))
            })
        };
        Ok(Some(Self {
            epoch: number("epoch")? as usize,
            step: number("step")?,
            parameters: values("parameters", parameters)?,
            state: values("state", state)?,
        }))
    }
}

fn write_tensors<'a>(
    folder: &RunFolder,
    name: &str,
    tensors: impl IntoIterator<Item = (String, Vec<usize>, &'a [f32])>,
    metadata: impl IntoIterator<Item = (&'static str, String)>,
) -> Result<(), TrainError> {
    let failed =
        |error: SafeTensorError| TrainError::Content { path: folder.file(name), problem: error.to_string() };
    let tensors = tensors.into_iter();
    let tensors = tensors.map(|(name, shape, values)| (name, Dtype::F32, shape, cast_slice(values)));
    folder.write(name, &tensors::serialize(tensors, metadata).map_err(failed)?)
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
