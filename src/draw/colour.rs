//! The colours of all drawings, and the arithmetic of shading.
//!
//! Series colours are those of Okabe and Ito ("Color Universal Design", 2008), which people with
//! any kind of colour blindness tell apart, darkened until text in them is readable on the
//! background (WCAG 2.1: contrast at least 4.5). Colour is never the only sign: lines also differ
//! in dash and marker.

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

impl Colour {
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
        if self.contrast(BACKGROUND) >= 3.0 { BACKGROUND } else { Colour(0, 0, 0) }
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
