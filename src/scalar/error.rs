//! A mistake in a text: what is wrong, at which column, and a caret under it.

use std::fmt;
use std::ops::Range;

use unicode_width::UnicodeWidthStr;

/// The most characters of a line that are shown around a mistake.
const WINDOW: usize = 72;

/// What is wrong with a formula, or with another text of the user's, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TextError {
    problem: String,
    text: String,
    /// Bytes of `text`; empty at its end.
    at: Range<usize>,
}

impl TextError {
    pub(super) fn new(text: &str, at: Range<usize>, problem: impl Into<String>) -> Self {
        Self { problem: problem.into(), text: text.into(), at }
    }

    /// The same mistake, where the text was `whole[start..]` cut off somewhere.
    pub(super) fn within(self, whole: &str, start: usize) -> Self {
        Self { text: whole.into(), at: self.at.start + start..self.at.end + start, ..self }
    }

    /// The same mistake, with words before what is wrong.
    pub(super) fn of(self, what: &str) -> Self {
        Self { problem: format!("{what}: {}", self.problem), ..self }
    }

    /// What is wrong, without the place.
    pub fn problem(&self) -> &str {
        &self.problem
    }

    /// The line and the column of the mistake in characters, from 1.
    pub fn position(&self) -> (usize, usize) {
        let before = &self.text[..self.at.start];
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        (line, column)
    }
}

impl std::error::Error for TextError {}

impl fmt::Display for TextError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (line, column) = self.position();
        write!(f, "{} (", self.problem)?;
        if self.text.trim_end().contains('\n') {
            write!(f, "line {line}, ")?;
        }
        write!(f, "column {column})")?;
        let shown: Vec<char> = self.text.lines().nth(line - 1).unwrap_or_default().chars().collect();
        if shown.iter().all(|c| c.is_whitespace()) {
            return Ok(());
        }
        let start = if shown.len() <= WINDOW { 0 } else { (column - 1).saturating_sub(WINDOW / 2) };
        let end = shown.len().min(start + WINDOW);
        let piece: String = shown[start..end].iter().map(|c| if c.is_control() { ' ' } else { *c }).collect();
        let (before, after) = (if start > 0 { "…" } else { "" }, if end < shown.len() { "…" } else { "" });
        let marked = self.text[self.at.clone()].lines().next().unwrap_or_default().chars().count();
        // Some characters take two columns, and some none.
        let part =
            |from: usize, count: usize| piece.chars().skip(from).take(count).collect::<String>().width();
        let indent = before.width() + part(0, column - 1 - start);
        let carets = part(column - 1 - start, marked).max(1);
        write!(f, "\n\n    {before}{piece}{after}\n    {:indent$}{}", "", "^".repeat(carets))
    }
}

/// The known name that an unknown one is nearly spelt as.
pub(super) fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // Not for names of any length: the distance takes time in the product of both.
    let near = |known: &&str| name.len() <= 40 && strsim::osa_distance(name, known) <= name.len().div_ceil(3);
    known.into_iter().filter(near).min_by_key(|known| strsim::osa_distance(name, known))
}

/// That a name is none of the formula's inputs, and which it has.
pub(super) fn not_an_input<'a>(name: &str, inputs: impl Iterator<Item = &'a str> + Clone) -> String {
    let problem = format!("{} is no input of the formula", shortened(name));
    // Another case first, and no guesses from a single letter.
    let same = inputs.clone().find(|input| input.to_lowercase() == name.to_lowercase());
    let near = || nearest(name, inputs.clone()).filter(|_| name.chars().count() > 1);
    if let Some(meant) = same.or_else(near) {
        return format!("{problem}; did you mean {}?", shortened(meant));
    }
    const SHOWN: usize = 6;
    let count = inputs.clone().count();
    let mut shown: Vec<String> = inputs.take(SHOWN).map(shortened).collect();
    if count > SHOWN {
        shown.push(format!("{} more", count - SHOWN));
    }
    match (shown.pop(), shown.is_empty()) {
        (None, _) => format!("{problem}, which has none"),
        (Some(only), true) => format!("{problem}, whose only input is {only}"),
        (Some(last), false) => format!("{problem}, whose inputs are {} and {last}", shown.join(", ")),
    }
}

/// A name that fits into a message.
pub(super) fn shortened(name: &str) -> String {
    if name.chars().count() <= 40 {
        name.into()
    } else {
        format!("{}…", name.chars().take(40).collect::<String>())
    }
}
