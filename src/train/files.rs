//! The files of a run folder that are written and read as a whole: configuration, model, checkpoint.

use std::path::Path;

use bytemuck::cast_slice;
use safetensors::{Dtype, SafeTensors};
use serde::de::IntoDeserializer;
use serde::{Deserialize, Serialize};
use toml::de::DeTable;

use super::engine::Snapshot;
use super::options::{Choices, OptimizerName, Options};
use super::{RunFolder, TrainError};
use crate::data::Normalisation;
use crate::model::Perceptron;
use crate::tensors;

/// `config.toml`: every option as it held, and under `[about]` what they led to.
#[derive(Serialize)]
struct Configuration<'a> {
    #[serde(flatten)]
    options: &'a Options,
    about: About,
}

/// What a reader wants to know of a run, and running it again does not need.
#[derive(Serialize)]
struct About {
    version: &'static str,
    /// The optimizer's update rule, constants put in.
    update_rule: String,
    network: String,
    parameters: usize,
    mean: f64,
    std: f64,
    platform: String,
    /// The CUDA device's name and capability.
    #[serde(skip_serializing_if = "Option::is_none")]
    card: Option<String>,
}

/// Writes `config.toml`.
///
/// # Errors
/// When it cannot be written.
pub fn write_configuration(
    folder: &RunFolder,
    options: &Options,
    model: &Perceptron,
    normalisation: Normalisation,
    card: Option<String>,
) -> Result<(), TrainError> {
    let about = About {
        version: env!("CARGO_PKG_VERSION"),
        update_rule: options.optimizer().formula(options.weight_decay),
        network: format!("{}, {}", model.widths_text(), model.activation.name()),
        parameters: model.parameter_count(),
        mean: normalisation.mean,
        std: normalisation.std,
        platform: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
        card,
    };
    let text = toml::to_string(&Configuration { options, about }).map_err(|error| TrainError::Content {
        path: folder.file("config.toml"),
        problem: error.to_string(),
    })?;
    let head = "# This run's options. Run it again: cotangent mnist --config config.toml\n\n";
    folder.write("config.toml", format!("{head}{text}").as_bytes())
}

/// Reads a configuration: one that a run wrote, or one by hand with any of its keys.
///
/// # Errors
/// When the file cannot be read, is no TOML, or has an unknown key or a value of the wrong kind.
pub fn read_configuration(path: &Path) -> Result<(Option<OptimizerName>, Choices), TrainError> {
    let text = std::fs::read_to_string(path).map_err(|source| TrainError::File {
        action: "read the configuration",
        path: path.into(),
        source,
    })?;
    let failed = |error: toml::de::Error| {
        let line = error.span().map(|span| text[..span.start].matches('\n').count() + 1);
        let line = line.map_or(String::new(), |line| format!("line {line}: "));
        let problem = format!("{line}{}", error.message().trim_end().replace('\n', "; "));
        TrainError::Content { path: path.into(), problem }
    };
    // The keys are taken apart with their places in the text, so that a mistake is named with its line.
    let mut table = DeTable::parse(&text).map_err(failed)?;
    table.get_mut().remove("about");
    let opt = table.get_mut().remove("opt");
    let opt = opt.map(|opt| OptimizerName::deserialize(opt.into_deserializer()));
    let opt = opt.transpose().map_err(failed)?;
    let choices = Choices::deserialize(toml::Deserializer::from(table)).map_err(failed)?;
    Ok((opt, choices))
}

/// Writes `model.safetensors` in PyTorch's layout and naming.
///
/// # Errors
/// When it cannot be written.
pub fn write_model(
    folder: &RunFolder,
    model: &Perceptron,
    parameters: &[f32],
    normalisation: Normalisation,
) -> Result<(), TrainError> {
    let tensors = model.parameters().into_iter().map(|parameter| {
        let values = &parameters[parameter.offset..parameter.offset + parameter.shape.size()];
        (parameter.name, parameter.shape.to_vec(), values)
    });
    let metadata = [
        ("format", "pt".into()),
        ("mean", normalisation.mean.to_string()),
        ("std", normalisation.std.to_string()),
        ("activation", model.activation.name().into()),
    ];
    write_tensors(folder, "model.safetensors", tensors, metadata)
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
        let bytes = std::fs::read(&path).map_err(|source| TrainError::File {
            action: "read",
            path: path.clone(),
            source,
        })?;
        let unreadable = |error: safetensors::SafeTensorError| {
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
            if view.dtype() != Dtype::F32 || view.shape() != [length] {
                let found = format!("{:?} {:?}", view.dtype(), view.shape());
                return Err(failed(format!(
                    "is another network's or optimizer's: {name} is {found}, and config.toml makes it \
                     F32 [{length}]; put back the config.toml or the checkpoint that belongs here"
                )));
            }
            // The file's bytes need not be aligned for f32.
            Ok(view.data().chunks_exact(4).map(bytemuck::pod_read_unaligned).collect())
        };
        Ok(Some(Self {
            epoch: number("epoch")? as usize,
            step: number("step")?,
            parameters: values("parameters", parameters)?,
            state: values("state", state)?,
        }))
    }

    /// Removes the checkpoint of a run that is complete.
    ///
    /// # Errors
    /// When it is there and cannot be removed.
    pub fn remove(folder: &RunFolder) -> Result<(), TrainError> {
        folder.remove(CHECKPOINT)
    }
}

fn write_tensors<'a>(
    folder: &RunFolder,
    name: &str,
    tensors: impl IntoIterator<Item = (String, Vec<usize>, &'a [f32])>,
    metadata: impl IntoIterator<Item = (&'static str, String)>,
) -> Result<(), TrainError> {
    let failed = |error: safetensors::SafeTensorError| TrainError::Content {
        path: folder.file(name),
        problem: error.to_string(),
    };
    let tensors = tensors.into_iter();
    let tensors = tensors.map(|(name, shape, values)| (name, Dtype::F32, shape, cast_slice(values)));
    folder.write(name, &tensors::serialize(tensors, metadata).map_err(failed)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistake_in_a_configuration_is_named_with_its_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mine.toml");
        let problem = |text: &str| {
            std::fs::write(&path, text).unwrap();
            let error = read_configuration(&path).unwrap_err().to_string();
            error.strip_prefix(&format!("{}: ", path.display())).unwrap().to_string()
        };
        let unknown = problem("seed = 1\n\nlearning-rate = 2\n");
        assert!(unknown.starts_with("line 3: unknown field `learning-rate`, expected"), "{unknown}");
        let kind = problem("seed = 1\nepochs = \"two\"\n");
        assert_eq!(kind, "line 2: invalid type: string \"two\", expected usize");
        let name = problem("# mine\nopt = \"sdg\"\n");
        assert!(name.starts_with("line 2: unknown variant `sdg`, expected one of"), "{name}");
        assert!(problem("lr = \n").starts_with("line 1: "), "{}", problem("lr = \n"));
        assert!(!problem("a = [1,\n\n").contains('\n'));
    }
}
