//! What plans say of memory, and that evaluations find the same however many images they take at once.

use std::sync::Arc;

use super::*;
use crate::autodiff::vjp;
use crate::data::{Normalisation, Split};
use crate::exec::Bf16Unit;
use crate::exec::Interpreter;
use crate::exec::cpu::team::counting::rounds;
use crate::exec::executor::{Inputs, Outputs, Step};
use crate::nn::{Activation, Model, Sequential, perceptron};
use crate::ops::{Builder, GraphError};
use crate::optim::{Adam, Optimizer, Sgd};
use crate::random::{Purpose, below, chacha};
use crate::step;

/// Images of so many pixels, few of them black, in ten classes.
fn images(count: usize, pixels: usize) -> Split {
    let bytes = (0..count * pixels).map(|i| (i * 7919 % 251) as u8).collect();
    Split { images: bytes, labels: (0..count).map(|i| (i % 10) as u8).collect(), rows: 1, columns: pixels }
}

fn examples(split: Split) -> Examples {
    Examples { split: Arc::new(split), normalisation: Normalisation { mean: 0.3, std: 0.4 }, shifts: None }
}

fn executor() -> CpuExecutor {
    CpuExecutor::new(Team::new(1).unwrap())
}

/// Prepares an evaluation of so many images, and loads them if there are any.
fn evaluation(
    executor: &mut CpuExecutor,
    model: &Sequential,
    (count, batch): (usize, Option<usize>),
    split: Option<&Split>,
) -> PassId {
    let evaluates = |batch: usize| -> Result<Step, GraphError> { step::evaluation(model, batch) };
    let pass = executor.prepare(Pass { step: &evaluates, count, batch, seed: 0 }).unwrap();
    if let Some(split) = split {
        executor.load(pass, examples(split.clone())).unwrap();
    }
    pass
}

#[test]
fn passes_take_what_their_plans_say_and_no_more() {
    let (skipping, dense) = (CpuProducts::Skipping, CpuProducts::Dense);
    let bf16 = CpuProducts::Bf16(Bf16Unit::tile_model());
    for (widths, batch, optimizer, products) in [
        (&[144, 10][..], 7, Optimizer::Adam(Adam::default()), skipping),
        (&[144, 64, 32, 10], 128, Optimizer::Sgd(Sgd::default()), skipping),
        (&[144, 64, 32, 10], 128, Optimizer::Sgd(Sgd::default()), dense),
        (&[144, 64, 32, 10], 128, Optimizer::Sgd(Sgd::default()), bf16),
        (&[30_000, 4, 10], 4, Optimizer::Adam(Adam::default()), skipping),
        (&[3_000, 4, 10], 40, Optimizer::Adam(Adam::default()), bf16),
    ] {
        let (model, mut executor) =
            (perceptron(widths, Activation::Relu, 0.0), executor().with_products(products));
        let trains = |batch: usize| step::training(&model, &optimizer, batch);
        let pass = Pass { step: &trains, count: 301, batch: Some(batch), seed: 0 };
        let training = executor.prepare(pass).unwrap();
        let test = evaluation(&mut executor, &model, (700, None), None);
        let memory = executor.memory(1);

        executor.load(training, examples(images(301, widths[0]))).unwrap();
        executor.load(test, examples(images(700, widths[0]))).unwrap();
        let mut buffer = model.initial_parameters(0);
        executor.write(0, &buffer).unwrap();
        for state in 1..=optimizer.states() {
            executor.write(state, &vec![0.0; buffer.len()]).unwrap();
        }
        let order: Vec<u32> = (0..301).collect();
        let scalars = optimizer.at::<f64>(1, 1e-3, 0.0).repeat(301_usize.div_ceil(batch));
        executor.run(training, Some(Epoch::whole(&order, &scalars, 0)), &mut |_| true).unwrap();
        executor.run(test, None, &mut |_| true).unwrap();
        executor.read(0, &mut buffer).unwrap();

        let of_pass = |pass: &PreparedPass| {
            let lists = pass.stages.iter().flat_map(|stage| &stage.nonzeros).map(|list| list.allocated());
            lists.sum::<usize>() + pass.spare.iter().map(Batch::allocated).sum::<usize>()
        };
        let lists: usize = executor.passes.iter().map(of_pass).sum();
        // Buffers are read by a trainer, and written as a checkpoint.
        let written = 2 * (1 + optimizer.states()) * size_of_val(&buffer[..]);
        let held = size_of::<f32>() * executor.arena().len() + written + size_of_val(&order[..]) + lists;
        // Beside that there is scratch, which threads keep, and what rounds the parts of the arena up to cache lines.
        let scratch = memory.bytes() - held;
        assert!(scratch < held / 3 + (1 << 20), "{widths:?}: {memory:?}, {held} held");
    }
}

