//! The objective of each optimizer against the epoch.

use std::collections::BTreeMap;

use super::{Comparison, Course};
use crate::draw::{End, LineChart, Series};
use crate::runs::figures::{broken_off, objective_chart, over_seeds};

/// More than so many seeds and stretches of seeds are summed up.
const MAX_STRETCHES: usize = 6;

impl Comparison {
    /// The chart of `compare.svg`: the mean over the seeds and their range, PyTorch's after all of ours.
    pub fn chart(&self) -> LineChart {
        let groups = self.groups();
        let ours = groups.iter().map(|group| Line::of(group.optimizer.into(), group.ours().collect(), None));
        let compared = groups.iter().enumerate().filter(|(_, group)| group.version().is_some());
        let theirs = compared.map(|(twin, group)| {
            Line::of(format!("{} (PyTorch)", group.optimizer), group.pytorch().collect(), Some(twin))
        });
        let lines: Vec<Line> = ours.chain(theirs).collect();
        let subtitle = format!("{}, {}", self.setting, self.seeds(&lines));
        let (series, notes): (_, Vec<_>) = lines.into_iter().map(|line| (line.series, line.note)).unzip();
        let mut chart = objective_chart("Training objective by optimizer".into(), subtitle, series);
        chart.y_label = "objective: mean training loss (nats)".into();
        chart.notes = notes.into_iter().flatten().collect();
        chart
    }

    /// The seeds that the lines are of, and which lines are of others.
    fn seeds(&self, lines: &[Line]) -> String {
        let mut all: Vec<u64> = self.runs.iter().map(|run| run.options.seed).collect();
        // where all lines are of the same seeds, these
        if let Some(first) = lines.first().filter(|first| lines.iter().all(|line| line.seeds == first.seeds))
        {
            all.clone_from(&first.seeds);
        }
        all.sort_unstable();
        all.dedup();
        let seeds = match all.len() {
            0 => String::new(),
            1 => format!("seed {}", listed(&all)),
            _ => format!("mean and range of seeds {}", listed(&all)),
        };
        let others = lines.iter().filter(|line| line.seeds != all);
        let others: Vec<String> =
            others.map(|line| format!("{}: {}", line.series.name, listed(&line.seeds))).collect();
        if others.is_empty() { seeds } else { format!("{seeds} ({})", others.join("; ")) }
    }
}

/// A line of some runs: of those that were finished, or if none was, of all as far as they go.
struct Line {
    series: Series,
    /// The seeds of the runs that it is of.
    seeds: Vec<u64>,
    /// What the line does not show.
    note: Option<String>,
}

impl Line {
    fn of(name: String, runs: Vec<(u64, &Course)>, twin_of: Option<usize>) -> Self {
        let is_one = runs.len() == 1;
        let (finished, diverged): (Vec<_>, Vec<_>) =
            runs.into_iter().partition(|(_, course)| course.diverged.is_none());
        let shown = if finished.is_empty() { &diverged } else { &finished };
        let line = over_seeds(&name, shown.iter().map(|(_, course)| &course.rows[..]), |row| row.objective);
        let mut seeds: Vec<u64> = shown.iter().map(|(seed, _)| *seed).collect();
        seeds.sort_unstable();

        let mut ended: BTreeMap<usize, Vec<u64>> = BTreeMap::new();
        for (seed, course) in &diverged {
            ended.entry(course.rows.len()).or_default().push(*seed);
        }
        // a mean of diverged runs breaks off where the first of them does
        let ends = ended.iter().enumerate().map(|(at, (epochs, seeds))| End {
            whose: (!is_one).then(|| named(seeds)),
            of_line: finished.is_empty() && at == 0,
            ..broken_off(*epochs, "diverged")
        });
        let is_partial = !finished.is_empty() && !diverged.is_empty();
        let note = is_partial.then(|| {
            let left_out: Vec<u64> = diverged.iter().map(|(seed, _)| *seed).collect();
            format!("{name} is shown without the runs that diverged: {}.", named(&left_out))
        });
        Self { series: Series { ends: ends.collect(), twin_of, ..line }, seeds, note }
    }
}

/// `seed 1`, or `seeds 1, 4, 5`.
fn named(seeds: &[u64]) -> String {
    format!("seed{} {}", if seeds.len() == 1 { "" } else { "s" }, listed(seeds))
}

/// Seeds, three or more in a row as the first and the last of them: `0, 2 to 5`.
fn listed(seeds: &[u64]) -> String {
    let mut seeds = seeds.to_vec();
    seeds.sort_unstable();
    seeds.dedup();
    let rows = seeds.chunk_by(|a, b| a.checked_add(1) == Some(*b));
    let stretches = rows.flat_map(|row| match row {
        [first, _, .., last] => vec![format!("{first} to {last}")],
        few => few.iter().map(u64::to_string).collect(),
    });
    let stretches: Vec<String> = stretches.collect();
    match &seeds[..] {
        [first, .., last] if stretches.len() > MAX_STRETCHES => {
            format!("{first} to {last} ({} of them)", seeds.len())
        }
        _ => stretches.join(", "),
    }
}
