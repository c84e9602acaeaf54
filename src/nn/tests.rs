//! Names, shapes, first values, forward pass and descriptions of networks.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::*;
use crate::graph::Shape;
use crate::ops::{Builder, Op, Var};
use crate::random::{ChaCha8Rng, Rng};

#[test]
fn parameters_lie_one_after_the_other_in_pytorchs_order_layout_and_naming() {
    for dropout in [0.0, 0.3] {
        let model = perceptron(&[5, 4, 3, 2], Activation::Relu, dropout);
        let found: Vec<(String, Vec<usize>, usize)> =
            model.parameters().into_iter().map(|p| (p.name, p.shape.to_vec(), p.offset)).collect();
        let expected = [
            ("0.weight", vec![4, 5], 0),
            ("0.bias", vec![4], 20),
            ("2.weight", vec![3, 4], 24),
            ("2.bias", vec![3], 36),
            ("4.weight", vec![2, 3], 39),
            ("4.bias", vec![2], 45),
        ];
        assert_eq!(found, expected.map(|(name, shape, offset)| (name.to_string(), shape, offset)));
        assert_eq!((model.parameter_count(), model.classes()), (47, 2));
        let flat: Vec<usize> = (0..47).collect();
        assert_eq!(split(&model, &flat)[3], [36, 37, 38]);

        let function = model.function(3, true).unwrap();
        let (images, nodes) = function.inputs;
        assert_eq!(function.graph[images].shape, Shape::from([3, 5]));
        assert_eq!(nodes.len(), 6);
        for (parameter, node) in model.parameters().iter().zip(nodes) {
            assert_eq!(function.graph.name(node), Some(&parameter.name[..]));
            assert_eq!(function.graph[node].shape, parameter.shape);
        }
        let layers = function.outputs.iter().map(|&layer| function.graph.name(layer).unwrap());
        assert_eq!(layers.collect::<Vec<_>>(), ["layer 1", "layer 2", "layer 3"]);
        for (&layer, shape) in function.outputs.iter().zip(model.outputs()) {
            assert_eq!(function.graph[layer].shape, Shape::from([3, shape[0]]));
        }
    }
}

#[test]
fn initial_weights_have_the_stated_deviation_and_biases_are_zero() {
    for (activation, variance) in [
        (Activation::Relu, [2.0 / 300.0, 2.0 / 200.0]),
        (Activation::Tanh, [2.0 / 500.0, 2.0 / 300.0]),
        (Activation::Sigmoid, [2.0 / 500.0, 2.0 / 300.0]),
    ] {
        let model = perceptron(&[300, 200, 100], activation, 0.0);
        let flat = model.initial_parameters(42);
        assert_eq!(flat, model.initial_parameters(42));
        assert_ne!(flat, model.initial_parameters(43));
        for (pair, variance) in split(&model, &flat).chunks(2).zip(variance) {
            let values = pair[0].iter().map(|&x| f64::from(x));
            let count = pair[0].len() as f64;
            let mean = values.clone().sum::<f64>() / count;
            let found = values.map(|x| (x - mean) * (x - mean)).sum::<f64>() / count;
            // Five standard errors: of a mean σ/√n, of a variance σ²√(2/n).
            assert!(mean.abs() <= 5.0 * (variance / count).sqrt(), "{activation:?}: mean {mean}");
            let tolerance = 5.0 * variance * (2.0 / count).sqrt();
            assert!(
                (found - variance).abs() <= tolerance,
                "{activation:?}: variance {found}, not {variance}"
            );
            assert!(pair[1].iter().all(|&x| x == 0.0), "{activation:?}");
        }
    }
}

/// Published results name their seed: these bits are for ever.
#[test]
fn a_seed_gives_the_same_initial_bits_for_ever() {
    for (widths, activation, expected) in [
        (
            &[5, 4, 3, 2][..],
            Activation::Relu,
            [(0, 0xbe934970), (1, 0x3f9d49b4), (24, 0xbf9dd292), (39, 0x3fb77882)],
        ),
        (
            &[5, 4, 3, 2],
            Activation::Tanh,
            [(0, 0xbe5b8ff2), (19, 0x3f8f929e), (24, 0xbf6e9af2), (39, 0x3f8e1da6)],
        ),
        (&[4, 3], Activation::Sigmoid, [(0, 0xbe78f5d2), (1, 0x3f84eebb), (11, 0xbde5af9d), (12, 0)]),
        (&[4, 3], Activation::Relu, [(0, 0xbea4abf5), (1, 0x3fafda6d), (11, 0xbe17ec4a), (12, 0)]),
    ] {
        for dropout in [0.0, 0.3] {
            let flat = perceptron(widths, activation, dropout).initial_parameters(7);
            for (position, bits) in expected {
                assert_eq!(flat[position].to_bits(), bits, "{widths:?}, {activation:?}, {position}");
            }
        }
    }
}

