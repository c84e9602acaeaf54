//! A run's folder: what stands in it, how it gets there, and how it is read back to be shown.
//!
//! - [`folder`] and its lock, [`log`], [`files`], [`figures`], [`divergence`]: what stands in a run folder, and how it gets there;
//! - [`Record`], [`groups`](mod@groups), [`statistics`], [`mistakes`]: runs read back from their folders, to be shown;
//! - [`seal`], [`verify`](mod@verify): whether a folder is as the run left it.

pub mod divergence;
pub mod figures;
pub mod files;
pub mod folder;
pub mod groups;
mod learning;
mod lock;
pub mod log;
pub mod mistakes;
pub(crate) mod reading;
mod record;
pub mod seal;
pub mod search;
pub mod statistics;
pub mod verify;

pub use divergence::Divergence;
pub use folder::RunFolder;
pub use groups::{Group, groups};
pub use learning::Learning;
pub use log::{Row, Summary};
pub use mistakes::Mistake;
pub use record::Record;
pub use search::records;
pub use statistics::Statistics;
