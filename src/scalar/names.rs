//! What a trace calls its nodes and its value, so that nothing else is called so.
//!
//! Rows are v-1, v0, v1, ... and the value is f (Griewank and Walther 2008, section 2.2). An input may be called `v1` or
//! `f`, too: then another letter stands for rows, or for the value, throughout: in text, files, drawings, notes and errors.

use std::borrow::Cow;
use std::collections::HashSet;

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// The letters of rows, in the order in which they are taken.
const ROWS: [&str; 4] = ["v", "w", "u", "z"];

/// Those of the value.
const VALUES: [&str; 4] = ["f", "g", "h", "y"];

/// What plain notation puts before a row's name for its tangent and its adjoint.
pub(super) const DOT: &str = "dot_";
pub(super) const BAR: &str = "adj_";

/// What everything is called that the user has not named.
#[derive(Clone, Debug)]
pub struct Names {
    row: String,
    value: String,
    /// Names such as `x_1` that stand beside `x1`.
    literal: HashSet<String>,
}

impl Names {
    /// What nodes are called beside inputs of these names.
    pub fn beside<'a>(inputs: impl Iterator<Item = &'a str> + Clone) -> Self {
        let (mut rows, mut values) = (HashSet::new(), HashSet::new());
        for name in inputs.clone() {
            let seen = seen(name);
            let bare = [DOT, BAR].iter().find_map(|mark| seen.strip_prefix(mark));
            let letters = bare.unwrap_or(&seen);
            let without_number = letters.trim_end_matches(|c: char| c.is_ascii_digit());
            let is_numbered = without_number.len() < letters.len();
            if is_numbered || bare.is_some() {
                rows.insert(without_number.trim_end_matches('_').to_owned());
            }
            if !is_numbered {
                values.insert(letters.to_owned());
            }
        }
        let indexed: Vec<(&str, String)> = inputs
            .clone()
            .filter_map(|name| index(name).map(|(base, index)| (name, format!("{base}{index}"))))
            .filter(|(name, joined)| name.len() > joined.len())
            .collect();
        let mut literal = HashSet::new();
        if !indexed.is_empty() {
            let all: HashSet<&str> = inputs.collect();
            literal.extend(
                indexed
                    .iter()
                    .filter(|(_, joined)| all.contains(&joined[..]))
                    .map(|(name, _)| (*name).to_owned()),
            );
        }
        Self { row: free(&ROWS, &rows), value: free(&VALUES, &values), literal }
    }

    /// A node's name: v-1 of an input, v1 of an operation.
    pub fn row(&self, number: i64) -> String {
        format!("{}{number}", self.row)
    }

    /// The letter of rows.
    pub fn letter(&self) -> &str {
        &self.row
    }

    /// The name of the formula's value.
    pub fn value(&self) -> &str {
        &self.value
    }

    /// An input's name as a base and an index, if it ends in digits: `x1`, and `x_1` unless an `x1` stands beside it.
    pub(super) fn indexed<'n>(&self, name: &'n str) -> Option<(&'n str, &'n str)> {
        match index(name) {
            Some((_, index)) if self.literal.contains(name) => {
                Some((&name[..name.len() - index.len()], index))
            }
            found => found,
        }
    }
}

/// The base and the digits at the end of a name; one `_` between them is of neither.
fn index(name: &str) -> Option<(&str, &str)> {
    let base = name.trim_end_matches(|c: char| c.is_ascii_digit());
    let index = &name[base.len()..];
    let short = base.strip_suffix('_').filter(|short| !short.is_empty() && !short.ends_with('_'));
    (!index.is_empty()).then_some((short.unwrap_or(base), index))
}

/// A name as it looks: without accents, which might be taken for those of tangents and adjoints, and with the Greek
/// letters that are drawn like Latin ones.
fn seen(name: &str) -> Cow<'_, str> {
    if name.is_ascii() {
        return name.into();
    }
    let alike = |c| match c {
        'ν' | 'ѵ' => 'v',
        'υ' => 'u',
        'ω' => 'w',
        c => c,
    };
    name.nfd().filter(|c| !is_combining_mark(*c)).map(alike).collect::<String>().into()
}

/// The first letter that is not taken, or one repeated until it is not.
fn free(letters: &[&str], taken: &HashSet<String>) -> String {
    let repeated = (2..).map(|count| letters[0].repeat(count));
    let mut candidates = letters.iter().map(|letter| (*letter).to_owned()).chain(repeated);
    candidates.find(|letter| !taken.contains(letter)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn beside(names: &[&str]) -> (String, String) {
        let names = Names::beside(names.iter().copied());
        (names.row(1), names.value().to_owned())
    }

    #[test]
    fn rows_and_value_have_their_usual_letters_where_no_input_looks_so() {
        for inputs in [
            &[][..],
            &["x1", "x2"],
            &["v", "u"],
            &["w1", "f1"],
            &["velocity1", "rev2", "dv1", "v1a"],
            &["f_1"],
        ] {
            assert_eq!(beside(inputs), ("v1".into(), "f".into()), "{inputs:?}");
        }
    }

    #[test]
    fn rows_take_another_letter_where_an_input_looks_like_one() {
        for input in ["v1", "v0", "v10", "v_1", "dot_v1", "adj_v1", "dot_v", "ν1", "ṿ1", "v007"] {
            assert_eq!(beside(&[input]).0, "w1", "{input}");
        }
        assert_eq!(beside(&["v1", "w2"]).0, "u1");
        assert_eq!(beside(&["v1", "ẇ2", "ū1", "x"]).0, "z1", "an accent on a w is as of a tangent");
        assert_eq!(beside(&["v1", "w1", "u1", "z1"]).0, "vv1");
        assert_eq!(beside(&["v1", "w1", "u1", "z1", "vv2", "vvv3"]).0, "vvvv1");
    }

    #[test]
    fn the_value_takes_another_letter_where_an_input_has_its_own() {
        for input in ["f", "dot_f", "adj_f", "ḟ"] {
            assert_eq!(beside(&[input, "x"]), ("v1".into(), "g".into()), "{input}");
        }
        assert_eq!(beside(&["f", "g", "h", "y"]).1, "ff");
    }

    #[test]
    fn an_underscore_before_digits_is_an_index_where_nothing_else_is() {
        let alone = Names::beside(["x_1", "y", "z__2"].into_iter());
        assert_eq!(alone.indexed("x_1"), Some(("x", "1")));
        assert_eq!((alone.indexed("y"), alone.indexed("z__2")), (None, Some(("z__", "2"))));
        let both = Names::beside(["x_1", "x1"].into_iter());
        assert_eq!((both.indexed("x_1"), both.indexed("x1")), (Some(("x_", "1")), Some(("x", "1"))));
    }
}
