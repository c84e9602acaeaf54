//! Layers one after the other.

use std::sync::Arc;

use serde_json::Value;

use super::formula::LayerFormula;
use super::layer::{Layer, Mode};
use super::model::{Model, Parameter};
use super::nonlinearity::Activation;
use crate::graph::Shape;
use crate::ops::Var;
use crate::random::{Purpose, chacha};

/// Layers one after the other, as PyTorch's `Sequential` has them: each takes what the one before gives.
///
/// ```
/// use cotangent::nn::{Activation, Dropout, Linear, Model, Sequential};
///
/// let nonlinearity = Activation::Tanh;
/// let network = Sequential::new([144])
///     .with(Linear { inputs: 144, outputs: 16, nonlinearity })?
///     .with(nonlinearity)?
///     .with(Dropout(0.2))?
///     .with(Linear { inputs: 16, outputs: 3, nonlinearity })?;
/// assert_eq!(network.describe(), "144-16-3, tanh");
/// let names: Vec<String> = network.parameters().into_iter().map(|parameter| parameter.name).collect();
/// assert_eq!(names, ["0.weight", "0.bias", "2.weight", "2.bias"]);
/// # Ok::<(), cotangent::nn::LayerError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Sequential {
    input: Shape,
    stages: Vec<Stage>,
}

/// A layer, and the shape of its output.
#[derive(Clone, Debug)]
struct Stage {
    layer: Arc<dyn Layer>,
    output: Shape,
}

/// A layer that does not take what the one before gives.
#[derive(Clone, PartialEq, Debug, thiserror::Error)]
#[error("{layer} cannot come after an output of shape {input}: {problem}")]
pub struct LayerError {
    /// The layer.
    pub layer: String,
    /// An example's shape where it was to stand.
    pub input: Shape,
    /// What it takes.
    pub problem: String,
}

/// A layer with parameters, and what comes between it and the next, as a formula.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Equation {
    /// What is computed: `h1`; the last is `z`.
    pub name: LayerFormula,
    /// From what: `relu(h0 W1ᵀ + b1)`.
    pub value: LayerFormula,
    /// The parameters in it.
    pub parameters: Vec<(LayerFormula, Shape)>,
    /// The shape of an example that comes in.
    pub input: Shape,
}

impl Sequential {
    /// No layers yet, for examples of this shape.
    pub fn new(input: impl Into<Shape>) -> Self {
        Self { input: input.into(), stages: Vec::new() }
    }

    /// The same with one layer more at the end.
    ///
    /// # Errors
    /// When it does not take what comes out so far.
    pub fn with(mut self, layer: impl Layer + 'static) -> Result<Self, LayerError> {
        let input = self.output();
        match layer.output(input) {
            Ok(output) => {
                self.stages.push(Stage { layer: Arc::new(layer), output });
                Ok(self)
            }
            Err(problem) => Err(LayerError { layer: format!("{layer:?}"), input: input.clone(), problem }),
        }
    }

    /// The shape of an example's output.
    fn output(&self) -> &Shape {
        self.stages.last().map_or(&self.input, |stage| &stage.output)
    }

    fn layers(&self) -> impl Iterator<Item = &dyn Layer> {
        self.stages.iter().map(|stage| &*stage.layer)
    }

    /// The first nonlinearity that a layer has, or is meant for.
    pub fn nonlinearity(&self) -> Option<Activation> {
        self.layers().find_map(Layer::nonlinearity)
    }

