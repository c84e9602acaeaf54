//! What the characters of a formula mean, of those that people type and those that they paste.
//!
//! A page, a PDF or a chat has `×`, `−`, `x²` and `𝑥` where a keyboard has `*`, `-`, `x^2` and `x`. What means the same is
//! the same here: signs by [`meant`], and names by Unicode's normalisation form KC, as in Python (PEP 3131), so that no
//! two inputs differ in their coding alone.

use std::borrow::Cow;

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// The sign that a character is another form of, or the character itself.
pub(super) fn meant(c: char) -> char {
    match c {
        // The forms of ASCII that are as wide as a Chinese character.
        '！'..='～' => u32::from(c).checked_sub(0xfee0).and_then(char::from_u32).unwrap_or(c),
        '·' | '\u{387}' | '×' | '⋅' | '∗' | '∙' | '•' | '⁎' | '✕' | '⨯' | '﹡' => '*',
        '\u{2062}' => '*', // the product without a sign of its own, in what is copied from MathML
        '÷' | '∕' | '⁄' | '➗' => '/',
        // Hyphens, the figure dash, en and em dash, the bar, the minus sign and a small one.
        '\u{2010}'..='\u{2015}' | '−' | '﹣' | '➖' => '-',
        '﹢' | '➕' | '\u{2064}' => '+',
        'ˆ' => '^',
        '∣' => '|',
        c => c,
    }
}

/// Whether a character is a space of any width, or a mark that is not seen.
pub(super) fn is_blank(c: char) -> bool {
    c.is_whitespace()
        || matches!(
            c,
            '\u{ad}' | '\u{200b}'
                ..='\u{200f}' | '\u{2060}' | '\u{2061}' | '\u{fe0e}' | '\u{fe0f}' | '\u{feff}'
        )
}

/// The digit or sign that is raised in `x⁻¹`.
pub(super) fn raised(c: char) -> Option<char> {
    Some(match c {
        '⁰' => '0',
        '¹' => '1',
        '²' => '2',
        '³' => '3',
        '⁴'..='⁹' => char::from_u32(u32::from('4') + u32::from(c) - u32::from('⁴'))?,
        '⁺' => '+',
        '⁻' => '-',
        _ => return None,
    })
}

/// The numbers that have a character of their own: `½`.
pub(super) fn fraction(c: char) -> Option<f64> {
    const FRACTIONS: [(char, f64, f64); 18] = [
        ('½', 1.0, 2.0),
        ('⅓', 1.0, 3.0),
        ('⅔', 2.0, 3.0),
        ('¼', 1.0, 4.0),
        ('¾', 3.0, 4.0),
        ('⅕', 1.0, 5.0),
        ('⅖', 2.0, 5.0),
        ('⅗', 3.0, 5.0),
        ('⅘', 4.0, 5.0),
        ('⅙', 1.0, 6.0),
        ('⅚', 5.0, 6.0),
        ('⅐', 1.0, 7.0),
        ('⅛', 1.0, 8.0),
        ('⅜', 3.0, 8.0),
        ('⅝', 5.0, 8.0),
        ('⅞', 7.0, 8.0),
        ('⅑', 1.0, 9.0),
        ('⅒', 1.0, 10.0),
    ];
    FRACTIONS.iter().find(|(own, ..)| *own == c).map(|(_, above, below)| above / below)
}

/// Whether a name may hold the character: letters, digits on the line or below it, `_`, and the accents of letters.
pub(super) fn is_of_name(c: char) -> bool {
    if c.is_ascii() {
        return c.is_ascii_alphanumeric() || c == '_';
    }
    let digit = matches!(c, '₀'..='₉' | '０'..='９' | '＿');
    (c.is_alphabetic() || digit || is_combining_mark(c))
        && !is_raised_letter(c)
        && meant(c) != '^'
        && !is_blank(c)
}

/// Whether a name may begin with the character.
pub(super) fn begins_name(c: char) -> bool {
    is_of_name(c) && (c.is_alphabetic() || meant(c) == '_')
}

