//! The multilayer perceptron, built on a graph.
//!
//! ```text
//! h₀ = images;  hᵢ = dropout(activation(hᵢ₋₁ Wᵢᵀ + bᵢ));  logits = hₙ Wₙ₊₁ᵀ + bₙ₊₁
//! ```
//!
//! All parameters lie in one flat buffer, in PyTorch's order, layout ([out, in]) and naming, so that
//! they are saved and moved as one and `torch.nn.Sequential(Linear, ReLU, Linear, ...)` takes them as they are.

use crate::autodiff::vjp;
use crate::graph::{NodeId, Shape};
use crate::names::named;
use crate::ops::{Builder, Graph, GraphError, Var};
use crate::random::{self, Purpose};

/// The nonlinearity between layers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "the names are the field's")]
pub enum Activation {
    Relu,
    Tanh,
    Sigmoid,
}

named! {
    Activation { Relu = "relu", Tanh = "tanh", Sigmoid = "sigmoid" }
    instead of {
        "logistic" => "that is called sigmoid here",
        "none" | "linear" | "identity" => "layers without a nonlinearity are one layer: use --hidden none",
    }
}

impl Activation {
    fn apply(self, x: Var<'_>) -> Var<'_> {
        match self {
            Self::Relu => x.relu(),
            Self::Tanh => x.tanh(),
            Self::Sigmoid => x.sigmoid(),
        }
    }

    /// The standard deviation of initial weights: He et al. 2015 (equation 10) for ReLU, which halves
    /// the variance; Glorot and Bengio 2010 (equation 12) for the others.
    fn initial_deviation(self, inputs: usize, outputs: usize) -> f64 {
        match self {
            Self::Relu => (2.0 / inputs as f64).sqrt(),
            Self::Tanh | Self::Sigmoid => (2.0 / (inputs + outputs) as f64).sqrt(),
        }
    }
}

/// A weight matrix or a bias, and where it lies in the flat buffer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Parameter {
    /// PyTorch's name in a `Sequential`: `0.weight`, `0.bias`, `2.weight`, ...
    pub name: String,
    /// (out, in) for a weight, (out) for a bias.
    pub shape: Shape,
    /// The first element's position in the flat buffer.
    pub offset: usize,
}

/// A perceptron's architecture.
#[derive(Clone, PartialEq, Debug)]
pub struct Perceptron {
    /// The widths from the input's pixels to the classes: at least two.
    pub widths: Vec<usize>,
    /// Between layers.
    pub activation: Activation,
    /// The probability with which a hidden unit is dropped in training.
    pub dropout: f64,
}

/// How a network takes images and weights.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Form {
    /// Normalised images, and weights (out, in), as PyTorch has them.
    Plain,
    /// What executors that leave out zeros want: of images, normalised, how far each pixel is from the
    /// background, which is 0 for most; and weights (in, out), so that each input's lie side by side. The values
    /// and gradients are the same but for rounding, the gradients of weights transposed:
    ///
    /// ```text
    /// (D + β 1 1ᵀ) Wᵀ + 1 bᵀ = D Wᵀ + 1 (β W 1 + b)ᵀ
    /// ```
    ///
    /// where β, the background, is an input of its own: the value of byte 0. Images of another background, negatives
    /// say, have few zeros then, and are trained on more slowly.
    Deviations,
}

/// The graph of a perceptron on one batch, and the nodes that a trainer needs.
#[derive(Clone, Debug)]
pub struct Network {
    /// All nodes.
    pub graph: Graph,
    /// Input: (batch, pixels), normalised, or deviations of such, as the form says.
    pub images: NodeId,
    /// Input: (batch), class numbers.
    pub labels: NodeId,
    /// Input, where images are deviations: a scalar, what they deviate from.
    pub background: Option<NodeId>,
    /// Inputs, in the order of [`Perceptron::parameters`].
    pub parameters: Vec<NodeId>,
    /// Each layer's value before its activation, (batch, width); the last are the logits.
    pub layers: Vec<NodeId>,
    /// Softmax cross-entropy of each row, (batch).
    pub losses: NodeId,
    /// The gradients of the mean loss, in the order of the parameters; empty without training.
    pub gradients: Vec<NodeId>,
}

impl Form {
    /// A parameter's shape.
    fn shape(self, plain: Shape) -> Shape {
        match (self, &plain[..]) {
            (Self::Deviations, &[outputs, inputs]) => Shape::from([inputs, outputs]),
            _ => plain,
        }
    }
}

impl Network {
    /// The last layer's output, (batch, classes).
    pub fn logits(&self) -> NodeId {
        self.layers[self.layers.len() - 1]
    }
}

/// Writes `to` (rows, columns), the transpose of `from`, in squares that fit the first-level cache.
fn transpose(from: &[f32], to: &mut [f32], rows: usize, columns: usize) {
    const SIDE: usize = 32;
    for (row, column) in
        (0..rows).step_by(SIDE).flat_map(|row| (0..columns).step_by(SIDE).map(move |column| (row, column)))
    {
        for i in row..rows.min(row + SIDE) {
            for j in column..columns.min(column + SIDE) {
                to[i * columns + j] = from[j * rows + i];
            }
        }
    }
}

impl Perceptron {
    /// The widths as people write them: `784-512-256-10`.
    pub fn widths_text(&self) -> String {
        self.widths.iter().map(usize::to_string).collect::<Vec<_>>().join("-")
    }

