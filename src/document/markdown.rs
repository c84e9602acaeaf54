//! The page as Markdown, with tables; symbols stand in code spans, so that nothing in them is markup.

use std::io::{self, Write};

use super::written::written;
use super::{Align, Block, Rows, Span, TextPage, matrix};

/// The page as Markdown.
pub fn markdown<R: Rows>(page: &[Block<R>]) -> String {
    written(|out| write_markdown(page, out))
}

/// Writes the page as Markdown.
///
/// # Errors
/// Those of the writer.
pub fn write_markdown<R: Rows>(page: &[Block<R>], out: &mut dyn Write) -> io::Result<()> {
    for block in page {
        match block {
            Block::Heading(heading) => write!(out, "## {heading}\n\n")?,
            Block::Paragraph(spans) => {
                writeln!(out, "{}\n", spans.iter().map(span).collect::<String>())?;
            }
            Block::Table { columns, rows } => {
                let titles: Vec<String> = columns.iter().map(|(title, _)| span(title)).collect();
                let rules: Vec<&str> = columns
                    .iter()
                    .map(|(_, align)| if *align == Align::Right { "--:" } else { "---" })
                    .collect();
                writeln!(out, "| {} |\n| {} |", titles.join(" | "), rules.join(" | "))?;
                rows.each(&mut |row| {
                    writeln!(out, "| {} |", row.iter().map(span).collect::<Vec<_>>().join(" | "))
                })?;
                writeln!(out)?;
            }
            Block::Matrix(matrix) => {
                write!(out, "```text\n{}```\n\n", matrix::text(matrix, TextPage::PLAIN.width, false))?;
            }
            Block::Drawing(drawing) => write!(out, "```text\n{drawing}```\n\n")?,
        }
    }
    Ok(())
}

fn span(span: &Span) -> String {
    match span {
        Span::Math(text) if text.is_empty() => String::new(),
        Span::Math(text) => format!("`{text}`"),
        Span::Words(text) => text
            .chars()
            .flat_map(|c| "\\`*_|<>#".contains(c).then_some('\\').into_iter().chain([c]))
            .collect(),
    }
}
