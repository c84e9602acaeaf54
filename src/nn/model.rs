//! What a trainer knows of a network.

use std::fmt::Debug;
use std::ops::Range;

use serde_json::Value;

use crate::graph::{NodeId, Shape};
use crate::ops::{Builder, Function, GraphError, Var};

/// A parameter, and where it lies in the flat buffer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Parameter {
    /// PyTorch's name in a `Sequential`: `0.weight`, `0.bias`, `2.weight`, ...
    pub name: String,
    /// (out, in) for the weights of a linear layer, (out) for its bias.
    pub shape: Shape,
    /// The first element's position in the flat buffer.
    pub offset: usize,
}

impl Parameter {
    /// The positions of its elements in the flat buffer.
    pub fn range(&self) -> Range<usize> {
        self.offset..self.offset + self.shape.size()
    }
}

/// A model as a function of a batch and its parameters, of which each layer's output is wanted.
pub type LayersFunction = Function<(NodeId, Vec<NodeId>), Vec<NodeId>>;

/// A network that classifies examples.
pub trait Model: Debug + Send + Sync {
    /// The shape of an example.
    fn input(&self) -> Shape;

    /// The shapes of what [`Self::forward`] gives, of one example.
    fn outputs(&self) -> Vec<Shape>;

    /// All parameters, one after the other.
    fn parameters(&self) -> Vec<Parameter>;

    /// Writes initial parameters. What a layer gets depends on the seed, its number and its shapes only.
    ///
    /// # Panics
    /// When the slice is not as long as the parameters are many.
    fn initialize(&self, seed: u64, flat: &mut [f32]);

    /// The outputs of a batch's layers that have parameters, before any activation, named `layer 1`, `layer 2`, ...; the
    /// last are the logits, (batch, classes). `images` are (batch, an example's shape...), and `parameters` in the
    /// order of [`Self::parameters`].
    ///
    /// # Panics
    /// When there are not as many parameters as the model has.
    fn forward<'g>(&self, images: Var<'g>, parameters: &[Var<'g>], training: bool) -> Vec<Var<'g>>;

    /// Its size in a word: `784-512-256-10`.
    fn outline(&self) -> String;

    /// What it is in a few words: `784-512-256-10, relu`.
    fn describe(&self) -> String;

    /// The modules of PyTorch's `Sequential`, as [`Layer::module`](super::Layer::module) gives them.
    fn modules(&self) -> Vec<Value>;

    /// What a file must hold beside names and shapes of the parameters, so that the model can be read back.
    fn metadata(&self) -> Vec<(&'static str, String)>;

    /// Whether another network is called and built as this one, but for what is done in training alone.
    fn is_like(&self, other: &dyn Model) -> bool {
        (self.describe(), self.modules()) == (other.describe(), other.modules())
    }

    /// The number of classes.
    fn classes(&self) -> usize {
        self.outputs().last().map_or(0, Shape::size)
    }

    /// The number of elements of all parameters.
    fn parameter_count(&self) -> usize {
        self.parameters().last().map_or(0, |last| last.range().end)
    }

    /// Initial parameters in the flat order.
    fn initial_parameters(&self, seed: u64) -> Vec<f32> {
        let mut flat = vec![0.0; self.parameter_count()];
        self.initialize(seed, &mut flat);
        flat
    }

    /// An input of a graph for each parameter, by its name.
    fn declare<'g>(&self, builder: &'g Builder) -> Vec<Var<'g>> {
        self.parameters()
            .into_iter()
            .map(|parameter| builder.input(&parameter.name, parameter.shape))
            .collect()
    }

    /// The model on a batch of this size, to be called with images and parameters.
    ///
    /// # Errors
    /// When the model does not hold together: a dropout probability outside [0, 1), say.
    fn function(&self, batch: usize, training: bool) -> Result<LayersFunction, GraphError> {
        let builder = Builder::new();
        let images = builder.input("images", [&[batch], &self.input()[..]].concat());
        let parameters = self.declare(&builder);
        let layers = self.forward(images, &parameters, training);
        builder.finish((images, parameters), layers)
    }
}

/// A model's flat parameters, or other numbers that there are of each, cut up.
///
/// # Panics
/// When there are fewer than the model has.
pub fn split<'a, T>(model: &dyn Model, flat: &'a [T]) -> Vec<&'a [T]> {
    model.parameters().into_iter().map(|parameter| &flat[parameter.range()]).collect()
}
