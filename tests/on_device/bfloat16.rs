//! Products in bfloat16 with float32 weights.

use cotangent::exec::cuda::Factor;
use half::bf16;

use super::*;
use crate::determinism::usual;

/// The number of a device that multiplies bfloat16: this emulated one, or the card, if it does.
fn with_tensor_cores(emulated: usize) -> Option<usize> {
    let number = if on_real_card() { 0 } else { emulated };
    (device(number).capability() >= bf16::NEEDED).then_some(number)
}

#[test]
fn products_in_bfloat16_train_as_those_in_float32_do_but_for_their_rounding() {
    let job = real_network(usual(OptimizerName::Adam), [1000, 300], 0.0);
    let Some(number) = with_tensor_cores(1) else { return };
    let engine =
        |products| opened_on_device(&job, number, CudaMode { products, ..CudaMode::default() }).unwrap();
    let (mut single, mut half) = (engine(Products::F32), engine(Products::Bf16));
    assert!(bits(&mut single) == bits(&mut half), "the weights are float32 in both");
    let (expected, found) = (train(&mut single, &job, 2, 1e-3), train(&mut half, &job, 2, 1e-3));
    for (found, expected) in found.iter().zip(&expected) {
        // bfloat16 has 8 bits: a relative error of 2⁻⁹ in each factor.
        let difference = (found - expected).abs() / expected;
        assert!(difference <= 0.02 && difference > 1e-7, "{found}, beside {expected}");
    }
    let accuracy = |engine: &mut Engine| engine.evaluate(Set::Test).unwrap().0.accuracy();
    let (single, half) = (accuracy(&mut single), accuracy(&mut half));
    assert!((single - half).abs() <= 0.05 && half > 0.6, "{half}, beside {single}");
}

#[test]
fn weights_and_state_stay_float32() {
    let job = small_network(usual(OptimizerName::Adam), 2);
    let Some(number) = with_tensor_cores(2) else { return };
    let mut engine =
        opened_on_device(&job, number, CudaMode { products: Products::Bf16, ..CudaMode::default() }).unwrap();
    train(&mut engine, &job, 1, 1e-6); // steps smaller than bfloat16 could hold
    let mut before = vec![0.0; job.model.parameter_count()];
    job.model.initialize(job.seed, &mut before);
    let after = engine.snapshot().unwrap().parameters.to_vec();
    let moved = before.iter().zip(&after).filter(|(a, b)| a != b).count();
    assert!(moved > before.len() / 2, "{moved} of {} weights moved", before.len());
    // Three steps of Adam go no further than ten times the learning rate; rounding weights would.
    let furthest = before.iter().zip(&after).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(furthest <= 1e-5, "a weight moved by {furthest}");
    let state = engine.snapshot().unwrap().state.to_vec();
    let needs_float32 = |x: &&f32| bf16::from_f32(**x).to_f32() != **x;
    let numbers = after.iter().chain(&state).filter(needs_float32).count();
    assert!(numbers > (after.len() + state.len()) / 2, "{numbers}");
}
