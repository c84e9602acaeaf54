//! A run from its first file to its last: epochs, evaluations, log, checkpoints, figures, model.
//!
//! After each epoch its row is on the disk, then a checkpoint; so whatever happens later, what was
//! computed is kept, and a run that was cut off can go on with the same bits as if it never had been.

use std::sync::Arc;

use super::divergence::{DIVERGED, Divergence};
use super::engine::cpu::{CpuEngine, memory};
use super::engine::cuda::CudaEngine;
use super::engine::{Confusion, Ended, Engine, Epoch, Job, Set, Snapshot, Sums, not_finite_parameter};
use super::figures;
use super::files::{self, CHECKPOINT, Checkpoint};
use super::hardware::{self, Choice, Hardware};
use super::log::{Metrics, seconds_to_goal};
use super::options::{Augment, OptionError};
use super::{Options, Row, RunFolder, Summary, TrainError};
use crate::data::{DataError, Dataset, Normalisation, Shifts, batches, shuffled};
use crate::exec::Team;
use crate::model::Perceptron;

/// Watches a run, and may end it.
pub trait Monitor: Send {
    /// Epoch `epoch` (from 1) of `epochs` begins, of `steps` steps.
    fn epoch_begins(&mut self, epoch: usize, epochs: usize, steps: usize);
    /// `step` steps of the epoch are done.
    fn step_done(&mut self, step: usize);
    /// An epoch is done, evaluated and on the disk.
    fn epoch_done(&mut self, row: &Row);
    /// Asked after each step: whether to end the run here.
    fn stop(&self) -> bool;
}

/// Options and data that go together: all that a run needs but a folder.
pub struct Setup {
    options: Options,
    job: Job,
    engine: Box<dyn Engine>,
    /// The CUDA device's name and capability.
    card: Option<String>,
}

/// A run with its folder, at its beginning or at a checkpoint.
pub struct Run {
    setup: Setup,
    folder: RunFolder,
    rows: Vec<Row>,
}

/// How a run ended.
#[derive(Clone, PartialEq, Debug)]
pub struct Outcome {
    /// What `summary.json` says.
    pub summary: Summary,
    /// The epochs that were finished.
    pub rows: Vec<Row>,
}

