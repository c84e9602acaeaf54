//! A result beside the right one: the first wrong element, where the wrong ones are, and what they look like.

use serde::{Deserialize, Serialize};

use super::reference::Expected;

/// What an output holds before the launch: a NaN of its own, so that an element that nobody wrote is known. It is a
/// signalling one; whoever computes with it gets [`ADDED_TO`].
pub const UNWRITTEN: u32 = 0x7fa0_c0de;
/// [`UNWRITTEN`] after arithmetic.
const ADDED_TO: u32 = UNWRITTEN | 0x0040_0000;
/// What shared memory holds before anyone has written it: all bits set.
const UNSET_SHARED: u32 = 0xffff_ffff;
/// What the compiler fills local variables with that the kernel does not set.
const UNSET_LOCAL: u32 = 0xfefe_fefe;

/// A result that is wrong, in words.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Mismatch {
    /// `c[3, 17] is 0, not 1.25`
    pub first: String,
    /// `41 of 1024 elements are wrong: all of columns 16 to 31`
    pub extent: String,
    /// What the wrong elements look like.
    pub hint: Option<String>,
}

/// What is wrong with a matrix of that name and so many columns; nothing if it is right.
pub fn compare(
    name: &str,
    columns: usize,
    found: &[u32],
    expected: &[Expected],
    mistakes: impl FnOnce() -> Vec<(String, Vec<f64>)>,
) -> Option<Mismatch> {
    let value = |bits: u32| f64::from(f32::from_bits(bits));
    let near = |found: f64, expected: f64, tolerance: f64| (found - expected).abs() <= tolerance; // false for NaN
    let wrong: Vec<usize> = (0..expected.len())
        .filter(|&at| !near(value(found[at]), expected[at].value, expected[at].tolerance))
        .collect();
    let &first = wrong.first()?;
    let place = match expected.len() {
        1 => format!("{name}[0]"),
        _ => format!("{name}[{}, {}]", first / columns, first % columns),
    };
    let similar = |(_, other): &(String, Vec<f64>)| {
        let mut all = other.iter().zip(found).zip(expected);
        all.all(|((&other, &found), expected)| {
            other.is_nan() || near(value(found), other, expected.tolerance)
        })
    };
    let hint =
        by_bits(name, &wrong, found).or_else(|| mistakes().into_iter().find(similar).map(|(what, _)| what));
    Some(Mismatch {
        first: format!("{place} is {}, not {}", number(found[first]), rounded(expected[first].value)),
        extent: extent(&wrong, columns, expected.len()),
        hint,
    })
}

/// What the bits of the wrong elements say; the rarest say most.
fn by_bits(name: &str, wrong: &[usize], found: &[u32]) -> Option<String> {
    let count = |bits: u32| wrong.iter().filter(|&&at| found[at] == bits).count();
    let (unwritten, unset) = (count(UNWRITTEN), count(UNSET_SHARED));
    let which = |count: usize| match count {
        1 if wrong.len() == 1 => "it is".to_owned(),
        1 => "one of them is".to_owned(),
        _ if count == wrong.len() => "they are".to_owned(),
        _ => format!("{count} of them are"),
    };
    if count(ADDED_TO) > 0 {
        return Some(format!(
            "{name} is added to, but nobody has set it: before the launch it holds nothing of use, so sum in a local variable"
        ));
    }
    if count(UNSET_LOCAL) > 0 {
        return Some(
            "a local variable is used that was never set, such as `float sum;` without `= 0.0f`".into(),
        );
    }
    if unset > 0 {
        return Some(format!("{} made of shared memory that no thread had written yet", which(unset)));
    }
    if unwritten > 0 {
        return Some(format!("{} never written: no thread of the grid is responsible", which(unwritten)));
    }
    let values = || wrong.iter().map(|&at| f32::from_bits(found[at]));
    if values().all(f32::is_nan) {
        return Some(format!(
            "{} NaN, which infinity - infinity or 0 / 0 gives: exp of more than 88 is infinite, so subtract the maximum first",
            which(wrong.len())
        ));
    }
    None
}

