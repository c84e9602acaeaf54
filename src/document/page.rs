//! What a page says: blocks from top to bottom, made of final text.

/// A piece of text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Span {
    /// Words.
    Words(String),
    /// Symbols: as they stand on the page, or in LaTeX's mathematics for those formats that set it.
    Math(String),
}

/// Words.
pub fn words(text: impl Into<String>) -> Span {
    Span::Words(text.into())
}

/// Symbols.
pub fn math(text: impl Into<String>) -> Span {
    Span::Math(text.into())
}

/// How a column is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Align {
    /// Words and symbols.
    Left,
    /// Symbols of any length, which are broken into lines wherever a page has an end.
    Long,
    /// Numbers.
    Right,
}

/// A part of a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Block {
    /// The title of what follows.
    Heading(String),
    /// Running text.
    Paragraph(Vec<Span>),
    /// A table with a row of titles.
    Table {
        /// Titles, and how the cells below them are set.
        columns: Vec<(Span, Align)>,
        /// As many cells as there are columns.
        rows: Vec<Vec<Span>>,
    },
    /// A matrix of any size.
    Matrix(MatrixBlock),
    /// Lines of box characters, for formats that cannot hold a picture.
    Drawing(String),
}

/// A matrix with its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MatrixBlock {
    /// What it is called, as mathematics.
    pub name: String,
    /// The number of columns; at least one.
    pub columns: usize,
    /// The entries row by row.
    pub cells: Vec<String>,
}

impl MatrixBlock {
    /// The rows.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = &[String]> {
        self.cells.chunks(self.columns.max(1))
    }
}

/// Which side of the paper is up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Paper {
    /// For reading.
    Portrait,
    /// For long numbers.
    Landscape,
}
