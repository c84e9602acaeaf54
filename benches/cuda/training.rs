//! Training on the card, as `cotangent mnist` trains: an epoch of MNIST at a time, on the images themselves.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use cotangent::data::{Dataset, Normalisation, Shifts, Split, batches, shuffled};
use cotangent::exec::cuda::{CudaExecutor, CudaMode, Device, Launching, Products};
use cotangent::nn::{Activation, perceptron};
use cotangent::optim::{Adagrad, Adam, Optimizer, RmsProp, Sgd};
use cotangent::train::engine::{Counts, Engine, Job, Plans};

use crate::cases::{BATCH, PARAMETERS, Scale, WIDTHS};
use crate::lab::{Lab, Outcome};
use crate::report::{Bound, Title, Work};
use crate::rotation::Timed;

/// Images of an epoch of steps: whole batches of 128, and of 512.
const WHOLE: usize = 468 * BATCH;

const LEARNING_RATE: f64 = 1e-3;

/// All rules, with their names.
pub fn rules() -> [(&'static str, Optimizer); 4] {
    [
        ("sgd", Optimizer::Sgd(Sgd::default())),
        ("adagrad", Optimizer::Adagrad(Adagrad::default())),
        ("rmsprop", Optimizer::RmsProp(RmsProp::default())),
        ("adam", Optimizer::Adam(Adam::default())),
    ]
}

/// What is timed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Span {
    /// A whole epoch with its smaller last batch: shuffling, upload, launches, and reading the sums.
    Epoch,
    /// A step: its share of an epoch of full batches, whose order is there.
    Step,
}

/// How a network is trained.
#[derive(Clone, Debug)]
pub struct Setting {
    span: Span,
    name: &'static str,
    rule: Optimizer,
    pub products: Products,
    pub launching: Launching,
    is_shifted: bool,
    batch: usize,
    scale: Scale,
}

impl Setting {
    /// All that are timed. Names say what differs from float32, a graph, batches of 128 and images where they are.
    pub fn all(scale: Scale) -> Vec<Self> {
        let [sgd, adagrad, rmsprop, adam] = rules();
        let setting = |span, (name, rule), products, launching, is_shifted, batch| Self {
            span,
            name,
            rule,
            products,
            launching,
            is_shifted,
            batch,
            scale,
        };
        let mut all = Vec::new();
        for is_shifted in [false, true] {
            all.push(setting(Span::Epoch, adam, Products::F32, Launching::Graph, is_shifted, BATCH));
        }
        let in_float32 = [adam, rmsprop, adagrad, sgd].map(|rule| (rule, Products::F32));
        let in_bfloat16 = [adam, sgd].map(|rule| (rule, Products::Bf16));
        for launching in [Launching::Graph, Launching::Launches] {
            for is_shifted in [false, true] {
                for (rule, products) in in_float32.into_iter().chain(in_bfloat16) {
                    all.push(setting(Span::Step, rule, products, launching, is_shifted, BATCH));
                }
                for products in [Products::F32, Products::Bf16] {
                    all.push(setting(Span::Step, adam, products, launching, is_shifted, 4 * BATCH));
                }
            }
        }
        all
    }

    pub fn title(&self) -> Title {
        let is_bf16 = self.products == Products::Bf16;
        let span = if self.span == Span::Epoch { "mnist_epoch" } else { "training_step" };
        let kernel = format!("{span}/{}{}", self.name, if is_bf16 { "_bf16" } else { "" });
        let mut name = kernel.clone();
        for (is_so, word) in [
            (self.batch != BATCH, "batch512"),
            (self.is_shifted, "shifted"),
            (self.launching == Launching::Launches, "launches"),
        ] {
            if is_so {
                name += "/";
                name += word;
            }
        }
        let launching = if self.launching == Launching::Graph { "graph" } else { "launches" };
        let shifted = if self.is_shifted { " shifted" } else { "" };
        Title {
            name,
            kernel,
            shape: format!("{}x{}", self.batch, WIDTHS.map(|width| width.to_string()).join("-")),
            precision: if is_bf16 { "bf16" } else { "f32" },
            variant: Some(format!("{launching}{shifted}")),
        }
    }

    /// The same, kernel by kernel, in an epoch of one step.
    pub fn profiled(&self) -> Self {
        Self { span: Span::Step, launching: Launching::Launches, ..self.clone() }
    }
}

/// MNIST, from the folder beside the program or the one below the folder that it was started in.
fn mnist() -> Outcome<&'static Dataset> {
    static MNIST: OnceLock<Result<Dataset, String>> = OnceLock::new();
    let read = || {
        let beside =
            std::env::current_exe().ok().and_then(|program| Some(program.parent()?.join("data/mnist")));
        let here = PathBuf::from("data/mnist");
        let folder = beside.filter(|folder| folder.is_dir()).unwrap_or(here);
        Dataset::from_folder(&folder).map_err(|error| error.to_string())
    };
    MNIST.get_or_init(read).as_ref().map_err(|problem| problem.clone().into())
}