/// Letters above the line, as in `xⁿ`: powers, which Unicode would have as letters of the name.
pub(super) fn is_raised_letter(c: char) -> bool {
    matches!(c, 'ª' | 'º' | '\u{2b0}'..='\u{2ff}' | 'ⁱ' | 'ⁿ' | '\u{1d2c}'..='\u{1d61}' | '\u{1d78}' | '\u{1d9b}'..='\u{1dbf}')
        && c != 'ˆ'
}

/// A name as it is known by, whichever way it is coded: `x1` for `x₁` and for `𝑥1`, and `pi` for `π`.
pub(super) fn name(text: &str) -> Cow<'_, str> {
    if text.is_ascii() {
        return text.into();
    }
    match text.nfkc().collect::<String>() {
        pi if pi == "π" => "pi".into(),
        name => name.into(),
    }
}

/// Why such a name cannot stand, as [`name`] gives it: a character is left that no letter is made of.
pub(super) fn problem_of_name(name: &str) -> Option<String> {
    let odd = name.chars().find(|&c| is_combining_mark(c) || !is_of_name(c))?;
    Some(match is_combining_mark(odd) {
        true => {
            "a letter of this name has an accent with which Unicode knows no letter: leave the accent out"
                .into()
        }
        false => format!("a name cannot hold {odd:?}: it has letters, digits and _"),
    })
}

/// What a character that means nothing is likely to be for.
pub(super) fn problem_of(c: char) -> String {
    let hint = match c {
        '=' => "; a formula is what stands on the right of =",
        '\'' | '`' | '´' | '‘' | '’' | '‚' | '′' | '″' | '‵' => {
            "; derivatives are found without a prime, and a name has letters, digits and _"
        }
        '"' | '“' | '”' | '„' | '«' | '»' => "; leave quotation marks out",
        '[' | ']' | '{' | '}' | '⟨' | '⟩' => "; parentheses are ( and )",
        '\\' => "; LaTeX's commands are not read: write sqrt(x) and a/b",
        '<' | '>' | '≤' | '≥' => "; above(a, b) is 1 where a > b, else 0",
        '!' => "; there are no factorials",
        '%' => "; write x/100",
        '°' => "; angles are in radians: write x*pi/180",
        '‖' | '∥' => "; an absolute value is written |x|",
        '&' => "; a product is written with *",
        '±' | '∓' => "; write + or -",
        '₀'..='₉' => ": a digit below the line is part of a name, as in x₁",
        c if is_raised_letter(c) => ": a letter above the line; a power is written x^n",
        _ => "",
    };
    let shown = match c {
        '\'' => "\"'\"".into(),
        '\\' => r"'\'".into(),
        c => format!("{c:?}"),
    };
    format!("the character {shown} means nothing in a formula{hint}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_differ_in_their_coding_alone_are_one() {
        for (text, known) in [
            ("x₁", "x1"),
            ("𝑥", "x"),
            ("ｘ１", "x1"),
            ("e\u{301}", "é"),
            ("\u{b5}", "μ"),
            ("ϵ", "ε"),
            ("ℯ", "e"),
            ("π", "pi"),
            ("𝜋", "pi"),
            ("π1", "π1"),
            ("x_1", "x_1"),
            ("日本", "日本"),
        ] {
            assert!(text.chars().all(is_of_name), "{text}");
            assert_eq!(name(text), known);
            assert_eq!(name(known), known, "a name is its own");
            assert_eq!(problem_of_name(known), None);
        }
        assert!(
            problem_of_name(&name("v\u{307}1")).unwrap().contains("accent"),
            "it would look like a tangent"
        );
    }

    #[test]
    fn what_is_above_the_line_is_of_no_name() {
        for c in ['²', '⁻', 'ⁿ', 'ˣ', 'ª', 'ˆ', '½', '√', '·', '−', '\u{200b}'] {
            assert!(!is_of_name(c), "{c}");
        }
        assert!(begins_name('_') && begins_name('＿') && !begins_name('1') && !begins_name('₁'));
        assert!(!begins_name('\u{301}'), "an accent is of the letter before");
    }
}
