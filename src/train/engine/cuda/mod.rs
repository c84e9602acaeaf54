//! Training on a CUDA device, which within an epoch never waits for the host.
//!
//! Everything that a step needs is on the device: the images as bytes, the epoch's order and learning
//! rates, the number of the step, the sums. So a step is the same work each time, captured once as a CUDA
//! graph, with the backward pass on parallel branches, and launched as a whole; the epoch's smaller last
//! batch has a graph of its own, and so have the evaluation's batches. The host puts an epoch's launches on a
//! stream, looks now and then which are done, and reads the sums when all are.
//!
//! The arena begins with what stays from step to step, each part at a multiple of 128 bytes:
//!
//! ```text
//! | parameters | gradients | optimizer state (1 or 2 times) | inputs, outputs and temporaries of a plan |
//! ```

mod phase;
mod stage;

use std::ops::Range;
use std::sync::Arc;

use super::{Confusion, Ended, Engine, Epoch, Job, Set, Snapshot, Sums, cpu, rows_worth};
use crate::data::{Gather, batches};
use crate::exec::cuda::{CudaError, Device, DeviceArena, Lanes, Launching, Multiplying, Products, StepState};
use crate::ops::{Draw, GraphError};
use crate::train::{Divergence, TrainError};
use phase::{Phase, Totals};
use stage::{Kind, Stage};

/// Images in one batch of an evaluation: as many as in training, between these bounds, if they are worth their memory.
const EVALUATION_BATCH: (usize, usize) = (500, 2000);

/// The bytes of the device that one batch of an evaluation may take, all layers counted: with more, a card is no faster.
const WORTH: usize = 256 << 20;

/// The parts of the arena begin at multiples of this many elements.
const ALIGNMENT: usize = 32;

/// A network in training on a device.
pub struct CudaEngine {
    job: Job,
    worker: Worker,
    training: Phase,
    evaluations: Vec<(Set, Phase)>,
    /// Parameters and state as the host saw them last.
    parameters: Vec<f32>,
    state: Vec<f32>,
    /// The number of updates so far.
    step: u64,
}

/// What works: a device, streams, and the memory that all plans run in.
struct Worker {
    device: Arc<Device>,
    lanes: Lanes,
    launching: Launching,
    layout: Layout,
    arena: DeviceArena,
}

/// Where the parts of the arena begin, for so many parameters.
#[derive(Clone, Copy)]
struct Layout {
    parameters: usize,
    state_per_parameter: usize,
}

impl Layout {
    fn part(self, number: usize) -> Range<usize> {
        let start = number * self.parameters.next_multiple_of(ALIGNMENT);
        start..start + self.parameters
    }

    fn parameters(self) -> Range<usize> {
        self.part(0)
    }

    fn gradients(self) -> Range<usize> {
        self.part(1)
    }

    /// The optimizer's first and second state; a state that it does not have is empty.
    fn states(self) -> [Range<usize>; 2] {
        [2, 3].map(|number| if number < self.parts() { self.part(number) } else { 0..0 })
    }

    fn parts(self) -> usize {
        2 + self.state_per_parameter
    }

    fn reserved(self) -> usize {
        self.part(self.parts()).start
    }
}

