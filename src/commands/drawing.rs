//! The computational graph that a command draws beside what it prints.

use std::path::Path;

use cotangent::document::number::bytes;
use cotangent::draw::{Diagram, DrawError, picture};
use cotangent::exec::heap;

use super::Failure;
use super::console::width;

/// A text shows the graph of at most so many nodes without being asked.
const SMALL: usize = 24;

/// More nodes than anybody looks at take too long to lay out.
const LARGEST: usize = 1000;

/// Bytes that a node takes in a drawing, with its texts and edges, and in the text of a .dot file.
const DOT: usize = 1200;

/// Pixels of a PNG picture to one of the drawing.
const SCALE: f32 = 2.0;

/// How the graph is drawn.
#[derive(Clone, Copy, PartialEq)]
pub enum GraphFormat {
    /// On the page.
    Characters,
    Svg,
    Png,
    Dot,
}

impl GraphFormat {
    /// What the file's name asks for; `on_page` says whether the format can hold a drawing in characters.
    pub fn of(path: &Path, on_page: bool) -> Result<Self, Failure> {
        let extension =
            path.extension().and_then(|extension| extension.to_str()).map(str::to_ascii_lowercase);
        match extension.as_deref() {
            _ if path.as_os_str() == "-" && on_page => Ok(Self::Characters),
            _ if path.as_os_str() == "-" => Err(Failure::usage(
                "--graph - draws into text or markdown; with this --format name a file, such as graph.svg",
            )),
            Some("svg") => Ok(Self::Svg),
            Some("png") => Ok(Self::Png),
            Some("dot" | "gv") => Ok(Self::Dot),
            _ => {
                let problem =
                    format!("--graph {}: the name must end in .svg, .png or .dot, or be -", path.display());
                Err(Failure::usage(problem))
            }
        }
    }

    /// The file of the drawing of a graph of so many nodes.
    pub fn bytes(self, path: &Path, nodes: usize, diagram: impl Fn() -> Diagram) -> Result<Vec<u8>, Failure> {
        let too_large = |what: String| {
            Failure::work(format!(
                "--graph {}: {what}; a .dot file takes any number of nodes",
                path.display()
            ))
        };
        if matches!(self, Self::Svg | Self::Png) && nodes > LARGEST {
            return Err(too_large(format!(
                "{nodes} nodes are too many to lay out, at most {LARGEST} are drawn"
            )));
        }
        match self {
            Self::Characters => Ok(Vec::new()), // it stands on the page
            Self::Svg => Ok(diagram().svg().into_bytes()),
            Self::Png => picture(&diagram(), SCALE).map_err(|error| match error {
                DrawError::Size { .. } => {
                    too_large("the picture is too large for .png; name an .svg file".into())
                }
                other => Failure::work(other),
            }),
            Self::Dot if !heap::has(nodes.saturating_mul(DOT)) => Err(Failure::work(format!(
                "--graph {}: the drawing of {nodes} nodes takes {} of memory, which the machine does not give; leave it out",
                path.display(),
                bytes((nodes * DOT) as f64)
            ))),
            Self::Dot => Ok(diagram().dot().into_bytes()),
        }
    }
}

/// The drawing in characters, if there is to be one: where it was asked for, or where the page has room and
/// the graph is small.
pub fn in_characters(
    asked: Option<GraphFormat>,
    on_page: bool,
    nodes: usize,
    diagram: impl Fn() -> Diagram,
) -> Option<String> {
    let is_asked = asked == Some(GraphFormat::Characters);
    let is_small = on_page && nodes <= SMALL;
    if !(is_asked || is_small) {
        return None;
    }
    let boxes = if nodes <= LARGEST { diagram().boxes(width()) } else { None };
    Some(boxes.unwrap_or_else(|| diagram().lifelines()))
}
