//! Curves against the epoch: of all groups of runs in one chart, and of each alone.

use super::results;
use crate::draw::{LineChart, Reference, Series, YFormat};
use crate::train::figures::{broken_off, objective_chart, over_seeds};
use crate::train::log::GOAL;
use crate::train::{Group, Row};

/// A number of an epoch.
type Value = fn(&Row) -> f64;

/// The curve of a group: its mean over the seeds, with their range.
fn curve(name: &str, group: &Group<'_>, value: Value) -> Series {
    over_seeds(name, group.records.iter().map(|record| &record.rows[..]), value)
}

/// The seeds of the groups, as a chart states them.
pub(super) fn seeds<'a>(groups: impl IntoIterator<Item = &'a Group<'a>>) -> String {
    let groups: Vec<&Group<'_>> = groups.into_iter().collect();
    let all = groups.iter().flat_map(|group| group.records.iter().map(|record| record.options.seed));
    let seeds = results::seeds(all);
    let one_each = groups.iter().all(|group| group.records.len() == 1);
    match (one_each, seeds.contains([',', ' '])) {
        (true, false) => format!("seed {seeds}"),
        (true, true) => format!("one run each, seeds {seeds}"),
        (false, _) => format!("mean and range of seeds {seeds}"),
    }
}

/// The training objective of all groups.
pub(super) fn objectives(groups: &[Group<'_>], setting: &str) -> LineChart {
    let series = groups.iter().map(|group| {
        // All runs of a group diverged after as many epochs, or none did.
        let diverged = group.records.first().filter(|record| record.diverged.is_some());
        let ends = diverged.map(|record| broken_off(record.rows.len(), "breaks off"));
        Series { ends, ..curve(&group.name, group, |row| row.objective) }
    });
    let mut chart = objective_chart(
        "Training objective by optimizer".into(),
        format!("{setting}, {}", seeds(groups)),
        series.collect(),
    );
    chart.y_label = "objective: mean training loss (nats)".into();
    chart
}

/// The test accuracy of all groups, with the line that they are to reach.
pub(super) fn accuracies(groups: &[Group<'_>], setting: &str) -> LineChart {
    let series = groups.iter().map(|group| curve(&group.name, group, |row| row.test_accuracy));
    accuracy_chart(
        "Test accuracy by optimizer".into(),
        format!("{setting}, {}", seeds(groups)),
        series.collect(),
    )
}

/// Training and test objective of one group.
pub(super) fn objective(group: &Group<'_>, setting: &str) -> LineChart {
    objective_chart(
        format!("Objective of {}", group.name),
        format!("{setting}, {}", seeds([group])),
        vec![curve("training", group, |row| row.objective), curve("test", group, |row| row.test_objective)],
    )
}

/// Training and test accuracy of one group.
pub(super) fn accuracy(group: &Group<'_>, setting: &str) -> LineChart {
    accuracy_chart(
        format!("Accuracy of {}", group.name),
        format!("{setting}, {}", seeds([group])),
        vec![
            curve("training", group, |row| row.train_accuracy),
            curve("test", group, |row| row.test_accuracy),
        ],
    )
}

/// The seconds that each epoch's training took.
pub(super) fn seconds(groups: &[Group<'_>], setting: &str) -> LineChart {
    let series = groups.iter().map(|group| curve(&group.name, group, |row| row.seconds));
    LineChart {
        title: "Time of an epoch".into(),
        subtitle: Some(format!("{setting}, {}; training only", seeds(groups))),
        x_label: "epoch".into(),
        y_label: "seconds".into(),
        y_from_zero: true,
        series: series.collect(),
        ..LineChart::default()
    }
}

fn accuracy_chart(title: String, subtitle: String, series: Vec<Series>) -> LineChart {
    LineChart {
        title,
        subtitle: Some(subtitle),
        x_label: "epoch".into(),
        y_label: "accuracy".into(),
        y_format: YFormat::Percent,
        series,
        references: vec![Reference { value: GOAL, label: "98%".into() }],
        ..LineChart::default()
    }
}
