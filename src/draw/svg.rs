//! A writer of SVG documents that cannot write malformed XML.
//!
//! Elements close themselves with their Rust value, text and attributes are escaped, and numbers
//! are rounded to a hundredth of a pixel. A string of XML by `format!` would be shorter and
//! would break at the first formula that contains `<`.

use std::fmt::Write as _;

use super::colour::{BACKGROUND, Colour};
use super::text::Face;

/// What SVG text asks for: the embedded font, then the installed one nearest to its widths.
pub const FONT_FAMILY: &str = "DejaVu Sans, Verdana, sans-serif";

/// A document (or the inside of an element) being written.
#[derive(Debug, Default)]
pub struct Svg {
    out: String,
}

/// An element whose attributes are being written; it ends with [`close`](Element::close),
/// [`text`](Element::text) or [`children`](Element::children).
#[must_use = "an element is complete only when closed"]
pub struct Element<'a> {
    svg: &'a mut Svg,
    name: &'static str,
}

/// Where a text stands relative to its x coordinate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Anchor {
    /// It begins there.
    Start,
    /// It is centred there.
    Middle,
    /// It ends there.
    End,
}

/// How a text looks.
#[derive(Clone, Copy, Debug)]
pub struct TextStyle {
    /// Font size in pixels.
    pub size: f64,
    /// Regular or bold.
    pub face: Face,
    /// The colour of the letters.
    pub fill: Colour,
    /// What its x coordinate means.
    pub anchor: Anchor,
}

impl TextStyle {
    /// Regular text that begins at its x coordinate.
    pub const fn new(size: f64, fill: Colour) -> TextStyle {
        TextStyle { size, face: Face::Regular, fill, anchor: Anchor::Start }
    }

    /// The same in bold.
    pub const fn bold(self) -> TextStyle {
        TextStyle { face: Face::Bold, ..self }
    }

    /// The same, anchored elsewhere.
    pub const fn anchored(self, anchor: Anchor) -> TextStyle {
        TextStyle { anchor, ..self }
    }
}

impl Svg {
    /// A whole document of `width` by `height` pixels on the opaque background: `draw` paints it,
    /// `title` and `description` are what a screen reader says.
    pub fn document(
        width: f64,
        height: f64,
        title: &str,
        description: &str,
        draw: impl FnOnce(&mut Svg),
    ) -> String {
        let mut svg = Svg::default();
        let root = svg.root(width, height).attr("role", "img").attr("font-family", FONT_FAMILY);
        root.children(|svg| {
            svg.element("title").text(title);
            svg.element("desc").text(description);
            svg.element("rect")
                .num("width", width)
                .num("height", height)
                .attr("fill", BACKGROUND.to_string())
                .close();
            draw(svg);
        });
        svg.out
    }

    /// A document without background, for what stands beside the words that say what it is.
    pub fn ornament(width: f64, height: f64, draw: impl FnOnce(&mut Svg)) -> String {
        let mut svg = Svg::default();
        svg.root(width, height).attr("aria-hidden", "true").children(draw);
        svg.out
    }

    fn root(&mut self, width: f64, height: f64) -> Element<'_> {
        self.element("svg")
            .attr("xmlns", "http://www.w3.org/2000/svg")
            .num("width", width)
            .num("height", height)
            .attr("viewBox", format!("0 0 {} {}", number(width), number(height)))
    }

    /// Begins an element.
    pub fn element(&mut self, name: &'static str) -> Element<'_> {
        self.out.push('<');
        self.out.push_str(name);
        Element { svg: self, name }
    }

    /// Writes one line of text with its baseline at `y`.
    pub fn text(&mut self, x: f64, y: f64, style: TextStyle, text: &str) {
        self.styled_text(style).num("x", x).num("y", y).text(text);
    }

    /// Writes text that reads upwards (turned a quarter left) about the point (`x`, `y`).
    pub fn text_upwards(&mut self, x: f64, y: f64, style: TextStyle, text: &str) {
        let turn = format!("translate({} {}) rotate(-90)", number(x), number(y));
        self.styled_text(style).attr("transform", turn).text(text);
    }

    /// Draws a straight line of one pixel's width.
    pub fn line(&mut self, from: (f64, f64), to: (f64, f64), stroke: Colour) {
        self.element("line")
            .num("x1", from.0)
            .num("y1", from.1)
            .num("x2", to.0)
            .num("y2", to.1)
            .attr("stroke", stroke.to_string())
            .close();
    }

    fn styled_text(&mut self, style: TextStyle) -> Element<'_> {
        let anchor = match style.anchor {
            Anchor::Start => None,
            Anchor::Middle => Some("middle"),
            Anchor::End => Some("end"),
        };
        let mut element =
            self.element("text").num("font-size", style.size).attr("fill", style.fill.to_string());
        if style.face == Face::Bold {
            element = element.attr("font-weight", "bold");
        }
        match anchor {
            Some(anchor) => element.attr("text-anchor", anchor),
            None => element,
        }
    }
}

