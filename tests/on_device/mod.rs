//! Training on a device, held against the CPU: the emulated devices, or the real card.

mod backprop;
mod bfloat16;
mod failure;
mod host;
mod orders;
mod stores;
mod training;

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use cotangent::data::{Dataset, Normalisation, Shifts, Split};
use cotangent::exec::cuda::{CudaExecutor, CudaMode, Device, Launching, Products};
use cotangent::exec::{CpuExecutor, Executor, Team};
use cotangent::nn::{Activation, Sequential, perceptron};
use cotangent::optim::{Optimizer, OptimizerName};
use cotangent::train::TrainError;
use cotangent::train::engine::{Engine, Job, OnDevice, Plans, Set, Snapshot};

use crate::emulator::{Schedule, emulator};
use crate::kernels::support::{on_real_card, opened};

/// MNIST, read once.
fn mnist() -> &'static Dataset {
    static MNIST: OnceLock<Dataset> = OnceLock::new();
    MNIST.get_or_init(|| {
        // Beside the sources, or where the program is started or lies on a machine that has no sources.
        let beside = std::env::current_exe().ok().and_then(|exe| Some(exe.parent()?.join("data/mnist")));
        let places = [Path::new(env!("CARGO_MANIFEST_DIR")).join("data/mnist"), PathBuf::from("data/mnist")];
        let folder = places.into_iter().chain(beside).find(|folder| folder.is_dir());
        Dataset::from_folder(&folder.expect("data/mnist")).unwrap()
    })
}

/// The first images of a split.
fn first(split: &Split, count: usize) -> Split {
    let Split { rows, columns, .. } = *split;
    Split {
        images: split.images[..count * rows * columns].to_vec(),
        labels: split.labels[..count].to_vec(),
        rows,
        columns,
    }
}

/// The network of the README on the first images of MNIST, so many for training and for the test.
fn real_network(optimizer: Optimizer, [train, test]: [usize; 2], dropout: f64) -> Job {
    let [train, test] =
        [(&mnist().train, train), (&mnist().test, test)].map(|(split, count)| first(split, count));
    let data = Dataset { train: Arc::new(train), test: Arc::new(test), classes: 10 };
    let model = perceptron(&[784, 512, 256, 10], Activation::Relu, dropout);
    job(model, optimizer, data)
}

/// A small network on noise of 18 x 18 pixels, whose last batch is smaller.
fn small_network(optimizer: Optimizer, batches: usize) -> Job {
    let data = Dataset {
        train: Arc::new(crate::determinism::images(32 * batches + 12)),
        test: Arc::new(crate::determinism::images(75)),
        classes: 10,
    };
    let model = perceptron(&[324, 48, 33, 10], Activation::Tanh, 0.25);
    Job { batch_size: 32, weight_decay: 0.01, ..job(model, optimizer, data) }
}

fn job(model: Sequential, optimizer: Optimizer, data: Dataset) -> Job {
    Job {
        model: Arc::new(model),
        optimizer,
        weight_decay: 0.0,
        seed: 5,
        batch_size: 128,
        normalisation: Normalisation::of(&data.train),
        shifts: Some(Shifts::new(5, 1)),
        validation: None,
        data: Arc::new(data),
    }
}

fn engine(job: &Job, executor: Box<dyn Executor>, device: Option<OnDevice>) -> Result<Engine, TrainError> {
    Engine::new(job.clone(), Plans::new(&*job.model, &job.optimizer, job.counts(), executor, device)?)
}

fn on_cpu(job: &Job) -> Engine {
    engine(job, Box::new(CpuExecutor::new(Team::new(1).unwrap())), None).unwrap()
}

/// A device of this thread: of the emulated ones the one of this number, modulo theirs.
fn device(number: usize) -> Arc<Device> {
    let devices = if on_real_card() { 1 } else { 3 };
    Arc::new(opened(number % devices))
}

fn opened_on_device(job: &Job, number: usize, mode: CudaMode) -> Result<Engine, TrainError> {
    let device = device(number);
    let name = format!("cuda:{} ({})", device.ordinal(), device.name());
    engine(
        job,
        Box::new(CudaExecutor::new(device, mode).unwrap()),
        Some(OnDevice { name, launching: mode.launching }),
    )
}

fn on_device(job: &Job, number: usize, launching: Launching) -> Engine {
    opened_on_device(job, number, CudaMode { launching, ..CudaMode::default() }).unwrap()
}

/// Sets the schedule of the emulated devices on this thread.
fn set_schedule(schedule: Schedule) {
    if !on_real_card() {
        emulator().set_schedule(schedule);
    }
}

/// Trains for whole epochs in the order of the images; the objective of each.
fn train(engine: &mut Engine, job: &Job, epochs: usize, learning_rate: f64) -> Vec<f64> {
    let order: Vec<u32> = (0..job.data.train.len() as u32).collect();
    let learning_rates = vec![learning_rate; order.len().div_ceil(job.batch_size)];
    let mut epoch = || engine.epoch(&order, &learning_rates, &mut |_| true).unwrap().0;
    (0..epochs).map(|_| epoch().objective()).collect()
}

/// Parameters and state as bits, and the step.
fn bits(engine: &mut Engine) -> (Vec<u32>, u64) {
    let Snapshot { parameters, state, step } = engine.snapshot().unwrap();
    (parameters.iter().chain(state).map(|x| x.to_bits()).collect(), step)
}
