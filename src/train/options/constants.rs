//! The constants of update rules as options: one by each name that a rule gives to a constant of its own. Names, defaults,
//! help and what they have to be stand at the rules.

use std::collections::BTreeMap;

use clap::{Arg, ArgMatches, Args, Command, FromArgMatches};
use serde::Serialize;
use serde::de::MapAccess;

use super::error::{OptionError, Refused};
use super::values::number;
use crate::document::number::exact;
use crate::names::listed;
use crate::optim::{Constant, OptimizerName};

/// Constants of update rules by name.
#[derive(Clone, Default, PartialEq, Debug, Serialize)]
#[serde(transparent)]
pub struct Constants(BTreeMap<&'static str, f64>);

impl<const N: usize> From<[(&'static str, f64); N]> for Constants {
    fn from(constants: [(&'static str, f64); N]) -> Self {
        Self(constants.into())
    }
}

impl Constants {
    /// The names of all constants of any rule, each once.
    pub(super) fn names() -> impl Iterator<Item = &'static str> {
        let mut names = Vec::new();
        for constant in OptimizerName::ALL.iter().flat_map(|opt| opt.family().constants) {
            if !names.contains(&constant.name) {
                names.push(constant.name);
            }
        }
        names.into_iter()
    }

    /// The constants of a rule, each by its default.
    pub(super) fn of(opt: OptimizerName) -> Self {
        Self(opt.family().constants.iter().map(|constant| (constant.name, constant.default)).collect())
    }

    /// The constant of this name, if there is one.
    pub fn get(&self, name: &str) -> Option<f64> {
        self.0.get(name).copied()
    }

    /// These, and where they say nothing, `others`.
    pub(super) fn or(self, mut others: Self) -> Self {
        others.0.extend(self.0);
        others
    }

    /// Without the constants of other rules than `opt`, so far as one of `others` has them.
    pub(super) fn without_those_of(&mut self, others: &[OptimizerName], opt: OptimizerName) {
        self.0.retain(|name, _| {
            constant_of(opt, name).is_some() || others.iter().all(|other| constant_of(*other, name).is_none())
        });
    }

    /// Takes what was said, which must belong to the rule.
    pub(super) fn take(&mut self, said: Self, opt: OptimizerName) -> Result<(), OptionError> {
        for (name, value) in said.0 {
            let refused = |rule: String| Err(OptionError::of(name, Refused::new(value, rule)));
            let Some(constant) = constant_of(opt, name) else {
                return refused(format!("is no constant of {}: leave it out", opt.name()));
            };
            if !constant.range.contains(&value) {
                let (least, end) = (rounded(constant.range.start), rounded(constant.range.end));
                return refused(format!("must be in [{least}, {end})"));
            }
            self.0.insert(name, value);
        }
        Ok(())
    }

    /// Takes the value of a constant out of a file; false, if no rule has it.
    pub(super) fn read<'de, M: MapAccess<'de>>(&mut self, name: &str, map: &mut M) -> Result<bool, M::Error> {
        let Some(name) = Self::names().find(|known| *known == name) else { return Ok(false) };
        self.0.insert(name, map.next_value()?);
        Ok(true)
    }
}

/// The constant of this name, if the rule has it.
fn constant_of(opt: OptimizerName, name: &str) -> Option<&'static Constant> {
    opt.family().constants.iter().find(|constant| constant.name == name)
}

/// To two digits, for bounds such as float32's smallest number.
fn rounded(bound: f64) -> String {
    let text = exact(bound);
    if text.len() <= 4 { text } else { format!("{bound:.1e}") }
}

/// What a constant is, of each rule that has it, with its defaults: `Epsilon of adagrad [default: 1e-10] and adam
/// [default: 1e-8]`, `Decay of adam's mean [default: 0.9]`.
fn help(name: &str) -> String {
    // Rules of one help and one default go together.
    let mut parts: Vec<(&Constant, Vec<&str>)> = Vec::new();
    for opt in OptimizerName::ALL {
        let Some(constant) = constant_of(opt, name) else { continue };
        let is_same = |of: &Constant| (of.help, of.default) == (constant.help, constant.default);
        match parts.iter_mut().find(|(of, _)| is_same(of)) {
            Some((_, rules)) => rules.push(opt.name()),
            None => parts.push((constant, vec![opt.name()])),
        }
    }
    let mut text = String::new();
    let mut before = "";
    for (Constant { help, default, .. }, rules) in parts {
        let rules = listed(&rules, "and");
        let part = match help.split_once("the ") {
            Some((of, what)) => format!("; {of}{rules}'s {what}"),
            None if before == *help => format!(", {rules}"),
            None => format!("; {help} of {rules}"),
        };
        text += &format!("{part} [default: {}]", exact(*default));
        before = help;
    }
    let text = text.trim_start_matches("; ");
    text[..1].to_uppercase() + &text[1..]
}

impl Args for Constants {
    fn augment_args(command: Command) -> Command {
        command.args(Self::names().map(|name| {
            let argument = Arg::new(name).long(name).value_name("X").value_parser(number);
            argument.help(help(name)).help_heading("Constants of the optimizers")
        }))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for Constants {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let said = |name| matches.get_one::<f64>(name).map(|value| (name, *value));
        Ok(Self(Self::names().filter_map(said).collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        self.0.extend(Self::from_arg_matches(matches)?.0);
        Ok(())
    }
}
