//! Whether a run folder is as the run left it, and its figures are those of its network.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::figures::read_confusion;
use super::files::{
    CHECKPOINT, Checkpoint, FINISHED, MODEL, Origin, PREVIOUS, TrainedModel, read_model, read_options,
};
use super::log::{Metrics, Summary, seconds_to_goal};
use super::seal::{Fate, SEAL, fates};
use crate::data::Dataset;
use crate::errors::with_causes;
use crate::exec::{Confusion, Examples};
use crate::nn::Model;
use crate::train::engine::predictions;
use crate::train::options::{DeviceChoice, Precision};
use crate::train::{Options, TrainError};

/// What became of one thing that a run left.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Check {
    /// A file's name, or what figures are of.
    pub what: String,
    /// Whether it is as it should be; nothing where that cannot be known.
    pub holds: Option<bool>,
    /// What was found.
    pub found: String,
}

/// A folder and what was found in it.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Verified {
    /// The folder.
    pub path: PathBuf,
    /// One thing after the other.
    pub checks: Vec<Check>,
}

impl Verified {
    /// Whether nothing is other than it should be.
    pub fn holds(&self) -> bool {
        self.checks.iter().all(|check| check.holds != Some(false))
    }
}

/// How far accuracies of the same network on the same images may be apart in float32 on two processors, whose sums
/// are rounded in other orders; and where another device or number format found one of them.
const ROUNDING: [f64; 2] = [0.0005, 0.005];

/// Looks at the folder of a run, or of a comparison, whose runs are in folders of their own. `data` finds the images of a run
/// with these options.
pub fn verify(
    path: &Path,
    data: &dyn Fn(&Options) -> Result<std::sync::Arc<Dataset>, TrainError>,
) -> Verified {
    let mut checks = Checks { path, all: Vec::new() };
    let is_sealed = checks.files();
    if path.join("compare.toml").exists() {
        if !is_sealed {
            checks.add(SEAL, None, "is not there: the comparison was cut off, or goes on");
        }
        return Verified { path: path.into(), checks: checks.all };
    }
    let options = checks.tried("config.toml", read_options(&path.join("config.toml")), |options| {
        format!("{} with seed {}", options.opt.name(), options.seed)
    });
    let data = options.as_ref().map(data);
    let images = data.as_ref().and_then(|data| data.as_ref().ok());
    let there = |names: &[&'static str]| -> Vec<&'static str> {
        names.iter().copied().filter(|name| path.join(name).exists()).collect()
    };
    let unfinished = there(&[CHECKPOINT, PREVIOUS]);
    // That of a run that is given more epochs is of another schedule.
    let names = if unfinished.is_empty() { there(&[FINISHED]) } else { unfinished.clone() };
    for name in &names {
        checks.checkpoint(name, options.as_ref(), images.map(|data| &**data));
    }
    if !is_sealed && unfinished.is_empty() {
        match names.is_empty() {
            true => checks.add(
                SEAL,
                None,
                "is not there, nor is a checkpoint: the run was ended before its first",
            ),
            false => checks.add(SEAL, Some(false), "is missing, and a finished run has one"),
        }
    }
    checks.summary();
    if let (Some(options), true) = (&options, path.join(MODEL).exists()) {
        match data {
            Some(Ok(data)) => checks.network(options, &data, unfinished.is_empty()),
            Some(Err(error)) => checks.add(
                "figures of the network",
                None,
                &format!(
                    "could not be found again without the images ({}): name their folder with --data",
                    with_causes(&error)
                ),
            ),
            None => {}
        }
    }
    Verified { path: path.into(), checks: checks.all }
}

struct Checks<'a> {
    path: &'a Path,
    all: Vec<Check>,
}

