//! One step as a graph: the model, its loss, the adjoints, and the optimizer's update of every parameter, stored.
//!
//! ```text
//! J = 1/B Σ losses,   g = ∂J/∂θ by reverse mode,   (θ, state) ← rule(θ, g, state, scalars)
//! ```

use crate::autodiff::vjp;
use crate::exec::{Inputs, Outputs, Step};
use crate::graph::Shape;
use crate::nn::Model;
use crate::ops::{Builder, GraphError, Var};
use crate::optim::Optimizer;

/// Training on a batch: the outputs, and every parameter and its optimizer's state stored anew.
///
/// The objective is the mean of the losses. The scalars are [`Optimizer::scalars`].
///
/// # Errors
/// When the model does not hold together: a dropout probability outside [0, 1), say; or has a parameter that its logits do
/// not depend on.
pub fn training(model: &dyn Model, optimizer: &Optimizer, batch: usize) -> Result<Step, GraphError> {
    let builder = Builder::new();
    let (mut inputs, outputs) = forward(model, &builder, batch, true);
    inputs.scalars = optimizer.scalars().iter().map(|_| builder.input("scalar", [])).collect();
    let states = |_| inputs.parameters.iter().map(|theta| builder.input("state", theta.shape())).collect();
    inputs.state = (0..optimizer.states()).map(states).collect();
    let adjoints = vjp(outputs.losses.mean(), builder.constant(1.0), &inputs.parameters);
    for (number, &theta) in inputs.parameters.iter().enumerate() {
        let state: Vec<Var<'_>> = inputs.state.iter().map(|state| state[number]).collect();
        let (new_theta, new_state) = optimizer.write(&inputs.scalars, theta, adjoints.get(theta), &state);
        builder.store(new_theta, theta);
        new_state.into_iter().zip(state).for_each(|(new, old)| builder.store(new, old));
    }
    builder.finish(inputs, outputs)
}

/// A batch as the model has it, without dropout: the outputs alone.
///
/// # Errors
/// As [`training`].
pub fn evaluation(model: &dyn Model, batch: usize) -> Result<Step, GraphError> {
    let builder = Builder::new();
    let (inputs, outputs) = forward(model, &builder, batch, false);
    builder.finish(inputs, outputs)
}

/// The model on a batch, without scalars and state.
fn forward<'g>(
    model: &dyn Model,
    builder: &'g Builder,
    batch: usize,
    trains: bool,
) -> (Inputs<Var<'g>>, Outputs<Var<'g>>) {
    let shape: Vec<usize> = [batch].into_iter().chain(model.input().iter().copied()).collect();
    let examples = builder.input("images", Shape::from(shape));
    let labels = builder.input("labels", [batch]);
    let parameters = model.declare(builder);
    let layers = model.forward(examples, &parameters, trains);
    let logits = layers.last().copied().unwrap_or(examples);
    let losses = logits.softmax_cross_entropy(labels).named("losses");
    let inputs = Inputs { examples, labels, scalars: Vec::new(), parameters, state: Vec::new() };
    (inputs, Outputs { losses, logits })
}
