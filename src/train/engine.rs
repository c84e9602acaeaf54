//! What trains a network: epochs, evaluations and snapshots, on any executor.
//!
//! An executor is asked for whole epochs and whole evaluations, so that a device need not wait for the host in between; log,
//! checkpoints and model are the same whichever did the work.

use std::sync::Arc;

use super::TrainError;
use crate::data::{Dataset, Gather, Normalisation, Shifts, Split, batches};
use crate::exec::cuda::Launching;
use crate::exec::{
    Confusion, CpuExecutor, Ended, Epoch, Examples, ExecError, Executor, Pass, PassId, Standing, Sums, Team,
    Watch,
};
use crate::nn::{Model, split};
use crate::ops::{Draw, GraphError};
use crate::optim::Optimizer;
use crate::runs::Divergence;
use crate::step;

/// What an engine works on.
#[derive(Clone, Debug)]
pub struct Job {
    /// The network.
    pub model: Arc<dyn Model>,
    /// How its parameters move.
    pub optimizer: Optimizer,
    /// λ of decoupled weight decay.
    pub weight_decay: f64,
    /// The run's seed.
    pub seed: u64,
    /// Images in a full batch.
    pub batch_size: usize,
    /// Training and test images.
    pub data: Arc<Dataset>,
    /// Training images held out.
    pub validation: Option<Arc<Split>>,
    /// What makes bytes numbers.
    pub normalisation: Normalisation,
    /// How training images are moved.
    pub shifts: Option<Shifts>,
}

impl Job {
    /// How many images it goes through.
    pub fn counts(&self) -> Counts {
        Counts {
            batch_size: self.batch_size,
            training: self.data.train.len(),
            test: self.data.test.len(),
            validation: self.validation.as_ref().map_or(0, |split| split.len()),
            seed: self.seed,
        }
    }
}

/// Images that are evaluated and not trained on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Set {
    /// The test images.
    Test,
    /// Training images held out; none where there are none.
    Validation,
}

/// How many images a run goes through.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Counts {
    /// Images in a full batch.
    pub batch_size: usize,
    /// Images that are trained on: at least a batch.
    pub training: usize,
    /// Images that are evaluated.
    pub test: usize,
    /// Images held out, which are evaluated, too.
    pub validation: usize,
    /// The seed of dropout.
    pub seed: u64,
}

/// A device as messages name it, and how work reaches it.
#[derive(Clone, PartialEq, Debug)]
#[allow(missing_docs, reason = "said above")]
pub struct OnDevice {
    pub name: String,
    pub launching: Launching,
}

/// What an executor has planned for a run, before it takes any memory.
pub struct Plans {
    pub(super) executor: Box<dyn Executor>,
    training: PassId,
    evaluations: Vec<(Set, PassId)>,
    /// For messages; none on the processor.
    device: Option<OnDevice>,
}

/// A network in training.
pub struct Engine {
    job: Job,
    plans: Plans,
    /// Parameters, then state, as last asked for.
    buffers: Vec<f32>,
    /// The number of updates so far.
    updates: u64,
}

/// Where a network in training stands.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Snapshot<'a> {
    /// The flat parameters.
    pub parameters: &'a [f32],
    /// The optimizer's state: so many times as many numbers as there are parameters.
    pub state: &'a [f32],
    /// The number of updates so far.
    pub step: u64,
}

impl Plans {
    /// Plans training and evaluations of a network.
    ///
    /// # Errors
    /// When the network does not hold together.
    pub fn new(
        model: &dyn Model,
        optimizer: &Optimizer,
        counts: Counts,
        mut executor: Box<dyn Executor>,
        device: Option<OnDevice>,
    ) -> Result<Self, TrainError> {
        let Counts { batch_size, training, test, validation, seed } = counts;
        let trains = |batch| step::training(model, optimizer, batch);
        let evaluates = |batch| step::evaluation(model, batch);
        let pass = Pass { step: &trains, count: training, batch: Some(batch_size), seed };
        let mut prepare =
            |pass| executor.prepare(pass).map_err(|error| failed(error, device.as_ref(), false));
        let training = prepare(pass)?;
        let mut evaluations = Vec::new();
        for (set, count) in [(Set::Test, test), (Set::Validation, validation)] {
            if count > 0 {
                evaluations.push((set, prepare(Pass { step: &evaluates, count, batch: None, seed })?));
            }
        }
        Ok(Self { executor, training, evaluations, device })
    }
}

/// What a failure of an executor means for a run; `in_work` says whether work had begun.
fn failed(error: ExecError, device: Option<&OnDevice>, in_work: bool) -> TrainError {
    let source = match error {
        ExecError::Graph(error) => return error.into(),
        ExecError::Cuda(source) => source,
    };
    let unnamed = || OnDevice { name: "the device".into(), launching: Launching::Launches };
    let OnDevice { name: device, launching } = device.cloned().unwrap_or_else(unnamed);
    match launching {
        Launching::Graph if in_work => TrainError::DeviceFailed { device, source },
        _ => TrainError::OnDevice { device, source },
    }
}

