//! Where a loss stopped being finite, for the message that ends the run.

use crate::data::Gather;
use crate::exec::evaluate_with;
use crate::model::{Parameter, Perceptron};
use crate::ops::{Draw, GraphError};
use crate::train::engine::not_finite_parameter;

/// The place where the loss of a step stopped being finite, a parameter or a layer's output: the step is repeated, in
/// the plain form, from the flat parameters as they were. `indices` is its batch, `draw` has the number of updates
/// before it.
pub(in crate::train::engine) fn repeat_not_finite(
    model: &Perceptron,
    gather: &Gather<'_>,
    parameters: &[f32],
    indices: &[u32],
    draw: Draw,
) -> Result<String, GraphError> {
    if let Some(parameter) = not_finite_parameter(model, parameters) {
        return Ok(parameter);
    }
    let network = model.training(indices.len())?;
    let (mut images, mut labels) = (vec![0.0; indices.len() * model.widths[0]], vec![0.0; indices.len()]);
    gather.batch(draw.step, indices, &mut images, &mut labels);
    let flat = |parameter: Parameter| &parameters[parameter.offset..][..parameter.shape.size()];
    let values = model.parameters().into_iter().map(flat);
    let mut inputs = vec![(network.images, &images[..]), (network.labels, &labels)];
    inputs.extend(network.parameters.iter().copied().zip(values));
    // Temporaries share memory in a step, so the layers are outputs here, each in a place of its own.
    let values = evaluate_with(&network.graph, &inputs, &network.layers, draw);
    Ok(match values.iter().position(|layer| layer.iter().any(|x| !x.is_finite())) {
        Some(layer) => format!("the output of layer {}", layer + 1),
        None => "the loss".into(),
    })
}
