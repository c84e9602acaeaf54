//! Leaves: the inputs and the constants of a program.

use super::{At, Draw, Rule, Tensor, Var};
use crate::float::Float;
use crate::graph::Shape;

/// A number inside an operation. Compared by its bits, so that operations can be looked up.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Real(u64);

impl Real {
    /// The number.
    pub fn get(self) -> f64 {
        f64::from_bits(self.0)
    }
}

impl From<f64> for Real {
    fn from(x: f64) -> Self {
        Self(x.to_bits())
    }
}

impl std::fmt::Debug for Real {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.get().fmt(f)
    }
}

/// A node without operands.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Leaf {
    /// Values that come from outside: data, labels, parameters.
    Input(Shape),
    /// One number, known when the graph is built.
    Constant(Real),
}

impl Rule for Leaf {
    fn name(&self) -> &'static str {
        match self {
            Self::Input(_) => "input",
            Self::Constant(_) => "constant",
        }
    }

    fn arity(&self) -> usize {
        0
    }

    fn shape(&self, _: &[&Shape]) -> Result<Shape, String> {
        Ok(match self {
            Self::Input(shape) => shape.clone(),
            Self::Constant(_) => Shape::scalar(),
        })
    }

    fn jvp<'g>(&self, _: usize, _: Var<'g>, _: At<'_, 'g>) -> Option<Var<'g>> {
        None
    }

    fn evaluate<T: Float>(&self, _: &[Tensor<'_, T>], _: Draw, output: &mut [T]) {
        match self {
            Self::Input(_) => {} // the caller has put its values in place
            Self::Constant(value) => output.fill(T::of(value.get())),
        }
    }
}
