//! The tables: what the runs are, and what they reach, with the line at 98%.

use crate::document::{Align, Block, Span, words};
use crate::train::log::GOAL;
use crate::train::options::Augment;
use crate::train::{Group, Record, Statistics};

/// A group's line, with what it is sorted by.
struct Line {
    accuracy: Option<f64>,
    cells: Vec<Span>,
}

/// One line a group, the most accurate first, and between them the line at 98%.
pub(super) fn table(groups: &[Group<'_>]) -> Block {
    let columns =
        ["optimizer", "seeds", "test accuracy", "lowest", "reach 98%", "seconds to 98%", "seconds an epoch"];
    let align = |(position, title): (usize, &str)| {
        (words(title), if position == 0 { Align::Left } else { Align::Right })
    };
    let mut lines: Vec<Line> = groups.iter().map(line).collect();
    lines.sort_by(|a, b| b.accuracy.unwrap_or(-1.0).total_cmp(&a.accuracy.unwrap_or(-1.0)));
    let above =
        lines.iter().take_while(|line| line.accuracy.is_some_and(|accuracy| accuracy >= GOAL)).count();
    let mut goal = vec![words("98% line"), words(""), words("98.00%")];
    goal.resize_with(columns.len(), || words(""));
    lines.insert(above, Line { accuracy: Some(GOAL), cells: goal });
    let rows = lines.into_iter().map(|line| line.cells).collect();
    Block::Table { columns: columns.into_iter().enumerate().map(align).collect(), rows }
}

fn line(group: &Group<'_>) -> Line {
    let of = |value: fn(&Record) -> Option<f64>| -> Vec<f64> {
        group.records.iter().filter_map(|record| value(record)).collect()
    };
    let accuracies = of(Record::test_accuracy);
    let accuracy = Statistics::of(&accuracies);
    let epochs = group.records.iter().flat_map(|record| record.rows.iter().map(|row| row.seconds));
    let epoch = Statistics::of(&epochs.collect::<Vec<f64>>());
    let to_goal = of(|record| crate::train::log::seconds_to_goal(&record.rows));
    let percent = |x: f64| format!("{:.2}%", 100.0 * x);
    let with_spread = |of: &Statistics, shown: &dyn Fn(f64) -> String| {
        let spread = of.standard_deviation.map_or(String::new(), |spread| format!(" ± {}", shown(spread)));
        shown(of.mean) + &spread
    };
    let or_none = |text: Option<String>| words(text.unwrap_or_else(|| "none".into()));
    let reach = accuracies.iter().filter(|&&accuracy| accuracy >= GOAL).count();
    Line {
        accuracy: accuracy.as_ref().map(|of| of.mean),
        cells: vec![
            words(group.name.clone()),
            words(seeds(group.records.iter().map(|record| record.options.seed))),
            or_none(accuracy.as_ref().map(|of| with_spread(of, &percent))),
            or_none(accuracy.as_ref().map(|of| percent(of.minimum))),
            words(format!("{reach} of {}", accuracies.len())),
            or_none(Statistics::of(&to_goal).map(|of| format!("{:.1}", of.mean))),
            or_none(epoch.map(|of| format!("{:.2}", of.mean))),
        ],
    }
}

/// Seeds as a reader wants them: all of few, the ends of many.
pub(super) fn seeds(seeds: impl Iterator<Item = u64>) -> String {
    let mut all: Vec<u64> = seeds.collect();
    all.sort_unstable();
    all.dedup();
    match &all[..] {
        [first, .., last] if all.len() > 5 => format!("{} from {first} to {last}", all.len()),
        _ => all.iter().map(u64::to_string).collect::<Vec<_>>().join(", "),
    }
}

/// How each group was trained.
pub(super) fn runs(groups: &[Group<'_>]) -> Block {
    let columns = [
        ("optimizer", Align::Left),
        ("seeds", Align::Right),
        ("epochs", Align::Right),
        ("images an epoch", Align::Right),
        ("batch", Align::Right),
        ("images moved", Align::Left),
        ("dropout", Align::Right),
        ("weight decay", Align::Right),
        ("held out", Align::Right),
    ];
    let row = |group: &Group<'_>| {
        let first = group.records.first()?;
        let options = &first.options;
        let known = |text: String| words(if first.configured { text } else { "unknown".into() });
        let images = first.rows.first().map(|row| (row.examples_per_second * row.seconds).round());
        Some(vec![
            words(group.name.clone()),
            words(seeds(group.records.iter().map(|record| record.options.seed))),
            words(first.rows.len().to_string()),
            words(images.map_or("unknown".into(), |images| images.to_string())),
            known(options.batch_size.to_string()),
            known(match options.augment {
                Augment::None => "no".into(),
                Augment::Shifts => "by up to a pixel".into(),
            }),
            known(options.dropout.to_string()),
            known(options.weight_decay.to_string()),
            known(options.validation.to_string()),
        ])
    };
    let titles = columns.into_iter().map(|(title, align)| (words(title), align));
    Block::Table { columns: titles.collect(), rows: groups.iter().filter_map(row).collect() }
}
