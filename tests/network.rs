//! The perceptron's gradients.

use cotangent::graph::NodeId;
use cotangent::nn::{Activation, perceptron};
use cotangent::ops::{self, Draw, Function, Tree};
use cotangent::optim::{Adam, Optimizer};
use cotangent::step;

use crate::support::steps::{Training, training};
use crate::support::*;

#[test]
fn gradients_of_one_to_five_layers_agree_with_differences_for_every_activation() {
    const WIDTHS: [usize; 6] = [4, 5, 3, 4, 2, 3];
    const BATCH: usize = 6;
    const DRAW: Draw = Draw { seed: 1, step: 2 };
    for activation in Activation::ALL {
        for layers in 1..=5 {
            for dropout in [0.0, 0.25] {
                let widths = [&WIDTHS[..layers], &[3]].concat();
                let model = perceptron(&widths, activation, dropout);
                let network = training(&model, BATCH).unwrap();
                ops::check(&network.graph).unwrap();
                let (losses, all_layers, gradients) = network.outputs.clone();
                assert_eq!(gradients.len(), 2 * layers);
                // Values at which no unit stands so near its kink that the differences step over it.
                let found = (0..100).map(|seed| Batch::of(&network, seed)).find(|batch| {
                    let layers = batch.pass(&network, all_layers.clone(), &batch.parameters, DRAW);
                    layers.concat().iter().all(|x| x.abs() > 20.0 * STEP)
                });
                let batch = found.unwrap();
                // With the losses asked for too, as in training, both come from one instruction.
                let (_, gradients) = batch.pass(&network, (losses, gradients), &batch.parameters, DRAW);
                for (number, found) in gradients.iter().enumerate() {
                    let expected: Vec<f64> = (0..found.len())
                        .map(|i| {
                            let unit: Vec<f64> =
                                (0..found.len()).map(|j| f64::from(u8::from(i == j))).collect();
                            let mean_loss = |t| {
                                let mut parameters = batch.parameters.clone();
                                parameters[number] = moved(&parameters[number], &unit, t);
                                let losses = batch.pass(&network, losses, &parameters, DRAW);
                                vec![losses.iter().sum::<f64>() / BATCH as f64]
                            };
                            slope(mean_loss)[0]
                        })
                        .collect();
                    let name = network.graph.name(network.inputs.1[number]);
                    let what = format!("{activation:?}, {layers} layers, {name:?}");
                    assert_close(&what, found, &expected, 1e-9);
                }
            }
        }
    }
}

/// Random values for the inputs of a network.
struct Batch {
    images: Vec<f64>,
    labels: Vec<f64>,
    parameters: Vec<Vec<f64>>,
}

impl Batch {
    fn of(network: &Training, seed: u64) -> Self {
        let mut random = Random::new(seed);
        let size = |node: NodeId| network.graph[node].shape.size();
        let ([images, labels], parameters) = &network.inputs;
        let images = random.values(size(*images), -1.0, 1.0);
        let labels = (0..size(*labels)).map(|_| random.below(3) as f64).collect();
        let parameters = parameters.iter().map(|&p| random.values(size(p), -1.0, 1.0)).collect();
        Self { images, labels, parameters }
    }

    /// Some of the network's outputs.
    fn pass<O: Tree<NodeId> + Clone>(
        &self,
        network: &Training,
        outputs: O,
        parameters: &[Vec<f64>],
        draw: Draw,
    ) -> O::With<Vec<f64>> {
        let Training { graph, inputs, .. } = network.clone();
        let function = Function { graph, inputs, outputs, stores: Vec::new() };
        ORACLE.call_with(&function, ([&self.images, &self.labels], views(parameters)), draw)
    }
}

#[test]
fn evaluation_has_no_dropout_and_stores_nothing() {
    let model = perceptron(&[4, 5, 3], Activation::Tanh, 0.5);
    let step = step::evaluation(&model, 2).unwrap();
    assert!(step.stores.is_empty() && step.inputs.scalars.is_empty() && step.inputs.state.is_empty());
    assert!(step.graph.iter().all(|(_, node)| ops::Rule::name(&node.op) != "dropout_mask"));
}

#[test]
fn a_dropout_probability_that_is_none_is_refused() {
    for dropout in [-0.5, 1.0, f64::NAN] {
        let model = perceptron(&[4, 5, 3], Activation::Tanh, dropout);
        let refused = step::training(&model, &Optimizer::Adam(Adam::default()), 2);
        assert!(refused.is_err_and(|error| error.to_string().contains("is not in [0, 1)")), "{dropout}");
    }
}
