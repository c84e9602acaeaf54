//! How wide text is, how to make it fit, and how to write it with the letters there are.
//!
//! Widths come from the embedded font itself, so a layout that fits here fits in the PNG; in a
//! browser without DejaVu Sans the next family is Verdana, drawn to nearly the same widths.
//! Kerning is left out: it only ever makes these labels narrower, by a pixel or two.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use skrifa::charmap::Charmap;
use skrifa::instance::{LocationRef, Size};
use skrifa::metrics::GlyphMetrics;
use skrifa::{FontRef, MetadataProvider};
use unicode_width::UnicodeWidthChar;

/// DejaVu Sans, reduced to the characters listed in `fonts/subset.sh`.
pub const REGULAR: &[u8] = include_bytes!("fonts/DejaVuSans-subset.ttf");
/// DejaVu Sans Bold, reduced to the same characters.
pub const BOLD: &[u8] = include_bytes!("fonts/DejaVuSans-Bold-subset.ttf");

/// Height of a capital or a digit, as a fraction of the font size: text is centred on `y` when its
/// baseline is half of this below.
pub const CAP_HEIGHT: f64 = 0.729;

/// How far letters such as g reach below the baseline, as a fraction of the font size.
pub const DESCENT: f64 = 0.236;

/// Width of a character the font lacks, as a fraction of the font size. A browser takes it from another font: a letter
/// or an ideograph has one em at most, a picture (emoji) a quarter more, a mark none of its own.
fn unknown_advance(c: char) -> f64 {
    match c.width() {
        Some(0) => 0.0,
        Some(2) if !c.is_alphabetic() => 1.25,
        _ => 1.0,
    }
}

/// The two weights that are embedded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Face {
    /// Everything but titles.
    Regular,
    /// Titles.
    Bold,
}

struct Advances {
    charmap: Charmap<'static>,
    metrics: GlyphMetrics<'static>,
}

impl Advances {
    /// `None` if the font cannot be read; a test shows that the embedded ones can.
    fn of(font: &'static [u8]) -> Option<Advances> {
        let font = FontRef::new(font).ok()?;
        Some(Advances {
            charmap: font.charmap(),
            metrics: font.glyph_metrics(Size::new(1.0), LocationRef::default()),
        })
    }

    fn advance(&self, c: char) -> Option<f64> {
        let glyph = self.charmap.map(c)?;
        self.metrics.advance_width(glyph).map(f64::from)
    }
}

fn advances(face: Face) -> Option<&'static Advances> {
    static REGULAR_ADVANCES: LazyLock<Option<Advances>> = LazyLock::new(|| Advances::of(REGULAR));
    static BOLD_ADVANCES: LazyLock<Option<Advances>> = LazyLock::new(|| Advances::of(BOLD));
    match face {
        Face::Regular => REGULAR_ADVANCES.as_ref(),
        Face::Bold => BOLD_ADVANCES.as_ref(),
    }
}

/// Width of one line of text in pixels at a font size in pixels. Combining marks (v̄) take none.
pub fn width(text: &str, size: f64, face: Face) -> f64 {
    let font = advances(face);
    let ems: f64 = text
        .chars()
        .filter(|c| !matches!(c, '\u{300}'..='\u{36f}'))
        .map(|c| font.and_then(|font| font.advance(c)).unwrap_or_else(|| unknown_advance(c)))
        .sum();
    ems * size
}

/// Whether the embedded font has a glyph for a character; a picture shows an empty box for others.
pub fn has_glyph(c: char) -> bool {
    advances(Face::Regular).is_some_and(|font| font.charmap.map(c).is_some())
}

/// The characters of a text that the embedded font has no glyph for, each once. Blanks need none.
pub fn lacking(text: &str) -> BTreeSet<char> {
    text.chars().filter(|&c| !(c.is_whitespace() || has_glyph(c))).collect()
}

/// The text in letters of the embedded font: what it lacks is written by its code, `[U+65E5 U+672C]`, so that two
/// different texts stay different.
pub fn spelled(text: &str) -> String {
    let is_lacking = |c: &char| !(c.is_whitespace() || has_glyph(*c));
    let chars: Vec<char> = text.chars().collect();
    let spell = |run: &[char]| match run.first().is_some_and(is_lacking) {
        true => {
            let codes: Vec<String> = run.iter().map(|&c| format!("U+{:04X}", u32::from(c))).collect();
            format!("[{}]", codes.join(" "))
        }
        false => run.iter().collect(),
    };
    chars.chunk_by(|a, b| is_lacking(a) == is_lacking(b)).map(spell).collect()
}

