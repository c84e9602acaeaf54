//! The objective of each optimizer against the epoch.

use super::{Comparison, Course};
use crate::draw::{LineChart, Series};
use crate::train::figures::{broken_off, objective_chart, over_seeds};

impl Comparison {
    /// The chart of `compare.svg`: the mean over the seeds and their range, PyTorch's after all of ours.
    pub fn chart(&self) -> LineChart {
        let groups = self.groups();
        let (mut series, mut notes) = (Vec::new(), Vec::new());
        for group in &groups {
            series.push(line(group.optimizer, group.ours().collect(), &mut notes));
        }
        for group in groups.iter().filter(|group| group.version().is_some()) {
            series.push(line(
                &format!("{} (PyTorch)", group.optimizer),
                group.pytorch().collect(),
                &mut notes,
            ));
        }
        let seeds: Vec<u64> = self.runs.iter().map(|run| run.options.seed).collect();
        let seeds = match (seeds.iter().min(), seeds.iter().max()) {
            (Some(first), Some(last)) if first < last => format!("mean and range of seeds {first} to {last}"),
            (Some(seed), _) => format!("seed {seed}"),
            _ => String::new(),
        };
        let subtitle = format!("{}, {seeds}", self.setting);
        let mut chart = objective_chart("Training objective by optimizer".into(), subtitle, series);
        chart.y_label = "objective: mean training loss (nats)".into();
        chart.notes = notes;
        chart
    }
}

/// The line of some runs: of those that were finished, or if none was, of all as far as they go. What a line does not
/// show is said in the notes.
fn line(name: &str, runs: Vec<(u64, &Course)>, notes: &mut Vec<String>) -> Series {
    let (finished, diverged): (Vec<_>, Vec<_>) =
        runs.into_iter().partition(|(_, course)| course.diverged.is_none());
    let shown = if finished.is_empty() { &diverged } else { &finished };
    let line = over_seeds(name, shown.iter().map(|(_, course)| &course.rows[..]), |row| row.objective);
    // The epoch in which a run diverged is the one after its last.
    let shortest = diverged.iter().map(|(_, course)| course.rows.len()).min();
    let ends = shortest.filter(|_| finished.is_empty()).map(|epochs| broken_off(epochs, "diverged"));
    let left_out =
        diverged.iter().map(|(seed, course)| format!("seed {seed} in epoch {}", course.rows.len() + 1));
    let left_out: Vec<String> = left_out.collect();
    if !finished.is_empty() && !left_out.is_empty() {
        notes.push(format!("{name} is shown without the runs that diverged: {}.", left_out.join(", ")));
    }
    Series { ends, ..line }
}
