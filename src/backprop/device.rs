//! The same graph in float32 on a CUDA device, beside the float64 of the processor.

use super::{Backprop, BackpropError, Variable};
use crate::exec::cuda::{CudaError, CudaMode, Device};
use crate::ops::{Draw, Function};

/// The unit of float32's rounding, 2⁻²⁴, to which differences are to be held.
pub const UNIT: f64 = f32::EPSILON as f64 / 2.0;

/// A variable in float32 beside float64.
#[derive(Clone, Debug)]
pub struct DeviceLine {
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
pub struct DeviceComparison {
    /// The device: `cuda:0, NVIDIA H100, compute capability 9.0`.
    pub device: String,
    /// One line for each variable, in their order.
    pub lines: Vec<DeviceLine>,
}

/// Runs the graph on a device, from the problem's numbers rounded to float32.
///
/// # Errors
/// When the device fails, or its memory does not suffice.
pub fn compare(found: &Backprop, device: &Device) -> Result<DeviceComparison, BackpropError> {
    let name =
        format!("cuda:{}, {}, compute capability {}", device.ordinal(), device.name(), device.capability());
    let failed = |source: CudaError| BackpropError::Device { device: name.clone(), source };
    let given: Vec<&Variable> = found.variables.iter().filter(|variable| variable.is_input).collect();
    let function = Function {
        graph: found.graph.clone(),
        inputs: given.iter().map(|variable| variable.node).collect::<Vec<_>>(),
        outputs: found.variables.iter().map(|v| (v.node, v.gradient_node)).collect::<Vec<_>>(),
        stores: Vec::new(),
    };
    let single =
        |variable: &&Variable| -> Vec<f32> { variable.value.values.iter().map(|&x| x as f32).collect() };
    let inputs: Vec<Vec<f32>> = given.iter().map(single).collect();
    let inputs = inputs.iter().map(|values| &values[..]).collect();
    let computed = device.call(&function, inputs, Draw::default(), CudaMode::default()).map_err(failed)?;
    let double = |values: Vec<f32>| values.into_iter().map(f64::from).collect::<Vec<_>>();
    let line = |variable: usize, value: Vec<f32>, by_gradient: Option<Vec<f32>>| {
        let of = &found.variables[variable];
        let gradient = of.gradient.as_ref().zip(by_gradient);
        DeviceLine {
            variable,
            value: of.value.distance(&double(value)),
            largest_value: of.value.largest(),
            largest_gradient: gradient.as_ref().map_or(0.0, |(gradient, _)| gradient.largest()),
            gradient: gradient.map(|(gradient, values)| gradient.distance(&double(values))),
        }
    };
    let computed = computed.into_iter().enumerate();
    let lines = computed.map(|(variable, (value, gradient))| line(variable, value, gradient)).collect();
    Ok(DeviceComparison { device: name.clone(), lines })
}
