//! A page of characters on which lines of different nets may cross but never touch.

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
    /// A character with its combining marks; hides lines.
    text: String,
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
        for c in text.chars() {
            let at = if is_mark(c) { next.saturating_sub(1) } else { next };
            let Some(cell) = self.rows.get_mut(row).and_then(|row| row.get_mut(at)) else { return };
            if !is_mark(c) {
                cell.text.clear();
                next += 1;
            }
            cell.text.push(c);
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
                match (cell.text.as_str(), cell.lines.as_slice()) {
                    ("", []) => line.push(' '),
                    ("", [(_, arms)]) if JOINTS[usize::from(*arms)] != CROSSING => {
                        line.push(JOINTS[usize::from(*arms)]);
                    }
                    ("", [(_, a), (_, b)]) if a.min(b) == &(LEFT | RIGHT) && a.max(b) == &(UP | DOWN) => {
                        line.push(CROSSING);
                    }
                    ("", _) => return None,
                    (text, _) => line.push_str(text),
                }
            }
            lines.push(line.trim_end().to_owned());
        }
        let first = lines.iter().position(|line| !line.is_empty())?;
        let last = lines.iter().rposition(|line| !line.is_empty())?;
        Some(lines[first..=last].join("\n") + "\n")
    }
}

fn is_mark(c: char) -> bool {
    matches!(c, '\u{300}'..='\u{36f}')
}

/// The number of columns that a text takes: combining marks (v̄) take none.
pub(super) fn columns(text: &str) -> usize {
    text.chars().filter(|&c| !is_mark(c)).count()
}

/// The text if it fits into so many columns, else its beginning and an ellipsis. Control characters,
/// which would break the line, become blanks.
pub(super) fn fit(text: &str, room: usize) -> String {
    let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if columns(&text) <= room {
        return text;
    }
    let mut taken = 0;
    let kept = text.chars().take_while(|&c| {
        taken += usize::from(!is_mark(c));
        taken < room
    });
    kept.chain(['…']).collect()
}
