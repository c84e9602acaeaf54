//! What a run needs but a folder: options and data that go together, and the engine that trains.

use std::sync::Arc;

use super::engine::cpu::{Counts, CpuEngine, Plans};
use super::engine::cuda::CudaEngine;
use super::engine::{Confusion, Ended, Engine, Epoch, Job, Set, Snapshot, Sums, not_finite_parameter};
use super::files::{CHECKPOINT, Checkpoint, TrainedModel};
use super::hardware::{self, Choice, Hardware};
use super::log::Metrics;
use super::memory::{self, held_out};
use super::options::{Augment, Init, OptionError};
use super::run::{Monitor, Run};
use super::{Divergence, Learning, Options, Row, RunFolder, TrainError};
use crate::data::{DataError, Dataset, Normalisation, Shifts, batches};
use crate::exec::Team;
use crate::exec::cuda::Device;

/// Options and data that go together: all that a run needs but a folder.
pub struct Setup {
    pub(super) options: Options,
    pub(super) job: Job,
    pub(super) engine: Box<dyn Engine>,
    /// The CUDA device's name and capability.
    pub(super) card: Option<String>,
}

/// Where a run is computed, and what was prepared for that.
enum Place {
    Cpu(Box<Plans>),
    Cuda(Arc<Device>),
}

/// The learning rate by update, from 0, where an epoch has `steps` of them.
pub(super) fn learning_rates(options: &Options, steps: u64) -> impl Fn(u64) -> f64 + Send + use<> {
    let &Options { schedule, lr, epochs, .. } = options;
    let steps = epochs as u64 * steps;
    move |step| schedule.learning_rate(lr, step, steps)
}

impl Setup {
    /// Checks that options and data go together and that the memory suffices, before anything is begun.
    ///
    /// # Errors
    /// When they do not, or it does not.
    pub fn check(options: &Options, data: &Dataset, choice: &Choice) -> Result<(), TrainError> {
        Self::check_images(options, data)?;
        match choice.hardware {
            // Whoever checks keeps the data, so images are copied before some are held out.
            Hardware::Cpu => drop(Self::plan(options, data, true)?),
            Hardware::Cuda(_) => {} // the device says itself what does not fit
        }
        start(options, data).map(drop)
    }

    /// Checks that there are as many training images as the options ask for.
    fn check_images(options: &Options, data: &Dataset) -> Result<(), TrainError> {
        let available = data.train.len();
        if options.validation >= available {
            return Err(DataError::HoldOutTooLarge { count: options.validation, available }.into());
        }
        let images = available - options.validation;
        if options.batch_size > images {
            let rule = format!("must be at most {images}, the number of training images");
            return Err(OptionError::new("--batch-size", options.batch_size, rule).into());
        }
        Ok(())
    }

    /// The plans of a run on the processor, which has the memory for them; `shared` says whether others keep the data.
    fn plan(options: &Options, data: &Dataset, shared: bool) -> Result<Plans, TrainError> {
        let counts = Counts {
            batch_size: options.batch_size,
            training: data.train.len() - options.validation,
            test: data.test.len(),
            validation: options.validation,
        };
        let model = options.model(data.train.pixels(), data.classes);
        memory::plan(&model, options, counts, held_out(data, options.validation, shared))
    }

    /// Makes the network and starts the threads, or fills the device. Nothing is written yet. Runs on the same
    /// data share it.
    ///
    /// # Errors
    /// As [`Self::check`], or when the threads cannot be started, or the device's memory does not suffice.
    pub fn new(options: Options, data: Arc<Dataset>, choice: &Choice) -> Result<Self, TrainError> {
        let Some((start, init)) = start(&options, &data)? else { return Self::at(options, data, choice) };
        let mut setup = Self::at(Options { init: Some(init), ..options }, data, choice)?;
        setup.restart(&start.parameters)?;
        Ok(setup)
    }

