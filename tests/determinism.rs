//! The number of threads changes no bit of a training run.

use std::sync::Arc;

use cotangent::data::{Split, shuffled};
use cotangent::exec::{Bf16Unit, CpuExecutor, CpuProducts, Team};
use cotangent::nn::{Activation, Model, perceptron};
use cotangent::optim::{Constant, Optimizer, OptimizerName};

use crate::support::Random;
use crate::support::steps::Steps;

/// Images of 18 x 18 noise with labels below 10.
pub fn images(count: usize) -> Split {
    let mut random = Random::new(7);
    let images = (0..count * 324).map(|_| random.below(256) as u8).collect();
    let labels = (0..count).map(|_| random.below(10) as u8).collect();
    Split { images, labels, rows: 18, columns: 18 }
}

/// Every rule, with the constants that it has unless others are chosen.
pub fn optimizers() -> Vec<Optimizer> {
    OptimizerName::ALL.into_iter().map(usual).collect()
}

/// One of them.
pub fn usual(name: OptimizerName) -> Optimizer {
    name.build(|constant: &Constant| constant.default)
}

/// Parameters, state and losses of two epochs of three batches, the last one smaller, as bits.
fn run(optimizer: Optimizer, split: &Split, threads: usize, products: CpuProducts) -> Vec<u64> {
    // Large enough that products are cut into tiles, and loops and updates into tasks.
    let model: Arc<dyn Model> = Arc::new(perceptron(&[324, 200, 144, 10], Activation::Relu, 0.2));
    let executor = CpuExecutor::new(Team::new(threads).unwrap()).with_products(products);
    let mut steps = Steps::new(executor, &model, optimizer, (split, 128));
    let (mut order, mut losses) = (vec![0; split.len()], Vec::new());
    for epoch in 0..2 {
        shuffled(5, epoch, &mut order);
        losses.push(steps.epoch(&order).sums.loss.to_bits());
    }
    let buffers = steps.buffers().into_iter().flatten().map(|x| u64::from(x.to_bits()));
    losses.into_iter().chain(buffers).collect()
}

#[test]
fn one_two_and_four_threads_train_to_the_same_bits() {
    let split = images(2 * 128 + 50);
    let unit = Bf16Unit::of_machine().unwrap_or(Bf16Unit::tile_model());
    let dense = (usual(OptimizerName::Adam), CpuProducts::Dense);
    let in_bf16 = (usual(OptimizerName::Adam), CpuProducts::Bf16(unit));
    let skipping = optimizers().into_iter().map(|optimizer| (optimizer, CpuProducts::Skipping));
    for (optimizer, products) in skipping.chain([dense, in_bf16]) {
        let one = run(optimizer, &split, 1, products);
        assert!(one[2..].iter().any(|bits| *bits != 0));
        for threads in [2, 4] {
            assert!(
                one == run(optimizer, &split, threads, products),
                "{} on {threads} threads",
                optimizer.formula(0.0)
            );
        }
    }
}
