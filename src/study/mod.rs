//! The whole study on one page: differentiation of a formula, of a chain of matrices, and of a network that learns.
//!
//! Each section takes what another module found and says it in blocks and figures; nothing is computed here but means
//! and ranges. [`crate::report`] sets the page.

mod curves;
mod digits;
mod formula;
mod found;
mod matrices;
mod network;
mod parts;
mod results;

pub use found::{Study, Worst};

use crate::document::words;
use crate::draw::DrawError;
use crate::report::Page;

/// The page.
///
/// # Errors
/// When a picture cannot be drawn.
pub fn page(study: &Study<'_>) -> Result<Page, DrawError> {
    let lead = format!(
        "One engine, three exercises: a formula differentiated step by step, a chain of matrices whose gradients are \
         checked in other ways, and networks that learn to read digits. Made by cotangent {} on {}, {}.",
        env!("CARGO_PKG_VERSION"),
        study.machine,
        study.date
    );
    let mut sections = vec![formula::section_of(study), matrices::section_of(study)];
    sections.extend(digits::sections(study)?);
    Ok(Page { title: "From a formula to MNIST".into(), lead: vec![words(lead)], sections })
}
