//! Recipes: options that were chosen together for a purpose.

use super::rows::Choices;
use super::values::{Augment, Hidden};
use crate::names::named;
use crate::optim::OptimizerName;
use crate::train::schedule::Schedule;

/// Options that were chosen together, by the name of what they are good for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Recipe {
    /// MNIST to 98% test accuracy as soon as a processor can: `scripts/choose-recipe`, on a validation split.
    Fast,
}

named! { Recipe { Fast = "fast" } }

impl Recipe {
    /// The optimizer and the options, for whatever is not said otherwise.
    pub fn choices(self) -> (OptimizerName, Choices) {
        let Self::Fast = self;
        let choices = Choices {
            hidden: Some(Hidden(vec![256])),
            batch_size: Some(256),
            lr: Some(0.006.into()),
            epochs: Some(5),
            schedule: Some(Schedule::OneCycle),
            augment: Some(Augment::Shifts),
            ..Choices::default()
        };
        (OptimizerName::Adam, choices)
    }
}
