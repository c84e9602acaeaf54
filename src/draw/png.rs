//! From SVG, or from the pixels themselves, to PNG, without asking the machine for fonts.

use std::hint::black_box;
use std::io::{self, Write};
use std::sync::{Arc, OnceLock};

use ::png::{BitDepth, ColorType, Encoder};
use resvg::tiny_skia::{Pixmap, Transform};
use resvg::usvg::{self, fontdb};

use super::text;

/// The largest side of a picture, in pixels: above it memory runs into gigabytes.
const MAX_SIDE: f32 = 16_384.0;

/// A drawing with texts in it.
pub trait Drawing: Clone {
    /// The drawing as an SVG document.
    fn document(&self) -> String;

    /// Changes every text that its maker gave it.
    fn change_texts(&mut self, change: &dyn Fn(&mut String));
}

/// A drawing as a PNG of `scale` pixels per unit. A browser shows an SVG's text in whatever fonts it finds, but a
/// picture has the embedded one alone: characters that it lacks are written by their codes, `[U+65E5 U+672C]`, and the
/// drawing is laid out for that.
///
/// # Errors
/// As those of [`png()`].
pub fn picture<D: Drawing>(drawing: &D, scale: f32) -> Result<Vec<u8>, DrawError> {
    let mut spelled = drawing.clone();
    spelled.change_texts(&|written| *written = text::spelled(written));
    png(&spelled.document(), scale)
}

/// Why a drawing could not become a picture.
#[derive(Debug, thiserror::Error)]
pub enum DrawError {
    /// The text is no SVG document.
    #[error("cannot draw as PNG: the text is not a valid SVG document")]
    Svg(#[from] usvg::Error),
    /// The picture would be empty or too large.
    #[error(
        "cannot draw an SVG of {width}x{height} at scale {scale}: the picture must have between \
         1 and {MAX_SIDE} pixels a side; choose another scale"
    )]
    Size {
        /// Width of the drawing in its own units.
        width: f32,
        /// Height of the drawing in its own units.
        height: f32,
        /// The scale that was asked for.
        scale: f32,
    },
    /// The machine does not give the memory for the pixels.
    #[error(
        "cannot draw as PNG: the picture takes {megabytes} MB of memory, which the machine does not give; write an .svg \
         file, or choose a smaller scale"
    )]
    Memory {
        /// What it takes.
        megabytes: usize,
    },
    /// A text has characters that the embedded font cannot show.
    #[error(
        "cannot draw as PNG: the embedded font has no {characters}; write an .svg file, which is shown with the \
         fonts of its reader"
    )]
    Characters {
        /// All of them, each once.
        characters: String,
    },
    /// The PNG encoder failed.
    #[error("cannot encode the drawing as PNG: {0}")]
    Encode(String),
}

/// Draws an SVG document as a PNG of `scale` pixels per unit: 1 is the drawing's own size, 2 suits
/// print and sharp screens. Text is set in the embedded DejaVu Sans whatever it asks for, and
/// nothing outside the document is read, so the picture is the same on every machine.
///
/// # Errors
/// [`DrawError::Svg`] for malformed input, [`DrawError::Characters`] for text that would be empty boxes,
/// [`DrawError::Size`] for a scale that is not positive or makes a side longer than 16384 pixels.
pub fn png(svg: &str, scale: f32) -> Result<Vec<u8>, DrawError> {
    let tree = parse(svg)?;
    let characters: String = text::lacking(&written(tree.root())).into_iter().collect();
    if !characters.is_empty() {
        return Err(DrawError::Characters { characters });
    }
    let (width, height) = (tree.size().width(), tree.size().height());
    let size_error = DrawError::Size { width, height, scale };
    let pixels = |side: f32| Some((side * scale).round()).filter(|p| (1.0..=MAX_SIDE).contains(p));
    let (Some(w), Some(h)) = (pixels(width), pixels(height)) else {
        return Err(size_error);
    };
    // A page of a thousand nodes is a gigabyte of pixels, which the machine may not have.
    let bytes = 4 * w as usize * h as usize;
    let mut asked = Vec::<u8>::new();
    let given = asked.try_reserve_exact(bytes);
    drop(black_box(asked)); // memory that nobody uses is not asked for, unless the compiler cannot tell
    given.map_err(|_| DrawError::Memory { megabytes: bytes.div_ceil(1_000_000) })?;
    let mut pixmap = Pixmap::new(w as u32, h as u32).ok_or(size_error)?;
    // not `scale` twice: rounding to whole pixels must leave no transparent edge
    let transform = Transform::from_scale(w / width, h / height);
    resvg::render(&tree, transform, &mut pixmap.as_mut());
    encode(w as usize, h as usize, &pixmap)
}

