//! The perceptron: its parameters as PyTorch has them, its initial weights, its gradients.

use cotangent::graph::NodeId;
use cotangent::model::{Activation, Network, Perceptron};
use cotangent::ops::{self, Draw};

use crate::support::*;

#[test]
fn parameters_lie_one_after_the_other_in_pytorchs_order_layout_and_naming() {
    let model = Perceptron { widths: vec![5, 4, 3, 2], activation: Activation::Relu, dropout: 0.3 };
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
    assert_eq!(model.parameter_count(), 47);
    assert_eq!(model.initial_parameters(0).len(), 47);
    let network = model.training(3).unwrap();
    for (parameter, (&node, &gradient)) in
        model.parameters().iter().zip(network.parameters.iter().zip(&network.gradients))
    {
        assert_eq!(network.graph.name(node), Some(&parameter.name[..]));
        assert_eq!(network.graph[node].shape, parameter.shape);
        assert_eq!(network.graph[gradient].shape, parameter.shape);
    }
}

#[test]
fn initial_weights_have_the_stated_deviation_and_biases_are_zero() {
    for (activation, variance) in [
        (Activation::Relu, [2.0 / 300.0, 2.0 / 200.0]),
        (Activation::Tanh, [2.0 / 500.0, 2.0 / 300.0]),
        (Activation::Sigmoid, [2.0 / 500.0, 2.0 / 300.0]),
    ] {
        let model = Perceptron { widths: vec![300, 200, 100], activation, dropout: 0.0 };
        let flat = model.initial_parameters(42);
        assert_eq!(flat, model.initial_parameters(42));
        assert_ne!(flat, model.initial_parameters(43));
        for (pair, variance) in model.parameters().chunks(2).zip(variance) {
            let values =
                |i: usize| flat[pair[i].offset..][..pair[i].shape.size()].iter().map(|&x| f64::from(x));
            let count = pair[0].shape.size() as f64;
            let mean = values(0).sum::<f64>() / count;
            let found = values(0).map(|x| (x - mean) * (x - mean)).sum::<f64>() / count;
            // Five standard errors: of a mean σ/√n, of a variance σ²√(2/n).
            assert!(mean.abs() <= 5.0 * (variance / count).sqrt(), "{}: mean {mean}", pair[0].name);
            let tolerance = 5.0 * variance * (2.0 / count).sqrt();
            assert!(
                (found - variance).abs() <= tolerance,
                "{}: variance {found}, not {variance}",
                pair[0].name
            );
            assert!(values(1).all(|x| x == 0.0), "{}", pair[1].name);
        }
    }
}

#[test]
fn gradients_of_one_to_five_layers_agree_with_differences_for_every_activation() {
    const WIDTHS: [usize; 6] = [4, 5, 3, 4, 2, 3];
    const BATCH: usize = 6;
    const DRAW: Draw = Draw { seed: 1, step: 2 };
    for activation in Activation::ALL {
        for layers in 1..=5 {
            for dropout in [0.0, 0.25] {
                let widths = WIDTHS[..layers].iter().copied().chain([3]).collect();
                let model = Perceptron { widths, activation, dropout };
                let network = model.training(BATCH).unwrap();
                ops::check(&network.graph).unwrap();
                assert_eq!(network.gradients.len(), 2 * layers);
                // Values at which no unit stands so near its kink that the differences step over it.
                let inputs = (0..100).map(|seed| values(&network, seed)).find(|inputs| {
                    let layers = (ORACLE.evaluate)(&network.graph, inputs, &network.layers, DRAW);
                    layers.concat().iter().all(|x| x.abs() > 20.0 * STEP)
                });
                let inputs = inputs.unwrap();
                // With the losses asked for too, as in training, both come from one instruction.
                let outputs = [&[network.losses][..], &network.gradients].concat();
                let found = (ORACLE.evaluate)(&network.graph, &inputs, &outputs, DRAW);
                for (&node, found) in network.parameters.iter().zip(&found[1..]) {
                    let expected: Vec<f64> = (0..found.len())
                        .map(|i| {
                            let unit: Vec<f64> =
                                (0..found.len()).map(|j| f64::from(u8::from(i == j))).collect();
                            let mean_loss = |t| {
                                let inputs = moved(&inputs, &vec![(node, unit.clone())], t);
                                let losses =
                                    (ORACLE.evaluate)(&network.graph, &inputs, &[network.losses], DRAW);
                                vec![losses[0].iter().sum::<f64>() / BATCH as f64]
                            };
                            slope(mean_loss)[0]
                        })
                        .collect();
                    let what = format!("{activation:?}, {layers} layers, {:?}", network.graph.name(node));
                    assert_close(&what, found, &expected, 1e-9);
                }
            }
        }
    }
}

/// Random values for the inputs of a network.
fn values(network: &Network, seed: u64) -> Inputs {
    let mut random = Random::new(seed);
    let mut values = |node: NodeId| {
        let size = network.graph[node].shape.size();
        match node == network.labels {
            true => (node, (0..size).map(|_| random.below(3) as f64).collect()),
            false => (node, random.values(size, -1.0, 1.0)),
        }
    };
    [network.images, network.labels].into_iter().chain(network.parameters.clone()).map(&mut values).collect()
}

#[test]
fn inference_has_no_dropout_and_no_gradients() {
    let model = Perceptron { widths: vec![4, 5, 3], activation: Activation::Tanh, dropout: 0.5 };
    let network = model.inference(2).unwrap();
    assert!(network.gradients.is_empty());
    assert!(network.graph.iter().all(|(_, node)| ops::Rule::name(&node.op) != "dropout_mask"));
}

#[test]
fn a_dropout_probability_that_is_none_is_refused() {
    for dropout in [-0.5, 1.0, f64::NAN] {
        let model = Perceptron { widths: vec![4, 5, 3], activation: Activation::Tanh, dropout };
        assert!(
            model.training(2).is_err_and(|error| error.to_string().contains("is not in [0, 1)")),
            "{dropout}"
        );
    }
}
