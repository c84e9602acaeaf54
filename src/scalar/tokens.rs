//! The smallest parts of a formula: numbers, names, symbols, each with its place.

use std::borrow::Cow;
use std::ops::Range;

use super::characters::{
    begins_name, fraction, is_blank, is_of_name, meant, name, problem_of, problem_of_name, raised,
};
use super::error::TextError;

/// One of them.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Token<'t> {
    Number(f64),
    Name(Cow<'t, str>),
    /// One of `+ - * / ^ ( ) , | √ ∛`.
    Symbol(char),
    /// The exponent of what stands before: `²`.
    Raised(f64),
}

/// A formula that is cut up, token by token.
#[derive(Clone)]
pub(super) struct Tokens<'t> {
    text: &'t str,
    start: usize,
}

/// Cuts a formula up.
pub(super) fn tokens(text: &str) -> Tokens<'_> {
    Tokens { text, start: 0 }
}

impl<'t> Tokens<'t> {
    /// The next one and its place; nothing at the end.
    ///
    /// # Errors
    /// A character that means nothing, or a number that float64 cannot hold.
    fn following(&mut self) -> Result<Option<(Token<'t>, Range<usize>)>, TextError> {
        let text = self.text;
        while let Some(first) = text[self.start..].chars().next() {
            let start = self.start;
            let rest = &text[start..];
            let error = |length: usize, problem: String| TextError::new(text, start..start + length, problem);
            let sign = meant(first);
            let (token, length) = if is_blank(first) {
                self.start += first.len_utf8();
                continue;
            } else if sign.is_ascii_digit() || sign == '.' {
                let (digits, length) = number(rest);
                if digits == "." && rest[length..].starts_with(begins_name) {
                    let problem = "a name holds no point: write sin(x), not np.sin(x)";
                    return Err(error(length, problem.into()));
                }
                (Token::Number(held(&digits).map_err(|problem| error(length, problem))?), length)
            } else if let Some(number) = fraction(first) {
                (Token::Number(number), first.len_utf8())
            } else if raised(first).is_some() {
                let length = rest.find(|c| raised(c).is_none()).unwrap_or(rest.len());
                let digits: String = rest[..length].chars().filter_map(raised).collect();
                if !digits.trim_start_matches(['+', '-']).starts_with(|c: char| c.is_ascii_digit()) {
                    let problem = "this raised sign is no exponent: write x² or x^2, x⁻¹ or x^-1";
                    return Err(error(length, problem.into()));
                }
                (Token::Raised(held(&digits).map_err(|problem| error(length, problem))?), length)
            } else if begins_name(first) {
                let length = rest.find(|c| !is_of_name(c)).unwrap_or(rest.len());
                let name = name(&rest[..length]);
                if let Some(problem) = problem_of_name(&name) {
                    return Err(error(length, problem));
                }
                (Token::Name(name), length)
            } else {
                match sign {
                    '*' if first == '*' && rest.starts_with("**") => (Token::Symbol('^'), 2), // as in Python
                    '+' | '-' | '*' | '/' | '^' | '(' | ')' | ',' | '|' | '√' | '∛' => {
                        (Token::Symbol(sign), first.len_utf8())
                    }
                    _ => return Err(error(first.len_utf8(), problem_of(first))),
                }
            };
            self.start += length;
            return Ok(Some((token, start..start + length)));
        }
        Ok(None)
    }
}

impl<'t> Iterator for Tokens<'t> {
    type Item = Result<(Token<'t>, Range<usize>), TextError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.following().transpose()
    }
}

