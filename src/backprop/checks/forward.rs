//! Forward mode beside reverse mode: for a direction Ẋ of a variable it gives ż, and ⟨X.g, Ẋ⟩ must be the same.

use super::deviation::{HIDDEN, direction, gradient, inner_product, size_of_product};
use super::found::Deviation;
use crate::autodiff::jvp;
use crate::backprop::Backprop;
use crate::exec::Interpreter;
use crate::ops::{Builder, Draw, Function, Graph};

/// Random directions of each variable.
pub(super) const DIRECTIONS: u64 = 3;

/// ⟨X.g, Ẋ⟩ beside ż, in several directions of a variable.
pub(super) fn forward_mode(found: &Backprop, graph: &Graph, position: usize) -> Option<Deviation> {
    let variable = &found.variables[position];
    let z = found.variables.last()?.node;
    let builder = Builder::extend(graph.clone());
    let var = builder.var(variable.node);
    let seed = builder.input("tangent", var.shape());
    let tangent = jvp(&[builder.var(z)], &[(var, seed)])[0];
    let inputs = found.variables.iter().filter(|variable| variable.is_input);
    let inputs: Vec<_> = inputs.map(|variable| builder.var(variable.node)).collect();
    // Every node has the shape of its value: no operation is refused.
    let Function { graph, inputs: (_, seed), outputs: tangent, .. } =
        builder.finish((inputs, seed), tangent?).ok()?;
    let mut values = Interpreter::<f64>::new(&graph);
    for input in found.variables.iter().filter(|variable| variable.is_input) {
        values.set(input.node, &input.value.values);
    }
    // Tangents share nodes with the gradients that stand in the graph already.
    values.run(0..seed.index(), Draw::default());
    let mut deviation = Deviation::NONE;
    for which in 0..DIRECTIONS {
        let direction = direction(position, which, variable.value.values.len());
        values.set(seed, &direction);
        values.run(seed.index() + 1..graph.len(), Draw::default());
        let error = (inner_product(gradient(variable), &direction) - values.get(tangent)[0]).abs();
        // Any entry may be wrong by the variable's rounding, and the inner product is a sum of its own.
        let length: f64 = direction.iter().map(|d| d.abs()).sum();
        let size = size_of_product(gradient(variable), &direction);
        let rounding =
            variable.rounding.gradient * length + variable.value.values.len() as f64 * f64::EPSILON * size;
        let is_hidden = rounding > HIDDEN * size || rounding.is_infinite();
        if is_hidden && error != 0.0 {
            return None;
        }
        deviation.add(error, rounding, size);
    }
    Some(deviation)
}
