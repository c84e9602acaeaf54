//! The same training on the CPU and on a device: step by step to rounding, running free within a bound.

use cotangent::data::{Gather, shuffled};
use cotangent::exec::cuda::Launching;
use cotangent::exec::{Ended, Standing};
use cotangent::nn::split;
use cotangent::ops::Draw;
use cotangent::optim::Optimizer;

use super::*;
use crate::determinism::{optimizers, usual};

/// Steps of each optimizer.
const STEPS: usize = 50;

/// A pre-activation this near to zero may be on either side of ReLU's kink: rounding decides, and with it
/// whether a whole unit passes the gradient of an image on.
const NEAR_THE_KINK: f64 = 1e-5;

/// How far gradients may differ, relative to the largest of their layer: float32 rounding of three layers'
/// sums, and where a unit changes sides.
const ROUNDING: f64 = 2e-5;
const CHANGED_SIDES: f64 = 5e-2;

/// Whether a hidden unit is near the kink for one of the images, by the CPU in float64.
fn is_near_the_kink(job: &Job, parameters: &[f32], indices: &[u32], step: u64) -> bool {
    let layers = job.model.function(indices.len(), true).unwrap();
    let (mut images, mut labels) = (vec![0.0_f64; indices.len() * 784], vec![0.0; indices.len()]);
    Gather::new(&job.data.train, job.normalisation, job.shifts).batch(
        step,
        indices,
        &mut images,
        &mut labels,
    );
    let parameters: Vec<f64> = parameters.iter().map(|&x| f64::from(x)).collect();
    let inputs = (&images[..], split(&*job.model, &parameters));
    let mut values = layers.call_with(inputs, Draw { seed: job.seed, step }).unwrap();
    values.pop(); // the logits
    values.iter().flatten().any(|x| x.abs() < NEAR_THE_KINK)
}

/// √ of the mean or sum of squares that the optimizer divides by, for parameter i after so many updates.
fn denominator(optimizer: &Optimizer, state: &[f32], i: usize, updates: u64) -> f64 {
    let square = |x: f32| f64::from(x).sqrt();
    match optimizer {
        Optimizer::Sgd(_) => 1.0,
        Optimizer::Adagrad(rule) => square(state[i]) + rule.epsilon,
        Optimizer::RmsProp(rule) => square(state[i]) + rule.epsilon,
        Optimizer::Adam(rule) => {
            let correction = (1.0 - rule.beta2.powf(updates as f64)).sqrt();
            square(state[state.len() / 2 + i]) / correction + rule.epsilon
        }
        other => panic!("what {other:?} divides by is not written down here"),
    }
}

/// Checks that two networks agree after one step from the same state, if gradients differ by at most
/// `rounding` times the largest of their layer.
fn assert_same_step(
    what: &str,
    job: &Job,
    (cpu, device): (Snapshot<'_>, Snapshot<'_>),
    before: &[f32],
    learning_rate: f64,
    rounding: f64,
) {
    assert_eq!(cpu.step, device.step, "{what}");
    for parameter in job.model.parameters() {
        let range = parameter.offset..parameter.offset + parameter.shape.size();
        // The largest step of the layer in units of the learning rate and, for SGD and Adam, gradient.
        let moved = |i: usize| f64::from(cpu.parameters[i] - before[i]).abs() / learning_rate;
        let largest = range.clone().map(|i| moved(i) * denominator(&job.optimizer, cpu.state, i, cpu.step));
        let largest = largest.fold(0.0, f64::max);
        for i in range {
            let (expected, found) = (f64::from(cpu.parameters[i]), f64::from(device.parameters[i]));
            // A gradient off by d moves the quotient by at most 5 d / denominator for every rule, and never
            // by more than the quotient's whole range.
            let quotient = 5.0 * rounding * largest / denominator(&job.optimizer, cpu.state, i, cpu.step);
            let tolerance =
                4.0 * f64::from(f32::EPSILON) * expected.abs() + learning_rate * quotient.min(8.0);
            let agrees = (found - expected).abs() <= tolerance;
            assert!(
                agrees,
                "{what}, {} element {}: {found}, not {expected}; moved {}, tolerance {tolerance}",
                parameter.name,
                i - parameter.offset,
                expected - f64::from(before[i])
            );
        }
    }
}