/// The text if it fits into `max_width` pixels, else its beginning and its end with an ellipsis between: names often
/// differ in their last letters alone.
pub fn elide(text: &str, size: f64, face: Face, max_width: f64) -> String {
    if width(text, size, face) <= max_width {
        return text.to_owned();
    }
    // marks go with the letter before them
    let is_start = |&(_, c): &(usize, char)| c.width() != Some(0);
    let starts: Vec<usize> = text.char_indices().filter(is_start).map(|(at, _)| at).skip(1).collect();
    let pieces =
        std::iter::once(0).chain(starts.iter().copied()).zip(starts.iter().copied().chain([text.len()]));
    let pieces = pieces.map(|(from, to)| (&text[from..to], width(&text[from..to], size, face)));
    without_middle(&pieces.collect::<Vec<_>>(), max_width - width("…", size, face))
}

/// As much of both ends of a text as fits into `room`, with an ellipsis between; its pieces have a width each.
pub(super) fn without_middle(pieces: &[(&str, f64)], room: f64) -> String {
    let (mut head, mut tail) = (0, pieces.len());
    let (mut at_head, mut at_tail) = (0.0, 0.0);
    while head < tail {
        let (first, last) = (pieces[head].1, pieces[tail - 1].1);
        let fits = |piece: f64| at_head + at_tail + piece <= room;
        if fits(first) && (at_head <= at_tail || !fits(last)) {
            (head, at_head) = (head + 1, at_head + first);
        } else if fits(last) {
            (tail, at_tail) = (tail - 1, at_tail + last);
        } else {
            break;
        }
    }
    let joined = |pieces: &[(&str, f64)]| pieces.iter().map(|(piece, _)| *piece).collect::<String>();
    format!("{}…{}", joined(&pieces[..head]).trim_end(), joined(&pieces[tail..]).trim_start())
}

/// Texts cut to the room that each has, so that different ones stay different: where `cut` would make two the same, both
/// get more room until it does not.
pub(super) fn cut_apart(texts: &[(&str, f64)], cut: impl Fn(&str, f64) -> String) -> Vec<String> {
    let whole: Vec<String> = texts.iter().map(|(text, _)| cut(text, f64::INFINITY)).collect();
    let mut rooms: Vec<f64> = texts.iter().map(|(_, room)| room.max(1.0)).collect();
    loop {
        let cuts: Vec<String> = texts.iter().zip(&rooms).map(|((text, _), room)| cut(text, *room)).collect();
        let mut of_cut: BTreeMap<&String, BTreeSet<&String>> = BTreeMap::new();
        for (whole, cut) in whole.iter().zip(&cuts) {
            of_cut.entry(cut).or_default().insert(whole);
        }
        let is_unclear = |at: usize| cuts[at] != whole[at] && of_cut[&cuts[at]].len() > 1;
        let unclear: Vec<usize> = (0..texts.len()).filter(|&at| is_unclear(at)).collect();
        if unclear.is_empty() {
            return cuts;
        }
        unclear.into_iter().for_each(|at| rooms[at] *= 2.0);
    }
}

