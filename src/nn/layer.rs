//! What a layer must state.
//!
//! Everything that a network asks of a layer stands in this trait, so a new kind of layer is one file with one `impl`:
//! the trainer, checkpoints, PyTorch's counterpart and the report take it as it is. Shapes are of one example; in a
//! graph the batch comes before them.

use std::fmt::Debug;

use serde_json::Value;

use super::formula::LayerFormula;
use super::nonlinearity::Activation;
use crate::graph::Shape;
use crate::ops::Var;
use crate::random::ChaCha8Rng;

/// A parameter as its layer knows it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LayerParameter {
    /// PyTorch's name in the module: `weight`.
    pub name: &'static str,
    /// The letter in formulas, which the layer's number is added to: `W`.
    pub symbol: &'static str,
    /// PyTorch's shape: (out, in) for the weights of a linear layer.
    pub shape: Shape,
}

/// How a layer is to be computed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Mode {
    /// Whether for training, with what is drawn at random, or for inference.
    pub training: bool,
    /// Tells the random numbers of one layer that [draws](Layer::draws) from another's.
    pub stream: u32,
}

/// A part of a network.
///
/// It must say what it does with shapes ([`output`](Self::output)) and with handles ([`forward`](Self::forward)), and
/// what PyTorch calls it ([`module`](Self::module)). One with parameters also names them and gives them their first
/// values. The rest is for readers: each method says what a layer leaves out by not having it.
pub trait Layer: Debug + Send + Sync {
    /// The shape of an example's output for the shape of its input.
    ///
    /// # Errors
    /// What does not fit, and what would: `takes 784 numbers`.
    fn output(&self, input: &Shape) -> Result<Shape, String>;

    /// The nodes of a batch's output. `x` is (batch, an example's input...); `parameters` are in the order of
    /// [`Self::parameters`]. Mistakes stay with the builder, as in [`crate::ops`].
    fn forward<'g>(&self, x: Var<'g>, parameters: &[Var<'g>], mode: Mode) -> Var<'g>;

    /// Its module in PyTorch, the class in `torch.nn` and the arguments: `["Linear", 784, 512]`. Nothing, if inference
    /// leaves the layer out: then it takes no number in the `Sequential`, so that the names of parameters are those of
    /// the network that is saved.
    fn module(&self) -> Option<Value>;

    /// The parameters in PyTorch's order; none without this.
    fn parameters(&self) -> Vec<LayerParameter> {
        Vec::new()
    }

    /// Writes the parameters' first values, one slice for each, all 0 without this. The generator is the layer's own: it
    /// depends on the run's seed and the number of the layer among those with parameters.
    fn initialize(&self, _random: &mut ChaCha8Rng, parameters: Vec<&mut [f32]>) {
        parameters.into_iter().for_each(|values| values.fill(0.0));
    }

    /// Whether it draws random numbers in training; not without this.
    fn draws(&self) -> bool {
        false
    }

    /// Its part of `784-512-10`: `512`; none without this.
    fn outline(&self) -> Option<String> {
        None
    }

    /// The nonlinearity that it is, or that its first values are meant for. A network's description names it once.
    fn nonlinearity(&self) -> Option<Activation> {
        None
    }

    /// Its output for an input that is written `x`, where `number` is its place, from 1, among the layers with
    /// parameters; without this the input's formula, as for what inference leaves out.
    fn formula(&self, x: LayerFormula, _number: usize) -> LayerFormula {
        x
    }
}
