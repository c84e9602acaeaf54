//! A run from its first file to its last: epochs, evaluations, log, checkpoints, figures, model.
//!
//! After each epoch its row is on the disk, then a checkpoint; so whatever happens later, what was
//! computed is kept, and a run that was cut off can go on with the same bits as if it never had been.

use super::divergence::DIVERGED;
use super::engine::{Ended, Set, Sums};
use super::figures;
use super::files::{self, Checkpoint};
use super::log::{Metrics, seconds_to_goal};
use super::setup::Setup;
use super::{Options, Row, RunFolder, Summary, TrainError};
use crate::data::shuffled;
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

impl Outcome {
    /// What to say of a run that led nowhere, if it did.
    pub fn warning(&self, options: &Options) -> Option<String> {
        self.summary.learning?.said(self.rows.last()?, options)
    }
}

impl Run {
    /// With the epochs that are done.
    pub(super) fn of(setup: Setup, folder: RunFolder, rows: Vec<Row>) -> Self {
        Self { setup, folder, rows }
    }

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
            if let TrainError::NotFinite(divergence) = error {
                let _ = divergence.write(&folder);
            }
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
        let diverged = matches!(ended, Err(TrainError::NotFinite(_)));
        let Setup { options, job, .. } = &self.setup;
        let drawn = match self.rows.is_empty() {
            true => Ok(()),
            false => figures::write_curves(&self.folder, options, &job.model, &self.rows, diverged),
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
        let Self { setup, folder, rows } = self;
        let learning = match rows.last() {
            Some(last) => setup.learning(last)?,
            None => None,
        };
        let summary = Summary { learning, ..summary };
        folder.write_json("summary.json", &summary)?;
        if !interrupted {
            Checkpoint::remove(&folder)?;
        }
        Ok(Outcome { summary, rows })
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
