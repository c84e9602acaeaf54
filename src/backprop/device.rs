//! The same graph in float32 on a CUDA device, beside the float64 of the processor.

use super::{Backprop, BackpropError};
use crate::exec::cuda::{CudaError, Device, Launching, Products, evaluate};
use crate::graph::NodeId;
use crate::ops::Draw;

/// The unit of float32's rounding, 2⁻²⁴, to which differences are to be held.
pub const UNIT: f64 = f32::EPSILON as f64 / 2.0;

/// A variable in float32 beside float64.
#[derive(Clone, Debug)]
pub struct Line {
    /// The variable, by position in [`Backprop::variables`].
    pub variable: usize,
    /// The largest absolute difference of the values.
    pub value: f64,
    /// The largest absolute value, in float64.
    pub largest_value: f64,
    /// The largest absolute difference of the gradients; none for the data.
    pub gradient: Option<f64>,
    /// The largest absolute gradient, in float64.
    pub largest_gradient: f64,
}

/// What a device computed.
#[derive(Clone, Debug)]
pub struct Comparison {
    /// The device: `cuda:0, NVIDIA H100, compute capability 9.0`.
    pub device: String,
    /// One line for each variable, in their order.
    pub lines: Vec<Line>,
}

/// Runs the graph on a device, from the problem's numbers rounded to float32.
///
/// # Errors
/// When the device fails, or its memory does not suffice.
pub fn compare(found: &Backprop, device: &Device) -> Result<Comparison, BackpropError> {
    let name =
        format!("cuda:{}, {}, compute capability {}", device.ordinal(), device.name(), device.capability());
    let failed = |source: CudaError| BackpropError::Device { device: name.clone(), source };
    let inputs: Vec<(NodeId, Vec<f32>)> = found
        .variables
        .iter()
        .filter(|variable| variable.is_input)
        .map(|variable| (variable.node, variable.value.values.iter().map(|&x| x as f32).collect()))
        .collect();
    let inputs: Vec<(NodeId, &[f32])> = inputs.iter().map(|(node, values)| (*node, &values[..])).collect();
    let nodes: Vec<NodeId> = found
        .variables
        .iter()
        .flat_map(|variable| [Some(variable.node), variable.gradient_node])
        .flatten()
        .collect();
    let how = (Launching::Graph, Products::F32);
    let computed = evaluate(device, &found.graph, &inputs, &nodes, Draw::default(), how).map_err(failed)?;
    let of = |node: NodeId| -> Vec<f64> {
        let position = nodes.iter().position(|&other| other == node);
        position.map_or(Vec::new(), |position| computed[position].iter().map(|&x| x.into()).collect())
    };
    let line = |(position, variable): (usize, &super::Variable)| {
        let gradient = variable.gradient.as_ref().zip(variable.gradient_node);
        Line {
            variable: position,
            value: variable.value.distance(&of(variable.node)),
            largest_value: variable.value.largest(),
            gradient: gradient.map(|(gradient, node)| gradient.distance(&of(node))),
            largest_gradient: gradient.map_or(0.0, |(gradient, _)| gradient.largest()),
        }
    };
    Ok(Comparison { device: name.clone(), lines: found.variables.iter().enumerate().map(line).collect() })
}