/// Trains on a batch [`STEPS`] times on both, from the CPU's state, each time in another order, shifted and dropped out
/// otherwise.
fn steps_agree(optimizer: Optimizer, number: usize, launching: Launching) {
    let job = real_network(optimizer, [128, 64], 0.1);
    let (mut cpu, mut device) = (on_cpu(&job), on_device(&job, number, launching));
    let mut indices = vec![0; 128];
    let mut strict = 0;
    for step in 0..STEPS {
        shuffled(job.seed, step as u64, &mut indices);
        let learning_rate = 1e-3 * (1.0 + (step % 7) as f64);
        let what = format!("{}, step {}", optimizer.formula(0.0), step + 1);
        let Snapshot { parameters, state, .. } = cpu.snapshot().unwrap();
        let (before, state) = (parameters.to_vec(), state.to_vec());
        device.restore(Snapshot { parameters: &before, state: &state, step: step as u64 }).unwrap();
        let (expected, _) = cpu.epoch(&indices, &[learning_rate], &mut |_| true).unwrap();
        let (found, _) = device.epoch(&indices, &[learning_rate], &mut |_| true).unwrap();
        assert_eq!((found.correct, found.count), (expected.correct, expected.count), "{what}");
        // Rounding of the logits, which grow as the same images are met again: 40 units of the loss.
        let agrees = (found.loss - expected.loss).abs() <= 5e-6 * expected.loss;
        assert!(agrees, "{what}: the loss is {}, not {}", found.loss, expected.loss);
        let near = is_near_the_kink(&job, &before, &indices, step as u64);
        strict += usize::from(!near);
        let rounding = if near { CHANGED_SIDES } else { ROUNDING };
        let both = (cpu.snapshot().unwrap(), device.snapshot().unwrap());
        assert_same_step(&what, &job, both, &before, learning_rate, rounding);
    }
    assert!(strict >= STEPS / 5, "only {strict} of {STEPS} steps were far from a kink");
}

#[test]
fn fifty_steps_of_sgd_from_the_cpus_state_agree_to_rounding() {
    steps_agree(usual(OptimizerName::Sgd), 0, Launching::Graph);
}

#[test]
fn fifty_steps_of_adagrad_from_the_cpus_state_agree_to_rounding() {
    steps_agree(usual(OptimizerName::Adagrad), 1, Launching::Graph);
}

#[test]
fn fifty_steps_of_rmsprop_from_the_cpus_state_agree_to_rounding() {
    steps_agree(usual(OptimizerName::RmsProp), 2, Launching::Launches);
}

#[test]
fn fifty_steps_of_adam_from_the_cpus_state_agree_to_rounding() {
    steps_agree(usual(OptimizerName::Adam), 2, Launching::Graph);
}

#[test]
fn running_free_the_objective_stays_beside_the_cpus() {
    for (number, optimizer) in optimizers().into_iter().enumerate() {
        // Five whole batches and one of 60 an epoch, with dropout and shifts.
        let job = real_network(optimizer, [700, 300], 0.1);
        let (mut cpu, mut device) = (on_cpu(&job), on_device(&job, number, Launching::Graph));
        let expected = train(&mut cpu, &job, 3, 1e-3);
        let found = train(&mut device, &job, 3, 1e-3);
        for (found, expected) in found.iter().zip(&expected) {
            assert!((found - expected).abs() <= 1e-3, "{found:?}, not {expected:?}");
        }
        assert!(expected[2] < expected[0], "{expected:?}: nothing was learnt");
        let ((expected, counts), (found, confusions)) =
            (cpu.evaluate(Set::Test).unwrap(), device.evaluate(Set::Test).unwrap());
        // Where a gradient is rounding alone, most rules take a whole step up or down: other images show that.
        let difference = (found.objective() - expected.objective()).abs();
        assert!(difference <= 1e-2, "{found:?}, not {expected:?}");
        assert_eq!(found.count, 300);
        assert_eq!(confusions.iter().flatten().sum::<u64>(), 300);
        let moved = counts.iter().flatten().zip(confusions.iter().flatten()).map(|(a, b)| a.abs_diff(*b));
        assert!(moved.sum::<u64>() <= 12, "{confusions:?}, not {counts:?}");
        let hits: u64 = (0..10).map(|class| confusions[class][class]).sum();
        assert_eq!(found.correct as u64, hits);
    }
}

