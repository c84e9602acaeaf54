//! Rust's text as tokens: names and punctuation, without comments, strings, characters and lifetimes.

/// A name, a number or a mark (`::` is one), and the line it stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token<'a> {
    pub text: &'a str,
    pub line: usize,
}

/// The tokens of a file, in order.
pub fn tokens(text: &str) -> Vec<Token<'_>> {
    let mut rest = text;
    let mut line = 1;
    let mut tokens = Vec::new();
    while let Some(first) = rest.chars().next() {
        let (length, is_token) = match first {
            _ if rest.starts_with("//") => (rest.find('\n').unwrap_or(rest.len()), false),
            _ if rest.starts_with("/*") => (block_comment(rest), false),
            '"' => (string(rest), false),
            '\'' => (character_or_lifetime(rest), false),
            _ if rest.starts_with("::") => (2, true),
            _ if is_of_name(first) => name_or_prefixed_string(rest),
            _ => (first.len_utf8(), !first.is_whitespace()),
        };
        let (token, after) = rest.split_at(length);
        if is_token {
            tokens.push(Token { text: token, line });
        }
        line += token.matches('\n').count();
        rest = after;
    }
    tokens
}

pub fn is_of_name(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

/// The length of a comment between `/*` and `*/`, which may hold others.
fn block_comment(text: &str) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < text.len() {
        let rest = &text.as_bytes()[at..];
        let step = if rest.starts_with(b"/*") {
            depth += 1;
            2
        } else if rest.starts_with(b"*/") {
            depth -= 1;
            2
        } else {
            1
        };
        at += step;
        if depth == 0 {
            break;
        }
    }
    at
}

/// The length of a string with escapes, its quotes counted.
fn string(text: &str) -> usize {
    let mut escaped = false;
    let end = text[1..].char_indices().find(|&(_, character)| {
        let ends = character == '"' && !escaped;
        escaped = character == '\\' && !escaped;
        ends
    });
    end.map_or(text.len(), |(at, _)| at + 2)
}

fn character_or_lifetime(text: &str) -> usize {
    let mut after = text[1..].chars();
    match (after.next(), after.next()) {
        (Some('\\'), Some(escaped)) => {
            let skipped = 2 + escaped.len_utf8();
            text[skipped..].find('\'').map_or(text.len(), |at| skipped + at + 1)
        }
        (Some(one), Some('\'')) => one.len_utf8() + 2,
        _ => 1 + text[1..].find(|character| !is_of_name(character)).unwrap_or(text.len() - 1),
    }
}

/// The length of a name, or of the string that a name such as `b`, `r`, or `br#` begins, which is no token.
fn name_or_prefixed_string(text: &str) -> (usize, bool) {
    let length = text.find(|character| !is_of_name(character)).unwrap_or(text.len());
    let (name, rest) = text.split_at(length);
    let hashes = rest.len() - rest.trim_start_matches('#').len();
    match (name, rest[hashes..].starts_with('"')) {
        ("r" | "br" | "cr", true) => {
            let end = format!("\"{}", &rest[..hashes]);
            let begin = length + hashes + 1;
            (text[begin..].find(&end).map_or(text.len(), |at| begin + at + end.len()), false)
        }
        ("b" | "c", true) if hashes == 0 => (length + string(rest), false),
        ("b", _) if rest.starts_with('\'') => (length + character_or_lifetime(rest), false),
        _ => (length, true),
    }
}

#[test]
fn comments_strings_and_characters_are_no_tokens() {
    let text = "a // b\n/* c /* d */ e */ f \"g\\\"\" r#\"h\"i\"# '\\'' 'j' b'k' 'life x::y";
    let found: Vec<_> = tokens(text).iter().map(|token| (token.text, token.line)).collect();
    assert_eq!(found, [("a", 1), ("f", 2), ("x", 2), ("::", 2), ("y", 2)]);
}
