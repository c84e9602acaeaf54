//! Curves against the epoch: of all groups of runs in one chart, and of each alone.

use super::results;
use crate::draw::{LineChart, Series};
use crate::runs::figures::{
    accuracy_chart, broken_off, objective_chart, over_seeds, why_the_test_may_be_better,
};
use crate::runs::{Group, Row};

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
        Series { ends: ends.into_iter().collect(), ..curve(&group.name, group, |row| row.objective) }
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
    let chart = objective_chart(
        format!("Objective of {}", group.name),
        format!("{setting}, {}", seeds([group])),
        vec![curve("training", group, |row| row.objective), curve("test", group, |row| row.test_objective)],
    );
    noted(chart, group)
}

/// The chart of a training and a test curve, with the note that says why the second can be the better one.
fn noted(chart: LineChart, group: &Group<'_>) -> LineChart {
    // the runs of a group differ in their seeds alone
    let record = group.records.first().filter(|record| record.configured);
    LineChart { notes: vec![why_the_test_may_be_better(record.map(|record| &record.options))], ..chart }
}

/// Training and test accuracy of one group.
pub(super) fn accuracy(group: &Group<'_>, setting: &str) -> LineChart {
    let chart = accuracy_chart(
        format!("Accuracy of {}", group.name),
        format!("{setting}, {}", seeds([group])),
        vec![
            curve("training", group, |row| row.train_accuracy),
            curve("test", group, |row| row.test_accuracy),
        ],
    );
    noted(chart, group)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runs::files::About;
    use crate::runs::{Record, groups};
    use crate::train::options::Augment;
    use crate::train::{Choices, OptimizerName};

    #[test]
    fn a_chart_with_a_training_and_a_test_curve_says_why_the_second_can_be_the_better_one() {
        let options = Choices::default().resolve(OptimizerName::Adam).unwrap();
        let mut record = Record {
            path: "run".into(),
            options,
            setting: "4-3-2, relu, batch 128".into(),
            about: About { network: Some("4-3-2, relu".into()), ..About::default() },
            rows: (1..=60)
                .map(|epoch| Row { epoch, objective: if epoch < 12 { 0.1 } else { 0.0 }, ..Row::default() })
                .collect(),
            summary: None,
            confusion: None,
            notes: Vec::new(),
            configured: true,
            diverged: None,
        };
        record.options.augment = Augment::Shifts;
        let described = |record: &Record| {
            let groups = groups(std::slice::from_ref(record));
            [objective(&groups[0], ""), accuracy(&groups[0], "")].map(|chart| chart.svg_of_width(760.0))
        };
        for svg in described(&record) {
            assert!(
                svg.contains("on images shifted by up to a pixel;") && svg.contains("can be the better one.")
            );
        }
        // the description tells the true end
        assert!(described(&record)[0].contains("training: from 0.1 to 0 in 60 points."));
        assert!(described(&record)[0].contains("training at epoch 12 to 60;"));
        // what is not known of a run is not said of it
        record.configured = false;
        assert!(described(&record).iter().all(|svg| !svg.contains("shifted") && svg.contains("better one.")));
    }
}
