//! What every section is put together from.

use super::found::Study;
use crate::document::{Block, words};
use crate::report::{Content, Figure, Part, Section};

/// Decimals of all numbers.
pub(super) const DIGITS: usize = 4;

pub(super) fn section(id: &str, title: &str, parts: Vec<Part>) -> Section {
    Section { id: id.into(), title: title.into(), parts }
}

pub(super) fn paragraph(text: impl Into<String>) -> Part {
    Part::Block(Block::Paragraph(vec![words(text)]))
}

pub(super) fn heading(text: impl Into<String>) -> Part {
    Part::Block(Block::Heading(text.into()))
}

pub(super) fn figure(
    id: impl Into<String>,
    content: Content,
    caption: impl Into<String>,
    made_by: &[(&str, &str)],
) -> Part {
    let made_by = made_by.iter().map(|&(name, value)| (name.into(), value.into()));
    Part::Figure(Figure { id: id.into(), content, caption: vec![words(caption)], made_by: made_by.collect() })
}

/// How what needs no training was made.
pub(super) fn made_here<'a>(study: &Study<'a>, command: &'a str) -> [(&'static str, &'a str); 4] {
    [
        ("command", command),
        ("device", "cpu, float64"),
        ("version", concat!("cotangent ", env!("CARGO_PKG_VERSION"))),
        ("machine", study.machine),
    ]
}
