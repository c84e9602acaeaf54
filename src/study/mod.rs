//! The whole study on one page: differentiation of a formula, of a chain of matrices, and of a network that learns.
//!
//! Each section takes what another module found and says it in blocks and figures; nothing is computed here but means
//! and ranges. [`crate::report`] sets the page.

mod curves;
mod digits;
mod formula;
mod matrices;
mod network;
mod results;

use crate::backprop::format::Results;
use crate::document::{Block, words};
use crate::draw::DrawError;
use crate::report::{Content, Figure, Page, Part, Section};
use crate::scalar::Trace;
use crate::train::{Mistake, Record};

/// Decimals of all numbers.
const DIGITS: usize = 4;

/// What was found.
#[derive(Clone, Copy, Debug)]
pub struct Study<'s> {
    /// The formula's traces.
    pub trace: &'s Trace,
    /// The chain of matrices.
    pub matrices: Results<'s>,
    /// The trained networks.
    pub records: &'s [Record],
    /// What some of them get most wrong.
    pub worst: &'s [Worst],
    /// What a reader must know beside that, such as a run without its model.
    pub notes: &'s [String],
    /// The machine: `linux x86_64, 2 processors`.
    pub machine: &'s str,
    /// When, in UTC.
    pub date: &'s str,
}

/// What a network gets most wrong.
#[derive(Clone, Debug)]
pub struct Worst {
    /// The run, by position in [`Study::records`].
    pub record: usize,
    /// Its mistakes of largest loss, the largest first.
    pub mistakes: Vec<Mistake>,
}

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

fn section(id: &str, title: &str, parts: Vec<Part>) -> Section {
    Section { id: id.into(), title: title.into(), parts }
}

fn paragraph(text: impl Into<String>) -> Part {
    Part::Block(Block::Paragraph(vec![words(text)]))
}

fn heading(text: impl Into<String>) -> Part {
    Part::Block(Block::Heading(text.into()))
}

fn figure(
    id: impl Into<String>,
    content: Content,
    caption: impl Into<String>,
    made_by: &[(&str, &str)],
) -> Part {
    let made_by = made_by.iter().map(|&(name, value)| (name.into(), value.into()));
    Part::Figure(Figure { id: id.into(), content, caption: vec![words(caption)], made_by: made_by.collect() })
}

/// How what needs no training was made.
fn made_here<'a>(study: &Study<'a>, command: &'a str) -> [(&'static str, &'a str); 4] {
    [
        ("command", command),
        ("device", "cpu, float64"),
        ("version", concat!("cotangent ", env!("CARGO_PKG_VERSION"))),
        ("machine", study.machine),
    ]
}
