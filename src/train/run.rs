//! A run from its first file to its last: epochs, evaluations, log, checkpoints, figures, model.
//!
//! After each epoch its row is on the disk, then a checkpoint, and within an epoch there are others, if they are asked for;
//! so whatever happens later, what was computed is kept, and a run that was cut off can go on with the same bits as if it
//! never had been.

use std::sync::Arc;
use std::time::Instant;

use super::engine::{Set, Snapshot};
use super::hardware::Choice;
use super::monitor::Monitor;
use super::options::Every;
use super::setup::Setup;
use super::{Options, TrainError};
use crate::data::{Dataset, shuffled};
use crate::exec::{Confusion, Ended, Standing, Sums};
use crate::nn::Model;
use crate::runs::figures;
use crate::runs::files::{self, CHECKPOINT, Checkpoint, DIVERGED, FINISHED, Origin, PREVIOUS, Position};
use crate::runs::log::{Metrics, seconds_to_goal};
use crate::runs::seal::{SEAL, seal};
use crate::runs::{Row, RunFolder, Summary};

/// A run with its folder, at its beginning or at a checkpoint.
pub struct Run {
    setup: Setup,
    folder: RunFolder,
    /// The options in `config.toml`. What was said beside --resume is for now, and stands in none.
    recorded: Options,
    rows: Vec<Row>,
    /// What is done of the epoch after those, and the seconds that it took.
    done: Standing,
    seconds: f64,
    /// None where the network has moved since.
    evaluated: Option<Evaluated>,
    /// What is to be said of how the run was taken up.
    notes: Vec<String>,
    /// How many epochs it had before it was given more, now.
    before: Option<usize>,
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
    /// Steps of the epoch after those.
    pub steps: usize,
}

impl Outcome {
    /// What to say of a run that led nowhere, if it did.
    pub fn warning(&self, options: &Options) -> Option<String> {
        self.summary.learning?.said(self.rows.last()?, options)
    }
}

impl Setup {
    /// A run from the beginning, in a folder of its own, into which its configuration is written before all else.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn begin(self, folder: RunFolder) -> Result<Run, TrainError> {
        let recorded = self.options.clone();
        let run = Run::new(self, recorded, folder);
        run.write_configuration(None)?;
        Ok(run)
    }

    /// A run from where the folder's checkpoint stands: from the beginning, if there is none. The folder's `config.toml` holds the
    /// options `recorded`, none if there is no such file; the others are to be gone on with. A run that is finished goes on
    /// to more epochs, if these are.
    ///
    /// # Errors
    /// As [`Self::new`], and when checkpoint or log cannot be read, or do not belong to this run.
    pub fn resume(
        options: Options,
        recorded: Option<Options>,
        data: Arc<Dataset>,
        choice: &Choice,
        folder: RunFolder,
    ) -> Result<Run, TrainError> {
        // The checkpoint holds the weights: those that the run started from need not be there any more.
        let more = recorded.as_ref().is_some_and(|recorded| recorded.epochs != options.epochs);
        let goes_on = Checkpoint::is_in(folder.path())? || more && folder.holds(FINISHED)?;
        let is_known = options.init.as_ref().is_none_or(|init| init.normalisation.is_some());
        let setup = match goes_on && is_known {
            true => Self::at(options, data, choice)?,
            false => Self::new(options, data, choice)?,
        };
        match recorded {
            Some(recorded) => setup.go_on(recorded, folder),
            None => setup.begin(folder),
        }
    }

    fn go_on(self, recorded: Options, folder: RunFolder) -> Result<Run, TrainError> {
        let mut run = Run::new(self, recorded, folder);
        run.before = run.extended()?;
        let Some((checkpoint, note)) = Checkpoint::read(&run.folder)? else {
            run.check_beginning()?;
            return Ok(run);
        };
        let is_damaged = note.is_some();
        run.notes.extend(note);
        let parameters = run.model().parameter_count();
        let state = parameters * run.setup.job.optimizer.states();
        checkpoint.check_origin(&run.origin(), parameters, state)?;
        checkpoint.check_numbers(run.setup.steps(), run.options().epochs)?;
        run.rows = run.logged(&checkpoint)?;
        let Checkpoint { position, step, parameters, state, .. } = &checkpoint;
        (run.done, run.seconds) = (position.done, position.seconds);
        run.setup.engine.restore(Snapshot { parameters, state, step: *step })?;
        if is_damaged {
            run.folder.remove(CHECKPOINT)?; // lest it takes the place of the whole one before
        }
        if run.before.is_some() {
            run.folder.remove(SEAL)?; // what it vouches for is about to change
            run.write_configuration(run.before)?; // after the checkpoint, which is what is gone on from
        }
        Ok(run)
    }
}

