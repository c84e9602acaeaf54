//! Where a formula is evaluated: `x1=1, x2=1.5, x3=pi/2`.

use std::collections::HashSet;
use std::ops::Range;

use super::characters::{begins_name, is_blank, is_of_name, meant, name, problem_of_name};
use super::error::TextError;
use super::parse::parse;
use super::range::{Cause, Survey};
use crate::document::number::exact;
use crate::exec::Interpreter;
use crate::ops::Draw;

/// Names with their values, in the order in which they were given.
pub type Point = Vec<(String, f64)>;

/// Reads entries `name=value`, which stand apart by commas, semicolons or white space. A value is a number or a formula
/// without variables, such as `2 * pi`; it ends where the next name with its `=` begins.
///
/// # Errors
/// What is not of that form, and names given twice, with the column.
pub fn parse_point(text: &str) -> Result<Point, TextError> {
    parse_points([text])
}

/// Reads one point from several such texts.
///
/// # Errors
/// As [`parse_point`], in the text where the mistake is.
pub fn parse_points<'t>(texts: impl IntoIterator<Item = &'t str>) -> Result<Point, TextError> {
    let mut point = Point::new();
    let mut known = HashSet::new();
    for text in texts {
        for entry in entries(text)? {
            let error = |at: &Range<usize>, problem: String| TextError::new(text, at.clone(), problem);
            let name = name(&text[entry.name.clone()]);
            if let Some(problem) = problem_of_name(&name) {
                return Err(error(&entry.name, problem));
            }
            if !known.insert(name.to_string()) {
                return Err(error(&entry.name, format!("{name} has a value already")));
            }
            let value = value(&text[entry.value.clone()], &name)
                .map_err(|error| error.within(text, entry.value.start))?;
            point.push((name.into(), value));
        }
    }
    Ok(point)
}

/// The value of a name.
fn value(text: &str, name: &str) -> Result<f64, TextError> {
    let what = || format!("the value of {name}");
    let formula = parse(text).map_err(|error| error.of(&what()))?;
    let error = |problem: String| Err(TextError::new(text, 0..text.len(), problem));
    if let Some((variable, _)) = formula.variables().first() {
        return error(format!("{} is not a number: it holds {variable}", what()));
    }
    let graph = formula.graph();
    let mut values = Interpreter::<f64>::new(graph);
    values.run(0..graph.len(), Draw::default());
    let mut survey = Survey::new(graph);
    survey.look(graph, &values, 0..graph.len());
    let value = values.get(formula.output())[0];
    if !value.is_finite() {
        error(format!("{} is {value}, not a finite number", what()))
    } else if let Some(Cause::Underflow(small)) = survey.left(&values, formula.output()) {
        let became = exact(values.get(small)[0]);
        error(format!("{} underflows: a number of it is too small for float64 and becomes {became}", what()))
    } else {
        Ok(value)
    }
}

/// A mistake about a name of such a text, or of a text that is the name alone; nothing if the name is not in it.
pub fn mistake_about(text: &str, known: &str, problem: &str) -> Option<TextError> {
    let at = match entries(text) {
        Ok(entries) => {
            entries.into_iter().map(|entry| entry.name).find(|at| name(&text[at.clone()]) == known)
        }
        Err(_) => Some(trimmed(text, 0..text.len())).filter(|at| name(&text[at.clone()]) == known),
    };
    at.map(|at| TextError::new(text, at, problem))
}

/// A name and its value: where they stand.
struct Entry {
    name: Range<usize>,
    value: Range<usize>,
}

/// Cuts a text into its entries.
fn entries(text: &str) -> Result<Vec<Entry>, TextError> {
    let error = |at: Range<usize>, problem: String| Err(TextError::new(text, at, problem));
    let mut entries: Vec<Entry> = Vec::new();
    let mut end = 0; // of what is read
    for (at, sign) in text.char_indices().filter(|(_, c)| meant(*c) == '=') {
        let before = text[end..at].trim_end_matches(is_blank);
        let begin = end + before.trim_end_matches(is_of_name).len();
        let name = begin..end + before.len();
        let after = at + sign.len_utf8();
        if !text[name.clone()].starts_with(begins_name) {
            // What has no form of a name reaches from the last separator.
            let odd = before.rsplit(is_separator).next().unwrap_or_default();
            let odd = trimmed(text, end + before.len() - odd.len()..end + before.len());
            let problem = match &text[odd.clone()] {
                "" => return error(at..after, "a name is missing before this =".into()),
                odd => format!("{odd:?} is not a name; each entry is name=value"),
            };
            return error(odd, problem);
        }
        between(text, end..name.start, &mut entries)?;
        entries.push(Entry { name, value: after..after });
        end = after;
    }
    between(text, end..text.len(), &mut entries)?;
    Ok(entries)
}

/// What stands between an entry's `=`, if one came before, and the next name: a value, and one separator at most.
fn between(text: &str, range: Range<usize>, entries: &mut [Entry]) -> Result<(), TextError> {
    // A comma within parentheses is one of the value's.
    let mut pieces = vec![range.start];
    let mut depth = 0_usize;
    for (at, c) in text[range.clone()].char_indices() {
        match meant(c) {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ if is_separator(c) && depth == 0 => {
                pieces.push(range.start + at);
                pieces.push(range.start + at + c.len_utf8());
            }
            _ => {}
        }
    }
    pieces.push(range.end);
    let mut pieces = pieces.chunks(2).map(|piece| trimmed(text, piece[0]..piece[1]));
    let first = pieces.next().unwrap_or(range.clone());
    let count = pieces.len();
    let is_last = range.end == text.len();
    let lacks = |at: Range<usize>| {
        let problem = match &text[at.clone()] {
            "" => "nothing stands here; each entry is name=value".to_owned(),
            odd => format!("{odd:?} lacks its value; each entry is name=value"),
        };
        Err(TextError::new(text, at, problem))
    };
    match entries.last_mut() {
        Some(entry) => entry.value = first,
        None if count > 0 || !text[first.clone()].is_empty() => return lacks(first),
        None => {}
    }
    for (position, at) in pieces.enumerate() {
        // The last is what stands before the next name: nothing.
        let is_gap = position + 1 == count && !is_last && text[at.clone()].is_empty();
        if !is_gap {
            return lacks(at);
        }
    }
    Ok(())
}

fn is_separator(c: char) -> bool {
    matches!(meant(c), ',' | ';') || matches!(c, '、' | '،')
}

/// A range without the white space at its ends.
fn trimmed(text: &str, range: Range<usize>) -> Range<usize> {
    let piece = &text[range.clone()];
    let begin = piece.len() - piece.trim_start_matches(is_blank).len();
    let length = piece.trim_matches(is_blank).len();
    range.start + begin..range.start + begin + length
}
