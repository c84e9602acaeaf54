//! Scalar formulas: read from text, differentiated in both modes, and shown step by step.
//!
//! [`parse`] turns a text into a graph of the same kind that everything else runs on; [`trace`] differentiates it
//! with [`crate::autodiff`] and keeps every number; [`mod@format`] writes the traces for people and for programs.

mod asked;
mod characters;
mod checks;
mod computed;
mod differences;
mod domain;
mod error;
mod expression;
pub mod format;
mod formula;
mod functions;
mod kinks;
mod ladder;
mod memory;
mod names;
mod notes;
mod parse;
#[cfg(test)]
mod planted;
mod point;
mod range;
mod steps;
mod tokens;
mod trace;
mod tracing;
mod verify;

pub use asked::{Directions, MOST_SECOND, MOST_SWEEPS, TraceError, TraceRequest};
pub use checks::{Checks, Difference, InnerProduct};
pub use domain::DomainError;
pub use error::TextError;
pub use expression::Expression;
pub use formula::Formula;
pub use functions::functions;
pub use memory::check_text;
pub use names::Names;
pub use parse::{LONGEST, parse};
pub use point::{Point, mistake_about, parse_point, parse_points};
pub use trace::{Costs, Direction, Summand, Trace, TraceRow};
pub use tracing::trace;
