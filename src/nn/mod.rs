//! Networks, made of layers.
//!
//! A [`Layer`] is one file: the shapes it maps, its parameters and their first values, its handles on a graph, and how
//! text, formulas and PyTorch call it. [`Sequential`] puts layers one after the other; it is a [`Model`], which is all
//! that a trainer knows.
//!
//! All parameters of a model lie in one flat buffer, in PyTorch's order, layout (weights (out, in)) and naming, so that
//! they are saved and moved as one, and `torch.nn.Sequential(Linear, ReLU, Linear, ...)` takes them as they are.

mod activation;
mod dropout;
mod formula;
mod layer;
mod linear;
mod model;
mod nonlinearity;
mod perceptron;
mod sequential;

pub use dropout::Dropout;
pub use formula::LayerFormula;
pub use layer::{Layer, LayerParameter, Mode};
pub use linear::Linear;
pub use model::{LayersFunction, Model, Parameter, split};
pub use nonlinearity::Activation;
pub use perceptron::{perceptron, saved};
pub use sequential::{Equation, LayerError, Sequential};

#[cfg(test)]
mod tests;
