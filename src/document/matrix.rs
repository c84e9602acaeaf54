//! Matrices of any size, for pages of one width.
//!
//! On paper and in files all entries stand there, a wide matrix in groups of columns. On a terminal the middle of a
//! large one is left out, which says nothing that scrolling past it would not.

use unicode_width::UnicodeWidthStr;

use super::{MatrixBlock, Paper};

/// Rows that are shown of a tall matrix whose middle is left out.
const MOST_ROWS: usize = 12;

/// Between columns.
const GAP: usize = 2;

/// Entries on a line of a LaTeX page, of a matrix with few digits.
const LATEX_LINE: usize = 96;

/// Which of so many rows or columns stand on the page: `None` is the dots in their middle.
fn shown(count: usize, most: usize) -> Vec<Option<usize>> {
    if count <= most {
        return (0..count).map(Some).collect();
    }
    // The dots take a place; the first ones are one more if the rest is odd.
    let last = most.saturating_sub(1) / 2;
    let first = most.saturating_sub(1) - last;
    (0..first).map(Some).chain([None]).chain((count - last..count).map(Some)).collect()
}

/// Lines of text, with the name and the extents above them.
pub(super) fn text(matrix: &MatrixBlock, width: usize, elide: bool) -> String {
    let (rows, columns) = (matrix.rows().len(), matrix.columns);
    let cell = matrix.cells.iter().map(|cell| cell.width()).max().unwrap_or(0).max(1);
    let fits = ((width + GAP) / (cell + GAP)).max(3);
    let mut out = format!("{}  {rows} × {columns}\n", matrix.name);
    let lines = |out: &mut String, rows: &[Option<usize>], columns: &[Option<usize>]| {
        for row in rows {
            let mut line = String::new();
            for (position, column) in columns.iter().enumerate() {
                let entry = match (row, column) {
                    (Some(row), Some(column)) => &matrix.cells[row * matrix.columns + column],
                    (None, Some(_)) => "⋮",
                    (Some(_), None) => "…",
                    (None, None) => "⋱",
                };
                let room = if column.is_none() { 1 } else { cell };
                let gap = if position == 0 { 0 } else { GAP };
                line += &" ".repeat(gap + room.saturating_sub(entry.width()));
                line += entry;
            }
            *out += &line;
            out.push('\n');
        }
    };
    if elide {
        lines(&mut out, &shown(rows, MOST_ROWS), &shown(columns, fits));
        return out;
    }
    let all: Vec<Option<usize>> = (0..rows).map(Some).collect();
    for begin in (0..columns).step_by(fits) {
        let end = columns.min(begin + fits);
        if columns > fits {
            out += &match end - begin {
                1 => format!("column {end}\n"),
                _ => format!("columns {} to {end}\n", begin + 1),
            };
        }
        lines(&mut out, &all, &(begin..end).map(Some).collect::<Vec<_>>());
    }
    out
}

/// A display for each group of columns that fits on a line. A group is broken between rows, so that it never is
/// taller than a page.
pub(super) fn latex(matrix: &MatrixBlock, paper: Paper) -> String {
    const ROWS: usize = 30;
    let (rows, columns) = (matrix.rows().len(), matrix.columns);
    let cell = matrix.cells.iter().map(|cell| cell.width()).max().unwrap_or(0);
    let line = if paper == Paper::Landscape { LATEX_LINE * 3 / 2 } else { LATEX_LINE };
    let fits = (line / (cell + 3)).max(1);
    let all: Vec<&[String]> = matrix.rows().collect();
    let mut out = format!("\\par ${}$, ${rows} \\times {columns}$", matrix.name);
    for begin in (0..columns).step_by(fits) {
        let end = columns.min(begin + fits);
        for top in (0..rows).step_by(ROWS) {
            let bottom = rows.min(top + ROWS);
            let mut place = Vec::new();
            if columns > fits {
                place.push(format!("columns {} to {end}", begin + 1));
            }
            if rows > ROWS {
                place.push(format!("rows {} to {bottom}", top + 1));
            }
            let place = if place.is_empty() { String::new() } else { format!("\\par {}", place.join(", ")) };
            out += &format!("{place}\n\\[\\left[\\begin{{array}}{{{}}}\n", "r".repeat(end - begin));
            for row in &all[top..bottom] {
                out += &row[begin..end].join(" & ");
                out += " \\\\\n";
            }
            out += "\\end{array}\\right]\\]\n";
        }
    }
    out + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matrix(rows: usize, columns: usize) -> MatrixBlock {
        let cells = (0..rows * columns).map(|i| format!("{}.5", 100 + i)).collect();
        MatrixBlock { name: "V1.v".into(), columns, cells }
    }

    #[test]
    fn in_a_file_every_entry_stands_in_groups_of_columns() {
        let all = text(&matrix(2, 30), 40, false);
        assert_eq!(all.lines().next(), Some("V1.v  2 × 30"));
        assert_eq!(all.lines().nth(2), Some("100.5  101.5  102.5  103.5  104.5  105.5"));
        assert!(all.contains("\ncolumns 25 to 30\n") && all.lines().all(|line| line.chars().count() <= 40));
        for i in 0..60 {
            assert_eq!(all.matches(&format!("{}.5", 100 + i)).count(), 1, "{all}");
        }
        assert!(!all.contains('…'));
    }

    #[test]
    fn on_a_terminal_the_middle_is_left_out_of_what_is_large_only() {
        let wide = text(&matrix(2, 30), 40, true);
        assert_eq!(
            wide,
            "V1.v  2 × 30\n100.5  101.5  102.5  …  128.5  129.5\n130.5  131.5  132.5  …  158.5  159.5\n"
        );
        let tall = text(&matrix(30, 2), 40, true);
        assert_eq!(tall.lines().count(), 1 + MOST_ROWS);
        assert!(tall.contains("    ⋮      ⋮\n"), "{tall}");
        assert_eq!(text(&matrix(3, 6), 40, true), text(&matrix(3, 6), 40, false));
    }

    #[test]
    fn latex_holds_every_entry_too() {
        let all = latex(&matrix(40, 30), Paper::Portrait);
        assert_eq!(all.matches(".5").count(), 1200);
        assert_eq!(all.matches("\\begin{array}").count(), 2 * 3);
    }
}
