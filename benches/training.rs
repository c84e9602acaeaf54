//! CPU timings: the products of the default network, the optimizers, the loss, and whole steps.
//!
//! ```sh
//! cargo bench --bench training                # all
//! cargo bench --bench training -- products    # one group
//! ```
//!
//! Products report elements as multiply-adds a second (half of FLOP/s), optimizers parameters a second.

use std::hint::black_box;

use cotangent::data::{Gather, Normalisation, Split};
use cotangent::exec::{Arena, Plan, Team, vectorized};
use cotangent::model::{Activation, Perceptron};
use cotangent::ops::{Builder, Draw};
use cotangent::optim::{Adagrad, Adam, Optimizer, Piece, RmsProp, Sgd, Step};
use cotangent::train::engine::cpu::Learner;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

const BATCH: usize = 128;
const WIDTHS: [usize; 4] = [784, 512, 256, 10];

fn model() -> Perceptron {
    Perceptron { widths: WIDTHS.to_vec(), activation: Activation::Relu, dropout: 0.0 }
}

/// Each layer's product forwards, and its weight gradient and input gradient backwards.
fn products(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("products");
    for pair in WIDTHS.windows(2) {
        let (inputs, outputs) = (pair[0], pair[1]);
        for name in ["forward", "weight gradient", "input gradient"] {
            let builder = Builder::new();
            let (x, w) = (builder.input("x", [BATCH, inputs]), builder.input("w", [outputs, inputs]));
            let g = builder.input("g", [BATCH, outputs]);
            let product = match name {
                "forward" => x.matmul_nt(w),
                "weight gradient" => g.matmul_tn(x),
                _ => g.matmul(w),
            };
            let id = product.id().expect("the shapes fit");
            let plan = Plan::new(&builder.finish().expect("the shapes fit"), &[id], &[], 0);
            let mut arena = Arena::<f32>::new(plan.arena());
            let size = plan.arena();
            arena[0..size].iter_mut().enumerate().for_each(|(i, x)| *x = (i % 7) as f32 - 3.0);
            group.throughput(Throughput::Elements((BATCH * inputs * outputs) as u64));
            group.bench_function(BenchmarkId::new(name, format!("{inputs}-{outputs}")), |bencher| {
                bencher.iter(|| plan.run(black_box(&mut arena), Draw::default()));
            });
        }
    }
}

/// One update of all parameters, on one thread.
fn optimizers(criterion: &mut Criterion) {
    let count = model().parameter_count();
    let mut group = criterion.benchmark_group("optimizers");
    group.throughput(Throughput::Elements(count as u64));
    let rules = [
        ("sgd", Optimizer::Sgd(Sgd::default())),
        ("adagrad", Optimizer::Adagrad(Adagrad::default())),
        ("rmsprop", Optimizer::RmsProp(RmsProp::default())),
        ("adam", Optimizer::Adam(Adam::default())),
    ];
    for (name, rule) in rules {
        let (mut theta, g) = (vec![0.1_f32; count], vec![1e-3; count]);
        let (mut first, mut second) = (vec![0.0; count], vec![0.0; count]);
        let step = Step { number: 1, learning_rate: 1e-3, weight_decay: 0.0 };
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                vectorized(|| {
                    rule.update(step, [Piece::new(&mut theta, black_box(&g), &mut first, &mut second)])
                })
            });
        });
    }
}

/// Softmax cross-entropy with its gradient, for few and for many classes.
fn loss(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("loss and gradient");
    for classes in [10, 256] {
        let builder = Builder::new();
        let (z, y) = (builder.input("logits", [BATCH, classes]), builder.input("labels", [BATCH]));
        let losses = z.softmax_cross_entropy(y);
        let [gradient] = cotangent::autodiff::gradient(losses.mean(), [z]);
        let outputs = [losses, gradient].map(|var| var.id().expect("the shapes fit"));
        let labels = y.id().expect("the shapes fit");
        let plan = Plan::new(&builder.finish().expect("the shapes fit"), &outputs, &[], 0);
        let mut arena = Arena::<f32>::new(plan.arena());
        let size = plan.arena();
        arena[0..size].fill(0.5);
        arena[plan.place(labels)].fill(3.0);
        group.throughput(Throughput::Elements((BATCH * classes) as u64));
        group.bench_function(BenchmarkId::from_parameter(classes), |bencher| {
            bencher.iter(|| plan.run(black_box(&mut arena), Draw::default()));
        });
    }
}

/// Whole training steps of the default network with Adam: gather, forwards, backwards, update.
fn steps(criterion: &mut Criterion) {
    let count = 4096;
    let bytes: Vec<u8> = (0..count * WIDTHS[0]).map(|i| (i * 31 % 251) as u8).collect();
    let labels = (0..count).map(|i| (i % 10) as u8).collect();
    let split = Split { images: bytes, labels, rows: 28, columns: 28 };
    let gather = Gather::new(&split, Normalisation::of(&split), None);
    let indices: Vec<u32> = (0..BATCH as u32).collect();
    let mut group = criterion.benchmark_group("training step");
    group.throughput(Throughput::Elements(BATCH as u64));
    for threads in [1, 2, 4] {
        let mut team = Team::new(threads).expect("threads start");
        let adam = Optimizer::Adam(Adam::default());
        let mut engine = Learner::new(model(), adam, 0, count, BATCH).expect("the network is sound");
        group.bench_function(format!("{threads} threads"), |bencher| {
            team.install(|| {
                bencher.iter(|| {
                    engine.train_step(&gather, black_box(&indices), 1e-3, 0.0).expect("the loss is finite")
                })
            });
        });
    }
}

criterion_group!(benches, products, optimizers, loss, steps);
criterion_main!(benches);
