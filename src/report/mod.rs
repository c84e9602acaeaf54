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
mod page;
#[cfg(test)]
mod tests;
mod theme;

use std::collections::BTreeSet;

pub use error::ReportError;
pub use page::{Content, Figure, Image, Page, Part, Section};

use crate::draw::svg::escape;

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