    /// As [`Self::new`], but for the weights to start from.
    fn at(options: Options, data: Arc<Dataset>, choice: &Choice) -> Result<Self, TrainError> {
        Self::check_images(&options, &data)?;
        let shared = Arc::strong_count(&data) > 1;
        // Before images are held out, which takes memory already.
        let place = match &choice.hardware {
            Hardware::Cpu => Place::Cpu(Box::new(Self::plan(&options, &data, shared)?)),
            Hardware::Cuda(device) => Place::Cuda(device.clone()),
        };
        let options = Options { device: choice.device(), ..options };
        let (data, validation) = match options.validation {
            0 => (data, None),
            count => {
                let (data, validation) = Arc::unwrap_or_clone(data).hold_out(count, options.seed)?;
                (Arc::new(data), Some(validation))
            }
        };
        let job = Job {
            model: options.model(data.train.pixels(), data.classes),
            optimizer: options.optimizer(),
            weight_decay: options.weight_decay,
            seed: options.seed,
            batch_size: options.batch_size,
            normalisation: options
                .init
                .as_ref()
                .and_then(|init| init.normalisation)
                .unwrap_or_else(|| Normalisation::of(&data.train)),
            shifts: (options.augment == Augment::Shifts).then(|| Shifts::new(options.seed, 1)),
            data,
            validation,
        };
        let (engine, card): (Box<dyn Engine>, _) = match place {
            Place::Cpu(plans) => {
                let threads = options.threads;
                let team = Team::new(threads).map_err(|source| TrainError::Threads { threads, source })?;
                (Box::new(CpuEngine::planned(job.clone(), *plans, team)), None)
            }
            Place::Cuda(device) => {
                let how = (hardware::launching(options.plan), hardware::products(options.precision));
                let card = format!("{}, compute capability {}", device.name(), device.capability());
                (Box::new(CudaEngine::new(job.clone(), device, how)?), Some(card))
            }
        };
        Ok(Self { options, job, engine, card })
    }

    /// The work and the parameters that it starts from, so that another program can train the same.
    ///
    /// # Errors
    /// When a device fails.
    pub(super) fn into_work(mut self) -> Result<(Job, Vec<f32>), TrainError> {
        let parameters = self.engine.snapshot()?.parameters.to_vec();
        Ok((self.job, parameters))
    }

    /// A run from the beginning, in a folder of its own.
    pub fn begin(self, folder: RunFolder) -> Run {
        Run::of(self, folder, Vec::new())
    }

    /// A run from where the folder's checkpoint stands: from the beginning, if there is none.
    ///
    /// # Errors
    /// As [`Self::new`], and when checkpoint or log cannot be read, or do not belong to this run.
    pub fn resume(
        options: Options,
        data: Arc<Dataset>,
        choice: &Choice,
        folder: RunFolder,
    ) -> Result<Run, TrainError> {
        // The checkpoint holds the weights: those that the run started from need not be there any more.
        let goes_on = folder.file(CHECKPOINT).exists();
        let is_known = options.init.as_ref().is_none_or(|init| init.normalisation.is_some());
        match goes_on && is_known {
            true => Self::at(options, data, choice)?.go_on(folder),
            false => Self::new(options, data, choice)?.go_on(folder),
        }
    }

    fn go_on(mut self, folder: RunFolder) -> Result<Run, TrainError> {
        let parameters = self.job.model.parameter_count();
        let state = parameters * self.job.optimizer.state_per_parameter();
        let Some(checkpoint) = Checkpoint::read(&folder, parameters, state)? else {
            return Ok(self.begin(folder));
        };
        let wrong = |name: &str, problem: String| TrainError::Content { path: folder.file(name), problem };
        let steps = checkpoint.epoch as u64 * self.steps();
        if checkpoint.step != steps {
            let problem = format!(
                "stands at step {} after {} epochs, but this data makes that step {steps}: give the run back \
                 the data and config.toml it began with",
                checkpoint.step, checkpoint.epoch
            );
            return Err(wrong(CHECKPOINT, problem));
        }
        let mut rows = Metrics::read(&folder.file("metrics.csv"))?;
        if rows.len() < checkpoint.epoch {
            let problem = format!(
                "holds {} whole rows, but the checkpoint stands at epoch {}: remove {CHECKPOINT} to begin the \
                 run anew",
                rows.len(),
                checkpoint.epoch
            );
            return Err(wrong("metrics.csv", problem));
        }
        rows.truncate(checkpoint.epoch); // an epoch whose checkpoint was not written is run again
        let Checkpoint { parameters, state, step, .. } = &checkpoint;
        self.engine.restore(Snapshot { parameters, state, step: *step })?;
        Ok(Run::of(self, folder, rows))
    }

