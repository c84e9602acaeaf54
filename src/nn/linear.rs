//! A linear layer: x Wᵀ + b.

use serde_json::{Value, json};

use super::formula::LayerFormula;
use super::layer::{Layer, LayerParameter, Mode};
use super::nonlinearity::Activation;
use crate::graph::Shape;
use crate::ops::Var;
use crate::random::{ChaCha8Rng, standard_normal};

/// x Wᵀ + b, where x is (batch, inputs), W (outputs, inputs) and b (outputs).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Linear {
    /// Numbers of an example that come in.
    pub inputs: usize,
    /// Numbers that go out.
    pub outputs: usize,
    /// What the initial weights are meant for: see [`Activation::initial_deviation`].
    pub nonlinearity: Activation,
}

impl Layer for Linear {
    fn output(&self, input: &Shape) -> Result<Shape, String> {
        match input[..] {
            [inputs] if inputs == self.inputs => Ok([self.outputs].into()),
            _ => Err(format!("it takes rows of {} numbers", self.inputs)),
        }
    }

    fn forward<'g>(&self, x: Var<'g>, parameters: &[Var<'g>], _: Mode) -> Var<'g> {
        x.matmul_nt(parameters[0]) + parameters[1]
    }

    fn module(&self) -> Option<Value> {
        Some(json!(["Linear", self.inputs, self.outputs]))
    }

    fn parameters(&self) -> Vec<LayerParameter> {
        vec![
            LayerParameter { name: "weight", symbol: "W", shape: [self.outputs, self.inputs].into() },
            LayerParameter { name: "bias", symbol: "b", shape: [self.outputs].into() },
        ]
    }

    /// Normal weights, biases 0.
    fn initialize(&self, random: &mut ChaCha8Rng, mut parameters: Vec<&mut [f32]>) {
        let deviation = self.nonlinearity.initial_deviation(self.inputs, self.outputs);
        parameters[0].fill_with(|| (deviation * standard_normal(random)) as f32);
        parameters[1].fill(0.0);
    }

    fn outline(&self) -> Option<String> {
        Some(self.outputs.to_string())
    }

    fn nonlinearity(&self) -> Option<Activation> {
        Some(self.nonlinearity)
    }

    fn formula(&self, x: LayerFormula, number: usize) -> LayerFormula {
        let (w, b) = (LayerFormula::symbol("W", number), LayerFormula::symbol("b", number));
        LayerFormula {
            text: format!("{} {}ᵀ + {}", x.text, w.text, b.text),
            latex: format!(r"{} {}^{{\mathsf{{T}}}} + {}", x.latex, w.latex, b.latex),
        }
    }
}
