//! PyTorch's gradients of the same numbers, by a script that runs it and that this crate brings.

use std::path::Path;

use safetensors::{Dtype, SafeTensors};

use super::problem::largest;
use super::sensitivity::is_extreme;
use super::verdict::together;
use super::{Backprop, BackpropError, Matrix};
use crate::python::{Python, TorchError};

/// Reads a safetensors file, runs PyTorch's autograd in float64, writes one with values and gradients. Also what
/// made the values in `tests/golden`.
pub const SCRIPT: &str = include_str!("check_torch.py");

/// Above this part of a tensor's largest entry, rounding hides so much that nothing can be told.
const HIDDEN: f64 = 1e-9;

/// How far PyTorch's results are from ours.
#[derive(Clone, Debug)]
pub struct TorchComparison {
    /// PyTorch's version.
    pub version: String,
    /// One line for each variable, in their order.
    pub lines: Vec<TorchLine>,
}

/// A variable's values and gradients beside PyTorch's.
#[derive(Clone, Debug)]
pub struct TorchLine {
    /// The variable, by position in [`Backprop::variables`].
    pub variable: usize,
    /// The largest absolute difference of the values.
    pub value: f64,
    /// The largest absolute difference of the gradients; none for the data.
    pub gradient: Option<f64>,
    /// The largest absolute gradient, ours.
    pub largest: f64,
    /// Whether no difference is more than rounding explains; nothing where that may be much, and where a gradient differs by
    /// more but passes a relu whose pre-activation is 0 but for rounding, and may be on the other side of the kink there.
    pub agrees: Option<bool>,
}

impl TorchComparison {
    /// Whether all lines agree; nothing if that could not be told of one.
    pub fn agrees(&self) -> Option<bool> {
        together(self.lines.iter().map(|line| line.agrees))
    }

    /// The largest absolute difference of a gradient.
    pub fn largest(&self) -> f64 {
        largest(self.lines.iter().filter_map(|line| line.gradient))
    }
}

/// Runs PyTorch on the problem's numbers, by the Python of this name or path, and compares.
///
/// # Errors
/// When there is no such Python, or it has no PyTorch, each with what to do; when the script fails.
pub fn compare(found: &Backprop, python: &Path) -> Result<TorchComparison, BackpropError> {
    let python = Python::new(python)?;
    let (input, output) = (python.file("in.safetensors"), python.file("out.safetensors"));
    let tensors = found.tensors().map_err(|error| BackpropError::Numbers(error.to_string()))?;
    std::fs::write(&input, tensors).map_err(|source| TorchError::File { path: input.clone(), source })?;
    let mut child = python.start(python.command(SCRIPT)?.args([&input, &output]))?;
    python.ended(child.wait().map_err(|error| python.lost(error))?)?;
    let bytes = std::fs::read(&output).map_err(|error| python.silent(error.to_string()))?;
    read(found, &bytes)
}

/// Compares with the results in a file that the script wrote.
///
/// # Errors
/// When the file is damaged or does not hold the same variables in the same shapes.
pub fn read(found: &Backprop, bytes: &[u8]) -> Result<TorchComparison, BackpropError> {
    let failed = |problem: String| BackpropError::Torch(TorchError::Results(problem));
    let file = SafeTensors::deserialize(bytes).map_err(|error| failed(error.to_string()))?;
    let (_, header) = SafeTensors::read_metadata(bytes).map_err(|error| failed(error.to_string()))?;
    let version = header.metadata().as_ref().and_then(|metadata| metadata.get("torch").cloned());
    let values = |name: &str, shape: &[usize]| -> Result<Vec<f64>, BackpropError> {
        let view = file.tensor(name).map_err(|error| failed(format!("{name}: {error}")))?;
        if view.dtype() != Dtype::F64 || view.shape() != shape {
            return Err(failed(format!(
                "{name} is {:?} {:?}, where F64 {shape:?} was asked for",
                view.dtype(),
                view.shape()
            )));
        }
        Ok(view.data().chunks_exact(8).map(bytemuck::pod_read_unaligned).collect())
    };
    let is_extreme = is_extreme(&found.variables);
    let line = |(position, variable): (usize, &super::Variable)| {
        let shape = &found.graph[variable.node].shape;
        let values_of = |suffix: &str| values(&format!("{}.{suffix}", variable.name), shape);
        let judged = |ours: &Matrix, difference: f64, rounding: f64, is_excused: bool| {
            let hidden = !rounding.is_finite() || rounding > HIDDEN * ours.largest();
            // Written so that NaN is no agreement.
            match difference <= rounding && !hidden || difference <= 1e-13 * ours.largest() {
                true => Some(true),
                false if difference.is_nan() => Some(false),
                false if is_extreme || is_excused || (hidden && difference <= rounding) => None,
                false => Some(false),
            }
        };
        let value = variable.value.distance(&values_of("v")?);
        let (mut gradient, mut of_gradient) = (None, Some(true));
        if let Some(ours) = &variable.gradient {
            let difference = ours.distance(&values_of("g")?);
            let is_excused = found.passes_near_kink(variable);
            (gradient, of_gradient) =
                (Some(difference), judged(ours, difference, variable.rounding.gradient, is_excused));
        }
        let of_value = judged(&variable.value, value, variable.rounding.value, false);
        let agrees = together([of_value, of_gradient]);
        let largest = variable.gradient.as_ref().map_or(0.0, |gradient| gradient.largest());
        Ok(TorchLine { variable: position, value, gradient, largest, agrees })
    };
    let lines: Result<Vec<TorchLine>, BackpropError> = found.variables.iter().enumerate().map(line).collect();
    Ok(TorchComparison { version: version.unwrap_or_else(|| "of unknown version".into()), lines: lines? })
}