impl Run {
    /// A run before its first step.
    fn new(setup: Setup, recorded: Options, folder: RunFolder) -> Self {
        Self {
            setup,
            recorded,
            rows: Vec::new(),
            done: Standing::default(),
            seconds: 0.0,
            evaluated: None,
            notes: folder.unguarded().into_iter().collect(),
            before: None,
            folder,
        }
    }

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

    /// Steps that are done of the epoch after those.
    pub fn steps(&self) -> usize {
        self.done.steps
    }

    /// Of a finished run that is given more epochs now: how many it had, and the next step's learning rate.
    pub fn extension(&self) -> Option<(usize, f64)> {
        let steps = self.rows.len() as u64 * self.setup.steps() + self.done.steps as u64;
        self.before.map(|before| (before, self.setup.learning_rate()(steps)))
    }

    /// What is to be said of how the run was taken up, a sentence each without its full stop.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// What the run is.
    fn origin(&self) -> Origin {
        Origin::new(&self.recorded, self.setup.data_digest().clone())
    }

    /// Makes a finished run one that has more epochs to go, where the options have: its last checkpoint is written anew, as one of
    /// so many epochs. Returns how many it had, once what was finished is gone on with.
    fn extended(&mut self) -> Result<Option<usize>, TrainError> {
        let (before, epochs) = (self.recorded.epochs, self.options().epochs);
        if before == epochs {
            return Ok(None);
        }
        let now = Options { epochs, ..self.recorded.clone() };
        if !Checkpoint::is_in(self.folder.path())? {
            let last = Checkpoint::load(&self.folder.file(FINISHED))?;
            let (parameters, state) = (last.parameters.len(), last.state.len());
            last.check_origin(&self.origin(), parameters, state)?;
            let rows = self.logged(&last)?;
            let Checkpoint { position, step, parameters, state, .. } = &last;
            let network = Snapshot { parameters, state, step: *step };
            self.recorded = now;
            Checkpoint::write(&self.folder, network, position, &self.origin(), &rows)?;
            return Ok(Some(before));
        }
        // It was ended after that, and before the configuration was written.
        self.recorded = now;
        Ok(Some(before))
    }

    /// The rows of a checkpoint's epochs. What follows them is run again, so its faults are no matter.
    fn logged(&self, checkpoint: &Checkpoint) -> Result<Vec<Row>, TrainError> {
        let path = self.folder.file("metrics.csv");
        let rows = Metrics::read_as_far_as_whole(&path)?.rows;
        if rows.len() < checkpoint.position.epoch {
            Metrics::read(&path)?; // says what is wrong with it, if that is why
        }
        checkpoint.rows(rows)
    }

    /// That a run without a checkpoint has come no further than to its first: otherwise what was done would be lost without a word.
    fn check_beginning(&self) -> Result<(), TrainError> {
        let path = self.folder.file("metrics.csv");
        let logged = if self.folder.holds("metrics.csv")? {
            Metrics::read_as_far_as_whole(&path)?.rows.len()
        } else {
            0
        };
        if logged <= 1 && !self.folder.holds(FINISHED)? {
            return Ok(()); // a row is on the disk before its checkpoint
        }
        let problem = format!(
            "is missing, and {logged} epochs are logged, which cannot be gone on with: put it back, or begin a run of its own \
             with --config {}",
            self.folder.file("config.toml").display()
        );
        Err(TrainError::Content { path: self.folder.file(CHECKPOINT), problem })
    }

