//! Several runs beside one another: files and a chart for all, by optimizer.
//!
//! A run that diverged is a result too. It is named, its epochs are kept and drawn as far as they go; means, deviations
//! and minima are over the runs that were finished.

mod chart;
pub mod course;
mod plan;
#[cfg(test)]
mod tests;

use serde::Serialize;

pub use course::Course;
pub use plan::ComparisonPlan;

use super::torch::Peer;
use super::{Options, TrainError};
use crate::runs::figures::write_drawing;
use crate::runs::{Divergence, Learning, RunFolder, Statistics};

/// A run of a comparison.
#[derive(Clone, PartialEq, Debug)]
pub struct Compared {
    /// Its options.
    pub options: Options,
    /// How it went.
    pub course: Course,
    /// How the same went by PyTorch, if that was asked for.
    pub pytorch: Option<Peer>,
}

/// Runs beside one another, in the order in which they were planned.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Comparison {
    /// What they have in common, as charts state it.
    pub setting: String,
    /// Those that came to their end.
    pub runs: Vec<Compared>,
}

/// Runs of one optimizer, summed up.
#[derive(Clone, PartialEq, Debug)]
pub struct Summed {
    /// `adam`, or `adam (PyTorch)`.
    pub name: String,
    /// What `compare.json` says of them.
    pub results: Results,
}

/// Final test accuracies of some runs that differ in the seed: of those that were finished.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Results {
    /// The seeds of the runs that were finished.
    pub seeds: Vec<u64>,
    /// Over them; nothing where there are none.
    pub test_accuracy: Option<Statistics>,
    /// By seed.
    pub test_accuracies: Vec<f64>,
    /// As the test accuracy.
    pub train_seconds: Option<Statistics>,
    /// The runs that were not.
    pub diverged: Vec<Diverged>,
    /// The seeds of finished runs whose objective ended far above where it began. They have results like the others, over
    /// which the statistics are, and a comparison with such runs has not failed. Nothing, where it is known of no run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub objective_diverged: Option<Vec<u64>>,
}

/// A run that diverged.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Diverged {
    /// The run's.
    pub seed: u64,
    /// Where and how.
    #[serde(flatten)]
    pub divergence: Divergence,
}

/// An entry of `compare.json`.
#[derive(Serialize)]
struct Entry {
    optimizer: &'static str,
    #[serde(flatten)]
    results: Results,
    #[serde(skip_serializing_if = "Option::is_none")]
    pytorch: Option<PeerEntry>,
}

/// PyTorch's part of an entry.
#[derive(Serialize)]
struct PeerEntry {
    version: String,
    #[serde(flatten)]
    results: Results,
    objective_difference: Option<Apart>,
}

/// How far two courses of the objective are apart, relative to PyTorch's, over all seeds.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
pub struct Apart {
    /// At most, in the first epoch.
    pub first_epoch: f64,
    /// At most, in any.
    pub largest: f64,
}

/// A line of `compare.csv` and of `compare-pytorch.csv`.
#[derive(Serialize)]
struct Line {
    optimizer: &'static str,
    seed: u64,
    epoch: usize,
    objective: f64,
    test_accuracy: f64,
}

impl Results {
    /// Of these courses with their seeds.
    fn of<'c>(courses: impl Iterator<Item = (u64, &'c Course)>) -> Self {
        let (mut seeds, mut test_accuracies, mut seconds) = (Vec::new(), Vec::new(), Vec::new());
        let (mut diverged, mut objective_diverged) = (Vec::new(), None);
        for (seed, course) in courses {
            if let Some(divergence) = course.diverged.clone() {
                diverged.push(Diverged { seed, divergence });
            }
            if let Some(learning) = course.learning {
                let seeds: &mut Vec<u64> = objective_diverged.get_or_insert_default();
                seeds.extend((learning == Learning::Diverged).then_some(seed));
            }
            if let Some(accuracy) = course.test_accuracy() {
                seeds.push(seed);
                test_accuracies.push(accuracy);
                seconds.push(course.rows.iter().map(|row| row.seconds).sum());
            }
        }
        let test_accuracy = Statistics::of(&test_accuracies);
        let train_seconds = Statistics::of(&seconds);
        Self { seeds, test_accuracy, test_accuracies, train_seconds, diverged, objective_diverged }
    }
}

/// The runs of an optimizer.
struct Group<'c> {
    optimizer: &'static str,
    runs: Vec<&'c Compared>,
}

impl<'c> Group<'c> {
    fn ours(&self) -> impl Iterator<Item = (u64, &'c Course)> {
        self.runs.iter().map(|run| (run.options.seed, &run.course))
    }

    fn pytorch(&self) -> impl Iterator<Item = (u64, &'c Course)> {
        self.runs.iter().filter_map(|run| Some((run.options.seed, &run.pytorch.as_ref()?.course)))
    }

