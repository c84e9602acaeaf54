//! A run from its first file to its last: epochs, evaluations, log, checkpoints, figures, model.
//!
//! After each epoch its row is on the disk, then a checkpoint; so whatever happens later, what was
//! computed is kept, and a run that was cut off can go on with the same bits as if it never had been.

use std::sync::Arc;

use rayon::ThreadPool;

use super::engine::{Engine, Evaluator, Sums, memory};
use super::figures;
use super::files::{self, CHECKPOINT, Checkpoint};
use super::log::{Metrics, seconds_to_goal};
use super::options::{Augment, OptionError};
use super::{Options, Row, RunFolder, Summary, TrainError};
use crate::data::{DataError, Dataset, Gather, Normalisation, Shifts, Split, batches, shuffled};
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
    data: Arc<Dataset>,
    validation: Option<Split>,
    normalisation: Normalisation,
    pool: ThreadPool,
    engine: Engine,
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

impl Setup {
    /// Checks that options and data go together and that the memory suffices, before anything is begun.
    ///
    /// # Errors
    /// When they do not, or it does not.
    pub fn check(options: &Options, data: &Dataset) -> Result<(), TrainError> {
        let available = data.train.len();
        if options.validation >= available {
            return Err(DataError::HoldOutTooLarge { count: options.validation, available }.into());
        }
        let images = available - options.validation;
        if options.batch_size > images {
            let rule = format!("must be at most {images}, the number of training images");
            return Err(OptionError::new("--batch-size", options.batch_size, rule).into());
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

    /// Makes the network and starts the threads. Nothing is written yet. Runs on the same data share it.
    ///
    /// # Errors
    /// As [`Self::check`], or when the threads cannot be started.
    pub fn new(options: Options, data: Arc<Dataset>) -> Result<Self, TrainError> {
        Self::check(&options, &data)?;
        let (data, validation) = match options.validation {
            0 => (data, None),
            count => {
                let (data, validation) = Arc::unwrap_or_clone(data).hold_out(count, options.seed)?;
                (Arc::new(data), Some(validation))
            }
        };
        let (images, model) = (data.train.len(), options.model(data.train.pixels(), data.classes));
        let engine = Engine::new(model, options.optimizer(), options.seed, images, options.batch_size)?;
        let threads = options.threads;
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .map_err(|source| TrainError::Threads { threads, source })?;
        let normalisation = Normalisation::of(&data.train);
        Ok(Self { options, data, validation, normalisation, pool, engine })
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
        let sizes = (self.engine.parameters().len(), self.engine.state().len());
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
        self.engine.restore(&checkpoint.parameters, &checkpoint.state, checkpoint.step);
        Ok(Run { setup: self, folder, rows })
    }

    /// Steps in an epoch.
    fn steps(&self) -> u64 {
        batches(self.data.train.len(), self.options.batch_size).len() as u64
    }

    /// The learning rate by update, from 0.
    fn learning_rate(&self) -> impl Fn(u64) -> f64 + Send + use<> {
        let Options { schedule, lr, epochs, .. } = self.options;
        let steps = epochs as u64 * self.steps();
        move |step| schedule.learning_rate(lr, step, steps)
    }

    /// Losses, hits and the confusion matrix of the network as it stands.
    ///
    /// # Errors
    /// When the loss is not finite: the last update may have ruined the network.
    fn evaluate(&self, split: &Split) -> Result<(Sums, Vec<Vec<u64>>), TrainError> {
        let model = self.engine.model();
        let classes = model.widths[model.widths.len() - 1];
        let mut counts = vec![vec![0; classes]; classes];
        let mut evaluator = Evaluator::new(model, split.len())?;
        let gather = Gather::new(split, self.normalisation, None);
        let sums = self.pool.install(|| {
            evaluator.run(self.engine.parameters(), &gather, |image, class| {
                counts[usize::from(split.labels[image])][class] += 1;
            })
        });
        if !sums.loss.is_finite() {
            let step = self.engine.step();
            let learning_rate = self.learning_rate()(step.saturating_sub(1));
            return Err(TrainError::NotFinite { step, place: self.engine.not_finite(), learning_rate });
        }
        Ok((sums, counts))
    }

    /// One epoch: the sums over it, its last learning rate, and whether it was ended before its last step.
    fn epoch(
        &mut self,
        epoch: usize,
        order: &[u32],
        monitor: &mut dyn Monitor,
    ) -> Result<(Sums, f64, bool), TrainError> {
        let learning_rate_of = self.learning_rate();
        let Self { options, engine, pool, data, .. } = self;
        let augment = (options.augment == Augment::Shifts).then(|| Shifts::new(options.seed, 1));
        let gather = Gather::new(&data.train, self.normalisation, augment);
        let ranges = batches(order.len(), options.batch_size);
        let steps = ranges.len();
        monitor.epoch_begins(epoch, options.epochs, steps);
        // The whole epoch runs inside the pool: handing it over step by step would cost a wake-up each.
        pool.install(|| {
            let (mut sums, mut learning_rate) = (Sums::default(), 0.0);
            for (step, range) in ranges.enumerate() {
                learning_rate = learning_rate_of(engine.step());
                sums += engine.train_step(&gather, &order[range], learning_rate, options.weight_decay)?;
                monitor.step_done(step + 1);
                if monitor.stop() && step + 1 < steps {
                    return Ok((sums, learning_rate, true));
                }
            }
            Ok((sums, learning_rate, false))
        })
    }
}

impl Run {
    /// The network.
    pub fn model(&self) -> &Perceptron {
        self.setup.engine.model()
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
    /// When the loss is no longer finite, or a file cannot be written. What was logged is kept, and
    /// the figures show it.
    pub fn train(mut self, monitor: &mut dyn Monitor) -> Result<Outcome, TrainError> {
        files::write_configuration(
            &self.folder,
            &self.setup.options,
            self.setup.engine.model(),
            self.setup.normalisation,
        )?;
        let mut metrics = Metrics::create(&self.folder, &self.rows, self.setup.validation.is_some())?;
        let ended = self.epochs(&mut metrics, monitor);
        let drawn = match self.rows.is_empty() {
            true => Ok(()),
            false => figures::write_curves(
                &self.folder,
                &self.setup.options,
                self.setup.engine.model(),
                &self.rows,
            ),
        };
        let interrupted = ended?; // before what may have followed from it
        drawn?;
        let (test, counts) = self.setup.evaluate(&self.setup.data.test)?;
        files::write_model(
            &self.folder,
            self.setup.engine.model(),
            self.setup.engine.parameters(),
            self.setup.normalisation,
        )?;
        let setting = figures::setting(&self.setup.options, self.setup.engine.model());
        figures::write_confusion(
            &self.folder,
            format!("{}, {setting}", self.setup.options.opt.name()),
            counts,
        )?;
        let validation =
            self.setup.validation.as_ref().map(|split| self.setup.evaluate(split)).transpose()?;
        let summary = self.summary(test, validation.map(|(sums, _)| sums.accuracy()), interrupted);
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
        let mut order = vec![0; self.setup.data.train.len()];
        for epoch in self.rows.len() + 1..=self.setup.options.epochs {
            shuffled(self.setup.options.seed, epoch as u64, &mut order);
            let begin = std::time::Instant::now();
            let (sums, learning_rate, stopped) = self.setup.epoch(epoch, &order, monitor)?;
            let seconds = begin.elapsed().as_secs_f64();
            if stopped {
                return Ok(true);
            }
            let (test, _) = self.setup.evaluate(&self.setup.data.test)?;
            let validation =
                self.setup.validation.as_ref().map(|split| self.setup.evaluate(split)).transpose()?;
            let row = Row {
                epoch,
                objective: sums.objective(),
                train_accuracy: sums.accuracy(),
                test_objective: test.objective(),
                test_accuracy: test.accuracy(),
                learning_rate,
                seconds,
                examples_per_second: sums.count as f64 / seconds,
                validation_objective: validation.as_ref().map(|(sums, _)| sums.objective()),
                validation_accuracy: validation.as_ref().map(|(sums, _)| sums.accuracy()),
            };
            metrics.append(&row)?;
            self.rows.push(row.clone());
            Checkpoint::write(&self.folder, &self.setup.engine, epoch)?;
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
            device: "cpu".into(),
            threads: self.setup.options.threads,
            precision: "f32".into(),
            parameters: self.setup.engine.parameters().len(),
            test_objective: test.objective(),
            test_accuracy: test.accuracy(),
            train_seconds: self.rows.iter().map(|row| row.seconds).sum(),
            seconds_to_98: seconds_to_goal(&self.rows),
            validation_accuracy,
            interrupted,
        }
    }
}
