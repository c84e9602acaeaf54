//! What a step stores: all parameters in one launch, whichever the rule; nothing after a loss that was not finite.

use std::collections::BTreeSet;

use cotangent::exec::cuda::{CudaPlan, Products};
use cotangent::exec::{Epoch, Examples, ExecError, Inputs, Outputs, Pass, Resident, Step, Totals, Wanted};
use cotangent::ops::{Builder, GraphError};
use cotangent::optim::{Adadelta, Lion, Nesterov, Sgd};
use cotangent::step;

use super::orders::schedules;
use super::*;
use crate::determinism::optimizers;

/// Rules that have no kernel of their own.
fn interpreted() -> [Optimizer; 3] {
    [
        Optimizer::Adadelta(Adadelta::default()),
        Optimizer::Nesterov(Nesterov::default()),
        Optimizer::Lion(Lion::default()),
    ]
}

#[test]
fn a_step_is_as_many_tasks_with_every_rule_and_one_moves_all_parameters() {
    for optimizer in optimizers() {
        let job = real_network(optimizer, [128, 1], 0.0);
        let training = step::training(&*job.model, &optimizer, 128).unwrap();
        let inputs = &training.inputs;
        let (mut residents, mut offset) = (Vec::new(), 0);
        for &node in [&inputs.parameters].into_iter().chain(&inputs.state).flatten() {
            residents.push(Resident { node, offset });
            offset += training.graph[node].shape.size();
        }
        let outputs = [training.outputs.losses, training.outputs.logits];
        let wanted =
            Wanted { outputs: &outputs, stores: &training.stores, residents: &residents, reserved: offset };
        let plan = CudaPlan::new(&training.graph, wanted, Products::F32, device(0).tuning());
        // Three layers, the loss, two gradients a layer and two ways down; and the update.
        assert_eq!(plan.accesses().len(), 3 + 1 + 6 + 2 + 1, "{optimizer:?}");
        assert_eq!(plan.first_store(), 12);
        // Everybody else is told which inputs are overwritten.
        let stored: BTreeSet<usize> = plan.accesses()[12].writes.iter().copied().collect();
        let moved: BTreeSet<usize> = residents.iter().map(|resident| resident.node.index()).collect();
        assert_eq!(stored, moved, "{optimizer:?}");
        // It waits for what reads the parameters: forwards, and the ways down.
        assert!((0..12).all(|task| plan.order().precedes(task, 12)), "{:?}", plan.order());
    }
}

/// Momentum on parameters of these sizes, each with a constant of its own; the tasks that store, when the parameters and
/// then their states lie at these offsets.
fn storing_tasks(sizes: &[usize], momenta: &[f64], offsets: &[usize]) -> usize {
    let builder = Builder::new();
    let x = builder.input("x", []);
    let scalars = [builder.input("alpha", []), builder.input("decay", [])];
    let vectors = |name: &str| sizes.iter().map(|&size| builder.input(name, [size])).collect::<Vec<_>>();
    let (theta, state) = (vectors("theta"), vectors("state"));
    for (((&theta, &state), &momentum), &size) in theta.iter().zip(&state).zip(momenta).zip(sizes) {
        let gradient = (theta * x).reshape([size, 1]).reshape([size]); // which are tasks of their own
        let (new, states) = Optimizer::Sgd(Sgd { momentum }).write(&scalars, theta, gradient, &[state]);
        builder.store(new, theta);
        builder.store(states[0], state);
    }
    let function = builder.finish((x, scalars, theta, state), ()).unwrap();
    let (_, _, theta, state) = &function.inputs;
    let nodes = theta.iter().chain(state).copied();
    let residents: Vec<Resident> =
        nodes.zip(offsets).map(|(node, &offset)| Resident { node, offset }).collect();
    let wanted =
        Wanted { stores: &function.stores, residents: &residents, reserved: 256, ..Wanted::default() };
    let plan = CudaPlan::new(&function.graph, wanted, Products::F32, device(0).tuning());
    plan.accesses().len() - plan.first_store()
}

