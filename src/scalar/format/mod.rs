//! Traces as text, Markdown, LaTeX, CSV and JSON, and as a drawing.
//!
//! CSV and JSON are for programs, with numbers in full; the others are for the eye and share one list of what a
//! page shows, in `page.rs`.

mod csv;
mod diagram;
mod json;
mod latex;
mod markdown;
mod notation;
pub(super) mod number;
mod page;
mod text;

pub use csv::csv;
pub use diagram::diagram;
pub use json::json;
pub use latex::latex;
pub use markdown::markdown;
pub use notation::Notation;
pub use text::{TextStyle, text};
