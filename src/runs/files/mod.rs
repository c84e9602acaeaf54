//! The files of a run folder that are written and read as a whole: configuration, model, checkpoint, divergence.

mod checkpoint;
mod configuration;
mod diverged;
mod model;
mod sealed;

pub use checkpoint::{CHECKPOINT, Checkpoint, FINISHED, Origin, PREVIOUS, Position};
pub(crate) use configuration::TomlFile;
pub use configuration::{
    About, read_configuration, read_configuration_with_about, read_options, write_configuration,
};
pub(crate) use diverged::DIVERGED;
pub(crate) use model::model_in;
pub use model::{MODEL, TrainedModel, read_model, write_model};
pub use sealed::seal;
