//! The tables: what the runs are, and what they reach, with the line at 98%.

use crate::document::number::exact;
use crate::document::{Align, Block, Span, words};
use crate::runs::log::GOAL;
use crate::runs::{Group, Record, Statistics};
use crate::train::options::Augment;

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
    let to_goal = of(|record| crate::runs::log::seconds_to_goal(&record.rows));
    let percent = |x: f64| format!("{:.2}%", 100.0 * x);
    let with_spread = |of: &Statistics, shown: &dyn Fn(f64) -> String| {
        let spread = of.standard_deviation.map_or(String::new(), |spread| format!(" ± {}", shown(spread)));
        shown(of.mean) + &spread
    };
    let or_none = |text: Option<String>| words(text.unwrap_or_else(|| "none".into()));
    let has_diverged = group.records.iter().any(|record| record.diverged.is_some());
    let reach = accuracies.iter().filter(|&&accuracy| accuracy >= GOAL).count();
    Line {
        accuracy: accuracy.as_ref().map(|of| of.mean),
        cells: vec![
            words(group.name.clone()),
            words(seeds(group.records.iter().map(|record| record.options.seed))),
            match &accuracy {
                None if has_diverged => words("diverged"),
                of => or_none(of.as_ref().map(|of| with_spread(of, &percent))),
            },
            or_none(accuracy.as_ref().map(|of| percent(of.minimum))),
            words(format!(
                "{reach} of {}",
                if has_diverged { group.records.len() } else { accuracies.len() }
            )),
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
        let images = images.filter(|images| images.is_finite()); // an epoch without measurable time has an infinite rate
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
            known(exact(options.dropout)),
            known(exact(options.weight_decay)),
            known(options.validation.to_string()),
        ])
    };
    let rows: Vec<Vec<Span>> = groups.iter().filter_map(row).collect();
    // What no run uses is not mentioned.
    let used: Vec<bool> = (0..columns.len()).map(|i| rows.iter().any(|row| row[i] != words("0"))).collect();
    let of_used = |cells: Vec<Span>| {
        cells.into_iter().zip(&used).filter(|(_, used)| **used).map(|(cell, _)| cell).collect()
    };
    let titles = columns.into_iter().zip(&used).filter(|(_, used)| **used);
    Block::Table {
        columns: titles.map(|((title, align), _)| (words(title), align)).collect(),
        rows: rows.into_iter().map(of_used).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runs::files::About;
    use crate::runs::{Divergence, Row, groups};
    use crate::train::{Choices, OptimizerName};

    fn record(opt: OptimizerName, seed: u64, accuracies: &[f64]) -> Record {
        let choices = Choices { seed: Some(seed), epochs: Some(accuracies.len()), ..Choices::default() };
        let row = |(epoch, &test_accuracy): (usize, &f64)| Row {
            epoch,
            test_accuracy,
            seconds: 2.0,
            examples_per_second: 30.0,
            ..Row::default()
        };
        Record {
            path: format!("{}-seed{seed}", opt.name()).into(),
            options: choices.resolve(opt).unwrap(),
            setting: "4-3-2, relu, batch 128".into(),
            about: About { network: Some("4-3-2, relu".into()), ..About::default() },
            rows: (1..).zip(accuracies).map(row).collect(),
            summary: None,
            diverged: None,
            confusion: None,
            notes: Vec::new(),
            configured: true,
        }
    }

    fn cells(block: Block) -> Vec<Vec<String>> {
        let Block::Table { columns, rows } = block else { panic!("no table") };
        let text = |span: Span| match span {
            Span::Words(text) | Span::Math(text) => text,
        };
        let titles = columns.into_iter().map(|(title, _)| text(title)).collect();
        let rows = rows.into_iter().map(|row| row.into_iter().map(text).collect());
        std::iter::once(titles).chain(rows).collect()
    }

    #[test]
    fn the_line_at_98_percent_parts_those_that_reach_it_from_those_that_do_not() {
        let records = [
            record(OptimizerName::Adagrad, 0, &[0.97, 0.9799]),
            record(OptimizerName::Lion, 0, &[0.97, 0.98]),
            record(OptimizerName::Adam, 0, &[0.97, 0.99]),
            record(OptimizerName::Adam, 1, &[0.985, 0.98]),
        ];
        let table = cells(table(&groups(&records)));
        let first: Vec<&str> = table[1..].iter().map(|row| &row[0][..]).collect();
        assert_eq!(first, ["adam", "lion", "98% line", "adagrad"]);
        assert_eq!(table[1][1..], ["0, 1", "98.50% ± 0.71%", "98.00%", "2 of 2", "3.0", "2.00"]);
        assert_eq!(table[4][1..], ["0", "97.99%", "97.99%", "0 of 1", "none", "2.00"]);
    }

    #[test]
    fn a_run_that_diverged_reached_nothing_however_good_it_was_before() {
        let mut records =
            [record(OptimizerName::Sgd, 0, &[0.99, 0.99]), record(OptimizerName::Adam, 0, &[0.9, 0.91])];
        records[0].rows.truncate(1);
        records[0].diverged = Some(Divergence { step: 9, place: "the loss".into(), learning_rate: 1.0 });
        let table = cells(table(&groups(&records)));
        let last = table.last().unwrap();
        assert_eq!(last[..5], ["sgd, diverged after 1 of 2 epochs", "0", "diverged", "none", "0 of 1"]);
    }

    #[test]
    fn the_runs_are_said_without_what_none_of_them_uses() {
        let mut records =
            [record(OptimizerName::Adam, 0, &[0.9]), record(OptimizerName::Sgd, 3, &[0.9, 0.95])];
        let titles = |records: &[Record]| cells(runs(&groups(records)))[0].join(", ");
        assert_eq!(titles(&records), "optimizer, seeds, epochs, images an epoch, batch, images moved");
        records[1].options.dropout = 0.5;
        let table = cells(runs(&groups(&records)));
        assert_eq!(table[0][6], "dropout");
        assert_eq!(table[2], ["sgd", "3", "2", "60", "128", "by up to a pixel", "0.5"]);
        records[1].configured = false;
        assert_eq!(cells(runs(&groups(&records)))[2][6], "unknown");
    }

    #[test]
    fn few_seeds_are_listed_and_many_summed_up() {
        assert_eq!(seeds([3, 1, 3].into_iter()), "1, 3");
        assert_eq!(seeds(0..20), "20 from 0 to 19");
    }
}
