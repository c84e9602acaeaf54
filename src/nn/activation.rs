//! A nonlinearity as a layer, elementwise.

use serde_json::{Value, json};

use super::formula::LayerFormula;
use super::layer::{Layer, Mode};
use super::nonlinearity::Activation;
use crate::graph::Shape;
use crate::ops::Var;

impl Layer for Activation {
    fn output(&self, input: &Shape) -> Result<Shape, String> {
        Ok(input.clone())
    }

    fn forward<'g>(&self, x: Var<'g>, _: &[Var<'g>], _: Mode) -> Var<'g> {
        match self {
            Self::Relu => x.relu(),
            Self::Tanh => x.tanh(),
            Self::Sigmoid => x.sigmoid(),
        }
    }

    fn module(&self) -> Option<Value> {
        Some(match self {
            Self::Relu => json!(["ReLU"]),
            Self::Tanh => json!(["Tanh"]),
            Self::Sigmoid => json!(["Sigmoid"]),
        })
    }

    fn nonlinearity(&self) -> Option<Activation> {
        Some(*self)
    }

    fn formula(&self, x: LayerFormula, _: usize) -> LayerFormula {
        LayerFormula {
            text: format!("{}({})", self.name(), x.text),
            latex: format!(r"\operatorname{{{}}}\left({}\right)", self.name(), x.latex),
        }
    }
}
