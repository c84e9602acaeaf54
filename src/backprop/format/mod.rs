//! Values and gradients as a page to be read, as CSV and JSON for programs, with numbers in full, and as a drawing.

mod csv;
mod diagram;
mod findings;
mod json;
mod page;

pub use csv::csv;
pub use diagram::{diagram, diagram_in_characters};
pub use findings::Findings;
pub use json::json;
pub use page::{agreement, page};
