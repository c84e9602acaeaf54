//! Blocks of a document as HTML.

use std::ops::Range;

use unicode_width::UnicodeWidthStr;

use super::{ReportError, mathml, number};
use crate::document::{Align, Block, MatrixBlock, Span};
use crate::draw::svg::escape;

/// So many characters of a matrix stand on a line of paper, with two beside each entry.
const PAPER: usize = 124;

/// A block as HTML.
pub(super) fn block(block: &Block) -> Result<String, ReportError> {
    Ok(match block {
        Block::Heading(heading) => format!("<h3>{}</h3>\n", escape(heading)),
        Block::Paragraph(content) => {
            if let [Span::Math(latex)] = &content[..] {
                return Ok(format!("<p class=\"scroll alone\">{}</p>\n", mathml::display(latex)?));
            }
            let holds_math = content.iter().any(|span| matches!(span, Span::Math(_)));
            let class = if holds_math { " class=\"scroll\"" } else { "" };
            format!("<p{class}>{}</p>\n", spans(content)?)
        }
        Block::Table { columns, rows } => table(columns, rows)?,
        Block::Matrix(shown) => matrix(shown)?,
        Block::Drawing(drawing) => {
            let lines: Vec<String> = drawing.lines().map(escape).collect();
            format!("<pre class=\"scroll\">{}</pre>\n", lines.join("\n"))
        }
    })
}

/// Running text.
pub(super) fn spans(spans: &[Span]) -> Result<String, ReportError> {
    spans.iter().map(span).collect()
}

fn span(span: &Span) -> Result<String, ReportError> {
    match span {
        Span::Words(text) => Ok(escape(text)),
        Span::Math(latex) if latex.is_empty() => Ok(String::new()),
        Span::Math(latex) => match number::read(latex) {
            Some(number) => Ok(number.html),
            None => mathml::inline(latex),
        },
    }
}

fn table(columns: &[(Span, Align)], rows: &[Vec<Span>]) -> Result<String, ReportError> {
    let class = |column: usize| match columns.get(column).map(|(_, align)| align) {
        Some(Align::Right) => " class=\"number\"",
        Some(Align::Long) => " class=\"long\"",
        Some(Align::Left) | None => "",
    };
    let mut out = String::from("<div class=\"scroll\"><table>\n<thead><tr>");
    for (i, (title, _)) in columns.iter().enumerate() {
        out += &format!("<th{}>{}</th>", class(i), span(title)?);
    }
    out += "</tr></thead>\n<tbody>\n";
    for row in rows {
        out += "<tr>";
        for (i, cell) in row.iter().enumerate() {
            out += &format!("<td{}>{}</td>", class(i), span(cell)?);
        }
        out += "</tr>\n";
    }
    Ok(out + "</tbody></table></div>\n")
}

/// A matrix in groups of columns that fit on paper, where they stand one below the other. On a screen they stand side
/// by side, in their midst no row numbers but those at the left end, which stay when the rest is scrolled.
fn matrix(matrix: &MatrixBlock) -> Result<String, ReportError> {
    let (rows, columns) = (matrix.rows().len(), matrix.columns.max(1));
    let cells: Vec<Cell> = shaded(&matrix.cells)?;
    let mut out = format!(
        "<div class=\"matrix\"><p>{} <span>{rows} × {columns}</span></p>\n<div class=\"scroll\"><div class=\"groups\">\n",
        mathml::inline(&matrix.name)?
    );
    let row_head = |row: usize| format!("<tr><th>{}</th>", row + 1);
    out += "<table class=\"rows\" aria-hidden=\"true\"><thead><tr><th></th></tr></thead><tbody>\n";
    out.extend((0..rows).map(|row| row_head(row) + "</tr>\n"));
    out += "</tbody></table>\n";
    for group in groups(&cells, columns) {
        out += "<table><thead><tr><th></th>";
        out.extend(group.clone().map(|column| format!("<th>{}</th>", column + 1)));
        out += "</tr></thead><tbody>\n";
        for (row, cells) in cells.chunks(columns).enumerate() {
            out += &row_head(row);
            out.extend(cells.iter().take(group.end).skip(group.start).map(Cell::html));
            out += "</tr>\n";
        }
        out += "</tbody></table>\n";
    }
    Ok(out + "</div></div></div>\n")
}

/// The columns that stand together on paper: as many as fit, one at least.
fn groups(cells: &[Cell], columns: usize) -> Vec<Range<usize>> {
    let width = |column: usize| {
        let entries = cells.iter().skip(column).step_by(columns);
        entries.map(Cell::width).max().unwrap_or(0) + 2
    };
    let mut groups: Vec<Range<usize>> = Vec::new();
    let mut room = 0;
    for column in 0..columns {
        match groups.last_mut() {
            Some(group) if width(column) <= room => group.end += 1,
            _ => {
                room = PAPER.max(width(column));
                groups.push(column..column + 1);
            }
        }
        room -= width(column);
    }
    groups
}

/// An entry of a matrix: what it shows, and its share of the largest one.
struct Cell {
    content: String,
    share: f64,
}

impl Cell {
    /// How many columns of characters it shows, about.
    fn width(&self) -> usize {
        let outside_tags = |text: &str| text.split_once('>').map_or(text, |(_, text)| text).width();
        self.content.split('<').map(outside_tags).sum()
    }

    /// The style sheet makes a shade of the share, so that the page is small and can turn dark.
    fn html(&self) -> String {
        let share = format!("{:.2}", self.share);
        match share.trim_start_matches('-').parse() {
            Ok(0.0) => format!("<td>{}</td>", self.content),
            _ => format!("<td style=\"--x:{share}\">{}</td>", self.content),
        }
    }
}

fn shaded(cells: &[String]) -> Result<Vec<Cell>, ReportError> {
    let finite = cells.iter().filter_map(|cell| number::read(cell)).map(|number| number.value.abs());
    let largest = finite.filter(|size| size.is_finite()).fold(f64::MIN_POSITIVE, f64::max);
    let shade = |cell: &String| {
        Ok(match number::read(cell) {
            Some(number) if number.value.is_nan() => Cell { content: number.html, share: 0.0 },
            Some(number) => Cell { content: number.html, share: (number.value / largest).clamp(-1.0, 1.0) },
            None => Cell { content: span(&Span::Math(cell.clone()))?, share: 0.0 },
        })
    };
    cells.iter().map(shade).collect()
}