impl CudaEngine {
    /// An engine before its first step: everything is on the device, and captured.
    ///
    /// # Errors
    /// When the architecture does not hold together, or the device's memory does not suffice.
    pub fn new(
        job: Job,
        device: Arc<Device>,
        (launching, products): (Launching, Products),
    ) -> Result<Self, TrainError> {
        let name = name_of(&device);
        let failed = |source| TrainError::OnDevice { device: name.clone(), source };
        let layout = Layout {
            parameters: job.model.parameter_count(),
            state_per_parameter: job.optimizer.state_per_parameter(),
        };
        let lanes = Lanes::new(&device).map_err(failed)?;
        device.wait_for_each_kernel(launching == Launching::Launches);
        let (stream, multiplying) = (lanes.main(), (products, device.tuning()));
        let phase = |kind, split, batch_size| {
            Phase::new(&job, kind, (split, batch_size), (layout, multiplying), (&device, stream))
        };
        let training = phase(Kind::Training, &job.data.train, job.batch_size)?;
        let mut evaluations = Vec::new();
        for set in [Set::Test, Set::Validation] {
            if let Some(split) = job.split(set) {
                let rows = evaluated_at_once(&job, split.len(), (layout, multiplying))?;
                evaluations.push((set, phase(Kind::Evaluation, split, rows)?));
            }
        }
        let phases = evaluations.iter().map(|(_, phase)| phase).chain([&training]);
        let size = phases.map(Phase::arena).max().unwrap_or(0);
        let arena = DeviceArena::new(&device, stream, size).map_err(failed)?;
        let mut engine = Self {
            parameters: job.model.initial_parameters(job.seed),
            state: vec![0.0; layout.parameters * layout.state_per_parameter],
            job,
            worker: Worker { device, lanes, launching, layout, arena },
            training,
            evaluations,
            step: 0,
        };
        engine.put().map_err(failed)?;
        engine.prepare().map_err(failed)?;
        Ok(engine)
    }

    /// Captures the graphs.
    fn prepare(&mut self) -> Result<(), CudaError> {
        let Self { job, worker, training, evaluations, .. } = self;
        training.prepare(job, worker)?;
        evaluations.iter_mut().try_for_each(|(_, phase)| phase.prepare(job, worker))
    }

    /// Writes what the host has of the network to the device.
    fn put(&mut self) -> Result<(), CudaError> {
        let Self { worker: Worker { arena, layout, lanes, .. }, training, .. } = self;
        arena.upload(lanes.main(), layout.parameters(), &self.parameters)?;
        for (part, values) in layout.states().into_iter().zip(self.state.chunks(layout.parameters)) {
            arena.upload(lanes.main(), part, values)?;
        }
        training.feed.set_step(lanes.main(), StepState::new(self.step))
    }

    /// Reads the network from the device.
    fn get(&mut self) -> Result<(), CudaError> {
        let Self { worker: Worker { arena, layout, lanes, .. }, parameters, state, .. } = self;
        arena.download(lanes.main(), layout.parameters(), parameters)?;
        for (part, values) in layout.states().into_iter().zip(state.chunks_mut(layout.parameters)) {
            arena.download(lanes.main(), part, values)?;
        }
        Ok(())
    }

    fn failed(&self, source: CudaError) -> TrainError {
        let device = name_of(&self.worker.device);
        match self.worker.launching {
            Launching::Graph => TrainError::DeviceFailed { device, source },
            Launching::Launches => TrainError::OnDevice { device, source },
        }
    }

    /// The error for a step whose loss was not finite, by its number from 1; `before` updates had been made
    /// when its epoch began.
    fn not_finite(&mut self, epoch: Epoch<'_>, number: u64, before: u64) -> TrainError {
        let position = (number - 1 - before) as usize;
        let learning_rate = epoch.learning_rates.get(position).copied().unwrap_or(f64::NAN);
        let batch = batches(epoch.order.len(), self.job.batch_size).nth(position);
        let place = match self.get() {
            Err(error) => return self.failed(error),
            Ok(()) => {
                let indices = batch.map_or(&[][..], |range| &epoch.order[range]);
                let job = &self.job;
                let gather = Gather::new(&job.data.train, job.normalisation, job.shifts);
                let draw = Draw { seed: job.seed, step: number - 1 };
                cpu::repeat_not_finite(&job.model, &gather, &self.parameters, indices, draw)
            }
        };
        match place {
            Ok(place) => TrainError::NotFinite(Divergence { step: number, place, learning_rate }),
            Err(error) => error.into(),
        }
    }
}

