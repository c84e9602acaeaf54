//! The page for a terminal: tables with aligned columns, cells broken into lines where it would be too wide.

use std::io::{self, Write};

use unicode_width::UnicodeWidthStr;

use super::written::written;
use super::{Align, Block, Rows, Span, matrix};

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
pub fn text<R: Rows>(page: &[Block<R>], style: TextPage) -> String {
    written(|out| write_text(page, style, out))
}

/// Writes the page as text.
///
/// # Errors
/// Those of the writer.
pub fn write_text<R: Rows>(page: &[Block<R>], style: TextPage, out: &mut dyn Write) -> io::Result<()> {
    let out = &mut Lines { out, last: [0; 2] };
    let mut after_table = false;
    for block in page {
        match block {
            Block::Heading(heading) => {
                let (on, off) = if style.colour { ("\u{1b}[1;34m", "\u{1b}[0m") } else { ("", "") };
                write!(out, "\n{on}{heading}{off}\n\n")?;
            }
            Block::Paragraph(spans) => {
                write!(out, "{}", if after_table { "\n" } else { "" })?;
                let whole: String = spans.iter().map(content).collect();
                wrap(&whole, style.width).iter().try_for_each(|line| writeln!(out, "{line}"))?;
            }
            Block::Table { columns, rows } => {
                out.leave_a_line()?;
                table(out, style, columns, rows)?;
                after_table = true;
                continue;
            }
            Block::Matrix(matrix) => {
                out.leave_a_line()?;
                out.write_all(matrix::text(matrix, style.width, style.elide).as_bytes())?;
                after_table = true;
                continue;
            }
            Block::Drawing(drawing) => out.write_all(drawing.as_bytes())?,
        }
        after_table = false;
    }
    Ok(())
}

/// Knows how what was written ends.
struct Lines<'o> {
    out: &'o mut dyn Write,
    last: [u8; 2],
}

impl Lines<'_> {
    /// An empty line, unless there is one.
    fn leave_a_line(&mut self) -> io::Result<()> {
        if self.last == *b"\n\n" { Ok(()) } else { self.write_all(b"\n") }
    }
}

impl Write for Lines<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.out.write(bytes)?;
        for &byte in &bytes[count.saturating_sub(2)..count] {
            self.last = [self.last[1], byte];
        }
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

fn longest_word(span: &Span) -> usize {
    content(span).split(' ').map(UnicodeWidthStr::width).max().unwrap_or(0)
}

fn content(span: &Span) -> &str {
    match span {
        Span::Words(text) | Span::Math(text) => text,
    }
}

fn table(
    out: &mut dyn Write,
    style: TextPage,
    columns: &[(Span, Align)],
    rows: &impl Rows,
) -> io::Result<()> {
    let mut widths: Vec<usize> = columns.iter().map(|(title, _)| content(title).width()).collect();
    // What is too wide is taken from the widest column that can be broken into more lines.
    let mut narrowest: Vec<usize> = columns.iter().map(|(title, _)| longest_word(title)).collect();
    rows.each(&mut |row| {
        for ((width, narrowest), cell) in widths.iter_mut().zip(&mut narrowest).zip(row) {
            *width = content(cell).width().max(*width);
            *narrowest = longest_word(cell).max(*narrowest);
        }
        Ok(())
    })?;
    let room = style.width.saturating_sub(GAP * columns.len().saturating_sub(1));
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
    write!(out, "{on}")?;
    line(out, columns, &widths, &titles)?;
    let rule: Vec<String> = widths.iter().map(|&width| "─".repeat(width)).collect();
    write!(out, "{}\n{off}", rule.join(&" ".repeat(GAP)))?;
    rows.each(&mut |row| line(out, columns, &widths, &row.iter().map(content).collect::<Vec<_>>()))
}

/// One row, on as many lines as its longest cell takes.
fn line(out: &mut dyn Write, columns: &[(Span, Align)], widths: &[usize], cells: &[&str]) -> io::Result<()> {
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
        writeln!(out, "{}", line.trim_end())?;
    }
    Ok(())
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
