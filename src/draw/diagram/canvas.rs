//! A page of characters on which lines of different nets may cross but never touch.
//!
//! A cell is a column of a terminal. Most characters take one, combining marks (v̄) none, ideographs and emoji two.

use super::super::text;
use super::graph::{DiagramNode, first_lines};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// The arms of a box character, from the middle of its cell.
const LEFT: u8 = 1;
const RIGHT: u8 = 2;
const UP: u8 = 4;
const DOWN: u8 = 8;

/// Box characters by the arms they have.
const JOINTS: [char; 16] = [' ', '╴', '╶', '─', '╵', '┘', '└', '┴', '╷', '┐', '┌', '┬', '│', '┤', '├', '┼'];
const CROSSING: char = '┼';

#[derive(Clone, Default)]
struct Cell {
    /// A character with its combining marks; hides lines. Empty behind a character that is two cells wide.
    text: Option<String>,
    /// Which nets have which arms here.
    lines: Vec<(usize, u8)>,
}

pub(super) struct Canvas {
    rows: Vec<Vec<Cell>>,
}

impl Canvas {
    pub fn new(rows: usize, columns: usize) -> Canvas {
        Canvas { rows: vec![vec![Cell::default(); columns]; rows] }
    }

    /// Writes text from a cell to the right.
    pub fn write(&mut self, row: usize, column: usize, text: &str) {
        let mut next = column;
        for (piece, width) in pieces(text) {
            let Some(cells) = self.rows.get_mut(row).and_then(|row| row.get_mut(next..next + width)) else {
                return;
            };
            for (i, cell) in cells.iter_mut().enumerate() {
                cell.text = Some(if i == 0 { piece.to_owned() } else { String::new() });
            }
            next += width;
        }
    }

    /// A box around lines of text. A column and its width are those of the frame.
    pub fn frame(&mut self, row: usize, column: usize, width: usize, lines: &[&str]) {
        let bar = "─".repeat(width.saturating_sub(2));
        self.write(row, column, &format!("┌{bar}┐"));
        for (i, line) in lines.iter().enumerate() {
            self.write(row + 1 + i, column, "│");
            self.write(row + 1 + i, column + 2, line);
            self.write(row + 1 + i, column + width - 1, "│");
        }
        self.write(row + 1 + lines.len(), column, &format!("└{bar}┘"));
    }

    /// A level line of a net that fills the cells from `first` to `last`.
    pub fn level(&mut self, net: usize, row: usize, first: usize, last: usize) {
        for column in first..=last {
            self.add(net, row, column, LEFT | RIGHT);
        }
    }

    /// A line of a net that comes from the left and ends in the middle of `last`.
    pub fn level_to(&mut self, net: usize, row: usize, first: usize, last: usize) {
        if last > first {
            self.level(net, row, first, last - 1);
        }
        self.add(net, row, last, LEFT);
    }

    /// A line of a net that begins in the middle of `first` and leaves `last` to the right.
    pub fn level_from(&mut self, net: usize, row: usize, first: usize, last: usize) {
        self.add(net, row, first, RIGHT);
        if last > first {
            self.level(net, row, first + 1, last);
        }
    }

    /// A line of a net between the middles of two cells of a row.
    pub fn level_between(&mut self, net: usize, row: usize, first: usize, last: usize) {
        self.add(net, row, first, RIGHT);
        self.level_to(net, row, first + 1, last);
    }

    /// An upright line of a net between the middles of two cells.
    pub fn upright(&mut self, net: usize, column: usize, top: usize, bottom: usize) {
        for row in top..=bottom {
            let arms = if row == top { 0 } else { UP } | if row == bottom { 0 } else { DOWN };
            self.add(net, row, column, arms);
        }
    }

    fn add(&mut self, net: usize, row: usize, column: usize, arms: u8) {
        let Some(cell) = self.rows.get_mut(row).and_then(|row| row.get_mut(column)) else { return };
        match cell.lines.iter_mut().find(|line| line.0 == net) {
            Some(line) => line.1 |= arms,
            None => cell.lines.push((net, arms)),
        }
    }