/// How many of `count` images are evaluated at once.
fn evaluated_at_once(
    job: &Job,
    count: usize,
    (layout, multiplying): (Layout, Multiplying<'_>),
) -> Result<usize, GraphError> {
    let most = job.batch_size.clamp(EVALUATION_BATCH.0, EVALUATION_BATCH.1).min(count).max(1);
    let stage = Stage::new(job, Kind::Evaluation, most, (layout, multiplying))?;
    let bytes = (stage.plan.arena() - layout.reserved()) * size_of::<f32>();
    Ok(rows_worth(WORTH, bytes, most))
}

/// `cuda:0 (name)`.
fn name_of(device: &Device) -> String {
    format!("cuda:{} ({})", device.ordinal(), device.name())
}

impl Engine for CudaEngine {
    fn epoch(
        &mut self,
        epoch: Epoch<'_>,
        watch: &mut (dyn FnMut(usize) -> bool + Send),
    ) -> Result<(Sums, Ended), TrainError> {
        let Self { job, worker, training, .. } = self;
        let done = training.epoch(job, worker, epoch, watch);
        let (totals, ended) = done.map_err(|error| self.failed(error))?;
        let Totals { state, loss, ref hits, images, steps } = totals;
        let before = self.step;
        self.step += steps as u64;
        if state.first_not_finite != StepState::NONE {
            return Err(self.not_finite(epoch, state.first_not_finite, before));
        }
        Ok((Sums { loss, correct: hits.iter().sum::<u64>() as usize, count: images }, ended))
    }

    fn evaluate(&mut self, set: Set) -> Result<(Sums, Confusion), TrainError> {
        let Self { job, worker, evaluations, .. } = self;
        let classes = job.data.classes;
        let Some((_, phase)) = evaluations.iter_mut().find(|(other, _)| *other == set) else {
            return Ok((Sums::default(), vec![vec![0; classes]; classes]));
        };
        let totals = phase.evaluation(job, worker);
        let Totals { loss, hits, images, .. } = totals.map_err(|error| self.failed(error))?;
        let counts: Confusion = hits.chunks(classes).map(<[u64]>::to_vec).collect();
        let correct = (0..classes).map(|class| counts[class][class]).sum::<u64>() as usize;
        Ok((Sums { loss, correct, count: images }, counts))
    }

    fn snapshot(&mut self) -> Result<Snapshot<'_>, TrainError> {
        self.get().map_err(|error| self.failed(error))?;
        Ok(Snapshot { parameters: &self.parameters, state: &self.state, step: self.step })
    }

    fn restore(&mut self, snapshot: Snapshot<'_>) -> Result<(), TrainError> {
        self.parameters.copy_from_slice(snapshot.parameters);
        self.state.copy_from_slice(snapshot.state);
        self.step = snapshot.step;
        self.put().map_err(|error| self.failed(error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{Dataset, Normalisation, Split};
    use crate::exec::cuda::Tuning;
    use crate::model::{Activation, Perceptron};
    use crate::optim::{Adam, Optimizer};

    /// Training on images of so many pixels, through a hidden layer.
    fn job(pixels: usize, hidden: usize) -> Job {
        let split = Split { images: vec![0; pixels], labels: vec![0], rows: 1, columns: pixels };
        let data = Dataset { train: split.clone(), test: split, classes: 10 };
        let model =
            Perceptron { widths: vec![pixels, hidden, 10], activation: Activation::Relu, dropout: 0.0 };
        Job {
            model,
            optimizer: Optimizer::Adam(Adam::default()),
            weight_decay: 0.0,
            seed: 0,
            batch_size: 128,
            data: Arc::new(data),
            validation: None,
            normalisation: Normalisation { mean: 0.0, std: 1.0 },
            shifts: None,
        }
    }

    #[test]
    fn no_more_images_are_evaluated_at_once_than_memory_is_worth() {
        for (pixels, hidden, rows) in [(784, 512, 500), (1 << 20, 4, 63), (1 << 27, 4, 1)] {
            let job = job(pixels, hidden);
            let layout = Layout { parameters: job.model.parameter_count(), state_per_parameter: 2 };
            assert_eq!(
                evaluated_at_once(&job, 10_000, (layout, (Products::F32, &Tuning::default()))).unwrap(),
                rows,
                "{pixels}"
            );
        }
    }
}
