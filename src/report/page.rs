//! What a report says: sections of blocks and figures.

use crate::document::{Block, Span};
use crate::draw::LineChart;

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