/// `tests/golden/optimizers.py` writes the file and says what it holds; its first loss is before any step.
#[test]
fn a_forward_pass_finds_what_pytorchs_sequential_does() {
    let golden: Value = serde_json::from_str(include_str!("../../tests/golden/optimizers.json")).unwrap();
    let numbers = |value: &Value| -> Vec<f64> {
        value.as_array().unwrap().iter().map(|number| number.as_f64().unwrap()).collect()
    };
    let images: Vec<f64> = golden["x"].as_array().unwrap().iter().flat_map(numbers).collect();
    let (labels, initial) = (numbers(&golden["labels"]), numbers(&golden["initial"]));
    let model = perceptron(&[3, 4, 2], Activation::Relu, 0.0);
    let builder = Builder::new();
    let (x, y) = (builder.input("x", [6, 3]), builder.input("y", [6]));
    let parameters = model.declare(&builder);
    let loss = model.forward(x, &parameters, false)[1].softmax_cross_entropy(y).mean();
    let function = builder.finish((x, y, parameters), loss).unwrap();
    let found = function.call((&images, &labels, split(&model, &initial))).unwrap()[0];
    let expected = golden["cases"][0]["losses"][0].as_f64().unwrap();
    assert!((found - expected).abs() <= 1e-12, "{found} for {expected}");
}

#[test]
fn dropout_draws_in_training_alone_and_each_layer_from_a_stream_of_its_own() {
    let streams = |dropout: f64, training: bool| -> Vec<u32> {
        let function = perceptron(&[5, 4, 3, 2], Activation::Tanh, dropout).function(2, training).unwrap();
        let masks = function.graph.iter().filter_map(|(_, node)| match &node.op {
            Op::DropoutMask(mask) => Some(mask.stream),
            _ => None,
        });
        masks.collect()
    };
    assert_eq!(streams(0.5, true), [0, 1]);
    assert_eq!(streams(0.5, false), [0; 0]);
    assert_eq!(streams(0.0, true), [0; 0]);
}

#[test]
fn a_network_is_described_in_words_formulas_and_modules() {
    let model = perceptron(&[784, 512, 10], Activation::Relu, 0.5);
    assert_eq!(model.outline(), "784-512-10");
    assert_eq!(model.describe(), "784-512-10, relu");
    assert_eq!(perceptron(&[784, 10], Activation::Tanh, 0.0).describe(), "784-10, tanh");
    assert_eq!(model.modules(), [json!(["Linear", 784, 512]), json!(["ReLU"]), json!(["Linear", 512, 10])]);
    assert_eq!(model.metadata(), [("activation", "relu".to_string())]);
    let equations = model.equations();
    let text = |e: &Equation| format!("{} = {}", e.name.text, e.value.text);
    assert_eq!(equations.iter().map(text).collect::<Vec<_>>(), ["h1 = relu(h0 W1ᵀ + b1)", "z = h1 W2ᵀ + b2"]);
    let latex = |e: &Equation| format!("{} = {}", e.name.latex, e.value.latex);
    assert_eq!(
        equations.iter().map(latex).collect::<Vec<_>>(),
        [
            r"h_{1} = \operatorname{relu}\left(h_{0} W_{1}^{\mathsf{T}} + b_{1}\right)",
            r"z = h_{1} W_{2}^{\mathsf{T}} + b_{2}"
        ]
    );
    assert_eq!([&equations[0].input, &equations[1].input], [&Shape::from([784]), &[512].into()]);
    let parameters = equations[1].parameters.iter().map(|(name, shape)| (&name.text[..], shape.clone()));
    assert_eq!(parameters.collect::<Vec<_>>(), [("W2", [10, 512].into()), ("b2", [10].into())]);
}

#[test]
fn networks_are_alike_if_they_compute_the_same_but_for_dropout() {
    let model = perceptron(&[5, 4, 2], Activation::Relu, 0.0);
    assert!(model.is_like(&perceptron(&[5, 4, 2], Activation::Relu, 0.5)));
    assert!(!model.is_like(&perceptron(&[5, 3, 2], Activation::Relu, 0.0)));
    assert!(!model.is_like(&perceptron(&[5, 4, 2], Activation::Tanh, 0.0)));
    // Described alike, and computed in another order.
    let linear = |inputs, outputs| Linear { inputs, outputs, nonlinearity: Activation::Relu };
    let other = Sequential::new([5]).with(linear(5, 4)).unwrap().with(linear(4, 2)).unwrap();
    let other = other.with(Activation::Relu).unwrap();
    assert_eq!(model.describe(), other.describe());
    assert!(!model.is_like(&other));
}

