//! The objective of each optimizer against the epoch.

use super::{Comparison, Course};
use crate::draw::{LineChart, Series};
use crate::train::figures::{objective_chart, over_seeds};

impl Comparison {
    /// The chart of `compare.svg`: the mean over the seeds and their range, PyTorch's after all of ours.
    pub fn chart(&self) -> LineChart {
        let groups = self.groups();
        let (mut series, mut notes) = (Vec::new(), Vec::new());
        for group in &groups {
            series.push(line(group.optimizer, group.ours().collect(), &mut notes));
        }
        for group in groups.iter().filter(|group| group.version().is_some()) {
            series.push(line(&format!("{} (PyTorch)", group.optimizer), group.pytorch().collect(), &mut notes));
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
        chart
    }
}

/// The line of some runs: of those that were finished, or if none was, of all as far as they go. What a line does not show
/// is said in the notes.
fn line(name: &str, runs: Vec<(u64, &Course)>, notes: &mut Vec<String>) -> Series {
    let finished: Vec<&Course> =
        runs.iter().map(|(_, course)| *course).filter(|course| course.diverged.is_none()).collect();
    let all = || runs.iter().map(|(_, course)| *course);
    let shown = if finished.is_empty() { all().collect() } else { finished };
    let series = over_seeds(name, shown.iter().map(|course| &course.rows[..]), |row| row.objective);
    series
}
