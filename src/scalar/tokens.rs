//! The smallest parts of a formula: numbers, names, symbols, each with its place.

use std::ops::Range;

use super::error::TextError;

/// One of them.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum Token<'t> {
    Number(f64),
    Name(&'t str),
    /// One of `+ - * / ^ ( ) ,`.
    Symbol(char),
}

/// Cuts a formula up.
///
/// # Errors
/// A character that means nothing, or a number that float64 cannot hold.
pub(super) fn tokens(text: &str) -> Result<Vec<(Token<'_>, Range<usize>)>, TextError> {
    let mut tokens = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let start = text.len() - rest.len();
        let (token, length) = if first.is_whitespace() {
            rest = &rest[first.len_utf8()..];
            continue;
        } else if first.is_ascii_digit() || first == '.' {
            let length = number_length(rest);
            match rest[..length].parse::<f64>() {
                Ok(number) if number.is_finite() => (Token::Number(number), length),
                Ok(_) => {
                    return Err(TextError::new(
                        text,
                        start..start + length,
                        "this number is too large for float64",
                    ));
                }
                Err(_) => return Err(TextError::new(text, start..start + length, "this is not a number")),
            }
        } else if first.is_alphabetic() || first == '_' {
            let length = rest.find(|c: char| !is_of_name(c)).unwrap_or(rest.len());
            (Token::Name(&rest[..length]), length)
        } else {
            let symbol = match first {
                '+' | '-' | '*' | '/' | '^' | '(' | ')' | ',' => first,
                '·' | '×' => '*', // as they are printed
                '−' => '-',
                _ => {
                    let problem = format!("the character {first:?} means nothing in a formula");
                    return Err(TextError::new(text, start..start + first.len_utf8(), problem));
                }
            };
            (Token::Symbol(symbol), first.len_utf8())
        };
        tokens.push((token, start..start + length));
        rest = &rest[length..];
    }
    Ok(tokens)
}

/// Whether a name may hold the character; superscripts are no digits here.
pub(super) fn is_of_name(c: char) -> bool {
    c.is_alphabetic() || c.is_ascii_digit() || c == '_'
}

/// The bytes of the number at the beginning: digits, a point, and an exponent only if it has digits.
fn number_length(text: &str) -> usize {
    let digits = |from: usize| from + text[from..].bytes().take_while(u8::is_ascii_digit).count();
    let mut end = digits(0);
    if text[end..].starts_with('.') {
        end = digits(end + 1);
    }
    if text[end..].starts_with(['e', 'E']) {
        let signed = end + 1 + usize::from(text[end + 1..].starts_with(['+', '-']));
        if digits(signed) > signed {
            end = digits(signed);
        }
    }
    end
}
