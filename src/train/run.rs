//! A run from its first file to its last: epochs, evaluations, log, checkpoints, figures, model.
//!
//! After each epoch its row is on the disk, then a checkpoint; so whatever happens later, what was
//! computed is kept, and a run that was cut off can go on with the same bits as if it never had been.

use std::sync::Arc;

use super::engine::{Set, Snapshot};
use super::hardware::Choice;
use super::monitor::Monitor;
use super::setup::Setup;
use super::{Options, TrainError};
use crate::data::{Dataset, shuffled};
use crate::exec::{Confusion, Ended, Sums};
use crate::nn::Model;
use crate::runs::figures;
use crate::runs::files::{self, CHECKPOINT, Checkpoint, DIVERGED};
use crate::runs::log::{Metrics, seconds_to_goal};
use crate::runs::{Row, RunFolder, Summary};

/// A run with its folder, at its beginning or at a checkpoint.
pub struct Run {
    setup: Setup,
    folder: RunFolder,
    rows: Vec<Row>,
    /// None where the network has moved since.
    evaluated: Option<Evaluated>,
}

/// What the evaluations of a network found.
struct Evaluated {
    test: Sums,
    counts: Confusion,
    validation: Option<Sums>,
}

/// How a run ended.
#[derive(Clone, PartialEq, Debug)]
pub struct Outcome {
    /// What `summary.json` says.
    pub summary: Summary,
    /// The epochs that were finished.
    pub rows: Vec<Row>,
}

impl Outcome {
    /// What to say of a run that led nowhere, if it did.
    pub fn warning(&self, options: &Options) -> Option<String> {
        self.summary.learning?.said(self.rows.last()?, options)
    }
}

impl Setup {
    /// A run from the beginning, in a folder of its own.
    pub fn begin(self, folder: RunFolder) -> Run {
        Run { setup: self, folder, rows: Vec::new(), evaluated: None }
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
        let state = parameters * self.job.optimizer.states();
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
        Ok(Run { setup: self, folder, rows, evaluated: None })
    }
}

impl Run {
    /// The network.
    pub fn model(&self) -> &dyn Model {
        &*self.setup.job.model
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
            if let TrainError::NotFinite(divergence) = error {
                let _ = divergence.write(&folder);
            }
        })
    }

    fn finish(mut self, monitor: &mut dyn Monitor) -> Result<Outcome, TrainError> {
        let Setup { options, job, card, .. } = &self.setup;
        // A run that is gone on with keeps the configuration it began with.
        if !self.folder.file("config.toml").exists() {
            files::write_configuration(&self.folder, options, &*job.model, job.normalisation, card.clone())?;
        }
        let has_validation = job.validation.is_some();
        let mut metrics = Metrics::create(&self.folder, &self.rows, has_validation)?;
        let ended = self.epochs(&mut metrics, monitor);
        let interrupted = match ended {
            Ok(interrupted) => interrupted,
            Err(error) => {
                let Setup { options, job, .. } = &self.setup;
                let diverged = matches!(error, TrainError::NotFinite(_));
                if !self.rows.is_empty() {
                    // An error here may have followed from that one.
                    let _ = figures::write_curves(&self.folder, options, &*job.model, &self.rows, diverged);
                }
                return Err(error);
            }
        };
        let Evaluated { test, counts, validation } = match self.evaluated.take() {
            Some(evaluated) => evaluated,
            None => self.evaluate()?,
        };
        let Setup { job, engine, .. } = &mut self.setup;
        files::write_model(&self.folder, &*job.model, engine.snapshot()?.parameters, job.normalisation)?;
        let (options, model) = (self.setup.options.clone(), self.setup.job.model.clone());
        let summary = self.summary(test, validation.map(|sums| sums.accuracy()), interrupted);
        let Self { setup, folder, rows, .. } = self;
        // The images go with the setup: figures are drawn in the memory that they leave.
        let learning = match rows.last() {
            Some(last) => setup.learning(last),
            None => Ok(None),
        };
        figures::write(&folder, &options, &*model, &rows, counts)?;
        let summary = Summary { learning: learning?, ..summary };
        folder.write_json("summary.json", &summary)?;
        if !interrupted {
            folder.remove(CHECKPOINT)?;
        }
        Ok(Outcome { summary, rows })
    }

    fn evaluate(&mut self) -> Result<Evaluated, TrainError> {
        let (test, counts) = self.setup.evaluate(Set::Test)?;
        Ok(Evaluated { test, counts, validation: self.setup.validate()? })
    }

    /// Runs epochs until the last, or until the monitor ends the run: then true.
    fn epochs(&mut self, metrics: &mut Metrics, monitor: &mut dyn Monitor) -> Result<bool, TrainError> {
        let mut order = vec![0; self.setup.job.data.train.len()];
        for epoch in self.rows.len() + 1..=self.setup.options.epochs {
            shuffled(self.setup.options.seed, epoch as u64, &mut order);
            self.evaluated = None;
            let begin = std::time::Instant::now();
            let (sums, learning_rate, ended) = self.setup.epoch(epoch, &order, monitor)?;
            let seconds = begin.elapsed().as_secs_f64();
            if ended == Ended::Early {
                return Ok(true);
            }
            let evaluated = self.evaluate()?;
            let Evaluated { test, validation, .. } = &evaluated;
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
            self.evaluated = Some(evaluated);
            Checkpoint::write(&self.folder, self.setup.engine.snapshot()?, epoch)?;
            monitor.epoch_done(&row);
            if monitor.stop() && epoch < self.setup.options.epochs {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The summary, but for whether the training led anywhere.
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
            learning: None,
            interrupted,
        }
    }
}
