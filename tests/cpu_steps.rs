//! A training step on the CPU, with zeros left out and updates made tile by tile, beside the plain graph and rule.

use cotangent::data::{Gather, Normalisation, Shifts, batches};
use cotangent::exec::evaluate_with;
use cotangent::model::{Activation, Perceptron};
use cotangent::ops::Draw;
use cotangent::optim::{Optimizer, Piece, Step};
use cotangent::train::engine::cpu::Learner;

use crate::determinism::{images, optimizers};

const SEED: u64 = 5;
const RATE: f64 = 1e-2;
const DECAY: f64 = 0.1;

/// Parameters and state of a network in the plain form, moved by its gradients one step at a time.
struct Plain {
    model: Perceptron,
    optimizer: Optimizer,
    parameters: Vec<f32>,
    state: Vec<f32>,
}

impl Plain {
    fn of(learner: &Learner, model: &Perceptron, optimizer: Optimizer) -> Self {
        let (parameters, state) = (learner.parameters(), learner.state());
        Self { model: model.clone(), optimizer, parameters, state }
    }

    /// The step after `before` others; returns the sum of losses.
    fn step(&mut self, gather: &Gather, indices: &[u32], before: u64) -> f64 {
        let network = self.model.training(indices.len()).unwrap();
        let mut images = vec![0.0_f32; indices.len() * self.model.widths[0]];
        let mut labels = vec![0.0; indices.len()];
        gather.batch(before, indices, &mut images, &mut labels);
        let mut inputs = vec![(network.images, &images[..]), (network.labels, &labels)];
        let places = self.model.parameters().into_iter().map(|p| p.offset..p.offset + p.shape.size());
        let values = places.map(|place| &self.parameters[place]);
        inputs.extend(network.parameters.iter().copied().zip(values));
        let outputs = [&[network.losses][..], &network.gradients].concat();
        let draw = Draw { seed: SEED, step: before };
        let found = evaluate_with(&network.graph, &inputs, &outputs, draw);
        let gradients = found[1..].concat();
        let step = Step { number: before + 1, learning_rate: RATE, weight_decay: DECAY };
        let (first, second) = self.state.split_at_mut(gradients.len());
        self.optimizer.update(step, [Piece::new(&mut self.parameters, &gradients, first, second)]);
        found[0].iter().map(|&loss| f64::from(loss)).sum()
    }
}

/// The largest distance, as a share of the largest number; NaN where something is.
fn distance(found: &[f32], expected: &[f32]) -> f32 {
    assert_eq!(found.len(), expected.len());
    let largest = expected.iter().fold(1e-3, |largest: f32, x| largest.max(x.abs()));
    let farthest = |farthest: f32, (a, b): (&f32, &f32)| {
        let distance = (a - b).abs();
        if distance.is_nan() || farthest.is_nan() { f32::NAN } else { farthest.max(distance) }
    };
    found.iter().zip(expected).fold(0.0, farthest) / largest
}

/// Each step begins where the learner stands, so that differences do not grow.
fn check(widths: &[usize], activation: Activation, dropout: f64, optimizer: Optimizer) {
    let model = Perceptron { widths: widths.to_vec(), activation, dropout };
    let split = images(70 + 70 + 33);
    let gather = Gather::new(&split, Normalisation::of(&split), Some(Shifts::new(SEED, 1)));
    let mut learner = Learner::new(model.clone(), optimizer, SEED, split.len(), 70).unwrap();
    let order: Vec<u32> = (0..split.len() as u32).rev().collect();
    for range in batches(split.len(), 70) {
        let before = learner.step();
        let mut plain = Plain::of(&learner, &model, optimizer);
        let sums = learner.train_step(&gather, &order[range.clone()], RATE, DECAY).unwrap();
        let loss = plain.step(&gather, &order[range], before);
        let what = format!("{widths:?}, {activation:?}, {}, step {}", optimizer.formula(0.0), before + 1);
        assert!((sums.loss - loss).abs() <= 1e-5 * loss, "{what}: a loss of {}, not {loss}", sums.loss);
        // Adam and RMSprop move a parameter whose gradient is almost zero by its sign, so single parameters may
        // differ by the learning rate: the state tells more.
        let state = distance(&learner.state(), &plain.state);
        assert!(state <= 1e-4, "{what}: the state differs by {state}");
        let moved = distance(&learner.parameters(), &plain.parameters);
        assert!(moved <= 2e-3, "{what}: the parameters differ by {moved}");
    }
}

#[test]
fn a_step_moves_parameters_and_state_as_plain_graph_and_rule_do() {
    // Whole and begun blocks and panels, layers too narrow for them, and no hidden layer at all.
    for widths in [&[324, 10][..], &[324, 40, 10], &[324, 130, 33, 7, 10], &[324, 1030, 64, 10]] {
        for optimizer in optimizers() {
            check(widths, Activation::Relu, 0.0, optimizer);
        }
    }
}

#[test]
fn a_step_with_dropout_or_another_activation_does_so_too() {
    for optimizer in optimizers() {
        check(&[324, 130, 40, 10], Activation::Relu, 0.3, optimizer);
        check(&[324, 130, 40, 10], Activation::Tanh, 0.0, optimizer);
    }
}