    /// Weights and biases, layer by layer.
    pub fn parameters(&self) -> Vec<Parameter> {
        let mut parameters = Vec::new();
        let mut offset = 0;
        for (layer, pair) in self.widths.windows(2).enumerate() {
            // Every second module of the Sequential is an activation, without parameters.
            for (kind, shape) in
                [("weight", Shape::from([pair[1], pair[0]])), ("bias", Shape::from([pair[1]]))]
            {
                let size = shape.size();
                parameters.push(Parameter { name: format!("{}.{kind}", 2 * layer), shape, offset });
                offset += size;
            }
        }
        parameters
    }

    /// The number of weights and biases.
    pub fn parameter_count(&self) -> usize {
        self.widths.windows(2).map(|pair| pair[1] * (pair[0] + 1)).sum()
    }

    /// Copies flat parameters, or numbers of state for each, between the forms: to weights (in, out) if
    /// `to_deviations`, else to weights (out, in).
    ///
    /// # Panics
    /// When either slice is not as long as the parameters are many.
    pub fn transpose(&self, from: &[f32], to: &mut [f32], to_deviations: bool) {
        assert!(from.len() == self.parameter_count() && to.len() == from.len());
        for Parameter { shape, offset, .. } in self.parameters() {
            let place = offset..offset + shape.size();
            let (from, to) = (&from[place.clone()], &mut to[place]);
            match shape[..] {
                [outputs, inputs] if to_deviations => transpose(from, to, inputs, outputs),
                [outputs, inputs] => transpose(from, to, outputs, inputs),
                _ => to.copy_from_slice(from),
            }
        }
    }

    /// Initial parameters in the flat order: normal weights, biases 0. A layer's weights depend on the
    /// seed, its number and its shape only.
    pub fn initial_parameters(&self, seed: u64) -> Vec<f32> {
        let mut flat = vec![0.0; self.parameter_count()];
        self.initialize(seed, &mut flat);
        flat
    }

    /// Writes the [`Self::initial_parameters`] where they are to stand.
    ///
    /// # Panics
    /// When the slice is not as long as the parameters are many.
    pub fn initialize(&self, seed: u64, mut flat: &mut [f32]) {
        assert_eq!(flat.len(), self.parameter_count());
        for (layer, pair) in self.widths.windows(2).enumerate() {
            let deviation = self.activation.initial_deviation(pair[0], pair[1]);
            let mut rng = random::chacha(seed, Purpose::Weights, layer as u64);
            let (weights, rest) = flat.split_at_mut(pair[0] * pair[1]);
            let (bias, rest) = rest.split_at_mut(pair[1]);
            weights.fill_with(|| (deviation * random::standard_normal(&mut rng)) as f32);
            bias.fill(0.0);
            flat = rest;
        }
    }

    /// The graph that computes losses and, by reverse mode, the gradients of their mean.
    ///
    /// # Errors
    /// When the architecture does not hold together: a dropout probability outside [0, 1), say.
    pub fn training(&self, batch: usize) -> Result<Network, GraphError> {
        self.network(batch, Form::Plain, true)
    }

    /// The graph that computes losses only, without dropout.
    ///
    /// # Errors
    /// As [`Self::training`].
    pub fn inference(&self, batch: usize) -> Result<Network, GraphError> {
        self.network(batch, Form::Plain, false)
    }

    /// Either graph, in either form.
    ///
    /// # Errors
    /// As [`Self::training`].
    pub fn network(&self, batch: usize, form: Form, training: bool) -> Result<Network, GraphError> {
        let builder = Builder::new();
        let images = builder.input("images", [batch, self.widths[0]]);
        let labels = builder.input("labels", [batch]);
        let background = (form == Form::Deviations).then(|| builder.input("background", []));
        let parameters: Vec<Var<'_>> =
            self.parameters().into_iter().map(|p| builder.input(&p.name, form.shape(p.shape))).collect();
        let (mut hidden, mut layers) = (images, Vec::new());
        let count = parameters.len() / 2;
        for (layer, pair) in parameters.chunks_exact(2).enumerate() {
            let (weights, bias) = (pair[0], pair[1]);
            let output = match form {
                Form::Plain => hidden.matmul_nt(weights) + bias,
                Form::Deviations => match background.filter(|_| layer == 0) {
                    Some(background) => hidden.matmul(weights) + (weights.sum_axes(&[0]) * background + bias),
                    None => hidden.matmul(weights) + bias,
                },
            };
            let output = output.named(format!("layer {}", layer + 1));
            layers.push(output);
            if layer + 1 < count {
                hidden = self.activation.apply(output);
                if training && self.dropout != 0.0 {
                    hidden = hidden.dropout(self.dropout, layer as u32);
                }
            } else {
                hidden = output;
            }
        }
        let losses = hidden.softmax_cross_entropy(labels).named("losses");
        let mut gradients = Vec::new();
        if training {
            let adjoints = vjp(losses.mean(), builder.constant(1.0), &parameters);
            gradients = parameters.iter().filter_map(|&parameter| adjoints.of(parameter)?.id()).collect();
        }
        // A node without a number follows a mistake, which `finish` reports first.
        let id = |var: Var<'_>| var.id();
        let ids = |vars: &[Var<'_>]| vars.iter().filter_map(|var| var.id()).collect::<Vec<_>>();
        let found = (id(images), id(labels), id(losses), ids(&parameters), ids(&layers));
        let background = background.and_then(id);
        let graph = builder.finish()?;
        let (Some(images), Some(labels), Some(losses), parameters, layers) = found else {
            unreachable!("a graph without a mistake has all its nodes")
        };
        Ok(Network { graph, images, labels, background, parameters, layers, losses, gradients })
    }
}