/// Breaks text at spaces into lines of at most `max_width` pixels. Of what `max_lines` cannot
/// hold, and of any word wider than a line, the middle is elided. Empty text is no line.
pub fn wrap(text: &str, size: f64, face: Face, max_width: f64, max_lines: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        let is_last = lines.len() == max_lines;
        match lines.last_mut() {
            // the last line takes all that is left, and is elided below
            Some(line) if is_last || width(&format!("{line} {word}"), size, face) <= max_width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines.iter().map(|line| elide(line, size, face, max_width)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn widths_are_those_of_dejavu_sans() {
        // units per em 2048; advances of "A", "i", "0" from the font's hmtx table
        for (text, units) in [("A", 1401.0), ("i", 569.0), ("0", 1303.0), ("Ai0", 3273.0)] {
            let found = width(text, 2048.0, Face::Regular);
            assert!((found - units).abs() < 0.5, "{text}: {found}");
        }
        assert!(width("A", 10.0, Face::Bold) > width("A", 10.0, Face::Regular));
    }

    #[test]
    fn both_faces_hold_what_formulas_need() {
        for face in [Face::Regular, Face::Bold] {
            let font = advances(face).unwrap();
            for c in "Az09éαΩ–—…‖⁰⁻⁹₀₁₉←→↦∂∇∑√≤≈·×∞−⟨⟩\u{304}\u{307}".chars()
            {
                assert!(font.charmap.map(c).is_some(), "{face:?} lacks {c:?}");
            }
        }
    }

    #[test]
    fn a_combining_mark_takes_no_width() {
        let plain = width("v₁", 16.0, Face::Regular);
        let barred = width("v\u{304}₁", 16.0, Face::Regular);
        assert!((plain - barred).abs() < 1e-12, "{plain} {barred}");
    }

    #[test]
    fn characters_of_other_fonts_have_a_width_that_suits_them() {
        let ems = |text: &str| width(text, 1.0, Face::Regular);
        assert_eq!(ems("日本"), 2.0);
        assert_eq!(ems("a\u{328}"), ems("a"));
        assert_eq!(ems("日\u{200d}"), 1.0);
        assert!((1.0..1.5).contains(&ems("🦀")) && ems("🦀🦀") == 2.0 * ems("🦀"));
    }

    #[test]
    fn what_the_font_lacks_is_spelled_by_its_code_and_nothing_else_is() {
        for plain in ["", "v\u{304}₁ = ∂y/∂v₁", "a\tb\n c", "[U+65E5]"] {
            assert_eq!(spelled(plain), plain);
            assert!(lacking(plain).is_empty(), "{plain}");
        }
        assert_eq!(spelled("日本 x🦀"), "[U+65E5 U+672C] x[U+1F980]");
        assert_eq!(spelled("a\0b"), "a[U+0000]b");
        assert_eq!(lacking("日x日本").into_iter().collect::<String>(), "日本");
        for text in ["日本 x🦀", "a\0b\u{ffff}", "e\u{328}"] {
            assert!(spelled(text).chars().all(has_glyph), "{}", spelled(text));
        }
    }

    #[test]
    fn elided_text_fits_and_says_that_it_was_cut() {
        let long = "a very long name of an optimizer, αβγ";
        for room in [20.0, 60.0, 120.0] {
            let short = elide(long, 14.0, Face::Regular, room);
            let (head, tail) = short.split_once('…').unwrap();
            assert!(long.starts_with(head) && long.ends_with(tail), "{short}");
            assert!(width(&short, 14.0, Face::Regular) <= room, "{short}");
        }
        assert_eq!(elide("adam", 14.0, Face::Regular, 200.0), "adam");
        assert_eq!(
            elide("velocity_of_the_heavier_first_A", 14.0, Face::Regular, 150.0),
            "velocity_o…er_first_A"
        );
        assert_eq!(elide("one\u{301} two", 14.0, Face::Regular, 1.0), "…");
    }

    #[test]
    fn what_is_cut_stays_different_from_what_it_differs_from() {
        let cut = |text: &str, room: f64| elide(text, 10.0, Face::Regular, room);
        // two that differ in the middle, the first of them again, one that is short, and one that differs at its end
        let texts =
            ["a_long_name_A_of_an_input", "a_long_name_B_of_an_input", "x", "a_long_name_A_of_another"];
        let texts: Vec<(&str, f64)> = texts.iter().chain(&texts[..1]).map(|&text| (text, 60.0)).collect();
        let cuts = cut_apart(&texts, cut);
        let distinct: BTreeSet<&String> = cuts.iter().collect();
        assert_eq!((distinct.len(), &cuts[4], &cuts[2][..]), (4, &cuts[0], "x"), "{cuts:?}");
        assert!(cuts[3].contains('…'), "{cuts:?}");
    }

    #[test]
    fn wrapped_lines_fit_and_lose_no_word_while_there_is_room() {
        let text = "objective of four optimizers over ten epochs of MNIST";
        let lines = wrap(text, 14.0, Face::Bold, 150.0, 9);
        assert!(lines.len() > 1);
        assert_eq!(lines.join(" "), text);
        for line in &lines {
            assert!(width(line, 14.0, Face::Bold) <= 150.0, "{line}");
        }
        let two = wrap(text, 14.0, Face::Bold, 150.0, 2);
        assert_eq!(two.len(), 2);
        assert!(two[1].contains('…') && two[1].ends_with("MNIST"), "{two:?}");
        assert!(wrap("  ", 14.0, Face::Bold, 150.0, 2).is_empty());
    }
}