#[test]
fn no_more_images_are_evaluated_at_once_than_memory_is_worth() {
    for (widths, rows) in [
        (&[784, 512, 256, 10][..], BATCH..BATCH + 1),
        (&[1 << 20, 4, 10], 2..8),
        (&[1 << 25, 4, 10], 1..2),
        (&[784, 8192, 8192, 10], 100..BATCH),
    ] {
        let (model, mut executor) = (perceptron(widths, Activation::Relu, 0.0), executor());
        evaluation(&mut executor, &model, (10_000, None), None);
        let PreparedPass { stages, batch, .. } = &executor.passes[0];
        assert!(rows.contains(batch), "{widths:?}: {batch}");
        if *batch > 1 {
            let arena = (stages[0].plan.arena() - model.parameter_count()) * size_of::<f32>();
            assert!(arena + stages[0].batch_bytes() <= WORTH, "{widths:?}");
        }
    }
}

#[test]
fn an_evaluation_finds_the_same_bits_however_many_images_it_takes_at_once() {
    for (widths, activation) in [
        (&[144, 64, 32, 10][..], Activation::Relu),
        (&[50, 40, 10], Activation::Tanh),
        (&[70, 4, 3], Activation::Relu),
    ] {
        let model = perceptron(widths, activation, 0.0);
        let mut split = images(1237, widths[0]);
        let mut rng = chacha(1, Purpose::Weights, 0);
        split.images.fill_with(|| below(&mut rng, 256) as u8);
        let parameters: Vec<f32> = model.initial_parameters(5).iter().map(|x| 2.0 * x).collect();
        let count = split.labels.len();
        let found = |batch: Option<usize>, split: &Split| {
            let mut executor = executor();
            let pass = evaluation(&mut executor, &model, (count, batch), Some(split));
            executor.write(0, &parameters).unwrap();
            let mut predicted = Vec::new();
            executor.predict(pass, |image, class, loss| predicted.push((image, class, loss.to_bits())));
            let Totals { sums, confusion, .. } = executor.run(pass, None, &mut |_| true).unwrap();
            (sums.loss.to_bits(), sums.correct, sums.count, confusion, predicted)
        };
        split.labels.fill(0); // there may be three classes alone
        // Labelled as the network has it: so losses are of all sizes down to the smallest, and the order of a sum shows.
        split.labels = found(None, &split).4.into_iter().map(|(_, class, _)| class as u8).collect();
        let at_once = found(None, &split);
        assert_eq!((at_once.1, at_once.2), (count, count), "as it was labelled");
        for batch in [1, 2, 3, 7, 64, 100, 499, 1237] {
            assert!(found(Some(batch), &split) == at_once, "{widths:?}, {batch} at once");
        }
    }
}

#[test]
fn a_step_whose_loss_is_not_finite_stores_nothing_and_ends_the_pass() {
    let (model, optimizer) =
        (perceptron(&[9, 5, 10], Activation::Relu, 0.0), Optimizer::Adam(Adam::default()));
    let mut executor = executor();
    let trains = |batch: usize| step::training(&model, &optimizer, batch);
    let pass = executor.prepare(Pass { step: &trains, count: 20, batch: Some(8), seed: 0 }).unwrap();
    executor.load(pass, examples(images(20, 9))).unwrap();
    let mut parameters = model.initial_parameters(0);
    parameters[3] = f32::INFINITY;
    for buffer in 0..3 {
        executor.write(buffer, &parameters).unwrap();
    }
    let order: Vec<u32> = (0..20).collect();
    let scalars = optimizer.at::<f64>(1, 1e-3, 0.0).repeat(3);
    let epoch = Epoch::whole(&order, &scalars, 41);
    let totals = executor.run(pass, Some(epoch), &mut |_| true).unwrap();
    assert_eq!((totals.not_finite, totals.steps), (Some(42), 0));
    for buffer in 0..3 {
        let mut found = vec![0.0; parameters.len()];
        executor.read(buffer, &mut found).unwrap();
        assert_eq!(found, parameters, "buffer {buffer}");
    }
}

#[test]
fn an_epoch_ends_early_when_it_is_told_to_and_goes_on_from_there() {
    let (model, optimizer) = (perceptron(&[9, 5, 10], Activation::Relu, 0.0), Optimizer::Sgd(Sgd::default()));
    let run = |most: usize| {
        let mut executor = executor();
        let trains = |batch: usize| step::training(&model, &optimizer, batch);
        let pass = executor.prepare(Pass { step: &trains, count: 20, batch: Some(8), seed: 0 }).unwrap();
        executor.load(pass, examples(images(20, 9))).unwrap();
        executor.write(0, &model.initial_parameters(0)).unwrap();
        executor.write(1, &vec![0.0; model.parameter_count()]).unwrap();
        let order: Vec<u32> = (0..20).collect();
        let scalars = optimizer.at::<f64>(1, 1e-3, 0.0).repeat(3);
        let epoch = Epoch::whole(&order, &scalars, 0);
        let totals = executor.run(pass, Some(epoch), &mut |steps| steps < most).unwrap();
        (totals.steps, totals.sums.count, totals.ended)
    };
    assert_eq!(run(1), (1, 8, Ended::Early));
    assert_eq!(run(2), (2, 16, Ended::Early));
    assert_eq!(run(3), (3, 20, Ended::Whole), "told so after the last step");
    assert_eq!(run(9), (3, 20, Ended::Whole));
}

