//! Title and subtitle at the top of every drawing.

use super::colour::{INK, MUTED};
use super::svg::{Svg, TextStyle};
use super::text::{self, CAP_HEIGHT};

/// Around every drawing.
pub(super) const MARGIN: f64 = 22.0;
const TITLE: TextStyle = TextStyle::new(19.0, INK).bold();
const TITLE_LINE: f64 = 25.0;
const SUBTITLE: TextStyle = TextStyle::new(14.5, MUTED);
const SUBTITLE_LINE: f64 = 20.0;

/// A title and what is said below it, broken into lines.
#[derive(Debug, Default)]
pub(super) struct Heading {
    title: Vec<String>,
    subtitle: Vec<String>,
}

impl Heading {
    /// At most two lines each, of a drawing that is `width` pixels wide.
    pub fn new(title: &str, subtitle: Option<&str>, width: f64) -> Self {
        let mut heading = Self { title: wrap(title, TITLE, width), subtitle: Vec::new() };
        heading.say(subtitle.unwrap_or_default(), width);
        heading
    }

    /// Adds to the subtitle.
    pub fn say(&mut self, text: &str, width: f64) {
        self.subtitle.extend(wrap(text, SUBTITLE, width));
    }

    /// The room it takes below the margin.
    pub fn height(&self) -> f64 {
        self.title.len() as f64 * TITLE_LINE + self.subtitle.len() as f64 * SUBTITLE_LINE
    }

    pub fn draw(&self, svg: &mut Svg) {
        let mut y = MARGIN + TITLE.size * CAP_HEIGHT;
        for line in &self.title {
            svg.text(MARGIN, y, TITLE, line);
            y += TITLE_LINE;
        }
        for line in &self.subtitle {
            svg.text(MARGIN, y - 2.0, SUBTITLE, line);
            y += SUBTITLE_LINE;
        }
    }
}

fn wrap(text: &str, style: TextStyle, width: f64) -> Vec<String> {
    text::wrap(text, style.size, style.face, width - 2.0 * MARGIN, 2)
}