/// The number at the beginning, in ASCII, and its bytes here: digits, a point, and an exponent only if it has digits.
fn number(text: &str) -> (String, usize) {
    let mut rest = text.char_indices().map(|(at, c)| (at + c.len_utf8(), meant(c))).peekable();
    let (mut number, mut end) = (String::new(), 0);
    let mut pointed = false;
    while let Some((after, c)) = rest.next_if(|(_, c)| c.is_ascii_digit() || (*c == '.' && !pointed)) {
        pointed |= c == '.';
        number.push(c);
        end = after;
    }
    if rest.next_if(|(_, c)| matches!(c, 'e' | 'E')).is_some() {
        let sign = rest.next_if(|(_, c)| matches!(c, '+' | '-')).map(|(_, c)| c);
        let mut exponent = String::from_iter(['e'].into_iter().chain(sign));
        let without = exponent.len();
        let mut last = end;
        while let Some((after, digit)) = rest.next_if(|(_, c)| c.is_ascii_digit()) {
            exponent.push(digit);
            last = after;
        }
        if exponent.len() > without {
            number += &exponent;
            end = last;
        }
    }
    (number, end)
}

/// The number as float64 holds it.
///
/// # Errors
/// What it cannot hold: what is too large, what would become 0, and what would lose digits because it is nearly 0.
fn held(text: &str) -> Result<f64, String> {
    let Ok(number) = text.parse::<f64>() else { return Err("this is not a number".into()) };
    if !number.is_finite() {
        return Err("this number is too large for float64".into());
    }
    if number.abs() >= f64::MIN_POSITIVE {
        return Ok(number);
    }
    let digits = text.split('e').next().unwrap_or_default();
    let digits: String = digits.chars().filter(char::is_ascii_digit).collect();
    let digits = digits.trim_matches('0');
    match (digits.len(), number) {
        (0, _) => Ok(number),
        (_, 0.0) => Err("this number is too small for float64: it would become 0".into()),
        // Below 2.2e-308 fewer and fewer binary digits are left: those that were written must come back.
        (count, _) => {
            let kept = format!("{number:.*e}", count.min(17) - 1);
            let same = kept.bytes().filter(u8::is_ascii_digit).zip(digits.bytes()).take(count.min(17));
            match same.clone().all(|(kept, written)| kept == written) {
                true => Ok(number),
                false => Err(format!(
                    "this number is too small for float64 to keep its digits: it would become {number:?}"
                )),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(text: &str) -> Result<Vec<f64>, String> {
        let number = |(token, _)| match token {
            Token::Number(number) | Token::Raised(number) => Some(number),
            _ => None,
        };
        let tokens: Result<Vec<_>, TextError> = tokens(text).collect();
        let tokens = tokens.map_err(|error| error.problem().to_owned())?;
        Ok(tokens.into_iter().filter_map(number).collect())
    }

    #[test]
    fn numbers_are_read_as_they_are_typed_and_pasted() {
        for (text, number) in [
            ("1.5e1", 15.0),
            (".5", 0.5),
            ("2.", 2.0),
            ("1e−5", 1e-5),
            ("1e–5", 1e-5),
            ("１２．５", 12.5),
            ("½", 0.5),
            ("¹⁰", 10.0),
            ("⁻¹", -1.0),
            ("0e-999", 0.0),
            ("0.000", 0.0),
            ("4.9e-324", 5e-324),
            ("2.2250738585072014e-308", f64::MIN_POSITIVE),
        ] {
            assert_eq!(numbers(text), Ok(vec![number]), "{text}");
        }
        assert_eq!(numbers("1.2.3"), Ok(vec![1.2, 0.3]), "an operator is missing, which the parser says");
        assert_eq!(numbers("2e"), Ok(vec![2.0]), "a name follows");
        assert_eq!(numbers("2e+"), Ok(vec![2.0]));
    }

    #[test]
    fn a_number_that_float64_cannot_hold_is_refused_at_either_end() {
        for (text, words) in [
            ("1e400", "too large"),
            ("1e-400", "it would become 0"),
            ("0.0000001e-320", "it would become 0"),
            (&format!("0.{}1", "0".repeat(400)), "it would become 0"),
            ("1.2345e-320", "it would become 1.2347e-320"),
            ("3e-324", "it would become 5e-324"),
            (".", "not a number"),
            ("⁻", "no exponent"),
            ("²⁻", "not a number"),
        ] {
            let problem = numbers(text).expect_err(text);
            assert!(problem.contains(words), "{text}: {problem}");
        }
    }
}