#[test]
fn updates_are_one_task_where_they_are_one_rule_on_neighbours() {
    assert_eq!(storing_tasks(&[4, 8, 3], &[0.5; 3], &[0, 4, 12, 32, 36, 44]), 1);
    assert_eq!(storing_tasks(&[4, 8, 3], &[0.5; 3], &[0, 4, 16, 32, 36, 48]), 2, "the third is apart");
    assert_eq!(storing_tasks(&[4, 8, 3], &[0.5; 3], &[0, 4, 12, 32, 36, 48]), 2, "a state is apart");
    assert_eq!(
        storing_tasks(&[4, 8, 3], &[0.5; 3], &[12, 4, 0, 44, 36, 32]),
        2,
        "the third is first, and apart"
    );
    assert_eq!(storing_tasks(&[4, 8, 4], &[0.5; 3], &[12, 4, 0, 44, 36, 32]), 1, "in another order");
    assert_eq!(storing_tasks(&[4, 8, 3], &[0.5, 0.25, 0.5], &[0, 4, 12, 32, 36, 44]), 3, "two rules");
}

#[test]
fn rules_without_a_kernel_of_their_own_train_as_on_the_cpu() {
    for (number, optimizer) in interpreted().into_iter().enumerate() {
        for launching in [Launching::Graph, Launching::Launches] {
            let job = small_network(optimizer, 4);
            let (mut cpu, mut device) = (on_cpu(&job), on_device(&job, number, launching));
            let rate = optimizer.name().family().learning_rate;
            let (expected, found) = (train(&mut cpu, &job, 3, rate), train(&mut device, &job, 3, rate));
            for (found, expected) in found.iter().zip(&expected) {
                assert!(
                    (found - expected).abs() <= 1e-3 * expected,
                    "{optimizer:?}: {found:?}, not {expected:?}"
                );
            }
            assert!(expected[0] != expected[2], "{optimizer:?}: nothing was learnt");
        }
    }
}

/// Momentum on three vectors, the third with another constant, whose gradients are stored beside them.
fn kept_step(batch: usize) -> Result<Step, GraphError> {
    let builder = Builder::new();
    let (examples, labels) = (builder.input("examples", [batch, 4]), builder.input("labels", [batch]));
    let vectors = |name: &str| [4, 3, 5].map(|size| builder.input(name, [size]));
    let (theta, last, unused, state) =
        (vectors("theta"), vectors("last"), vectors("unused"), vectors("state"));
    let [alpha, decay] = [0.1, 1.0].map(|number| builder.constant(number));
    let sum = theta[0].sum() + theta[1].sum() * 2.0 - theta[2].sum();
    let logits = examples * theta[0] + sum;
    let losses = logits.softmax_cross_entropy(labels);
    for ((number, &theta), momentum) in theta.iter().enumerate().zip([0.5, 0.5, 0.25]) {
        let size = theta.shape().size();
        let gradient = (theta * (1.0 + number as f64) + losses.mean()).reshape([size, 1]).reshape([size]);
        let (new, states) =
            Optimizer::Sgd(Sgd { momentum }).write(&[alpha, decay], theta, gradient, &[state[number]]);
        builder.store(new, theta);
        builder.store(states[0], state[number]);
        builder.store(gradient, last[number]);
    }
    let parameters = [theta, last].concat();
    let state = vec![[state, unused].concat()];
    let inputs = Inputs { examples, labels, scalars: Vec::new(), parameters, state };
    builder.finish(inputs, Outputs { losses, logits })
}

/// A step of which some stores are no loops: W ← Wᵀ / 2, b ← the sums of W's rows, c ← c + the mean loss.
fn odd_step(batch: usize) -> Result<Step, GraphError> {
    let builder = Builder::new();
    let (examples, labels) = (builder.input("examples", [batch, 4]), builder.input("labels", [batch]));
    let (weights, bias, seen) = (builder.input("w", [4, 4]), builder.input("b", [4]), builder.input("c", []));
    let logits = examples.matmul_nt(weights) + bias + seen;
    let losses = logits.softmax_cross_entropy(labels);
    builder.store(weights.transpose(&[1, 0]) * 0.5, weights);
    builder.store(weights.sum_axes(&[1]), bias);
    builder.store(seen + losses.mean(), seen);
    let parameters = vec![weights, bias, seen];
    let inputs = Inputs { examples, labels, scalars: Vec::new(), parameters, state: Vec::new() };
    builder.finish(inputs, Outputs { losses, logits })
}