/// Where the wrong elements are.
fn extent(wrong: &[usize], columns: usize, total: usize) -> String {
    let rows = total / columns;
    if total == 1 {
        return String::new(); // the first says it all
    }
    if wrong.len() == total {
        return format!("all {total} elements are wrong");
    }
    let of = |index: fn(usize, usize) -> usize| {
        let indices = || wrong.iter().map(|&at| index(at, columns));
        (indices().min().unwrap_or(0), indices().max().unwrap_or(0))
    };
    let (rows_wrong, columns_wrong) = (of(|at, columns| at / columns), of(|at, columns| at % columns));
    let span = |what: &str, (first, last): (usize, usize), count: usize| match (first, last) {
        _ if first == 0 && last + 1 == count => None,
        _ if first == last => Some(format!("{what} {first}")),
        _ if last + 1 == count => Some(format!("{what}s {first} and up")),
        _ => Some(format!("{what}s {first} to {last}")),
    };
    let area = (rows_wrong.1 - rows_wrong.0 + 1) * (columns_wrong.1 - columns_wrong.0 + 1);
    let spans = [span("row", rows_wrong, rows), span("column", columns_wrong, columns)];
    let spans: Vec<String> = spans.into_iter().flatten().collect();
    let verb = if wrong.len() == 1 { "is" } else { "are" };
    let counted = format!("{} of {total} elements {verb} wrong", wrong.len());
    match (spans.is_empty(), area == wrong.len()) {
        (true, _) => format!("{counted}, in all rows and columns"),
        (false, true) => format!("{counted}: all of {}", spans.join(" in ")),
        (false, false) => format!("{counted}, all in {}", spans.join(", ")),
    }
}

fn number(bits: u32) -> String {
    match f32::from_bits(bits) {
        x if x.is_nan() => "NaN".into(),
        x => rounded(x.into()),
    }
}

/// Six digits, and no zeros behind them.
fn rounded(x: f64) -> String {
    if x == 0.0 || !x.is_finite() {
        return format!("{x}");
    }
    if !(1e-4..1e7).contains(&x.abs()) {
        return format!("{x:.5e}");
    }
    let digits = (5 - x.abs().log10().floor() as i32).clamp(0, 9) as usize;
    let text = format!("{x:.digits$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').into() } else { text }
}

#[cfg(test)]
fn compared(columns: usize, found: &[f32]) -> Option<Mismatch> {
    let expected: Vec<Expected> =
        (0..found.len()).map(|i| Expected { value: i as f64, tolerance: 0.01 }).collect();
    let found: Vec<u32> = found.iter().map(|x| x.to_bits()).collect();
    let mistakes = || vec![("twice".into(), (0..expected.len()).map(|i| 2.0 * i as f64).collect())];
    compare("c", columns, &found, &expected, mistakes)
}

#[test]
fn the_first_wrong_element_and_the_place_of_all_are_said() {
    let right: Vec<f32> = (0..12).map(|i| i as f32).collect();
    assert_eq!(compared(4, &right), None);
    let with = |wrong: &[usize], value: f32| {
        let mut values = right.clone();
        wrong.iter().for_each(|&at| values[at] = value);
        compared(4, &values).unwrap()
    };
    let one = with(&[6], 0.5);
    assert_eq!((one.first.as_str(), one.hint), ("c[1, 2] is 0.5, not 6", None));
    assert_eq!(one.extent, "1 of 12 elements is wrong: all of row 1 in column 2");
    assert_eq!(
        with(&[2, 3, 6, 7, 10, 11], -1.0).extent,
        "6 of 12 elements are wrong: all of columns 2 and up"
    );
    assert_eq!(
        with(&[4, 6, 9], -1.0).extent,
        "3 of 12 elements are wrong, all in rows 1 and up, columns 0 to 2"
    );
    assert_eq!(with(&[0, 11], -1.0).extent, "2 of 12 elements are wrong, in all rows and columns");
    let nan = with(&[1, 5], f32::NAN);
    assert!(nan.first.contains("is NaN, not 1") && nan.hint.unwrap().contains("they are NaN"));
}

#[test]
fn what_wrong_elements_look_like_is_said() {
    let hint = |found: &[f32]| compared(2, found).unwrap().hint.unwrap();
    let bits = f32::from_bits;
    assert_eq!(hint(&[0.0, 2.0, 4.0, 6.0]), "twice");
    assert!(hint(&[0.0, bits(UNWRITTEN), 2.0, 9.0]).starts_with("one of them is never written"));
    assert!(hint(&[0.0, bits(UNWRITTEN), 2.0, bits(UNWRITTEN)]).starts_with("they are never written"));
    assert!(hint(&[0.0, bits(ADDED_TO), 2.0, 3.0]).starts_with("c is added to"));
    assert!(hint(&[0.0, bits(UNSET_SHARED), 2.0, 3.0]).contains("it is made of shared memory"));
    assert!(hint(&[0.0, bits(UNSET_LOCAL), 2.0, 3.0]).contains("local variable"));
}