    /// An equation for each layer with parameters, from `h0` to `z`.
    pub fn equations(&self) -> Vec<Equation> {
        let mut equations: Vec<Equation> = Vec::new();
        let (mut value, mut input) = (LayerFormula::symbol("h", 0), &self.input);
        for Stage { layer, output } in &self.stages {
            let own = layer.parameters();
            if !own.is_empty() {
                let number = equations.len() + 1;
                if number > 1 {
                    value = LayerFormula::symbol("h", number - 1);
                }
                value = layer.formula(value, number);
                equations.push(Equation {
                    name: LayerFormula::symbol("h", number),
                    value: value.clone(),
                    parameters: own
                        .into_iter()
                        .map(|p| (LayerFormula::symbol(p.symbol, number), p.shape))
                        .collect(),
                    input: input.clone(),
                });
            } else {
                value = layer.formula(value, equations.len());
                if let Some(last) = equations.last_mut() {
                    last.value = value.clone();
                }
            }
            input = output;
        }
        if let Some(last) = equations.last_mut() {
            last.name = LayerFormula { text: "z".into(), latex: "z".into() };
        }
        equations
    }
}

impl Model for Sequential {
    fn input(&self) -> Shape {
        self.input.clone()
    }

    fn outputs(&self) -> Vec<Shape> {
        let with_parameters = self.stages.iter().filter(|stage| !stage.layer.parameters().is_empty());
        let mut outputs: Vec<Shape> = with_parameters.map(|stage| stage.output.clone()).collect();
        outputs.pop();
        outputs.push(self.output().clone());
        outputs
    }

    fn parameters(&self) -> Vec<Parameter> {
        let mut parameters = Vec::new();
        let (mut module, mut offset) = (0_usize, 0_usize);
        for layer in self.layers() {
            for own in layer.parameters() {
                // No memory holds a network of which these counts are wrong; its description must not fail.
                let size = own.shape.iter().fold(1, |size: usize, &extent| size.saturating_mul(extent));
                let name = format!("{module}.{}", own.name);
                parameters.push(Parameter { name, shape: own.shape, offset });
                offset = offset.saturating_add(size);
            }
            module += usize::from(layer.module().is_some());
        }
        parameters
    }

    fn initialize(&self, seed: u64, mut flat: &mut [f32]) {
        assert_eq!(flat.len(), self.parameter_count());
        let mut number = 0;
        for layer in self.layers() {
            let mut values = Vec::new();
            for parameter in layer.parameters() {
                let (own, rest) = flat.split_at_mut(parameter.shape.size());
                values.push(own);
                flat = rest;
            }
            if !values.is_empty() {
                layer.initialize(&mut chacha(seed, Purpose::Weights, number), values);
                number += 1;
            }
        }
    }

    fn forward<'g>(&self, images: Var<'g>, parameters: &[Var<'g>], training: bool) -> Vec<Var<'g>> {
        let (mut x, mut rest, mut outputs, mut stream) = (images, parameters, Vec::new(), 0);
        for layer in self.layers() {
            let (own, others) = rest.split_at(layer.parameters().len());
            rest = others;
            x = layer.forward(x, own, Mode { training, stream });
            if !own.is_empty() {
                x = x.named(format!("layer {}", outputs.len() + 1));
                outputs.push(x);
            }
            stream += u32::from(layer.draws());
        }
        outputs.pop(); // layers without parameters may follow it
        outputs.push(x);
        outputs
    }

    fn outline(&self) -> String {
        let input = self.input.iter().map(usize::to_string).collect::<Vec<_>>().join("x");
        let layers = self.layers().filter_map(Layer::outline);
        std::iter::once(input).chain(layers).collect::<Vec<_>>().join("-")
    }

    fn describe(&self) -> String {
        let mut words = vec![self.outline()];
        for name in
            self.layers().filter_map(Layer::nonlinearity).map(|nonlinearity| nonlinearity.name().into())
        {
            if !words.contains(&name) {
                words.push(name);
            }
        }
        words.join(", ")
    }

    fn modules(&self) -> Vec<Value> {
        self.layers().filter_map(Layer::module).collect()
    }

    fn metadata(&self) -> Vec<(&'static str, String)> {
        self.nonlinearity()
            .map(|nonlinearity| ("activation", nonlinearity.name().into()))
            .into_iter()
            .collect()
    }
}