/// A step whose logits are products with a matrix, and the sums of its squares besides: which reads it as no product does.
fn squares_too(batch: usize) -> Result<Step, GraphError> {
    let builder = Builder::new();
    let (examples, labels) = (builder.input("images", [batch, 5]), builder.input("labels", [batch]));
    let weights = builder.input("weights", [200, 5]);
    let logits = examples.matmul_nt(weights) + (weights * weights).sum_axes(&[1]);
    let losses = logits.softmax_cross_entropy(labels);
    let gradient = vjp(losses.mean(), builder.constant(1.0), &[weights]).get(weights);
    builder.store(weights - 0.5 * gradient, weights);
    let (parameters, scalars, state) = (vec![weights], Vec::new(), Vec::new());
    builder.finish(Inputs { examples, labels, scalars, parameters, state }, Outputs { losses, logits })
}

#[test]
fn a_parameter_that_something_reads_as_rows_lies_in_rows() {
    let lies_in_panels = |executor: &CpuExecutor| executor.passes[0].stages[0].plan.in_panels.contains(&true);
    let mut usual = executor();
    evaluation(&mut usual, &perceptron(&[5, 200, 10], Activation::Relu, 0.0), (6, None), None);
    assert!(lies_in_panels(&usual));

    let mut executor = executor();
    let pass = executor.prepare(Pass { step: &squares_too, count: 6, batch: Some(6), seed: 0 }).unwrap();
    assert!(!lies_in_panels(&executor));
    let examples = examples(images(6, 5));
    executor.load(pass, examples.clone()).unwrap();
    let weights: Vec<f32> = (0..1000).map(|i| (i * 7919 % 1009) as f32 / 1009.0 - 0.5).collect();
    executor.write(0, &weights).unwrap();
    executor.run(pass, Some(Epoch::whole(&[0, 1, 2, 3, 4, 5], &[], 0)), &mut |_| true).unwrap();
    let mut found = vec![0.0; 1000];
    executor.read(0, &mut found).unwrap();

    let step = squares_too(6).unwrap();
    let (mut batch, mut labels) = (vec![0.0; 30], vec![0.0; 6]);
    examples.gather().batch(0, &[0, 1, 2, 3, 4, 5], &mut batch, &mut labels);
    let mut values = Interpreter::<f32>::new(&step.graph);
    values.set(step.inputs.examples, &batch);
    values.set(step.inputs.labels, &labels);
    values.set(step.inputs.parameters[0], &weights);
    values.run(0..step.graph.len(), Draw::default());
    let expected = values.get(step.stores[0].value);
    assert!(found.iter().zip(expected).all(|(a, b)| (a - b).abs() <= 1e-5));
    assert!(found.iter().zip(&weights).any(|(a, b)| (a - b).abs() > 1e-3), "nothing moved");
}

#[test]
fn a_step_meets_the_team_as_often_as_it_has_pieces_of_work() {
    let optimizer = Optimizer::Adam(Adam::default());
    let model = perceptron(&[784, 512, 256, 10], Activation::Relu, 0.0);
    for (products, expected) in [
        // Eight products, two lists of hidden units, three sums of columns, the loss, and smaller updates.
        (CpuProducts::Skipping, 20),
        // For each product, packing and tiles.
        (CpuProducts::Bf16(Bf16Unit::of_machine().unwrap_or(Bf16Unit::tile_model())), 24),
    ] {
        let mut executor = executor().with_products(products);
        let trains = |batch: usize| step::training(&model, &optimizer, batch);
        let pass = executor.prepare(Pass { step: &trains, count: 128, batch: Some(128), seed: 0 }).unwrap();
        executor.load(pass, examples(images(128, 784))).unwrap();
        executor.write(0, &model.initial_parameters(0)).unwrap();
        for state in 1..=optimizer.states() {
            executor.write(state, &vec![0.0; model.parameter_count()]).unwrap();
        }
        let (order, scalars): (Vec<u32>, _) = ((0..128).collect(), optimizer.at::<f64>(1, 1e-3, 0.0));
        let mut step = || {
            let epoch = Epoch::whole(&order, &scalars, 0);
            let totals = executor.run(pass, Some(epoch), &mut |_| true).unwrap();
            assert_eq!(totals.not_finite, None);
        };
        step();
        assert_eq!(rounds(step), expected, "{products:?}");
    }
}