/// A picture without transparency as a PNG of three bytes a pixel; one with it as it is.
fn encode(width: usize, height: usize, pixmap: &Pixmap) -> Result<Vec<u8>, DrawError> {
    let (pixels, _) = pixmap.data().as_chunks::<4>();
    if pixels.iter().any(|&[.., alpha]| alpha < u8::MAX) {
        return pixmap.encode_png().map_err(|error| DrawError::Encode(error.to_string()));
    }
    let mut row: Vec<[u8; 3]> = Vec::with_capacity(width);
    encoded(width, height, ColorType::Rgb, |rows| {
        // Row by row, as another copy of the pixels is as much memory as the figures of a run may take.
        pixels.chunks(width).try_for_each(|pixels| {
            row.clear();
            row.extend(pixels.iter().map(|&[red, green, blue, _]| [red, green, blue]));
            rows.write_all(row.as_flattened())
        })
    })
}

/// Bytes as a PNG of one grey value a pixel, row by row: 0 is black, 255 white.
///
/// # Errors
/// [`DrawError::Encode`] when there are no pixels, or not as many as the size says.
pub fn grayscale_png(width: usize, height: usize, pixels: &[u8]) -> Result<Vec<u8>, DrawError> {
    encoded(width, height, ColorType::Grayscale, |rows| rows.write_all(pixels))
}

