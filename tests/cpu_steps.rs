//! A training step on the CPU, with zeros left out and updates made tile by tile, beside the step's graph node by node.

use std::sync::Arc;

use cotangent::exec::{Bf16Unit, CpuExecutor, CpuProducts, Team};
use cotangent::nn::{Activation, Model, perceptron};
use cotangent::optim::{Optimizer, OptimizerName};

use crate::determinism::{images, optimizers, usual};
use crate::support::steps::Steps;

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

/// Two steps, on a full batch and on a smaller last one, and again from where they led, so that differences do not grow.
fn check(widths: &[usize], activation: Activation, dropout: f64, optimizer: Optimizer) {
    let model: Arc<dyn Model> = Arc::new(perceptron(widths, activation, dropout));
    let split = images(70 + 33);
    let executor = CpuExecutor::new(Team::new(1).unwrap());
    let mut steps = Steps::new(executor, &model, optimizer, (&split, 70));
    let order: Vec<u32> = (0..split.len() as u32).rev().collect();
    for epoch in 0..2 {
        let before = steps.buffers();
        let (loss, plain) = steps.plain_epoch(&order, before.clone());
        let sums = steps.epoch(&order).sums;
        let what = format!("{widths:?}, {activation:?}, {}, epoch {epoch}", optimizer.formula(0.0));
        assert!((sums.loss - loss).abs() <= 1e-4 * loss, "{what}: a loss of {}, not {loss}", sums.loss);
        let found = steps.buffers();
        // Adam and RMSprop move a parameter whose gradient is almost zero by its sign, and lion all of them, so single
        // parameters may differ by the learning rate: the state tells more.
        for (state, plain) in found[1..].iter().zip(&plain[1..]) {
            let state = distance(state, plain);
            assert!(state <= 1e-3, "{what}: the state differs by {state}");
        }
        let near = |(a, b): &(&f32, &f32)| (*a - *b).abs() <= 1e-4;
        let apart = found[0].iter().zip(&plain[0]).filter(|pair| !near(pair)).count();
        assert!(apart * 50 <= found[0].len(), "{what}: {apart} of {} parameters differ", found[0].len());
        assert!(distance(&found[0], &before[0]) > 1e-4, "{what}: nothing moved");
    }
}

#[test]
fn a_step_moves_parameters_and_state_as_its_nodes_do() {
    // Whole and begun blocks and panels, layers too narrow for them, and no hidden layer at all.
    for widths in
        [&[324, 10][..], &[324, 40, 10], &[324, 130, 33, 7, 10], &[324, 1030, 64, 10], &[324, 200, 144, 10]]
    {
        for optimizer in optimizers() {
            check(widths, Activation::Relu, 0.0, optimizer);
        }
    }
}

#[test]
fn a_step_in_bfloat16_does_so_within_what_is_rounded() {
    // The models, so that every processor has the same numbers; that units have theirs is tested beside them.
    for unit in [Bf16Unit::tile_model(), Bf16Unit::vector_model()] {
        for (widths, activation, dropout) in [
            (&[324, 130, 33, 7, 10][..], Activation::Relu, 0.0),
            (&[324, 200, 10], Activation::Tanh, 0.0),
            (&[324, 40, 10], Activation::Relu, 0.3),
        ] {
            let model: Arc<dyn Model> = Arc::new(perceptron(widths, activation, dropout));
            let split = images(70 + 33);
            let executor = CpuExecutor::new(Team::new(1).unwrap()).with_products(CpuProducts::Bf16(unit));
            let mut steps = Steps::new(executor, &model, usual(OptimizerName::Adagrad), (&split, 70));
            let order: Vec<u32> = (0..split.len() as u32).rev().collect();
            let before = steps.buffers();
            let (loss, plain) = steps.plain_epoch(&order, before.clone());
            let sums = steps.epoch(&order).sums;
            // bfloat16 has 8 bits: numbers are off by 2⁻⁹ of themselves at most, and sums of them by less.
            assert!(
                (sums.loss - loss).abs() <= loss / 256.0,
                "{widths:?}: a loss of {}, not {loss}",
                sums.loss
            );
            assert!(sums.loss != loss, "nothing was rounded");
            let found = steps.buffers();
            // Adagrad's state is the sum of squared gradients.
            let state = distance(&found[1], &plain[1]);
            assert!(state <= 0.05, "{widths:?}: the state differs by {state}");
            assert!(distance(&found[0], &before[0]) > 1e-4, "{widths:?}: nothing moved");
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
