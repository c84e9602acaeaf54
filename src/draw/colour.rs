//! The colours of all drawings, and the arithmetic of shading.
//!
//! Series colours are those of Okabe and Ito ("Color Universal Design", 2008), which people with
//! any kind of colour blindness tell apart, darkened until text in them is readable on the
//! background (WCAG 2.1: contrast at least 4.5). Colour is never the only sign: lines also differ
//! in dash and marker.
//!
//! On a dark page each colour has a counterpart ([`Colour::dark`]): a drawing keeps the colours that it
//! was made with, and the page's style sheet replaces them ([`dark_rules`]).

use std::fmt;

/// An opaque sRGB colour; displays as `#rrggbb`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Colour(pub u8, pub u8, pub u8);

/// What every drawing is painted on.
pub const BACKGROUND: Colour = Colour(0xfd, 0xfd, 0xfc);
/// Titles, labels and numbers.
pub const INK: Colour = Colour(0x22, 0x22, 0x26);
/// Subtitles, captions, tick labels, reference lines.
pub const MUTED: Colour = Colour(0x5a, 0x5c, 0x63);
/// Axis lines and thin outlines.
pub const AXIS: Colour = Colour(0x8a, 0x8c, 0x93);
/// Grid lines at labelled ticks.
pub const GRID: Colour = Colour(0xe0, 0xe1, 0xe4);
/// Grid lines between labelled ticks, and the ground of empty cells.
pub const FAINT: Colour = Colour(0xf1, 0xf1, 0xf2);

/// Text on light shades.
pub const BLACK: Colour = Colour(0, 0, 0);
/// The zeros of a matrix, which step back behind other numbers.
pub const PALE: Colour = Colour(0xb2, 0xb4, 0xb8);

/// One colour per series; the first four are the easiest to tell apart.
pub const SERIES: [Colour; 8] = [
    Colour(0x00, 0x6b, 0xad), // blue
    Colour(0xbf, 0x4a, 0x00), // vermillion
    Colour(0x00, 0x7a, 0x59), // bluish green
    Colour(0xa8, 0x3f, 0x83), // reddish purple
    Colour(0x3a, 0x3a, 0x3e), // near black
    Colour(0x8f, 0x64, 0x00), // dark amber
    Colour(0x5b, 0x57, 0xc4), // violet
    Colour(0x0b, 0x75, 0x85), // teal
];

/// Colours that stand for quantities, in [`SHADES`] + 1 shades of each, none to full: blue and vermillion.
pub const SHADED: [Colour; 2] = [SERIES[0], SERIES[1]];
/// Shades of a colour between the background and itself.
pub const SHADES: u8 = 48;

/// What the boxes of a graph are filled with, its inputs, operations and outputs: pale, so that all colours of text are
/// readable on it.
pub const BOX_GROUNDS: [Mixture; 3] = [
    Mixture(BACKGROUND, SERIES[2], 0.06),
    Mixture(BACKGROUND, AXIS, 0.02),
    Mixture(BACKGROUND, SERIES[5], 0.06),
];
/// The outlines of the boxes of inputs and outputs.
pub const BOX_OUTLINES: [Mixture; 2] = [Mixture(AXIS, SERIES[2], 0.55), Mixture(AXIS, SERIES[5], 0.55)];

/// Two colours of the palette, and how much the second has of their mixture.
#[derive(Clone, Copy, Debug)]
pub struct Mixture(Colour, Colour, f64);

/// Each colour, and what stands for it on a dark page.
const COUNTERPARTS: [(Colour, Colour); 16] = [
    (BACKGROUND, Colour(0x17, 0x18, 0x1c)),
    (INK, Colour(0xe8, 0xe8, 0xec)),
    (MUTED, Colour(0xab, 0xad, 0xb6)),
    (AXIS, Colour(0x7f, 0x82, 0x8c)),
    (GRID, Colour(0x35, 0x37, 0x3f)),
    (FAINT, Colour(0x25, 0x27, 0x2d)),
    (BLACK, Colour(0xf6, 0xf6, 0xf8)),
    (PALE, Colour(0x5b, 0x5d, 0x66)),
    (SERIES[0], Colour(0x5f, 0xb2, 0xee)),
    (SERIES[1], Colour(0xf2, 0x8c, 0x52)),
    (SERIES[2], Colour(0x45, 0xc2, 0x99)),
    (SERIES[3], Colour(0xe0, 0x8c, 0xc3)),
    (SERIES[4], Colour(0xd2, 0xd3, 0xd9)),
    (SERIES[5], Colour(0xd8, 0xa8, 0x48)),
    (SERIES[6], Colour(0xa7, 0xa4, 0xf5)),
    (SERIES[7], Colour(0x55, 0xbf, 0xcf)),
];

/// Rules of CSS that give every drawing below `scope` the colours of a dark page.
pub fn dark_rules(scope: &str) -> String {
    // of the shades the first is the background and the last the colour itself
    let shades = SHADED.into_iter().flat_map(|colour| (1..SHADES).map(move |step| colour.mixture(step)));
    let fills =
        BOX_GROUNDS.into_iter().chain(shades).map(|mixture| ("fill", mixture.light(), mixture.dark()));
    let strokes = BOX_OUTLINES.map(|mixture| ("stroke", mixture.light(), mixture.dark()));
    let named =
        COUNTERPARTS.into_iter().flat_map(|(light, dark)| ["fill", "stroke"].map(|name| (name, light, dark)));
    named
        .chain(strokes)
        .chain(fills)
        .map(|(property, light, dark)| format!("{scope} [{property}=\"{light}\"]{{{property}:{dark}}}\n"))
        .collect()
}