    /// The version that ran, if PyTorch did.
    fn version(&self) -> Option<&'c str> {
        self.runs.iter().find_map(|run| Some(&run.pytorch.as_ref()?.version[..]))
    }

    fn apart(&self) -> Option<Apart> {
        let mut apart: Option<Apart> = None;
        for run in &self.runs {
            let Some(peer) = &run.pytorch else { continue };
            for (ours, theirs) in run.course.rows.iter().zip(&peer.course.rows) {
                let difference = match ours.objective == theirs.objective {
                    true => 0.0, // both may be
                    false => (ours.objective - theirs.objective).abs() / theirs.objective,
                };
                let so_far = apart.get_or_insert(Apart { first_epoch: 0.0, largest: 0.0 });
                so_far.largest = so_far.largest.max(difference);
                if ours.epoch == 1 {
                    so_far.first_epoch = so_far.first_epoch.max(difference);
                }
            }
        }
        apart
    }
}

impl Comparison {
    /// The optimizers in the order in which they ran, each with its runs.
    fn groups(&self) -> Vec<Group<'_>> {
        let mut groups: Vec<Group<'_>> = Vec::new();
        for run in &self.runs {
            let optimizer = run.options.opt.name();
            match groups.iter_mut().find(|group| group.optimizer == optimizer) {
                Some(group) => group.runs.push(run),
                None => groups.push(Group { optimizer, runs: vec![run] }),
            }
        }
        groups
    }

    /// The results by optimizer, PyTorch's each below ours.
    pub fn summed(&self) -> Vec<Summed> {
        let mut all = Vec::new();
        for group in self.groups() {
            all.push(Summed { name: group.optimizer.into(), results: Results::of(group.ours()) });
            if group.version().is_some() {
                let name = format!("{} (PyTorch)", group.optimizer);
                all.push(Summed { name, results: Results::of(group.pytorch()) });
            }
        }
        all
    }

    /// How far each optimizer's objective is from PyTorch's, where both have one.
    pub fn apart(&self) -> Vec<(&'static str, Apart)> {
        self.groups().iter().filter_map(|group| Some((group.optimizer, group.apart()?))).collect()
    }

    /// The runs that diverged, by name.
    pub fn diverged(&self) -> Vec<(String, &Options, &Divergence)> {
        let mut all = Vec::new();
        for Compared { options, course, pytorch } in &self.runs {
            let theirs = pytorch.as_ref().and_then(|peer| peer.course.diverged.as_ref());
            for (who, diverged) in [("", course.diverged.as_ref()), (" (PyTorch)", theirs)] {
                all.extend(diverged.map(|diverged| (options.run_name() + who, options, diverged)));
            }
        }
        all
    }

    /// Writes `compare.csv`, `compare.json`, `compare.svg` and `compare.png`, and where PyTorch ran
    /// `compare-pytorch.csv`.
    ///
    /// # Errors
    /// When one cannot be written.
    pub fn write(&self, folder: &RunFolder) -> Result<(), TrainError> {
        let groups = self.groups();
        self.write_table(folder, "compare.csv", |run| Some(&run.course))?;
        if groups.iter().any(|group| group.version().is_some()) {
            self.write_table(folder, "compare-pytorch.csv", |run| Some(&run.pytorch.as_ref()?.course))?;
        }
        let entry = |group: &Group<'_>| Entry {
            optimizer: group.optimizer,
            results: Results::of(group.ours()),
            pytorch: group.version().map(|version| PeerEntry {
                version: version.into(),
                results: Results::of(group.pytorch()),
                objective_difference: group.apart(),
            }),
        };
        let entries: Vec<Entry> = groups.iter().map(entry).collect();
        folder.write_json("compare.json", &entries)?;
        write_drawing(folder, "compare", &self.chart())
    }

    /// Writes the epochs of one course of each run.
    fn write_table(
        &self,
        folder: &RunFolder,
        name: &str,
        course: fn(&Compared) -> Option<&Course>,
    ) -> Result<(), TrainError> {
        let problem = |error: String| TrainError::Content { path: folder.file(name), problem: error };
        let mut table = csv::WriterBuilder::new().has_headers(false).from_writer(Vec::new());
        // Stated apart from the rows, as there may be none.
        let header = table.write_record(["optimizer", "seed", "epoch", "objective", "test_accuracy"]);
        header.map_err(|error| problem(error.to_string()))?;
        for run in &self.runs {
            for row in course(run).into_iter().flat_map(|course| &course.rows) {
                let line = Line {
                    optimizer: run.options.opt.name(),
                    seed: run.options.seed,
                    epoch: row.epoch,
                    objective: row.objective,
                    test_accuracy: row.test_accuracy,
                };
                table.serialize(line).map_err(|error| problem(error.to_string()))?;
            }
        }
        let bytes = table.into_inner().map_err(|error| problem(error.to_string()))?;
        folder.write(name, &bytes)
    }
}