    /// The page without blank lines above and below, and without blanks at the ends of lines. `None`
    /// if two nets touch otherwise than in a plain crossing, or if one looks like a crossing.
    pub fn text(&self) -> Option<String> {
        let mut lines = Vec::with_capacity(self.rows.len());
        for row in &self.rows {
            let mut line = String::new();
            for cell in row {
                match (&cell.text, cell.lines.as_slice()) {
                    (None, []) => line.push(' '),
                    (None, [(_, arms)]) if JOINTS[usize::from(*arms)] != CROSSING => {
                        line.push(JOINTS[usize::from(*arms)]);
                    }
                    (None, [(_, a), (_, b)]) if a.min(b) == &(LEFT | RIGHT) && a.max(b) == &(UP | DOWN) => {
                        line.push(CROSSING);
                    }
                    (None, _) => return None,
                    (Some(text), _) => line.push_str(text),
                }
            }
            lines.push(line.trim_end().to_owned());
        }
        let first = lines.iter().position(|line| !line.is_empty())?;
        let last = lines.iter().rposition(|line| !line.is_empty())?;
        Some(lines[first..=last].join("\n") + "\n")
    }
}

/// The number of columns that a text takes.
pub(super) fn columns(text: &str) -> usize {
    text.width()
}

/// The text in pieces that stand in cells of their own, each with its columns: what joins the character before it, such
/// as a mark or the second half of an emoji, goes with it.
fn pieces(text: &str) -> Vec<(&str, usize)> {
    let mut pieces: Vec<(std::ops::Range<usize>, usize)> = Vec::new();
    let mut taken = 0;
    for (at, c) in text.char_indices() {
        let end = at + c.len_utf8();
        let now = text[..end].width();
        match pieces.last_mut() {
            Some((piece, width)) if now <= taken || c.width() == Some(0) => {
                piece.end = end;
                *width = (*width + now).saturating_sub(taken);
            }
            _ => pieces.push((at..end, now.saturating_sub(taken))),
        }
        taken = now;
    }
    pieces.into_iter().map(|(piece, width)| (&text[piece], width)).collect()
}

/// The text if it fits into so many columns, else both its ends with an ellipsis between. Control characters,
/// which would break the line, become blanks.
pub(super) fn fit(text: &str, room: usize) -> String {
    let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if columns(&text) <= room {
        return text;
    }
    let pieces: Vec<(&str, f64)> =
        pieces(&text).into_iter().map(|(piece, width)| (piece, width as f64)).collect();
    text::without_middle(&pieces, room as f64 - 1.0)
}

/// The first line of each node in about so many columns.
pub(super) fn first_lines_in(nodes: &[DiagramNode], room: usize) -> Vec<String> {
    let width = |text: &str| columns(text) as f64;
    let cut = |text: &str, room: f64| fit(text, room as usize);
    let lines = first_lines(nodes, room as f64, [&width, &width], [&cut, &cut]);
    lines.into_iter().map(|line| line.concat()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_character_takes_the_columns_that_a_terminal_gives_it() {
        let widths = ["v\u{304}1", "日本", "a日", "🦀", "👩\u{200d}🚀", "e\u{301}"].map(columns);
        assert_eq!(widths, [2, 4, 3, 2, 2, 1]);
    }

    #[test]
    fn what_joins_the_character_before_it_stays_with_it() {
        assert_eq!(pieces("v\u{304}日x"), [("v\u{304}", 1), ("日", 2), ("x", 1)]);
        assert_eq!(pieces("👩\u{200d}🚀!"), [("👩\u{200d}🚀", 2), ("!", 1)]);
        for text in ["v\u{304}1 = 日本 · x", "❤\u{fe0f}❤\u{fe0e}", ""] {
            assert_eq!(pieces(text).iter().map(|(_, width)| width).sum::<usize>(), columns(text), "{text:?}");
        }
    }

    #[test]
    fn a_text_that_is_cut_takes_no_more_than_its_room() {
        for room in 1..8 {
            let cut = fit("日本語 = 日本語", room);
            assert!(cut.contains('…') && columns(&cut) <= room && room - columns(&cut) <= 1, "{room}: {cut}");
        }
        assert_eq!(fit("velocity_of_the_first_A", 12), "veloci…rst_A");
        assert_eq!(fit("v\u{304}1 = 2", 6), "v\u{304}1 = 2");
        assert_eq!(fit("a\nb", 5), "a b");
    }

    #[test]
    fn a_box_around_wide_characters_is_closed_in_one_column() {
        let mut canvas = Canvas::new(4, 12);
        canvas.frame(0, 0, 8, &["日本", "x🦀"]);
        canvas.level(0, 1, 8, 11);
        let page = canvas.text().unwrap();
        assert_eq!(page, "┌──────┐\n│ 日本 │────\n│ x🦀  │\n└──────┘\n");
        let ends = page.lines().map(|line| columns(line.trim_end_matches('─')));
        assert_eq!(ends.collect::<Vec<_>>(), [8; 4]);
    }
}
