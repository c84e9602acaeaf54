//! The multilayer perceptron: linear layers, with one nonlinearity and dropout between them.
//!
//! ```text
//! h₀ = images;  hᵢ = dropout(activation(hᵢ₋₁ Wᵢᵀ + bᵢ));  logits = hₙ Wₙ₊₁ᵀ + bₙ₊₁
//! ```

use super::dropout::Dropout;
use super::linear::Linear;
use super::nonlinearity::Activation;
use super::sequential::{LayerError, Sequential};

/// The perceptron of these widths, from the input's pixels to the classes; `dropout` is the probability with which a
/// hidden unit is dropped in training.
///
/// # Panics
/// When there are fewer than two widths.
pub fn perceptron(widths: &[usize], activation: Activation, dropout: f64) -> Sequential {
    assert!(widths.len() >= 2, "a perceptron has an input and an output: {widths:?}");
    // Cannot fail: each layer takes the width that the one before gives.
    chained(widths, activation, dropout).expect("widths follow one another")
}

fn chained(widths: &[usize], activation: Activation, dropout: f64) -> Result<Sequential, LayerError> {
    let mut network = Sequential::new([widths[0]]);
    for (number, pair) in widths.windows(2).enumerate() {
        if number > 0 {
            network = network.with(activation)?;
            if dropout != 0.0 {
                network = network.with(Dropout(dropout))?;
            }
        }
        network = network.with(Linear { inputs: pair[0], outputs: pair[1], nonlinearity: activation })?;
    }
    Ok(network)
}

/// The network of a file, without dropout: from the names and shapes of its tensors, and from what `about` knows by the
/// keys of [`Model::metadata`](super::Model::metadata).
///
/// # Errors
/// What the file has or lacks, so that no network is known by it. Whether all parameters are there, and of the shapes
/// that go together, is left to who reads their values.
pub fn saved<'a>(
    tensors: impl IntoIterator<Item = (&'a str, &'a [usize])>,
    about: impl Fn(&str) -> Result<&'a String, String>,
) -> Result<Sequential, String> {
    let name = about("activation")?;
    let activation = name.parse().map_err(|_| format!("has the unknown activation {name:?}"))?;
    let number = |name: &str| name.strip_suffix(".weight")?.parse::<usize>().ok();
    let weights = tensors.into_iter().filter_map(|(name, shape)| Some((number(name)?, shape)));
    let mut weights: Vec<(usize, &[usize])> = weights.collect();
    weights.sort_unstable();
    let mut widths = Vec::new();
    for (number, shape) in weights {
        let &[outputs, inputs] = shape else {
            return Err(format!("has {number}.weight of shape {shape:?}, which is no matrix"));
        };
        if widths.is_empty() {
            widths.push(inputs);
        }
        widths.push(outputs);
    }
    match &widths[..] {
        [] => Err("lacks the tensor 0.weight".into()),
        widths if widths.contains(&0) => Err("has a layer of no units".into()),
        widths => Ok(perceptron(widths, activation, 0.0)),
    }
}
