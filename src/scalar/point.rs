//! Where a formula is evaluated: `x1=1,x2=1.5,x3=2`.

use super::error::TextError;
use super::parse::parse;
use super::tokens::is_of_name;
use crate::exec::Interpreter;
use crate::ops::Draw;

/// Names with their values, in the order in which they were given.
pub type Point = Vec<(String, f64)>;

/// Reads `name=value,name=value`. A value is a number or a formula without variables, such as `pi/2`.
///
/// # Errors
/// What is not of that form, and names given twice, with the column.
pub fn parse_point(text: &str) -> Result<Point, TextError> {
    let mut point = Point::new();
    let mut start = 0;
    if text.trim().is_empty() {
        return Ok(point);
    }
    for entry in text.split(',') {
        let end = start + entry.len();
        let Some((name, value)) = entry.split_once('=') else {
            let problem = match entry.trim() {
                "" => "nothing stands here; each entry is name=value".into(),
                _ => format!("{:?} lacks its value; each entry is name=value", entry.trim()),
            };
            return Err(TextError::new(text, start..end, problem));
        };
        let (value_start, name) = (start + name.len() + 1, name.trim());
        if !is_name(name) {
            return Err(TextError::new(
                text,
                start..end,
                format!("{name:?} is not a name; each entry is name=value"),
            ));
        }
        if point.iter().any(|(other, _)| other == name) {
            return Err(TextError::new(text, start..end, format!("{name} has a value already")));
        }
        let formula = parse(value).map_err(|error| {
            let problem = format!("the value of {name}: {}", error.problem());
            let (_, column) = error.position();
            let offset = value.char_indices().nth(column - 1).map_or(value.len(), |(offset, _)| offset);
            let at = if value.trim().is_empty() {
                0..0
            } else {
                offset..offset + value[offset..].chars().next().map_or(0, char::len_utf8)
            };
            TextError::new(value, at, problem).within(text, value_start)
        })?;
        let place = value_start..end;
        if let Some((variable, _)) = formula.variables().first() {
            let problem = format!("the value of {name} is not a number: it holds {variable}");
            return Err(TextError::new(text, place, problem));
        }
        let mut values = Interpreter::<f64>::new(formula.graph());
        values.run(0..formula.graph().len(), Draw::default());
        let value = values.get(formula.output())[0];
        if !value.is_finite() {
            return Err(TextError::new(
                text,
                place,
                format!("the value of {name} is {value}, not a finite number"),
            ));
        }
        point.push((name.to_owned(), value));
        start = end + 1;
    }
    Ok(point)
}

/// A mistake about a name of such a text, or of a text that is the name alone; nothing if the name is not in it.
pub fn mistake_about(text: &str, name: &str, problem: &str) -> Option<TextError> {
    let mut start = 0;
    for entry in text.split(',') {
        let own = entry.split('=').next().unwrap_or_default();
        if own.trim() == name {
            let begin = start + own.len() - own.trim_start().len();
            return Some(TextError::new(text, begin..begin + name.len(), problem));
        }
        start += entry.len() + 1;
    }
    None
}

fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_alphabetic() || c == '_') && text.chars().all(is_of_name)
}
