//! What a page says: blocks from top to bottom, made of final text.

use std::io;

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

/// What rows are handed to, one after the other.
pub type Take<'t> = &'t mut dyn FnMut(&[Span]) -> io::Result<()>;

/// The rows of a table.
pub trait Rows {
    /// Hands on one after the other.
    ///
    /// # Errors
    /// The first that `take` returns.
    fn each(&self, take: Take<'_>) -> io::Result<()>;
}

impl Rows for Vec<Vec<Span>> {
    fn each(&self, take: Take<'_>) -> io::Result<()> {
        self.iter().try_for_each(|row| take(row))
    }
}

/// Rows that are made while the page is written, and again each time that a format has to look at them, so that a table of a
/// million rows is never in memory.
pub struct MadeRows<'a>(Box<dyn Fn(Take<'_>) -> io::Result<()> + 'a>);

impl<'a> MadeRows<'a> {
    /// Those that are made by going through this.
    pub fn by<I: IntoIterator<Item = Vec<Span>>>(rows: impl Fn() -> I + 'a) -> Self {
        Self(Box::new(move |take| rows().into_iter().try_for_each(|row| take(&row))))
    }
}

impl Rows for MadeRows<'_> {
    fn each(&self, take: Take<'_>) -> io::Result<()> {
        (self.0)(take)
    }
}

/// A part of a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Block<R = Vec<Vec<Span>>> {
    /// The title of what follows.
    Heading(String),
    /// Running text.
    Paragraph(Vec<Span>),
    /// A table with a row of titles.
    Table {
        /// Titles, and how the cells below them are set.
        columns: Vec<(Span, Align)>,
        /// As many cells as there are columns.
        rows: R,
    },
    /// A matrix of any size.
    Matrix(MatrixBlock),
    /// Lines of box characters, for formats that cannot hold a picture.
    Drawing(String),
}

impl<R: Rows> Block<R> {
    /// The same with all rows in memory.
    pub fn kept(self) -> Block {
        match self {
            Self::Heading(heading) => Block::Heading(heading),
            Self::Paragraph(spans) => Block::Paragraph(spans),
            Self::Table { columns, rows: made } => {
                let mut rows = Vec::new();
                let kept = made.each(&mut |row| {
                    rows.push(row.to_vec());
                    Ok(())
                });
                debug_assert!(kept.is_ok(), "nothing fails in memory");
                Block::Table { columns, rows }
            }
            Self::Matrix(matrix) => Block::Matrix(matrix),
            Self::Drawing(drawing) => Block::Drawing(drawing),
        }
    }
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
