//! Tiny trainings of every shape: images, layers, batches and options are drawn from the bytes.
//!
//! Each is carried out twice: on one thread in one go, and on several, with the network taken out after some epochs
//! and put into another engine. Losses, parameters and state have to be the same to the bit. The engine is called without a run
//! folder and without figures, which would take most of the time.

use std::sync::Arc;

use cotangent::data::{Dataset, Normalisation, Shifts, Split, shuffled};
use cotangent::errors::with_causes;
use cotangent::exec::{Bf16Unit, CpuExecutor, CpuProducts, Ended, Standing, Team};
use cotangent::nn::{Activation, perceptron};
use cotangent::optim::{Constant, OptimizerName};
use cotangent::runs::Divergence;
use cotangent::train::engine::{Engine, Job, Plans, Set, Snapshot};
use cotangent::train::{Schedule, TrainError};

/// The most images of a training.
const IMAGES: usize = 64;

/// The widest hidden layer, and the widest that most have: only what is wide is cut into tasks for several threads.
const WIDEST: usize = 300;
const USUAL: usize = 24;

/// Bytes that choose; behind their end all are 0.
struct Bytes<'a>(&'a [u8]);

impl Bytes<'_> {
    fn next(&mut self) -> u8 {
        let Some((&first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        first
    }

    /// A number from `least` to `most`.
    fn between(&mut self, least: usize, most: usize) -> usize {
        least + usize::from(self.next()) % (most - least + 1)
    }

    /// The width of a hidden layer: one of sixteen is wide.
    fn width(&mut self) -> usize {
        match self.next() {
            wide @ 240.. => WIDEST - usize::from(255 - wide) * 8,
            usual => 1 + usize::from(usual) % USUAL,
        }
    }

    fn one_of<T: Copy>(&mut self, all: &[T]) -> T {
        all[usize::from(self.next()) % all.len()]
    }
}

/// A training, and how it is carried out the second time.
struct Training {
    job: Job,
    products: CpuProducts,
    learning_rate: f64,
    schedule: Schedule,
    epochs: usize,
    threads: usize,
    /// The epochs after which another engine goes on.
    parted: usize,
}

/// Trains twice.
pub fn run(data: &[u8]) {
    let training = Training::of(&mut Bytes(data));
    let whole = training.carry_out(1, training.epochs);
    let again = training.carry_out(training.threads, training.parted);
    assert!(
        whole == again,
        "{} threads, parted after {}: {whole:?}, {again:?}",
        training.threads,
        training.parted
    );
}

impl Training {
    fn of(bytes: &mut Bytes<'_>) -> Self {
        let (rows, columns) = (bytes.between(1, 12), bytes.between(1, 12));
        let classes = bytes.between(1, 12);
        let density = bytes.next();
        let noise = bytes.next();
        let (train, test) = (bytes.between(1, IMAGES), bytes.between(1, 32));
        let split = |count, seed| Arc::new(images(count, [rows, columns], classes, density, seed));
        let data = Dataset { train: split(train, noise), test: split(test, !noise), classes };
        let layers = bytes.between(0, 3);
        let hidden: Vec<usize> = (0..layers).map(|_| bytes.width()).collect();
        let widths = [&[rows * columns], &hidden[..], &[classes]].concat();
        let activation = bytes.one_of(&Activation::ALL);
        let dropout = bytes.one_of(&[0.0, 0.0, 0.3, 0.9]);
        let held_out = bytes.one_of(&[0, 0, 1, train / 2]).min(train - 1);
        let seed = u64::from(bytes.next());
        let normalisation = Normalisation::of(&data.train);
        let (data, validation) = match held_out {
            0 => (data, None),
            count => {
                let (data, validation) = data.hold_out(count, seed).expect("fewer than there are");
                (data, Some(Arc::new(validation)))
            }
        };
        let opt = bytes.one_of(&OptimizerName::ALL);
        let job = Job {
            model: Arc::new(perceptron(&widths, activation, dropout)),
            optimizer: opt.build(|constant: &Constant| constant.default),
            weight_decay: bytes.one_of(&[0.0, 0.01]),
            seed,
            batch_size: bytes.between(1, IMAGES).min(data.train.len()),
            shifts: bytes.one_of(&[None, Some(Shifts::new(seed, 1))]),
            normalisation,
            data: Arc::new(data),
            validation,
        };
        let epochs = bytes.between(1, 2);
        Self {
            job,
            products: bytes.one_of(&[
                CpuProducts::Skipping,
                CpuProducts::Dense,
                // The models of such units would take most of the time.
                Bf16Unit::tiles().map_or(CpuProducts::Dense, CpuProducts::Bf16),
                Bf16Unit::vectors().map_or(CpuProducts::Skipping, CpuProducts::Bf16),
            ]),
            learning_rate: bytes.one_of(&[opt.family().learning_rate, 1e-3, 10.0, 1e30]),
            schedule: bytes.one_of(&[Schedule::Constant, Schedule::OneCycle]),
            epochs,
            threads: bytes.between(1, 4),
            parted: bytes.between(0, epochs),
        }
    }

    /// An engine before its first step.
    fn engine(&self, threads: usize) -> Engine {
        let Self { job, products, .. } = self;
        let team = Team::new(threads).expect("the system starts some threads");
        let executor = Box::new(CpuExecutor::new(team).with_products(*products));
        let plans = Plans::new(&*job.model, &job.optimizer, job.counts(), executor, None);
        let engine = plans.and_then(|plans| Engine::new(job.clone(), plans));
        engine.expect("a small network holds together and fits the memory")
    }

    /// All epochs, from `parted` on by an engine of its own: losses and hits, parameters and state, as bits. A training that
    /// diverges ends with the place where it did.
    fn carry_out(&self, threads: usize, parted: usize) -> (Vec<u64>, Option<Divergence>) {
        let mut engine = self.engine(threads);
        let mut bits = Vec::new();
        for epoch in 0..self.epochs {
            if epoch == parted {
                let Snapshot { parameters, state, step } =
                    engine.snapshot().expect("the processor does not fail");
                let (parameters, state) = (parameters.to_vec(), state.to_vec());
                engine = self.engine(threads);
                let restored = engine.restore(Snapshot { parameters: &parameters, state: &state, step });
                restored.expect("the processor does not fail");
            }
            if let Some(divergence) = self.epoch(&mut engine, epoch, epoch + 3 * parted, &mut bits) {
                return (bits, Some(divergence));
            }
        }
        let Snapshot { parameters, state, step } = engine.snapshot().expect("the processor does not fail");
        bits.extend(parameters.iter().chain(state).map(|x| u64::from(x.to_bits())).chain([step]));
        (bits, None)
    }

    /// One epoch, and the evaluations after it.
    fn epoch(
        &self,
        engine: &mut Engine,
        epoch: usize,
        broken_off: usize,
        bits: &mut Vec<u64>,
    ) -> Option<Divergence> {
        let Self { job, learning_rate, schedule, .. } = self;
        let mut order = vec![0; job.data.train.len()];
        shuffled(job.seed, epoch as u64 + 1, &mut order);
        let steps = order.len().div_ceil(job.batch_size);
        let all = (self.epochs * steps) as u64;
        let rates: Vec<f64> = (epoch * steps..(epoch + 1) * steps)
            .map(|step| schedule.learning_rate(*learning_rate, step as u64, all))
            .collect();
        // Any step may be one before which an epoch breaks off, to go on from what a checkpoint would hold.
        let first = engine.part(&order, &rates, Standing::default(), broken_off % (steps + 1), &mut |_| true);
        match first.and_then(|(done, _)| engine.part(&order, &rates, done, usize::MAX, &mut |_| true)) {
            Ok((Standing { sums, .. }, ended)) => {
                assert_eq!(ended, Ended::Whole);
                assert_eq!(sums.count, order.len());
                bits.extend([sums.loss.to_bits(), sums.correct as u64]);
            }
            Err(TrainError::NotFinite(divergence)) => return Some(divergence),
            Err(error) => panic!("{}", with_causes(&error)),
        }
        for (set, count) in [(Set::Test, job.data.test.len()), (Set::Validation, 0)] {
            let (sums, confusion) = engine.evaluate(set).expect("the processor does not fail");
            let counted: u64 = confusion.iter().flatten().sum();
            assert_eq!(counted, sums.count as u64);
            assert!(sums.correct <= sums.count && sums.count >= count);
            bits.extend([sums.loss.to_bits(), sums.correct as u64]);
        }
        None
    }
}

/// Images of noise in which about `density` of 256 pixels are not background; the first has the highest class.
fn images(count: usize, [rows, columns]: [usize; 2], classes: usize, density: u8, seed: u8) -> Split {
    let mut state = u32::from(seed) << 1 | 1; // of a xorshift generator (Marsaglia 2003), which 0 would stop
    let mut next = move || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state >> 8
    };
    let mut pixel = || if next() & 0xff < u32::from(density) { next() as u8 } else { 0 };
    let images = (0..count * rows * columns).map(|_| pixel()).collect();
    let label = |image: usize| if image == 0 { classes - 1 } else { next() as usize % classes };
    let labels = (0..count).map(label).map(|class| class as u8).collect();
    Split { images, labels, rows, columns }
}
