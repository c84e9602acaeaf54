//! The nonlinearities, by name.

use crate::names::named;

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
    /// The standard deviation of the initial weights of a layer with so many inputs and outputs a unit: He et al. 2015
    /// (equation 10) for ReLU, which halves the variance; Glorot and Bengio 2010 (equation 12) for the others.
    pub fn initial_deviation(self, inputs: usize, outputs: usize) -> f64 {
        match self {
            Self::Relu => (2.0 / inputs as f64).sqrt(),
            Self::Tanh | Self::Sigmoid => (2.0 / (inputs + outputs) as f64).sqrt(),
        }
    }
}
