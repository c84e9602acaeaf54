//! The number of threads changes no bit of a training run.

use cotangent::data::{Gather, Normalisation, Shifts, Split, batches, shuffled};
use cotangent::exec::Team;
use cotangent::model::{Activation, Perceptron};
use cotangent::optim::{Adagrad, Adam, Optimizer, RmsProp, Sgd};
use cotangent::train::engine::cpu::Learner;

use crate::support::Random;

/// Images of 18 x 18 noise with labels below 10.
pub fn images(count: usize) -> Split {
    let mut random = Random::new(7);
    let images = (0..count * 324).map(|_| random.below(256) as u8).collect();
    let labels = (0..count).map(|_| random.below(10) as u8).collect();
    Split { images, labels, rows: 18, columns: 18 }
}

pub fn optimizers() -> [Optimizer; 4] {
    [
        Optimizer::Sgd(Sgd::default()),
        Optimizer::Adagrad(Adagrad::default()),
        Optimizer::RmsProp(RmsProp::default()),
        Optimizer::Adam(Adam::default()),
    ]
}

/// Parameters, state and losses of two epochs of three batches, the last one smaller, as bits.
fn run(optimizer: Optimizer, split: &Split, threads: usize) -> Vec<u64> {
    // Large enough that products are cut into tiles, and loops and updates into tasks.
    let model = Perceptron { widths: vec![324, 200, 130, 10], activation: Activation::Relu, dropout: 0.2 };
    let mut engine = Learner::new(model, optimizer, 5, split.len(), 128).unwrap();
    let gather = Gather::new(split, Normalisation::of(split), Some(Shifts::new(5, 2)));
    let mut team = Team::new(threads).unwrap();
    let mut losses = Vec::new();
    team.install(|| {
        let mut order = vec![0; split.len()];
        for epoch in 0..2 {
            shuffled(5, epoch, &mut order);
            for batch in batches(split.len(), 128) {
                losses.push(engine.train_step(&gather, &order[batch], 1e-3, 1e-2).unwrap().loss);
            }
        }
    });
    assert_eq!(engine.step(), 6);
    let state = engine.parameters().into_iter().chain(engine.state()).map(|x| u64::from(x.to_bits()));
    losses.iter().map(|loss| loss.to_bits()).chain(state).collect()
}

#[test]
fn one_two_and_four_threads_train_to_the_same_bits() {
    let split = images(2 * 128 + 50);
    for optimizer in optimizers() {
        let one = run(optimizer, &split, 1);
        assert!(one[6..].iter().any(|bits| *bits != 0));
        for threads in [2, 4] {
            assert!(
                one == run(optimizer, &split, threads),
                "{} on {threads} threads",
                optimizer.formula(0.0)
            );
        }
    }
}
