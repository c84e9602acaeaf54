//! Runs that differ in nothing but chance, together: over them the results have a mean and a spread.

use serde_json::{Map, Value};

use super::Record;
use crate::train::OptimizerName;
use crate::train::options::said;

/// Runs with the same options, but for the seed and what decides no result.
#[derive(Clone, PartialEq, Debug)]
pub struct Group<'a> {
    /// The optimizer, and where other groups have the same one, the options in which they differ; of runs that are not
    /// whole, how far they came.
    pub name: String,
    /// The runs by seed, each seed once.
    pub records: Vec<&'a Record>,
    /// Runs that are left out, as they have the options and the seed of one that is not.
    pub repeated: Vec<&'a Record>,
}

/// What runs of a group share.
#[derive(Clone, PartialEq)]
struct Key {
    opt: OptimizerName,
    epochs: usize,
    /// The options that decide the result, but the seed. The device is among them: in a mean over seeds nothing is to differ
    /// but chance.
    options: Map<String, Value>,
    /// Of a run that is not whole the epochs, and whether it diverged: with whole ones it would have no common mean.
    cut_off: Option<(usize, bool)>,
}

impl Key {
    fn of(record: &Record) -> Self {
        let mut options = record.options.deciding();
        options.remove("seed");
        Self {
            opt: record.options.opt,
            epochs: record.options.epochs,
            options,
            cut_off: (!record.is_whole()).then_some((record.rows.len(), record.diverged.is_some())),
        }
    }

    /// `adam`, or among several of the same optimizer `adam, lr 0.01`.
    fn name(&self, all: &[Self]) -> String {
        let same: Vec<_> = all.iter().filter(|other| other.opt == self.opt).collect();
        let mut name = self.opt.name().to_string();
        for (key, value) in &self.options {
            if same.iter().any(|other| other.options.get(key) != Some(value)) {
                name += &format!(", {key} {}", said(value));
            }
        }
        if let Some((epochs, diverged)) = self.cut_off {
            let how = if diverged { "diverged after " } else { "" };
            name += &format!(", {how}{epochs} of {} epochs", self.epochs);
        }
        name
    }
}

/// The groups of these runs, by optimizer in the order of tables and plots, then as they are first met.
pub fn groups(records: &[Record]) -> Vec<Group<'_>> {
    let mut found: Vec<(Key, Vec<&Record>)> = Vec::new();
    for record in records {
        let key = Key::of(record);
        match found.iter_mut().find(|(other, _)| *other == key) {
            Some((_, records)) => records.push(record),
            None => found.push((key, vec![record])),
        }
    }
    let order = |opt: OptimizerName| OptimizerName::ALL.iter().position(|&other| other == opt);
    found.sort_by_key(|(key, _)| order(key.opt));
    let all: Vec<Key> = found.iter().map(|(key, _)| key.clone()).collect();
    let mut groups = Vec::new();
    for (key, mut of_key) in found {
        of_key.sort_by_key(|record| record.options.seed);
        let mut group = Group { name: key.name(&all), records: Vec::new(), repeated: Vec::new() };
        for record in of_key {
            let is_repeated =
                group.records.last().is_some_and(|last| last.options.seed == record.options.seed);
            if is_repeated { &mut group.repeated } else { &mut group.records }.push(record);
        }
        groups.push(group);
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runs::files::About;
    use crate::runs::{Divergence, Row};
    use crate::train::Choices;
    use crate::train::options::LaunchPlan;

    fn record(opt: OptimizerName, choices: Choices) -> Record {
        Record {
            path: "run".into(),
            options: choices.resolve(opt).unwrap(),
            setting: String::new(),
            about: About::default(),
            rows: vec![Row::default(); 10],
            summary: None,
            diverged: None,
            confusion: None,
            notes: Vec::new(),
            configured: true,
        }
    }

    fn seed(seed: u64) -> Choices {
        Choices { seed: Some(seed), ..Choices::default() }
    }

    #[test]
    fn what_decides_no_result_does_not_part_runs_and_each_seed_counts_once_in_order() {
        let elsewhere = Choices {
            threads: Some(9),
            plan: Some(LaunchPlan::Launches),
            device: Some("cuda:1".into()),
            ..seed(2)
        };
        let there = Choices { device: Some("cuda:1".into()), ..seed(10) };
        let again = Choices { device: Some("cuda:1".into()), threads: Some(3), ..seed(2) };
        let records = [there, elsewhere, again].map(|choices| record(OptimizerName::Adam, choices));
        let groups = groups(&records);
        assert_eq!((groups.len(), groups[0].name.as_str()), (1, "adam"));
        let seeds: Vec<u64> = groups[0].records.iter().map(|record| record.options.seed).collect();
        assert_eq!((seeds, groups[0].repeated.len()), (vec![2, 10], 1));
        assert_eq!(groups[0].repeated[0].options.threads, 3, "the first of a seed stays");
    }

    #[test]
    fn other_data_another_device_and_a_run_that_is_not_whole_are_groups_of_their_own() {
        let on_card = Choices { device: Some("cuda".into()), ..seed(1) };
        let on_other_data = Choices { data: Some("/other".into()), ..seed(1) };
        let mut records =
            [seed(0), seed(1), on_card, on_other_data].map(|choices| record(OptimizerName::Adam, choices));
        records[1].rows.truncate(4);
        let groups = groups(&records);
        let names: Vec<&str> = groups.iter().map(|group| &group.name[..]).collect();
        let expected = [
            "adam, device auto",
            "adam, device auto, 4 of 10 epochs",
            "adam, device cuda:0",
            "adam, data /other, device auto",
        ];
        assert_eq!(names, expected);
    }

    #[test]
    fn a_run_that_diverged_is_a_group_with_those_that_did_after_as_many_epochs() {
        let mut records = [seed(0), seed(1), seed(2)].map(|choices| record(OptimizerName::Sgd, choices));
        for record in &mut records[1..] {
            record.rows.truncate(4);
            record.diverged = Some(Divergence { step: 9, place: "the loss".into(), learning_rate: 1.0 });
        }
        let groups = groups(&records);
        let names: Vec<&str> = groups.iter().map(|group| &group.name[..]).collect();
        assert_eq!(names, ["sgd", "sgd, diverged after 4 of 10 epochs"]);
        assert_eq!(groups[1].records.len(), 2);
    }

    #[test]
    fn optimizers_are_in_the_order_of_tables_and_name_only_the_options_in_which_they_differ() {
        use OptimizerName::{Adagrad, Adam, Lion, Sgd};
        let lr = |lr| Choices { lr: Some(f64::into(lr)), ..Choices::default() };
        let small = Choices { batch_size: Some(64), constants: [("epsilon", 1e-7)].into(), ..lr(0.01) };
        let records = [
            record(Sgd, Choices { epochs: Some(2), ..Choices::default() }),
            record(Adam, small),
            record(Lion, lr(0.5)),
            record(Adam, Choices { constants: [("epsilon", 1e-7)].into(), ..lr(0.02) }),
            record(Adagrad, Choices::default()),
        ];
        let groups = groups(&records);
        let names: Vec<&str> = groups.iter().map(|group| &group.name[..]).collect();
        let expected =
            ["adagrad", "adam, batch-size 64, lr 0.01", "adam, batch-size 128, lr 0.02", "sgd", "lion"];
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
