//! Whole training steps on the card, as `cotangent mnist` runs them: an epoch of captured graphs at a time.

use std::sync::Arc;
use std::time::Instant;

use cotangent::data::{Dataset, Normalisation, Shifts, Split};
use cotangent::exec::cuda::{Device, Launching, Products};
use cotangent::model::{Activation, Perceptron};
use cotangent::optim::Optimizer;
use cotangent::train::engine::cuda::CudaEngine;
use cotangent::train::engine::{Engine, Epoch, Job};

use crate::lab::{Lab, Outcome};
use crate::report::{Bound, Work};
use crate::{BATCH, PARAMETERS, WIDTHS};

/// Steps of an epoch of MNIST, but for its smaller last one.
const STEPS: usize = 468;
/// What an emulated device does in a second.
const EMULATED_STEPS: usize = 3;

/// A network in training on images of noise, which take as long as any others.
pub struct Training {
    engine: CudaEngine,
    order: Vec<u32>,
    learning_rates: Vec<f64>,
}

impl Training {
    pub fn new(lab: &Lab, optimizer: Optimizer, products: Products) -> Outcome<Self> {
        let steps = if lab.is_emulated() { EMULATED_STEPS } else { STEPS };
        let images = |count: usize| {
            let mut word = 1_u32;
            let mut noise = || {
                word = word.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (word >> 24) as u8
            };
            let images = (0..count * WIDTHS[0]).map(|_| noise()).collect();
            Split { images, labels: (0..count).map(|i| (i % 10) as u8).collect(), rows: 28, columns: 28 }
        };
        let data = Dataset { train: images(steps * BATCH), test: images(BATCH), classes: 10 };
        let job = Job {
            model: Perceptron { widths: WIDTHS.to_vec(), activation: Activation::Relu, dropout: 0.0 },
            optimizer,
            weight_decay: 0.0,
            seed: 0,
            batch_size: BATCH,
            normalisation: Normalisation::of(&data.train),
            shifts: Some(Shifts::new(0, 1)),
            validation: None,
            data: Arc::new(data),
        };
        let device = Arc::new(Device::open(lab.device.ordinal())?);
        let engine = CudaEngine::new(job, device, (Launching::Graph, products))?;
        let order = (0..(steps * BATCH) as u32).collect();
        Ok(Self { engine, order, learning_rates: vec![1e-4; steps] })
    }

    /// The time of one step, by the clock around whole epochs of at least so many steps in all: the upload
    /// of the order, the launches and the reading of the sums are in it.
    pub fn seconds(&mut self, steps: u64) -> Outcome<f64> {
        let epochs = steps.div_ceil(self.learning_rates.len() as u64);
        let begin = Instant::now();
        for _ in 0..epochs {
            let epoch = Epoch { order: &self.order, learning_rates: &self.learning_rates };
            self.engine.epoch(epoch, &mut |_| true)?;
        }
        Ok(begin.elapsed().as_secs_f64() / (epochs * self.learning_rates.len() as u64) as f64)
    }
}

/// The update's traffic with the gradients written before it; the products' operations, forwards, for the weights
/// and, but for the first layer, for the inputs.
pub fn work(optimizer: &Optimizer, products: Products) -> Work {
    let update = if optimizer.state_per_parameter() == 2 { 28 } else { 20 };
    let multiply_adds =
        |from: usize| WIDTHS.windows(2).skip(from).map(|pair| BATCH * pair[0] * pair[1]).sum::<usize>();
    Work {
        bytes: ((4 + update) * PARAMETERS) as u64,
        flops: 2 * (2 * multiply_adds(0) + multiply_adds(1)) as u64,
        arithmetic: if products == Products::Bf16 { Bound::Mma } else { Bound::Fma },
    }
}
