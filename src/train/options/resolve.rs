//! From what was said to what holds: choices over choices, choices over options.

use serde::de::{DeserializeSeed, Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::error::OptionError;
use super::rows::{Choices, Options, names};
use super::values::Hidden;
use crate::graph::Shape;
use crate::nn::{Activation, Model, Sequential, perceptron};
use crate::optim::{Optimizer, OptimizerName};

impl Choices {
    /// These choices, and where they say nothing, `others`. A network that these start from takes the place of one that
    /// the others describe; what computes products is theirs only for the precision and the device that are theirs.
    pub fn or(self, mut others: Self) -> Self {
        if self.precision.is_some() || self.device.as_deref().is_some_and(|device| device != "cpu") {
            others.kernels = None;
        }
        if self.init.is_some() {
            (others.hidden, others.activation) = (None, None);
        }
        let lr = match (self.lr.clone(), others.lr.clone()) {
            (Some(rates), Some(others)) => Some(rates.or(others)),
            (rates, others) => rates.or(others),
        };
        Self { lr, ..self.or_each(others) }
    }

    /// These choices without the constants of other optimizers than `opt`, so far as one of `others`
    /// has them: what is left and does not belong to `opt` is a mistake that [`Self::resolve`] finds.
    pub fn without_constants_of(mut self, others: &[OptimizerName], opt: OptimizerName) -> Self {
        self.constants.without_those_of(others, opt);
        self
    }

    /// Fills in the defaults and checks everything that can be checked without the data. Where a run starts from a model,
    /// the defaults of the network are that model's, for which it is read.
    ///
    /// # Errors
    /// The first option whose value makes no sense, and what would.
    pub fn resolve(self, opt: OptimizerName) -> Result<Options, OptionError> {
        Options::default_of(opt).with(self)
    }
}

impl Options {
    /// These options with what was said in the place of theirs, checked as in [`Choices::resolve`].
    ///
    /// # Errors
    /// The first option whose value makes no sense, and what would.
    pub fn with(mut self, said: Choices) -> Result<Self, OptionError> {
        let (hidden, activation) = (said.hidden.is_none(), said.activation.is_none());
        let starts_anew = said.init.is_some();
        self.take(said)?;
        self.check()?;
        if let Some(init) = self.init.as_ref().filter(|_| starts_anew && (hidden || activation)) {
            let model = init.model().map_err(|refused| OptionError::of("init", refused))?;
            if activation {
                self.activation = model.nonlinearity().unwrap_or(Activation::Relu);
            }
            if let ([widths @ .., _], true) = (&model.outputs()[..], hidden) {
                self.hidden = Hidden(widths.iter().map(Shape::size).collect());
            }
        }
        Ok(self)
    }

    /// The optimizer with its constants.
    pub fn optimizer(&self) -> Optimizer {
        self.opt.build(|constant| self.constants.get(constant.name).unwrap_or(constant.default))
    }

    /// The network for images of `pixels` pixels in `classes` classes.
    pub fn model(&self, pixels: usize, classes: usize) -> Sequential {
        let widths = [&[pixels], &self.hidden.0[..], &[classes]].concat();
        perceptron(&widths, self.activation, self.dropout)
    }
}

/// From a table of any of the options by their names.
impl<'de> Deserialize<'de> for Choices {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Table;
        impl<'de> Visitor<'de> for Table {
            type Value = Choices;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a table of options")
            }
            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Choices, M::Error> {
                let mut choices = Choices::default();
                while let Some(name) = map.next_key_seed(Name)? {
                    if !choices.read(&name, &mut map)? {
                        choices.constants.read(&name, &mut map)?;
                    }
                }
                Ok(choices)
            }
        }
        deserializer.deserialize_map(Table)
    }
}

/// The name of an option: any other is refused where it stands, so that a file's line can be said.
struct Name;

impl<'de> DeserializeSeed<'de> for Name {
    type Value = String;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<String, D::Error> {
        let name = String::deserialize(deserializer)?;
        match names().any(|known| known == name) {
            true => Ok(name),
            false => {
                let known = names().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
                Err(D::Error::custom(format!("unknown field `{name}`, expected one of {known}")))
            }
        }
    }
}