impl Checks<'_> {
    fn add(&mut self, what: &str, holds: Option<bool>, found: &str) {
        self.all.push(Check { what: what.into(), holds, found: found.into() });
    }

    /// The result, which stands for its file; what is said of it, where there is no seal to say it.
    fn tried<T>(
        &mut self,
        what: &str,
        result: Result<T, TrainError>,
        said: impl Fn(&T) -> String,
    ) -> Option<T> {
        match result {
            Ok(value) => {
                if !self.all.iter().any(|check| check.what == what) {
                    self.add(what, Some(true), &said(&value));
                }
                Some(value)
            }
            Err(error) => {
                self.add(what, Some(false), &with_causes(&error));
                None
            }
        }
    }

    /// The files by their seal; whether there is one.
    fn files(&mut self) -> bool {
        match fates(self.path) {
            Ok(Some(fates)) => {
                for (name, fate) in fates {
                    let (holds, found) = match fate {
                        Fate::Same => (Some(true), "is as it was written"),
                        Fate::Changed => (Some(false), "has changed since it was written"),
                        Fate::Missing => (Some(false), "is missing"),
                        Fate::Unsealed => {
                            (Some(false), "is not listed in SHA256SUMS, as every file of a run is")
                        }
                        Fate::Foreign => (None, "is none of the run's files"),
                    };
                    self.add(&name, holds, found);
                }
                true
            }
            Ok(None) => false,
            Err(error) => {
                self.add(SEAL, Some(false), &with_causes(&error));
                true
            }
        }
    }

    /// A checkpoint by its own digest, and options, data and log by what it says of them.
    fn checkpoint(&mut self, name: &str, options: Option<&Options>, data: Option<&Dataset>) {
        let checkpoint = match Checkpoint::load(&self.path.join(name)) {
            Ok(checkpoint) => checkpoint,
            Err(error) => return self.add(name, Some(false), &with_causes(&error)),
        };
        let agrees = || -> Result<(), TrainError> {
            if let Some(options) = options {
                let digest = data.map_or_else(|| checkpoint.origin.data.clone(), Dataset::digest);
                let (parameters, state) = (checkpoint.parameters.len(), checkpoint.state.len());
                checkpoint.check_origin(&Origin::new(options, digest), parameters, state)?;
            }
            checkpoint.rows(Metrics::read(&self.path.join("metrics.csv"))?).map(drop)
        };
        let (epoch, steps) = (checkpoint.position.epoch, checkpoint.position.done.steps);
        match agrees() {
            Ok(()) if data.is_some() => self.add(
                name,
                Some(true),
                &format!("is as it was written, after epoch {epoch} and {steps} steps; so are options, data and log"),
            ),
            Ok(()) => self.add(name, Some(true), "is as it was written; so are options and log"),
            Err(error) => self.add(name, Some(false), &with_causes(&error)),
        }
    }

    /// The figures of the summary by those of the log.
    fn summary(&mut self) {
        const WHAT: &str = "figures of summary.json";
        let path = self.path.join("summary.json");
        if !path.exists() {
            return;
        }
        let Some(summary) = self.tried("summary.json", Summary::load(&path), |_| "can be read".into()) else {
            return;
        };
        let Some(rows) = self.tried("metrics.csv", Metrics::read(&self.path.join("metrics.csv")), |rows| {
            format!("holds {} epochs", rows.len())
        }) else {
            return;
        };
        let Some(last) = rows.get(summary.epochs.wrapping_sub(1)).filter(|_| !summary.interrupted) else {
            return; // an interrupted run's are of the middle of an epoch
        };
        let mut other = BTreeSet::new();
        let mut same = |name: &'static str, is_same: bool| {
            if !is_same {
                other.insert(name);
            }
        };
        same("epochs", summary.epochs == rows.len());
        same("test_accuracy", summary.test_accuracy == last.test_accuracy);
        same("test_objective", summary.test_objective == last.test_objective);
        same("train_seconds", summary.train_seconds == rows.iter().map(|row| row.seconds).sum::<f64>());
        same("seconds_to_98", summary.seconds_to_98 == seconds_to_goal(&rows));
        match other.is_empty() {
            true => self.add(WHAT, Some(true), "are those of metrics.csv"),
            false => {
                let names: Vec<&str> = other.into_iter().collect();
                self.add(WHAT, Some(false), &format!("are not those of metrics.csv: {}", names.join(", ")));
            }
        }
    }

    /// The figures once more, from the network and the images. Those of a run that is not finished may be of two moments.
    fn network(&mut self, options: &Options, data: &Dataset, is_finished: bool) {
        const WHAT: &str = "figures of the network";
        let Some(model) = self.tried(MODEL, read_model(&self.path.join(MODEL)), |_| "can be read".into())
        else {
            return;
        };
        let recorded = Summary::load(&self.path.join("summary.json")).ok();
        let Some(recorded) = recorded.map(|summary| summary.test_accuracy) else { return };
        let found = match counted(&model, data) {
            Ok(found) => found,
            Err(problem) => return self.add(WHAT, Some(false), &problem),
        };
        let hits =
            |confusion: &Confusion| (0..confusion.len()).map(|class| confusion[class][class]).sum::<u64>();
        let images = data.test.len() as f64;
        let accuracy = hits(&found) as f64 / images;
        let is_float32 = options.device == DeviceChoice::Cpu && options.precision == Precision::F32;
        let apart = ROUNDING[usize::from(!is_float32)].max(1.5 / images); // an image more or less is always rounding
        let written = read_confusion(&self.path.join("confusion.csv")).ok();
        let counts_apart = written.filter(|written| written.len() == found.len()).map(|written| {
            let apart = |(a, b): (&u64, &u64)| a.abs_diff(*b);
            written.iter().flatten().zip(found.iter().flatten()).map(apart).sum::<u64>() as f64 / 2.0 / images
        });
        let holds = (recorded - accuracy).abs() <= apart && counts_apart.is_some_and(|share| share <= apart);
        let said = format!(
            "{:.2}% of the test images are classified correctly, where summary.json says {:.2}%, and {}",
            100.0 * accuracy,
            100.0 * recorded,
            match counts_apart {
                Some(share) =>
                    format!("{} are counted elsewhere than in confusion.csv", (share * images).round()),
                None => "confusion.csv cannot be compared".into(),
            }
        );
        self.add(WHAT, Some(holds).filter(|&holds| holds || is_finished), &said);
    }
}

/// How a network confuses the test images.
fn counted(trained: &TrainedModel, data: &Dataset) -> Result<Confusion, String> {
    let TrainedModel { model, parameters, normalisation } = trained;
    let (pixels, classes) = (data.test.pixels(), data.classes);
    if (model.input().size(), model.classes()) != (pixels, classes) {
        return Err(format!(
            "the network is {}, and the images have {pixels} pixels in {classes} classes: name the data that the run was \
             trained on with --data",
            model.describe()
        ));
    }
    let mut counts = vec![vec![0; classes]; classes];
    let examples = Examples { split: data.test.clone(), normalisation: *normalisation, shifts: None };
    let labels = &data.test.labels;
    predictions(model, parameters, examples, |index, predicted, _| {
        counts[usize::from(labels[index])][predicted] += 1
    })
    .map_err(|error| with_causes(&error))?;
    Ok(counts)
}
