//! What every drawing must be, whatever it shows: the tests of all drawings call [`check`].

use resvg::usvg::{Group, Node, Rect};

use super::png::parse;
use super::text;

/// The texts of a drawing, in order.
pub(super) struct Checked {
    pub texts: Vec<String>,
}

impl Checked {
    pub fn says(&self, text: &str) -> bool {
        self.texts.iter().any(|t| t == text)
    }
}

/// Checks that a drawing is well-formed XML with a title and a description, names no resource
/// outside itself, has finite attributes, keeps every shape and letter inside its view box, lets
/// no two texts overlap, and uses only characters of the embedded font.
pub(super) fn check(svg: &str) -> Checked {
    let xml = roxmltree::Document::parse(svg).unwrap_or_else(|e| panic!("{e}: {svg}"));
    let root = xml.root_element();
    assert_eq!(root.attribute("role"), Some("img"));
    for name in ["title", "desc"] {
        let found = root.children().any(|n| n.has_tag_name(("http://www.w3.org/2000/svg", name)));
        assert!(found, "no <{name}>");
    }
    for node in xml.descendants().filter(|n| n.is_element()) {
        assert_ne!(node.tag_name().name(), "script");
        for attribute in node.attributes() {
            let (name, value) = (attribute.name(), attribute.value());
            assert!(!["href", "src", "id", "style"].contains(&name), "{name}=\"{value}\"");
            for wrong in ["NaN", "nan", "inf"] {
                assert!(!value.contains(wrong), "{name}=\"{value}\"");
            }
        }
    }

    let tree = parse(svg).unwrap();
    let (width, height) = (tree.size().width(), tree.size().height());
    let mut found = Vec::new();
    walk(tree.root(), &mut |what, bounds| {
        let inside = bounds.left() >= 0.0
            && bounds.top() >= 0.0
            && bounds.right() <= width
            && bounds.bottom() <= height;
        assert!(inside, "{what:?} at {bounds:?} leaves {width}x{height}");
        if let Some(text) = what {
            found.push((text, bounds));
        }
    });
    for (i, (a, a_bounds)) in found.iter().enumerate() {
        for (b, b_bounds) in &found[i + 1..] {
            assert!(!overlap(a_bounds, b_bounds), "\"{a}\" and \"{b}\" overlap: {a_bounds:?} {b_bounds:?}");
        }
        for c in a.chars() {
            assert!(text::has_glyph(c), "the embedded font lacks {c:?} of \"{a}\"");
        }
    }
    Checked { texts: found.into_iter().map(|(text, _)| text).collect() }
}

/// Visits all shapes and texts with their bounds; for a text, those of its letters.
fn walk(group: &Group, visit: &mut impl FnMut(Option<String>, Rect)) {
    for node in group.children() {
        match node {
            Node::Group(group) => walk(group, visit),
            Node::Text(text) => {
                let content = text.chunks().iter().map(|chunk| chunk.text()).collect();
                visit(Some(content), text.flattened().abs_bounding_box());
            }
            node => visit(None, node.abs_stroke_bounding_box()),
        }
    }
}

fn overlap(a: &Rect, b: &Rect) -> bool {
    a.left() < b.right() && b.left() < a.right() && a.top() < b.bottom() && b.top() < a.bottom()
}

#[test]
#[should_panic(expected = "overlap")]
fn overlapping_texts_are_noticed() {
    use super::svg::{Svg, TextStyle};
    let style = TextStyle::new(14.0, super::colour::INK);
    check(&Svg::document(100.0, 40.0, "t", "d", |svg| {
        svg.text(10.0, 20.0, style, "first");
        svg.text(30.0, 24.0, style, "second");
    }));
}

#[test]
#[should_panic(expected = "leaves")]
fn a_text_that_is_cut_off_is_noticed() {
    use super::svg::{Svg, TextStyle};
    let style = TextStyle::new(14.0, super::colour::INK);
    check(&Svg::document(100.0, 40.0, "t", "d", |svg| svg.text(70.0, 20.0, style, "too long")));
}