impl Mixture {
    /// As it is drawn.
    pub fn light(self) -> Colour {
        self.0.mix(self.1, self.2)
    }

    /// What stands for it on a dark page: the same mixture of what stands for both.
    pub fn dark(self) -> Colour {
        self.0.dark().mix(self.1.dark(), self.2)
    }
}

impl Colour {
    /// What stands for a colour of the palette on a dark page; others stay as they are.
    pub fn dark(self) -> Colour {
        COUNTERPARTS.iter().find(|(light, _)| *light == self).map_or(self, |(_, dark)| *dark)
    }

    /// The shade of so many steps out of [`SHADES`] from the background to the colour itself.
    pub fn shade(self, step: u8) -> Colour {
        self.mixture(step).light()
    }

    fn mixture(self, step: u8) -> Mixture {
        Mixture(BACKGROUND, self, f64::from(step) / f64::from(SHADES))
    }

    /// The colour a fraction `t` of the way from `self` to `other`; `t` is held to 0..1, NaN is 0.
    pub fn mix(self, other: Colour, t: f64) -> Colour {
        let t = if t.is_nan() { 0.0 } else { t.clamp(0.0, 1.0) };
        let channel = |a: u8, b: u8| (f64::from(a) + (f64::from(b) - f64::from(a)) * t).round() as u8;
        Colour(channel(self.0, other.0), channel(self.1, other.1), channel(self.2, other.2))
    }

    /// Relative luminance, 0 (black) to 1 (white), as WCAG 2.1 defines it.
    pub fn luminance(self) -> f64 {
        let linear = |c: u8| {
            let c = f64::from(c) / 255.0;
            if c <= 0.04045 { c / 12.92 } else { ((c + 0.055) / 1.055).powf(2.4) }
        };
        0.2126 * linear(self.0) + 0.7152 * linear(self.1) + 0.0722 * linear(self.2)
    }

    /// Contrast ratio of WCAG 2.1, from 1 (the same) to 21 (black on white).
    pub fn contrast(self, other: Colour) -> f64 {
        let (a, b) = (self.luminance(), other.luminance());
        (a.max(b) + 0.05) / (a.min(b) + 0.05)
    }

    /// The colour of text that stands on this one. Between light and black it prefers light on
    /// saturated middle tones, where the eye does too, though black's ratio is a little higher.
    pub fn text_on(self) -> Colour {
        if self.contrast(BACKGROUND) >= 3.0 { BACKGROUND } else { BLACK }
    }
}

impl fmt::Display for Colour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{:02x}{:02x}{:02x}", self.0, self.1, self.2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_in_every_series_colour_is_readable_on_the_background() {
        for colour in SERIES.into_iter().chain([INK, MUTED]) {
            let ratio = colour.contrast(BACKGROUND);
            assert!(ratio >= 4.5, "{colour}: contrast {ratio:.2}");
        }
    }

    #[test]
    fn so_is_its_counterpart_on_a_dark_page() {
        for colour in SERIES.into_iter().chain([INK, MUTED]) {
            let ratio = colour.dark().contrast(BACKGROUND.dark());
            assert!(colour.dark() != colour && ratio >= 4.5, "{colour}: contrast {ratio:.2}");
        }
    }

    #[test]
    fn a_dark_page_has_one_rule_for_each_colour_and_shade() {
        let rules = dark_rules("svg");
        let mut selectors: Vec<&str> = rules.lines().filter_map(|rule| rule.split('{').next()).collect();
        assert!(
            selectors.contains(&"svg [fill=\"#222226\"]") && selectors.contains(&"svg [stroke=\"#006bad\"]")
        );
        assert!(rules.contains(&format!("svg [fill=\"{}\"]", SERIES[1].shade(24))));
        let count = selectors.len();
        selectors.sort_unstable();
        selectors.dedup();
        assert_eq!(selectors.len(), count);
    }

    #[test]
    fn text_on_shades_stays_readable_on_a_dark_page() {
        for (colour, step) in
            SHADED.into_iter().flat_map(|colour| (0..=SHADES).map(move |step| (colour, step)))
        {
            let ground = colour.mixture(step).dark();
            let ratio = ground.contrast(colour.shade(step).text_on().dark());
            assert!(ratio >= 3.0, "{ground}: contrast {ratio:.2}");
        }
    }

    #[test]
    fn black_on_white_has_the_contrast_that_wcag_states() {
        let ratio = Colour(0, 0, 0).contrast(Colour(255, 255, 255));
        assert!((ratio - 21.0).abs() < 1e-9, "{ratio}");
    }

    #[test]
    fn text_is_readable_on_every_shade_of_every_series_colour() {
        for ground in SERIES.iter().flat_map(|c| (0..=100).map(|t| BACKGROUND.mix(*c, f64::from(t) / 100.0)))
        {
            let ratio = ground.contrast(ground.text_on());
            assert!(ratio >= 3.0, "{ground}: contrast {ratio:.2}");
        }
    }

    #[test]
    fn mixing_runs_from_one_colour_to_the_other() {
        let (a, b) = (Colour(0, 100, 255), Colour(200, 0, 55));
        assert_eq!(a.mix(b, 0.0), a);
        assert_eq!(a.mix(b, 0.5), Colour(100, 50, 155));
        assert_eq!(a.mix(b, 7.0), b);
        assert_eq!(a.mix(b, f64::NAN), a);
    }

    #[test]
    fn text_turns_light_on_a_dark_ground() {
        assert_eq!(Colour(0, 0, 80).text_on(), BACKGROUND);
        assert_eq!(Colour(250, 240, 200).text_on(), Colour(0, 0, 0));
    }
}
