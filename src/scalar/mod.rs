//! Scalar formulas: read from text, differentiated in both modes, and shown step by step.
//!
//! [`parse`] turns a text into a graph of the same kind that everything else runs on; [`trace`] differentiates it
//! with [`crate::autodiff`] and keeps every number; [`mod@format`] writes the traces for people and for programs.

mod characters;
mod checks;
mod domain;
mod error;
mod expression;
pub mod format;
mod functions;
mod names;
mod parse;
mod point;
mod steps;
mod tokens;
mod trace;

pub use characters::name;
pub use checks::{Checks, Difference, InnerProduct};
pub use domain::DomainError;
pub use error::TextError;
pub use expression::Expression;
pub use functions::functions;
pub use names::Names;
pub use parse::{Formula, LONGEST, parse};
pub use point::{Point, mistake_about, parse_point, parse_points};
pub use trace::{Contribution, Costs, Direction, Directions, Request, Row, Trace, TraceError, trace};