    /// Writes `config.toml`; of a run that had so many epochs before it was given more.
    fn write_configuration(&self, before: Option<usize>) -> Result<(), TrainError> {
        let extended = match before {
            None => None,
            Some(before) => {
                let (.., about) = files::read_configuration_with_about(&self.folder.file("config.toml"))?;
                let earlier = about.extended.map_or_else(String::new, |earlier| earlier + "; ");
                Some(format!(
                    "{earlier}epochs up to {before} with a schedule of the learning rate over {before}"
                ))
            }
        };
        let Setup { job, card, .. } = &self.setup;
        let (recorded, model) = (&self.recorded, &*job.model);
        files::write_configuration(&self.folder, recorded, model, job.normalisation, card.clone(), extended)
    }

    /// Writes a checkpoint.
    fn keep(&mut self) -> Result<(), TrainError> {
        let origin = self.origin();
        let position = Position { epoch: self.rows.len(), done: self.done, seconds: self.seconds };
        Checkpoint::write(&self.folder, self.setup.engine.snapshot()?, &position, &origin, &self.rows)
    }

    /// Runs the epochs that are left.
    ///
    /// # Errors
    /// When the loss is no longer finite, which the folder then says, or a file cannot be written. What was logged is
    /// kept, and the figures show it.
    pub fn train(self, monitor: &mut dyn Monitor) -> Result<Outcome, TrainError> {
        let folder = self.folder.clone();
        folder.remove(DIVERGED)?; // of an earlier try
        folder.remove(SEAL)?; // what it vouches for is about to change
        self.finish(monitor).inspect_err(|error| {
            // Where that cannot be written, the run is only taken for one that was cut off.
            if let TrainError::NotFinite(divergence) = error {
                let _ = divergence.write(&folder);
            }
        })
    }

    fn finish(mut self, monitor: &mut dyn Monitor) -> Result<Outcome, TrainError> {
        let has_validation = self.setup.job.validation.is_some();
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
        let Self { setup, folder, rows, done: Standing { steps, .. }, .. } = self;
        // The images go with the setup: figures are drawn in the memory that they leave.
        let learning = match rows.last() {
            Some(last) => setup.learning(last),
            None => Ok(None),
        };
        figures::write(&folder, &options, &*model, &rows, counts)?;
        let summary = Summary { learning: learning?, ..summary };
        folder.write_json("summary.json", &summary)?;
        if !interrupted {
            seal(&folder)?;
            // What is left of checkpoints is what more epochs go on from.
            folder.remove(PREVIOUS)?;
            folder.rename(CHECKPOINT, FINISHED)?;
        }
        Ok(Outcome { summary, rows, steps })
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
            monitor.epoch_begins(epoch, self.setup.options.epochs, self.setup.steps() as usize);
            let Some(learning_rate) = self.epoch(epoch, &order, monitor)? else { return Ok(true) };
            let evaluated = self.evaluate()?;
            let Evaluated { test, validation, .. } = &evaluated;
            let (Standing { sums, .. }, seconds) =
                (std::mem::take(&mut self.done), std::mem::take(&mut self.seconds));
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
            self.keep()?;
            monitor.epoch_done(&row);
            if monitor.stop() && epoch < self.setup.options.epochs {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Runs an epoch to its end, with checkpoints in between, and returns its last learning rate; nothing, if the monitor
    /// ended it before: then what is done of it is kept.
    fn epoch(
        &mut self,
        epoch: usize,
        order: &[u32],
        monitor: &mut dyn Monitor,
    ) -> Result<Option<f64>, TrainError> {
        let every = self.setup.options.checkpoint_every;
        loop {
            let begin = Instant::now();
            let until = match every {
                Some(Every::Steps(steps)) => self.done.steps.saturating_add(steps),
                _ => usize::MAX,
            };
            let is_due =
                || matches!(every, Some(Every::Seconds(most)) if begin.elapsed().as_secs_f64() >= most);
            let (done, learning_rate, ended) =
                self.setup.epoch(epoch, order, self.done, until, &is_due, monitor)?;
            self.done = done;
            self.seconds += begin.elapsed().as_secs_f64();
            if ended == Ended::Whole {
                return Ok(Some(learning_rate));
            }
            self.keep()?;
            if monitor.stop() {
                return Ok(None);
            }
        }
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
