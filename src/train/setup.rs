//! What a run needs but a folder: options and data that go together, and the engine that trains.

use std::cell::OnceCell;
use std::sync::Arc;

use super::engine::{Counts, Engine, Job, OnDevice, Plans, Set, Snapshot, not_finite_parameter};
use super::hardware::{self, Choice, Hardware};
use super::memory::{self, held_out};
use super::monitor::Monitor;
use super::options::{Augment, Init, OptionError};
use super::{Options, TrainError};
use crate::data::{DataDigest, DataError, Dataset, Normalisation, Shifts, batches};
use crate::exec::cuda::{CudaExecutor, CudaMode};
use crate::exec::{Confusion, CpuExecutor, Ended, Executor, Standing, Sums, Team};
use crate::nn::Model;
use crate::runs::files::TrainedModel;
use crate::runs::{Divergence, Learning, Row};

/// Options and data that go together: all that a run needs but a folder.
pub struct Setup {
    pub(super) options: Options,
    pub(super) job: Job,
    pub(super) engine: Engine,
    /// The CUDA device's name and capability.
    pub(super) card: Option<String>,
    /// That of the data, once it is known.
    digest: OnceCell<DataDigest>,
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
        // With all threads, whose stacks take memory, too. Whoever checks keeps the data.
        Self::plan(options, data, choice, true, memory::BETWEEN).map(drop)
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

    /// The plans of a run, whose host has the memory for it; `shared` says whether others keep the data, and so many bytes may be taken
    /// between this and the run.
    fn plan(
        options: &Options,
        data: &Dataset,
        choice: &Choice,
        shared: bool,
        between: usize,
    ) -> Result<Plans, TrainError> {
        let threads = options.threads;
        let counts = counts(options, data);
        let model = options.model(data.train.pixels(), data.classes);
        memory::check_size(&model, options, counts)?;
        let (executor, device): (Box<dyn Executor>, _) = match &choice.hardware {
            Hardware::Cpu(_) => {
                memory::check_threads(&model, options, threads)?;
                let team = Team::new(threads).map_err(|source| TrainError::Threads { threads, source })?;
                let executor = CpuExecutor::new(team);
                let products = choice.products(&data.train);
                (Box::new(products.into_iter().fold(executor, CpuExecutor::with_products)), None)
            }
            Hardware::Cuda(device) => {
                let mode = CudaMode {
                    launching: hardware::launching(options.plan),
                    products: hardware::products(options.precision),
                };
                let name = format!("cuda:{} ({})", device.ordinal(), device.name());
                let executor = CudaExecutor::new(device.clone(), mode)
                    .map_err(|source| TrainError::OnDevice { device: name.clone(), source })?;
                (Box::new(executor), Some(OnDevice { name, launching: mode.launching }))
            }
        };
        let plans = Plans::new(&model, &options.optimizer(), counts, executor, device)?;
        let memory = plans.executor.memory(options.threads);
        memory::check(&model, options, memory, held_out(data, options.validation, shared), between)?;
        Ok(plans)
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
    pub(super) fn at(options: Options, data: Arc<Dataset>, choice: &Choice) -> Result<Self, TrainError> {
        Self::check_images(&options, &data)?;
        let shared = Arc::strong_count(&data) > 1;
        // Before images are held out, which takes memory already.
        let plans = Self::plan(&options, &data, choice, shared, 0)?;
        let card = match &choice.hardware {
            Hardware::Cpu(_) => None,
            Hardware::Cuda(device) => {
                Some(format!("{}, compute capability {}", device.name(), device.capability()))
            }
        };
        let kernels = choice.kernels(&data.train);
        let options = Options { device: choice.device(), kernels, ..options };
        // With images held out the data are no more as they came; else there is time until the first checkpoint.
        let digest = if options.validation > 0 { OnceCell::from(data.digest()) } else { OnceCell::new() };
        let job = job(&options, data)?;
        let engine = Engine::new(job.clone(), plans)?;
        Ok(Self { options, job, engine, card, digest })
    }

    /// By what the data are known again, as they came.
    pub(super) fn data_digest(&self) -> &DataDigest {
        self.digest.get_or_init(|| self.job.data.digest())
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
            // A run that was gone on with may outlive the model that it started from.
            let Ok((_, parameters)) = beginning(options.clone(), &data) else { return Ok(None) };
            self.restart(&parameters)?;
            let (sums, _) = self.engine.evaluate(Set::Test)?;
            Ok(Some(sums.objective()))
        })
    }

    /// Steps in an epoch.
    pub(super) fn steps(&self) -> u64 {
        batches(self.job.data.train.len(), self.job.batch_size).len() as u64
    }

    /// The learning rate by update, from 0.
    pub(super) fn learning_rate(&self) -> impl Fn(u64) -> f64 + Send + use<> {
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
                not_finite_parameter(&*self.job.model, parameters).unwrap_or_else(|| "the loss".into());
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

    /// One epoch, from where it stands to its end, to the step `until`, or until the monitor or `due` ends it: where it stands
    /// then, its last learning rate, and whether it came to its end.
    pub(super) fn epoch(
        &mut self,
        epoch: usize,
        order: &[u32],
        done: Standing,
        until: usize,
        due: &(dyn Fn() -> bool + Sync),
        monitor: &mut dyn Monitor,
    ) -> Result<(Standing, f64, Ended), TrainError> {
        let learning_rate_of = self.learning_rate();
        let steps = self.steps();
        let first = (epoch as u64 - 1) * steps;
        let learning_rates: Vec<f64> = (first..first + steps).map(learning_rate_of).collect();
        let mut watch = |step: usize| {
            monitor.step_done(step);
            !monitor.stop() && !due()
        };
        let (done, ended) = self.engine.part(order, &learning_rates, done, until, &mut watch)?;
        Ok((done, learning_rates.last().copied().unwrap_or(0.0), ended))
    }
}

/// How many images a run goes through.
fn counts(options: &Options, data: &Dataset) -> Counts {
    let &Options { batch_size, validation, seed, .. } = options;
    Counts { batch_size, training: data.train.len() - validation, test: data.test.len(), validation, seed }
}

/// What a run works on.
pub(super) fn job(options: &Options, data: Arc<Dataset>) -> Result<Job, TrainError> {
    let (data, validation) = match options.validation {
        0 => (data, None),
        count => {
            let (data, validation) = Arc::unwrap_or_clone(data).hold_out(count, options.seed)?;
            (Arc::new(data), Some(Arc::new(validation)))
        }
    };
    Ok(Job {
        model: Arc::new(options.model(data.train.pixels(), data.classes)),
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
    })
}

/// The parameters that a run starts from, and its options with what they start from recorded.
pub(super) fn beginning(options: Options, data: &Dataset) -> Result<(Options, Vec<f32>), TrainError> {
    Ok(match start(&options, data)? {
        Some((start, init)) => (Options { init: Some(init), ..options }, start.parameters),
        None => {
            let model = options.model(data.train.pixels(), data.classes);
            let parameters = model.initial_parameters(options.seed);
            (options, parameters)
        }
    })
}

/// The weights that these options start from, if they do, and the option as it is to be recorded.
pub(super) fn start(options: &Options, data: &Dataset) -> Result<Option<(TrainedModel, Init)>, TrainError> {
    let Some(init) = &options.init else { return Ok(None) };
    init.read(&options.model(data.train.pixels(), data.classes)).map(Some)
}