/// The pixels that `write` writes as a PNG, one byte for each part of their colour.
fn encoded(
    width: usize,
    height: usize,
    colour: ColorType,
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<Vec<u8>, DrawError> {
    let failed = |error: &dyn std::fmt::Display| DrawError::Encode(error.to_string());
    let side = |side: usize| u32::try_from(side).map_err(|error| failed(&error));
    let mut bytes = Vec::new();
    let mut encoder = Encoder::new(&mut bytes, side(width)?, side(height)?);
    encoder.set_color(colour);
    encoder.set_depth(BitDepth::Eight);
    let mut writer = encoder.write_header().map_err(|error| failed(&error))?;
    let mut rows = writer.stream_writer().map_err(|error| failed(&error))?;
    write(&mut rows).map_err(|error| failed(&error))?;
    rows.finish().map_err(|error| failed(&error))?;
    writer.finish().map_err(|error| failed(&error))?;
    Ok(bytes)
}

/// The document as shapes, its text laid out in the embedded font.
pub(super) fn parse(svg: &str) -> Result<usvg::Tree, DrawError> {
    let options = usvg::Options {
        font_family: "DejaVu Sans".to_owned(),
        fontdb: fonts(),
        image_href_resolver: usvg::ImageHrefResolver {
            resolve_data: Box::new(|_, _, _| None),
            resolve_string: Box::new(|_, _| None),
        },
        ..usvg::Options::default()
    };
    Ok(usvg::Tree::from_str(svg, &options)?)
}

/// All text below a group.
fn written(group: &usvg::Group) -> String {
    let of_node = |node: &usvg::Node| match node {
        usvg::Node::Group(group) => written(group),
        usvg::Node::Text(text) => text.chunks().iter().map(|chunk| chunk.text()).collect(),
        usvg::Node::Path(_) | usvg::Node::Image(_) => String::new(),
    };
    group.children().iter().map(of_node).collect()
}

/// Whether a picture has been drawn: then the fonts, and whatever else stays for the next one, are in memory.
pub fn has_drawn() -> bool {
    FONTS.get().is_some()
}

static FONTS: OnceLock<Arc<fontdb::Database>> = OnceLock::new();

fn fonts() -> Arc<fontdb::Database> {
    let load = || {
        let mut fonts = fontdb::Database::new();
        for face in [text::REGULAR, text::BOLD] {
            fonts.load_font_source(fontdb::Source::Binary(Arc::new(face)));
        }
        fonts.set_sans_serif_family("DejaVu Sans");
        fonts.set_serif_family("DejaVu Sans");
        fonts.set_monospace_family("DejaVu Sans");
        Arc::new(fonts)
    };
    Arc::clone(FONTS.get_or_init(load))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::draw::colour::{BACKGROUND, INK};
    use crate::draw::svg::{Svg, TextStyle};

    const TEXT: &str = "Adam: v\u{304}₁ = ∂y/∂v₁";
    const SIZE: f64 = 20.0;

    fn drawing(text: &str, style: TextStyle) -> String {
        Svg::document(300.0, 60.0, "t", "d", |svg| svg.text(10.0, 40.0, style, text))
    }

    fn decode(png: &[u8]) -> Pixmap {
        Pixmap::decode_png(png).unwrap()
    }

    /// Columns and rows that hold ink: (left, right, top, bottom), in pixels.
    fn ink_box(picture: &Pixmap) -> Option<(u32, u32, u32, u32)> {
        let w = picture.width();
        let dark = (0..w * picture.height())
            .filter(|&i| picture.pixels()[i as usize].red() < 128)
            .map(|i| (i % w, i / w));
        dark.fold(None, |seen, (x, y)| {
            let (l, r, t, b) = seen.unwrap_or((x, x, y, y));
            Some((l.min(x), r.max(x), t.min(y), b.max(y)))
        })
    }

    #[test]
    fn a_picture_has_the_drawings_size_times_the_scale() {
        let svg = drawing(TEXT, TextStyle::new(SIZE, INK));
        for (scale, size) in [(1.0, (300, 60)), (2.0, (600, 120)), (0.5, (150, 30))] {
            let picture = decode(&png(&svg, scale).unwrap());
            assert_eq!((picture.width(), picture.height()), size);
        }
    }

    #[test]
    fn the_background_is_opaque_to_the_last_pixel() {
        let picture = decode(&png(&drawing("", TextStyle::new(SIZE, INK)), 1.37).unwrap());
        for pixel in picture.pixels() {
            assert_eq!(
                (pixel.red(), pixel.green(), pixel.blue(), pixel.alpha()),
                (BACKGROUND.0, BACKGROUND.1, BACKGROUND.2, 255)
            );
        }
    }

    #[test]
    fn text_is_drawn_as_wide_as_it_was_measured() {
        for style in [TextStyle::new(SIZE, INK), TextStyle::new(SIZE, INK).bold()] {
            let picture = decode(&png(&drawing(TEXT, style), 2.0).unwrap());
            let (left, right, top, bottom) = ink_box(&picture).expect("no text in the picture");
            let drawn = f64::from(right - left + 1) / 2.0;
            let measured = text::width(TEXT, SIZE, style.face);
            // side bearings and kerning: at most an eighth of an em
            assert!((drawn - measured).abs() < SIZE / 8.0, "{drawn} against {measured}");
            // the baseline lies at 40, the subscripts below it
            assert!(top < 2 * 28 && (80..96).contains(&bottom), "{top} {bottom}");
        }
    }

    #[test]
    fn a_drawing_without_text_has_no_ink() {
        let picture = decode(&png(&drawing("", TextStyle::new(SIZE, INK)), 1.0).unwrap());
        assert_eq!(ink_box(&picture), None);
    }

    #[test]
    fn any_font_family_falls_back_to_the_embedded_font() {
        let svg = drawing(TEXT, TextStyle::new(SIZE, INK)).replace("DejaVu Sans, Verdana", "Nonesuch");
        assert!(ink_box(&decode(&png(&svg, 1.0).unwrap())).is_some());
    }

    #[test]
    fn impossible_scales_are_refused() {
        let svg = drawing(TEXT, TextStyle::new(SIZE, INK));
        for scale in [0.0, -1.0, f32::NAN, f32::INFINITY, 1e6] {
            let error = png(&svg, scale).unwrap_err();
            assert!(matches!(error, DrawError::Size { .. }), "{scale}: {error}");
            assert!(error.to_string().contains("300x60"), "{error}");
        }
    }

    #[test]
    fn a_text_that_would_be_empty_boxes_is_refused_by_name() {
        let error = png(&drawing("x = 日本 and 日", TextStyle::new(SIZE, INK)), 1.0).unwrap_err();
        let message = error.to_string();
        assert!(message.contains("no 日本;") && message.contains(".svg"), "{message}");
        // the description is not drawn
        let svg = Svg::document(300.0, 60.0, "日本", "日本", |_| {});
        png(&svg, 1.0).unwrap();
    }

    #[test]
    fn every_drawing_is_a_picture_whatever_is_written_in_it() {
        use crate::draw::{
            ConfusionMatrix, Diagram, DiagramEdge, DiagramNode, End, LineChart, Reference, Series,
        };
        let other = || "日本 🦀\0".to_owned();
        let node = || DiagramNode {
            name: other(),
            definition: other(),
            value: other(),
            adjoint: other(),
            ..DiagramNode::default()
        };
        let diagram = Diagram {
            title: other(),
            subtitle: Some(other()),
            nodes: vec![node(), node()],
            edges: vec![DiagramEdge { from: 0, to: 1, label: other() }],
            ..Diagram::default()
        };
        let ends = vec![End { x: 3.0, word: other(), whose: Some(other()), of_line: true }];
        let chart = LineChart {
            title: other(),
            subtitle: Some(other()),
            x_label: other(),
            y_label: other(),
            series: vec![Series {
                name: other(),
                points: vec![(1.0, 2.0), (2.0, 1.0)],
                ends,
                ..Series::default()
            }],
            references: vec![Reference { value: 1.5, label: other() }],
            notes: vec![other()],
            ..LineChart::default()
        };
        let matrix =
            ConfusionMatrix { title: other(), subtitle: Some(other()), counts: vec![vec![1, 2], vec![3, 4]] };
        for result in [picture(&diagram, 1.0), picture(&chart, 1.0), picture(&matrix, 1.0)] {
            decode(&result.unwrap());
        }
        // the drawing itself keeps its letters for the fonts of a browser
        assert!(diagram.svg().contains("日本"));
        let mut spelled = diagram;
        spelled.change_texts(&|written| *written = text::spelled(written));
        assert!(spelled.svg().contains("[U+65E5 U+672C] [U+1F980 U+0000]"));
    }

    #[test]
    fn grey_pixels_come_back_as_they_were_at_one_byte_each() {
        let pixels: Vec<u8> = (0..6).map(|i| i * 51).collect();
        let picture = grayscale_png(3, 2, &pixels).unwrap();
        let mut reader = ::png::Decoder::new(std::io::Cursor::new(picture)).read_info().unwrap();
        assert_eq!((reader.info().size(), reader.info().bits_per_pixel()), ((3, 2), 8));
        let mut read = [0; 6];
        reader.next_frame(&mut read).unwrap();
        assert_eq!(read, pixels[..]);
    }

    #[test]
    fn grey_pixels_of_another_size_are_refused() {
        for (width, height, count) in [(3, 2, 5), (3, 2, 7), (0, 0, 0), (usize::MAX, 1, 1)] {
            let error = grayscale_png(width, height, &vec![0; count]).unwrap_err();
            assert!(matches!(error, DrawError::Encode(_)), "{width}x{height} of {count}: {error}");
        }
    }

    #[test]
    fn text_that_is_no_svg_is_an_error() {
        assert!(matches!(png("<svg", 1.0), Err(DrawError::Svg(_))));
    }
}
