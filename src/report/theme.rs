//! The colours of the page: those of the drawings, light and dark.

use crate::draw::colour::{AXIS, BACKGROUND, Colour, FAINT, GRID, INK, MUTED, SHADED, dark_rules};

/// What the style sheet calls them.
const NAMES: [(&str, Colour); 8] = [
    ("ground", BACKGROUND),
    ("ink", INK),
    ("muted", MUTED),
    ("axis", AXIS),
    ("grid", GRID),
    ("faint", FAINT),
    ("positive", SHADED[0]),
    ("negative", SHADED[1]),
];

/// How much of its colour the largest entry of a matrix has, in percent: with more, numbers on it could not be read.
const STRONGEST: u8 = 45;

/// Custom properties for the style sheet, and the drawings' dark colours. Paper is always white.
pub(super) fn style_sheet() -> String {
    let properties = |shown: fn(Colour) -> Colour| -> String {
        NAMES.iter().map(|(name, colour)| format!("--{name}:{};", shown(*colour))).collect()
    };
    format!(
        ":root{{{}--strongest:{STRONGEST}%}}\n@media print{{:root{{--ground:#fff}}figure [fill=\"{BACKGROUND}\"]{{fill:#fff}}}}\n\
         @media screen and (prefers-color-scheme:dark){{\n:root{{{}}}\n{}}}\n",
        properties(|colour| colour),
        properties(Colour::dark),
        dark_rules("figure"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_readable_on_the_strongest_shade_of_a_matrix() {
        for shown in [|colour: Colour| colour, Colour::dark] {
            for colour in SHADED {
                let cell = shown(BACKGROUND).mix(shown(colour), f64::from(STRONGEST) / 100.0);
                let ratio = shown(INK).contrast(cell);
                assert!(ratio >= 4.5, "{cell}: contrast {ratio:.2}");
            }
        }
    }

    #[test]
    fn every_colour_has_a_name_for_both_pages() {
        let sheet = style_sheet();
        for (name, colour) in NAMES {
            for shown in [colour, colour.dark()] {
                assert!(sheet.contains(&format!("--{name}:{shown};")), "{name}");
            }
        }
        assert!(sheet.contains(&format!("figure [fill=\"{INK}\"]{{fill:{}}}", INK.dark())));
    }
}