#[test]
fn an_evaluation_agrees_with_the_cpu_and_changes_nothing() {
    let job = small_network(usual(OptimizerName::Adam), 3);
    let job = Job { validation: Some(Arc::new(crate::determinism::images(41))), ..job };
    let (mut cpu, mut device) = (on_cpu(&job), on_device(&job, 1, Launching::Graph));
    train(&mut device, &job, 1, 1e-3);
    let Snapshot { parameters, state, step } = device.snapshot().unwrap();
    cpu.restore(Snapshot { parameters, state, step }).unwrap();
    let before = bits(&mut device);
    for (set, count) in [(Set::Test, 75), (Set::Validation, 41), (Set::Test, 75)] {
        let ((expected, counts), (found, confusions)) =
            (cpu.evaluate(set).unwrap(), device.evaluate(set).unwrap());
        assert!((found.loss - expected.loss).abs() <= 1e-5 * expected.loss, "{found:?}, not {expected:?}");
        assert_eq!((found.count, found.correct, confusions), (count, expected.correct, counts));
    }
    assert!(before == bits(&mut device));
}

#[test]
fn a_run_taken_up_where_another_left_off_gives_the_same_bits() {
    let job = small_network(usual(OptimizerName::Adam), 2);
    let mut whole = on_device(&job, 0, Launching::Graph);
    train(&mut whole, &job, 1, 1e-3);
    let mut second = on_device(&job, 0, Launching::Graph);
    let Snapshot { parameters, state, step } = whole.snapshot().unwrap();
    assert_eq!(step, 3);
    second.restore(Snapshot { parameters, state, step }).unwrap();
    let continued = train(&mut whole, &job, 2, 1e-3);
    assert_eq!(continued, train(&mut second, &job, 2, 1e-3));
    assert!(bits(&mut whole) == bits(&mut second));
}

#[test]
fn an_epoch_ends_early_when_it_is_asked_to() {
    let job = small_network(usual(OptimizerName::Sgd), 30);
    let mut engine = on_device(&job, 0, Launching::Graph);
    let order: Vec<u32> = (0..job.data.train.len() as u32).collect();
    let mut calls = 0;
    let (sums, ended) = engine
        .epoch(&order, &[1e-3; 31], &mut |_| {
            calls += 1;
            calls < 4
        })
        .unwrap();
    assert_eq!(ended, cotangent::exec::Ended::Early);
    assert!(sums.count > 0 && sums.count < order.len(), "{sums:?}");
}

#[test]
fn an_epoch_in_parts_comes_to_the_bits_of_a_whole_one_on_each_executor() {
    let job = small_network(usual(OptimizerName::Adam), 7);
    let mut order = vec![0; job.data.train.len()];
    let rates: Vec<f64> = (0..8).map(|step| 1e-3 * f64::from(step + 1)).collect();
    let engines: [&dyn Fn() -> Engine; 3] =
        [&|| on_cpu(&job), &|| on_device(&job, 0, Launching::Graph), &|| {
            on_device(&job, 1, Launching::Launches)
        }];
    for (number, engine) in engines.into_iter().enumerate() {
        let (mut whole, mut parts) = (engine(), engine());
        for epoch in 0..2 {
            shuffled(job.seed, epoch, &mut order);
            let (expected, ended) = whole.epoch(&order, &rates, &mut |_| true).unwrap();
            assert_eq!(ended, Ended::Whole);
            let mut done = Standing::default();
            for until in [1, 4, 7, usize::MAX] {
                let ended;
                (done, ended) = parts.part(&order, &rates, done, until, &mut |_| true).unwrap();
                assert_eq!(done.steps, until.min(8));
                assert_eq!(ended == Ended::Whole, done.steps == 8, "executor {number}, {until}");
            }
            assert_eq!(done.sums, expected, "executor {number}, epoch {epoch}");
            assert!(done.sums.loss.to_bits() == expected.loss.to_bits());
            let (a, b) = (whole.snapshot().unwrap(), parts.snapshot().unwrap());
            assert!(a == b, "executor {number}, epoch {epoch}");
        }
    }
}
