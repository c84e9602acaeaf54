//! Runs that differ in nothing but chance, together: over them the results have a mean and a spread.

use super::options::{Device, Plan};
use super::{OptimizerName, Options, Record};

/// Runs with the same options, but for the seed and what decides no result.
#[derive(Clone, PartialEq, Debug)]
pub struct Group<'a> {
    /// The optimizer, and where other groups have the same one, the options in which they differ.
    pub name: String,
    /// The runs by seed.
    pub records: Vec<&'a Record>,
}

/// The groups of these runs, by optimizer in the order of tables and plots, then as they are first met.
pub fn groups(records: &[Record]) -> Vec<Group<'_>> {
    let mut found: Vec<(Options, Vec<&Record>)> = Vec::new();
    for record in records {
        let options = without_chance(&record.options);
        match found.iter_mut().find(|(other, _)| *other == options) {
            Some((_, records)) => records.push(record),
            None => found.push((options, vec![record])),
        }
    }
    let order = |opt: OptimizerName| OptimizerName::ALL.iter().position(|&other| other == opt);
    found.sort_by_key(|(options, _)| order(options.opt));
    let all: Vec<Options> = found.iter().map(|(options, _)| options.clone()).collect();
    let mut groups = Vec::new();
    for (options, mut records) in found {
        records.sort_by_key(|record| record.options.seed);
        groups.push(Group { name: name(&options, &all), records });
    }
    groups
}

/// The options that decide a result, up to the seed; the others at a value that all share.
fn without_chance(options: &Options) -> Options {
    Options { seed: 0, threads: 1, device: Device::Auto, plan: Plan::Auto, data: None, ..options.clone() }
}

/// `adam`, or among several of the same optimizer `adam, lr 0.01`.
fn name(options: &Options, all: &[Options]) -> String {
    let same: Vec<_> = all.iter().filter(|other| other.opt == options.opt).map(Options::by_name).collect();
    let mut name = options.opt.name().to_string();
    for (key, value) in options.by_name() {
        if same.iter().any(|other| other.get(&key) != Some(&value)) {
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            name += &format!(", {key} {value}");
        }
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::Choices;

    fn record(opt: OptimizerName, choices: Choices) -> Record {
        Record {
            path: "run".into(),
            options: choices.resolve(opt).unwrap(),
            setting: String::new(),
            version: None,
            platform: None,
            card: None,
            rows: Vec::new(),
            summary: None,
            confusion: None,
            notes: Vec::new(),
        }
    }

    fn seed(seed: u64) -> Choices {
        Choices { seed: Some(seed), ..Choices::default() }
    }

    #[test]
    fn what_decides_no_result_does_not_part_runs_and_seeds_are_in_order() {
        let elsewhere = Choices {
            threads: Some(9),
            device: Some("cuda:1".into()),
            plan: Some(Plan::Launches),
            data: Some("elsewhere".into()),
            ..seed(2)
        };
        let records = [seed(10), elsewhere, seed(0)].map(|choices| record(OptimizerName::Adam, choices));
        let groups = groups(&records);
        assert_eq!((groups.len(), groups[0].name.as_str()), (1, "adam"));
        let seeds: Vec<u64> = groups[0].records.iter().map(|record| record.options.seed).collect();
        assert_eq!(seeds, [0, 2, 10]);
    }

    #[test]
    fn optimizers_are_in_the_order_of_tables_and_name_only_the_options_in_which_they_differ() {
        use OptimizerName::{Adagrad, Adam, RmsProp, Sgd};
        let lr = |lr| Choices { lr: Some(lr), ..Choices::default() };
        let small = Choices { batch_size: Some(64), epsilon: Some(1e-7), ..lr(0.01) };
        let records = [
            record(Sgd, Choices { epochs: Some(2), ..Choices::default() }),
            record(Adam, small),
            record(RmsProp, lr(0.5)),
            record(Adam, Choices { epsilon: Some(1e-7), ..lr(0.02) }),
            record(Adagrad, Choices::default()),
        ];
        let groups = groups(&records);
        let names: Vec<&str> = groups.iter().map(|group| &group.name[..]).collect();
        let expected =
            ["adagrad", "rmsprop", "adam, batch-size 64, lr 0.01", "adam, batch-size 128, lr 0.02", "sgd"];
        assert_eq!(names, expected);
    }

    #[test]
    fn words_stand_in_a_name_without_quotes() {
        let hidden = |widths: &str| Choices { hidden: Some(widths.parse().unwrap()), ..Choices::default() };
        let records = ["8,4", "none"].map(|widths| record(OptimizerName::Sgd, hidden(widths)));
        let groups = groups(&records);
        assert_eq!([&groups[0].name, &groups[1].name], ["sgd, hidden 8,4", "sgd, hidden none"]);
    }
}