impl Engine {
    /// An engine before its first step.
    ///
    /// # Errors
    /// When the device's memory does not suffice.
    pub fn new(job: Job, plans: Plans) -> Result<Self, TrainError> {
        let count = job.model.parameter_count();
        let mut engine = Self { job, plans, buffers: Vec::new(), updates: 0 };
        engine.load().map_err(|error| failed(error, engine.plans.device.as_ref(), false))?;
        engine.buffers = vec![0.0; (1 + engine.job.optimizer.states()) * count];
        let (parameters, _) = engine.buffers.split_at_mut(count);
        engine.job.model.initialize(engine.job.seed, parameters);
        engine.put().map_err(|error| failed(error, engine.plans.device.as_ref(), false))?;
        Ok(engine)
    }

    /// Gives every pass its images.
    fn load(&mut self) -> Result<(), ExecError> {
        let Self { job, plans: Plans { executor, training, evaluations, .. }, .. } = self;
        let examples = |split: &Arc<Split>, shifts| Examples {
            split: split.clone(),
            normalisation: job.normalisation,
            shifts,
        };
        executor.load(*training, examples(&job.data.train, job.shifts))?;
        for (set, pass) in evaluations {
            let split = match set {
                Set::Test => Some(&job.data.test),
                Set::Validation => job.validation.as_ref(),
            };
            if let Some(split) = split {
                executor.load(*pass, examples(split, None))?;
            }
        }
        Ok(())
    }

    /// Writes what the host has of the network to the executor.
    fn put(&mut self) -> Result<(), ExecError> {
        let Self { job, plans, buffers, .. } = self;
        let buffers = buffers.chunks_exact(job.model.parameter_count()).enumerate();
        buffers.into_iter().try_for_each(|(number, values)| plans.executor.write(number, values))
    }

    /// Reads the network from the executor.
    fn get(&mut self) -> Result<(), TrainError> {
        let Self { job, plans, buffers, .. } = self;
        let mut buffers = buffers.chunks_exact_mut(job.model.parameter_count()).enumerate();
        let read = buffers.try_for_each(|(number, values)| plans.executor.read(number, values));
        read.map_err(|error| self.failed(error))
    }

    fn failed(&self, error: ExecError) -> TrainError {
        failed(error, self.plans.device.as_ref(), true)
    }

    /// Trains for one epoch, on the images in this order, with a learning rate for each step. `watch` is told from time to
    /// time how many steps are done; when it returns false, the epoch ends before its end, and so it is returned.
    ///
    /// # Errors
    /// As [`Self::part`].
    ///
    /// # Panics
    /// As [`Self::part`].
    pub fn epoch(
        &mut self,
        order: &[u32],
        learning_rates: &[f64],
        watch: &mut Watch<'_>,
    ) -> Result<(Sums, Ended), TrainError> {
        let (done, ended) = self.part(order, learning_rates, Standing::default(), usize::MAX, watch)?;
        Ok((done.sums, ended))
    }

    /// A part of an epoch: from where it stands to the step `until`, or to where `watch` ends it. However an epoch is parted,
    /// it comes to the same bits. Returns where it stands then, and whether that is its end.
    ///
    /// # Errors
    /// When a loss is not finite: names the step and the layer; that step and later ones updated nothing.
    /// When a device fails.
    ///
    /// # Panics
    /// When there are not as many images, or learning rates, as the engine was made for.
    pub fn part(
        &mut self,
        order: &[u32],
        learning_rates: &[f64],
        done: Standing,
        until: usize,
        watch: &mut Watch<'_>,
    ) -> Result<(Standing, Ended), TrainError> {
        let before = self.updates - done.steps as u64;
        let Job { optimizer, weight_decay, .. } = &self.job;
        let of_step = |(number, &rate)| optimizer.at::<f64>(number, rate, *weight_decay);
        let scalars: Vec<f64> = (before + 1..).zip(learning_rates).flat_map(of_step).collect();
        let epoch = Epoch { order, scalars: &scalars, updates: before, done, until };
        let Plans { executor, training, .. } = &mut self.plans;
        let totals = executor.run(*training, Some(epoch), watch).map_err(|error| self.failed(error))?;
        if let Some(number) = totals.not_finite {
            return Err(self.not_finite(order, learning_rates, before, number));
        }
        self.updates = before + totals.steps as u64;
        Ok((Standing { steps: totals.steps, sums: totals.sums }, totals.ended))
    }