/// The parameters after a pass over seven images, three at a time.
fn after_steps(
    step: &dyn Fn(usize) -> Result<Step, GraphError>,
    mut executor: Box<dyn Executor>,
    weight: f32,
) -> Result<(Totals, Vec<f32>), ExecError> {
    let pass = executor.prepare(Pass { step, count: 7, batch: Some(3), seed: 1 })?;
    let of_three = step(3)?;
    let size = of_three.inputs.parameters.iter().map(|&node| of_three.graph[node].shape.size()).sum();
    let split = Split {
        images: (0..28).map(|i| (i * 37 % 256) as u8).collect(),
        labels: vec![0, 3, 1, 2, 2, 0, 3],
        rows: 2,
        columns: 2,
    };
    let normalisation = Normalisation { mean: 0.5, std: 0.5 };
    executor.load(pass, Examples { split: Arc::new(split), normalisation, shifts: None })?;
    let initial: Vec<f32> = (0..size).map(|i| weight * (i as f32 * 0.7).sin()).collect();
    executor.write(0, &initial)?;
    for buffer in 1..=of_three.inputs.state.len() {
        executor.write(buffer, &vec![0.0; size])?;
    }
    let epoch = Epoch::whole(&[6, 0, 3, 1, 2, 5, 4], &[], 11);
    let totals = executor.run(pass, Some(epoch), &mut |_| true)?;
    let mut parameters = vec![0.0; size];
    executor.read(0, &mut parameters)?;
    Ok((totals, parameters))
}

fn both(
    step: &dyn Fn(usize) -> Result<Step, GraphError>,
    weight: f32,
    launching: Launching,
) -> [(Totals, Vec<f32>); 2] {
    let cpu = Box::new(CpuExecutor::new(Team::new(1).unwrap()));
    let cuda = Box::new(CudaExecutor::new(device(2), CudaMode { launching, ..CudaMode::default() }).unwrap());
    [after_steps(step, cpu, weight).unwrap(), after_steps(step, cuda, weight).unwrap()]
}

#[test]
fn what_is_no_loop_is_stored_when_all_that_reads_the_old_value_has_run() {
    for schedule in schedules() {
        set_schedule(schedule);
        for launching in [Launching::Graph, Launching::Launches] {
            let [(expected, wanted), (found, stored)] = both(&odd_step, 0.5, launching);
            assert_eq!((found.steps, found.sums.correct, found.not_finite), (3, expected.sums.correct, None));
            assert!((found.sums.loss - expected.sums.loss).abs() <= 1e-5 * expected.sums.loss);
            let close = |(a, b): (&f32, &f32)| (a - b).abs() <= 1e-6 * b.abs().max(1.0);
            assert!(stored.iter().zip(&wanted).all(close), "{stored:?}, not {wanted:?}");
        }
    }
}

#[test]
fn nothing_is_stored_after_a_loss_that_is_not_finite_by_copies_either() {
    for schedule in schedules() {
        set_schedule(schedule);
        for launching in [Launching::Graph, Launching::Launches] {
            let [(expected, wanted), (found, stored)] = both(&odd_step, 2e38, launching);
            assert_eq!((expected.not_finite, found.not_finite), (Some(12), Some(12)));
            let bits = |values: &[f32]| values.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
            assert!(bits(&stored) == bits(&wanted), "{stored:?}, not {wanted:?}");
            assert_eq!(stored[1], 2e38 * 0.7_f32.sin());
        }
    }
}

#[test]
fn gradients_that_are_stored_lie_with_those_that_move_with_them() {
    let [(_, wanted), (_, stored)] = both(&kept_step, 0.5, Launching::Graph);
    let close = |(a, b): (&f32, &f32)| (a - b).abs() <= 1e-6 * b.abs().max(1.0);
    assert!(stored.iter().zip(&wanted).all(close), "{stored:?}, not {wanted:?}");
}
