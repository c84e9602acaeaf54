//! Training: options in, a run folder out, whose files are those of [`runs`](crate::runs).
//!
//! - [`options`]: what may be said, defaults, what makes no sense;
//! - [`schedule`]: the learning rate over the run;
//! - [`hardware`]: which processor or device trains, and why;
//! - [`engine`]: one epoch, one evaluation, on the CPU or on a CUDA device;
//! - `memory`: whether there is enough of it for a run;
//! - [`setup`]: options, data and engine together; [`run`]: the epochs of a run, from its first file to its last; [`learning`]: whether they led anywhere;
//! - [`error`]: why a run ended before its time;
//! - [`comparison`]: several runs beside one another; [`torch`]: the same training by PyTorch.

pub mod comparison;
pub mod engine;
pub mod error;
pub mod hardware;
pub mod learning;
mod memory;
pub mod monitor;
pub mod options;
pub mod run;
pub mod schedule;
pub mod setup;
pub mod torch;

pub use comparison::Comparison;
pub use error::TrainError;
pub use hardware::{Choice, Hardware};
pub use monitor::Monitor;
pub use options::{Choices, OptimizerName, Options};
pub use run::{Outcome, Run};
pub use schedule::Schedule;
pub use setup::Setup;