    /// Losses, hits and the confusion matrix of the network as it stands, without dropout. The loss may be
    /// other than finite.
    ///
    /// # Errors
    /// When a device fails.
    pub fn evaluate(&mut self, set: Set) -> Result<(Sums, Confusion), TrainError> {
        let Plans { executor, evaluations, .. } = &mut self.plans;
        let Some((_, pass)) = evaluations.iter().find(|(other, _)| *other == set) else {
            let classes = self.job.model.classes();
            return Ok((Sums::default(), vec![vec![0; classes]; classes]));
        };
        let totals = executor.run(*pass, None, &mut |_| true).map_err(|error| self.failed(error))?;
        Ok((totals.sums, totals.confusion))
    }

    /// The network and all that is needed to go on with it.
    ///
    /// # Errors
    /// When a device fails.
    pub fn snapshot(&mut self) -> Result<Snapshot<'_>, TrainError> {
        self.get()?;
        let (parameters, state) = self.buffers.split_at(self.job.model.parameter_count());
        Ok(Snapshot { parameters, state, step: self.updates })
    }

    /// Takes up where another left off.
    ///
    /// # Errors
    /// When a device fails.
    ///
    /// # Panics
    /// When parameters or state are not as many as the snapshot's.
    pub fn restore(&mut self, snapshot: Snapshot<'_>) -> Result<(), TrainError> {
        let (parameters, state) = self.buffers.split_at_mut(self.job.model.parameter_count());
        parameters.copy_from_slice(snapshot.parameters);
        state.copy_from_slice(snapshot.state);
        self.updates = snapshot.step;
        self.put().map_err(|error| self.failed(error))
    }

    /// The error for an update of this number, from 1, whose loss was not finite, in an epoch with so many updates `before`: the step is repeated on the processor,
    /// from the parameters as they were, to name the parameter or the layer at fault.
    fn not_finite(&mut self, order: &[u32], learning_rates: &[f64], before: u64, number: u64) -> TrainError {
        let position = (number - 1 - before) as usize;
        if let Err(error) = self.get() {
            return error;
        }
        let batch = batches(order.len(), self.job.batch_size).nth(position);
        let indices = batch.map_or(&[][..], |range| &order[range]);
        let learning_rate = learning_rates.get(position).copied().unwrap_or(f64::NAN);
        match self.place_not_finite(indices, number - 1) {
            Ok(place) => TrainError::NotFinite(Divergence { step: number, place, learning_rate }),
            Err(error) => error.into(),
        }
    }

    fn place_not_finite(&self, indices: &[u32], updates: u64) -> Result<String, GraphError> {
        let Job { model, data, normalisation, shifts, seed, .. } = &self.job;
        let parameters = &self.buffers[..model.parameter_count()];
        if let Some(parameter) = not_finite_parameter(&**model, parameters) {
            return Ok(parameter);
        }
        let pixels = data.train.pixels();
        let (mut images, mut labels) = (vec![0.0; indices.len() * pixels], vec![0.0; indices.len()]);
        Gather::new(&data.train, *normalisation, *shifts).batch(updates, indices, &mut images, &mut labels);
        // Temporaries share memory in a step, so the layers are outputs here, each in a place of its own.
        let layers = model.function(indices.len(), true)?;
        let draw = Draw { seed: *seed, step: updates };
        let layers = layers.call_with((&images[..], split(&**model, parameters)), draw);
        let layers: Vec<Vec<f32>> =
            layers.expect("a batch of the network's images, and all of its parameters");
        Ok(match layers.iter().position(|layer| layer.iter().any(|x| !x.is_finite())) {
            Some(layer) => format!("the output of layer {}", layer + 1),
            None => "the loss".into(),
        })
    }
}

/// The first parameter that holds an infinite number or NaN, for messages.
pub fn not_finite_parameter(model: &dyn Model, flat: &[f32]) -> Option<String> {
    let parameters = model.parameters();
    let mut values = parameters.iter().zip(split(model, flat));
    let holds = values.find(|(_, values)| values.iter().any(|x| !x.is_finite()));
    holds.map(|(parameter, _)| format!("the parameter {}", parameter.name))
}

/// Evaluates a network with these flat parameters on the processor; `predicted(image, class, loss)` is told each prediction, in
/// the images' order.
///
/// # Errors
/// When the network does not hold together.
///
/// # Panics
/// When the parameters are not as many as the network has.
pub fn predictions(
    model: &dyn Model,
    parameters: &[f32],
    examples: Examples,
    predicted: impl FnMut(usize, usize, f32),
) -> Result<(), TrainError> {
    let mut executor = CpuExecutor::new(Team::of_machine());
    let evaluates = |batch| step::evaluation(model, batch);
    let pass = Pass { step: &evaluates, count: examples.split.len(), batch: None, seed: 0 };
    let run = || -> Result<PassId, ExecError> {
        let pass = executor.prepare(pass)?;
        executor.load(pass, examples)?;
        executor.write(0, parameters)?;
        Ok(pass)
    };
    let pass = run().map_err(|error| failed(error, None, false))?;
    executor.predict(pass, predicted);
    Ok(())
}