impl Element<'_> {
    /// Writes an attribute; the value is escaped, the name is the caller's to get right.
    pub fn attr(self, name: &str, value: impl AsRef<str>) -> Self {
        // writing to a String cannot fail
        let _ = write!(self.svg.out, " {name}=\"{}\"", escape(value.as_ref()));
        self
    }

    /// Writes a numeric attribute, see [`number`].
    pub fn num(self, name: &str, value: f64) -> Self {
        self.attr(name, number(value))
    }

    /// Ends an element that holds nothing.
    pub fn close(self) {
        self.svg.out.push_str("/>\n");
    }

    /// Ends an element that holds text.
    pub fn text(self, text: &str) {
        // writing to a String cannot fail
        let _ = writeln!(self.svg.out, ">{}</{}>", escape(text), self.name);
    }

    /// Ends an element that holds elements.
    pub fn children(self, draw: impl FnOnce(&mut Svg)) {
        self.svg.out.push_str(">\n");
        draw(self.svg);
        // writing to a String cannot fail
        let _ = writeln!(self.svg.out, "</{}>", self.name);
    }
}

/// A coordinate as text: at most two decimals, no trailing zeros. A coordinate that is not finite
/// is a defect of the layout: it stops a debug build and is 0 otherwise, so that the drawing
/// opens.
pub fn number(value: f64) -> String {
    debug_assert!(value.is_finite(), "coordinate {value}");
    let value = if value.is_finite() { value } else { 0.0 };
    let text = format!("{value:.2}");
    match text.trim_end_matches('0').trim_end_matches('.') {
        "-0" => "0".to_owned(),
        trimmed => trimmed.to_owned(),
    }
}

/// Text made safe for XML content and attribute values: markup is escaped, line breaks and tabs
/// become spaces, and characters that XML 1.0 forbids become U+FFFD.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' | '\r' | '\t' => out.push(' '),
            '\u{0}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::draw::colour::INK;

    #[test]
    fn hostile_text_survives_a_round_trip_through_an_xml_parser() {
        let hostile = "a<b>&\"quoted\"'</svg><script>]]>";
        let svg = Svg::document(10.0, 10.0, hostile, hostile, |svg| {
            svg.text(1.0, 2.0, TextStyle::new(12.0, INK), hostile);
            svg.element("g").attr("data-name", hostile).close();
        });
        let xml = roxmltree::Document::parse(&svg).unwrap();
        let texts: Vec<_> = xml
            .descendants()
            .filter(|n| n.is_element())
            .filter_map(|n| n.text().filter(|t| !t.trim().is_empty()))
            .collect();
        assert_eq!(texts, [hostile, hostile, hostile]);
        assert!(xml.descendants().any(|n| n.attribute("data-name") == Some(hostile)));
        assert!(!xml.descendants().any(|n| n.has_tag_name("script")));
    }

    #[test]
    fn characters_that_xml_forbids_are_replaced() {
        let svg = Svg::document(1.0, 1.0, "a\0b\u{1b}c\u{ffff}", "x\ny", |_| {});
        let xml = roxmltree::Document::parse(&svg).unwrap();
        let text_of = |tag| {
            let node = xml.descendants().find(|n: &roxmltree::Node| n.tag_name().name() == tag);
            node.unwrap().text().unwrap().to_owned()
        };
        assert_eq!(text_of("title"), "a\u{fffd}b\u{fffd}c\u{fffd}");
        assert_eq!(text_of("desc"), "x y");
    }

    #[test]
    fn numbers_are_short() {
        assert_eq!(number(2.0), "2");
        assert_eq!(number(-0.001), "0");
        assert_eq!(number(1.256), "1.26");
        assert_eq!(number(100.5), "100.5");
    }
}