    /// Puts the network before its first step, with these parameters.
    fn restart(&mut self, parameters: &[f32]) -> Result<(), TrainError> {
        let state = vec![0.0; self.engine.snapshot()?.state.len()];
        self.engine.restore(Snapshot { parameters, state: &state, step: 0 })
    }

    /// How the training went that ended with this epoch; nothing, if the model that it started from is gone and the answer
    /// depends on it. The network may have to be put back to its beginning for that, so there is none afterwards.
    pub(super) fn learning(mut self, last: &Row) -> Result<Option<Learning>, TrainError> {
        let (data, options) = (self.job.data.clone(), self.options.clone());
        Learning::of(last, &data.train.labels, &options, || {
            let parameters = match start(&options, &data) {
                Ok(Some((start, _))) => start.parameters,
                Ok(None) => self.job.model.initial_parameters(options.seed),
                // A run that was gone on with may outlive the model that it started from.
                Err(_) => return Ok(None),
            };
            self.restart(&parameters)?;
            let (sums, _) = self.engine.evaluate(Set::Test)?;
            Ok(Some(sums.objective()))
        })
    }

    /// Steps in an epoch.
    fn steps(&self) -> u64 {
        batches(self.job.data.train.len(), self.job.batch_size).len() as u64
    }

    /// The learning rate by update, from 0.
    fn learning_rate(&self) -> impl Fn(u64) -> f64 + Send + use<> {
        learning_rates(&self.options, self.steps())
    }

    /// Losses, hits and the confusion matrix of the network as it stands.
    ///
    /// # Errors
    /// When the loss is not finite: the last update may have ruined the network.
    pub(super) fn evaluate(&mut self, set: Set) -> Result<(Sums, Confusion), TrainError> {
        let (sums, counts) = self.engine.evaluate(set)?;
        if !sums.loss.is_finite() {
            let Snapshot { parameters, step, .. } = self.engine.snapshot()?;
            let place =
                not_finite_parameter(&self.job.model, parameters).unwrap_or_else(|| "the loss".into());
            let learning_rate = self.learning_rate()(step.saturating_sub(1));
            return Err(TrainError::NotFinite(Divergence { step, place, learning_rate }));
        }
        Ok((sums, counts))
    }

    /// The images held out, evaluated, if there are any.
    pub(super) fn validate(&mut self) -> Result<Option<Sums>, TrainError> {
        match self.job.validation {
            Some(_) => self.evaluate(Set::Validation).map(|(sums, _)| Some(sums)),
            None => Ok(None),
        }
    }

    /// One epoch: the sums over it, its last learning rate, and whether it came to its end.
    pub(super) fn epoch(
        &mut self,
        epoch: usize,
        order: &[u32],
        monitor: &mut dyn Monitor,
    ) -> Result<(Sums, f64, Ended), TrainError> {
        let learning_rate_of = self.learning_rate();
        let steps = self.steps();
        let first = (epoch as u64 - 1) * steps;
        let learning_rates: Vec<f64> = (first..first + steps).map(learning_rate_of).collect();
        monitor.epoch_begins(epoch, self.options.epochs, learning_rates.len());
        let mut watch = |step: usize| {
            monitor.step_done(step);
            !monitor.stop()
        };
        let (sums, ended) =
            self.engine.epoch(Epoch { order, learning_rates: &learning_rates }, &mut watch)?;
        Ok((sums, learning_rates.last().copied().unwrap_or(0.0), ended))
    }
}

/// The weights that these options start from, if they do, and the option as it is to be recorded.
pub(super) fn start(options: &Options, data: &Dataset) -> Result<Option<(TrainedModel, Init)>, TrainError> {
    let Some(init) = &options.init else { return Ok(None) };
    init.read(&options.model(data.train.pixels(), data.classes)).map(Some)
}
