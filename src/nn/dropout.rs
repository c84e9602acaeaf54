//! Dropout: in training, units set to zero at random.

use serde_json::Value;

use super::layer::{Layer, Mode};
use crate::graph::Shape;
use crate::ops::Var;

/// Inverted dropout (Srivastava et al. 2014, section 10): in training each number is 0 with this probability, in [0, 1),
/// and the others are scaled so that the expectation stays; in inference nothing is done.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Dropout(pub f64);

impl Layer for Dropout {
    fn output(&self, input: &Shape) -> Result<Shape, String> {
        Ok(input.clone())
    }

    /// A probability that is none is the builder's mistake.
    fn forward<'g>(&self, x: Var<'g>, _: &[Var<'g>], mode: Mode) -> Var<'g> {
        if mode.training { x.dropout(self.0, mode.stream) } else { x }
    }

    fn module(&self) -> Option<Value> {
        None
    }

    fn draws(&self) -> bool {
        true
    }
}
