//! The options of a training run: what may be said, the defaults, and what makes no sense.
//!
//! [`Choices`] holds what somebody said, on the command line or in a configuration file; every field
//! may be missing. [`Options`] holds what holds: defaults filled in, checked. It is written into the
//! run folder, and reading it back as choices gives the same run again. Both are made of one table, `rows`.

mod command;
mod constants;
mod error;
mod init;
mod learning_rates;
mod recipe;
mod resolve;
mod rows;
mod start;
mod table;
#[cfg(test)]
mod tests;
mod values;

pub use crate::optim::OptimizerName;
pub(crate) use command::said;
pub use command::{any_optimizer, said_beside_resume};
pub use constants::Constants;
pub use error::OptionError;
pub use init::Init;
pub use learning_rates::LearningRates;
pub use recipe::Recipe;
pub use rows::{Choices, Decides, Options, decides};
pub use values::{Augment, DeviceChoice, Every, Hidden, Kernels, LaunchPlan, Precision};
