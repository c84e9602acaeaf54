//! The files of a run folder that are written and read as a whole: configuration, model, checkpoint.

mod configuration;
mod tensors;

pub use configuration::{About, read_configuration, read_configuration_with_about, write_configuration};
pub use tensors::{CHECKPOINT, Checkpoint, MODEL, TrainedModel, read_model, write_model};
