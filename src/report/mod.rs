//! The report: one HTML file that opens anywhere and asks the network for nothing.
//!
//! Who has something to report makes a [`Page`] of sections: blocks as in [`document`](crate::document), whose
//! symbols are LaTeX, and figures. [`html`] sets it: mathematics become MathML (`mathml.rs`), blocks and matrices
//! HTML (`block.rs`), figures what they hold (`figure.rs`). Style sheet and script are files of this folder and stand
//! in the page whole; the colours are those of all drawings. [`browser`] prints a page to PDF.
//!
//! Without its script the page shows everything too: charts hold their data and their legend, and what is folded
//! can be opened.

mod block;
pub mod browser;
mod error;
mod figure;
mod mathml;
mod number;
#[cfg(test)]
mod tests;
mod theme;

use std::collections::BTreeSet;

pub use error::ReportError;

use crate::document::{Block, Span};
use crate::draw::LineChart;
use crate::draw::svg::escape;

/// All that a report says.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// The title of page and window.
    pub title: String,
    /// What the page is about, in a sentence or two.
    pub lead: Vec<Span>,
    /// The sections, which are numbered and stand in the table of contents.
    pub sections: Vec<Section>,
}

/// A part of a page with a title.
#[derive(Clone, Debug, Default)]
pub struct Section {
    /// Its name in links: letters, digits and hyphens.
    pub id: String,
    /// What stands above it.
    pub title: String,
    /// What it holds.
    pub parts: Vec<Part>,
}

/// A part of a section.
#[derive(Clone, Debug)]
pub enum Part {
    /// A heading, a paragraph, a table, a matrix or a drawing in characters. Its symbols are LaTeX.
    Block(Block),
    /// A figure.
    Figure(Figure),
    /// What is folded until somebody asks for it, or prints the page.
    Details {
        /// The line that is always there.
        summary: String,
        /// What is folded.
        parts: Vec<Part>,
    },
}

/// Something to look at, with a number and a caption.
#[derive(Clone, Debug)]
pub struct Figure {
    /// Its name in links: letters, digits and hyphens.
    pub id: String,
    /// What it shows.
    pub content: Content,
    /// What stands below it; may be empty.
    pub caption: Vec<Span>,
    /// How it was made, such as ("command", "cotangent mnist --seed 0") and ("device", "cpu, 2 threads").
    pub made_by: Vec<(String, String)>,
}

/// What a figure shows.
#[derive(Clone, Debug)]
pub enum Content {
    /// A drawing as an SVG document of this crate: at its own size, and scrolled where that is too wide.
    Svg(String),
    /// A chart whose lines can be hidden and whose values can be read under the pointer.
    Chart(LineChart),
    /// Formulas in LaTeX, one below the other.
    Formulas(Vec<String>),
    /// Pictures side by side.
    Images(Vec<Image>),
}

/// A picture.
#[derive(Clone, Debug)]
pub struct Image {
    /// The file. A small picture is shown with large pixels.
    pub png: Vec<u8>,
    /// What it shows, for those who do not see it.
    pub alt: String,
    /// What stands below it; may be empty.
    pub caption: String,
}

/// The page as one HTML file.
///
/// # Errors
/// Mathematics that cannot be set, figures without content, names that are no names or stand twice.
pub fn html(page: &Page) -> Result<String, ReportError> {
    let mut writer = Writer::default();
    let mut contents = String::new();
    let mut body = String::new();
    for (i, section) in page.sections.iter().enumerate() {
        let (number, title) = (i + 1, escape(&section.title));
        let id = writer.name(&section.id)?;
        contents += &format!("<li><a href=\"#{id}\"><span>{number}</span>{title}</a></li>\n");
        body += &format!("<section id=\"{id}\">\n<h2><span>{number}</span>{title}</h2>\n");
        body += &writer.parts(&section.parts)?;
        body += "</section>\n";
    }
    let (title, lead) = (escape(&page.title), block::spans(&page.lead)?);
    Ok(format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; img-src data:; \
         style-src 'unsafe-inline'; script-src 'unsafe-inline'\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <link rel=\"icon\" href=\"data:,\">\n<title>{title}</title>\n<style>\n{colours}{style}</style>\n</head>\n\
         <body>\n<header>\n<h1>{title}</h1>\n<p class=\"lead\">{lead}</p>\n</header>\n\
         <nav aria-label=\"Contents\">\n<ol>\n{contents}</ol>\n</nav>\n<main>\n{body}</main>\n\
         <script>\n{script}</script>\n</body>\n</html>\n",
        colours = theme::style_sheet(),
        style = include_str!("page.css"),
        script = include_str!("page.js"),
    ))
}

/// What is counted and remembered from the first part to the last.
#[derive(Default)]
struct Writer {
    figures: usize,
    names: BTreeSet<String>,
}

impl Writer {
    fn parts(&mut self, parts: &[Part]) -> Result<String, ReportError> {
        parts.iter().map(|part| self.part(part)).collect()
    }

    fn part(&mut self, part: &Part) -> Result<String, ReportError> {
        match part {
            Part::Block(block) => block::block(block),
            Part::Figure(figure) => {
                let id = self.name(&figure.id)?;
                self.figures += 1;
                figure::figure(figure, &id, self.figures)
            }
            Part::Details { summary, parts } => Ok(format!(
                "<details>\n<summary>{}</summary>\n{}</details>\n",
                escape(summary),
                self.parts(parts)?
            )),
        }
    }

    /// A name that can stand in links and is nobody else's.
    fn name(&mut self, id: &str) -> Result<String, ReportError> {
        let is_name = !id.is_empty() && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        if !is_name {
            return Err(ReportError::Name { id: id.into() });
        }
        if !self.names.insert(id.into()) {
            return Err(ReportError::Twice { id: id.into() });
        }
        Ok(id.into())
    }
}
