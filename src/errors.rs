//! Errors as they are shown.

use std::borrow::Cow;
use std::error::Error;

/// An error with all its causes, on one line: `the work on cuda:0 failed: out of memory`.
pub fn with_causes(error: &dyn Error) -> String {
    let mut message = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        message += &format!(": {error}");
        cause = error.source();
    }
    message
}

/// Text as a terminal may be sent it: names and files of others may hold characters that move the cursor, change the title
/// or turn the direction of writing; each is shown as its number, and a line stays a line.
pub fn printable(text: &str) -> Cow<'_, str> {
    // Marks and embeddings of direction, which make a line look like another.
    let turns = |c: char| matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{61c}');
    let is_meant = |c: char| c == '\n' || c == '\t' || !(c.is_control() || turns(c));
    if text.chars().all(is_meant) {
        return text.into();
    }
    let shown = |c: char| if is_meant(c) { c.to_string() } else { c.escape_unicode().to_string() };
    text.chars().map(shown).collect::<String>().into()
}

#[cfg(test)]
mod tests {
    use super::printable;

    #[test]
    fn what_moves_a_terminal_is_shown_as_its_number() {
        assert_eq!(printable("a\tbé\n"), "a\tbé\n");
        assert_eq!(
            printable("a\u{1b}]0;b\u{7}\r\u{9b}1A\u{202e}"),
            "a\\u{1b}]0;b\\u{7}\\u{d}\\u{9b}1A\\u{202e}"
        );
    }
}
