//! The page for a terminal: tables with aligned columns, cells broken into lines where it would be too wide.

use unicode_width::UnicodeWidthStr;

use super::{Align, Block, Span, matrix};

/// How the text looks.
#[derive(Clone, Copy, Debug)]
pub struct TextPage {
    /// Columns.
    pub width: usize,
    /// Whether headings stand out by escape sequences, for a terminal.
    pub colour: bool,
    /// Whether a large matrix is shown by its first and last rows and columns; otherwise a wide one is broken into
    /// groups of columns.
    pub elide: bool,
}

impl TextPage {
    /// A page of 100 columns without colour, whole.
    pub const PLAIN: Self = Self { width: 100, colour: false, elide: false };
}

/// Between columns.
const GAP: usize = 2;

/// The page as text.
pub fn text(page: &[Block], style: TextPage) -> String {
    let mut out = String::new();
    let mut after_table = false;
    for block in page {
        match block {
            Block::Heading(heading) => {
                let (on, off) = if style.colour { ("\u{1b}[1;34m", "\u{1b}[0m") } else { ("", "") };
                out += &format!("\n{on}{heading}{off}\n\n");
            }
            Block::Paragraph(spans) => {
                out += if after_table { "\n" } else { "" };
                let whole: String = spans.iter().map(content).collect();
                for line in wrap(&whole, style.width) {
                    out += &line;
                    out.push('\n');
                }
            }
            Block::Table { columns, rows } => {
                out += if out.ends_with("\n\n") { "" } else { "\n" };
                table(&mut out, style, columns, rows);
                after_table = true;
                continue;
            }
            Block::Matrix(matrix) => {
                out += if out.ends_with("\n\n") { "" } else { "\n" };
                out += &matrix::text(matrix, style.width, style.elide);
                after_table = true;
                continue;
            }
            Block::Drawing(drawing) => out += drawing,
        }
        after_table = false;
    }
    out
}

fn longest_word(span: &Span) -> usize {
    content(span).split(' ').map(UnicodeWidthStr::width).max().unwrap_or(0)
}

fn content(span: &Span) -> &str {
    match span {
        Span::Words(text) | Span::Math(text) => text,
    }
}

fn table(out: &mut String, style: TextPage, columns: &[(Span, Align)], rows: &[Vec<Span>]) {
    let mut widths: Vec<usize> = columns.iter().map(|(title, _)| content(title).width()).collect();
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = content(cell).width().max(*width);
        }
    }
    let room = style.width.saturating_sub(GAP * columns.len().saturating_sub(1));
    // What is too wide is taken from the widest column that can be broken into more lines.
    let narrowest: Vec<usize> = (0..columns.len())
        .map(|i| rows.iter().map(|row| longest_word(&row[i])).fold(longest_word(&columns[i].0), usize::max))
        .collect();
    while widths.iter().sum::<usize>() > room {
        let breakable =
            (0..columns.len()).filter(|&i| columns[i].1 != Align::Right && widths[i] > narrowest[i]);
        match breakable.max_by_key(|&i| widths[i]) {
            Some(widest) => widths[widest] -= 1,
            None => break,
        }
    }
    let (on, off) = if style.colour { ("\u{1b}[2m", "\u{1b}[0m") } else { ("", "") };
    let titles: Vec<&str> = columns.iter().map(|(title, _)| content(title)).collect();
    *out += on;
    line(out, columns, &widths, &titles);
    let rule: Vec<String> = widths.iter().map(|&width| "─".repeat(width)).collect();
    *out += &rule.join(&" ".repeat(GAP));
    out.push('\n');
    *out += off;
    for row in rows {
        let cells: Vec<&str> = row.iter().map(content).collect();
        line(out, columns, &widths, &cells);
    }
}

/// One row, on as many lines as its longest cell takes.
fn line(out: &mut String, columns: &[(Span, Align)], widths: &[usize], cells: &[&str]) {
    let pieces: Vec<Vec<String>> = cells.iter().zip(widths).map(|(cell, &width)| wrap(cell, width)).collect();
    let height = pieces.iter().map(Vec::len).max().unwrap_or(0).max(1);
    for i in 0..height {
        let mut line = String::new();
        for ((lines, (_, align)), &width) in pieces.iter().zip(columns).zip(widths) {
            let piece = lines.get(i).map_or("", |piece| piece);
            let padding = " ".repeat(width.saturating_sub(piece.width()));
            match align {
                Align::Left | Align::Long => line += &format!("{piece}{padding}"),
                Align::Right => line += &format!("{padding}{piece}"),
            }
            line += &" ".repeat(GAP);
        }
        *out += line.trim_end();
        out.push('\n');
    }
}

/// Breaks a text at spaces into lines of at most so many columns; a longer word stands alone.
fn wrap(text: &str, width: usize) -> Vec<String> {
    if text.width() <= width {
        return vec![text.to_owned()];
    }
    let mut lines: Vec<(String, usize)> = Vec::new();
    for word in text.split(' ') {
        let length = word.width();
        match lines.last_mut() {
            Some((line, taken)) if *taken + 1 + length <= width => {
                line.push(' ');
                line.push_str(word);
                *taken += 1 + length;
            }
            _ => lines.push((word.to_owned(), length)),
        }
    }
    lines.into_iter().map(|(line, _)| line).collect()
}
