//! Documents: what a page says, from top to bottom, as text, Markdown and LaTeX.
//!
//! Who has something to show makes a list of [`Block`]s, once; a renderer for each format sets them. Blocks hold
//! final text: nothing is computed here, and numbers have been rounded ([`number`]).

mod latex;
mod markdown;
mod matrix;
pub mod number;
mod page;
mod text;
mod written;

pub use latex::{latex, write_latex};
pub use markdown::{markdown, write_markdown};
pub use page::{Align, Block, MadeRows, MatrixBlock, Paper, Rows, Span, math, words};
pub use text::{TextPage, text, write_text};