/// The learning rate by update, from 0, where an epoch has so many.
pub fn learning_rates(options: &Options, steps: u64) -> impl Fn(u64) -> f64 + Send + use<> {
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
        let available = data.train.len();
        if options.validation >= available {
            return Err(DataError::HoldOutTooLarge { count: options.validation, available }.into());
        }
        let images = available - options.validation;
        if options.batch_size > images {
            let rule = format!("must be at most {images}, the number of training images");
            return Err(OptionError::new("--batch-size", options.batch_size, rule).into());
        }
        if let Hardware::Cuda(_) = choice.hardware {
            return Ok(()); // the device says itself what does not fit
        }
        let model = options.model(data.train.pixels(), data.classes);
        let bytes = memory(&model, &options.optimizer(), options.batch_size);
        // Reserving asks the system without using anything up; more than a vector can have is no question.
        let reserved =
            bytes < isize::MAX as f64 && Vec::<u8>::new().try_reserve_exact(bytes as usize).is_ok();
        if !reserved {
            let network = format!("the network {}", model.widths_text());
            return Err(TrainError::Memory { network, batch_size: options.batch_size, bytes });
        }
        Ok(())
    }

    /// Makes the network and starts the threads, or fills the device. Nothing is written yet. Runs on the same
    /// data share it.
    ///
    /// # Errors
    /// As [`Self::check`], or when the threads cannot be started, or the device's memory does not suffice.
    pub fn new(options: Options, data: Arc<Dataset>, choice: &Choice) -> Result<Self, TrainError> {
        Self::check(&options, &data, choice)?;
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
            normalisation: Normalisation::of(&data.train),
            shifts: (options.augment == Augment::Shifts).then(|| Shifts::new(options.seed, 1)),
            data,
            validation,
        };
        let (engine, card): (Box<dyn Engine>, _) = match &choice.hardware {
            Hardware::Cpu => {
                let threads = options.threads;
                let team = Team::new(threads).map_err(|source| TrainError::Threads { threads, source })?;
                (Box::new(CpuEngine::new(job.clone(), team)?), None)
            }
            Hardware::Cuda(device) => {
                let how = (hardware::launching(options.plan), hardware::products(options.precision));
                let card = format!("{}, compute capability {}", device.name(), device.capability());
                (Box::new(CudaEngine::new(job.clone(), device.clone(), how)?), Some(card))
            }
        };
        Ok(Self { options, job, engine, card })
    }

    /// The work, and the parameters that it starts from: for somebody else to do the same.
    ///
    /// # Errors
    /// When a device fails.
    pub fn into_work(mut self) -> Result<(Job, Vec<f32>), TrainError> {
        let parameters = self.engine.snapshot()?.parameters.to_vec();
        Ok((self.job, parameters))
    }

    /// A run from the beginning, in a folder of its own.
    pub fn begin(self, folder: RunFolder) -> Run {
        Run { setup: self, folder, rows: Vec::new() }
    }

    /// A run from where the folder's checkpoint stands: from the beginning, if there is none.
    ///
    /// # Errors
    /// When checkpoint or log cannot be read, or do not belong to this run.
    pub fn resume(mut self, folder: RunFolder) -> Result<Run, TrainError> {
        let Snapshot { parameters, state, .. } = self.engine.snapshot()?;
        let sizes = (parameters.len(), state.len());
        let Some(checkpoint) = Checkpoint::read(&folder, sizes.0, sizes.1)? else {
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
        Ok(Run { setup: self, folder, rows })
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
    fn evaluate(&mut self, set: Set) -> Result<(Sums, Confusion), TrainError> {
        let (sums, counts) = self.engine.evaluate(set)?;
        if !sums.loss.is_finite() {
            let Snapshot { parameters, step, .. } = self.engine.snapshot()?;
            let place =
                not_finite_parameter(&self.job.model, parameters).unwrap_or_else(|| "the loss".into());
            let learning_rate = self.learning_rate()(step.saturating_sub(1));
            return Err(TrainError::NotFinite { step, place, learning_rate });
        }
        Ok((sums, counts))
    }

    /// The images held out, evaluated, if there are any.
    fn validate(&mut self) -> Result<Option<Sums>, TrainError> {
        match self.job.validation {
            Some(_) => self.evaluate(Set::Validation).map(|(sums, _)| Some(sums)),
            None => Ok(None),
        }
    }

    /// One epoch: the sums over it, its last learning rate, and whether it came to its end.
    fn epoch(
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

impl Run {
    /// The network.
    pub fn model(&self) -> &Perceptron {
        &self.setup.job.model
    }

    /// The options as they hold.
    pub fn options(&self) -> &Options {
        &self.setup.options
    }

    /// The run's folder.
    pub fn folder(&self) -> &RunFolder {
        &self.folder
    }

    /// The epochs that are done.
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// Runs the epochs that are left.
    ///
    /// # Errors
    /// When the loss is no longer finite, which the folder then says, or a file cannot be written. What was logged is
    /// kept, and the figures show it.
    pub fn train(self, monitor: &mut dyn Monitor) -> Result<Outcome, TrainError> {
        let folder = self.folder.clone();
        folder.remove(DIVERGED)?; // of an earlier try
        self.finish(monitor).inspect_err(|error| {
            // Where that cannot be written, the run is only taken for one that was cut off.
            let _ = Divergence::of(error).map(|divergence| divergence.write(&folder));
        })
    }

    fn finish(mut self, monitor: &mut dyn Monitor) -> Result<Outcome, TrainError> {
        let Setup { options, job, card, .. } = &self.setup;
        // A run that is gone on with keeps the configuration it began with.
        if !self.folder.file("config.toml").exists() {
            files::write_configuration(&self.folder, options, &job.model, job.normalisation, card.clone())?;
        }
        let has_validation = job.validation.is_some();
        let mut metrics = Metrics::create(&self.folder, &self.rows, has_validation)?;
        let ended = self.epochs(&mut metrics, monitor);
        let Setup { options, job, .. } = &self.setup;
        let drawn = match self.rows.is_empty() {
            true => Ok(()),
            false => figures::write_curves(&self.folder, options, &job.model, &self.rows),
        };
        let interrupted = ended?; // before what may have followed from it
        drawn?;
        let (test, counts) = self.setup.evaluate(Set::Test)?;
        let Setup { options, job, engine, .. } = &mut self.setup;
        files::write_model(&self.folder, &job.model, engine.snapshot()?.parameters, job.normalisation)?;
        let setting = figures::setting(options, &job.model);
        figures::write_confusion(&self.folder, format!("{}, {setting}", options.opt.name()), counts)?;
        let validation = self.setup.validate()?;
        let summary = self.summary(test, validation.map(|sums| sums.accuracy()), interrupted);
        let text = serde_json::to_string_pretty(&summary).map_err(|error| TrainError::Content {
            path: self.folder.file("summary.json"),
            problem: error.to_string(),
        })?;
        self.folder.write("summary.json", format!("{text}\n").as_bytes())?;
        if !interrupted {
            Checkpoint::remove(&self.folder)?;
        }
        Ok(Outcome { summary, rows: self.rows })
    }

    /// Runs epochs until the last, or until the monitor ends the run: then true.
    fn epochs(&mut self, metrics: &mut Metrics, monitor: &mut dyn Monitor) -> Result<bool, TrainError> {
        let mut order = vec![0; self.setup.job.data.train.len()];
        for epoch in self.rows.len() + 1..=self.setup.options.epochs {
            shuffled(self.setup.options.seed, epoch as u64, &mut order);
            let begin = std::time::Instant::now();
            let (sums, learning_rate, ended) = self.setup.epoch(epoch, &order, monitor)?;
            let seconds = begin.elapsed().as_secs_f64();
            if ended == Ended::Early {
                return Ok(true);
            }
            let (test, _) = self.setup.evaluate(Set::Test)?;
            let validation = self.setup.validate()?;
            let row = Row {
                epoch,
                objective: sums.objective(),
                train_accuracy: sums.accuracy(),
                test_objective: test.objective(),
                test_accuracy: test.accuracy(),
                learning_rate,
                seconds,
                examples_per_second: sums.count as f64 / seconds,
                validation_objective: validation.as_ref().map(|sums| sums.objective()),
                validation_accuracy: validation.as_ref().map(|sums| sums.accuracy()),
            };
            metrics.append(&row)?;
            self.rows.push(row.clone());
            Checkpoint::write(&self.folder, self.setup.engine.snapshot()?, epoch)?;
            monitor.epoch_done(&row);
            if monitor.stop() && epoch < self.setup.options.epochs {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn summary(&self, test: Sums, validation_accuracy: Option<f64>, interrupted: bool) -> Summary {
        Summary {
            optimizer: self.setup.options.opt.name().into(),
            epochs: self.rows.len(),
            seed: self.setup.options.seed,
            device: self.setup.options.device.to_string(),
            threads: self.setup.options.threads,
            precision: self.setup.options.precision.name().into(),
            parameters: self.setup.job.model.parameter_count(),
            test_objective: test.objective(),
            test_accuracy: test.accuracy(),
            train_seconds: self.rows.iter().map(|row| row.seconds).sum(),
            seconds_to_98: seconds_to_goal(&self.rows),
            validation_accuracy,
            interrupted,
        }
    }
}
