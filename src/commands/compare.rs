//! `compare`: the same training for several optimizers and seeds, side by side.

use std::path::Path;

use cotangent::train::figures::{objective_chart, over_seeds, setting, write_chart};
use cotangent::train::{Choices, OptimizerName, Options, Outcome, RunFolder, Setup, Statistics, TrainError};
use serde::Serialize;

use super::console::{Console, count, device_line, interrupted, listen_for_interrupt, resume_command};
use super::{Failure, Request, data};
use crate::cli::{Compare, Place};

pub fn run(arguments: Compare) -> Result<(), Failure> {
    let Compare { opt, seeds, choices, place } = arguments;
    let optimizers = if opt.is_empty() { OptimizerName::ALL.to_vec() } else { opt };
    let mut console = Console::new(place.quiet);
    let next = |_: &Path| "To compare all, begin again with another --out".into();
    let folder = train(&optimizers, seeds, choices, &place, ("compare", &next), &mut console)?;
    console.say(&format!("see {}", folder.file("compare.png").display()));
    Ok(())
}

/// Trains with each optimizer and seed, and leaves the runs and their comparison in a folder: `runs/<time>-<what>`,
/// if none is named. `next` says what to do about runs that were interrupted.
pub fn train(
    named: &[OptimizerName],
    seeds: u64,
    choices: Choices,
    place: &Place,
    (what, next): (&str, &dyn Fn(&Path) -> String),
    console: &mut Console,
) -> Result<RunFolder, Failure> {
    let request = Request::new(choices, place)?;
    let mut optimizers = Vec::new();
    for &name in named {
        if !optimizers.contains(&name) {
            optimizers.push(name);
        }
    }
    // Everything is checked before anything runs, so that a mistake is found now and not in an hour.
    let mut plan: Vec<Options> = Vec::new();
    for &name in &optimizers {
        let options = request.resolve(name, &optimizers)?;
        for k in 0..seeds {
            let seed = Some(options.seed.saturating_add(k)); // too large a seed is refused as such
            let choices = Choices { seed, ..options.choices() };
            plan.push(choices.resolve(name).map_err(Failure::usage)?);
        }
    }
    let data = data::load(plan[0].data.as_deref(), place.quiet).map_err(Failure::work)?;
    let choice = request.choose(&plan[0])?;
    for options in &plan {
        Setup::check(options, &data, &choice)?;
    }
    let folder = RunFolder::create(place.out.as_deref(), what)?;
    listen_for_interrupt();
    console.say(&device_line(&choice, &plan[0]));
    console.say(&format!("{}, writing {}", count(plan.len(), "run"), folder.path().display()));

    let (all, mut comparison) = (plan.len(), Comparison::default());
    for options in plan {
        let name = format!("{}-seed{}", options.opt.name(), options.seed);
        let run = Setup::new(options, data.clone(), &choice)?.begin(folder.inner(&name)?);
        comparison.setting = setting(run.options(), run.model());
        console.say(&format!("\n{name}"));
        console.say_columns(run.options().validation > 0);
        let (options, inner) = (run.options().clone(), run.folder().clone());
        let outcome = run.train(console).map_err(|source| {
            Failure::work(Failed { name, before: comparison.done(&folder, all), source })
        })?;
        console.clear();
        outcome.warning(&options).into_iter().for_each(|warning| console.say(&format!("warning: {warning}")));
        // A run that was cut off would be compared with whole ones: it is left out.
        let whole = !outcome.summary.interrupted;
        if whole {
            comparison.runs.push((options, outcome));
            comparison.write(&folder)?; // after each run, so that what is done is there to see
        }
        if interrupted() && comparison.runs.len() < all {
            let finish = match whole {
                true => String::new(),
                false => format!("; finish the run that was cut off with: {}", resume_command(&inner)),
            };
            let done = comparison.done(&folder, all);
            let next = next(folder.path());
            return Err(Failure::work(format!("interrupted after {done}{finish}. {next}")));
        }
    }
    console.say(&format!("\n{}", comparison.table()));
    Ok(folder)
}

/// A run of the comparison that failed.
#[derive(Debug, thiserror::Error)]
#[error("the run {name} failed after {before}")]
struct Failed {
    name: String,
    before: String,
    source: TrainError,
}

/// The runs so far, in order.
#[derive(Default)]
struct Comparison {
    setting: String,
    runs: Vec<(Options, Outcome)>,
}

/// A line of `compare.csv`.
#[derive(Serialize)]
struct Line {
    optimizer: &'static str,
    seed: u64,
    epoch: usize,
    objective: f64,
    test_accuracy: f64,
}

