//! `--lr`: one learning rate for every optimizer, or one each.

use std::str::FromStr;

use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::error::Refused;
use super::values::number;
use crate::document::number::exact;
use crate::optim::OptimizerName;

/// Peak learning rates, written `0.001`, `adam=0.001,sgd=0.1`, or `0.01,sgd=0.1`, where the number without a name is for
/// every optimizer that is not named.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct LearningRates {
    rest: Option<f64>,
    named: Vec<(OptimizerName, f64)>,
}

impl LearningRates {
    /// The rate of an optimizer, if one was chosen.
    pub fn of(&self, opt: OptimizerName) -> Option<f64> {
        let named = self.named.iter().find(|(name, _)| *name == opt);
        named.map(|(_, rate)| *rate).or(self.rest)
    }

    /// The optimizers that have one of their own.
    pub fn named(&self) -> impl Iterator<Item = OptimizerName> {
        self.named.iter().map(|(name, _)| *name)
    }

    /// These, without the number for those that are not named: nothing, if that leaves none.
    pub fn named_alone(mut self) -> Option<Self> {
        self.rest = None;
        (!self.named.is_empty()).then_some(self)
    }

    /// These, and where they say nothing, `others`.
    pub fn or(mut self, others: Self) -> Self {
        // A number for all leaves nothing to others.
        if self.rest.is_none() {
            let missing = |(name, _): &(OptimizerName, f64)| self.named().all(|other| other != *name);
            let more: Vec<_> = others.named.iter().copied().filter(missing).collect();
            self.named.extend(more);
            self.rest = others.rest;
        }
        self
    }

    /// The rate of an optimizer, chosen or by default.
    pub(super) fn rate(self, opt: OptimizerName) -> Result<f64, Refused> {
        let rate = self.of(opt).unwrap_or(opt.family().learning_rate);
        // What float32 rounds to zero would train nothing.
        if rate.is_finite() && rate >= f64::from(f32::MIN_POSITIVE) {
            return Ok(rate);
        }
        let said = match self.named().any(|name| name == opt) {
            true => format!("{}={rate}", opt.name()),
            false => rate.to_string(),
        };
        Err(Refused::new(said, "must be a positive number of float32, such as 0.001"))
    }
}

/// The rates where none is chosen: `adagrad 0.05, adam 0.002`.
pub(super) fn default_rates() -> String {
    let rate = |opt: OptimizerName| format!("{} {}", opt.name(), exact(opt.family().learning_rate));
    OptimizerName::ALL.map(rate).join(", ")
}

impl From<f64> for LearningRates {
    fn from(rate: f64) -> Self {
        Self { rest: Some(rate), named: Vec::new() }
    }
}

impl FromStr for LearningRates {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut rates = Self::default();
        for part in text.split(',').map(str::trim) {
            let Some((name, rate)) = part.split_once('=') else {
                if rates.rest.replace(number(part)?).is_some() {
                    return Err(
                        "there are two numbers for all optimizers: write one, or NAME=X for each".into()
                    );
                }
                continue;
            };
            let name = name.trim();
            let opt: OptimizerName = name.parse().map_err(|problem| format!("{name:?}: {problem}"))?;
            if rates.named().any(|other| other == opt) {
                return Err(format!("{} has two rates: write one", opt.name()));
            }
            rates.named.push((opt, number(rate.trim())?));
        }
        Ok(rates)
    }
}

impl std::fmt::Display for LearningRates {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let rest = self.rest.map(|rate| rate.to_string());
        let named = self.named.iter().map(|(name, rate)| format!("{}={rate}", name.name()));
        f.write_str(&rest.into_iter().chain(named).collect::<Vec<_>>().join(","))
    }
}

/// A number, where it is for all, as runs have it; else text.
impl Serialize for LearningRates {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.rest {
            Some(rate) if self.named.is_empty() => serializer.serialize_f64(rate),
            _ => serializer.collect_str(self),
        }
    }
}

/// From `0.001`, or from `"adam=0.001,sgd=0.1"`.
impl<'de> Deserialize<'de> for LearningRates {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Rates;
        impl Visitor<'_> for Rates {
            type Value = LearningRates;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a number such as 0.001, or rates such as \"adam=0.001,sgd=0.1\"")
            }
            fn visit_f64<E: Error>(self, rate: f64) -> Result<LearningRates, E> {
                Ok(rate.into())
            }
            fn visit_i64<E: Error>(self, rate: i64) -> Result<LearningRates, E> {
                Ok((rate as f64).into())
            }
            fn visit_u64<E: Error>(self, rate: u64) -> Result<LearningRates, E> {
                Ok((rate as f64).into())
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<LearningRates, E> {
                text.parse().map_err(|problem| E::custom(format!("{text:?}: {problem}")))
            }
        }
        deserializer.deserialize_any(Rates)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use OptimizerName::{Adagrad, Adam, Sgd};

    fn rates(text: &str) -> LearningRates {
        text.parse().unwrap()
    }

    #[test]
    fn a_name_has_its_own_rate_and_a_number_alone_is_for_all_others() {
        let mixed = rates("0.5, adam=1e-3,sgd = 0.1");
        assert_eq!([Adam, Sgd, Adagrad].map(|opt| mixed.of(opt)), [Some(1e-3), Some(0.1), Some(0.5)]);
        assert_eq!(rates("adam=1e-3").of(Sgd), None, "its default");
        assert_eq!(rates("-0.5").of(Sgd), Some(-0.5), "refused later, with the rule");
    }

    #[test]
    fn what_is_no_rate_is_refused_with_what_is_wrong() {
        let refused = |text: &str| text.parse::<LearningRates>().unwrap_err();
        assert!(refused("adam=1,adam=2").contains("adam has two rates"));
        assert!(refused("0.1,0.2").contains("two numbers"));
        assert!(refused("adem=1").contains("\"adem\": did you mean adam?"));
        for text in ["", "fast", "adam=", "adam", "adam=x", "0.1,"] {
            assert!(refused(text).contains("expected a number"), "{text}: {}", refused(text));
        }
    }

    #[test]
    fn the_line_goes_before_the_file() {
        let line = |text: &str| rates(text).or(rates("0.7,adam=0.8")).to_string();
        assert_eq!(line("0.1"), "0.1");
        assert_eq!(line("sgd=0.1"), "0.7,sgd=0.1,adam=0.8");
        assert_eq!(line("adam=0.1"), "0.7,adam=0.1");
    }

    #[test]
    fn files_hold_them_as_a_number_or_as_text() {
        for text in ["0.001", "\"adam=0.001,sgd=0.1\"", "\"0.5,sgd=0.1\""] {
            let read: LearningRates = serde_json::from_str(text).unwrap();
            assert_eq!(serde_json::to_string(&read).unwrap(), text);
        }
        assert_eq!(serde_json::from_str::<LearningRates>("1").unwrap(), 1.0.into());
        assert!(serde_json::from_str::<LearningRates>("\"fast\"").is_err());
    }
}
