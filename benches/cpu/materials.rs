//! What cases are made of: random numbers, and matrices with the zeros of training.

use std::cell::OnceCell;
use std::rc::Rc;

use cotangent::data::{Dataset, Gather, Normalisation};
use cotangent::exec::Team;
use cotangent::nn::{Activation, Model, Sequential, perceptron};
use cotangent::random::{Purpose, chacha, standard_normal};

use crate::training::Training;

pub const BATCH: usize = 128;
pub const WIDTHS: [usize; 4] = [784, 512, 256, 10];

/// Steps of an epoch of MNIST.
pub const EPOCH: usize = 468;

/// Random numbers are drawn up to this many, then repeated: a prime, so that no rows are alike.
const DRAWN: usize = 1_000_003;

pub fn model() -> Sequential {
    perceptron(&WIDTHS, Activation::Relu, 0.0)
}

/// What takes a while to make, made when it is first asked for.
pub struct Materials {
    /// Steps of training before zeros are looked at.
    steps: usize,
    data: OnceCell<Rc<Dataset>>,
    layers: OnceCell<[Vec<f32>; 3]>,
}

impl Materials {
    /// Networks are trained for `steps` steps.
    pub fn new(steps: usize) -> Self {
        Self { steps, data: OnceCell::new(), layers: OnceCell::new() }
    }

    pub fn data(&self) -> Rc<Dataset> {
        let read = || {
            let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/data/mnist");
            Rc::new(Dataset::from_folder(folder.as_ref()).expect("MNIST is in the repository"))
        };
        self.data.get_or_init(read).clone()
    }

    /// What goes into a layer, (batch, inputs), for a batch of MNIST: of the first layer each pixel's distance from the
    /// background, of the others what ReLU leaves, in a network that was trained.
    pub fn of_layer(&self, layer: usize) -> &[f32] {
        &self.layers.get_or_init(|| self.layers())[layer]
    }

    fn layers(&self) -> [Vec<f32>; 3] {
        let data = self.data();
        let split = &data.train;
        let mut training = Training::new(Team::of_machine(), &model(), &data, BATCH);
        (0..self.steps).for_each(|_| training.step());
        let gather = Gather::new(split, Normalisation::of(split), None);
        let (mut images, mut labels) = (vec![0.0; BATCH * WIDTHS[0]], vec![0.0; BATCH]);
        let indices: Vec<u32> = (0..BATCH as u32).collect();
        gather.batch(0, &indices, &mut images, &mut labels);
        let parameters = training.parameters();
        let [first, second] = [0, 1].map(|layer| {
            let described = model().parameters();
            let slice = |number: usize| &parameters[described[number].range()];
            (slice(2 * layer), slice(2 * layer + 1))
        });
        let hidden = relu_of_layer(&images, first);
        let deeper = relu_of_layer(&hidden, second);
        gather.deviations().batch(0, &indices, &mut images, &mut labels);
        [images, hidden, deeper]
    }
}

/// max(0, x Wᵀ + b), row by row.
fn relu_of_layer(x: &[f32], (weights, bias): (&[f32], &[f32])) -> Vec<f32> {
    let inputs = weights.len() / bias.len();
    let of_row = |row: &[f32]| {
        let outputs = weights.chunks_exact(inputs).zip(bias);
        let sum =
            |(weights, bias): (&[f32], &f32)| row.iter().zip(weights).map(|(x, w)| x * w).sum::<f32>() + bias;
        outputs.map(sum).map(|sum| sum.max(0.0)).collect::<Vec<f32>>()
    };
    x.chunks_exact(inputs).flat_map(of_row).collect()
}

/// Standard normal numbers; another `index`, other numbers.
pub fn normal(index: u64, length: usize) -> Vec<f32> {
    let mut random = chacha(0, Purpose::Weights, index);
    let mut values: Vec<f32> = (0..length.min(DRAWN)).map(|_| standard_normal(&mut random) as f32).collect();
    while values.len() < length {
        let more = values.len().min(length - values.len());
        values.extend_from_within(..more);
    }
    values
}
