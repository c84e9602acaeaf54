//! What plans say of memory, and that evaluations find the same however many images they take at once.

use std::sync::Arc;

use super::evaluator::{EVALUATION_BATCH, WORTH};
use super::stage::reserved;
use super::*;
use crate::data::{Dataset, Normalisation, Split};
use crate::exec::Arena;
use crate::model::{Activation, Perceptron};
use crate::optim::{Adam, Optimizer, Sgd};
use crate::random::{Purpose, below, chacha};

/// Images of so many pixels, few of them black, in ten classes.
fn images(count: usize, pixels: usize) -> Split {
    let bytes = (0..count * pixels).map(|i| (i * 7919 % 251) as u8).collect();
    Split { images: bytes, labels: (0..count).map(|i| (i % 10) as u8).collect(), rows: 1, columns: pixels }
}

fn network(widths: &[usize], activation: Activation) -> Perceptron {
    Perceptron { widths: widths.to_vec(), activation, dropout: 0.0 }
}

#[test]
fn a_run_takes_what_its_plans_say_and_no_more() {
    for (widths, batch_size, optimizer) in [
        (&[144, 10][..], 7, Optimizer::Adam(Adam::default())),
        (&[144, 64, 32, 10], 128, Optimizer::Sgd(Sgd::default())),
        (&[30_000, 4, 10], 4, Optimizer::Adam(Adam::default())),
    ] {
        let model = network(widths, Activation::Relu);
        let counts = Counts { batch_size, training: 301, test: 700, validation: 0 };
        let memory = Plans::new(&model, &optimizer, counts).unwrap().memory(1);
        let job = Job {
            model: model.clone(),
            optimizer,
            weight_decay: 0.0,
            seed: 0,
            batch_size,
            data: Arc::new(Dataset {
                train: images(301, widths[0]),
                test: images(700, widths[0]),
                classes: 10,
            }),
            validation: None,
            normalisation: Normalisation { mean: 0.5, std: 0.5 },
            shifts: None,
        };
        let mut engine = CpuEngine::new(job, Team::new(1).unwrap()).unwrap();
        let order: Vec<u32> = (0..301).collect();
        let learning_rates = vec![1e-3; 301_usize.div_ceil(batch_size)];
        engine.epoch(Epoch { order: &order, learning_rates: &learning_rates }, &mut |_| true).unwrap();
        engine.evaluate(Set::Test).unwrap();
        engine.snapshot().unwrap();

        let evaluators = || engine.evaluators.iter().map(|(_, evaluator)| evaluator);
        let stages = std::iter::once(&engine.learner.training).chain(&engine.learner.last_batch);
        let stages = stages.chain(evaluators().flat_map(Evaluator::stages));
        let batches = engine.learner.spare.iter().chain(evaluators().flat_map(Evaluator::batches));
        let (mut lists, mut labels) = (0, 0);
        for batch in batches {
            lists += batch.images.allocated();
            labels += size_of_val(&batch.labels[..]);
        }
        lists += stages.flat_map(|stage| &stage.nonzeros).map(|list| list.allocated()).sum::<usize>();
        let written = size_of_val(&engine.plain[..]); // as a checkpoint
        let numbers = size_of::<f32>() * engine.learner.arena.len() + 2 * written + size_of_val(&order[..]);
        let held = numbers + lists + labels;
        // Beside that there is scratch, which threads keep, and what rounds the parts of the arena up to cache lines.
        let scratch = memory.bytes() - held;
        assert!(scratch < held / 3 + (1 << 20), "{widths:?}: {memory:?}, {held} held");
    }
}

#[test]
fn no_more_images_are_evaluated_at_once_than_memory_is_worth() {
    for (widths, rows) in [
        (&[784, 512, 256, 10][..], EVALUATION_BATCH..EVALUATION_BATCH + 1),
        (&[1 << 20, 4, 10], 1..4),
        (&[1 << 25, 4, 10], 1..2),
        (&[784, 4096, 4096, 10], 100..EVALUATION_BATCH),
    ] {
        let model = network(widths, Activation::Relu);
        let evaluator = Evaluator::new(&model, 10_000, model.parameter_count()).unwrap();
        assert!(rows.contains(&evaluator.rows), "{widths:?}: {}", evaluator.rows);
        if evaluator.rows > 1 {
            let arena = (evaluator.arena() - model.parameter_count()) * size_of::<f32>();
            assert!(arena + evaluator.stages().next().unwrap().batch_bytes() <= WORTH, "{widths:?}");
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
        let model = network(widths, activation);
        let mut split = images(1237, widths[0]);
        let mut rng = chacha(1, Purpose::Weights, 0);
        split.images.fill_with(|| below(&mut rng, 256) as u8);
        let normalisation = Normalisation { mean: 0.3, std: 0.4 };
        let parameters: Vec<f32> = model.initial_parameters(5).iter().map(|x| 2.0 * x).collect();
        // Labelled as the network has it: so losses are of all sizes down to the smallest, and the order of a sum shows.
        let mut classes = Vec::new();
        let gather = Gather::new(&split, normalisation, None);
        evaluate(&model, &parameters, (&gather, split.len()), |_, class, _| classes.push(class as u8))
            .unwrap();
        split.labels = classes;
        let gather = Gather::new(&split, normalisation, None);
        let reserved = reserved(&model, &Optimizer::Adam(Adam::default()));
        let found = |rows: usize| {
            let mut evaluator = Evaluator::of_batches(&model, split.len(), reserved, rows).unwrap();
            let mut arena = Arena::new(evaluator.arena());
            model.transpose(&parameters, &mut arena[0..parameters.len()], true);
            let mut losses = Vec::new();
            let sums = evaluator
                .run(&mut arena, &gather, |image, class, loss| losses.push((image, class, loss.to_bits())));
            (sums.loss.to_bits(), sums.correct, sums.count, losses)
        };
        let at_once = found(EVALUATION_BATCH);
        for rows in [1, 2, 3, 7, 64, 100, 499, 1237] {
            assert!(found(rows) == at_once, "{widths:?}, {rows} at once");
        }
    }
}
