//! The page as Markdown, with tables; symbols stand in code spans, so that nothing in them is markup.

use super::{Align, Block, Span, TextPage, matrix};

/// The page as Markdown.
pub fn markdown(page: &[Block]) -> String {
    let mut out = String::new();
    for block in page {
        match block {
            Block::Heading(heading) => out += &format!("## {heading}\n\n"),
            Block::Paragraph(spans) => {
                out += &spans.iter().map(span).collect::<String>();
                out += "\n\n";
            }
            Block::Table { columns, rows } => {
                let titles: Vec<String> = columns.iter().map(|(title, _)| span(title)).collect();
                let rules: Vec<&str> = columns
                    .iter()
                    .map(|(_, align)| if *align == Align::Right { "--:" } else { "---" })
                    .collect();
                out += &format!("| {} |\n| {} |\n", titles.join(" | "), rules.join(" | "));
                for row in rows {
                    out += &format!("| {} |\n", row.iter().map(span).collect::<Vec<_>>().join(" | "));
                }
                out.push('\n');
            }
            Block::Matrix(matrix) => {
                out += &format!("```text\n{}```\n\n", matrix::text(matrix, TextPage::PLAIN.width, false));
            }
            Block::Drawing(drawing) => out += &format!("```text\n{drawing}```\n\n"),
        }
    }
    out
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