/// The first `count` images, or all if there are fewer.
fn first(split: &Split, count: usize) -> Split {
    let count = count.min(split.len());
    Split {
        images: split.images[..count * split.pixels()].to_vec(),
        labels: split.labels[..count].to_vec(),
        ..*split
    }
}

/// A network in training.
pub struct Training {
    engine: Engine,
    span: Span,
    order: Vec<u32>,
    learning_rates: Vec<f64>,
    epochs: u64,
}

impl Training {
    pub fn new(lab: &Lab, setting: &Setting) -> Outcome<Self> {
        let (count, batch, widths) = match (setting.scale, setting.span) {
            (Scale::Full, Span::Epoch) => (usize::MAX, setting.batch, WIDTHS.to_vec()),
            (Scale::Full, Span::Step) => (WHOLE, setting.batch, WIDTHS.to_vec()),
            (Scale::Tiny, Span::Epoch) => (20, 8, vec![WIDTHS[0], 16, 10]),
            (Scale::Tiny, Span::Step) => (16, 8, vec![WIDTHS[0], 16, 10]),
        };
        Self::with(lab, setting, (count, batch, widths))
    }

    /// A network whose epoch is one step.
    pub fn of_one_step(lab: &Lab, setting: &Setting) -> Outcome<Self> {
        let batch = if setting.scale == Scale::Full { setting.batch } else { 8 };
        let widths = if setting.scale == Scale::Full { WIDTHS.to_vec() } else { vec![WIDTHS[0], 16, 10] };
        Self::with(lab, setting, (batch, batch, widths))
    }

    fn with(
        lab: &Lab,
        setting: &Setting,
        (count, batch, widths): (usize, usize, Vec<usize>),
    ) -> Outcome<Self> {
        let mnist = mnist()?;
        let (train, test) = (first(&mnist.train, count), first(&mnist.test, batch));
        let data = Dataset { train: Arc::new(train), test: Arc::new(test), classes: mnist.classes };
        let images = data.train.len();
        let job = Job {
            model: Arc::new(perceptron(&widths, Activation::Relu, 0.0)),
            optimizer: setting.rule,
            weight_decay: 0.0,
            seed: 0,
            batch_size: batch,
            normalisation: Normalisation::of(&data.train),
            shifts: setting.is_shifted.then(|| Shifts::new(0, 1)),
            validation: None,
            data: Arc::new(data),
        };
        let device = Arc::new(Device::open(lab.device.ordinal())?);
        let executor =
            CudaExecutor::new(device, CudaMode { launching: setting.launching, products: setting.products })?;
        let test = job.data.test.len();
        let counts = Counts { batch_size: batch, training: images, test, validation: 0, seed: job.seed };
        let plans = Plans::new(&*job.model, &job.optimizer, counts, Box::new(executor), None)?;
        let engine = Engine::new(job, plans)?;
        let mut order = vec![0; images];
        shuffled(0, 0, &mut order);
        let learning_rates = vec![LEARNING_RATE; batches(images, batch).len()];
        Ok(Self { engine, span: setting.span, order, learning_rates, epochs: 0 })
    }

    /// One epoch, in the order that is there.
    pub fn epoch(&mut self) -> Outcome<()> {
        self.engine.epoch(&self.order, &self.learning_rates, &mut |_| true)?;
        Ok(())
    }
}

impl Timed for Training {
    /// By the clock, around whole epochs with all that the host does in them.
    fn seconds(&mut self, times: u64) -> Outcome<f64> {
        let steps = self.learning_rates.len() as u64;
        let each = if self.span == Span::Epoch { 1 } else { steps };
        let epochs = times.div_ceil(each);
        let begin = Instant::now();
        for _ in 0..epochs {
            if self.span == Span::Epoch {
                self.epochs += 1;
                shuffled(0, self.epochs, &mut self.order);
            }
            self.epoch()?;
        }
        Ok(begin.elapsed().as_secs_f64() / (epochs * each) as f64)
    }
}

/// Of a step: the update's traffic with the gradients written before it; the products' operations, forwards, for
/// the weights and, but for the first layer, for the inputs. Of an epoch: as many steps as it has images for.
pub fn work(setting: &Setting) -> Work {
    let update = if setting.rule.states() == 2 { 28 } else { 20 };
    let multiply_adds =
        |from: usize| WIDTHS.windows(2).skip(from).map(|pair| pair[0] * pair[1]).sum::<usize>();
    let of_an_image = 2 * (2 * multiply_adds(0) + multiply_adds(1));
    let (steps, images) = match setting.span {
        Span::Epoch => (60_000_usize.div_ceil(setting.batch), 60_000),
        Span::Step => (1, setting.batch),
    };
    Work {
        bytes: (steps * (4 + update) * PARAMETERS) as u64,
        flops: (images * of_an_image) as u64,
        arithmetic: if setting.products == Products::Bf16 { Bound::Mma } else { Bound::Fma },
    }
}
