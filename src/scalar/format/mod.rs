//! Traces as a page to be read, as CSV and JSON for programs, with numbers in full, and as a drawing.

mod csv;
mod diagram;
mod json;
mod letters;
mod notation;
mod page;

pub use csv::{csv, write_csv};
pub use diagram::diagram;
pub use json::{json, write_json};
pub use notation::{Notation, Script};
pub use page::{page, with_page};
