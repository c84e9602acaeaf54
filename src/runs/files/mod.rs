//! The files of a run folder that are written and read as a whole: configuration, model, checkpoint, divergence.

mod configuration;
mod diverged;
mod tensors;

pub(crate) use configuration::TomlFile;
pub use configuration::{About, read_configuration, read_configuration_with_about, write_configuration};
pub(crate) use diverged::DIVERGED;
pub(crate) use tensors::model_in;
pub use tensors::{CHECKPOINT, Checkpoint, MODEL, TrainedModel, read_model, write_model};
