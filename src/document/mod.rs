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

pub use latex::{latex, write_latex};
pub use markdown::{markdown, write_markdown};
pub use page::{Align, Block, MadeRows, MatrixBlock, Paper, Rows, Span, math, words};
pub use text::{TextPage, text, write_text};

/// What a page is when it is written into memory, which takes all that is written.
fn written(write: impl FnOnce(&mut Vec<u8>) -> std::io::Result<()>) -> String {
    let mut bytes = Vec::new();
    match write(&mut bytes) {
        Ok(()) => String::from_utf8(bytes).unwrap_or_default(),
        Err(_) => String::new(),
    }
}