/// An entry of `compare.json`: final test accuracies over the seeds.
#[derive(Serialize)]
struct Entry {
    optimizer: &'static str,
    seeds: Vec<u64>,
    test_accuracy: Statistics,
    test_accuracies: Vec<f64>,
    train_seconds: Statistics,
}

impl Comparison {
    /// How many runs are done, and where to see them: `1 of 8 runs, compared in runs/...`.
    fn done(&self, folder: &RunFolder, all: usize) -> String {
        let where_to_see = match self.runs.is_empty() {
            true => String::new(),
            false => format!(", compared in {}", folder.path().display()),
        };
        format!("{} of {}{where_to_see}", self.runs.len(), count(all, "run"))
    }

    /// The optimizers in the order in which they ran, each with its runs.
    fn by_optimizer(&self) -> Vec<(&'static str, Vec<&(Options, Outcome)>)> {
        let mut groups: Vec<(&'static str, Vec<&(Options, Outcome)>)> = Vec::new();
        for run in &self.runs {
            let name = run.0.opt.name();
            match groups.iter_mut().find(|(other, _)| *other == name) {
                Some((_, runs)) => runs.push(run),
                None => groups.push((name, vec![run])),
            }
        }
        groups
    }

    fn entries(&self) -> Vec<Entry> {
        let entry = |(optimizer, runs): (&'static str, Vec<&(Options, Outcome)>)| {
            let accuracies: Vec<f64> =
                runs.iter().map(|(_, outcome)| outcome.summary.test_accuracy).collect();
            let seconds: Vec<f64> = runs.iter().map(|(_, outcome)| outcome.summary.train_seconds).collect();
            Some(Entry {
                optimizer,
                seeds: runs.iter().map(|(options, _)| options.seed).collect(),
                test_accuracy: Statistics::of(&accuracies)?,
                test_accuracies: accuracies,
                train_seconds: Statistics::of(&seconds)?,
            })
        };
        self.by_optimizer().into_iter().filter_map(entry).collect()
    }

    /// Writes `compare.csv`, `compare.json`, `compare.svg` and `compare.png`.
    fn write(&self, folder: &RunFolder) -> Result<(), TrainError> {
        let problem =
            |name: &str, error: String| TrainError::Content { path: folder.file(name), problem: error };
        let mut table = csv::Writer::from_writer(Vec::new());
        for (options, outcome) in &self.runs {
            for row in &outcome.rows {
                let line = Line {
                    optimizer: options.opt.name(),
                    seed: options.seed,
                    epoch: row.epoch,
                    objective: row.objective,
                    test_accuracy: row.test_accuracy,
                };
                table.serialize(line).map_err(|error| problem("compare.csv", error.to_string()))?;
            }
        }
        let bytes = table.into_inner().map_err(|error| problem("compare.csv", error.to_string()))?;
        folder.write("compare.csv", &bytes)?;
        let json = serde_json::to_string_pretty(&self.entries())
            .map_err(|error| problem("compare.json", error.to_string()))?;
        folder.write("compare.json", format!("{json}\n").as_bytes())?;
        write_chart(folder, "compare", &self.chart())
    }

    /// The objective of each optimizer against the epoch: the mean over the seeds, and their range.
    fn chart(&self) -> cotangent::draw::LineChart {
        let series = self.by_optimizer().into_iter().map(|(name, runs)| {
            over_seeds(name, runs.iter().map(|(_, outcome)| &outcome.rows[..]), |row| row.objective)
        });
        let seeds: Vec<u64> = self.runs.iter().map(|(options, _)| options.seed).collect();
        let seeds = match (seeds.iter().min(), seeds.iter().max()) {
            (Some(first), Some(last)) if first < last => format!("mean and range of seeds {first} to {last}"),
            (Some(seed), _) => format!("seed {seed}"),
            _ => String::new(),
        };
        let subtitle = format!("{}, {seeds}", self.setting);
        let mut chart = objective_chart("Training objective by optimizer".into(), subtitle, series.collect());
        chart.y_label = "objective: mean training loss (nats)".into();
        chart
    }

    fn table(&self) -> String {
        let mut table = String::from("optimizer  seeds  test accuracy     lowest   seconds");
        for entry in self.entries() {
            let Statistics { mean, standard_deviation, minimum } = entry.test_accuracy;
            let spread = standard_deviation.map_or(String::new(), |sd| format!(" ± {:.2}%", 100.0 * sd));
            let accuracy = format!("{:.2}%{spread}", 100.0 * mean);
            table += &format!(
                "\n{:9}  {:5}  {accuracy:16}  {:.2}%  {:8.1}",
                entry.optimizer,
                entry.seeds.len(),
                100.0 * minimum,
                entry.train_seconds.mean
            );
        }
        table
    }
}