#[test]
fn a_layer_that_does_not_fit_says_what_it_takes() {
    let nonlinearity = Activation::Relu;
    let network = Sequential::new([5]).with(Linear { inputs: 5, outputs: 4, nonlinearity }).unwrap();
    let error = network.with(Linear { inputs: 3, outputs: 2, nonlinearity }).unwrap_err().to_string();
    assert_eq!(
        error,
        "Linear { inputs: 3, outputs: 2, nonlinearity: Relu } cannot come after an output of shape [4]: it takes rows \
         of 3 numbers"
    );
}

#[test]
fn a_network_of_more_parameters_than_can_be_counted_is_described_all_the_same() {
    let model = perceptron(&[usize::MAX, usize::MAX, 10], Activation::Relu, 0.0);
    assert_eq!(model.parameters().len(), 4);
    assert!(model.describe().starts_with("18446744073709551615-"));
}

#[test]
fn a_saved_network_is_known_by_names_and_shapes_in_the_order_of_its_layers() {
    let widths = [7, 6, 5, 4, 3, 2, 8];
    let model = perceptron(&widths, Activation::Sigmoid, 0.0);
    // By name, as a file's reader has them: 10.weight comes before 2.weight.
    let tensors: BTreeMap<String, Shape> =
        model.parameters().into_iter().map(|parameter| (parameter.name, parameter.shape)).collect();
    let about: BTreeMap<&str, String> = model.metadata().into_iter().collect();
    let read = |tensors: &BTreeMap<String, Shape>| {
        let about = |key: &str| about.get(key).ok_or_else(|| format!("lacks {key}"));
        saved(tensors.iter().map(|(name, shape)| (&name[..], &shape[..])), about)
    };
    let found = read(&tensors).unwrap();
    assert_eq!((found.describe(), found.parameters()), (model.describe(), model.parameters()));
    let refused = |name: &str, shape: &[usize]| {
        let mut tensors = tensors.clone();
        tensors.insert(name.into(), shape.into());
        read(&tensors).unwrap_err()
    };
    assert_eq!(refused("4.weight", &[4]), "has 4.weight of shape [4], which is no matrix");
    assert_eq!(refused("4.weight", &[0, 5]), "has a layer of no units");
    assert_eq!(read(&BTreeMap::new()).unwrap_err(), "lacks the tensor 0.weight");
}

/// What a new kind of layer takes: each number of an image times a parameter of its own, all of them in one row.
#[derive(Debug)]
struct Scaled;

impl Layer for Scaled {
    fn output(&self, input: &Shape) -> Result<Shape, String> {
        Ok([input.size()].into())
    }

    fn forward<'g>(&self, x: Var<'g>, parameters: &[Var<'g>], _: Mode) -> Var<'g> {
        let shape = x.shape();
        (x * parameters[0]).reshape([shape[0], shape[1..].iter().product()])
    }

    fn module(&self) -> Option<Value> {
        Some(json!(["Scaled"]))
    }

    fn parameters(&self) -> Vec<LayerParameter> {
        vec![LayerParameter { name: "scale", symbol: "s", shape: [2, 3].into() }]
    }

    fn initialize(&self, random: &mut ChaCha8Rng, mut parameters: Vec<&mut [f32]>) {
        parameters[0].fill_with(|| (random.next_u32() % 2) as f32 + 1.0);
    }
}

#[test]
fn a_layer_of_another_kind_takes_images_of_two_axes_and_has_a_parameter_of_that_shape() {
    let linear = Linear { inputs: 6, outputs: 2, nonlinearity: Activation::Tanh };
    let model = Sequential::new([2, 3]).with(Scaled).unwrap().with(Activation::Tanh).unwrap();
    let model = model.with(linear).unwrap().with(Activation::Relu).unwrap();
    let names: Vec<String> = model.parameters().into_iter().map(|parameter| parameter.name).collect();
    assert_eq!(names, ["0.scale", "2.weight", "2.bias"]);
    assert_eq!(model.describe(), "2x3-2, tanh, relu");
    assert_eq!(model.outputs(), [Shape::from([6]), [2].into()]);
    let flat = model.initial_parameters(1);
    assert!(flat[..6].iter().all(|scale| [1.0, 2.0].contains(scale)), "{flat:?}");
    let function = model.function(4, false).unwrap();
    let images: Vec<f32> = (0..24).map(|i| i as f32 / 24.0).collect();
    let layers = function.call((&images, split(&model, &flat))).unwrap();
    assert_eq!(layers[0][7], images[7] * flat[1]);
    // The last are what comes out in the end, after the layer's nonlinearity.
    assert!(layers[1].len() == 8 && layers[1].iter().all(|&logit| logit >= 0.0), "{:?}", layers[1]);
}
